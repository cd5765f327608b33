/* Errors between two clouds of points. The trick: sums run over fixed chunks, each in order, and the chunks'
   sums are added in order, so the number of threads does not show in any digit. */
#include <mote/evaluate.h>

#include <math.h>
#include <stdlib.h>

#include "host/core/error.h"
#include "host/evaluate/evaluator.h"

#define CHUNK 4096

mote_status mote_evaluator_create(mote_device *device, mote_evaluator **evaluator) {
  *evaluator = calloc(1, sizeof **evaluator);
  if (!*evaluator) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for an evaluator");
  mote_status status = mote_stream_create(device, &(*evaluator)->stream);
  if (status == MOTE_OK) return MOTE_OK;
  free(*evaluator);
  *evaluator = NULL;
  return status;
}

void mote_evaluator_destroy(mote_evaluator *e) {
  if (!e) return;
  mote_nearest_search_free(&e->search);
  for (int k = 0; k < 2; k++) mote_buffer_free(&e->points[k]);
  mote_buffer_free(&e->indices);
  mote_stream_destroy(e->stream);
  free(e->nearest);
  free(e);
}

typedef struct partial {
  double squares, lengths, norm, maximum;
} partial;

static double squared_distance(const float *a, const float *b, int dim) {
  double sum = 0;
  for (int k = 0; k < dim; k++) {
    double d = (double)a[k] - (double)b[k];
    sum += d * d;
  }
  return sum;
}

/* Sums of a chunk: |d_i - t_j|^2, |d_i - t_j|, |t_j|^2, and the largest |d_i - t_j|^2; j is match[i], or i.
 */
static partial sum_chunk(const float *d, const float *t, const int32_t *match, int64_t first, int64_t end,
                         int dim) {
  partial p = {0, 0, 0, 0};
  for (int64_t i = first; i < end; i++) {
    const float *other = t + (match ? match[i] : i) * dim;
    double squared = squared_distance(d + i * dim, other, dim);
    p.squares += squared;
    p.lengths += sqrt(squared);
    p.maximum = fmax(p.maximum, squared);
    for (int k = 0; k < dim; k++) p.norm += (double)other[k] * (double)other[k];
  }
  return p;
}

static mote_status sum_pairs(const float *d, const float *t, const int32_t *match, int64_t n, int dim,
                             int threads, partial *total) {
  int64_t chunks = (n + CHUNK - 1) / CHUNK;
  partial *parts = malloc((size_t)(chunks + 1) * sizeof *parts);
  if (!parts) return mote_fail(MOTE_ERROR_MEMORY, "out of memory comparing %lld points", (long long)n);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t c = 0; c < chunks; c++)
    parts[c] = sum_chunk(d, t, match, c * CHUNK, (c + 1) * CHUNK < n ? (c + 1) * CHUNK : n, dim);
  *total = (partial){0, 0, 0, 0};
  for (int64_t c = 0; c < chunks; c++) {
    total->squares += parts[c].squares;
    total->lengths += parts[c].lengths;
    total->norm += parts[c].norm;
    total->maximum = fmax(total->maximum, parts[c].maximum);
  }
  free(parts);
  return MOTE_OK;
}

static mote_status check_finite(const float *x, int64_t n, int dim, const char *which) {
  for (int64_t i = 0; i < n * dim; i++)
    if (!isfinite(x[i]))
      return mote_fail(MOTE_ERROR_NUMERIC, "%s: particle %lld has coordinate %d = %g, which is not finite",
                       which, (long long)(i / dim), (int)(i % dim), (double)x[i]);
  return MOTE_OK;
}

/* The mean distance of the points of `from` (n) to their nearest of `to` (m). */
static mote_status one_sided(mote_evaluator *e, int dim, const float *from, int64_t n,
                             const mote_buffer *from_device, const float *to, int64_t m,
                             const mote_buffer *to_device, double *mean) {
  MOTE_TRY(mote_nearest_search_on(&e->search, e->stream, to_device->data, m, from_device->data, n, dim, 1,
                                  e->indices.data, NULL));
  MOTE_TRY(mote_download(e->stream, e->nearest, e->indices.data, (size_t)n * sizeof(int32_t)));
  partial total;
  MOTE_TRY(sum_pairs(from, to, e->nearest, n, dim, mote_stream_threads(e->stream), &total));
  *mean = total.lengths / (double)n;
  return MOTE_OK;
}

static mote_status chamfer(mote_evaluator *e, int dim, const float *d, int64_t n, const float *t, int64_t m,
                           double *distance) {
  int64_t most = n > m ? n : m;
  mote_device *device = e->stream->device;
  if (most > e->nearest_capacity) {
    free(e->nearest);
    e->nearest_capacity = 0;
    e->nearest = malloc((size_t)most * sizeof(int32_t));
    if (!e->nearest)
      return mote_fail(MOTE_ERROR_MEMORY, "out of memory comparing %lld points", (long long)most);
    e->nearest_capacity = most;
  }
  size_t row = (size_t)dim * sizeof(float);
  MOTE_TRY(mote_buffer_reserve(&e->points[0], device, (size_t)n * row));
  MOTE_TRY(mote_buffer_reserve(&e->points[1], device, (size_t)m * row));
  MOTE_TRY(mote_buffer_reserve(&e->indices, device, (size_t)most * sizeof(int32_t)));
  MOTE_TRY(mote_upload(e->stream, e->points[0].data, d, (size_t)n * row));
  MOTE_TRY(mote_upload(e->stream, e->points[1].data, t, (size_t)m * row));
  double forth, back;
  MOTE_TRY(one_sided(e, dim, d, n, &e->points[0], t, m, &e->points[1], &forth));
  MOTE_TRY(one_sided(e, dim, t, m, &e->points[1], d, n, &e->points[0], &back));
  *distance = (forth + back) / 2;
  return MOTE_OK;
}

mote_status mote_evaluate_points(mote_evaluator *e, int dim, const float *d, int64_t n, const float *t,
                                 int64_t m, int with_chamfer, mote_errors *errors) {
  *errors = (mote_errors){NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
  if (dim != 2 && dim != 3)
    return mote_fail(MOTE_ERROR_ARGUMENT, "errors of points: dim %d: expected 2 or 3", dim);
  if (n < 0 || m < 0)
    return mote_fail(MOTE_ERROR_ARGUMENT, "errors of points: %lld and %lld points", (long long)n,
                     (long long)m);
  MOTE_TRY(check_finite(d, n, dim, "the reconstruction"));
  MOTE_TRY(check_finite(t, m, dim, "the truth"));
  if (n == m) {
    partial total;
    MOTE_TRY(sum_pairs(d, t, NULL, n, dim, mote_stream_threads(e->stream), &total));
    errors->rmse = n ? sqrt(total.squares / (double)n) : 0;
    errors->position = n ? total.lengths / (double)n : 0;
    errors->maximum = sqrt(total.maximum);
    errors->relative_l2 = sqrt(total.squares) / (total.norm > 0 ? sqrt(total.norm) : 1);
  }
  if (!with_chamfer || (n == 0) != (m == 0)) return MOTE_OK;
  if (n == 0) {
    errors->chamfer = 0;
    return MOTE_OK;
  }
  return chamfer(e, dim, d, n, t, m, &errors->chamfer);
}
