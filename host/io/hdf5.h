/* HDF5 made quiet: its errors go into ours and never to the terminal. */
#ifndef MOTE_IO_HDF5_H
#define MOTE_IO_HDF5_H

#include <hdf5.h>

#include <mote/status.h>

/* Silences HDF5's error printer; returns what to hand to mote_hdf5_restore(). */
typedef struct mote_hdf5_quiet {
  H5E_auto2_t function;
  void *data;
} mote_hdf5_quiet;
mote_hdf5_quiet mote_hdf5_silence(void);
void mote_hdf5_restore(mote_hdf5_quiet quiet);

/* Fails with "what" and HDF5's own innermost message. */
mote_status mote_hdf5_fail(mote_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A string attribute of `object` in new memory; NULL when it is absent, not a string, or above a megabyte. */
char *mote_hdf5_read_text(hid_t object, const char *name);
int mote_hdf5_write_text(hid_t object, const char *name, const char *text);

#endif
