/* Primitives on plain arrays that other families build on: fills, scans, stable sorts, row gathers.
   The trick: results depend on the values alone, never on the number of threads, so that whatever is ordered
   by them (neighbour lists, particles in cells) repeats bit for bit. */
#ifndef MOTE_KERNELS_ARRAY_H
#define MOTE_KERNELS_ARRAY_H

#include "kernels/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All pointers are device memory. `scratch` grows on first use and is then reused. */
struct mote_array_kernels {
  /* x[i] = value, i < n */
  mote_status (*fill_i32)(mote_stream *stream, int32_t *x, int32_t value, int64_t n);

  /* x[i] = first + i, i < n */
  mote_status (*iota_i32)(mote_stream *stream, int32_t *x, int32_t first, int64_t n);

  /* out[i] = sum of in[0..i), i <= n: out has n+1 entries, out[n] is the total. in == out is not allowed. */
  mote_status (*exclusive_scan_i32)(mote_stream *stream, const int32_t *in, int32_t *out, int64_t n,
                                    mote_buffer *scratch);

  /* Sorts (keys, values) by the low `key_bits` bits of the key, stably, in place. Higher bits must be 0. */
  mote_status (*sort_pairs_u32)(mote_stream *stream, uint32_t *keys, int32_t *values, int64_t n, int key_bits,
                                mote_buffer *scratch);

  /* out[i, :] = in[index[i], :] for rows of `width` floats, i < n; in == out is not allowed. */
  mote_status (*gather_rows_f32)(mote_stream *stream, const float *in, const int32_t *index, float *out,
                                 int64_t n, int width);

  /* out[index[i], :] = in[i, :]; index must not repeat an entry. */
  mote_status (*scatter_rows_f32)(mote_stream *stream, const float *in, const int32_t *index, float *out,
                                  int64_t n, int width);
};

#ifdef __cplusplus
}
#endif
#endif
