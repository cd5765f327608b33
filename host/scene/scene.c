/* Scenes as values: made, checked, freed. */
#include <mote/scene.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

mote_status mote_scene_create(int dim, mote_scene *scene) {
  *scene = (mote_scene){0};
  if (dim != 2 && dim != 3) return mote_fail(MOTE_ERROR_ARGUMENT, "scene: dim %d: expected 2 or 3", dim);
  mote_scene made = {.dim = dim, .grid_spacing = 1.0f / 32, .boundary_cells = 3, .clip_cells = 0.5f};
  made.gravity[1] = -9.8f;
  made.steps_per_frame = 1;
  for (int d = 0; d < dim; d++) made.cells[d] = 32;
  strcpy(made.name, "scene");
  MOTE_TRY(mote_particles_create(0, dim, &made.particles));
  *scene = made;
  return MOTE_OK;
}

void mote_scene_destroy(mote_scene *scene) {
  free(scene->materials);
  free(scene->colliders);
  free(scene->changes);
  mote_particles_destroy(&scene->particles);
  *scene = (mote_scene){0};
}

static int all_finite(const float *values, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    if (!isfinite(values[i])) return 0;
  return 1;
}

static mote_status check_domain(const mote_scene *s) {
  if (!(s->grid_spacing > 0) || !isfinite(s->grid_spacing))
    return mote_fail(MOTE_ERROR_ARGUMENT, "scene: grid_spacing %g: expected a number above 0",
                     s->grid_spacing);
  if (s->boundary_cells < 2 || !(s->clip_cells >= 0 && s->clip_cells <= s->boundary_cells))
    return mote_fail(
        MOTE_ERROR_ARGUMENT,
        "scene: boundary_cells %d, clip_cells %g: expected at least 2, and from 0 to boundary_cells",
        s->boundary_cells, s->clip_cells);
  double nodes = 1;
  for (int d = 0; d < s->dim; d++) {
    if (s->cells[d] < 2 * s->boundary_cells + 1 || s->cells[d] > 65536)
      return mote_fail(MOTE_ERROR_ARGUMENT,
                       "scene: cells[%d] is %d: expected %d (two walls and a cell) to 65536", d, s->cells[d],
                       2 * s->boundary_cells + 1);
    nodes *= s->cells[d] + 1.0;
  }
  if (nodes > INT32_MAX)
    return mote_fail(MOTE_ERROR_ARGUMENT, "scene: %.3g grid nodes, more than 2^31: make the cells larger",
                     nodes);
  if (!all_finite(s->lower, s->dim) || !all_finite(s->gravity, s->dim))
    return mote_fail(MOTE_ERROR_ARGUMENT, "scene: lower or gravity is not finite");
  return MOTE_OK;
}

static mote_status check_times(const mote_scene *s) {
  if (!(s->time_step >= 0) || !isfinite(s->time_step) || s->steps_per_frame < 1 || s->frames < 0)
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "scene: time_step %g, steps_per_frame %d, frames %d: expected >= 0, >= 1 and >= 0",
                     s->time_step, s->steps_per_frame, s->frames);
  return MOTE_OK;
}

static mote_status check_contact(const char *what, int index, mote_contact contact, float friction) {
  if (contact >= MOTE_FREE_SLIP && contact <= MOTE_SEPARATE && friction >= 0 && isfinite(friction))
    return MOTE_OK;
  return mote_fail(MOTE_ERROR_ARGUMENT,
                   "scene: %s %d: contact %d, friction %g: expected 0 to 2 and a number >= 0", what, index,
                   (int)contact, friction);
}

static mote_status check_collider(const mote_collider *c, int index, int dim) {
  MOTE_TRY(check_contact("collider", index, c->contact, c->friction));
  float numbers[] = {c->center[0],
                     c->center[1],
                     c->center[2],
                     c->velocity[0],
                     c->velocity[1],
                     c->velocity[2],
                     c->normal[0],
                     c->normal[1],
                     c->normal[2],
                     c->half_size[0],
                     c->half_size[1],
                     c->half_size[2],
                     c->radius,
                     c->half_length,
                     c->orientation[0],
                     c->orientation[1],
                     c->orientation[2],
                     c->orientation[3],
                     c->angular_velocity[0],
                     c->angular_velocity[1],
                     c->angular_velocity[2]};
  if (!all_finite(numbers, sizeof numbers / sizeof *numbers))
    return mote_fail(MOTE_ERROR_ARGUMENT, "scene: collider %d: a number is not finite", index);
  const float *n = c->normal, *q = c->orientation;
  float normal = n[0] * n[0] + n[1] * n[1] + (dim == 3 ? n[2] * n[2] : 0);
  float turn = q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3];
  int box = c->half_size[0] > 0 && c->half_size[1] > 0 && (dim == 2 || c->half_size[2] > 0);
  int good = c->shape == MOTE_COLLIDER_PLANE    ? fabsf(normal - 1) < 1e-3f
             : c->shape == MOTE_COLLIDER_SPHERE ? c->radius > 0
             : c->shape == MOTE_COLLIDER_BOX    ? box
                                                : c->radius > 0 && c->half_length >= 0;
  if (c->shape > MOTE_COLLIDER_CAPSULE || !good ||
      (c->shape != MOTE_COLLIDER_PLANE && fabsf(turn - 1) > 1e-3f))
    return mote_fail(
        MOTE_ERROR_ARGUMENT,
        "scene: collider %d: expected a known shape, sizes above 0, a unit normal and orientation", index);
  return MOTE_OK;
}

static mote_status check_change(const mote_scene *s, int index) {
  const mote_material_change *c = &s->changes[index];
  if (c->from < 0 || c->from >= s->material_count || c->to < 0 || c->to >= s->material_count ||
      c->from == c->to)
    return mote_fail(MOTE_ERROR_ARGUMENT, "scene: change %d: from material %d to %d: expected two of %d",
                     index, c->from, c->to, s->material_count);
  if (!(c->begin >= 0 && c->end >= c->begin) || !isfinite(c->end))
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "scene: change %d: begin %g s, end %g s: expected 0 <= begin <= end", index, c->begin,
                     c->end);
  if (c->order < MOTE_CHANGE_RANDOM || c->order > MOTE_CHANGE_FROM_ABOVE)
    return mote_fail(MOTE_ERROR_ARGUMENT, "scene: change %d: order %d: expected 0 to 2", index,
                     (int)c->order);
  return MOTE_OK;
}

static mote_status check_changes(const mote_scene *s) {
  if (s->change_count < 0 || s->change_count > MOTE_MOST_CHANGES)
    return mote_fail(MOTE_ERROR_ARGUMENT, "scene: %d changes: expected 0 to %d", s->change_count,
                     MOTE_MOST_CHANGES);
  for (int i = 0; i < s->change_count; i++) MOTE_TRY(check_change(s, i));
  return MOTE_OK;
}

static mote_status check_row(const mote_scene *s, int64_t i) {
  const mote_particles *p = &s->particles;
  int n = s->dim, m = n * n;
  const float *x = p->position + i * n;
  if (!all_finite(x, n) || !all_finite(p->velocity + i * n, n) ||
      !all_finite(p->deformation_gradient + i * m, m) || !all_finite(p->affine_velocity + i * m, m) ||
      !isfinite(p->history[i]))
    return mote_fail(MOTE_ERROR_ARGUMENT, "scene: particle %lld: its state is not finite", (long long)i);
  if (!(p->volume[i] > 0 && p->density[i] > 0) || !isfinite(p->volume[i] * p->density[i]))
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "scene: particle %lld: volume %g, density %g: expected numbers above 0", (long long)i,
                     p->volume[i], p->density[i]);
  if (p->material[i] < 0 || p->material[i] >= s->material_count)
    return mote_fail(MOTE_ERROR_ARGUMENT, "scene: particle %lld: material %d of %d", (long long)i,
                     p->material[i], s->material_count);
  for (int d = 0; d < n; d++) {
    double low = s->lower[d], high = low + (double)s->cells[d] * s->grid_spacing, slack = 1e-6 * (high - low);
    if (x[d] < low - slack || x[d] > high + slack)
      return mote_fail(MOTE_ERROR_ARGUMENT,
                       "scene: particle %lld of body %d lies outside the domain: %c = %g m of %g to %g",
                       (long long)i, p->body[i], "xyz"[d], x[d], low, high);
  }
  return MOTE_OK;
}

mote_status mote_scene_check(const mote_scene *scene) {
  if (scene->dim != 2 && scene->dim != 3)
    return mote_fail(MOTE_ERROR_ARGUMENT, "scene: dim %d: expected 2 or 3", scene->dim);
  MOTE_TRY(check_domain(scene));
  MOTE_TRY(check_times(scene));
  for (int d = 0; d < scene->dim; d++)
    for (int side = 0; side < 2; side++)
      MOTE_TRY(
          check_contact("wall", 2 * d + side, scene->walls[d][side].contact, scene->walls[d][side].friction));
  for (int i = 0; i < scene->material_count; i++) MOTE_TRY(mote_material_check(&scene->materials[i]));
  for (int i = 0; i < scene->collider_count; i++)
    MOTE_TRY(check_collider(&scene->colliders[i], i, scene->dim));
  MOTE_TRY(check_changes(scene));
  if (scene->particles.dim != scene->dim)
    return mote_fail(MOTE_ERROR_ARGUMENT, "scene: %d-D particles in a %d-D scene", scene->particles.dim,
                     scene->dim);
  for (int64_t i = 0; i < scene->particles.count; i++) MOTE_TRY(check_row(scene, i));
  return MOTE_OK;
}
