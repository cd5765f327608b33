/* Copies from device to shared memory that do not pass through registers, so that a block works on what it
   has while the next is on its way. A thread's copies are grouped: mote_copy_wait<n>() waits for all groups
   but the latest n that this thread committed; a barrier behind it makes the others' copies visible too.
   The emulated device copies as late as it may, when the thread waits. */
#ifndef MOTE_CUDA_ASYNC_H
#define MOTE_CUDA_ASYNC_H

#include <cuda_runtime.h>

/* Four floats; both addresses are multiples of 16 bytes. Zeros where nothing is `there` to be read. */
static __device__ inline void mote_copy_async(float *shared, const float *from, bool there) {
#ifdef MOTE_EMULATOR
  mote_emulator::copy_later({shared, from, there});
#else
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                   static_cast<unsigned>(__cvta_generic_to_shared(shared))),
               "l"(__cvta_generic_to_global(from)), "r"(there ? 16 : 0)
               : "memory");
#endif
}

static __device__ inline void mote_copy_commit() {
#ifdef MOTE_EMULATOR
  mote_emulator::copy_commit();
#else
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

template <int pending> static __device__ inline void mote_copy_wait() {
#ifdef MOTE_EMULATOR
  mote_emulator::late_copy copy;
  while (mote_emulator::copy_due(pending, &copy))
    for (int i = 0; i < 4; i++) copy.to[i] = copy.there ? copy.from[i] : 0;
#else
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
#endif
}

#endif
