/* Rollouts: the sparse particles by a time-stepper, all the others by the operator, streamed to a file.
   Between frames nothing passes through the host: stepper and operator share the device's memory and one
   stream. */
#include <mote/rollout.h>

#include <stdlib.h>
#include <string.h>

#include "host/core/clock.h"
#include "host/core/error.h"
#include "host/models/reconstruction.h"
#include "host/models/rollout.h"
#include "host/models/step_file.h"
#include "host/models/stepper.h"

/* What is a trajectory's own. */
static void end(mote_rollout_state *s) {
  mote_reconstruction_destroy(s->reconstruction);
  mote_operator_destroy(s->learned);
  mote_stepper_destroy(s->stepper);
  void *all[] = {s->dense, s->history, s->goal, s->chosen, s->type, s->labels, s->expert};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) free(all[k]);
  *s = (mote_rollout_state){.reader = s->reader,
                            .writer = s->writer,
                            .metadata = s->metadata,
                            .model = s->model,
                            .trajectory = s->trajectory,
                            .trajectories = s->trajectories,
                            .stopped = s->stopped};
}

static void release(mote_rollout_state *s) {
  end(s);
  mote_model_destroy(s->model);
  mote_trajectory_close(s->reader);
}

/* ---- the pieces ---- */

static mote_status start_stepper(mote_rollout_state *s, const mote_rollout_job *job) {
  mote_metadata statistics;
  MOTE_TRY(mote_step_metadata(job->model, job->metadata, &statistics));
  mote_stepper_options options = {.count = s->stepped,
                                  .particle_type = s->type,
                                  .metadata = &statistics,
                                  .radius = job->radius,
                                  .prescribed = s->kinematic};
  MOTE_TRY(mote_stepper_create(s->model, &options, &s->stepper));
  return mote_stepper_start(s->stepper, s->history);
}

/* Where the stepper stops its particles, the rest stops as well; without such a place it is at infinity. */
static void stop_at_walls(const mote_rollout_state *s, mote_reconstruction_options *o) {
  for (int a = 0; a < o->dim; a++) {
    o->stop[a][0] = (double)s->stepper->integration.lower[a];
    o->stop[a][1] = (double)s->stepper->integration.upper[a];
  }
}

static mote_status start_operator(mote_rollout_state *s, const mote_rollout_job *job, mote_device *device) {
  mote_operator_settings settings;
  int64_t last = (int64_t)(s->frames - 1) * s->stepped * s->info.dim;
  mote_operator_defaults(&settings);
  if (job->operator_folder) {
    MOTE_TRY(mote_operator_load(job->operator_folder, &s->learned));
    settings = *mote_operator_get_settings(s->learned);
    MOTE_TRY(mote_reconstruction_experts(s->reader, s->trajectory, &s->metadata, s->learned, s->stepped,
                                         s->chosen, s->info.particles, s->expert));
  }
  mote_reconstruction_options options = {.dim = s->info.dim,
                                         .sparse_count = s->stepped,
                                         .dense_count = s->info.particles,
                                         .sparse = s->history + last,
                                         .dense = s->dense,
                                         .dense_spacing = s->metadata.dx,
                                         .learned = s->learned,
                                         .expert = s->learned ? s->expert : NULL};
  if (!(s->metadata.dx > 0))
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "%s: its metadata has no particle spacing (dx), which reconstruction needs", job->input);
  mote_reconstruction_place(&s->metadata, &options);
  stop_at_walls(s, &options);
  return mote_reconstruction_create(device, &settings, &options, &s->reconstruction);
}

/* ---- steps ---- */

/* Kinematic particles of the stepped set: the recording's next frame, beyond its end on with their velocity.
 */
static const float *next_goal(mote_rollout_state *s, int64_t frame, mote_status *status) {
  int dim = s->info.dim;
  int64_t values = s->stepped * dim;
  if (!s->kinematic) return NULL;
  if (frame < s->info.frames) {
    *status = mote_trajectory_read_frames(s->reader, s->trajectory, "position", frame, 1, s->dense);
    memcpy(s->goal, s->goal + values, (size_t)values * sizeof *s->goal);
    mote_rollout_gather(s, s->dense, s->goal + values);
  } else {
    for (int64_t k = 0; k < values; k++) {
      float now = s->goal[values + k];
      s->goal[values + k] += now - s->goal[k];
      s->goal[k] = now;
    }
  }
  return s->goal + values;
}

static void add_time(double took, int64_t before, double *sum, double *first) {
  if (before)
    *sum += took;
  else
    *first = took;
}

/* Enqueues a step; the first one, which plans, is waited for. */
static mote_status step(mote_rollout_state *s, int64_t frame, mote_rollout_summary *summary) {
  mote_status status = MOTE_OK;
  const float *goal = next_goal(s, frame, &status);
  MOTE_TRY(status);
  double start = mote_clock_seconds();
  MOTE_TRY(mote_stepper_advance(s->stepper, goal));
  if (!summary->steps) MOTE_TRY(mote_stepper_settle(s->stepper));
  add_time(mote_clock_seconds() - start, summary->steps++, &summary->step_seconds,
           &summary->first_step_seconds);
  return MOTE_OK;
}

static mote_status settle(mote_rollout_state *s, mote_rollout_summary *summary) {
  double start = mote_clock_seconds();
  MOTE_TRY(mote_stepper_settle(s->stepper));
  if (summary->steps > 1) summary->step_seconds += mote_clock_seconds() - start;
  return MOTE_OK;
}

static mote_status append(mote_rollout_state *s, int64_t frame, mote_rollout_summary *summary) {
  const float *values[] = {s->dense};
  MOTE_TRY(mote_trajectory_append(s->writer, (double)frame * s->frame_seconds, values));
  summary->frames++;
  return MOTE_OK;
}

/* Enqueues a frame's reconstruction, or writes it where there is nothing to reconstruct. */
static mote_status show(mote_rollout_state *s, int64_t frame, mote_rollout_summary *summary) {
  MOTE_TRY(settle(s, summary));
  if (!s->reconstruction) {
    MOTE_TRY(mote_stepper_read(s->stepper, s->dense, NULL));
    return append(s, frame, summary);
  }
  double start = mote_clock_seconds();
  MOTE_TRY(
      mote_reconstruction_enqueue(s->reconstruction, s->stepper->stream, mote_stepper_position(s->stepper)));
  s->pending = frame;
  s->pending_seconds = mote_clock_seconds() - start;
  return MOTE_OK;
}

/* The frame whose reconstruction is under way, if there is one. */
static mote_status finish_frame(mote_rollout_state *s, mote_rollout_summary *summary) {
  if (s->pending < 0) return MOTE_OK;
  double start = mote_clock_seconds();
  MOTE_TRY(mote_reconstruction_settle(s->reconstruction));
  add_time(s->pending_seconds + mote_clock_seconds() - start, summary->reconstructed++,
           &summary->reconstruct_seconds, &summary->first_reconstruct_seconds);
  MOTE_TRY(mote_reconstruction_read(s->reconstruction, s->dense, NULL));
  MOTE_TRY(append(s, s->pending, summary));
  s->pending = -1;
  return MOTE_OK;
}

/* The history's frames that are among every k-th, counted from its last one. */
static mote_status write_history(mote_rollout_state *s, int every, mote_rollout_summary *summary) {
  for (int64_t f = 0; f < s->frames; f++) {
    if ((s->frames - 1 - f) % every) continue;
    if (s->writes_all)
      MOTE_TRY(mote_trajectory_read_frames(s->reader, s->trajectory, "position", f, 1, s->dense));
    else
      memcpy(s->dense, s->history + f * s->stepped * s->info.dim,
             (size_t)(s->stepped * s->info.dim) * sizeof(float));
    MOTE_TRY(append(s, f, summary));
  }
  return MOTE_OK;
}

/* Progress counts the steps of all trajectories, as long as this one. */
static int report(const mote_rollout_state *s, const mote_monitor *monitor, int64_t k, int64_t steps) {
  if (!monitor || !monitor->progress) return 0;
  return monitor->progress(monitor->user, "rollout", "steps", s->trajectory * steps + k,
                           s->trajectories * steps);
}

/* On a GPU a frame is reconstructed, read and written while the next step runs. */
static mote_status roll(mote_rollout_state *s, const mote_rollout_job *job, const mote_monitor *monitor,
                        mote_rollout_summary *summary) {
  int64_t steps = job->steps ? job->steps : s->info.frames - s->frames;
  int every = job->every > 0 ? job->every : 1;
  s->pending = -1;
  MOTE_TRY(write_history(s, every, summary));
  for (int64_t k = 1; k <= steps && !s->stopped; k++) {
    int64_t frame = s->frames - 1 + k;
    MOTE_TRY(step(s, frame, summary));
    MOTE_TRY(finish_frame(s, summary));
    if (k % every == 0) MOTE_TRY(show(s, frame, summary));
    s->stopped = report(s, monitor, k, steps);
  }
  MOTE_TRY(finish_frame(s, summary));
  return mote_stepper_edge_count(s->stepper, &summary->edges);
}

/* ---- the whole ---- */

static mote_status run_trajectory(mote_rollout_state *s, mote_device *device, const mote_rollout_job *job,
                                  const mote_monitor *monitor, mote_rollout_summary *summary) {
  mote_model_info info;
  mote_model_get_info(s->model, &info);
  MOTE_TRY(mote_rollout_begin(s, job, &info));
  MOTE_TRY(start_stepper(s, job));
  if (s->writes_all && s->stepped < s->info.particles) MOTE_TRY(start_operator(s, job, device));
  /* Of the history's frames every k-th is written, the last one among them. */
  s->metadata.history_frames = (s->frames - 1) / (job->every > 0 ? job->every : 1) + 1;
  MOTE_TRY(mote_rollout_start_writer(s, job->output));
  summary->particles = s->info.particles;
  summary->stepped = s->stepped;
  return roll(s, job, monitor, summary);
}

static mote_status run_all(mote_rollout_state *s, mote_device *device, const mote_rollout_job *job,
                           const mote_monitor *monitor, mote_rollout_summary *summary) {
  mote_status status = MOTE_OK;
  for (; status == MOTE_OK && !s->stopped && s->trajectory < s->trajectories; s->trajectory++) {
    status = run_trajectory(s, device, job, monitor, summary);
    if (status != MOTE_OK && s->trajectories > 1)
      status = mote_fail_within(status, "trajectory %s", mote_trajectory_name(s->reader, s->trajectory));
    if (status == MOTE_OK) end(s);
  }
  return status;
}

static mote_status run(mote_rollout_state *s, mote_device *device, const mote_rollout_job *job,
                       const mote_monitor *monitor, mote_rollout_summary *summary) {
  MOTE_TRY(mote_model_load(device, job->model, &s->model));
  MOTE_TRY(mote_rollout_open(s, job));
  mote_status status = run_all(s, device, job, monitor, summary);
  if (!s->writer) return status;
  if (status == MOTE_OK) return mote_trajectory_finish(s->writer);
  if (status != MOTE_ERROR_NUMERIC) return mote_trajectory_abort(s->writer), status;
  status =
      mote_fail_within(status, "%s holds the %lld frames before%s", job->output, (long long)summary->frames,
                       s->stepped < s->info.particles ? " (particles are numbered among the stepped)" : "");
  mote_status finished = mote_trajectory_finish(s->writer);
  return finished == MOTE_OK ? status : finished;
}

mote_status mote_rollout_trajectory(mote_device *device, const mote_rollout_job *job,
                                    const mote_monitor *monitor, mote_rollout_summary *summary) {
  mote_rollout_state state = {0};
  mote_rollout_summary totals = {0};
  mote_status status = run(&state, device, job, monitor, &totals);
  release(&state);
  if (summary) *summary = totals;
  return status;
}
