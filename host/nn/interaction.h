/* What graph networks share: MLPs by their names, and the interaction layer (Battaglia et al. 2016;
   Sanchez-Gonzalez et al. 2020), whose first layers are split so that what depends on a node alone is
   computed once a node. */
#ifndef MOTE_NN_INTERACTION_H
#define MOTE_NN_INTERACTION_H

#include "host/nn/parameters.h"
#include "kernels/message/message.h"
#include "kernels/sparse/sparse.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How a family of checkpoints names the parts of an MLP with `linears` layers: printf formats with the MLP's
   name and, for layers, the layer's number times `stride`. */
typedef struct mote_mlp_names {
  const char *layer; /* "%s.layers.%d" */
  const char *norm;  /* "%s.layers.%d", the number behind the last layer's; or "%s.1" */
  int stride;
} mote_mlp_names;

/* An MLP of in -> hidden -> ... -> out with ReLU between, and LayerNorm behind where `normed`. */
typedef struct mote_mlp_shape {
  int in, hidden, out, linears, normed;
} mote_mlp_shape;
mote_status mote_mlp_read(mote_parameters *p, const mote_mlp_names *names, const char *name,
                          mote_mlp_shape shape, mote_mlp *mlp);

typedef struct mote_interaction {
  mote_mlp ends; /* W_receiver h + b and W_sender h, stacked */
  mote_message_block message;
  float state_scale; /* of the edge state in the first layer; 0 counts as 1 */
  mote_mlp node;
  int node_takes_sum_first; /* MLP_node[sum, h], else [h, sum] */
  int weighted;             /* messages by 1 / (1 + length) */
  int has_convolution;
  mote_mlp convolution;    /* S(h) = W (alpha h + (1 - alpha) P h) + b, P a propagation matrix or 0 */
  float propagation_share; /* 1 - alpha; 0: P is 0 and alpha is in the weights */
} mote_interaction;

/* `edge` and `node`: names of the MLPs, whose first layers take [h_receiver, h_sender, e] and
   [h, sum] (or the other order). */
mote_status mote_interaction_read(mote_parameters *p, const mote_mlp_names *names, const char *edge,
                                  const char *node, int width, int linears, mote_interaction *layer);

/* Buffers that layers of a width share; rows of nodes and edges. */
typedef struct mote_interaction_room {
  mote_buffer ends, convolved, scratch, sparse_scratch;
} mote_interaction_room;
mote_status mote_interaction_reserve(mote_interaction_room *room, mote_device *device, int64_t nodes,
                                     int width, int convolves);
void mote_interaction_room_free(mote_interaction_room *room);

/* One layer: from h (n, width) to `out` (n, width), another buffer; from the states `edge` to `updated`
   (capacity, width), which may be the same; `sum` (n, width): the messages' sums. `length` (capacity);
   `propagation` (capacity): P's values, or NULL. */
mote_status mote_interaction_run(mote_stream *stream, const mote_interaction *layer, const mote_edges *edges,
                                 int64_t n, const float *h, const float *edge, float *updated,
                                 const float *length, const float *propagation, mote_interaction_room *room,
                                 float *sum, float *out);

/* room->convolved (n, width) = alpha h + (1 - alpha) P h, where the layer's P is not 0. */
mote_status mote_interaction_propagate(mote_stream *stream, const mote_interaction *layer,
                                       const mote_edges *edges, int64_t n, int width, const float *h,
                                       const float *propagation, mote_interaction_room *room);

/* ---- The way back ---- */

/* Buffers of the reverse, which layers of a width share. */
typedef struct mote_interaction_reverse {
  mote_buffer d_ends, d_sum, d_seen, scratch, sparse_scratch;
} mote_interaction_reverse;
void mote_interaction_reverse_free(mote_interaction_reverse *reverse);

/* What mote_interaction_run() was given, `edge` before its update, and the sums that it made. */
typedef struct mote_interaction_record {
  const mote_edges *edges;
  const mote_sent *sent;
  int64_t n;
  const float *h, *edge, *length, *propagation, *sum;
} mote_interaction_record;

/* The reverse of mote_interaction_run(): from d_out (n, width) adds to d_h (n, width) and to the weights'
   gradients; d_edge as d_state of message.pass_backward. d_length (capacity), or NULL, is added to. P, of a
   symmetric graph, is its own transpose. */
mote_status mote_interaction_backward(mote_stream *stream, const mote_interaction *layer,
                                      const mote_arena *arena, const mote_interaction_record *record,
                                      mote_interaction_room *room, mote_interaction_reverse *reverse,
                                      const float *d_out, float *d_edge, float *d_length, float *d_h);

#ifdef __cplusplus
}
#endif
#endif
