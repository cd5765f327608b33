/* Errors between two trajectories, two frames of each in memory at a time. */
#include <mote/evaluate.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/evaluate/evaluator.h"
#include "host/evaluate/groups.h"
#include "host/evaluate/summary.h"
#include "host/evaluate/transport.h"
#include "host/evaluate/trivial.h"

void mote_evaluate_options_defaults(mote_evaluate_options *options) {
  *options = (mote_evaluate_options){.name = "reconstruction",
                                     .chamfer_stride = 1,
                                     .per_material = 1,
                                     .sinkhorn_points = 500,
                                     .sinkhorn_blur = 0.5,
                                     .reach = -1};
}

typedef struct comparison {
  mote_evaluator *evaluator;
  const mote_evaluate_options *options;
  mote_pair pair;
  mote_groups groups;
  mote_trivial_state trivial;
  mote_transport transport;
  int64_t history;
  float *selected[4]; /* rows of a group: now and before, of D and T */
} comparison;

static void close_comparison(comparison *c) {
  for (int k = 0; k < 4; k++) free(c->selected[k]);
  mote_trivial_close(&c->trivial);
  mote_transport_close(&c->transport);
  mote_groups_free(&c->groups);
  mote_pair_close(&c->pair);
}

/* ---- what is set up ---- */

/* Velocities need a frame of T before the history's last one. */
static int is_history(const mote_pair *p, int64_t history) {
  return history > 0 && history < p->frames && p->offset + (history - 1) * p->stride > 0;
}

static mote_status choose_history(const comparison *c, int64_t *history) {
  const mote_pair *p = &c->pair;
  *history = c->options->history;
  if (*history == MOTE_HISTORY_OF_FILE) {
    *history = p->history_frames ? p->history_frames : 6;
    if (!is_history(p, *history)) *history = 0;
    return MOTE_OK;
  }
  if (*history == 0 || is_history(p, *history)) return MOTE_OK;
  return mote_fail(MOTE_ERROR_ARGUMENT,
                   "a history of %lld frames: expected 0, or at least 2 and fewer than the %lld that the "
                   "trajectory and the truth share",
                   (long long)*history, (long long)p->frames);
}

static mote_status reserve(comparison *c) {
  for (int k = 0; k < 4; k++) {
    size_t n = (size_t)c->pair.n[k % 2];
    c->selected[k] = malloc((n + 1) * (size_t)c->pair.room.dim * sizeof(float));
    if (!c->selected[k]) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %zu particles", n);
  }
  return MOTE_OK;
}

static mote_status open_comparison(comparison *c, mote_evaluation *e) {
  const mote_evaluate_options *o = c->options;
  MOTE_TRY(mote_pair_open(&c->pair));
  if (o->reach >= 0) c->pair.room.reach = o->reach;
  MOTE_TRY(choose_history(c, &c->history));
  e->history = c->history;
  MOTE_TRY(mote_groups_read(&c->pair, o->per_material, &c->groups));
  MOTE_TRY(reserve(c));
  MOTE_TRY(mote_trivial_open(&c->pair, o, e, &c->trivial));
  int transports =
      o->sinkhorn == MOTE_SINKHORN_ALWAYS || (o->sinkhorn == MOTE_SINKHORN_FLUIDS && c->groups.any_fluid);
  return transports ? mote_transport_open(c->evaluator, &c->pair, o, &c->transport) : MOTE_OK;
}

static mote_status make_evaluation(const comparison *c, mote_evaluation *e) {
  const mote_evaluate_options *o = c->options;
  const mote_pair *p = &c->pair;
  snprintf(e->name, sizeof e->name, "%s", o->name ? o->name : "reconstruction");
  e->trajectories = 1;
  e->finite = 1;
  e->by_index = p->pick != NULL;
  e->frame_time = o->frame_time * (double)p->stride;
  e->start_time = o->frame_time * (double)p->offset;
  e->shared_frames = p->frames;
  e->truth_frames = p->truth_frames;
  memcpy(e->particles, p->n, sizeof e->particles);
  e->particles[1] = p->rows;
  e->sinkhorn_blur =
      c->transport.evaluator ? mote_transport_blur(&c->transport, p->room.dim, p->n[0], p->n[1]) : 0;
  e->sinkhorn_points = p->n[0] < o->sinkhorn_points ? p->n[0] : o->sinkhorn_points;
  MOTE_TRY(mote_series_create(c->groups.count + 1, p->frames, &e->groups));
  e->group_count = c->groups.count + 1;
  for (int g = 0; g < e->group_count; g++)
    snprintf(e->groups[g].name, sizeof e->groups[g].name, "%s", g ? c->groups.group[g - 1].name : "all");
  MOTE_TRY(mote_series_create(c->trivial.count, p->frames, &e->trivial));
  e->trivial_count = c->trivial.count;
  for (int k = 0; k < e->trivial_count; k++)
    snprintf(e->trivial[k].name, sizeof e->trivial[k].name, "%s", mote_trivial_name((mote_trivial)k));
  return MOTE_OK;
}

/* ---- a frame ---- */

/* What is compared: a group, all particles, or a prediction. */
typedef struct view {
  const float *now[2], *before[2];
  const unsigned char *kinematic[2];
  int64_t n[2];
  int transports;
} view;

/* Every stride-th frame, counted from the first behind the history; 0: about ten in all. */
static int is_due(const comparison *c, int64_t frame, int64_t stride) {
  int64_t after = frame - c->history, automatic = (c->pair.frames - c->history + 9) / 10;
  return after >= 0 && after % (stride > 0 ? stride : automatic) == 0;
}

static mote_status measure(comparison *c, const view *v, int64_t frame, mote_errors *e) {
  const mote_evaluate_options *o = c->options;
  const mote_room *room = &c->pair.room;
  MOTE_TRY(mote_evaluate_points(c->evaluator, room->dim, v->now[0], v->n[0], v->now[1], v->n[1],
                                is_due(c, frame, o->chamfer_stride), e));
  if (v->transports && is_due(c, frame, o->sinkhorn_stride))
    MOTE_TRY(mote_transport_distance(&c->transport, room->dim, v->now[0], v->n[0], v->now[1], v->n[1],
                                     c->pair.n[0] == c->pair.n[1], &e->sinkhorn));
  double *inside[2] = {&e->inside, &e->inside_truth}, *beyond[2] = {&e->beyond, &e->beyond_truth};
  for (int side = 0; side < 2 && isfinite(room->bounds[0][0]); side++)
    *inside[side] = mote_inside(room, v->now[side], v->n[side], v->kinematic[side], beyond[side]);
  if (!frame) return MOTE_OK;
  int threads = mote_stream_threads(c->evaluator->stream);
  double time = o->frame_time > 0 ? o->frame_time * (double)c->pair.stride : 1;
  double *kinetic[2] = {&e->kinetic, &e->kinetic_truth};
  for (int side = 0; side < 2; side++)
    *kinetic[side] =
        mote_kinetic_per_frame(room, v->before[side], v->now[side], v->n[side], v->kinematic[side], threads) /
        (time * time);
  return MOTE_OK;
}

static mote_status measure_group(comparison *c, const mote_group *group, int64_t frame, mote_errors *errors) {
  const mote_pair *p = &c->pair;
  for (int side = 0; side < 2; side++) {
    mote_select_rows(p->now[side], group->index[side], group->count[side], p->room.dim, c->selected[side]);
    if (frame)
      mote_select_rows(p->before[side], group->index[side], group->count[side], p->room.dim,
                       c->selected[2 + side]);
  }
  view v = {.now = {c->selected[0], c->selected[1]},
            .before = {c->selected[2], c->selected[3]},
            .kinematic = {group->kinematic[0], group->kinematic[1]},
            .n = {group->count[0], group->count[1]},
            .transports =
                c->transport.evaluator && (group->fluid || c->options->sinkhorn == MOTE_SINKHORN_ALWAYS)};
  MOTE_TRY(measure(c, &v, frame, errors));
  /* As many particles of the material by chance are not the same ones. */
  if (p->n[0] != p->n[1]) errors->relative_l2 = errors->rmse = errors->maximum = errors->position = NAN;
  return MOTE_OK;
}

static mote_status measure_trivial(comparison *c, int k, int64_t frame, mote_errors *errors) {
  const mote_pair *p = &c->pair;
  mote_trivial_state *t = &c->trivial;
  mote_trivial_predict(t, p, (mote_trivial)k, frame - 1, p->before[1], t->before);
  mote_trivial_predict(t, p, (mote_trivial)k, frame, p->now[1], t->now);
  view v = {.now = {t->now, p->now[1]},
            .before = {t->before, p->before[1]},
            .kinematic = {p->kinematic[1], p->kinematic[1]},
            .n = {p->n[1], p->n[1]},
            .transports = c->transport.evaluator != NULL};
  return measure(c, &v, frame, errors);
}

static mote_status compare_frame(comparison *c, int64_t frame, mote_evaluation *e) {
  mote_pair *p = &c->pair;
  MOTE_TRY(mote_pair_read(p, frame));
  view all = {.now = {p->now[0], p->now[1]},
              .before = {p->before[0], p->before[1]},
              .kinematic = {p->kinematic[0], p->kinematic[1]},
              .n = {p->n[0], p->n[1]},
              .transports = c->transport.evaluator != NULL};
  mote_status status = measure(c, &all, frame, &e->groups[0].frame[frame]);
  if (status != MOTE_OK) return mote_fail_within(status, "frame %lld", (long long)frame);
  for (int g = 0; g < c->groups.count; g++)
    MOTE_TRY(measure_group(c, &c->groups.group[g], frame, &e->groups[g + 1].frame[frame]));
  for (int k = 0; k < e->trivial_count && frame >= e->history; k++)
    MOTE_TRY(measure_trivial(c, k, frame, &e->trivial[k].frame[frame]));
  return MOTE_OK;
}

static mote_status compare(comparison *c, const mote_monitor *monitor, mote_evaluation *e) {
  MOTE_TRY(open_comparison(c, e));
  MOTE_TRY(make_evaluation(c, e));
  for (int64_t f = 0; f < c->pair.frames; f++) {
    mote_status status = compare_frame(c, f, e);
    if (status != MOTE_OK && c->pair.astray && c->options->tolerates_divergence) {
      e->finite = 0;
      break;
    }
    MOTE_TRY(status);
    e->frames = f + 1;
    if (monitor && monitor->progress &&
        monitor->progress(monitor->user, "evaluate", "frames", f + 1, c->pair.frames))
      break;
  }
  mote_evaluation_summarise(e);
  return MOTE_OK;
}

mote_status mote_evaluate_trajectory(mote_evaluator *evaluator, mote_trajectory_reader *d, int d_index,
                                     mote_trajectory_reader *t, int t_index,
                                     const mote_evaluate_options *options, const mote_monitor *monitor,
                                     mote_evaluation *evaluation) {
  comparison *c = calloc(1, sizeof *c);
  *evaluation = (mote_evaluation){0};
  if (!c) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for an evaluation");
  c->evaluator = evaluator;
  c->options = options;
  c->pair.reader[0] = d, c->pair.reader[1] = t;
  c->pair.index[0] = d_index, c->pair.index[1] = t_index;
  mote_status status = compare(c, monitor, evaluation);
  close_comparison(c);
  free(c);
  if (status != MOTE_OK) mote_evaluation_destroy(evaluation);
  return status;
}
