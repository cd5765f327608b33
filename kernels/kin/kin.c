/* Kin on the CPU: a point at a time. */
#include "kernels/kin/kin.h"

static mote_status weigh(mote_stream *stream, int dim, int64_t n, const int32_t *nearest, const float *point,
                         const float *sparse, float spacing, int32_t *index, float *weight) {
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > 4096)
  for (int64_t p = 0; p < n; p++)
    mote_kin_weigh_point(dim, n, p, nearest, point, sparse, spacing, index, weight);
  return MOTE_OK;
}

static mote_status follow(mote_stream *stream, int dim, int64_t m, const float *next, float gain,
                          float *tracer, float *drift) {
#pragma omp parallel for simd num_threads(mote_stream_threads(stream)) schedule(static) if (m > 32768)
  for (int64_t i = 0; i < m * dim; i++) {
    drift[i] = next[i] - tracer[i];
    tracer[i] += gain * drift[i];
  }
  return MOTE_OK;
}

static mote_status recall(mote_stream *stream, int dim, int64_t n, const int32_t *index, const float *weight,
                          const float *drift, float gain, const mote_kin_bounds *bounds, float *position,
                          float *shown) {
  mote_kin_bounds box = *bounds;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > 4096)
  for (int64_t p = 0; p < n; p++)
    if (dim == 3) /* once more, for loops of known length */
      mote_recall_point(3, n, p, index, weight, drift, gain, &box, position, shown);
    else
      mote_recall_point(dim, n, p, index, weight, drift, gain, &box, position, shown);
  return MOTE_OK;
}

static mote_status recall_backward(mote_stream *stream, int64_t values, const float *error, float scale,
                                   float gain, const float *gradient, float *part) {
#pragma omp parallel for simd num_threads(mote_stream_threads(stream)) schedule(static) if (values > 65536)
  for (int64_t i = 0; i < values; i++) part[i] = scale * error[i] + gain * gradient[i];
  return MOTE_OK;
}

static mote_status follow_backward(mote_stream *stream, int dim, int64_t n, int64_t m, const int32_t *start,
                                   const int32_t *entry, const float *weight, const float *part, float gain,
                                   float *gradient) {
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (m > 4096)
  for (int64_t i = 0; i < m; i++)
    mote_follow_backward_particle(dim, n, i, start, entry, weight, part, gain, gradient);
  return MOTE_OK;
}

const struct mote_kin_kernels mote_kin_cpu = {
    .weigh = weigh,
    .follow = follow,
    .recall = recall,
    .recall_backward = recall_backward,
    .follow_backward = follow_backward,
};
