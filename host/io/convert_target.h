/* Where converted frames go: an HDF5 or NPZ file, or a file a frame. */
#ifndef MOTE_IO_CONVERT_TARGET_H
#define MOTE_IO_CONVERT_TARGET_H

#include <mote/convert.h>
#include "host/io/frame_export.h"
#include "host/io/frame_source.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_CONVERT_MOST 64

/* A trajectory on its way: its frame in memory and which of them are taken. */
typedef struct mote_convert_run {
  int index;
  const char *name;
  mote_trajectory_info info;
  int64_t first, count, step;
  int field_count, label_count, constant_count;
  mote_trajectory_field fields[MOTE_CONVERT_MOST];
  float *values[MOTE_CONVERT_MOST];
  const char *label_names[MOTE_CONVERT_MOST], *constant_names[MOTE_CONVERT_MOST];
  int32_t *labels[MOTE_CONVERT_MOST];
  float *constants[MOTE_CONVERT_MOST];
} mote_convert_run;

typedef enum mote_target_kind {
  MOTE_TO_HDF5,
  MOTE_TO_NPZ,
  MOTE_TO_PLY,
  MOTE_TO_VTK,
  MOTE_TO_VTP,
  MOTE_TO_PVD
} mote_target_kind;

typedef struct mote_convert_target {
  mote_target_kind kind;
  const char *path;
  const mote_monitor *monitor;
  int level, write_xdmf;
  mote_metadata metadata;
  int has_metadata;
  mote_trajectory_writer *writer;
  mote_zip_writer zip;
  mote_output *outputs; /* of NPZ one, else one a frame */
  int64_t output_count, output_capacity;
  char **names; /* of the frames' files */
  double *times;
} mote_convert_target;

mote_status mote_target_open(const char *path, int trajectories, const mote_convert_options *options,
                             mote_frame_source *source, const mote_monitor *monitor,
                             mote_convert_target *target);
mote_status mote_target_begin(mote_convert_target *target, const mote_convert_run *run);
mote_status mote_target_frame(mote_convert_target *target, const mote_convert_run *run, int64_t frame,
                              double time);
mote_status mote_target_end(mote_convert_target *target, const mote_convert_run *run);
/* Commits all, and releases either way. */
mote_status mote_target_finish(mote_convert_target *target);
void mote_target_abort(mote_convert_target *target);

#ifdef __cplusplus
}
#endif
#endif
