/* Small HDF5 files of arrays at the root: answers of single steps. */
#ifndef MOTE_IO_ARRAYS_H
#define MOTE_IO_ARRAYS_H

#include <stdint.h>
#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_array {
  const char *name;
  int rank;
  int64_t shape[4];
  const float *values;
} mote_array;

/* Writes the arrays as float32 data sets, whole or not at all. */
mote_status mote_arrays_write(const char *path, const mote_array *arrays, int count);

#ifdef __cplusplus
}
#endif
#endif
