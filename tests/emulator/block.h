/* One block at a time: its threads, what they wait for, and how a kernel fails. */
#ifndef MOTE_EMULATOR_BLOCK_H
#define MOTE_EMULATOR_BLOCK_H

namespace mote_emulator {

class kernel_call;

struct run_options {
  uint64_t seed;   /* of the orders; 0: in order, 1: in reverse */
  uint32_t poison; /* of shared memory */
};

/* Runs the whole grid. False when it failed: the failure is then recorded by kernel_failed(). */
bool run_grid(kernel_call &call, const run_options &options);

/* Ends the kernel that runs from inside of it. No destructor on its stack runs, so callers hold no memory. */
[[noreturn]] void kernel_fail(cudaError_t error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The kernel that runs now, NULL outside. */
kernel_call *running_kernel();

/* In runtime.cc: the next call of the runtime returns the error, with that text. */
void set_error(cudaError_t error, const char *text);

/* In fault.cc: faults inside kernels become errors, on the thread that calls it. */
void watch_faults();

} // namespace mote_emulator
#endif
