/* From a checkpoint to a model's folder: see mote/convert.h. The trick: everything is read and checked before
   anything is written. */
#include <mote/convert.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/io/safetensors.h"
#include "host/io/torch_archive.h"
#include "host/models/gns_convert.h"
#include "host/models/model_folder.h"

/* ---- The tensors, in memory ---- */

typedef struct weights {
  int count;
  mote_tensor *tensors;
  float *values;
} weights;

static int by_storage(const void *a, const void *b) {
  const mote_torch_tensor *x = *(const mote_torch_tensor *const *)a,
                          *y = *(const mote_torch_tensor *const *)b;
  if (x->storage != y->storage) return x->storage < y->storage ? -1 : 1;
  return strcmp(x->name, y->name);
}

static mote_status list_tensors(const mote_torch *archive, weights *w, const mote_torch_tensor **order) {
  int64_t total = 0;
  for (int k = 0; k < w->count; k++) {
    order[k] = mote_torch_get(archive, k);
    if (__builtin_add_overflow(total, order[k]->count, &total) || total > INT64_MAX / 8)
      return mote_fail(MOTE_ERROR_FORMAT, "%s: its tensors are too large", mote_torch_path(archive));
  }
  qsort(order, (size_t)w->count, sizeof *order, by_storage);
  w->values = malloc((size_t)total * sizeof *w->values + 1);
  w->tensors = calloc((size_t)w->count + 1, sizeof *w->tensors);
  if (!w->values || !w->tensors)
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for the tensors of %s", mote_torch_path(archive));
  return MOTE_OK;
}

static mote_status read_in_order(mote_torch *archive, weights *w, const mote_torch_tensor *const *order,
                                 const mote_monitor *monitor, int *stopped) {
  float *at = w->values;
  for (int k = 0; k < w->count && !*stopped; k++) {
    mote_tensor *t = &w->tensors[k];
    *t = (mote_tensor){.name = order[k]->name,
                       .dtype = MOTE_F32,
                       .rank = order[k]->rank,
                       .count = order[k]->count,
                       .data = at};
    memcpy(t->shape, order[k]->shape, sizeof t->shape);
    MOTE_TRY(mote_torch_read(archive, order[k], at));
    at += t->count;
    if (monitor && monitor->progress)
      *stopped = monitor->progress(monitor->user, "convert", "tensors", k + 1, w->count) != 0;
  }
  return MOTE_OK;
}

static mote_status read_weights(mote_torch *archive, weights *w, const mote_monitor *monitor, int *stopped) {
  *w = (weights){.count = mote_torch_count(archive)};
  const mote_torch_tensor **order = malloc(((size_t)w->count + 1) * sizeof *order);
  if (!order) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %s", mote_torch_path(archive));
  mote_status status = list_tensors(archive, w, order);
  if (status == MOTE_OK) status = read_in_order(archive, w, order, monitor, stopped);
  free(order);
  return status;
}

/* ---- The folder ---- */

static mote_status write_folder(const char *folder, const weights *w, const cJSON *config) {
  static const char *const texts[] = {"format", "pt"};
  mote_model_files files = {
      .tensors = w->tensors, .count = w->count, .texts = texts, .pairs = 1, .config = config};
  return mote_model_folder_write(folder, &files);
}

/* ---- The whole ---- */

static void report(const mote_monitor *monitor, const char *folder, const mote_gns_shape *s) {
  char line[512];
  if (!monitor || !monitor->log) return;
  snprintf(
      line, sizeof line,
      "GNS: %d layers of width %d, %d hidden a network, %d-D, %d velocities, %d particle types of width %d",
      s->layers, s->width, s->mlp_layers, s->dim, s->history, s->particle_types, s->type_width);
  monitor->log(monitor->user, MOTE_LOG_INFO, line);
  snprintf(line, sizeof line, "put the data set's metadata.json (statistics, bounds, radius) into %.300s",
           folder);
  monitor->log(monitor->user, MOTE_LOG_INFO, line);
}

static mote_status convert(mote_torch *archive, const char *folder, const mote_model_convert_options *options,
                           const mote_monitor *monitor) {
  mote_gns_shape shape;
  weights w;
  int stopped = 0;
  MOTE_TRY(mote_gns_recognise(archive, &shape));
  cJSON *config = mote_gns_config(&shape, options);
  if (!config) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %s", folder);
  mote_status status = read_weights(archive, &w, monitor, &stopped);
  if (status == MOTE_OK && !stopped) {
    status = write_folder(folder, &w, config);
    if (status == MOTE_OK) report(monitor, folder, &shape);
  }
  free(w.tensors);
  free(w.values);
  cJSON_Delete(config);
  return status;
}

mote_status mote_convert_model(const char *in, const char *folder, const mote_model_convert_options *options,
                               const mote_monitor *monitor) {
  static const mote_model_convert_options defaults;
  const mote_model_convert_options *o = options ? options : &defaults;
  mote_torch *archive;
  if (!isfinite(o->noise_std) || !isfinite(o->boundary_clamp_limit) || o->boundary_clamp_limit < 0)
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "noise_std %g, boundary_clamp_limit %g: expected numbers, the second 0 "
                     "or more",
                     o->noise_std, o->boundary_clamp_limit);
  MOTE_TRY(mote_model_folder_check(folder));
  MOTE_TRY(mote_torch_open(in, &archive));
  mote_status status = convert(archive, folder, o, monitor);
  mote_torch_close(archive);
  return status;
}
