/* Opens an HDF5 file and reads all that it offers, as an honest reader would. */
#ifndef MOTE_TESTS_FUZZ_READ_TRAJECTORY_H
#define MOTE_TESTS_FUZZ_READ_TRAJECTORY_H

#include <mote/trajectory.h>
#include <stdlib.h>

/* A size that no memory has is malloc's NULL, as in a program. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
  return "allocator_may_return_null=1";
}

static void read_fields(mote_trajectory_reader *reader, int index, mote_trajectory_info info) {
  const mote_trajectory_field *field;
  for (int k = 0; (field = mote_trajectory_get_field(reader, index, k)) != NULL; k++) {
    size_t width = (size_t)mote_trajectory_field_width(reader, index, field->name);
    float *values = malloc((size_t)info.particles * width * sizeof *values);
    int64_t frames[] = {0, info.frames / 2, info.frames - 1};
    for (int f = 0; values && f < 3; f++)
      mote_trajectory_read_frames(reader, index, field->name, frames[f], 1, values);
    free(values);
  }
}

static void read_trajectory(mote_trajectory_reader *reader, int index) {
  mote_trajectory_info info;
  const char *name;
  if (mote_trajectory_get_info(reader, index, &info) != MOTE_OK) abort();
  if (info.particles > 1 << 20) return; /* sound but large: the time is better spent elsewhere */
  read_fields(reader, index, info);
  int32_t *labels = malloc((size_t)info.particles * sizeof *labels);
  for (int k = 0; (name = mote_trajectory_label_name(reader, index, k)) != NULL; k++)
    mote_trajectory_read_labels(reader, index, name, labels);
  for (int k = 0; (name = mote_trajectory_constant_name(reader, index, k)) != NULL; k++)
    mote_trajectory_read_constant(reader, index, name, (float *)labels);
  free(labels);
  double times[2];
  mote_trajectory_read_times(reader, index, 0, info.frames > 1 ? 2 : 1, times);
}

static void read_file(const char *path) {
  mote_trajectory_reader *reader;
  mote_metadata metadata;
  if (mote_trajectory_open(path, &reader) != MOTE_OK) return;
  mote_trajectory_read_metadata(reader, &metadata);
  for (int k = 0; k < mote_trajectory_count(reader) && k < 8; k++) read_trajectory(reader, k);
  mote_trajectory_close(reader);
}

#endif
