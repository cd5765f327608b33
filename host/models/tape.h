/* A time-stepper's evaluation that is kept, and its reverse: from a history to normalised accelerations, and
   from the loss's gradient by them to that by the weights.

   The trick: values of nodes are all kept; what edges compute, by far the most, as a budget of memory allows:
   all that stands between the layers of their networks (where the device takes it up), or their state before
   each message passing, or before some of them, and the rest is computed again from there. */
#ifndef MOTE_MODELS_TAPE_H
#define MOTE_MODELS_TAPE_H

#include "host/models/network.h"
#include "host/models/scaling.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What an evaluation or its reverse needs until it ends: tapes that go one after another share one. Zero to
 * begin with. */
typedef struct mote_tape_room {
  mote_interaction_room interaction;
  mote_interaction_reverse reverse;
  mote_latent_reverse latent_reverse;
  mote_buffer backward, scan, scratch;
} mote_tape_room;
void mote_tape_room_free(mote_tape_room *room);

typedef struct mote_tape {
  const mote_model *model;
  mote_stream *stream; /* not owned */
  float radius;
  size_t budget; /* bytes for what edges compute */
  mote_node_features features;
  mote_pair_forces forces; /* where the model decodes pairs */
  mote_graph *graph, *reached, *reaching;
  mote_buffer points, values, edge_memory, sent_memory, propagation; /* the memory */
  mote_tape_room *room;                                              /* not owned */

  /* The last evaluation. */
  int64_t n;
  mote_edges edges;
  mote_sent sent, sent_reached, sent_reaching;
  mote_latent_frame latent;
  float *feature, *edge_feature, *length, *rest_length;
  float *h[MOTE_INTERACTIONS + 2], *sum[MOTE_INTERACTIONS]; /* h[layers + has_latent] is decoded */
  float *state[MOTE_INTERACTIONS]; /* before layer l, for each l that is a multiple of `every`; then spares */
  float *now;
  int every;
  float *kept_in, *kept[MOTE_INTERACTIONS], *kept_out; /* of the edges' networks (mote_mlp.kept), or NULL */
  const int32_t *type;                                 /* (n), of the caller */
  const float *history;                                /* (frames, n, dim), of the caller */
  const float *rest;  /* (n, dim), of the caller, who may set it; NULL: the history's first frame */
  float *wall, *pair; /* (n, dim), (capacity, dim): the answers of nodes and edges, where pairs are decoded */
  float *acceleration; /* (n, dim) normalised */
} mote_tape;

/* The metadata have been checked. `budget` 0: as much as it takes. The room outlives the tape. */
mote_status mote_tape_create(const mote_model *model, mote_stream *stream, const mote_metadata *metadata,
                             double radius, size_t budget, mote_tape_room *room, mote_tape *tape);
void mote_tape_free(mote_tape *tape);

/* history (frames, n, dim) and type (n) in device memory, to be left alone until the reverse is done. Waits
   for the sizes of the graphs. */
mote_status mote_tape_forward(mote_tape *tape, int64_t n, const float *history, const int32_t *type);

/* From d_acceleration (n, dim) adds to the gradients of the arena, to d_shared (mote_latent_shared_floats())
   and to d_history (frames, n, dim) unless NULL. Of a graph, which pairs are in it is held constant. */
mote_status mote_tape_backward(mote_tape *tape, const mote_arena *arena, const float *d_acceleration,
                               float *d_shared, float *d_history);

/* The edges' networks of the evaluation, which keep their values. */
mote_mlp mote_tape_edge_in(const mote_tape *tape);
mote_mlp mote_tape_edge_out(const mote_tape *tape);
mote_interaction mote_tape_layer(const mote_tape *tape, int layer);

/* The edges' states before layer l are those before the layer that this tells: layers in between left them as
   they were. */
int mote_tape_made_by(const mote_tape *tape, int layer);

/* Bytes of device memory that the tape holds, without the room. */
size_t mote_tape_bytes(const mote_tape *tape);

#ifdef __cplusplus
}
#endif
#endif
