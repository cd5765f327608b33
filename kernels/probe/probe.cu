/* The probes on the GPU: one element a thread; tiles of tensor cores a warp. */
#include "kernels/probe/probe.h"

#include "cuda/launch.h"
#include "cuda/mma.h"

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

template <bool TF32> static __global__ void mma_kernel(float *out, int64_t warps, int rounds) {
  const int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
  if (i >= 32 * warps) return;
  const uint32_t one = TF32 ? mote_tf32(1) : mote_bfloat16_pair(1, 1);
  const uint32_t a[4] = {one, one, one, one}, b[2] = {one, one};
  float sum[MOTE_PROBE_TILES][4] = {};
  for (int r = 0; r < rounds; r++)
#pragma unroll
    for (int k = 0; k < MOTE_PROBE_TILES; k++) {
      if constexpr (TF32)
        mote_mma_tf32(sum[k], a, b);
      else
        mote_mma_bf16(sum[k], a, b);
    }
  float least = sum[0][0];
  for (int k = 0; k < MOTE_PROBE_TILES; k++)
    for (int c = 0; c < 4; c++) least = fminf(least, sum[k][c]);
  out[i] = least;
}

static mote_status mma(mote_stream *stream, int tf32, float *out, int64_t warps, int rounds) {
  return tf32
             ? MOTE_LAUNCH(mma_kernel<true>, mote_grid(32 * warps, 256), 256, 0, stream, out, warps, rounds)
             : MOTE_LAUNCH(mma_kernel<false>, mote_grid(32 * warps, 256), 256, 0, stream, out, warps, rounds);
}

extern "C" const struct mote_probe_kernels mote_probe_gpu = {triad, fma_probe, mma};
