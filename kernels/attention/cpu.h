/* What the CPU's forward and backward of attention share: the softmax of a head's channels, and the kernels
   that stand in other files. */
#ifndef MOTE_KERNELS_ATTENTION_CPU_H
#define MOTE_KERNELS_ATTENTION_CPU_H

#include "kernels/attention/attention.h"
#include "kernels/dense/vector.h"

/* Floats that a head's channels take in whole vectors. */
static inline int mote_head_span(int width) {
  return (width + MOTE_LANES - 1) / MOTE_LANES * MOTE_LANES;
}

/* to = softmax(from) over `width` channels, and zeros behind them up to whole vectors. */
static inline void mote_head_softmax(int width, const float *from, float *to) {
  const int span = mote_head_span(width);
  float lane[MOTE_LANES], most;
  for (int c = 0; c < width; c++) to[c] = from[c];
  for (int c = width; c < span; c++) to[c] = -INFINITY;
  mote_v high = mote_v_load(to), sum = mote_v_set(0);
  for (int c = MOTE_LANES; c < span; c += MOTE_LANES) high = mote_v_max(mote_v_load(to + c), high);
  mote_v_store(lane, high);
  most = lane[0];
  for (int i = 1; i < MOTE_LANES; i++) most = lane[i] > most ? lane[i] : most;
  for (int c = 0; c < span; c += MOTE_LANES) {
    mote_v x = mote_v_exp(mote_v_load(to + c) - most);
    mote_v_store(to + c, x);
    sum += x;
  }
  const float scale = 1 / mote_v_sum(sum);
  for (int c = 0; c < span; c += MOTE_LANES) mote_v_store(to + c, mote_v_load(to + c) * scale);
}

mote_status mote_summarize_backward_cpu(mote_stream *stream, int64_t n, const int32_t *count,
                                        mote_heads heads, mote_rows key, mote_rows value, const float *weight,
                                        const float *d_context, mote_sink d_key, mote_sink d_value);
mote_status mote_attend_backward_cpu(mote_stream *stream, int64_t n, const int32_t *count, mote_heads heads,
                                     mote_rows query, const float *context, mote_rows d_out,
                                     mote_sink d_query, float *d_context, mote_buffer *scratch);

#endif
