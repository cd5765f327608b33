/* Vectors of the machine's width for dense layers on the CPU, and the functions that layers need,
   elementwise. Errors (tests/dense): exp 1e-7 of it; GELU 3e-7 |x|, and its derivative 4e-7. */
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
/* Masks of all lanes: without one, GCC 12's header takes a value that nobody set, and warns. */
MOTE_VECTOR mote_v mote_v_max(mote_v a, mote_v b) { /* b where one is NaN */
#if defined __AVX512F__
  return (mote_v)_mm512_mask_max_ps((__m512)a, 0xffff, (__m512)a, (__m512)b);
#elif defined __AVX__
  return (mote_v)_mm256_max_ps((__m256)a, (__m256)b);
#else
  return mote_v_select(a > b, a, b);
#endif
}
MOTE_VECTOR mote_v mote_v_min(mote_v a, mote_v b) { /* b where one is NaN */
#if defined __AVX512F__
  return (mote_v)_mm512_mask_min_ps((__m512)a, 0xffff, (__m512)a, (__m512)b);
#elif defined __AVX__
  return (mote_v)_mm256_min_ps((__m256)a, (__m256)b);
#else
  return mote_v_select(a < b, a, b);
#endif
}
MOTE_VECTOR mote_v mote_v_series(const float *factor, int degree, mote_v x) {
  mote_v sum = mote_v_set(factor[degree]);
  for (int k = degree - 1; k >= 0; k--) sum = sum * x + factor[k];
  return sum;
}
MOTE_VECTOR float mote_v_sum(mote_v x) { /* always in the same order */
  float sum[MOTE_LANES];
  mote_v_store(sum, x);
  for (int width = MOTE_LANES / 2; width > 0; width /= 2)
    for (int i = 0; i < width; i++) sum[i] += sum[i + width];
  return sum[0];
}

/* 2^n e^r, n whole and |r| <= ln 2 / 2; the polynomial is the series of e^r. 0 below -87, e^88 above 88. */
MOTE_VECTOR mote_v mote_v_exp(mote_v x) {
  const float magic = 12582912.f; /* 1.5 * 2^23: adding it rounds to whole numbers */
  mote_v low = mote_v_set(-87.f);
  mote_vi under = x < low;
  x = mote_v_min(mote_v_set(88.f), mote_v_max(low, x)); /* NaN stays NaN */
  mote_v n = (x * 1.44269504088896f + magic) - magic;
  mote_v r = x - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  static const float series[8] = {1, 1, 0.5f, 1.f / 6, 1.f / 24, 1.f / 120, 1.f / 720, 1.f / 5040};
  mote_v p = mote_v_series(series, 7, r);
  mote_vi power = (__builtin_convertvector(n, mote_vi) + 127) << 23;
  return mote_v_select(under, mote_v_set(0), p * (mote_v)power);
}

/* x Phi(x), Phi the normal distribution's. On |x| <= 5.6, Phi - 1/2 = x N(x^2) / D(x^2) and the derivative
   Phi + x phi is 1/2 + x M(x^2) / D(x^2): one denominator, fitted to both at once (minimax, 4e-8), so that
   both cost one division. Below -5.6 both are 0. `slope`, unless NULL: the derivative. */
MOTE_VECTOR mote_v mote_v_gelu_slope(mote_v x, mote_v *slope) {
  static const float N[7] = {3.9894211e-01f, 4.2292755e-02f, 5.5675185e-03f, 2.8197508e-04f,
                             1.2081631e-05f, 1.9758008e-07f, 5.0970722e-10f};
  static const float M[8] = {7.9788440e-01f, -4.8395891e-02f, 1.4768746e-02f, -2.5648723e-04f,
                             3.1635929e-05f, -2.4115488e-07f, 6.1147518e-09f, -3.1305975e-11f};
  static const float D[7] = {1.0000000e+00f, 2.7267656e-01f, 3.4405179e-02f, 2.5980931e-03f,
                             1.2612692e-04f, 3.5691253e-06f, 2.9135117e-08f};
  const mote_v end = mote_v_set(5.6f), half = mote_v_set(0.5f), none = mote_v_set(0);
  const mote_vi below = x < -end;
  mote_v inside = mote_v_min(end, mote_v_max(-end, x)), square = inside * inside;
  mote_v n = mote_v_series(N, 6, square);
  inside /= mote_v_series(D, 6, square);
  if (slope) *slope = mote_v_select(below, none, inside * mote_v_series(M, 7, square) + half);
  return mote_v_select(below, none, x * (inside * n + half));
}
MOTE_VECTOR mote_v mote_v_gelu(mote_v x) {
  return mote_v_gelu_slope(x, 0);
}

#endif
