/* Writing trajectories, frame by frame: memory holds three frames (for the statistics) whatever the length,
   and the file gets its final name when all of it is on disk. */
#include <mote/trajectory.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/core/error.h"
#include "host/core/file.h"
#include "host/io/hdf5.h"
#include "host/io/metadata.h"
#include "host/io/xdmf.h"

#define MAX_FIELDS 16
#define NAME_LENGTH 64
#define GROUP "00000"
#define CHUNK_BYTES ((hsize_t)1 << 20)

typedef struct moments {
  double count, sum[3], square[3];
} moments;

struct mote_trajectory_writer {
  char path[MOTE_PATH_MAX], temporary[MOTE_PATH_MAX];
  mote_trajectory_options
      options; /* its pointers are ours, but particle_type and the like, which are written at once */
  mote_trajectory_field fields[MAX_FIELDS];
  char names[MAX_FIELDS][NAME_LENGTH];
  mote_metadata metadata;
  int has_material;
  hid_t file, group, dataset[MAX_FIELDS];
  int64_t frames, time_capacity;
  double *times;
  float *previous[2]; /* the last frame and the one before it */
  moments velocity, acceleration;
};

/* ---- starting ---- */

static mote_status check_options(const char *path, const mote_trajectory_options *o) {
  if (o->particles < 1 || o->particles > INT32_MAX || (o->dim != 2 && o->dim != 3))
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s: %lld particles in %d dimensions", path,
                     (long long)o->particles, o->dim);
  if (o->field_count < 1 || o->field_count > MAX_FIELDS || strcmp(o->fields[0].name, "position") ||
      o->fields[0].rank != 1 || o->fields[0].shape[0] != o->dim)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s: the first of 1 to %d fields must be position (dim)", path,
                     MAX_FIELDS);
  for (int k = 0; k < o->field_count; k++)
    if (o->fields[k].rank < 0 || o->fields[k].rank > 2 || strlen(o->fields[k].name) >= NAME_LENGTH)
      return mote_fail(MOTE_ERROR_ARGUMENT, "%s: field %s has rank %d", path, o->fields[k].name,
                       o->fields[k].rank);
  if (!o->particle_type) return mote_fail(MOTE_ERROR_ARGUMENT, "%s: particle_type is missing", path);
  if (o->compression < 0 || o->compression > 9)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s: compression %d: expected 0 to 9", path, o->compression);
  return MOTE_OK;
}

/* (T, n, ...) with T growing; a chunk is one frame of about a megabyte of particles, so that reading a frame
   or a window touches nothing else. */
static hid_t create_field(mote_trajectory_writer *w, const mote_trajectory_field *f) {
  hsize_t shape[4] = {0, (hsize_t)w->options.particles, 1, 1}, most[4], chunk[4], row = 4;
  for (int k = 0; k < f->rank; k++) row *= shape[2 + k] = (hsize_t)f->shape[k];
  memcpy(most, shape, sizeof most);
  memcpy(chunk, shape, sizeof chunk);
  most[0] = H5S_UNLIMITED;
  chunk[0] = 1;
  if (chunk[1] * row > CHUNK_BYTES) chunk[1] = CHUNK_BYTES / row;
  hid_t space = H5Screate_simple(2 + f->rank, shape, most), plist = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(plist, 2 + f->rank, chunk);
  if (w->options.compression) {
    H5Pset_shuffle(plist);
    H5Pset_deflate(plist, (unsigned)w->options.compression);
  }
  hid_t dataset = H5Dcreate2(w->group, f->name, H5T_IEEE_F32LE, space, H5P_DEFAULT, plist, H5P_DEFAULT);
  H5Pclose(plist);
  H5Sclose(space);
  return dataset;
}

static int write_row(hid_t group, const char *name, hid_t file_type, hid_t type, int64_t n,
                     const void *values) {
  hsize_t shape = (hsize_t)n;
  hid_t space = H5Screate_simple(1, &shape, NULL);
  hid_t dataset = H5Dcreate2(group, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  int failed = dataset < 0 || H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0;
  if (dataset >= 0) H5Dclose(dataset);
  H5Sclose(space);
  return failed;
}

static mote_status start_file(mote_trajectory_writer *w, const mote_trajectory_options *o) {
  MOTE_TRY(mote_file_temporary(w->path, w->temporary));
  w->file = H5Fcreate(w->temporary, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  if (w->file < 0) return mote_hdf5_fail(MOTE_ERROR_IO, "cannot write %s: %m", w->path);
  w->group = H5Gcreate2(w->file, GROUP, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  int failed = w->group < 0;
  for (int k = 0; k < o->field_count && !failed; k++) {
    w->dataset[k] = create_field(w, &w->fields[k]);
    failed = w->dataset[k] < 0;
  }
  const char *names[] = {"particle_type", "material", "body", "index"};
  const int32_t *labels[] = {o->particle_type, o->material, o->body, o->index};
  for (int k = 0; k < 4 && !failed; k++)
    if (labels[k])
      failed = write_row(w->group, names[k], H5T_STD_I32LE, H5T_NATIVE_INT32, o->particles, labels[k]);
  return failed ? mote_hdf5_fail(MOTE_ERROR_IO, "cannot write %s", w->path) : MOTE_OK;
}

static void copy_options(mote_trajectory_writer *w, const char *path, const mote_trajectory_options *o) {
  snprintf(w->path, sizeof w->path, "%s", path);
  w->options = *o;
  for (int k = 0; k < o->field_count; k++) {
    w->fields[k] = o->fields[k];
    snprintf(w->names[k], NAME_LENGTH, "%s", o->fields[k].name);
    w->fields[k].name = w->names[k];
  }
  w->options.fields = w->fields;
  w->has_material = o->material != NULL;
  if (o->metadata) w->metadata = *o->metadata;
  w->metadata.dim = o->dim;
  w->metadata.particle_count = o->particles;
}

mote_status mote_trajectory_create(const char *path, const mote_trajectory_options *options,
                                   mote_trajectory_writer **out) {
  *out = NULL;
  MOTE_TRY(check_options(path, options));
  mote_trajectory_writer *w = calloc(1, sizeof *w);
  if (!w) return mote_fail(MOTE_ERROR_MEMORY, "out of memory writing %s", path);
  w->file = w->group = -1;
  for (int k = 0; k < MAX_FIELDS; k++) w->dataset[k] = -1;
  copy_options(w, path, options);
  size_t row = (size_t)options->particles * (size_t)options->dim * sizeof(float);
  for (int k = 0; k < 2; k++) w->previous[k] = malloc(row);
  mote_hdf5_quiet quiet = mote_hdf5_silence();
  mote_status status = w->previous[0] && w->previous[1]
                           ? start_file(w, options)
                           : mote_fail(MOTE_ERROR_MEMORY, "out of memory writing %s", path);
  mote_hdf5_restore(quiet);
  if (status != MOTE_OK) return mote_trajectory_abort(w), status;
  *out = w;
  return MOTE_OK;
}

/* ---- frames ---- */

static void add_statistics(mote_trajectory_writer *w, const float *x) {
  int dim = w->options.dim;
  const float *last = w->previous[0], *before = w->previous[1];
  for (int64_t i = 0; i < w->options.particles * dim && w->frames >= 1; i++) {
    int a = (int)(i % dim);
    double v = (double)x[i] - last[i];
    w->velocity.sum[a] += v;
    w->velocity.square[a] += v * v;
    if (w->frames < 2) continue;
    double acceleration = v - ((double)last[i] - before[i]);
    w->acceleration.sum[a] += acceleration;
    w->acceleration.square[a] += acceleration * acceleration;
  }
  if (w->frames >= 1) w->velocity.count += (double)w->options.particles;
  if (w->frames >= 2) w->acceleration.count += (double)w->options.particles;
  float *oldest = w->previous[1];
  w->previous[1] = w->previous[0];
  w->previous[0] = oldest;
  memcpy(oldest, x, (size_t)w->options.particles * (size_t)dim * sizeof(float));
}

static int append_slab(mote_trajectory_writer *w, int k, const float *values) {
  const mote_trajectory_field *f = &w->fields[k];
  hsize_t shape[4] = {(hsize_t)w->frames + 1, (hsize_t)w->options.particles, 1, 1};
  for (int d = 0; d < f->rank; d++) shape[2 + d] = (hsize_t)f->shape[d];
  hsize_t start[4] = {(hsize_t)w->frames}, extent[4] = {1, shape[1], shape[2], shape[3]};
  if (H5Dset_extent(w->dataset[k], shape) < 0) return -1;
  hid_t space = H5Dget_space(w->dataset[k]), memory = H5Screate_simple(2 + f->rank, extent, NULL);
  int failed = H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, extent, NULL) < 0 ||
               H5Dwrite(w->dataset[k], H5T_NATIVE_FLOAT, memory, space, H5P_DEFAULT, values) < 0;
  H5Sclose(memory);
  H5Sclose(space);
  return failed;
}

static mote_status keep_time(mote_trajectory_writer *w, double time) {
  if (w->frames == w->time_capacity) {
    w->time_capacity = w->time_capacity ? 2 * w->time_capacity : 256;
    double *grown = realloc(w->times, (size_t)w->time_capacity * sizeof *grown);
    if (!grown) return mote_fail(MOTE_ERROR_MEMORY, "out of memory writing %s", w->path);
    w->times = grown;
  }
  w->times[w->frames] = time;
  return MOTE_OK;
}

static mote_status check_frame(const mote_trajectory_writer *w, const float *position) {
  for (int64_t i = 0; i < w->options.particles * w->options.dim; i++)
    if (!isfinite(position[i]))
      return mote_fail(MOTE_ERROR_NUMERIC, "%s: frame %lld: the position of particle %lld is not finite",
                       w->path, (long long)w->frames, (long long)(i / w->options.dim));
  return MOTE_OK;
}

mote_status mote_trajectory_append(mote_trajectory_writer *w, double time, const float *const *values) {
  MOTE_TRY(check_frame(w, values[0]));
  MOTE_TRY(keep_time(w, time));
  mote_hdf5_quiet quiet = mote_hdf5_silence();
  mote_status status = MOTE_OK;
  for (int k = 0; k < w->options.field_count && status == MOTE_OK; k++)
    if (append_slab(w, k, values[k]))
      status = mote_hdf5_fail(MOTE_ERROR_IO, "cannot write frame %lld of %s", (long long)w->frames, w->path);
  mote_hdf5_restore(quiet);
  if (status != MOTE_OK) return status;
  add_statistics(w, values[0]);
  w->frames++;
  return MOTE_OK;
}

/* ---- finishing ---- */

static void finish_moments(const moments *m, int dim, double *mean, double *std) {
  for (int a = 0; a < dim; a++) {
    mean[a] = m->count > 0 ? m->sum[a] / m->count : 0;
    double variance = m->count > 0 ? m->square[a] / m->count - mean[a] * mean[a] : 0;
    std[a] = variance > 0 ? sqrt(variance) : 0;
  }
}

static int close_file(mote_trajectory_writer *w) {
  int failed = 0;
  for (int k = 0; k < MAX_FIELDS; k++) {
    if (w->dataset[k] >= 0) failed |= H5Dclose(w->dataset[k]) < 0;
    w->dataset[k] = -1;
  }
  if (w->group >= 0) failed |= H5Gclose(w->group) < 0;
  if (w->file >= 0) failed |= H5Fclose(w->file) < 0;
  w->group = w->file = -1;
  return failed;
}

static mote_status close_whole(mote_trajectory_writer *w) {
  char *text = mote_metadata_print(&w->metadata);
  if (!text) return mote_fail(MOTE_ERROR_MEMORY, "out of memory writing %s", w->path);
  int failed = mote_hdf5_write_text(w->file, "metadata", text) != 0 ||
               write_row(w->group, "time", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, w->frames, w->times);
  free(text);
  failed |= H5Fflush(w->file, H5F_SCOPE_LOCAL) < 0;
  failed |= close_file(w);
  return failed ? mote_hdf5_fail(MOTE_ERROR_IO, "cannot finish %s", w->path) : MOTE_OK;
}

/* metadata.json for the files of a data set, NAME.metadata.json for a trajectory on its own. */
static mote_status write_beside(mote_trajectory_writer *w) {
  char beside[MOTE_PATH_MAX];
  const char *slash = strrchr(w->path, '/'), *name = slash ? slash + 1 : w->path;
  int in_set = !strcmp(name, "train.h5") || !strcmp(name, "valid.h5") || !strcmp(name, "test.h5");
  MOTE_TRY(in_set ? mote_file_sibling(w->path, "metadata.json", beside)
                  : mote_file_with_extension(w->path, ".metadata.json", beside));
  MOTE_TRY(mote_metadata_write(beside, &w->metadata));
  if (!w->options.write_xdmf) return MOTE_OK;
  MOTE_TRY(mote_file_with_extension(w->path, ".xdmf", beside));
  w->options.material =
      w->has_material ? w->options.particle_type : NULL; /* only whether it is there matters */
  return mote_xdmf_write(beside, name, GROUP, &w->options, w->frames, w->times);
}

mote_status mote_trajectory_finish(mote_trajectory_writer *w) {
  mote_metadata *m = &w->metadata;
  mote_status status =
      w->frames ? MOTE_OK : mote_fail(MOTE_ERROR_ARGUMENT, "%s: no frame was written", w->path);
  if (m->sequence_length == 0 || m->sequence_length > w->frames) m->sequence_length = (int)w->frames;
  finish_moments(&w->velocity, m->dim, m->velocity_mean, m->velocity_std);
  finish_moments(&w->acceleration, m->dim, m->acceleration_mean, m->acceleration_std);
  m->has_statistics = w->frames > 2;
  mote_hdf5_quiet quiet = mote_hdf5_silence();
  if (status == MOTE_OK) status = close_whole(w);
  mote_hdf5_restore(quiet);
  if (status == MOTE_OK) status = mote_file_publish(w->temporary, w->path);
  if (status == MOTE_OK) status = write_beside(w);
  mote_trajectory_abort(w);
  return status;
}

void mote_trajectory_abort(mote_trajectory_writer *w) {
  if (!w) return;
  mote_hdf5_quiet quiet = mote_hdf5_silence();
  close_file(w);
  mote_hdf5_restore(quiet);
  if (*w->temporary) unlink(w->temporary); /* already renamed when the file is whole */
  for (int k = 0; k < 2; k++) free(w->previous[k]);
  free(w->times);
  free(w);
}
