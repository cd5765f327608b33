/* What a data set claims to be, checked before a byte of memory is spent on it. */
#ifndef MOTE_IO_HDF5_INSPECT_H
#define MOTE_IO_HDF5_INSPECT_H

#include "host/io/hdf5_session.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_HDF5_MOST_RANK 4

typedef struct mote_hdf5_array {
  int rank;
  int64_t size[MOTE_HDF5_MOST_RANK];
  H5T_class_t kind; /* H5T_FLOAT or H5T_INTEGER */
} mote_hdf5_array;

/* Describes the data set `name` (a hard link) of a group within a session. Refused with an error that names
   `where`/name: other types than numbers of at most 8 bytes, more than 4 dimensions, empty ones, external or
   virtual storage, filters other than deflate and shuffle, and sizes that the bytes in the
   file cannot hold. `file_size` in bytes. */
mote_status mote_hdf5_inspect(const char *where, hid_t group, const char *name, int64_t file_size,
                              mote_hdf5_array *array);

#ifdef __cplusplus
}
#endif
#endif
