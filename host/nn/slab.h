/* One buffer cut into arrays. The trick: the same function that hands out the arrays is run twice, first over
   a slab without memory to learn how much they take, then to get their addresses. */
#ifndef MOTE_NN_SLAB_H
#define MOTE_NN_SLAB_H

#include "host/core/device.h"

typedef struct mote_slab {
  char *memory; /* NULL: only count */
  size_t used;
} mote_slab;

/* `words` values of 4 bytes, at a multiple of 64 bytes. */
static inline void *mote_slab_take(mote_slab *slab, int64_t words) {
  void *at = slab->memory ? slab->memory + slab->used : NULL;
  slab->used += ((size_t)words * 4 + 63) / 64 * 64;
  return at;
}

#endif
