/* A tile of rows through a chain of layers, on the CPU. A tile's two buffers fit into the nearest caches
   with a panel of weights beside them; weights come from the second level once a tile.

   The microkernel keeps MOTE_TILE_BLOCK rows x two vectors of outputs in registers: 12 of AVX2's 16, 24 of
   AVX-512's 32. Each output is one chain of fused multiply-adds over the inputs in their order, so that a
   row's result depends neither on the tile it is in nor on the number of threads. Where the processor
   multiplies tiles of bfloat16, layers that suit are computed by terms instead (terms.h), of which the same
   holds. */
#ifndef MOTE_KERNELS_DENSE_TILE_H
#define MOTE_KERNELS_DENSE_TILE_H

#include <string.h>

#include "kernels/dense/dense.h"
#include "kernels/dense/terms.h"
#include "kernels/dense/vector.h"

#define MOTE_TILE_BLOCK (MOTE_LANES == 16 ? 12 : 6)
#define MOTE_TILE_ROWS (MOTE_LANES == 16 ? 96 : 48)
#define MOTE_TILE_FLOATS                                                                                     \
  (MOTE_TILE_BLOCK * MOTE_DENSE_WIDEST > MOTE_TILE_ROWS * 128 ? MOTE_TILE_BLOCK * MOTE_DENSE_WIDEST          \
                                                              : MOTE_TILE_ROWS * 128)

typedef struct mote_tile {
  _Alignas(64) float buffer[2][MOTE_TILE_FLOATS];
} mote_tile;

/* Values a row takes in a tile: whole panels. */
static inline int mote_tile_stride(int width) {
  return mote_panels(width) * MOTE_PANEL;
}

/* Rows of a tile whose layers are at most so wide: as many as fit, in whole blocks of rows. */
static inline int mote_tile_rows(int widest) {
  int rows = MOTE_TILE_FLOATS / mote_tile_stride(widest) / MOTE_TILE_BLOCK * MOTE_TILE_BLOCK;
  return rows < MOTE_TILE_ROWS ? rows : MOTE_TILE_ROWS;
}

/* Rows up to the end of the last block that has one of them. */
static inline int mote_tile_blocks(int rows) {
  return (rows + MOTE_TILE_BLOCK - 1) / MOTE_TILE_BLOCK * MOTE_TILE_BLOCK;
}

static inline int mote_mlp_widest(const mote_mlp *mlp) {
  int widest = 1;
  for (int l = 0; l < mlp->layers; l++) {
    if (mlp->layer[l].in > widest) widest = mlp->layer[l].in;
    if (mlp->layer[l].out > widest) widest = mlp->layer[l].out;
  }
  return widest;
}

MOTE_VECTOR mote_v mote_v_activate(mote_v x, mote_activation activation) {
  if (activation == MOTE_RELU) return mote_v_max(mote_v_set(0), x); /* NaN stays NaN */
  if (activation == MOTE_GELU) return mote_v_gelu(x);
  return x;
}

/* Two vectors of outputs, at y and y + second, for all rows. b0, b1: bias, or NULL where y already holds what
   is added to. `add`: the layer's input at these columns, or NULL. */
MOTE_VECTOR void mote_tile_columns(int in, const float *restrict w0, const float *restrict w1,
                                   const float *b0, const float *b1, mote_activation activation,
                                   const float *add, int rows, const float *restrict x, int x_stride,
                                   float *restrict y, int y_stride, int second) {
  for (int r0 = 0; r0 < rows; r0 += MOTE_TILE_BLOCK) {
    mote_v sum[MOTE_TILE_BLOCK][2];
    const float *from = x + r0 * x_stride;
    float *to = y + r0 * y_stride;
#pragma GCC unroll 12
    for (int r = 0; r < MOTE_TILE_BLOCK; r++) {
      sum[r][0] = mote_v_load(b0 ? b0 : to + r * y_stride);
      sum[r][1] = mote_v_load(b0 ? b1 : to + r * y_stride + second);
    }
    for (int k = 0; k < in; k++) {
      mote_v left = mote_v_load(w0 + k * MOTE_PANEL), right = mote_v_load(w1 + k * MOTE_PANEL);
#pragma GCC unroll 12
      for (int r = 0; r < MOTE_TILE_BLOCK; r++) {
        mote_v a = mote_v_set(from[r * x_stride + k]);
        sum[r][0] += a * left;
        sum[r][1] += a * right;
      }
    }
#pragma GCC unroll 12
    for (int r = 0; r < MOTE_TILE_BLOCK; r++) {
      mote_v left = mote_v_activate(sum[r][0], activation), right = mote_v_activate(sum[r][1], activation);
      if (add) {
        left += mote_v_load(add + (r0 + r) * x_stride);
        right += mote_v_load(add + (r0 + r) * x_stride + second);
      }
      mote_v_store(to + r * y_stride, left);
      mote_v_store(to + r * y_stride + second, right);
    }
  }
}

/* y = the layer of x for `rows` rows, a whole number of blocks; `start`: y holds what is added to, in the
   place of the bias. Strides are of whole panels. */
static inline void mote_tile_linear(const mote_linear *l, int start, int rows, const float *x, int x_stride,
                                    float *y, int y_stride) {
  int panels = mote_panels(l->out), step = 2 * MOTE_LANES / MOTE_PANEL;
  if (mote_terms_suit(l)) {
    mote_terms_linear(l, start, rows, x, x_stride, y, y_stride);
    return;
  }
  for (int p = 0; p < panels; p += step) {
    const float *w = l->weight + (int64_t)p * l->in * MOTE_PANEL,
                *b = start ? NULL : l->bias + p * MOTE_PANEL;
    const float *add = l->residual ? x + p * MOTE_PANEL : NULL;
    float *to = y + p * MOTE_PANEL;
    /* The second vector: the panel's other half, or the next panel, or (none left) the first once more. */
    int second = step == 1 ? MOTE_LANES : p + 1 < panels ? MOTE_PANEL : 0;
    const float *w1 = step == 1 ? w + MOTE_LANES : w + (second ? (int64_t)l->in * MOTE_PANEL : 0);
    const float *b1 = b ? b + second : NULL;
#define MOTE_COLUMNS(ACTIVATION)                                                                             \
  mote_tile_columns(l->in, w, w1, b, b1, ACTIVATION, add, rows, x, x_stride, to, y_stride, second)
    if (l->activation == MOTE_RELU)
      MOTE_COLUMNS(MOTE_RELU);
    else if (l->activation == MOTE_GELU)
      MOTE_COLUMNS(MOTE_GELU);
    else
      MOTE_COLUMNS(MOTE_IDENTITY);
#undef MOTE_COLUMNS
  }
}

/* LayerNorm of one row in place; sums in the row's order by lanes. */
static inline void mote_row_norm(mote_norm norm, int width, float *x) {
  mote_v sum = mote_v_set(0), square = mote_v_set(0);
  int whole = width / MOTE_LANES * MOTE_LANES;
  float rest = 0, rest_square = 0;
  for (int c = 0; c < whole; c += MOTE_LANES) sum += mote_v_load(x + c);
  for (int c = whole; c < width; c++) rest += x[c];
  float mean = (mote_v_sum(sum) + rest) / (float)width;
  for (int c = 0; c < whole; c += MOTE_LANES) {
    mote_v d = mote_v_load(x + c) - mean;
    square += d * d;
  }
  for (int c = whole; c < width; c++) rest_square += (x[c] - mean) * (x[c] - mean);
  float scale = 1 / sqrtf((mote_v_sum(square) + rest_square) / (float)width + MOTE_NORM_EPSILON);
  for (int c = 0; c < whole; c += MOTE_LANES)
    mote_v_store(x + c, (mote_v_load(x + c) - mean) * scale * mote_v_load(norm.weight + c) +
                            mote_v_load(norm.bias + c));
  for (int c = whole; c < width; c++) x[c] = (x[c] - mean) * scale * norm.weight[c] + norm.bias[c];
}

static inline void mote_tile_norm(mote_norm norm, int width, int rows, float *x, int stride) {
  if (norm.weight)
    for (int r = 0; r < rows; r++) mote_row_norm(norm, width, x + r * stride);
}

/* Rows of a tile: [first, first + used) of the n that the call is of; n 0: nothing is kept of them. */
typedef struct mote_tile_span {
  int64_t n, first;
  int used;
} mote_tile_span;

/* What came out of layer l, for the reverse. */
static inline void mote_tile_keep(const mote_mlp *mlp, mote_tile_span span, int l, const float *y) {
  const int stride = mote_tile_stride(mlp->layer[l].out);
  if (mlp->kept && span.n)
    mote_stream_floats(mlp->kept + mote_kept_at(mlp, span.n, l) + span.first * stride, y,
                       (int64_t)span.used * stride / MOTE_PANEL);
}

/* The layers from `first` on, on what buffer `at` holds; which buffer then holds the result. The chain's
   LayerNorms are the caller's. */
static inline int mote_tile_layers(const mote_mlp *mlp, int first, mote_tile_span span, mote_tile *tile,
                                   int at) {
  for (int l = first, rows = mote_tile_blocks(span.used); l < mlp->layers; l++, at ^= 1) {
    mote_tile_linear(&mlp->layer[l], 0, rows, tile->buffer[at], mote_tile_stride(mlp->layer[l].in),
                     tile->buffer[at ^ 1], mote_tile_stride(mlp->layer[l].out));
    mote_tile_keep(mlp, span, l, tile->buffer[at ^ 1]);
  }
  return at;
}

/* Rows into a tile's columns from `column` on. */
static inline void mote_tile_fill(mote_rows from, int64_t first, int rows, int column, float *x, int stride) {
  for (int r = 0; r < rows; r++)
    memcpy(x + r * stride + column, from.data + (first + r) * from.stride,
           (size_t)from.width * sizeof(float));
}

/* The gates of a row of experts. */
static inline void mote_softmax(int count, const float *logits, float *gate) {
  float most = logits[0], sum = 0;
  for (int e = 1; e < count; e++) most = fmaxf(most, logits[e]);
  for (int e = 0; e < count; e++) sum += gate[e] = expf(logits[e] - most);
  for (int e = 0; e < count; e++) gate[e] /= sum;
}

#endif
