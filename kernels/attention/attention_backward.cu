/* The reverse of linear attention on the GPU; the formulas are those of attention_backward.c. As in the
   forward pass a block takes 64 rows of one head. Tiles of rows and the square matrix lie in shared memory,
   where the same place holds first the context's transpose and then, in summarize, the context. */
#include "kernels/attention/gpu.h"

/* A head's context into rows of the pitch, zeros behind; transposed, the reads from device memory still run
   along its rows. */
static __device__ void load_square(int width, const float *context, bool transposed, float *to) {
  const int pitch = mote_head_pitch(width);
  for (int a = mote_own_warp(); a < pitch; a += MOTE_CHAIN_WARPS)
    for (int b = mote_own_lane(); b < pitch; b += 32)
      to[transposed ? b * pitch + a : a * pitch + b] = a < width && b < width ? context[a * width + b] : 0;
}

/* The sum over a row's channels of a b, in all lanes of the row's warp. */
static __device__ float dot(int width, const float *a, const float *b) {
  float sum = 0;
  for (int c = mote_own_lane(); c < width; c += 32) sum += a[c] * b[c];
  return mote_warp_sum(sum);
}

/* Through the softmax x = softmax(z): d_z += x (d_x - x . d_x). */
static __device__ void add_through_softmax(int width, const float *x, const float *d_x, float *d_z) {
  const float mean = dot(width, x, d_x);
  for (int c = mote_own_lane(); c < width; c += 32) d_z[c] += x[c] * (d_x[c] - mean);
}

/* Bytes of shared memory for three tiles of rows and a square. */
static size_t tile_bytes(mote_heads heads) {
  const size_t pitch = static_cast<size_t>(mote_head_pitch(heads.width));
  return sizeof(float) * pitch * (3 * ROWS + pitch);
}

/* ---- summarize ---- */

typedef struct summary {
  mote_heads heads;
  mote_rows key, value;
  const float *weight, *d_context;
  mote_sink d_key, d_value;
} summary;

static __global__ void summarize_kernel(int64_t n, const int32_t *count, summary j) {
  MOTE_SHARED_DYNAMIC(float, k);
  __shared__ float weight[ROWS];
  const int head = static_cast<int>(blockIdx.y), width = j.heads.width, pitch = mote_head_pitch(width);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * ROWS;
  n = mote_row_count(n, count);
  if (first >= n) return;
  const int used = static_cast<int>(min(n - first, static_cast<int64_t>(ROWS))), column = head * width;
  const float *own = j.d_context + head * width * width;
  const float *total = j.d_context + (j.heads.count * width + head) * width;
  float *v = k + ROWS * pitch, *u = v + ROWS * pitch, *square = u + ROWS * pitch;
  for (int r = static_cast<int>(threadIdx.x); r < used; r += THREADS)
    weight[r] = j.weight ? j.weight[first + r] : 1;
  mote_head_load(j.key, head, width, first, used, ROWS, k);
  for (int r = mote_own_warp(); r < used; r += MOTE_CHAIN_WARPS) mote_head_softmax(width, 1, k + r * pitch);
  if (j.d_key.data) {
    mote_head_load(j.value, head, width, first, used, ROWS, v);
    load_square(width, own, true, square);
    __syncthreads();
    mote_head_multiply(width, v, square, used,
                       [=](int r, int c, float sum) { u[r * pitch + c] = weight[r] * (sum + total[c]); });
    __syncthreads();
    for (int r = mote_own_warp(); r < used; r += MOTE_CHAIN_WARPS)
      add_through_softmax(width, k + r * pitch, u + r * pitch,
                          j.d_key.data + (first + r) * j.d_key.stride + column);
  }
  if (!j.d_value.data) return;
  load_square(width, own, false, square);
  __syncthreads();
  float *to = j.d_value.data + first * j.d_value.stride + column;
  const int stride = j.d_value.stride;
  mote_head_multiply(width, k, square, used, [=](int r, int c, float sum) {
    to[static_cast<int64_t>(r) * stride + c] += weight[r] * sum;
  });
}

mote_status mote_summarize_backward_gpu(mote_stream *stream, int64_t n, const int32_t *count,
                                        mote_heads heads, mote_rows key, mote_rows value, const float *weight,
                                        const float *d_context, mote_sink d_key, mote_sink d_value) {
  const dim3 tiles(mote_grid(n, ROWS), static_cast<unsigned>(heads.count));
  const summary job = {heads, key, value, weight, d_context, d_key, d_value};
  MOTE_TRY(mote_allow_shared(summarize_kernel, tile_bytes(heads), stream));
  return MOTE_LAUNCH(summarize_kernel, tiles, THREADS, tile_bytes(heads), stream, n, count, job);
}

/* ---- attend ---- */

typedef struct attention {
  mote_heads heads;
  mote_rows query, d_out;
  const float *context;
  mote_sink d_query;
  float *parts; /* of each chunk, as a context */
} attention;

/* Rows of q, g and u = C g, a warp each: the query's gradient, and g becomes g / N. */
static __device__ void attend_rows(const attention *j, int head, int64_t first, int used, const float *q,
                                   float *g, float *u, float *d_norm) {
  const int width = j->heads.width, pitch = mote_head_pitch(width);
  const float *total = j->context + (j->heads.count * width + head) * width;
  for (int r = mote_own_warp(); r < used; r += MOTE_CHAIN_WARPS) {
    const float *x = q + r * pitch;
    float *y = g + r * pitch, *z = u + r * pitch;
    const float scale = 1 / dot(width, x, total), slope = -dot(width, x, z) * scale * scale;
    for (int c = mote_own_lane(); c < width; c += 32) {
      z[c] = y[c] + scale * z[c] + slope * total[c];
      y[c] *= scale;
    }
    if (mote_own_lane() == 0) d_norm[r] = slope;
    if (j->d_query.data)
      add_through_softmax(width, x, z, j->d_query.data + (first + r) * j->d_query.stride + head * width);
  }
}

static __global__ void attend_kernel(int64_t n, const int32_t *count, attention j) {
  MOTE_SHARED_DYNAMIC(float, q);
  __shared__ float d_norm[ROWS];
  const int head = static_cast<int>(blockIdx.y), width = j.heads.width, pitch = mote_head_pitch(width);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * ROWS;
  n = mote_row_count(n, count);
  if (first >= n) return;
  const int used = static_cast<int>(min(n - first, static_cast<int64_t>(ROWS)));
  float *g = q + ROWS * pitch, *u = g + ROWS * pitch, *square = u + ROWS * pitch;
  float *part = j.parts + blockIdx.x * static_cast<int64_t>(mote_context_floats(j.heads));
  mote_head_load(j.query, head, width, first, used, ROWS, q);
  for (int r = mote_own_warp(); r < used; r += MOTE_CHAIN_WARPS) mote_head_softmax(width, 1, q + r * pitch);
  mote_head_load(j.d_out, head, width, first, used, ROWS, g);
  load_square(width, j.context + head * width * width, true, square);
  __syncthreads();
  mote_head_multiply(width, g, square, used, [=](int r, int c, float sum) { u[r * pitch + c] = sum; });
  __syncthreads();
  attend_rows(&j, head, first, used, q, g, u, d_norm);
  __syncthreads();
  mote_head_outer(width, q, g, part + head * width * width);
  float *d_total = part + (j.heads.count * width + head) * width;
  for (int c = static_cast<int>(threadIdx.x); c < width; c += THREADS) {
    float sum = 0;
    for (int r = 0; r < used; r++) sum += d_norm[r] * q[r * pitch + c];
    d_total[c] = sum;
  }
}

mote_status mote_attend_backward_gpu(mote_stream *stream, int64_t n, const int32_t *count, mote_heads heads,
                                     mote_rows query, const float *context, mote_rows d_out,
                                     mote_sink d_query, float *d_context, mote_buffer *scratch) {
  const int floats = mote_context_floats(heads);
  const dim3 tiles(mote_grid(n, ROWS), static_cast<unsigned>(heads.count));
  MOTE_TRY(mote_buffer_reserve(scratch, stream->device, sizeof(float) * tiles.x * floats));
  float *parts = static_cast<float *>(scratch->data);
  const attention job = {heads, query, d_out, context, d_query, parts};
  MOTE_TRY(mote_allow_shared(attend_kernel, tile_bytes(heads), stream));
  MOTE_TRY(MOTE_LAUNCH(attend_kernel, tiles, THREADS, tile_bytes(heads), stream, n, count, job));
  return MOTE_LAUNCH(mote_head_reduce_kernel, mote_grid(floats, THREADS), THREADS, 0, stream, n, count,
                     floats, parts, true, d_context);
}
