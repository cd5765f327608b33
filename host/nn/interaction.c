#include "host/nn/interaction.h"

#include "host/core/error.h"

static mote_name layer_name(const mote_mlp_names *names, const char *name, int layer) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  return mote_name_of(names->layer, name, layer * names->stride);
}
static mote_name norm_name(const mote_mlp_names *names, const char *name, int linears) {
  return mote_name_of(names->norm, name, (linears - 1) * names->stride + 1);
#pragma GCC diagnostic pop
}

static mote_status check_linears(const char *name, int linears) {
  if (linears >= 1 && linears <= MOTE_MLP_LAYERS) return MOTE_OK;
  return mote_fail(MOTE_ERROR_UNSUPPORTED, "\"%s\" has %d layers: 1 to %d are supported", name, linears,
                   MOTE_MLP_LAYERS);
}

/* The layers from `first` on. */
static mote_status read_layers(mote_parameters *p, const mote_mlp_names *names, const char *name, int first,
                               mote_mlp_shape s, mote_mlp *mlp) {
  mlp->layers = s.linears;
  for (int l = first; l < s.linears; l++) {
    int last = l == s.linears - 1;
    MOTE_TRY(mote_parameters_linear(p, layer_name(names, name, l).text, l ? s.hidden : s.in,
                                    last ? s.out : s.hidden, last ? MOTE_IDENTITY : MOTE_RELU,
                                    &mlp->layer[l]));
  }
  return s.normed ? mote_parameters_norm(p, norm_name(names, name, s.linears).text, s.out, &mlp->behind)
                  : MOTE_OK;
}

mote_status mote_mlp_read(mote_parameters *p, const mote_mlp_names *names, const char *name,
                          mote_mlp_shape shape, mote_mlp *mlp) {
  *mlp = (mote_mlp){0};
  MOTE_TRY(check_linears(name, shape.linears));
  return read_layers(p, names, name, 0, shape, mlp);
}

mote_status mote_interaction_read(mote_parameters *p, const mote_mlp_names *names, const char *edge,
                                  const char *node, int width, int linears, mote_interaction *layer) {
  mote_mlp_shape shape = {width, width, width, linears, 1};
  mote_name first = layer_name(names, edge, 0);
  mote_layer_part ends[2] = {{first, width, 3 * width, 0, 1, 1}, {first, width, 3 * width, width, 0, 1}};
  mote_layer_part state = {first,     width, 3 * width,
                           2 * width, 0,     layer->state_scale ? layer->state_scale : 1};
  mote_mlp *message = &layer->message.mlp;
  MOTE_TRY(check_linears(edge, linears));
  layer->ends = (mote_mlp){.layers = 1};
  layer->message = (mote_message_block){.update = 1};
  MOTE_TRY(mote_parameters_stack(p, 2, ends, width, MOTE_IDENTITY, &layer->ends.layer[0]));
  MOTE_TRY(mote_parameters_stack(p, 1, &state, width, linears > 1 ? MOTE_RELU : MOTE_IDENTITY,
                                 &message->layer[0]));
  MOTE_TRY(read_layers(p, names, edge, 1, shape, message));
  shape.in = 2 * width;
  return mote_mlp_read(p, names, node, shape, &layer->node);
}

mote_status mote_interaction_reserve(mote_interaction_room *room, mote_device *device, int64_t nodes,
                                     int width, int convolves) {
  size_t row = (size_t)nodes * (size_t)width * sizeof(float);
  MOTE_TRY(mote_buffer_reserve(&room->ends, device, 2 * row));
  return convolves ? mote_buffer_reserve(&room->convolved, device, row) : MOTE_OK;
}

void mote_interaction_room_free(mote_interaction_room *room) {
  mote_buffer *all[] = {&room->ends, &room->convolved, &room->scratch, &room->sparse_scratch};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) mote_buffer_free(all[k]);
}

mote_status mote_interaction_propagate(mote_stream *stream, const mote_interaction *layer,
                                       const mote_edges *edges, int64_t n, int width, const float *h,
                                       const float *propagation, mote_interaction_room *room) {
  float share = layer->propagation_share, *c = room->convolved.data;
  MOTE_TRY(mote_copy_on_device(stream, c, h, (size_t)n * (size_t)width * sizeof(float)));
  return stream->device->sparse->multiply(stream, n, n, -1, edges->row_offsets, edges->senders, propagation,
                                          width, share, h, 1 - share, c, &room->sparse_scratch);
}

/* out = h + S(h). */
static mote_status convolve(mote_stream *stream, const mote_interaction *layer, const mote_edges *edges,
                            int64_t n, int width, const float *h, const float *propagation,
                            mote_interaction_room *room, float *out) {
  mote_rows rows = {h, width, width}, none = {0}, seen = rows;
  if (layer->propagation_share > 0) {
    MOTE_TRY(mote_interaction_propagate(stream, layer, edges, n, width, h, propagation, room));
    seen.data = room->convolved.data;
  }
  return stream->device->dense->mlp(stream, n, NULL, &layer->convolution, seen, none, rows, out, width);
}

mote_status mote_interaction_run(mote_stream *stream, const mote_interaction *layer, const mote_edges *edges,
                                 int64_t n, const float *h, const float *edge, float *updated,
                                 const float *length, const float *propagation, mote_interaction_room *room,
                                 float *sum, float *out) {
  const mote_device *d = stream->device;
  int width = layer->node.layer[layer->node.layers - 1].out;
  float *ends = room->ends.data;
  mote_rows rows = {h, width, width}, none = {0}, sums = {sum, width, width}, residual = rows;
  mote_rows receiver = {ends, width, 2 * width}, sender = {ends + width, width, 2 * width};
  MOTE_TRY(d->dense->mlp(stream, n, NULL, &layer->ends, rows, none, none, ends, 2 * width));
  MOTE_TRY(d->message->pass(stream, edges, &layer->message, edge, updated, receiver, sender,
                            layer->weighted ? length : NULL, none, sum, width, &room->scratch));
  if (layer->has_convolution) {
    MOTE_TRY(convolve(stream, layer, edges, n, width, h, propagation, room, out));
    residual.data = out;
  }
  return d->dense->mlp(stream, n, NULL, &layer->node, layer->node_takes_sum_first ? sums : rows,
                       layer->node_takes_sum_first ? rows : sums, residual, out, width);
}
