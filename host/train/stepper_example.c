/* One example: a window's history, the steps behind it, and the gradient of their losses.

   The loss of a step is by the velocity that it ends with, and optionally by the place. With only the last
   step learned from, the steps before it are what its history is made of ("pushforward", Brandstetter et al.
   2022). With the gradient through all of them, the trick is that both losses are functions of the history
   behind the step alone: their gradients are put there, and the reverse of the step in time does the rest. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/train/stepper_trainer.h"
#include "kernels/array/array.h"

static int64_t values_of(const mote_window *w) {
  return w->particles * w->dim;
}

static mote_window_options options_of(const mote_stepper_trainer *t) {
  const mote_stepper_run *r = &t->run;
  return (mote_window_options){.frames = r->config.window + 1,
                               .steps = t->step >= r->push_from ? (int)r->push_steps : 1,
                               .within = r->frames,
                               .noise = r->noise,
                               .method = r->method,
                               .least = r->least,
                               .most = r->most,
                               .symmetry = r->symmetry ? &t->symmetry : NULL,
                               .seed = (uint64_t)r->seed};
}

/* ---- memory ---- */

static mote_status reserve_host(mote_stepper_worker *w) {
  size_t values = (size_t)values_of(&w->window);
  if (values_of(&w->window) <= w->room) return MOTE_OK;
  free(w->frames);
  free(w->targets);
  w->room = 0;
  w->frames = malloc(2 * values * sizeof *w->frames);
  w->targets = malloc(values * sizeof *w->targets);
  if (!w->frames || !w->targets) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for an example");
  w->room = (int64_t)values;
  return MOTE_OK;
}

static mote_status reserve(mote_stepper_worker *w) {
  const mote_window *x = &w->window;
  size_t values = (size_t)values_of(x) * sizeof(float);
  mote_device *d = w->stream->device;
  mote_buffer *all[] = {&w->rest,    &w->goal,           &w->next,     &w->target,       &w->d_velocity,
                        &w->d_place, &w->d_acceleration, &w->identity, &w->per_deviation};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) MOTE_TRY(mote_buffer_reserve(all[k], d, values));
  for (int k = 0; k < w->tapes; k++)
    MOTE_TRY(mote_buffer_reserve(&w->history[k], d, values * (size_t)x->frames));
  MOTE_TRY(mote_buffer_reserve(&w->d_history, d, values * (size_t)x->frames));
  MOTE_TRY(mote_buffer_reserve(&w->type, d, (size_t)x->particles * sizeof(int32_t)));
  MOTE_TRY(mote_buffer_reserve(&w->loss, d, 2 * sizeof(double)));
  MOTE_TRY(mote_buffer_reserve(&w->state, d, sizeof(mote_step_state)));
  return reserve_host(w);
}

static mote_status upload(mote_stepper_worker *w) {
  const mote_window *x = &w->window;
  mote_step_state state = {.bad_particle = INT32_MAX};
  int64_t values = values_of(x);
  size_t bytes = (size_t)values * sizeof(float);
  MOTE_TRY(mote_upload(w->stream, w->history[0].data, x->history, bytes * (size_t)x->frames));
  MOTE_TRY(mote_upload(w->stream, w->rest.data, x->rest, bytes));
  for (int k = 0; k < w->tapes; k++) w->tape[k].rest = w->rest.data;
  MOTE_TRY(mote_upload(w->stream, w->type.data, x->type, (size_t)x->particles * sizeof(int32_t)));
  return mote_upload(w->stream, w->state.data, &state, sizeof state);
}

/* ---- steps ---- */

/* The history moves on by what the tape says; kinematic particles go where the truth has them. */
static mote_status advance(const mote_stepper_trainer *t, mote_stepper_worker *w, const mote_tape *tape,
                           int step, float *history) {
  const mote_window *x = &w->window;
  const mote_step_guard guard = {.overflow = {0}};
  const float *truth = x->truth + (x->frames + step) * values_of(x);
  MOTE_TRY(mote_upload(w->stream, w->goal.data, truth, (size_t)values_of(x) * sizeof(float)));
  return w->stream->device->feature->advance(w->stream, x->particles, &t->integration, &guard,
                                             tape->acceleration, w->type.data, w->goal.data, history,
                                             w->next.data, w->state.data);
}

/* Towards the truth's place instead of its velocity. */
static void place_target(const mote_stepper_trainer *t, const mote_stepper_worker *w, int step) {
  const mote_window *x = &w->window;
  int64_t values = values_of(x);
  const float *before = w->frames, *now = w->frames + values, *next = x->truth + (x->frames + step) * values;
  for (int64_t k = 0; k < values; k++) {
    int a = (int)(k % x->dim);
    float acceleration = (next[k] - now[k]) - (now[k] - before[k]);
    w->targets[k] = (acceleration - t->integration.mean[a]) / t->integration.deviation[a];
  }
}

static mote_status one_loss(mote_stepper_worker *w, const mote_tape *tape, double huber, double weight,
                            int which, float *d) {
  const mote_window *x = &w->window;
  MOTE_TRY(mote_upload(w->stream, w->target.data, w->targets, (size_t)values_of(x) * sizeof(float)));
  return w->stream->device->optimize->loss(w->stream, x->particles, x->dim, w->type.data, tape->acceleration,
                                           w->target.data, (float)huber, (float)weight,
                                           (double *)w->loss.data + which, d, &w->scratch);
}

/* The loss of a step of weight `share` and its gradients by the normalised acceleration, w->d_velocity and
   (where the place counts) w->d_place. */
static mote_status find_loss(const mote_stepper_trainer *t, mote_stepper_worker *w, const mote_tape *tape,
                             int step, double share, double *loss) {
  const mote_window *x = &w->window;
  int64_t values = values_of(x);
  int placed = t->run.position_weight > 0;
  double both[2] = {0, 0};
  const float *last = tape->history + (x->frames - 2) * values;
  MOTE_TRY(mote_download(w->stream, w->frames, last, 2 * (size_t)values * sizeof(float)));
  mote_window_target(x, step, w->frames, w->frames + values, t->integration.mean, t->integration.deviation,
                     w->targets);
  MOTE_TRY(one_loss(w, tape, t->run.huber, share, 0, w->d_velocity.data));
  if (placed) {
    place_target(t, w, step);
    MOTE_TRY(one_loss(w, tape, t->run.huber, share * t->run.position_weight, 1, w->d_place.data));
  }
  MOTE_TRY(mote_download(w->stream, both, w->loss.data, (placed ? 2 : 1) * sizeof(double)));
  *loss += both[0] + both[1];
  return *loss == *loss ? MOTE_OK
                        : mote_fail(MOTE_ERROR_NUMERIC, "the loss is not a number: lower the rate, or clip");
}

/* ---- the last step alone ---- */

static mote_status learn_last(mote_stepper_trainer *t, mote_stepper_worker *w, int slot) {
  mote_arena arena = mote_trained_weights_arena(&t->weights, t->gradient[slot].data);
  const mote_window *x = &w->window;
  mote_tape *tape = &w->tape[0];
  float *history = w->history[0].data;
  for (int k = 0; k < x->steps; k++) {
    MOTE_TRY(mote_tape_forward(tape, x->particles, history, w->type.data));
    if (k < x->steps - 1) MOTE_TRY(advance(t, w, tape, k, history));
  }
  MOTE_TRY(find_loss(t, w, tape, x->steps - 1, 1 / (double)t->run.batch, &t->loss[slot]));
  if (t->run.position_weight > 0)
    MOTE_TRY(w->stream->device->optimize->combine(w->stream, values_of(x), 1, w->d_place.data, 1,
                                                  w->d_velocity.data));
  return mote_tape_backward(tape, &arena, w->d_velocity.data, t->shared[slot].data, NULL);
}

/* ---- through all steps ---- */

mote_status mote_stepper_unroll(mote_stepper_trainer *t, mote_stepper_worker *w, float *places) {
  const mote_window *x = &w->window;
  size_t place = (size_t)values_of(x) * sizeof(float), bytes = place * (size_t)x->frames;
  for (int k = 0; k < x->steps; k++) {
    /* Nobody needs the history behind the last step. */
    int last = k == x->steps - 1;
    float *next = last ? w->d_history.data : w->history[k + 1].data;
    MOTE_TRY(mote_tape_forward(&w->tape[k], x->particles, w->history[k].data, w->type.data));
    if (last && !places) break;
    MOTE_TRY(mote_copy_on_device(w->stream, next, w->history[k].data, bytes));
    MOTE_TRY(advance(t, w, &w->tape[k], k, next));
    if (places) MOTE_TRY(mote_copy_on_device(w->stream, places + k * values_of(x), w->next.data, place));
  }
  return MOTE_OK;
}

/* What add_at() scales by. */
static mote_status upload_scales(const mote_stepper_trainer *t, mote_stepper_worker *w) {
  const mote_window *x = &w->window;
  int64_t values = values_of(x);
  for (int64_t k = 0; k < values; k++) w->targets[k] = 1 / t->integration.deviation[k % x->dim];
  MOTE_TRY(mote_upload(w->stream, w->per_deviation.data, w->targets, (size_t)values * sizeof(float)));
  return w->stream->device->array->iota_i32(w->stream, w->identity.data, 0, values);
}

/* to[frame] += sign * d / deviation, by way of w->goal. */
static mote_status add_at(mote_stepper_worker *w, const mote_buffer *d, int frame, float sign) {
  const struct mote_optimize_kernels *k = w->stream->device->optimize;
  int64_t values = values_of(&w->window);
  MOTE_TRY(k->pack(w->stream, values, w->identity.data, w->per_deviation.data, d->data, w->goal.data));
  return k->combine(w->stream, values, sign, w->goal.data, 1, (float *)w->d_history.data + frame * values);
}

/* The step's own losses. Normalised accelerations off by e put the last frame off by e times the deviation,
   and the last velocity. */
static mote_status add_losses(mote_stepper_trainer *t, mote_stepper_worker *w, int step, double share,
                              double *loss) {
  int last = w->window.frames - 1;
  MOTE_TRY(find_loss(t, w, &w->tape[step], step, share, loss));
  MOTE_TRY(add_at(w, &w->d_velocity, last, 1));
  MOTE_TRY(add_at(w, &w->d_velocity, last - 1, -1));
  return t->run.position_weight > 0 ? add_at(w, &w->d_place, last, 1) : MOTE_OK;
}

mote_status mote_stepper_unroll_backward(mote_stepper_trainer *t, mote_stepper_worker *w, int slot,
                                         double share, const float *slope) {
  const mote_window *x = &w->window;
  mote_arena arena = mote_trained_weights_arena(&t->weights, t->gradient[slot].data);
  int64_t values = values_of(x), last = (x->frames - 1) * values;
  MOTE_TRY(upload_scales(t, w));
  MOTE_TRY(mote_fill_bytes(w->stream, w->d_history.data, 0, (size_t)(values * x->frames) * sizeof(float)));
  for (int k = x->steps - 1; k >= 0; k--) {
    if (share > 0) MOTE_TRY(add_losses(t, w, k, share, &t->loss[slot]));
    if (slope)
      MOTE_TRY(w->stream->device->optimize->combine(w->stream, values, 1, slope + k * values, 1,
                                                    (float *)w->d_history.data + last));
    MOTE_TRY(w->stream->device->feature->advance_backward(w->stream, x->particles, &t->integration,
                                                          w->type.data, 1, w->d_history.data,
                                                          w->d_acceleration.data));
    MOTE_TRY(mote_tape_backward(&w->tape[k], &arena, w->d_acceleration.data, t->shared[slot].data,
                                w->d_history.data));
  }
  return MOTE_OK;
}

/* ---- the whole ---- */

mote_status mote_stepper_example_begin(mote_stepper_trainer *t, mote_stepper_worker *w, uint64_t number,
                                       int slot) {
  mote_window_options options = options_of(t);
  float *gradient = t->gradient[slot].data, *shared = t->shared[slot].data;
  MOTE_TRY(mote_window_draw(w->reader, &options, number, &w->window));
  MOTE_TRY(reserve(w));
  MOTE_TRY(upload(w));
  MOTE_TRY(mote_fill_bytes(w->stream, gradient, 0, (size_t)t->weights.slots * sizeof(float)));
  if (shared) MOTE_TRY(mote_fill_bytes(w->stream, shared, 0, (size_t)t->weights.shared * sizeof(float)));
  t->loss[slot] = 0;
  return MOTE_OK;
}

/* From an example's loss L / batch to sqrt(L) / batch: by the square, the error of an impact, a hundred times
   that of a flight, would leave nothing to be learned from the latter, which a rollout adds up frame by
   frame. */
static mote_status take_root(mote_stepper_trainer *t, mote_stepper_worker *w, int slot) {
  const struct mote_optimize_kernels *k = w->stream->device->optimize;
  const double batch = (double)t->run.batch, root = sqrt(t->loss[slot] * batch);
  const float slope = root > 0 ? (float)(0.5 / root) : 0;
  float *gradient = t->gradient[slot].data, *shared = t->shared[slot].data;
  t->loss[slot] = root / batch;
  MOTE_TRY(k->combine(w->stream, t->weights.slots, 0, gradient, slope, gradient));
  return shared ? k->combine(w->stream, t->weights.shared, 0, shared, slope, shared) : MOTE_OK;
}

mote_status mote_stepper_trainer_example(mote_stepper_trainer *t, mote_stepper_worker *w, uint64_t number,
                                         int slot) {
  MOTE_TRY(mote_stepper_example_begin(t, w, number, slot));
  if (w->tapes > 1) {
    MOTE_TRY(mote_stepper_unroll(t, w, NULL));
    MOTE_TRY(mote_stepper_unroll_backward(t, w, slot, 1 / (double)(t->run.batch * w->window.steps), NULL));
  } else {
    MOTE_TRY(learn_last(t, w, slot));
  }
  if (t->run.root) MOTE_TRY(take_root(t, w, slot));
  return mote_stream_synchronize(w->stream);
}
