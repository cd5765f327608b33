/* libFuzzer: an HDF5 file, opened and read to its end. tests/fuzz/seeds.py writes seeds. */
#include <mote/trajectory.h>

#include <string.h>

#include "tests/fuzz/scratch.h"

/* HDF5 1.10 loses 128 bytes for each data set of its latest format that has one filtered chunk. */
const char *__lsan_default_suppressions(void) {
  return "leak:libhdf5\n";
}

/* A size that no memory has is malloc's NULL, as in a program, which HDF5 reports. */
const char *__asan_default_options(void) {
  return "allocator_may_return_null=1";
}

static void read_trajectory(mote_trajectory_reader *reader, int index) {
  mote_trajectory_info info;
  const mote_trajectory_field *field;
  const char *name;
  if (mote_trajectory_get_info(reader, index, &info) != MOTE_OK) abort();
  if (info.particles > 1 << 20) return; /* sound but large: the time is better spent elsewhere */
  for (int k = 0; (field = mote_trajectory_get_field(reader, index, k)) != NULL; k++) {
    size_t width = (size_t)mote_trajectory_field_width(reader, index, field->name);
    float *values = malloc((size_t)info.particles * width * sizeof *values);
    if (values) mote_trajectory_read_frames(reader, index, field->name, info.frames - 1, 1, values);
    free(values);
  }
  int32_t *labels = malloc((size_t)info.particles * sizeof *labels);
  for (int k = 0; (name = mote_trajectory_label_name(reader, index, k)) != NULL; k++)
    mote_trajectory_read_labels(reader, index, name, labels);
  for (int k = 0; (name = mote_trajectory_constant_name(reader, index, k)) != NULL; k++)
    mote_trajectory_read_constant(reader, index, name, (float *)labels);
  free(labels);
  double time;
  mote_trajectory_read_times(reader, index, 0, 1, &time);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mote_trajectory_reader *reader;
  mote_metadata metadata;
  if (mote_trajectory_open(scratch_file(data, size), &reader) != MOTE_OK) return 0;
  mote_trajectory_read_metadata(reader, &metadata);
  for (int k = 0; k < mote_trajectory_count(reader) && k < 8; k++) read_trajectory(reader, k);
  mote_trajectory_close(reader);
  return 0;
}
