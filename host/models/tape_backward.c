/* The reverse of a kept evaluation, layer by layer. */
#include "host/core/error.h"
#include "host/models/tape.h"
#include "host/nn/slab.h"
#include "kernels/optimize/optimize.h"

/* Gradients that one layer hands to the one before: by nodes (two that change places), by edge states, by
   features of nodes and edges, by what they answer where pairs are decoded. */
typedef struct gradients {
  float *h[2], *edge, *length, *feature, *edge_feature, *wall, *pair;
} gradients;

static void cut(const mote_tape *t, int positions, mote_slab *s, gradients *g) {
  const mote_network_config *c = &t->model->config;
  int64_t n = t->n, w = c->width, edges = t->edges.capacity;
  for (int k = 0; k < 2; k++) g->h[k] = mote_slab_take(s, n * w);
  g->edge = mote_slab_take(s, edges * w);
  g->feature = mote_slab_take(s, n * mote_node_feature_width(&t->features));
  g->edge_feature = positions ? mote_slab_take(s, edges * (c->dim + 1)) : NULL;
  g->length = positions ? mote_slab_take(s, edges) : NULL;
  g->wall = c->decoder == MOTE_DECODER_PAIRS ? mote_slab_take(s, n * c->dim) : NULL;
  g->pair = c->decoder == MOTE_DECODER_PAIRS ? mote_slab_take(s, edges * c->dim) : NULL;
}

static mote_status reserve(mote_tape *t, int positions, gradients *g) {
  mote_slab slab = {0};
  cut(t, positions, &slab, g);
  MOTE_TRY(mote_buffer_reserve(&t->room->backward, t->stream->device, slab.used + 64));
  MOTE_TRY(mote_fill_bytes(t->stream, t->room->backward.data, 0, slab.used));
  slab = (mote_slab){.memory = t->room->backward.data};
  cut(t, positions, &slab, g);
  return MOTE_OK;
}

/* The state before layer l, computed again from the last one that was kept where it was not: each layer of
   the stretch leaves its own in a spare. */
static mote_status recompute(mote_tape *t, int l) {
  const mote_model *m = t->model;
  const mote_device *d = t->stream->device;
  int w = m->config.width, kept = (m->layers + t->every - 1) / t->every;
  int first = l / t->every * t->every;
  mote_rows none = {0}, receiver = {t->room->interaction.ends.data, w, 2 * w},
            sender = {(float *)t->room->interaction.ends.data + w, w, 2 * w};
  const float *from = t->state[first / t->every];
  for (int k = first; k < l; k++) {
    const mote_interaction *layer = &m->layer[k];
    if (!layer->message.update) continue;
    float *to = t->state[kept + k - first];
    int skip = m->config.has_latent && k >= m->config.layers_before;
    mote_rows h = {t->h[k + skip], w, w};
    MOTE_TRY(d->dense->mlp(t->stream, t->n, NULL, &layer->ends, h, none, none, t->room->interaction.ends.data,
                           2 * w));
    MOTE_TRY(d->message->pass(t->stream, &t->edges, &layer->message, from, to, receiver, sender,
                              layer->weighted ? t->length : NULL, none, t->sum[k], w,
                              &t->room->interaction.scratch));
    from = to;
  }
  return MOTE_OK;
}

static const float *state_before(const mote_tape *t, int l) {
  int kept = (t->model->layers + t->every - 1) / t->every;
  l = mote_tape_made_by(t, l);
  return l % t->every == 0 ? t->state[l / t->every] : t->state[kept + l % t->every - 1];
}

/* The gradient by what goes into layers [first, end), in g->h[0], from that by what comes out, there. */
static mote_status interact(mote_tape *t, const mote_arena *arena, int first, int end, int skip,
                            gradients *g) {
  size_t bytes = (size_t)t->n * (size_t)t->model->config.width * sizeof(float);
  for (int l = end - 1; l >= first; l--) {
    int last_of_stretch = l % t->every == t->every - 1 || l == t->model->layers - 1;
    if (last_of_stretch) MOTE_TRY(recompute(t, l));
    mote_interaction_record record = {.edges = &t->edges,
                                      .sent = &t->sent,
                                      .n = t->n,
                                      .h = t->h[l + skip],
                                      .edge = state_before(t, l),
                                      .length = t->length,
                                      .propagation = t->propagation.data,
                                      .sum = t->sum[l]};
    MOTE_TRY(mote_fill_bytes(t->stream, g->h[1], 0, bytes));
    const mote_interaction layer = mote_tape_layer(t, l);
    MOTE_TRY(mote_interaction_backward(t->stream, &layer, arena, &record, &t->room->interaction,
                                       &t->room->reverse, g->h[0], g->edge, g->length, g->h[1]));
    float *swap = g->h[0];
    g->h[0] = g->h[1];
    g->h[1] = swap;
  }
  return MOTE_OK;
}

/* From the gradient by accelerations to that by the edges' last states, and by nodes' answers, g->wall. */
static mote_status decode_pairs(mote_tape *t, const mote_arena *arena, const float *d_acceleration,
                                const gradients *g, float *d_position) {
  const mote_model *m = t->model;
  const mote_device *d = t->stream->device;
  int w = m->config.width, dim = m->config.dim;
  const float *x = t->history + (int64_t)m->config.window * t->n * dim;
  mote_rows none = {0}, states = {t->now, w, w}, d_pair = {g->pair, dim, dim};
  mote_sink to = {g->edge, w}, unwanted = {0};
  MOTE_TRY(d->pair->accelerate_backward(t->stream, t->n, &t->forces, &t->edges, x, t->wall, d_acceleration,
                                        g->wall, g->pair, d_position));
  const mote_mlp edge_out = mote_tape_edge_out(t);
  return d->dense->mlp_backward(t->stream, t->edges.capacity, t->edges.row_offsets + t->edges.receivers,
                                &edge_out, arena, states, none, d_pair, to, unwanted, &t->room->scratch);
}

static mote_status decode(mote_tape *t, const mote_arena *arena, const float *d_acceleration, gradients *g,
                          float *d_position) {
  const mote_model *m = t->model;
  int w = m->config.width, dim = m->config.dim, pairs = m->config.decoder == MOTE_DECODER_PAIRS;
  if (pairs) MOTE_TRY(decode_pairs(t, arena, d_acceleration, g, d_position));
  mote_rows none = {0}, h = {t->h[m->layers + m->config.has_latent], w, w},
            d_rows = {pairs ? g->wall : d_acceleration, dim, dim};
  mote_sink to = {g->h[0], w}, unwanted = {0};
  return t->stream->device->dense->mlp_backward(t->stream, t->n, NULL, &m->node_out, arena, h, none, d_rows,
                                                to, unwanted, &t->room->scratch);
}

static mote_status encode_edges(mote_tape *t, const mote_arena *arena, const gradients *g,
                                float *d_position) {
  const mote_model *m = t->model;
  const mote_device *d = t->stream->device;
  int w = m->config.width, dim = m->config.dim;
  const float *x = t->history + (int64_t)m->config.window * t->n * dim;
  const int32_t *count = t->edges.row_offsets + t->edges.receivers;
  mote_rows rest = {t->rest_length, m->config.rest_lengths, m->config.rest_lengths};
  mote_rows pairs = {t->edge_feature, dim + 1, dim + 1}, d_edge = {g->edge, w, w};
  mote_sink to_pairs = {g->edge_feature, dim + 1}, unwanted = {0};
  const mote_mlp edge_in = mote_tape_edge_in(t);
  MOTE_TRY(d->dense->mlp_backward(t->stream, t->edges.capacity, count, &edge_in, arena, pairs, rest, d_edge,
                                  to_pairs, unwanted, &t->room->scratch));
  if (!d_position) return MOTE_OK;
  return d->feature->edges_backward(t->stream, dim, &t->edges, &t->sent, x, x, 1 / t->radius, 1 / t->radius,
                                    g->edge_feature, g->length, d_position, d_position);
}

static mote_status encode_nodes(mote_tape *t, const mote_arena *arena, const gradients *g, float *d_history) {
  const mote_model *m = t->model;
  const mote_device *d = t->stream->device;
  int w = m->config.width, in = mote_node_feature_width(&t->features);
  mote_rows none = {0}, nodes = {t->feature, in, in}, d_h = {g->h[0], w, w}, d_feature = {g->feature, in, in};
  mote_sink to = {g->feature, in}, unwanted = {0};
  if (!m->embedding && !d_history) to.data = NULL;
  MOTE_TRY(d->dense->mlp_backward(t->stream, t->n, NULL, &m->node_in, arena, nodes, none, d_h, to, unwanted,
                                  &t->room->scratch));
  if (!to.data) return MOTE_OK;
  return d->feature->nodes_backward(t->stream, t->n, &t->features, t->history, t->type, d_feature,
                                    m->embedding ? mote_gradient_of(arena, m->embedding) : NULL, d_history,
                                    &t->room->scratch);
}

mote_status mote_tape_backward(mote_tape *t, const mote_arena *arena, const float *d_acceleration,
                               float *d_shared, float *d_history) {
  const mote_model *m = t->model;
  const mote_network_config *c = &m->config;
  int before = c->has_latent ? c->layers_before : m->layers;
  float *d_position = d_history ? d_history + (int64_t)c->window * t->n * c->dim : NULL;
  gradients g = {0};
  MOTE_TRY(reserve(t, d_history != NULL, &g));
  MOTE_TRY(decode(t, arena, d_acceleration, &g, d_position));
  MOTE_TRY(interact(t, arena, before, m->layers, c->has_latent, &g));
  if (c->has_latent) {
    size_t bytes = (size_t)t->n * (size_t)c->width * sizeof(float);
    MOTE_TRY(mote_fill_bytes(t->stream, g.h[1], 0, bytes));
    MOTE_TRY(mote_latent_backward(t->stream, &m->latent, arena, &t->latent, &t->sent_reached,
                                  &t->sent_reaching, &t->room->latent_reverse, t->h[before], g.h[0], g.h[1],
                                  d_shared, d_position));
    float *swap = g.h[0];
    g.h[0] = g.h[1];
    g.h[1] = swap;
  }
  MOTE_TRY(interact(t, arena, 0, before, 0, &g));
  MOTE_TRY(encode_edges(t, arena, &g, d_position));
  return encode_nodes(t, arena, &g, d_history);
}
