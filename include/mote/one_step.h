/* The one-step error of a time-stepper: from true histories, how far is the next frame off? It tells a
   model's own error apart from what builds up along a rollout. Trivial predictors stand beside it. */
#ifndef MOTE_ONE_STEP_H
#define MOTE_ONE_STEP_H

#include <mote/evaluate.h>
#include <mote/log.h>
#include <mote/sample.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_one_step_job {
  const char *model;    /* a folder with config.json and model.safetensors */
  const char *metadata; /* metadata.json with statistics, bounds and radius; NULL: the one in the folder */
  const char *input;    /* the truth: all its trajectories */
  double radius;        /* m; 0: the metadata's */
  mote_sample_options sampling; /* the particles that are there at all, chosen on the first frame; count and
                                   ratio 0: all */
  int64_t every;     /* a step from every such frame that has a history behind and a frame before it; 0: 1 */
  int has_gravity;   /* else the input's metadata's, else each history's mean second difference */
  double gravity[3]; /* m/s^2 */
} mote_one_step_job;

/* Over the particles that are not kinematic. */
typedef struct mote_one_step_errors {
  double acceleration; /* RMSE of (a - acc_mean) / acc_std, a component, a = x(f+1) - 2 x(f) + x(f-1); acc_std
                          with the model's noise as in its steps: about 1 for a guess of the mean */
  double rmse;         /* sqrt(mean |D_i - T_i|^2) of the next positions, m */
  double position;     /* mean |D_i - T_i|, m */
  double maximum;      /* m */
} mote_one_step_errors;

#define MOTE_ONE_STEP_ROWS (1 + MOTE_TRIVIALS) /* the model, then the trivial predictors */

typedef struct mote_one_step_trajectory {
  char name[64];
  int64_t particles, steps;
  int64_t *frame;                                   /* (steps): stepped to; owned */
  mote_one_step_errors (*step)[MOTE_ONE_STEP_ROWS]; /* (steps); owned */
  mote_one_step_errors mean[MOTE_ONE_STEP_ROWS];    /* over all steps and particles; the largest maximum */
} mote_one_step_trajectory;

typedef struct mote_one_step {
  char name[64];
  int trajectories;
  mote_one_step_trajectory *trajectory;          /* owned */
  mote_one_step_errors mean[MOTE_ONE_STEP_ROWS]; /* of the trajectories' */
  int best;                                      /* of mote_trivial, by the mean position error */
  double advantage;                              /* the best's / the model's */
  mote_gravity_source gravity_source;
} mote_one_step;

/* Errors as in <mote/stepper.h> and <mote/trajectory.h>; MOTE_ERROR_ARGUMENT: a trajectory that has no frame
   behind a history, or only kinematic particles. Asked to stop by the monitor, it keeps the steps it has. */
mote_status mote_one_step_evaluate(mote_device *device, const mote_one_step_job *job,
                                   const mote_monitor *monitor, mote_one_step *result);
void mote_one_step_destroy(mote_one_step *result);

/* An aligned table; free() the text. */
mote_status mote_one_step_table(const mote_one_step *result, char **text);
/* A row a step and predictor: trajectory,predictor,frame,acceleration,rmse,position,maximum. */
mote_status mote_one_step_write_csv(const mote_one_step *result, const char *path);

#ifdef __cplusplus
}
#endif
#endif
