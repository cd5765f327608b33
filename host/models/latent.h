/* GIOROM's middle: particles -> latent grid -> transformer with linear attention and gated experts (GNOT, Hao
   et al. 2023) -> particles.

   The trick: what depends on the weights alone is computed once, at load (the grid's own coordinates, the
   context of the cross-attention, the kernel of the way back); and all latent points that no particle reaches
   are one row, so that the transformer runs on the points that matter fills, with the numbers of the whole
   grid. */
#ifndef MOTE_MODELS_LATENT_H
#define MOTE_MODELS_LATENT_H

#include <mote/graph.h>

#include "host/models/network_config.h"
#include "host/nn/parameters.h"
#include "kernels/attention/attention.h"
#include "kernels/feature/feature.h"
#include "kernels/integral/integral.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_LATENT_BLOCKS 16

typedef struct mote_latent_block {
  mote_mlp gate;
  int crosses;
  mote_mlp cross_query, cross_key, cross_value, cross_out; /* norms in front of query, key and value */
  mote_mlp query_key_value, self_out;
  int experts;
  mote_mlp first[MOTE_MOST_GATED], second[MOTE_MOST_GATED];
  mote_norm first_norm, second_norm;
  mote_buffer context; /* of the cross-attention */
} mote_latent_block;

typedef struct mote_latent {
  mote_latent_config config;
  int dim, width, node_width, inner; /* inner: of the experts' hidden layer */
  int64_t points;
  mote_heads heads;
  mote_mlp kernel_in, trunk, branch, out, projection, kernel_out;
  mote_mlp pair_ends;                     /* W h of the pair kernel's first layer */
  mote_message_block pairs_in, pairs_out; /* kernels on pairs */
  const float *pair_bias;                 /* of the way back's first layer */
  mote_latent_block block[MOTE_LATENT_BLOCKS];
  mote_buffer grid, factor, zeros; /* (points, dim); (points, output), k_out of each point; a row */
  mote_buffer whole[3],
      whole_scratch; /* (points, width): the whole grid's rows, keys and values of a block */
} mote_latent;

/* Asks for the layers. */
mote_status mote_latent_read(mote_parameters *p, const mote_network_config *config, mote_latent *latent);
/* Computes what depends on the weights alone. */
mote_status mote_latent_prepare(mote_stream *stream, mote_latent *latent);
/* A block's keys and values of the whole grid, into whole[1] and whole[2], from its rows in whole[0]. */
mote_status mote_latent_fill_keys(mote_stream *stream, mote_latent *latent, const mote_latent_block *block);
/* Gives back what only mote_latent_prepare() needs. */
void mote_latent_forget(mote_latent *latent);
void mote_latent_free(mote_latent *latent);

/* What an evaluation computes, in device memory. An inference lets arrays share memory where one is not
   needed any more when the next is written; training keeps all of them for the way back. */
typedef struct mote_latent_block_values {
  float *x, *logits;                                     /* into the block; of the gate */
  float *query, *crossing, *crossed;                     /* cross-attention */
  float *next, *projected, *context, *attended, *selfed; /* behind the first experts; self-attention */
  float *out;
} mote_latent_block_values;

typedef struct mote_latent_values {
  float *kept_in, *kept_out; /* what the kernels on pairs keep for the way back (mote_mlp.kept), or NULL */
  float *kernel, *pair_sum, *value; /* the way in: (particles or points, ...); value (rows, trunk) */
  mote_latent_block_values block[MOTE_LATENT_BLOCKS];
  float *answer;          /* (rows, output) of the transformer */
  float *picked, *result; /* the way back: (points, output) for pair kernels; (particles, output) */
} mote_latent_values;

/* An evaluation: the searches' edges, the compact list of latent points, and the values. */
typedef struct mote_latent_frame {
  int64_t particles, rows; /* rows: of latent points at most, those below *count if that is not NULL */
  const int32_t *count, *row_of, *point_of;
  const float *weight, *position; /* position (particles, dim) */
  mote_edges reached, reaching;
  float *pair_in, *pair_out; /* (capacity, dim + 1) features of pairs, for pair kernels */
  mote_latent_values values;
} mote_latent_frame;

/* A stepper's buffers and searches. */
typedef struct mote_latent_room {
  mote_graph *reached, *reaching; /* particles around latent points; latent points around particles */
  mote_buffer kernel, value, row_of, point_of, weight, count;
  mote_buffer x[2], attended, projected, logits, pair_state, pair_sum, result, context, scratch, scan;
  int64_t particles;
  int64_t rows; /* planned, of the compact list: a quarter more than there were; all points at most */
} mote_latent_room;
mote_status mote_latent_room_create(mote_device *device, const mote_latent *latent, int64_t particles,
                                    mote_latent_room *room);
void mote_latent_room_free(mote_latent_room *room);

/* The two searches of an evaluation, and the compact list of the points that matter reaches. `plan`: outside
   of a recorded step, sizes are planned anew. */
mote_status mote_latent_searches_create(mote_device *device, const mote_latent *latent, mote_graph **reached,
                                        mote_graph **reaching);
mote_status mote_latent_search(mote_stream *stream, const mote_latent *latent, mote_graph *reached,
                               mote_graph *reaching, int plan, const float *position, int64_t particles,
                               int32_t *row_of, int32_t *point_of, float *weight, int32_t *count,
                               mote_buffer *scan);

/* out (particles, node_width) = h + projection(way back(transformer(way in(position, h)))), over
 * frame->values.
 */
mote_status mote_latent_forward(mote_stream *stream, const mote_latent *latent,
                                const mote_latent_frame *frame, const float *h, mote_buffer *scratch,
                                float *out);

/* A graph's arrays as kernels take them. */
mote_edges mote_edges_of(const mote_graph *graph);

/* An evaluation over a room, in two parts, of which the first needs positions alone: searches, and forward. A
   list of more rows than `room->rows` spoils what comes out; `plan` counts them anew, and waits. */
mote_status mote_latent_look(mote_stream *stream, const mote_latent *latent, mote_latent_room *room, int plan,
                             const float *position);
mote_status mote_latent_evaluate(mote_stream *stream, const mote_latent *latent, mote_latent_room *room,
                                 const float *position, const float *h, float *out);

/* ---- The way back, for training ---- */

/* Gradients by what depends on the weights alone, which all examples of a batch share: of the factors
   (points, output), then of each block's context. One behind the other, zero before the first example. */
int64_t mote_latent_shared_floats(const mote_latent *latent);

/* Buffers of the reverse. */
typedef struct mote_latent_reverse {
  mote_buffer x[2], attended, projected, logits, context, value, result, answer, kernel, points, bias, pairs,
      scratch;
} mote_latent_reverse;
void mote_latent_reverse_free(mote_latent_reverse *reverse);

/* The reverse of mote_latent_forward() where frame->count is NULL. `reached`, `reaching`: the frame's edges
   by sender. From d_out (particles, node_width) adds to d_h, to the weights' gradients, to `d_shared` and to
   d_position (particles, dim) unless NULL. */
mote_status mote_latent_backward(mote_stream *stream, const mote_latent *latent, const mote_arena *arena,
                                 const mote_latent_frame *frame, const mote_sent *reached,
                                 const mote_sent *reaching, mote_latent_reverse *reverse, const float *h,
                                 const float *d_out, float *d_h, float *d_shared, float *d_position);

/* The reverse of mote_latent_prepare(), from the sum over a batch of d_shared. */
mote_status mote_latent_prepare_backward(mote_stream *stream, mote_latent *latent, const mote_arena *arena,
                                         mote_latent_reverse *reverse, const float *d_shared);

#ifdef __cplusplus
}
#endif
#endif
