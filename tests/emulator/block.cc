/* Runs a grid block by block. The trick: one fiber runs thread after thread as plain calls; when a thread
   waits, its fiber stays with it and another one takes up the threads not yet begun. Whoever completes a
   barrier or a warp operation makes all that wait there ready again. */
#include "tests/emulator/block.h"

#include <cstdarg>
#include <dlfcn.h>
#include <link.h>
#include <numeric>

#include "tests/emulator/block_state.h"
#include "tests/emulator/fiber.h"
#include "tests/emulator/launch.h"
#include "tests/emulator/memory.h"

extern "C" void *__tls_get_addr(size_t (*module_and_offset)[2]);

namespace mote_emulator {

index_state position;
block_state block;

run_options options;

namespace {

uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}
uint64_t below(uint64_t limit) {
  block.random = block.random * 6364136223846793005u + 1442695040888963407u;
  return (block.random >> 32) * limit >> 32;
}

/* i -> (i step + start) mod n is a permutation where step and n share no factor. */
struct order {
  uint64_t n, step, start;
  uint64_t at(uint64_t i) const { return static_cast<uint64_t>((unsigned __int128)i * step % n + start) % n; }
};
order make_order(uint64_t n, uint64_t random) {
  if (options.seed == 0) return {n, 1, 0};
  if (options.seed == 1) return {n, n > 1 ? n - 1 : 1, n - 1};
  uint64_t step = 1 + mix(random) % n;
  while (std::gcd(step, n) != 1) step = step % n + 1;
  return {n, step, mix(random + 1) % n};
}

int take_fresh() {
  if (block.begun == block.count) return -1;
  int i = block.begun++;
  return int((uint64_t(i) * unsigned(block.order_step) + unsigned(block.order_start)) %
             unsigned(block.count));
}

void fiber_body() {
  fiber &self = *fiber_current();
  for (;;) {
    for (int t; (t = take_fresh()) >= 0;) {
      self.thread = t;
      position.thread = block.index[t];
      block.threads[t].state = status::running;
      block.call->thread();
      block.threads[t].state = status::exited;
      block.exited++;
    }
    self.thread = -1;
    block.idle[block.idle_count++] = &self;
    fiber_leave();
  }
}

/* Nobody can go on: tells who waits where. Called outside of fibers. */
void report_deadlock() {
  char text[512];
  int first = 0, waiting = 0;
  for (int t = block.count - 1; t >= 0; t--)
    if (block.threads[t].state == status::waiting) first = t, waiting++;
  const thread_state &one = block.threads[first];
  int other = -1;
  for (int t = 0; t < block.count && other < 0; t++)
    if (block.threads[t].state == status::waiting &&
        (block.threads[t].kind != one.kind || block.threads[t].at.line != one.at.line))
      other = t;
  int used = snprintf(text, sizeof text,
                      "kernel %s, block (%u,%u,%u): %d of %d threads (the first is %d) wait at %s (%s:%d)",
                      block.call->name.c_str(), position.block.x, position.block.y, position.block.z, waiting,
                      block.count, first, wait_name(one.kind), one.at.file, one.at.line);
  if (other >= 0)
    used += snprintf(text + used, sizeof text - size_t(used), " or elsewhere (thread %d at %s, %s:%d)", other,
                     wait_name(block.threads[other].kind), block.threads[other].at.file,
                     block.threads[other].at.line);
  if (block.exited) snprintf(text + used, sizeof text - size_t(used), "; %d have left", block.exited);
  set_error(cudaErrorLaunchTimeout, text);
  block.failed = true;
}

void forget_fibers() {
  for (int i = 0; i < block.fibers; i++) {
    fiber_get(i).context = nullptr;
    fiber_get(i).thread = -1;
  }
  block.fibers = block.idle_count = 0;
}

void enter(fiber &f) {
  fiber_enter(f, fiber_body);
}

bool run_block() {
  block.begun = block.exited = block.at_barrier = block.predicates = block.ready_count = 0;
  block.barriers = 0;
  block.serial++;
  for (int t = 0; t < block.count; t++) {
    block.threads[t].state = status::fresh;
    block.threads[t].warp_clock = 0;
  }
  while (!block.failed) {
    bool fresh = block.begun < block.count;
    if (fresh && (!block.ready_count || below(2))) {
      enter(block.idle_count ? *block.idle[--block.idle_count] : fiber_get(block.fibers++));
    } else if (block.ready_count) {
      uint64_t chosen = below(unsigned(block.ready_count));
      int t = block.ready[chosen];
      block.ready[chosen] = block.ready[--block.ready_count];
      position.thread = block.index[t];
      enter(*block.threads[t].on);
    } else if (block.exited < block.count) {
      report_deadlock();
    } else {
      return true;
    }
  }
  forget_fibers();
  return false;
}

struct shared_block {
  size_t module = 0, bytes = 0;
};
int find_shared(dl_phdr_info *info, size_t, void *out) {
  bool own = false;
  size_t bytes = 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) &header = info->dlpi_phdr[i];
    uintptr_t start = info->dlpi_addr + header.p_vaddr;
    if (header.p_type == PT_LOAD && reinterpret_cast<uintptr_t>(&position) - start < header.p_memsz)
      own = true;
    if (header.p_type == PT_TLS) bytes = header.p_memsz;
  }
  if (own) *static_cast<shared_block *>(out) = {info->dlpi_tls_modid, bytes};
  return own;
}

void poison_shared() {
  memory_span span = static_shared();
  poison(span.data, span.bytes, options.poison);
  if (block.call->shared) poison(dynamic_shared(), block.call->shared, options.poison);
}

} // namespace

memory_span static_shared() {
  static const shared_block shared = [] {
    shared_block found;
    dl_iterate_phdr(find_shared, &found);
    return found;
  }();
  size_t index[2] = {shared.module, 0};
  return {shared.bytes ? static_cast<unsigned char *>(__tls_get_addr(&index)) : nullptr, shared.bytes};
}

bool run_grid(kernel_call &call, const run_options &chosen) {
  options = chosen;
  block.call = &call;
  block.count = int(call.block.x * call.block.y * call.block.z);
  block.failed = false;
  block.run++;
  block.random = mix(options.seed);
  position.block_dim = call.block;
  position.grid_dim = call.grid;
  for (int t = 0; t < block.count; t++) {
    unsigned i = unsigned(t);
    block.index[t] = {i % call.block.x, i / call.block.x % call.block.y, i / (call.block.x * call.block.y)};
  }
  uint64_t blocks = uint64_t(call.grid.x) * call.grid.y * call.grid.z;
  order block_order = make_order(blocks, options.seed);
  bool done = true;
  for (uint64_t i = 0; i < blocks && done; i++) {
    uint64_t b = block_order.at(i);
    position.block = {unsigned(b % call.grid.x), unsigned(b / call.grid.x % call.grid.y),
                      unsigned(b / call.grid.x / call.grid.y)};
    order thread_order = make_order(unsigned(block.count), options.seed ^ i << 20);
    block.order_step = int(thread_order.step);
    block.order_start = int(thread_order.start);
    if (!call.is_library) poison_shared();
    done = run_block();
  }
  block.call = nullptr;
  return done;
}

void *dynamic_shared() {
  return dynamic_shared_of(block.call->shared);
}

int own_thread() {
  return fiber_current()->thread;
}

void make_ready(int t) {
  block.threads[t].state = status::ready;
  block.ready[block.ready_count++] = t;
}

void wait_in_line(thread_state &self) {
  self.on = fiber_current();
  fiber_leave();
  self.state = status::running;
}

const char *wait_name(wait_kind kind) {
  switch (kind) {
  case wait_kind::barrier: return "__syncthreads";
  case wait_kind::warp_sync: return "__syncwarp";
  case wait_kind::shuffle:
  case wait_kind::shuffle_up:
  case wait_kind::shuffle_down:
  case wait_kind::shuffle_xor: return "a shuffle";
  case wait_kind::ballot:
  case wait_kind::any:
  case wait_kind::all: return "a vote";
  case wait_kind::collect: return "a product of a warp";
  default: return "a warp reduction";
  }
}

kernel_call *running_kernel() {
  return fiber_current() ? block.call : nullptr;
}

void kernel_fail(cudaError_t error, const char *format, ...) {
  char text[1024];
  const uint3 &b = position.block, &t = position.thread;
  int used = snprintf(text, sizeof text,
                      "kernel %s, block (%u,%u,%u), thread (%u,%u,%u): ", block.call->name.c_str(), b.x, b.y,
                      b.z, t.x, t.y, t.z);
  va_list list;
  va_start(list, format);
  vsnprintf(text + used, sizeof text - size_t(used), format, list);
  va_end(list);
  set_error(error, text);
  block.failed = true;
  fiber_abandon();
}

void kernel_trap() {
  kernel_fail(cudaErrorLaunchFailure, "__trap() was called");
}

int block_wait(int predicate, place at) {
  int own = own_thread();
  thread_state &self = block.threads[own];
  self.state = status::waiting;
  self.kind = wait_kind::barrier;
  self.at = at;
  block.predicates += predicate != 0;
  if (++block.at_barrier == block.count) {
    for (int t = 0; t < block.count; t++)
      if (block.threads[t].at.line != at.line || block.threads[t].at.file != at.file)
        kernel_fail(cudaErrorLaunchFailure,
                    "waits at the barrier of line %d of %s while thread %d waits at that of line %d", at.line,
                    at.file, t, block.threads[t].at.line);
    block.barrier_result = block.predicates;
    block.barriers++;
    block.at_barrier = block.predicates = 0;
    for (int t = 0; t < block.count; t++) make_ready(t);
  }
  wait_in_line(self);
  return block.barrier_result;
}

} // namespace mote_emulator
