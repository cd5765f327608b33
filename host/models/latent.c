/* A run of the latent part: a fixed sequence of kernels over planned memory. */
#include "host/models/latent.h"

#include "host/core/error.h"
#include "host/graph/graph.h"

mote_status mote_latent_searches_create(mote_device *device, const mote_latent *l, mote_graph **reached,
                                        mote_graph **reaching) {
  mote_graph_options options = {
      .dim = l->dim, .radius = l->config.radius, .self_loops = 1, .inclusive = 1, .receivers = 1};
  MOTE_TRY(mote_graph_create(device, &options, reached));
  return mote_graph_create(device, &options, reaching);
}

mote_status mote_latent_room_create(mote_device *device, const mote_latent *l, int64_t particles,
                                    mote_latent_room *room) {
  const mote_latent_config *c = &l->config;
  size_t n = (size_t)particles, points = (size_t)l->points, rows = points + 1, width = (size_t)l->width;
  size_t trunk = (size_t)c->kernel_in.widths[c->kernel_in.layers], output = (size_t)c->output;
  size_t ends = c->kernel_in_takes_pairs ? (size_t)c->kernel_in.widths[1] : trunk;
  *room = (mote_latent_room){.particles = particles};
  MOTE_TRY(mote_latent_searches_create(device, l, &room->reached, &room->reaching));
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

mote_status mote_latent_search(mote_stream *stream, const mote_latent *l, mote_graph *reached,
                               mote_graph *reaching, int plan, const float *position, int64_t particles,
                               int32_t *row_of, int32_t *point_of, float *weight, int32_t *count,
                               mote_buffer *scan) {
  const float *grid = l->grid.data;
  if (plan) {
    MOTE_TRY(mote_graph_build_on(reached, stream, position, particles, grid, l->points));
    MOTE_TRY(mote_graph_build_on(reaching, stream, grid, l->points, position, particles));
  } else { /* the grid stays where it was */
    MOTE_TRY(mote_graph_enqueue(reached, stream, position, particles, grid, l->points));
    MOTE_TRY(mote_graph_enqueue(reaching, stream, NULL, l->points, position, particles));
  }
  MOTE_TRY(stream->device->integral->compact(stream, l->points, mote_graph_arrays_of(reached).row_offsets,
                                             row_of, point_of, weight, count, scan));
  /* Points that no matter reaches are not there then. */
  return l->config.occupied_only ? mote_fill_bytes(stream, weight, 0, sizeof(float)) : MOTE_OK;
}

/* ---- the evaluation ---- */

/* What the latent points take from the particles around them. */
static mote_status way_in(mote_stream *stream, const mote_latent *l, const mote_latent_frame *f,
                          const float *h, mote_buffer *scratch) {
  const mote_device *d = stream->device;
  const mote_latent_config *c = &l->config;
  const mote_latent_values *v = &f->values;
  int trunk = c->kernel_in.widths[c->kernel_in.layers];
  int64_t n = f->particles;
  mote_rows x = {f->position, l->dim, l->dim}, nodes = {h, l->node_width, l->node_width}, none = {0};
  if (!c->kernel_in_takes_pairs) {
    mote_rows kernel = {v->kernel, trunk, trunk};
    MOTE_TRY(d->dense->mlp(stream, n, NULL, &l->kernel_in, x, nodes, none, v->kernel, trunk));
    return d->integral->average(stream, f->rows, f->count, f->point_of, &f->reached, kernel, NULL, none,
                                v->value, trunk);
  }
  int hidden = c->kernel_in.widths[1];
  float per_radius = 1 / c->radius;
  mote_rows zero = {l->zeros.data, hidden, 0}, ends = {v->kernel, hidden, hidden};
  mote_rows sums = {v->pair_sum, trunk, trunk};
  MOTE_TRY(d->feature->edges(stream, l->dim, &f->reached, f->position, l->grid.data, per_radius, per_radius,
                             f->pair_in, NULL));
  MOTE_TRY(d->dense->mlp(stream, n, NULL, &l->pair_ends, nodes, none, none, v->kernel, hidden));
  const mote_message_block pairs = mote_message_keeping(&l->pairs_in, v->kept_in);
  MOTE_TRY(d->message->pass(stream, &f->reached, &pairs, f->pair_in, NULL, zero, ends, NULL, none,
                            v->pair_sum, trunk, scratch));
  return d->integral->pick(stream, f->rows, f->count, f->point_of, sums, v->value, trunk);
}

/* x to crossed: attention to the whole grid, whose context depends on the weights alone. */
static mote_status cross(mote_stream *stream, const mote_latent *l, const mote_latent_block *b,
                         const mote_latent_frame *f, const mote_latent_block_values *v) {
  const struct mote_dense_kernels *k = stream->device->dense;
  int w = l->width;
  mote_rows none = {0}, in = {v->x, w, w}, query = {v->query, w, w}, crossing = {v->crossing, w, w};
  MOTE_TRY(k->mlp(stream, f->rows, f->count, &b->cross_query, in, none, none, v->query, w));
  MOTE_TRY(stream->device->attention->attend(stream, f->rows, f->count, l->heads, query, b->context.data,
                                             v->crossing, w));
  return k->mlp(stream, f->rows, f->count, &b->cross_out, crossing, none, in, v->crossed, w);
}

static mote_status run_block(mote_stream *stream, const mote_latent *l, const mote_latent_block *b,
                             const mote_latent_frame *f, const mote_latent_block_values *v,
                             mote_buffer *scratch) {
  const mote_device *d = stream->device;
  const struct mote_dense_kernels *k = d->dense;
  int64_t rows = f->rows;
  int w = l->width, trunk = l->config.kernel_in.widths[l->config.kernel_in.layers];
  mote_rows none = {0}, crossed = {b->crosses ? v->crossed : v->x, w, w}, next = {v->next, w, w};
  mote_rows attended = {v->attended, w, w}, selfed = {v->selfed, w, w};
  mote_rows gates = {v->logits, b->experts, MOTE_MOST_GATED};
  mote_rows seen = {f->values.value, l->config.space_width, trunk};
  mote_rows query = {v->projected, w, 3 * w}, key = {v->projected + w, w, 3 * w},
            value = {v->projected + 2 * w, w, 3 * w};
  MOTE_TRY(k->mlp(stream, rows, f->count, &b->gate, seen, none, none, v->logits, MOTE_MOST_GATED));
  if (b->crosses) MOTE_TRY(cross(stream, l, b, f, v));
  MOTE_TRY(k->gated(stream, rows, f->count, b->experts, b->first, crossed, gates, b->first_norm, crossed,
                    v->next, w));
  MOTE_TRY(k->mlp(stream, rows, f->count, &b->query_key_value, next, none, none, v->projected, 3 * w));
  MOTE_TRY(
      d->attention->summarize(stream, rows, f->count, l->heads, key, value, f->weight, v->context, scratch));
  MOTE_TRY(d->attention->attend(stream, rows, f->count, l->heads, query, v->context, v->attended, w));
  MOTE_TRY(k->mlp(stream, rows, f->count, &b->self_out, attended, none, next, v->selfed, w));
  return k->gated(stream, rows, f->count, b->experts, b->second, selfed, gates, b->second_norm, selfed,
                  v->out, w);
}

static mote_status transform(mote_stream *stream, const mote_latent *l, const mote_latent_frame *f,
                             mote_buffer *scratch) {
  const struct mote_dense_kernels *k = stream->device->dense;
  const mote_latent_values *v = &f->values;
  int trunk = l->config.kernel_in.widths[l->config.kernel_in.layers], w = l->width,
      last = l->config.blocks - 1;
  mote_rows none = {0}, value = {v->value, trunk, trunk}, x = {v->block[last].out, w, w};
  MOTE_TRY(k->mlp(stream, f->rows, f->count, &l->trunk, value, none, none, v->block[0].x, w));
  for (int b = 0; b <= last; b++) MOTE_TRY(run_block(stream, l, &l->block[b], f, &v->block[b], scratch));
  return k->mlp(stream, f->rows, f->count, &l->out, x, none, none, v->answer, l->config.output);
}

/* From the latent points back to the particles. */
static mote_status way_back(mote_stream *stream, const mote_latent *l, const mote_latent_frame *f,
                            mote_buffer *scratch) {
  const mote_device *d = stream->device;
  const mote_latent_values *v = &f->values;
  int output = l->config.output;
  mote_rows value = {v->answer, output, output};
  if (!l->config.kernel_out_takes_pairs) {
    mote_rows factor = {l->factor.data, output, output};
    return d->integral->average(stream, f->particles, NULL, NULL, &f->reaching, value, f->row_of, factor,
                                v->result, output);
  }
  int hidden = l->config.kernel_out.widths[1];
  float per_radius = 1 / l->config.radius;
  mote_rows bias = {l->pair_bias, hidden, 0}, zero = {l->zeros.data, hidden, 0};
  mote_rows factor = {v->picked, output, output};
  MOTE_TRY(d->integral->pick(stream, l->points, NULL, f->row_of, value, v->picked, output));
  MOTE_TRY(d->feature->edges(stream, l->dim, &f->reaching, l->grid.data, f->position, per_radius, per_radius,
                             f->pair_out, NULL));
  const mote_message_block pairs = mote_message_keeping(&l->pairs_out, v->kept_out);
  return d->message->pass(stream, &f->reaching, &pairs, f->pair_out, NULL, bias, zero, NULL, factor,
                          v->result, output, scratch);
}

mote_status mote_latent_forward(mote_stream *stream, const mote_latent *l, const mote_latent_frame *f,
                                const float *h, mote_buffer *scratch, float *out) {
  int output = l->config.output, width = l->node_width;
  mote_rows result = {f->values.result, output, output}, none = {0}, nodes = {h, width, width};
  MOTE_TRY(way_in(stream, l, f, h, scratch));
  MOTE_TRY(transform(stream, l, f, scratch));
  MOTE_TRY(way_back(stream, l, f, scratch));
  return stream->device->dense->mlp(stream, f->particles, NULL, &l->projection, result, none, nodes, out,
                                    width);
}

/* ---- a stepper's evaluation, with as little memory as it needs ---- */

static void share_memory(const mote_latent *l, mote_latent_room *room, mote_latent_values *v) {
  float *x = room->x[0].data, *other = room->x[1].data, *attended = room->attended.data;
  float *projected = room->projected.data, *pairs = room->pair_sum.data;
  *v = (mote_latent_values){.kernel = room->kernel.data,
                            .pair_sum = pairs,
                            .value = room->value.data,
                            .answer = attended,
                            .picked = pairs,
                            .result = room->result.data};
  for (int b = 0; b < l->config.blocks; b++)
    v->block[b] = (mote_latent_block_values){.x = x,
                                             .logits = room->logits.data,
                                             .query = projected,
                                             .crossing = attended,
                                             .crossed = x,
                                             .next = other,
                                             .projected = projected,
                                             .context = room->context.data,
                                             .attended = attended,
                                             .selfed = other,
                                             .out = x};
}

/* So many that tiles can be cut to them: few of a grid's points are near matter. */
static mote_status plan_rows(mote_stream *stream, const mote_latent *l, mote_latent_room *room) {
  int32_t count;
  MOTE_TRY(mote_download(stream, &count, room->count.data, sizeof count));
  room->rows = count + count / 4 + 16;
  if (room->rows > l->points + 1) room->rows = l->points + 1;
  return MOTE_OK;
}

mote_status mote_latent_look(mote_stream *stream, const mote_latent *l, mote_latent_room *room, int plan,
                             const float *position) {
  MOTE_TRY(mote_latent_search(stream, l, room->reached, room->reaching, plan, position, room->particles,
                              room->row_of.data, room->point_of.data, room->weight.data, room->count.data,
                              &room->scan));
  return plan ? plan_rows(stream, l, room) : MOTE_OK;
}

mote_status mote_latent_evaluate(mote_stream *stream, const mote_latent *l, mote_latent_room *room,
                                 const float *position, const float *h, float *out) {
  const mote_latent_config *c = &l->config;
  mote_latent_frame frame = {.particles = room->particles,
                             .rows = room->rows,
                             .count = room->count.data,
                             .row_of = room->row_of.data,
                             .point_of = room->point_of.data,
                             .weight = room->weight.data,
                             .position = position,
                             .reached = mote_edges_of(room->reached),
                             .reaching = mote_edges_of(room->reaching)};
  int64_t pairs =
      frame.reached.capacity > frame.reaching.capacity ? frame.reached.capacity : frame.reaching.capacity;
  if (c->kernel_in_takes_pairs || c->kernel_out_takes_pairs)
    MOTE_TRY(mote_buffer_reserve(&room->pair_state, stream->device,
                                 (size_t)pairs * (size_t)(l->dim + 1) * sizeof(float)));
  frame.pair_in = frame.pair_out = room->pair_state.data;
  share_memory(l, room, &frame.values);
  return mote_latent_forward(stream, l, &frame, h, &room->scratch, out);
}
