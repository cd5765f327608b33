/* Array primitives on the CPU. The trick of scan and sort: work is cut into chunks whose number depends on n
   alone, each chunk's counts are combined in chunk order, and so threads only decide who does a chunk. */
#include "kernels/array/array.h"

#include <string.h>

#define CHUNK 32768
#define DIGIT_BITS 8
#define DIGITS (1 << DIGIT_BITS)

static mote_status fill_i32(mote_stream *stream, int32_t *x, int32_t value, int64_t n) {
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > CHUNK)
  for (int64_t i = 0; i < n; i++) x[i] = value;
  return MOTE_OK;
}

static mote_status iota_i32(mote_stream *stream, int32_t *x, int32_t first, int64_t n) {
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > CHUNK)
  for (int64_t i = 0; i < n; i++) x[i] = first + (int32_t)i;
  return MOTE_OK;
}

static int64_t chunk_count(int64_t n) {
  return (n + CHUNK - 1) / CHUNK;
}
static int64_t chunk_end(int64_t chunk, int64_t n) {
  return (chunk + 1) * CHUNK < n ? (chunk + 1) * CHUNK : n;
}

static mote_status exclusive_scan_i32(mote_stream *stream, const int32_t *in, int32_t *out, int64_t n,
                                      mote_buffer *scratch) {
  int64_t chunks = chunk_count(n);
  MOTE_TRY(mote_buffer_reserve(scratch, stream->device, (size_t)(chunks + 1) * sizeof(int32_t)));
  uint32_t *start = scratch->data; /* unsigned: totals beyond int32 wrap, as on the GPU */
  int threads = mote_stream_threads(stream);
#pragma omp parallel for num_threads(threads) schedule(static) if (chunks > 1)
  for (int64_t c = 0; c < chunks; c++) {
    uint32_t sum = 0;
    for (int64_t i = c * CHUNK; i < chunk_end(c, n); i++) sum += (uint32_t)in[i];
    start[c + 1] = sum;
  }
  start[0] = 0;
  for (int64_t c = 0; c < chunks; c++) start[c + 1] += start[c];
#pragma omp parallel for num_threads(threads) schedule(static) if (chunks > 1)
  for (int64_t c = 0; c < chunks; c++) {
    uint32_t sum = start[c];
    for (int64_t i = c * CHUNK; i < chunk_end(c, n); i++) {
      out[i] = (int32_t)sum;
      sum += (uint32_t)in[i];
    }
  }
  out[n] = (int32_t)start[chunks];
  return MOTE_OK;
}

/* One pass of a least-significant-digit radix sort: histogram a chunk, offsets in (digit, chunk) order, move.
 */
static void radix_pass(int threads, const uint32_t *keys, const int32_t *values, uint32_t *keys_out,
                       int32_t *values_out, int64_t n, int shift, int32_t (*count)[DIGITS]) {
  int64_t chunks = chunk_count(n);
#pragma omp parallel for num_threads(threads) schedule(static) if (chunks > 1)
  for (int64_t c = 0; c < chunks; c++) {
    memset(count[c], 0, sizeof count[c]);
    for (int64_t i = c * CHUNK; i < chunk_end(c, n); i++) count[c][keys[i] >> shift & (DIGITS - 1)]++;
  }
  int32_t sum = 0;
  for (int digit = 0; digit < DIGITS; digit++) {
    for (int64_t c = 0; c < chunks; c++) {
      int32_t here = count[c][digit];
      count[c][digit] = sum;
      sum += here;
    }
  }
#pragma omp parallel for num_threads(threads) schedule(static) if (chunks > 1)
  for (int64_t c = 0; c < chunks; c++) {
    for (int64_t i = c * CHUNK; i < chunk_end(c, n); i++) {
      int32_t to = count[c][keys[i] >> shift & (DIGITS - 1)]++;
      keys_out[to] = keys[i];
      values_out[to] = values[i];
    }
  }
}

static mote_status sort_pairs_u32(mote_stream *stream, uint32_t *keys, int32_t *values, int64_t n,
                                  int key_bits, mote_buffer *scratch) {
  if (n < 2 || key_bits <= 0) return MOTE_OK;
  size_t counts = (size_t)chunk_count(n) * DIGITS * sizeof(int32_t);
  MOTE_TRY(mote_buffer_reserve(scratch, stream->device, counts + (size_t)n * 8));
  int32_t(*count)[DIGITS] = scratch->data;
  uint32_t *keys_other = (uint32_t *)((char *)scratch->data + counts);
  int32_t *values_other = (int32_t *)(keys_other + n);
  uint32_t *from_keys = keys, *to_keys = keys_other;
  int32_t *from_values = values, *to_values = values_other;
  for (int shift = 0; shift < key_bits; shift += DIGIT_BITS) {
    radix_pass(mote_stream_threads(stream), from_keys, from_values, to_keys, to_values, n, shift, count);
    uint32_t *k = from_keys;
    from_keys = to_keys;
    to_keys = k;
    int32_t *v = from_values;
    from_values = to_values;
    to_values = v;
  }
  if (from_keys != keys) {
    memcpy(keys, from_keys, (size_t)n * sizeof *keys);
    memcpy(values, from_values, (size_t)n * sizeof *values);
  }
  return MOTE_OK;
}

static mote_status gather_rows_f32(mote_stream *stream, const float *in, const int32_t *index, float *out,
                                   int64_t n, int width) {
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n * width > CHUNK)
  for (int64_t i = 0; i < n; i++)
    for (int k = 0; k < width; k++) out[i * width + k] = in[(int64_t)index[i] * width + k];
  return MOTE_OK;
}

static mote_status scatter_rows_f32(mote_stream *stream, const float *in, const int32_t *index, float *out,
                                    int64_t n, int width) {
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n * width > CHUNK)
  for (int64_t i = 0; i < n; i++)
    for (int k = 0; k < width; k++) out[(int64_t)index[i] * width + k] = in[i * width + k];
  return MOTE_OK;
}

const struct mote_array_kernels mote_array_cpu = {
    .fill_i32 = fill_i32,
    .iota_i32 = iota_i32,
    .exclusive_scan_i32 = exclusive_scan_i32,
    .sort_pairs_u32 = sort_pairs_u32,
    .gather_rows_f32 = gather_rows_f32,
    .scatter_rows_f32 = scatter_rows_f32,
};
