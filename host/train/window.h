/* Examples for a time-stepper: a window of frames of a sparse set of a trajectory's particles, with the
   random walk of noise that makes a rollout's own errors familiar (Sanchez-Gonzalez et al. 2020).

   The trick: an example is a function of the run's seed and its own number alone; so a run that was broken
   off goes on with the very examples that would have come, and threads do not matter. */
#ifndef MOTE_TRAIN_WINDOW_H
#define MOTE_TRAIN_WINDOW_H

#include <mote/sample.h>
#include <mote/trajectory.h>

#include "host/train/symmetry.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_window_options {
  int frames;                    /* of the history */
  int steps;                     /* frames behind it that are stepped to, at least 1 */
  int64_t within;                /* the first frames of a trajectory that windows are of; 0: all */
  double noise;                  /* m a frame: deviation of the last velocity of the history; 0: none */
  mote_sample_method method;     /* of the sparse set, which is drawn anew for each example */
  int64_t least, most;           /* particles of it: uniform between, and never more than there are */
  const mote_symmetry *symmetry; /* NULL: none; else an image that the number chooses */
  uint64_t seed;
} mote_window_options;

typedef struct mote_window {
  int64_t particles;
  int dim, frames, steps;
  int trajectory; /* and where in it the window begins */
  int64_t begin;
  float *truth;   /* (frames + steps, particles, dim) m, without noise */
  float *rest;    /* (particles, dim) m, the trajectory's first frame */
  float *history; /* (frames, particles, dim) m, with noise */
  int32_t *type;  /* (particles) */
  int32_t *index; /* (particles) of the trajectory's particles */
  int64_t room;   /* floats that truth has room for; grows */
  float *first;   /* (all particles, dim) the trajectory's first frame */
  float *frame;   /* (all particles, dim) */
  int64_t first_room;
} mote_window;

/* How many trajectories an open file has, and how many windows in all. MOTE_ERROR_FORMAT: one is too short,
   or there is none. */
mote_status mote_windows_count(mote_trajectory_reader *reader, const mote_window_options *options,
                               int64_t *trajectories, int64_t *windows);

/* Example `number` into a window (all zero is an empty one), whose memory is used again. MOTE_ERROR_FORMAT: a
   trajectory is too short. */
mote_status mote_window_draw(mote_trajectory_reader *reader, const mote_window_options *options,
                             uint64_t number, mote_window *window);

/* The window that begins at a frame of a trajectory, with the sparse set and noise of `number`. */
mote_status mote_window_read(mote_trajectory_reader *reader, const mote_window_options *options,
                             int trajectory, int64_t frame, uint64_t number, mote_window *window);
void mote_window_free(mote_window *window);

/* The target of the step to frame frames + step: the acceleration, normalised by `mean` and `deviation`, that
   takes the particles from `before` and `now` (particles, dim; the model's own or noisy) to the velocity that
   the truth has next, so that noise in the velocity is made good in one step. target (particles, dim). */
void mote_window_target(const mote_window *window, int step, const float *before, const float *now,
                        const float mean[3], const float deviation[3], float *target);

#ifdef __cplusplus
}
#endif
#endif
