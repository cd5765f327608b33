/* Training from a file: RUN.yaml says what, on which trajectories and how long. */
#ifndef MOTE_TRAIN_H
#define MOTE_TRAIN_H

#include <stdint.h>
#include <mote/log.h>
#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `from`: of an operator the kinds of matter that are in the data, too; a time-stepper like the run's; not of
   a joint training, whose run names two. */
typedef struct mote_train_options {
  const char *device; /* NULL: "auto" */
  int threads;        /* CPU threads, one example of a batch each; 0: all. The result does not depend on it */
  const char *from;   /* folder of a trained model to begin with; NULL: none */
  int resume;         /* go on from the folder's state.safetensors; the same bits as without the break */
  int64_t seed;       /* added to the run's own */
  double minutes;     /* stop after so long, at a whole step, state saved; 0: no limit */
} mote_train_options;

typedef struct mote_train_summary {
  int64_t steps, parameters, samples; /* samples: examples seen; not of an operator alone */
  double seconds;
  /* Of the model that was kept; NaN without validation. Operators: mean relative L2 error on the validation
     trajectories, learned over unlearned; 1 is no gain. Time-steppers: mean position error of rollouts, m,
     and so of a joint training, but of the dense particles; of a constitutive one the root of the mean
     squared distance over its trajectory, m. */
  double validation;
} mote_train_summary;

/* Trains into `folder`: config.json and model.safetensors of the best model so far, state.safetensors to go
   on from, metrics.csv, metrics.png and event files for TensorBoard. Kind "operator" is the learned
   correction of the reduced-order operator, kind "stepper" a time-stepper (GIOROM or GNS), which also gets
   metadata.json and, in last/, the latest model. Kind "joint" tunes one of each together through rollouts;
   their folders are stepper/ and operator/ in `folder`, and in last/. Kind "constitutive" learns a neural law
   from a trajectory, or finds parameters, which identified.json then has. The keys of RUN.yaml are told in
   scripts/train/README.md. */
mote_status mote_train(const char *run, const char *folder, const mote_train_options *options,
                       const mote_monitor *monitor, mote_train_summary *summary);

#ifdef __cplusplus
}
#endif
#endif
