/* Vectors of the machine's width for dense layers on the CPU, and the functions that layers need,
   elementwise. Relative errors (tests/dense): exp 1e-7; GELU 5e-7 above -2, and up to 5e-6 towards -13, where
   it is 1e-37: there the rounding of x^2/2 shows in its exponential. */
#ifndef MOTE_KERNELS_DENSE_VECTOR_H
#define MOTE_KERNELS_DENSE_VECTOR_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef __AVX__
#include <immintrin.h>
#endif

#ifdef __AVX512F__
#define MOTE_LANES 16
#else
#define MOTE_LANES 8
#endif

typedef float mote_v __attribute__((vector_size(4 * MOTE_LANES), may_alias));
typedef float mote_vu __attribute__((vector_size(4 * MOTE_LANES), aligned(4), may_alias));
typedef int32_t mote_vi __attribute__((vector_size(4 * MOTE_LANES), may_alias));

#define MOTE_VECTOR static inline __attribute__((always_inline))

/* Lane by lane: 0 + x, which turns -0 into 0, would be an addition. */
MOTE_VECTOR mote_v mote_v_set(float x) {
#if MOTE_LANES == 16
  return (mote_v){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
#else
  return (mote_v){x, x, x, x, x, x, x, x};
#endif
}
MOTE_VECTOR mote_v mote_v_load(const float *p) {
  return *(const mote_vu *)p;
}
MOTE_VECTOR void mote_v_store(float *p, mote_v x) {
  *(mote_vu *)p = x;
}

/* Past the caches, for what is not read again before they are full; `to` at a multiple of 64 bytes. */
static inline void mote_stream_floats(float *to, const float *from, int64_t sixteens) {
#if defined __AVX512F__
  for (int64_t i = 0; i < 16 * sixteens; i += 16) _mm512_stream_ps(to + i, _mm512_loadu_ps(from + i));
  _mm_sfence();
#elif defined __AVX__
  for (int64_t i = 0; i < 16 * sixteens; i += 8) _mm256_stream_ps(to + i, _mm256_loadu_ps(from + i));
  _mm_sfence();
#else
  memcpy(to, from, (size_t)(16 * sixteens) * sizeof(float));
#endif
}

MOTE_VECTOR mote_v mote_v_select(mote_vi mask, mote_v yes, mote_v no) {
  return (mote_v)((mask & (mote_vi)yes) | (~mask & (mote_vi)no));
}
MOTE_VECTOR mote_v mote_v_max(mote_v a, mote_v b) { /* b where one is NaN */
#if defined __AVX512F__
  return (mote_v)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined __AVX__
  return (mote_v)_mm256_max_ps((__m256)a, (__m256)b);
#else
  return mote_v_select(a > b, a, b);
#endif
}
MOTE_VECTOR float mote_v_sum(mote_v x) { /* always in the same order */
  float sum[MOTE_LANES];
  mote_v_store(sum, x);
  for (int width = MOTE_LANES / 2; width > 0; width /= 2)
    for (int i = 0; i < width; i++) sum[i] += sum[i + width];
  return sum[0];
}

/* 2^n e^r, n whole and |r| <= ln 2 / 2; the polynomial is the series of e^r. 0 below -87. For x up to 88. */
MOTE_VECTOR mote_v mote_v_exp_up_to_88(mote_v x) {
  const float magic = 12582912.f; /* 1.5 * 2^23: adding it rounds to whole numbers */
  mote_v low = mote_v_set(-87.f);
  mote_vi under = x < low;
  x = mote_v_max(low, x); /* NaN stays NaN */
  mote_v n = (x * 1.44269504088896f + magic) - magic;
  mote_v r = x - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  mote_v p = r * (1.f / 5040) + 1.f / 720;
  p = p * r + 1.f / 120;
  p = p * r + 1.f / 24;
  p = p * r + 1.f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.f;
  p = p * r + 1.f;
  mote_vi power = (__builtin_convertvector(n, mote_vi) + 127) << 23;
  return mote_v_select(under, mote_v_set(0), p * (mote_v)power);
}
MOTE_VECTOR mote_v mote_v_exp(mote_v x) {
  mote_v high = mote_v_set(88.f);
  return mote_v_exp_up_to_88(mote_v_select(x > high, high, x));
}

/* x/2 erfc(-x/sqrt 2). With z = |x|/sqrt 2 and t = 1/(1 + 0.38 z), erfc(z)/2 = exp(-z^2) t P(t), P fitted to
   a relative error of 2e-8; the larger side is x minus the smaller one, so that both keep their digits.
   `slope`, unless NULL: the derivative, erfc(-x/sqrt 2)/2 + x exp(-x^2/2)/sqrt(2 pi). */
MOTE_VECTOR mote_v mote_v_gelu_slope(mote_v x, mote_v *slope) {
  static const float p[9] = {0.107205935f,   0.106952492f, 0.102001147f, 0.0691491999f, 0.115402786f,
                             -0.0812665365f, 0.182378926f, -0.13134855f, 0.0295246108f};
  mote_v size = mote_v_max(x, -x), z = size * 0.70710678118654752f;
  mote_v t = 1.f / (1.f + 0.38f * z), sum = mote_v_set(p[8]), bell = mote_v_exp_up_to_88(-0.5f * size * size);
  for (int k = 7; k >= 0; k--) sum = sum * t + p[k];
  mote_v tail = size * bell * t * sum; /* |x| erfc(z)/2 */
  if (slope) {
    mote_v beyond = bell * t * sum;
    *slope = mote_v_select(x > 0, 1.f - beyond, beyond) + x * bell * 0.3989422804014327f;
  }
  return mote_v_select(x > 0, x - tail, -tail);
}
MOTE_VECTOR mote_v mote_v_gelu(mote_v x) {
  return mote_v_gelu_slope(x, 0);
}

#endif
