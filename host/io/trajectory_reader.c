/* Reading trajectories: windows of frames as float32. What the file holds was found and checked when it was
   opened (trajectory_scan.c); a read is one hyperslab. */
#include "host/io/trajectory_reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/core/error.h"
#include "host/core/file.h"
#include "host/io/metadata.h"

/* ---- Opening ---- */

mote_status mote_trajectory_open(const char *path, mote_trajectory_reader **reader) {
  *reader = NULL;
  mote_trajectory_reader *r = calloc(1, sizeof *r);
  if (!r) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to open %s", path);
  r->fd = -1;
  r->file.id = r->open_set = -1;
  r->path = strdup(path);
  mote_status status = r->path ? mote_file_open(path, &r->fd, &r->file_size)
                               : mote_fail(MOTE_ERROR_MEMORY, "out of memory to open %s", path);
  if (status == MOTE_OK) {
    mote_hdf5_session session;
    mote_hdf5_begin(&session);
    status = mote_hdf5_open(path, r->fd, &r->file);
    if (status == MOTE_OK) status = mote_trajectory_scan(r);
    mote_hdf5_end(&session);
  }
  if (status != MOTE_OK) {
    mote_trajectory_close(r);
    return status;
  }
  *reader = r;
  return MOTE_OK;
}

void mote_trajectory_close(mote_trajectory_reader *r) {
  if (!r) return;
  mote_hdf5_session session;
  mote_hdf5_begin(&session);
  if (r->open_set >= 0) H5Dclose(r->open_set);
  free(r->band);
  mote_hdf5_close(&r->file);
  mote_hdf5_end(&session);
  mote_trajectory_forget(r);
  if (r->fd >= 0) close(r->fd);
  free(r->path);
  free(r);
}

/* ---- What is there ---- */

static const mote_found_trajectory *find(const mote_trajectory_reader *r, int index) {
  return index >= 0 && index < r->count ? &r->found[index] : NULL;
}

static mote_status no_trajectory(const mote_trajectory_reader *r, int index) {
  return mote_fail(MOTE_ERROR_ARGUMENT, "%s has no trajectory %d; it has %d", r->path, index, r->count);
}

int mote_trajectory_count(const mote_trajectory_reader *r) {
  return r->count;
}

const char *mote_trajectory_name(const mote_trajectory_reader *r, int index) {
  const mote_found_trajectory *t = find(r, index);
  return t ? t->name : NULL;
}

mote_status mote_trajectory_get_info(const mote_trajectory_reader *r, int index, mote_trajectory_info *info) {
  const mote_found_trajectory *t = find(r, index);
  if (!t) return no_trajectory(r, index);
  *info = t->info;
  return MOTE_OK;
}

const mote_trajectory_field *mote_trajectory_get_field(const mote_trajectory_reader *r, int index,
                                                       int field) {
  const mote_found_trajectory *t = find(r, index);
  return t && field >= 0 && field < t->field_count ? &t->fields[field].field : NULL;
}

const char *mote_trajectory_label_name(const mote_trajectory_reader *r, int index, int label) {
  const mote_found_trajectory *t = find(r, index);
  return t && label >= 0 && label < t->label_count ? t->labels[label].name : NULL;
}

const char *mote_trajectory_constant_name(const mote_trajectory_reader *r, int index, int constant) {
  const mote_found_trajectory *t = find(r, index);
  return t && constant >= 0 && constant < t->constant_count ? t->constants[constant].name : NULL;
}

static const mote_member *find_member(const mote_member *members, int count, const char *name) {
  for (int k = 0; k < count; k++)
    if (strcmp(members[k].name, name) == 0) return &members[k];
  return NULL;
}

static int width_of(const mote_member *m) {
  int width = 1;
  for (int d = 0; d < m->field.rank; d++) width *= m->field.shape[d];
  return width;
}

int mote_trajectory_field_width(const mote_trajectory_reader *r, int index, const char *field) {
  const mote_found_trajectory *t = find(r, index);
  const mote_member *m = t ? find_member(t->fields, t->field_count, field) : NULL;
  return m ? width_of(m) : 0;
}

int mote_trajectory_has_labels(const mote_trajectory_reader *r, int index, const char *field) {
  const mote_found_trajectory *t = find(r, index);
  return t && find_member(t->labels, t->label_count, field) != NULL;
}

/* ---- Reading; within a session ---- */

#define LARGEST_BAND ((int64_t)256 << 20)

static mote_status open_set(mote_trajectory_reader *r, int index, const char *name) {
  const mote_found_trajectory *t = &r->found[index];
  if (r->open_set >= 0 && r->open_index == index && strcmp(r->open_name, name) == 0) return MOTE_OK;
  if (r->open_set >= 0) H5Dclose(r->open_set);
  free(r->band);
  r->band = NULL;
  hid_t group = H5Gopen2(r->file.id, t->name, H5P_DEFAULT);
  r->open_set = group >= 0 ? H5Dopen2(group, name, H5P_DEFAULT) : -1;
  if (group >= 0) H5Gclose(group);
  if (r->open_set < 0) return mote_hdf5_fail(MOTE_ERROR_FORMAT, "it cannot be opened");
  r->open_index = index;
  snprintf(r->open_name, sizeof r->open_name, "%s", name);
  mote_status status = mote_chunked_open(&r->file, r->open_set, r->file_size, &r->chunked, &r->is_chunked);
  if (status != MOTE_OK) {
    H5Dclose(r->open_set);
    r->open_set = -1;
  }
  return status;
}

static mote_status read_plain(hid_t set, hid_t type, int64_t first, int64_t count, void *values) {
  hsize_t size[4], start[4] = {(hsize_t)first};
  hid_t space = H5Dget_space(set);
  int rank = space >= 0 ? H5Sget_simple_extent_ndims(space) : -1;
  int ok = rank >= 1 && rank <= 4 && H5Sget_simple_extent_dims(space, size, NULL) == rank;
  size[0] = (hsize_t)count;
  hid_t memory = ok ? H5Screate_simple(rank, size, NULL) : -1;
  ok = memory >= 0 && H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, size, NULL) >= 0 &&
       H5Dread(set, type, memory, space, H5P_DEFAULT, values) >= 0;
  if (memory >= 0) H5Sclose(memory);
  if (space >= 0) H5Sclose(space);
  return ok ? MOTE_OK : mote_hdf5_fail(MOTE_ERROR_FORMAT, "it is damaged");
}

/* Frame by frame through chunks of many frames, each chunk would be unpacked many times: keep the last ones.
 */
static mote_status read_banded(mote_trajectory_reader *r, hid_t type, size_t width, int64_t first,
                               int64_t count, char *values) {
  const mote_chunked *c = &r->chunked;
  size_t row = width;
  for (int d = 1; d < c->rank; d++) row *= (size_t)c->size[d];
  int64_t band = c->chunk[0] < c->size[0] ? c->chunk[0] : c->size[0];
  if (count >= band || band * (int64_t)row > LARGEST_BAND)
    return mote_chunked_read(c, type, width, first, count, values);
  while (count > 0) {
    int held =
        r->band && r->band_width == width && first >= r->band_first && first < r->band_first + r->band_count;
    if (!held) {
      if (!r->band) r->band = malloc((size_t)band * row);
      if (!r->band) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld frames", (long long)band);
      int64_t begin = first / c->chunk[0] * c->chunk[0];
      r->band_count = 0; /* nothing, should the read fail */
      int64_t wanted = c->size[0] - begin < band ? c->size[0] - begin : band;
      MOTE_TRY(mote_chunked_read(c, type, width, begin, wanted, r->band));
      r->band_first = begin;
      r->band_count = wanted;
      r->band_width = width;
    }
    int64_t there = r->band_first + r->band_count - first, taken = there < count ? there : count;
    memcpy(values, r->band + (size_t)(first - r->band_first) * row, (size_t)taken * row);
    values += (size_t)taken * row;
    first += taken, count -= taken;
  }
  return MOTE_OK;
}

/* Rows [first, first + count) along the first dimension as `type`, a native number of `width` bytes. */
static mote_status read_rows(mote_trajectory_reader *r, int index, const char *name, hid_t type, size_t width,
                             int64_t first, int64_t count, void *values) {
  mote_status status = open_set(r, index, name);
  if (status == MOTE_OK)
    status = r->is_chunked ? read_banded(r, type, width, first, count, values)
                           : read_plain(r->open_set, type, first, count, values);
  if (status == MOTE_OK) return MOTE_OK;
  if (r->file.error) return mote_fail(MOTE_ERROR_IO, "cannot read %s: %s", r->path, strerror(r->file.error));
  return mote_fail_within(status, "%s: %s/%s", r->path, r->found[index].name, name);
}

/* `type` is a native float, int32 or double. */
static mote_status read_in_session(mote_trajectory_reader *r, int index, const char *name, char type,
                                   int64_t first, int64_t count, void *values) {
  mote_hdf5_session session;
  mote_hdf5_begin(&session);
  mote_status status;
  if (type == 'f')
    status = read_rows(r, index, name, H5T_NATIVE_FLOAT, sizeof(float), first, count, values);
  else if (type == 'i')
    status = read_rows(r, index, name, H5T_NATIVE_INT32, sizeof(int32_t), first, count, values);
  else
    status = read_rows(r, index, name, H5T_NATIVE_DOUBLE, sizeof(double), first, count, values);
  mote_hdf5_end(&session);
  return status;
}

/* ---- Public reads ---- */

static mote_status check_range(const mote_trajectory_reader *r, int index, int64_t first, int64_t count) {
  const mote_found_trajectory *t = find(r, index);
  if (!t) return no_trajectory(r, index);
  if (first < 0 || count < 0 || first > t->info.frames || count > t->info.frames - first)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s: %s has frames 0 to %lld, not %lld to %lld", r->path, t->name,
                     (long long)t->info.frames - 1, (long long)first, (long long)(first + count - 1));
  return MOTE_OK;
}

mote_status mote_trajectory_read_frames(mote_trajectory_reader *r, int index, const char *field,
                                        int64_t first, int64_t count, float *values) {
  MOTE_TRY(check_range(r, index, first, count));
  const mote_found_trajectory *t = &r->found[index];
  const mote_member *m = find_member(t->fields, t->field_count, field);
  if (!m)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s: %s has no field '%s' of shape (T, n, ...)", r->path, t->name,
                     field);
  if (count == 0) return MOTE_OK;
  MOTE_TRY(read_in_session(r, index, field, 'f', first, count, values));
  int64_t frame = t->info.particles * width_of(m);
  for (int64_t k = 0; k < count * frame; k++)
    if (!isfinite(values[k]))
      return mote_fail(MOTE_ERROR_NUMERIC, "%s: %s/%s: frame %lld, particle %lld is not finite", r->path,
                       t->name, field, (long long)(first + k / frame), (long long)(k % frame / width_of(m)));
  return MOTE_OK;
}

mote_status mote_trajectory_read_labels(mote_trajectory_reader *r, int index, const char *field,
                                        int32_t *values) {
  const mote_found_trajectory *t = find(r, index);
  if (!t) return no_trajectory(r, index);
  if (find_member(t->labels, t->label_count, field))
    return read_in_session(r, index, field, 'i', 0, t->info.particles, values);
  if (strcmp(field, "particle_type") != 0)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s: %s has no integers '%s' of shape (n)", r->path, t->name,
                     field);
  memset(values, 0, (size_t)t->info.particles * sizeof *values);
  return MOTE_OK;
}

mote_status mote_trajectory_read_constant(mote_trajectory_reader *r, int index, const char *field,
                                          float *values) {
  const mote_found_trajectory *t = find(r, index);
  if (!t) return no_trajectory(r, index);
  if (!find_member(t->constants, t->constant_count, field))
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s: %s has no floats '%s' of shape (n)", r->path, t->name, field);
  MOTE_TRY(read_in_session(r, index, field, 'f', 0, t->info.particles, values));
  for (int64_t k = 0; k < t->info.particles; k++)
    if (!isfinite(values[k]))
      return mote_fail(MOTE_ERROR_NUMERIC, "%s: %s/%s: particle %lld is not finite", r->path, t->name, field,
                       (long long)k);
  return MOTE_OK;
}

mote_status mote_trajectory_read_times(mote_trajectory_reader *r, int index, int64_t first, int64_t count,
                                       double *times) {
  MOTE_TRY(check_range(r, index, first, count));
  if (count == 0) return MOTE_OK;
  if (!r->found[index].has_time) {
    mote_metadata m;
    double step = mote_trajectory_read_metadata(r, &m) == MOTE_OK && m.dt > 0 ? m.dt * m.write_every : 1;
    for (int64_t k = 0; k < count; k++) times[k] = (double)(first + k) * step;
    return MOTE_OK;
  }
  MOTE_TRY(read_in_session(r, index, "time", 'd', first, count, times));
  for (int64_t k = 0; k < count; k++)
    if (!isfinite(times[k]))
      return mote_fail(MOTE_ERROR_NUMERIC, "%s: %s/time: frame %lld is not finite", r->path,
                       r->found[index].name, (long long)(first + k));
  return MOTE_OK;
}

/* ---- Metadata ---- */

#define LONGEST_METADATA 65536

/* The text of the root's attribute "metadata"; NULL when it has none that is a string of fixed length. (Those
   of variable length lie in HDF5's global heap, whose reader loops and overruns on damaged files; none of
   ours is one.) */
static char *own_metadata(mote_trajectory_reader *r) {
  char *text = NULL;
  if (H5Aexists(r->file.id, "metadata") <= 0) return NULL;
  hid_t attribute = H5Aopen(r->file.id, "metadata", H5P_DEFAULT);
  hid_t type = attribute >= 0 ? H5Aget_type(attribute) : -1;
  hid_t space = attribute >= 0 ? H5Aget_space(attribute) : -1;
  size_t size = type >= 0 ? H5Tget_size(type) : 0;
  int sound = type >= 0 && space >= 0 && H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 &&
              H5Sget_simple_extent_npoints(space) == 1 && size > 0 && size <= LONGEST_METADATA;
  if (sound) text = calloc(size + 1, 1);
  if (text && H5Aread(attribute, type, text) < 0) {
    free(text);
    text = NULL;
  }
  if (space >= 0) H5Sclose(space);
  if (type >= 0) H5Tclose(type);
  if (attribute >= 0) H5Aclose(attribute);
  return text;
}

mote_status mote_trajectory_read_metadata(mote_trajectory_reader *r, mote_metadata *metadata) {
  mote_hdf5_session session;
  mote_hdf5_begin(&session);
  char *text = own_metadata(r);
  mote_hdf5_end(&session);
  if (text) {
    char name[512];
    snprintf(name, sizeof name, "%s (its attribute \"metadata\")", r->path);
    mote_status status = mote_metadata_parse(name, text, strlen(text), metadata);
    free(text);
    return status;
  }
  return mote_metadata_read_beside(r->path, metadata);
}
