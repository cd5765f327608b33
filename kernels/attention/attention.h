/* Linear attention (Katharopoulos et al. 2020; as in GNOT, Hao et al. 2023), a head at a time: queries and
   keys are softmaxed over the head's channels, then

     context = sum over n of k_n^T v_n,   s = sum over n of k_n,   out = q + (q context) / (q . s)

   so its cost is linear in the number of rows. The trick: rows that are equal are given once, with the number
   of them as weight; on a latent grid most rows are those of points that no particle reaches. */
#ifndef MOTE_KERNELS_ATTENTION_H
#define MOTE_KERNELS_ATTENTION_H

#include "kernels/dense/dense.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_HEAD_WIDEST 128
#define MOTE_ATTENTION_CHUNK 64 /* rows that are summed together, always the same ones */

/* Channels of a head. A row holds all heads, one behind the other. */
typedef struct mote_heads {
  int count, width;
} mote_heads;

/* Of a context: (heads, width, width), then s (heads, width). */
static inline MOTE_HD int mote_context_floats(mote_heads h) {
  return h.count * h.width * (h.width + 1);
}

/* n and count as in kernels/dense. */
struct mote_attention_kernels {
  /* `weight` (n), or NULL: 1. Sums run over chunks of rows in their order, then over chunks in theirs. */
  mote_status (*summarize)(mote_stream *stream, int64_t n, const int32_t *count, mote_heads heads,
                           mote_rows key, mote_rows value, const float *weight, float *context,
                           mote_buffer *scratch);

  mote_status (*attend)(mote_stream *stream, int64_t n, const int32_t *count, mote_heads heads,
                        mote_rows query, const float *context, float *out, int out_stride);

  /* The reverse of summarize: d_context as context; adds to the sinks of key and value. */
  mote_status (*summarize_backward)(mote_stream *stream, int64_t n, const int32_t *count, mote_heads heads,
                                    mote_rows key, mote_rows value, const float *weight,
                                    const float *d_context, mote_sink d_key, mote_sink d_value);

  /* The reverse of attend: adds to d_query, and to d_context (sums as in summarize). */
  mote_status (*attend_backward)(mote_stream *stream, int64_t n, const int32_t *count, mote_heads heads,
                                 mote_rows query, const float *context, mote_rows d_out, mote_sink d_query,
                                 float *d_context, mote_buffer *scratch);
};

#ifdef __cplusplus
}
#endif
#endif
