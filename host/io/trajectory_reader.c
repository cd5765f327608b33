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

static mote_status open_set(mote_trajectory_reader *r, int index, const char *name) {
  const mote_found_trajectory *t = &r->found[index];
  if (r->open_set >= 0 && r->open_index == index && strcmp(r->open_name, name) == 0) return MOTE_OK;
  if (r->open_set >= 0) H5Dclose(r->open_set);
  hid_t group = H5Gopen2(r->file.id, t->name, H5P_DEFAULT);
  r->open_set = group >= 0 ? H5Dopen2(group, name, H5P_DEFAULT) : -1;
  if (group >= 0) H5Gclose(group);
  if (r->open_set < 0)
    return mote_hdf5_fail(MOTE_ERROR_FORMAT, "%s: %s/%s cannot be opened", r->path, t->name, name);
  r->open_index = index;
  snprintf(r->open_name, sizeof r->open_name, "%s", name);
  return MOTE_OK;
}

/* Rows [first, first + count) along the first dimension as `type`. */
static mote_status read_rows(mote_trajectory_reader *r, int index, const char *name, hid_t type,
                             int64_t first, int64_t count, void *values) {
  MOTE_TRY(open_set(r, index, name));
  hsize_t size[4], start[4] = {(hsize_t)first};
  hid_t space = H5Dget_space(r->open_set);
  int rank = space >= 0 ? H5Sget_simple_extent_ndims(space) : -1;
  int ok = rank >= 1 && rank <= 4 && H5Sget_simple_extent_dims(space, size, NULL) == rank;
  size[0] = (hsize_t)count;
  hid_t memory = ok ? H5Screate_simple(rank, size, NULL) : -1;
  ok = memory >= 0 && H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, size, NULL) >= 0 &&
       H5Dread(r->open_set, type, memory, space, H5P_DEFAULT, values) >= 0;
  if (memory >= 0) H5Sclose(memory);
  if (space >= 0) H5Sclose(space);
  if (ok) return MOTE_OK;
  if (r->file.error) return mote_fail(MOTE_ERROR_IO, "cannot read %s: %s", r->path, strerror(r->file.error));
  return mote_hdf5_fail(MOTE_ERROR_FORMAT, "%s: %s/%s is damaged", r->path, r->found[index].name, name);
}

static mote_status read_in_session(mote_trajectory_reader *r, int index, const char *name, hid_t type,
                                   int64_t first, int64_t count, void *values) {
  mote_hdf5_session session;
  mote_hdf5_begin(&session);
  mote_status status = read_rows(r, index, name, type, first, count, values);
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
  MOTE_TRY(read_in_session(r, index, field, H5T_NATIVE_FLOAT, first, count, values));
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
    return read_in_session(r, index, field, H5T_NATIVE_INT32, 0, t->info.particles, values);
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
  MOTE_TRY(read_in_session(r, index, field, H5T_NATIVE_FLOAT, 0, t->info.particles, values));
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
  MOTE_TRY(read_in_session(r, index, "time", H5T_NATIVE_DOUBLE, first, count, times));
  for (int64_t k = 0; k < count; k++)
    if (!isfinite(times[k]))
      return mote_fail(MOTE_ERROR_NUMERIC, "%s: %s/time: frame %lld is not finite", r->path,
                       r->found[index].name, (long long)(first + k));
  return MOTE_OK;
}

/* ---- Metadata ---- */

#define LONGEST_METADATA 65536

/* The text of the root's attribute "metadata"; NULL when it has none that is a fixed or variable string. */
static char *own_metadata(mote_trajectory_reader *r) {
  char *text = NULL, *variable = NULL;
  if (H5Aexists(r->file.id, "metadata") <= 0) return NULL;
  hid_t attribute = H5Aopen(r->file.id, "metadata", H5P_DEFAULT);
  hid_t type = attribute >= 0 ? H5Aget_type(attribute) : -1,
        space = attribute >= 0 ? H5Aget_space(attribute) : -1;
  if (type >= 0 && space >= 0 && H5Tget_class(type) == H5T_STRING &&
      H5Sget_simple_extent_npoints(space) == 1) {
    size_t size = H5Tget_size(type);
    if (H5Tis_variable_str(type) > 0) {
      hid_t memory = H5Tcopy(H5T_C_S1);
      if (memory >= 0 && H5Tset_size(memory, H5T_VARIABLE) >= 0 &&
          H5Tset_cset(memory, H5Tget_cset(type)) >= 0 && H5Aread(attribute, memory, &variable) >= 0 &&
          variable)
        text = strndup(variable, LONGEST_METADATA);
      H5free_memory(variable);
      if (memory >= 0) H5Tclose(memory);
    } else if (size <= LONGEST_METADATA && (text = calloc(size + 1, 1)) != NULL &&
               H5Aread(attribute, type, text) < 0) {
      free(text);
      text = NULL;
    }
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
  char *common = mote_path_beside(r->path, "metadata.json");
  char *own = mote_path_replace_extension(r->path, ".metadata.json");
  mote_status status;
  if (!common || !own)
    status = mote_fail(MOTE_ERROR_MEMORY, "out of memory");
  else if (access(common, F_OK) == 0)
    status = mote_metadata_read(common, metadata);
  else if (access(own, F_OK) == 0)
    status = mote_metadata_read(own, metadata);
  else
    status = mote_fail(MOTE_ERROR_IO, "%s has no metadata: neither in it nor as %s", r->path, common);
  free(common);
  free(own);
  return status;
}
