#include "host/sim/changes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <mote/random.h>

#include "host/core/error.h"
#include "kernels/constitutive/law.h"

/* Each step with an event costs a reading and a loading of the state: moments are rounded to so many steps.
 */
#define MOST_STEPS 100

/* Of the numbers by chance; the change's place in the list is added. */
#define STREAM ((uint64_t)0x6368616e67 << 8)

void mote_sim_origins(const mote_scene *scene, int material, unsigned char *origins) {
  memset(origins, 0, (size_t)scene->material_count);
  origins[material] = 1;
  for (int found = 1; found;) {
    found = 0;
    for (int k = 0; k < scene->change_count; k++) {
      const mote_material_change *c = &scene->changes[k];
      if (!origins[c->to] || origins[c->from]) continue;
      origins[c->from] = 1;
      found = 1;
    }
  }
}

/* ---- when ---- */

/* The moments of a change, in steps: `begin` and `parts` equal parts of `length` behind it. */
typedef struct timetable {
  const mote_material_change *change;
  uint64_t stream;
  int64_t begin, length, parts;
  int64_t count;  /* of heights */
  float *heights; /* of all that may come to be `from`, ascending; from above: with the sign changed */
} timetable;

static float height(const timetable *t, const mote_particles *p, int64_t i) {
  const float y = p->position[i * p->dim + 1];
  return t->change->order == MOTE_CHANGE_FROM_ABOVE ? -y : y;
}

static int by_height(const void *a, const void *b) {
  const float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static mote_status rank_heights(const mote_scene *scene, timetable *t) {
  const mote_particles *p = &scene->particles;
  if (t->change->order == MOTE_CHANGE_RANDOM) return MOTE_OK;
  unsigned char *origins = malloc((size_t)scene->material_count + 1);
  t->heights = malloc(((size_t)p->count + 1) * sizeof *t->heights);
  if (!origins || !t->heights) {
    free(origins);
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld heights", (long long)p->count);
  }
  mote_sim_origins(scene, t->change->from, origins);
  for (int64_t i = 0; i < p->count; i++)
    if (origins[p->material[i]]) t->heights[t->count++] = height(t, p, i);
  free(origins);
  qsort(t->heights, (size_t)t->count, sizeof *t->heights, by_height);
  return MOTE_OK;
}

/* How many lie below. */
static int64_t rank(const timetable *t, float h) {
  int64_t low = 0, high = t->count;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (t->heights[middle] < h)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* From 0 at the change's begin to 1 at its end. What lies equally high changes together. */
static double moment(const timetable *t, const mote_particles *p, int64_t i) {
  if (!t->heights) return mote_random_uniform_f64(t->change->seed, t->stream, (uint64_t)i, 0);
  const int64_t last = rank(t, t->heights[t->count - 1]);
  return last ? (double)rank(t, height(t, p, i)) / (double)last : 0;
}

static int64_t step_of(const timetable *t, const mote_particles *p, int64_t i) {
  if (!t->parts) return t->begin;
  const int64_t part = (int64_t)(moment(t, p, i) * (double)t->parts + 0.5);
  return t->begin + t->length / t->parts * part + t->length % t->parts * part / t->parts;
}

static int64_t nearest_step(float time, float time_step) {
  return (int64_t)llround(fmin((double)time / (double)time_step, 0x1p60));
}

static mote_status make_timetable(const mote_scene *scene, int k, float time_step, timetable *t) {
  *t = (timetable){.change = &scene->changes[k], .stream = STREAM + (uint64_t)k};
  t->begin = nearest_step(t->change->begin, time_step);
  t->length = nearest_step(t->change->end, time_step) - t->begin;
  t->parts = t->length < MOST_STEPS - 1 ? t->length : MOST_STEPS - 1;
  return rank_heights(scene, t);
}

/* ---- the plan ---- */

static mote_status add_event(mote_sim_changes *c, int64_t *room, mote_sim_event event) {
  mote_sim_event *last = c->count ? &c->events[c->count - 1] : NULL;
  if (last && last->particle == event.particle && last->step == event.step) {
    last->material = event.material;
    return MOTE_OK;
  }
  if (c->count == *room) {
    const int64_t larger = *room ? 2 * *room : 1024;
    mote_sim_event *moved = realloc(c->events, (size_t)larger * sizeof *moved);
    if (!moved)
      return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld changes of material", (long long)larger);
    c->events = moved;
    *room = larger;
  }
  c->events[c->count++] = event;
  return MOTE_OK;
}

/* A particle's way: of the changes that it has not been through, the first that finds it. */
static mote_status plan_particle(const mote_scene *scene, const timetable *tables, int32_t i,
                                 mote_sim_changes *c, int64_t *room) {
  const mote_particles *p = &scene->particles;
  int material = p->material[i];
  uint64_t gone = 0;
  for (int64_t now = 0;;) {
    int next = -1;
    int64_t first = 0;
    for (int k = 0; k < scene->change_count; k++) {
      if (gone >> k & 1 || tables[k].change->from != material) continue;
      int64_t step = step_of(&tables[k], p, i);
      if (step < now) step = now;
      if (next < 0 || step < first) next = k, first = step;
    }
    if (next < 0) return MOTE_OK;
    gone |= (uint64_t)1 << next;
    now = first;
    material = tables[next].change->to;
    MOTE_TRY(add_event(c, room, (mote_sim_event){now, i, material}));
  }
}

static int by_step(const void *a, const void *b) {
  const mote_sim_event *x = a, *y = b;
  if (x->step != y->step) return x->step < y->step ? -1 : 1;
  return (x->particle > y->particle) - (x->particle < y->particle);
}

static mote_status plan_all(const mote_scene *scene, float time_step, timetable *tables,
                            mote_sim_changes *c) {
  int64_t room = 0;
  for (int k = 0; k < scene->change_count; k++) MOTE_TRY(make_timetable(scene, k, time_step, &tables[k]));
  for (int64_t i = 0; i < scene->particles.count; i++)
    MOTE_TRY(plan_particle(scene, tables, (int32_t)i, c, &room));
  if (c->count) qsort(c->events, (size_t)c->count, sizeof *c->events, by_step);
  return MOTE_OK;
}

mote_status mote_sim_changes_plan(const mote_scene *scene, float time_step, mote_sim_changes *c) {
  timetable tables[MOTE_MOST_CHANGES] = {{0}};
  *c = (mote_sim_changes){0};
  if (!scene->change_count) return MOTE_OK;
  c->kinds = malloc((size_t)scene->material_count * sizeof *c->kinds);
  if (!c->kinds)
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for the kinds of %d materials", scene->material_count);
  for (int k = 0; k < scene->material_count; k++) c->kinds[k] = scene->materials[k].kind;
  mote_status status = plan_all(scene, time_step, tables, c);
  for (int k = 0; k < scene->change_count; k++) free(tables[k].heights);
  return status;
}

void mote_sim_changes_free(mote_sim_changes *c) {
  free(c->events);
  free(c->kinds);
  *c = (mote_sim_changes){0};
}

/* ---- changing ---- */

int64_t mote_sim_changes_ahead(const mote_sim_changes *c, int64_t step) {
  return c->next < c->count ? c->events[c->next].step - step : INT64_MAX;
}

/* A viscoelastic fluid keeps log J in its history, and its F tells of the polymer's strain alone; for all
   others J is det F, and a history of 0 that of a new particle. So that matter neither swells nor shrinks, J
   goes from the one to the other. */
static void convert(mote_material_kind from, mote_material_kind to, int dim, float *F, float *history) {
  if (from == to) return;
  if (from == MOTE_VISCOELASTIC) {
    const double J = 1 + (double)mote_det_minus_one(dim, F);
    const double scale = J > 0 ? pow(exp((double)*history) / J, 1.0 / dim) : 1;
    for (int k = 0; k < dim * dim; k++) F[k] = (float)(scale * (double)F[k]);
  }
  *history = 0;
  if (to == MOTE_VISCOELASTIC) *history = log1pf(fmaxf(mote_det_minus_one(dim, F), MOTE_SMALLEST_J - 1));
}

void mote_sim_changes_apply(mote_sim_changes *c, int64_t step, mote_particles *p) {
  for (; c->next < c->count && c->events[c->next].step <= step; c->next++) {
    const mote_sim_event *e = &c->events[c->next];
    const int64_t i = e->particle;
    const mote_material_kind from = c->kinds[p->material[i]], to = c->kinds[e->material];
    convert(from, to, p->dim, p->deformation_gradient + i * p->dim * p->dim, &p->history[i]);
    p->material[i] = e->material;
  }
}
