/* The number that per-element math is written in, and its elementary functions. The trick: mote_real is a
   float everywhere but in a file that defines MOTE_REAL_LANES first, where it is a vector of them
   (GCC's and Clang's vector extension) and the same source becomes vector code. So there are no branches on
   values, only mote_select, and no library calls. log and exp: 1e-7 relative, near log(1) and exp(0) - 1
   included, with the polynomials of Moshier's Cephes.

   A file that defines MOTE_REAL_DOUBLE first has doubles and the library's functions: the same text in the
   precision that differences need, for tests alone. mote_scalar is a number that all lanes share. */
#ifndef MOTE_KERNELS_CONSTITUTIVE_REAL_H
#define MOTE_KERNELS_CONSTITUTIVE_REAL_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels/kernel.h"

#if defined(MOTE_REAL_LANES) && (defined(__AVX512F__) || defined(__AVX2__))
#include <immintrin.h>
#endif

#define MOTE_INLINE MOTE_HD static inline __attribute__((always_inline))

#ifdef MOTE_REAL_DOUBLE
typedef double mote_scalar;
#else
typedef float mote_scalar;
#endif

#if defined(MOTE_REAL_LANES)

/* The widest registers there are: compilers split wider vectors badly. */
#ifdef __AVX512F__
#define MOTE_REAL_WIDTH 16
#elif defined(__AVX2__)
#define MOTE_REAL_WIDTH 8
#else
#define MOTE_REAL_WIDTH 4
#endif
typedef float mote_real __attribute__((vector_size(4 * MOTE_REAL_WIDTH)));
typedef int32_t mote_mask
    __attribute__((vector_size(4 * MOTE_REAL_WIDTH))); /* of a comparison: -1 or 0 a lane */

MOTE_INLINE mote_real mote_splat(float x) {
  return x - (mote_real){0};
}
MOTE_INLINE mote_mask mote_bits(mote_real x) {
  return (mote_mask)x;
}
MOTE_INLINE mote_real mote_from_bits(mote_mask bits) {
  return (mote_real)bits;
}
MOTE_INLINE mote_real mote_select(mote_mask condition, mote_real yes, mote_real no) {
  return (mote_real)((condition & (mote_mask)yes) | (~condition & (mote_mask)no));
}
MOTE_INLINE mote_real mote_abs(mote_real x) {
  return (mote_real)((mote_mask)x & 0x7fffffff);
}
MOTE_INLINE mote_real mote_sqrt(mote_real x) {
#if MOTE_REAL_WIDTH == 8
  return (mote_real)_mm256_sqrt_ps((__m256)x);
#else
  mote_real root = x;
  for (int i = 0; i < MOTE_REAL_WIDTH; i++) root[i] = sqrtf(x[i]);
  return root;
#endif
}
/* 1/sqrt(x) for normal x, to 2e-7: shorter on the way through a chain of rotations than a root and a
 * division. */
MOTE_INLINE mote_real mote_rsqrt(mote_real x) {
#ifdef __AVX512F__
  mote_real y = (mote_real)_mm512_rsqrt14_ps((__m512)x); /* and a step of Newton's */
  mote_real half = 0.5f * y;
  return half * (1.0f - x * y * y) + y;
#elif MOTE_REAL_WIDTH == 8
  /* 12 bits, of which makes of processors have other last ones; then Householder's step */
  mote_real y = (mote_real)_mm256_rsqrt_ps((__m256)x);
  mote_real rest = 1.0f - x * y * y;
  return y * rest * (0.5f + 0.375f * rest) + y;
#else
  return 1.0f / mote_sqrt(x);
#endif
}
/* Whether any lane holds. */
MOTE_INLINE int mote_any(mote_mask x) {
#if MOTE_REAL_WIDTH == 8
  return _mm256_movemask_ps((__m256)x) != 0;
#else
  int any = 0;
  for (int i = 0; i < MOTE_REAL_WIDTH; i++) any |= x[i];
  return any;
#endif
}
MOTE_INLINE mote_real mote_from_integer(mote_mask x) {
  return __builtin_convertvector(x, mote_real);
}
MOTE_INLINE mote_mask mote_to_integer(mote_real x) {
  return __builtin_convertvector(x, mote_mask);
}

#else

typedef mote_scalar mote_real;
typedef int32_t mote_mask; /* of a comparison: 1 or 0 */

MOTE_INLINE mote_real mote_splat(mote_scalar x) {
  return x;
}
MOTE_INLINE mote_real mote_select(mote_mask condition, mote_real yes, mote_real no) {
  return condition ? yes : no;
}
MOTE_INLINE int mote_any(mote_mask x) {
  return x;
}
#ifndef MOTE_REAL_DOUBLE
MOTE_INLINE mote_mask mote_bits(mote_real x) {
  mote_mask bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
MOTE_INLINE mote_real mote_from_bits(mote_mask bits) {
  mote_real x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
MOTE_INLINE mote_real mote_abs(mote_real x) {
  return fabsf(x);
}
MOTE_INLINE mote_real mote_sqrt(mote_real x) {
  return sqrtf(x);
}
MOTE_INLINE mote_real mote_rsqrt(mote_real x) {
#ifdef __CUDA_ARCH__
  return rsqrtf(x);
#else
  return 1.0f / sqrtf(x);
#endif
}
MOTE_INLINE mote_real mote_from_integer(mote_mask x) {
  return (float)x;
}
MOTE_INLINE mote_mask mote_to_integer(mote_real x) {
  return (int32_t)x;
}
#endif

#endif

MOTE_INLINE mote_real mote_max(mote_real a, mote_real b) {
  return mote_select(a > b, a, b);
}
MOTE_INLINE mote_real mote_min(mote_real a, mote_real b) {
  return mote_select(a < b, a, b);
}
MOTE_INLINE mote_real mote_at_least(mote_real x, mote_scalar limit) {
  return mote_max(x, mote_splat(limit));
}
MOTE_INLINE mote_real mote_at_most(mote_real x, mote_scalar limit) {
  return mote_min(x, mote_splat(limit));
}

#ifdef MOTE_REAL_DOUBLE

MOTE_INLINE mote_real mote_abs(mote_real x) {
  return fabs(x);
}
MOTE_INLINE mote_real mote_sqrt(mote_real x) {
  return sqrt(x);
}
MOTE_INLINE mote_real mote_rsqrt(mote_real x) {
  return 1 / sqrt(x);
}
MOTE_INLINE mote_real mote_log(mote_real x) {
  return log(mote_at_least(x, 1.17549435e-38));
}
MOTE_INLINE mote_real mote_log1p(mote_real x) {
  return x > -1 ? log1p(x) : log(1.17549435e-38);
}
MOTE_INLINE mote_real mote_exp(mote_real x) {
  return exp(x);
}
MOTE_INLINE mote_real mote_expm1(mote_real x) {
  return expm1(x);
}
/* A power of two that takes x to between 1 and 2. */
MOTE_INLINE mote_real mote_down_scale(mote_real x) {
  return ldexp(1, -ilogb(x));
}

#else

/* A power of two that takes normal x > 0 to between 1 and 4, so that scaling is exact; it stays normal at
   both ends of the range, as does its inverse. */
MOTE_INLINE mote_real mote_down_scale(mote_real x) {
  mote_real scale = mote_from_bits((mote_bits(x) & 0x7f800000));
  return mote_from_bits(0x7f000000 - mote_bits(mote_at_most(scale, 0x1p126f)));
}

/* log(x) for normal x > 0; anything below the smallest normal number counts as it (-87.3). */
MOTE_INLINE mote_real mote_log(mote_real x) {
  x = mote_at_least(x, 1.17549435e-38f);
  mote_mask bits = mote_bits(x);
  /* x = 2^exponent m with m in [sqrt(1/2), sqrt(2)): 0x3f3504f3 is sqrt(1/2). m - 1 is exact. */
  mote_mask shifted = bits - 0x3f3504f3;
  mote_real exponent = mote_from_integer(shifted >> 23);
  mote_real f = mote_from_bits((shifted & 0x007fffff) + 0x3f3504f3) - 1.0f;
  mote_real z = f * f;
  mote_real y = 7.0376836292e-2f * f - 1.1514610310e-1f;
  y = y * f + 1.1676998740e-1f;
  y = y * f - 1.2420140846e-1f;
  y = y * f + 1.4249322787e-1f;
  y = y * f - 1.6668057665e-1f;
  y = y * f + 2.0000714765e-1f;
  y = y * f - 2.4999993993e-1f;
  y = y * f + 3.3333331174e-1f;
  y = y * f * z;
  y += exponent * -2.12194440e-4f; /* log(2) in two parts */
  y -= 0.5f * z;
  return f + y + exponent * 0.693359375f;
}

/* log(1 + x), accurate for small x; 1 + x <= 0 counts as the smallest normal number. */
MOTE_INLINE mote_real mote_log1p(mote_real x) {
  mote_real u = 1.0f + x;
  /* (x - (u - 1)) / u is what the rounding of 1 + x lost, to first order. */
  mote_real lost = mote_select(u > 1e-30f, (x - (u - 1.0f)) / mote_at_least(u, 1e-30f), mote_splat(0.0f));
  return mote_log(u) + lost;
}

/* exp(x) - 1 = 2^n (p + 1) - 1 by its parts: returns p, with scale = 2^n. x is clamped to [-87, 88]. */
MOTE_INLINE mote_real mote_exp_parts(mote_real x, mote_real *scale) {
  x = mote_at_most(mote_at_least(x, -87.0f), 88.0f);
  const float round_to_integer = 12582912.0f; /* 1.5 * 2^23: the sum's low bits are the integer */
  mote_real n = (1.44269504f * x + round_to_integer) - round_to_integer;
  mote_real r = x - n * 0.693359375f;
  r -= n * -2.12194440e-4f;
  mote_real y = 1.9875691500e-4f * r + 1.3981999507e-3f;
  y = y * r + 8.3334519073e-3f;
  y = y * r + 4.1665795894e-2f;
  y = y * r + 1.6666665459e-1f;
  y = y * r + 5.0000001201e-1f;
  *scale = mote_from_bits((mote_to_integer(n) + 127) << 23);
  return y * r * r + r;
}
MOTE_INLINE mote_real mote_exp(mote_real x) {
  mote_real scale, p = mote_exp_parts(x, &scale);
  return scale * p + scale;
}
MOTE_INLINE mote_real mote_expm1(mote_real x) {
  mote_real scale, p = mote_exp_parts(x, &scale);
  return scale * p + (scale - 1.0f);
}

#endif

#endif
