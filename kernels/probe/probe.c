/* The probes on the CPU: a parallel triad, and chains of FMAs in vector registers. */
#include "kernels/probe/probe.h"

#define LANES 16
typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));

static mote_status triad(mote_stream *stream, float *restrict a, const float *restrict b,
                         const float *restrict c, int64_t n) {
#pragma omp parallel for simd num_threads(mote_stream_threads(stream)) schedule(static)
  for (int64_t i = 0; i < n; i++) a[i] = b[i] + 3.0f * c[i];
  return MOTE_OK;
}

static void fma_lanes(float *out, int64_t first, int rounds) {
  lanes x[MOTE_PROBE_CHAINS], half = {0}, one = {0};
  for (int l = 0; l < LANES; l++) {
    half[l] = 0.5f;
    one[l] = 1.0f;
  }
  for (int k = 0; k < MOTE_PROBE_CHAINS; k++)
    for (int l = 0; l < LANES; l++) x[k][l] = (float)(first + l + k);
  for (int r = 0; r < rounds; r++) {
#pragma GCC unroll 16
    for (int k = 0; k < MOTE_PROBE_CHAINS; k++) x[k] = half * x[k] + one;
  }
  for (int l = 0; l < LANES; l++) {
    float sum = 0;
    for (int k = 0; k < MOTE_PROBE_CHAINS; k++) sum += x[k][l];
    out[first + l] = sum;
  }
}

static mote_status fma_probe(mote_stream *stream, float *out, int64_t n, int rounds) {
  if (n % LANES)
    return mote_fail(MOTE_ERROR_ARGUMENT, "probe fma: n is %lld, not a multiple of 16", (long long)n);
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static)
  for (int64_t i = 0; i < n; i += LANES) fma_lanes(out, i, rounds);
  return MOTE_OK;
}

const struct mote_probe_kernels mote_probe_cpu = {.triad = triad, .fma = fma_probe};
