/* Linear attention on the GPU: a block takes 64 rows of one head, with the softmaxed rows, the values or the
   context in shared memory and a small tile of the product in each thread's registers. */
#include "kernels/attention/attention.h"

#include "kernels/dense/gpu.h"

#define ROWS MOTE_ATTENTION_CHUNK
#define THREADS MOTE_CHAIN_THREADS

/* Floats from row to row in shared memory: whole quads, those behind the width are 0. */
static inline MOTE_HD int pitch_of(int width) {
  return (width + 3) / 4 * 4;
}

/* `rows` rows of one head into shared memory, zeros in rows and columns behind; a warp a row. */
static __device__ void load_rows(mote_rows from, int head, int width, int64_t first, int used, int rows,
                                 float *to) {
  const int pitch = pitch_of(width);
  for (int r = mote_own_warp(); r < rows; r += MOTE_CHAIN_WARPS)
    for (int c = mote_own_lane(); c < pitch; c += 32)
      to[r * pitch + c] = r < used && c < width ? from.data[(first + r) * from.stride + head * width + c] : 0;
}

/* x = factor softmax(x); a lane's columns are those that it loaded. */
static __device__ void softmax(int width, float factor, float *x) {
  float most = -INFINITY, sum = 0;
  for (int c = mote_own_lane(); c < width; c += 32) most = fmaxf(most, x[c]);
  most = mote_warp_max(most);
  for (int c = mote_own_lane(); c < width; c += 32) sum += x[c] = expf(x[c] - most);
  sum = mote_warp_sum(sum);
  for (int c = mote_own_lane(); c < width; c += 32) x[c] = factor * (x[c] / sum);
}

/* ---- the context: k^T v of each chunk, then the sum of the chunks ---- */

/* A thread has tiles of wide x wide entries, 16 wide apart. */
template <int wide>
static __device__ void multiply_chunk(int width, const float *key, const float *value, float *context) {
  const int pitch = pitch_of(width), thread = static_cast<int>(threadIdx.x), step = 16 * wide;
  for (int a = thread / 16 * wide; a < width; a += step)
    for (int b = thread % 16 * wide; b < width; b += step) {
      float sum[wide][wide] = {};
      for (int r = 0; r < ROWS; r++) {
        mote_floats<wide> k = mote_floats_at<wide>(key + r * pitch + a);
        mote_floats<wide> v = mote_floats_at<wide>(value + r * pitch + b);
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

static __global__ void chunk_kernel(int64_t n, const int32_t *count, mote_heads heads, mote_rows key,
                                    mote_rows value, const float *weight, float *parts) {
  MOTE_SHARED_DYNAMIC(float, k);
  const int head = static_cast<int>(blockIdx.y), width = heads.width, pitch = pitch_of(width);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * ROWS;
  n = mote_row_count(n, count);
  if (first >= n) return;
  const int used = static_cast<int>(min(n - first, static_cast<int64_t>(ROWS)));
  float *v = k + ROWS * pitch, *part = parts + blockIdx.x * static_cast<int64_t>(mote_context_floats(heads));
  load_rows(key, head, width, first, used, ROWS, k);
  load_rows(value, head, width, first, used, ROWS, v);
  for (int r = mote_own_warp(); r < used; r += MOTE_CHAIN_WARPS)
    softmax(width, weight ? weight[first + r] : 1, k + r * pitch);
  __syncthreads();
  float *context = part + head * width * width;
  if (width > 32)
    multiply_chunk<4>(width, k, v, context);
  else if (width > 16)
    multiply_chunk<2>(width, k, v, context);
  else
    multiply_chunk<1>(width, k, v, context);
  float *total = part + (heads.count * width + head) * width;
  for (int c = static_cast<int>(threadIdx.x); c < width; c += THREADS) {
    float sum = 0;
    for (int r = 0; r < used; r++) sum += k[r * pitch + c];
    total[c] = sum;
  }
}

/* In the order of the chunks. */
static __global__ void reduce_kernel(int64_t n, const int32_t *count, int floats, const float *parts,
                                     float *context) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= floats) return;
  const int64_t chunks = (mote_row_count(n, count) + ROWS - 1) / ROWS;
  float sum = 0;
#pragma unroll 8
  for (int64_t chunk = 0; chunk < chunks; chunk++) sum += parts[chunk * floats + i];
  context[i] = sum;
}

static mote_status summarize(mote_stream *stream, int64_t n, const int32_t *count, mote_heads heads,
                             mote_rows key, mote_rows value, const float *weight, float *context,
                             mote_buffer *scratch) {
  const int floats = mote_context_floats(heads);
  const dim3 chunks(mote_grid(n, ROWS), static_cast<unsigned>(heads.count));
  const size_t bytes = sizeof(float) * 2 * ROWS * static_cast<size_t>(pitch_of(heads.width));
  MOTE_TRY(mote_buffer_reserve(scratch, stream->device, sizeof(float) * chunks.x * floats));
  float *parts = static_cast<float *>(scratch->data);
  MOTE_TRY(mote_allow_shared(chunk_kernel, bytes));
  MOTE_TRY(
      MOTE_LAUNCH(chunk_kernel, chunks, THREADS, bytes, stream, n, count, heads, key, value, weight, parts));
  return MOTE_LAUNCH(reduce_kernel, mote_grid(floats, THREADS), THREADS, 0, stream, n, count, floats, parts,
                     context);
}

/* ---- rows: q + (q context) / (q . s) ---- */

/* A thread has 4 rows, 16 apart, of `wide` columns. */
template <int wide>
static __device__ void multiply_rows(int width, const float *query, const float *context, const float *norm,
                                     int used, float *out, int out_stride) {
  const int pitch = pitch_of(width), thread = static_cast<int>(threadIdx.x), row = thread / 16;
  for (int b = thread % 16 * wide; b < width; b += 16 * wide) {
    float sum[4][wide] = {};
    for (int a = 0; a < width; a += 4) { /* behind the width are zeros on both sides */
      mote_floats<4> q[4];
#pragma unroll
      for (int i = 0; i < 4; i++) q[i] = mote_floats_at<4>(query + (row + 16 * i) * pitch + a);
#pragma unroll
      for (int k = 0; k < 4; k++) {
        mote_floats<wide> c = mote_floats_at<wide>(context + (a + k) * pitch + b);
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
          for (int j = 0; j < wide; j++) sum[i][j] += q[i].at[k] * c.at[j];
      }
    }
    for (int i = 0; i < 4; i++)
#pragma unroll
      for (int j = 0; j < wide; j++) {
        int r = row + 16 * i;
        if (r < used && b + j < width)
          out[static_cast<int64_t>(r) * out_stride + b + j] = query[r * pitch + b + j] + sum[i][j] / norm[r];
      }
  }
}

static __global__ void attend_kernel(int64_t n, const int32_t *count, mote_heads heads, mote_rows query,
                                     const float *context, float *out, int out_stride) {
  MOTE_SHARED_DYNAMIC(float, q);
  __shared__ float norm[ROWS];
  const int head = static_cast<int>(blockIdx.y), width = heads.width, pitch = pitch_of(width);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * ROWS;
  n = mote_row_count(n, count);
  if (first >= n) return;
  const int used = static_cast<int>(min(n - first, static_cast<int64_t>(ROWS)));
  const float *total = context + (heads.count * width + head) * width;
  float *c = q + ROWS * pitch;
  mote_rows square = {context + head * width * width, width, width};
  load_rows(square, 0, width, 0, width, pitch, c);
  load_rows(query, head, width, first, used, ROWS, q);
  for (int r = mote_own_warp(); r < used; r += MOTE_CHAIN_WARPS) {
    float sum = 0;
    softmax(width, 1, q + r * pitch);
    for (int a = mote_own_lane(); a < width; a += 32) sum += q[r * pitch + a] * total[a];
    sum = mote_warp_sum(sum);
    if (mote_own_lane() == 0) norm[r] = sum;
  }
  __syncthreads();
  float *to = out + first * out_stride + head * width;
  if (width > 32)
    multiply_rows<4>(width, q, c, norm, used, to, out_stride);
  else if (width > 16)
    multiply_rows<2>(width, q, c, norm, used, to, out_stride);
  else
    multiply_rows<1>(width, q, c, norm, used, to, out_stride);
}

static mote_status attend(mote_stream *stream, int64_t n, const int32_t *count, mote_heads heads,
                          mote_rows query, const float *context, float *out, int out_stride) {
  const dim3 tiles(mote_grid(n, ROWS), static_cast<unsigned>(heads.count));
  const size_t bytes =
      sizeof(float) * static_cast<size_t>((ROWS + pitch_of(heads.width)) * pitch_of(heads.width));
  MOTE_TRY(mote_allow_shared(attend_kernel, bytes));
  return MOTE_LAUNCH(attend_kernel, tiles, THREADS, bytes, stream, n, count, heads, query, context, out,
                     out_stride);
}

extern "C" const struct mote_attention_kernels mote_attention_gpu = {summarize, attend, nullptr, nullptr};
