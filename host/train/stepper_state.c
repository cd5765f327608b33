/* What a training leaves in its folder: the model that was best, last/ with the latest, and
   state.safetensors, from which --resume goes on to the same bits. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/core/error.h"
#include "host/core/file.h"
#include "host/train/stepper_trainer.h"

static mote_status out_of_memory(void) {
  return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a training's state");
}

/* ---- the model ---- */

static mote_status write_tensors(mote_stepper_trainer *t, const char *path) {
  mote_trained_weights *w = &t->weights;
  float *value = malloc((size_t)w->floats * sizeof *value);
  if (!value) return out_of_memory();
  mote_status status = mote_download(w->stream, value, w->mean.data, (size_t)w->floats * sizeof *value);
  if (status == MOTE_OK) status = mote_parameters_write(&w->model->parameters, value, path);
  free(value);
  return status;
}

/* config.json goes first: a folder with new weights and an old config would not load. */
mote_status mote_stepper_trainer_save_model(mote_stepper_trainer *t, const char *folder) {
  char *config = mote_path_join(folder, "config.json"), *model = mote_path_join(folder, "model.safetensors"),
       *metadata = mote_path_join(folder, "metadata.json");
  mote_metadata with_radius = t->metadata;
  with_radius.connectivity_radius = t->run.radius;
  mote_status status = config && model && metadata ? MOTE_OK : out_of_memory();
  if (status == MOTE_OK && mkdir(folder, 0777) != 0 && errno != EEXIST)
    status = mote_fail(MOTE_ERROR_IO, "cannot make the folder %s: %s", folder, strerror(errno));
  if (status == MOTE_OK) status = mote_network_config_write(config, &t->run.config);
  if (status == MOTE_OK) status = mote_metadata_write(metadata, &with_radius);
  if (status == MOTE_OK) status = write_tensors(t, model);
  free(config);
  free(model);
  free(metadata);
  return status;
}

/* ---- the state ---- */

#define ARRAYS 4
#define NUMBERS 6

typedef struct state {
  float *array[ARRAYS];
  double number[NUMBERS]; /* step, samples, best; sums since the last row of metrics, and their count */
  mote_tensor tensor[ARRAYS + 1 + MOTE_MORE_STATE];
} state;

static void release(state *s) {
  for (int k = 0; k < ARRAYS; k++) free(s->array[k]);
}

static void list_buffers(mote_trained_weights *w, mote_buffer *list[ARRAYS]) {
  mote_buffer *all[ARRAYS] = {&w->value, &w->mean, &w->first, &w->second};
  memcpy(list, all, sizeof all);
}

static mote_status describe(mote_stepper_trainer *t, state *s) {
  static const char *const names[ARRAYS] = {"parameters", "average", "first_moment", "second_moment"};
  int64_t floats = t->weights.floats;
  *s = (state){0};
  for (int k = 0; k < ARRAYS; k++) {
    s->array[k] = malloc((size_t)floats * sizeof(float));
    if (!s->array[k]) return out_of_memory();
    s->tensor[k] = (mote_tensor){.name = names[k],
                                 .dtype = MOTE_F32,
                                 .rank = 1,
                                 .shape = {floats},
                                 .count = floats,
                                 .data = s->array[k]};
  }
  s->tensor[ARRAYS] = (mote_tensor){.name = "progress",
                                    .dtype = MOTE_F64,
                                    .rank = 1,
                                    .shape = {NUMBERS},
                                    .count = NUMBERS,
                                    .data = s->number};
  memcpy(s->tensor + ARRAYS + 1, t->more, (size_t)t->more_count * sizeof *t->more);
  return MOTE_OK;
}

static mote_status save(mote_stepper_trainer *t, state *s, const char *path) {
  mote_trained_weights *w = &t->weights;
  mote_buffer *list[ARRAYS];
  list_buffers(w, list);
  for (int k = 0; k < ARRAYS; k++)
    MOTE_TRY(mote_download(w->stream, s->array[k], list[k]->data, (size_t)w->floats * sizeof(float)));
  s->number[0] = (double)t->step;
  s->number[1] = (double)t->samples;
  s->number[2] = isfinite(t->best) ? t->best : 1e300;
  s->number[3] = t->loss_sum;
  s->number[4] = t->norm_sum;
  s->number[5] = (double)t->since_row;
  return mote_safetensors_write(path, s->tensor, ARRAYS + 1 + t->more_count, NULL, 0);
}

mote_status mote_stepper_trainer_save_state(mote_stepper_trainer *t) {
  state s;
  char *path = mote_path_join(t->folder, "state.safetensors"), *last = mote_path_join(t->folder, "last");
  mote_status status = path && last ? describe(t, &s) : out_of_memory();
  if (path && last) {
    if (status == MOTE_OK) status = t->task->save_model(t, last);
    if (status == MOTE_OK) status = save(t, &s, path);
    release(&s);
  }
  free(path);
  free(last);
  return status;
}

static mote_status read_numbers(const mote_safetensors *file, const char *path, double number[NUMBERS]) {
  const mote_tensor *tensor = mote_safetensors_find(file, "progress");
  if (!tensor || tensor->dtype != MOTE_F64 || tensor->count != NUMBERS)
    return mote_fail(MOTE_ERROR_FORMAT, "%s is no state of a time-stepper's training", path);
  MOTE_TRY(mote_safetensors_read_raw(file, tensor, number));
  for (int k = 0; k < NUMBERS; k++)
    if (!(number[k] >= 0 && number[k] < (k == 2 ? 2e300 : 9e15)))
      return mote_fail(MOTE_ERROR_FORMAT, "%s: \"progress\" is out of range", path);
  return MOTE_OK;
}

static mote_status load(mote_stepper_trainer *t, state *s, const char *path) {
  mote_trained_weights *w = &t->weights;
  mote_buffer *list[ARRAYS];
  mote_safetensors *file;
  list_buffers(w, list);
  MOTE_TRY(mote_safetensors_open(path, &file));
  mote_status status = read_numbers(file, path, s->number);
  for (int k = 0; k < ARRAYS && status == MOTE_OK; k++) {
    status = mote_safetensors_read(file, s->tensor[k].name, 1, s->tensor[k].shape, s->array[k]);
    if (status == MOTE_OK)
      status = mote_upload(w->stream, list[k]->data, s->array[k], (size_t)w->floats * sizeof(float));
  }
  for (int k = 0; k < t->more_count && status == MOTE_OK; k++)
    status = mote_safetensors_read(file, t->more[k].name, 1, t->more[k].shape, (float *)t->more[k].data);
  mote_safetensors_close(file);
  t->step = (int64_t)s->number[0];
  t->samples = (int64_t)s->number[1];
  t->best = s->number[2] < 1e299 ? s->number[2] : INFINITY;
  t->loss_sum = s->number[3];
  t->norm_sum = s->number[4];
  t->since_row = (int64_t)s->number[5];
  return status;
}

mote_status mote_stepper_trainer_load_state(mote_stepper_trainer *t) {
  state s;
  char *path = mote_path_join(t->folder, "state.safetensors");
  if (!path) return out_of_memory();
  mote_status status = describe(t, &s);
  if (status == MOTE_OK) status = load(t, &s, path);
  release(&s);
  free(path);
  return status;
}
