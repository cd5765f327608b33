/* Dense layers on rows: chains of linear layers with everything that stands around them (LayerNorm in front,
   bias, activation, a layer's own residual, LayerNorm behind, a residual) in one pass over the rows.

   The trick: weights are packed once, at load, into panels of 16 outputs, so that both devices read them in
   the order in which they multiply; and a tile of rows goes through the whole chain before the next one
   begins, so that no intermediate ever leaves the core's cache (the block's shared memory). */
#ifndef MOTE_KERNELS_DENSE_H
#define MOTE_KERNELS_DENSE_H

#include <math.h>

#include "kernels/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_PANEL 16         /* outputs that are packed together */
#define MOTE_DENSE_WIDEST 768 /* inputs or outputs of a layer, at most */
#define MOTE_MLP_LAYERS 5
#define MOTE_MOST_GATED 8 /* experts of a gated layer */
#define MOTE_NORM_EPSILON 1e-5f

typedef enum mote_activation {
  MOTE_IDENTITY,
  MOTE_RELU,
  MOTE_GELU
} mote_activation; /* GELU: the exact one */

/* What layers begin at multiples of, in an arena of which devices make terms: four inputs of a panel. */
#define MOTE_TERMS_FLOATS (4 * MOTE_PANEL)

/* Packed weights as sums of bfloat16, which some devices multiply instead (terms.h): `count` terms of each,
   at so many times its place in its arena, in the device's own order. NULL: none. */
typedef struct mote_terms {
  const uint16_t *data;
  int count;
} mote_terms;

/* y = activation(W x + b), + x where `residual`. Pointers are device memory. */
typedef struct mote_linear {
  int in, out;
  const float *weight; /* ceil(out / 16) panels: weight[(panel * in + k) * 16 + c] = W[16 panel + c][k], 0
                          behind the last output; at a multiple of 16 bytes */
  const float *bias;   /* (out, rounded up to a panel); 0 behind the last output */
  mote_activation activation;
  int residual; /* 0 or 1; in == out */
  mote_terms terms;
} mote_linear;

/* LayerNorm over a row: (x - mean) / sqrt(variance + 1e-5) * weight + bias; weight NULL: none. */
typedef struct mote_norm {
  const float *weight, *bias; /* (width) */
} mote_norm;

typedef struct mote_mlp {
  int layers;
  mote_linear layer[MOTE_MLP_LAYERS];
  mote_norm before, behind;
  /* mote_kept_floats() in device memory, where a forward pass leaves what comes out of the layers and its
     reverse finds it; NULL: nothing is left, and computed again. Experts of a gated layer leave nothing. */
  float *kept;
} mote_mlp;

/* `width` values a row, rows `stride` floats apart. */
typedef struct mote_rows {
  const float *data;
  int width, stride;
} mote_rows;

/* Weights in training: three arrays of one layout, so that a weight, its gradient and, for a linear layer,
   its transpose are found from the weight's address alone. A linear layer has mote_linear_slot() floats
   there. */
typedef struct mote_arena {
  const float *value;          /* what the layers point into */
  const float *transposed;     /* W^T of each linear layer, packed as a layer from `out` to `in` values */
  mote_terms transposed_terms; /* of those */
  float *gradient;             /* of the loss, laid out as value */
  int64_t floats;              /* of each of these */
  /* Where many calls on few rows follow one another: (chunks, floats), the gradients of each chunk of their
     rows, which stay apart until add_chunks. NULL: each call adds its own to `gradient`. */
  float *chunk;
  int64_t chunks;
} mote_arena;

/* Rows that gradients are added to; data NULL: not wanted. */
typedef struct mote_sink {
  float *data;
  int stride;
} mote_sink;

#define MOTE_GRADIENT_ROWS 2048 /* rows whose weight gradients are summed together, at most */

/* n rows at most; `count`, if not NULL, is a number in device memory: only rows below it are computed. What
   stands in rows behind is left as it is. `out` may be `residual`, but no input. */
struct mote_dense_kernels {
  int keeps; /* takes up mote_mlp.kept; else it is passed over, and chains are always computed again */

  /* out = residual + mlp([a, b]); b.width 0: there is no b; residual.data NULL: none. The residual is as wide
     as the last layer. */
  mote_status (*mlp)(mote_stream *stream, int64_t n, const int32_t *count, const mote_mlp *mlp, mote_rows a,
                     mote_rows b, mote_rows residual, float *out, int out_stride);

  /* Gated experts: out = residual + norm(sum over e of softmax(logits)_e mlp_e(a)); logits (n, experts) rows
     of `logits_stride`. All experts have the same widths and no LayerNorm of their own. */
  mote_status (*gated)(mote_stream *stream, int64_t n, const int32_t *count, int experts,
                       const mote_mlp *expert, mote_rows a, mote_rows logits, mote_norm norm,
                       mote_rows residual, float *out, int out_stride);

  /* The reverse of mlp: from d_out (n, width of the last layer), the gradient of the loss by `out`, adds the
     gradients of weights and biases to the arena and those of a and b to their sinks. Forward values are
     those that mlp->kept holds, else computed again from a and b. The residual's gradient is d_out itself,
     which is the caller's to pass on. d_a may be the rows that d_out is. Weight gradients are summed over
     chunks of MOTE_GRADIENT_ROWS rows (fewer, by n) in their order, then over the chunks in theirs.
     `scratch` grows in the first call of a size. */
  mote_status (*mlp_backward)(mote_stream *stream, int64_t n, const int32_t *count, const mote_mlp *mlp,
                              const mote_arena *arena, mote_rows a, mote_rows b, mote_rows d_out,
                              mote_sink d_a, mote_sink d_b, mote_buffer *scratch);

  /* The reverse of gated, in the same way. */
  mote_status (*gated_backward)(mote_stream *stream, int64_t n, const int32_t *count, int experts,
                                const mote_mlp *expert, const mote_arena *arena, mote_rows a,
                                mote_rows logits, mote_norm norm, mote_rows d_out, mote_sink d_a,
                                mote_sink d_logits, mote_buffer *scratch);

  /* Chunks that reverses of n rows have and may keep apart; 0: none, as there is one or as they are many. And
     their sum, in their order, added to the arena's gradient. NULL on devices that keep none apart. */
  int64_t (*chunks)(int64_t n);
  mote_status (*add_chunks)(mote_stream *stream, const mote_arena *arena);

  /* Whether layers multiply so here; NULL: by float32 alone. */
  int (*multiplies)(mote_precision precision);

  /* Devices that multiply terms of weights: how many of each at this precision, and the room in bytes for
     those of an arena of so many floats; 0 where there is nothing to gain. And the terms themselves, to be
     made again whenever the arena changes. NULL on devices that never do. */
  int (*term_count)(mote_precision precision);
  size_t (*terms_room)(int count, int64_t floats);
  mote_status (*make_terms)(mote_stream *stream, int64_t floats, const float *packed, int count,
                            uint16_t *terms);
};

/* Rows that are computed of n, see above. */
static inline MOTE_HD int64_t mote_row_count(int64_t n, const int32_t *count) {
  return count && *count < n ? *count : n;
}

static inline MOTE_HD int mote_panels(int out) {
  return (out + MOTE_PANEL - 1) / MOTE_PANEL;
}
static inline int64_t mote_linear_floats(int in, int out) { /* of the packed weight */
  return (int64_t)mote_panels(out) * MOTE_PANEL * in;
}

/* What comes out of layer l (in front of the LayerNorm behind the last one), a row of whole panels for each
   of the n rows that a call is of: behind the rows of the layers before, and a block of rows for the
   reverse's tiles to end in. */
static inline int64_t mote_kept_at(const mote_mlp *mlp, int64_t n, int l) {
  int64_t widths = 0;
  for (int k = 0; k < l; k++) widths += mote_panels(mlp->layer[k].out) * MOTE_PANEL;
  return widths * (n + MOTE_PANEL);
}

/* Floats that a chain keeps of n rows, at a multiple of 64 bytes. 0: it is computed again, as the reverse
   wants more of it than outputs tell (GELU's slopes, a LayerNorm in front). */
static inline int64_t mote_kept_floats(const mote_mlp *mlp, int64_t n) {
  for (int l = 0; l < mlp->layers; l++)
    if (mlp->layer[l].activation == MOTE_GELU || mlp->layer[l].residual) return 0;
  return mlp->before.weight ? 0 : mote_kept_at(mlp, n, mlp->layers);
}

/* The same chain, which keeps its values there. */
static inline mote_mlp mote_mlp_keeping(const mote_mlp *mlp, float *kept) {
  mote_mlp keeping = *mlp;
  keeping.kept = kept;
  return keeping;
}

static inline int64_t mote_linear_slot(int in, int out) { /* in an arena: W or W^T, packed */
  return (int64_t)mote_panels(in) * MOTE_PANEL * mote_panels(out) * MOTE_PANEL;
}
static inline float *mote_gradient_of(const mote_arena *arena, const float *value) {
  return arena->gradient + (value - arena->value);
}
static inline const float *mote_transpose_of(const mote_arena *arena, const float *weight) {
  return arena->transposed + (weight - arena->value);
}
static inline mote_terms mote_terms_at(mote_terms terms, int64_t place) {
  if (terms.data) terms.data += terms.count * place;
  return terms;
}

/* Columns [first, first + in) of a row-major weight (out, columns), packed; `row` of the packed outputs the
   first to fill, so that layers with the same input can be stacked into one (start from zeros). */
static inline void mote_linear_pack(int in, int out, const float *weight, int64_t columns, int64_t first,
                                    int row, float *packed) {
  for (int o = 0; o < out; o++)
    for (int k = 0; k < in; k++) {
      int64_t panel = (row + o) / MOTE_PANEL, c = (row + o) % MOTE_PANEL;
      packed[(panel * in + k) * MOTE_PANEL + c] = weight[o * columns + first + k];
    }
}

static inline MOTE_HD float mote_activate(float x, mote_activation activation) {
  if (activation == MOTE_RELU) return x < 0 ? 0 : x; /* NaN stays NaN */
  if (activation == MOTE_GELU) return 0.5f * x * erfcf(-0.70710678118654752f * x);
  return x;
}

/* The derivative by x; that of the ReLU is 0 at 0. */
static inline MOTE_HD float mote_activation_slope(float x, mote_activation activation) {
  if (activation == MOTE_RELU) return x > 0 ? 1 : 0;
  if (activation == MOTE_GELU)
    return 0.5f * erfcf(-0.70710678118654752f * x) + x * 0.3989422804014327f * expf(-0.5f * x * x);
  return 1;
}

#ifdef __cplusplus
}
#endif
#endif
