/* What a training tells of itself, step by step: metrics.csv, curves as metrics.png, and event files that
   TensorBoard reads, in one folder. */
#ifndef MOTE_TRAIN_METRICS_H
#define MOTE_TRAIN_METRICS_H

#include <stdint.h>
#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_metrics mote_metrics;

/* Of one row; NaN where it was not measured. */
typedef struct mote_metrics_row {
  int64_t step, samples;
  double seconds; /* since the training was opened; files have it on top of that of the rows before */
  double loss, rate, gradient_norm;
  double validation_loss;  /* the loss on the validation split: one-step of a time-stepper */
  double validation_error; /* m, of validation rollouts: mean position error */
} mote_metrics_row;

/* Begins, or with `step` > 0 goes on behind that step: later rows of a run that was broken off are cut, and
   so is what begins with a row or record that is broken. MOTE_ERROR_FORMAT: the folder's metrics.csv has
   other columns. */
mote_status mote_metrics_open(const char *folder, int64_t step, mote_metrics **metrics);

/* One write each to metrics.csv and the event file, so that a killed run leaves whole rows; where something
   was validated, the picture as well. */
mote_status mote_metrics_append(mote_metrics *metrics, const mote_metrics_row *row);

/* Writes the picture as well; NULL is allowed. */
mote_status mote_metrics_close(mote_metrics *metrics);

#ifdef __cplusplus
}
#endif
#endif
