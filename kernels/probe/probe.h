/* Probes of the machine: how fast memory streams and how fast fused multiply-adds retire, measured in the run
   that quotes a share of them. The trick: the work is simple enough that nothing but the hardware limits it.
 */
#ifndef MOTE_KERNELS_PROBE_H
#define MOTE_KERNELS_PROBE_H

#include "kernels/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Independent accumulators an element of fma() keeps: enough to hide the latency of two FMA pipes of 16
 * lanes. */
#define MOTE_PROBE_CHAINS 16

/* Tiles of 16 x 8 sums a warp keeps in mma(). */
#define MOTE_PROBE_TILES 8

struct mote_probe_kernels {
  /* a[i] = b[i] + 3 c[i]: 12 bytes and 2 operations an element (the triad of McCalpin's STREAM). */
  mote_status (*triad)(mote_stream *stream, float *a, const float *b, const float *c, int64_t n);

  /* out[i], i < n (a multiple of 16): the sum of MOTE_PROBE_CHAINS values x = 0.5 x + 1 iterated `rounds`
     times from x = i + chain: 2 * MOTE_PROBE_CHAINS * rounds operations an element. */
  mote_status (*fma)(mote_stream *stream, float *out, int64_t n, int rounds);

  /* out[l], l < 32 * warps: 16 * rounds (tf32: 8 * rounds), one of the 128 sums of each of MOTE_PROBE_TILES
     tiles that a warp's tensor core adds products of ones to, 16 (8) a round. NULL on devices without. */
  mote_status (*mma)(mote_stream *stream, int tf32, float *out, int64_t warps, int rounds);
};

#ifdef __cplusplus
}
#endif
#endif
