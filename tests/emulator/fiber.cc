/* See fiber.h. */
#include "tests/emulator/fiber.h"

#include <boost/context/detail/fcontext.hpp>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define SANITIZE_SWITCH(...) __VA_ARGS__
#else
#define SANITIZE_SWITCH(...)
#endif

namespace mote_emulator {
namespace {

namespace bc = boost::context::detail;
constexpr size_t guard = 4096;

std::vector<fiber> fibers;
fiber *current = nullptr;
bc::fcontext_t outside = nullptr;
void (*begin_body)() = nullptr;
SANITIZE_SWITCH(const void *outside_stack = nullptr; size_t outside_stack_bytes = 0;)

void entry(bc::transfer_t from) {
  outside = from.fctx;
  SANITIZE_SWITCH(__sanitizer_finish_switch_fiber(nullptr, &outside_stack, &outside_stack_bytes);)
  begin_body();
  fiber_abandon();
}

} // namespace

fiber &fiber_get(int number) {
  while (fibers.size() <= size_t(number)) {
    void *stack = mmap(nullptr, fiber_stack_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) {
      fprintf(stderr, "emulated device: out of memory for a thread's stack\n");
      abort();
    }
    mprotect(stack, guard, PROT_NONE);
    if (fibers.capacity() == 0) fibers.reserve(2048); /* references to fibers stay valid */
    fibers.emplace_back();
    fibers.back().stack = static_cast<unsigned char *>(stack);
  }
  return fibers[size_t(number)];
}

void fiber_enter(fiber &f, void (*body)()) {
  if (!f.context) {
    SANITIZE_SWITCH(__asan_unpoison_memory_region(f.stack + guard, fiber_stack_bytes - guard);)
    f.context = bc::make_fcontext(f.stack + fiber_stack_bytes, fiber_stack_bytes - guard, entry);
    f.fake_stack = nullptr;
    begin_body = body;
  }
  current = &f;
  SANITIZE_SWITCH(void *fake = nullptr;
                  __sanitizer_start_switch_fiber(&fake, f.stack + guard, fiber_stack_bytes - guard);)
  bc::transfer_t back = bc::jump_fcontext(f.context, nullptr);
  SANITIZE_SWITCH(__sanitizer_finish_switch_fiber(fake, nullptr, nullptr);)
  f.context = back.data ? nullptr : back.fctx;
  current = nullptr;
}

void fiber_leave() {
  SANITIZE_SWITCH(fiber &self = *current;)
  SANITIZE_SWITCH(__sanitizer_start_switch_fiber(&self.fake_stack, outside_stack, outside_stack_bytes);)
  bc::transfer_t back = bc::jump_fcontext(outside, nullptr);
  outside = back.fctx;
  SANITIZE_SWITCH(__sanitizer_finish_switch_fiber(self.fake_stack, &outside_stack, &outside_stack_bytes);)
}

void fiber_abandon() {
  SANITIZE_SWITCH(__sanitizer_start_switch_fiber(nullptr, outside_stack, outside_stack_bytes);)
  bc::jump_fcontext(outside, &fibers); /* any non-null pointer: gone for good */
  abort();
}

fiber *fiber_current() {
  return current;
}

void *fiber_spare_stack(const fiber &f) {
  /* Its own frames are lost, so its top is free. */
  return f.stack + fiber_stack_bytes - 1024;
}

bool fiber_stack_holds(const fiber &f, uintptr_t address) {
  return address - reinterpret_cast<uintptr_t>(f.stack) < fiber_stack_bytes;
}

} // namespace mote_emulator
