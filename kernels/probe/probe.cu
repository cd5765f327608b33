/* The probes on the GPU: one element a thread. */
#include "kernels/probe/probe.h"

#include "cuda/launch.h"

static __global__ void triad_kernel(float *a, const float *b, const float *c, int64_t n) {
  int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
  if (i < n) a[i] = b[i] + 3.0f * c[i];
}

static __global__ void fma_kernel(float *out, int64_t n, int rounds) {
  int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
  if (i >= n) return;
  float x[MOTE_PROBE_CHAINS];
  for (int k = 0; k < MOTE_PROBE_CHAINS; k++) x[k] = (float)(i + k);
  for (int r = 0; r < rounds; r++)
#pragma unroll
    for (int k = 0; k < MOTE_PROBE_CHAINS; k++) x[k] = 0.5f * x[k] + 1.0f;
  float sum = 0;
  for (int k = 0; k < MOTE_PROBE_CHAINS; k++) sum += x[k];
  out[i] = sum;
}

static mote_status triad(mote_stream *stream, float *a, const float *b, const float *c, int64_t n) {
  return MOTE_LAUNCH(triad_kernel, mote_grid(n, 256), 256, 0, stream, a, b, c, n);
}

static mote_status fma_probe(mote_stream *stream, float *out, int64_t n, int rounds) {
  return MOTE_LAUNCH(fma_kernel, mote_grid(n, 256), 256, 0, stream, out, n, rounds);
}

extern "C" const struct mote_probe_kernels mote_probe_gpu = {triad, fma_probe};
