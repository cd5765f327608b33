/* RUN.yaml of kind "constitutive": keys, defaults and checks; and the scene it names. */
#ifndef MOTE_TRAIN_CONSTITUTIVE_RUN_H
#define MOTE_TRAIN_CONSTITUTIVE_RUN_H

#include <mote/scene.h>

#include "host/models/neural_law.h"
#include "host/scene/document.h"
#include "host/train/schedule.h"
#include "host/train/search.h"
#include "kernels/optimize/optimize.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_UNKNOWNS MOTE_SEARCH_MOST

/* A number that is looked for: a parameter of a material, or a component of the velocity that a body begins
   with. It is found in the unit interval between its bounds, in their logarithms where both are positive. */
typedef struct mote_unknown {
  char name[128];  /* "jelly.youngs_modulus", "body 0.velocity.x" */
  int of_velocity; /* else of a material */
  int which;       /* material or body */
  int number;      /* mote_material_parameter or axis */
  double low, high, start;
} mote_unknown;

typedef struct mote_law_rate {
  double rate, clip; /* of Adam; the gradient's norm, 0: not clipped */
} mote_law_rate;

typedef struct mote_constitutive_run {
  char *trajectory;
  mote_scene scene;
  int finds_law; /* else unknowns */
  mote_neural_config law;
  int isotropic; /* what is restarted from is turned in the matter by chance */
  mote_law_rate elasticity, plasticity;
  int unknown_count;
  mote_unknown unknown[MOTE_UNKNOWNS];
  double position_weight, velocity_weight;
  double restart_from, restart_to; /* steps between restarts from the truth, in the beginning and the end */
  mote_optimizer optimizer;
  mote_schedule schedule; /* its rate is 1 */
  double ema;
  double noise;   /* m, added to the truth's positions */
  int64_t frames; /* of the trajectory, its first ones; 0: all */
  int64_t epochs, batch, validate_every, save_every, seed, memory;
} mote_constitutive_run;

/* MOTE_ERROR_FORMAT names file, line and what was expected. */
mote_status mote_constitutive_run_load(const char *path, uint64_t seed, mote_constitutive_run *run);
void mote_constitutive_run_free(mote_constitutive_run *run);

/* The name of a material's parameter as scenes have it; NULL: none has that number. */
const char *mote_unknown_parameter(int number);

#ifdef __cplusplus
}
#endif
#endif
