/* Rows of particles to components, a mote_real each, and back (for files that define MOTE_REAL_LANES). The
   trick: eight values of eight rows are turned in registers, three shuffles a vector, where a scalar at a
   time would go through memory. */
#ifndef MOTE_KERNELS_NEURAL_TURN_H
#define MOTE_KERNELS_NEURAL_TURN_H

#include <string.h>

#include "kernels/constitutive/real.h"

#define MOTE_TURNED 8

typedef float mote_eight __attribute__((vector_size(32)));

#define MOTE_MIX(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)

/* An 8 x 8 transpose: pairs, then pairs of pairs, then halves. */
MOTE_INLINE void mote_turn_eight(mote_eight row[8]) {
  mote_eight pair[8], four[8];
  for (int k = 0; k < 8; k += 2) {
    pair[k] = MOTE_MIX(row[k], row[k + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    pair[k + 1] = MOTE_MIX(row[k], row[k + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  for (int k = 0; k < 8; k += 4)
    for (int j = 0; j < 2; j++) {
      four[k + 2 * j] = MOTE_MIX(pair[k + j], pair[k + 2 + j], 0, 1, 8, 9, 4, 5, 12, 13);
      four[k + 2 * j + 1] = MOTE_MIX(pair[k + j], pair[k + 2 + j], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  for (int k = 0; k < 4; k++) {
    row[k] = MOTE_MIX(four[k], four[k + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    row[k + 4] = MOTE_MIX(four[k], four[k + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

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
  for (; k < values; k++)
    for (int l = 0; l < MOTE_REAL_WIDTH; l++) to[k][l] = rows[l * stride + k];
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
