/* The reverse of an interaction layer. The trick: what is cheap is computed again (the ends' parts, the
   propagated rows), what is dear was kept (the messages' sums, the edge states). */
#include "host/core/error.h"
#include "host/nn/interaction.h"
#include "kernels/optimize/optimize.h"

void mote_interaction_reverse_free(mote_interaction_reverse *r) {
  mote_buffer *all[] = {&r->d_ends, &r->d_sum, &r->d_seen, &r->scratch, &r->sparse_scratch};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) mote_buffer_free(all[k]);
}

static mote_status clear(mote_stream *stream, mote_buffer *buffer, int64_t floats) {
  return mote_buffer_zeros(buffer, stream, (size_t)floats * sizeof(float));
}

/* out = h + S(h), S(h) = W (alpha h + (1 - alpha) P h) + b; the residual is the caller's. */
static mote_status convolution(mote_stream *stream, const mote_interaction *layer, const mote_arena *arena,
                               const mote_interaction_record *r, int width, mote_interaction_room *room,
                               mote_interaction_reverse *v, const float *d_out, float *d_h) {
  const mote_device *d = stream->device;
  int64_t n = r->n, values = n * width;
  float share = layer->propagation_share;
  mote_rows rows = {r->h, width, width}, none = {0}, d_rows = {d_out, width, width};
  mote_sink unwanted = {0}, to = {d_h, width};
  if (!(share > 0))
    return d->dense->mlp_backward(stream, n, NULL, &layer->convolution, arena, rows, none, d_rows, to,
                                  unwanted, &v->scratch);
  MOTE_TRY(mote_interaction_propagate(stream, layer, r->edges, n, width, r->h, r->propagation, room));
  mote_rows seen = {room->convolved.data, width, width};
  MOTE_TRY(clear(stream, &v->d_seen, values));
  mote_sink d_seen = {v->d_seen.data, width};
  MOTE_TRY(d->dense->mlp_backward(stream, n, NULL, &layer->convolution, arena, seen, none, d_rows, d_seen,
                                  unwanted, &v->scratch));
  MOTE_TRY(d->sparse->multiply(stream, n, n, -1, r->edges->row_offsets, r->edges->senders, r->propagation,
                               width, share, d_seen.data, 1, d_h, &v->sparse_scratch));
  return d->optimize->combine(stream, values, 1 - share, d_seen.data, 1, d_h);
}

mote_status mote_interaction_backward(mote_stream *stream, const mote_interaction *layer,
                                      const mote_arena *arena, const mote_interaction_record *r,
                                      mote_interaction_room *room, mote_interaction_reverse *v,
                                      const float *d_out, float *d_edge, float *d_length, float *d_h) {
  const mote_device *d = stream->device;
  int width = layer->node.layer[layer->node.layers - 1].out, first = layer->node_takes_sum_first;
  int64_t n = r->n;
  float *ends = room->ends.data;
  mote_rows none = {0}, rows = {r->h, width, width}, sums = {r->sum, width, width},
            d_rows = {d_out, width, width};
  mote_rows receiver = {ends, width, 2 * width}, sender = {ends + width, width, 2 * width};
  mote_sink unwanted = {0}, to = {d_h, width};
  MOTE_TRY(clear(stream, &v->d_sum, n * width));
  MOTE_TRY(clear(stream, &v->d_ends, 2 * n * width));
  float *d_ends = v->d_ends.data;
  mote_sink d_sum = {v->d_sum.data, width}, d_receiver = {d_ends, 2 * width},
            d_sender = {d_ends + width, 2 * width};
  mote_rows d_sums = {v->d_sum.data, width, width}, d_both = {d_ends, 2 * width, 2 * width};
  MOTE_TRY(d->dense->mlp_backward(stream, n, NULL, &layer->node, arena, first ? sums : rows,
                                  first ? rows : sums, d_rows, first ? d_sum : to, first ? to : d_sum,
                                  &v->scratch));
  MOTE_TRY(d->optimize->combine(stream, n * width, 1, d_out, 1, d_h));
  if (layer->has_convolution) MOTE_TRY(convolution(stream, layer, arena, r, width, room, v, d_out, d_h));
  MOTE_TRY(d->dense->mlp(stream, n, NULL, &layer->ends, rows, none, none, ends, 2 * width));
  MOTE_TRY(d->message->pass_backward(stream, r->edges, r->sent, &layer->message, arena, r->edge, receiver,
                                     sender, layer->weighted ? r->length : NULL, none, d_sums, d_edge,
                                     d_receiver, d_sender, unwanted, layer->weighted ? d_length : NULL,
                                     &v->scratch));
  return d->dense->mlp_backward(stream, n, NULL, &layer->ends, arena, rows, none, d_both, to, unwanted,
                                &v->scratch);
}
