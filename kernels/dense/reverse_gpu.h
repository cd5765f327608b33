/* The reverse of a chain of layers on the GPU, the twin of reverse.h: a layer at a time, each layer's input
   and what its activation needs kept in device memory, since a block has no room for them.

   The trick: the layer itself and the way back through it are the kernel of the forward pass, on the weights
   and on their transposes; only the sums over rows have a kernel of their own (reverse.cu). */
#ifndef MOTE_KERNELS_DENSE_REVERSE_GPU_H
#define MOTE_KERNELS_DENSE_REVERSE_GPU_H

#include "kernels/dense/gpu.h"

/* What the chains of one call share. Rows are as wide as their values, without gaps. Places are in floats of
   `memory`, which is taken when all is planned. */
typedef struct mote_reverse_work {
  mote_stream *stream;
  const mote_arena *arena;
  int64_t n;
  const int32_t *count;
  int64_t chunk, chunks; /* rows whose gradients are summed together */
  int64_t zeros, partial, gradient[2], floats;
  float *memory;
} mote_reverse_work;

typedef struct mote_reverse_chain {
  const mote_mlp *mlp;
  int started;                        /* sums of the first layer start from rows, not from its bias */
  int64_t raw;                        /* inputs in front of the first LayerNorm */
  int64_t input[MOTE_MLP_LAYERS + 1]; /* of each layer, then the last one's output */
  int64_t sum[MOTE_MLP_LAYERS]; /* of the layer, then its activation's derivative; 0: the output tells */
} mote_reverse_chain;

/* As in reverse.h. */
typedef struct mote_gpu_reversed {
  float *first, *input;
} mote_gpu_reversed;

mote_reverse_work mote_reverse_begin(mote_stream *stream, const mote_arena *arena, int64_t n,
                                     const int32_t *count);
int64_t mote_reverse_take(mote_reverse_work *work, int64_t floats);
mote_reverse_chain mote_reverse_add_chain(mote_reverse_work *work, const mote_mlp *mlp, int started);

/* Plans what is shared by `chains` chains, and reserves all. */
mote_status mote_reverse_reserve(mote_reverse_work *work, const mote_reverse_chain *chain, int chains,
                                 mote_buffer *scratch);

/* The chain's values from its input, which stands at `raw`; `start`: rows that the sums of the first layer
   start from. */
mote_status mote_gpu_reverse_forward(const mote_reverse_work *work, const mote_reverse_chain *chain,
                                     const float *start, int output);

/* The way back from the gradient by the chain's output, at gradient[0]. */
mote_status mote_gpu_reverse_back(const mote_reverse_work *work, const mote_reverse_chain *chain, int wanted,
                                  mote_gpu_reversed *result);

/* The reverse of a LayerNorm of rows x, for rows d in place; `product`: as many more. */
mote_status mote_gpu_reverse_norm(const mote_reverse_work *work, mote_norm norm, int width, const float *x,
                                  float *d, float *product);

/* LayerNorm from rows to rows. */
mote_status mote_gpu_norm(const mote_reverse_work *work, mote_norm norm, int width, const float *x, float *y);

/* Columns [column, column + from.width) of rows `to`, `stride` apart, become those of `from`, or take them
 * up. */
mote_status mote_gpu_rows_copy(const mote_reverse_work *work, mote_rows from, float *to, int stride,
                               int column);
mote_status mote_gpu_rows_add(const mote_reverse_work *work, mote_rows from, mote_sink sink);

/* Of mote_dense_gpu (dense_backward.cu). */
mote_status mote_gpu_mlp_backward(mote_stream *stream, int64_t n, const int32_t *count, const mote_mlp *mlp,
                                  const mote_arena *arena, mote_rows a, mote_rows b, mote_rows d_out,
                                  mote_sink d_a, mote_sink d_b, mote_buffer *scratch);
mote_status mote_gpu_gated_backward(mote_stream *stream, int64_t n, const int32_t *count, int experts,
                                    const mote_mlp *expert, const mote_arena *arena, mote_rows a,
                                    mote_rows logits, mote_norm norm, mote_rows d_out, mote_sink d_a,
                                    mote_sink d_logits, mote_buffer *scratch);

#endif
