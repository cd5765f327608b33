/* A layer's outputs on tensor cores, for a tile of rows of a chain (gpu.h).

   The trick: the products are those of kernels/dense/terms.h. A float32 is a sum of bfloat16 terms, of which
   two carry 16 bits and three all 24, and tensor cores multiply such terms exactly; of two terms three
   products are taken, of three six, the small ones summed apart from the large ones. Activations stay float32
   in shared memory; they are split as they are read, or, where many warps read the same, ahead of their
   layer. Weights come split (make_terms).

   Which input is which of a product's depth is free, so a lane takes four neighbouring inputs of a row at
   once; and which output is which column, so that a lane ends with four neighbouring outputs. Rows are dealt
   out such that lanes next to each other read 16 banks apart. */
#ifndef MOTE_KERNELS_DENSE_MMA_GPU_H
#define MOTE_KERNELS_DENSE_MMA_GPU_H

#include "cuda/mma.h"
#include "kernels/dense/stream_gpu.h"

/* A lane's part of 16 rows x 16 inputs, and of 16 inputs x 16 outputs: a fragment a term, or a fragment for
   each half of the inputs (tf32). Outputs are two columns' tiles, of even ones and of odd ones. */
template <int BY> struct mote_mma_operand {
  static constexpr int parts = BY == MOTE_BY_TF32 ? 2 : BY;
  uint32_t rows[parts][4];
  uint32_t columns[parts][2][2];
};

/* Sums of 16 rows x 16 outputs: of products of first terms, and of all others. */
struct mote_mma_sums {
  float large[2][4], small[2][4];
};

/* The row of 8 that a lane's fragments begin with. */
static __device__ inline int mote_mma_row(int lane) {
  return lane / 4 % 2 * 4 + lane / 8;
}

/* `x` at the row of the lane, and at the block's first input. */
template <int BY>
static __device__ inline void mote_mma_load_rows(const float *x, int pitch, int lane,
                                                 mote_mma_operand<BY> *to) {
  const int t = lane % 4;
#pragma unroll
  for (int half = 0; half < 2; half++, x += 8 * pitch) {
    if constexpr (BY == MOTE_BY_TF32) {
#pragma unroll
      for (int part = 0; part < 2; part++)
#pragma unroll
        for (int i = 0; i < 2; i++) to->rows[part][half + 2 * i] = mote_tf32(x[part * 8 + i * 4 + t]);
    } else {
      mote_floats<4> left = mote_floats_at<4>(x + 4 * t);
#pragma unroll
      for (int term = 0; term < BY; term++)
#pragma unroll
        for (int i = 0; i < 2; i++)
          to->rows[term][half + 2 * i] = mote_bfloat16_term(&left.at[2 * i], &left.at[2 * i + 1]);
    }
  }
}

/* `slice` at the panel. */
template <int BY>
static __device__ inline void mote_mma_load_columns(const float *slice, int lane, mote_mma_operand<BY> *to) {
  constexpr int pitch = mote_slice<BY>::pitch;
  const int g = lane / 4, t = lane % 4;
#pragma unroll
  for (int part = 0; part < mote_mma_operand<BY>::parts; part++) {
    if constexpr (BY == MOTE_BY_TF32) {
#pragma unroll
      for (int i = 0; i < 2; i++) {
        const mote_floats<2> two = mote_floats_at<2>(slice + (part * 8 + i * 4 + t) * pitch + 2 * g);
#pragma unroll
        for (int tile = 0; tile < 2; tile++) to->columns[part][tile][i] = __float_as_uint(two.at[tile]);
      }
    } else { /* as they are wanted: the two words of a tile's column side by side */
      const mote_floats<4> four = mote_floats_at<4>(slice + t * pitch + part * 2 * MOTE_PANEL + 4 * g);
#pragma unroll
      for (int i = 0; i < 4; i++) to->columns[part][i / 2][i % 2] = __float_as_uint(four.at[i]);
    }
  }
}

/* Products i + j < parts of terms i of rows and j of columns, the smallest first; by tf32 the two halves. */
template <int BY>
static __device__ inline void mote_mma_add(const mote_mma_operand<BY> &x, mote_mma_sums *sums) {
  constexpr int parts = mote_mma_operand<BY>::parts;
#pragma unroll
  for (int tile = 0; tile < 2; tile++) {
    if constexpr (BY == MOTE_BY_TF32) {
#pragma unroll
      for (int part = 0; part < parts; part++)
        mote_mma_tf32(sums->large[tile], x.rows[part], x.columns[part][tile]);
    } else {
#pragma unroll
      for (int order = parts - 1; order >= 0; order--)
#pragma unroll
        for (int i = 0; i <= order; i++)
          mote_mma_bf16(order ? sums->small[tile] : sums->large[tile], x.rows[i], x.columns[order - i][tile]);
    }
  }
}

/* What a lane has of a row: four neighbouring outputs; `half`: of the second eight rows. */
template <int BY>
static __device__ inline mote_floats<4> mote_mma_result(const mote_mma_sums &sums, int half) {
  mote_floats<4> y;
#pragma unroll
  for (int c = 0; c < 4; c++) {
    const float large = sums.large[c % 2][2 * half + c / 2];
    y.at[c] = BY == MOTE_BY_TF32 || BY == 1 ? large : sums.small[c % 2][2 * half + c / 2] + large;
  }
  return y;
}

/* Fragments of all rows, split ahead of a layer: of each block of 16 rows and slice, term behind term, four
   words a lane. */
template <int BY>
static __device__ inline float *mote_mma_place(float *split, int block, int slices, int slice, int term,
                                               int lane) {
  return split + (((block * slices + slice) * BY + term) * 32 + lane) * 4;
}

template <int ROWS, int BY>
static __device__ inline void mote_mma_split(const float *x, int pitch, int slices, float *split) {
  for (int i = static_cast<int>(threadIdx.x); i < ROWS * slices * 32; i += MOTE_CHAIN_THREADS) {
    const int lane = i % 32, slice = i / 32 % slices, block = i / 32 / slices;
    mote_mma_operand<BY> operand;
    mote_mma_load_rows<BY>(x + (block * 16 + mote_mma_row(lane)) * pitch + slice * MOTE_SLICE, pitch, lane,
                           &operand);
#pragma unroll
    for (int term = 0; term < BY; term++) {
      mote_floats<4> words;
#pragma unroll
      for (int w = 0; w < 4; w++) words.at[w] = __uint_as_float(operand.rows[term][w]);
      mote_floats_put<4>(mote_mma_place<BY>(split, block, slices, slice, term, lane), words);
    }
  }
}

template <int BY>
static __device__ inline void mote_mma_load_split(float *split, int block, int slices, int slice, int lane,
                                                  mote_mma_operand<BY> *to) {
#pragma unroll
  for (int term = 0; term < BY; term++) {
    const mote_floats<4> words =
        mote_floats_at<4>(mote_mma_place<BY>(split, block, slices, slice, term, lane));
#pragma unroll
    for (int w = 0; w < 4; w++) to->rows[term][w] = __float_as_uint(words.at[w]);
  }
}

/* As mote_chain_pass() of gpu.h. A warp has 16 rows, and `wide` panels `across` apart: as many panels as may
   be, since rows are what is split. */
template <int ROWS, int BY>
static __device__ inline void mote_chain_pass_mma(const mote_linear *l, bool started, int panel, int panels,
                                                  const float *x, float *y, float *split,
                                                  mote_weights *weights) {
  constexpr int across = MOTE_CHAIN_WARPS / ROWS, wide = MOTE_PASS / across;
  constexpr int panel_floats = mote_slice<BY>::floats;
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  const int row = warp / across * 16 + mote_mma_row(lane), own = warp % across;
  const int in = l->in, x_pitch = mote_pitch(in), y_pitch = mote_pitch(l->out);
  const mote_activation activation = l->activation;
  mote_mma_sums sums[wide] = {};
  const float *tile = x;
  x += row * x_pitch;
  y += row * y_pitch + panel * MOTE_PANEL + 4 * (lane % 4);
  for (int first = 0; first < in; first += MOTE_SLICE) {
    const float *slice = mote_weights_next<BY>(weights);
    mote_mma_operand<BY> operand;
    if constexpr (mote_splits_ahead<ROWS, BY>()) {
      const int slices = (in + MOTE_SLICE - 1) / MOTE_SLICE;
      if (first == 0 && panel == 0) {
        mote_mma_split<ROWS, BY>(tile, x_pitch, slices, split);
        __syncthreads();
      }
      if (own >= panels) continue;
      mote_mma_load_split<BY>(split, warp / across, slices, first / MOTE_SLICE, lane, &operand);
    } else {
      if (own >= panels) continue;
      mote_mma_load_rows<BY>(x + first, x_pitch, lane, &operand);
    }
#pragma unroll
    for (int p = 0; p < wide; p++) {
      if (own + p * across >= panels) continue;
      mote_mma_load_columns<BY>(slice + (own + p * across) * panel_floats, lane, &operand);
      mote_mma_add<BY>(operand, &sums[p]);
    }
  }
#pragma unroll
  for (int p = 0; p < wide; p++) {
    const int column = (own + p * across) * MOTE_PANEL;
    if (own + p * across >= panels) continue;
    const float *bias = l->bias + panel * MOTE_PANEL + column + 4 * (lane % 4);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float *to = y + half * 8 * y_pitch + column;
      mote_floats<4> value = mote_mma_result<BY>(sums[p], half);
#pragma unroll
      for (int c = 0; c < 4; c++) {
        value.at[c] += started ? to[c] : bias[c];
        if (activation == MOTE_RELU) value.at[c] = mote_activate(value.at[c], MOTE_RELU);
      }
      mote_floats_put<4>(to, value);
    }
  }
  if (activation != MOTE_GELU && !l->residual) return;
#pragma unroll 1
  for (int i = 0; i < wide * 2; i++) { /* not unrolled: as in mote_chain_pass() */
    const int p = own + i / 2 * across, r = i % 2 * 8;
    if (p >= panels) continue;
    float *to = y + r * y_pitch + p * MOTE_PANEL;
    const float *add = x + r * x_pitch + (panel + p) * MOTE_PANEL + 4 * (lane % 4);
#pragma unroll
    for (int c = 0; c < 4; c++) {
      const float value = activation == MOTE_GELU ? mote_activate(to[c], MOTE_GELU) : to[c];
      to[c] = l->residual ? value + add[c] : value;
    }
  }
}

#endif
