/* The training of time-steppers: opens what is needed, loops, validates, saves. */
#include "host/train/kinds.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/core/clock.h"
#include "host/core/error.h"
#include "host/core/file.h"
#include "host/train/stepper_trainer.h"

/* ---- beginning and end ---- */

static void free_worker(mote_stepper_worker *w) {
  for (int k = 0; w->tape && w->history && k < w->tapes; k++) {
    mote_tape_free(&w->tape[k]);
    mote_buffer_free(&w->history[k]);
  }
  mote_tape_room_free(&w->tape_room);
  mote_buffer *all[] = {&w->rest,       &w->type,    &w->goal,           &w->next,         &w->target,
                        &w->d_velocity, &w->d_place, &w->d_acceleration, &w->d_history,    &w->loss,
                        &w->state,      &w->scratch, &w->identity,       &w->per_deviation};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) mote_buffer_free(all[k]);
  mote_trajectory_close(w->reader);
  mote_window_free(&w->window);
  free(w->tape);
  free(w->history);
  free(w->frames);
  free(w->targets);
  mote_stream_destroy(w->stream);
  mote_device_close(w->device);
}

void mote_stepper_trainer_close(mote_stepper_trainer *t) {
  for (int k = 0; t->worker && k < t->workers; k++) free_worker(&t->worker[k]);
  for (int b = 0; b < t->run.batch; b++) {
    if (t->gradient) mote_buffer_free(&t->gradient[b]);
    if (t->shared) mote_buffer_free(&t->shared[b]);
  }
  mote_trained_weights_free(&t->weights);
  mote_device_close(t->device);
  free(t->worker);
  free(t->gradient);
  free(t->shared);
  free(t->loss);
  free(t->train_path);
  free(t->valid_path);
  mote_stepper_run_free(&t->run);
}

static mote_status out_of_memory(void) {
  return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a training");
}

/* ---- data ---- */

static mote_status check_particles(mote_trajectory_reader *reader, int dim, int types) {
  for (int k = 0; k < mote_trajectory_count(reader); k++) {
    mote_trajectory_info info;
    MOTE_TRY(mote_trajectory_get_info(reader, k, &info));
    if (info.dim != dim)
      return mote_fail(MOTE_ERROR_FORMAT, "trajectory %s is %d-D: metadata.json says %d-D",
                       mote_trajectory_name(reader, k), info.dim, dim);
    int32_t *type = malloc((size_t)(info.particles + 1) * sizeof *type), worst = 0;
    if (!type) return out_of_memory();
    mote_status status = mote_trajectory_read_labels(reader, k, "particle_type", type);
    for (int64_t i = 0; i < info.particles && status == MOTE_OK; i++)
      if (type[i] < 0 || type[i] >= types) worst = type[i];
    free(type);
    MOTE_TRY(status);
    if (worst)
      return mote_fail(MOTE_ERROR_ARGUMENT,
                       "trajectory %s has particles of type %d: the model's types are %d",
                       mote_trajectory_name(reader, k), worst, types);
  }
  return MOTE_OK;
}

static mote_status check_data(mote_stepper_trainer *t, const char *path, int64_t within) {
  mote_window_options options = {
      .frames = t->run.config.window + 1, .steps = (int)t->run.push_steps, .within = within};
  mote_trajectory_reader *reader;
  int64_t trajectories, windows;
  MOTE_TRY(mote_trajectory_open(path, &reader));
  mote_status status = mote_windows_count(reader, &options, &trajectories, &windows);
  if (status == MOTE_OK) status = check_particles(reader, t->run.config.dim, t->run.config.types);
  mote_trajectory_close(reader);
  return status == MOTE_OK ? MOTE_OK : mote_fail_within(status, "%s", path);
}

static mote_status open_data(mote_stepper_trainer *t) {
  struct stat found;
  char *metadata = mote_path_join(t->run.statistics ? t->run.statistics : t->run.data, "metadata.json");
  t->train_path = mote_path_join(t->run.data, "train.h5");
  t->valid_path = mote_path_join(t->run.data, "valid.h5");
  mote_status status = metadata && t->train_path && t->valid_path ? MOTE_OK : out_of_memory();
  if (status == MOTE_OK) status = mote_metadata_read(metadata, &t->metadata);
  free(metadata);
  MOTE_TRY(status);
  t->symmetry = mote_symmetry_of(&t->metadata);
  if (t->run.symmetry) mote_symmetry_statistics(&t->symmetry, &t->metadata);
  MOTE_TRY(mote_stepper_run_fit(&t->run, &t->metadata));
  MOTE_TRY(check_data(t, t->train_path, t->run.frames));
  if (t->run.validate_trajectories > 0 && stat(t->valid_path, &found) == 0)
    return check_data(t, t->valid_path, 0);
  free(t->valid_path);
  t->valid_path = NULL;
  return MOTE_OK;
}

/* ---- model and workers ---- */

static mote_status create_model(mote_stepper_trainer *t, const char *from) {
  mote_model *model = NULL, *average = NULL;
  uint64_t seed = (uint64_t)t->run.seed;
  mote_status status;
  if (from) {
    status = mote_model_load_to_train(t->device, from, &t->run.config, &model);
    if (status == MOTE_OK) status = mote_model_load_to_train(t->device, from, &t->run.config, &average);
    if (status == MOTE_OK) t->run.config = model->config;
  } else {
    status = mote_model_invent_to_train(t->device, &t->run.config, seed, &model);
    if (status == MOTE_OK) status = mote_model_invent_to_train(t->device, &t->run.config, seed, &average);
  }
  if (status == MOTE_OK) status = mote_model_check_metadata(model, &t->metadata);
  if (status != MOTE_OK) {
    mote_model_destroy(model);
    mote_model_destroy(average);
    return status;
  }
  mote_model_integration(model, &t->metadata, &t->integration);
  return mote_trained_weights_create(model, average, &t->weights);
}

void mote_stepper_trainer_remember(mote_stepper_trainer *t, const char *name, const float *data,
                                   int64_t count) {
  t->more[t->more_count++] = (mote_tensor){
      .name = name, .dtype = MOTE_F32, .rank = 1, .shape = {count}, .count = count, .data = data};
}

/* The bases are part of what --resume goes on from. */
static mote_status precondition(mote_stepper_trainer *t) {
  MOTE_TRY(mote_trained_weights_precondition(&t->weights));
  const mote_soap *s = &t->weights.soap;
  mote_stepper_trainer_remember(t, "soap", s->state, s->floats);
  return MOTE_OK;
}

/* Of an example's budget the part of each of its steps; 0 has no end. */
static size_t bytes_of_step(const mote_stepper_trainer *t, int steps) {
  size_t bytes = ((size_t)t->run.memory << 20) / (size_t)steps;
  return t->run.memory && !bytes ? 1 : bytes;
}

static mote_status open_worker(mote_stepper_trainer *t, mote_stepper_worker *w) {
  MOTE_TRY(mote_device_open_again(t->device, t->workers, &w->device));
  MOTE_TRY(mote_stream_create(w->device, &w->stream));
  MOTE_TRY(mote_trajectory_open(t->train_path, &w->reader));
  w->tapes = t->run.through ? (int)t->run.push_steps : 1;
  w->tape = calloc((size_t)w->tapes, sizeof *w->tape);
  w->history = calloc((size_t)w->tapes, sizeof *w->history);
  if (!w->tape || !w->history) return out_of_memory();
  for (int k = 0; k < w->tapes; k++)
    MOTE_TRY(mote_tape_create(t->weights.model, w->stream, &t->metadata, t->run.radius,
                              bytes_of_step(t, w->tapes), &w->tape_room, &w->tape[k]));
  return MOTE_OK;
}

static mote_status open_workers(mote_stepper_trainer *t) {
  int batch = (int)t->run.batch, workers = mote_device_workers(t->device, batch);
  t->worker = calloc((size_t)workers, sizeof *t->worker);
  t->gradient = calloc((size_t)batch, sizeof *t->gradient);
  t->shared = calloc((size_t)batch, sizeof *t->shared);
  t->loss = calloc((size_t)batch, sizeof *t->loss);
  if (!t->worker || !t->gradient || !t->shared || !t->loss) return out_of_memory();
  t->workers = workers;
  for (int k = 0; k < workers; k++) MOTE_TRY(open_worker(t, &t->worker[k]));
  for (int b = 0; b < batch; b++) {
    MOTE_TRY(mote_buffer_reserve(&t->gradient[b], t->device, (size_t)t->weights.slots * sizeof(float)));
    if (t->weights.shared)
      MOTE_TRY(mote_buffer_reserve(&t->shared[b], t->device, (size_t)t->weights.shared * sizeof(float)));
  }
  return MOTE_OK;
}

mote_status mote_stepper_trainer_begin(mote_stepper_trainer *t, const mote_train_options *options,
                                       const char *from) {
  mote_device_options device = {.threads = options->threads, .precision = t->run.precision};
  t->best = INFINITY;
  t->run.seed = (int64_t)((uint64_t)t->run.seed + (uint64_t)options->seed);
  MOTE_TRY(open_data(t));
  MOTE_TRY(mote_device_open(options->device ? options->device : "auto", &device, &t->device));
  MOTE_TRY(create_model(t, from));
  if (t->run.soap) MOTE_TRY(precondition(t));
  return open_workers(t);
}

static const mote_stepper_task alone = {.example = mote_stepper_trainer_example,
                                        .check = mote_stepper_trainer_check,
                                        .save_model = mote_stepper_trainer_save_model};

/* A training that goes on is of the model in its own folder, whatever it was begun with. */
static mote_status begin_alone(mote_stepper_trainer *t, const mote_train_options *options, const char *last) {
  struct stat found;
  const char *from = options->resume && stat(last, &found) == 0 ? last : options->from;
  if (!t->run.has_model && !from)
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "the run has no 'model': give one, or begin with a trained one by --from");
  if (!t->run.has_model) MOTE_TRY(mote_stepper_run_take_model(&t->run, from));
  return mote_stepper_trainer_begin(t, options, from);
}

mote_status mote_stepper_trainer_open(const char *run, const char *folder, const mote_train_options *options,
                                      mote_stepper_trainer *t) {
  *t = (mote_stepper_trainer){.task = &alone, .folder = folder};
  MOTE_TRY(mote_stepper_run_load(run, &t->run));
  char *last = mote_path_join(folder, "last");
  mote_status status = last ? begin_alone(t, options, last) : out_of_memory();
  free(last);
  return status;
}

/* The folder comes last: a run that cannot begin leaves none. */
static mote_status open_folder(mote_stepper_trainer *t, const mote_train_options *options) {
  if (mkdir(t->folder, 0777) != 0 && errno != EEXIST)
    return mote_fail(MOTE_ERROR_IO, "cannot make the folder %s: %s", t->folder, strerror(errno));
  if (options->resume) MOTE_TRY(mote_stepper_trainer_load_state(t));
  return mote_metrics_open(t->folder, t->step, &t->metrics);
}

/* ---- the loop ---- */

static void say(const mote_monitor *monitor, const mote_metrics_row *row) {
  char line[240];
  if (!monitor || !monitor->log) return;
  if (isnan(row->validation_error))
    snprintf(line, sizeof line, "step %lld: loss %.4g, gradient %.3g", (long long)row->step, row->loss,
             row->gradient_norm);
  else
    snprintf(
        line, sizeof line, "step %lld: loss %.4g, gradient %.3g; validation: loss %.4g, rollouts %.4g m off",
        (long long)row->step, row->loss, row->gradient_norm, row->validation_loss, row->validation_error);
  monitor->log(monitor->user, MOTE_LOG_INFO, line);
}

/* Validates where it is due, keeps the model if it is the best, and writes a row of metrics. */
static mote_status take_stock(mote_stepper_trainer *t, double start, int validates,
                              const mote_monitor *monitor) {
  double count = t->since_row ? (double)t->since_row : 1;
  mote_metrics_row row = {.step = t->step,
                          .samples = t->samples,
                          .seconds = mote_clock_seconds() - start,
                          .loss = t->loss_sum / count,
                          .rate = mote_schedule_rate(&t->run.schedule, t->step - 1),
                          .gradient_norm = t->norm_sum / count,
                          .validation_loss = NAN,
                          .validation_error = NAN};
  if (validates && t->valid_path)
    MOTE_TRY(mote_stepper_trainer_validate(t, &row.validation_loss, &row.validation_error));
  if (validates && !(row.validation_error >= t->best)) {
    if (t->valid_path) t->best = row.validation_error;
    MOTE_TRY(t->task->save_model(t, t->folder));
  }
  t->loss_sum = t->norm_sum = 0;
  t->since_row = 0;
  say(monitor, &row);
  return mote_metrics_append(t->metrics, &row);
}

/* Rows of metrics come at whole multiples of the step, so that a resumed run writes the same ones. */
static mote_status after_step(mote_stepper_trainer *t, double start, const mote_monitor *monitor) {
  int64_t often = t->run.validate_every < 50 ? t->run.validate_every : 50;
  int validates = t->step % t->run.validate_every == 0 || t->step == t->run.steps;
  if (validates || t->step % often == 0) MOTE_TRY(take_stock(t, start, validates, monitor));
  return t->step % t->run.save_every == 0 ? mote_stepper_trainer_save_state(t) : MOTE_OK;
}

static mote_status loop(mote_stepper_trainer *t, const mote_train_options *options,
                        const mote_monitor *monitor) {
  double start = mote_clock_seconds();
  int stop = 0;
  while (t->step < t->run.steps && !stop) {
    double loss, norm;
    mote_status status = mote_stepper_trainer_step(t, &loss, &norm);
    if (status != MOTE_OK) return mote_fail_within(status, "step %lld", (long long)t->step);
    t->loss_sum += loss;
    t->norm_sum += norm;
    t->since_row++;
    if (monitor && monitor->progress)
      stop = monitor->progress(monitor->user, "train", "samples", t->samples, t->run.steps * t->run.batch);
    if (options->minutes > 0 && mote_clock_seconds() - start > 60 * options->minutes) stop = 1;
    MOTE_TRY(after_step(t, start, monitor));
  }
  return mote_stepper_trainer_save_state(t);
}

mote_status mote_stepper_trainer_run(mote_stepper_trainer *t, const mote_train_options *options,
                                     const mote_monitor *monitor, mote_train_summary *summary) {
  double start = mote_clock_seconds();
  mote_status status = open_folder(t, options);
  if (status == MOTE_OK) status = loop(t, options, monitor);
  mote_status closed = mote_metrics_close(t->metrics);
  if (status == MOTE_OK) status = closed;
  if (summary)
    *summary = (mote_train_summary){.steps = t->step,
                                    .parameters = t->weights.floats,
                                    .samples = t->samples,
                                    .seconds = mote_clock_seconds() - start,
                                    .validation = isfinite(t->best) ? t->best : NAN};
  return status;
}

mote_status mote_train_stepper(const char *run, const char *folder, const mote_train_options *options,
                               const mote_monitor *monitor, mote_train_summary *summary) {
  mote_stepper_trainer t;
  mote_status status = mote_stepper_trainer_open(run, folder, options, &t);
  if (status == MOTE_OK) status = mote_stepper_trainer_run(&t, options, monitor, summary);
  mote_stepper_trainer_close(&t);
  return status;
}
