/* What the operator's GPU sources share: a thread's node, a node's group of lanes, and sums in one block, of
   which each thread makes every 256th term. */
#ifndef MOTE_KERNELS_RECONSTRUCT_GPU_H
#define MOTE_KERNELS_RECONSTRUCT_GPU_H

#include "cuda/launch.h"
#include "kernels/reconstruct/field.h"

#define THREADS 128
#define FIT_THREADS 256
#define WARP 32
#define ALL_LANES 0xffffffffu
#define GROUP 8 /* lanes that share the particles around a node */

static __device__ inline double combined(double a, double b, int how) {
  return how == 0 ? a + b : how < 0 ? fmin(a, b) : fmax(a, b);
}

/* The sum (how 0), minimum (below) or maximum of the threads' values, known to all of them: a tree over the
   lanes of each warp, then the warps in their order. */
static __device__ inline double reduce(double *shared, double value, int how) {
  for (int distance = WARP / 2; distance; distance /= 2)
    value = combined(value, __shfl_xor_sync(ALL_LANES, value, distance), how);
  __syncthreads(); /* who still reads what was here before */
  if (threadIdx.x % WARP == 0) shared[threadIdx.x / WARP] = value;
  __syncthreads();
  double all = shared[0];
  for (int warp = 1; warp < FIT_THREADS / WARP; warp++) all = combined(all, shared[warp], how);
  return all;
}

/* The group of this thread among all, and its place there. */
static __device__ inline int64_t own_group() {
  return ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / GROUP;
}
static __device__ inline int own_member() {
  return (int)threadIdx.x % GROUP;
}

/* sum[k], k < count, become those of the whole group, all of which is here. */
static __device__ inline void sum_group(int count, float *sum) {
  const unsigned members = ((1u << GROUP) - 1) << ((int)threadIdx.x % WARP / GROUP * GROUP);
  for (int k = 0; k < count; k++)
    for (int distance = GROUP / 2; distance; distance /= 2)
      sum[k] += __shfl_xor_sync(members, sum[k], distance);
}

/* The node of this thread, whole lattice; 0 when it is not active. */
static __device__ inline int own_node(const mote_lattice *l, const mote_node_range *range, int at[3],
                                      int64_t *index) {
  *index = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  return mote_lattice_node_at(l, range, *index, at);
}

#endif
