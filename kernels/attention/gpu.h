/* What the GPU's forward and backward of attention share: tiles of one head's rows in shared memory, their
   softmax, and the two products, of a chunk's rows with one another and of rows with a square matrix. */
#ifndef MOTE_KERNELS_ATTENTION_GPU_H
#define MOTE_KERNELS_ATTENTION_GPU_H

#include "kernels/attention/attention.h"
#include "kernels/dense/gpu.h"

#define ROWS MOTE_ATTENTION_CHUNK
#define THREADS MOTE_CHAIN_THREADS

/* Floats from row to row in shared memory: whole quads, those behind the width are 0. */
static inline MOTE_HD int mote_head_pitch(int width) {
  return (width + 3) / 4 * 4;
}

/* `rows` rows of one head into shared memory, zeros in rows and columns behind; a warp a row. */
static __device__ inline void mote_head_load(mote_rows from, int head, int width, int64_t first, int used,
                                             int rows, float *to) {
  const int pitch = mote_head_pitch(width);
  for (int r = mote_own_warp(); r < rows; r += MOTE_CHAIN_WARPS)
    for (int c = mote_own_lane(); c < pitch; c += 32)
      to[r * pitch + c] = r < used && c < width ? from.data[(first + r) * from.stride + head * width + c] : 0;
}

/* x = factor softmax(x); a lane's columns are those that it loaded. */
static __device__ inline void mote_head_softmax(int width, float factor, float *x) {
  float most = -INFINITY, sum = 0;
  for (int c = mote_own_lane(); c < width; c += 32) most = fmaxf(most, x[c]);
  most = mote_warp_max(most);
  for (int c = mote_own_lane(); c < width; c += 32) sum += x[c] = expf(x[c] - most);
  sum = mote_warp_sum(sum);
  for (int c = mote_own_lane(); c < width; c += 32) x[c] = factor * (x[c] / sum);
}

/* rows x square: calls put(row, column, sum) for each entry of the first `used` rows; a thread has 4 rows, 16
   apart, of `wide` columns. */
template <int wide, typename Put>
static __device__ inline void mote_head_multiply_rows(int width, const float *rows, const float *square,
                                                      int used, Put put) {
  const int pitch = mote_head_pitch(width), thread = static_cast<int>(threadIdx.x), row = thread / 16;
  for (int b = thread % 16 * wide; b < width; b += 16 * wide) {
    float sum[4][wide] = {};
    for (int a = 0; a < width; a += 4) { /* behind the width are zeros on both sides */
      mote_floats<4> q[4];
#pragma unroll
      for (int i = 0; i < 4; i++) q[i] = mote_floats_at<4>(rows + (row + 16 * i) * pitch + a);
#pragma unroll
      for (int k = 0; k < 4; k++) {
        mote_floats<wide> c = mote_floats_at<wide>(square + (a + k) * pitch + b);
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
          for (int j = 0; j < wide; j++) sum[i][j] += q[i].at[k] * c.at[j];
      }
    }
    for (int i = 0; i < 4; i++)
#pragma unroll
      for (int j = 0; j < wide; j++)
        if (row + 16 * i < used && b + j < width) put(row + 16 * i, b + j, sum[i][j]);
  }
}

template <typename Put>
static __device__ inline void mote_head_multiply(int width, const float *rows, const float *square, int used,
                                                 Put put) {
  if (width > 32)
    mote_head_multiply_rows<4>(width, rows, square, used, put);
  else if (width > 16)
    mote_head_multiply_rows<2>(width, rows, square, used, put);
  else
    mote_head_multiply_rows<1>(width, rows, square, used, put);
}

/* left^T right over the rows of a chunk, into a head's (width, width). A thread has tiles of wide x wide
 * entries, 16 wide apart. */
template <int wide>
static __device__ inline void mote_head_multiply_chunk(int width, const float *left, const float *right,
                                                       float *context) {
  const int pitch = mote_head_pitch(width), thread = static_cast<int>(threadIdx.x), step = 16 * wide;
  for (int a = thread / 16 * wide; a < width; a += step)
    for (int b = thread % 16 * wide; b < width; b += step) {
      float sum[wide][wide] = {};
      for (int r = 0; r < ROWS; r++) {
        mote_floats<wide> k = mote_floats_at<wide>(left + r * pitch + a);
        mote_floats<wide> v = mote_floats_at<wide>(right + r * pitch + b);
#pragma unroll
        for (int i = 0; i < wide; i++)
#pragma unroll
          for (int j = 0; j < wide; j++) sum[i][j] += k.at[i] * v.at[j];
      }
#pragma unroll
      for (int i = 0; i < wide; i++)
#pragma unroll
        for (int j = 0; j < wide; j++)
          if (a + i < width && b + j < width) context[(a + i) * width + b + j] = sum[i][j];
    }
}

static __device__ inline void mote_head_outer(int width, const float *left, const float *right,
                                              float *context) {
  if (width > 32)
    mote_head_multiply_chunk<4>(width, left, right, context);
  else if (width > 16)
    mote_head_multiply_chunk<2>(width, left, right, context);
  else
    mote_head_multiply_chunk<1>(width, left, right, context);
}

/* The parts of chunks in their order, in place of what is there or on top of it. */
static __global__ void mote_head_reduce_kernel(int64_t n, const int32_t *count, int floats,
                                               const float *parts, bool add, float *context) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= floats) return;
  const int64_t chunks = (mote_row_count(n, count) + ROWS - 1) / ROWS;
  float sum = 0;
#pragma unroll 8
  for (int64_t chunk = 0; chunk < chunks; chunk++) sum += parts[chunk * floats + i];
  context[i] = add ? context[i] + sum : sum;
}

mote_status mote_summarize_backward_gpu(mote_stream *stream, int64_t n, const int32_t *count,
                                        mote_heads heads, mote_rows key, mote_rows value, const float *weight,
                                        const float *d_context, mote_sink d_key, mote_sink d_value);
mote_status mote_attend_backward_gpu(mote_stream *stream, int64_t n, const int32_t *count, mote_heads heads,
                                     mote_rows query, const float *context, mote_rows d_out,
                                     mote_sink d_query, float *d_context, mote_buffer *scratch);

#endif
