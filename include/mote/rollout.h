/* From trajectory to trajectory with a learned time-stepper: a single step, and rollouts of a sparse set with
   the reconstruction of all particles. */
#ifndef MOTE_ROLLOUT_H
#define MOTE_ROLLOUT_H

#include <mote/log.h>
#include <mote/operator.h>
#include <mote/sample.h>
#include <mote/stepper.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- One step ---- */

typedef struct mote_step_job {
  const char *model;    /* a folder with config.json and model.safetensors */
  const char *metadata; /* metadata.json with statistics, bounds and radius; NULL: the one in the folder */
  const char *input;    /* a trajectory; its last frames are the history; at rest it was in its first */
  const char *output;   /* HDF5 with normalized_acceleration and next_position (n, dim); NULL: none */
  double radius;        /* m; 0: the metadata's */
  int repeats;          /* steps from the same history, for timing; 0: 1 */
} mote_step_job;

typedef struct mote_step_summary {
  int64_t particles, edges;      /* edges: self-loops included */
  double seconds, first_seconds; /* median of the steps after the first; the first, which plans */
} mote_step_summary;

/* Errors as in mote/stepper.h and mote/trajectory.h. */
mote_status mote_step_trajectory(mote_device *device, const mote_step_job *job, mote_step_summary *summary);

/* ---- Rollouts ---- */

typedef struct mote_rollout_job {
  const char *model, *metadata; /* as above */
  const char
      *input;         /* trajectories, all of which are rolled out: the first frames of each are its history,
                         and  it tells where kinematic particles go (beyond its end they keep their velocity) */
  const char *output; /* trajectories to write, of the input's names: the history's frames, then the
                         rollout's */
  mote_sample_options sampling; /* the sparse set, chosen on the first frame; count and ratio 0: all particles
                                   are stepped and nothing is reconstructed */
  int reconstructs;             /* 0: only the sparse particles are written */
  const char *operator_folder;  /* a trained operator; NULL: without learning */
  int64_t steps;                /* 0: as many as the input has frames behind the history */
  int every;                    /* 1: every frame is reconstructed and written; k: every k-th */
  double radius;                /* m; 0: the metadata's */
} mote_rollout_job;

typedef struct mote_rollout_summary {
  int64_t particles, stepped;               /* of the last trajectory */
  int64_t steps, frames;                    /* in all; frames written, the histories' included */
  int64_t edges;                            /* of the last step */
  double step_seconds, reconstruct_seconds; /* that the host waited for each, in all (on a GPU the two
                                               overlap); without the first of each, which plan and record (but
                                               with those of later trajectories) */
  double first_step_seconds, first_reconstruct_seconds;
  int64_t reconstructed; /* frames */
} mote_rollout_summary;

/* MOTE_ERROR_NUMERIC: the rollout diverged; the output then holds the frames before. Other errors leave
 * nothing. */
mote_status mote_rollout_trajectory(mote_device *device, const mote_rollout_job *job,
                                    const mote_monitor *monitor, mote_rollout_summary *summary);

#ifdef __cplusplus
}
#endif
#endif
