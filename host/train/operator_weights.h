/* An operator's weights while they are trained, in host memory: they are few. */
#ifndef MOTE_TRAIN_OPERATOR_WEIGHTS_H
#define MOTE_TRAIN_OPERATOR_WEIGHTS_H

#include "host/core/device.h"
#include "host/models/operator.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_operator_weights {
  mote_operator *model;   /* owned: current weights */
  mote_operator *average; /* owned: their running mean, which is what is validated and saved */
  float *first, *second;  /* Adam's moments */
  int64_t size;           /* parameters in all */
} mote_operator_weights;

/* Model and average are there; makes the rest. */
mote_status mote_operator_weights_prepare(mote_operator_weights *weights);
void mote_operator_weights_free(mote_operator_weights *weights);

/* Clips the gradient (size) to the norm `limit` (0: not) and takes Adam's step number `step`, counted from 1;
   then average = decay * average + (1 - decay) * weights. MOTE_ERROR_NUMERIC: the gradient is not finite. */
mote_status mote_operator_weights_update(mote_operator_weights *weights, mote_device *device,
                                         const float *gradient, double limit, double rate, int64_t step,
                                         double decay);

#ifdef __cplusplus
}
#endif
#endif
