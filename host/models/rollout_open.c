/* A rollout's beginning: input, sparse set, output. */
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/models/rollout.h"
#include "kernels/feature/feature.h"

void mote_rollout_gather(const mote_rollout_state *s, const float *dense, float *sparse) {
  int dim = s->info.dim;
  for (int64_t i = 0; i < s->stepped; i++)
    memcpy(sparse + i * dim, dense + (int64_t)s->chosen[i] * dim, (size_t)dim * sizeof(float));
}

static mote_status choose(mote_rollout_state *s, const mote_sample_options *sampling) {
  int64_t n = s->info.particles;
  if (sampling->count > n)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%lld sparse particles of %lld: expected no more than there are",
                     (long long)sampling->count, (long long)n);
  if (sampling->count || sampling->ratio > 0 || sampling->radius > 0)
    return mote_sample(s->dense, n, s->info.dim, sampling, s->chosen, &s->stepped, NULL);
  for (int64_t i = 0; i < n; i++) s->chosen[i] = (int32_t)i;
  s->stepped = n;
  return MOTE_OK;
}

static mote_status allocate(mote_rollout_state *s) {
  size_t n = (size_t)s->info.particles, dim = (size_t)s->info.dim;
  s->dense = malloc(n * dim * sizeof *s->dense);
  s->chosen = malloc(n * sizeof *s->chosen);
  s->labels = malloc(3 * n * sizeof *s->labels);
  return s->dense && s->chosen && s->labels ? MOTE_OK
                                            : mote_fail(MOTE_ERROR_MEMORY, "out of memory for a rollout");
}

static mote_status allocate_stepped(mote_rollout_state *s) {
  size_t n = (size_t)s->stepped, dim = (size_t)s->info.dim;
  s->history = malloc((size_t)s->frames * n * dim * sizeof *s->history);
  s->goal = malloc(2 * n * dim * sizeof *s->goal);
  s->type = malloc(n * sizeof *s->type);
  s->expert = malloc(n * sizeof *s->expert);
  return s->history && s->goal && s->type && s->expert
             ? MOTE_OK
             : mote_fail(MOTE_ERROR_MEMORY, "out of memory for a rollout");
}

/* Leaves the history's last frame of all particles in s->dense. */
static mote_status read_history(mote_rollout_state *s) {
  int64_t values = s->stepped * s->info.dim;
  for (int64_t f = 0; f < s->frames; f++) {
    MOTE_TRY(mote_trajectory_read_frames(s->reader, s->trajectory, "position", f, 1, s->dense));
    mote_rollout_gather(s, s->dense, s->history + f * values);
  }
  memcpy(s->goal, s->history + (s->frames - 2) * values, (size_t)(2 * values) * sizeof *s->goal);
  MOTE_TRY(mote_trajectory_read_labels(s->reader, s->trajectory, "particle_type", s->labels));
  for (int64_t i = 0; i < s->stepped; i++) {
    s->type[i] = s->labels[s->chosen[i]];
    s->kinematic |= s->type[i] == MOTE_KINEMATIC;
  }
  return MOTE_OK;
}

mote_status mote_rollout_open(mote_rollout_state *s, const mote_rollout_job *job) {
  MOTE_TRY(mote_trajectory_open(job->input, &s->reader));
  s->trajectories = mote_trajectory_count(s->reader);
  return mote_trajectory_read_metadata(s->reader, &s->metadata);
}

mote_status mote_rollout_begin(mote_rollout_state *s, const mote_rollout_job *job,
                               const mote_model_info *model) {
  s->frames = model->frames;
  s->writes_all =
      job->reconstructs || !(job->sampling.count || job->sampling.ratio > 0 || job->sampling.radius > 0);
  MOTE_TRY(mote_trajectory_get_info(s->reader, s->trajectory, &s->info));
  if (s->info.dim != model->dim)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s is %d-D, the model %d-D", job->input, s->info.dim, model->dim);
  if (s->info.frames < s->frames || (!job->steps && s->info.frames == s->frames))
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "%s has %lld frames: the history takes %d, and the number of steps is that of the rest "
                     "unless it is given",
                     job->input, (long long)s->info.frames, s->frames);
  double times[2] = {0, 1};
  MOTE_TRY(mote_trajectory_read_times(s->reader, s->trajectory, 0, 2, times));
  s->frame_seconds = times[1] - times[0];
  MOTE_TRY(allocate(s));
  MOTE_TRY(mote_trajectory_read_frames(s->reader, s->trajectory, "position", 0, 1, s->dense));
  MOTE_TRY(choose(s, &job->sampling));
  MOTE_TRY(allocate_stepped(s));
  return read_history(s);
}

/* Row k of the labels; NULL where the input has none of this name. Of the stepped ones where only they are
 * written. */
static const int32_t *labels(mote_rollout_state *s, const char *name, int k) {
  int32_t *row = s->labels + k * s->info.particles;
  if (mote_trajectory_read_labels(s->reader, s->trajectory, name, row) != MOTE_OK) return NULL;
  for (int64_t i = 0; !s->writes_all && i < s->stepped; i++) row[i] = row[s->chosen[i]]; /* chosen ascends */
  return row;
}

mote_status mote_rollout_start_writer(mote_rollout_state *s, const char *output) {
  mote_trajectory_field field = {"position", 1, {s->info.dim, 0}};
  mote_trajectory_options options = {.particles = s->writes_all ? s->info.particles : s->stepped,
                                     .dim = s->info.dim,
                                     .field_count = 1,
                                     .fields = &field,
                                     .particle_type = labels(s, "particle_type", 0),
                                     .material = labels(s, "material", 1),
                                     .body = labels(s, "body", 2),
                                     .index = s->writes_all ? NULL : s->chosen,
                                     .compression = 4,
                                     .name = mote_trajectory_name(s->reader, s->trajectory),
                                     .metadata = &s->metadata,
                                     .write_xdmf = 1};
  return s->writer ? mote_trajectory_next(s->writer, &options)
                   : mote_trajectory_create(output, &options, &s->writer);
}
