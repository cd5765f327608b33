/* GNS (Sanchez-Gonzalez et al. 2020, arXiv 2002.09405) as geoelements/gns saves it: what a checkpoint's
   tensors say of the network. */
#ifndef MOTE_MODELS_GNS_CONVERT_H
#define MOTE_MODELS_GNS_CONVERT_H

#include <cjson/cJSON.h>
#include <mote/convert.h>
#include "host/io/torch_archive.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_gns_shape {
  int layers, width, mlp_layers; /* of message passing; of all networks; hidden, a network */
  int dim, history;              /* velocities that a particle comes with */
  int particle_types, type_width;
} mote_gns_shape;

/* Derives the shape from the tensors and checks every one against it; errors name the first tensor that is
   missing, contradicts, or is no part of a GNS. MOTE_ERROR_UNSUPPORTED: one with a material property. */
mote_status mote_gns_recognise(const mote_torch *archive, mote_gns_shape *shape);

/* Its config.json: architectures ["LearnedSimulator"], the shape, and what the options say of its training.
   The caller frees it with cJSON_Delete; NULL when memory is out. */
cJSON *mote_gns_config(const mote_gns_shape *shape, const mote_model_convert_options *options);

#ifdef __cplusplus
}
#endif
#endif
