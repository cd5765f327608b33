/* See planted.h. */
#include "tests/device/planted.h"

#include "cuda/async.h"
#include "cuda/launch.h"
#include "cuda/mma.h"

#define BLOCK 64

template <bool correct> static __global__ void reverse_kernel(const float *in, float *out) {
  __shared__ float tile[BLOCK];
  int first = blockIdx.x * BLOCK;
  tile[threadIdx.x] = in[first + threadIdx.x];
  if (correct) __syncthreads();
  out[first + threadIdx.x] = tile[BLOCK - 1 - threadIdx.x];
}
static mote_status reverse(mote_stream *stream, const float *in, float *out, int n, bool correct) {
  return correct ? MOTE_LAUNCH(reverse_kernel<true>, mote_grid(n, BLOCK), BLOCK, 0, stream, in, out)
                 : MOTE_LAUNCH(reverse_kernel<false>, mote_grid(n, BLOCK), BLOCK, 0, stream, in, out);
}

static __global__ void twice_kernel(float *x, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] *= 2;
}
static mote_status twice(mote_stream *stream, float *x, int n, bool correct) {
  return MOTE_LAUNCH(twice_kernel, mote_grid(n + 1, BLOCK), BLOCK, 0, stream, x, correct ? n : n + 1);
}

template <bool correct> static __global__ void partial_sum_kernel(const float *in, float *out) {
  __shared__ float tile[BLOCK];
  if (threadIdx.x < BLOCK / 2) tile[threadIdx.x] = in[blockIdx.x * BLOCK + threadIdx.x];
  __syncthreads();
  if (threadIdx.x != 0) return;
  float sum = 0;
  for (int i = 0; i < (correct ? BLOCK / 2 : BLOCK); i++) sum += tile[i];
  out[blockIdx.x] = sum;
}
static mote_status partial_sum(mote_stream *stream, const float *in, float *out, int n, bool correct) {
  return correct ? MOTE_LAUNCH(partial_sum_kernel<true>, mote_grid(n, BLOCK), BLOCK, 0, stream, in, out)
                 : MOTE_LAUNCH(partial_sum_kernel<false>, mote_grid(n, BLOCK), BLOCK, 0, stream, in, out);
}

static __global__ void claim_kernel(int32_t *out, bool correct) {
  if (threadIdx.x == 0) out[correct ? blockIdx.x : 0] = static_cast<int32_t>(blockIdx.x);
}
static mote_status claim(mote_stream *stream, int32_t *out, int blocks, bool correct) {
  return MOTE_LAUNCH(claim_kernel, blocks, 32, 0, stream, out, correct);
}

static __global__ void total_kernel(const int32_t *x, int32_t *sum, int n, bool correct) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  if (correct)
    atomicAdd(sum, x[i]);
  else
    *sum += x[i];
}
static mote_status total(mote_stream *stream, const int32_t *x, int32_t *sum, int n, bool correct) {
  return MOTE_LAUNCH(total_kernel, mote_grid(n, BLOCK), BLOCK, 0, stream, x, sum, n, correct);
}

static __global__ void early_return_kernel(const float *in, float *out, int n, bool correct) {
  __shared__ float tile[BLOCK];
  int i = blockIdx.x * BLOCK + threadIdx.x;
  if (!correct && i >= n) return;
  if (i < n) tile[threadIdx.x] = in[i];
  __syncthreads();
  if (i < n) out[i] = tile[threadIdx.x];
}
static mote_status early_return(mote_stream *stream, const float *in, float *out, int n, bool correct) {
  return MOTE_LAUNCH(early_return_kernel, mote_grid(n, BLOCK), BLOCK, 0, stream, in, out, n, correct);
}

static __global__ void two_barriers_kernel(float *out, bool correct) {
  if (correct) {
    __syncthreads();
  } else if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  out[threadIdx.x] = 1;
}
static mote_status two_barriers(mote_stream *stream, float *out, bool correct) {
  return MOTE_LAUNCH(two_barriers_kernel, 1, BLOCK, 0, stream, out, correct);
}

static __global__ void dynamic_kernel(float *out, bool correct) {
  MOTE_SHARED_DYNAMIC(float, cells);
  cells[threadIdx.x + (correct ? 0 : 1)] = static_cast<float>(threadIdx.x);
  __syncthreads();
  out[threadIdx.x] = cells[BLOCK - 1 - threadIdx.x];
}
static mote_status dynamic(mote_stream *stream, float *out, bool correct) {
  return MOTE_LAUNCH(dynamic_kernel, 1, BLOCK, BLOCK * sizeof(float), stream, out, correct);
}

static __global__ void copy_kernel(const float *in, float *out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = in[i];
}
static mote_status copy(mote_stream *stream, const float *in, float *out, int n) {
  return MOTE_LAUNCH(copy_kernel, mote_grid(n, BLOCK), BLOCK, 0, stream, in, out, n);
}

static __global__ void copy_struct_kernel(planted_arrays arrays) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < arrays.n) arrays.out[i] = arrays.in[i];
}
static mote_status copy_struct(mote_stream *stream, planted_arrays arrays) {
  return MOTE_LAUNCH(copy_struct_kernel, mote_grid(arrays.n, BLOCK), BLOCK, 0, stream, arrays);
}

static __global__ void indirect_kernel(const float *const *table, float *out) {
  out[0] = *table[0];
}
static mote_status indirect(mote_stream *stream, const float *const *table, float *out) {
  return MOTE_LAUNCH(indirect_kernel, 1, 1, 0, stream, table, out);
}

static __global__ void lost_lanes_kernel(int32_t *out, bool correct) {
  if (!correct && threadIdx.x >= 16) return;
  int32_t x = __shfl_xor_sync(0xffffffffu, static_cast<int32_t>(threadIdx.x), 1);
  if (threadIdx.x < 16) out[threadIdx.x] = x;
}
static mote_status lost_lanes(mote_stream *stream, int32_t *out, bool correct) {
  return MOTE_LAUNCH(lost_lanes_kernel, 1, 32, 0, stream, out, correct);
}

static __global__ void late_kernel(const float *in, float *out, bool correct) {
  MOTE_SHARED_DYNAMIC(float, tile); /* two stages; of the second, half is zeros */
  int t = static_cast<int>(threadIdx.x), first = blockIdx.x * BLOCK * 4;
  mote_copy_async(tile + 4 * t, in + first + 4 * t, true);
  mote_copy_commit();
  mote_copy_async(tile + 4 * (BLOCK + t), in + first, t % 2);
  mote_copy_commit();
  if (correct)
    mote_copy_wait<1>();
  else
    mote_copy_wait<2>();
  __syncthreads();
  float own[4];
  for (int i = 0; i < 4; i++) own[i] = tile[4 * BLOCK - 1 - (4 * t + i)];
  mote_copy_wait<0>();
  __syncthreads();
  for (int i = 0; i < 4; i++) out[first + 4 * t + i] = own[i] + tile[4 * (BLOCK + (t & ~1)) + i];
}
static mote_status late(mote_stream *stream, const float *in, float *out, int n, bool correct) {
  return MOTE_LAUNCH(late_kernel, mote_grid(n, 4 * BLOCK), BLOCK, 8 * BLOCK * sizeof(float), stream, in, out,
                     correct);
}

static __global__ void warp_kernel(const int32_t *x, int32_t *out) {
  const unsigned full = 0xffffffffu;
  int t = threadIdx.x, threads = blockDim.x, lane = t % 32;
  int32_t own = x[t];
  int row = 0;
  auto store = [&](int32_t value) { out[row++ * threads + t] = value; };
  store(__shfl_sync(full, own, 5));
  store(__shfl_up_sync(full, own, 3));
  store(__shfl_down_sync(full, own, 3, 16));
  store(__shfl_xor_sync(full, own, 7));
  store(static_cast<int32_t>(__ballot_sync(full, own & 1)));
  store(__any_sync(full, own == 12));
  store(__all_sync(full, own >= 0));
  store(static_cast<int32_t>(__match_any_sync(full, own % 4)));
  store(__reduce_add_sync(full, own));
  store(__reduce_max_sync(full, own));
  double sum = own; /* a butterfly, of 8-byte values */
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(full, sum, step);
  store(static_cast<int32_t>(sum));
  /* The halves of a warp apart, with masks of their own. */
  int32_t half;
  if (lane < 16)
    half = __shfl_sync(0x0000ffffu, own, 2);
  else
    half = __shfl_sync(0xffff0000u, own, 20);
  __syncwarp();
  store(half);
}
static mote_status warp(mote_stream *stream, const int32_t *x, int32_t *out, int threads) {
  return MOTE_LAUNCH(warp_kernel, 1, threads, 0, stream, x, out);
}

static __global__ void block_sums_kernel(const int32_t *x, int32_t *out, int n) {
  __shared__ int32_t part[BLOCK];
  int t = threadIdx.x, i = blockIdx.x * BLOCK + t;
  int32_t own = i < n ? x[i] : 0;
  part[t] = own;
  for (int step = BLOCK / 2; step > 0; step /= 2) {
    __syncthreads();
    if (t < step) part[t] += part[t + step];
  }
  int count = __syncthreads_count(own > 0), any = __syncthreads_or(own > 0), all = __syncthreads_and(own > 0);
  if (t != 0) return;
  out[4 * blockIdx.x] = part[0];
  out[4 * blockIdx.x + 1] = count;
  out[4 * blockIdx.x + 2] = any;
  out[4 * blockIdx.x + 3] = all;
}
static mote_status block_sums(mote_stream *stream, const int32_t *x, int32_t *out, int n) {
  return MOTE_LAUNCH(block_sums_kernel, mote_grid(n, BLOCK), BLOCK, 0, stream, x, out, n);
}

static __global__ void axpy_kernel(float a, const float *x, float *y, int64_t n) {
  int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < n) y[i] += a * x[i];
}
static mote_status axpy(mote_stream *stream, float a, const float *x, float *y, int64_t n) {
  return MOTE_LAUNCH(axpy_kernel, mote_grid(n, 256), 256, 0, stream, a, x, y, n);
}

static __global__ void product_kernel(const float *a, const float *b, float *c, bool correct) {
  const int g = static_cast<int>(threadIdx.x) / 4, t = static_cast<int>(threadIdx.x) % 4;
  if (!correct && threadIdx.x >= 16) return;
  uint32_t left[4], right[2];
  float sum[4] = {};
  for (int i = 0; i < 4; i++) {
    const float *from = a + (g + i % 2 * 8) * 16 + 2 * t + i / 2 * 8;
    left[i] = mote_bfloat16_pair(from[0], from[1]);
  }
  for (int i = 0; i < 2; i++) {
    const float *from = b + (2 * t + i * 8) * 8 + g;
    right[i] = mote_bfloat16_pair(from[0], from[8]);
  }
  mote_mma_bf16(sum, left, right);
  for (int i = 0; i < 4; i++) c[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = sum[i];
}
static mote_status product(mote_stream *stream, const float *a, const float *b, float *c, bool correct) {
  return MOTE_LAUNCH(product_kernel, 1, 32, 0, stream, a, b, c, correct);
}

extern "C" const mote_planted mote_planted_kernels = {
    reverse,     twice,    partial_sum, claim, total,   early_return, two_barriers, dynamic, copy,
    copy_struct, indirect, lost_lanes,  late,  product, warp,         block_sums,   axpy,
};
