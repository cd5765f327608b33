/* Faults. Inside a kernel a bad access becomes the launch's error: the handler points the interrupted thread
   at a function that leaves the fiber for good. Outside, host code that touches device memory is told so and
   the process ends, as it would without. */
#include <csignal>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/emulator/block.h"
#include "tests/emulator/fiber.h"
#include "tests/emulator/memory.h"

namespace mote_emulator {
namespace {

struct sigaction previous[2]; /* of SIGSEGV, SIGBUS */
long watched_thread = 0;
cudaError_t fault_error;
char fault_text[512];

void leave_faulted_kernel() {
  kernel_fail(fault_error, "%s", fault_text);
}

void describe_fault(uintptr_t address, const char *did, const fiber &f) {
  char text[256];
  fault_error = cudaErrorIllegalAddress;
  if (memory_is_seen(address))
    snprintf(text, sizeof text, "%s", memory_describe(address).c_str());
  else if (memory_is_handle(address))
    snprintf(text, sizeof text,
             "a device pointer that the kernel did not get as an argument: pass it as one, or in a struct");
  else if (address < 65536)
    snprintf(text, sizeof text, "a null pointer");
  else if (fiber_stack_holds(f, address))
    snprintf(text, sizeof text, "the end of a thread's stack: too many or too large local arrays");
  else
    snprintf(text, sizeof text, "no device memory, or past the end of dynamic shared memory");
  snprintf(fault_text, sizeof fault_text, "%s address 0x%zx: %s", did, size_t(address), text);
}

void chain(int signal, siginfo_t *info, void *context) {
  const struct sigaction &old = previous[signal == SIGBUS];
  if (old.sa_flags & SA_SIGINFO) return old.sa_sigaction(signal, info, context);
  if (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN) return old.sa_handler(signal);
  std::signal(signal, SIG_DFL); /* the access repeats, and ends the process */
}

void on_fault(int signal, siginfo_t *info, void *context) {
  auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  fiber *f = fiber_current();
  if (f && syscall(SYS_gettid) == watched_thread) {
    auto &machine = static_cast<ucontext_t *>(context)->uc_mcontext;
    auto stack = reinterpret_cast<uintptr_t>(fiber_spare_stack(*f)) & ~uintptr_t(15);
#if defined(__x86_64__)
    describe_fault(address, machine.gregs[REG_ERR] & 2 ? "wrote" : "read", *f);
    machine.gregs[REG_RSP] = static_cast<greg_t>(stack - 8); /* as after a call */
    machine.gregs[REG_RIP] = reinterpret_cast<greg_t>(&leave_faulted_kernel);
#elif defined(__aarch64__)
    describe_fault(address, "accessed", *f);
    machine.sp = stack;
    machine.pc = reinterpret_cast<uintptr_t>(&leave_faulted_kernel);
#else
#error "the emulated device knows x86-64 and aarch64"
#endif
    return;
  }
  if (memory_is_handle(address) || memory_is_seen(address)) {
    static const char text[] =
        "emulated device: host code touched device memory; copy it with mote_download()\n";
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0) _exit(1);
  }
  chain(signal, info, context);
}

} // namespace

void watch_faults() {
  long self = syscall(SYS_gettid);
  if (self == watched_thread) return;
  stack_t now = {};
  sigaltstack(nullptr, &now);
  if (now.ss_flags & SS_DISABLE) {
    stack_t fresh = {};
    fresh.ss_size = 64 * 1024;
    static std::vector<std::unique_ptr<char[]>> stacks; /* a thread's stays with it */
    stacks.push_back(std::make_unique<char[]>(fresh.ss_size));
    fresh.ss_sp = stacks.back().get();
    sigaltstack(&fresh, nullptr);
  }
  if (!watched_thread) {
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, &previous[0]);
    sigaction(SIGBUS, &action, &previous[1]);
  }
  watched_thread = self;
}

} // namespace mote_emulator
