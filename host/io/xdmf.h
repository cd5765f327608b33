/* XDMF: the XML file through which ParaView opens a trajectory file. */
#ifndef MOTE_IO_XDMF_H
#define MOTE_IO_XDMF_H

#include <mote/trajectory.h>
#include "host/core/file.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One trajectory, as the XDMF file describes it. */
typedef struct mote_xdmf_trajectory {
  const char *name; /* its group */
  int64_t frames, particles;
  int dim;
  const double *times; /* (frames) s */
  int field_count;
  const mote_trajectory_field *fields; /* position among them */
  int label_count;
  const char *const *labels; /* integer (n) */
  int constant_count;
  const char *const *constants; /* float (n) */
} mote_xdmf_trajectory;

/* Writes the whole document; `file` is the name of the HDF5 file beside it. A temporal collection of point
   clouds a trajectory. */
mote_status mote_xdmf_write(mote_output *output, const char *file, const mote_xdmf_trajectory *trajectories,
                            int count);

#ifdef __cplusplus
}
#endif
#endif
