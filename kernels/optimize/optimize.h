/* Optimisers on flat arrays of parameters (float32, `n` of them): the decoupled weight decay of AdamW
   (Loshchilov and Hutter 2019) and Adamax (Kingma and Ba 2015), running means of weights, the loss, and the
   way between the flat order, in which files and optimisers have the weights, and the packed order of
   kernels.

   The trick: packing is a gather by a map that is made once, so the same kernel packs weights, packs their
   transposes and, with the map's inverse, brings gradients back. */
#ifndef MOTE_KERNELS_OPTIMIZE_H
#define MOTE_KERNELS_OPTIMIZE_H

#include <math.h>

#include "kernels/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_SUM_CHUNK 4096 /* values that are summed together, always the same ones */

/* One step; `step` counts from 1. AdamW: m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2,
   w -= rate (m' / (sqrt(v') + epsilon) + decay w), m' = m / (1 - b1^step), v' = v / (1 - b2^step). Adamax: v
   = max(b2 v, |g|), w -= rate (m' / (v + epsilon) + decay w). */
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

  /* *loss (float64, device memory) = weight * mean of (a - target)^2 over the axes of the particles that are
     not kinematic (type 3), 0 where there are none; d_a (n, dim) or NULL: its gradient. Sums as in
     sum_squares, by chunks of MOTE_SUM_CHUNK particles. */
  mote_status (*square_loss)(mote_stream *stream, int64_t n, int dim, const int32_t *type, const float *a,
                             const float *target, float weight, double *loss, float *d_a,
                             mote_buffer *scratch);
};

#ifdef __cplusplus
}
#endif
#endif
