/* Sums over the threads of a block, in their order. */
#ifndef MOTE_CUDA_SCAN_H
#define MOTE_CUDA_SCAN_H

#include <cuda_runtime.h>

#define MOTE_SCAN_SHARED 32 /* values that it takes in shared memory: one a warp */

/* The sum of what the threads before this one give, and of all, for the whole warps of a block; a barrier for
   all that stands before and behind it. */
template <typename T> static __device__ inline T mote_block_scan(T value, T *shared, T *total) {
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  T sum = value;
  for (unsigned distance = 1; distance < 32; distance *= 2) {
    T other = __shfl_up_sync(0xffffffffu, sum, distance);
    if (lane >= distance) sum += other;
  }
  __syncthreads();
  if (lane == 31) shared[warp] = sum;
  __syncthreads();
  if (warp == 0) {
    T all = lane < warps ? shared[lane] : T(0);
    for (unsigned distance = 1; distance < 32; distance *= 2) {
      T other = __shfl_up_sync(0xffffffffu, all, distance);
      if (lane >= distance) all += other;
    }
    shared[lane] = all;
  }
  __syncthreads();
  *total = shared[warps - 1];
  return sum - value + (warp ? shared[warp - 1] : T(0));
}

#endif
