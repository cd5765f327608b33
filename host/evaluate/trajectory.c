/* Errors between two trajectories, one frame in memory at a time. */
#include <mote/evaluate.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/evaluate/groups.h"

void mote_evaluate_options_defaults(mote_evaluate_options *options) {
  *options = (mote_evaluate_options){.name = "reconstruction", .chamfer_stride = 1, .per_material = 1};
}

void mote_evaluation_destroy(mote_evaluation *evaluation) {
  for (int g = 0; g < evaluation->group_count; g++) free(evaluation->groups[g].frame);
  free(evaluation->groups);
  *evaluation = (mote_evaluation){0};
}

typedef struct comparison {
  mote_evaluator *evaluator;
  mote_trajectory_reader *reader[2];
  int index[2], dim;
  int64_t n[2];
  float *points[2], *selected[2]; /* (n, dim) */
  mote_group groups[MOTE_EVALUATE_MATERIALS];
  int group_count;
} comparison;

static void close_comparison(comparison *c) {
  for (int side = 0; side < 2; side++) {
    free(c->points[side]);
    free(c->selected[side]);
  }
  mote_groups_free(c->groups, c->group_count);
}

static mote_status open_comparison(comparison *c, int64_t *frames) {
  *frames = INT64_MAX;
  for (int side = 0; side < 2; side++) {
    mote_trajectory_info info;
    MOTE_TRY(mote_trajectory_get_info(c->reader[side], c->index[side], &info));
    if (side && info.dim != c->dim)
      return mote_fail(MOTE_ERROR_ARGUMENT, "a %d-D trajectory cannot be compared with a %d-D one", c->dim,
                       info.dim);
    c->dim = info.dim;
    c->n[side] = info.particles;
    *frames = info.frames < *frames ? info.frames : *frames;
    size_t bytes = (size_t)(info.particles + 1) * (size_t)info.dim * sizeof(float);
    c->points[side] = malloc(bytes);
    c->selected[side] = malloc(bytes);
    if (!c->points[side] || !c->selected[side])
      return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld particles", (long long)info.particles);
  }
  if (*frames < 1) return mote_fail(MOTE_ERROR_ARGUMENT, "a trajectory without frames cannot be compared");
  return MOTE_OK;
}

static mote_status make_evaluation(const comparison *c, const mote_evaluate_options *o, int64_t frames,
                                   mote_evaluation *e) {
  snprintf(e->name, sizeof e->name, "%s", o->name ? o->name : "reconstruction");
  e->frame_time = o->frame_time;
  memcpy(e->particles, c->n, sizeof e->particles);
  e->groups = calloc((size_t)c->group_count + 1, sizeof *e->groups);
  if (!e->groups) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for the errors");
  e->group_count = c->group_count + 1;
  for (int g = 0; g < e->group_count; g++) {
    snprintf(e->groups[g].name, sizeof e->groups[g].name, "%s", g ? c->groups[g - 1].name : "all");
    e->groups[g].frame = malloc((size_t)frames * sizeof(mote_errors));
    if (!e->groups[g].frame)
      return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld errors", (long long)frames);
  }
  return MOTE_OK;
}

static mote_status compare_frame(comparison *c, int64_t frame, int with_chamfer, mote_evaluation *e) {
  for (int side = 0; side < 2; side++)
    MOTE_TRY(
        mote_trajectory_read_frames(c->reader[side], c->index[side], "position", frame, 1, c->points[side]));
  mote_status status = mote_evaluate_points(c->evaluator, c->dim, c->points[0], c->n[0], c->points[1],
                                            c->n[1], with_chamfer, &e->groups[0].frame[frame]);
  if (status != MOTE_OK) return mote_fail_within(status, "frame %lld", (long long)frame);
  for (int g = 0; g < c->group_count; g++) {
    const mote_group *group = &c->groups[g];
    for (int side = 0; side < 2; side++)
      mote_select_rows(c->points[side], group->index[side], group->count[side], c->dim, c->selected[side]);
    mote_errors *errors = &e->groups[g + 1].frame[frame];
    MOTE_TRY(mote_evaluate_points(c->evaluator, c->dim, c->selected[0], group->count[0], c->selected[1],
                                  group->count[1], with_chamfer, errors));
    /* As many particles of the material by chance are not the same ones. */
    if (c->n[0] != c->n[1]) errors->relative_l2 = errors->rmse = errors->maximum = NAN;
  }
  return MOTE_OK;
}

static void summarise(mote_error_series *s, int64_t frames) {
  double mean[4] = {0}, worst[4] = {0};
  int64_t present[4] = {0};
  for (int64_t f = 0; f < frames; f++) {
    const mote_errors *x = &s->frame[f];
    const double v[4] = {x->relative_l2, x->rmse, x->maximum, x->chamfer};
    for (int k = 0; k < 4; k++) {
      if (!isfinite(v[k])) continue;
      mean[k] += v[k];
      worst[k] = fmax(worst[k], v[k]);
      present[k]++;
    }
  }
  for (int k = 0; k < 4; k++) {
    mean[k] = present[k] ? mean[k] / (double)present[k] : NAN;
    worst[k] = present[k] ? worst[k] : NAN;
  }
  s->mean = (mote_errors){mean[0], mean[1], mean[2], mean[3]};
  s->worst = (mote_errors){worst[0], worst[1], worst[2], worst[3]};
}

static mote_status compare(comparison *c, const mote_evaluate_options *o, const mote_monitor *monitor,
                           mote_evaluation *e) {
  int64_t frames, stride = o->chamfer_stride > 0 ? o->chamfer_stride : 1;
  MOTE_TRY(open_comparison(c, &frames));
  if (o->per_material)
    MOTE_TRY(mote_groups_read(c->reader[0], c->index[0], c->n[0], c->reader[1], c->index[1], c->n[1],
                              c->groups, &c->group_count));
  MOTE_TRY(make_evaluation(c, o, frames, e));
  for (int64_t f = 0; f < frames; f++) {
    MOTE_TRY(compare_frame(c, f, f % stride == 0, e));
    e->frames = f + 1;
    if (monitor && monitor->progress && monitor->progress(monitor->user, "evaluate", "frames", f + 1, frames))
      break;
  }
  for (int g = 0; g < e->group_count; g++) summarise(&e->groups[g], e->frames);
  return MOTE_OK;
}

mote_status mote_evaluate_trajectory(mote_evaluator *evaluator, mote_trajectory_reader *d, int d_index,
                                     mote_trajectory_reader *t, int t_index,
                                     const mote_evaluate_options *options, const mote_monitor *monitor,
                                     mote_evaluation *evaluation) {
  comparison c = {.evaluator = evaluator, .reader = {d, t}, .index = {d_index, t_index}};
  *evaluation = (mote_evaluation){0};
  mote_status status = compare(&c, options, monitor, evaluation);
  close_comparison(&c);
  if (status != MOTE_OK) mote_evaluation_destroy(evaluation);
  return status;
}
