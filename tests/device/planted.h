/* Kernels with a planted mistake, each with its corrected twin, built for the emulated device alone, which
   has to tell the two apart. */
#ifndef MOTE_TESTS_DEVICE_PLANTED_H
#define MOTE_TESTS_DEVICE_PLANTED_H

#include <stdint.h>

#include "host/core/device.h"

/* A struct argument with device pointers. */
struct planted_arrays {
  int n;
  const float *in;
  float *out;
};

struct mote_planted {
  /* out = in, reversed within blocks of 64, through shared memory; planted: no barrier. n is a multiple
   * of 64. */
  mote_status (*reverse)(mote_stream *, const float *in, float *out, int n, bool correct);
  /* x[i] *= 2, i < n; planted: i <= n. */
  mote_status (*twice)(mote_stream *, float *x, int n, bool correct);
  /* out[b] = sum of the first 32 of each 64 numbers through shared memory; planted: reads all 64 cells. */
  mote_status (*partial_sum)(mote_stream *, const float *in, float *out, int n, bool correct);
  /* out[b] = b; planted: every block writes out[0]. */
  mote_status (*claim)(mote_stream *, int32_t *out, int blocks, bool correct);
  /* *sum = sum of x; planted: += without an atomic. Only the checked build sees it. */
  mote_status (*total)(mote_stream *, const int32_t *x, int32_t *sum, int n, bool correct);
  /* out = in, copied by way of shared memory and a barrier; planted: idle threads leave before it. */
  mote_status (*early_return)(mote_stream *, const float *in, float *out, int n, bool correct);
  /* A barrier in each branch of a condition; correct: after it. */
  mote_status (*two_barriers)(mote_stream *, float *out, bool correct);
  /* Dynamic shared memory of 64 floats, all written; planted: one more. */
  mote_status (*dynamic)(mote_stream *, float *out, bool correct);
  mote_status (*copy)(mote_stream *, const float *in, float *out, int n);
  mote_status (*copy_struct)(mote_stream *, planted_arrays arrays);
  /* out[0] = *(table[0]): a device pointer that lies in device memory. */
  mote_status (*indirect)(mote_stream *, const float *const *table, float *out);
  /* A shuffle whose mask names lanes that have left; planted. */
  mote_status (*lost_lanes)(mote_stream *, int32_t *out, bool correct);
  /* out = in by way of shared memory, 4 floats a thread, reversed within blocks of 256; planted: does not
   * wait for its copy. n is a multiple of 256. */
  mote_status (*late)(mote_stream *, const float *in, float *out, int n, bool correct);
  /* c = a b on a tensor core: a (16, 16), b (16, 8), c (16, 8); planted: half of the warp has left. */
  mote_status (*product)(mote_stream *, const float *a, const float *b, float *c, bool correct);
  /* Every operation on a warp, of `threads` threads: rows of `threads` results as warp_test lists them. */
  mote_status (*warp)(mote_stream *, const int32_t *x, int32_t *out, int threads);
  /* Block-wide sum of x in rounds of barriers, and __syncthreads_count, _or, _and of x > 0: out[4 b + ...].
   */
  mote_status (*block_sums)(mote_stream *, const int32_t *x, int32_t *out, int n);
  /* y = a x + y, as plain as a kernel gets. */
  mote_status (*axpy)(mote_stream *, float a, const float *x, float *y, int64_t n);
};
extern "C" const mote_planted mote_planted_kernels;

enum { PLANTED_WARP_ROWS = 12 };

#endif
