/* A stepper's inside, for its own files and for rollouts. */
#ifndef MOTE_MODELS_STEPPER_H
#define MOTE_MODELS_STEPPER_H

#include "host/graph/graph.h"
#include "host/models/network.h"
#include "kernels/feature/feature.h"
#include "kernels/pair/pair.h"

#ifdef __cplusplus
extern "C" {
#endif

struct mote_stepper {
  const mote_model *model;
  mote_device *device;
  mote_stream *stream, *side; /* side: of the latent part's searches, beside the layers before it */
  int64_t count;
  int prescribed, started;
  float radius;
  mote_node_features features;
  mote_integration integration;
  mote_pair_forces forces; /* where the model decodes pairs */
  mote_graph *graph;
  mote_replay replay;
  int planned;    /* sizes are known: steps are recorded and replayed */
  int64_t issued; /* steps since the start */
  mote_buffer history, type, goal, next, acceleration, state;
  mote_buffer feature, edge_feature, length, propagation, edge, sum, h[2], wall, pair;
  mote_buffer rest, rest_length; /* (n, dim); (capacity), where the model looks at it */
  mote_interaction_room room;
  mote_latent_room latent;
};

/* Positions now and the step's state, in device memory. */
float *mote_stepper_position(const mote_stepper *stepper);

/* Waits, and makes up for steps that the device left undone since its graphs had outgrown their room. */
mote_status mote_stepper_settle(mote_stepper *stepper);

#ifdef __cplusplus
}
#endif
#endif
