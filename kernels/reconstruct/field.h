/* Per-element math of the reduced-order operator, for both compilers: the active part of a lattice, the fit
   at a node, and the field between nodes. */
#ifndef MOTE_KERNELS_RECONSTRUCT_FIELD_H
#define MOTE_KERNELS_RECONSTRUCT_FIELD_H

#include <math.h>

#include "kernels/reconstruct/reconstruct.h"

/* How far from a particle a node of `level` still feels it: a restriction adds a fine spacing. */
static inline MOTE_HD float mote_level_reach(float radius, const mote_lattice *lattice, int level) {
  return radius + lattice->unit * (float)((1 << level) - 1);
}

/* The nodes that the frame's particles concern: [first, first + count) an axis. */
typedef struct mote_node_range {
  int first[3], count[3];
} mote_node_range;

static inline MOTE_HD mote_node_range mote_active_nodes(const mote_lattice *l, const mote_global_fit *fit,
                                                        float radius, int level) {
  mote_node_range range;
  float pad = mote_level_reach(radius, l, level) + l->spacing;
  for (int a = 0; a < 3; a++) {
    int lo = 0, hi = l->nodes[a] - 1;
    if (a < l->dim) {
      float first = floorf((fit->lower[a] - pad - l->origin[a]) / l->spacing);
      float last = ceilf((fit->upper[a] + pad - l->origin[a]) / l->spacing);
      if (first > (float)lo) lo = first < (float)hi ? (int)first : hi;
      if (last < (float)hi) hi = last > (float)lo ? (int)last : lo;
    }
    range.first[a] = lo;
    range.count[a] = hi - lo + 1;
  }
  return range;
}

/* Where the lattice's node `index` is; 0 when it is not in the range, or there is none. */
static inline MOTE_HD int mote_lattice_node_at(const mote_lattice *l, const mote_node_range *range,
                                               int64_t index, int at[3]) {
  if (index >= mote_lattice_size(l)) return 0;
  at[2] = (int)(index % l->nodes[2]);
  at[1] = (int)(index / l->nodes[2] % l->nodes[1]);
  at[0] = (int)(index / l->nodes[2] / l->nodes[1]);
  int active = 1;
  for (int a = 0; a < 3; a++) active &= at[a] >= range->first[a] && at[a] < range->first[a] + range->count[a];
  return active;
}

static inline MOTE_HD void mote_node_position(const mote_lattice *l, const int at[3], float x[3]) {
  for (int a = 0; a < 3; a++) x[a] = l->origin[a] + l->spacing * (float)at[a];
}

/* The global fit in the form of a node's field at x. */
static inline MOTE_HD void mote_global_field(const mote_global_fit *g, const float x[3],
                                             float field[MOTE_FIELD_STRIDE]) {
  for (int c = 0; c < 3; c++) {
    field[c] = g->value[c];
    for (int a = 0; a < 3; a++) {
      field[c] += g->gradient[3 * c + a] * (x[a] - g->center[a]);
      field[4 * (a + 1) + c] = g->gradient[3 * c + a];
    }
  }
  for (int k = 3; k < MOTE_FIELD_STRIDE; k += 4) field[k] = 0;
}

/* The cell around x: its first node and the fractions; returns 0 when x lies outside of the active nodes. */
static inline MOTE_HD int mote_locate(const mote_lattice *l, const mote_node_range *active, const float *x,
                                      int base[3], float fraction[3]) {
  int inside = 1;
  for (int a = 0; a < l->dim; a++) {
    float s = (x[a] - l->origin[a]) / l->spacing;
    float floor_s = floorf(s);
    /* Also refuses NaN. */
    int in = floor_s >= (float)active->first[a] && floor_s < (float)(active->first[a] + active->count[a] - 1);
    inside &= in;
    base[a] = in ? (int)floor_s : active->first[a];
    fraction[a] = s - floor_s;
  }
  if (l->dim == 2) {
    base[2] = 0;
    fraction[2] = 0;
  }
  return inside;
}

/* The field at x in the form of a node's: the nodes' affine maps, each moved to x, blended linearly. */
static inline MOTE_HD void mote_blend(const mote_lattice *l, const float *field, const int base[3],
                                      const float fraction[3], float out[MOTE_FIELD_STRIDE]) {
  for (int k = 0; k < MOTE_FIELD_STRIDE; k++) out[k] = 0;
  for (int corner = 0; corner < (l->dim == 3 ? 8 : 4); corner++) {
    float weight = 1, e[3];
    int64_t index = 0;
    for (int a = 0; a < 3; a++) {
      int bit = corner >> a & 1;
      weight *= bit ? fraction[a] : 1 - fraction[a];
      e[a] = l->spacing * (fraction[a] - (float)bit);
      index = index * l->nodes[a] + base[a] + bit;
    }
    const float *f = field + index * MOTE_FIELD_STRIDE;
    for (int c = 0; c < 3; c++)
      out[c] += weight * (f[c] + f[4 + c] * e[0] + f[8 + c] * e[1] + f[12 + c] * e[2]);
    out[3] += weight * f[3];
    for (int k = 4; k < MOTE_FIELD_STRIDE; k++) out[k] += weight * f[k];
  }
}

/* Inverse of a symmetric positive definite 3x3 matrix (xx xy xz yy yz zz). */
static inline MOTE_HD void mote_invert_symmetric(const double m[6], double inverse[6]) {
  double a = m[0], b = m[1], c = m[2], d = m[3], e = m[4], f = m[5];
  double p = d * f - e * e, q = c * e - b * f, r = b * e - c * d;
  double scale = 1 / (a * p + b * q + c * r);
  inverse[0] = p * scale;
  inverse[1] = q * scale;
  inverse[2] = r * scale;
  inverse[3] = (a * f - c * c) * scale;
  inverse[4] = (b * c - a * e) * scale;
  inverse[5] = (a * d - b * b) * scale;
}

/* field = prior + the ridge-regularised affine fit, by its normal equations, to what the prior leaves. */
static inline MOTE_HD void mote_fit_node(const float m[MOTE_MOMENTS], const float prior[MOTE_FIELD_STRIDE],
                                         float unit, float ridge, float shrink,
                                         float field[MOTE_FIELD_STRIDE]) {
  const int s[9] = {0, 1, 2, 1, 3, 4, 2, 4, 5}; /* (a, b) of a symmetric matrix */
  double w = m[0], total = w + shrink, k[6] = {0}, inverse[6];
  const float *d = m + 1, *dd = m + 4;
  for (int a = 0, at = 0; a < 3; a++)
    for (int b = a; b < 3; b++, at++)
      k[at] = (double)dd[at] - (double)d[a] * d[b] / total + (a == b ? ridge : 0);
  mote_invert_symmetric(k, inverse);
  for (int c = 0; c < 3; c++) {
    double gradient[3], rest[3], fit[3], zeroth = m[10 + c] - w * prior[c];
    for (int a = 0; a < 3; a++) gradient[a] = (double)prior[4 * (a + 1) + c] * unit;
    for (int a = 0; a < 3; a++) zeroth -= d[a] * gradient[a];
    for (int a = 0; a < 3; a++) {
      rest[a] = m[13 + 3 * c + a] - (double)d[a] * prior[c] - d[a] * zeroth / total;
      for (int b = 0; b < 3; b++) rest[a] -= dd[s[3 * a + b]] * gradient[b];
    }
    double value = zeroth;
    for (int a = 0; a < 3; a++) {
      fit[a] =
          inverse[s[3 * a]] * rest[0] + inverse[s[3 * a + 1]] * rest[1] + inverse[s[3 * a + 2]] * rest[2];
      value -= d[a] * fit[a];
    }
    field[c] = (float)(prior[c] + value / total);
    for (int a = 0; a < 3; a++) field[4 * (a + 1) + c] = (float)((gradient[a] + fit[a]) / unit);
  }
  field[3] = m[0] + prior[3];
  field[7] = field[11] = field[15] = 0;
}

/* Adds `share` of the moments `m` about a point that lies `o` (in units) from the node they are moved to. */
static inline MOTE_HD void mote_move_moments(const float m[MOTE_MOMENTS], float share, const float o[3],
                                             float to[MOTE_MOMENTS]) {
  to[0] += share * m[0];
  for (int a = 0; a < 3; a++) to[1 + a] += share * (m[1 + a] + m[0] * o[a]);
  for (int a = 0, at = 4; a < 3; a++)
    for (int b = a; b < 3; b++, at++)
      to[at] += share * (m[at] + m[1 + a] * o[b] + o[a] * m[1 + b] + m[0] * o[a] * o[b]);
  for (int c = 0; c < 3; c++) {
    to[10 + c] += share * m[10 + c];
    for (int a = 0; a < 3; a++) to[13 + 3 * c + a] += share * (m[13 + 3 * c + a] + m[10 + c] * o[a]);
  }
}

/* The moments of coarse node `at` from the fine nodes around it that are active. */
static inline MOTE_HD void mote_restrict_node(const mote_lattice *fine, const mote_node_range *source,
                                              const int at[3], const float *fine_moments, float *moments) {
  float sum[MOTE_MOMENT_STRIDE] = {0};
  int last = fine->dim == 3 ? 27 : 9;
  for (int tap = 0; tap < last; tap++) {
    int step[3] = {tap % 3 - 1, tap / 3 % 3 - 1, fine->dim == 3 ? tap / 9 - 1 : 0}, inside = 1;
    float share = 1, o[3];
    int64_t index = 0;
    for (int a = 0; a < 3; a++) {
      int node = 2 * at[a] + step[a];
      inside &= node >= source->first[a] && node < source->first[a] + source->count[a];
      if (a < fine->dim) share *= step[a] ? 0.25f : 0.5f;
      o[a] = (float)step[a] * fine->spacing / fine->unit;
      index = index * fine->nodes[a] + node;
    }
    if (!inside) continue;
    const float *m = fine_moments + index * MOTE_MOMENT_STRIDE;
    if (m[0] > 0) mote_move_moments(m, share, o, sum);
  }
  for (int k = 0; k < MOTE_MOMENT_STRIDE; k++) moments[k] = sum[k];
}

/* The fit of the node at x: coarser field (or the global fit) first, then what its own moments add. */
static inline MOTE_HD void mote_fit_at(const mote_lattice *coarse, const float *coarse_field,
                                       const mote_node_range *outer, const mote_global_fit *global,
                                       const float x[3], const float *moments, float unit, float ridge,
                                       float shrink, float *field) {
  float prior[MOTE_FIELD_STRIDE], fraction[3];
  int base[3];
  if (coarse_field && mote_locate(coarse, outer, x, base, fraction))
    mote_blend(coarse, coarse_field, base, fraction, prior);
  else
    mote_global_field(global, x, prior);
  if (moments[0] > 0) {
    mote_fit_node(moments, prior, unit, ridge, shrink, field);
    return;
  }
  for (int k = 0; k < MOTE_FIELD_STRIDE; k++) field[k] = prior[k];
}

/* The sums of the global fit, in float64: the same layout as a node's moments, w = 1, lengths in m. */
static inline MOTE_HD void mote_add_to_global(const double d[3], const double u[3], double m[MOTE_MOMENTS]) {
  m[0] += 1;
  for (int a = 0, at = 4; a < 3; a++) {
    m[1 + a] += d[a];
    for (int b = a; b < 3; b++, at++) m[at] += d[a] * d[b];
    m[10 + a] += u[a];
    for (int b = 0; b < 3; b++) m[13 + 3 * a + b] += u[a] * d[b];
  }
}

/* value, gradient of `fit` (whose center is set) from the sums about its center. The ridge matters only where
   the particles span no volume: a plane, a line, one point. */
static inline MOTE_HD void mote_solve_global(const double m[MOTE_MOMENTS], mote_global_fit *fit) {
  const int s[9] = {0, 1, 2, 1, 3, 4, 2, 4, 5};
  double k[6] = {0}, inverse[6], n = m[0] > 0 ? m[0] : 1;
  double ridge = 1e-10 * (m[4] + m[7] + m[9]) / 3 + 1e-30;
  for (int a = 0, at = 0; a < 3; a++)
    for (int b = a; b < 3; b++, at++) k[at] = m[4 + at] - m[1 + a] * m[1 + b] / n + (a == b ? ridge : 0);
  mote_invert_symmetric(k, inverse);
  for (int c = 0; c < 3; c++) {
    double rest[3], value = m[10 + c];
    for (int a = 0; a < 3; a++) rest[a] = m[13 + 3 * c + a] - m[1 + a] * m[10 + c] / n;
    for (int a = 0; a < 3; a++) {
      double g =
          inverse[s[3 * a]] * rest[0] + inverse[s[3 * a + 1]] * rest[1] + inverse[s[3 * a + 2]] * rest[2];
      fit->gradient[3 * c + a] = (float)g;
      value -= m[1 + a] * g;
    }
    fit->value[c] = (float)(value / n);
  }
}

static inline MOTE_HD uint32_t mote_bin_of(const mote_bins *bins, int dim, const float *x) {
  uint32_t index = 0;
  for (int a = 0; a < 3; a++) {
    float s = a < dim ? floorf((x[a] - bins->origin[a]) / bins->size) : 0;
    /* Clamped as a float: what lies outside, NaN included, goes to a bin at the rim. */
    int b = s >= 0 ? (s < (float)bins->count[a] ? (int)s : bins->count[a] - 1) : 0;
    index = index * (uint32_t)bins->count[a] + (uint32_t)b;
  }
  return index;
}

/* The bins an axis that can hold particles within the bin size of x. */
static inline MOTE_HD void mote_bins_around(const mote_bins *bins, int axis, float x, int *lo, int *hi) {
  int b = (int)floorf((x - bins->origin[axis]) / bins->size), last = bins->count[axis] - 1;
  *lo = b - 1 < 0 ? 0 : b - 1 > last ? last : b - 1;
  *hi = b + 1 < 0 ? 0 : b + 1 > last ? last : b + 1;
}

/* One sparse particle's goal: see pursue in reconstruct.h. */
static inline MOTE_HD void mote_pursue_particle(int dim, const float *next, const float *now,
                                                const float *tracer, float gain, float limit,
                                                float *increment) {
  float drift[3], length = 0;
  for (int a = 0; a < dim; a++) {
    drift[a] = now[a] - tracer[a];
    length += drift[a] * drift[a];
  }
  gain /= 1 + length / (limit * limit);
  for (int a = 0; a < dim; a++) increment[a] = next[a] - now[a] + gain * drift[a];
}

/* One point's step: see advance in reconstruct.h. */
static inline MOTE_HD void mote_advance_point(int dim, const mote_flight *flight, const float *base,
                                              const float *increment, const float *reach, float *last,
                                              float *position) {
  float flying = 0;
  if (reach && *reach < flight->reach) flying = 1 - *reach / flight->reach;
  for (int a = 0; a < dim; a++) {
    float step = increment[a] + flying * (last[a] + flight->gravity[a] - increment[a]);
    float x = base[a] + step;
    if (x < flight->lower[a]) x = flight->lower[a];
    if (x > flight->upper[a]) x = flight->upper[a];
    last[a] = x - position[a];
    position[a] = x;
  }
}

#endif
