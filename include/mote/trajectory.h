/* Trajectories and data sets on disk: HDF5 in the LagrangeBench layout (Toshev et al. 2023). A file holds one
   group a trajectory ("00000", "00001", ...) with position (T, n, dim) f32 and particle_type (n) i32; further
   fields (velocity, deformation_gradient, ...) are further data sets (T, n, ...), `time` (T) f64 in seconds,
   and labels (material, body) and constants (volume, density) of shape (n).

   The metadata lies in the file itself, as JSON in the root's attribute "metadata", so that one file is
   enough, and beside it as metadata.json, where LagrangeBench and GNS look for it (see metadata_path below).

   All functions may be called from any thread; a reader or writer by one thread at a time. Calls into HDF5
   wait for each other. */
#ifndef MOTE_TRAJECTORY_H
#define MOTE_TRAJECTORY_H

#include <stdint.h>
#include <mote/particles.h>
#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* metadata.json. Velocities and accelerations are first and second differences of frames, in m a frame and
   m a frame^2, the shorter way round where the domain is periodic. Their mean and (population) standard
   deviation run over all frames and all particles but the kinematic ones, in float64; a deviation of
   exactly 0 is stored as 1, since it divides. */
#define MOTE_METADATA_MATERIALS 16
typedef struct mote_metadata_material {
  char name[32], kind[24]; /* as in the scene: "sea", "newtonian" */
} mote_metadata_material;

typedef struct mote_metadata {
  int dim;
  double bounds[3][2];        /* the walls, m; periodic axes have none */
  double reach;               /* m beyond them: no matter is farther out (ours; 0: none is, or unknown) */
  double dt;                  /* s between solver steps; 0 when unknown */
  double dx;                  /* particle spacing, m; 0 when unknown */
  int write_every;            /* solver steps between frames */
  int sequence_length;        /* frames of a trajectory: sequence_length_train */
  int64_t particle_count;     /* num_particles_max */
  double connectivity_radius; /* default_connectivity_radius, m; 0 when unknown */
  double velocity_mean[3], velocity_std[3];
  double acceleration_mean[3], acceleration_std[3];
  int periodic[3];
  double gravity[3]; /* m/s^2 (an addition of ours; 0 when absent) */
  int has_statistics;
  int history_frames; /* of a rollout: its first frames, which were given (an addition of ours); 0: unknown */
  int material_count; /* what the numbers of the label "material" mean (an addition of ours); 0: unknown */
  mote_metadata_material materials[MOTE_METADATA_MATERIALS];
} mote_metadata;

/* Reads metadata.json of LagrangeBench, GNS or Mote. `bounds` must be there; unknown keys are passed over.
   MOTE_ERROR_IO, or MOTE_ERROR_FORMAT that names the key and what was expected. */
mote_status mote_metadata_read(const char *path, mote_metadata *metadata);
mote_status mote_metadata_write(const char *path, const mote_metadata *metadata);

/* ---- Reading ---- */

typedef struct mote_trajectory_reader mote_trajectory_reader;

/* A field of a value, vector or matrix a particle. */
typedef struct mote_trajectory_field {
  const char *name; /* "position", "velocity", ... */
  int rank;         /* dimensions after the particle's: 0 scalar, 1 vector, 2 matrix */
  int shape[2];
} mote_trajectory_field;

/* Opens a file and lists its trajectories: the groups that hold `position`, in the order of their names. A
   file with `position` at its root is one trajectory named "/". float32 and float64 are read alike. Nothing
   outside the file is followed: soft and external links, external and virtual data sets are refused or
   passed over. MOTE_ERROR_IO, MOTE_ERROR_FORMAT (truncated, hostile or of another layout). */
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

/* The metadata in the file itself, else NAME.metadata.json, else metadata.json beside it. MOTE_ERROR_IO when
   there is none. */
mote_status mote_trajectory_read_metadata(mote_trajectory_reader *reader, mote_metadata *metadata);

/* The fields that have a value a frame and particle, position first; NULL beyond the last. Owned by the
   reader. */
const mote_trajectory_field *mote_trajectory_get_field(const mote_trajectory_reader *reader, int index,
                                                       int field);

/* The integer (n) labels ("particle_type", "material", "body", ...) and the (n) float constants ("volume",
   ...) of a trajectory by number; NULL beyond the last. */
const char *mote_trajectory_label_name(const mote_trajectory_reader *reader, int index, int label);
const char *mote_trajectory_constant_name(const mote_trajectory_reader *reader, int index, int constant);

/* Frames [first, first + count) of `field` as float32, row-major (count, n, ...). The number of floats in one
   frame of the field comes from mote_trajectory_field_width (0: no such field) times n.
   MOTE_ERROR_NUMERIC names frame and particle of a value that is not finite. */
int mote_trajectory_field_width(const mote_trajectory_reader *reader, int index, const char *field);
mote_status mote_trajectory_read_frames(mote_trajectory_reader *reader, int index, const char *field,
                                        int64_t first, int64_t count, float *values);

/* particle_type (n), or another integer field of one value a particle ("material", "body"). Where
   particle_type is absent all of it is 0. */
mote_status mote_trajectory_read_labels(mote_trajectory_reader *reader, int index, const char *field,
                                        int32_t *values);
int mote_trajectory_has_labels(const mote_trajectory_reader *reader, int index, const char *field);

/* A float field of one value a particle for all frames: "volume", "density". */
mote_status mote_trajectory_read_constant(mote_trajectory_reader *reader, int index, const char *field,
                                          float *values);

/* The times of frames [first, first + count), s: the file's own, else frame * write_every * dt of its
   metadata, else the frame's number. */
mote_status mote_trajectory_read_times(mote_trajectory_reader *reader, int index, int64_t first,
                                       int64_t count, double *times);

/* A frame of a trajectory as particles (created; the caller destroys them). A negative `frame` counts from
   the end: -1 is the last. What the file lacks stays at rest: velocity falls back to the difference to the
   frame before (or after the first) over the time between, volume to dx^dim of the metadata (0 without),
   density to 1000, deformation_gradient to the identity, everything else to 0. */
mote_status mote_state_read(const char *path, int index, int64_t frame, mote_particles *particles);

/* ---- Writing ---- */

typedef struct mote_trajectory_writer mote_trajectory_writer;

typedef struct mote_trajectory_options {
  int64_t particles;
  int dim;
  int field_count; /* the first field must be position (dim); 0: position alone */
  const mote_trajectory_field *fields;
  const int32_t *particle_type;  /* (n) or NULL: 0 */
  const int32_t *material;       /* (n) or NULL */
  const int32_t *body;           /* (n) or NULL */
  const int32_t *index;          /* (n) or NULL: of which particles of a denser trajectory these are */
  int compression;               /* deflate level 0..9 */
  const mote_metadata *metadata; /* what is known in advance; statistics are computed while writing */
  int write_xdmf;                /* an XDMF file beside it, for ParaView */
  const float *volume;           /* (n) or NULL */
  const float *density;          /* (n) or NULL */
  /* Where the JSON copy of the metadata goes. NULL: metadata.json beside the file, unless one that belongs to
     another file lies there (it names its file under "file"), then NAME.metadata.json. "": nowhere. */
  const char *metadata_path;
  const char *name; /* the group's name; NULL: "00000", "00001", ... */
} mote_trajectory_options;

/* Starts `path` beside its final name: a crash or an abort leaves the old file, or none. Memory stays
   constant however many frames follow. */
mote_status mote_trajectory_create(const char *path, const mote_trajectory_options *options,
                                   mote_trajectory_writer **writer);

/* Appends a frame: values[k] is field k, (n, ...) floats; `time` in seconds. A value that is not finite is
   MOTE_ERROR_NUMERIC and the frame is not taken; the writer goes on. After MOTE_ERROR_IO only finish and
   abort are of use. */
mote_status mote_trajectory_append(mote_trajectory_writer *writer, double time, const float *const *values);

/* Ends the trajectory and starts the file's next one, of the same dim, with a number of particles and fields
   of its own. Of `options`, compression, metadata, metadata_path and write_xdmf are those of the first. */
mote_status mote_trajectory_next(mote_trajectory_writer *writer, const mote_trajectory_options *options);

/* Writes statistics, metadata.json and XDMF, renames all to their final names and frees the writer. On
   failure nothing lies under the final names, but what lay there before. */
mote_status mote_trajectory_finish(mote_trajectory_writer *writer);

/* Removes what was written and frees the writer; NULL is allowed. */
void mote_trajectory_abort(mote_trajectory_writer *writer);

#ifdef __cplusplus
}
#endif
#endif
