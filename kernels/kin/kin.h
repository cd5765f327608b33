/* Kin: what a dense point's neighbours of the first frame tell about it for ever after.

   The trick: a tracer starts on each sparse particle and is moved by the same fitted field as the points, so
   what drives it away from its particle (its drift) is known, and most likely drives the points that started
   beside it, too. A point is pulled after its kin's drift, little by little, and shown with all of it. That
   holds better than looking at whoever is near now: splashes and bodies in contact mix, but a point's past
   stays its own. In control theory's terms it is a Luenberger observer (1964) whose gain is `gain`. */
#ifndef MOTE_KERNELS_KIN_H
#define MOTE_KERNELS_KIN_H

#include <math.h>

#include "kernels/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_KIN 6

/* Where points may be, m. */
typedef struct mote_kin_bounds {
  float lower[3], upper[3];
} mote_kin_bounds;

/* n points, m sparse particles; kin of point p: index[k * n + p] and weight[k * n + p], k < MOTE_KIN. */
struct mote_kin_kernels {
  /* From the nearest ones (n, MOTE_KIN; -1: there is none) at the first frame: index and weight. The weights
     of a point are those of inverse squared distance, corrected by a ridge regression so that they reproduce
     linear functions as far as they can; their sum is 1. `spacing` m, of the sparse particles. */
  mote_status (*weigh)(mote_stream *stream, int dim, int64_t n, const int32_t *nearest, const float *point,
                       const float *sparse, float spacing, int32_t *index, float *weight);

  /* drift = next - tracer; tracer += gain * drift. All (m, dim). */
  mote_status (*follow)(mote_stream *stream, int dim, int64_t m, const float *next, float gain, float *tracer,
                        float *drift);

  /* shown = position + s, position += gain * s, both kept inside the bounds, s = sum of weight * drift. */
  mote_status (*recall)(mote_stream *stream, int dim, int64_t n, const int32_t *index, const float *weight,
                        const float *drift, float gain, const mote_kin_bounds *bounds, float *position,
                        float *shown);

  /* ---- backward: position and tracer as after the frame, bounds left aside ---- */

  /* part = scale * error + gain * gradient (n, dim): the loss's slope along s. `error` is the slope along
     `shown` before it is scaled; `gradient` that along `position`. */
  mote_status (*recall_backward)(mote_stream *stream, int64_t values, const float *error, float scale,
                                 float gain, const float *gradient, float *part);

  /* gradient (m, dim), along the tracers, becomes that before `follow`: the points whose kin a tracer is are
     entries entry[start[i]] .. entry[start[i + 1] - 1] of index and weight. */
  mote_status (*follow_backward)(mote_stream *stream, int dim, int64_t n, int64_t m, const int32_t *start,
                                 const int32_t *entry, const float *weight, const float *part, float gain,
                                 float *gradient);
};

/* ---- Per-element math ---- */

/* x, y, z of row i; z is 0 in 2-D. */
static inline MOTE_HD void mote_kin_row(const float *rows, int dim, int64_t i, float x[3]) {
  x[2] = 0;
  for (int a = 0; a < dim; a++) x[a] = rows[i * dim + a];
}

/* q = c^-1 m for a symmetric, positive definite c (xx xy xz yy yz zz). */
static inline MOTE_HD void mote_kin_solve(const float c[6], const float m[3], float q[3]) {
  float xx = c[3] * c[5] - c[4] * c[4], xy = c[2] * c[4] - c[1] * c[5], xz = c[1] * c[4] - c[2] * c[3];
  float yy = c[0] * c[5] - c[2] * c[2], yz = c[1] * c[2] - c[0] * c[4], zz = c[0] * c[3] - c[1] * c[1];
  float inverse = 1 / (c[0] * xx + c[1] * xy + c[2] * xz);
  q[0] = (xx * m[0] + xy * m[1] + xz * m[2]) * inverse;
  q[1] = (xy * m[0] + yy * m[1] + yz * m[2]) * inverse;
  q[2] = (xz * m[0] + yz * m[1] + zz * m[2]) * inverse;
}

#define MOTE_KIN_RIDGE 0.1f

/* d: offsets of `count` kin in spacings. */
static inline MOTE_HD void mote_kin_weights(int count, const float (*d)[3], float *weight) {
  float sum = 0, m[3] = {0, 0, 0}, q[3];
  float c[6] = {MOTE_KIN_RIDGE, 0, 0, MOTE_KIN_RIDGE, 0, MOTE_KIN_RIDGE};
  for (int k = 0; k < count; k++) {
    float distance = sqrtf(d[k][0] * d[k][0] + d[k][1] * d[k][1] + d[k][2] * d[k][2]) + 0.02f;
    weight[k] = 1 / (distance * distance);
    sum += weight[k];
  }
  for (int k = 0; k < count; k++) weight[k] /= sum;
  for (int k = 0; k < count; k++)
    for (int a = 0; a < 3; a++) m[a] += weight[k] * d[k][a];
  for (int k = 0; k < count; k++)
    for (int a = 0, at = 0; a < 3; a++)
      for (int b = a; b < 3; b++, at++) c[at] += weight[k] * (d[k][a] - m[a]) * (d[k][b] - m[b]);
  mote_kin_solve(c, m, q);
  for (int k = 0; k < count; k++)
    weight[k] *= 1 - ((d[k][0] - m[0]) * q[0] + (d[k][1] - m[1]) * q[1] + (d[k][2] - m[2]) * q[2]);
}

static inline MOTE_HD void mote_kin_weigh_point(int dim, int64_t n, int64_t p, const int32_t *nearest,
                                                const float *point, const float *sparse, float spacing,
                                                int32_t *index, float *weight) {
  float x[3], y[3], d[MOTE_KIN][3], w[MOTE_KIN];
  int count = 0;
  mote_kin_row(point, dim, p, x);
  while (count < MOTE_KIN && nearest[p * MOTE_KIN + count] >= 0) {
    mote_kin_row(sparse, dim, nearest[p * MOTE_KIN + count], y);
    for (int a = 0; a < 3; a++) d[count][a] = (y[a] - x[a]) / spacing;
    count++;
  }
  mote_kin_weights(count, (const float(*)[3])d, w);
  for (int k = 0; k < MOTE_KIN; k++) {
    index[k * n + p] = k < count ? nearest[p * MOTE_KIN + k] : 0;
    weight[k * n + p] = k < count ? w[k] : 0;
  }
}

/* Comparisons, not fminf and fmaxf, which are calls; NaN becomes the lower bound as with those. */
static inline MOTE_HD float mote_kin_inside(const mote_kin_bounds *bounds, int axis, float x) {
  x = x > bounds->lower[axis] ? x : bounds->lower[axis];
  return x < bounds->upper[axis] ? x : bounds->upper[axis];
}

static inline MOTE_HD void mote_recall_point(int dim, int64_t n, int64_t p, const int32_t *index,
                                             const float *weight, const float *drift, float gain,
                                             const mote_kin_bounds *bounds, float *position, float *shown) {
  float s[3] = {0, 0, 0};
  for (int k = 0; k < MOTE_KIN; k++) {
    const float *d = drift + (int64_t)index[k * n + p] * dim;
    for (int a = 0; a < dim; a++) s[a] += weight[k * n + p] * d[a];
  }
  for (int a = 0; a < dim; a++) {
    float x = position[p * dim + a], now = x + gain * s[a], all = x + s[a];
    position[p * dim + a] = mote_kin_inside(bounds, a, now);
    shown[p * dim + a] = mote_kin_inside(bounds, a, all);
  }
}

static inline MOTE_HD void mote_follow_backward_particle(int dim, int64_t n, int64_t i, const int32_t *start,
                                                         const int32_t *entry, const float *weight,
                                                         const float *part, float gain, float *gradient) {
  float d[3] = {0, 0, 0};
  for (int32_t e = start[i]; e < start[i + 1]; e++)
    for (int a = 0; a < dim; a++) d[a] += weight[entry[e]] * part[entry[e] % n * dim + a];
  for (int a = 0; a < dim; a++) gradient[i * dim + a] -= d[a] + gain * gradient[i * dim + a];
}

#ifdef __cplusplus
}
#endif
#endif
