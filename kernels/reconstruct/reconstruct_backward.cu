/* The way back of the reduced-order operator's fits on the GPU: a thread a node, a thread a particle, each of
   which gathers its own slope, and one block for the global fit. */
#include "kernels/reconstruct/backward.h"
#include "kernels/reconstruct/gpu.h"

static __global__ void fit_nodes_backward_kernel(mote_lattice lattice, const mote_global_fit *fit,
                                                 float radius, int level, const float *moments,
                                                 const float *field_slope, float ridge, float shrink,
                                                 float *moment_slope, float *prior_slope) {
  int at[3];
  int64_t node;
  mote_node_range range = mote_active_nodes(&lattice, fit, radius, level);
  if (!own_node(&lattice, &range, at, &node)) return;
  const float *m = moments + node * MOTE_MOMENT_STRIDE;
  int64_t row = node * MOTE_AFFINE;
  mote_fit_node_backward(m, field_slope + row, lattice.unit, ridge, shrink, moment_slope + row);
  if (prior_slope)
    mote_prior_backward(m, moment_slope + row, lattice.unit, ridge, shrink, field_slope + row,
                        prior_slope + row);
}

mote_status mote_gpu_fit_nodes_backward(mote_stream *stream, const mote_lattice *lattice,
                                        const mote_global_fit *fit, float radius, int level,
                                        const float *moments, const float *field_slope, float ridge,
                                        float shrink, float *moment_slope, float *prior_slope) {
  return MOTE_LAUNCH(fit_nodes_backward_kernel, mote_grid(mote_lattice_size(lattice), THREADS), THREADS, 0,
                     stream, *lattice, fit, radius, level, moments, field_slope, ridge, shrink, moment_slope,
                     prior_slope);
}

static __global__ void blend_backward_kernel(mote_lattice fine, mote_lattice coarse,
                                             const mote_global_fit *fit, float radius, int level,
                                             const float *prior_slope, float *coarse_slope) {
  mote_node_range inner = mote_active_nodes(&fine, fit, radius, level - 1);
  mote_node_range outer = mote_active_nodes(&coarse, fit, radius, level);
  int at[3];
  int64_t node;
  if (own_node(&coarse, &outer, at, &node))
    mote_blend_backward_node(&fine, &coarse, &inner, &outer, at, prior_slope,
                             coarse_slope + node * MOTE_AFFINE);
}

mote_status mote_gpu_blend_backward(mote_stream *stream, const mote_lattice *fine, const mote_lattice *coarse,
                                    const mote_global_fit *fit, float radius, int level,
                                    const float *prior_slope, float *coarse_slope) {
  return MOTE_LAUNCH(blend_backward_kernel, mote_grid(mote_lattice_size(coarse), THREADS), THREADS, 0, stream,
                     *fine, *coarse, fit, radius, level, prior_slope, coarse_slope);
}

static __global__ void restrict_backward_kernel(mote_lattice fine, mote_lattice coarse,
                                                const mote_global_fit *fit, float radius, int level,
                                                const float *coarse_slope, float *fine_slope) {
  mote_node_range inner = mote_active_nodes(&fine, fit, radius, level - 1);
  mote_node_range outer = mote_active_nodes(&coarse, fit, radius, level);
  int at[3];
  int64_t node;
  if (own_node(&fine, &inner, at, &node))
    mote_restrict_backward_node(&fine, &coarse, &outer, at, coarse_slope, fine_slope + node * MOTE_AFFINE);
}

mote_status mote_gpu_restrict_backward(mote_stream *stream, const mote_lattice *fine,
                                       const mote_lattice *coarse, const mote_global_fit *fit, float radius,
                                       int level, const float *coarse_slope, float *fine_slope) {
  return MOTE_LAUNCH(restrict_backward_kernel, mote_grid(mote_lattice_size(fine), THREADS), THREADS, 0,
                     stream, *fine, *coarse, fit, radius, level, coarse_slope, fine_slope);
}

static __global__ void global_slope_kernel(mote_lattice coarsest, const mote_global_fit *fit, float radius,
                                           int level, int64_t n, const float *position,
                                           const float *prior_slope, mote_global_fit *slope) {
  __shared__ double shared[FIT_THREADS / WARP];
  mote_node_range range = mote_active_nodes(&coarsest, fit, radius, level);
  int64_t count = (int64_t)range.count[0] * range.count[1] * range.count[2];
  double m[MOTE_MOMENTS], nothing[3] = {0, 0, 0};
  for (int k = 0; k < MOTE_MOMENTS; k++) m[k] = 0;
  for (int64_t i = threadIdx.x; i < n; i += FIT_THREADS) {
    double d[3] = {0, 0, 0};
    for (int a = 0; a < coarsest.dim; a++) d[a] = position[i * coarsest.dim + a] - fit->center[a];
    mote_add_to_global(d, nothing, m);
  }
  for (int64_t k = threadIdx.x; k < count; k += FIT_THREADS) {
    int at[3] = {range.first[0] + (int)(k / range.count[2] / range.count[1]),
                 range.first[1] + (int)(k / range.count[2] % range.count[1]),
                 range.first[2] + (int)(k % range.count[2])};
    int64_t node = ((int64_t)at[0] * coarsest.nodes[1] + at[1]) * coarsest.nodes[2] + at[2];
    mote_global_backward_node(&coarsest, fit, at, prior_slope + node * MOTE_AFFINE, m);
  }
  for (int k = 0; k < MOTE_MOMENTS; k++) m[k] = reduce(shared, m[k], 0);
  if (threadIdx.x == 0) mote_solve_global(m, slope);
}

static __global__ void global_backward_kernel(int dim, int64_t n, const mote_global_fit *fit,
                                              const mote_global_fit *slope, const float *position,
                                              float *increment_slope) {
  int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) mote_global_backward_particle(dim, fit, slope, position + i * dim, increment_slope + i * dim);
}

mote_status mote_gpu_global_backward(mote_stream *stream, const mote_lattice *coarsest,
                                     const mote_global_fit *fit, float radius, int level, int64_t n,
                                     const float *position, const float *prior_slope, mote_global_fit *slope,
                                     float *increment_slope) {
  MOTE_TRY(MOTE_LAUNCH(global_slope_kernel, 1, FIT_THREADS, 0, stream, *coarsest, fit, radius, level, n,
                       position, prior_slope, slope));
  return MOTE_LAUNCH(global_backward_kernel, mote_grid(n, THREADS), THREADS, 0, stream, coarsest->dim, n, fit,
                     slope, position, increment_slope);
}

static __global__ void splat_backward_kernel(mote_lattice lattice, const mote_global_fit *fit, float radius,
                                             int64_t n, const float *position, const float *moment_slope,
                                             float *increment_slope) {
  int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  mote_node_range active = mote_active_nodes(&lattice, fit, radius, 0);
  mote_splat_backward_particle(&lattice, &active, position + i * lattice.dim, radius, moment_slope,
                               increment_slope + i * lattice.dim);
}

mote_status mote_gpu_splat_backward(mote_stream *stream, const mote_lattice *lattice,
                                    const mote_global_fit *fit, float radius, int64_t n,
                                    const float *position, const float *moment_slope,
                                    float *increment_slope) {
  return MOTE_LAUNCH(splat_backward_kernel, mote_grid(n, THREADS), THREADS, 0, stream, *lattice, fit, radius,
                     n, position, moment_slope, increment_slope);
}

static __global__ void pursue_backward_kernel(int dim, int64_t n, const float *now, const float *tracer,
                                              float gain, float limit, const float *increment_slope,
                                              float *tracer_slope) {
  int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    mote_pursue_backward_particle(dim, now + i * dim, tracer + i * dim, gain, limit,
                                  increment_slope + i * dim, tracer_slope + i * dim);
}

mote_status mote_gpu_pursue_backward(mote_stream *stream, int dim, int64_t n, const float *now,
                                     const float *tracer, float gain, float limit,
                                     const float *increment_slope, float *tracer_slope) {
  return MOTE_LAUNCH(pursue_backward_kernel, mote_grid(n, THREADS), THREADS, 0, stream, dim, n, now, tracer,
                     gain, limit, increment_slope, tracer_slope);
}
