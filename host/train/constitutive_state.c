/* What a training of constitutive laws leaves in its folder: the law, or identified.json, and
   state.safetensors, from which --resume goes on to the same bits. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/core/file.h"
#include "host/io/safetensors.h"
#include "host/train/constitutive.h"

static mote_status out_of_memory(void) {
  return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a training's state");
}

mote_status mote_constitutive_save_model(const mote_constitutive *t) {
  const mote_trained_weights *w = &t->weights;
  if (!t->run.finds_law) return mote_unknowns_save(t);
  float *value = malloc((size_t)w->floats * sizeof *value);
  if (!value) return out_of_memory();
  mote_status status = mote_download(w->stream, value, w->mean.data, (size_t)w->floats * sizeof *value);
  if (status == MOTE_OK) status = mote_neural_law_save(t->law, value, t->folder);
  free(value);
  return status;
}

#define ARRAYS 4
#define NUMBERS 6

typedef struct state {
  float *array[ARRAYS];
  double number[NUMBERS]; /* epoch, updates, steps, failures, best, untrained */
  int tensors;
  mote_tensor tensor[ARRAYS + 1];
} state;

static mote_tensor tensor_of(const char *name, mote_dtype type, int64_t count, const void *data) {
  return (mote_tensor){
      .name = name, .dtype = type, .rank = 1, .shape = {count}, .count = count, .data = data};
}

static void release(state *s) {
  for (int k = 0; k < ARRAYS; k++) free(s->array[k]);
}

static mote_status describe(mote_constitutive *t, state *s) {
  static const char *const of_law[ARRAYS] = {"parameters", "average", "first_moment", "second_moment"};
  const int count = t->run.unknown_count;
  *s = (state){0};
  s->tensors = t->run.finds_law ? ARRAYS + 1 : 3;
  if (!t->run.finds_law) {
    s->tensor[1] = tensor_of("search", MOTE_F64, MOTE_SEARCH_NUMBERS, &t->search);
    s->tensor[2] = tensor_of("kept", MOTE_F64, count, t->kept);
  }
  for (int k = 0; k < ARRAYS && t->run.finds_law; k++) {
    s->array[k] = malloc((size_t)t->weights.floats * sizeof(float));
    if (!s->array[k]) return out_of_memory();
    s->tensor[k + 1] = tensor_of(of_law[k], MOTE_F32, t->weights.floats, s->array[k]);
  }
  s->tensor[0] = tensor_of("progress", MOTE_F64, NUMBERS, s->number);
  return MOTE_OK;
}

static void list_buffers(mote_trained_weights *w, mote_buffer *list[ARRAYS]) {
  mote_buffer *all[ARRAYS] = {&w->value, &w->mean, &w->first, &w->second};
  memcpy(list, all, sizeof all);
}

static double stored(double x) {
  return isfinite(x) ? x : 1e300;
}

static mote_status save(mote_constitutive *t, state *s, const char *path) {
  mote_buffer *list[ARRAYS];
  list_buffers(&t->weights, list);
  for (int k = 0; k < ARRAYS && t->run.finds_law; k++)
    MOTE_TRY(mote_download(t->stream, s->array[k], list[k]->data, (size_t)t->weights.floats * sizeof(float)));
  const double number[NUMBERS] = {(double)t->epoch,    (double)t->updates, (double)t->steps,
                                  (double)t->failures, stored(t->best),    stored(t->untrained)};
  memcpy(s->number, number, sizeof number);
  return mote_safetensors_write(path, s->tensor, s->tensors, NULL, 0);
}

/* Places lie in the unit interval, whatever else a broken file says. */
static mote_status check_search(const mote_constitutive *t, const char *path) {
  const mote_search *s = &t->search;
  const int count = t->run.finds_law ? 0 : t->run.unknown_count;
  int good = !count || s->count == (double)count;
  for (int k = 0; k < count; k++)
    good &=
        s->at[k] >= 0 && s->at[k] <= 1 && s->x[k] >= 0 && s->x[k] <= 1 && t->kept[k] >= 0 && t->kept[k] <= 1;
  return good ? MOTE_OK : mote_fail(MOTE_ERROR_FORMAT, "%s: \"search\" is out of range", path);
}

static mote_status load(mote_constitutive *t, state *s, const char *path, const mote_safetensors *file) {
  mote_buffer *list[ARRAYS];
  list_buffers(&t->weights, list);
  for (int k = 0; k < s->tensors; k++) {
    mote_tensor *wanted = &s->tensor[k];
    const mote_tensor *tensor = mote_safetensors_find(file, wanted->name);
    if (!tensor || tensor->dtype != wanted->dtype || tensor->count != wanted->count)
      return mote_fail(MOTE_ERROR_FORMAT, "%s is no state of this training: \"%s\" is missing or different",
                       path, wanted->name);
    MOTE_TRY(mote_safetensors_read_raw(file, tensor, (void *)wanted->data));
    if (k > 0 && t->run.finds_law)
      MOTE_TRY(mote_upload(t->stream, list[k - 1]->data, s->array[k - 1],
                           (size_t)t->weights.floats * sizeof(float)));
  }
  for (int k = 0; k < NUMBERS; k++)
    if (!(s->number[k] >= 0 && s->number[k] < (k < 4 ? 9e15 : 2e300)))
      return mote_fail(MOTE_ERROR_FORMAT, "%s: \"progress\" is out of range", path);
  MOTE_TRY(check_search(t, path));
  t->epoch = (int64_t)s->number[0];
  t->updates = (int64_t)s->number[1];
  t->steps = (int64_t)s->number[2];
  t->failures = (int)s->number[3];
  t->best = s->number[4] < 1e299 ? s->number[4] : INFINITY;
  t->untrained = s->number[5] < 1e299 ? s->number[5] : INFINITY;
  return mote_stream_synchronize(t->stream);
}

static mote_status with_state(mote_constitutive *t, int saves) {
  state s;
  mote_safetensors *file = NULL;
  char *path = mote_path_join(t->folder, "state.safetensors");
  if (!path) return out_of_memory();
  mote_status status = describe(t, &s);
  if (status == MOTE_OK && saves) status = save(t, &s, path);
  if (status == MOTE_OK && !saves) status = mote_safetensors_open(path, &file);
  if (status == MOTE_OK && !saves) status = load(t, &s, path, file);
  mote_safetensors_close(file);
  release(&s);
  free(path);
  return status;
}

mote_status mote_constitutive_save_state(mote_constitutive *t) {
  return with_state(t, 1);
}
mote_status mote_constitutive_load_state(mote_constitutive *t) {
  return with_state(t, 0);
}
