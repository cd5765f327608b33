/* NPZ data sets in the layout of the PyTorch GNS: a ZIP archive with a member a trajectory, NAME.npy, that is
   an array of two or three objects: positions (T, n, dim), particle_type (n) or one integer, and perhaps a
   material property; or a single member gns_data.npy, an array of such. As numpy pickles arrays of objects,
   reading goes through pickle.h, which executes nothing. A plain float array (T, n, dim) is taken as a
   trajectory as well. */
#ifndef MOTE_IO_NPZ_H
#define MOTE_IO_NPZ_H

#include <stdint.h>
#include <mote/trajectory.h>
#include "host/io/zip.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Reading ---- */

typedef struct mote_npz mote_npz;

typedef struct mote_npz_trajectory {
  mote_trajectory_info info;
  float *position;        /* (T, n, dim) */
  int32_t *particle_type; /* (n) */
  int has_property;       /* a material property was there; it is not read */
} mote_npz_trajectory;

mote_status mote_npz_open(const char *path, mote_npz **npz);
void mote_npz_close(mote_npz *npz);
int mote_npz_count(const mote_npz *npz);
const char *mote_npz_name(const mote_npz *npz, int index);

/* Reads a whole trajectory (a pickle cannot be read in parts); the caller releases it. */
mote_status mote_npz_read(const mote_npz *npz, int index, mote_npz_trajectory *trajectory);
void mote_npz_release(mote_npz_trajectory *trajectory);

/* ---- Writing ---- */

/* A trajectory of a known number of frames, streamed into an archive: begin, each frame's positions (n, dim),
   then the types (n). */
mote_status mote_npz_begin(mote_zip_writer *zip, const char *name, mote_trajectory_info info);
mote_status mote_npz_frame(mote_zip_writer *zip, mote_trajectory_info info, const float *position);
mote_status mote_npz_end(mote_zip_writer *zip, mote_trajectory_info info, const int32_t *particle_type);

#ifdef __cplusplus
}
#endif
#endif
