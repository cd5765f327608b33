/* Sorts, scans and sums over arrays in device memory: CUB, or Thrust's host backend on the emulated device.
   All temporary storage is in `scratch`, which grows on the first call of a size and is then reused, so the
   calls can be recorded for replay. Sorting and sums repeat bit for bit. */
#ifndef MOTE_CUDA_SORT_H
#define MOTE_CUDA_SORT_H

#include <stdint.h>

#include "host/core/device.h"

/* C names, by which tests find them in the device's shared object. */
extern "C" {

/* Sorts (keys, values) by the low key_bits bits of the key, stably, in place. */
mote_status mote_cuda_sort_pairs_u32(mote_stream *stream, uint32_t *keys, int32_t *values, int64_t n,
                                     int key_bits, mote_buffer *scratch);
mote_status mote_cuda_sort_pairs_u64(mote_stream *stream, uint64_t *keys, int32_t *values, int64_t n,
                                     int key_bits, mote_buffer *scratch);

/* Bytes of scratch that the first of them takes, for who keeps something of his own in front. */
mote_status mote_cuda_sort_bytes_u32(mote_stream *stream, int64_t n, int key_bits, size_t *bytes);

/* out[i] = sum of in[0..i), i <= n: out has n+1 entries; in has n, and is not out. */
mote_status mote_cuda_exclusive_scan_i32(mote_stream *stream, const int32_t *in, int32_t *out, int64_t n,
                                         mote_buffer *scratch);
mote_status mote_cuda_exclusive_scan_i64(mote_stream *stream, const int64_t *in, int64_t *out, int64_t n,
                                         mote_buffer *scratch);

/* *out = sum of in[0..n), in device memory, in an order that depends on n alone. */
mote_status mote_cuda_sum_f64(mote_stream *stream, const double *in, double *out, int64_t n,
                              mote_buffer *scratch);

} // extern "C"

#endif
