/* The way back of the reduced-order operator's fits: per-element math for both compilers, and what of the
   tables stands in reconstruct_backward.c and .cu. */
#ifndef MOTE_KERNELS_RECONSTRUCT_BACKWARD_H
#define MOTE_KERNELS_RECONSTRUCT_BACKWARD_H

#include "kernels/reconstruct/field.h"

/* A fit is linear in its moments 10 to 21 and its matrix symmetric, so the slope along them is a fit, too: of
   the slope along the field, with nothing before it. */
static inline MOTE_HD void mote_fit_node_backward(const float *moments, const float *field_slope, float unit,
                                                  float ridge, float shrink, float *moment_slope) {
  float m[MOTE_MOMENTS], prior[MOTE_FIELD_STRIDE] = {0}, field[MOTE_FIELD_STRIDE];
  int any = 0;
  for (int k = 0; k < MOTE_AFFINE; k++) {
    any |= field_slope[k] != 0;
    moment_slope[k] = 0;
  }
  if (!any || !(moments[0] > 0)) return;
  for (int k = 0; k < 10; k++) m[k] = moments[k];
  for (int k = 0; k < 3; k++) m[10 + k] = field_slope[k];
  for (int k = 3; k < MOTE_AFFINE; k++) m[10 + k] = field_slope[k] / unit;
  mote_fit_node(m, prior, unit, ridge, shrink, field);
  for (int c = 0; c < 3; c++) {
    moment_slope[c] = field[c];
    for (int a = 0; a < 3; a++) moment_slope[3 + 3 * c + a] = field[4 * (a + 1) + c] * unit;
  }
}

/* field = prior + (W + R)^-1 (m - W prior) with R the ridge and shrink, so along the prior goes 1 - W (W +
   R)^-1 = R (W + R)^-1 of the slope: R times that along the moments, and nothing is lost in a difference. */
static inline MOTE_HD void mote_prior_backward(const float *moments, const float *moment_slope, float unit,
                                               float ridge, float shrink, const float *field_slope,
                                               float *prior_slope) {
  for (int k = 0; k < MOTE_AFFINE; k++)
    prior_slope[k] = moments[0] > 0 ? (k < 3 ? shrink : ridge * unit) * moment_slope[k] : field_slope[k];
}

/* The slope along coarse node `at`, from the fine nodes that were blended from it. */
static inline MOTE_HD void mote_blend_backward_node(const mote_lattice *fine, const mote_lattice *coarse,
                                                    const mote_node_range *inner,
                                                    const mote_node_range *outer, const int at[3],
                                                    const float *prior_slope, float *sum) {
  for (int k = 0; k < MOTE_AFFINE; k++) sum[k] = 0;
  for (int tap = 0; tap < (fine->dim == 3 ? 27 : 9); tap++) {
    int node[3] = {2 * at[0] + tap % 3 - 1, 2 * at[1] + tap / 3 % 3 - 1,
                   fine->dim == 3 ? 2 * at[2] + tap / 9 - 1 : 0};
    int base[3], inside = 1;
    float x[3], fraction[3], weight = 1, e[3];
    int64_t index = 0;
    for (int a = 0; a < 3; a++) {
      inside &= node[a] >= inner->first[a] && node[a] < inner->first[a] + inner->count[a];
      index = index * fine->nodes[a] + node[a];
    }
    mote_node_position(fine, node, x);
    if (!inside || !mote_locate(coarse, outer, x, base, fraction)) continue;
    for (int a = 0; a < 3; a++) {
      int bit = at[a] - base[a];
      weight *= bit == 0 ? 1 - fraction[a] : (bit == 1 ? fraction[a] : 0);
      e[a] = coarse->spacing * (fraction[a] - (float)bit);
    }
    const float *s = prior_slope + index * MOTE_AFFINE;
    for (int c = 0; c < 3; c++) {
      sum[c] += weight * s[c];
      for (int a = 0; a < 3; a++) sum[3 + 3 * c + a] += weight * (s[3 + 3 * c + a] + s[c] * e[a]);
    }
  }
}

/* What the coarse nodes around fine node `at` add to its slope: see mote_restrict_node. */
static inline MOTE_HD void mote_restrict_backward_node(const mote_lattice *fine, const mote_lattice *coarse,
                                                       const mote_node_range *outer, const int at[3],
                                                       const float *coarse_slope, float *slope) {
  for (int corner = 0; corner < (fine->dim == 3 ? 8 : 4); corner++) {
    int inside = 1;
    float share = 1, o[3];
    int64_t index = 0;
    for (int a = 0; a < 3; a++) {
      int bit = corner >> a & 1, odd = at[a] & 1, node = (at[a] - odd) / 2 + bit;
      /* An even node lies on one coarse node of the axis, an odd one between two. */
      inside &= bit <= odd && node >= outer->first[a] && node < outer->first[a] + outer->count[a];
      if (a < fine->dim) share *= odd ? 0.25f : 0.5f;
      o[a] = (float)(at[a] - 2 * node) * fine->spacing / fine->unit;
      index = index * coarse->nodes[a] + node;
    }
    if (!inside) continue;
    const float *s = coarse_slope + index * MOTE_AFFINE;
    for (int c = 0; c < 3; c++) {
      slope[c] += share * (s[c] + o[0] * s[3 + 3 * c] + o[1] * s[4 + 3 * c] + o[2] * s[5 + 3 * c]);
      for (int a = 0; a < 3; a++) slope[3 + 3 * c + a] += share * s[3 + 3 * c + a];
    }
  }
}

/* Adds to the sums of the global fit, as moments 10 to 21 whose fit is the slope along the true ones, what
   the field at node `at` has of it: its matrix is symmetric, too. */
static inline MOTE_HD void mote_global_backward_node(const mote_lattice *l, const mote_global_fit *fit,
                                                     const int at[3], const float *slope,
                                                     double m[MOTE_MOMENTS]) {
  float x[3];
  mote_node_position(l, at, x);
  for (int c = 0; c < 3; c++) {
    m[10 + c] += slope[c];
    for (int a = 0; a < 3; a++)
      m[13 + 3 * c + a] += (double)slope[3 + 3 * c + a] + (double)slope[c] * (x[a] - fit->center[a]);
  }
}

static inline MOTE_HD void mote_global_backward_particle(int dim, const mote_global_fit *fit,
                                                         const mote_global_fit *slope, const float *position,
                                                         float *increment_slope) {
  for (int c = 0; c < dim; c++) {
    increment_slope[c] += slope->value[c];
    for (int a = 0; a < dim; a++)
      increment_slope[c] += slope->gradient[3 * c + a] * (position[a] - fit->center[a]);
  }
}

/* The nodes an axis, of the active ones, that a particle at x reaches. */
static inline MOTE_HD void mote_nodes_around(const mote_lattice *l, const mote_node_range *active, int axis,
                                             float x, float radius, int *first, int *last) {
  *first = (int)ceilf((x - radius - l->origin[axis]) / l->spacing);
  *last = (int)floorf((x + radius - l->origin[axis]) / l->spacing);
  if (*first < active->first[axis]) *first = active->first[axis];
  if (*last > active->first[axis] + active->count[axis] - 1)
    *last = active->first[axis] + active->count[axis] - 1;
  if (axis >= l->dim) *first = *last = 0;
}

static inline MOTE_HD void mote_splat_backward_node(const mote_lattice *l, const int at[3], const float x[3],
                                                    float radius, const float *moment_slope, float sum[3]) {
  float d[3], node[3], d2 = 0;
  mote_node_position(l, at, node);
  for (int a = 0; a < 3; a++) {
    d[a] = a < l->dim ? x[a] - node[a] : 0;
    d2 += d[a] * d[a];
  }
  float w = 1 - d2 / (radius * radius);
  if (!(w > 0)) return;
  const float *s =
      moment_slope + (((int64_t)at[0] * l->nodes[1] + at[1]) * l->nodes[2] + at[2]) * MOTE_AFFINE;
  w *= w * w;
  for (int c = 0; c < l->dim; c++)
    sum[c] += w * (s[c] + (s[3 + 3 * c] * d[0] + s[4 + 3 * c] * d[1] + s[5 + 3 * c] * d[2]) / l->unit);
}

static inline MOTE_HD void mote_splat_backward_particle(const mote_lattice *l, const mote_node_range *active,
                                                        const float *position, float radius,
                                                        const float *moment_slope, float *increment_slope) {
  float x[3] = {0, 0, 0}, sum[3] = {0, 0, 0};
  int first[3], last[3], at[3];
  for (int a = 0; a < l->dim; a++) x[a] = position[a];
  for (int a = 0; a < 3; a++) mote_nodes_around(l, active, a, x[a], radius, &first[a], &last[a]);
  for (at[0] = first[0]; at[0] <= last[0]; at[0]++)
    for (at[1] = first[1]; at[1] <= last[1]; at[1]++)
      for (at[2] = first[2]; at[2] <= last[2]; at[2]++)
        mote_splat_backward_node(l, at, x, radius, moment_slope, sum);
  for (int a = 0; a < l->dim; a++) increment_slope[a] = sum[a];
}

static inline MOTE_HD void mote_pursue_backward_particle(int dim, const float *now, const float *tracer,
                                                         float gain, float limit,
                                                         const float *increment_slope, float *tracer_slope) {
  float length = 0;
  for (int a = 0; a < dim; a++) length += (now[a] - tracer[a]) * (now[a] - tracer[a]);
  float weight = gain / (1 + length / (limit * limit));
  for (int a = 0; a < dim; a++) tracer_slope[a] -= weight * increment_slope[a];
}

/* The entries of a device's table that stand in files of their own. */
#define MOTE_RECONSTRUCT_BACKWARD(device)                                                                    \
  mote_status mote_##device##_fit_nodes_backward(                                                            \
      mote_stream *stream, const mote_lattice *lattice, const mote_global_fit *fit, float radius, int level, \
      const float *moments, const float *field_slope, float ridge, float shrink, float *moment_slope,        \
      float *prior_slope);                                                                                   \
  mote_status mote_##device##_blend_backward(                                                                \
      mote_stream *stream, const mote_lattice *fine, const mote_lattice *coarse, const mote_global_fit *fit, \
      float radius, int level, const float *prior_slope, float *coarse_slope);                               \
  mote_status mote_##device##_restrict_backward(                                                             \
      mote_stream *stream, const mote_lattice *fine, const mote_lattice *coarse, const mote_global_fit *fit, \
      float radius, int level, const float *coarse_slope, float *fine_slope);                                \
  mote_status mote_##device##_global_backward(mote_stream *stream, const mote_lattice *coarsest,             \
                                              const mote_global_fit *fit, float radius, int level,           \
                                              int64_t n, const float *position, const float *prior_slope,    \
                                              mote_global_fit *slope, float *increment_slope);               \
  mote_status mote_##device##_splat_backward(                                                                \
      mote_stream *stream, const mote_lattice *lattice, const mote_global_fit *fit, float radius, int64_t n, \
      const float *position, const float *moment_slope, float *increment_slope);                             \
  mote_status mote_##device##_pursue_backward(mote_stream *stream, int dim, int64_t n, const float *now,     \
                                              const float *tracer, float gain, float limit,                  \
                                              const float *increment_slope, float *tracer_slope);

#ifdef __cplusplus
extern "C" {
#endif
MOTE_RECONSTRUCT_BACKWARD(cpu)
MOTE_RECONSTRUCT_BACKWARD(gpu)
#ifdef __cplusplus
}
#endif

#endif
