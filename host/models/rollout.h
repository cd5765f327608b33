/* A rollout's inside: what was read, what is being stepped, and where it goes. */
#ifndef MOTE_MODELS_ROLLOUT_H
#define MOTE_MODELS_ROLLOUT_H

#include <mote/rollout.h>
#include <mote/trajectory.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_rollout_state {
  mote_trajectory_reader *reader;
  mote_trajectory_writer *writer;
  mote_metadata metadata; /* of the input */
  mote_model *model;
  int trajectory, trajectories; /* which of the input's; how many it has */
  int stopped;                  /* whoever watches has ended it */
  /* Of the trajectory at hand: */
  mote_trajectory_info info;
  mote_stepper *stepper;
  mote_operator *learned;
  mote_reconstruction *reconstruction;
  int frames, kinematic; /* frames of a history; whether any stepped particle is kinematic */
  int writes_all;        /* all particles, else the stepped ones */
  int64_t stepped;
  double frame_seconds;
  float *dense, *history; /* a frame of all particles; (frames, stepped, dim) */
  float *goal;            /* last and next positions of the stepped ones: (2, stepped, dim) */
  int32_t *chosen;        /* (stepped), of all particles */
  int32_t *type, *expert; /* (stepped) */
  int32_t *labels;        /* three rows of all particles */
  int64_t pending;        /* the frame whose reconstruction is under way and not written yet; -1: none */
  double pending_seconds; /* that the host has spent on it */
} mote_rollout_state;

/* Opens the input. */
mote_status mote_rollout_open(mote_rollout_state *s, const mote_rollout_job *job);

/* Chooses the trajectory's sparse set, and reads history and types. */
mote_status mote_rollout_begin(mote_rollout_state *s, const mote_rollout_job *job,
                               const mote_model_info *model);

/* Starts the output with the first trajectory, and goes on to the next one with others. */
mote_status mote_rollout_start_writer(mote_rollout_state *s, const char *output);

/* The stepped rows of a frame of all particles. */
void mote_rollout_gather(const mote_rollout_state *s, const float *dense, float *sparse);

#ifdef __cplusplus
}
#endif
#endif
