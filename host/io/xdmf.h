/* The XDMF file beside a trajectory: what makes ParaView and VisIt open it as moving points. */
#ifndef MOTE_IO_XDMF_H
#define MOTE_IO_XDMF_H

#include <mote/trajectory.h>

/* Writes the XDMF text for the data of `options` in the HDF5 file called `h5_name` (a name in the same
   folder), group `group`, with `frames` frames at `times`, to `path`, whole or not at all. */
mote_status mote_xdmf_write(const char *path, const char *h5_name, const char *group,
                            const mote_trajectory_options *options, int64_t frames, const double *times);

#endif
