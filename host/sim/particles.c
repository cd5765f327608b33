/* Particles on the host. The trick: a table of the arrays, so that create, append, select and destroy are one
   loop each and a new array is one line. */
#include <mote/particles.h>

#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

#define ARRAYS 10

/* The arrays with the bytes of one row; each has 4-byte elements. */
static void list_arrays(mote_particles *p, void **array[ARRAYS], size_t row[ARRAYS]) {
  size_t dim = (size_t)p->dim;
  void **arrays[ARRAYS] = {
      (void **)&p->position,        (void **)&p->velocity, (void **)&p->deformation_gradient,
      (void **)&p->affine_velocity, (void **)&p->volume,   (void **)&p->density,
      (void **)&p->history,         (void **)&p->material, (void **)&p->body,
      (void **)&p->particle_type};
  size_t widths[ARRAYS] = {dim, dim, dim * dim, dim * dim, 1, 1, 1, 1, 1, 1};
  for (int k = 0; k < ARRAYS; k++) {
    array[k] = arrays[k];
    row[k] = widths[k] * 4;
  }
}

static mote_status allocate(int64_t count, int dim, mote_particles *p) {
  void **array[ARRAYS];
  size_t row[ARRAYS];
  *p = (mote_particles){.count = count, .dim = dim};
  list_arrays(p, array, row);
  for (int k = 0; k < ARRAYS; k++) {
    *array[k] = calloc(count ? (size_t)count : 1, row[k]);
    if (*array[k]) continue;
    mote_particles_destroy(p);
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld particles", (long long)count);
  }
  return MOTE_OK;
}

mote_status mote_particles_create(int64_t count, int dim, mote_particles *p) {
  *p = (mote_particles){0};
  if (count < 0 || count > INT32_MAX || (dim != 2 && dim != 3))
    return mote_fail(MOTE_ERROR_ARGUMENT, "particles: count %lld, dim %d: expected 0 to 2^31-1 and 2 or 3",
                     (long long)count, dim);
  MOTE_TRY(allocate(count, dim, p));
  for (int64_t i = 0; i < count; i++)
    for (int d = 0; d < dim; d++) p->deformation_gradient[(i * dim + d) * dim + d] = 1;
  return MOTE_OK;
}

mote_status mote_particles_append(mote_particles *p, const mote_particles *more) {
  if (p->dim != more->dim)
    return mote_fail(MOTE_ERROR_ARGUMENT, "cannot append %d-D particles to %d-D ones", more->dim, p->dim);
  mote_particles joined, second = *more;
  MOTE_TRY(allocate(p->count + more->count, p->dim, &joined));
  void **to[ARRAYS], **first[ARRAYS], **rest[ARRAYS];
  size_t row[ARRAYS];
  list_arrays(&joined, to, row);
  list_arrays(p, first, row);
  list_arrays(&second, rest, row);
  for (int k = 0; k < ARRAYS; k++) {
    memcpy(*to[k], *first[k], row[k] * (size_t)p->count);
    memcpy((char *)*to[k] + row[k] * (size_t)p->count, *rest[k], row[k] * (size_t)more->count);
  }
  mote_particles_destroy(p);
  *p = joined;
  return MOTE_OK;
}

mote_status mote_particles_select(const mote_particles *p, const int32_t *index, int64_t n,
                                  mote_particles *selected) {
  mote_particles source = *p;
  *selected = (mote_particles){0};
  for (int64_t i = 0; i < n; i++)
    if (index[i] < 0 || index[i] >= p->count)
      return mote_fail(MOTE_ERROR_ARGUMENT, "index %d of %lld particles", index[i], (long long)p->count);
  MOTE_TRY(allocate(n, p->dim, selected));
  void **to[ARRAYS], **from[ARRAYS];
  size_t row[ARRAYS];
  list_arrays(selected, to, row);
  list_arrays(&source, from, row);
  for (int k = 0; k < ARRAYS; k++)
    for (int64_t i = 0; i < n; i++)
      memcpy((char *)*to[k] + row[k] * (size_t)i, (char *)*from[k] + row[k] * (size_t)index[i], row[k]);
  return MOTE_OK;
}

void mote_particles_destroy(mote_particles *p) {
  if (!p->dim) return;
  void **array[ARRAYS];
  size_t row[ARRAYS];
  list_arrays(p, array, row);
  for (int k = 0; k < ARRAYS; k++) free(*array[k]);
  *p = (mote_particles){0};
}
