/* The reverse of a chain of layers on the CPU (backpropagation: Rumelhart, Hinton and Williams 1986), a tile
   of rows at a time.

   The trick: unless the forward pass kept them (mote_mlp.kept), the chain's values are computed again tile by
   tile, so that all that the way back needs lies in the core's second-level cache. Three products a layer are
   of one speed: the layer itself, its transpose for the gradient by its input (both by the microkernel of
   tile.h), and the outer products of inputs and gradients for the weights. */
#ifndef MOTE_KERNELS_DENSE_REVERSE_H
#define MOTE_KERNELS_DENSE_REVERSE_H

#include "kernels/dense/tile.h"

#define MOTE_REVERSE_ROWS (MOTE_LANES == 16 ? 96 : 48) /* of a tile: whole blocks of the microkernel */

/* Where a tile's values lie in the memory that it is given, in floats. Rows are as in tile.h: whole panels.
 */
typedef struct mote_reverse {
  const mote_mlp *mlp;
  const mote_arena *arena;
  int64_t n;    /* rows that the call is of */
  int64_t rows; /* that mlp->kept is of; 0: it holds nothing */
  int64_t raw;  /* inputs in front of the first LayerNorm; input[0] where there is none */
  int64_t input[MOTE_MLP_LAYERS + 1]; /* of each layer, then the last one's output; not of what was kept */
  int64_t slope[MOTE_MLP_LAYERS];     /* derivatives of the activation; 0: the layer's output tells */
  int64_t gradient[2];                /* the first holds the gradient by the chain's output, to begin with */
  int64_t floats;
} mote_reverse;

/* Gradients of a chain's parameters: in the arena, or in a copy of their own. */
enum {
  MOTE_OF_WEIGHT, /* + 2 l: of layer l */
  MOTE_OF_BIAS,
  MOTE_OF_BEFORE = 2 * MOTE_MLP_LAYERS, /* + 1: the norm's bias */
  MOTE_OF_BEHIND = MOTE_OF_BEFORE + 2,
  MOTE_GRADIENTS = MOTE_OF_BEHIND + 2
};
typedef struct mote_gradients {
  float *at[MOTE_GRADIENTS]; /* NULL: not there */
  int64_t floats[MOTE_GRADIENTS];
} mote_gradients;

/* What mote_reverse_back leaves, in the tile's memory. */
typedef struct mote_reversed {
  float *first; /* the gradient by the first layer's sums, in front of its activation */
  float *input; /* by the chain's input; NULL: not wanted */
} mote_reversed;

/* `from`: the tile's memory before that is the caller's. n: rows that the call is of. */
mote_reverse mote_reverse_plan(const mote_mlp *mlp, const mote_arena *arena, int64_t n, int64_t from);

/* What comes out of layer l for the tile whose rows begin at `first`, behind mote_reverse_forward(). */
static inline const float *mote_reverse_output(const mote_reverse *v, const float *tile, int64_t first,
                                               int l) {
  const mote_mlp *mlp = v->mlp;
  if (!v->rows) return tile + v->input[l + 1];
  return mlp->kept + mote_kept_at(mlp, v->rows, l) + first * mote_tile_stride(mlp->layer[l].out);
}

/* Where sums of the first layer start from, if they do not start from its bias. */
static inline float *mote_reverse_start(const mote_reverse *v, float *tile) {
  return tile + (v->slope[0] ? v->slope[0] : v->input[1]);
}

/* The chain's input, for mote_reverse_back(), where it stands: NULL if these rows are not as a tile's. */
static inline const float *mote_reverse_input(const mote_reverse *v, mote_rows rows, int64_t first,
                                              int used) {
  const int in = v->mlp->layer[0].in, direct = rows.width == in && rows.stride == mote_tile_stride(in);
  const int there = v->rows || (used == mote_tile_blocks(used) && !v->mlp->before.weight);
  return there && direct ? rows.data + first * rows.stride : NULL;
}

/* The chain's values, unless kept, from its input, which stands at `raw` unless there is `input`, for `used`
   rows and those up to a whole block. `output`: the last layer's values are wanted (without the LayerNorm
   behind), whether or not the way back needs them. */
void mote_reverse_forward(const mote_reverse *v, int used, float *tile, const float *input, int started,
                          int output);

/* The way back from the gradient by the chain's output (0 in columns behind its width and in rows behind
   `used`), adding to `g`. `input`: the chain's, in rows as a tile's, if it does not stand at `raw`. */
mote_reversed mote_reverse_back(const mote_reverse *v, int64_t first, int used, float *tile,
                                const float *input, const mote_gradients *g, int wanted);

/* The reverse of a LayerNorm, for rows `d` in place: x what it was computed of. */
void mote_reverse_norm(mote_norm norm, int width, int rows, const float *x, float *d, int stride,
                       float *d_weight, float *d_bias);

/* Rows to be added to a sink, from a column on. */
void mote_reverse_add(mote_sink sink, int width, int64_t first, int used, const float *from, int stride);

/* Rows of a gradient into a tile, zeros in columns behind their width and in rows up to a whole block. */
void mote_reverse_fill(mote_rows rows, int64_t first, int used, float *to);

/* Work on rows in chunks of MOTE_GRADIENT_ROWS or, of few rows, less, each with gradients of its own where
   there are several; these are added to the arena in the order of the chunks, so that no bit depends on the
   threads. */
typedef struct mote_reverse_job {
  const mote_arena *arena;
  int chains;
  const mote_mlp *chain[MOTE_MOST_GATED];
  int without_bias; /* the first layers' biases are no parameters */
  mote_norm norm;   /* one more LayerNorm, whose gradients are those behind of gradients[chains] */
  int norm_width;
  int64_t tile_floats; /* a tile's memory */
  void (*tile)(const void *context, int64_t first, int used, float *memory, const mote_gradients *gradients);
  const void *context;
} mote_reverse_job;

/* Floats of memory for `most` rows; then the work on n of them. */
int64_t mote_reverse_memory(const mote_stream *stream, const mote_reverse_job *job, int64_t most);
void mote_reverse_run(const mote_stream *stream, const mote_reverse_job *job, int64_t n, float *memory);

/* Of mote_dense_cpu (chunks.c). */
int64_t mote_reverse_chunks_apart(int64_t n);
mote_status mote_reverse_add_chunks(mote_stream *stream, const mote_arena *arena);

/* Of mote_dense_cpu (dense_backward.c). */
mote_status mote_cpu_mlp_backward(mote_stream *stream, int64_t n, const int32_t *count, const mote_mlp *mlp,
                                  const mote_arena *arena, mote_rows a, mote_rows b, mote_rows d_out,
                                  mote_sink d_a, mote_sink d_b, mote_buffer *scratch);
mote_status mote_cpu_gated_backward(mote_stream *stream, int64_t n, const int32_t *count, int experts,
                                    const mote_mlp *expert, const mote_arena *arena, mote_rows a,
                                    mote_rows logits, mote_norm norm, mote_rows d_out, mote_sink d_a,
                                    mote_sink d_logits, mote_buffer *scratch);

#endif
