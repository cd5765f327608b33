/* Linear attention on the GPU: a block takes 64 rows of one head, with the softmaxed rows, the values or the
   context in shared memory and a small tile of the product in each thread's registers. */
#include "kernels/attention/gpu.h"

/* ---- the context: k^T v of each chunk, then the sum of the chunks ---- */

static __global__ void chunk_kernel(int64_t n, const int32_t *count, mote_heads heads, mote_rows key,
                                    mote_rows value, const float *weight, float *parts) {
  MOTE_SHARED_DYNAMIC(float, k);
  const int head = static_cast<int>(blockIdx.y), width = heads.width, pitch = mote_head_pitch(width);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * ROWS;
  n = mote_row_count(n, count);
  if (first >= n) return;
  const int used = static_cast<int>(min(n - first, static_cast<int64_t>(ROWS)));
  float *v = k + ROWS * pitch, *part = parts + blockIdx.x * static_cast<int64_t>(mote_context_floats(heads));
  mote_head_load(key, head, width, first, used, ROWS, k);
  mote_head_load(value, head, width, first, used, ROWS, v);
  for (int r = mote_own_warp(); r < used; r += MOTE_CHAIN_WARPS)
    mote_head_softmax(width, weight ? weight[first + r] : 1, k + r * pitch);
  __syncthreads();
  float *context = part + head * width * width;
  mote_head_outer(width, k, v, context);
  float *total = part + (heads.count * width + head) * width;
  for (int c = static_cast<int>(threadIdx.x); c < width; c += THREADS) {
    float sum = 0;
    for (int r = 0; r < used; r++) sum += k[r * pitch + c];
    total[c] = sum;
  }
}

static mote_status summarize(mote_stream *stream, int64_t n, const int32_t *count, mote_heads heads,
                             mote_rows key, mote_rows value, const float *weight, float *context,
                             mote_buffer *scratch) {
  const int floats = mote_context_floats(heads);
  const dim3 chunks(mote_grid(n, ROWS), static_cast<unsigned>(heads.count));
  const size_t bytes = sizeof(float) * 2 * ROWS * static_cast<size_t>(mote_head_pitch(heads.width));
  MOTE_TRY(mote_buffer_reserve(scratch, stream->device, sizeof(float) * chunks.x * floats));
  float *parts = static_cast<float *>(scratch->data);
  MOTE_TRY(mote_allow_shared(chunk_kernel, bytes, stream));
  MOTE_TRY(
      MOTE_LAUNCH(chunk_kernel, chunks, THREADS, bytes, stream, n, count, heads, key, value, weight, parts));
  return MOTE_LAUNCH(mote_head_reduce_kernel, mote_grid(floats, THREADS), THREADS, 0, stream, n, count,
                     floats, parts, false, context);
}

/* ---- rows: q + (q context) / (q . s) ---- */

static __global__ void attend_kernel(int64_t n, const int32_t *count, mote_heads heads, mote_rows query,
                                     const float *context, float *out, int out_stride) {
  MOTE_SHARED_DYNAMIC(float, q);
  __shared__ float norm[ROWS];
  const int head = static_cast<int>(blockIdx.y), width = heads.width, pitch = mote_head_pitch(width);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * ROWS;
  n = mote_row_count(n, count);
  if (first >= n) return;
  const int used = static_cast<int>(min(n - first, static_cast<int64_t>(ROWS)));
  const float *total = context + (heads.count * width + head) * width;
  float *c = q + ROWS * pitch;
  mote_rows square = {context + head * width * width, width, width};
  mote_head_load(square, 0, width, 0, width, pitch, c);
  mote_head_load(query, head, width, first, used, ROWS, q);
  for (int r = mote_own_warp(); r < used; r += MOTE_CHAIN_WARPS) {
    float sum = 0;
    mote_head_softmax(width, 1, q + r * pitch);
    for (int a = mote_own_lane(); a < width; a += 32) sum += q[r * pitch + a] * total[a];
    sum = mote_warp_sum(sum);
    if (mote_own_lane() == 0) norm[r] = sum;
  }
  __syncthreads();
  float *to = out + first * out_stride + head * width;
  mote_head_multiply(width, q, c, used, [=](int r, int b, float sum) {
    to[static_cast<int64_t>(r) * out_stride + b] = q[r * pitch + b] + sum / norm[r];
  });
}

static mote_status attend(mote_stream *stream, int64_t n, const int32_t *count, mote_heads heads,
                          mote_rows query, const float *context, float *out, int out_stride) {
  const dim3 tiles(mote_grid(n, ROWS), static_cast<unsigned>(heads.count));
  const size_t bytes = sizeof(float) * static_cast<size_t>((ROWS + mote_head_pitch(heads.width)) *
                                                           mote_head_pitch(heads.width));
  MOTE_TRY(mote_allow_shared(attend_kernel, bytes, stream));
  return MOTE_LAUNCH(attend_kernel, tiles, THREADS, bytes, stream, n, count, heads, query, context, out,
                     out_stride);
}

extern "C" const struct mote_attention_kernels mote_attention_gpu = {
    summarize, attend, mote_summarize_backward_gpu, mote_attend_backward_gpu};
