/* ZIP archives, as NPZ files are: stored and deflated members, and zip64 for those beyond 4 GiB. */
#ifndef MOTE_IO_ZIP_H
#define MOTE_IO_ZIP_H

#include <stddef.h>
#include <stdint.h>
#include <zlib.h>
#include <mote/status.h>
#include "host/core/file.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Reading ---- */

typedef struct mote_zip_member {
  char *name;
  int deflated;
  uint32_t crc;
  int64_t packed, size; /* bytes in the file and unpacked */
  int64_t header;       /* where its local header lies */
} mote_zip_member;

typedef struct mote_zip {
  char *path;
  int fd;
  int64_t file_size;
  int count;
  mote_zip_member *members;
} mote_zip;

/* Reads and checks the directory. MOTE_ERROR_IO, MOTE_ERROR_FORMAT, MOTE_ERROR_UNSUPPORTED (encrypted, split,
   or compressed by another method). */
mote_status mote_zip_open(const char *path, mote_zip *zip);
void mote_zip_close(mote_zip *zip);

/* Unpacks a member into memory that the caller frees, and checks its sum. */
mote_status mote_zip_read(const mote_zip *zip, int member, unsigned char **data, size_t *size);

/* ---- Writing ---- */

/* Writes members one after the other to an output. Zero-initialise but `output` and `level` (0 stores). */
typedef struct mote_zip_writer {
  mote_output *output;
  int level;
  int count, capacity;
  mote_zip_member *members;
  int streaming;
  z_stream stream;
  unsigned char *packed;
} mote_zip_writer;

mote_status mote_zip_begin(mote_zip_writer *zip, const char *name);
mote_status mote_zip_write(mote_zip_writer *zip, const void *data, size_t size);
mote_status mote_zip_end(mote_zip_writer *zip);
/* Writes the directory; the output is then ready to be committed. */
mote_status mote_zip_finish(mote_zip_writer *zip);
void mote_zip_release(mote_zip_writer *zip);

#ifdef __cplusplus
}
#endif
#endif
