/* Optimisers on the CPU: all of it is bound by memory, so each is one pass over its arrays. */
#include "kernels/optimize/optimize.h"

#include <string.h>

#define SMALL 16384 /* values below which threads cost more than they bring */
#define LANES 8     /* partial sums of a chunk */

#define VECTOR static inline __attribute__((always_inline))

static mote_status pack(mote_stream *stream, int64_t n, const int32_t *index, const float *scale,
                        const float *in, float *out) {
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > SMALL)
  for (int64_t k = 0; k < n; k++) {
    float x = index[k] < 0 ? 0 : in[index[k]];
    out[k] = scale ? scale[k] * x : x;
  }
  return MOTE_OK;
}

static mote_status combine(mote_stream *stream, int64_t n, float alpha, const float *b, float beta,
                           float *a) {
  const int threads = mote_stream_threads(stream);
  if (beta == 0) {
#pragma omp parallel for num_threads(threads) schedule(static) if (n > SMALL)
    for (int64_t k = 0; k < n; k++) a[k] = alpha * b[k];
  } else {
#pragma omp parallel for num_threads(threads) schedule(static) if (n > SMALL)
    for (int64_t k = 0; k < n; k++) a[k] = beta * a[k] + alpha * b[k];
  }
  return MOTE_OK;
}

static int64_t chunks_of(int64_t n) {
  return (n + MOTE_SUM_CHUNK - 1) / MOTE_SUM_CHUNK;
}
static int64_t end_of(int64_t chunk, int64_t n) {
  return (chunk + 1) * MOTE_SUM_CHUNK < n ? (chunk + 1) * MOTE_SUM_CHUNK : n;
}

/* ---- Sums ---- */

static void sum_chunk(int64_t first, int64_t end, int width, const float *x, int stride, float *part) {
  for (int c = 0; c < width; c++) part[c] = 0;
  for (int64_t r = first; r < end; r++)
    for (int c = 0; c < width; c++) part[c] += x[r * stride + c];
}

static mote_status sum_rows(mote_stream *stream, int64_t n, int width, const float *x, int stride, float *sum,
                            mote_buffer *scratch) {
  const int64_t chunks = chunks_of(n);
  MOTE_TRY(mote_buffer_reserve(scratch, stream->device, (size_t)(chunks * width + 1) * sizeof(float)));
  float *part = scratch->data;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (chunks > 1)
  for (int64_t k = 0; k < chunks; k++)
    sum_chunk(k * MOTE_SUM_CHUNK, end_of(k, n), width, x, stride, part + k * width);
  for (int64_t k = 0; k < chunks; k++)
    for (int c = 0; c < width; c++) sum[c] += part[k * width + c];
  return MOTE_OK;
}

static double squares_of(const float *x, int64_t first, int64_t end) {
  double lane[LANES] = {0}, sum = 0;
  int64_t k = first;
  for (; k + LANES <= end; k += LANES)
    for (int i = 0; i < LANES; i++) lane[i] += (double)x[k + i] * (double)x[k + i];
  for (int i = 0; i < LANES; i++) sum += lane[i];
  for (; k < end; k++) sum += (double)x[k] * (double)x[k];
  return sum;
}

static mote_status sum_squares(mote_stream *stream, int64_t n, const float *x, double *sum,
                               mote_buffer *scratch) {
  const int64_t chunks = chunks_of(n);
  MOTE_TRY(mote_buffer_reserve(scratch, stream->device, (size_t)chunks * sizeof(double)));
  double *part = scratch->data, total = 0;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > SMALL)
  for (int64_t c = 0; c < chunks; c++) part[c] = squares_of(x, c * MOTE_SUM_CHUNK, end_of(c, n));
  for (int64_t c = 0; c < chunks; c++) total += part[c];
  *sum = total;
  return MOTE_OK;
}

static mote_status clip(mote_stream *stream, int64_t n, const double *squares, float limit, float *x) {
  const float scale = mote_clip_scale(*squares, limit);
  if (scale == 1) return MOTE_OK;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > SMALL)
  for (int64_t k = 0; k < n; k++) x[k] *= scale;
  return MOTE_OK;
}

/* ---- Updates: a chunk at a time, so that the compiler sees plain loops ---- */

VECTOR void update_range(int adamax, const mote_update_step *s, int64_t n, const float *restrict gradient,
                         const unsigned char *restrict decays, float *restrict first, float *restrict second,
                         float *restrict parameter) {
  const mote_update_step step = *s;
  for (int64_t k = 0; k < n; k++) {
    float decay = decays ? step.decay * (float)decays[k] : step.decay;
    if (adamax)
      mote_update_adamax(&step, decay, gradient[k], &first[k], &second[k], &parameter[k]);
    else
      mote_update_adamw(&step, decay, gradient[k], &first[k], &second[k], &parameter[k]);
  }
}

static mote_status update(mote_stream *stream, int64_t n, const mote_optimizer *optimizer,
                          const float *gradient, const unsigned char *decays, float *first, float *second,
                          float *parameter) {
  const mote_update_step step = mote_update_prepare(optimizer);
  const int adamax = optimizer->adamax;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > SMALL)
  for (int64_t c = 0; c < chunks_of(n); c++) {
    const int64_t at = c * MOTE_SUM_CHUNK, size = end_of(c, n) - at;
    const unsigned char *own = decays ? decays + at : NULL;
    if (adamax && own)
      update_range(1, &step, size, gradient + at, own, first + at, second + at, parameter + at);
    else if (adamax)
      update_range(1, &step, size, gradient + at, NULL, first + at, second + at, parameter + at);
    else if (own)
      update_range(0, &step, size, gradient + at, own, first + at, second + at, parameter + at);
    else
      update_range(0, &step, size, gradient + at, NULL, first + at, second + at, parameter + at);
  }
  return MOTE_OK;
}

/* ---- The loss ---- */

typedef struct loss_part {
  double sum;
  int64_t particles;
} loss_part;

static loss_part loss_of(int64_t first, int64_t end, int dim, const int32_t *type, const float *a,
                         const float *target, float huber) {
  loss_part part = {0, 0};
  for (int64_t i = first; i < end; i++) {
    if (!mote_is_free(type, i)) continue;
    part.particles++;
    part.sum += dim * mote_bent(mote_particle_squares(i, dim, a, target) / dim, huber);
  }
  return part;
}

static mote_status find_loss(mote_stream *stream, int64_t n, int dim, const int32_t *type, const float *a,
                             const float *target, float huber, float weight, double *loss, float *d_a,
                             mote_buffer *scratch) {
  const int64_t chunks = chunks_of(n);
  const int threads = mote_stream_threads(stream);
  MOTE_TRY(mote_buffer_reserve(scratch, stream->device, (size_t)chunks * sizeof(loss_part)));
  loss_part *part = scratch->data, total = {0, 0};
#pragma omp parallel for num_threads(threads) schedule(static) if (n > SMALL)
  for (int64_t c = 0; c < chunks; c++)
    part[c] = loss_of(c * MOTE_SUM_CHUNK, end_of(c, n), dim, type, a, target, huber);
  for (int64_t c = 0; c < chunks; c++) {
    total.sum += part[c].sum;
    total.particles += part[c].particles;
  }
  *loss = mote_square_loss(total.sum, total.particles, dim, weight);
  const float slope = mote_square_slope(total.particles, dim, weight);
  if (!d_a) return MOTE_OK;
#pragma omp parallel for num_threads(threads) schedule(static) if (n > SMALL)
  for (int64_t i = 0; i < n; i++) {
    if (mote_is_free(type, i))
      mote_particle_slope(i, dim, a, target, huber, slope, d_a);
    else
      memset(d_a + i * dim, 0, (size_t)dim * sizeof *d_a);
  }
  return MOTE_OK;
}

const struct mote_optimize_kernels mote_optimize_cpu = {
    .pack = pack,
    .combine = combine,
    .sum_rows = sum_rows,
    .sum_squares = sum_squares,
    .clip = clip,
    .update = update,
    .loss = find_loss,
};
