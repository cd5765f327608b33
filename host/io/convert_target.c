/* The targets of a conversion: see convert_target.h. */
#include "host/io/convert_target.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cjson/cJSON.h>

#include "host/core/error.h"
#include "host/io/metadata.h"

#define DEFAULT_LEVEL 4
#define MOST_FILES 100000

__attribute__((format(printf, 2, 3))) static void warn(const mote_convert_target *t, const char *format,
                                                       ...) {
  char line[512];
  if (!t->monitor || !t->monitor->log) return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  t->monitor->log(t->monitor->user, MOTE_LOG_WARNING, line);
}

static mote_status kind_of(const char *path, mote_target_kind *kind) {
  static const struct {
    const char *extension;
    mote_target_kind kind;
  } known[] = {{".h5", MOTE_TO_HDF5}, {".hdf5", MOTE_TO_HDF5}, {".npz", MOTE_TO_NPZ}, {".ply", MOTE_TO_PLY},
               {".vtk", MOTE_TO_VTK}, {".vtp", MOTE_TO_VTP},   {".pvd", MOTE_TO_PVD}};
  for (size_t k = 0; k < sizeof known / sizeof *known; k++)
    if (mote_path_has_extension(path, known[k].extension)) {
      *kind = known[k].kind;
      return MOTE_OK;
    }
  return mote_fail(MOTE_ERROR_UNSUPPORTED,
                   "%s: cannot tell the format to write; expected .h5, .hdf5, .npz, .ply, .vtk, .vtp or .pvd",
                   path);
}

mote_status mote_target_open(const char *path, int trajectories, const mote_convert_options *options,
                             mote_frame_source *source, const mote_monitor *monitor, mote_convert_target *t) {
  *t = (mote_convert_target){.path = path, .monitor = monitor, .write_xdmf = options->write_xdmf};
  MOTE_TRY(kind_of(path, &t->kind));
  if (options->compression > 9)
    return mote_fail(MOTE_ERROR_ARGUMENT, "compression %d: expected -1 to 9", options->compression);
  t->level = options->compression == 0 ? DEFAULT_LEVEL : options->compression < 0 ? 0 : options->compression;
  if (t->kind > MOTE_TO_NPZ && trajectories > 1)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s: holds frames of one trajectory; choose one of the %d", path,
                     trajectories);
  t->has_metadata = mote_source_metadata(source, &t->metadata) == MOTE_OK;
  if (options->frames.step) t->metadata.history_frames = 0; /* not the first frames any more */
  if (t->has_metadata && options->frames.step > 1) {
    if (t->metadata.write_every > INT32_MAX / options->frames.step)
      return mote_fail(MOTE_ERROR_ARGUMENT, "a step of %lld frames is too large",
                       (long long)options->frames.step);
    t->metadata.write_every *= (int)options->frames.step;
  }
  if (!t->has_metadata)
    warn(t, "%s has no metadata: dt and dx stay unknown, bounds are those of the positions", source->path);
  if (t->kind != MOTE_TO_NPZ) return MOTE_OK;
  t->outputs = calloc(1, sizeof *t->outputs);
  if (!t->outputs) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to write %s", path);
  mote_status status = mote_output_open(path, t->outputs);
  t->output_count = status == MOTE_OK;
  t->zip = (mote_zip_writer){.output = t->outputs, .level = t->level};
  if (status != MOTE_OK) mote_target_abort(t);
  return status;
}

/* ---- HDF5 ---- */

static const int32_t *label(const mote_convert_run *run, const char *name) {
  for (int k = 0; k < run->label_count; k++)
    if (strcmp(run->label_names[k], name) == 0) return run->labels[k];
  return NULL;
}

static const float *constant(const mote_convert_run *run, const char *name) {
  for (int k = 0; k < run->constant_count; k++)
    if (strcmp(run->constant_names[k], name) == 0) return run->constants[k];
  return NULL;
}

static void warn_of_rest(const mote_convert_target *t, const mote_convert_run *run) {
  static const char *const kept[] = {"particle_type", "material", "body"};
  for (int k = 0; k < run->label_count; k++) {
    int known = 0;
    for (int j = 0; j < (t->kind == MOTE_TO_NPZ ? 1 : 3); j++)
      known |= strcmp(run->label_names[k], kept[j]) == 0;
    if (!known && t->kind <= MOTE_TO_NPZ) warn(t, "%s: %s is not taken over", t->path, run->label_names[k]);
  }
  for (int k = 0; k < run->constant_count; k++)
    if (t->kind != MOTE_TO_HDF5 ||
        (strcmp(run->constant_names[k], "volume") != 0 && strcmp(run->constant_names[k], "density") != 0))
      warn(t, "%s: %s is not taken over", t->path, run->constant_names[k]);
  for (int k = 1; t->kind == MOTE_TO_NPZ && k < run->field_count; k++)
    warn(t, "%s: %s is not taken over", t->path, run->fields[k].name);
}

static mote_status begin_hdf5(mote_convert_target *t, const mote_convert_run *run) {
  mote_trajectory_options options = {.particles = run->info.particles,
                                     .dim = run->info.dim,
                                     .field_count = run->field_count,
                                     .fields = run->fields,
                                     .particle_type = label(run, "particle_type"),
                                     .material = label(run, "material"),
                                     .body = label(run, "body"),
                                     .volume = constant(run, "volume"),
                                     .density = constant(run, "density"),
                                     .compression = t->level,
                                     .metadata = t->has_metadata ? &t->metadata : NULL,
                                     .write_xdmf = t->write_xdmf};
  if (t->writer) return mote_trajectory_next(t->writer, &options);
  return mote_trajectory_create(t->path, &options, &t->writer);
}

/* ---- Files a frame ---- */

static mote_status next_output(mote_convert_target *t) {
  if (t->output_count == t->output_capacity) {
    int64_t capacity = t->output_capacity ? 2 * t->output_capacity : 8;
    mote_output *outputs = realloc(t->outputs, (size_t)capacity * sizeof *outputs);
    if (outputs) t->outputs = outputs;
    char **names = realloc(t->names, (size_t)capacity * sizeof *names);
    if (names) t->names = names;
    double *times = realloc(t->times, (size_t)capacity * sizeof *times);
    if (times) t->times = times;
    if (!outputs || !names || !times)
      return mote_fail(MOTE_ERROR_MEMORY, "out of memory to write %s", t->path);
    t->output_capacity = capacity;
  }
  return MOTE_OK;
}

/* NAME.ply of a single frame, else NAME_00012.ply; the files of a .pvd are always numbered. */
static char *frame_path(const mote_convert_target *t, const mote_convert_run *run, int64_t frame) {
  char tail[40];
  if (t->kind != MOTE_TO_PVD && run->count == 1) return strdup(t->path);
  const char *dot = strrchr(mote_path_name(t->path), '.');
  snprintf(tail, sizeof tail, "_%05lld%s", (long long)frame, t->kind == MOTE_TO_PVD ? ".vtp" : dot);
  return mote_path_replace_extension(t->path, tail);
}

/* A descriptor a frame would run out: what is written is closed, and opened again only to be synced. */
static mote_status write_frame(mote_convert_target *t, const mote_convert_run *run, int64_t frame,
                               double time) {
  MOTE_TRY(next_output(t));
  char *path = frame_path(t, run, frame);
  if (!path) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to write %s", t->path);
  mote_output *o = &t->outputs[t->output_count];
  mote_status status = mote_output_open(path, o);
  if (status == MOTE_OK) {
    t->names[t->output_count] = path;
    t->times[t->output_count++] = time;
  } else {
    free(path);
    return status;
  }
  mote_frame f = {.particles = run->info.particles,
                  .dim = run->info.dim,
                  .time = time,
                  .field_count = run->field_count,
                  .fields = run->fields,
                  .values = (const float *const *)run->values,
                  .label_count = run->label_count,
                  .label_names = run->label_names,
                  .labels = (const int32_t *const *)run->labels};
  if (t->kind == MOTE_TO_PLY)
    status = mote_write_ply(o, &f);
  else if (t->kind == MOTE_TO_VTK)
    status = mote_write_vtk(o, &f);
  else
    status = mote_write_vtp(o, &f);
  return status == MOTE_OK ? mote_output_pause(o) : status;
}

static mote_status finish_frames(mote_convert_target *t) {
  if (t->kind == MOTE_TO_PVD) {
    MOTE_TRY(next_output(t));
    const char **names = malloc((size_t)t->output_count * sizeof *names);
    if (!names) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to write %s", t->path);
    for (int64_t k = 0; k < t->output_count; k++) names[k] = mote_path_name(t->names[k]);
    mote_output *o = &t->outputs[t->output_count];
    mote_status status = mote_output_open(t->path, o);
    if (status == MOTE_OK) {
      t->names[t->output_count++] = NULL;
      status = mote_write_pvd(o, t->output_count - 1, names, t->times);
    }
    free(names);
    if (status != MOTE_OK) return status;
  }
  return mote_output_commit(t->outputs, (int)t->output_count);
}

/* ---- All ---- */

mote_status mote_target_begin(mote_convert_target *t, const mote_convert_run *run) {
  warn_of_rest(t, run);
  if (t->kind == MOTE_TO_HDF5) return begin_hdf5(t, run);
  if (t->kind == MOTE_TO_NPZ) {
    mote_trajectory_info info = run->info;
    info.frames = run->count;
    return mote_npz_begin(&t->zip, strcmp(run->name, "/") == 0 ? "00000" : run->name, info);
  }
  if (run->count > MOST_FILES)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s: %lld files, a frame each; choose at most %d frames", t->path,
                     (long long)run->count, MOST_FILES);
  return MOTE_OK;
}

mote_status mote_target_frame(mote_convert_target *t, const mote_convert_run *run, int64_t frame,
                              double time) {
  if (t->kind == MOTE_TO_HDF5)
    return mote_trajectory_append(t->writer, time, (const float *const *)run->values);
  if (t->kind == MOTE_TO_NPZ) return mote_npz_frame(&t->zip, run->info, run->values[0]);
  return write_frame(t, run, frame, time);
}

mote_status mote_target_end(mote_convert_target *t, const mote_convert_run *run) {
  if (t->kind != MOTE_TO_NPZ) return MOTE_OK;
  const int32_t *type = label(run, "particle_type");
  if (type) return mote_npz_end(&t->zip, run->info, type);
  int32_t *zero = calloc((size_t)run->info.particles, sizeof *zero);
  if (!zero) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to write %s", t->path);
  mote_status status = mote_npz_end(&t->zip, run->info, zero);
  free(zero);
  return status;
}

/* GNS wants metadata.json beside its archives. */
static mote_status finish_npz(mote_convert_target *t) {
  mote_output outputs[2] = {{.fd = -1}, {.fd = -1}};
  MOTE_TRY(mote_zip_finish(&t->zip));
  mote_status status = MOTE_OK;
  if (t->has_metadata) {
    char *path = mote_metadata_default_path(t->path),
         *text = mote_metadata_format(&t->metadata, mote_path_name(t->path));
    status =
        path && text ? mote_output_open(path, &outputs[1]) : mote_fail(MOTE_ERROR_MEMORY, "out of memory");
    if (status == MOTE_OK) status = mote_output_write(&outputs[1], text, strlen(text));
    cJSON_free(text);
    free(path);
  }
  if (status != MOTE_OK) {
    mote_output_discard(&outputs[1], 1);
    return status;
  }
  outputs[0] = t->outputs[0];
  t->output_count = 0;
  return mote_output_commit(outputs, t->has_metadata ? 2 : 1);
}

static void release(mote_convert_target *t) {
  mote_zip_release(&t->zip);
  for (int64_t k = 0; t->names && k < t->output_count; k++) free(t->names[k]);
  free(t->names);
  free(t->times);
  free(t->outputs);
  *t = (mote_convert_target){0};
}

mote_status mote_target_finish(mote_convert_target *t) {
  mote_status status;
  if (t->kind == MOTE_TO_HDF5) {
    mote_trajectory_writer *writer = t->writer;
    t->writer = NULL;
    status = mote_trajectory_finish(writer);
  } else {
    status = t->kind == MOTE_TO_NPZ ? finish_npz(t) : finish_frames(t);
  }
  if (status != MOTE_OK) mote_output_discard(t->outputs, (int)t->output_count);
  release(t);
  return status;
}

void mote_target_abort(mote_convert_target *t) {
  mote_trajectory_abort(t->writer);
  mote_output_discard(t->outputs, (int)t->output_count);
  release(t);
}
