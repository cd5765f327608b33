/* See frame_source.h. An NPZ trajectory is read whole when it is first asked for, and kept until another is.
 */
#include "host/io/frame_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/core/error.h"
#include "host/core/file.h"
#include "host/io/metadata.h"

mote_status mote_source_open(const char *path, mote_frame_source *s) {
  *s = (mote_frame_source){.path = path, .loaded_index = -1};
  if (mote_path_has_extension(path, ".h5") || mote_path_has_extension(path, ".hdf5"))
    return mote_trajectory_open(path, &s->reader);
  if (mote_path_has_extension(path, ".npz")) return mote_npz_open(path, &s->npz);
  return mote_fail(MOTE_ERROR_UNSUPPORTED, "%s: expected a trajectory, .h5, .hdf5 or .npz", path);
}

void mote_source_close(mote_frame_source *s) {
  mote_trajectory_close(s->reader);
  mote_npz_release(&s->loaded);
  mote_npz_close(s->npz);
  *s = (mote_frame_source){.loaded_index = -1};
}

int mote_source_count(const mote_frame_source *s) {
  return s->reader ? mote_trajectory_count(s->reader) : mote_npz_count(s->npz);
}

const char *mote_source_name(const mote_frame_source *s, int index) {
  return s->reader ? mote_trajectory_name(s->reader, index) : mote_npz_name(s->npz, index);
}

static mote_status load(mote_frame_source *s, int index) {
  if (s->loaded_index == index) return MOTE_OK;
  mote_npz_release(&s->loaded);
  s->loaded_index = -1;
  MOTE_TRY(mote_npz_read(s->npz, index, &s->loaded));
  s->loaded_index = index;
  return MOTE_OK;
}

mote_status mote_source_info(mote_frame_source *s, int index, mote_trajectory_info *info) {
  if (s->reader) return mote_trajectory_get_info(s->reader, index, info);
  MOTE_TRY(load(s, index));
  *info = s->loaded.info;
  return MOTE_OK;
}

const mote_trajectory_field *mote_source_field(mote_frame_source *s, int index, int field) {
  static const mote_trajectory_field flat = {"position", 1, {2, 0}}, spatial = {"position", 1, {3, 0}};
  if (s->reader) return mote_trajectory_get_field(s->reader, index, field);
  if (field != 0 || load(s, index) != MOTE_OK) return NULL;
  return s->loaded.info.dim == 2 ? &flat : &spatial;
}

const char *mote_source_label(const mote_frame_source *s, int index, int label) {
  if (s->reader) return mote_trajectory_label_name(s->reader, index, label);
  return label == 0 ? "particle_type" : NULL;
}

const char *mote_source_constant(const mote_frame_source *s, int index, int constant) {
  return s->reader ? mote_trajectory_constant_name(s->reader, index, constant) : NULL;
}

mote_status mote_source_frame(mote_frame_source *s, int index, const char *field, int64_t frame,
                              float *values) {
  if (s->reader) return mote_trajectory_read_frames(s->reader, index, field, frame, 1, values);
  MOTE_TRY(load(s, index));
  size_t floats = (size_t)s->loaded.info.particles * (size_t)s->loaded.info.dim;
  memcpy(values, s->loaded.position + (size_t)frame * floats, floats * sizeof *values);
  return MOTE_OK;
}

mote_status mote_source_labels(mote_frame_source *s, int index, const char *label, int32_t *values) {
  if (s->reader) return mote_trajectory_read_labels(s->reader, index, label, values);
  MOTE_TRY(load(s, index));
  memcpy(values, s->loaded.particle_type, (size_t)s->loaded.info.particles * sizeof *values);
  return MOTE_OK;
}

mote_status mote_source_constants(mote_frame_source *s, int index, const char *constant, float *values) {
  if (s->reader) return mote_trajectory_read_constant(s->reader, index, constant, values);
  return mote_fail(MOTE_ERROR_INTERNAL, "an NPZ trajectory has no constants");
}

mote_status mote_source_time(mote_frame_source *s, int index, int64_t frame, double *time) {
  if (s->reader) return mote_trajectory_read_times(s->reader, index, frame, 1, time);
  mote_metadata m;
  int known = mote_source_metadata(s, &m) == MOTE_OK && m.dt > 0;
  *time = (double)frame * (known ? m.dt * m.write_every : 1);
  return MOTE_OK;
}

mote_status mote_source_metadata(mote_frame_source *s, mote_metadata *metadata) {
  if (s->reader) return mote_trajectory_read_metadata(s->reader, metadata);
  return mote_metadata_read_beside(s->path, metadata);
}
