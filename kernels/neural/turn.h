/* Rows of particles to components, a mote_real each, and back (for files that define MOTE_REAL_LANES). The
   trick: eight values of eight rows are turned in registers, three shuffles a vector, where a scalar at a
   time would go through memory. */
#ifndef MOTE_KERNELS_NEURAL_TURN_H
#define MOTE_KERNELS_NEURAL_TURN_H

#include <string.h>

#include "kernels/constitutive/turn.h"

/* Whether a part of `values` that begin at k is turned as a whole; at the end it may overlap the one before,
   unless little is left. Where it then begins. */
MOTE_INLINE int mote_turn_begins(int values, int k, int *at) {
  *at = k + MOTE_TURNED <= values ? k : values - MOTE_TURNED;
  return MOTE_REAL_WIDTH % MOTE_TURNED == 0 && *at >= 0 && values - k >= MOTE_TURNED / 2;
}

/* `values` of MOTE_REAL_WIDTH rows, `stride` floats apart. */
MOTE_INLINE void mote_turn_in(const float *rows, int64_t stride, int values, mote_real *to) {
  int at, k = 0;
  for (; mote_turn_begins(values, k, &at); k = at + MOTE_TURNED)
    for (int half = 0; half < MOTE_REAL_WIDTH; half += MOTE_TURNED) {
      mote_eight part[MOTE_TURNED];
      for (int l = 0; l < MOTE_TURNED; l++) memcpy(&part[l], rows + (half + l) * stride + at, sizeof part[l]);
      mote_turn_eight(part);
      for (int j = 0; j < MOTE_TURNED; j++) memcpy((float *)&to[at + j] + half, &part[j], sizeof part[j]);
    }
  for (; k < values; k++) {
    mote_real value = {0};
    for (int l = 0; l < MOTE_REAL_WIDTH; l++) value[l] = rows[l * stride + k];
    to[k] = value;
  }
}

MOTE_INLINE void mote_turn_out(float *rows, int64_t stride, int values, const mote_real *from) {
  int at, k = 0;
  for (; mote_turn_begins(values, k, &at); k = at + MOTE_TURNED)
    for (int half = 0; half < MOTE_REAL_WIDTH; half += MOTE_TURNED) {
      mote_eight part[MOTE_TURNED];
      for (int j = 0; j < MOTE_TURNED; j++)
        memcpy(&part[j], (const float *)&from[at + j] + half, sizeof part[j]);
      mote_turn_eight(part);
      for (int l = 0; l < MOTE_TURNED; l++) memcpy(rows + (half + l) * stride + at, &part[l], sizeof part[l]);
    }
  for (; k < values; k++)
    for (int l = 0; l < MOTE_REAL_WIDTH; l++) rows[l * stride + k] = from[k][l];
}

#endif
