/* Sampling: options, groups and their shares. Each group is gathered, sampled by itself, and the union marked
   in a bitmap, which also puts it in ascending order. */
#include "host/graph/sample.h"

#include <math.h>
#include <mote/random.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

int64_t mote_sample_count(const mote_sample_options *options, int64_t n) {
  if (options->count) return options->count;
  if (options->ratio == 0) return -1;
  int64_t count = (int64_t)llround(options->ratio * (double)n);
  return count < 1 ? 1 : count > n ? n : count;
}

static mote_status check(const float *positions, int64_t n, int dim, const mote_sample_options *o) {
  if (dim != 2 && dim != 3) return mote_fail(MOTE_ERROR_ARGUMENT, "sample: dim is %d, expected 2 or 3", dim);
  if (n < 1 || n > INT32_MAX / 4)
    return mote_fail(MOTE_ERROR_ARGUMENT, "sample: %lld points, expected 1 to %d", (long long)n,
                     INT32_MAX / 4);
  if (o->method != MOTE_SAMPLE_UNIFORM && o->method != MOTE_SAMPLE_FARTHEST &&
      o->method != MOTE_SAMPLE_POISSON)
    return mote_fail(MOTE_ERROR_ARGUMENT, "sample: unknown method %d", (int)o->method);
  if (o->count < 0 || o->count > n)
    return mote_fail(MOTE_ERROR_ARGUMENT, "sample: count is %lld, expected 1 to the number of points, %lld",
                     (long long)o->count, (long long)n);
  if (!(o->ratio >= 0 && o->ratio <= 1))
    return mote_fail(MOTE_ERROR_ARGUMENT, "sample: ratio is %g, expected above 0 to 1", o->ratio);
  int by_radius = !o->count && o->ratio == 0;
  if (by_radius && o->method != MOTE_SAMPLE_POISSON)
    return mote_fail(MOTE_ERROR_ARGUMENT, "sample: a count or a ratio is needed for this method");
  if (by_radius && !(o->radius >= 1e-18f && o->radius <= 1e18f))
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "sample: radius is %g, expected 1e-18 to 1e18 (or a count or a ratio)", o->radius);
  for (int64_t i = 0; i < n * dim; i++)
    if (!isfinite(positions[i]))
      return mote_fail(MOTE_ERROR_NUMERIC, "sample: point %lld has a coordinate that is not finite",
                       (long long)(i / dim));
  return MOTE_OK;
}

void mote_sample_shuffle(mote_sample_draw draw, int32_t *places, int64_t n, int64_t count) {
  for (int64_t i = 0; i < n; i++) places[i] = (int32_t)i;
  for (int64_t i = 0; i < count; i++) {
    int64_t j = i + (int64_t)mote_random_below(draw.seed, draw.stream, (uint64_t)i, (uint64_t)(n - i));
    int32_t kept = places[i];
    places[i] = places[j];
    places[j] = kept;
  }
}

/* ---- Groups ---- */

/* Points first[g] .. first[g+1) of `members` are group g's, in index order. */
typedef struct partition {
  int64_t groups, *first, *share;
  int32_t *members;
} partition;

typedef struct tagged {
  int32_t group, index;
} tagged;

static int by_group(const void *a, const void *b) {
  const tagged *x = a, *y = b;
  if (x->group != y->group) return x->group < y->group ? -1 : 1;
  return x->index < y->index ? -1 : x->index > y->index;
}

static void partition_free(partition *p) {
  free(p->first);
  free(p->share);
  free(p->members);
}

static mote_status partition_make(const int32_t *groups, int64_t n, partition *p) {
  *p = (partition){0};
  tagged *all = malloc((size_t)n * sizeof *all);
  p->members = malloc((size_t)n * sizeof *p->members);
  if (!all || !p->members) {
    free(all);
    return mote_fail(MOTE_ERROR_MEMORY, "sample: out of memory for %lld points", (long long)n);
  }
  for (int64_t i = 0; i < n; i++) all[i] = (tagged){groups ? groups[i] : 0, (int32_t)i};
  if (groups) qsort(all, (size_t)n, sizeof *all, by_group);
  p->groups = 1;
  for (int64_t i = 0; i < n; i++) {
    p->members[i] = all[i].index;
    p->groups += i && all[i].group != all[i - 1].group;
  }
  p->first = calloc((size_t)p->groups + 1, sizeof *p->first);
  p->share = calloc((size_t)p->groups, sizeof *p->share);
  if (p->first && p->share) {
    int64_t g = 0;
    for (int64_t i = 1; i < n; i++)
      if (all[i].group != all[i - 1].group) p->first[++g] = i;
    p->first[p->groups] = n;
  }
  free(all);
  return p->first && p->share ? MOTE_OK : mote_fail(MOTE_ERROR_MEMORY, "sample: out of memory");
}

static int64_t group_size(const partition *p, int64_t g) {
  return p->first[g + 1] - p->first[g];
}

/* Whole parts first, then one more to the largest remainders (the earlier group among equals); with enough to
   go round, groups left with nothing take one from the group with the most. */
static void share_out(partition *p, int64_t n, int64_t count) {
  int64_t left = count;
  for (int64_t g = 0; g < p->groups; g++) {
    p->share[g] = (int64_t)((unsigned __int128)group_size(p, g) * (uint64_t)count / (uint64_t)n);
    left -= p->share[g];
  }
  while (left > 0) {
    int64_t best = -1;
    __int128 most = -1;
    for (int64_t g = 0; g < p->groups; g++) {
      __int128 owed = (__int128)group_size(p, g) * count - (__int128)p->share[g] * n;
      if (p->share[g] < group_size(p, g) && (best < 0 || owed > most)) best = g, most = owed;
    }
    p->share[best]++;
    left--;
  }
  for (int64_t g = 0; count >= p->groups && g < p->groups; g++) {
    if (p->share[g]) continue;
    int64_t richest = 0;
    for (int64_t h = 1; h < p->groups; h++)
      if (p->share[h] > p->share[richest]) richest = h;
    p->share[richest]--;
    p->share[g]++;
  }
}

/* ---- One group, then all ---- */

typedef struct work {
  float *points;   /* (n, 3) of the group */
  int32_t *places; /* the group's choice */
  uint8_t *mark;   /* of all points */
} work;

static mote_status sample_group(const mote_sample_options *o, int64_t group, int64_t size, int64_t share,
                                work *w, float *radius, int64_t *chosen) {
  mote_sample_draw draw = {o->seed, (uint64_t)group};
  *chosen = share;
  if (o->method == MOTE_SAMPLE_FARTHEST) return mote_sample_farthest(draw, w->points, size, share, w->places);
  if (o->method == MOTE_SAMPLE_POISSON)
    return mote_sample_poisson(draw, w->points, size, share, radius, w->places, chosen);
  mote_sample_shuffle(draw, w->places, size, share);
  return MOTE_OK;
}

static mote_status sample_all(const float *positions, int64_t n, int dim, const mote_sample_options *o,
                              partition *p, work *w, float *radius) {
  int64_t count = mote_sample_count(o, n);
  if (count > 0) share_out(p, n, count);
  *radius = INFINITY;
  for (int64_t g = 0; g < p->groups; g++) {
    int64_t size = group_size(p, g), chosen;
    const int32_t *members = p->members + p->first[g];
    if (count > 0 && !p->share[g]) continue;
    for (int64_t i = 0; i < size; i++)
      for (int a = 0; a < 3; a++)
        w->points[3 * i + a] = a < dim ? positions[(int64_t)members[i] * dim + a] : 0;
    float kept = o->radius;
    MOTE_TRY(sample_group(o, g, size, count > 0 ? p->share[g] : 0, w, &kept, &chosen));
    if (kept < *radius) *radius = kept;
    for (int64_t i = 0; i < chosen; i++) w->mark[members[w->places[i]]] = 1;
  }
  return MOTE_OK;
}

mote_status mote_sample(const float *positions, int64_t n, int dim, const mote_sample_options *options,
                        int32_t *indices, int64_t *chosen, float *radius) {
  float kept = 0;
  partition p;
  *chosen = 0;
  MOTE_TRY(check(positions, n, dim, options));
  mote_status status = partition_make(options->groups, n, &p);
  work w = {malloc((size_t)n * 3 * sizeof(float)), malloc((size_t)n * sizeof(int32_t)), calloc((size_t)n, 1)};
  if (status == MOTE_OK && (!w.points || !w.places || !w.mark))
    status = mote_fail(MOTE_ERROR_MEMORY, "sample: out of memory for %lld points", (long long)n);
  if (status == MOTE_OK) status = sample_all(positions, n, dim, options, &p, &w, &kept);
  for (int64_t i = 0; status == MOTE_OK && i < n; i++)
    if (w.mark[i]) indices[(*chosen)++] = (int32_t)i;
  if (status == MOTE_OK && radius) *radius = options->method == MOTE_SAMPLE_POISSON ? kept : 0;
  free(w.points);
  free(w.places);
  free(w.mark);
  partition_free(&p);
  return status;
}
