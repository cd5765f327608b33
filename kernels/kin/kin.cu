/* Kin on the GPU: a thread a point, whose kin lie in rows of n so that reads coalesce; a thread a tracer,
   over its own list of points, so that no sum is atomic. */
#include "kernels/kin/kin.h"

#include "cuda/launch.h"

#define THREADS 128

static __global__ void weigh_kernel(int dim, int64_t n, const int32_t *nearest, const float *point,
                                    const float *sparse, float spacing, int32_t *index, float *weight) {
  int64_t p = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (p < n) mote_kin_weigh_point(dim, n, p, nearest, point, sparse, spacing, index, weight);
}

static mote_status weigh(mote_stream *stream, int dim, int64_t n, const int32_t *nearest, const float *point,
                         const float *sparse, float spacing, int32_t *index, float *weight) {
  return MOTE_LAUNCH(weigh_kernel, mote_grid(n, THREADS), THREADS, 0, stream, dim, n, nearest, point, sparse,
                     spacing, index, weight);
}

static __global__ void follow_kernel(int64_t values, const float *next, float gain, float *tracer,
                                     float *drift) {
  int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= values) return;
  drift[i] = next[i] - tracer[i];
  tracer[i] += gain * drift[i];
}

static mote_status follow(mote_stream *stream, int dim, int64_t m, const float *next, float gain,
                          float *tracer, float *drift) {
  return MOTE_LAUNCH(follow_kernel, mote_grid(m * dim, THREADS), THREADS, 0, stream, m * dim, next, gain,
                     tracer, drift);
}

static __global__ void recall_kernel(int dim, int64_t n, const int32_t *index, const float *weight,
                                     const float *drift, float gain, mote_kin_bounds bounds, float *position,
                                     float *shown) {
  int64_t p = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (p < n) mote_recall_point(dim, n, p, index, weight, drift, gain, &bounds, position, shown);
}

static mote_status recall(mote_stream *stream, int dim, int64_t n, const int32_t *index, const float *weight,
                          const float *drift, float gain, const mote_kin_bounds *bounds, float *position,
                          float *shown) {
  return MOTE_LAUNCH(recall_kernel, mote_grid(n, THREADS), THREADS, 0, stream, dim, n, index, weight, drift,
                     gain, *bounds, position, shown);
}

static __global__ void recall_backward_kernel(int64_t values, const float *error, float scale, float gain,
                                              const float *gradient, float *part) {
  int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < values) part[i] = scale * error[i] + gain * gradient[i];
}

static mote_status recall_backward(mote_stream *stream, int64_t values, const float *error, float scale,
                                   float gain, const float *gradient, float *part) {
  return MOTE_LAUNCH(recall_backward_kernel, mote_grid(values, THREADS), THREADS, 0, stream, values, error,
                     scale, gain, gradient, part);
}

static __global__ void follow_backward_kernel(int dim, int64_t n, int64_t m, const int32_t *start,
                                              const int32_t *entry, const float *weight, const float *part,
                                              float gain, float *gradient) {
  int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < m) mote_follow_backward_particle(dim, n, i, start, entry, weight, part, gain, gradient);
}

static mote_status follow_backward(mote_stream *stream, int dim, int64_t n, int64_t m, const int32_t *start,
                                   const int32_t *entry, const float *weight, const float *part, float gain,
                                   float *gradient) {
  return MOTE_LAUNCH(follow_backward_kernel, mote_grid(m, THREADS), THREADS, 0, stream, dim, n, m, start,
                     entry, weight, part, gain, gradient);
}

extern "C" const struct mote_kin_kernels mote_kin_gpu = {weigh, follow, recall, recall_backward,
                                                         follow_backward};
