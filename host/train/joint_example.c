/* One example of a joint training: the time-stepper's steps, the operator along them, and the way back. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/models/reconstruction.h"
#include "host/train/joint.h"
#include "host/train/rollout.h"

static mote_status out_of_memory(void) {
  return mote_fail(MOTE_ERROR_MEMORY, "out of memory for an example");
}

double mote_joint_scale(const mote_stepper_trainer *t, int64_t steps, int64_t k) {
  double deviation = 0, now = 0.5 * (double)(k * (k + 1)), last = 0.5 * (double)(steps * (steps + 1));
  for (int a = 0; a < t->integration.dim; a++)
    deviation += (double)t->integration.deviation[a] * t->integration.deviation[a];
  return sqrt(deviation) * fmax(now, 0.2 * last) + 1e-9;
}

/* ---- the operator's part of the data ---- */

static mote_status choose_points(const mote_joint_trainer *j, const float *frame, int64_t particles, int dim,
                                 uint64_t number, int32_t *index, int64_t *count) {
  mote_sample_options uniform = {.method = MOTE_SAMPLE_UNIFORM,
                                 .count = j->run.points < particles ? j->run.points : particles,
                                 .seed = (uint64_t)j->stepper.run.seed * 1000003 + number + 1};
  return mote_sample(frame, particles, dim, &uniform, index, count, NULL);
}

/* Room for a whole frame, and which of its particles are looked at. */
typedef struct frame_room {
  float *frame;
  int32_t *index;
} frame_room;

static mote_status read_dense(mote_trajectory_reader *reader, const mote_joint_trainer *j,
                              const mote_window *x, uint64_t number, int64_t particles,
                              const frame_room *room, mote_example *e) {
  size_t row = (size_t)x->dim * sizeof(float);
  for (int64_t f = 0; f < e->frames; f++) {
    MOTE_TRY(mote_trajectory_read_frames(reader, x->trajectory, "position", x->begin + x->frames - 1 + f, 1,
                                         room->frame));
    if (f == 0) {
      MOTE_TRY(choose_points(j, room->frame, particles, x->dim, number, room->index, &e->dense_count));
      e->dense = malloc((size_t)(e->frames * e->dense_count) * row);
      if (!e->dense) return out_of_memory();
    }
    for (int64_t i = 0; i < e->dense_count; i++)
      memcpy(e->dense + (f * e->dense_count + i) * x->dim, room->frame + (int64_t)room->index[i] * x->dim,
             row);
  }
  return MOTE_OK;
}

mote_status mote_joint_dense(mote_trajectory_reader *reader, const mote_joint_trainer *j,
                             const mote_operator *learned, const mote_window *x, uint64_t number,
                             mote_recording *recording, mote_example *e) {
  mote_trajectory_info info;
  size_t values = (size_t)(x->particles * x->dim);
  MOTE_TRY(mote_trajectory_get_info(reader, x->trajectory, &info));
  *recording = (mote_recording){.frames = info.frames, .particles = info.particles, .dim = info.dim};
  *e = (mote_example){.recording = recording, .frames = x->steps + 1, .sparse_count = x->particles};
  MOTE_TRY(mote_trajectory_read_metadata(reader, &recording->metadata));
  frame_room room = {malloc((size_t)(info.particles * info.dim) * sizeof(float)),
                     malloc((size_t)info.particles * sizeof(int32_t))};
  e->sparse = malloc((size_t)e->frames * values * sizeof *e->sparse);
  e->expert = malloc((size_t)x->particles * sizeof *e->expert);
  mote_status status = room.frame && room.index && e->sparse && e->expert ? MOTE_OK : out_of_memory();
  if (status == MOTE_OK) {
    memcpy(e->sparse, x->history + (size_t)(x->frames - 1) * values, values * sizeof *e->sparse);
    status = mote_reconstruction_experts(reader, x->trajectory, &recording->metadata, learned, x->particles,
                                         x->index, info.particles, e->expert);
  }
  if (status == MOTE_OK) status = read_dense(reader, j, x, number, info.particles, &room, e);
  free(room.frame);
  free(room.index);
  if (status != MOTE_OK) return mote_example_free(e), status;
  e->dense_spacing =
      recording->metadata.dx * pow((double)info.particles / (double)e->dense_count, 1.0 / info.dim);
  return MOTE_OK;
}

/* ---- there and back ---- */

/* The operator along the example: loss, the gradient of its weights, and the slopes in the rollout. */
static mote_status follow(mote_joint_trainer *j, mote_device *device, const mote_example *e, int slot,
                          mote_rollout *rollout) {
  mote_stepper_trainer *t = &j->stepper;
  double scale[e->frames], loss = 0;
  for (int64_t f = 0; f < e->frames; f++)
    scale[f] = (double)t->run.batch * mote_joint_scale(t, e->frames - 1, f);
  MOTE_TRY(mote_rollout_create(device, e, j->weights.model, 1, rollout));
  MOTE_TRY(mote_rollout_forward(rollout));
  MOTE_TRY(mote_rollout_backward_to_sparse(rollout, scale, &loss, j->gradient + slot * j->weights.size));
  t->loss[slot] += loss;
  return isfinite(loss) ? MOTE_OK
                        : mote_fail(MOTE_ERROR_NUMERIC, "the loss is not a number: lower the rate, or clip");
}

static mote_status learn(mote_joint_trainer *j, mote_stepper_worker *w, const mote_example *e, int slot,
                         mote_rollout *rollout) {
  mote_stepper_trainer *t = &j->stepper;
  const mote_window *x = &w->window;
  int64_t values = x->particles * x->dim;
  size_t bytes = (size_t)(values * x->steps) * sizeof(float);
  mote_buffer *places = &j->places[w - t->worker];
  MOTE_TRY(mote_buffer_reserve(places, w->stream->device, bytes));
  MOTE_TRY(mote_stepper_unroll(t, w, places->data));
  MOTE_TRY(mote_download(w->stream, e->sparse + values, places->data, bytes));
  MOTE_TRY(follow(j, w->stream->device, e, slot, rollout)); /* has waited for its own stream */
  double share = j->run.stepper_weight / (double)(t->run.batch * x->steps);
  MOTE_TRY(mote_stepper_unroll_backward(t, w, slot, share, (float *)rollout->slope.data + values));
  return mote_stream_synchronize(w->stream);
}

mote_status mote_joint_example(mote_stepper_trainer *t, mote_stepper_worker *w, uint64_t number, int slot) {
  mote_joint_trainer *j = t->owner;
  mote_recording recording;
  mote_rollout rollout = {0};
  mote_example e;
  MOTE_TRY(mote_stepper_example_begin(t, w, number, slot));
  MOTE_TRY(mote_joint_dense(w->reader, j, j->weights.model, &w->window, number, &recording, &e));
  mote_status status = learn(j, w, &e, slot, &rollout);
  mote_rollout_free(&rollout);
  mote_example_free(&e);
  return status;
}
