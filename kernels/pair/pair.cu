/* Forces between pairs on the GPU: 8 neighbouring threads take a node's edges in turn and add their sums
   pairwise, a fixed order. */
#include "kernels/pair/pair.h"

#include "cuda/launch.h"

#define THREADS 128
#define LANES 8

typedef struct nodes_job {
  int64_t n;
  mote_pair_forces forces;
  mote_edges edges;
  const float *position, *wall;
} nodes_job;

static __global__ void accelerate_kernel(nodes_job j, const float *pair, float *acceleration) {
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / LANES;
  const int lane = static_cast<int>(threadIdx.x) % LANES, dim = j.forces.dim;
  float sum[3] = {0, 0, 0};
  if (i < j.n) {
    const int32_t end = mote_pair_row_end(&j.edges, static_cast<int32_t>(i));
    for (int32_t e = j.edges.row_offsets[i] + lane; e < end; e += LANES)
      mote_pair_add(dim, &j.edges, static_cast<int32_t>(i), e, pair, sum);
  }
  for (int a = 0; a < 3; a++)
    for (int distance = LANES / 2; distance > 0; distance /= 2)
      sum[a] += __shfl_xor_sync(0xffffffffu, sum[a], distance);
  if (i < j.n && lane == 0)
    mote_pair_finish(&j.forces, j.position + i * dim, j.wall + i * dim, sum, acceleration + i * dim);
}

static mote_status accelerate(mote_stream *stream, int64_t n, const mote_pair_forces *forces,
                              const mote_edges *edges, const float *position, const float *wall,
                              const float *pair, float *acceleration) {
  const nodes_job job = {n, *forces, *edges, position, wall};
  return MOTE_LAUNCH(accelerate_kernel, mote_grid(n * LANES, THREADS), THREADS, 0, stream, job, pair,
                     acceleration);
}

static __global__ void backward_kernel(nodes_job j, const float *d_acceleration, float *d_wall, float *d_pair,
                                       float *d_position) {
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / LANES;
  const int lane = static_cast<int>(threadIdx.x) % LANES, dim = j.forces.dim;
  if (i >= j.n) return;
  const int32_t end = mote_pair_row_end(&j.edges, static_cast<int32_t>(i));
  for (int32_t e = j.edges.row_offsets[i] + lane; e < end; e += LANES)
    mote_pair_reversed(dim, &j.edges, static_cast<int32_t>(i), e, d_acceleration, d_pair);
  if (lane == 0)
    mote_pair_wall_reversed(&j.forces, j.position + i * dim, j.wall + i * dim, d_acceleration + i * dim,
                            d_wall + i * dim, d_position ? d_position + i * dim : nullptr);
}

static mote_status accelerate_backward(mote_stream *stream, int64_t n, const mote_pair_forces *forces,
                                       const mote_edges *edges, const float *position, const float *wall,
                                       const float *d_acceleration, float *d_wall, float *d_pair,
                                       float *d_position) {
  const nodes_job job = {n, *forces, *edges, position, wall};
  return MOTE_LAUNCH(backward_kernel, mote_grid(n * LANES, THREADS), THREADS, 0, stream, job, d_acceleration,
                     d_wall, d_pair, d_position);
}

extern "C" const struct mote_pair_kernels mote_pair_gpu = {accelerate, accelerate_backward};
