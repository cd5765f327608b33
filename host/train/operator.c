/* The training of the reduced-order operator: opens what is needed, loops, validates, saves. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/core/clock.h"
#include "host/core/error.h"
#include "host/core/file.h"
#include "host/io/safetensors.h"
#include "host/train/kinds.h"
#include "host/train/trainer.h"

static void release(mote_trainer *t) {
  for (int k = 0; t->scale && k < t->data.count * MOTE_TRAIN_DRAWS; k++) free(t->scale[k]);
  free(t->scale);
  for (int k = 0; t->device && k < t->workers; k++) mote_device_close(t->device[k]);
  free(t->device);
  mote_operator_weights_free(&t->weights);
  mote_recordings_free(&t->data);
  mote_recordings_free(&t->valid);
  mote_run_free(&t->run);
}

/* A worker an example, each with a device object of one thread. */
static mote_status open_devices(mote_trainer *t, const mote_train_options *options) {
  mote_device *probe;
  mote_device_options o = {.threads = options->threads};
  MOTE_TRY(mote_device_open(options->device ? options->device : "auto", &o, &probe));
  int all = mote_device_workers(probe, INT_MAX);
  t->workers = mote_device_workers(probe, (int)t->run.batch);
  t->device = calloc((size_t)t->workers, sizeof(mote_device *));
  mote_status status = t->device ? MOTE_OK : mote_fail(MOTE_ERROR_MEMORY, "out of memory for devices");
  for (int k = 0; k < t->workers && status == MOTE_OK; k++)
    status = mote_device_open_again(probe, all, &t->device[k]);
  mote_device_close(probe);
  return status;
}

static int by_name(const void *a, const void *b) {
  return strcmp(a, b);
}

/* Every kind of material in the data becomes an expert; sorted, so that the order of the files does not
   matter to who resumes. */
static mote_status create_model(mote_trainer *t) {
  char kind[MOTE_EXPERTS][32];
  int experts = 0;
  for (int k = 0; k < t->data.count; k++)
    for (int m = 0; m < t->data.of[k].metadata.material_count; m++) {
      const char *name = t->data.of[k].metadata.materials[m].kind;
      int e = 0;
      while (e < experts && strcmp(kind[e], name)) e++;
      if (e < experts) continue;
      if (experts == MOTE_EXPERTS)
        return mote_fail(MOTE_ERROR_ARGUMENT,
                         "%s: the data have more than %d kinds of material: train several operators",
                         t->data.of[k].name, MOTE_EXPERTS);
      snprintf(kind[experts++], sizeof kind[0], "%s", name);
    }
  qsort(kind, (size_t)experts, sizeof kind[0], by_name);
  mote_operator_settings settings;
  mote_operator_defaults(&settings);
  uint64_t seed = (uint64_t)t->run.seed;
  MOTE_TRY(mote_operator_create(&settings, experts, (const char(*)[32])kind, seed, &t->weights.model));
  MOTE_TRY(mote_operator_create(&settings, experts, (const char(*)[32])kind, seed, &t->weights.average));
  MOTE_TRY(mote_operator_weights_prepare(&t->weights));
  t->scale = calloc((size_t)t->data.count * MOTE_TRAIN_DRAWS, sizeof *t->scale);
  if (!t->scale) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a training");
  t->best = INFINITY;
  return MOTE_OK;
}

/* Weights and statistics of a model trained before, for the kinds of matter that it knows. */
static mote_status begin_from(mote_trainer *t, const char *folder) {
  mote_operator *old;
  int known = 0;
  MOTE_TRY(mote_operator_load(folder, &old));
  for (int e = 0; e < t->weights.model->experts; e++) {
    int k = mote_operator_expert(old, t->weights.model->kind[e]);
    if (k < 0) continue;
    known++;
    mote_operator *both[] = {t->weights.model, t->weights.average};
    for (int m = 0; m < 2; m++) {
      memcpy(both[m]->parameters + e * MOTE_PARAMETERS, old->parameters + k * MOTE_PARAMETERS,
             MOTE_PARAMETERS * sizeof(float));
      memcpy(both[m]->norm + e * 2 * MOTE_FEATURES, old->norm + k * 2 * MOTE_FEATURES,
             2 * MOTE_FEATURES * sizeof(float));
    }
  }
  mote_operator_destroy(old);
  if (known) return MOTE_OK;
  return mote_fail(MOTE_ERROR_ARGUMENT, "%s knows none of the kinds of matter in the data", folder);
}

/* ---- state ---- */

#define STATE 7
static void list_state(const mote_trainer *t, double numbers[2], mote_tensor tensors[STATE]) {
  int64_t norm = (int64_t)t->weights.model->experts * 2 * MOTE_FEATURES;
  const struct {
    const char *name;
    const float *data;
    int64_t count;
  } rows[STATE - 1] = {{"parameters", t->weights.model->parameters, t->weights.size},
                       {"average", t->weights.average->parameters, t->weights.size},
                       {"first_moment", t->weights.first, t->weights.size},
                       {"second_moment", t->weights.second, t->weights.size},
                       {"norm", t->weights.model->norm, norm},
                       {"average_norm", t->weights.average->norm, norm}};
  for (int k = 0; k < STATE - 1; k++)
    tensors[k] = (mote_tensor){.name = rows[k].name,
                               .dtype = MOTE_F32,
                               .rank = 1,
                               .shape = {rows[k].count},
                               .count = rows[k].count,
                               .data = rows[k].data};
  tensors[STATE - 1] = (mote_tensor){
      .name = "step_and_best", .dtype = MOTE_F64, .rank = 1, .shape = {2}, .count = 2, .data = numbers};
}

/* The kinds of matter, in the order of their experts: a state is of use to no others. */
static void list_kinds(const mote_trainer *t, char text[MOTE_EXPERTS * 33]) {
  int at = 0;
  for (int e = 0; e < t->weights.model->experts; e++)
    at += snprintf(text + at, 33, "%s%s", e ? " " : "", t->weights.model->kind[e]);
}

mote_status mote_trainer_save_state(const mote_trainer *t) {
  mote_tensor tensors[STATE];
  double numbers[2] = {(double)t->step, isfinite(t->best) ? t->best : 1e300};
  char *path = mote_path_join(t->folder, "state.safetensors");
  if (!path) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a name");
  list_state(t, numbers, tensors);
  char kinds[MOTE_EXPERTS * 33];
  list_kinds(t, kinds);
  mote_status status =
      mote_safetensors_write(path, tensors, STATE, (const char *const[]){"experts", kinds}, 1);
  free(path);
  return status;
}

/* A state of other data would give each kind of matter another's weights. */
static mote_status check_kinds(const mote_trainer *t, const mote_safetensors *file, const char *path) {
  char kinds[MOTE_EXPERTS * 33];
  const char *stored = mote_safetensors_metadata(file, "experts");
  list_kinds(t, kinds);
  if (stored && !strcmp(stored, kinds)) return MOTE_OK;
  return mote_fail(
      MOTE_ERROR_ARGUMENT,
      "%s is of a training on \"%s\", and the data are of \"%s\": --from begins anew with its weights", path,
      stored ? stored : "unknown matter", kinds);
}

mote_status mote_trainer_load_state(mote_trainer *t) {
  mote_tensor tensors[STATE];
  double numbers[2] = {0};
  char *path = mote_path_join(t->folder, "state.safetensors");
  mote_safetensors *file = NULL;
  if (!path) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a name");
  mote_status status = mote_safetensors_open(path, &file);
  if (status == MOTE_OK) status = check_kinds(t, file, path);
  list_state(t, numbers, tensors);
  for (int k = 0; k < STATE - 1 && status == MOTE_OK; k++)
    status = mote_safetensors_read(file, tensors[k].name, 1, tensors[k].shape, (float *)tensors[k].data);
  const mote_tensor *last = status == MOTE_OK ? mote_safetensors_find(file, "step_and_best") : NULL;
  if (status == MOTE_OK && (!last || last->dtype != MOTE_F64 || last->count != 2))
    status = mote_fail(MOTE_ERROR_FORMAT, "%s: \"step_and_best\" is missing", path);
  if (status == MOTE_OK) status = mote_safetensors_read_raw(file, last, numbers);
  if (status == MOTE_OK && !(numbers[0] >= 0 && numbers[0] < 9e15))
    status = mote_fail(MOTE_ERROR_FORMAT, "%s: \"step_and_best\" is out of range", path);
  if (status == MOTE_OK) {
    t->step = (int64_t)numbers[0];
    t->best = numbers[1] < 1e299 ? numbers[1] : INFINITY;
  }
  mote_safetensors_close(file);
  free(path);
  return status;
}

/* ---- the loop ---- */

/* Validates the averaged weights, keeps them if they are the best, and saves all that --resume needs. */
static mote_status take_stock(mote_trainer *t, double start, double loss, const mote_monitor *monitor) {
  double ratio = NAN;
  if (t->valid.count) MOTE_TRY(mote_trainer_validate(t, &ratio));
  if (!(ratio >= t->best)) {
    if (t->valid.count) t->best = ratio;
    MOTE_TRY(mote_operator_save(t->weights.average, t->folder));
  }
  mote_metrics_row row = {.step = t->step,
                          .samples = t->step * t->run.batch,
                          .seconds = mote_clock_seconds() - start,
                          .loss = loss,
                          .rate = NAN,
                          .gradient_norm = NAN,
                          .validation_loss = ratio,
                          .validation_error = NAN};
  MOTE_TRY(mote_metrics_append(t->metrics, &row));
  if (monitor && monitor->log) {
    char line[160];
    snprintf(line, sizeof line, "step %lld: loss %.4f, validation error %.4f of the unlearned operator's",
             (long long)t->step, loss, ratio);
    monitor->log(monitor->user, MOTE_LOG_INFO, line);
  }
  return mote_trainer_save_state(t);
}

static mote_status loop(mote_trainer *t, const mote_train_options *options, const mote_monitor *monitor) {
  double start = mote_clock_seconds(), sum = 0;
  int64_t count = 0;
  int stop = 0;
  while (t->step < t->run.steps && !stop) {
    double loss;
    mote_status status = mote_trainer_step(t, &loss);
    if (status != MOTE_OK) return mote_fail_within(status, "step %lld", (long long)t->step);
    sum += loss;
    count++;
    if (monitor && monitor->progress)
      stop = monitor->progress(monitor->user, "train", "steps", t->step, t->run.steps);
    if (options->minutes > 0 && mote_clock_seconds() - start > 60 * options->minutes) stop = 1;
    if (t->step % t->run.validate_every && t->step < t->run.steps) continue;
    MOTE_TRY(take_stock(t, start, sum / (double)count, monitor));
    sum = 0;
    count = 0;
  }
  return mote_trainer_save_state(t);
}

static mote_status prepare(mote_trainer *t, const char *run, const mote_train_options *options) {
  MOTE_TRY(mote_run_load(run, &t->run));
  t->run.seed = (int64_t)((uint64_t)t->run.seed + (uint64_t)options->seed);
  MOTE_TRY(mote_recordings_load(&t->run.data, t->run.frames, &t->data));
  MOTE_TRY(mote_recordings_load(&t->run.valid, t->run.frames, &t->valid));
  MOTE_TRY(open_devices(t, options));
  MOTE_TRY(create_model(t));
  if (mkdir(t->folder, 0777) != 0 && errno != EEXIST)
    return mote_fail(MOTE_ERROR_IO, "cannot make the folder %s: %s", t->folder, strerror(errno));
  if (options->resume)
    MOTE_TRY(mote_trainer_load_state(t));
  else
    MOTE_TRY(mote_trainer_observe(t));
  if (options->from && !options->resume) MOTE_TRY(begin_from(t, options->from));
  return mote_metrics_open(t->folder, t->step, &t->metrics);
}

mote_status mote_train_operator(const char *run, const char *folder, const mote_train_options *options,
                                const mote_monitor *monitor, mote_train_summary *summary) {
  mote_trainer t = {.folder = folder};
  double start = mote_clock_seconds();
  mote_status status = prepare(&t, run, options);
  if (status == MOTE_OK) status = loop(&t, options, monitor);
  mote_status closed = mote_metrics_close(t.metrics);
  if (status == MOTE_OK) status = closed;
  if (summary)
    *summary = (mote_train_summary){.steps = t.step,
                                    .parameters = t.weights.size,
                                    .seconds = mote_clock_seconds() - start,
                                    .validation = isfinite(t.best) ? t.best : NAN};
  release(&t);
  return status;
}
