/* A trained operator's inside. Weights lie as the kernels take them: see MOTE_PARAMETERS in correct.h. */
#ifndef MOTE_MODELS_OPERATOR_H
#define MOTE_MODELS_OPERATOR_H

#include <mote/operator.h>

#include "kernels/correct/correct.h"

#ifdef __cplusplus
extern "C" {
#endif

struct mote_operator {
  mote_operator_settings settings;
  int experts;
  char kind[MOTE_EXPERTS][32];
  float *parameters; /* (experts, MOTE_PARAMETERS) */
  float *norm;       /* (experts, 2, MOTE_FEATURES): mean, inverse deviation */
};

/* An operator with `experts` untrained networks: random weights (He et al. 2015), but a last layer of 0, so
   that it corrects nothing yet. */
mote_status mote_operator_create(const mote_operator_settings *settings, int experts, const char (*kind)[32],
                                 uint64_t seed, mote_operator **learned);

#ifdef __cplusplus
}
#endif
#endif
