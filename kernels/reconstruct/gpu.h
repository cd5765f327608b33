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
  int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= mote_lattice_size(l)) return 0;
  *index = i;
  at[2] = (int)(i % l->nodes[2]);
  at[1] = (int)(i / l->nodes[2] % l->nodes[1]);
  at[0] = (int)(i / l->nodes[2] / l->nodes[1]);
  int active = 1;
  for (int a = 0; a < 3; a++) active &= at[a] >= range->first[a] && at[a] < range->first[a] + range->count[a];
  return active;
}

#endif
