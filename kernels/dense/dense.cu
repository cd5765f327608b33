/* Dense layers on the GPU: a block takes a tile of rows through the whole chain (gpu.h). */
#include "kernels/dense/dense.h"

#include "kernels/dense/reverse_gpu.h"

template <int ROWS, int BY>
static __global__ void __launch_bounds__(MOTE_CHAIN_THREADS, 2)
    mlp_kernel(int64_t n, const int32_t *count, const __grid_constant__ mote_mlp mlp, mote_rows a,
               mote_rows b, mote_rows residual, float *out, int out_stride, mote_chain_plan plan) {
  MOTE_SHARED_DYNAMIC(float, shared);
  const int rows = MOTE_THREAD_ROWS * ROWS;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * rows;
  n = mote_row_count(n, count);
  if (first >= n) return;
  const int used = static_cast<int>(min(n - first, static_cast<int64_t>(rows)));
  const int in = mlp.layer[0].in, width = mlp.layer[mlp.layers - 1].out;
  mote_weights weights = mote_weights_begin<BY>(&mlp, 1, shared);
  float *x = shared + mote_ring_floats<BY>(), *y = shared + plan.second;
  mote_chain_fill(a, b, first, used, rows, x, mote_pitch(in));
  for (int r = mote_own_warp(); r < used; r += MOTE_CHAIN_WARPS) /* each lane's columns are its own */
    mote_warp_norm(mlp.before, in, x + r * mote_pitch(in));
  int at = mote_chain_layers<ROWS, BY>(&mlp, false, x, y, shared + plan.split, &weights);
  __syncthreads();
  mote_chain_write(mlp.behind, residual, first, used, width, at ? y : x, out, out_stride);
}

template <int ROWS, int BY> struct launch_mlp {
  static mote_status run(mote_stream *stream, const mote_chain_plan &plan, int64_t n, const int32_t *count,
                         const mote_mlp *chain, mote_rows a, mote_rows b, mote_rows residual, float *out,
                         int out_stride) {
    MOTE_TRY(mote_allow_shared(mlp_kernel<ROWS, BY>, plan.bytes, stream));
    return MOTE_LAUNCH(MOTE_KERNEL(mlp_kernel<ROWS, BY>), mote_grid(n, plan.rows), MOTE_CHAIN_THREADS,
                       plan.bytes, stream, n, count, *chain, a, b, residual, out, out_stride, plan);
  }
};

static mote_status mlp(mote_stream *stream, int64_t n, const int32_t *count, const mote_mlp *chain,
                       mote_rows a, mote_rows b, mote_rows residual, float *out, int out_stride) {
  mote_chain_plan plan = mote_plan_chain(stream->device, chain, 0, n);
  MOTE_TRY(mote_check_chain(stream->device, chain, &plan));
  return mote_chain_launch<launch_mlp>(plan)(stream, plan, n, count, chain, a, b, residual, out, out_stride);
}

/* ---- gated experts ---- */

typedef struct gated_experts {
  mote_mlp expert[MOTE_MOST_GATED];
  int count;
} gated_experts;

template <int ROWS, int BY>
static __global__ void __launch_bounds__(MOTE_CHAIN_THREADS, 2)
    gated_kernel(int64_t n, const int32_t *count, const __grid_constant__ gated_experts experts, mote_rows a,
                 mote_rows logits, mote_norm norm, mote_rows residual, float *out, int out_stride,
                 mote_chain_plan plan) {
  MOTE_SHARED_DYNAMIC(float, shared);
  const int rows = MOTE_THREAD_ROWS * ROWS;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * rows;
  n = mote_row_count(n, count);
  if (first >= n) return;
  const int used = static_cast<int>(min(n - first, static_cast<int64_t>(rows)));
  const mote_mlp *one = &experts.expert[0];
  const int width = one->layer[one->layers - 1].out, pitch = mote_pitch(width);
  mote_weights weights = mote_weights_begin<BY>(one, experts.count, shared);
  float *x = shared + mote_ring_floats<BY>(), *y = shared + plan.second, *sum = shared + plan.behind;
  for (int e = 0; e < experts.count; e++) {
    if (e) __syncthreads(); /* the expert before has been taken up */
    mote_chain_fill(a, {}, first, used, rows, x, mote_pitch(one->layer[0].in));
    const float *result =
        mote_chain_layers<ROWS, BY>(&experts.expert[e], false, x, y, shared + plan.split, &weights) ? y : x;
    __syncthreads();
    for (int r = mote_own_warp(); r < used; r += MOTE_CHAIN_WARPS) {
      float gate = mote_gate(experts.count, logits.data + (first + r) * logits.stride, e);
      for (int c = mote_own_lane(); c < width; c += 32) {
        float part = gate * result[r * pitch + c];
        sum[r * pitch + c] = e ? sum[r * pitch + c] + part : part;
      }
    }
  }
  mote_chain_write(norm, residual, first, used, width, sum, out, out_stride);
}

template <int ROWS, int BY> struct launch_gated {
  static mote_status run(mote_stream *stream, const mote_chain_plan &plan, int64_t n, const int32_t *count,
                         const gated_experts &experts, mote_rows a, mote_rows logits, mote_norm norm,
                         mote_rows residual, float *out, int out_stride) {
    MOTE_TRY(mote_allow_shared(gated_kernel<ROWS, BY>, plan.bytes, stream));
    return MOTE_LAUNCH(MOTE_KERNEL(gated_kernel<ROWS, BY>), mote_grid(n, plan.rows), MOTE_CHAIN_THREADS,
                       plan.bytes, stream, n, count, experts, a, logits, norm, residual, out, out_stride,
                       plan);
  }
};

static mote_status gated(mote_stream *stream, int64_t n, const int32_t *count, int experts,
                         const mote_mlp *expert, mote_rows a, mote_rows logits, mote_norm norm,
                         mote_rows residual, float *out, int out_stride) {
  gated_experts all = {};
  mote_chain_plan plan =
      mote_plan_chain(stream->device, expert, mote_pitch(expert->layer[expert->layers - 1].out), n);
  all.count = experts;
  for (int e = 0; e < experts; e++) {
    MOTE_TRY(mote_check_chain(stream->device, &expert[e], &plan));
    all.expert[e] = expert[e];
  }
  return mote_chain_launch<launch_gated>(plan)(stream, plan, n, count, all, a, logits, norm, residual, out,
                                               out_stride);
}

/* ---- terms ---- */

/* Of each four inputs of a panel: term behind term, the 16 outputs, two words each, of which one is two
   inputs. A thread a word's terms. */
static __global__ void terms_kernel(int64_t floats, int64_t words, const float *packed, int terms,
                                    uint32_t *out) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t fours = i / (2 * MOTE_PANEL);
  const int word = static_cast<int>(i % (2 * MOTE_PANEL));
  if (i >= words) return;
  const int64_t low = fours * MOTE_TERMS_FLOATS + word % 2 * 2 * MOTE_PANEL + word / 2,
                high = low + MOTE_PANEL;
  float x = low < floats ? packed[low] : 0, y = high < floats ? packed[high] : 0;
  for (int t = 0; t < terms; t++)
    out[(fours * terms + t) * 2 * MOTE_PANEL + word] = mote_bfloat16_term(&x, &y);
}

/* Of tf32 a "term" is half a word of the nearest float that has its bits. */
static __global__ void tf32_kernel(int64_t floats, const float *packed, uint32_t *out) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < floats) out[i] = mote_tf32(packed[i]);
}

static int64_t term_words(int64_t floats) {
  return (floats + MOTE_TERMS_FLOATS - 1) / MOTE_TERMS_FLOATS * (MOTE_TERMS_FLOATS / 2);
}

static size_t terms_room(int count, int64_t floats) {
  return sizeof(uint32_t) * static_cast<size_t>(count * term_words(floats));
}

static mote_status make_terms(mote_stream *stream, int64_t floats, const float *packed, int count,
                              uint16_t *terms) {
  const int64_t words = term_words(floats);
  uint32_t *out = reinterpret_cast<uint32_t *>(terms);
  if (stream->device->precision == MOTE_PRECISION_TF32)
    return MOTE_LAUNCH(tf32_kernel, mote_grid(floats, MOTE_CHAIN_THREADS), MOTE_CHAIN_THREADS, 0, stream,
                       floats, packed, out);
  return MOTE_LAUNCH(terms_kernel, mote_grid(words, MOTE_CHAIN_THREADS), MOTE_CHAIN_THREADS, 0, stream,
                     floats, words, packed, count, out);
}

/* Products of float32 are those of fused multiply-adds. */
static int term_count(mote_precision precision) {
  switch (precision) {
  case MOTE_PRECISION_BFLOAT16: return 1;
  case MOTE_PRECISION_BFLOAT16X2:
  case MOTE_PRECISION_TF32: return 2;
  case MOTE_PRECISION_BFLOAT16X3: return 3;
  default: return 0;
  }
}

static int multiplies(mote_precision precision) {
  return precision <= MOTE_PRECISION_TF32;
}

extern "C" const struct mote_dense_kernels mote_dense_gpu = {0,
                                                             mlp,
                                                             gated,
                                                             mote_gpu_mlp_backward,
                                                             mote_gpu_gated_backward,
                                                             nullptr,
                                                             nullptr,
                                                             multiplies,
                                                             term_count,
                                                             terms_room,
                                                             make_terms};
