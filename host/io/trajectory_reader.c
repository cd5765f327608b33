/* Reading trajectories. The trick is distrust: a data set's rank, shape, type and storage are checked before
   anything is allocated or read for it, and links or raw data outside of the file are refused. */
#include <mote/trajectory.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/core/error.h"
#include "host/core/file.h"
#include "host/io/hdf5.h"
#include "host/io/metadata.h"

#define MAX_TRAJECTORIES 1000000
#define NAME_LENGTH 64

struct mote_trajectory_reader {
  char path[MOTE_PATH_MAX];
  hid_t file;
  int count;
  char (*names)[NAME_LENGTH];
};

typedef struct listing {
  mote_trajectory_reader *reader;
  int capacity, failed;
} listing;

static herr_t list_group(hid_t file, const char *name, const H5L_info_t *link, void *context) {
  listing *l = context;
  H5O_info_t object;
  if (link->type != H5L_TYPE_HARD || strlen(name) >= NAME_LENGTH) return 0;
  if (H5Oget_info_by_name2(file, name, &object, H5O_INFO_BASIC, H5P_DEFAULT) < 0) return -1;
  if (object.type != H5O_TYPE_GROUP || l->reader->count >= MAX_TRAJECTORIES) return 0;
  if (l->reader->count == l->capacity) {
    l->capacity = l->capacity ? 2 * l->capacity : 16;
    void *grown = realloc(l->reader->names, (size_t)l->capacity * NAME_LENGTH);
    if (!grown) return -1;
    l->reader->names = grown;
  }
  snprintf(l->reader->names[l->reader->count++], NAME_LENGTH, "%s", name);
  return 0;
}

static mote_status open_reader(mote_trajectory_reader *r) {
  if (access(r->path, R_OK)) return mote_fail(MOTE_ERROR_IO, "cannot read %s: %m", r->path);
  if (H5Fis_hdf5(r->path) <= 0) return mote_hdf5_fail(MOTE_ERROR_FORMAT, "%s is not an HDF5 file", r->path);
  r->file = H5Fopen(r->path, H5F_ACC_RDONLY, H5P_DEFAULT);
  if (r->file < 0) return mote_hdf5_fail(MOTE_ERROR_FORMAT, "cannot open %s", r->path);
  listing l = {.reader = r};
  if (H5Literate(r->file, H5_INDEX_NAME, H5_ITER_INC, NULL, list_group, &l) < 0)
    return mote_hdf5_fail(MOTE_ERROR_FORMAT, "cannot list the groups of %s", r->path);
  if (r->count == 0)
    return mote_fail(MOTE_ERROR_FORMAT,
                     "%s holds no trajectory: expected groups like 00000 with a data set position", r->path);
  return MOTE_OK;
}

mote_status mote_trajectory_open(const char *path, mote_trajectory_reader **out) {
  *out = NULL;
  mote_trajectory_reader *r = calloc(1, sizeof *r);
  if (!r) return mote_fail(MOTE_ERROR_MEMORY, "out of memory opening %s", path);
  r->file = -1;
  snprintf(r->path, sizeof r->path, "%s", path);
  mote_hdf5_quiet quiet = mote_hdf5_silence();
  mote_status status = open_reader(r);
  mote_hdf5_restore(quiet);
  if (status == MOTE_OK)
    *out = r;
  else
    mote_trajectory_close(r);
  return status;
}

void mote_trajectory_close(mote_trajectory_reader *r) {
  if (!r) return;
  if (r->file >= 0) H5Fclose(r->file);
  free(r->names);
  free(r);
}

int mote_trajectory_count(const mote_trajectory_reader *r) {
  return r->count;
}
const char *mote_trajectory_name(const mote_trajectory_reader *r, int index) {
  return index >= 0 && index < r->count ? r->names[index] : "";
}

/* ---- data sets ---- */

typedef struct dataset {
  hid_t id;
  int rank;
  hsize_t shape[4];
  H5T_class_t class;
} dataset;

static void close_dataset(dataset *d) {
  if (d->id >= 0) H5Dclose(d->id);
  d->id = -1;
}

static mote_status inspect(const char *where, dataset *d) {
  hid_t space = H5Dget_space(d->id), type = H5Dget_type(d->id), plist = H5Dget_create_plist(d->id);
  d->rank = H5Sget_simple_extent_ndims(space);
  d->class = H5Tget_class(type);
  int outside = plist < 0 || H5Pget_external_count(plist) != 0 || H5Pget_layout(plist) == H5D_VIRTUAL;
  int shaped = d->rank >= 1 && d->rank <= 4 && H5Sget_simple_extent_dims(space, d->shape, NULL) == d->rank;
  H5Pclose(plist);
  H5Tclose(type);
  H5Sclose(space);
  if (outside) return mote_fail(MOTE_ERROR_FORMAT, "%s: its data lie outside of the file", where);
  if (!shaped) return mote_fail(MOTE_ERROR_FORMAT, "%s has rank %d: expected 1 to 4", where, d->rank);
  for (int k = 0; k < d->rank; k++)
    if (d->shape[k] > INT32_MAX)
      return mote_fail(MOTE_ERROR_FORMAT, "%s: axis %d has %llu entries, too many", where, k,
                       (unsigned long long)d->shape[k]);
  return MOTE_OK;
}

/* Opens field `name` of trajectory `index`; MOTE_ERROR_FORMAT when it is absent. */
static mote_status open_dataset(const mote_trajectory_reader *r, int index, const char *name, dataset *d) {
  char where[NAME_LENGTH * 2 + 8];
  d->id = -1;
  if (index < 0 || index >= r->count)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s has %d trajectories; there is no number %d", r->path, r->count,
                     index);
  snprintf(where, sizeof where, "%s/%.63s", r->names[index], name);
  H5L_info_t link;
  if (H5Lget_info(r->file, where, &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD)
    return mote_fail(MOTE_ERROR_FORMAT, "%s has no data set %s", r->path, where);
  d->id = H5Dopen2(r->file, where, H5P_DEFAULT);
  if (d->id < 0) return mote_hdf5_fail(MOTE_ERROR_FORMAT, "%s: cannot open %s", r->path, where);
  mote_status status = inspect(where, d);
  if (status == MOTE_OK) return MOTE_OK;
  close_dataset(d);
  return mote_fail_within(status, "%s", r->path);
}

static mote_status position_info(const mote_trajectory_reader *r, int index, mote_trajectory_info *info) {
  dataset d;
  MOTE_TRY(open_dataset(r, index, "position", &d));
  close_dataset(&d);
  if (d.rank != 3 || d.class != H5T_FLOAT || (d.shape[2] != 2 && d.shape[2] != 3) || !d.shape[0] ||
      !d.shape[1])
    return mote_fail(MOTE_ERROR_FORMAT, "%s: %s/position is not (frames, particles, 2 or 3) floats", r->path,
                     r->names[index]);
  *info = (mote_trajectory_info){(int64_t)d.shape[0], (int64_t)d.shape[1], (int)d.shape[2]};
  return MOTE_OK;
}

mote_status mote_trajectory_get_info(const mote_trajectory_reader *r, int index, mote_trajectory_info *info) {
  mote_hdf5_quiet quiet = mote_hdf5_silence();
  mote_status status = position_info(r, index, info);
  mote_hdf5_restore(quiet);
  return status;
}

/* Checks that the data set is a field of the trajectory, (frames, n, ...) floats; its width a particle. */
static mote_status field_width(const mote_trajectory_reader *r, int index, const char *field,
                               const dataset *d, int *width) {
  mote_trajectory_info info = {0};
  MOTE_TRY(position_info(r, index, &info));
  hsize_t product = 1;
  for (int k = 2; k < d->rank; k++) product *= d->shape[k];
  if (d->rank < 2 || (int64_t)d->shape[0] != info.frames || (int64_t)d->shape[1] != info.particles ||
      d->class != H5T_FLOAT || product < 1 || product > 64)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: %s/%s is not (%lld, %lld, ...) floats like position", r->path,
                     r->names[index], field, (long long)info.frames, (long long)info.particles);
  *width = (int)product;
  return MOTE_OK;
}

int mote_trajectory_field_width(const mote_trajectory_reader *r, int index, const char *field) {
  dataset d;
  int width = 0;
  mote_hdf5_quiet quiet = mote_hdf5_silence();
  if (open_dataset(r, index, field, &d) == MOTE_OK) {
    if (field_width(r, index, field, &d, &width) != MOTE_OK) width = 0;
    close_dataset(&d);
  }
  mote_hdf5_restore(quiet);
  return width;
}

static mote_status read_slab(const mote_trajectory_reader *r, const dataset *d, const char *field,
                             int64_t first, int64_t count, float *values) {
  if (first < 0 || count < 1 || (uint64_t)first + (uint64_t)count > d->shape[0])
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s: frames %lld to %lld of %llu were asked for", r->path,
                     (long long)first, (long long)(first + count - 1), (unsigned long long)d->shape[0]);
  hsize_t start[4] = {(hsize_t)first}, extent[4];
  memcpy(extent, d->shape, sizeof extent);
  extent[0] = (hsize_t)count;
  hid_t space = H5Dget_space(d->id), memory = H5Screate_simple(d->rank, extent, NULL);
  int failed = H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, extent, NULL) < 0 ||
               H5Dread(d->id, H5T_NATIVE_FLOAT, memory, space, H5P_DEFAULT, values) < 0;
  H5Sclose(memory);
  H5Sclose(space);
  return failed ? mote_hdf5_fail(MOTE_ERROR_FORMAT, "%s: cannot read %s", r->path, field) : MOTE_OK;
}

mote_status mote_trajectory_read_frames(mote_trajectory_reader *r, int index, const char *field,
                                        int64_t first, int64_t count, float *values) {
  dataset d;
  int width;
  mote_hdf5_quiet quiet = mote_hdf5_silence();
  mote_status status = open_dataset(r, index, field, &d);
  if (status == MOTE_OK) status = field_width(r, index, field, &d, &width);
  if (status == MOTE_OK) status = read_slab(r, &d, field, first, count, values);
  close_dataset(&d);
  mote_hdf5_restore(quiet);
  return status;
}

static mote_status read_row(mote_trajectory_reader *r, int index, const char *field, hid_t type,
                            H5T_class_t class, int64_t expected, void *values) {
  dataset d;
  MOTE_TRY(open_dataset(r, index, field, &d));
  mote_status status = MOTE_OK;
  if (d.rank != 1 || (int64_t)d.shape[0] != expected || d.class != class)
    status =
        mote_fail(MOTE_ERROR_FORMAT, "%s: %s/%s is not one %s for each of %lld", r->path, r->names[index],
                  field, class == H5T_INTEGER ? "integer" : "number", (long long)expected);
  else if (H5Dread(d.id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
    status = mote_hdf5_fail(MOTE_ERROR_FORMAT, "%s: cannot read %s/%s", r->path, r->names[index], field);
  close_dataset(&d);
  return status;
}

mote_status mote_trajectory_read_labels(mote_trajectory_reader *r, int index, const char *field,
                                        int32_t *values) {
  mote_trajectory_info info = {0};
  mote_hdf5_quiet quiet = mote_hdf5_silence();
  mote_status status = position_info(r, index, &info);
  if (status == MOTE_OK)
    status = read_row(r, index, field, H5T_NATIVE_INT32, H5T_INTEGER, info.particles, values);
  mote_hdf5_restore(quiet);
  return status;
}

mote_status mote_trajectory_metadata(const mote_trajectory_reader *r, mote_metadata *metadata) {
  mote_hdf5_quiet quiet = mote_hdf5_silence();
  char *text = mote_hdf5_read_text(r->file, "metadata");
  mote_hdf5_restore(quiet);
  if (text) {
    mote_status status = mote_metadata_parse(text, strlen(text), metadata);
    free(text);
    return status == MOTE_OK ? MOTE_OK : mote_fail_within(status, "%s: attribute metadata", r->path);
  }
  char beside[MOTE_PATH_MAX];
  MOTE_TRY(mote_file_sibling(r->path, "metadata.json", beside));
  return mote_metadata_read(beside, metadata);
}

mote_status mote_trajectory_times(mote_trajectory_reader *r, int index, double *times) {
  mote_trajectory_info info = {0};
  MOTE_TRY(mote_trajectory_get_info(r, index, &info));
  mote_hdf5_quiet quiet = mote_hdf5_silence();
  mote_status status = read_row(r, index, "time", H5T_NATIVE_DOUBLE, H5T_FLOAT, info.frames, times);
  mote_hdf5_restore(quiet);
  if (status == MOTE_OK) return MOTE_OK;
  mote_metadata metadata;
  MOTE_TRY(mote_trajectory_metadata(r, &metadata));
  for (int64_t k = 0; k < info.frames; k++) times[k] = (double)k * metadata.dt * metadata.write_every;
  return MOTE_OK;
}
