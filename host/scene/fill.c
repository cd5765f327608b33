/* Filling a region: see fill.h. The trick for an exact count: search the spacing whose set is just larger,
   then drop the few that are too many by random keys. */
#include "host/scene/fill.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <mote/random.h>

#include "host/core/error.h"

enum { KEY_STREAM = 1, JITTER_STREAM = 2 };
#define STREAM(stream, purpose) ((uint64_t)(stream)*8 + (purpose))
#define CANDIDATE_LIMIT 1e9 /* lattice points of a bounding box: a byte each */

void mote_points_free(mote_points *points) {
  free(points->position);
  *points = (mote_points){0};
}

/* ---- lattice ---- */

typedef struct lattice {
  int64_t n[3];
  double origin[3];
  double spacing;
  double jitter;
  uint64_t seed, stream;
} lattice;

/* `shifted` moves the axes' origins apart, so that their counts do not all jump at one spacing. */
static lattice lattice_over(const mote_region *region, const mote_fill *fill, double spacing, int shifted) {
  lattice l = {.n = {1, 1, 1}, .spacing = spacing, .seed = fill->seed};
  l.stream = STREAM(fill->stream, JITTER_STREAM);
  l.jitter = fill->placement == MOTE_JITTERED ? fill->jitter : 0;
  for (int d = 0; d < region->dim; d++) {
    double extent = region->upper[d] - region->lower[d];
    l.n[d] = shifted ? (int64_t)ceil(extent / spacing) + 1 : (int64_t)fmax(1, round(extent / spacing));
    double shift = shifted ? spacing * (d / 3.0 - 0.25) : 0;
    l.origin[d] = (region->lower[d] + region->upper[d]) / 2 - 0.5 * (double)(l.n[d] - 1) * spacing + shift;
  }
  return l;
}

static void lattice_point(const lattice *l, int dim, int64_t index, double p[3]) {
  int64_t i[3] = {index % l->n[0], index / l->n[0] % l->n[1], index / (l->n[0] * l->n[1])};
  p[2] = 0;
  for (int d = 0; d < dim; d++) p[d] = l->origin[d] + (double)i[d] * l->spacing;
  if (l->jitter == 0) return;
  uint32_t w[4];
  mote_random_words(l->seed, l->stream, (uint64_t)index, w);
  for (int d = 0; d < dim; d++) p[d] += l->jitter * l->spacing * (((double)w[d] + 0.5) * 0x1p-32 - 0.5);
}

static double candidates(const mote_region *region, double spacing) {
  double n = 1;
  for (int d = 0; d < region->dim; d++) n *= (region->upper[d] - region->lower[d]) / spacing + 2;
  return n;
}

static mote_status collect(const lattice *l, int dim, const unsigned char *kept, int64_t total,
                           mote_points *points) {
  int64_t count = 0;
  for (int64_t i = 0; i < total; i++) count += kept[i];
  points->position = malloc((size_t)(count ? count : 1) * 3 * sizeof(double));
  if (!points->position)
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld points", (long long)count);
  for (int64_t i = 0; i < total; i++)
    if (kept[i]) lattice_point(l, dim, i, points->position + 3 * points->count++);
  return MOTE_OK;
}

static mote_status fill_lattice(const mote_region *region, const lattice *l, mote_points *points) {
  *points = (mote_points){0};
  int64_t total = l->n[0] * l->n[1] * l->n[2];
  unsigned char *kept = malloc((size_t)total);
  if (!kept) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld lattice points", (long long)total);
#pragma omp parallel for schedule(dynamic, 1024) if (total > 8192)
  for (int64_t i = 0; i < total; i++) {
    double p[3];
    lattice_point(l, region->dim, i, p);
    kept[i] = (unsigned char)(region->inside(region->self, p) != 0);
  }
  mote_status status = collect(l, region->dim, kept, total, points);
  free(kept);
  return status;
}

/* ---- by spacing ---- */

static mote_status fill_at(const mote_region *region, const mote_fill *fill, double spacing, int shifted,
                           mote_points *points) {
  if (candidates(region, spacing) > CANDIDATE_LIMIT)
    return mote_fail(MOTE_ERROR_ARGUMENT, "spacing %g m puts more than %g lattice points into a box of %g m",
                     spacing, CANDIDATE_LIMIT, region->upper[0] - region->lower[0]);
  if (fill->placement == MOTE_POISSON) {
    double distance = spacing * pow(MOTE_POISSON_DENSITY, 1.0 / region->dim);
    return mote_fill_poisson(region, distance, fill->seed, fill->stream, points);
  }
  lattice l = lattice_over(region, fill, spacing, shifted);
  return fill_lattice(region, &l, points);
}

/* ---- by count ---- */

typedef struct keyed {
  uint64_t key;
  int64_t index;
} keyed;

static int compare_keys(const void *a, const void *b) {
  const keyed *x = a, *y = b;
  if (x->key != y->key) return x->key < y->key ? -1 : 1;
  return (x->index > y->index) - (x->index < y->index);
}

void mote_points_thin(mote_points *points, int64_t count, uint64_t seed, uint64_t stream) {
  if (count >= points->count) return;
  keyed *order = malloc((size_t)points->count * sizeof *order);
  unsigned char *kept = calloc((size_t)points->count, 1);
  if (!order || !kept) { /* no memory to choose at random with: the first ones are still a valid answer */
    points->count = count;
  } else {
    for (int64_t i = 0; i < points->count; i++) {
      uint32_t w[4];
      mote_random_words(seed, STREAM(stream, KEY_STREAM), (uint64_t)i, w);
      order[i] = (keyed){(uint64_t)w[0] << 32 | w[1], i};
    }
    qsort(order, (size_t)points->count, sizeof *order, compare_keys);
    for (int64_t i = 0; i < count; i++) kept[order[i].index] = 1;
    int64_t to = 0;
    for (int64_t i = 0; i < points->count; i++)
      if (kept[i]) memmove(points->position + 3 * to++, points->position + 3 * i, 3 * sizeof(double));
    points->count = count;
  }
  free(order);
  free(kept);
}

/* The next spacing to try: where the count would be right if it went by volume, but inside the bracket. */
static double next_spacing(const mote_region *region, double spacing, double ratio, double fits,
                           double over) {
  double guess = spacing * pow(ratio, 1.0 / region->dim) * (1 - 1e-4);
  if (fits == 0) return fmin(guess, spacing * 0.995);
  if (!isfinite(over)) return fmax(guess, spacing * 1.001);
  double margin = 0.05 * (over - fits);
  return guess > fits + margin && guess < over - margin ? guess : (fits + over) / 2;
}

/* The largest spacing found that fits at least fill->count points. */
static mote_status search_count(const mote_region *region, const mote_fill *fill, int shifted,
                                mote_points *best) {
  int64_t enough = fill->count + fill->count / (fill->placement == MOTE_POISSON ? 50 : 200);
  double fits = 0, over = INFINITY, spacing = pow(region->volume / (double)fill->count, 1.0 / region->dim);
  *best = (mote_points){0};
  for (int tries = 0; tries < 40; tries++) {
    mote_points points;
    mote_status status = fill_at(region, fill, spacing, shifted, &points);
    if (status != MOTE_OK) {
      mote_points_free(best);
      return status;
    }
    double ratio = ((double)points.count + 0.5) / ((double)fill->count + 0.5), tried = spacing;
    if (points.count < fill->count) {
      over = fmin(over, spacing);
      mote_points_free(&points);
    } else {
      fits = spacing;
      mote_points_free(best);
      *best = points;
      if (points.count <= enough) break;
    }
    if (isfinite(over) && fits > 0 && over - fits < 2e-4 * fits) break;
    spacing = next_spacing(region, tried, ratio, fits, over);
  }
  if (best->count) return MOTE_OK;
  return mote_fail(MOTE_ERROR_ARGUMENT, "no spacing puts %lld points inside: is the shape too thin?",
                   (long long)fill->count);
}

static mote_status fill_count(const mote_region *region, const mote_fill *fill, mote_points *points) {
  MOTE_TRY(search_count(region, fill, 0, points));
  int lattice_jumps = fill->placement != MOTE_POISSON && points->count > fill->count + fill->count / 50;
  if (lattice_jumps) {
    mote_points shifted;
    if (search_count(region, fill, 1, &shifted) == MOTE_OK && shifted.count < points->count) {
      mote_points_free(points);
      *points = shifted;
    } else {
      mote_points_free(&shifted);
    }
  }
  mote_points_thin(points, fill->count, fill->seed, fill->stream);
  return MOTE_OK;
}

mote_status mote_fill_region(const mote_region *region, const mote_fill *fill, mote_points *points) {
  *points = (mote_points){0};
  double wanted = fill->count ? (double)fill->count : region->volume / pow(fill->spacing, region->dim);
  if (wanted > (double)fill->limit)
    return mote_fail(MOTE_ERROR_ARGUMENT, "about %.3g particles are needed, more than the limit of %lld",
                     wanted, (long long)fill->limit);
  if (fill->count) return fill_count(region, fill, points);
  MOTE_TRY(fill_at(region, fill, fill->spacing, 0, points));
  if (points->count > 0 && points->count <= fill->limit) return MOTE_OK;
  int64_t count = points->count;
  mote_points_free(points);
  if (count)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%lld particles are more than the limit", (long long)count);
  return mote_fail(MOTE_ERROR_ARGUMENT, "no particle fits at a spacing of %g m: make it smaller",
                   fill->spacing);
}
