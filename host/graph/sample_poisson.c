/* Poisson-disk sampling by dart throwing at the points themselves: in random order, a point is chosen unless
   one chosen before is closer than the radius. What is chosen lies in a hash of cells as wide as the radius.
   By count, the radius is found by bisection: the largest, to a part in 500, that lets the count be reached.
 */
#include "host/graph/sample.h"

#include <stdlib.h>

#include "kernels/neighbor/neighbor.h"

typedef struct darts {
  const float *points;
  int64_t n;
  int table_bits;
  int32_t *order, *head, *next; /* order of throwing; chains of chosen places by bucket */
} darts;

static void cell_of(const float *p, double inverse, int32_t cell[3]) {
  for (int a = 0; a < 3; a++) cell[a] = mote_cell_coordinate(p[a], inverse);
}

static int is_free(const darts *d, const float *p, const int32_t cell[3], float radius2) {
  for (int32_t z = cell[2] - 1; z <= cell[2] + 1; z++)
    for (int32_t y = cell[1] - 1; y <= cell[1] + 1; y++)
      for (int32_t x = cell[0] - 1; x <= cell[0] + 1; x++)
        for (int32_t i = d->head[mote_sparse_bucket(d->table_bits, x, y, z)]; i >= 0; i = d->next[i]) {
          const float *q = d->points + 3 * (int64_t)i;
          if (mote_distance2(p[0] - q[0], p[1] - q[1], p[2] - q[2]) < radius2) return 0;
        }
  return 1;
}

/* Throws until `limit` are chosen. Radius 0 chooses all. */
static int64_t throw_all(darts *d, float radius, int64_t limit, int32_t *chosen) {
  double inverse = mote_cells_inverse_width(radius);
  float radius2 = radius * radius;
  int64_t count = 0;
  for (int64_t b = 0; b < (int64_t)1 << d->table_bits; b++) d->head[b] = -1;
  for (int64_t k = 0; k < d->n && count < limit; k++) {
    int32_t i = d->order[k], cell[3];
    const float *p = d->points + 3 * (int64_t)i;
    if (radius > 0) {
      cell_of(p, inverse, cell);
      if (!is_free(d, p, cell, radius2)) continue;
      uint32_t bucket = mote_sparse_bucket(d->table_bits, cell[0], cell[1], cell[2]);
      d->next[i] = d->head[bucket];
      d->head[bucket] = i;
    }
    chosen[count++] = i;
  }
  return count;
}

static float diagonal(const darts *d) {
  double sum = 0;
  for (int a = 0; a < 3; a++) {
    float low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < d->n; i++) {
      float x = d->points[3 * i + a];
      low = x < low ? x : low;
      high = x > high ? x : high;
    }
    sum += ((double)high - low) * ((double)high - low);
  }
  double length = sqrt(sum);
  return length < 1e-17 ? 1e-17f : length > 1e18 ? 1e18f : (float)length;
}

/* Too large a radius is the cheap side of the bracket, so the search comes from above. */
static float find_radius(darts *d, int64_t count, int32_t *chosen) {
  float high = diagonal(d), low;
  if (count < 2) return high;
  for (low = high / 2; throw_all(d, low, count, chosen) < count; low /= 2) {
    high = low;
    if (low < 2e-18f) return 0; /* so many points coincide that only all of them are enough */
  }
  while (high > low * 1.002f) {
    float middle = sqrtf(low) * sqrtf(high);
    if (throw_all(d, middle, count, chosen) < count)
      high = middle;
    else
      low = middle;
  }
  return low;
}

static mote_status allocate(darts *d) {
  d->table_bits = 6;
  while (d->table_bits < 30 && (int64_t)1 << d->table_bits < d->n) d->table_bits++;
  d->order = malloc((size_t)d->n * sizeof *d->order);
  d->next = malloc((size_t)d->n * sizeof *d->next);
  d->head = malloc(((size_t)1 << d->table_bits) * sizeof *d->head);
  return d->order && d->next && d->head ? MOTE_OK : mote_fail(MOTE_ERROR_MEMORY, "sample: out of memory");
}

mote_status mote_sample_poisson(mote_sample_draw draw, const float *points, int64_t n, int64_t count,
                                float *radius, int32_t *places, int64_t *chosen) {
  darts d = {.points = points, .n = n};
  mote_status status = allocate(&d);
  if (status == MOTE_OK) {
    mote_sample_shuffle(draw, d.order, n, n);
    if (count) *radius = find_radius(&d, count, places);
    *chosen = throw_all(&d, *radius, count ? count : n, places);
  }
  free(d.order);
  free(d.next);
  free(d.head);
  return status;
}
