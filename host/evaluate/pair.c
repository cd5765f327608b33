/* See pair.h. */
#include "host/evaluate/pair.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

void mote_pair_close(mote_pair *p) {
  for (int side = 0; side < 2; side++) {
    free(p->now[side]);
    free(p->before[side]);
    free(p->kinematic[side]);
  }
  free(p->pick);
  free(p->type);
  free(p->whole);
}

/* ---- frames ---- */

/* The times of the first frame and between the first two; 0 where the file knows none. */
static mote_status interval(mote_trajectory_reader *reader, int index, int64_t frames, double *first,
                            double *step) {
  double times[2] = {0, 1};
  mote_metadata metadata;
  *first = *step = 0;
  if (frames < 2) return MOTE_OK;
  MOTE_TRY(mote_trajectory_read_times(reader, index, 0, 2, times));
  int known = times[1] - times[0] != 1 ||
              (mote_trajectory_read_metadata(reader, &metadata) == MOTE_OK && metadata.dt > 0);
  if (!known || !(times[1] > times[0])) return MOTE_OK;
  *first = times[0];
  *step = times[1] - times[0];
  return MOTE_OK;
}

/* Which frames belong together, to a hundredth of an interval. */
static mote_status match_frames(mote_pair *p, const mote_trajectory_info info[2]) {
  double first[2], step[2];
  for (int side = 0; side < 2; side++)
    MOTE_TRY(interval(p->reader[side], p->index[side], info[side].frames, &first[side], &step[side]));
  p->offset = 0;
  p->stride = 1;
  if (step[0] > 0 && step[1] > 0) {
    double stride = step[0] / step[1], offset = (first[0] - first[1]) / step[1];
    if (!(stride < 1e9) || !(fabs(offset) < 1e9) || rint(stride) < 1 || rint(offset) < 0 ||
        fabs(stride - rint(stride)) > 0.01 * stride || fabs(offset - rint(offset)) > 0.05)
      return mote_fail(MOTE_ERROR_ARGUMENT,
                       "the times do not fit: the trajectory begins at %g s with %g s between frames, the "
                       "truth at %g s with %g s",
                       first[0], step[0], first[1], step[1]);
    p->stride = (int64_t)rint(stride);
    p->offset = (int64_t)rint(offset);
  }
  p->truth_frames = info[1].frames > p->offset ? (info[1].frames - 1 - p->offset) / p->stride + 1 : 0;
  p->frames = info[0].frames < p->truth_frames ? info[0].frames : p->truth_frames;
  return p->frames > 0
             ? MOTE_OK
             : mote_fail(MOTE_ERROR_ARGUMENT, "the trajectory and the truth have no frame in common");
}

/* ---- particles ---- */

/* D's label "index" says which of T's particles they are. */
static mote_status pick_rows(mote_pair *p) {
  if (p->n[0] == p->n[1] || !mote_trajectory_has_labels(p->reader[0], p->index[0], "index")) return MOTE_OK;
  p->pick = malloc((size_t)(p->n[0] + 1) * sizeof *p->pick);
  p->whole = malloc((size_t)(p->rows + 1) * (size_t)p->room.dim * sizeof *p->whole);
  if (!p->pick || !p->whole)
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld particles", (long long)p->rows);
  MOTE_TRY(mote_trajectory_read_labels(p->reader[0], p->index[0], "index", p->pick));
  for (int64_t i = 0; i < p->n[0]; i++)
    if (p->pick[i] < 0 || p->pick[i] >= p->rows)
      return mote_fail(MOTE_ERROR_ARGUMENT,
                       "particle %lld is number %d of a denser trajectory, but the truth has %lld: it is of "
                       "another one",
                       (long long)i, p->pick[i], (long long)p->rows);
  p->n[1] = p->n[0];
  return MOTE_OK;
}

static unsigned char *mark_kinematic(const int32_t *type, int64_t n) {
  unsigned char *mark = malloc((size_t)n + 1);
  for (int64_t i = 0; mark && i < n; i++) mark[i] = type[i] == MOTE_TYPE_KINEMATIC;
  return mark;
}

static mote_status read_types(mote_pair *p) {
  int64_t most = p->rows > p->n[0] ? p->rows : p->n[0];
  p->type = malloc((size_t)(most + 1) * sizeof *p->type);
  if (!p->type) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld labels", (long long)most);
  if (p->n[0] != p->n[1]) {
    MOTE_TRY(mote_trajectory_read_labels(p->reader[0], p->index[0], "particle_type", p->type));
    p->kinematic[0] = mark_kinematic(p->type, p->n[0]);
  }
  MOTE_TRY(mote_trajectory_read_labels(p->reader[1], p->index[1], "particle_type", p->type));
  if (p->pick) {
    int32_t *all = p->type;
    p->type = malloc((size_t)(p->n[1] + 1) * sizeof *p->type);
    for (int64_t i = 0; p->type && i < p->n[1]; i++) p->type[i] = all[p->pick[i]];
    free(all);
    if (!p->type) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld labels", (long long)p->n[1]);
  }
  p->kinematic[1] = mark_kinematic(p->type, p->n[1]);
  if (!p->kinematic[0]) p->kinematic[0] = mark_kinematic(p->type, p->n[1]);
  return p->kinematic[0] && p->kinematic[1]
             ? MOTE_OK
             : mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld labels", (long long)most);
}

static void read_room(mote_pair *p) {
  mote_metadata d;
  if (mote_trajectory_read_metadata(p->reader[0], &d) == MOTE_OK) p->history_frames = d.history_frames;
  int known =
      mote_trajectory_read_metadata(p->reader[1], &p->metadata) == MOTE_OK && p->metadata.dim == p->room.dim;
  if (!known) p->metadata = (mote_metadata){0};
  p->room.reach = p->metadata.reach;
  for (int a = 0; a < p->room.dim; a++) {
    p->room.bounds[a][0] = known ? p->metadata.bounds[a][0] : -INFINITY;
    p->room.bounds[a][1] = known ? p->metadata.bounds[a][1] : INFINITY;
    if (known && p->metadata.periodic[a]) p->room.period[a] = p->room.bounds[a][1] - p->room.bounds[a][0];
  }
}

mote_status mote_pair_open(mote_pair *p) {
  mote_trajectory_info info[2];
  for (int side = 0; side < 2; side++) {
    MOTE_TRY(mote_trajectory_get_info(p->reader[side], p->index[side], &info[side]));
    p->n[side] = info[side].particles;
  }
  if (info[0].dim != info[1].dim)
    return mote_fail(MOTE_ERROR_ARGUMENT, "a %d-D trajectory cannot be compared with a %d-D one", info[0].dim,
                     info[1].dim);
  p->room.dim = info[0].dim;
  p->rows = p->n[1];
  if (info[0].frames < 1 || info[1].frames < 1)
    return mote_fail(MOTE_ERROR_ARGUMENT, "a trajectory without frames cannot be compared");
  MOTE_TRY(match_frames(p, info));
  read_room(p);
  MOTE_TRY(pick_rows(p));
  MOTE_TRY(read_types(p));
  for (int side = 0; side < 2; side++) {
    size_t bytes = (size_t)(p->n[side] + 1) * (size_t)p->room.dim * sizeof(float);
    p->now[side] = malloc(bytes);
    p->before[side] = malloc(bytes);
    if (!p->now[side] || !p->before[side])
      return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld particles", (long long)p->n[side]);
  }
  return MOTE_OK;
}

/* ---- reading ---- */

void mote_select_rows(const float *points, const int32_t *index, int64_t n, int dim, float *selected) {
  for (int64_t i = 0; i < n; i++)
    for (int k = 0; k < dim; k++) selected[i * dim + k] = points[(int64_t)index[i] * dim + k];
}

mote_status mote_pair_read_truth(mote_pair *p, int64_t frame, float *x) {
  float *to = p->pick ? p->whole : x;
  MOTE_TRY(mote_trajectory_read_frames(p->reader[1], p->index[1], "position", frame, 1, to));
  if (p->pick) mote_select_rows(p->whole, p->pick, p->n[1], p->room.dim, x);
  return MOTE_OK;
}

mote_status mote_pair_read(mote_pair *p, int64_t frame) {
  for (int side = 0; side < 2; side++) {
    float *swap = p->now[side];
    p->now[side] = p->before[side];
    p->before[side] = swap;
  }
  p->astray = 0;
  mote_status status = mote_pair_read_truth(p, p->offset + frame * p->stride, p->now[1]);
  if (status != MOTE_OK) return mote_fail_within(status, "the truth, frame %lld", (long long)frame);
  status = mote_trajectory_read_frames(p->reader[0], p->index[0], "position", frame, 1, p->now[0]);
  p->astray = status == MOTE_ERROR_NUMERIC;
  if (status != MOTE_OK) return status;
  if (p->n[0] == p->n[1]) mote_nearest_image(&p->room, p->now[1], p->n[0], p->now[0]);
  return MOTE_OK;
}
