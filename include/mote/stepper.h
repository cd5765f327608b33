/* Learned time-steppers: where particles go next, from where they have been. Models are folders with
   config.json and model.safetensors: GIOROM (Viswanath et al., arXiv 2407.03925), published checkpoints as
   they are, and GNS (Sanchez-Gonzalez et al. 2020). A stepper is a model at work on one set of particles.

   A step is a radius graph on the current positions, features from the history, the network's normalised
   acceleration a_hat, and a = a_hat * std + mean, v' = v + a, x' = x + v', lengths in m and times in frames.
   After the first step it neither allocates nor waits; on a GPU it is one recorded graph. */
#ifndef MOTE_STEPPER_H
#define MOTE_STEPPER_H

#include <stdint.h>

#include <mote/device.h>
#include <mote/trajectory.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_model mote_model;

/* Loads a folder to `device`, which must outlive the model. Refuses with the tensor's or the key's name:
   missing and superfluous tensors, other shapes and kinds of numbers, a config.json that contradicts the
   weights: MOTE_ERROR_FORMAT, MOTE_ERROR_UNSUPPORTED, MOTE_ERROR_IO. */
mote_status mote_model_load(mote_device *device, const char *folder, mote_model **model);
void mote_model_destroy(mote_model *model); /* NULL is allowed */

typedef struct mote_model_info {
  char architecture[16]; /* "giorom" or "gns" */
  int dim;
  int frames;        /* positions of a history: the window of velocities and one */
  int layers, width; /* interaction layers in all, and their width */
  int particle_types;
  int64_t parameters;
} mote_model_info;
void mote_model_get_info(const mote_model *model, mote_model_info *info);

typedef struct mote_stepper mote_stepper;

typedef struct mote_stepper_options {
  int64_t count;                 /* particles */
  const int32_t *particle_type;  /* (count), in [0, particle_types); NULL: 0. 3 is kinematic. Copied */
  const mote_metadata *metadata; /* bounds, statistics, connectivity radius. Copied */
  double radius;                 /* m; 0: the metadata's */
  int prescribed;                /* kinematic particles are told where to go; 0: they move as all others */
} mote_stepper_options;

/* The model must outlive the stepper. MOTE_ERROR_ARGUMENT: metadata without statistics, or with some that are
   no numbers of their kind, of another dim, bounds that are empty, a type beyond the model's, no radius.
   MOTE_ERROR_UNSUPPORTED: periodic boundaries. */
mote_status mote_stepper_create(const mote_model *model, const mote_stepper_options *options,
                                mote_stepper **stepper);
void mote_stepper_destroy(mote_stepper *stepper); /* NULL is allowed */

/* (Re)starts from `history` (frames, count, dim), m, oldest first. MOTE_ERROR_NUMERIC: a value is not finite.
 */
mote_status mote_stepper_start(mote_stepper *stepper, const float *history);

/* Where the particles, position (count, dim) m, were at rest: for a start that is not the motion's own.
   Without it, the history's first frame. Counts until the next start, and for models that look at lengths at
   rest alone (edge_rest_lengths of config.json). MOTE_ERROR_NUMERIC: not finite. */
mote_status mote_stepper_set_rest(mote_stepper *stepper, const float *position);

/* Enqueues a step. `prescribed` (count, dim): next positions, looked at for kinematic particles; NULL unless
   the options ask for it. */
mote_status mote_stepper_advance(mote_stepper *stepper, const float *prescribed);

/* Waits; `position` and `normalized_acceleration` (count, dim) of the last step, either may be NULL; before
   the first one the history's last frame, and zeros. MOTE_ERROR_NUMERIC: a particle became NaN or moved
   farther in a frame than the domain is wide; names the particle and the step. Nothing is written then. */
mote_status mote_stepper_read(mote_stepper *stepper, float *position, float *normalized_acceleration);

/* Edges of the radius graph of the last step, self-loops included; 0 before the first. Waits. */
mote_status mote_stepper_edge_count(mote_stepper *stepper, int64_t *edges);

/* Seconds that parts of a step take, measured between waits in a run of its own from where the particles are.
   The trajectory goes on as without it; what is read of accelerations and edges before the next step is
   that run's. */
typedef struct mote_stepper_phases {
  double features, graph, encode, layers, latent, decode;
} mote_stepper_phases;
mote_status mote_stepper_profile(mote_stepper *stepper, mote_stepper_phases *seconds);

#ifdef __cplusplus
}
#endif
#endif
