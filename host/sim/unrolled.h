/* A differentiable simulation of neural matter: a trajectory step by step, and back through all of it, from
   gradients by its states to those by the weights of the law, by the state that it began with, and by the
   motion of colliders.

   A step is that of mote_simulation with all particles of one neural material; states are kept in the scene's
   order. The trick: of S steps, every k-th state stays, and on the way back the k - 1 between are computed
   again, once a segment; k is the least that keeps S / k + k states within the budget. */
#ifndef MOTE_SIM_UNROLLED_H
#define MOTE_SIM_UNROLLED_H

#include <mote/scene.h>

#include "host/models/neural_law.h"
#include "kernels/transfer/transfer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A state, or gradients by one; device arrays in the order of the scene, row-major, SI. */
typedef struct mote_unrolled_state {
  float *position, *velocity;                    /* (n, dim) */
  float *affine_velocity, *deformation_gradient; /* (n, dim, dim) */
} mote_unrolled_state;

typedef struct mote_unrolled {
  mote_stream *stream;        /* not owned */
  const mote_neural_law *law; /* not owned */
  mote_transfer transfer;
  mote_transfer_reverse reverse;
  mote_neural_room room;
  mote_neural_rows rows;
  int64_t steps, stride; /* of the trajectory; between kept states */
  size_t floats;         /* of a state */
  mote_buffer kept, segment, gradients, work, constants, motion;
  const mote_collider *colliders; /* the scene's; not owned */
  struct mote_collider_gradient {
    double center[3], velocity[3], angular_velocity[3];
  } * by_collider; /* of the last way back: by the members of mote_collider */
  int64_t first;   /* of the segment's states that are there, -1: none */
} mote_unrolled;

/* For trajectories of `steps` steps of the scene, which outlives it, with its particles' state, positions and
   velocities included, as the first; `bytes`: what states may take, at least what a stride of sqrt(steps)
   needs. The law must be on the stream's device. On failure too, mote_unrolled_free() frees it. */
mote_status mote_unrolled_create(mote_stream *stream, const mote_scene *scene, const mote_neural_law *law,
                                 int64_t steps, size_t bytes, mote_unrolled *u);
void mote_unrolled_free(mote_unrolled *u);

/* Runs the trajectory from `first` (a state in device memory; NULL: the scene's). seen(user, k, state),
   unless NULL: each state behind step k, 1 to steps. MOTE_ERROR_NUMERIC names the step and the particle where
   one is not finite or moves more than a cell. */
typedef mote_status mote_unrolled_seen(void *user, int64_t step, const mote_unrolled_state *state);
mote_status mote_unrolled_run(mote_unrolled *u, const mote_unrolled_state *first, mote_unrolled_seen *seen,
                              void *user);

/* The way back. add(user, k, gradient): adds the loss's gradient by the state behind step k, from `steps` to
   1; weights' gradients are added to the arena. `begin`: the gradients by the first state, valid until the
   next call. MOTE_ERROR_NUMERIC names the step, the particle and the stage where a gradient is not finite. */
typedef mote_status mote_unrolled_add(void *user, int64_t step, const mote_unrolled_state *gradient);
mote_status mote_unrolled_backward(mote_unrolled *u, const mote_arena *arena, mote_unrolled_add *add,
                                   void *user, mote_unrolled_state *begin);

#ifdef __cplusplus
}
#endif
#endif
