/* See trivial.h. */
#include "host/evaluate/trivial.h"

#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

void mote_trivial_close(mote_trivial_state *s) {
  float *all[] = {s->history[0], s->history[1], s->before, s->now};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) free(all[k]);
}

mote_gravity_source mote_known_gravity(int has_gravity, const double given[3], const mote_metadata *metadata,
                                       int dim, double frame_time, double gravity[3]) {
  mote_gravity_source source = MOTE_GRAVITY_NONE;
  double time = frame_time > 0 ? frame_time : 1;
  const double *from = has_gravity ? given : metadata->gravity;
  if (has_gravity) source = MOTE_GRAVITY_GIVEN;
  for (int a = 0; a < dim; a++) {
    if (source == MOTE_GRAVITY_NONE && frame_time > 0 && metadata->gravity[a] != 0)
      source = MOTE_GRAVITY_METADATA;
    gravity[a] = from[a] * time * time;
  }
  return source;
}

/* The mean second difference over the history's frames, in T's count 0 .. last, the last six of them. */
static mote_status estimate(mote_pair *p, int64_t last, double gravity[3], mote_gravity_source *source) {
  double sum[3] = {0};
  int64_t count = 0, first = last > 5 ? last - 5 : 0;
  size_t values = (size_t)(p->n[1] + 1) * (size_t)p->room.dim;
  float *x = malloc(3 * values * sizeof *x);
  if (!x) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld particles", (long long)p->n[1]);
  mote_status status = MOTE_OK;
  for (int64_t f = first; f <= last && status == MOTE_OK; f++) {
    memmove(x, x + values, 2 * values * sizeof *x);
    status = mote_pair_read_truth(p, f, x + 2 * values);
    if (status == MOTE_OK && f >= first + 2)
      count +=
          mote_add_second_differences(&p->room, x, x + values, x + 2 * values, p->n[1], p->kinematic[1], sum);
  }
  free(x);
  for (int a = 0; a < 3; a++) gravity[a] = count ? sum[a] / (double)count : 0;
  *source = count ? MOTE_GRAVITY_ESTIMATED : MOTE_GRAVITY_NONE;
  return status;
}

mote_status mote_trivial_open(mote_pair *p, const mote_evaluate_options *o, mote_evaluation *e,
                              mote_trivial_state *s) {
  if (!e->history) return MOTE_OK;
  s->last = p->offset + (e->history - 1) * p->stride;
  e->gravity_source =
      mote_known_gravity(o->has_gravity, o->gravity, &p->metadata, p->room.dim, o->frame_time, s->gravity);
  if (e->gravity_source == MOTE_GRAVITY_NONE) MOTE_TRY(estimate(p, s->last, s->gravity, &e->gravity_source));
  memcpy(e->gravity, s->gravity, sizeof e->gravity);
  size_t bytes = (size_t)(p->n[1] + 1) * (size_t)p->room.dim * sizeof(float);
  float **all[] = {&s->history[0], &s->history[1], &s->before, &s->now};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
    *all[k] = malloc(bytes);
    if (!*all[k]) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld particles", (long long)p->n[1]);
  }
  for (int k = 0; k < 2; k++) MOTE_TRY(mote_pair_read_truth(p, s->last - 1 + k, s->history[k]));
  s->count = e->gravity_source == MOTE_GRAVITY_NONE ? MOTE_TRIVIAL_BALLISTIC : MOTE_TRIVIALS;
  return MOTE_OK;
}

void mote_trivial_predict(const mote_trivial_state *s, const mote_pair *p, mote_trivial trivial,
                          int64_t frame, const float *goal, float *x) {
  int64_t steps = p->offset + frame * p->stride - s->last;
  mote_predict(&p->room, trivial, s->gravity, s->history[0], s->history[1], steps, goal, p->kinematic[1],
               p->n[1], x);
}
