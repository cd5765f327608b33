/* Sparse products on the CPU: a row at a time. */
#include "kernels/sparse/sparse.h"

static mote_status multiply(mote_stream *stream, int64_t rows, int64_t columns, int64_t nonzeros,
                            const int32_t *row_offsets, const int32_t *column, const float *value, int width,
                            float alpha, const float *b, float beta, float *c, mote_buffer *scratch) {
  (void)columns;
  (void)nonzeros;
  (void)scratch;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(dynamic, 64) if (rows > 256)
  for (int64_t r = 0; r < rows; r++) {
    float *restrict to = c + r * width;
    for (int k = 0; k < width; k++) to[k] = beta == 0 ? 0 : beta * to[k];
    for (int32_t e = row_offsets[r]; e < row_offsets[r + 1]; e++) {
      const float *from = b + (int64_t)column[e] * width;
      float w = alpha * value[e];
      for (int k = 0; k < width; k++) to[k] += w * from[k];
    }
  }
  return MOTE_OK;
}

static mote_status normalize(mote_stream *stream, int64_t n, int64_t capacity, const int32_t *row_offsets,
                             const int32_t *column, const int32_t *receiver, float *value) {
  (void)capacity;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > 1024)
  for (int64_t e = 0; e < row_offsets[n]; e++)
    value[e] = mote_propagation(row_offsets, receiver[e], column[e]);
  return MOTE_OK;
}

const struct mote_sparse_kernels mote_sparse_cpu = {.multiply = multiply, .normalize = normalize};
