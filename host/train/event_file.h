/* Event files of scalars, as TensorBoard reads them: records in TFRecord framing (length, its CRC-32C, data,
   their CRC-32C, the sums masked), each an Event of protocol buffers; the first tells the version,
   "brain.Event:2".

   The trick: a record goes out in a single write, so what a killed run leaves is whole records and at most
   one torn at the end, where readers stop. */
#ifndef MOTE_TRAIN_EVENT_FILE_H
#define MOTE_TRAIN_EVENT_FILE_H

#include <stdint.h>
#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The name in its folder: readers look for "tfevents". */
#define MOTE_EVENT_FILE "events.out.tfevents.mote"
#define MOTE_EVENT_SCALARS 8
#define MOTE_EVENT_TAG 64

typedef struct mote_event_file {
  char *path;
  int fd;
  int64_t size;
} mote_event_file;

typedef struct mote_event_scalar {
  const char *tag; /* shorter than MOTE_EVENT_TAG: "validation/loss" */
  double value;    /* stored as float32; NaN: left out */
} mote_event_scalar;

/* Begins FOLDER's event file, or with `step` > 0 goes on behind that step: what the old file has beyond it,
   and from its first record on that is broken or not an event, is cut. */
mote_status mote_event_file_open(const char *folder, int64_t step, mote_event_file *file);

/* One event, of now, with at most MOTE_EVENT_SCALARS; none where all are NaN. */
mote_status mote_event_file_append(mote_event_file *file, int64_t step, const mote_event_scalar *scalars,
                                   int count);

/* An all-zero one is allowed. */
mote_status mote_event_file_close(mote_event_file *file);

/* CRC-32C (Castagnoli 1993; RFC 3720, section 12.1). */
uint32_t mote_crc32c(const void *data, int64_t size);

#ifdef __cplusplus
}
#endif
#endif
