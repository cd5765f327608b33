/* An 8 x 8 transpose in registers, by the compilers' generic vectors. */
#ifndef MOTE_KERNELS_CONSTITUTIVE_TURN_H
#define MOTE_KERNELS_CONSTITUTIVE_TURN_H

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

#endif
