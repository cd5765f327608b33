/* Integral transforms on the CPU: a receiver at a time, vectors along its channels. */
#include "kernels/integral/integral.h"

#include <string.h>

static mote_status compact(mote_stream *stream, int64_t points, const int32_t *row_offsets, int32_t *row_of,
                           int32_t *point_of, float *weight, int32_t *count, mote_buffer *scratch) {
  (void)stream;
  (void)scratch;
  int32_t rows = 1;
  for (int64_t q = 0; q < points; q++) {
    row_of[q] = row_offsets[q + 1] > row_offsets[q] ? rows : 0;
    if (!row_of[q]) continue;
    point_of[rows] = (int32_t)q;
    weight[rows++] = 1;
  }
  point_of[0] = -1;
  weight[0] = (float)(points + 1 - rows);
  *count = rows;
  return MOTE_OK;
}

static void average_row(int64_t q, const mote_edges *edges, mote_rows value, const int32_t *value_row,
                        mote_rows factor, float *restrict out) {
  memset(out, 0, (size_t)value.width * sizeof(float));
  if (q < 0) return;
  int32_t first = edges->row_offsets[q], end = edges->row_offsets[q + 1];
  for (int32_t e = first; e < end; e++) {
    int64_t s = edges->senders[e];
    const float *x = value.data + (value_row ? value_row[s] : s) * value.stride;
    const float *f = factor.data ? factor.data + s * factor.stride : NULL;
    if (f)
      for (int c = 0; c < value.width; c++) out[c] += x[c] * f[c];
    else
      for (int c = 0; c < value.width; c++) out[c] += x[c];
  }
  for (int c = 0; c < value.width && end > first; c++) out[c] /= (float)(end - first);
}

static mote_status average(mote_stream *stream, int64_t n, const int32_t *count, const int32_t *receiver_of,
                           const mote_edges *edges, mote_rows value, const int32_t *value_row,
                           mote_rows factor, float *out, int out_stride) {
  if (count && *count < n) n = *count;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(dynamic, 64) if (n > 64)
  for (int64_t r = 0; r < n; r++)
    average_row(receiver_of ? receiver_of[r] : r, edges, value, value_row, factor, out + r * out_stride);
  return MOTE_OK;
}

static mote_status pick(mote_stream *stream, int64_t n, const int32_t *count, const int32_t *row_of,
                        mote_rows value, float *out, int out_stride) {
  if (count && *count < n) n = *count;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > 1024)
  for (int64_t r = 0; r < n; r++) {
    size_t bytes = (size_t)value.width * sizeof(float);
    if (row_of[r] < 0)
      memset(out + r * out_stride, 0, bytes);
    else
      memcpy(out + r * out_stride, value.data + (int64_t)row_of[r] * value.stride, bytes);
  }
  return MOTE_OK;
}

const struct mote_integral_kernels mote_integral_cpu = {.compact = compact, .average = average, .pick = pick};
