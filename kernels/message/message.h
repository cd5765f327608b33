/* The edge block of message passing: for each edge a message from its state and its two ends, summed at the
   receiver.

     m_e = norm(MLP(W_e e + R_receiver + S_sender)), optionally times a row of the sender's
     sum_i = sum (or mean) over the edges of receiver i of w_e m_e,  w_e = 1 or 1 / (1 + length_e)
     e'  = e + m_e, where the state is updated

   The first layer of the usual MLP[h_i, h_j, e] is a sum of three products, two of which depend on a node
   alone: R and S are computed once a node (dense.mlp) and gathered here, which leaves three products of the
   edge's width where a straightforward implementation has five.

   The trick: edges are sorted by receiver, so a tile of them goes from gather to sum without leaving the core
   (the block): nothing of the size of the edges is written but the state itself. */
#ifndef MOTE_KERNELS_MESSAGE_H
#define MOTE_KERNELS_MESSAGE_H

#include "kernels/dense/dense.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rows of receivers, compressed: the edges of receiver i are row_offsets[i] .. row_offsets[i + 1). */
typedef struct mote_edges {
  int64_t receivers, capacity; /* rows of the edge arrays; row_offsets[receivers] of them are edges */
  const int32_t *row_offsets, *senders, *receiver; /* receiver (capacity) of each edge */
} mote_edges;

/* The same edges by sender: those of sender s are edge[row_offsets[s]] .. edge[row_offsets[s + 1] - 1], in
   their order. What senders gather from edges is summed so. */
typedef struct mote_sent {
  int64_t senders;
  const int32_t *row_offsets, *edge; /* (senders + 1), (capacity of the edges) */
} mote_sent;

typedef struct mote_message_block {
  mote_mlp mlp; /* layer[0] is W_e, its bias unused: the receivers' part holds it; no `before` */
  int update;   /* the state takes the message up; it is then as wide as the message */
  int mean;     /* divide by the number of edges of a receiver; a receiver without any has 0 */
} mote_message_block;

/* The same block, whose chain keeps its values there. */
static inline mote_message_block mote_message_keeping(const mote_message_block *block, float *kept) {
  mote_message_block keeping = *block;
  keeping.mlp.kept = kept;
  return keeping;
}

/* `receiver_part`, `sender_part`: rows of the first layer's width, of receivers and senders; `length`
   (capacity) or NULL: weights 1; `sender_factor`: rows of the message's width, or data NULL: 1. `state`
   (capacity, in of layer[0]); where the block updates it, `updated` (the same; may be `state`) is what it
   becomes. sum (receivers, sum_stride). `scratch`: grows in the first call of a size. */
struct mote_message_kernels {
  mote_status (*pass)(mote_stream *stream, const mote_edges *edges, const mote_message_block *block,
                      const float *state, float *updated, mote_rows receiver_part, mote_rows sender_part,
                      const float *length, mote_rows sender_factor, float *sum, int sum_stride,
                      mote_buffer *scratch);

  /* Fills row_offsets (senders + 1) and edge (capacity) of a mote_sent; what is behind the last edge there is
     no edge. */
  mote_status (*group)(mote_stream *stream, const mote_edges *edges, int64_t senders, int32_t *row_offsets,
                       int32_t *edge, mote_buffer *scratch);

  /* The reverse of pass. `state` is what it was before the pass. d_sum (receivers) is the gradient by `sum`;
     d_state (capacity, in of layer[0]), or NULL, holds the gradient by the state after the pass where the
     block updates it, and becomes that by the state before: W_e^T ... is added to what is there. Adds to the
     weights' gradients, to d_length (capacity) unless NULL, and to the sinks; `sent` may be NULL if no sink
     is of senders. Weight gradients are summed as in dense.mlp_backward, chunks being ranges of
     MOTE_GRADIENT_ROWS edges; what receivers and senders get in the order of their edges. */
  mote_status (*pass_backward)(mote_stream *stream, const mote_edges *edges, const mote_sent *sent,
                               const mote_message_block *block, const mote_arena *arena, const float *state,
                               mote_rows receiver_part, mote_rows sender_part, const float *length,
                               mote_rows sender_factor, mote_rows d_sum, float *d_state,
                               mote_sink d_receiver_part, mote_sink d_sender_part, mote_sink d_sender_factor,
                               float *d_length, mote_buffer *scratch);
};

#ifdef __cplusplus
}
#endif
#endif
