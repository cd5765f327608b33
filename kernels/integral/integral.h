/* Integral transforms between particles and latent points (graph neural operators, Li et al. 2020): means
   over neighbourhoods of what a kernel network made of the senders, and the list of latent points that matter
   reaches. Kernels that depend on one point are evaluated once a point (kernels/dense) and averaged here;
   kernels on pairs are kernels/message with the pair as the edge state.

   The trick: latent points that no particle reaches all have the same row (that of an empty neighbourhood),
   so they are one row that counts as many. Row 0 of the compact list stands for them. */
#ifndef MOTE_KERNELS_INTEGRAL_H
#define MOTE_KERNELS_INTEGRAL_H

#include "kernels/message/message.h"

#ifdef __cplusplus
extern "C" {
#endif

struct mote_integral_kernels {
  /* From the row offsets of a search with `points` latent points as receivers: row_of[q] = row of point q, 0
     for an empty one; point_of[row] = q, -1 for row 0; weight[row] = how many points the row stands for;
     *count = rows. point_of and weight have room for points + 1. In the order of the points. */
  mote_status (*compact)(mote_stream *stream, int64_t points, const int32_t *row_offsets, int32_t *row_of,
                         int32_t *point_of, float *weight, int32_t *count, mote_buffer *scratch);

  /* out[r] = mean over the senders s of receiver q of value[value_row[s]] * factor[s], zero where there is
     none; q = receiver_of[r], zero for -1. receiver_of NULL: q = r; value_row NULL: s; factor.data NULL: 1.
     n and count as in kernels/dense; sums in the order of the senders. */
  mote_status (*average)(mote_stream *stream, int64_t n, const int32_t *count, const int32_t *receiver_of,
                         const mote_edges *edges, mote_rows value, const int32_t *value_row, mote_rows factor,
                         float *out, int out_stride);

  /* out[r] = value[row_of[r]], zero where that is -1. n and count as in kernels/dense. */
  mote_status (*pick)(mote_stream *stream, int64_t n, const int32_t *count, const int32_t *row_of,
                      mote_rows value, float *out, int out_stride);

  /* The reverse of average: adds to d_value (rows of value) and d_factor (senders). d_out has the rows of
     average's out; row_of[q] is the row of receiver q (NULL: q). Receivers whose row is at or behind `count`
     have none, nor, where row_of is given, those of row 0. sender_of[row] is the one sender whose value_row
     is that row, -1: none reads it (NULL: the row itself); `rows` rows of value at most, those below
     *row_count if that is not NULL. Sums in the order of a sender's edges. The reverse of pick needs no
     kernel: it is a pick with the inverse map. */
  mote_status (*average_backward)(mote_stream *stream, const mote_edges *edges, const mote_sent *sent,
                                  const int32_t *row_of, const int32_t *count, int64_t rows,
                                  const int32_t *row_count, mote_rows value, const int32_t *value_row,
                                  const int32_t *sender_of, mote_rows factor, mote_rows d_out,
                                  mote_sink d_value, mote_sink d_factor);
};

/* ---- Per-element math ---- */

/* Channel c of a row of `average`. */
static inline MOTE_HD float mote_average_channel(int64_t q, int c, const int32_t *row_offsets,
                                                 const int32_t *senders, const mote_rows *value,
                                                 const int32_t *value_row, const mote_rows *factor) {
  float sum = 0;
  if (q < 0) return 0;
  int32_t first = row_offsets[q], end = row_offsets[q + 1];
  for (int32_t e = first; e < end; e++) {
    int64_t s = senders[e], row = value_row ? value_row[s] : s;
    float x = value->data[row * value->stride + c];
    sum += factor->data ? x * factor->data[s * factor->stride + c] : x;
  }
  return end > first ? sum / (float)(end - first) : 0;
}

/* The row of average's out that holds receiver q, -1: none; *scale = 1 / its number of edges. */
static inline MOTE_HD int64_t mote_average_row(int64_t q, const int32_t *row_offsets, const int32_t *row_of,
                                               const int32_t *count, float *scale) {
  int64_t row = row_of ? row_of[q] : q;
  if ((row_of && row <= 0) || (count && row >= *count)) return -1;
  *scale = 1 / (float)(row_offsets[q + 1] - row_offsets[q]);
  return row;
}

/* What sender s gets from the means it is part of, before its value or its factor: channel c of the sum over
   its edges of d_out / number of edges of their receiver. */
static inline MOTE_HD float mote_sent_channel(int64_t s, int c, const mote_sent *sent,
                                              const mote_edges *edges, const int32_t *row_of,
                                              const int32_t *count, const mote_rows *d_out) {
  float sum = 0;
  for (int32_t i = sent->row_offsets[s]; i < sent->row_offsets[s + 1]; i++) {
    float scale;
    int64_t row = mote_average_row(edges->receiver[sent->edge[i]], edges->row_offsets, row_of, count, &scale);
    if (row >= 0) sum += scale * d_out->data[row * d_out->stride + c];
  }
  return sum;
}

#ifdef __cplusplus
}
#endif
#endif
