/* The kept evaluation. */
#include "host/models/tape.h"

#include <string.h>

#include "host/core/error.h"
#include "host/graph/graph.h"
#include "host/nn/slab.h"

mote_status mote_tape_create(const mote_model *model, mote_stream *stream, const mote_metadata *metadata,
                             double radius, size_t budget, mote_tape_room *room, mote_tape *tape) {
  mote_graph_options options = {
      .dim = model->config.dim, .radius = (float)radius, .self_loops = 1, .receivers = 1};
  *tape =
      (mote_tape){.model = model, .stream = stream, .radius = (float)radius, .budget = budget, .room = room};
  mote_model_features(model, metadata, (float)radius, &tape->features);
  mote_model_pair_forces(model, metadata, (float)radius, &tape->forces);
  MOTE_TRY(mote_graph_create(stream->device, &options, &tape->graph));
  return model->config.has_latent
             ? mote_latent_searches_create(stream->device, &model->latent, &tape->reached, &tape->reaching)
             : MOTE_OK;
}

#define BUFFERS 5
static void list_buffers(mote_tape *t, mote_buffer *all[BUFFERS]) {
  mote_buffer *list[BUFFERS] = {&t->points, &t->values, &t->edge_memory, &t->sent_memory, &t->propagation};
  memcpy(all, list, sizeof list);
}

void mote_tape_free(mote_tape *t) {
  mote_buffer *all[BUFFERS];
  list_buffers(t, all);
  for (int k = 0; k < BUFFERS; k++) mote_buffer_free(all[k]);
  mote_graph_destroy(t->graph);
  mote_graph_destroy(t->reached);
  mote_graph_destroy(t->reaching);
  *t = (mote_tape){0};
}

void mote_tape_room_free(mote_tape_room *room) {
  mote_interaction_room_free(&room->interaction);
  mote_interaction_reverse_free(&room->reverse);
  mote_latent_reverse_free(&room->latent_reverse);
  mote_buffer_free(&room->backward);
  mote_buffer_free(&room->scan);
  mote_buffer_free(&room->scratch);
}

size_t mote_tape_bytes(const mote_tape *t) {
  mote_buffer *all[BUFFERS];
  size_t bytes = 0;
  list_buffers((mote_tape *)t, all);
  for (int k = 0; k < BUFFERS; k++) bytes += all[k]->bytes;
  return bytes;
}

/* ---- memory ---- */

/* Which states are kept: before every `every`-th layer, and as many spares as a stretch between two of them
   needs when it is computed again. */
static int states_of(int layers, int every) {
  return (layers + every - 1) / every + every - 1;
}

static int choose_every(const mote_tape *t, size_t bytes) {
  int layers = t->model->layers, best = 1;
  if (!t->budget || layers < 2) return 1;
  for (int every = 1; every <= layers; every++) {
    if ((size_t)states_of(layers, every) * bytes <= t->budget) return every;
    if (states_of(layers, every) < states_of(layers, best)) best = every;
  }
  return best; /* the least that there is */
}

static void cut_block(const mote_latent *l, int64_t rows, mote_slab *s, mote_latent_block_values *v,
                      int crosses, float *x) {
  int64_t w = l->width;
  v->x = x;
  v->logits = mote_slab_take(s, rows * MOTE_MOST_GATED);
  if (crosses) {
    v->query = mote_slab_take(s, rows * w);
    v->crossing = mote_slab_take(s, rows * w);
    v->crossed = mote_slab_take(s, rows * w);
  }
  v->next = mote_slab_take(s, rows * w);
  v->projected = mote_slab_take(s, 3 * rows * w);
  v->context = mote_slab_take(s, mote_context_floats(l->heads));
  v->attended = mote_slab_take(s, rows * w);
  v->selfed = mote_slab_take(s, rows * w);
  v->out = mote_slab_take(s, rows * w);
}

static void cut_latent(mote_tape *t, mote_slab *s) {
  const mote_latent *l = &t->model->latent;
  const mote_latent_config *c = &l->config;
  mote_latent_frame *f = &t->latent;
  mote_latent_values *v = &f->values;
  int64_t rows = f->rows, output = c->output, trunk = c->kernel_in.widths[c->kernel_in.layers];
  int64_t pair = l->dim + 1, ends = c->kernel_in_takes_pairs ? c->kernel_in.widths[1] : trunk;
  v->kernel = mote_slab_take(s, t->n * ends);
  v->value = mote_slab_take(s, rows * trunk);
  v->pair_sum = mote_slab_take(s, c->kernel_in_takes_pairs ? l->points * trunk : 0);
  f->pair_in = mote_slab_take(s, c->kernel_in_takes_pairs ? f->reached.capacity * pair : 0);
  v->picked = mote_slab_take(s, c->kernel_out_takes_pairs ? l->points * output : 0);
  f->pair_out = mote_slab_take(s, c->kernel_out_takes_pairs ? f->reaching.capacity * pair : 0);
  v->answer = mote_slab_take(s, rows * output);
  v->result = mote_slab_take(s, t->n * output);
  float *x = mote_slab_take(s, rows * l->width);
  for (int b = 0; b < c->blocks; b++) {
    cut_block(l, rows, s, &v->block[b], l->block[b].crosses, x);
    x = v->block[b].out;
  }
}

static void cut_values(mote_tape *t, mote_slab *s) {
  const mote_network_config *c = &t->model->config;
  int64_t n = t->n, w = c->width, edges = t->edges.capacity;
  t->feature = mote_slab_take(s, n * mote_node_feature_width(&t->features));
  t->edge_feature = mote_slab_take(s, edges * (c->dim + 1));
  t->length = mote_slab_take(s, edges);
  t->rest_length = c->rest_lengths ? mote_slab_take(s, edges) : NULL;
  t->acceleration = mote_slab_take(s, n * c->dim);
  t->wall = c->decoder == MOTE_DECODER_PAIRS ? mote_slab_take(s, n * c->dim) : NULL;
  t->pair = c->decoder == MOTE_DECODER_PAIRS ? mote_slab_take(s, edges * c->dim) : NULL;
  for (int l = 0; l <= t->model->layers + c->has_latent; l++) t->h[l] = mote_slab_take(s, n * w);
  for (int l = 0; l < t->model->layers; l++) t->sum[l] = mote_slab_take(s, n * w);
  if (c->has_latent) cut_latent(t, s);
}

static void cut_states(mote_tape *t, mote_slab *s) {
  int64_t floats = t->edges.capacity * t->model->config.width;
  int count = states_of(t->model->layers, t->every);
  for (int k = 0; k < count; k++) t->state[k] = mote_slab_take(s, floats);
  t->now = mote_slab_take(s, floats);
}

/* A chain that keeps nothing is given no memory. */
static float *take_kept(mote_slab *s, const mote_mlp *mlp, int64_t rows) {
  int64_t floats = mote_kept_floats(mlp, rows);
  return floats ? mote_slab_take(s, floats) : NULL;
}

static void cut_kept(mote_tape *t, mote_slab *s) {
  const mote_model *m = t->model;
  const mote_latent *l = &m->latent;
  const int64_t edges = t->edges.capacity;
  t->kept_in = take_kept(s, &m->edge_in, edges);
  t->kept_out = m->config.decoder == MOTE_DECODER_PAIRS ? take_kept(s, &m->edge_out, edges) : NULL;
  for (int k = 0; k < m->layers; k++) t->kept[k] = take_kept(s, &m->layer[k].message.mlp, edges);
  if (!m->config.has_latent) return;
  if (l->config.kernel_in_takes_pairs)
    t->latent.values.kept_in = take_kept(s, &l->pairs_in.mlp, t->latent.reached.capacity);
  if (l->config.kernel_out_takes_pairs)
    t->latent.values.kept_out = take_kept(s, &l->pairs_out.mlp, t->latent.reaching.capacity);
}

/* One buffer for either, which a budget that large graphs fill with states and small ones with all does not
 * hold twice. */
static void cut_states_alone(mote_tape *t, mote_slab *s) {
  t->kept_in = t->kept_out = t->latent.values.kept_in = t->latent.values.kept_out = NULL;
  memset(t->kept, 0, sizeof t->kept);
  cut_states(t, s);
}

static void cut_states_and_kept(mote_tape *t, mote_slab *s) {
  cut_states(t, s);
  cut_kept(t, s);
}

/* Whether all that edges compute fits. */
static int keeps_all(mote_tape *t, size_t state_bytes) {
  mote_slab slab = {0};
  if (!t->stream->device->dense->keeps) return 0;
  cut_kept(t, &slab);
  return !t->budget || slab.used + (size_t)states_of(t->model->layers, 1) * state_bytes <= t->budget;
}

static void cut_sent(mote_sent *sent, mote_slab *s, int64_t senders, int64_t capacity) {
  sent->senders = senders;
  sent->row_offsets = mote_slab_take(s, senders + 1);
  sent->edge = mote_slab_take(s, capacity);
}

static void cut_all_sent(mote_tape *t, mote_slab *s) {
  cut_sent(&t->sent, s, t->n, t->edges.capacity);
  if (!t->model->config.has_latent) return;
  cut_sent(&t->sent_reached, s, t->n, t->latent.reached.capacity);
  cut_sent(&t->sent_reaching, s, t->model->latent.points, t->latent.reaching.capacity);
}

static mote_status cut(mote_tape *t, mote_buffer *buffer, void (*arrays)(mote_tape *, mote_slab *)) {
  mote_slab slab = {0};
  arrays(t, &slab);
  MOTE_TRY(mote_buffer_reserve(buffer, t->stream->device, slab.used + 64));
  slab = (mote_slab){.memory = buffer->data};
  arrays(t, &slab);
  return MOTE_OK;
}

/* ---- graphs ---- */

static float *position_of(const mote_tape *t) {
  const mote_network_config *c = &t->model->config;
  return (float *)t->history + (int64_t)c->window * t->n * c->dim;
}

static mote_status group(mote_tape *t, const mote_edges *edges, const mote_sent *sent) {
  return t->stream->device->message->group(t->stream, edges, sent->senders, (int32_t *)sent->row_offsets,
                                           (int32_t *)sent->edge, &t->room->scratch);
}

static mote_status latent_graphs(mote_tape *t) {
  const mote_latent *l = &t->model->latent;
  mote_slab slab = {0};
  int32_t *row_of = NULL, *point_of = NULL, *count = NULL, rows;
  float *weight = NULL;
  for (int pass = 0; pass < 2; pass++) {
    if (pass) {
      MOTE_TRY(mote_buffer_reserve(&t->points, t->stream->device, slab.used));
      slab = (mote_slab){.memory = t->points.data};
    }
    row_of = mote_slab_take(&slab, l->points);
    point_of = mote_slab_take(&slab, l->points + 1);
    weight = mote_slab_take(&slab, l->points + 1);
    count = mote_slab_take(&slab, 1);
  }
  const float *x = position_of(t);
  MOTE_TRY(mote_latent_search(t->stream, l, t->reached, t->reaching, 1, x, t->n, row_of, point_of, weight,
                              count, &t->room->scan));
  MOTE_TRY(mote_download(t->stream, &rows, count, sizeof rows));
  t->latent = (mote_latent_frame){.particles = t->n,
                                  .rows = rows,
                                  .row_of = row_of,
                                  .point_of = point_of,
                                  .weight = weight,
                                  .position = x,
                                  .reached = mote_edges_of(t->reached),
                                  .reaching = mote_edges_of(t->reaching)};
  return MOTE_OK;
}

static mote_status graphs(mote_tape *t) {
  const mote_network_config *c = &t->model->config;
  const struct mote_sparse_kernels *sparse = t->stream->device->sparse;
  MOTE_TRY(mote_graph_build_on(t->graph, t->stream, position_of(t), t->n, NULL, 0));
  t->edges = mote_edges_of(t->graph);
  if (c->has_latent) MOTE_TRY(latent_graphs(t));
  MOTE_TRY(cut(t, &t->sent_memory, cut_all_sent));
  MOTE_TRY(group(t, &t->edges, &t->sent));
  if (c->has_latent) {
    MOTE_TRY(group(t, &t->latent.reached, &t->sent_reached));
    MOTE_TRY(group(t, &t->latent.reaching, &t->sent_reaching));
  }
  if (c->convolution != MOTE_CONVOLUTION_NORMALIZED) return MOTE_OK;
  MOTE_TRY(mote_buffer_reserve(&t->propagation, t->stream->device, (size_t)t->edges.capacity * 4));
  return sparse->normalize(t->stream, t->n, t->edges.capacity, t->edges.row_offsets, t->edges.senders,
                           t->edges.receiver, t->propagation.data);
}

static mote_status reserve(mote_tape *t) {
  const mote_network_config *c = &t->model->config;
  const size_t state_bytes = (size_t)t->edges.capacity * (size_t)c->width * sizeof(float);
  t->every = choose_every(t, state_bytes);
  MOTE_TRY(cut(t, &t->values, cut_values));
  MOTE_TRY(cut(t, &t->edge_memory, keeps_all(t, state_bytes) ? cut_states_and_kept : cut_states_alone));
  return mote_interaction_reserve(&t->room->interaction, t->stream->device, t->n, c->width,
                                  c->convolution == MOTE_CONVOLUTION_NORMALIZED);
}

/* ---- the evaluation ---- */

int mote_tape_made_by(const mote_tape *t, int l) {
  while (l > 0 && !t->model->layer[l - 1].message.update) l--;
  return l;
}

/* The edges' states before layer l (behind the last one where there is no such layer). */
static float *state_at(const mote_tape *t, int l) {
  l = mote_tape_made_by(t, l);
  return l < t->model->layers && l % t->every == 0 ? t->state[l / t->every] : t->now;
}

mote_mlp mote_tape_edge_in(const mote_tape *t) {
  return mote_mlp_keeping(&t->model->edge_in, t->kept_in);
}

mote_mlp mote_tape_edge_out(const mote_tape *t) {
  return mote_mlp_keeping(&t->model->edge_out, t->kept_out);
}

mote_interaction mote_tape_layer(const mote_tape *t, int layer) {
  mote_interaction copy = t->model->layer[layer];
  copy.message = mote_message_keeping(&copy.message, t->kept[layer]);
  return copy;
}

static mote_status encode(mote_tape *t) {
  const mote_model *m = t->model;
  const mote_device *d = t->stream->device;
  int w = m->config.width, dim = m->config.dim, in = mote_node_feature_width(&t->features);
  const float *x = position_of(t);
  const int32_t *count = t->edges.row_offsets + t->edges.receivers;
  mote_rows none = {0}, nodes = {t->feature, in, in}, pairs = {t->edge_feature, dim + 1, dim + 1};
  MOTE_TRY(
      d->feature->nodes(t->stream, t->n, &t->features, t->history, t->type, m->embedding, t->feature, in));
  MOTE_TRY(d->dense->mlp(t->stream, t->n, NULL, &m->node_in, nodes, none, none, t->h[0], w));
  MOTE_TRY(d->feature->edges(t->stream, dim, &t->edges, x, x, 1 / t->radius, 1 / t->radius, t->edge_feature,
                             t->length));
  if (m->config.rest_lengths)
    MOTE_TRY(d->feature->rest_lengths(t->stream, dim, &t->edges, t->rest ? t->rest : t->history,
                                      1 / t->radius, t->rest_length));
  mote_rows rest = {t->rest_length, m->config.rest_lengths, m->config.rest_lengths};
  const mote_mlp edge_in = mote_tape_edge_in(t);
  return d->dense->mlp(t->stream, t->edges.capacity, count, &edge_in, pairs, rest, none, state_at(t, 0), w);
}

static mote_status interact(mote_tape *t, int first, int end, int skip) {
  for (int l = first; l < end; l++) {
    const mote_interaction layer = mote_tape_layer(t, l);
    MOTE_TRY(mote_interaction_run(t->stream, &layer, &t->edges, t->n, t->h[l + skip], state_at(t, l),
                                  state_at(t, l + 1), t->length, t->propagation.data, &t->room->interaction,
                                  t->sum[l], t->h[l + skip + 1]));
  }
  return MOTE_OK;
}

static mote_status decode(mote_tape *t) {
  const mote_model *m = t->model;
  const mote_device *d = t->stream->device;
  int w = m->config.width, dim = m->config.dim, pairs = m->config.decoder == MOTE_DECODER_PAIRS;
  const int32_t *count = t->edges.row_offsets + t->edges.receivers;
  mote_rows none = {0}, h = {t->h[m->layers + m->config.has_latent], w, w}, states = {t->now, w, w};
  MOTE_TRY(d->dense->mlp(t->stream, t->n, NULL, &m->node_out, h, none, none,
                         pairs ? t->wall : t->acceleration, dim));
  if (!pairs) return MOTE_OK;
  const mote_mlp edge_out = mote_tape_edge_out(t);
  MOTE_TRY(d->dense->mlp(t->stream, t->edges.capacity, count, &edge_out, states, none, none, t->pair, dim));
  return d->pair->accelerate(t->stream, t->n, &t->forces, &t->edges, position_of(t), t->wall, t->pair,
                             t->acceleration);
}

mote_status mote_tape_forward(mote_tape *t, int64_t n, const float *history, const int32_t *type) {
  const mote_model *m = t->model;
  const mote_network_config *c = &m->config;
  int before = c->has_latent ? c->layers_before : m->layers;
  t->n = n;
  t->history = history;
  t->type = type;
  MOTE_TRY(graphs(t));
  MOTE_TRY(reserve(t));
  MOTE_TRY(encode(t));
  MOTE_TRY(interact(t, 0, before, 0));
  if (c->has_latent)
    MOTE_TRY(mote_latent_forward(t->stream, &m->latent, &t->latent, t->h[before], &t->room->scratch,
                                 t->h[before + 1]));
  MOTE_TRY(interact(t, before, m->layers, c->has_latent));
  return decode(t);
}
