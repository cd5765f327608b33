/* The joint training's beginning, end and files; its loop is that of time-steppers. */
#include "host/train/joint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/core/error.h"
#include "host/core/file.h"
#include "host/models/reconstruction.h"
#include "host/train/kinds.h"

static mote_status out_of_memory(void) {
  return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a training");
}

/* ---- the task ---- */

static mote_status update(mote_stepper_trainer *t, double decay) {
  mote_joint_trainer *j = t->owner;
  double rate = j->run.operator_rate * mote_schedule_rate(&t->run.schedule, t->step) / t->run.schedule.rate;
  int64_t size = j->weights.size;
  for (int64_t b = 1; b < t->run.batch; b++)
    for (int64_t k = 0; k < size; k++) j->gradient[k] += j->gradient[b * size + k];
  mote_status status = mote_operator_weights_update(&j->weights, t->device, j->gradient, t->run.clip, rate,
                                                    t->step + 1, decay);
  return status == MOTE_OK ? MOTE_OK : mote_fail_within(status, "operator");
}

static mote_status save_model(mote_stepper_trainer *t, const char *folder) {
  mote_joint_trainer *j = t->owner;
  char *stepper = mote_path_join(folder, "stepper"), *tuned = mote_path_join(folder, "operator");
  mote_status status = stepper && tuned ? MOTE_OK : out_of_memory();
  if (status == MOTE_OK && mkdir(folder, 0777) != 0 && errno != EEXIST)
    status = mote_fail(MOTE_ERROR_IO, "cannot make the folder %s: %s", folder, strerror(errno));
  if (status == MOTE_OK) status = mote_stepper_trainer_save_model(t, stepper);
  if (status == MOTE_OK) status = mote_operator_save(j->weights.average, tuned);
  free(stepper);
  free(tuned);
  return status;
}

static const mote_stepper_task joint = {
    .example = mote_joint_example, .update = update, .check = mote_joint_check, .save_model = save_model};

/* ---- the operator ---- */

static mote_status load_operator(mote_joint_trainer *j) {
  MOTE_TRY(mote_operator_load(j->run.operator_folder, &j->weights.model));
  MOTE_TRY(mote_operator_load(j->run.operator_folder, &j->weights.average));
  if (j->weights.model->settings.frame != MOTE_CURRENT_FRAME)
    return mote_fail(MOTE_ERROR_UNSUPPORTED,
                     "%s reconstructs in the reference frame, where no network corrects: expected one in the "
                     "current frame",
                     j->run.operator_folder);
  return mote_operator_weights_prepare(&j->weights);
}

/* What --resume needs of the operator. */
static void list_state(mote_joint_trainer *j) {
  const mote_operator_weights *w = &j->weights;
  mote_stepper_trainer *t = &j->stepper;
  mote_stepper_trainer_remember(t, "operator.parameters", w->model->parameters, w->size);
  mote_stepper_trainer_remember(t, "operator.average", w->average->parameters, w->size);
  mote_stepper_trainer_remember(t, "operator.first_moment", w->first, w->size);
  mote_stepper_trainer_remember(t, "operator.second_moment", w->second, w->size);
}

/* How many of a trajectory's particles the operator has an expert for. */
static mote_status count_known(mote_joint_trainer *j, mote_trajectory_reader *reader, int trajectory,
                               const mote_metadata *metadata, int64_t *known) {
  mote_trajectory_info info;
  MOTE_TRY(mote_trajectory_get_info(reader, trajectory, &info));
  int32_t *expert = malloc((size_t)info.particles * sizeof *expert);
  if (!expert) return out_of_memory();
  mote_status status = mote_reconstruction_experts(reader, trajectory, metadata, j->weights.model,
                                                   info.particles, NULL, info.particles, expert);
  for (int64_t i = 0; i < info.particles && status == MOTE_OK; i++) *known += expert[i] >= 0;
  free(expert);
  return status;
}

static mote_status check_matter(mote_joint_trainer *j, const char *path) {
  mote_trajectory_reader *reader;
  mote_metadata metadata;
  int64_t known = 0;
  MOTE_TRY(mote_trajectory_open(path, &reader));
  mote_status status = mote_trajectory_read_metadata(reader, &metadata);
  if (status == MOTE_OK && !(metadata.dx > 0))
    status = mote_fail(MOTE_ERROR_FORMAT,
                       "%s: its metadata has no particle spacing (dx), which reconstruction needs", path);
  for (int k = 0; status == MOTE_OK && k < mote_trajectory_count(reader); k++)
    status = count_known(j, reader, k, &metadata, &known);
  mote_trajectory_close(reader);
  if (status == MOTE_OK && !known)
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "%s knows none of the kinds of matter in %s: expected \"materials\" in its metadata and "
                     "labels \"material\", as `mote dataset` writes them",
                     j->run.operator_folder, path);
  return status;
}

/* ---- beginning and end ---- */

static mote_status open_all(mote_joint_trainer *j, const mote_train_options *options) {
  mote_stepper_trainer *t = &j->stepper;
  MOTE_TRY(load_operator(j));
  MOTE_TRY(mote_stepper_trainer_begin(t, options, t->run.statistics));
  MOTE_TRY(check_matter(j, t->train_path));
  if (t->valid_path) MOTE_TRY(check_matter(j, t->valid_path));
  j->gradient = malloc((size_t)(t->run.batch * j->weights.size) * sizeof *j->gradient);
  j->places = calloc((size_t)t->workers, sizeof *j->places);
  if (!j->gradient || !j->places) return out_of_memory();
  list_state(j);
  return MOTE_OK;
}

mote_status mote_joint_trainer_open(const char *run, const char *folder, const mote_train_options *options,
                                    mote_joint_trainer *j) {
  *j = (mote_joint_trainer){0};
  if (options->from)
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "a joint training begins with the run's 'stepper' and 'operator': leave out --from");
  MOTE_TRY(mote_joint_run_load(run, &j->run));
  j->stepper = (mote_stepper_trainer){.task = &joint, .owner = j, .folder = folder, .run = j->run.stepper};
  j->run.stepper.data = j->run.stepper.statistics = NULL;
  return open_all(j, options);
}

void mote_joint_trainer_close(mote_joint_trainer *j) {
  for (int k = 0; j->places && k < j->stepper.workers; k++) mote_buffer_free(&j->places[k]);
  free(j->places);
  free(j->gradient);
  mote_operator_weights_free(&j->weights);
  mote_stepper_trainer_close(&j->stepper);
  mote_joint_run_free(&j->run);
}

mote_status mote_train_joint(const char *run, const char *folder, const mote_train_options *options,
                             const mote_monitor *monitor, mote_train_summary *summary) {
  mote_joint_trainer j;
  mote_status status = mote_joint_trainer_open(run, folder, options, &j);
  if (status == MOTE_OK) status = mote_stepper_trainer_run(&j.stepper, options, monitor, summary);
  if (summary && status == MOTE_OK) summary->parameters += j.weights.size;
  mote_joint_trainer_close(&j);
  return status;
}
