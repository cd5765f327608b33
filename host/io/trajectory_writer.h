/* The inside of a trajectory writer: what its public functions (trajectory_writer.c) and the HDF5 groups they
   write (trajectory_group.c) share. */
#ifndef MOTE_IO_TRAJECTORY_WRITER_H
#define MOTE_IO_TRAJECTORY_WRITER_H

#include <mote/trajectory.h>
#include "host/core/file.h"
#include "host/io/chunks.h"
#include "host/io/hdf5_session.h"
#include "host/io/statistics.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_MOST_FIELDS 64
#define MOTE_MOST_LABELS 3
#define MOTE_MOST_CONSTANTS 2

/* One trajectory of the file: what XDMF needs of it at the end. */
typedef struct mote_written {
  char name[64];
  int64_t frames, particles;
  double *times;
  int64_t times_capacity;
  int field_count;
  mote_trajectory_field fields[MOTE_MOST_FIELDS];
  char names[MOTE_MOST_FIELDS][64];
  int width[MOTE_MOST_FIELDS];
  int label_count, constant_count;
  const char *labels[MOTE_MOST_LABELS], *constants[MOTE_MOST_CONSTANTS];
} mote_written;

struct mote_trajectory_writer {
  char *path, *metadata_path;
  mote_output output;
  mote_hdf5_file file;
  mote_metadata metadata;
  mote_statistics statistics;
  double low[3], high[3]; /* of all positions */
  int dim, level, write_xdmf;
  mote_status failed;
  mote_written **records;
  int count;
  /* The trajectory that runs. */
  hid_t group, dataset[MOTE_MOST_FIELDS];
  mote_chunk_shape shape;
  float *pending[MOTE_MOST_FIELDS]; /* shape.frames frames */
  int64_t pending_frames;
  mote_chunk *chunks; /* of all fields, blocks of particles */
  int chunk_count;
  unsigned char *packed;
};

extern const char *const mote_label_names[MOTE_MOST_LABELS];

/* All of these run within a session. A failed write is kept in writer->failed. */
mote_status mote_group_begin(mote_trajectory_writer *writer, const mote_trajectory_options *options);
mote_status mote_group_flush(mote_trajectory_writer *writer); /* packs and writes the pending frames */
mote_status mote_group_end(mote_trajectory_writer *writer);
void mote_group_close(mote_trajectory_writer *writer); /* frees what belongs to the group, whole or not */
mote_status mote_group_put_text(mote_trajectory_writer *writer, const char *name, const char *text);
/* HDF5 reported failure, or the driver kept an error of the system: which of them, in words. */
mote_status mote_group_failed(mote_trajectory_writer *writer, const char *what);

#ifdef __cplusplus
}
#endif
#endif
