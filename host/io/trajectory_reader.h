/* The inside of an open trajectory file: what scanning it (trajectory_scan.c) found. */
#ifndef MOTE_IO_TRAJECTORY_READER_H
#define MOTE_IO_TRAJECTORY_READER_H

#include <mote/trajectory.h>
#include "host/io/chunk_read.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_MOST_MEMBERS 64

/* One data set of a group. */
typedef struct mote_member {
  char name[64];
  mote_trajectory_field field; /* of a (T, n, ...) float */
} mote_member;

typedef struct mote_found_trajectory {
  char *name;
  mote_trajectory_info info;
  int field_count, label_count, constant_count, has_time;
  mote_member *fields, *labels, *constants;
} mote_found_trajectory;

struct mote_trajectory_reader {
  char *path;
  int fd;
  int64_t file_size;
  mote_hdf5_file file;
  int count, capacity;
  mote_found_trajectory *found;
  /* The data set read last stays open: its chunk index and cached chunks serve the next frame. */
  hid_t open_set;
  int open_index;
  char open_name[64];
  int is_chunked;
  mote_chunked chunked;
  /* Where a chunk holds several frames: those of the last row of chunks, as the numbers asked for. */
  char *band;
  size_t band_width;
  int64_t band_first, band_count;
};

/* Lists the trajectories of the open file; within a session. */
mote_status mote_trajectory_scan(mote_trajectory_reader *reader);
void mote_trajectory_forget(mote_trajectory_reader *reader);

#ifdef __cplusplus
}
#endif
#endif
