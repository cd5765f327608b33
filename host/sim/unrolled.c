#include "host/sim/unrolled.h"

#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/sim/state.h"
#include "kernels/transfer/collider_reverse.h"

/* ---- memory ---- */

mote_unrolled_state mote_unrolled_state_in(const mote_unrolled *u, const mote_buffer *buffer, int64_t index) {
  const int64_t vectors = u->rows.n * u->rows.dim, squares = vectors * u->rows.dim;
  float *x = (float *)buffer->data + index * u->floats, *C = x + 2 * vectors;
  return (mote_unrolled_state){x, x + vectors, C, C + squares, C + 2 * squares};
}

static int64_t segments_of(int64_t steps, int64_t stride) {
  return (steps + stride - 1) / stride;
}

/* Kept ones, the one behind the last, and a segment's own. */
static int64_t states_at(int64_t steps, int64_t stride) {
  return segments_of(steps, stride) + 1 + (stride > 1 ? stride + 1 : 0);
}

/* The least stride that needs no more states than there may be; 0: none. */
static int64_t stride_for(int64_t steps, int64_t states) {
  for (int64_t k = 1; k <= steps; k++)
    if (states_at(steps, k) <= states) return k;
  return 0;
}

/* As much of the pool as could be of use; states that are kept stand in front, what networks saw behind them.
 */
static mote_status plan(mote_unrolled *u, int64_t steps, size_t bytes) {
  const double state = (double)u->floats * sizeof(float);
  int64_t least = states_at(steps, 1);
  u->seen = u->law ? mote_neural_law_seen(u->law, &u->rows) : 0;
  u->answers = 2 * u->seen;
  if (u->law && !u->stream->device->transfer->keeps) u->answers += u->rows.n * u->rows.dim * u->rows.dim;
  const int64_t most = least * u->floats + steps * u->answers;
  u->pool = (double)bytes / sizeof(float) < (double)most ? (int64_t)(bytes / sizeof(float)) : most;
  u->bytes = bytes;
  u->kept = calloc((size_t)steps, sizeof *u->kept);
  if (!u->kept) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld steps", (long long)steps);
  if (stride_for(steps, u->pool / u->floats)) return MOTE_OK;
  for (int64_t k = 2; k <= steps; k++)
    if (states_at(steps, k) < least) least = states_at(steps, k);
  return mote_fail(
      MOTE_ERROR_MEMORY,
      "%lld steps of %lld particles need %.1f MB at least to be gone back through, and may take %.1f",
      (long long)steps, (long long)u->rows.n, (double)least * state / 1e6, (double)bytes / 1e6);
}

/* In `constants`: volume, density, material. */
static mote_transfer_arrays arrays_of(const mote_unrolled *u, const mote_unrolled_state *s) {
  float *c = u->constants.data;
  void *material = c + 2 * u->rows.n;
  return (mote_transfer_arrays){.position = s->position,
                                .velocity = s->velocity,
                                .deformation_gradient = s->deformation_gradient,
                                .affine_velocity = s->affine_velocity,
                                .history = s->history,
                                .volume = c,
                                .density = c + u->rows.n,
                                .material = material};
}

const int32_t *mote_unrolled_labels(const mote_unrolled *u) {
  const mote_unrolled_state none = {0};
  return arrays_of(u, &none).material;
}

const float *mote_unrolled_volumes(const mote_unrolled *u) {
  const mote_unrolled_state none = {0};
  return arrays_of(u, &none).volume;
}

static mote_status upload_scene(mote_unrolled *u, const mote_scene *scene) {
  const mote_particles *p = &scene->particles;
  const size_t n = (size_t)p->count, dim = (size_t)p->dim;
  const mote_unrolled_state s = mote_unrolled_state_in(u, &u->memory, 0);
  const mote_transfer_arrays a = arrays_of(u, &s);
  MOTE_TRY(mote_upload(u->stream, s.position, p->position, n * dim * 4));
  MOTE_TRY(mote_upload(u->stream, s.velocity, p->velocity, n * dim * 4));
  MOTE_TRY(mote_upload(u->stream, s.affine_velocity, p->affine_velocity, n * dim * dim * 4));
  MOTE_TRY(mote_upload(u->stream, s.deformation_gradient, p->deformation_gradient, n * dim * dim * 4));
  MOTE_TRY(mote_upload(u->stream, s.history, p->history, n * 4));
  MOTE_TRY(mote_upload(u->stream, a.volume, p->volume, n * 4));
  MOTE_TRY(mote_upload(u->stream, a.density, p->density, n * 4));
  if (!u->law) MOTE_TRY(mote_upload(u->stream, a.material, p->material, n * 4));
  return mote_upload(u->stream, u->transfer.buffers[MOTE_BUFFER_COLLIDERS].data, scene->colliders,
                     (size_t)scene->collider_count * sizeof *scene->colliders);
}

mote_status mote_unrolled_set_materials(mote_unrolled *u, const mote_material *materials) {
  mote_law *laws = calloc((size_t)u->material_count, sizeof *laws);
  if (!laws) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %d materials", u->material_count);
  memcpy(u->materials, materials, (size_t)u->material_count * sizeof *materials);
  for (int k = 0; k < u->material_count; k++) mote_law_prepare(&materials[k], &laws[k]);
  mote_status status = mote_upload(u->stream, u->transfer.buffers[MOTE_BUFFER_LAWS].data, laws,
                                   (size_t)u->material_count * sizeof *laws);
  free(laws);
  return status;
}

/* What is known of the materials: of a law's one, that it is neural. */
static mote_status take_materials(mote_unrolled *u, const mote_scene *scene) {
  u->material_count = u->law ? 1 : scene->material_count;
  u->materials = calloc((size_t)u->material_count, sizeof *u->materials);
  u->by_material = calloc((size_t)u->material_count, MOTE_MATERIAL_PARAMETERS * sizeof *u->by_material);
  u->by_collider = calloc((size_t)scene->collider_count + 1, sizeof *u->by_collider);
  if (!u->materials || !u->by_material || !u->by_collider)
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %d materials and %d colliders", u->material_count,
                     scene->collider_count);
  for (int k = 0; k < scene->material_count && !u->law; k++)
    if (scene->materials[k].kind == MOTE_NEURAL)
      return mote_fail(MOTE_ERROR_UNSUPPORTED,
                       "material \"%s\" is neural: a scene is gone back through with one neural law for all "
                       "of it, or with classical materials alone",
                       scene->materials[k].name);
  return MOTE_OK;
}

/* Of the budget no more than can be of use; the blocks of a step are not known before it. */
static void bound_memory(mote_unrolled *u, int64_t steps) {
  const mote_transfer_view *t = &u->transfer.view;
  const double nodes = t->dim == 3 ? 64 : 16, block = 2 * nodes * 4 * sizeof(float) + 4 * sizeof(int32_t);
  const double step = (double)t->count * (MOTE_RECORD + 3) * sizeof(float) + t->block_total * block + 4096;
  const double pool = (double)u->pool * sizeof(float);
  const double most = pool + (u->stream->device->transfer->keeps ? (double)steps * step : 0);
  if (most < (double)u->bytes) u->bytes = (size_t)most;
}

static mote_status reserve(mote_unrolled *u) {
  const size_t state = (size_t)u->floats * sizeof(float), n = (size_t)u->rows.n;
  const size_t square = n * (size_t)(u->rows.dim * u->rows.dim) * sizeof(float);
  const int colliders = u->transfer.view.collider_count;
  mote_device *d = u->stream->device;
  MOTE_TRY(mote_buffer_reserve(&u->memory, d, u->bytes));
  MOTE_TRY(mote_buffer_reserve(&u->gradients, d, state));
  MOTE_TRY(mote_buffer_reserve(&u->work, d, MOTE_UNROLLED_SQUARES * square));
  MOTE_TRY(mote_buffer_zeros(&u->constants, u->stream, 3 * n * sizeof(float)));
  const size_t sums = 1 + (size_t)colliders * MOTE_MOTION + (size_t)u->material_count * MOTE_LAW_PARAMETERS;
  return mote_buffer_zeros(&u->sums, u->stream, sums * sizeof(double));
}

mote_status mote_unrolled_create(mote_stream *stream, const mote_scene *scene, const mote_neural_law *law,
                                 int64_t steps, size_t bytes, mote_unrolled *u) {
  const mote_particles *p = &scene->particles;
  float time_step;
  *u = (mote_unrolled){.stream = stream, .law = law, .first = -1, .colliders = scene->colliders};
  u->rows = (mote_neural_rows){.dim = scene->dim, .n = p->count};
  u->floats = mote_unrolled_floats(p->count, scene->dim);
  MOTE_TRY(mote_sim_check(scene));
  if (p->count < 1 || steps < 1)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%lld particles and %lld steps: expected one of each at least",
                     (long long)p->count, (long long)steps);
  if (law && law->config.dim != scene->dim)
    return mote_fail(MOTE_ERROR_ARGUMENT, "a law of %d-D in a scene of %d-D", law->config.dim, scene->dim);
  if (scene->change_count)
    return mote_fail(MOTE_ERROR_ARGUMENT, "a scene whose materials change is not differentiable");
  MOTE_TRY(mote_sim_time_step(scene, &time_step));
  MOTE_TRY(take_materials(u, scene));
  MOTE_TRY(plan(u, steps, bytes));
  mote_sim_view(scene, time_step, &u->transfer.view);
  u->transfer.view.law_count = u->material_count;
  u->transfer.one_step = 1;
  MOTE_TRY(mote_transfer_reserve(stream, &u->transfer));
  bound_memory(u, steps);
  MOTE_TRY(reserve(u));
  MOTE_TRY(upload_scene(u, scene));
  mote_material neural;
  mote_material_defaults(MOTE_NEURAL, &neural);
  MOTE_TRY(mote_unrolled_set_materials(u, law ? &neural : scene->materials));
  return mote_stream_synchronize(stream);
}

void mote_unrolled_free(mote_unrolled *u) {
  mote_buffer *all[] = {&u->memory, &u->gradients, &u->work, &u->constants, &u->sums, &u->chunks};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) mote_buffer_free(all[k]);
  mote_transfer_free(&u->transfer);
  mote_transfer_reverse_free(&u->reverse);
  mote_neural_room_free(&u->room);
  free(u->kept);
  free(u->materials);
  free(u->by_material);
  free(u->by_collider);
  *u = (mote_unrolled){0};
}

static mote_status copy_state(const mote_unrolled *u, mote_unrolled_state to, mote_unrolled_state from) {
  return mote_copy_on_device(u->stream, to.position, from.position, (size_t)u->floats * sizeof(float));
}

/* ---- what networks see ---- */

int mote_unrolled_keeps(const mote_unrolled *u) {
  const int64_t states = states_at(u->steps, u->stride);
  return u->law && states * u->floats + mote_unrolled_span(u) * u->answers <= u->pool;
}

float *mote_unrolled_elastic(const mote_unrolled *u, int64_t step) {
  const int64_t states = states_at(u->steps, u->stride);
  if (!mote_unrolled_keeps(u)) return NULL;
  return (float *)u->memory.data + states * u->floats + step % mote_unrolled_span(u) * u->answers;
}

float *mote_unrolled_plastic(const mote_unrolled *u, int64_t step) {
  float *elastic = mote_unrolled_elastic(u, step);
  return elastic ? elastic + u->seen : NULL;
}

static int keeps_stress(const mote_unrolled *u) {
  return mote_unrolled_keeps(u) && u->answers > 2 * u->seen;
}

static float *stress_of(const mote_unrolled *u, int64_t step) {
  return keeps_stress(u) ? mote_unrolled_plastic(u, step) + u->seen
                         : mote_unrolled_square(u, MOTE_UNROLLED_TAU);
}

/* ---- transfers ---- */

const mote_transfer_view *mote_unrolled_transfers(const mote_unrolled *u, int64_t step) {
  return u->kept[step % mote_unrolled_span(u)];
}

/* Behind the run's states and, where they are kept, answers. */
static void begin_transfers(mote_unrolled *u) {
  const int64_t states = states_at(u->steps, u->stride) * u->floats,
                answers = mote_unrolled_keeps(u) ? mote_unrolled_span(u) * u->answers : 0;
  u->used = ((size_t)(states + answers) * sizeof(float) + 63) / 64 * 64;
}

/* Of a law's steps only where its answers are kept: they would be gone by the time they are asked for. */
static int may_keep(const mote_unrolled *u) {
  return u->stream->device->transfer->keeps && (!u->law || mote_unrolled_keeps(u)) && u->used < u->bytes;
}

/* ---- there ---- */

mote_status mote_unrolled_ask_stress(mote_unrolled *u, int64_t step, const mote_unrolled_state *s,
                                     int again) {
  if (!u->law || (again && keeps_stress(u))) return MOTE_OK;
  return mote_neural_law_stress(u->law, u->stream, &u->rows, s->deformation_gradient,
                                u->rows.dim * u->rows.dim, &u->room, mote_unrolled_elastic(u, step),
                                stress_of(u, step));
}

static mote_status to_grid(mote_unrolled *u, int64_t step, const mote_unrolled_state *s,
                           mote_transfer_kept *kept) {
  mote_transfer_arrays arrays = arrays_of(u, s);
  u->transfer.first_step = u->begin + step;
  if (u->law) arrays.stress = stress_of(u, step);
  return u->stream->device->transfer->to_grid(u->stream, &u->transfer, &arrays, kept);
}

mote_status mote_unrolled_to_grid(mote_unrolled *u, int64_t step, const mote_unrolled_state *s) {
  return to_grid(u, step, s, NULL);
}

static mote_status to_grid_keeping(mote_unrolled *u, int64_t step, const mote_unrolled_state *s) {
  mote_transfer_kept kept = {.used = 0};
  if (may_keep(u)) kept = (mote_transfer_kept){(char *)u->memory.data + u->used, u->bytes - u->used, 0};
  MOTE_TRY(to_grid(u, step, s, kept.memory ? &kept : NULL));
  u->kept[step % mote_unrolled_span(u)] = kept.used ? kept.memory : NULL;
  u->used += kept.used;
  return MOTE_OK;
}

static mote_status check_step(const mote_unrolled *u, int64_t step) {
  mote_transfer_status status;
  MOTE_TRY(mote_download(u->stream, &status, u->transfer.view.status, sizeof status));
  if (status.failed == INT32_MAX) return MOTE_OK;
  return mote_fail(MOTE_ERROR_NUMERIC, "step %lld: particle %d is not finite or moves more than a cell",
                   (long long)(u->begin + step + 1), status.failed);
}

/* The law's flow in a step and, unless it is the last one, its stress in front of the next. */
static mote_status ask_law(mote_unrolled *u, int64_t step, int last, float *F) {
  const int stride = u->rows.dim * u->rows.dim;
  float *plastic = mote_unrolled_plastic(u, step);
  if (!u->law) return MOTE_OK;
  if (last) return mote_neural_law_flow(u->law, u->stream, &u->rows, F, stride, &u->room, plastic);
  return mote_neural_law_step(u->law, u->stream, &u->rows, F, stride, &u->room, plastic,
                              mote_unrolled_elastic(u, step + 1), stress_of(u, step + 1));
}

/* From the state in front of step `step` of the run (counted from 0) to the one behind it; `last` of its
   segment. */
static mote_status advance(mote_unrolled *u, int64_t step, int last, const mote_unrolled_state *from,
                           const mote_unrolled_state *to) {
  const struct mote_transfer_kernels *k = u->stream->device->transfer;
  const mote_transfer_arrays all = arrays_of(u, to);
  const mote_transfer_arrays moved = {.position = all.position,
                                      .velocity = all.velocity,
                                      .deformation_gradient = all.deformation_gradient,
                                      .affine_velocity = all.affine_velocity,
                                      .history = all.history};
  MOTE_TRY(to_grid_keeping(u, step, from));
  MOTE_TRY(k->g2p(u->stream, &u->transfer, &moved));
  MOTE_TRY(check_step(u, step));
  return ask_law(u, step, last, to->deformation_gradient);
}

/* Where every state is kept, those; else the segment's own, which stand behind the kept ones. */
mote_unrolled_state mote_unrolled_place(const mote_unrolled *u, int64_t segment, int64_t step) {
  if (u->stride == 1) return mote_unrolled_state_in(u, &u->memory, step);
  const int64_t kept = segments_of(u->steps, u->stride) + 1;
  return mote_unrolled_state_in(u, &u->memory, kept + step - segment * u->stride);
}

/* The state behind the segment is kept too. */
mote_status mote_unrolled_segment(mote_unrolled *u, int64_t segment, mote_unrolled_seen *seen, void *user) {
  const int64_t span = mote_unrolled_span(u), begin = segment * span, most = begin + span,
                end = most < u->steps ? most : u->steps;
  const mote_unrolled_state kept = mote_unrolled_state_in(u, &u->memory, segment);
  if (u->stride > 1) {
    begin_transfers(u);
    MOTE_TRY(copy_state(u, mote_unrolled_place(u, segment, begin), kept));
  }
  const mote_unrolled_state start = mote_unrolled_place(u, segment, begin);
  MOTE_TRY(mote_unrolled_ask_stress(u, begin, &start, 0));
  for (int64_t k = begin; k < end; k++) {
    const mote_unrolled_state from = mote_unrolled_place(u, segment, k),
                              to = mote_unrolled_place(u, segment, k + 1);
    MOTE_TRY(advance(u, k, k == end - 1, &from, &to));
    if (seen) MOTE_TRY(seen(user, u->begin + k + 1, &to));
  }
  u->first = begin;
  if (u->stride == 1) return MOTE_OK;
  return copy_state(u, mote_unrolled_state_in(u, &u->memory, segment + 1),
                    mote_unrolled_place(u, segment, end));
}

mote_status mote_unrolled_run(mote_unrolled *u, int64_t begin, int64_t steps,
                              const mote_unrolled_state *first, mote_unrolled_seen *seen, void *user) {
  const int64_t stride = steps < 1 ? 0 : stride_for(steps, u->pool / u->floats);
  if (!stride)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%lld steps: expected 1 to what the simulation was created for",
                     (long long)steps);
  if (first) MOTE_TRY(copy_state(u, mote_unrolled_state_in(u, &u->memory, 0), *first));
  u->begin = begin;
  u->steps = steps;
  u->stride = stride;
  begin_transfers(u);
  for (int64_t segment = 0; segment * mote_unrolled_span(u) < steps; segment++)
    MOTE_TRY(mote_unrolled_segment(u, segment, seen, user));
  return MOTE_OK;
}
