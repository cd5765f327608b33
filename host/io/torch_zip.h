/* The archive of a PyTorch checkpoint: its one folder, what lies in it by name, and the byte order. */
#ifndef MOTE_IO_TORCH_ZIP_H
#define MOTE_IO_TORCH_ZIP_H

#include "host/io/zip.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_torch_zip {
  mote_zip zip;
  int *members; /* of the archive, by name */
  char *folder; /* "NAME/", or "" */
  int big_endian;
} mote_torch_zip;

/* Opens an archive with a data.pkl. MOTE_ERROR_UNSUPPORTED, with what to do about it, for files of before
   PyTorch 1.6 and TorchScript programs. */
mote_status mote_torch_zip_open(const char *path, mote_torch_zip *archive);
void mote_torch_zip_close(mote_torch_zip *archive);

/* The member of this name in the checkpoint's folder; -1 when there is none. */
int mote_torch_zip_find(const mote_torch_zip *archive, const char *name);

/* The error for what no checkpoint has. */
mote_status mote_torch_no_checkpoint(const char *path, const char *why);

#ifdef __cplusplus
}
#endif
#endif
