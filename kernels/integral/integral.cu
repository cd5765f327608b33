/* Integral transforms on the GPU: a thread a channel of a row; the compact list by a scan. */
#include "kernels/integral/integral.h"

#include "cuda/launch.h"
#include "cuda/few.h"
#include "kernels/array/array.h"

#define THREADS 256
#define COMPACTING 1024 /* threads of the one block that lists few points */
#define FEW (16 * COMPACTING)

static __device__ int64_t own_element() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

/* ---- the compact list. The scan runs from one output array into the other, each of which is then
   overwritten with what belongs there. ---- */

static __global__ void flag_kernel(int64_t points, const int32_t *row_offsets, int32_t *occupied) {
  int64_t q = own_element();
  if (q < points) occupied[q] = row_offsets[q + 1] > row_offsets[q];
}

/* row_of: flags become rows. */
static __global__ void number_kernel(int64_t points, const int32_t *before, int32_t *row_of, int32_t *count) {
  int64_t q = own_element();
  if (q < points) row_of[q] = row_of[q] ? before[q] + 1 : 0;
  if (q == 0) *count = before[points] + 1;
}

static __global__ void list_kernel(int64_t points, const int32_t *row_of, const int32_t *count,
                                   int32_t *point_of, float *weight) {
  int64_t q = own_element();
  if (q < points && row_of[q]) {
    point_of[row_of[q]] = static_cast<int32_t>(q);
    weight[row_of[q]] = 1;
  }
  if (q == 0) {
    point_of[0] = -1;
    weight[0] = static_cast<float>(points + 1 - *count);
  }
}

/* All of it for few points, each thread a run of them. */
static __global__ void __launch_bounds__(COMPACTING)
    compact_few_kernel(int points, const int32_t *row_offsets, int32_t *row_of, int32_t *point_of,
                       float *weight, int32_t *count) {
  __shared__ int32_t shared[MOTE_SCAN_SHARED];
  const int each = (points + COMPACTING - 1) / COMPACTING, first = static_cast<int>(threadIdx.x) * each;
  const int end = min(first + each, points);
  int32_t occupied = 0, all;
  for (int q = first; q < end; q++) occupied += row_offsets[q + 1] > row_offsets[q];
  int32_t row = 1 + mote_block_scan(occupied, shared, &all);
  for (int q = first; q < end; q++) {
    if (row_offsets[q + 1] == row_offsets[q]) {
      row_of[q] = 0;
      continue;
    }
    row_of[q] = row;
    point_of[row] = q;
    weight[row++] = 1;
  }
  if (threadIdx.x) return;
  *count = all + 1;
  point_of[0] = -1;
  weight[0] = static_cast<float>(points - all);
}

static mote_status compact(mote_stream *stream, int64_t points, const int32_t *row_offsets, int32_t *row_of,
                           int32_t *point_of, float *weight, int32_t *count, mote_buffer *scratch) {
  const unsigned grid = mote_grid(points, THREADS), some = grid ? grid : 1;
  if (points <= FEW)
    return MOTE_LAUNCH(compact_few_kernel, 1, COMPACTING, 0, stream, static_cast<int>(points), row_offsets,
                       row_of, point_of, weight, count);
  MOTE_TRY(MOTE_LAUNCH(flag_kernel, grid, THREADS, 0, stream, points, row_offsets, row_of));
  MOTE_TRY(stream->device->array->exclusive_scan_i32(stream, row_of, point_of, points, scratch));
  MOTE_TRY(MOTE_LAUNCH(number_kernel, some, THREADS, 0, stream, points, point_of, row_of, count));
  return MOTE_LAUNCH(list_kernel, some, THREADS, 0, stream, points, row_of, count, point_of, weight);
}

/* ---- means ---- */

static __global__ void average_kernel(int64_t n, const int32_t *count, const int32_t *receiver_of,
                                      mote_edges edges, mote_rows value, const int32_t *value_row,
                                      mote_rows factor, float *out, int out_stride) {
  const int64_t i = own_element(), r = i / value.width;
  const int c = static_cast<int>(i - r * value.width);
  if (r >= mote_row_count(n, count)) return;
  out[r * out_stride + c] = mote_average_channel(receiver_of ? receiver_of[r] : r, c, edges.row_offsets,
                                                 edges.senders, &value, value_row, &factor);
}

static mote_status average(mote_stream *stream, int64_t n, const int32_t *count, const int32_t *receiver_of,
                           const mote_edges *edges, mote_rows value, const int32_t *value_row,
                           mote_rows factor, float *out, int out_stride) {
  return MOTE_LAUNCH(average_kernel, mote_grid(n * value.width, THREADS), THREADS, 0, stream, n, count,
                     receiver_of, *edges, value, value_row, factor, out, out_stride);
}

static __global__ void pick_kernel(int64_t n, const int32_t *count, const int32_t *row_of, mote_rows value,
                                   float *out, int out_stride) {
  const int64_t i = own_element(), r = i / value.width;
  const int c = static_cast<int>(i - r * value.width);
  if (r >= mote_row_count(n, count)) return;
  const int64_t row = row_of[r];
  out[r * out_stride + c] = row < 0 ? 0 : value.data[row * value.stride + c];
}

static mote_status pick(mote_stream *stream, int64_t n, const int32_t *count, const int32_t *row_of,
                        mote_rows value, float *out, int out_stride) {
  return MOTE_LAUNCH(pick_kernel, mote_grid(n * value.width, THREADS), THREADS, 0, stream, n, count, row_of,
                     value, out, out_stride);
}

/* ---- the reverse of average: a thread a channel of a sender ---- */

static __global__ void sent_kernel(mote_edges edges, mote_sent sent, const int32_t *row_of,
                                   const int32_t *count, int64_t rows, const int32_t *row_count,
                                   mote_rows value, const int32_t *value_row, const int32_t *sender_of,
                                   mote_rows factor, mote_rows d_out, mote_sink d_value, mote_sink d_factor) {
  const int64_t i = own_element(), s = i / value.width;
  const int c = static_cast<int>(i - s * value.width);
  if (s >= sent.senders || sent.row_offsets[s] == sent.row_offsets[s + 1]) return;
  const int64_t row = value_row ? value_row[s] : s;
  const bool there = row < mote_row_count(rows, row_count);
  const bool own = d_value.data && there && (sender_of ? sender_of[row] : row) == s;
  if (!own && !d_factor.data) return;
  const float sum = mote_sent_channel(s, c, &sent, &edges, row_of, count, &d_out);
  if (own)
    d_value.data[row * d_value.stride + c] += factor.data ? sum * factor.data[s * factor.stride + c] : sum;
  if (d_factor.data) d_factor.data[s * d_factor.stride + c] += sum * value.data[row * value.stride + c];
}

static mote_status average_backward(mote_stream *stream, const mote_edges *edges, const mote_sent *sent,
                                    const int32_t *row_of, const int32_t *count, int64_t rows,
                                    const int32_t *row_count, mote_rows value, const int32_t *value_row,
                                    const int32_t *sender_of, mote_rows factor, mote_rows d_out,
                                    mote_sink d_value, mote_sink d_factor) {
  return MOTE_LAUNCH(sent_kernel, mote_grid(sent->senders * value.width, THREADS), THREADS, 0, stream, *edges,
                     *sent, row_of, count, rows, row_count, value, value_row, sender_of, factor, d_out,
                     d_value, d_factor);
}

extern "C" const struct mote_integral_kernels mote_integral_gpu = {compact, average, pick, average_backward};
