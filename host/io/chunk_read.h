/* Reading chunked data sets without HDF5's filters: raw chunks come from the library, are unpacked on all
   threads, and each must unpack to exactly a chunk's bytes. (HDF5 1.10 takes a short one as it is and reads
   beyond its end.) */
#ifndef MOTE_IO_CHUNK_READ_H
#define MOTE_IO_CHUNK_READ_H

#include "host/io/hdf5_session.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_CHUNK_MOST_RANK 4
#define MOTE_CHUNK_MOST_FILTERS 8

/* How an open data set is stored. */
typedef struct mote_chunked {
  mote_hdf5_file *file;
  hid_t set;
  int rank;
  int64_t size[MOTE_CHUNK_MOST_RANK], chunk[MOTE_CHUNK_MOST_RANK];
  size_t element;    /* bytes of a value in the file */
  int64_t file_size; /* no chunk is larger */
  int filter_count;
  int filters[MOTE_CHUNK_MOST_FILTERS]; /* H5Z_FILTER_DEFLATE or _SHUFFLE, in the order of writing */
} mote_chunked;

/* Fills `chunked` when the data set is chunked, and sets *is 0 when it is not. */
mote_status mote_chunked_open(mote_hdf5_file *file, hid_t set, int64_t file_size, mote_chunked *chunked,
                              int *is);

/* Rows [first, first + count) along the first dimension as `memory`, a native number of `width` bytes. The
   error says what is wrong but not where. */
mote_status mote_chunked_read(const mote_chunked *chunked, hid_t memory, size_t width, int64_t first,
                              int64_t count, void *values);

#ifdef __cplusplus
}
#endif
#endif
