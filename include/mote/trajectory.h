/* Trajectories and data sets on disk: HDF5 in the LagrangeBench layout (Toshev et al. 2023). A file holds one
   group a trajectory ("00000", "00001", ...) with position (T, n, dim) f32 and particle_type (n) i32; further
   fields (velocity, deformation_gradient, ...) are further data sets (T, n, ...). metadata.json lies beside
   it. */
#ifndef MOTE_TRAJECTORY_H
#define MOTE_TRAJECTORY_H

#include <stdint.h>
#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_STATISTICS_DIM 3

/* metadata.json. Velocities and accelerations are first and second differences of frames. */
typedef struct mote_metadata {
  int dim;
  double bounds[3][2];        /* the matter's domain, m */
  double dt;                  /* s between solver steps */
  double dx;                  /* particle spacing, m */
  int write_every;            /* solver steps between frames */
  int sequence_length;        /* frames of a trajectory: sequence_length_train */
  int64_t particle_count;     /* num_particles_max */
  double connectivity_radius; /* default_connectivity_radius, m */
  double velocity_mean[3], velocity_std[3];
  double acceleration_mean[3], acceleration_std[3];
  int periodic[3];
  double gravity[3]; /* m/s^2 (an addition of ours; 0 when absent) */
  int has_statistics;
} mote_metadata;

mote_status mote_metadata_read(const char *path, mote_metadata *metadata);
mote_status mote_metadata_write(const char *path, const mote_metadata *metadata);

/* ---- Reading ---- */

typedef struct mote_trajectory_reader mote_trajectory_reader;

/* Opens a file and lists its trajectories. */
mote_status mote_trajectory_open(const char *path, mote_trajectory_reader **reader);
void mote_trajectory_close(mote_trajectory_reader *reader);
int mote_trajectory_count(const mote_trajectory_reader *reader);
const char *mote_trajectory_name(const mote_trajectory_reader *reader, int index);

typedef struct mote_trajectory_info {
  int64_t frames;
  int64_t particles;
  int dim;
} mote_trajectory_info;
mote_status mote_trajectory_get_info(const mote_trajectory_reader *reader, int index,
                                     mote_trajectory_info *info);

/* Frames [first, first + count) of `field` as float32, row-major (count, n, ...). The number of floats in one
   frame of the field comes from mote_trajectory_field_width (0: no such field) times n. */
int mote_trajectory_field_width(const mote_trajectory_reader *reader, int index, const char *field);
mote_status mote_trajectory_read_frames(mote_trajectory_reader *reader, int index, const char *field,
                                        int64_t first, int64_t count, float *values);

/* particle_type (n), or another integer field of one value a particle ("material", "body"). */
mote_status mote_trajectory_read_labels(mote_trajectory_reader *reader, int index, const char *field,
                                        int32_t *values);

/* The metadata of the file: stored in it, or else metadata.json in its folder. */
mote_status mote_trajectory_metadata(const mote_trajectory_reader *reader, mote_metadata *metadata);

/* Seconds of each frame (frames): stored in the file, or else frame * write_every * dt of its metadata. */
mote_status mote_trajectory_times(mote_trajectory_reader *reader, int index, double *times);

/* ---- Writing ---- */

typedef struct mote_trajectory_writer mote_trajectory_writer;

typedef struct mote_trajectory_field {
  const char *name; /* "position", "velocity", ... */
  int rank;         /* dimensions after the particle's: 0 scalar, 1 vector, 2 matrix */
  int shape[2];
} mote_trajectory_field;

typedef struct mote_trajectory_options {
  int64_t particles;
  int dim;
  int field_count; /* the first field must be position (dim) */
  const mote_trajectory_field *fields;
  const int32_t *particle_type;  /* (n) */
  const int32_t *material;       /* (n) or NULL */
  const int32_t *body;           /* (n) or NULL */
  const int32_t *index; /* (n) or NULL: of which particles of a denser trajectory these are */
  int compression;               /* deflate level 0..9 */
  const mote_metadata *metadata; /* what is known in advance; statistics are computed while writing */
  int write_xdmf;                /* an XDMF file beside it, for ParaView */
} mote_trajectory_options;

/* Starts `path` beside its final name: a crash or an abort leaves the old file, or none. */
mote_status mote_trajectory_create(const char *path, const mote_trajectory_options *options,
                                   mote_trajectory_writer **writer);

/* Appends a frame: values[k] is field k, (n, ...) floats; `time` in seconds. */
mote_status mote_trajectory_append(mote_trajectory_writer *writer, double time, const float *const *values);

/* Writes statistics, metadata.json and XDMF, renames all to their final names and frees the writer. On
   failure nothing lies under the final names. */
mote_status mote_trajectory_finish(mote_trajectory_writer *writer);

/* Removes what was written and frees the writer; NULL is allowed. */
void mote_trajectory_abort(mote_trajectory_writer *writer);

#ifdef __cplusplus
}
#endif
#endif
