/* The training of what matter is made of (NCLaw, Ma et al. 2023): a neural law, or the parameters of
   classical materials and the velocities that bodies begin with, from one trajectory, through the simulation.

   A piece of the trajectory is simulated from the truth on and compared with it at each frame,

       loss = mean over frames and particles of
                position |x - x*|^2 / h^2 + velocity |v - v*|^2 / rms(v*)^2,       h the grid's spacing,

   and its gradient goes back through all steps. An epoch goes through the whole trajectory, in pieces as long
   as the restarts from the truth say: short ones first, whose gradients are tame, then by a cosine longer
   ones, which feel what errors come to. Where the trajectory has no states to restart from, an epoch is the
   one piece that begins with the scene, and grows in the same way.

   The trick: pieces, their order and all rates are functions of seed and epoch, and an epoch ends with all it
   changed in the state, so that a resumed training goes on to the same bits. */
#ifndef MOTE_TRAIN_CONSTITUTIVE_H
#define MOTE_TRAIN_CONSTITUTIVE_H

#include <mote/train.h>

#include "host/train/constitutive_run.h"
#include "host/train/metrics.h"
#include "host/train/search.h"
#include "host/train/truth.h"
#include "host/train/weights.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_constitutive {
  mote_constitutive_run run;
  const char *folder;
  mote_device *device;
  mote_stream *stream;
  mote_truth truth;
  mote_unrolled unrolled;
  mote_buffer start, losses, gradient, scratch; /* start: the state that a piece begins with */
  double *loss;                                 /* (2 frames) on the host */
  float *turned;                                /* (n, dim, dim), the same */

  mote_neural_law *law, *average;
  mote_trained_weights weights;
  int64_t elastic_floats; /* of the weights, the first ones */

  /* Of the unknowns, in units of their intervals. */
  mote_search search;
  double kept[MOTE_UNKNOWNS];       /* the best so far, as validated */
  double by_unknown[MOTE_UNKNOWNS]; /* gradients of an epoch */
  mote_material *materials;         /* the scene's with the unknowns' values */

  int64_t epoch, updates, steps; /* steps: simulated there and back */
  int failures;                  /* pieces in a row that could not be simulated */
  double best;      /* m^2, of the whole trajectory; INFINITY: none could be simulated to its end yet */
  double untrained; /* the same in the beginning, as mote_constitutive_validate() counts */
  mote_metrics *metrics;
} mote_constitutive;

/* Everything up to the first epoch; `t` is zero but for the folder. To be closed on failure too. */
mote_status mote_constitutive_open(mote_constitutive *t, const char *run, const mote_train_options *options,
                                   const mote_monitor *monitor);
void mote_constitutive_close(mote_constitutive *t);

/* A stretch of frames: simulated from `begin` on and compared at those behind it, up to `end`. */
typedef struct mote_piece {
  int64_t begin, end;
} mote_piece;

/* ---- pieces (constitutive_piece.c) ---- */

/* How many frames the pieces of an epoch have, of `frames` - 1 at most. */
int64_t mote_constitutive_length(const mote_constitutive *t, int64_t epoch);

/* The pieces of an epoch in their order, at most frames - 1; returns their number. */
int64_t mote_constitutive_pieces(const mote_constitutive *t, int64_t epoch, mote_piece *pieces);

/* There and back: the loss times `weight`, whose gradients are added to the law's arena or the unknowns. A
   piece that cannot be simulated is made shorter; `loss` NaN: there is nothing of it. */
mote_status mote_constitutive_piece(mote_constitutive *t, mote_piece *piece, double weight, double *loss);

/* The mean squared distance from the truth over all frames behind the first, m^2, of the averaged law or
   the unknowns' present values, from the first frame without a restart. `whole`: it could be simulated to
   its end; else it counts as if it had stopped there. */
mote_status mote_constitutive_validate(mote_constitutive *t, double *squared, int *whole);

/* ---- unknowns (constitutive_unknowns.c) ---- */

/* The value of an unknown at a place of the unit interval. */
double mote_unknown_value(const mote_unknown *unknown, double at);

/* Puts `at` into the simulation: materials, and the first state's velocities. */
mote_status mote_unknowns_apply(mote_constitutive *t, const double *at);
void mote_unknowns_begin(mote_constitutive *t);

/* Adds to by_unknown what the last way back found; `start`: gradients by the first state. */
mote_status mote_unknowns_gather(mote_constitutive *t, const mote_unrolled_state *start);

/* An epoch begins: pieces of another length make another function of the unknowns. */
mote_status mote_unknowns_epoch(mote_constitutive *t);

/* An epoch's loss (INFINITY: it could not be simulated) and gradients are known. Returns the gradient's norm.
 */
double mote_unknowns_update(mote_constitutive *t, double loss);

/* identified.json */
mote_status mote_unknowns_save(const mote_constitutive *t);

/* ---- files (constitutive_state.c) ---- */

/* What is best so far: the averaged law, or the unknowns. */
mote_status mote_constitutive_save_model(const mote_constitutive *t);
mote_status mote_constitutive_save_state(mote_constitutive *t);
mote_status mote_constitutive_load_state(mote_constitutive *t);

#ifdef __cplusplus
}
#endif
#endif
