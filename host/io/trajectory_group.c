/* One group of a trajectory file: its data sets, and the frames that are gathered until a chunk's worth is
   there, packed on all threads and handed to HDF5 as whole chunks. */
#include "host/io/trajectory_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

const char *const mote_label_names[MOTE_MOST_LABELS] = {"particle_type", "material", "body", "index"};
static const char *const constant_names[MOTE_MOST_CONSTANTS] = {"volume", "density"};

mote_status mote_group_failed(mote_trajectory_writer *w, const char *what) {
  if (w->file.error)
    return w->failed =
               mote_fail(MOTE_ERROR_IO,
                         "cannot write %s: %s: nothing is left under that name but what lay there before",
                         w->path, strerror(w->file.error));
  return w->failed = mote_hdf5_fail(MOTE_ERROR_IO, "cannot write %s: %s", w->path, what);
}

static mote_status create_field(mote_trajectory_writer *w, const mote_written *r, int k) {
  const mote_trajectory_field *f = &r->fields[k];
  int rank = 2 + f->rank;
  hsize_t size[4] = {0, (hsize_t)r->particles}, most[4] = {H5S_UNLIMITED, (hsize_t)r->particles};
  hsize_t chunk[4] = {(hsize_t)w->shape.frames, (hsize_t)w->shape.particles};
  for (int d = 0; d < f->rank; d++) size[2 + d] = most[2 + d] = chunk[2 + d] = (hsize_t)f->shape[d];
  hid_t space = H5Screate_simple(rank, size, most), list = H5Pcreate(H5P_DATASET_CREATE);
  int ok = space >= 0 && list >= 0 && H5Pset_chunk(list, rank, chunk) >= 0 &&
           H5Pset_fill_time(list, H5D_FILL_TIME_NEVER) >= 0 && H5Pset_obj_track_times(list, 0) >= 0;
  if (ok && w->level > 0) ok = H5Pset_shuffle(list) >= 0 && H5Pset_deflate(list, (unsigned)w->level) >= 0;
  w->dataset[k] =
      ok ? H5Dcreate2(w->group, f->name, H5T_IEEE_F32LE, space, H5P_DEFAULT, list, H5P_DEFAULT) : -1;
  if (list >= 0) H5Pclose(list);
  if (space >= 0) H5Sclose(space);
  return w->dataset[k] < 0 || w->file.error ? mote_group_failed(w, f->name) : MOTE_OK;
}

/* A whole one-dimensional data set. Times are not tracked: the same input gives the same bytes. */
static mote_status put(mote_trajectory_writer *w, const char *name, hid_t stored, hid_t given, int64_t count,
                       const void *values) {
  hsize_t size = (hsize_t)count;
  hid_t space = H5Screate_simple(1, &size, NULL), list = H5Pcreate(H5P_DATASET_CREATE), set = -1;
  if (space >= 0 && list >= 0 && H5Pset_obj_track_times(list, 0) >= 0)
    set = H5Dcreate2(w->group, name, stored, space, H5P_DEFAULT, list, H5P_DEFAULT);
  int ok = set >= 0 && H5Dwrite(set, given, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0;
  if (set >= 0) H5Dclose(set);
  if (list >= 0) H5Pclose(list);
  if (space >= 0) H5Sclose(space);
  return ok && !w->file.error ? MOTE_OK : mote_group_failed(w, name);
}

mote_status mote_group_put_text(mote_trajectory_writer *w, const char *name, const char *text) {
  return mote_hdf5_put_text(&w->file, name, text) ? MOTE_OK : mote_group_failed(w, name);
}

/* ---- A trajectory's beginning and end ---- */

static void release_buffers(mote_trajectory_writer *w) {
  for (int k = 0; k < MOTE_MOST_FIELDS; k++) {
    free(w->pending[k]);
    w->pending[k] = NULL;
  }
  free(w->chunks);
  free(w->packed);
  w->chunks = NULL;
  w->packed = NULL;
  w->pending_frames = 0;
}

static mote_status reserve_buffers(mote_trajectory_writer *w, const mote_written *r) {
  int64_t blocks = (r->particles + w->shape.particles - 1) / w->shape.particles;
  size_t packed = 0, at = 0;
  w->chunk_count = (int)blocks * r->field_count;
  w->chunks = calloc((size_t)w->chunk_count, sizeof *w->chunks);
  int ok = w->chunks != NULL;
  for (int k = 0; ok && k < r->field_count; k++) {
    packed += (size_t)blocks * mote_chunk_bound(w->shape, r->width[k]);
    w->pending[k] = malloc((size_t)(w->shape.frames * r->particles) * (size_t)r->width[k] * sizeof(float));
    ok = w->pending[k] != NULL;
  }
  w->packed = ok ? malloc(packed) : NULL;
  if (!w->packed)
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory to write %lld particles", (long long)r->particles);
  for (int k = 0; k < r->field_count; k++)
    for (int64_t b = 0; b < blocks; b++) {
      int64_t first = b * w->shape.particles, rows = r->particles - first;
      w->chunks[k * blocks + b] = (mote_chunk){.source = w->pending[k] + first * r->width[k],
                                               .frame_stride = r->particles * r->width[k],
                                               .rows = rows < w->shape.particles ? rows : w->shape.particles,
                                               .width = r->width[k],
                                               .shape = w->shape,
                                               .packed = w->packed + at};
      at += mote_chunk_bound(w->shape, r->width[k]);
    }
  return MOTE_OK;
}

static void fill_record(mote_written *r, const mote_trajectory_options *o, int number) {
  const mote_trajectory_field position = {"position", 1, {o->dim, 0}};
  if (o->name)
    snprintf(r->name, sizeof r->name, "%s", o->name);
  else
    snprintf(r->name, sizeof r->name, "%05d", number);
  r->particles = o->particles;
  r->field_count = o->field_count > 0 ? o->field_count : 1;
  for (int k = 0; k < r->field_count; k++) {
    r->fields[k] = o->field_count > 0 ? o->fields[k] : position;
    snprintf(r->names[k], sizeof r->names[k], "%s", r->fields[k].name);
    r->fields[k].name = r->names[k];
    r->width[k] = 1;
    for (int d = 0; d < r->fields[k].rank; d++) r->width[k] *= r->fields[k].shape[d];
  }
}

static mote_status put_labels(mote_trajectory_writer *w, mote_written *r, const mote_trajectory_options *o) {
  const int32_t *labels[MOTE_MOST_LABELS] = {o->particle_type, o->material, o->body, o->index};
  const float *constants[MOTE_MOST_CONSTANTS] = {o->volume, o->density};
  int32_t *zero = NULL;
  if (!labels[0]) {
    labels[0] = zero = calloc((size_t)r->particles, sizeof *zero);
    if (!zero) return mote_fail(MOTE_ERROR_MEMORY, "out of memory");
  }
  mote_status status = MOTE_OK;
  for (int k = 0; k < MOTE_MOST_LABELS && status == MOTE_OK; k++) {
    if (!labels[k]) continue;
    r->labels[r->label_count++] = mote_label_names[k];
    status = put(w, mote_label_names[k], H5T_STD_I32LE, H5T_NATIVE_INT32, r->particles, labels[k]);
  }
  for (int k = 0; k < MOTE_MOST_CONSTANTS && status == MOTE_OK; k++) {
    if (!constants[k]) continue;
    r->constants[r->constant_count++] = constant_names[k];
    status = put(w, constant_names[k], H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, r->particles, constants[k]);
  }
  free(zero);
  return status;
}

mote_status mote_group_begin(mote_trajectory_writer *w, const mote_trajectory_options *o) {
  mote_written *r = calloc(1, sizeof *r),
               **grown = realloc(w->records, (size_t)(w->count + 1) * sizeof *grown);
  if (grown) w->records = grown;
  if (!r || !grown) {
    free(r);
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory to write %s", w->path);
  }
  fill_record(r, o, w->count);
  w->records[w->count++] = r;
  for (int k = 0; k < w->count - 1; k++)
    if (strcmp(w->records[k]->name, r->name) == 0)
      return mote_fail(MOTE_ERROR_ARGUMENT, "trajectory: %s has a trajectory '%s' already", w->path, r->name);
  w->shape = mote_choose_chunks(r->particles, w->dim);
  MOTE_TRY(reserve_buffers(w, r));
  MOTE_TRY(mote_statistics_begin(&w->statistics, r->particles, o->particle_type));
  w->group = H5Gcreate2(w->file.id, r->name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  if (w->group < 0) return mote_group_failed(w, r->name);
  for (int k = 0; k < r->field_count; k++) MOTE_TRY(create_field(w, r, k));
  return put_labels(w, r, o);
}

mote_status mote_group_flush(mote_trajectory_writer *w) {
  mote_written *r = w->records[w->count - 1];
  if (w->pending_frames == 0) return MOTE_OK;
  int blocks = w->chunk_count / r->field_count;
  int64_t first = r->frames - w->pending_frames;
  for (int k = 0; k < w->chunk_count; k++) w->chunks[k].frames = w->pending_frames;
  mote_status status = mote_chunks_pack(w->chunks, w->chunk_count, w->level);
  if (status != MOTE_OK) return w->failed = status;
  for (int k = 0; k < r->field_count; k++) {
    hsize_t size[4] = {(hsize_t)r->frames, (hsize_t)r->particles};
    for (int d = 0; d < r->fields[k].rank; d++) size[2 + d] = (hsize_t)r->fields[k].shape[d];
    int ok = H5Dset_extent(w->dataset[k], size) >= 0;
    for (int b = 0; ok && b < blocks; b++) {
      const mote_chunk *c = &w->chunks[k * blocks + b];
      hsize_t offset[4] = {(hsize_t)first, (hsize_t)(b * w->shape.particles)};
      ok = H5Dwrite_chunk(w->dataset[k], H5P_DEFAULT, 0, offset, c->packed_size, c->packed) >= 0;
    }
    if (!ok || w->file.error) return mote_group_failed(w, r->fields[k].name);
  }
  w->pending_frames = 0;
  return MOTE_OK;
}

void mote_group_close(mote_trajectory_writer *w) {
  for (int k = 0; k < MOTE_MOST_FIELDS; k++) {
    if (w->dataset[k] >= 0) H5Dclose(w->dataset[k]);
    w->dataset[k] = -1;
  }
  if (w->group >= 0) H5Gclose(w->group);
  w->group = -1;
  release_buffers(w);
}

mote_status mote_group_end(mote_trajectory_writer *w) {
  mote_written *r = w->records[w->count - 1];
  if (r->frames == 0)
    return w->failed = mote_fail(MOTE_ERROR_ARGUMENT, "trajectory %s of %s has no frames", r->name, w->path);
  MOTE_TRY(mote_group_flush(w));
  MOTE_TRY(put(w, "time", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, r->frames, r->times));
  mote_group_close(w);
  return w->file.error ? mote_group_failed(w, r->name) : MOTE_OK;
}
