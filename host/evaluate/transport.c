/* See transport.h. The trick: where particles are paired the same ones are drawn of both clouds, so that the
   drawing adds no distance of its own between clouds that are the same. */
#include "host/evaluate/transport.h"

#include <math.h>
#include <stdlib.h>

#include <mote/nearest.h>
#include <mote/sample.h>

#include "host/core/error.h"
#include "host/evaluate/evaluator.h"

void mote_transport_close(mote_transport *t) {
  free(t->index);
  free(t->drawn[0]);
  free(t->drawn[1]);
}

/* The mean distance to the nearest neighbour in T's first frame; particles that coincide do not count. */
static mote_status measure_spacing(mote_device *device, const mote_pair *p, double *spacing) {
  int64_t n = p->rows, count = 0;
  double sum = 0;
  float *x = malloc((size_t)(n + 1) * 3 * sizeof *x),
        *squares = malloc((size_t)(n + 1) * 2 * sizeof *squares);
  int32_t *index = malloc((size_t)(n + 1) * 2 * sizeof *index);
  mote_status status = x && squares && index
                           ? mote_trajectory_read_frames(p->reader[1], p->index[1], "position", 0, 1, x)
                           : mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld particles", (long long)n);
  if (status == MOTE_OK) status = mote_nearest(device, x, n, x, n, p->room.dim, 2, index, squares);
  for (int64_t i = 0; status == MOTE_OK && i < n; i++)
    if (squares[2 * i + 1] > 0 && isfinite(squares[2 * i + 1])) {
      sum += sqrt((double)squares[2 * i + 1]);
      count++;
    }
  *spacing = count ? sum / (double)count : 0;
  free(x);
  free(squares);
  free(index);
  return status;
}

mote_status mote_transport_open(mote_evaluator *evaluator, const mote_pair *p, const mote_evaluate_options *o,
                                mote_transport *t) {
  size_t most = (size_t)(o->sinkhorn_points > 0 ? o->sinkhorn_points : 1);
  if (o->sinkhorn_points < 1 || !(o->sinkhorn_blur > 0))
    return mote_fail(
        MOTE_ERROR_ARGUMENT,
        "Sinkhorn distances of %lld points with a blur of %g spacings: expected positive numbers",
        (long long)o->sinkhorn_points, o->sinkhorn_blur);
  *t = (mote_transport){.blur = o->sinkhorn_blur, .most = o->sinkhorn_points, .seed = o->seed};
  t->spacing = p->metadata.dx;
  if (!(t->spacing > 0)) MOTE_TRY(measure_spacing(evaluator->stream->device, p, &t->spacing));
  if (!(t->spacing > 0))
    return mote_fail(MOTE_ERROR_ARGUMENT, "Sinkhorn distances: the particles have no spacing to blur by");
  t->spacing *= pow((double)p->rows / (double)p->n[1], 1.0 / p->room.dim);
  int64_t largest = p->n[0] > p->n[1] ? p->n[0] : p->n[1];
  t->index = malloc((size_t)(largest + 1) * sizeof *t->index);
  most = most < (size_t)largest ? most : (size_t)largest;
  for (int side = 0; side < 2; side++) t->drawn[side] = malloc((most + 1) * 3 * sizeof(float));
  if (!t->index || !t->drawn[0] || !t->drawn[1])
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for Sinkhorn distances of %zu points", most);
  t->evaluator = evaluator;
  return MOTE_OK;
}

double mote_transport_blur(const mote_transport *t, int dim, int64_t n, int64_t m) {
  int64_t fewest = n < m ? n : m;
  if (fewest > t->most) fewest = t->most;
  return t->blur * t->spacing * pow((double)m / (double)(fewest ? fewest : 1), 1.0 / dim);
}

static mote_status draw(mote_transport *t, int dim, const float **x, int64_t *n, int again, float *to) {
  if (*n <= t->most) return MOTE_OK;
  mote_sample_options options = {.method = MOTE_SAMPLE_UNIFORM, .count = t->most, .seed = t->seed};
  if (!again) MOTE_TRY(mote_sample(*x, *n, dim, &options, t->index, n, NULL));
  mote_select_rows(*x, t->index, t->most, dim, to);
  *n = t->most;
  *x = to;
  return MOTE_OK;
}

mote_status mote_transport_distance(mote_transport *transport, int dim, const float *d, int64_t n,
                                    const float *t, int64_t m, int paired, double *distance) {
  mote_sinkhorn_options options = {.blur = mote_transport_blur(transport, dim, n, m)};
  mote_sinkhorn result;
  int again = paired && n == m;
  MOTE_TRY(draw(transport, dim, &d, &n, 0, transport->drawn[0]));
  MOTE_TRY(draw(transport, dim, &t, &m, again, transport->drawn[1]));
  MOTE_TRY(mote_evaluate_sinkhorn(transport->evaluator, dim, d, n, t, m, &options, &result));
  *distance = result.distance;
  return MOTE_OK;
}
