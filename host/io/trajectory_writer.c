/* Writing trajectories: what a caller sees of it. The trick: nothing is ever read back or rewritten, so
   memory is that of one row of chunks and two frames whatever the length of the run. */
#include "host/io/trajectory_writer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cjson/cJSON.h>

#include "host/core/error.h"
#include "host/io/metadata.h"
#include "host/io/xdmf.h"

/* ---- Checks ---- */

static mote_status check_name(const char *name) {
  size_t length = name ? strlen(name) : 0;
  if (length == 0 || length > 63 || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "trajectory: a name of 1 to 63 characters without '/' is needed, not '%.80s'",
                     name ? name : "");
  return MOTE_OK;
}

static mote_status check_field(const mote_trajectory_options *options, int k) {
  const mote_trajectory_field *f = &options->fields[k];
  MOTE_TRY(check_name(f->name));
  int taken = strcmp(f->name, "time") == 0 || (options->volume && strcmp(f->name, "volume") == 0) ||
              (options->density && strcmp(f->name, "density") == 0);
  for (int other = 0; other < MOTE_MOST_LABELS; other++)
    taken |= strcmp(f->name, mote_label_names[other]) == 0;
  for (int other = 0; other < k; other++) taken |= strcmp(f->name, options->fields[other].name) == 0;
  if (taken) return mote_fail(MOTE_ERROR_ARGUMENT, "trajectory: the field '%s' is there already", f->name);
  int fits = f->rank >= 0 && f->rank <= 2;
  for (int d = 0; fits && d < f->rank; d++) fits = f->shape[d] >= 1 && f->shape[d] <= 1024;
  if (!fits)
    return mote_fail(MOTE_ERROR_ARGUMENT, "trajectory: field '%s': rank 0 to 2, sizes 1 to 1024", f->name);
  return MOTE_OK;
}

static mote_status check_options(const mote_trajectory_options *o) {
  if (o->particles < 1 || o->particles > INT32_MAX || (o->dim != 2 && o->dim != 3))
    return mote_fail(MOTE_ERROR_ARGUMENT, "trajectory: %lld particles in %d-D: expected 1 to 2^31-1, 2 or 3",
                     (long long)o->particles, o->dim);
  if (o->field_count < 0 || o->field_count > MOTE_MOST_FIELDS || (o->field_count > 0 && !o->fields))
    return mote_fail(MOTE_ERROR_ARGUMENT, "trajectory: %d fields: expected at most %d", o->field_count,
                     MOTE_MOST_FIELDS);
  for (int k = 0; k < o->field_count; k++) MOTE_TRY(check_field(o, k));
  if (o->field_count > 0 && (strcmp(o->fields[0].name, "position") != 0 || o->fields[0].rank != 1 ||
                             o->fields[0].shape[0] != o->dim))
    return mote_fail(MOTE_ERROR_ARGUMENT, "trajectory: the first field must be position, of %d values",
                     o->dim);
  if (o->compression < 0 || o->compression > 9)
    return mote_fail(MOTE_ERROR_ARGUMENT, "trajectory: compression %d: expected 0 to 9", o->compression);
  if (o->name) MOTE_TRY(check_name(o->name));
  return MOTE_OK;
}

/* ---- Public functions ---- */

static void destroy(mote_trajectory_writer *w) {
  mote_hdf5_session session;
  mote_hdf5_begin(&session);
  mote_group_close(w);
  mote_hdf5_close(&w->file);
  mote_hdf5_end(&session);
  mote_output_discard(&w->output, 1);
  mote_statistics_destroy(&w->statistics);
  for (int k = 0; k < w->count; k++) {
    free(w->records[k]->times);
    free(w->records[k]);
  }
  free(w->records);
  free(w->path);
  free(w->metadata_path);
  free(w);
}

static mote_status start(mote_trajectory_writer *w, const mote_trajectory_options *options) {
  mote_hdf5_session session;
  mote_hdf5_begin(&session);
  mote_status status = w->file.id < 0 ? mote_hdf5_create(w->path, w->output.fd, &w->file) : mote_group_end(w);
  if (status == MOTE_OK) status = mote_group_begin(w, options);
  if (status != MOTE_OK) w->failed = status;
  mote_hdf5_end(&session);
  return status;
}

mote_status mote_trajectory_create(const char *path, const mote_trajectory_options *options,
                                   mote_trajectory_writer **writer) {
  *writer = NULL;
  MOTE_TRY(check_options(options));
  mote_trajectory_writer *w = calloc(1, sizeof *w);
  if (!w) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to write %s", path);
  w->file.id = w->group = -1;
  w->output.fd = -1;
  for (int k = 0; k < MOTE_MOST_FIELDS; k++) w->dataset[k] = -1;
  for (int d = 0; d < 3; d++) w->low[d] = INFINITY, w->high[d] = -INFINITY;
  w->dim = options->dim;
  w->level = options->compression;
  w->write_xdmf = options->write_xdmf;
  if (options->metadata) w->metadata = *options->metadata;
  w->metadata.dim = w->dim;
  mote_statistics_init(&w->statistics, w->dim, options->metadata);
  w->path = strdup(path);
  w->metadata_path =
      options->metadata_path ? strdup(options->metadata_path) : mote_metadata_default_path(path);
  mote_status status = MOTE_OK;
  if (!w->path || !w->metadata_path) status = mote_fail(MOTE_ERROR_MEMORY, "out of memory to write %s", path);
  if (status == MOTE_OK) status = mote_output_open(path, &w->output);
  if (status == MOTE_OK) status = start(w, options);
  if (status != MOTE_OK) {
    destroy(w);
    return status;
  }
  *writer = w;
  return MOTE_OK;
}

mote_status mote_trajectory_next(mote_trajectory_writer *w, const mote_trajectory_options *options) {
  if (w->failed != MOTE_OK) return mote_fail(w->failed, "cannot write %s: an earlier write failed", w->path);
  MOTE_TRY(check_options(options));
  if (options->dim != w->dim)
    return mote_fail(MOTE_ERROR_ARGUMENT, "trajectory: %d-D particles in a file of %d-D ones", options->dim,
                     w->dim);
  return start(w, options);
}

static mote_status check_finite(const mote_trajectory_writer *w, const mote_written *r,
                                const float *const *values) {
  for (int k = 0; k < r->field_count; k++) {
    int64_t floats = r->particles * r->width[k];
    int bad = 0;
    for (int64_t i = 0; i < floats; i++) bad |= !isfinite(values[k][i]);
    for (int64_t i = 0; bad && i < floats; i++)
      if (!isfinite(values[k][i]))
        return mote_fail(MOTE_ERROR_NUMERIC,
                         "%s, trajectory %s, frame %lld: %s of particle %lld is not finite", w->path, r->name,
                         (long long)r->frames, r->fields[k].name, (long long)(i / r->width[k]));
  }
  return MOTE_OK;
}

static mote_status keep_time(mote_written *r, double time) {
  if (r->frames == r->times_capacity) {
    int64_t capacity = r->times_capacity ? 2 * r->times_capacity : 64;
    double *grown = realloc(r->times, (size_t)capacity * sizeof *grown);
    if (!grown) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld frames", (long long)capacity);
    r->times = grown;
    r->times_capacity = capacity;
  }
  r->times[r->frames] = time;
  return MOTE_OK;
}

static void widen(mote_trajectory_writer *w, int64_t n, const float *position) {
  for (int64_t i = 0; i < n; i++)
    for (int d = 0; d < w->dim; d++) {
      double x = position[i * w->dim + d];
      if (x < w->low[d]) w->low[d] = x;
      if (x > w->high[d]) w->high[d] = x;
    }
}

mote_status mote_trajectory_append(mote_trajectory_writer *w, double time, const float *const *values) {
  mote_written *r = w->records[w->count - 1];
  if (w->failed != MOTE_OK) return mote_fail(w->failed, "cannot write %s: an earlier write failed", w->path);
  if (!isfinite(time)) return mote_fail(MOTE_ERROR_NUMERIC, "%s: the time of a frame is not finite", w->path);
  MOTE_TRY(check_finite(w, r, values));
  MOTE_TRY(keep_time(r, time));
  for (int k = 0; k < r->field_count; k++) {
    size_t floats = (size_t)r->particles * (size_t)r->width[k];
    memcpy(w->pending[k] + (size_t)w->pending_frames * floats, values[k], floats * sizeof(float));
  }
  mote_statistics_add(&w->statistics, values[0]);
  widen(w, r->particles, values[0]);
  r->frames++;
  w->pending_frames++;
  if (w->pending_frames < w->shape.frames) return MOTE_OK;
  mote_hdf5_session session;
  mote_hdf5_begin(&session);
  mote_status status = mote_group_flush(w);
  mote_hdf5_end(&session);
  return status;
}

/* What was not known before the run: its length, size and statistics, and where nobody said so the bounds. */
static void complete_metadata(mote_trajectory_writer *w) {
  mote_metadata *m = &w->metadata;
  m->sequence_length = INT32_MAX;
  m->particle_count = 0;
  if (m->write_every < 1) m->write_every = 1;
  for (int k = 0; k < w->count; k++) {
    if (w->records[k]->frames < m->sequence_length) m->sequence_length = (int)w->records[k]->frames;
    if (w->records[k]->particles > m->particle_count) m->particle_count = w->records[k]->particles;
  }
  for (int d = 0; d < w->dim; d++) {
    if (m->bounds[d][0] < m->bounds[d][1]) continue;
    double room = w->high[d] > w->low[d] ? 0 : 0.5;
    m->bounds[d][0] = w->low[d] - room;
    m->bounds[d][1] = w->high[d] + room;
  }
  mote_statistics_get(&w->statistics, m);
}

static mote_status close_file(mote_trajectory_writer *w, const char *metadata) {
  mote_hdf5_session session;
  mote_hdf5_begin(&session);
  mote_status status = mote_group_put_text(w, "metadata", metadata);
  if (status == MOTE_OK) status = mote_group_put_text(w, "creator", "Mote");
  if (status == MOTE_OK && H5Fflush(w->file.id, H5F_SCOPE_LOCAL) < 0) status = mote_group_failed(w, "flush");
  mote_hdf5_close(&w->file);
  if (status == MOTE_OK && w->file.error) status = mote_group_failed(w, "close");
  mote_hdf5_end(&session);
  return status;
}

static mote_status write_xdmf(mote_trajectory_writer *w, mote_output *output) {
  mote_xdmf_trajectory *all = calloc((size_t)w->count, sizeof *all);
  char *path = mote_path_replace_extension(w->path, ".xdmf");
  mote_status status =
      all && path ? mote_output_open(path, output) : mote_fail(MOTE_ERROR_MEMORY, "out of memory");
  for (int k = 0; status == MOTE_OK && k < w->count; k++) {
    const mote_written *r = w->records[k];
    all[k] = (mote_xdmf_trajectory){r->name,   r->frames,         r->particles, w->dim,
                                    r->times,  r->field_count,    r->fields,    r->label_count,
                                    r->labels, r->constant_count, r->constants};
  }
  if (status == MOTE_OK) status = mote_xdmf_write(output, mote_path_name(w->path), all, w->count);
  free(path);
  free(all);
  return status;
}

static mote_status finish(mote_trajectory_writer *w) {
  if (w->failed != MOTE_OK) return mote_fail_within(w->failed, "%s was not written", w->path);
  mote_hdf5_session session;
  mote_hdf5_begin(&session);
  mote_status status = mote_group_end(w);
  mote_hdf5_end(&session);
  if (status != MOTE_OK) return status;
  complete_metadata(w);
  char *text = mote_metadata_format(&w->metadata, mote_path_name(w->path));
  if (!text) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to write %s", w->path);
  mote_output outputs[3] = {{.fd = -1}, {.fd = -1}, {.fd = -1}};
  int count = 1;
  status = close_file(w, text);
  if (status == MOTE_OK && w->metadata_path[0]) {
    status = mote_output_open(w->metadata_path, &outputs[count++]);
    if (status == MOTE_OK) status = mote_output_write(&outputs[count - 1], text, strlen(text));
  }
  cJSON_free(text);
  if (status == MOTE_OK && w->write_xdmf) status = write_xdmf(w, &outputs[count++]);
  if (status != MOTE_OK) {
    mote_output_discard(outputs + 1, 2);
    return status;
  }
  outputs[0] = w->output;
  w->output = (mote_output){.fd = -1};
  return mote_output_commit(outputs, count);
}

mote_status mote_trajectory_finish(mote_trajectory_writer *w) {
  mote_status status = finish(w);
  destroy(w);
  return status;
}

void mote_trajectory_abort(mote_trajectory_writer *w) {
  if (w) destroy(w);
}
