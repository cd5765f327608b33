/* Integral transforms on the CPU: a receiver at a time, vectors along its channels. */
#include "kernels/integral/integral.h"

#include <string.h>

#include "kernels/dense/vector.h"

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
  n = mote_row_count(n, count);
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(dynamic, 64) if (n > 64)
  for (int64_t r = 0; r < n; r++)
    average_row(receiver_of ? receiver_of[r] : r, edges, value, value_row, factor, out + r * out_stride);
  return MOTE_OK;
}

static mote_status pick(mote_stream *stream, int64_t n, const int32_t *count, const int32_t *row_of,
                        mote_rows value, float *out, int out_stride) {
  n = mote_row_count(n, count);
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

/* ---- The reverse of average: a sender at a time, whose sum goes to its row and to its factor ---- */

typedef struct average_job {
  const mote_edges *edges;
  const mote_sent *sent;
  const int32_t *row_of, *count;
  mote_rows value, factor, d_out;
  mote_sink d_value, d_factor;
} average_job;

/* `vectors` of them from channel c: what sender s gets, sum = sum over its edges of d_out / degree, in
   registers. */
MOTE_VECTOR void sent_channels(const average_job *j, int64_t s, int vectors, int c, const float *factor,
                               const float *value, float *d_value, float *d_factor) {
  mote_v sum[8];
  for (int v = 0; v < vectors; v++) sum[v] = mote_v_set(0);
  for (int32_t i = j->sent->row_offsets[s]; i < j->sent->row_offsets[s + 1]; i++) {
    float scale;
    int64_t row = mote_average_row(j->edges->receiver[j->sent->edge[i]], j->edges->row_offsets, j->row_of,
                                   j->count, &scale);
    if (row < 0) continue;
    const float *x = j->d_out.data + row * j->d_out.stride + c;
    for (int v = 0; v < vectors; v++) sum[v] += scale * mote_v_load(x + v * MOTE_LANES);
  }
  for (int v = 0; v < vectors; v++) {
    int at = c + v * MOTE_LANES;
    if (d_value) {
      mote_v own = sum[v];
      if (factor) own *= mote_v_load(factor + at);
      mote_v_store(d_value + at, mote_v_load(d_value + at) + own);
    }
    if (d_factor) mote_v_store(d_factor + at, mote_v_load(d_factor + at) + sum[v] * mote_v_load(value + at));
  }
}

/* The same for one channel. */
static void sent_channel(const average_job *j, int64_t s, int c, const float *factor, const float *value,
                         float *d_value, float *d_factor) {
  float sum = mote_sent_channel(s, c, j->sent, j->edges, j->row_of, j->count, &j->d_out);
  if (d_value) d_value[c] += factor ? sum * factor[c] : sum;
  if (d_factor) d_factor[c] += sum * value[c];
}

static void sent_row(const average_job *j, int64_t s, const float *factor, const float *value, float *d_value,
                     float *d_factor) {
  int c = 0, width = j->value.width;
  for (; c + 8 * MOTE_LANES <= width; c += 8 * MOTE_LANES)
    sent_channels(j, s, 8, c, factor, value, d_value, d_factor);
  for (; c + 2 * MOTE_LANES <= width; c += 2 * MOTE_LANES)
    sent_channels(j, s, 2, c, factor, value, d_value, d_factor);
  for (; c + MOTE_LANES <= width; c += MOTE_LANES)
    sent_channels(j, s, 1, c, factor, value, d_value, d_factor);
  for (; c < width; c++) sent_channel(j, s, c, factor, value, d_value, d_factor);
}

static mote_status average_backward(mote_stream *stream, const mote_edges *edges, const mote_sent *sent,
                                    const int32_t *row_of, const int32_t *count, int64_t rows,
                                    const int32_t *row_count, mote_rows value, const int32_t *value_row,
                                    const int32_t *sender_of, mote_rows factor, mote_rows d_out,
                                    mote_sink d_value, mote_sink d_factor) {
  const average_job job = {edges, sent, row_of, count, value, factor, d_out, d_value, d_factor};
  rows = mote_row_count(rows, row_count);
#pragma omp parallel for num_threads(mote_stream_threads(stream))                                            \
    schedule(dynamic, 64) if (sent->senders > 64)
  for (int64_t s = 0; s < sent->senders; s++) {
    if (sent->row_offsets[s] == sent->row_offsets[s + 1]) continue;
    const int64_t row = value_row ? value_row[s] : s;
    const int owns = row < rows && (sender_of ? sender_of[row] : row) == s;
    float *to = d_value.data && owns ? d_value.data + row * d_value.stride : NULL;
    float *d_own = d_factor.data ? d_factor.data + s * d_factor.stride : NULL;
    if (to || d_own)
      sent_row(&job, s, factor.data ? factor.data + s * factor.stride : NULL, value.data + row * value.stride,
               to, d_own);
  }
  return MOTE_OK;
}

const struct mote_integral_kernels mote_integral_cpu = {
    .compact = compact, .average = average, .pick = pick, .average_backward = average_backward};
