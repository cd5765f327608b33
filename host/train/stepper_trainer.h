/* What a training of a time-stepper keeps between steps. */
#ifndef MOTE_TRAIN_STEPPER_TRAINER_H
#define MOTE_TRAIN_STEPPER_TRAINER_H

#include <mote/stepper.h>
#include <mote/train.h>

#include "host/io/safetensors.h"
#include "host/models/tape.h"
#include "host/train/metrics.h"
#include "host/train/stepper_run.h"
#include "host/train/weights.h"
#include "host/train/window.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Who works out examples, one a host thread: a batch goes in parallel without barriers, and a GPU has the
   next example's kernels while one waits for the size of its graph. The only one of a batch of one has all
   threads for its device. */
typedef struct mote_stepper_worker {
  mote_device *device; /* its own */
  mote_stream *stream;
  mote_trajectory_reader *reader;
  mote_window window;
  int tapes;                /* 1, or one a step where the gradient goes through all of them */
  mote_tape_room tape_room; /* of them all */
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

typedef struct mote_stepper_trainer mote_stepper_trainer;

/* What a kind of training that a time-stepper takes part in does in its own way. */
typedef struct mote_stepper_task {
  /* The loss's gradient of one example, into the trainer's gradient[slot] and shared[slot], its loss into
     loss[slot]. */
  mote_status (*example)(mote_stepper_trainer *trainer, mote_stepper_worker *worker, uint64_t number,
                         int slot);
  /* What else is learned, after the time-stepper's weights; `decay` of running means. NULL: nothing. */
  mote_status (*update)(mote_stepper_trainer *trainer, double decay);
  /* The averaged weights on a trajectory of the validation split: see mote_stepper_trainer_validate. */
  mote_status (*check)(mote_stepper_trainer *trainer, int trajectory, double *loss, double *error);
  mote_status (*save_model)(mote_stepper_trainer *trainer, const char *folder);
} mote_stepper_task;

#define MOTE_MORE_STATE 8

struct mote_stepper_trainer {
  const mote_stepper_task *task;
  void *owner; /* the task's own */
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
  mote_tensor more[MOTE_MORE_STATE]; /* float32 rows in host memory that are part of the state, too */
  int more_count;
};

/* All but the folder's files. To be closed on failure too. */
mote_status mote_stepper_trainer_open(const char *run, const char *folder, const mote_train_options *options,
                                      mote_stepper_trainer *trainer);
/* The same where task, owner, folder and run are set and the rest is 0; `from` as in mote_train_options. */
mote_status mote_stepper_trainer_begin(mote_stepper_trainer *trainer, const mote_train_options *options,
                                       const char *from);
/* `count` floats in host memory, which outlive the trainer, become part of its state. */
void mote_stepper_trainer_remember(mote_stepper_trainer *trainer, const char *name, const float *data,
                                   int64_t count);
void mote_stepper_trainer_close(mote_stepper_trainer *trainer);

/* The folder's files, and the loop. */
mote_status mote_stepper_trainer_run(mote_stepper_trainer *trainer, const mote_train_options *options,
                                     const mote_monitor *monitor, mote_train_summary *summary);

/* One step of the optimiser on a batch: `loss` is its mean. */
mote_status mote_stepper_trainer_step(mote_stepper_trainer *trainer, double *loss, double *norm);

/* The task's example of a time-stepper alone. */
mote_status mote_stepper_trainer_example(mote_stepper_trainer *trainer, mote_stepper_worker *worker,
                                         uint64_t number, int slot);

/* An example in its parts, for workers with a tape a step: draws the window and clears what the slot sums up;
   all steps, kept, and unless NULL `places` (steps, particles, dim; device memory) that they lead to; the way
   back, with the steps' own losses, each of weight `share` (0: none), and what `slope` (as places, NULL:
   nothing) says of the rest of the loss. */
mote_status mote_stepper_example_begin(mote_stepper_trainer *trainer, mote_stepper_worker *worker,
                                       uint64_t number, int slot);
mote_status mote_stepper_unroll(mote_stepper_trainer *trainer, mote_stepper_worker *worker, float *places);
mote_status mote_stepper_unroll_backward(mote_stepper_trainer *trainer, mote_stepper_worker *worker, int slot,
                                         double share, const float *slope);

/* The averaged weights on the validation split: the mean of the one-step loss, and of the position error of
   rollouts, m. A rollout that diverges counts with the size of the domain. */
mote_status mote_stepper_trainer_validate(mote_stepper_trainer *trainer, double *loss, double *error);

/* A rollout of a trajectory's sparse set, always the same, by the averaged weights; all zero but for the
   trainer and its open reader to begin with. */
typedef struct mote_stepper_check {
  mote_stepper_trainer *trainer;
  mote_trajectory_reader *reader; /* owned */
  mote_stepper *stepper;
  int prescribed; /* some particles are kinematic */
  mote_window window;
  float *answer; /* (particles, dim) */
} mote_stepper_check;

/* From the true history that begins at a frame; again for another one of the same trajectory. */
mote_status mote_stepper_check_begin(mote_stepper_check *check, int trajectory, int64_t frame, int steps);
/* To the window's frame behind `step`. */
mote_status mote_stepper_check_advance(mote_stepper_check *check, int step);
void mote_stepper_check_free(mote_stepper_check *check);
mote_status mote_stepper_trainer_check(mote_stepper_trainer *trainer, int trajectory, double *loss,
                                       double *error);

/* The model's folder: config.json, model.safetensors with the averaged weights, metadata.json. */
mote_status mote_stepper_trainer_save_model(mote_stepper_trainer *trainer, const char *folder);

/* FOLDER/state.safetensors */
mote_status mote_stepper_trainer_save_state(mote_stepper_trainer *trainer);
mote_status mote_stepper_trainer_load_state(mote_stepper_trainer *trainer);

#ifdef __cplusplus
}
#endif
#endif
