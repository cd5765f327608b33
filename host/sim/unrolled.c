#include "host/sim/unrolled.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/sim/state.h"
#include "kernels/constitutive/constitutive.h"
#include "kernels/optimize/optimize.h"
#include "kernels/transfer/collider_reverse.h"

/* ---- memory ---- */

static mote_unrolled_state state_in(const mote_unrolled *u, const mote_buffer *buffer, int64_t index) {
  const int64_t n = u->rows.n, dim = u->rows.dim;
  float *x = (float *)buffer->data + index * (int64_t)u->floats;
  return (mote_unrolled_state){x, x + n * dim, x + 2 * n * dim, x + 2 * n * dim + n * dim * dim};
}

static size_t bytes_at(const mote_unrolled *u, int64_t stride) {
  const int64_t states = (u->steps + stride - 1) / stride + 1 + (stride > 1 ? stride + 1 : 0);
  return (size_t)states * u->floats * sizeof(float);
}

static mote_status choose_stride(mote_unrolled *u, size_t bytes) {
  int64_t least = 1;
  for (int64_t k = 1; k <= u->steps; k++) {
    u->stride = k;
    if (bytes_at(u, k) <= bytes) return MOTE_OK;
    if (bytes_at(u, k) < bytes_at(u, least)) least = k;
  }
  return mote_fail(
      MOTE_ERROR_MEMORY,
      "%lld steps of %lld particles need %.1f MB at least to be gone back through, and may take %.1f",
      (long long)u->steps, (long long)u->rows.n, (double)bytes_at(u, least) / 1e6, (double)bytes / 1e6);
}

/* In `work`: the stress, the deformation in front of the flow, the stress's gradient. */
enum { TAU, TRIAL, D_TAU, SQUARES };
static float *square_of(const mote_unrolled *u, int which) {
  return (float *)u->work.data + which * u->rows.n * u->rows.dim * u->rows.dim;
}

/* In `constants`: history (0), volume, density, material (0). */
static mote_transfer_arrays arrays_of(const mote_unrolled *u, const mote_unrolled_state *s) {
  float *c = u->constants.data;
  void *material = c + 3 * u->rows.n;
  const int64_t n = u->rows.n;
  return (mote_transfer_arrays){.position = s->position,
                                .velocity = s->velocity,
                                .deformation_gradient = s->deformation_gradient,
                                .affine_velocity = s->affine_velocity,
                                .history = c,
                                .volume = c + n,
                                .density = c + 2 * n,
                                .material = material};
}

static mote_status upload_scene(mote_unrolled *u, const mote_scene *scene) {
  const mote_particles *p = &scene->particles;
  const size_t n = (size_t)p->count, dim = (size_t)p->dim;
  const mote_unrolled_state s = state_in(u, &u->kept, 0);
  const mote_transfer_arrays a = arrays_of(u, &s);
  mote_law law;
  mote_material material;
  mote_material_defaults(MOTE_NEURAL, &material);
  mote_law_prepare(&material, &law);
  MOTE_TRY(mote_upload(u->stream, s.position, p->position, n * dim * 4));
  MOTE_TRY(mote_upload(u->stream, s.velocity, p->velocity, n * dim * 4));
  MOTE_TRY(mote_upload(u->stream, s.affine_velocity, p->affine_velocity, n * dim * dim * 4));
  MOTE_TRY(mote_upload(u->stream, s.deformation_gradient, p->deformation_gradient, n * dim * dim * 4));
  MOTE_TRY(mote_upload(u->stream, a.volume, p->volume, n * 4));
  MOTE_TRY(mote_upload(u->stream, a.density, p->density, n * 4));
  MOTE_TRY(mote_upload(u->stream, u->transfer.buffers[MOTE_BUFFER_LAWS].data, &law, sizeof law));
  MOTE_TRY(mote_upload(u->stream, u->transfer.buffers[MOTE_BUFFER_COLLIDERS].data, scene->colliders,
                       (size_t)scene->collider_count * sizeof *scene->colliders));
  return mote_stream_synchronize(u->stream);
}

static mote_status reserve(mote_unrolled *u, int colliders) {
  const size_t state = u->floats * sizeof(float), n = (size_t)u->rows.n;
  const size_t square = n * (size_t)(u->rows.dim * u->rows.dim) * sizeof(float);
  mote_device *d = u->stream->device;
  u->by_collider = calloc((size_t)colliders + 1, sizeof *u->by_collider);
  if (!u->by_collider) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %d colliders", colliders);
  MOTE_TRY(mote_buffer_reserve(&u->kept, d, (size_t)((u->steps + u->stride - 1) / u->stride + 1) * state));
  if (u->stride > 1) MOTE_TRY(mote_buffer_reserve(&u->segment, d, (size_t)(u->stride + 1) * state));
  MOTE_TRY(mote_buffer_reserve(&u->gradients, d, state));
  MOTE_TRY(mote_buffer_reserve(&u->work, d, SQUARES * square));
  MOTE_TRY(mote_buffer_zeros(&u->constants, u->stream, 4 * n * sizeof(float)));
  return mote_buffer_zeros(&u->motion, u->stream, ((size_t)colliders * MOTE_MOTION + 1) * sizeof(double));
}

mote_status mote_unrolled_create(mote_stream *stream, const mote_scene *scene, const mote_neural_law *law,
                                 int64_t steps, size_t bytes, mote_unrolled *u) {
  const mote_particles *p = &scene->particles;
  float time_step;
  *u = (mote_unrolled){
      .stream = stream, .law = law, .steps = steps, .first = -1, .colliders = scene->colliders};
  u->rows = (mote_neural_rows){.dim = scene->dim, .n = p->count};
  u->floats = (size_t)p->count * (size_t)(2 * scene->dim * (1 + scene->dim));
  MOTE_TRY(mote_sim_check(scene));
  if (p->count < 1 || steps < 1)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%lld particles and %lld steps: expected one of each at least",
                     (long long)p->count, (long long)steps);
  if (law->config.dim != scene->dim)
    return mote_fail(MOTE_ERROR_ARGUMENT, "a law of %d-D in a scene of %d-D", law->config.dim, scene->dim);
  if (scene->change_count)
    return mote_fail(MOTE_ERROR_ARGUMENT, "a scene whose materials change is not differentiable");
  MOTE_TRY(mote_sim_time_step(scene, &time_step));
  MOTE_TRY(choose_stride(u, bytes));
  mote_sim_view(scene, time_step, &u->transfer.view);
  u->transfer.view.law_count = 1;
  u->transfer.keep_affine = 1;
  MOTE_TRY(mote_transfer_reserve(stream, &u->transfer));
  MOTE_TRY(reserve(u, scene->collider_count));
  return upload_scene(u, scene);
}

void mote_unrolled_free(mote_unrolled *u) {
  mote_buffer *all[] = {&u->kept, &u->segment, &u->gradients, &u->work, &u->constants, &u->motion};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) mote_buffer_free(all[k]);
  mote_transfer_free(&u->transfer);
  mote_transfer_reverse_free(&u->reverse);
  mote_neural_room_free(&u->room);
  free(u->by_collider);
  *u = (mote_unrolled){0};
}

static mote_status copy_state(const mote_unrolled *u, mote_unrolled_state to, mote_unrolled_state from) {
  return mote_copy_on_device(u->stream, to.position, from.position, u->floats * sizeof(float));
}

/* ---- there ---- */

/* From a state to the grid's velocities. */
static mote_status to_grid(mote_unrolled *u, int64_t step, const mote_unrolled_state *s) {
  const struct mote_transfer_kernels *k = u->stream->device->transfer;
  const mote_transfer_arrays arrays = arrays_of(u, s);
  u->transfer.first_step = step;
  MOTE_TRY(k->load(u->stream, &u->transfer, &arrays));
  MOTE_TRY(mote_neural_law_stress(u->law, u->stream, &u->rows, s->deformation_gradient,
                                  u->rows.dim * u->rows.dim, &u->room, square_of(u, TAU)));
  /* behind load the device's own order is the scene's */
  MOTE_TRY(k->add_stress(u->stream, &u->transfer, 0, square_of(u, TAU)));
  MOTE_TRY(k->sort(u->stream, &u->transfer));
  MOTE_TRY(k->p2g(u->stream, &u->transfer));
  return k->grid_update(u->stream, &u->transfer);
}

static mote_status check_step(const mote_unrolled *u, int64_t step) {
  mote_transfer_status status;
  MOTE_TRY(mote_download(u->stream, &status, u->transfer.view.status, sizeof status));
  if (status.failed == INT32_MAX) return MOTE_OK;
  return mote_fail(MOTE_ERROR_NUMERIC, "step %lld: particle %d is not finite or moves more than a cell",
                   (long long)step + 1, status.failed);
}

/* From the state in front of step `step` (counted from 0) to the one behind it. */
static mote_status advance(mote_unrolled *u, int64_t step, const mote_unrolled_state *from,
                           const mote_unrolled_state *to) {
  const struct mote_transfer_kernels *k = u->stream->device->transfer;
  const mote_transfer_arrays all = arrays_of(u, to);
  const mote_transfer_arrays moved = {.position = all.position,
                                      .velocity = all.velocity,
                                      .deformation_gradient = all.deformation_gradient,
                                      .affine_velocity = all.affine_velocity};
  MOTE_TRY(to_grid(u, step, from));
  MOTE_TRY(k->g2p(u->stream, &u->transfer));
  MOTE_TRY(check_step(u, step));
  MOTE_TRY(k->unload(u->stream, &u->transfer, &moved));
  return mote_neural_law_flow(u->law, u->stream, &u->rows, to->deformation_gradient,
                              u->rows.dim * u->rows.dim, &u->room);
}

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* The states in front of the steps of a segment, and the one behind: where every state is kept, those. */
static mote_unrolled_state place_of(const mote_unrolled *u, int64_t segment, int64_t step) {
  return u->stride == 1 ? state_in(u, &u->kept, step) : state_in(u, &u->segment, step - segment * u->stride);
}

/* Runs a segment from its kept state; the state behind it is kept too. */
static mote_status run_segment(mote_unrolled *u, int64_t segment, mote_unrolled_seen *seen, void *user) {
  const int64_t begin = segment * u->stride, end = least(begin + u->stride, u->steps);
  if (u->stride > 1) MOTE_TRY(copy_state(u, place_of(u, segment, begin), state_in(u, &u->kept, segment)));
  for (int64_t k = begin; k < end; k++) {
    const mote_unrolled_state from = place_of(u, segment, k), to = place_of(u, segment, k + 1);
    MOTE_TRY(advance(u, k, &from, &to));
    if (seen) MOTE_TRY(seen(user, k + 1, &to));
  }
  u->first = begin;
  if (u->stride == 1) return MOTE_OK;
  return copy_state(u, state_in(u, &u->kept, segment + 1), place_of(u, segment, end));
}

mote_status mote_unrolled_run(mote_unrolled *u, const mote_unrolled_state *first, mote_unrolled_seen *seen,
                              void *user) {
  if (first) MOTE_TRY(copy_state(u, state_in(u, &u->kept, 0), *first));
  for (int64_t segment = 0; segment * u->stride < u->steps; segment++)
    MOTE_TRY(run_segment(u, segment, seen, user));
  return MOTE_OK;
}

/* ---- and back ---- */

/* Which particle's row of the gradient is not finite, the lowest. */
static mote_status report(const mote_unrolled *u, int64_t step, const char *stage) {
  float *all = malloc(u->floats * sizeof *all);
  if (!all) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a gradient");
  mote_status status = mote_download(u->stream, all, u->gradients.data, u->floats * sizeof *all);
  int64_t particle = u->rows.n;
  const int64_t n = u->rows.n, dim = u->rows.dim;
  for (size_t k = 0; k < u->floats && status == MOTE_OK; k++) {
    const int64_t vectors = 2 * n * dim, at = (int64_t)k;
    const int64_t row = at < vectors ? at % (n * dim) / dim : (at - vectors) % (n * dim * dim) / (dim * dim);
    if (!isfinite(all[k])) particle = least(particle, row);
  }
  free(all);
  MOTE_TRY(status);
  return mote_fail(MOTE_ERROR_NUMERIC, "the gradient of step %lld is not finite at particle %lld: %s",
                   (long long)step + 1, (long long)particle, stage);
}

static mote_status check_gradient(mote_unrolled *u, int64_t step, const char *stage) {
  const struct mote_optimize_kernels *k = u->stream->device->optimize;
  double *sum = (double *)u->motion.data, squares; /* the first is nobody's */
  MOTE_TRY(k->sum_squares(u->stream, (int64_t)u->floats, u->gradients.data, sum, &u->room.scratch));
  MOTE_TRY(mote_download(u->stream, &squares, sum, sizeof squares));
  return isfinite(squares) ? MOTE_OK : report(u, step, stage);
}

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
  const double time = (double)step * (double)u->transfer.view.time_step;
  double motion[MOTE_MOTION];
  for (int c = 0; c < count; c++) {
    struct mote_collider_gradient *to = &u->by_collider[c];
    MOTE_TRY(mote_download(u->stream, motion, (const double *)u->motion.data + 1 + c * MOTE_MOTION,
                           sizeof motion));
    for (int d = 0; d < 3; d++) {
      to->center[d] += motion[MOTE_MOTION_CENTER + d];
      to->velocity[d] += motion[MOTE_MOTION_VELOCITY + d] + time * motion[MOTE_MOTION_CENTER + d];
      to->angular_velocity[d] += motion[MOTE_MOTION_ANGULAR + d];
    }
    add_spin(u->colliders[c].angular_velocity, time, motion + MOTE_MOTION_TURN, to->angular_velocity);
  }
  return mote_fill_bytes(u->stream, u->motion.data, 0, ((size_t)count * MOTE_MOTION + 1) * sizeof(double));
}

static mote_status step_back(mote_unrolled *u, const mote_arena *arena, int64_t step,
                             const mote_unrolled_state *from, const mote_unrolled_state *to,
                             const mote_unrolled_state *g) {
  const mote_device *d = u->stream->device;
  const float dt = u->transfer.view.time_step;
  float *trial = square_of(u, TRIAL), *d_tau = square_of(u, D_TAU);
  const mote_transfer_gradients gradients = {g->position, g->velocity, g->affine_velocity, d_tau};
  MOTE_TRY(
      d->neural->deform(u->stream, &u->rows, dt, to->affine_velocity, from->deformation_gradient, trial));
  MOTE_TRY(mote_neural_law_flow_backward(u->law, u->stream, arena, &u->rows, trial, &u->room,
                                         g->deformation_gradient));
  MOTE_TRY(check_gradient(u, step, "plasticity"));
  MOTE_TRY(d->neural->deform_backward(u->stream, &u->rows, dt, to->affine_velocity,
                                      from->deformation_gradient, g->deformation_gradient,
                                      g->affine_velocity));
  MOTE_TRY(to_grid(u, step, from));
  MOTE_TRY(d->transfer->reverse(u->stream, &u->transfer, &u->reverse, &gradients,
                                u->transfer.view.collider_count ? (double *)u->motion.data + 1 : NULL));
  MOTE_TRY(check_gradient(u, step, "transfers between particles and grid"));
  if (u->transfer.view.collider_count) MOTE_TRY(add_motion(u, step));
  MOTE_TRY(mote_neural_law_stress_backward(u->law, u->stream, arena, &u->rows, from->deformation_gradient,
                                           &u->room, d_tau, g->deformation_gradient));
  return check_gradient(u, step, "elasticity");
}

mote_status mote_unrolled_backward(mote_unrolled *u, const mote_arena *arena, mote_unrolled_add *add,
                                   void *user, mote_unrolled_state *begin) {
  const mote_unrolled_state g = state_in(u, &u->gradients, 0);
  const size_t sums = ((size_t)u->transfer.view.collider_count * MOTE_MOTION + 1) * sizeof(double);
  MOTE_TRY(mote_fill_bytes(u->stream, g.position, 0, u->floats * sizeof(float)));
  MOTE_TRY(mote_fill_bytes(u->stream, u->motion.data, 0, sums));
  memset(u->by_collider, 0, (size_t)u->transfer.view.collider_count * sizeof *u->by_collider);
  for (int64_t segment = (u->steps - 1) / u->stride; segment >= 0; segment--) {
    const int64_t first = segment * u->stride, end = least(first + u->stride, u->steps);
    if (u->stride > 1 && u->first != first) MOTE_TRY(run_segment(u, segment, NULL, NULL));
    for (int64_t k = end - 1; k >= first; k--) {
      const mote_unrolled_state from = place_of(u, segment, k), to = place_of(u, segment, k + 1);
      MOTE_TRY(add(user, k + 1, &g));
      MOTE_TRY(step_back(u, arena, k, &from, &to, &g));
    }
  }
  *begin = g;
  return MOTE_OK;
}
