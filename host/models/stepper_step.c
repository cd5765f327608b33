#include "host/models/stepper_step.h"

#include "host/core/error.h"

static mote_status features(mote_stepper *s, mote_stream *stream) {
  int width = mote_node_feature_width(&s->features);
  return s->device->feature->nodes(stream, s->count, &s->features, s->history.data, s->type.data,
                                   s->model->embedding, s->feature.data, width);
}

/* The radius graph, and the room that its edges take. */
static mote_status build_graph(mote_stepper *s, mote_stream *stream, int plan) {
  const mote_network_config *c = &s->model->config;
  const float *x = mote_stepper_position(s);
  if (!plan) return mote_graph_enqueue(s->graph, stream, x, s->count, NULL, 0);
  MOTE_TRY(mote_graph_build_on(s->graph, stream, x, s->count, NULL, 0));
  size_t edges = (size_t)mote_graph_arrays_of(s->graph).edge_capacity;
  MOTE_TRY(mote_buffer_reserve(&s->edge_feature, s->device, edges * (size_t)(c->dim + 1) * 4));
  MOTE_TRY(mote_buffer_reserve(&s->length, s->device, edges * 4));
  MOTE_TRY(mote_buffer_reserve(&s->edge, s->device, edges * (size_t)c->width * 4));
  if (c->decoder == MOTE_DECODER_PAIRS)
    MOTE_TRY(mote_buffer_reserve(&s->pair, s->device, edges * (size_t)c->dim * 4));
  if (c->rest_lengths) MOTE_TRY(mote_buffer_reserve(&s->rest_length, s->device, edges * 4));
  return c->convolution == MOTE_CONVOLUTION_NORMALIZED
             ? mote_buffer_reserve(&s->propagation, s->device, edges * 4)
             : MOTE_OK;
}

static mote_status encode(mote_stepper *s, mote_stream *stream) {
  const mote_model *m = s->model;
  const mote_device *d = s->device;
  int w = m->config.width, dim = m->config.dim, in = mote_node_feature_width(&s->features);
  mote_edges edges = mote_edges_of(s->graph);
  const float *x = mote_stepper_position(s);
  const int32_t *count = edges.row_offsets + edges.receivers;
  mote_rows none = {0}, rest = none, nodes = {s->feature.data, in, in},
            pairs = {s->edge_feature.data, dim + 1, dim + 1};
  MOTE_TRY(d->dense->mlp(stream, s->count, NULL, &m->node_in, nodes, none, none, s->h[0].data, w));
  MOTE_TRY(d->feature->edges(stream, dim, &edges, x, x, 1 / s->radius, 1 / s->radius, s->edge_feature.data,
                             s->length.data));
  if (m->config.convolution == MOTE_CONVOLUTION_NORMALIZED)
    MOTE_TRY(d->sparse->normalize(stream, s->count, edges.capacity, edges.row_offsets, edges.senders,
                                  edges.receiver, s->propagation.data));
  if (m->config.rest_lengths) {
    rest = (mote_rows){s->rest_length.data, 1, 1};
    MOTE_TRY(d->feature->rest_lengths(stream, dim, &edges, s->rest.data, 1 / s->radius, s->rest_length.data));
  }
  return d->dense->mlp(stream, edges.capacity, count, &m->edge_in, pairs, rest, none, s->edge.data, w);
}

/* Which of the two node buffers layer l reads: each layer, and the latent part, writes the other one. */
static int side(const mote_model *m, int l) {
  return (l + (m->config.has_latent && l >= m->config.layers_before)) & 1;
}

static mote_status interact(mote_stepper *s, mote_stream *stream, int first, int end) {
  mote_edges edges = mote_edges_of(s->graph);
  for (int l = first; l < end; l++) {
    int from = side(s->model, l);
    MOTE_TRY(mote_interaction_run(stream, &s->model->layer[l], &edges, s->count, s->h[from].data,
                                  s->edge.data, s->edge.data, s->length.data, s->propagation.data, &s->room,
                                  s->sum.data, s->h[!from].data));
  }
  return MOTE_OK;
}

static mote_status look(mote_stepper *s, mote_stream *stream, int plan) {
  return mote_latent_look(stream, &s->model->latent, &s->latent, plan, mote_stepper_position(s));
}

static mote_status evaluate_latent(mote_stepper *s, mote_stream *stream) {
  int from = s->model->config.layers_before & 1;
  return mote_latent_evaluate(stream, &s->model->latent, &s->latent, mote_stepper_position(s),
                              s->h[from].data, s->h[!from].data);
}

/* All of the latent part, one behind the other. */
static mote_status latent(mote_stepper *s, mote_stream *stream, int plan) {
  if (!s->model->config.has_latent) return MOTE_OK;
  MOTE_TRY(look(s, stream, plan));
  return evaluate_latent(s, stream);
}

static mote_status decode(mote_stepper *s, mote_stream *stream) {
  const mote_model *m = s->model;
  const mote_device *d = s->device;
  int w = m->config.width, dim = m->config.dim, pairs = m->config.decoder == MOTE_DECODER_PAIRS;
  float *answer = pairs ? s->wall.data : s->acceleration.data;
  mote_edges edges = mote_edges_of(s->graph);
  const int32_t *count = edges.row_offsets + edges.receivers;
  mote_rows none = {0}, h = {s->h[side(m, m->layers)].data, w, w}, states = {s->edge.data, w, w};
  MOTE_TRY(d->dense->mlp(stream, s->count, NULL, &m->node_out, h, none, none, answer, dim));
  if (!pairs) return MOTE_OK;
  MOTE_TRY(d->dense->mlp(stream, edges.capacity, count, &m->edge_out, states, none, none, s->pair.data, dim));
  return d->pair->accelerate(stream, s->count, &s->forces, &edges, mote_stepper_position(s), answer,
                             s->pair.data, s->acceleration.data);
}

mote_status mote_stepper_phase(mote_stepper *s, mote_stream *stream, mote_phase phase, int plan) {
  int before = s->model->config.layers_before;
  switch (phase) {
  case MOTE_PHASE_FEATURES: return features(s, stream);
  case MOTE_PHASE_GRAPH: return build_graph(s, stream, plan);
  case MOTE_PHASE_ENCODE: return encode(s, stream);
  case MOTE_PHASE_BEFORE: return interact(s, stream, 0, before);
  case MOTE_PHASE_LATENT: return latent(s, stream, plan);
  case MOTE_PHASE_AFTER: return interact(s, stream, before, s->model->layers);
  default: return decode(s, stream);
  }
}

/* Graphs and latent rows that did not fit leave the step undone. */
static mote_step_guard guard_of(const mote_stepper *s) {
  mote_step_guard guard = {.overflow = {mote_graph_overflow(s->graph)}};
  if (s->model->config.has_latent) {
    guard.overflow[1] = mote_graph_overflow(s->latent.reached);
    guard.overflow[2] = mote_graph_overflow(s->latent.reaching);
    guard.rows = s->latent.count.data;
    guard.room = s->latent.rows;
  }
  return guard;
}

/* The latent part's searches want positions alone, and run beside the layers before it. */
static mote_status run(mote_stepper *s, mote_stream *stream, int plan) {
  const int has_latent = s->model->config.has_latent;
  if (has_latent) {
    MOTE_TRY(mote_stream_wait(s->side, stream));
    MOTE_TRY(look(s, s->side, plan));
  }
  for (int phase = 0; phase < MOTE_PHASES; phase++) {
    if (phase != MOTE_PHASE_LATENT || !has_latent) {
      MOTE_TRY(mote_stepper_phase(s, stream, (mote_phase)phase, plan));
      continue;
    }
    MOTE_TRY(mote_stream_wait(stream, s->side));
    MOTE_TRY(evaluate_latent(s, stream));
  }
  mote_step_guard guard = guard_of(s);
  return s->device->feature->advance(stream, s->count, &s->integration, &guard, s->acceleration.data,
                                     s->type.data, s->prescribed ? s->goal.data : NULL, s->history.data,
                                     s->next.data, s->state.data);
}

mote_status mote_stepper_step(void *stepper, mote_stream *stream) {
  return run(stepper, stream, 0);
}

mote_status mote_stepper_plan(mote_stepper *s) {
  return run(s, s->stream, 1);
}
