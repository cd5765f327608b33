/* How Mote talks to HDF5: one call at a time, silently, through a file driver that never lets it down.
   The serial HDF5 library is not thread-safe, so every public function that reaches it holds a session. */
#ifndef MOTE_IO_HDF5_SESSION_H
#define MOTE_IO_HDF5_SESSION_H

/* The interface of 1.10 under later versions too. */
#ifndef H5_USE_110_API
#define H5_USE_110_API
#endif
#include <hdf5.h>
#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Takes the process-wide lock of the HDF5 library and silences its error printing; end puts back what the
   program had set. Sessions do not nest. */
typedef struct mote_hdf5_session {
  H5E_auto2_t print;
  void *print_data;
} mote_hdf5_session;
void mote_hdf5_begin(mote_hdf5_session *session);
void mote_hdf5_end(mote_hdf5_session *session);

/* Fails with "what: HDF5's innermost message" and clears HDF5's error stack. */
mote_status mote_hdf5_fail(mote_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Bytes on disk as HDF5's file. The driver keeps the first error of the system in `error` (an errno) and from
   then on swallows writes: HDF5 1.10 cannot close a file whose writes fail, and would complain on standard
   error when the program ends. So whoever writes looks at `error` after each call. */
typedef struct mote_hdf5_file {
  int fd; /* the caller's; not closed */
  int error;
  hid_t id;
  hid_t driver; /* its registration */
  size_t limit; /* when not 0, a read of raw data of more bytes fails: a chunk's length in a hostile file is
                   not the one that HDF5 reports of it */
} mote_hdf5_file;

/* Opens or creates on an open descriptor; `path` is for messages. The struct must stay where it is while the
   file is open. */
mote_status mote_hdf5_open(const char *path, int fd, mote_hdf5_file *file);
mote_status mote_hdf5_create(const char *path, int fd, mote_hdf5_file *file);
void mote_hdf5_close(mote_hdf5_file *file);

/* Text as an attribute of the root, of fixed length; 0 where it cannot be written. */
int mote_hdf5_put_text(mote_hdf5_file *file, const char *name, const char *text);

#ifdef __cplusplus
}
#endif
#endif
