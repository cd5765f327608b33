/* Sparse products on the GPU: cuSPARSE where the host knows the number of entries, else a thread an entry of
   the result, which needs nothing from the host and so can be replayed. */
#include "kernels/sparse/sparse.h"

#include "cuda/launch.h"
#include "cuda/sparse.h"

#define THREADS 256

static __global__ void multiply_kernel(int64_t rows, const int32_t *row_offsets, const int32_t *column,
                                       const float *value, int width, float alpha, const float *b, float beta,
                                       float *c) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x, r = i / width;
  if (r >= rows) return;
  const int64_t k = i - r * width;
  float sum = 0;
  for (int32_t e = row_offsets[r]; e < row_offsets[r + 1]; e++)
    sum += value[e] * b[static_cast<int64_t>(column[e]) * width + k];
  c[i] = alpha * sum + (beta == 0 ? 0 : beta * c[i]);
}

static mote_status multiply(mote_stream *stream, int64_t rows, int64_t columns, int64_t nonzeros,
                            const int32_t *row_offsets, const int32_t *column, const float *value, int width,
                            float alpha, const float *b, float beta, float *c, mote_buffer *scratch) {
  if (nonzeros > 0)
    return mote_cuda_spmm(stream, rows, columns, nonzeros, row_offsets, column, value, width, alpha, b, beta,
                          c, scratch);
  return MOTE_LAUNCH(multiply_kernel, mote_grid(rows * width, THREADS), THREADS, 0, stream, rows, row_offsets,
                     column, value, width, alpha, b, beta, c);
}

static __global__ void normalize_kernel(int64_t n, int64_t capacity, const int32_t *row_offsets,
                                        const int32_t *column, const int32_t *receiver, float *value) {
  const int64_t e = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (e < capacity && e < row_offsets[n]) value[e] = mote_propagation(row_offsets, receiver[e], column[e]);
}

static mote_status normalize(mote_stream *stream, int64_t n, int64_t capacity, const int32_t *row_offsets,
                             const int32_t *column, const int32_t *receiver, float *value) {
  return MOTE_LAUNCH(normalize_kernel, mote_grid(capacity, THREADS), THREADS, 0, stream, n, capacity,
                     row_offsets, column, receiver, value);
}

extern "C" const struct mote_sparse_kernels mote_sparse_gpu = {multiply, normalize};
