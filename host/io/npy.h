/* NPY: numpy's file of one array (numpy.lib.format). */
#ifndef MOTE_IO_NPY_H
#define MOTE_IO_NPY_H

#include "host/io/pickle.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a header says; the data begins at `data`. */
typedef struct mote_npy {
  mote_element element;
  int fortran, rank;
  int64_t shape[MOTE_ARRAY_MOST_RANK];
  size_t data;
} mote_npy;

/* Parses a header; for numbers, checks that the data is exactly the array. `name` is what errors call it. */
mote_status mote_npy_parse(const char *name, const unsigned char *bytes, size_t size, mote_npy *npy);

#ifdef __cplusplus
}
#endif
#endif
