/* What a training of the operator keeps between steps. */
#ifndef MOTE_TRAIN_TRAINER_H
#define MOTE_TRAIN_TRAINER_H

#include <mote/train.h>

#include "host/train/metrics.h"
#include "host/train/operator_weights.h"
#include "host/train/rollout.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_TRAIN_DRAWS 8 /* different examples a recording is made into */

typedef struct mote_trainer {
  mote_run run;
  mote_recordings data, valid;
  mote_operator_weights weights;
  int64_t step;   /* steps done */
  double best;    /* validation of the model that was kept */
  double **scale; /* (recordings * draws): rms a frame of the unlearned operator, NULL until needed */
  int workers;
  mote_device **device; /* (workers) */
  const char *folder;
  mote_metrics *metrics;
} mote_trainer;

/* The expert of each material of a recording, -1 for those without. */
void mote_trainer_experts(const mote_operator *model, const mote_recording *recording,
                          int expert_of[MOTE_METADATA_MATERIALS]);

/* One optimiser step on a batch; `loss` is its mean. */
mote_status mote_trainer_step(mote_trainer *trainer, double *loss);

/* Means and deviations of the network's inputs, from unlearned rollouts. */
mote_status mote_trainer_observe(mote_trainer *trainer);

/* Mean over the validation recordings of learned over unlearned error. */
mote_status mote_trainer_validate(mote_trainer *trainer, double *ratio);

/* state.safetensors */
mote_status mote_trainer_save_state(const mote_trainer *trainer);
mote_status mote_trainer_load_state(mote_trainer *trainer);

#ifdef __cplusplus
}
#endif
#endif
