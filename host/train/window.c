#include "host/train/window.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mote/random.h>

#include "host/core/error.h"
#include "kernels/feature/feature.h"

/* Streams of random numbers: what is chosen for an example, and its noise. */
enum { CHOICE = 31, NOISE = 1000 };

static int64_t length_of(const mote_window_options *o) {
  return o->frames + o->steps;
}

static mote_status windows_of(mote_trajectory_reader *reader, const mote_window_options *o, int trajectory,
                              int64_t *windows) {
  mote_trajectory_info info;
  MOTE_TRY(mote_trajectory_get_info(reader, trajectory, &info));
  int64_t frames = o->within && o->within < info.frames ? o->within : info.frames;
  *windows = frames - length_of(o) + 1;
  if (*windows >= 1) return MOTE_OK;
  return mote_fail(MOTE_ERROR_FORMAT, "trajectory %s has %lld frames%s: an example takes %lld",
                   mote_trajectory_name(reader, trajectory), (long long)frames,
                   frames < info.frames ? " that count" : "", (long long)length_of(o));
}

mote_status mote_windows_count(mote_trajectory_reader *reader, const mote_window_options *o,
                               int64_t *trajectories, int64_t *windows) {
  *trajectories = mote_trajectory_count(reader);
  *windows = 0;
  for (int k = 0; k < *trajectories; k++) {
    int64_t more;
    MOTE_TRY(windows_of(reader, o, k, &more));
    *windows += more;
  }
  return *trajectories ? MOTE_OK : mote_fail(MOTE_ERROR_FORMAT, "the file has no trajectory");
}

/* ---- memory ---- */

void mote_window_free(mote_window *w) {
  free(w->truth);
  free(w->history);
  free(w->rest);
  free(w->type);
  free(w->index);
  free(w->first);
  free(w->frame);
  *w = (mote_window){0};
}

static int enlarge(void *memory, int64_t count, size_t size) {
  void *more = realloc(*(void **)memory, (size_t)count * size);
  if (more) *(void **)memory = more;
  return more != NULL;
}

static mote_status make_room(mote_window *w, int64_t particles, int64_t all, int dim, int64_t frames) {
  if (all * dim > w->first_room) {
    if (!enlarge(&w->first, all * dim, sizeof(float)) || !enlarge(&w->frame, all * dim, sizeof(float)) ||
        !enlarge(&w->rest, all * dim, sizeof(float)) || !enlarge(&w->type, all * dim, sizeof(int32_t)) ||
        !enlarge(&w->index, all * dim, sizeof(int32_t)))
      return mote_fail(MOTE_ERROR_MEMORY, "out of memory for an example");
    w->first_room = all * dim;
  }
  if (frames * particles * dim > w->room) {
    if (!enlarge(&w->truth, frames * particles * dim, sizeof(float)) ||
        !enlarge(&w->history, frames * particles * dim, sizeof(float)))
      return mote_fail(MOTE_ERROR_MEMORY, "out of memory for an example");
    w->room = frames * particles * dim;
  }
  return MOTE_OK;
}

/* ---- what is chosen ---- */

/* The sparse set is chosen where a rollout chooses it: on the first frame. */
static mote_status choose_particles(mote_trajectory_reader *reader, const mote_window_options *o,
                                    int trajectory, uint64_t number, int64_t all, int dim, mote_window *w) {
  int64_t least = o->least < all ? o->least : all, most = o->most < all ? o->most : all;
  uint64_t spread = (uint64_t)(most - least) + 1;
  int64_t count = least + (int64_t)mote_random_below(o->seed, CHOICE + 2, number, spread);
  MOTE_TRY(make_room(w, 0, all, dim, 0));
  MOTE_TRY(mote_trajectory_read_frames(reader, trajectory, "position", 0, 1, w->first));
  if (count == all) {
    for (int64_t i = 0; i < all; i++) w->index[i] = (int32_t)i;
    w->particles = all;
    return MOTE_OK;
  }
  mote_sample_options sampling = {.method = o->method, .count = count, .seed = o->seed * 1000003 + number};
  return mote_sample(w->first, all, dim, &sampling, w->index, &w->particles, NULL);
}

static mote_status read_types(mote_trajectory_reader *reader, int trajectory, int64_t all, mote_window *w) {
  int32_t *type = malloc((size_t)all * sizeof *type);
  if (!type) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for an example");
  mote_status status = mote_trajectory_read_labels(reader, trajectory, "particle_type", type);
  for (int64_t i = 0; status == MOTE_OK && i < w->particles; i++) w->type[i] = type[w->index[i]];
  free(type);
  return status;
}

static mote_status read_truth(mote_trajectory_reader *reader, int trajectory, int64_t first, mote_window *w) {
  size_t row = (size_t)w->dim * sizeof(float);
  for (int64_t f = 0; f < w->frames + w->steps; f++) {
    float *to = w->truth + f * w->particles * w->dim;
    MOTE_TRY(mote_trajectory_read_frames(reader, trajectory, "position", first + f, 1, w->frame));
    for (int64_t i = 0; i < w->particles; i++)
      memcpy(to + i * w->dim, w->frame + (int64_t)w->index[i] * w->dim, row);
  }
  return MOTE_OK;
}

/* A random walk of the velocity, whose last one deviates by options->noise; the first position has none. */
static void add_noise(const mote_window_options *o, uint64_t number, mote_window *w) {
  int64_t values = w->particles * w->dim;
  memcpy(w->history, w->truth, (size_t)(w->frames * values) * sizeof(float));
  if (!(o->noise > 0) || w->frames < 2) return;
  float each = (float)(o->noise / sqrt(w->frames - 1));
  for (int64_t k = 0; k < values; k++) {
    if (w->type[k / w->dim] == MOTE_KINEMATIC) continue;
    float velocity = 0, position = 0;
    for (int f = 1; f < w->frames; f++) {
      velocity += each * mote_random_normal(o->seed, NOISE + number, (uint64_t)(k * w->frames + f), 0);
      position += velocity;
      w->history[f * values + k] += position;
    }
  }
}

mote_status mote_window_read(mote_trajectory_reader *reader, const mote_window_options *o, int trajectory,
                             int64_t frame, uint64_t number, mote_window *w) {
  mote_trajectory_info info;
  MOTE_TRY(mote_trajectory_get_info(reader, trajectory, &info));
  w->dim = info.dim;
  w->frames = o->frames;
  w->steps = o->steps;
  w->trajectory = trajectory;
  w->begin = frame;
  MOTE_TRY(choose_particles(reader, o, trajectory, number, info.particles, info.dim, w));
  MOTE_TRY(make_room(w, w->particles, info.particles, info.dim, length_of(o)));
  MOTE_TRY(read_types(reader, trajectory, info.particles, w));
  MOTE_TRY(read_truth(reader, trajectory, frame, w));
  for (int64_t i = 0; i < w->particles; i++)
    memcpy(w->rest + i * w->dim, w->first + (int64_t)w->index[i] * w->dim, (size_t)w->dim * sizeof(float));
  if (o->symmetry) {
    mote_symmetry_apply(o->symmetry, o->seed, number, length_of(o) * w->particles, w->truth);
    mote_symmetry_apply(o->symmetry, o->seed, number, w->particles, w->rest);
  }
  add_noise(o, number, w);
  return MOTE_OK;
}

mote_status mote_window_draw(mote_trajectory_reader *reader, const mote_window_options *o, uint64_t number,
                             mote_window *w) {
  int trajectory = (int)mote_random_below(o->seed, CHOICE, number, (uint64_t)mote_trajectory_count(reader));
  int64_t windows;
  MOTE_TRY(windows_of(reader, o, trajectory, &windows));
  int64_t frame = (int64_t)mote_random_below(o->seed, CHOICE + 1, number, (uint64_t)windows);
  return mote_window_read(reader, o, trajectory, frame, number, w);
}

void mote_window_target(const mote_window *w, int step, const float *before, const float *now,
                        const float mean[3], const float deviation[3], float *target) {
  int64_t values = w->particles * w->dim;
  const float *next = w->truth + (w->frames + step) * values, *last = next - values;
  for (int64_t k = 0; k < values; k++) {
    int a = (int)(k % w->dim);
    float acceleration = (next[k] - last[k]) - (now[k] - before[k]);
    target[k] = (acceleration - mean[a]) / deviation[a];
  }
}
