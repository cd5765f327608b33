/* One frame of particles as a point file for other programs. */
#ifndef MOTE_IO_FRAME_EXPORT_H
#define MOTE_IO_FRAME_EXPORT_H

#include <mote/trajectory.h>
#include "host/core/file.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A frame in memory. Fields[0] is position. */
typedef struct mote_frame {
  int64_t particles;
  int dim;
  double time;
  int field_count;
  const mote_trajectory_field *fields;
  const float *const *values; /* of each field, (n, ...) */
  int label_count;
  const char *const *label_names;
  const int32_t *const *labels; /* (n) each */
} mote_frame;

int mote_field_width(const mote_trajectory_field *field);

/* PLY, binary little-endian: x y z (0 in 2-D), vx vy vz of velocity, NAME or NAME_0, NAME_1, ... of other
   fields, and an int a label. */
mote_status mote_write_ply(mote_output *output, const mote_frame *frame);

/* VTK's legacy file, version 3.0, binary polydata with a vertex a particle. */
mote_status mote_write_vtk(mote_output *output, const mote_frame *frame);

/* VTK's XML polydata with raw appended data. */
mote_status mote_write_vtp(mote_output *output, const mote_frame *frame);

/* A ParaView data file: the frames' files (relative names) with their times. */
mote_status mote_write_pvd(mote_output *output, int64_t count, const char *const *names, const double *times);

#ifdef __cplusplus
}
#endif
#endif
