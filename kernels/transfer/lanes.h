/* Vectors for the CPU's transfers, by the compilers' generic vectors. A mote_w is as wide as a register: of
   wider ones compilers keep the variables in memory. What follows is written in quads, four floats of a node
   or of a record's column: a mote_w has MOTE_QUADS of them, and a row of three nodes takes MOTE_ROW_PARTS. */
#ifndef MOTE_KERNELS_TRANSFER_LANES_H
#define MOTE_KERNELS_TRANSFER_LANES_H

#include "kernels/constitutive/turn.h"

#ifdef __AVX__
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define MOTE_QUADS 4
#elif defined(__AVX__)
#define MOTE_QUADS 2
#else
#define MOTE_QUADS 1
#endif
#define MOTE_WIDTH (4 * MOTE_QUADS)
#define MOTE_ROW_PARTS ((3 + MOTE_QUADS - 1) / MOTE_QUADS)

typedef float mote_w __attribute__((vector_size(4 * MOTE_WIDTH), may_alias));
typedef float mote_wu __attribute__((vector_size(4 * MOTE_WIDTH), aligned(4), may_alias));
typedef int32_t mote_wi __attribute__((vector_size(4 * MOTE_WIDTH), may_alias));
typedef float mote_q __attribute__((vector_size(16), may_alias));
typedef float mote_qu __attribute__((vector_size(16), aligned(4), may_alias));

MOTE_INLINE mote_w w_load(const float *p) {
  return *(const mote_wu *)p;
}
MOTE_INLINE void w_store(float *p, mote_w v) {
  *(mote_wu *)p = v;
}
MOTE_INLINE mote_w w_set(float x) {
  return x - (mote_w){0}; /* 0 + x would be an addition */
}
MOTE_INLINE mote_q q_load(const float *p) {
  return *(const mote_qu *)p;
}
MOTE_INLINE void q_store(float *p, mote_q v) {
  *(mote_qu *)p = v;
}
/* mask ? a : b, lane by lane; masks are all ones or all zeros. */
MOTE_INLINE mote_w w_select(mote_wi mask, mote_w a, mote_w b) {
  return (mote_w)(((mote_wi)a & mask) | ((mote_wi)b & ~mask));
}
MOTE_INLINE mote_w w_and(mote_w v, mote_wi mask) {
  return (mote_w)((mote_wi)v & mask);
}

/* The quad at p in all quads. */
MOTE_INLINE mote_w w_quad(const float *p) {
#if MOTE_QUADS == 4
  return (mote_w)_mm512_broadcast_f32x4((__m128)q_load(p));
#elif MOTE_QUADS == 2
  return (mote_w)_mm256_broadcast_ps((const __m128 *)p);
#else
  return q_load(p);
#endif
}

/* The sum of the quads. */
MOTE_INLINE mote_q w_add_quads(mote_w v) {
#if MOTE_QUADS == 4
  const __m512 z = (__m512)v;
  return (mote_q)_mm512_castps512_ps128(z) + (mote_q)_mm512_extractf32x4_ps(z, 1) +
         ((mote_q)_mm512_extractf32x4_ps(z, 2) + (mote_q)_mm512_extractf32x4_ps(z, 3));
#elif MOTE_QUADS == 2
  return (mote_q)_mm256_castps256_ps128((__m256)v) + (mote_q)_mm256_extractf128_ps((__m256)v, 1);
#else
  return v;
#endif
}

/* Lane k: the sum of v[k]'s lanes. */
MOTE_INLINE mote_q q_add_each(mote_q a, mote_q b, mote_q c, mote_q d) {
  const mote_q ab = MOTE_MIX(a, b, 0, 4, 1, 5) + MOTE_MIX(a, b, 2, 6, 3, 7);
  const mote_q cd = MOTE_MIX(c, d, 0, 4, 1, 5) + MOTE_MIX(c, d, 2, 6, 3, 7);
  return MOTE_MIX(ab, cd, 0, 1, 4, 5) + MOTE_MIX(ab, cd, 2, 3, 6, 7);
}

/* In place: row r, column c of 16 x 16 to row c, column r, an 8 x 8 block and its mirror at a time. */
MOTE_INLINE void mote_transpose16(float m[16][16]) {
  for (int i = 0; i < 16; i += MOTE_TURNED)
    for (int j = i; j < 16; j += MOTE_TURNED) {
      mote_eight upper[MOTE_TURNED], lower[MOTE_TURNED];
      for (int k = 0; k < MOTE_TURNED; k++) {
        memcpy(&upper[k], &m[i + k][j], sizeof upper[k]);
        memcpy(&lower[k], &m[j + k][i], sizeof lower[k]);
      }
      mote_turn_eight(upper);
      for (int k = 0; k < MOTE_TURNED; k++) memcpy(&m[j + k][i], &upper[k], sizeof upper[k]);
      if (i == j) continue;
      mote_turn_eight(lower);
      for (int k = 0; k < MOTE_TURNED; k++) memcpy(&m[i + k][j], &lower[k], sizeof lower[k]);
    }
}

#endif
