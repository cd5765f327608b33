/* Trajectories to convert, whatever the file's format: one way to ask an HDF5 and an NPZ file. */
#ifndef MOTE_IO_FRAME_SOURCE_H
#define MOTE_IO_FRAME_SOURCE_H

#include <mote/trajectory.h>
#include "host/io/npz.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_frame_source {
  const char *path;
  mote_trajectory_reader *reader; /* of an HDF5 file, else NULL */
  mote_npz *npz;
  mote_npz_trajectory loaded; /* the NPZ trajectory read last */
  int loaded_index;
} mote_frame_source;

/* By extension: .h5, .hdf5, .npz; MOTE_ERROR_UNSUPPORTED otherwise. */
mote_status mote_source_open(const char *path, mote_frame_source *source);
void mote_source_close(mote_frame_source *source);

int mote_source_count(const mote_frame_source *source);
const char *mote_source_name(const mote_frame_source *source, int index);
mote_status mote_source_info(mote_frame_source *source, int index, mote_trajectory_info *info);
/* Field `field` by number; NULL beyond the last. */
const mote_trajectory_field *mote_source_field(mote_frame_source *source, int index, int field);
const char *mote_source_label(const mote_frame_source *source, int index, int label);
const char *mote_source_constant(const mote_frame_source *source, int index, int constant);
mote_status mote_source_frame(mote_frame_source *source, int index, const char *field, int64_t frame,
                              float *values);
mote_status mote_source_labels(mote_frame_source *source, int index, const char *label, int32_t *values);
mote_status mote_source_constants(mote_frame_source *source, int index, const char *constant, float *values);
mote_status mote_source_time(mote_frame_source *source, int index, int64_t frame, double *time);
/* MOTE_ERROR_IO when there is none. */
mote_status mote_source_metadata(mote_frame_source *source, mote_metadata *metadata);

#ifdef __cplusplus
}
#endif
#endif
