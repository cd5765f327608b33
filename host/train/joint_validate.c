/* Validation of a joint training: the averaged weights of both, as a rollout applies them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/train/joint.h"
#include "host/train/rollout.h"

#define WINDOWS 4 /* of a trajectory, spread over it */

/* Steps the sparse set from `frame` on, into the example: the frames behind its first one. A step that is off
   leaves `reached` short of all. */
static mote_status step(mote_stepper_check *c, mote_example *e, int64_t *reached) {
  size_t bytes = (size_t)(c->window.particles * c->window.dim) * sizeof(float);
  for (*reached = 0; *reached < e->frames - 1; ++*reached) {
    mote_status status = mote_stepper_check_advance(c, (int)*reached);
    if (status == MOTE_OK) status = mote_stepper_read(c->stepper, c->answer, NULL);
    if (status == MOTE_ERROR_NUMERIC) return MOTE_OK;
    MOTE_TRY(status);
    memcpy((char *)e->sparse + (size_t)(*reached + 1) * bytes, c->answer, bytes);
  }
  return MOTE_OK;
}

/* Mean distance from the truth in a frame, from the errors by axis. */
static double distance(const float *error, int64_t n, int dim) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) {
    double square = 0;
    for (int a = 0; a < dim; a++) square += (double)error[i * dim + a] * error[i * dim + a];
    sum += sqrt(square);
  }
  return sum / (double)n;
}

/* The loss over `steps` steps from a history on, and the mean over them of the mean distance. Frames that
   were not reached count with the size of the domain. */
static mote_status compare(mote_stepper_check *c, const mote_example *e, int64_t reached, double *loss,
                           double *error) {
  mote_joint_trainer *j = c->trainer->owner;
  int64_t steps = e->frames - 1, values = e->dense_count * e->recording->dim;
  double limit = c->trainer->integration.limit;
  mote_example whole = *e;
  mote_rollout rollout = {0};
  whole.frames = reached + 1;
  MOTE_TRY(mote_rollout_create(c->trainer->device, &whole, j->weights.average, 1, &rollout));
  mote_status status = mote_rollout_forward(&rollout);
  float *errors = malloc((size_t)(whole.frames * values) * sizeof *errors);
  if (status == MOTE_OK && !errors) status = mote_fail(MOTE_ERROR_MEMORY, "out of memory for a validation");
  if (status == MOTE_OK)
    status = mote_download(rollout.reconstruction->stream, errors, rollout.error.data,
                           (size_t)(whole.frames * values) * sizeof *errors);
  *loss = *error = 0;
  for (int64_t f = 1; f <= steps && status == MOTE_OK; f++) {
    int there = f <= reached;
    *loss += (there ? rollout.rms[f] : limit) / mote_joint_scale(c->trainer, steps, f) / (double)steps;
    *error +=
        (there ? distance(errors + f * values, e->dense_count, e->recording->dim) : limit) / (double)steps;
  }
  free(errors);
  mote_rollout_free(&rollout);
  return status;
}

static mote_status roll(mote_stepper_check *c, int trajectory, int64_t frame, int steps, double *loss,
                        double *error) {
  mote_joint_trainer *j = c->trainer->owner;
  mote_recording recording;
  mote_example e;
  int64_t reached;
  MOTE_TRY(mote_stepper_check_begin(c, trajectory, frame, steps));
  MOTE_TRY(
      mote_joint_dense(c->reader, j, j->weights.average, &c->window, (uint64_t)trajectory, &recording, &e));
  mote_status status = step(c, &e, &reached);
  if (status == MOTE_OK) status = compare(c, &e, reached, loss, error);
  mote_example_free(&e);
  return status;
}

static mote_status check_all(mote_stepper_check *c, int trajectory, double *loss, double *error) {
  const mote_stepper_run *run = &c->trainer->run;
  mote_trajectory_info info;
  double unused;
  MOTE_TRY(mote_trajectory_get_info(c->reader, trajectory, &info));
  int64_t steps = info.frames - (run->config.window + 1), last = steps - run->push_steps;
  if (run->validate_frames && steps > run->validate_frames) steps = run->validate_frames;
  MOTE_TRY(roll(c, trajectory, 0, (int)steps, &unused, error));
  *loss = 0;
  for (int k = 0; k < WINDOWS; k++) {
    double one;
    MOTE_TRY(roll(c, trajectory, last * k / (WINDOWS - 1), (int)run->push_steps, &one, &unused));
    *loss += one / WINDOWS;
  }
  return MOTE_OK;
}

mote_status mote_joint_check(mote_stepper_trainer *t, int trajectory, double *loss, double *error) {
  mote_stepper_check c = {.trainer = t};
  mote_status status = mote_trajectory_open(t->valid_path, &c.reader);
  if (status == MOTE_OK) status = check_all(&c, trajectory, loss, error);
  mote_stepper_check_free(&c);
  return status;
}
