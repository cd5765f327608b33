/* The probes on the CPU: a parallel triad, and chains of FMAs in vector registers. */
#include "kernels/probe/probe.h"

#ifdef __AVX512F__
#define LANES 16
#else
#define LANES 8
#endif
#define GROUP 8 /* chains at a time: two pipes of a latency of four, and they fit into 16 registers */
typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));

static mote_status triad(mote_stream *stream, float *restrict a, const float *restrict b,
                         const float *restrict c, int64_t n) {
#pragma omp parallel for simd num_threads(mote_stream_threads(stream)) schedule(static)
  for (int64_t i = 0; i < n; i++) a[i] = b[i] + 3.0f * c[i];
  return MOTE_OK;
}

static void fma_lanes(float *out, int64_t first, int rounds) {
  lanes x[GROUP], sum = {0}, half = {0}, one = {0}, start = {0};
  for (int l = 0; l < LANES; l++) {
    half[l] = 0.5f;
    one[l] = 1.0f;
    start[l] = (float)(first + l);
  }
  for (int chain = 0; chain < MOTE_PROBE_CHAINS; chain += GROUP) {
    for (int k = 0; k < GROUP; k++) x[k] = start + (float)(chain + k);
    for (int r = 0; r < rounds; r++) {
#pragma GCC unroll 8
      for (int k = 0; k < GROUP; k++) x[k] = half * x[k] + one;
    }
    for (int k = 0; k < GROUP; k++) sum += x[k];
  }
  for (int l = 0; l < LANES; l++) out[first + l] = sum[l];
}

static mote_status fma_probe(mote_stream *stream, float *out, int64_t n, int rounds) {
  if (n % LANES)
    return mote_fail(MOTE_ERROR_ARGUMENT, "probe fma: n is %lld, not a multiple of 16", (long long)n);
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static)
  for (int64_t i = 0; i < n; i += LANES) fma_lanes(out, i, rounds);
  return MOTE_OK;
}

const struct mote_probe_kernels mote_probe_cpu = {.triad = triad, .fma = fma_probe};
