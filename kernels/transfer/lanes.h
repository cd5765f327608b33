/* Vectors of 16 and 4 floats for the CPU, by the compilers' generic vectors: one AVX-512 register where there
   is one, several smaller ones elsewhere. */
#ifndef MOTE_KERNELS_TRANSFER_LANES_H
#define MOTE_KERNELS_TRANSFER_LANES_H

#include "kernels/constitutive/real.h"

typedef float v16 __attribute__((vector_size(64), may_alias));
typedef float v16u __attribute__((vector_size(64), aligned(4), may_alias));
typedef float v8u __attribute__((vector_size(32), aligned(4), may_alias));
typedef float v4 __attribute__((vector_size(16), may_alias));
typedef float v4u __attribute__((vector_size(16), aligned(4), may_alias));
typedef int i16 __attribute__((vector_size(64), may_alias));

MOTE_INLINE v16 v16_load(const float *p) {
  return *(const v16u *)p;
}
MOTE_INLINE void v16_store(float *p, v16 v) {
  *(v16u *)p = v;
}
MOTE_INLINE v4 v4_load(const float *p) {
  return *(const v4u *)p;
}
MOTE_INLINE void v4_store(float *p, v4 v) {
  *(v4u *)p = v;
}
/* Quad k of v in all four quads, and lane k in all lanes. Shuffles of a whole register: to widen a 4-vector
   makes GCC go through memory. */
#define v16_quad(v, k)                                                                                       \
  __builtin_shufflevector(v, v, 4 * k, 4 * k + 1, 4 * k + 2, 4 * k + 3, 4 * k, 4 * k + 1, 4 * k + 2,         \
                          4 * k + 3, 4 * k, 4 * k + 1, 4 * k + 2, 4 * k + 3, 4 * k, 4 * k + 1, 4 * k + 2,    \
                          4 * k + 3)
#define v16_lane(v, k) __builtin_shufflevector(v, v, k, k, k, k, k, k, k, k, k, k, k, k, k, k, k, k)
MOTE_INLINE v16 v16_set(float x) {
  return (v16){} + x;
}
/* The first 12 lanes. */
MOTE_INLINE void v16_store12(float *p, v16 v) {
  *(v8u *)p = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7);
  *(v4u *)(p + 8) = __builtin_shufflevector(v, v, 8, 9, 10, 11);
}
/* mask ? a : b, lane by lane; masks are all ones or all zeros. */
MOTE_INLINE v16 v16_select(i16 mask, v16 a, v16 b) {
  return (v16)(((i16)a & mask) | ((i16)b & ~mask));
}

/* Row r, column c of the 16 x 16 matrix to row c, column r: four rounds that exchange bit d of both. */
#define MOTE_EXCHANGE(d, LOW, HIGH)                                                                          \
  for (int r = 0; r < 16; r++)                                                                               \
    if (!(r & d)) {                                                                                          \
      v16 a = m[r], b = m[r + d];                                                                            \
      m[r] = __builtin_shufflevector(a, b, LOW);                                                             \
      m[r + d] = __builtin_shufflevector(a, b, HIGH);                                                        \
    }
#define MOTE_LIST(...) __VA_ARGS__
MOTE_INLINE void v16_transpose(v16 m[16]) {
#pragma GCC unroll 16
  MOTE_EXCHANGE(1, MOTE_LIST(0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30),
                MOTE_LIST(1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31))
#pragma GCC unroll 16
  MOTE_EXCHANGE(2, MOTE_LIST(0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29),
                MOTE_LIST(2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31))
#pragma GCC unroll 16
  MOTE_EXCHANGE(4, MOTE_LIST(0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27),
                MOTE_LIST(4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31))
#pragma GCC unroll 16
  MOTE_EXCHANGE(8, MOTE_LIST(0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
                MOTE_LIST(8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
}

#endif
