/* mote-bench reconstruct: one frame of the reduced-order operator, dense points from one sparse point in
   twenty and from 1,000. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mote/operator.h>
#include <mote/random.h>

#include "bench/bench.h"
#include "host/core/error.h"
#include "host/models/operator.h"

typedef struct job {
  mote_reconstruction *reconstruction;
  float *sparse, *next;
  int64_t count;
  int turn;
} job;

/* A swirl to and fro, so that the cloud stays where it is however often it is advanced. */
static void swirl(job *j) {
  for (int64_t i = 0; i < j->count; i++) {
    const float *x = j->sparse + 3 * i;
    float *y = j->next + 3 * i;
    memcpy(y, x, 12);
    if (j->turn) continue;
    y[0] += 0.01f * (0.5f - x[1] + 0.3f * sinf(9 * x[1]));
    y[1] += 0.01f * (x[0] - 0.5f + 0.3f * sinf(9 * x[0]));
  }
  j->turn = !j->turn;
}

static mote_status advance(void *context, mote_stream *stream) {
  (void)stream;
  job *j = context;
  swirl(j);
  return mote_reconstruction_advance(j->reconstruction, j->next);
}

static void fill(float *x, int64_t n, uint64_t stream) {
  for (int64_t i = 0; i < n; i++)
    for (int a = 0; a < 3; a++) x[3 * i + a] = 0.3f + 0.4f * mote_random_uniform(1, stream, (uint64_t)i, a);
}

static mote_status time_case(bench_context *bench, int64_t sparse, int64_t dense, int learned) {
  job j = {.count = sparse, .sparse = malloc((size_t)sparse * 12), .next = malloc((size_t)sparse * 12)};
  float *points = malloc((size_t)dense * 12);
  char name[64];
  /* Untrained weights take as long as trained ones. */
  const char kind[1][32] = {"newtonian"};
  mote_operator *network = NULL;
  snprintf(name, sizeof name, "reconstruct/from %lld%s", (long long)sparse, learned ? ", learned" : "");
  bench_result r = {.name = name, .n = dense, .unit = "points/s"};
  size_t before = mote_device_memory_use(bench->device).bytes_now;
  mote_status status =
      j.sparse && j.next && points ? MOTE_OK : mote_fail(MOTE_ERROR_MEMORY, "out of memory for %s", name);
  if (status == MOTE_OK) {
    fill(j.sparse, sparse, 1);
    fill(points, dense, 2);
    mote_operator_settings settings;
    mote_operator_defaults(&settings);
    if (learned) status = mote_operator_create(&settings, 1, kind, 1, &network);
    mote_reconstruction_options options = {.dim = 3,
                                           .sparse_count = sparse,
                                           .dense_count = dense,
                                           .sparse = j.sparse,
                                           .dense = points,
                                           .dense_spacing = 0.4 / cbrt((double)dense),
                                           .bounds = {{0, 1}, {0, 1}, {0, 1}},
                                           .learned = network};
    if (status == MOTE_OK)
      status = mote_reconstruction_create(bench->device, &settings, &options, &j.reconstruction);
  }
  if (status == MOTE_OK) status = bench_time(bench, advance, &j, 7, &r);
  if (status == MOTE_OK) {
    r.rate = (double)dense / r.seconds;
    /* A point: position read and written, increment written and read, last increment and reach written. */
    r.bytes = (double)dense * 4 * (3 + 3 + 3 + 3 + 3 + 1);
    r.memory = mote_device_memory_use(bench->device).bytes_now - before;
    bench_add(bench, &r);
  }
  mote_operator_destroy(network);
  mote_reconstruction_destroy(j.reconstruction);
  free(j.sparse);
  free(j.next);
  free(points);
  return status;
}

mote_status bench_reconstruct(bench_context *bench) {
  int64_t dense = bench->size ? bench->size : 100000;
  for (int learned = 0; learned < 2; learned++) {
    MOTE_TRY(time_case(bench, dense >= 20 ? dense / 20 : 1, dense, learned));
    MOTE_TRY(time_case(bench, 1000, dense, learned));
    if (!bench->quick && !bench->size) MOTE_TRY(time_case(bench, 1000, 1000000, learned));
  }
  return MOTE_OK;
}
