/* Time-stepper and operator tuned together through a rollout.

   A window's sparse particles s are stepped K times by the time-stepper; from their motion alone the operator
   carries points x of the dense particles along, from where the truth has them at the history's end. The loss
   is

       1/K sum over k of rms |x_k - truth_k| / scale_k,
       scale_k = |deviation| max(k (k + 1) / 2, K (K + 1) / 10),

   in units of what a lasting error of one deviation of the data's accelerations would have come to by then;
   early frames, where that is little, count as a fifth of the last one. Beside it, the time-stepper's own
   losses may count.

   The trick: the operator's way back (rollout.h) leaves the loss's slope by each s_k, and where a step ends
   is the last frame of the history of the next; so the slopes are put there on the way back through the steps
   (stepper_trainer.h), which goes on as if the loss had been the time-stepper's own.

   Differentiated are: the operator's weights as in training it alone; the increments s_(k+1) - s_k through
   all levels of the fits, exactly, and through tracers and kin; the time-stepper's weights through all K
   steps. Held constant are: which pairs are in a graph; where increments are splatted; the inputs of the
   operator's network and the fields that it weighs; weights of kin and of drifts; free flight; the bounds. */
#ifndef MOTE_TRAIN_JOINT_H
#define MOTE_TRAIN_JOINT_H

#include "host/train/examples.h"
#include "host/train/joint_run.h"
#include "host/train/operator_weights.h"
#include "host/train/stepper_trainer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_joint_trainer {
  mote_joint_run run; /* its `stepper` is taken over by the trainer of that name */
  mote_stepper_trainer stepper;
  mote_operator_weights weights;
  float *gradient;     /* (batch, weights.size) of the operator's weights, of each example */
  mote_buffer *places; /* (workers) (unroll, particles, dim) */
} mote_joint_trainer;

/* All but the folder's files. To be closed on failure too. */
mote_status mote_joint_trainer_open(const char *run, const char *folder, const mote_train_options *options,
                                    mote_joint_trainer *trainer);
void mote_joint_trainer_close(mote_joint_trainer *trainer);

/* The task's example: also sets the operator's gradient of the slot. */
mote_status mote_joint_example(mote_stepper_trainer *stepper, mote_stepper_worker *worker, uint64_t number,
                               int slot);

/* The task's check: the mean of the loss on windows of a trajectory, and the dense particles' mean position
   error along a rollout of it, m. */
mote_status mote_joint_check(mote_stepper_trainer *stepper, int trajectory, double *loss, double *error);

/* m, what the error behind step k of `steps` is measured in. */
double mote_joint_scale(const mote_stepper_trainer *stepper, int64_t steps, int64_t k);

/* An example for the operator: `steps` frames behind the one where the window's history ends, of its sparse
   set and of some dense particles, chosen by `number`. `recording` is filled to go with it. Of the sparse
   particles only the first frame is set. Memory is the example's. */
mote_status mote_joint_dense(mote_trajectory_reader *reader, const mote_joint_trainer *trainer,
                             const mote_operator *learned, const mote_window *window, uint64_t number,
                             mote_recording *recording, mote_example *example);

#ifdef __cplusplus
}
#endif
#endif
