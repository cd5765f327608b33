/* mote-bench reduced: what a step costs when a dense graph network (GNS, 10 layers of width 128) moves all
   particles, and when Mote moves 1,000 by a time-stepper of the published size and reconstructs all. Random
   weights: they cost what trained ones do. Each cloud fills a cube, about 30 neighbours a particle. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mote/random.h>

#include "bench/bench.h"
#include "bench/count.h"
#include "bench/reduced.h"
#include "host/core/clock.h"
#include "host/core/error.h"
#include "host/models/operator.h"
#include "host/models/reconstruction.h"
#include "host/models/stepper.h"

#define SPARSE 1000
#define SIDE 0.5 /* m, of the cube that the cloud fills, in a domain of 1 m */
#define NEIGHBOURS 30

/* ---- clouds ---- */

/* A jittered lattice of n points in the cube; frames that move slowly together. */
static void fill_history(int64_t n, int frames, float *history) {
  int64_t side = (int64_t)ceil(cbrt((double)n) - 1e-9);
  double spacing = SIDE / (double)side;
  for (int64_t i = 0; i < n; i++) {
    int64_t cell[3] = {i % side, i / side % side, i / side / side};
    for (int a = 0; a < 3; a++) {
      double jitter = 0.8 * (mote_random_uniform(5, 1, (uint64_t)i, (uint32_t)a) - 0.5);
      double x = 0.25 + spacing * ((double)cell[a] + 0.5 + jitter);
      for (int f = 0; f < frames; f++)
        history[((int64_t)f * n + i) * 3 + a] = (float)(x + 1e-4 * (f - frames) * (1 + 0.1 * a));
    }
  }
}

static double spacing_of(int64_t n) {
  return SIDE / cbrt((double)n);
}

/* Statistics that keep the cloud in its place: a step's work is what is timed, not its physics. */
static mote_metadata metadata_of(int64_t n) {
  mote_metadata m = {.dim = 3, .dt = 1, .write_every = 1, .has_statistics = 1, .dx = spacing_of(n)};
  m.connectivity_radius = spacing_of(n) * cbrt((NEIGHBOURS + 1) / (4.0 / 3 * 3.14159265358979));
  for (int a = 0; a < 3; a++) {
    m.bounds[a][1] = 1;
    m.velocity_std[a] = 1e-4;
    m.acceleration_std[a] = 1e-9;
  }
  return m;
}

/* ---- one side: a stepper on a cloud ---- */

typedef struct side {
  int steps; /* that follow one another before the host looks: a rollout does not wait for each */
  mote_model *model;
  mote_stepper *stepper;
  mote_reconstruction *reconstruction;
} side;

static void release(side *s) {
  mote_reconstruction_destroy(s->reconstruction);
  mote_stepper_destroy(s->stepper);
  mote_model_destroy(s->model);
}

static mote_status make_stepper(bench_context *bench, mote_network_kind kind, int64_t n, side *s) {
  mote_network_config config;
  mote_network_config_published(kind, &config);
  config.noise = 0;
  mote_metadata metadata = metadata_of(n);
  mote_stepper_options options = {.count = n, .metadata = &metadata};
  int frames = config.window + 1;
  float *history = malloc((size_t)(frames * n) * 12);
  if (!history) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld particles", (long long)n);
  fill_history(n, frames, history);
  mote_status status = mote_model_invent(bench->device, &config, 1, &s->model);
  if (status == MOTE_OK) status = mote_stepper_create(s->model, &options, &s->stepper);
  if (status == MOTE_OK) status = mote_stepper_start(s->stepper, history);
  free(history);
  return status;
}

static mote_status make_operator(bench_context *bench, int64_t dense, side *s) {
  const char kind[1][32] = {"newtonian"};
  mote_operator_settings settings;
  mote_operator *network = NULL;
  float *sparse = malloc(SPARSE * 12), *points = malloc((size_t)dense * 12);
  mote_operator_defaults(&settings);
  mote_status status = sparse && points
                           ? mote_operator_create(&settings, 1, kind, 1, &network)
                           : mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld points", (long long)dense);
  if (status == MOTE_OK) {
    fill_history(SPARSE, 1, sparse);
    fill_history(dense, 1, points);
    mote_reconstruction_options options = {.dim = 3,
                                           .sparse_count = SPARSE,
                                           .dense_count = dense,
                                           .sparse = sparse,
                                           .dense = points,
                                           .dense_spacing = spacing_of(dense),
                                           .bounds = {{0, 1}, {0, 1}, {0, 1}},
                                           .learned = network};
    status = mote_reconstruction_create(bench->device, &settings, &options, &s->reconstruction);
  }
  mote_operator_destroy(network);
  free(sparse);
  free(points);
  return status;
}

static mote_status enqueue_reconstruction(side *s) {
  return mote_reconstruction_enqueue(s->reconstruction, s->stepper->stream,
                                     mote_stepper_position(s->stepper));
}

static mote_status step(void *context, mote_stream *stream) {
  side *s = context;
  (void)stream;
  for (int k = 0; k < s->steps; k++) MOTE_TRY(mote_stepper_advance(s->stepper, NULL));
  return mote_stepper_settle(s->stepper);
}

static mote_status reconstruct(void *context, mote_stream *stream) {
  side *s = context;
  (void)stream;
  for (int k = 0; k < s->steps; k++) MOTE_TRY(enqueue_reconstruction(s));
  return mote_reconstruction_settle(s->reconstruction);
}

static mote_status both(void *context, mote_stream *stream) {
  side *s = context;
  (void)stream;
  for (int k = 0; k < s->steps; k++) {
    MOTE_TRY(mote_stepper_advance(s->stepper, NULL));
    MOTE_TRY(enqueue_reconstruction(s));
  }
  MOTE_TRY(mote_stepper_settle(s->stepper));
  return mote_reconstruction_settle(s->reconstruction);
}

/* Of one step. */
static mote_status time_steps(bench_context *bench, mote_step_function function, side *s, int repeats,
                              bench_result *result) {
  MOTE_TRY(bench_time(bench, function, s, repeats, result));
  result->seconds /= s->steps;
  return MOTE_OK;
}

/* Where the host takes no part in a step, and so many do not take long. */
static int steps_of(const bench_context *bench, int64_t n) {
  return bench->device->has_unified_host_memory || n > 10000 ? 1 : 10;
}

/* What the edge state, graph and features of the dense network take, against what the machine has free. */
static int fits(const bench_context *bench, int64_t n) {
  if (!bench->device->has_unified_host_memory) return 1; /* the device itself will say */
  double edges = (double)n * (NEIGHBOURS + 1) * 1.25 * 1.125;
  double bytes = edges * 4 * (128 + 4 + 1 + 2) + (double)n * 4 * (128 * 6 + 100);
  return bytes < 0.9 * (double)sysconf(_SC_AVPHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
}

/* ---- the two sides at one size ---- */

static mote_status time_dense(bench_context *bench, int64_t n, reduced_row *row) {
  side s = {.steps = steps_of(bench, n)};
  int64_t edges = 0;
  char name[64];
  snprintf(name, sizeof name, "reduced/dense network");
  bench_result r = {.name = name, .n = n, .unit = "edges/s"};
  size_t before = mote_device_memory_use(bench->device).bytes_now;
  mote_status status = make_stepper(bench, MOTE_GNS, n, &s);
  if (status == MOTE_OK) status = time_steps(bench, step, &s, 1, &r);
  if (status == MOTE_OK) status = mote_stepper_profile(s.stepper, &row->dense_phases);
  if (status == MOTE_OK) status = mote_stepper_edge_count(s.stepper, &edges);
  if (status == MOTE_OK) {
    r.rate = (double)edges / r.seconds;
    r.operations = bench_operations(s.model, &(bench_rows){.nodes = n, .edges = edges});
    r.memory = mote_device_memory_use(bench->device).bytes_now - before;
    row->dense_ms = 1e3 * r.seconds;
    row->dense_bytes = r.memory;
    row->edges = edges;
    row->dense_gflops = 1e-9 * r.operations / r.seconds;
    bench_add(bench, &r);
  }
  release(&s);
  return status;
}

static mote_status time_reduced(bench_context *bench, int64_t n, reduced_row *row) {
  side s = {.steps = steps_of(bench, SPARSE)};
  bench_result all = {.name = "reduced/Mote, 1,000 and all", .n = n, .unit = "particles/s"};
  bench_result part = {.name = "reduced/Mote, the step", .n = SPARSE, .unit = "particles/s"};
  bench_result rest = {.name = "reduced/Mote, reconstruction", .n = n, .unit = "points/s"};
  size_t before = mote_device_memory_use(bench->device).bytes_now;
  mote_status status = make_stepper(bench, MOTE_GIOROM, SPARSE, &s);
  if (status == MOTE_OK) status = make_operator(bench, n, &s);
  if (status == MOTE_OK) status = time_steps(bench, both, &s, 5, &all);
  if (status == MOTE_OK) status = time_steps(bench, step, &s, 5, &part);
  if (status == MOTE_OK) status = time_steps(bench, reconstruct, &s, 5, &rest);
  if (status == MOTE_OK) status = mote_stepper_profile(s.stepper, &row->step_phases);
  if (status == MOTE_OK) {
    all.memory = part.memory = rest.memory = mote_device_memory_use(bench->device).bytes_now - before;
    all.rate = (double)n / all.seconds;
    part.rate = SPARSE / part.seconds;
    rest.rate = (double)n / rest.seconds;
    row->reduced_ms = 1e3 * all.seconds;
    row->step_ms = 1e3 * part.seconds;
    row->reconstruct_ms = 1e3 * rest.seconds;
    row->reduced_bytes = all.memory;
    bench_add(bench, &all);
    bench_add(bench, &part);
    bench_add(bench, &rest);
  }
  release(&s);
  return status;
}

#define LONGEST_STEP 100.0 /* s; a dense size is left out behind one that took a third of it */

mote_status bench_reduced(bench_context *bench) {
  static const int64_t sizes[] = {1000, 3000, 10000, 30000, 100000, 300000, 1000000};
  reduced_table table = {0};
  double last = 0;
  int count = bench->quick ? 3 : (int)(sizeof sizes / sizeof *sizes);
  for (int k = 0; k < count; k++) {
    reduced_row *row = &table.row[table.count++];
    row->n = bench->size ? bench->size : sizes[k];
    MOTE_TRY(time_reduced(bench, row->n, row));
    if (!fits(bench, row->n))
      snprintf(row->why, sizeof row->why, "does not fit into memory");
    else if (last > LONGEST_STEP / 3)
      snprintf(row->why, sizeof row->why, "left out: the size before took %.0f s a step", last);
    else {
      mote_status status = time_dense(bench, row->n, row);
      if (status == MOTE_ERROR_MEMORY)
        snprintf(row->why, sizeof row->why, "does not fit into memory");
      else
        MOTE_TRY(status);
    }
    if (*row->why) printf("%-34s %10lld  %s\n", "reduced/dense network", (long long)row->n, row->why);
    if (row->dense_ms > 0) last = 1e-3 * row->dense_ms;
    if (bench->size) break;
  }
  return reduced_report(bench, &table);
}
