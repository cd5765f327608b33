/* Room for bodies: see place.h. */
#include "host/dataset/place.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/scene/read.h"

#define MOST_CELLS 2e6

mote_status mote_placer_create(const mote_scene *scene, double gap, mote_placer *p) {
  double volume = 1, total = 1;
  *p = (mote_placer){.dim = scene->dim, .gap = gap > 0 ? gap : scene->grid_spacing, .cells = {1, 1, 1}};
  for (int d = 0; d < p->dim; d++) {
    mote_scene_interior(scene, d, &p->low[d], &p->high[d]);
    volume *= fmax(p->high[d] - p->low[d], p->gap);
  }
  p->cell = fmax(p->gap, pow(volume / MOST_CELLS, 1.0 / p->dim));
  for (int d = 0; d < p->dim; d++) {
    p->cells[d] = (int64_t)fmax(1, ceil((p->high[d] - p->low[d]) / p->cell));
    total *= (double)p->cells[d];
  }
  p->first = malloc((size_t)total * sizeof *p->first);
  if (!p->first) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %g cells", total);
  memset(p->first, -1, (size_t)total * sizeof *p->first);
  return MOTE_OK;
}

void mote_placer_free(mote_placer *p) {
  free(p->first);
  free(p->next);
  free(p->position);
  *p = (mote_placer){0};
}

int mote_placer_range(const mote_placer *p, const mote_particles *particles, double least[3],
                      double most[3]) {
  for (int d = 0; d < p->dim; d++) {
    double low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < particles->count; i++) {
      low = fmin(low, particles->position[i * p->dim + d]);
      high = fmax(high, particles->position[i * p->dim + d]);
    }
    least[d] = p->low[d] - low;
    most[d] = p->high[d] - high;
    if (!(least[d] <= most[d])) return 0;
  }
  return 1;
}

/* The cell along an axis; states may lie beyond the walls, in the outermost ones. */
static int64_t cell_of(const mote_placer *p, int axis, double x) {
  double k = floor((x - p->low[axis]) / p->cell);
  return (int64_t)fmin(fmax(k, 0), (double)(p->cells[axis] - 1));
}

static int64_t cell_index(const mote_placer *p, const int64_t at[3]) {
  return (at[2] * p->cells[1] + at[1]) * p->cells[0] + at[0];
}

static int is_near(const mote_placer *p, const int64_t at[3], const double x[3]) {
  for (int32_t i = p->first[cell_index(p, at)]; i >= 0; i = p->next[i]) {
    double sum = 0;
    for (int d = 0; d < p->dim; d++) {
      double apart = x[d] - (double)p->position[(int64_t)i * p->dim + d];
      sum += apart * apart;
    }
    if (sum < p->gap * p->gap) return 1;
  }
  return 0;
}

static int has_room(const mote_placer *p, const double x[3]) {
  int64_t from[3] = {0, 0, 0}, to[3] = {0, 0, 0}, at[3];
  for (int d = 0; d < p->dim; d++) {
    from[d] = cell_of(p, d, x[d] - p->gap);
    to[d] = cell_of(p, d, x[d] + p->gap);
  }
  for (at[2] = from[2]; at[2] <= to[2]; at[2]++)
    for (at[1] = from[1]; at[1] <= to[1]; at[1]++)
      for (at[0] = from[0]; at[0] <= to[0]; at[0]++)
        if (is_near(p, at, x)) return 0;
  return 1;
}

int mote_placer_is_free(const mote_placer *p, const mote_particles *particles, const double shift[3]) {
  for (int64_t i = 0; p->count && i < particles->count; i++) {
    double x[3] = {0};
    for (int d = 0; d < p->dim; d++) x[d] = particles->position[i * p->dim + d] + shift[d];
    if (!has_room(p, x)) return 0;
  }
  return 1;
}

mote_status mote_placer_add(mote_placer *p, const mote_particles *particles) {
  size_t dim = (size_t)p->dim, total = (size_t)(p->count + particles->count);
  int32_t *next = realloc(p->next, total * sizeof *next);
  if (next) p->next = next;
  float *position = realloc(p->position, total * dim * sizeof *position);
  if (position) p->position = position;
  if (!next || !position) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %zu particles", total);
  memcpy(position + (size_t)p->count * dim, particles->position,
         (size_t)particles->count * dim * sizeof *position);
  for (int64_t i = p->count; i < (int64_t)total; i++) {
    int64_t at[3] = {0, 0, 0};
    for (int d = 0; d < p->dim; d++) at[d] = cell_of(p, d, position[(size_t)i * dim + (size_t)d]);
    int64_t cell = cell_index(p, at);
    next[i] = p->first[cell];
    p->first[cell] = (int32_t)i;
  }
  p->count = (int64_t)total;
  return MOTE_OK;
}
