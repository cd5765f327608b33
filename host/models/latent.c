/* A run of the latent part: a fixed sequence of kernels over planned memory. */
#include "host/models/latent.h"

#include "host/core/error.h"
#include "host/graph/graph.h"

static mote_status create_searches(mote_device *device, const mote_latent *l, mote_latent_room *room) {
  mote_graph_options options = {
      .dim = l->dim, .radius = l->config.radius, .self_loops = 1, .inclusive = 1, .receivers = 1};
  MOTE_TRY(mote_graph_create(device, &options, &room->reached));
  return mote_graph_create(device, &options, &room->reaching);
}

mote_status mote_latent_room_create(mote_device *device, const mote_latent *l, int64_t particles,
                                    mote_latent_room *room) {
  const mote_latent_config *c = &l->config;
  size_t n = (size_t)particles, points = (size_t)l->points, rows = points + 1, width = (size_t)l->width;
  size_t trunk = (size_t)c->kernel_in.widths[c->kernel_in.layers], output = (size_t)c->output;
  size_t ends = c->kernel_in_takes_pairs ? (size_t)c->kernel_in.widths[1] : trunk;
  *room = (mote_latent_room){.particles = particles};
  MOTE_TRY(create_searches(device, l, room));
  const struct {
    mote_buffer *buffer;
    size_t words;
  } all[] = {{&room->kernel, n * ends},
             {&room->value, rows * trunk},
             {&room->row_of, points},
             {&room->point_of, rows},
             {&room->weight, rows},
             {&room->count, 1},
             {&room->x[0], rows * width},
             {&room->x[1], rows * width},
             {&room->attended, rows * (width > output ? width : output)},
             {&room->projected, 3 * rows * width},
             {&room->logits, rows * MOTE_MOST_GATED},
             {&room->result, (rows > n ? rows : n) * output},
             {&room->pair_sum, c->kernel_in_takes_pairs || c->kernel_out_takes_pairs
                                   ? (points > n ? points : n) * (trunk > output ? trunk : output)
                                   : 0},
             {&room->context, (size_t)mote_context_floats(l->heads)}};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++)
    MOTE_TRY(mote_buffer_reserve(all[k].buffer, device, (all[k].words + 1) * 4));
  return MOTE_OK;
}

void mote_latent_room_free(mote_latent_room *room) {
  mote_buffer *all[] = {&room->kernel,  &room->value,      &room->row_of,   &room->point_of, &room->weight,
                        &room->count,   &room->x[0],       &room->x[1],     &room->attended, &room->projected,
                        &room->logits,  &room->pair_state, &room->pair_sum, &room->result,   &room->context,
                        &room->scratch, &room->scan};
  mote_graph_destroy(room->reached);
  mote_graph_destroy(room->reaching);
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) mote_buffer_free(all[k]);
  *room = (mote_latent_room){0};
}

mote_edges mote_edges_of(const mote_graph *graph) {
  mote_graph_arrays g = mote_graph_arrays_of(graph);
  return (mote_edges){g.receiver_count, g.edge_capacity, g.row_offsets, g.senders, g.receivers};
}

static mote_status search(mote_graph *graph, mote_stream *stream, int plan, const float *points, int64_t n,
                          const float *queries, int64_t m) {
  return plan ? mote_graph_build_on(graph, stream, points, n, queries, m)
              : mote_graph_enqueue(graph, stream, points, n, queries, m);
}

/* Offsets and lengths of the pairs of a search, in units of its radius. */
static mote_status pair_features(mote_stream *stream, const mote_latent *l, mote_latent_room *room,
                                 const mote_edges *pairs, const float *points, const float *queries) {
  size_t bytes = (size_t)pairs->capacity * (size_t)(l->dim + 1) * sizeof(float);
  float per_radius = 1 / l->config.radius;
  MOTE_TRY(mote_buffer_reserve(&room->pair_state, stream->device, bytes));
  return stream->device->feature->edges(stream, l->dim, pairs, points, queries, per_radius, per_radius,
                                        room->pair_state.data, NULL);
}

/* What the latent points take from the particles around them: rows of room->value. */
static mote_status way_in(mote_stream *stream, const mote_latent *l, mote_latent_room *room,
                          const float *position, const float *h) {
  const mote_device *d = stream->device;
  const mote_latent_config *c = &l->config;
  int trunk = c->kernel_in.widths[c->kernel_in.layers];
  int64_t n = room->particles;
  mote_edges pairs = mote_edges_of(room->reached);
  mote_rows x = {position, l->dim, l->dim}, nodes = {h, l->node_width, l->node_width}, none = {0};
  MOTE_TRY(d->integral->compact(stream, l->points, pairs.row_offsets, room->row_of.data, room->point_of.data,
                                room->weight.data, room->count.data, &room->scan));
  /* Points that no matter reaches are not there then. */
  if (c->occupied_only) MOTE_TRY(mote_fill_bytes(stream, room->weight.data, 0, sizeof(float)));
  if (!c->kernel_in_takes_pairs) {
    mote_rows kernel = {room->kernel.data, trunk, trunk};
    MOTE_TRY(d->dense->mlp(stream, n, NULL, &l->kernel_in, x, nodes, none, room->kernel.data, trunk));
    return d->integral->average(stream, l->points + 1, room->count.data, room->point_of.data, &pairs, kernel,
                                NULL, none, room->value.data, trunk);
  }
  int hidden = c->kernel_in.widths[1];
  mote_rows zero = {l->zeros.data, hidden, 0}, ends = {room->kernel.data, hidden, hidden};
  mote_rows sums = {room->pair_sum.data, trunk, trunk};
  MOTE_TRY(pair_features(stream, l, room, &pairs, position, l->grid.data));
  MOTE_TRY(d->dense->mlp(stream, n, NULL, &l->pair_ends, nodes, none, none, room->kernel.data, hidden));
  MOTE_TRY(d->message->pass(stream, &pairs, &l->pairs_in, room->pair_state.data, zero, ends, NULL, none,
                            room->pair_sum.data, trunk, &room->scratch));
  return d->integral->pick(stream, l->points + 1, room->count.data, room->point_of.data, sums,
                           room->value.data, trunk);
}

/* x of one block to x, by way of the other buffer; `at`: which of them holds it, before and after. */
static mote_status run_block(mote_stream *stream, const mote_latent *l, const mote_latent_block *b,
                             mote_latent_room *room, int *at) {
  const mote_device *d = stream->device;
  const struct mote_dense_kernels *k = d->dense;
  const int32_t *count = room->count.data;
  int64_t rows = l->points + 1;
  int w = l->width;
  float *x = room->x[*at].data, *other = room->x[!*at].data, *attended = room->attended.data;
  float *projected = room->projected.data;
  mote_rows none = {0}, in = {x, w, w}, next = {other, w, w}, out = {attended, w, w};
  mote_rows gates = {room->logits.data, b->experts, MOTE_MOST_GATED};
  mote_rows seen = {room->value.data, l->config.space_width,
                    l->config.kernel_in.widths[l->config.kernel_in.layers]};
  MOTE_TRY(k->mlp(stream, rows, count, &b->gate, seen, none, none, room->logits.data, MOTE_MOST_GATED));
  if (b->crosses) {
    mote_rows query = {projected, w, w};
    MOTE_TRY(k->mlp(stream, rows, count, &b->cross_query, in, none, none, projected, w));
    MOTE_TRY(d->attention->attend(stream, rows, count, l->heads, query, b->context.data, attended, w));
    MOTE_TRY(k->mlp(stream, rows, count, &b->cross_out, out, none, in, x, w));
  }
  MOTE_TRY(k->gated(stream, rows, count, b->experts, b->first, in, gates, b->first_norm, in, other, w));
  mote_rows query = {projected, w, 3 * w}, key = {projected + w, w, 3 * w},
            value = {projected + 2 * w, w, 3 * w};
  MOTE_TRY(k->mlp(stream, rows, count, &b->query_key_value, next, none, none, projected, 3 * w));
  MOTE_TRY(d->attention->summarize(stream, rows, count, l->heads, key, value, room->weight.data,
                                   room->context.data, &room->scratch));
  MOTE_TRY(d->attention->attend(stream, rows, count, l->heads, query, room->context.data, attended, w));
  MOTE_TRY(k->mlp(stream, rows, count, &b->self_out, out, none, next, other, w));
  return k->gated(stream, rows, count, b->experts, b->second, next, gates, b->second_norm, next, x, w);
}

static mote_status transform(mote_stream *stream, const mote_latent *l, mote_latent_room *room) {
  const struct mote_dense_kernels *k = stream->device->dense;
  const int32_t *count = room->count.data;
  int64_t rows = l->points + 1;
  int trunk = l->config.kernel_in.widths[l->config.kernel_in.layers], w = l->width, at = 0;
  mote_rows none = {0}, value = {room->value.data, trunk, trunk}, x = {room->x[0].data, w, w};
  MOTE_TRY(k->mlp(stream, rows, count, &l->trunk, value, none, none, room->x[0].data, w));
  for (int b = 0; b < l->config.blocks; b++) MOTE_TRY(run_block(stream, l, &l->block[b], room, &at));
  return k->mlp(stream, rows, count, &l->out, x, none, none, room->attended.data, l->config.output);
}

/* From the latent points back to the particles: room->result (n, output). */
static mote_status way_back(mote_stream *stream, const mote_latent *l, mote_latent_room *room,
                            const float *position) {
  const mote_device *d = stream->device;
  int output = l->config.output;
  mote_edges pairs = mote_edges_of(room->reaching);
  mote_rows value = {room->attended.data, output, output};
  if (!l->config.kernel_out_takes_pairs) {
    mote_rows factor = {l->factor.data, output, output};
    return d->integral->average(stream, room->particles, NULL, NULL, &pairs, value, room->row_of.data, factor,
                                room->result.data, output);
  }
  int hidden = l->config.kernel_out.widths[1];
  mote_rows bias = {l->pair_bias, hidden, 0}, zero = {l->zeros.data, hidden, 0};
  mote_rows factor = {room->pair_sum.data, output, output};
  MOTE_TRY(d->integral->pick(stream, l->points, NULL, room->row_of.data, value, room->pair_sum.data, output));
  MOTE_TRY(pair_features(stream, l, room, &pairs, l->grid.data, position));
  return d->message->pass(stream, &pairs, &l->pairs_out, room->pair_state.data, bias, zero, NULL, factor,
                          room->result.data, output, &room->scratch);
}

mote_status mote_latent_run(mote_stream *stream, const mote_latent *l, mote_latent_room *room, int plan,
                            const float *position, const float *h, float *out) {
  int64_t n = room->particles;
  int output = l->config.output, width = l->node_width;
  mote_rows result = {room->result.data, output, output}, none = {0}, nodes = {h, width, width};
  MOTE_TRY(search(room->reached, stream, plan, position, n, l->grid.data, l->points));
  MOTE_TRY(search(room->reaching, stream, plan, l->grid.data, l->points, position, n));
  MOTE_TRY(way_in(stream, l, room, position, h));
  MOTE_TRY(transform(stream, l, room));
  MOTE_TRY(way_back(stream, l, room, position));
  return stream->device->dense->mlp(stream, n, NULL, &l->projection, result, none, nodes, out, width);
}
