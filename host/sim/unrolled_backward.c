/* The way back of a differentiable simulation (unrolled.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/sim/unrolled.h"
#include "kernels/optimize/optimize.h"
#include "kernels/transfer/collider_reverse.h"

/* In `sums`: a number for checks, the motions of colliders, the gradients by laws. */
static double *motion_of(const mote_unrolled *u) {
  return (double *)u->sums.data + 1;
}
static double *by_law_of(const mote_unrolled *u) {
  return motion_of(u) + (int64_t)u->transfer.view.collider_count * MOTE_MOTION;
}

/* ---- what is not finite ---- */

/* Which particle's row of the gradient is not finite, the lowest. */
static mote_status report(const mote_unrolled *u, int64_t step, const char *stage) {
  const int64_t n = u->rows.n, dim = u->rows.dim, widths[] = {dim, dim, dim * dim, dim * dim, 1};
  float *all = malloc((size_t)u->floats * sizeof *all);
  if (!all) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a gradient");
  mote_status status = mote_download(u->stream, all, u->gradients.data, (size_t)u->floats * sizeof *all);
  int64_t particle = n, at = 0;
  for (size_t part = 0; part < sizeof widths / sizeof *widths && status == MOTE_OK; part++)
    for (int64_t k = 0; k < n * widths[part]; k++, at++)
      if (!isfinite(all[at]) && k / widths[part] < particle) particle = k / widths[part];
  free(all);
  MOTE_TRY(status);
  return mote_fail(MOTE_ERROR_NUMERIC, "the gradient of step %lld is not finite at particle %lld: %s",
                   (long long)(u->begin + step + 1), (long long)particle, stage);
}

static mote_status is_finite(mote_unrolled *u, int *finite) {
  const struct mote_optimize_kernels *k = u->stream->device->optimize;
  double *sum = u->sums.data, squares;
  MOTE_TRY(k->sum_squares(u->stream, u->floats, u->gradients.data, sum, &u->room.scratch));
  MOTE_TRY(mote_download(u->stream, &squares, sum, sizeof squares));
  *finite = isfinite(squares);
  return MOTE_OK;
}

/* A way back: whether each of its stages is looked at; and whether a law's stress in front of a step waits,
   to be gone back through with the flow of the step before. */
typedef struct way {
  const mote_arena *arena;
  mote_unrolled_add *add;
  void *user;
  int watched, waits;
} way;

static mote_status check_gradient(mote_unrolled *u, const way *w, int64_t step, const char *stage) {
  int finite = 1;
  if (w->watched) MOTE_TRY(is_finite(u, &finite));
  return finite ? MOTE_OK : report(u, step, stage);
}

/* ---- colliders ---- */

/* The derivative of the rotation exp(w t) by w, as a turn in the world's axes, is t times the left Jacobian
   of SO(3), J = sin(a)/a I + (1 - sin(a)/a) n n^T + (1 - cos(a))/a [n]x with a n = w t; d += t J^T turn. */
static void add_spin(const float w[3], double t, const double turn[3], double d[3]) {
  const double x[3] = {w[0] * t, w[1] * t, w[2] * t}, a = sqrt(x[0] * x[0] + x[1] * x[1] + x[2] * x[2]);
  const double s = a > 1e-6 ? sin(a) / a : 1 - a * a / 6, c = a > 1e-6 ? (1 - cos(a)) / (a * a) : 0.5;
  const double rest = a > 1e-6 ? (1 - s) / (a * a) : 1.0 / 6;
  const double along = x[0] * turn[0] + x[1] * turn[1] + x[2] * turn[2];
  for (int k = 0; k < 3; k++) {
    const int i = (k + 1) % 3, j = (k + 2) % 3;
    d[k] += t * (s * turn[k] + rest * along * x[k] - c * (x[i] * turn[j] - x[j] * turn[i]));
  }
}

/* From a step's motions to what the colliders are made of. */
static mote_status add_motion(mote_unrolled *u, int64_t step) {
  const int count = u->transfer.view.collider_count;
  const double time = (double)(u->begin + step) * (double)u->transfer.view.time_step;
  double motion[MOTE_MOTION];
  for (int c = 0; c < count; c++) {
    struct mote_collider_gradient *to = &u->by_collider[c];
    MOTE_TRY(mote_download(u->stream, motion, motion_of(u) + c * MOTE_MOTION, sizeof motion));
    for (int d = 0; d < 3; d++) {
      to->center[d] += motion[MOTE_MOTION_CENTER + d];
      to->velocity[d] += motion[MOTE_MOTION_VELOCITY + d] + time * motion[MOTE_MOTION_CENTER + d];
      to->angular_velocity[d] += motion[MOTE_MOTION_ANGULAR + d];
    }
    add_spin(u->colliders[c].angular_velocity, time, motion + MOTE_MOTION_TURN, to->angular_velocity);
  }
  return mote_fill_bytes(u->stream, motion_of(u), 0, (size_t)count * MOTE_MOTION * sizeof(double));
}

/* ---- laws ---- */

/* From the gradients by the state behind the flow to those by the state in front of it, C's being that behind
   the transfers. */
static mote_status flow_back(mote_unrolled *u, const mote_arena *arena, int64_t step,
                             const mote_unrolled_state *from, const mote_unrolled_state *to,
                             const mote_unrolled_state *g) {
  const mote_device *d = u->stream->device;
  const float dt = u->transfer.view.time_step;
  if (!u->law)
    return d->constitutive->return_backward(
        u->stream, u->rows.dim, u->rows.n, u->material_count, u->transfer.buffers[MOTE_BUFFER_LAWS].data,
        mote_unrolled_labels(u), dt, to->affine_velocity, from->deformation_gradient, from->history,
        g->deformation_gradient, g->affine_velocity, g->history, by_law_of(u), &u->room.scratch);
  return mote_neural_law_flow_backward(u->law, u->stream, arena, &u->rows, dt, to->affine_velocity,
                                       from->deformation_gradient, mote_unrolled_keeps(u), &u->room,
                                       mote_unrolled_plastic(u, step), g->deformation_gradient,
                                       g->affine_velocity);
}

/* What the law answered of `from` is kept, or the room still holds it from going to the grid again. */
static mote_status stress_back(mote_unrolled *u, const mote_arena *arena, int64_t step,
                               const mote_unrolled_state *from, const mote_unrolled_state *g) {
  const float *d_tau = mote_unrolled_square(u, MOTE_UNROLLED_D_TAU);
  if (u->law)
    return mote_neural_law_stress_backward(u->law, u->stream, arena, &u->rows, from->deformation_gradient, 1,
                                           &u->room, mote_unrolled_elastic(u, step), d_tau,
                                           g->deformation_gradient);
  return u->stream->device->constitutive->stress_backward(
      u->stream, u->rows.dim, u->rows.n, u->material_count, u->transfer.buffers[MOTE_BUFFER_LAWS].data,
      mote_unrolled_labels(u), from->affine_velocity, from->deformation_gradient, from->history, d_tau,
      g->deformation_gradient, g->affine_velocity, g->history, by_law_of(u), &u->room.scratch);
}

/* The stress in front of the step behind, which waited, and the flow. */
static mote_status law_back(mote_unrolled *u, const mote_arena *arena, int64_t step,
                            const mote_unrolled_state *from, const mote_unrolled_state *to,
                            const mote_unrolled_state *g) {
  const mote_neural_past past = {.F = from->deformation_gradient,
                                 .C = to->affine_velocity,
                                 .flowed = to->deformation_gradient,
                                 .dt = u->transfer.view.time_step,
                                 .seen_flowing = mote_unrolled_plastic(u, step),
                                 .seen = mote_unrolled_elastic(u, step + 1)};
  return mote_neural_law_step_backward(u->law, u->stream, arena, &u->rows, &past, &u->room,
                                       mote_unrolled_square(u, MOTE_UNROLLED_D_TAU), g->deformation_gradient,
                                       g->affine_velocity);
}

/* ---- the way ---- */

/* A step of a segment, whose first and last are told. */
typedef struct step_of {
  int64_t step;
  int first, last;
} step_of;

/* By the state behind a step: before what the law's stress of it adds, whether that waits or not. */
static mote_status add_loss(mote_unrolled *u, const way *w, int64_t step, const mote_unrolled_state *state,
                            const mote_unrolled_state *g) {
  MOTE_TRY(w->add(w->user, u->begin + step + 1, state, g));
  return check_gradient(u, w, step, "the loss");
}

static mote_status transfers_back(mote_unrolled *u, int64_t step, const mote_unrolled_state *from,
                                  const mote_unrolled_state *g) {
  const int colliders = u->transfer.view.collider_count;
  const mote_transfer_gradients gradients = {g->position, g->velocity, g->affine_velocity,
                                             mote_unrolled_square(u, MOTE_UNROLLED_D_TAU),
                                             mote_unrolled_volumes(u)};
  const mote_transfer_view *transfers = mote_unrolled_transfers(u, step);
  if (!transfers) {
    MOTE_TRY(mote_unrolled_ask_stress(u, step, from, 1));
    MOTE_TRY(mote_unrolled_to_grid(u, step, from));
    transfers = &u->transfer.view;
  }
  MOTE_TRY(u->stream->device->transfer->reverse(u->stream, transfers, &u->reverse, &gradients,
                                                colliders ? motion_of(u) : NULL));
  return colliders ? add_motion(u, step) : MOTE_OK;
}

static mote_status step_back(mote_unrolled *u, const way *w, step_of s, const mote_unrolled_state *from,
                             const mote_unrolled_state *to, const mote_unrolled_state *g) {
  if (w->waits && !s.last)
    MOTE_TRY(law_back(u, w->arena, s.step, from, to, g));
  else
    MOTE_TRY(flow_back(u, w->arena, s.step, from, to, g));
  MOTE_TRY(check_gradient(u, w, s.step, "plasticity"));
  MOTE_TRY(transfers_back(u, s.step, from, g));
  MOTE_TRY(check_gradient(u, w, s.step, "transfers between particles and grid"));
  if (s.step > 0) MOTE_TRY(add_loss(u, w, s.step - 1, from, g));
  if (w->waits && !s.first) return MOTE_OK;
  MOTE_TRY(stress_back(u, w->arena, s.step, from, g));
  return check_gradient(u, w, s.step, "elasticity");
}

static mote_status begin_sums(mote_unrolled *u) {
  const size_t colliders = (size_t)u->transfer.view.collider_count;
  const size_t sums = 1 + colliders * MOTE_MOTION + (size_t)u->material_count * MOTE_LAW_PARAMETERS;
  memset(u->by_collider, 0, colliders * sizeof *u->by_collider);
  return mote_fill_bytes(u->stream, u->sums.data, 0, sums * sizeof(double));
}

static mote_status end_sums(mote_unrolled *u) {
  double by_law[MOTE_LAW_PARAMETERS];
  for (int k = 0; k < u->material_count && !u->law; k++) {
    MOTE_TRY(mote_download(u->stream, by_law, by_law_of(u) + k * MOTE_LAW_PARAMETERS, sizeof by_law));
    mote_law_gradient(&u->materials[k], by_law, u->by_material + k * MOTE_MATERIAL_PARAMETERS);
  }
  return MOTE_OK;
}

static mote_status go_back(mote_unrolled *u, const way *w) {
  const mote_unrolled_state g = mote_unrolled_state_in(u, &u->gradients, 0);
  MOTE_TRY(mote_fill_bytes(u->stream, g.position, 0, (size_t)u->floats * sizeof(float)));
  MOTE_TRY(begin_sums(u));
  const int64_t span = mote_unrolled_span(u);
  for (int64_t segment = (u->steps - 1) / span; segment >= 0; segment--) {
    const int64_t first = segment * span, most = first + span, end = most < u->steps ? most : u->steps;
    if (u->first != first) MOTE_TRY(mote_unrolled_segment(u, segment, NULL, NULL));
    for (int64_t k = end - 1; k >= first; k--) {
      const mote_unrolled_state from = mote_unrolled_place(u, segment, k),
                                to = mote_unrolled_place(u, segment, k + 1);
      if (k == u->steps - 1) MOTE_TRY(add_loss(u, w, k, &to, &g));
      MOTE_TRY(step_back(u, w, (step_of){k, k == first, k == end - 1}, &from, &to, &g));
    }
  }
  return MOTE_OK;
}

/* The arena with places for chunks of rows, where the device keeps them apart. */
static mote_status begin_chunks(mote_unrolled *u, const mote_arena *arena, mote_arena *own) {
  const struct mote_dense_kernels *k = u->stream->device->dense;
  *own = u->law ? *arena : (mote_arena){0};
  if (!u->law || !k->chunks) return MOTE_OK;
  own->chunks = k->chunks(u->rows.n);
  if (!own->chunks) return MOTE_OK;
  MOTE_TRY(mote_buffer_zeros(&u->chunks, u->stream, (size_t)(own->chunks * own->floats) * sizeof(float)));
  own->chunk = u->chunks.data;
  return MOTE_OK;
}

/* What is not finite stays so down to the first state: it is looked for there, and only where it is found the
   way is gone once more, to tell where it began. */
mote_status mote_unrolled_backward(mote_unrolled *u, const mote_arena *arena, mote_unrolled_add *add,
                                   void *user, mote_unrolled_state *start) {
  mote_arena own;
  way w = {&own, add, user, 0, mote_unrolled_keeps(u)};
  int finite;
  MOTE_TRY(begin_chunks(u, arena, &own));
  MOTE_TRY(go_back(u, &w));
  MOTE_TRY(is_finite(u, &finite));
  w.watched = 1;
  w.waits = 0;
  if (!finite) MOTE_TRY(go_back(u, &w));
  if (own.chunks) MOTE_TRY(u->stream->device->dense->add_chunks(u->stream, &own));
  *start = mote_unrolled_state_in(u, &u->gradients, 0);
  return end_sums(u);
}
