/* A step of training: examples in parallel, their gradients added in their order. */
#include <omp.h>
#include <stdio.h>

#include "host/core/error.h"
#include "host/train/stepper_trainer.h"

/* An error's text is its thread's: kept for the one that reports. */
static void note(mote_stepper_worker *w, mote_status status) {
  if (status == MOTE_OK || w->status != MOTE_OK) return;
  w->status = status;
  snprintf(w->message, sizeof w->message, "%s", mote_last_error());
}

static mote_status examples(mote_stepper_trainer *t) {
  int batch = (int)t->run.batch;
  for (int k = 0; k < t->workers; k++) t->worker[k].status = MOTE_OK;
#pragma omp parallel for num_threads(t->workers) schedule(dynamic, 1)
  for (int b = 0; b < batch; b++) {
    mote_stepper_worker *w = &t->worker[omp_get_thread_num()];
    if (w->status == MOTE_OK) note(w, t->task->example(t, w, (uint64_t)(t->step * batch + b), b));
  }
  for (int k = 0; k < t->workers; k++)
    if (t->worker[k].status != MOTE_OK) return mote_fail(t->worker[k].status, "%s", t->worker[k].message);
  return MOTE_OK;
}

mote_status mote_stepper_trainer_step(mote_stepper_trainer *t, double *loss, double *norm) {
  int batch = (int)t->run.batch;
  float *gradient[batch], *shared[batch];
  mote_optimizer optimizer = t->run.optimizer;
  double ema = t->run.ema, warm = (1.0 + (double)t->step) / (10.0 + (double)t->step);
  MOTE_TRY(mote_trained_weights_pack(&t->weights));
  MOTE_TRY(mote_stream_synchronize(t->weights.stream));
  MOTE_TRY(examples(t));
  *loss = 0;
  for (int b = 0; b < batch; b++) {
    gradient[b] = t->gradient[b].data;
    shared[b] = t->shared[b].data;
    *loss += t->loss[b];
  }
  MOTE_TRY(mote_trained_weights_gather(&t->weights, batch, gradient, shared));
  optimizer.rate = (float)mote_schedule_rate(&t->run.schedule, t->step);
  optimizer.step = t->step + 1;
  if (ema > warm) ema = warm; /* a mean over few steps forgets its beginning */
  MOTE_TRY(mote_trained_weights_update(&t->weights, &optimizer, t->run.clip, ema, norm));
  if (t->task->update) MOTE_TRY(t->task->update(t, ema));
  t->step++;
  t->samples += batch;
  return MOTE_OK;
}
