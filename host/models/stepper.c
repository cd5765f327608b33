/* Steppers: checks, memory, and what happens between steps. The trick: a step never waits, so a graph that
   has outgrown its room is the device's to notice; it then leaves the state as it was, for this and all later
   steps, and the next wait plans anew and repeats what was left undone. */
#include "host/models/stepper.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/models/scaling.h"
#include "host/models/stepper_step.h"

/* ---- creation ---- */

static mote_status check(const mote_model *m, const mote_stepper_options *o, double radius) {
  MOTE_TRY(mote_model_check_metadata(m, o->metadata));
  if (o->count < 1 || o->count > INT32_MAX / 2)
    return mote_fail(MOTE_ERROR_ARGUMENT, "stepper: %lld particles: expected 1 to %d", (long long)o->count,
                     INT32_MAX / 2);
  if (!(radius > 0) || !isfinite(radius))
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "stepper: the radius is %g m: expected a positive length, in the metadata "
                     "(default_connectivity_radius) or the options",
                     radius);
  for (int64_t i = 0; o->particle_type && i < o->count; i++)
    if (o->particle_type[i] < 0 || o->particle_type[i] >= m->config.types)
      return mote_fail(MOTE_ERROR_ARGUMENT, "stepper: particle %lld is of type %d: the model knows 0 to %d",
                       (long long)i, o->particle_type[i], m->config.types - 1);
  return MOTE_OK;
}

static mote_status reserve(mote_stepper *s) {
  const mote_network_config *c = &s->model->config;
  size_t n = (size_t)s->count, vectors = n * (size_t)c->dim * 4, rows = n * (size_t)c->width * 4;
  mote_device *d = s->device;
  MOTE_TRY(mote_buffer_reserve(&s->history, d, vectors * (size_t)(c->window + 1)));
  MOTE_TRY(mote_buffer_reserve(&s->type, d, n * 4));
  if (s->prescribed) MOTE_TRY(mote_buffer_reserve(&s->goal, d, vectors));
  if (c->rest_lengths) MOTE_TRY(mote_buffer_reserve(&s->rest, d, vectors));
  MOTE_TRY(mote_buffer_reserve(&s->next, d, vectors));
  MOTE_TRY(mote_buffer_reserve(&s->acceleration, d, vectors));
  MOTE_TRY(mote_buffer_reserve(&s->state, d, sizeof(mote_step_state)));
  MOTE_TRY(mote_buffer_reserve(&s->feature, d, n * (size_t)mote_node_feature_width(&s->features) * 4));
  MOTE_TRY(mote_buffer_reserve(&s->h[0], d, rows));
  MOTE_TRY(mote_buffer_reserve(&s->h[1], d, rows));
  MOTE_TRY(mote_buffer_reserve(&s->sum, d, rows));
  if (c->decoder == MOTE_DECODER_PAIRS) MOTE_TRY(mote_buffer_reserve(&s->wall, d, vectors));
  MOTE_TRY(mote_interaction_reserve(&s->room, d, s->count, c->width,
                                    c->convolution == MOTE_CONVOLUTION_NORMALIZED));
  return c->has_latent ? mote_latent_room_create(d, &s->model->latent, s->count, &s->latent) : MOTE_OK;
}

static mote_status upload_types(mote_stepper *s, const int32_t *type) {
  size_t bytes = (size_t)s->count * 4;
  return type ? mote_upload(s->stream, s->type.data, type, bytes)
              : mote_fill_bytes(s->stream, s->type.data, 0, bytes);
}

static mote_status make(mote_stepper *s, const mote_stepper_options *o) {
  mote_graph_options graph = {
      .dim = s->model->config.dim, .radius = s->radius, .self_loops = 1, .receivers = 1};
  mote_model_features(s->model, o->metadata, s->radius, &s->features);
  mote_model_integration(s->model, o->metadata, &s->integration);
  mote_model_pair_forces(s->model, o->metadata, s->radius, &s->forces);
  MOTE_TRY(mote_stream_create(s->device, &s->stream));
  if (s->model->config.has_latent) MOTE_TRY(mote_stream_create(s->device, &s->side));
  MOTE_TRY(mote_graph_create(s->device, &graph, &s->graph));
  MOTE_TRY(reserve(s));
  MOTE_TRY(upload_types(s, o->particle_type));
  return mote_stream_synchronize(s->stream);
}

mote_status mote_stepper_create(const mote_model *model, const mote_stepper_options *o, mote_stepper **out) {
  *out = NULL;
  double radius = o->radius ? o->radius : o->metadata->connectivity_radius;
  MOTE_TRY(check(model, o, radius));
  mote_stepper *s = calloc(1, sizeof *s);
  if (!s) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a stepper");
  s->model = model;
  s->device = model->device;
  s->count = o->count;
  s->prescribed = o->prescribed != 0;
  s->radius = (float)radius;
  mote_status status = make(s, o);
  if (status != MOTE_OK) return mote_stepper_destroy(s), status;
  *out = s;
  return MOTE_OK;
}

void mote_stepper_destroy(mote_stepper *s) {
  if (!s) return;
  mote_replay_reset(&s->replay);
  mote_graph_destroy(s->graph);
  mote_interaction_room_free(&s->room);
  mote_latent_room_free(&s->latent);
  mote_buffer *all[] = {&s->history, &s->type,    &s->goal,         &s->next,   &s->acceleration,
                        &s->state,   &s->feature, &s->edge_feature, &s->length, &s->propagation,
                        &s->edge,    &s->sum,     &s->h[0],         &s->h[1],   &s->wall,
                        &s->pair,    &s->rest,    &s->rest_length};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) mote_buffer_free(all[k]);
  mote_stream_destroy(s->stream);
  mote_stream_destroy(s->side);
  free(s);
}

/* ---- steps ---- */

float *mote_stepper_position(const mote_stepper *s) {
  const mote_network_config *c = &s->model->config;
  return (float *)s->history.data + (int64_t)c->window * s->count * c->dim;
}

static int64_t first_not_finite(const float *x, int64_t values) {
  int64_t k = 0;
  while (k < values && isfinite(x[k])) k++;
  return k;
}

mote_status mote_stepper_start(mote_stepper *s, const float *history) {
  const mote_network_config *c = &s->model->config;
  int64_t values = (int64_t)(c->window + 1) * s->count * c->dim;
  size_t frame = (size_t)(values / (c->window + 1)) * sizeof *history;
  int64_t bad = first_not_finite(history, values);
  if (bad < values)
    return mote_fail(MOTE_ERROR_NUMERIC, "stepper: particle %lld of frame %lld of the history is not finite",
                     (long long)(bad / c->dim % s->count), (long long)(bad / (c->dim * s->count)));
  mote_step_state state = {.bad_particle = INT32_MAX};
  MOTE_TRY(mote_upload(s->stream, s->history.data, history, (size_t)values * sizeof *history));
  MOTE_TRY(mote_upload(s->stream, s->state.data, &state, sizeof state));
  if (c->rest_lengths) MOTE_TRY(mote_upload(s->stream, s->rest.data, history, frame));
  MOTE_TRY(mote_fill_bytes(s->stream, s->acceleration.data, 0, frame));
  s->started = 1;
  s->issued = 0;
  return mote_stream_synchronize(s->stream);
}

static mote_status check_started(const mote_stepper *s) {
  return s->started ? MOTE_OK
                    : mote_fail(MOTE_ERROR_ARGUMENT, "stepper: it has no history yet (mote_stepper_start)");
}

mote_status mote_stepper_set_rest(mote_stepper *s, const float *position) {
  int64_t values = s->count * s->model->config.dim;
  MOTE_TRY(check_started(s));
  int64_t bad = first_not_finite(position, values);
  if (bad < values)
    return mote_fail(MOTE_ERROR_NUMERIC, "stepper: particle %lld is at rest where nothing is finite",
                     (long long)(bad / s->model->config.dim));
  if (!s->model->config.rest_lengths) return MOTE_OK;
  MOTE_TRY(mote_upload(s->stream, s->rest.data, position, (size_t)values * sizeof *position));
  return mote_stream_synchronize(s->stream);
}

static mote_status issue(mote_stepper *s) {
  if (s->planned) return mote_replay_run(&s->replay, s->stream, mote_stepper_step, s);
  mote_replay_reset(&s->replay);
  MOTE_TRY(mote_stepper_plan(s));
  s->planned = 1;
  return MOTE_OK;
}

mote_status mote_stepper_advance(mote_stepper *s, const float *prescribed) {
  MOTE_TRY(check_started(s));
  if ((prescribed != NULL) != s->prescribed)
    return mote_fail(MOTE_ERROR_ARGUMENT, "stepper: prescribed positions are %s",
                     s->prescribed ? "missing" : "given, but the options do not ask for them");
  if (prescribed) {
    MOTE_TRY(mote_stepper_settle(s)); /* a step undone would need the positions that are now overwritten */
    MOTE_TRY(mote_upload(s->stream, s->goal.data, prescribed,
                         (size_t)s->count * (size_t)s->model->config.dim * 4));
  }
  MOTE_TRY(issue(s));
  s->issued++;
  return MOTE_OK;
}

mote_status mote_stepper_settle(mote_stepper *s) {
  mote_step_state state;
  MOTE_TRY(check_started(s));
  MOTE_TRY(mote_download(s->stream, &state, s->state.data, sizeof state));
  while (state.step < s->issued) {
    int64_t done = state.step;
    state.blocked = 0;
    MOTE_TRY(mote_upload(s->stream, s->state.data, &state, sizeof state));
    s->planned = 0;
    for (int64_t k = done; k < s->issued; k++) MOTE_TRY(issue(s));
    MOTE_TRY(mote_download(s->stream, &state, s->state.data, sizeof state));
    if (state.step == done) return mote_fail(MOTE_ERROR_INTERNAL, "stepper: a step cannot be planned");
  }
  if (state.bad_particle != INT32_MAX)
    return mote_fail(MOTE_ERROR_NUMERIC,
                     "the rollout diverged: particle %d is not finite or moved more than %g m in step %d",
                     state.bad_particle, s->integration.limit, state.bad_step);
  return MOTE_OK;
}

mote_status mote_stepper_read(mote_stepper *s, float *position, float *acceleration) {
  size_t bytes = (size_t)s->count * (size_t)s->model->config.dim * 4;
  MOTE_TRY(mote_stepper_settle(s));
  if (position) MOTE_TRY(mote_download(s->stream, position, mote_stepper_position(s), bytes));
  return acceleration ? mote_download(s->stream, acceleration, s->acceleration.data, bytes) : MOTE_OK;
}

mote_status mote_stepper_edge_count(mote_stepper *s, int64_t *edges) {
  *edges = 0;
  MOTE_TRY(mote_stepper_settle(s));
  if (!s->issued) return MOTE_OK;
  MOTE_TRY(mote_graph_check(s->graph, s->stream));
  *edges = mote_graph_edge_count(s->graph);
  return MOTE_OK;
}

/* ---- profile ---- */

static mote_status time_phases(mote_stepper *s, mote_timer *timer, mote_stepper_phases *out) {
  double *part[MOTE_PHASES] = {&out->features, &out->graph,  &out->encode, &out->layers,
                               &out->latent,   &out->layers, &out->decode};
  for (int phase = 0; phase < MOTE_PHASES; phase++) {
    double seconds;
    MOTE_TRY(mote_timer_start(timer, s->stream));
    MOTE_TRY(mote_stepper_phase(s, s->stream, (mote_phase)phase, 0));
    MOTE_TRY(mote_timer_stop(timer, s->stream));
    MOTE_TRY(mote_timer_seconds(timer, &seconds));
    *part[phase] += seconds;
  }
  return MOTE_OK;
}

mote_status mote_stepper_profile(mote_stepper *s, mote_stepper_phases *out) {
  mote_timer timer = {0};
  *out = (mote_stepper_phases){0};
  MOTE_TRY(mote_stepper_settle(s));
  /* Planned first, so that all fits; buffers may grow by that, and what was recorded is out of date. */
  mote_replay_reset(&s->replay);
  s->planned = 0;
  for (int phase = 0; phase < MOTE_PHASES; phase++)
    MOTE_TRY(mote_stepper_phase(s, s->stream, (mote_phase)phase, 1));
  MOTE_TRY(mote_timer_create(s->device, &timer));
  mote_status status = time_phases(s, &timer, out);
  mote_timer_destroy(&timer);
  return status;
}
