/* The way back of the reduced-order operator's fits on the CPU: each node and particle gathers its own slope.
 */
#include <string.h>

#include "kernels/reconstruct/backward.h"

static inline int64_t index_of(const mote_lattice *l, const int at[3]) {
  return ((int64_t)at[0] * l->nodes[1] + at[1]) * l->nodes[2] + at[2];
}

/* The k-th active node. */
static inline int64_t node_of(const mote_lattice *l, const mote_node_range *range, int64_t k, int at[3]) {
  at[2] = range->first[2] + (int)(k % range->count[2]);
  at[1] = range->first[1] + (int)(k / range->count[2] % range->count[1]);
  at[0] = range->first[0] + (int)(k / range->count[2] / range->count[1]);
  return index_of(l, at);
}

static inline int64_t count_of(const mote_node_range *range) {
  return (int64_t)range->count[0] * range->count[1] * range->count[2];
}

mote_status mote_cpu_fit_nodes_backward(mote_stream *stream, const mote_lattice *lattice,
                                        const mote_global_fit *fit, float radius, int level,
                                        const float *moments, const float *field_slope, float ridge,
                                        float shrink, float *moment_slope, float *prior_slope) {
  mote_node_range range = mote_active_nodes(lattice, fit, radius, level);
  int64_t count = count_of(&range);
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(dynamic, 64)
  for (int64_t k = 0; k < count; k++) {
    int at[3];
    int64_t node = node_of(lattice, &range, k, at), row = node * MOTE_AFFINE;
    const float *m = moments + node * MOTE_MOMENT_STRIDE;
    mote_fit_node_backward(m, field_slope + row, lattice->unit, ridge, shrink, moment_slope + row);
    if (prior_slope)
      mote_prior_backward(m, moment_slope + row, lattice->unit, ridge, shrink, field_slope + row,
                          prior_slope + row);
  }
  return MOTE_OK;
}

mote_status mote_cpu_blend_backward(mote_stream *stream, const mote_lattice *fine, const mote_lattice *coarse,
                                    const mote_global_fit *fit, float radius, int level,
                                    const float *prior_slope, float *coarse_slope) {
  mote_node_range inner = mote_active_nodes(fine, fit, radius, level - 1);
  mote_node_range outer = mote_active_nodes(coarse, fit, radius, level);
  int64_t count = count_of(&outer);
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(dynamic, 64)
  for (int64_t k = 0; k < count; k++) {
    int at[3];
    int64_t node = node_of(coarse, &outer, k, at);
    mote_blend_backward_node(fine, coarse, &inner, &outer, at, prior_slope,
                             coarse_slope + node * MOTE_AFFINE);
  }
  return MOTE_OK;
}

mote_status mote_cpu_restrict_backward(mote_stream *stream, const mote_lattice *fine,
                                       const mote_lattice *coarse, const mote_global_fit *fit, float radius,
                                       int level, const float *coarse_slope, float *fine_slope) {
  mote_node_range inner = mote_active_nodes(fine, fit, radius, level - 1);
  mote_node_range outer = mote_active_nodes(coarse, fit, radius, level);
  int64_t count = count_of(&inner);
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(dynamic, 64)
  for (int64_t k = 0; k < count; k++) {
    int at[3];
    int64_t node = node_of(fine, &inner, k, at);
    mote_restrict_backward_node(fine, coarse, &outer, at, coarse_slope, fine_slope + node * MOTE_AFFINE);
  }
  return MOTE_OK;
}

mote_status mote_cpu_global_backward(mote_stream *stream, const mote_lattice *coarsest,
                                     const mote_global_fit *fit, float radius, int level, int64_t n,
                                     const float *position, const float *prior_slope, mote_global_fit *slope,
                                     float *increment_slope) {
  (void)stream;
  mote_node_range range = mote_active_nodes(coarsest, fit, radius, level);
  double m[MOTE_MOMENTS] = {0}, nothing[3] = {0};
  int64_t count = count_of(&range);
  int dim = coarsest->dim;
  for (int64_t i = 0; i < n; i++) {
    double d[3] = {0};
    for (int a = 0; a < dim; a++) d[a] = position[i * dim + a] - fit->center[a];
    mote_add_to_global(d, nothing, m);
  }
  for (int64_t k = 0; k < count; k++) {
    int at[3];
    int64_t node = node_of(coarsest, &range, k, at);
    mote_global_backward_node(coarsest, fit, at, prior_slope + node * MOTE_AFFINE, m);
  }
  memset(slope, 0, sizeof *slope);
  mote_solve_global(m, slope);
  for (int64_t i = 0; i < n; i++)
    mote_global_backward_particle(dim, fit, slope, position + i * dim, increment_slope + i * dim);
  return MOTE_OK;
}

mote_status mote_cpu_splat_backward(mote_stream *stream, const mote_lattice *lattice,
                                    const mote_global_fit *fit, float radius, int64_t n,
                                    const float *position, const float *moment_slope,
                                    float *increment_slope) {
  mote_node_range active = mote_active_nodes(lattice, fit, radius, 0);
  int dim = lattice->dim;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > 256)
  for (int64_t i = 0; i < n; i++)
    mote_splat_backward_particle(lattice, &active, position + i * dim, radius, moment_slope,
                                 increment_slope + i * dim);
  return MOTE_OK;
}

mote_status mote_cpu_pursue_backward(mote_stream *stream, int dim, int64_t n, const float *now,
                                     const float *tracer, float gain, float limit,
                                     const float *increment_slope, float *tracer_slope) {
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > 16384)
  for (int64_t i = 0; i < n; i++)
    mote_pursue_backward_particle(dim, now + i * dim, tracer + i * dim, gain, limit,
                                  increment_slope + i * dim, tracer_slope + i * dim);
  return MOTE_OK;
}
