/* Validation of a time-stepper: one step from true histories, and rollouts. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/train/stepper_trainer.h"

#define ONE_STEPS 8 /* of a trajectory, spread over it */

void mote_stepper_check_free(mote_stepper_check *c) {
  mote_trajectory_close(c->reader);
  mote_stepper_destroy(c->stepper);
  mote_window_free(&c->window);
  free(c->answer);
}

/* Always the same sparse set of a trajectory, of the middle of the sizes. */
static mote_window_options options_of(const mote_stepper_trainer *t, int steps) {
  int64_t count = (t->run.least + t->run.most) / 2;
  return (mote_window_options){.frames = t->run.config.window + 1,
                               .steps = steps,
                               .method = t->run.method,
                               .least = count,
                               .most = count,
                               .seed = (uint64_t)t->run.seed};
}

static mote_status start(mote_stepper_check *c) {
  MOTE_TRY(mote_stepper_start(c->stepper, c->window.history));
  return mote_stepper_set_rest(c->stepper, c->window.rest);
}

mote_status mote_stepper_check_begin(mote_stepper_check *c, int trajectory, int64_t frame, int steps) {
  const mote_stepper_trainer *t = c->trainer;
  mote_window_options options = options_of(t, steps);
  MOTE_TRY(mote_window_read(c->reader, &options, trajectory, frame, (uint64_t)trajectory, &c->window));
  if (c->stepper) return start(c);
  for (int64_t i = 0; i < c->window.particles; i++) c->prescribed |= c->window.type[i] == MOTE_KINEMATIC;
  mote_stepper_options o = {.count = c->window.particles,
                            .particle_type = c->window.type,
                            .metadata = &t->metadata,
                            .radius = t->run.radius,
                            .prescribed = c->prescribed};
  MOTE_TRY(mote_stepper_create(t->weights.average, &o, &c->stepper));
  c->answer = malloc((size_t)(c->window.particles * c->window.dim) * sizeof *c->answer);
  if (!c->answer) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a validation");
  return start(c);
}

mote_status mote_stepper_check_advance(mote_stepper_check *c, int step) {
  const mote_window *w = &c->window;
  return mote_stepper_advance(c->stepper,
                              c->prescribed ? w->truth + (w->frames + step) * w->particles * w->dim : NULL);
}

static mote_status one_step(mote_stepper_check *c, int trajectory, int64_t frame, double *loss) {
  const mote_stepper_trainer *t = c->trainer;
  MOTE_TRY(mote_stepper_check_begin(c, trajectory, frame, 1));
  const mote_window *w = &c->window;
  int64_t values = w->particles * w->dim, counted = 0;
  float *target = malloc((size_t)values * sizeof *target);
  if (!target) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a validation");
  const float *now = w->truth + (w->frames - 1) * values;
  mote_window_target(w, 0, now - values, now, t->integration.mean, t->integration.deviation, target);
  mote_status status = mote_stepper_check_advance(c, 0);
  if (status == MOTE_OK) status = mote_stepper_read(c->stepper, NULL, c->answer);
  *loss = 0;
  for (int64_t k = 0; k < values && status == MOTE_OK; k++) {
    if (w->type[k / w->dim] == MOTE_KINEMATIC) continue;
    *loss += ((double)c->answer[k] - target[k]) * ((double)c->answer[k] - target[k]);
    counted++;
  }
  if (counted) *loss /= (double)counted;
  free(target);
  return status;
}

/* Mean distance to the truth's particles in a frame, m. */
static double distance(const mote_stepper_check *c, int step) {
  const mote_window *w = &c->window;
  const float *truth = w->truth + (w->frames + step) * w->particles * w->dim;
  double sum = 0;
  int64_t counted = 0;
  for (int64_t i = 0; i < w->particles; i++) {
    double square = 0;
    if (w->type[i] == MOTE_KINEMATIC) continue;
    for (int a = 0; a < w->dim; a++) {
      double d = (double)c->answer[i * w->dim + a] - truth[i * w->dim + a];
      square += d * d;
    }
    sum += sqrt(square);
    counted++;
  }
  return counted ? sum / (double)counted : 0;
}

static mote_status roll(mote_stepper_check *c, int trajectory, double *error) {
  const mote_stepper_trainer *t = c->trainer;
  mote_trajectory_info info;
  MOTE_TRY(mote_trajectory_get_info(c->reader, trajectory, &info));
  int64_t steps = info.frames - (t->run.config.window + 1);
  if (t->run.validate_frames && steps > t->run.validate_frames) steps = t->run.validate_frames;
  MOTE_TRY(mote_stepper_check_begin(c, trajectory, 0, (int)steps));
  *error = 0;
  for (int k = 0; k < steps; k++) {
    mote_status status = mote_stepper_check_advance(c, k);
    if (status == MOTE_OK) status = mote_stepper_read(c->stepper, c->answer, NULL);
    if (status == MOTE_ERROR_NUMERIC) return *error = t->integration.limit, MOTE_OK;
    MOTE_TRY(status);
    *error += distance(c, k) / (double)steps;
  }
  return MOTE_OK;
}

mote_status mote_stepper_trainer_check(mote_stepper_trainer *t, int trajectory, double *loss, double *error) {
  mote_stepper_check c = {.trainer = t};
  mote_trajectory_info info = {0};
  *loss = 0;
  mote_status status = mote_trajectory_open(t->valid_path, &c.reader);
  if (status == MOTE_OK) status = mote_trajectory_get_info(c.reader, trajectory, &info);
  if (status == MOTE_OK) status = roll(&c, trajectory, error);
  for (int k = 0; k < ONE_STEPS && status == MOTE_OK; k++) {
    double one = 0;
    int64_t last = info.frames - t->run.config.window - 2;
    status = one_step(&c, trajectory, last * k / (ONE_STEPS - 1), &one);
    *loss += one / ONE_STEPS;
  }
  mote_stepper_check_free(&c);
  return status;
}

static mote_status count_trajectories(const mote_stepper_trainer *t, int *count) {
  mote_trajectory_reader *reader;
  MOTE_TRY(mote_trajectory_open(t->valid_path, &reader));
  *count = mote_trajectory_count(reader);
  if (*count > t->run.validate_trajectories) *count = (int)t->run.validate_trajectories;
  mote_trajectory_close(reader);
  return MOTE_OK;
}

mote_status mote_stepper_trainer_validate(mote_stepper_trainer *t, double *loss, double *error) {
  int count;
  MOTE_TRY(count_trajectories(t, &count));
  MOTE_TRY(mote_trained_weights_pack_average(&t->weights));
  MOTE_TRY(mote_stream_synchronize(t->weights.stream));
  double losses[count + 1], errors[count + 1];
  mote_status failed = MOTE_OK;
  char message[512] = "";
  /* The model's device is one for all: safe for several threads on the CPU only. */
  int threads = t->workers < mote_device_threads(t->device) ? t->workers : mote_device_threads(t->device);
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (int k = 0; k < count; k++) {
    mote_status status = t->task->check(t, k, &losses[k], &errors[k]);
#pragma omp critical(stepper_validation)
    if (status != MOTE_OK && failed == MOTE_OK) {
      failed = status;
      snprintf(message, sizeof message, "%s", mote_last_error());
    }
  }
  *loss = *error = 0;
  if (failed != MOTE_OK) return mote_fail(failed, "validation: %s", message);
  for (int k = 0; k < count; k++) {
    *loss += losses[k] / count;
    *error += errors[k] / count;
  }
  return MOTE_OK;
}
