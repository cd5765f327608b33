/* A tile of rows through a chain of layers on the GPU, the twin of tile.h: a block of 256 threads takes 64,
   32 or 16 rows. Activations go to and fro between two buffers in shared memory; weights stream by beside
   them (stream_gpu.h).

   The trick: a thread holds `ROWS` rows x 8 columns (fewer columns in a narrow layer) of sums in registers.
   Each is one chain of fused multiply-adds over the inputs in their order, so a row's result does not depend
   on the tile it is in; nor does it on tensor cores, where a device's precision asks for them (mma_gpu.h). */
#ifndef MOTE_KERNELS_DENSE_GPU_H
#define MOTE_KERNELS_DENSE_GPU_H

#include "kernels/dense/mma_gpu.h"

/* ---- Layers ---- */

/* The panels [panel, panel + panels) of a layer's outputs, y, from x; `started`: y holds what is added to, in
   place of the bias. A thread has 16 columns a panel it makes: COLUMNS of each 16 * COLUMNS, in groups of at
   most four. */
template <int ROWS, int COLUMNS, int BY>
static __device__ inline void mote_chain_pass(const mote_linear *l, bool started, int panel, int panels,
                                              const float *x, float *y, mote_weights *weights) {
  constexpr int wide = COLUMNS < 4 ? COLUMNS : 4, groups = COLUMNS / wide;
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  /* A warp covers 4 rows, 16 apart from a thread's next, and 8 units of columns. */
  const int row = warp / 2 * 4 + lane / 8, unit = warp % 2 * 8 + lane % 8;
  const int in = l->in, x_pitch = mote_pitch(in), y_pitch = mote_pitch(l->out);
  const mote_activation activation = l->activation;
  mote_floats<wide> sum[ROWS][groups];
  int column[groups], at[groups]; /* of the pass; and in a slice: threads without a panel read the last one */
  x += row * x_pitch;
  y += row * y_pitch + panel * MOTE_PANEL;
#pragma unroll
  for (int g = 0; g < groups; g++) {
    column[g] = (g * MOTE_THREAD_ROWS + unit) * wide;
    at[g] =
        min(column[g] / MOTE_PANEL, panels - 1) * mote_slice<MOTE_BY_FMA>::floats + column[g] % MOTE_PANEL;
    bool there = column[g] < panels * MOTE_PANEL;
#pragma unroll
    for (int r = 0; r < ROWS; r++)
#pragma unroll
      for (int c = 0; c < wide; c++)
        sum[r][g].at[c] = !there    ? 0
                          : started ? y[r * MOTE_THREAD_ROWS * y_pitch + column[g] + c]
                                    : l->bias[panel * MOTE_PANEL + column[g] + c];
  }
  for (int first = 0; first < in; first += MOTE_SLICE) {
    const float *slice = mote_weights_next<BY>(weights);
#pragma unroll
    for (int k = 0; k < MOTE_SLICE; k += 4) { /* behind the last input are zeros on both sides */
      if (first + k >= in) break;
      mote_floats<4> a[ROWS];
#pragma unroll
      for (int r = 0; r < ROWS; r++) a[r] = mote_floats_at<4>(x + r * MOTE_THREAD_ROWS * x_pitch + first + k);
#pragma unroll
      for (int j = 0; j < 4; j++)
#pragma unroll
        for (int g = 0; g < groups; g++) {
          mote_floats<wide> b = mote_floats_at<wide>(slice + at[g] + (k + j) * MOTE_PANEL);
#pragma unroll
          for (int r = 0; r < ROWS; r++)
#pragma unroll
            for (int c = 0; c < wide; c++) sum[r][g].at[c] += a[r].at[j] * b.at[c];
        }
    }
  }
#pragma unroll
  for (int g = 0; g < groups; g++)
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
#pragma unroll
      for (int c = 0; c < wide; c++)
        if (activation == MOTE_RELU) sum[r][g].at[c] = mote_activate(sum[r][g].at[c], MOTE_RELU);
      if (column[g] < panels * MOTE_PANEL)
        mote_floats_put<wide>(y + r * MOTE_THREAD_ROWS * y_pitch + column[g], sum[r][g]);
    }
  if (activation != MOTE_GELU && !l->residual) return;
    /* A loop over what this thread wrote: as part of the above, the function's code would be there 32 times.
     */
#pragma unroll 1
  for (int i = 0; i < ROWS * groups; i++) {
    int r = i / groups, c = (i % groups * MOTE_THREAD_ROWS + unit) * wide;
    if (c >= panels * MOTE_PANEL) continue;
    float *to = y + r * MOTE_THREAD_ROWS * y_pitch + c;
    const float *add = x + r * MOTE_THREAD_ROWS * x_pitch + panel * MOTE_PANEL + c;
#pragma unroll
    for (int j = 0; j < wide; j++) {
      float value = activation == MOTE_GELU ? mote_activate(to[j], MOTE_GELU) : to[j];
      to[j] = l->residual ? value + add[j] : value;
    }
  }
}

/* All layers, on what buffer 0 holds; which buffer then holds the result. Takes a barrier from the caller
   before that is read. `split`: the plan's room. `started`: buffer 1 holds what the first layer's sums start
   from, visible to all. */
template <int ROWS, int BY>
static __device__ inline int mote_chain_layers(const mote_mlp *mlp, bool started, float *first, float *second,
                                               float *split, mote_weights *weights) {
  int layers = mlp->layers;
  for (int i = 0; i < layers; i++) {
    const mote_linear *l = &mlp->layer[i];
    const float *x = i % 2 ? second : first;
    float *y = i % 2 ? first : second;
    bool begun = started && i == 0;
    int all = mote_panels(l->out);
    for (int panel = 0; panel < all; panel += MOTE_PASS) {
      int panels = min(all - panel, MOTE_PASS);
      if constexpr (BY != MOTE_BY_FMA)
        if (mote_layer_suits<BY>(l)) {
          mote_chain_pass_mma<ROWS, BY>(l, begun, panel, panels, x, y, split, weights);
          continue;
        }
      if (panels > 4)
        mote_chain_pass<ROWS, 8, BY>(l, begun, panel, panels, x, y, weights);
      else if (panels > 2)
        mote_chain_pass<ROWS, 4, BY>(l, begun, panel, panels, x, y, weights);
      else if (panels > 1)
        mote_chain_pass<ROWS, 2, BY>(l, begun, panel, panels, x, y, weights);
      else
        mote_chain_pass<ROWS, 1, BY>(l, begun, panel, panels, x, y, weights);
    }
  }
  return layers % 2;
}

/* By the host: LAUNCH<rows / 16, by>::run of a plan, as a function pointer. */
template <template <int, int> class LAUNCH, int BY> static inline auto mote_chain_launch_by(int rows) {
  return rows == 64 ? LAUNCH<4, BY>::run : rows == 32 ? LAUNCH<2, BY>::run : LAUNCH<1, BY>::run;
}
template <template <int, int> class LAUNCH>
static inline auto mote_chain_launch(const mote_chain_plan &plan) {
  switch (plan.by) {
  case 1: return mote_chain_launch_by<LAUNCH, 1>(plan.rows);
  case 2: return mote_chain_launch_by<LAUNCH, 2>(plan.rows);
  case 3: return mote_chain_launch_by<LAUNCH, 3>(plan.rows);
  case MOTE_BY_TF32: return mote_chain_launch_by<LAUNCH, MOTE_BY_TF32>(plan.rows);
  default: return mote_chain_launch_by<LAUNCH, MOTE_BY_FMA>(plan.rows);
  }
}

/* ---- Rows: a warp a row, neighbouring lanes at neighbouring columns ---- */

static __device__ inline int mote_own_warp() {
  return static_cast<int>(threadIdx.x / 32);
}
static __device__ inline int mote_own_lane() {
  return static_cast<int>(threadIdx.x % 32);
}

/* The same bits in each lane: a step adds the same two numbers in both of a pair. */
static __device__ inline float mote_warp_sum(float x) {
  for (int distance = 16; distance > 0; distance /= 2) x += __shfl_xor_sync(0xffffffffu, x, distance);
  return x;
}
static __device__ inline float mote_warp_max(float x) {
  for (int distance = 16; distance > 0; distance /= 2)
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, distance));
  return x;
}

/* Rows of [a, b] into a tile, zeros behind them and in rows that are not used. */
static __device__ inline void mote_chain_fill(mote_rows a, mote_rows b, int64_t first, int used, int rows,
                                              float *x, int pitch) {
  for (int r = mote_own_warp(); r < rows; r += MOTE_CHAIN_WARPS) {
    const float *from = a.data + (first + r) * a.stride;
    const float *other = b.data ? b.data + (first + r) * b.stride - a.width : nullptr;
    for (int c = mote_own_lane(); c < pitch - 4; c += 32)
      x[r * pitch + c] = r >= used ? 0 : c < a.width ? from[c] : c < a.width + b.width ? other[c] : 0;
  }
}

/* LayerNorm of a row in place; each lane then holds its own columns. */
static __device__ inline void mote_warp_norm(mote_norm norm, int width, float *x) {
  if (!norm.weight) return;
  const int lane = mote_own_lane();
  float sum = 0, square = 0, size = static_cast<float>(width);
  for (int c = lane; c < width; c += 32) sum += x[c];
  float mean = mote_warp_sum(sum) / size;
  for (int c = lane; c < width; c += 32) square += (x[c] - mean) * (x[c] - mean);
  float scale = 1 / sqrtf(mote_warp_sum(square) / size + MOTE_NORM_EPSILON);
  for (int c = lane; c < width; c += 32) x[c] = (x[c] - mean) * scale * norm.weight[c] + norm.bias[c];
}

/* out = residual + norm(x) */
static __device__ inline void mote_chain_write(mote_norm norm, mote_rows residual, int64_t first, int used,
                                               int width, float *x, float *out, int out_stride) {
  const int pitch = mote_pitch(width);
  for (int r = mote_own_warp(); r < used; r += MOTE_CHAIN_WARPS) {
    float *row = x + r * pitch, *to = out + (first + r) * out_stride;
    const float *add = residual.data ? residual.data + (first + r) * residual.stride : nullptr;
    mote_warp_norm(norm, width, row);
    for (int c = mote_own_lane(); c < width; c += 32) to[c] = add ? add[c] + row[c] : row[c];
  }
}

/* softmax(logits)[e] */
static __device__ inline float mote_gate(int experts, const float *logits, int e) {
  float most = logits[0], sum = 0;
  for (int k = 1; k < experts; k++) most = fmaxf(most, logits[k]);
  for (int k = 0; k < experts; k++) sum += expf(logits[k] - most);
  return expf(logits[e] - most) / sum;
}

#endif
