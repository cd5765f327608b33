/* A time-stepper's weights on a device. */
#ifndef MOTE_MODELS_NETWORK_H
#define MOTE_MODELS_NETWORK_H

#include <mote/stepper.h>

#include "host/models/latent.h"
#include "host/nn/interaction.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_INTERACTIONS 64

struct mote_model {
  mote_device *device;
  mote_stream *stream;
  mote_network_config config;
  mote_parameters parameters;
  const float *embedding; /* (types, type_width); NULL: types are no feature */
  mote_mlp node_in, edge_in, node_out;
  mote_mlp edge_out; /* of edges' states, where pairs are decoded */
  int layers;        /* before and after the latent part */
  mote_interaction layer[MOTE_INTERACTIONS];
  mote_latent latent;
};

/* A new model with random weights. */
mote_status mote_model_invent(mote_device *device, const mote_network_config *config, uint64_t seed,
                              mote_model **model);

/* The same two ways to a model that can be trained: its map of weights is kept. `run`, unless NULL: what the
   trained model must be, and what it takes from there (mote_network_config_take). */
mote_status mote_model_invent_to_train(mote_device *device, const mote_network_config *config, uint64_t seed,
                                       mote_model **model);
mote_status mote_model_load_to_train(mote_device *device, const char *folder, const mote_network_config *run,
                                     mote_model **model);

#ifdef __cplusplus
}
#endif
#endif
