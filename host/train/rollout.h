/* The operator rolled out along an example, and the gradient of its accumulated error.

   The trick is what the loss looks at. Correcting each frame for itself makes rollouts worse, for the points
   leave the distribution that they were trained on; so the error that has come together since the first frame
   is what is held against the truth, and its gradient goes back along the points' paths. Goes back, too, what
   the tracers do: to their kin's points and, through the fit, to the field. The network's inputs and the
   coarser levels are held constant (a semi-gradient). */
#ifndef MOTE_TRAIN_ROLLOUT_H
#define MOTE_TRAIN_ROLLOUT_H

#include "host/models/operator.h"
#include "host/models/reconstruction.h"
#include "host/train/examples.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_rollout {
  const mote_example *example;
  mote_reconstruction *reconstruction;
  /* (frames, count, dim) in device memory: */
  mote_buffer sparse, truth, shown, error;
  mote_buffer
      path; /* the dense points that go on from frame to frame and, behind them in a row, the tracers */
  mote_buffer kin_start, kin_entry; /* of each sparse particle the points that it is kin of */
  double *rms;                      /* (frames) m, error of the dense particles, in host memory */
  mote_buffer slope;                /* (frames, sparse_count, dim): see mote_rollout_backward_to_sparse */
} mote_rollout;

/* `learned` with `corrects` 0: the unlearned operator of the same settings. */
mote_status mote_rollout_create(mote_device *device, const mote_example *example,
                                const mote_operator *learned, int corrects, mote_rollout *rollout);
void mote_rollout_free(mote_rollout *rollout);

/* Fills path, shown, error and rms. */
mote_status mote_rollout_forward(mote_rollout *rollout);

/* Loss: the mean over frames of rms / scale; `scale` (frames) m. gradient (experts, MOTE_PARAMETERS), host
   memory, is set. */
mote_status mote_rollout_backward(mote_rollout *rollout, const double *scale, double *loss, float *gradient);

/* The same, and `slope`: the loss's slope by where the sparse particles are in each frame, through their
   increments, all levels of the fits and the drifts of the tracers. Held constant: where increments are
   splatted, the correction's inputs and the fields that it weighs, kin, weights of drifts, free flight, and
   the bounds. */
mote_status mote_rollout_backward_to_sparse(mote_rollout *rollout, const double *scale, double *loss,
                                            float *gradient);

/* Adds the network's inputs at every `stride`-th frame to sums (experts, 2, MOTE_FEATURES) of values and
   squares, and the nodes' weights to count (experts). Needs a forward pass of a rollout that corrects. */
mote_status mote_rollout_observe(mote_rollout *rollout, int stride, double *sums, double *count);

#ifdef __cplusplus
}
#endif
#endif
