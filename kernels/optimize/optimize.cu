/* Optimisers on the GPU: a thread a value; sums by a block a chunk, whose threads' sums are added in a fixed
   tree, then by one thread over the chunks. */
#include "kernels/optimize/optimize.h"

#include "cuda/launch.h"

#define THREADS 256

static __device__ int64_t own_element() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

static __global__ void pack_kernel(int64_t n, const int32_t *index, const float *scale, const float *in,
                                   float *out) {
  const int64_t k = own_element();
  if (k >= n) return;
  const float x = index[k] < 0 ? 0 : in[index[k]];
  out[k] = scale ? scale[k] * x : x;
}

static mote_status pack(mote_stream *stream, int64_t n, const int32_t *index, const float *scale,
                        const float *in, float *out) {
  return MOTE_LAUNCH(pack_kernel, mote_grid(n, THREADS), THREADS, 0, stream, n, index, scale, in, out);
}

static __global__ void combine_kernel(int64_t n, float alpha, const float *b, float beta, float *a) {
  const int64_t k = own_element();
  if (k < n) a[k] = beta == 0 ? alpha * b[k] : beta * a[k] + alpha * b[k];
}

static mote_status combine(mote_stream *stream, int64_t n, float alpha, const float *b, float beta,
                           float *a) {
  return MOTE_LAUNCH(combine_kernel, mote_grid(n, THREADS), THREADS, 0, stream, n, alpha, b, beta, a);
}

/* ---- Sums ---- */

typedef struct part {
  double sum;
  int64_t particles; /* of a loss */
} part;

/* The block's sum, in its thread 0. */
static __device__ part add_block(part own) {
  __shared__ part shared[THREADS];
  const int thread = static_cast<int>(threadIdx.x);
  shared[thread] = own;
  for (int distance = THREADS / 2; distance > 0; distance /= 2) {
    __syncthreads();
    if (thread >= distance) continue;
    shared[thread].sum += shared[thread + distance].sum;
    shared[thread].particles += shared[thread + distance].particles;
  }
  return shared[thread];
}

/* In the order of the chunks. */
static __device__ part add_parts(int64_t chunks, const part *parts) {
  part all = {0, 0};
#pragma unroll 8
  for (int64_t chunk = 0; chunk < chunks; chunk++) {
    all.sum += parts[chunk].sum;
    all.particles += parts[chunk].particles;
  }
  return all;
}

static __global__ void squares_kernel(int64_t n, const float *x, part *parts) {
  const int64_t first = static_cast<int64_t>(blockIdx.x) * MOTE_SUM_CHUNK;
  part own = {0, 0};
  for (int64_t k = first + threadIdx.x; k < min(first + MOTE_SUM_CHUNK, n); k += THREADS)
    own.sum += static_cast<double>(x[k]) * static_cast<double>(x[k]);
  own = add_block(own);
  if (threadIdx.x == 0) parts[blockIdx.x] = own;
}

static __global__ void squares_sum_kernel(int64_t chunks, const part *parts, double *sum) {
  *sum = add_parts(chunks, parts).sum;
}

static mote_status sum_squares(mote_stream *stream, int64_t n, const float *x, double *sum,
                               mote_buffer *scratch) {
  const unsigned chunks = mote_grid(n, MOTE_SUM_CHUNK);
  MOTE_TRY(mote_buffer_reserve(scratch, stream->device, sizeof(part) * (chunks + 1)));
  part *parts = static_cast<part *>(scratch->data);
  MOTE_TRY(MOTE_LAUNCH(squares_kernel, chunks, THREADS, 0, stream, n, x, parts));
  return MOTE_LAUNCH(squares_sum_kernel, 1, 1, 0, stream, static_cast<int64_t>(chunks), parts, sum);
}

static __global__ void clip_kernel(int64_t n, const double *squares, float limit, float *x) {
  const int64_t k = own_element();
  if (k >= n) return;
  const float scale = mote_clip_scale(*squares, limit);
  if (scale != 1) x[k] *= scale;
}

static mote_status clip(mote_stream *stream, int64_t n, const double *squares, float limit, float *x) {
  return MOTE_LAUNCH(clip_kernel, mote_grid(n, THREADS), THREADS, 0, stream, n, squares, limit, x);
}

/* ---- Updates ---- */

template <bool adamax>
static __global__ void update_kernel(int64_t n, mote_update_step step, const float *gradient,
                                     const unsigned char *decays, float *first, float *second,
                                     float *parameter) {
  const int64_t k = own_element();
  if (k >= n) return;
  const float decay = decays ? step.decay * static_cast<float>(decays[k]) : step.decay;
  if (adamax)
    mote_update_adamax(&step, decay, gradient[k], &first[k], &second[k], &parameter[k]);
  else
    mote_update_adamw(&step, decay, gradient[k], &first[k], &second[k], &parameter[k]);
}

static mote_status update(mote_stream *stream, int64_t n, const mote_optimizer *optimizer,
                          const float *gradient, const unsigned char *decays, float *first, float *second,
                          float *parameter) {
  const mote_update_step step = mote_update_prepare(optimizer);
  if (optimizer->adamax)
    return MOTE_LAUNCH(update_kernel<true>, mote_grid(n, THREADS), THREADS, 0, stream, n, step, gradient,
                       decays, first, second, parameter);
  return MOTE_LAUNCH(update_kernel<false>, mote_grid(n, THREADS), THREADS, 0, stream, n, step, gradient,
                     decays, first, second, parameter);
}

/* ---- The loss. The sum of all parts is the last of them. ---- */

static __global__ void loss_kernel(int64_t n, int dim, const int32_t *type, const float *a,
                                   const float *target, float huber, part *parts) {
  const int64_t first = static_cast<int64_t>(blockIdx.x) * MOTE_SUM_CHUNK;
  part own = {0, 0};
  for (int64_t i = first + threadIdx.x; i < min(first + MOTE_SUM_CHUNK, n); i += THREADS) {
    if (!mote_is_free(type, i)) continue;
    own.particles++;
    own.sum += dim * mote_bent(mote_particle_squares(i, dim, a, target) / dim, huber);
  }
  own = add_block(own);
  if (threadIdx.x == 0) parts[blockIdx.x] = own;
}

static __global__ void loss_sum_kernel(int64_t chunks, int dim, float weight, part *parts, double *loss) {
  const part all = add_parts(chunks, parts);
  parts[chunks] = all;
  *loss = mote_square_loss(all.sum, all.particles, dim, weight);
}

/* A thread a particle: what it writes may be what it reads. */
static __global__ void slope_kernel(int64_t n, int dim, const int32_t *type, const float *a,
                                    const float *target, float huber, float weight, const part *all,
                                    float *d_a) {
  const int64_t i = own_element();
  if (i >= n) return;
  if (mote_is_free(type, i)) {
    mote_particle_slope(i, dim, a, target, huber, mote_square_slope(all->particles, dim, weight), d_a);
    return;
  }
  for (int64_t k = i * dim; k < (i + 1) * dim; k++) d_a[k] = 0;
}

static mote_status find_loss(mote_stream *stream, int64_t n, int dim, const int32_t *type, const float *a,
                             const float *target, float huber, float weight, double *loss, float *d_a,
                             mote_buffer *scratch) {
  const unsigned chunks = mote_grid(n, MOTE_SUM_CHUNK);
  MOTE_TRY(mote_buffer_reserve(scratch, stream->device, sizeof(part) * (chunks + 1)));
  part *parts = static_cast<part *>(scratch->data);
  MOTE_TRY(MOTE_LAUNCH(loss_kernel, chunks, THREADS, 0, stream, n, dim, type, a, target, huber, parts));
  MOTE_TRY(
      MOTE_LAUNCH(loss_sum_kernel, 1, 1, 0, stream, static_cast<int64_t>(chunks), dim, weight, parts, loss));
  if (!d_a) return MOTE_OK;
  return MOTE_LAUNCH(slope_kernel, mote_grid(n, THREADS), THREADS, 0, stream, n, dim, type, a, target, huber,
                     weight, parts + chunks, d_a);
}

/* ---- Sums of rows: a block a chunk, a thread a column ---- */

static __global__ void rows_kernel(int64_t n, int width, const float *x, int stride, float *part) {
  const int64_t first = static_cast<int64_t>(blockIdx.x) * MOTE_SUM_CHUNK;
  const int64_t end = min(first + MOTE_SUM_CHUNK, n);
  for (int c = static_cast<int>(threadIdx.x); c < width; c += static_cast<int>(blockDim.x)) {
    float sum = 0;
    for (int64_t r = first; r < end; r++) sum += x[r * stride + c];
    part[blockIdx.x * static_cast<int64_t>(width) + c] = sum;
  }
}

static __global__ void add_rows_kernel(int64_t chunks, int width, const float *part, float *sum) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (c >= width) return;
  float total = sum[c];
  for (int64_t k = 0; k < chunks; k++) total += part[k * width + c];
  sum[c] = total;
}

static mote_status sum_rows(mote_stream *stream, int64_t n, int width, const float *x, int stride, float *sum,
                            mote_buffer *scratch) {
  const unsigned chunks = mote_grid(n, MOTE_SUM_CHUNK);
  const size_t floats = static_cast<size_t>(chunks) * static_cast<size_t>(width) + 1;
  MOTE_TRY(mote_buffer_reserve(scratch, stream->device, sizeof(float) * floats));
  float *part = static_cast<float *>(scratch->data);
  MOTE_TRY(MOTE_LAUNCH(rows_kernel, chunks, 128, 0, stream, n, width, x, stride, part));
  return MOTE_LAUNCH(add_rows_kernel, mote_grid(width, 128), 128, 0, stream, static_cast<int64_t>(chunks),
                     width, part, sum);
}

extern "C" const struct mote_optimize_kernels mote_optimize_gpu = {pack, combine, sum_rows, sum_squares,
                                                                   clip, update,  find_loss};
