/* A simulation: a scene's particles on a device and the loop over steps.
   The trick: a step is five kernels on one stream with no host decision between them, so that a device that
   can record it replays it as one graph; a failure is a word in device memory, read after the last step asked
   for. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/sim/state.h"
#include "kernels/constitutive/constitutive.h"

/* ---- creation ---- */

mote_status mote_sim_time_step(const mote_scene *scene, float *time_step) {
  float stable = mote_scene_stable_time_step(scene);
  *time_step = scene->time_step > 0 ? scene->time_step : 0.5f * stable;
  if (!(stable > 0) || !isfinite(*time_step))
    return mote_fail(MOTE_ERROR_NUMERIC, "no stable time step: check materials, grid spacing and velocities");
  if (*time_step > stable)
    return mote_fail(
        MOTE_ERROR_NUMERIC,
        "a time step of %g s is beyond the largest stable one, %g s: take a smaller step, a coarser "
        "grid or softer (less viscous, slower) matter",
        (double)*time_step, (double)stable);
  return MOTE_OK;
}

mote_status mote_sim_check(const mote_scene *scene) {
  MOTE_TRY(mote_scene_check(scene));
  if (scene->clip_cells < 0.5f)
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "clip_cells is %g: expected at least 0.5, so that stencils lie on the grid",
                     (double)scene->clip_cells);
  if (scene->particles.count > INT32_MAX)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%lld particles: at most 2^31-1",
                     (long long)scene->particles.count);
  return MOTE_OK;
}

void mote_sim_view(const mote_scene *scene, float time_step, mote_transfer_view *t) {
  t->dim = scene->dim;
  t->count = (int)scene->particles.count;
  t->boundary_cells = scene->boundary_cells;
  t->collider_count = scene->collider_count;
  t->law_count = scene->material_count;
  t->spacing = scene->grid_spacing;
  t->time_step = time_step;
  t->clip_low = scene->clip_cells;
  for (int d = 0; d < 3; d++) {
    t->cells[d] = d < scene->dim ? scene->cells[d] : 1;
    t->lower[d] = d < scene->dim ? scene->lower[d] : 0;
    t->gravity[d] = d < scene->dim ? scene->gravity[d] : 0;
    for (int side = 0; side < 2; side++) t->walls[d][side] = scene->walls[d][side];
  }
}

/* The columns that travel, in the order of mote_transfer_arrays; `width` 4-byte words a row. */
typedef struct column {
  void *host;
  size_t width;
} column;

static void list_columns(const mote_particles *p, column columns[8]) {
  size_t dim = (size_t)p->dim;
  column all[8] = {{p->position, dim},
                   {p->velocity, dim},
                   {p->deformation_gradient, dim * dim},
                   {p->affine_velocity, dim * dim},
                   {p->history, 1},
                   {p->volume, 1},
                   {p->density, 1},
                   {p->material, 1}};
  memcpy(columns, all, sizeof all);
}

/* Device arrays for the first `wanted` columns that are not NULL. */
static mote_status reserve_arrays(mote_simulation *s, const column *columns, int wanted,
                                  mote_transfer_arrays *arrays) {
  void *data[8] = {NULL};
  for (int k = 0; k < wanted; k++) {
    if (!columns[k].host) continue;
    size_t bytes = (size_t)s->transfer.view.count * columns[k].width * 4;
    MOTE_TRY(mote_buffer_reserve(&s->arrays[k], s->device, bytes ? bytes : 4));
    data[k] = s->arrays[k].data;
  }
  *arrays =
      (mote_transfer_arrays){data[0], data[1], data[2], data[3], data[4], data[5], data[6], data[7], NULL};
  return MOTE_OK;
}

static mote_status upload_particles(mote_simulation *s, const mote_particles *particles) {
  column columns[8];
  mote_transfer_arrays arrays;
  list_columns(particles, columns);
  MOTE_TRY(reserve_arrays(s, columns, 8, &arrays));
  for (int k = 0; k < 8; k++)
    MOTE_TRY(mote_upload(s->stream, s->arrays[k].data, columns[k].host,
                         (size_t)particles->count * columns[k].width * 4));
  MOTE_TRY(s->device->transfer->load(s->stream, &s->transfer, &arrays));
  MOTE_TRY(mote_sim_laws_load(&s->neural, s->stream, &s->transfer));
  MOTE_TRY(mote_stream_synchronize(s->stream));
  for (int k = 5; k < 8; k++) mote_buffer_free(&s->arrays[k]);
  return MOTE_OK;
}

static mote_status upload_laws(mote_simulation *s, const mote_scene *scene) {
  size_t count = (size_t)scene->material_count;
  mote_law *laws = calloc(count ? count : 1, sizeof *laws);
  if (!laws) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %zu materials", count);
  for (size_t k = 0; k < count; k++) mote_law_prepare(&scene->materials[k], &laws[k]);
  mote_buffer *b = s->transfer.buffers;
  mote_status status = mote_upload(s->stream, b[MOTE_BUFFER_LAWS].data, laws, count * sizeof *laws);
  free(laws);
  MOTE_TRY(status);
  return mote_upload(s->stream, b[MOTE_BUFFER_COLLIDERS].data, scene->colliders,
                     (size_t)scene->collider_count * sizeof *scene->colliders);
}

static mote_status keep_particles(mote_simulation *s, const mote_particles *particles) {
  MOTE_TRY(mote_particles_create(0, particles->dim, &s->particles));
  return mote_particles_append(&s->particles, particles);
}

static mote_status build(mote_simulation *s, const mote_scene *scene) {
  float time_step;
  MOTE_TRY(mote_sim_check(scene));
  MOTE_TRY(mote_sim_time_step(scene, &time_step));
  MOTE_TRY(mote_stream_create(s->device, &s->stream));
  mote_sim_view(scene, time_step, &s->transfer.view);
  MOTE_TRY(mote_transfer_reserve(s->stream, &s->transfer));
  MOTE_TRY(keep_particles(s, &scene->particles));
  MOTE_TRY(mote_sim_changes_plan(scene, time_step, &s->changes));
  mote_sim_changes_apply(&s->changes, 0, &s->particles);
  MOTE_TRY(upload_laws(s, scene));
  MOTE_TRY(mote_sim_laws_open(s->device, scene, &s->neural));
  return upload_particles(s, &s->particles);
}

mote_status mote_simulation_create(const mote_scene *scene, mote_device *device, mote_simulation **out) {
  *out = NULL;
  mote_simulation *s = calloc(1, sizeof *s);
  if (!s) return mote_fail(MOTE_ERROR_MEMORY, "out of memory making a simulation");
  s->device = device;
  mote_status status = build(s, scene);
  if (status != MOTE_OK) {
    mote_simulation_destroy(s);
    return status;
  }
  *out = s;
  return MOTE_OK;
}

void mote_simulation_destroy(mote_simulation *s) {
  if (!s) return;
  mote_replay_reset(&s->replay);
  mote_transfer_free(&s->transfer);
  mote_sim_laws_free(&s->neural);
  mote_sim_changes_free(&s->changes);
  for (int k = 0; k < 8; k++) mote_buffer_free(&s->arrays[k]);
  mote_buffer_free(&s->sums);
  free(s->host_sums);
  mote_particles_destroy(&s->particles);
  mote_stream_destroy(s->stream);
  free(s);
}

/* ---- stepping ---- */

static mote_status one_step(void *context, mote_stream *stream) {
  mote_simulation *s = context;
  const struct mote_transfer_kernels *k = s->device->transfer;
  MOTE_TRY(k->sort(stream, &s->transfer));
  MOTE_TRY(k->p2g(stream, &s->transfer));
  MOTE_TRY(k->grid_update(stream, &s->transfer));
  MOTE_TRY(k->g2p(stream, &s->transfer, NULL));
  MOTE_TRY(mote_sim_laws_step(&s->neural, stream, &s->transfer));
  return k->advance(stream, &s->transfer);
}

static mote_status read_status(const mote_simulation *s, mote_transfer_status *status) {
  return mote_download(s->stream, status, s->transfer.view.status, sizeof *status);
}

static mote_status report_failure(mote_simulation *s, const mote_transfer_status *status) {
  const mote_transfer_view *t = &s->transfer.view;
  mote_status read = mote_simulation_read_motion(s, s->particles.position, s->particles.velocity);
  if (read != MOTE_OK) return read;
  const float *x = s->particles.position + (size_t)status->failed * (size_t)t->dim;
  const float *v = s->particles.velocity + (size_t)status->failed * (size_t)t->dim;
  return mote_fail(
      MOTE_ERROR_NUMERIC,
      "step %lld (time %g s): particle %d at (%g, %g, %g) m with velocity (%g, %g, %g) m/s is not finite or "
      "moves more than a cell (%g m) a step: take a smaller time step than %g s",
      (long long)status->step, (double)status->step * (double)t->time_step, status->failed, (double)x[0],
      (double)x[1], t->dim == 3 ? (double)x[2] : 0, (double)v[0], (double)v[1],
      t->dim == 3 ? (double)v[2] : 0, (double)t->spacing, (double)t->time_step);
}

static mote_status run_steps(mote_simulation *s, int64_t steps) {
  mote_transfer_status status;
  for (int64_t k = 0; k < steps && s->transfer.view.count; k++) {
    s->transfer.keep_affine = k == steps - 1;
    MOTE_TRY(mote_replay_run(&s->replay, s->stream, one_step, s));
  }
  s->done += steps;
  MOTE_TRY(read_status(s, &status));
  return status.halted ? report_failure(s, &status) : MOTE_OK;
}

/* ---- reading ---- */

static mote_status read_columns(mote_simulation *s, const column *columns, int wanted) {
  mote_transfer_arrays arrays;
  MOTE_TRY(reserve_arrays(s, columns, wanted, &arrays));
  MOTE_TRY(s->device->transfer->unload(s->stream, &s->transfer, &arrays));
  for (int k = 0; k < wanted; k++)
    if (columns[k].host)
      MOTE_TRY(mote_download(s->stream, columns[k].host, s->arrays[k].data,
                             (size_t)s->transfer.view.count * columns[k].width * 4));
  return MOTE_OK;
}

mote_status mote_simulation_read(mote_simulation *s, mote_particles *particles) {
  const mote_particles *kept = &s->particles;
  if (particles->count != kept->count || particles->dim != kept->dim)
    return mote_fail(MOTE_ERROR_ARGUMENT, "particles are %lld in %d-D: expected %lld in %d-D as in the scene",
                     (long long)particles->count, particles->dim, (long long)kept->count, kept->dim);
  column columns[8];
  list_columns(particles, columns);
  MOTE_TRY(read_columns(s, columns, 5));
  size_t bytes = (size_t)kept->count * 4;
  memcpy(particles->volume, kept->volume, bytes);
  memcpy(particles->density, kept->density, bytes);
  memcpy(particles->material, kept->material, bytes);
  memcpy(particles->body, kept->body, bytes);
  memcpy(particles->particle_type, kept->particle_type, bytes);
  return MOTE_OK;
}

mote_status mote_simulation_read_motion(mote_simulation *s, float *position, float *velocity) {
  size_t dim = (size_t)s->transfer.view.dim;
  column columns[2] = {{position, dim}, {velocity, dim}};
  return read_columns(s, columns, 2);
}

/* ---- steps, and what changes between them ---- */

/* The state goes out and, with other materials, in again. A recorded step stays valid: it holds addresses,
   which loading leaves as they are. */
static mote_status change_materials(mote_simulation *s) {
  if (mote_sim_changes_ahead(&s->changes, s->done) > 0) return MOTE_OK;
  column columns[8];
  list_columns(&s->particles, columns);
  MOTE_TRY(read_columns(s, columns, 5));
  mote_sim_changes_apply(&s->changes, s->done, &s->particles);
  s->transfer.first_step = s->done;
  return upload_particles(s, &s->particles);
}

mote_status mote_simulation_step(mote_simulation *s, int64_t steps) {
  if (steps < 0) return mote_fail(MOTE_ERROR_ARGUMENT, "cannot take %lld steps", (long long)steps);
  do {
    const int64_t ahead = mote_sim_changes_ahead(&s->changes, s->done);
    const int64_t part = ahead < steps ? ahead : steps;
    MOTE_TRY(run_steps(s, part));
    MOTE_TRY(change_materials(s));
    steps -= part;
  } while (steps > 0);
  return MOTE_OK;
}

int64_t mote_simulation_steps(const mote_simulation *s) {
  mote_transfer_status status;
  return read_status(s, &status) == MOTE_OK ? status.step : 0;
}
double mote_simulation_time(const mote_simulation *s) {
  return (double)mote_simulation_steps(s) * (double)s->transfer.view.time_step;
}
float mote_simulation_time_step(const mote_simulation *s) {
  return s->transfer.view.time_step;
}
