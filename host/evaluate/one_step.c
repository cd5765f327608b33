/* One-step errors. The stepper starts anew from each true history; trivial predictors get the same one. */
#include <mote/one_step.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/evaluate/trivial.h"
#include "host/models/step_file.h"
#include "host/models/stepper.h"

typedef struct state {
  const mote_one_step_job *job;
  mote_device *device;
  mote_trajectory_reader *reader;
  mote_model *model;
  mote_metadata statistics, metadata; /* the model's, and the input's (all zero without) */
  mote_room room;
  double frame_time;
  int frames; /* of a history */
  /* Of the trajectory at hand: */
  int index;
  mote_trajectory_info info;
  int64_t n; /* particles that are there */
  mote_stepper *stepper;
  int32_t *chosen, *type;
  unsigned char *kinematic;
  int any_kinematic;
  float *whole, *window; /* a frame of all; (frames + 1, n, dim): the history and what comes of it */
  float *rest, *next, *normalized; /* rest: the first frame's positions */
} state;

static void close_trajectory(state *s) {
  void *all[] = {s->chosen, s->type, s->kinematic, s->whole, s->window, s->rest, s->next, s->normalized};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) free(all[k]);
  s->chosen = s->type = NULL;
  s->kinematic = NULL;
  s->whole = s->window = s->rest = s->next = s->normalized = NULL;
  mote_stepper_destroy(s->stepper);
  s->stepper = NULL;
}

/* ---- a trajectory ---- */

static mote_status choose(state *s) {
  const mote_sample_options *o = &s->job->sampling;
  int64_t n = s->info.particles;
  s->n = n;
  if (o->count > n)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%lld sparse particles of %lld: expected no more than there are",
                     (long long)o->count, (long long)n);
  for (int64_t i = 0; i < n; i++) s->chosen[i] = (int32_t)i;
  if (!o->count && !(o->ratio > 0)) return MOTE_OK;
  MOTE_TRY(mote_trajectory_read_frames(s->reader, s->index, "position", 0, 1, s->whole));
  return mote_sample(s->whole, n, s->info.dim, o, s->chosen, &s->n, NULL);
}

static mote_status read_types(state *s) {
  int64_t moving = 0;
  MOTE_TRY(mote_trajectory_read_labels(s->reader, s->index, "particle_type", s->type));
  s->any_kinematic = 0;
  for (int64_t i = 0; i < s->n; i++) {
    s->type[i] = s->type[s->chosen[i]]; /* chosen ascends */
    s->kinematic[i] = s->type[i] == MOTE_TYPE_KINEMATIC;
    s->any_kinematic |= s->kinematic[i];
    moving += !s->kinematic[i];
  }
  return moving ? MOTE_OK : mote_fail(MOTE_ERROR_ARGUMENT, "all its particles are kinematic");
}

static mote_status open_trajectory(state *s, int index) {
  s->index = index;
  MOTE_TRY(mote_trajectory_get_info(s->reader, index, &s->info));
  if (s->info.dim != s->statistics.dim)
    return mote_fail(MOTE_ERROR_ARGUMENT, "it is %d-D, the model's metadata %d-D", s->info.dim,
                     s->statistics.dim);
  if (s->info.frames <= s->frames)
    return mote_fail(MOTE_ERROR_ARGUMENT, "it has %lld frames: a history takes %d, and a step one more",
                     (long long)s->info.frames, s->frames);
  size_t n = (size_t)s->info.particles, row = (size_t)s->info.dim * sizeof(float);
  s->chosen = malloc((n + 1) * sizeof *s->chosen);
  s->type = malloc((n + 1) * sizeof *s->type);
  s->kinematic = malloc(n + 1);
  s->whole = malloc((n + 1) * row);
  s->rest = malloc((n + 1) * row);
  s->next = malloc((n + 1) * row);
  s->normalized = malloc((n + 1) * row);
  if (!s->chosen || !s->type || !s->kinematic || !s->whole || !s->rest || !s->next || !s->normalized)
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %zu particles", n);
  MOTE_TRY(choose(s));
  s->window = malloc((size_t)(s->n + 1) * row * (size_t)(s->frames + 1));
  if (!s->window) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld particles", (long long)s->n);
  MOTE_TRY(read_types(s));
  MOTE_TRY(mote_trajectory_read_frames(s->reader, s->index, "position", 0, 1, s->whole));
  mote_select_rows(s->whole, s->chosen, s->n, s->info.dim, s->rest);
  mote_stepper_options options = {.count = s->n,
                                  .particle_type = s->type,
                                  .metadata = &s->statistics,
                                  .radius = s->job->radius,
                                  .prescribed = s->any_kinematic};
  return mote_stepper_create(s->model, &options, &s->stepper);
}

/* ---- a step ---- */

static const float *window(const state *s, int frame) {
  return s->window + (int64_t)frame * s->n * s->info.dim;
}

/* Frames first .. first + frames: the history, and the next one. */
static mote_status read_window(state *s, int64_t first) {
  for (int f = 0; f <= s->frames; f++) {
    MOTE_TRY(mote_trajectory_read_frames(s->reader, s->index, "position", first + f, 1, s->whole));
    mote_select_rows(s->whole, s->chosen, s->n, s->info.dim, s->window + (int64_t)f * s->n * s->info.dim);
  }
  return MOTE_OK;
}

static void find_gravity(const state *s, double gravity[3], mote_gravity_source *source) {
  const mote_one_step_job *job = s->job;
  *source =
      mote_known_gravity(job->has_gravity, job->gravity, &s->metadata, s->info.dim, s->frame_time, gravity);
  if (*source != MOTE_GRAVITY_NONE || s->frames < 3) return;
  double sum[3] = {0};
  int64_t count = 0;
  for (int f = 2; f < s->frames; f++)
    count += mote_add_second_differences(&s->room, window(s, f - 2), window(s, f - 1), window(s, f), s->n,
                                         s->kinematic, sum);
  for (int a = 0; a < 3; a++) gravity[a] = sum[a] / (double)count;
  *source = MOTE_GRAVITY_ESTIMATED;
}

/* `normalized` NULL: a predictor's follows from its positions. */
static mote_one_step_errors measure(const state *s, const float *next, const float *normalized) {
  const float *before = window(s, s->frames - 2), *last = window(s, s->frames - 1),
              *truth = window(s, s->frames);
  const mote_integration *scale = &s->stepper->integration;
  double accelerations = 0, squares = 0, lengths = 0, most = 0;
  int64_t count = 0;
  int dim = s->info.dim;
  for (int64_t i = 0; i < s->n; i++) {
    double square = 0;
    if (s->kinematic[i]) continue;
    count++;
    for (int a = 0; a < dim; a++) {
      int64_t k = i * dim + a;
      double d = (double)next[k] - (double)truth[k], deviation = (double)scale->deviation[a];
      double inertia = 2 * (double)last[k] - (double)before[k];
      double asked = ((double)truth[k] - inertia - (double)scale->mean[a]) / deviation;
      double got = normalized ? (double)normalized[k]
                              : ((double)next[k] - inertia - (double)scale->mean[a]) / deviation;
      accelerations += (got - asked) * (got - asked);
      square += d * d;
    }
    squares += square;
    lengths += sqrt(square);
    most = fmax(most, sqrt(square));
  }
  double n = (double)count;
  return (mote_one_step_errors){sqrt(accelerations / n / dim), sqrt(squares / n), lengths / n, most};
}

static mote_status step(state *s, int64_t first, mote_gravity_source *source,
                        mote_one_step_errors errors[MOTE_ONE_STEP_ROWS]) {
  double gravity[3] = {0};
  const float *truth = window(s, s->frames);
  MOTE_TRY(read_window(s, first));
  MOTE_TRY(mote_stepper_start(s->stepper, s->window));
  MOTE_TRY(mote_stepper_set_rest(s->stepper, s->rest));
  MOTE_TRY(mote_stepper_advance(s->stepper, s->any_kinematic ? truth : NULL));
  MOTE_TRY(mote_stepper_read(s->stepper, s->next, s->normalized));
  errors[0] = measure(s, s->next, s->normalized);
  find_gravity(s, gravity, source);
  for (int k = 0; k < MOTE_TRIVIALS; k++) {
    mote_predict(&s->room, (mote_trivial)k, gravity, window(s, s->frames - 2), window(s, s->frames - 1), 1,
                 truth, s->kinematic, s->n, s->next);
    errors[1 + k] = measure(s, s->next, NULL);
    if (k >= MOTE_TRIVIAL_BALLISTIC && *source == MOTE_GRAVITY_NONE)
      errors[1 + k] = (mote_one_step_errors){NAN, NAN, NAN, NAN};
  }
  return MOTE_OK;
}

/* ---- means ---- */

static void pool(mote_one_step_trajectory *t) {
  for (int r = 0; r < MOTE_ONE_STEP_ROWS; r++) {
    mote_one_step_errors sum = {0};
    for (int64_t k = 0; k < t->steps; k++) {
      const mote_one_step_errors *e = &t->step[k][r];
      sum.acceleration += e->acceleration * e->acceleration;
      sum.rmse += e->rmse * e->rmse;
      sum.position += e->position;
      sum.maximum = isnan(e->maximum) ? NAN : fmax(sum.maximum, e->maximum);
    }
    double n = (double)t->steps;
    t->mean[r] =
        (mote_one_step_errors){sqrt(sum.acceleration / n), sqrt(sum.rmse / n), sum.position / n, sum.maximum};
  }
}

static void average(mote_one_step *result) {
  result->best = -1;
  for (int r = 0; r < MOTE_ONE_STEP_ROWS; r++) {
    mote_one_step_errors mean = {0};
    for (int k = 0; k < result->trajectories; k++) {
      const mote_one_step_errors *e = &result->trajectory[k].mean[r];
      mean.acceleration += e->acceleration / result->trajectories;
      mean.rmse += e->rmse / result->trajectories;
      mean.position += e->position / result->trajectories;
      mean.maximum = isnan(e->maximum) ? NAN : fmax(mean.maximum, e->maximum);
    }
    result->mean[r] = mean;
    int better = result->best < 0 || mean.position < result->mean[1 + result->best].position;
    if (r && isfinite(mean.position) && better) result->best = r - 1;
  }
  result->advantage =
      result->best < 0 ? NAN : result->mean[1 + result->best].position / result->mean[0].position;
}

/* ---- the whole ---- */

/* Returns 1 in `stop` where the monitor asks for it. */
static mote_status run_trajectory(state *s, int index, const mote_monitor *monitor, mote_one_step *result,
                                  int *stop) {
  mote_one_step_trajectory *t = &result->trajectory[index];
  int64_t every = s->job->every > 0 ? s->job->every : 1;
  MOTE_TRY(open_trajectory(s, index));
  int64_t starts = (s->info.frames - s->frames - 1) / every + 1;
  snprintf(t->name, sizeof t->name, "%s", mote_trajectory_name(s->reader, index));
  t->particles = s->n;
  t->frame = malloc((size_t)starts * sizeof *t->frame);
  t->step = malloc((size_t)starts * sizeof *t->step);
  if (!t->frame || !t->step)
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld steps", (long long)starts);
  for (int64_t k = 0; k < starts && !*stop; k++) {
    mote_status status = step(s, k * every, &result->gravity_source, t->step[k]);
    t->frame[k] = k * every + s->frames;
    if (status != MOTE_OK) return mote_fail_within(status, "the step to frame %lld", (long long)t->frame[k]);
    t->steps = k + 1;
    if (monitor && monitor->progress)
      *stop = monitor->progress(monitor->user, t->name, "steps", k + 1, starts) != 0;
  }
  pool(t);
  return MOTE_OK;
}

static mote_status open_all(state *s) {
  mote_model_info info;
  MOTE_TRY(mote_model_load(s->device, s->job->model, &s->model));
  mote_model_get_info(s->model, &info);
  s->frames = info.frames;
  MOTE_TRY(mote_step_metadata(s->job->model, s->job->metadata, &s->statistics));
  MOTE_TRY(mote_trajectory_open(s->job->input, &s->reader));
  if (mote_trajectory_read_metadata(s->reader, &s->metadata) != MOTE_OK) s->metadata = (mote_metadata){0};
  s->frame_time = s->metadata.dt * s->metadata.write_every;
  s->room.dim = s->statistics.dim;
  memcpy(s->room.bounds, s->statistics.bounds, sizeof s->room.bounds);
  return MOTE_OK;
}

static mote_status run(state *s, const mote_monitor *monitor, mote_one_step *result) {
  const char *slash = strrchr(s->job->model, '/');
  int stop = 0;
  MOTE_TRY(open_all(s));
  snprintf(result->name, sizeof result->name, "%s", slash && slash[1] ? slash + 1 : s->job->model);
  int count = mote_trajectory_count(s->reader);
  result->trajectory = calloc((size_t)count + 1, sizeof *result->trajectory);
  if (!result->trajectory) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %d trajectories", count);
  for (int k = 0; k < count && !stop; k++) {
    mote_status status = run_trajectory(s, k, monitor, result, &stop);
    close_trajectory(s);
    result->trajectories = k + 1;
    if (status != MOTE_OK)
      return mote_fail_within(status, "%s, %s", s->job->input, mote_trajectory_name(s->reader, k));
  }
  average(result);
  return MOTE_OK;
}

void mote_one_step_destroy(mote_one_step *result) {
  for (int k = 0; k < result->trajectories; k++) {
    free(result->trajectory[k].frame);
    free(result->trajectory[k].step);
  }
  free(result->trajectory);
  *result = (mote_one_step){0};
}

mote_status mote_one_step_evaluate(mote_device *device, const mote_one_step_job *job,
                                   const mote_monitor *monitor, mote_one_step *result) {
  state s = {.job = job, .device = device};
  *result = (mote_one_step){0};
  mote_status status = run(&s, monitor, result);
  close_trajectory(&s);
  mote_model_destroy(s.model);
  mote_trajectory_close(s.reader);
  if (status != MOTE_OK) mote_one_step_destroy(result);
  return status;
}
