/* What a training of a time-stepper keeps between steps. */
#ifndef MOTE_TRAIN_STEPPER_TRAINER_H
#define MOTE_TRAIN_STEPPER_TRAINER_H

#include <mote/stepper.h>
#include <mote/train.h>

#include "host/models/tape.h"
#include "host/train/metrics.h"
#include "host/train/stepper_run.h"
#include "host/train/weights.h"
#include "host/train/window.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Who works out examples: on the CPU one a thread, each with a device of one thread, so that a batch goes in
   parallel without barriers; one elsewhere. */
typedef struct mote_stepper_worker {
  mote_device *device; /* owned on the CPU only */
  mote_stream *stream;
  mote_trajectory_reader *reader;
  mote_window window;
  int tapes; /* 1, or one a step where the gradient goes through all of them */
  mote_tape *tape;
  mote_buffer *history; /* (tapes) before each step */
  mote_buffer rest, type, goal, next, target, d_velocity, d_place, d_acceleration, d_history, loss, state,
      scratch;
  mote_buffer identity, per_deviation; /* (values): k; 1 / deviation of the value's axis */
  float *frames, *targets;             /* host memory, (2, particles, dim) and (particles, dim) */
  int64_t room;
  mote_status status;
  char message[512];
} mote_stepper_worker;

typedef struct mote_stepper_trainer {
  mote_stepper_run run;
  mote_metadata metadata; /* of the data; with symmetry, of all images of them */
  mote_symmetry symmetry;
  mote_integration integration;
  mote_device *device;
  mote_trained_weights weights;
  int workers;
  mote_stepper_worker *worker;
  mote_buffer *gradient, *shared; /* (batch) of each example */
  double *loss;                   /* (batch) */
  char *train_path, *valid_path;  /* valid_path NULL: there is none */
  const char *folder;
  int64_t step, samples;
  double best;               /* validation error of the model that was kept, m */
  double loss_sum, norm_sum; /* of the steps since the last row of metrics */
  int64_t since_row;
  mote_metrics *metrics;
} mote_stepper_trainer;

/* All but the folder's files. To be closed on failure too. */
mote_status mote_stepper_trainer_open(const char *run, const char *folder, const mote_train_options *options,
                                      mote_stepper_trainer *trainer);
void mote_stepper_trainer_close(mote_stepper_trainer *trainer);

/* One step of the optimiser on a batch: `loss` is its mean. */
mote_status mote_stepper_trainer_step(mote_stepper_trainer *trainer, double *loss, double *norm);

/* The loss's gradient of one example, into the trainer's gradient[slot] and shared[slot], its loss into
   loss[slot]. */
mote_status mote_stepper_trainer_example(mote_stepper_trainer *trainer, mote_stepper_worker *worker,
                                         uint64_t number, int slot);

/* The averaged weights on the validation split: the mean of the one-step loss, and of the position error of
   rollouts, m. A rollout that diverges counts with the size of the domain. */
mote_status mote_stepper_trainer_validate(mote_stepper_trainer *trainer, double *loss, double *error);

/* The model's folder: config.json, model.safetensors with the averaged weights, metadata.json. */
mote_status mote_stepper_trainer_save_model(mote_stepper_trainer *trainer, const char *folder);

/* FOLDER/state.safetensors */
mote_status mote_stepper_trainer_save_state(mote_stepper_trainer *trainer);
mote_status mote_stepper_trainer_load_state(mote_stepper_trainer *trainer);

#ifdef __cplusplus
}
#endif
#endif
