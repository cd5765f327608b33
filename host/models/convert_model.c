/* From a checkpoint to a model's folder: see mote/convert.h. The trick: everything is read and checked before
   anything is written. */
#include <mote/convert.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/core/error.h"
#include "host/core/file.h"
#include "host/io/json_file.h"
#include "host/io/safetensors.h"
#include "host/io/torch_archive.h"
#include "host/models/gns_convert.h"

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

static mote_status check_folder(const char *folder) {
  static const char *const files[] = {".h5",  ".hdf5", ".npz", ".ply",         ".vtk",
                                      ".vtp", ".pvd",  ".pt",  ".safetensors", ".json"};
  struct stat about;
  if (!*folder) return mote_fail(MOTE_ERROR_ARGUMENT, "the model's folder has no name");
  if (stat(folder, &about) == 0)
    return S_ISDIR(about.st_mode) ? MOTE_OK
                                  : mote_fail(MOTE_ERROR_ARGUMENT,
                                              "%s is a file; a model becomes a folder, with config.json and "
                                              "model.safetensors",
                                              folder);
  for (size_t k = 0; k < sizeof files / sizeof *files; k++)
    if (mote_path_has_extension(folder, files[k]))
      return mote_fail(
          MOTE_ERROR_ARGUMENT,
          "%s: a model becomes a folder, with config.json and model.safetensors; expected a name "
          "without %s",
          folder, files[k]);
  return MOTE_OK;
}

static mote_status open_in(const char *folder, const char *name, mote_output *output) {
  char *path = mote_path_join(folder, name);
  if (!path) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to write %s", folder);
  mote_status status = mote_output_open(path, output);
  free(path);
  return status;
}

static mote_status write_files(const char *folder, const weights *w, const cJSON *config) {
  static const char *const metadata[] = {"format", "pt"};
  mote_output outputs[2] = {{.fd = -1}, {.fd = -1}};
  mote_status status = open_in(folder, "model.safetensors", &outputs[0]);
  if (status == MOTE_OK) status = open_in(folder, "config.json", &outputs[1]);
  if (status == MOTE_OK) status = mote_safetensors_write_to(&outputs[0], w->tensors, w->count, metadata, 1);
  if (status == MOTE_OK) status = mote_json_write_to(&outputs[1], config);
  if (status == MOTE_OK) return mote_output_commit(outputs, 2);
  mote_output_discard(outputs, 2);
  return status;
}

static mote_status write_folder(const char *folder, const weights *w, const cJSON *config) {
  int made = mkdir(folder, 0777) == 0;
  if (!made && errno != EEXIST)
    return mote_fail(MOTE_ERROR_IO, "cannot make the folder %s: %s", folder, strerror(errno));
  mote_status status = write_files(folder, w, config);
  if (status != MOTE_OK && made) rmdir(folder);
  return status;
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
  MOTE_TRY(check_folder(folder));
  MOTE_TRY(mote_torch_open(in, &archive));
  mote_status status = convert(archive, folder, o, monitor);
  mote_torch_close(archive);
  return status;
}
