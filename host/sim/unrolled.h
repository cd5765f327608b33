/* A differentiable simulation: a trajectory step by step, and back through all of it, from gradients by its
   states to those by the weights of a neural law or the parameters of classical materials, by the state that
   it began with, and by the motion of colliders.

   A step is that of mote_simulation, with all particles of one neural law or each of its classical material;
   states are kept in the scene's order. The trick: of S steps, every k-th state stays, and on the way back
   the k - 1 between are computed again, once a segment; k is the least that keeps S / k + k states within the
   budget. What is left of it keeps what a law's networks saw and answered, where it is enough for all of a
   segment, and they are asked once instead of twice; and what is left then keeps the transfers of as many
   steps as it can, which then need not go to the grid again. */
#ifndef MOTE_SIM_UNROLLED_H
#define MOTE_SIM_UNROLLED_H

#include <mote/scene.h>

#include "host/models/neural_law.h"
#include "kernels/constitutive/constitutive.h"
#include "kernels/transfer/transfer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A state, or gradients by one; device arrays in the order of the scene, row-major, SI. One block of
   mote_unrolled_floats() in this order. */
typedef struct mote_unrolled_state {
  float *position, *velocity;                    /* (n, dim) */
  float *affine_velocity, *deformation_gradient; /* (n, dim, dim) */
  float *history;                                /* (n) */
} mote_unrolled_state;

static inline int64_t mote_unrolled_floats(int64_t n, int dim) {
  return n * (2 * dim * (1 + dim) + 1);
}

typedef struct mote_unrolled {
  mote_stream *stream;        /* not owned */
  const mote_neural_law *law; /* not owned; NULL: the scene's materials */
  mote_transfer transfer;
  mote_transfer_reverse reverse;
  mote_neural_room room;
  mote_neural_rows rows;
  int64_t floats;               /* of a state */
  int64_t seen, answers;        /* of what a network sees and answers in a step; of both, and, where the
                                   device does not keep transfers, the stress */
  int64_t pool;                 /* floats of memory for these */
  size_t bytes;                 /* of memory: behind what the last run needs for these lie kept transfers */
  int64_t begin, steps, stride; /* of the last run: its first step; between kept states */
  int64_t first;                /* of the segment's states that are there, -1: none */
  mote_buffer memory, gradients, work, constants, sums, chunks;
  size_t used;       /* bytes of memory, kept transfers of the segment included */
  const void **kept; /* (steps of a segment) where a step's transfers are, NULL: nowhere */
  int material_count;
  mote_material *materials;       /* copies */
  const mote_collider *colliders; /* the scene's; not owned */
  struct mote_collider_gradient {
    double center[3], velocity[3], angular_velocity[3];
  } * by_collider;     /* of the last way back: by the members of mote_collider */
  double *by_material; /* (materials, MOTE_MATERIAL_PARAMETERS), the same; 0 with a neural law */
} mote_unrolled;

/* For trajectories of at most `steps` steps of the scene, which outlives it, with its particles' state,
   positions and velocities included, as the first; `bytes`: what states may take, at least what a stride of
   sqrt(steps) needs. `law`: of all particles, on the stream's device; NULL: the scene's materials, none of
   which is neural. On failure too, mote_unrolled_free() frees it. */
mote_status mote_unrolled_create(mote_stream *stream, const mote_scene *scene, const mote_neural_law *law,
                                 int64_t steps, size_t bytes, mote_unrolled *u);
void mote_unrolled_free(mote_unrolled *u);

/* Other parameters of the same materials, from the next run on. The time step stays: who changes moduli sees
   to it that it is stable. */
mote_status mote_unrolled_set_materials(mote_unrolled *u, const mote_material *materials);

/* Runs `steps` steps from step `begin` of time (colliders move with it) and the state `first`, in device
   memory; NULL: the last run's first state, in the beginning the scene's. seen(user, k, state), unless NULL:
   each state behind step k, begin + 1 to begin + steps. MOTE_ERROR_NUMERIC names the step and the particle
   where one is not finite or moves more than a cell. */
typedef mote_status mote_unrolled_seen(void *user, int64_t step, const mote_unrolled_state *state);
mote_status mote_unrolled_run(mote_unrolled *u, int64_t begin, int64_t steps,
                              const mote_unrolled_state *first, mote_unrolled_seen *seen, void *user);

/* The way back through the last run. add(user, k, state, gradient): adds the loss's gradient by the state
   behind step k, from begin + steps down to begin + 1 (what stands there need not be all yet); weights'
   gradients are added to the arena (NULL without a law). `start`: the gradients by the first state, valid
   until the next call. MOTE_ERROR_NUMERIC names the step, the particle and the stage where a gradient is not
   finite. */
typedef mote_status mote_unrolled_add(void *user, int64_t step, const mote_unrolled_state *state,
                                      const mote_unrolled_state *gradient);
mote_status mote_unrolled_backward(mote_unrolled *u, const mote_arena *arena, mote_unrolled_add *add,
                                   void *user, mote_unrolled_state *start);

/* ---- what both ways share ---- */

/* In `work`: the stress, unless it is kept, and its gradient. */
enum { MOTE_UNROLLED_TAU, MOTE_UNROLLED_D_TAU, MOTE_UNROLLED_SQUARES };
static inline float *mote_unrolled_square(const mote_unrolled *u, int which) {
  return (float *)u->work.data + which * u->rows.n * u->rows.dim * u->rows.dim;
}

mote_unrolled_state mote_unrolled_state_in(const mote_unrolled *u, const mote_buffer *buffer, int64_t index);

/* Steps of a segment: all of them where every state is kept. */
static inline int64_t mote_unrolled_span(const mote_unrolled *u) {
  return u->stride == 1 ? u->steps : u->stride;
}

/* The state in front of a step of a segment, or behind its last one. */
mote_unrolled_state mote_unrolled_place(const mote_unrolled *u, int64_t segment, int64_t step);

/* The materials that rows are of, and their volumes, in device memory. */
const int32_t *mote_unrolled_labels(const mote_unrolled *u);
const float *mote_unrolled_volumes(const mote_unrolled *u);

/* Whether what networks see in the last run's segments is kept. And where, of a step of the run: of the
   elasticity in front of it, of the plasticity in it; NULL: nowhere. */
int mote_unrolled_keeps(const mote_unrolled *u);
float *mote_unrolled_elastic(const mote_unrolled *u, int64_t step);
float *mote_unrolled_plastic(const mote_unrolled *u, int64_t step);

/* A law's stress in front of a step, where it stays until mote_unrolled_to_grid(). `again`: on the way back,
   where what is kept is not asked for again. */
mote_status mote_unrolled_ask_stress(mote_unrolled *u, int64_t step, const mote_unrolled_state *s, int again);

/* From a state, and its law's stress, to the grid's velocities. */
mote_status mote_unrolled_to_grid(mote_unrolled *u, int64_t step, const mote_unrolled_state *s);

/* The transfers of a step of the last segment; NULL: they are not kept. */
const mote_transfer_view *mote_unrolled_transfers(const mote_unrolled *u, int64_t step);

/* Runs a segment of the last run from its kept state. */
mote_status mote_unrolled_segment(mote_unrolled *u, int64_t segment, mote_unrolled_seen *seen, void *user);

#ifdef __cplusplus
}
#endif
#endif
