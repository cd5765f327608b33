/* Optimisers on flat arrays of parameters (float32, `n` of them): the decoupled weight decay of AdamW
   (Loshchilov and Hutter 2019) and Adamax (Kingma and Ba 2015), running means of weights, the loss, and the
   way between the flat order, in which files and optimisers have the weights, and the packed order of
   kernels.

   The trick: packing is a gather by a map that is made once, so the same kernel packs weights, packs their
   transposes and, with the map's inverse, brings gradients back. */
#ifndef MOTE_KERNELS_OPTIMIZE_H
#define MOTE_KERNELS_OPTIMIZE_H

#include <math.h>

#include <mote/particles.h>

#include "kernels/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_SUM_CHUNK 4096 /* values that are summed together, always the same ones */

/* One step; `step` counts from 1. m' = m / (1 - b1^step), v' = v / (1 - b2^step).

     AdamW:   m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, w -= rate (m' / (sqrt(v') + epsilon) + decay w)
     Adamax:  g += decay w, m as above, v = max(b2 v, |g| + epsilon), w -= rate m' / v

   Both are PyTorch's, whose Adamax has its decay in the gradient and its epsilon in the maximum. AdamW's two
   terms are added before they are subtracted: 1 - rate decay, as a float32, would lose a small decay's
   digits. The struct is read when the kernel is called: a step that is recorded for replay cannot hold it. */
typedef struct mote_optimizer {
  int adamax; /* else AdamW */
  float rate, beta1, beta2, epsilon, decay;
  int64_t step;
} mote_optimizer;

struct mote_optimize_kernels {
  /* out[k] = scale[k] * in[index[k]], 0 where index[k] is -1; scale NULL: 1. */
  mote_status (*pack)(mote_stream *stream, int64_t n, const int32_t *index, const float *scale,
                      const float *in, float *out);

  /* a[k] = beta * a[k] + alpha * b[k]; beta 0: a is not read. */
  mote_status (*combine)(mote_stream *stream, int64_t n, float alpha, const float *b, float beta, float *a);

  /* sum[c] += sum over r < n of x[r * stride + c], c < width: by chunks of MOTE_SUM_CHUNK rows, then over the
     chunks in order. */
  mote_status (*sum_rows)(mote_stream *stream, int64_t n, int width, const float *x, int stride, float *sum,
                          mote_buffer *scratch);

  /* *sum (device memory) = sum of squares in float64: by chunks of MOTE_SUM_CHUNK values, then over the
     chunks in order. */
  mote_status (*sum_squares)(mote_stream *stream, int64_t n, const float *x, double *sum,
                             mote_buffer *scratch);

  /* x *= limit / norm where norm = sqrt(*squares) is above the limit. */
  mote_status (*clip)(mote_stream *stream, int64_t n, const double *squares, float limit, float *x);

  /* `decays` (n): 1 where the decay applies (weights, not biases and norms); NULL: everywhere. */
  mote_status (*update)(mote_stream *stream, int64_t n, const mote_optimizer *optimizer,
                        const float *gradient, const unsigned char *decays, float *first, float *second,
                        float *parameter);

  /* *loss (float64, device memory) = weight * mean of mote_bent(q_i) over the particles that are not
     kinematic (type 3; NULL: none is), 0 where there are none; q_i: the mean over its axes of
     (a - target)^2, huber 0: the loss itself. d_a (n, dim) or NULL: its gradient, in place of what was there;
     it may be a. Sums as in sum_squares, by chunks of MOTE_SUM_CHUNK particles. */
  mote_status (*loss)(mote_stream *stream, int64_t n, int dim, const int32_t *type, const float *a,
                      const float *target, float huber, float weight, double *loss, float *d_a,
                      mote_buffer *scratch);
};

/* ---- Per-element math ---- */

/* The numbers of a step, from float64. */
typedef struct mote_update_step {
  float keep_first, take_first, keep_second, take_second; /* b1, 1 - b1, b2, 1 - b2 */
  float rate;                                             /* rate / (1 - b1^step) */
  float root;                                             /* 1 / sqrt(1 - b2^step) */
  float epsilon;
  float decay; /* AdamW: rate decay; Adamax: decay */
} mote_update_step;

static inline mote_update_step mote_update_prepare(const mote_optimizer *o) {
  const double b1 = o->beta1, b2 = o->beta2, step = (double)o->step;
  mote_update_step s;
  s.keep_first = o->beta1;
  s.take_first = (float)(1 - b1);
  s.keep_second = o->beta2;
  s.take_second = (float)(1 - b2);
  s.rate = (float)(o->rate / (1 - pow(b1, step)));
  s.root = (float)(1 / sqrt(1 - pow(b2, step)));
  s.epsilon = o->epsilon;
  s.decay = o->adamax ? o->decay : (float)((double)o->rate * o->decay);
  return s;
}

/* decay: that of the step, or 0. */
static inline MOTE_HD void mote_update_adamw(const mote_update_step *s, float decay, float g, float *first,
                                             float *second, float *w) {
  float m = s->keep_first * *first + s->take_first * g;
  float v = s->keep_second * *second + s->take_second * g * g;
  *first = m;
  *second = v;
  *w -= s->rate * m / (sqrtf(v) * s->root + s->epsilon) + decay * *w;
}

static inline MOTE_HD void mote_update_adamax(const mote_update_step *s, float decay, float g, float *first,
                                              float *second, float *w) {
  g += decay * *w;
  float m = s->keep_first * *first + s->take_first * g;
  float old = s->keep_second * *second, size = fabsf(g) + s->epsilon;
  float v = old > size ? old : size;
  *first = m;
  *second = v;
  *w -= s->rate * m / v;
}

/* What clip multiplies with. */
static inline MOTE_HD float mote_clip_scale(double squares, float limit) {
  double norm = sqrt(squares);
  return norm > limit ? (float)(limit / norm) : 1;
}

/* Whether a particle counts in the loss. */
static inline MOTE_HD int mote_is_free(const int32_t *type, int64_t i) {
  return !type || type[i] != MOTE_TYPE_KINEMATIC;
}

/* The pseudo-Huber loss of a particle whose square is q (Charbonnier et al. 1997): q where it is small
   against huber^2, 2 huber sqrt(q) where it is large, so that those few that went far astray do not outweigh
   all others. The form 2 q / (1 + s) of 2 huber^2 (s - 1), s = sqrt(1 + q / huber^2), loses no digits. */
static inline MOTE_HD double mote_bend(double q, float huber) { /* s */
  return huber > 0 ? sqrt(1 + q / ((double)huber * (double)huber)) : 1;
}
static inline MOTE_HD double mote_bent(double q, float huber) {
  return 2 * q / (1 + mote_bend(q, huber));
}

/* A particle's sum of squares. */
static inline MOTE_HD double mote_particle_squares(int64_t i, int dim, const float *a, const float *target) {
  double sum = 0;
  for (int64_t k = i * dim; k < (i + 1) * dim; k++) {
    double d = (double)a[k] - (double)target[k];
    sum += d * d;
  }
  return sum;
}

/* Its part of the gradient; slope: mote_square_slope(). */
static inline MOTE_HD void mote_particle_slope(int64_t i, int dim, const float *a, const float *target,
                                               float huber, float slope, float *d_a) {
  if (huber > 0) slope /= (float)mote_bend(mote_particle_squares(i, dim, a, target) / dim, huber);
  for (int64_t k = i * dim; k < (i + 1) * dim; k++) d_a[k] = slope * (a[k] - target[k]);
}

/* From the sums of a loss to the loss, and to the factor of a - target in its gradient. */
static inline MOTE_HD double mote_square_loss(double sum, int64_t particles, int dim, float weight) {
  return particles ? weight * sum / (double)(particles * dim) : 0;
}
static inline MOTE_HD float mote_square_slope(int64_t particles, int dim, float weight) {
  return particles ? (float)(2.0 * weight / (double)(particles * dim)) : 0;
}

#ifdef __cplusplus
}
#endif
#endif
