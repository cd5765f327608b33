/* How a model's numbers relate to metres: the columns of node features and their scales, and the way from a
   normalised acceleration to the next frame. By the statistics of the data that it was trained on. */
#ifndef MOTE_MODELS_SCALING_H
#define MOTE_MODELS_SCALING_H

#include "host/models/network.h"
#include "kernels/feature/feature.h"
#include "kernels/pair/pair.h"

#ifdef __cplusplus
extern "C" {
#endif

/* MOTE_ERROR_ARGUMENT where the metadata are of another dimension, have no statistics or none that can be. */
mote_status mote_model_check_metadata(const mote_model *model, const mote_metadata *metadata);

void mote_model_features(const mote_model *model, const mote_metadata *metadata, float radius,
                         mote_node_features *features);
void mote_model_integration(const mote_model *model, const mote_metadata *metadata,
                            mote_integration *integration);
/* Of a model that decodes pairs: walls act as far as the features of nodes see them, and free flight is the
   metadata's gravity. */
void mote_model_pair_forces(const mote_model *model, const mote_metadata *metadata, float radius,
                            mote_pair_forces *forces);

#ifdef __cplusplus
}
#endif
#endif
