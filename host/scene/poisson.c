/* Poisson-disk sets by parallel dart throwing (Wei 2008, "Parallel Poisson disk sampling"): a grid of cells
   that hold one point at most, visited in slabs of two colours: slabs of one colour cannot see each other.
   The trick: a dart is a function of (seed, round, cell) alone, so threads decide nothing; and a cell that
   one neighbour covers entirely is never tried again. */
#include <math.h>
#include <stdlib.h>
#include <mote/random.h>

#include "host/core/error.h"
#include "host/scene/fill.h"

/* Slabs of one colour have a slab between them, thicker than a dart can reach. */
enum { ROUNDS = 10, DARTS = 4, REACH = 2, SLAB = 4, NEIGHBORS = 5 * 5 * 5, POISSON_STREAM = 3 };
#define CELL_LIMIT 4e8

/* Of a cell. TRIED and what follows count the darts that met no point but fell outside of the region: a cell
   is given up after MISSES of them, or the many that lie outside would be asked about in every round. */
enum { EMPTY, FULL, COVERED, TRIED, MISSES = 5 };

typedef struct neighbor {
  int64_t step; /* in the padded grid */
  float shift[3];
} neighbor;

typedef struct dart_grid {
  int dim;
  int64_t n[3];      /* cells an axis, without the REACH cells of padding before and after */
  int64_t padded[3]; /* with them */
  double lower[3];
  double cell;   /* its diagonal is the distance: one point at most */
  float *offset; /* (padded cells, 3) place of the point in its cell, 0..1, where FULL */
  unsigned char *state;
  int neighbors;
  neighbor neighbor[NEIGHBORS]; /* nearest first: most darts fail at the first few */
  uint64_t seed, stream;
} dart_grid;

static int64_t cell_index(const dart_grid *g, const int64_t at[3]) {
  int64_t z = g->dim == 3 ? at[2] + REACH : 0;
  return (z * g->padded[1] + at[1] + REACH) * g->padded[0] + at[0] + REACH;
}

static int compare_neighbors(const void *a, const void *b) {
  const neighbor *x = a, *y = b;
  float p = x->shift[0] * x->shift[0] + x->shift[1] * x->shift[1] + x->shift[2] * x->shift[2];
  float q = y->shift[0] * y->shift[0] + y->shift[1] * y->shift[1] + y->shift[2] * y->shift[2];
  return p != q ? (p > q) - (p < q) : (x->step > y->step) - (x->step < y->step);
}

static void list_neighbors(dart_grid *g) {
  int deep = g->dim == 3 ? REACH : 0;
  for (int k = -deep; k <= deep; k++)
    for (int j = -REACH; j <= REACH; j++)
      for (int i = -REACH; i <= REACH; i++) {
        int x = abs(i) - 1, y = abs(j) - 1, z = abs(k) - 1;
        int gap = (x > 0 ? x * x : 0) + (y > 0 ? y * y : 0) + (z > 0 ? z * z : 0);
        if ((!i && !j && !k) || gap >= g->dim) continue; /* itself, or out of reach */
        neighbor *to = &g->neighbor[g->neighbors++];
        *to = (neighbor){.step = (k * g->padded[1] + j) * g->padded[0] + i,
                         .shift = {(float)i, (float)j, (float)k}};
      }
  qsort(g->neighbor, (size_t)g->neighbors, sizeof *g->neighbor, compare_neighbors);
}

/* Whether the point at x (relative to a cell's origin, in cells) is within reach of all of the cell. */
static int covers(const dart_grid *g, const float x[3]) {
  float farthest = 0;
  for (int d = 0; d < g->dim; d++) {
    float most = fmaxf(fabsf(x[d]), fabsf(1 - x[d]));
    farthest += most * most;
  }
  return farthest < (float)g->dim;
}

/* Whether no point lies within the distance, sqrt(dim) cells, of the dart. */
static int is_free(dart_grid *g, int64_t cell, const float offset[3]) {
  float least = (float)g->dim * (1 + 1e-6f);
  for (int k = 0; k < g->neighbors; k++) {
    int64_t other = cell + g->neighbor[k].step;
    if (g->state[other] != FULL) continue;
    float x[3], sum = 0;
    for (int d = 0; d < 3; d++) {
      x[d] = g->neighbor[k].shift[d] + g->offset[other * 3 + d];
      sum += (x[d] - offset[d]) * (x[d] - offset[d]);
    }
    if (sum >= least) continue;
    if (covers(g, x)) g->state[cell] = COVERED;
    return 0;
  }
  return 1;
}

static void place(const dart_grid *g, const int64_t at[3], const float offset[3], double p[3]) {
  for (int d = 0; d < 3; d++) p[d] = d < g->dim ? g->lower[d] + ((double)at[d] + offset[d]) * g->cell : 0;
}

static int throw_dart(const mote_region *region, dart_grid *g, int round, const int64_t at[3]) {
  int64_t cell = cell_index(g, at);
  int state = g->state[cell];
  if (state == FULL || state == COVERED) return 0;
  uint32_t w[4];
  float offset[3] = {0};
  double p[3];
  mote_random_words(g->seed, g->stream + ((uint64_t)round << 40), (uint64_t)cell, w);
  for (int d = 0; d < g->dim; d++) offset[d] = (float)(w[d] >> 8) * 0x1p-24f;
  if (!is_free(g, cell, offset)) return 0;
  place(g, at, offset, p);
  if (!region->inside(region->self, p)) {
    int misses = state < TRIED ? 1 : state - TRIED + 2;
    g->state[cell] = (unsigned char)(misses == MISSES ? COVERED : TRIED + misses - 1);
    return 0;
  }
  for (int d = 0; d < 3; d++) g->offset[cell * 3 + d] = offset[d];
  g->state[cell] = FULL;
  return 1;
}

/* A slab: SLAB layers of cells across the last axis, in order, several darts a cell. */
static int64_t throw_slab(const mote_region *region, dart_grid *g, int round, int64_t slab) {
  int axis = g->dim - 1;
  int64_t hits = 0, at[3], from[3] = {0, 0, 0}, to[3] = {g->n[0], g->n[1], g->n[2]};
  from[axis] = slab * SLAB;
  if (to[axis] > from[axis] + SLAB) to[axis] = from[axis] + SLAB;
  for (int k = 0; k < DARTS; k++)
    for (at[2] = from[2]; at[2] < to[2]; at[2]++)
      for (at[1] = from[1]; at[1] < to[1]; at[1]++)
        for (at[0] = from[0]; at[0] < to[0]; at[0]++) hits += throw_dart(region, g, round * DARTS + k, at);
  return hits;
}

static int64_t throw_round(const mote_region *region, dart_grid *g, int round) {
  int64_t hits = 0, slabs = (g->n[g->dim - 1] + SLAB - 1) / SLAB;
  for (int colour = 0; colour < 2; colour++) {
#pragma omp parallel for schedule(dynamic, 1) reduction(+ : hits) if (slabs * slabs > 1024)
    for (int64_t slab = colour; slab < slabs; slab += 2) hits += throw_slab(region, g, round, slab);
  }
  return hits;
}

static mote_status gather(const dart_grid *g, int64_t count, mote_points *points) {
  points->position = malloc((size_t)(count ? count : 1) * 3 * sizeof(double));
  if (!points->position)
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld points", (long long)count);
  int64_t at[3];
  for (at[2] = 0; at[2] < g->n[2]; at[2]++)
    for (at[1] = 0; at[1] < g->n[1]; at[1]++)
      for (at[0] = 0; at[0] < g->n[0]; at[0]++) {
        int64_t cell = cell_index(g, at);
        if (g->state[cell] == FULL)
          place(g, at, g->offset + 3 * cell, points->position + 3 * points->count++);
      }
  return MOTE_OK;
}

static mote_status plan(const mote_region *region, double distance, dart_grid *g) {
  double wanted = 1;
  g->cell = distance / sqrt(g->dim);
  for (int d = 0; d < 3; d++) {
    g->n[d] = g->padded[d] = 1;
    if (d >= g->dim) continue;
    double n = fmax(1, ceil((region->upper[d] - region->lower[d]) / g->cell));
    g->lower[d] = region->lower[d];
    wanted *= n + 2 * REACH;
    if (wanted > CELL_LIMIT)
      return mote_fail(MOTE_ERROR_ARGUMENT, "a Poisson-disk distance of %g m needs more than %g cells",
                       distance, CELL_LIMIT);
    g->n[d] = (int64_t)n;
    g->padded[d] = g->n[d] + 2 * REACH;
  }
  list_neighbors(g);
  size_t cells = (size_t)(g->padded[0] * g->padded[1] * g->padded[2]);
  g->offset = malloc(cells * 3 * sizeof(float));
  g->state = calloc(cells, 1);
  if (g->offset && g->state) return MOTE_OK;
  return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %zu Poisson-disk cells", cells);
}

mote_status mote_fill_poisson(const mote_region *region, double distance, uint64_t seed, uint64_t stream,
                              mote_points *points) {
  *points = (mote_points){0};
  dart_grid g = {.dim = region->dim, .seed = seed, .stream = stream * 8 + POISSON_STREAM};
  mote_status status = plan(region, distance, &g);
  int64_t total = 0;
  for (int round = 0; status == MOTE_OK && round < ROUNDS; round++) {
    int64_t hits = throw_round(region, &g, round);
    total += hits;
    if (round > 1 && hits * 500 < total) break;
  }
  if (status == MOTE_OK) status = gather(&g, total, points);
  free(g.offset);
  free(g.state);
  return status;
}
