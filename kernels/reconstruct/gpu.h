/* What the operator's GPU sources share: a thread's node, and sums in one block, of which each thread makes
   every 128th term and a tree in shared memory adds the threads. */
#ifndef MOTE_KERNELS_RECONSTRUCT_GPU_H
#define MOTE_KERNELS_RECONSTRUCT_GPU_H

#include "cuda/launch.h"
#include "kernels/reconstruct/field.h"

#define THREADS 128
#define FIT_THREADS 128

/* shared[0] becomes the sum (combine 0), minimum (below) or maximum of the threads' values. */
static __device__ inline void reduce(double *shared, double value, int combine) {
  int t = (int)threadIdx.x;
  shared[t] = value;
  __syncthreads();
  for (int half = FIT_THREADS / 2; half > 0; half /= 2) {
    double other = t < half ? shared[t + half] : 0;
    if (t < half) {
      if (combine == 0)
        shared[t] += other;
      else if (combine < 0)
        shared[t] = fmin(shared[t], other);
      else
        shared[t] = fmax(shared[t], other);
    }
    __syncthreads();
  }
}

/* The node of this thread, whole lattice; 0 when it is not active. */
static __device__ inline int own_node(const mote_lattice *l, const mote_node_range *range, int at[3],
                                      int64_t *index) {
  *index = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  return mote_lattice_node_at(l, range, *index, at);
}

#endif
