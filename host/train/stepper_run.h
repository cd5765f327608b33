/* RUN.yaml of kind "stepper": keys, defaults and checks. */
#ifndef MOTE_TRAIN_STEPPER_RUN_H
#define MOTE_TRAIN_STEPPER_RUN_H

#include <mote/sample.h>
#include <mote/trajectory.h>

#include "host/models/network_config.h"
#include "host/scene/document.h"
#include "host/train/schedule.h"
#include "kernels/optimize/optimize.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_stepper_run {
  char *data;                 /* folder of the data set, the path resolved against the run's own */
  int64_t frames;             /* of each trajectory, its first ones, that examples are of; 0: all */
  char *statistics;           /* folder whose metadata.json tells the model's scales; NULL: `data` */
  int has_model;              /* else the model is that of mote_stepper_run_take_model() */
  mote_network_config config; /* noise is that of `noise` below; as config.json will have it */
  int stops_at_reach;         /* the model's stop is the reach that the metadata tell */
  int any_dim;                /* the run does not tell the model's dim: it is the data's */
  double radius;              /* m, of the graph; 0: the data's default_connectivity_radius */
  /* The sparse set of each example. */
  mote_sample_method method;
  int64_t least, most;           /* particles */
  int symmetry;                  /* examples are shown in all images of the box (symmetry.h) */
  double noise;                  /* m a frame: deviation of the last velocity of the history */
  int64_t push_steps, push_from; /* frames that are stepped in an example, from that step of training on */
  int through; /* the gradient goes back through all of them, and each has its loss; else the last one's only
                */
  double position_weight; /* of the loss by position, beside 1 for the acceleration's */
  double huber; /* of normalised accelerations: particles farther off count by that; 0: by the square */
  int root;     /* an example counts by the root of its loss: flights beside impacts */
  int soap;     /* the optimizer is SOAP */
  mote_optimizer optimizer; /* rate and step are the schedule's and the trainer's */
  mote_schedule schedule;
  double clip; /* norm of the gradient; 0: not */
  double ema;  /* decay of the running mean of the weights; 0: the weights themselves */
  int64_t batch, steps, seed;
  int64_t validate_every, validate_frames, validate_trajectories; /* validate_frames 0: to the end */
  int64_t save_every;
  mote_precision precision;
  int64_t memory; /* MiB for the edge states of an example; 0: as much as they take */
} mote_stepper_run;

/* MOTE_ERROR_FORMAT names file, line and what was expected. */
mote_status mote_stepper_run_load(const char *path, mote_stepper_run *run);

/* What other kinds of run share: the defaults; data, particles, optimizer, validation, clip, ema, batch,
   steps, seed, save_every, memory and schedule. */
void mote_stepper_run_defaults(mote_stepper_run *run);
mote_status mote_stepper_run_read(const mote_map *map, mote_stepper_run *run);

/* The model of a folder, for a run that has none; the radius is that of its metadata.json, if it is there. */
mote_status mote_stepper_run_take_model(mote_stepper_run *run, const char *folder);

/* What the model takes from the data: dim, radius where the run gives none, the reach where it stops there,
   and the bounds as those of the latent grid. MOTE_ERROR_ARGUMENT: they do not go together. */
mote_status mote_stepper_run_fit(mote_stepper_run *run, const mote_metadata *metadata);
void mote_stepper_run_free(mote_stepper_run *run);

#ifdef __cplusplus
}
#endif
#endif
