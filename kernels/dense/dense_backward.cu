/* The reverse of dense layers on the GPU: what stands around the chains of reverse_gpu.h. */
#include "kernels/dense/reverse_gpu.h"

mote_status mote_gpu_mlp_backward(mote_stream *stream, int64_t n, const int32_t *count, const mote_mlp *mlp,
                                  const mote_arena *arena, mote_rows a, mote_rows b, mote_rows d_out,
                                  mote_sink d_a, mote_sink d_b, mote_buffer *scratch) {
  const int in = mlp->layer[0].in, width = mlp->layer[mlp->layers - 1].out;
  mote_reverse_work work = mote_reverse_begin(stream, arena, n, count);
  mote_reverse_chain chain = mote_reverse_add_chain(&work, mlp, 0);
  MOTE_TRY(mote_reverse_reserve(&work, &chain, 1, scratch));
  MOTE_TRY(mote_gpu_rows_copy(&work, a, work.memory + chain.raw, in, 0));
  if (b.width) MOTE_TRY(mote_gpu_rows_copy(&work, b, work.memory + chain.raw, in, a.width));
  MOTE_TRY(mote_gpu_reverse_forward(&work, &chain, nullptr, 0));
  d_out.width = width;
  MOTE_TRY(mote_gpu_rows_copy(&work, d_out, work.memory + work.gradient[0], width, 0));
  mote_gpu_reversed back;
  MOTE_TRY(mote_gpu_reverse_back(&work, &chain, d_a.data || d_b.data, &back));
  if (!back.input) return MOTE_OK;
  MOTE_TRY(mote_gpu_rows_add(&work, {back.input, a.width, in}, d_a));
  return mote_gpu_rows_add(&work, {back.input + a.width, b.width, in}, d_b);
}

/* ---- Gated experts ---- */

#define BLOCK 256

typedef struct expert_outputs {
  const float *of[MOTE_MOST_GATED];
} expert_outputs;

/* (n, experts): softmax of the logits, a thread a row. */
static __global__ void gate_kernel(int64_t n, const int32_t *count, int experts, mote_rows logits,
                                   float *gate) {
  const int64_t r = static_cast<int64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  if (r >= mote_row_count(n, count)) return;
  for (int e = 0; e < experts; e++)
    gate[r * experts + e] = mote_gate(experts, logits.data + r * logits.stride, e);
}

/* What the norm is taken of: the experts' sum, a thread a value. */
static __global__ void mix_kernel(int64_t n, const int32_t *count, int experts, int width, const float *gate,
                                  expert_outputs y, float *sum) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * BLOCK + threadIdx.x, r = i / width;
  if (r >= mote_row_count(n, count)) return;
  float total = 0;
  for (int e = 0; e < experts; e++) total += gate[r * experts + e] * y.of[e][i];
  sum[i] = total;
}

static __global__ void share_kernel(int64_t n, const int32_t *count, int experts, int e, int width,
                                    const float *gate, const float *d_sum, float *d) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * BLOCK + threadIdx.x, r = i / width;
  if (r < mote_row_count(n, count)) d[i] = gate[r * experts + e] * d_sum[i];
}

/* To the logits: through the softmax, dl_e = g_e (dg_e - sum_k g_k dg_k) with dg_e = y_e . d_sum; a warp a
   row. */
static __global__ void logits_kernel(int64_t n, const int32_t *count, int experts, int width,
                                     const float *gate, expert_outputs y, const float *d_sum,
                                     mote_sink sink) {
  const int64_t r = static_cast<int64_t>(blockIdx.x) * MOTE_CHAIN_WARPS + mote_own_warp();
  if (r >= mote_row_count(n, count)) return;
  float d_gate[MOTE_MOST_GATED], mean = 0;
  for (int e = 0; e < experts; e++) {
    float sum = 0;
    for (int c = mote_own_lane(); c < width; c += 32) sum += y.of[e][r * width + c] * d_sum[r * width + c];
    d_gate[e] = mote_warp_sum(sum);
    mean += gate[r * experts + e] * d_gate[e];
  }
  if (mote_own_lane() == 0)
    for (int e = 0; e < experts; e++)
      sink.data[r * sink.stride + e] += gate[r * experts + e] * (d_gate[e] - mean);
}

/* Gates, experts and their sum. */
static mote_status gated_forward(const mote_reverse_work *work, int experts, const mote_reverse_chain *chain,
                                 mote_rows a, mote_rows logits, const expert_outputs &y, int width,
                                 float *gate, float *sum) {
  MOTE_TRY(MOTE_LAUNCH(gate_kernel, mote_grid(work->n, BLOCK), BLOCK, 0, work->stream, work->n, work->count,
                       experts, logits, gate));
  for (int e = 0; e < experts; e++) {
    MOTE_TRY(mote_gpu_rows_copy(work, a, work->memory + chain[e].raw, a.width, 0));
    MOTE_TRY(mote_gpu_reverse_forward(work, &chain[e], nullptr, 1));
  }
  return MOTE_LAUNCH(mix_kernel, mote_grid(work->n * width, BLOCK), BLOCK, 0, work->stream, work->n,
                     work->count, experts, width, gate, y, sum);
}

mote_status mote_gpu_gated_backward(mote_stream *stream, int64_t n, const int32_t *count, int experts,
                                    const mote_mlp *expert, const mote_arena *arena, mote_rows a,
                                    mote_rows logits, mote_norm norm, mote_rows d_out, mote_sink d_a,
                                    mote_sink d_logits, mote_buffer *scratch) {
  const int width = expert->layer[expert->layers - 1].out;
  mote_reverse_work work = mote_reverse_begin(stream, arena, n, count);
  mote_reverse_chain chain[MOTE_MOST_GATED];
  expert_outputs y = {};
  for (int e = 0; e < experts; e++) chain[e] = mote_reverse_add_chain(&work, &expert[e], 0);
  const int64_t gate_at = mote_reverse_take(&work, n * experts), sum_at = mote_reverse_take(&work, n * width),
                d_at = mote_reverse_take(&work, n * width);
  MOTE_TRY(mote_reverse_reserve(&work, chain, experts, scratch));
  float *gate = work.memory + gate_at, *sum = work.memory + sum_at, *d_sum = work.memory + d_at;
  float *d = work.memory + work.gradient[0];
  for (int e = 0; e < experts; e++) y.of[e] = work.memory + chain[e].input[expert[e].layers];
  MOTE_TRY(gated_forward(&work, experts, chain, a, logits, y, width, gate, sum));
  d_out.width = width;
  MOTE_TRY(mote_gpu_rows_copy(&work, d_out, d_sum, width, 0));
  if (norm.weight) MOTE_TRY(mote_gpu_reverse_norm(&work, norm, width, sum, d_sum, d));
  if (d_logits.data)
    MOTE_TRY(MOTE_LAUNCH(logits_kernel, mote_grid(n, MOTE_CHAIN_WARPS), BLOCK, 0, stream, n, count, experts,
                         width, gate, y, d_sum, d_logits));
  for (int e = 0; e < experts; e++) {
    MOTE_TRY(MOTE_LAUNCH(share_kernel, mote_grid(n * width, BLOCK), BLOCK, 0, stream, n, count, experts, e,
                         width, gate, d_sum, d));
    mote_gpu_reversed back;
    MOTE_TRY(mote_gpu_reverse_back(&work, &chain[e], d_a.data != nullptr, &back));
    if (back.input) MOTE_TRY(mote_gpu_rows_add(&work, {back.input, a.width, a.width}, d_a));
  }
  return MOTE_OK;
}
