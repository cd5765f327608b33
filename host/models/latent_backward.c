/* The reverse of the latent part. The trick: along a block's residual path a gradient is carried in two
   buffers that change places; each branch off the path only adds to one of them. */
#include "host/core/error.h"
#include "host/models/latent.h"
#include "kernels/optimize/optimize.h"

void mote_latent_reverse_free(mote_latent_reverse *v) {
  mote_buffer *all[] = {&v->x[0],    &v->x[1],  &v->attended, &v->projected, &v->logits,
                        &v->context, &v->value, &v->result,   &v->answer,    &v->kernel,
                        &v->points,  &v->bias,  &v->pairs,    &v->scratch};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) mote_buffer_free(all[k]);
}

static int64_t factor_floats(const mote_latent *l) {
  return l->config.kernel_out_takes_pairs ? 0 : l->points * l->config.output;
}

int64_t mote_latent_shared_floats(const mote_latent *l) {
  int64_t contexts = l->config.occupied_only ? 0 : (int64_t)l->config.blocks * mote_context_floats(l->heads);
  return factor_floats(l) + contexts;
}

/* Zeros. */
static mote_status clear(mote_stream *stream, mote_buffer *buffer, int64_t floats) {
  return mote_buffer_zeros(buffer, stream, (size_t)(floats ? floats : 1) * sizeof(float));
}

static mote_status copy(mote_stream *stream, mote_buffer *to, const mote_buffer *from, int64_t floats) {
  size_t bytes = (size_t)floats * sizeof(float);
  MOTE_TRY(mote_buffer_reserve(to, stream->device, bytes));
  return mote_copy_on_device(stream, to->data, from->data, bytes);
}

/* ---- the way back, reversed: v->result to v->answer ---- */

static mote_status add_picked(mote_stream *stream, const mote_latent *l, const mote_latent_frame *f,
                              mote_latent_reverse *v) {
  const mote_device *d = stream->device;
  int output = l->config.output;
  mote_rows picked = {v->points.data, output, output};
  return d->integral->pick(stream, f->rows, NULL, f->point_of, picked, v->answer.data, output);
}

static mote_status pairs_out(mote_stream *stream, const mote_latent *l, const mote_arena *arena,
                             const mote_latent_frame *f, const mote_sent *sent, mote_latent_reverse *v,
                             float *d_position) {
  const mote_device *d = stream->device;
  int output = l->config.output, hidden = l->config.kernel_out.widths[1], pair = l->dim + 1;
  float per_radius = 1 / l->config.radius;
  mote_rows bias = {l->pair_bias, hidden, 0}, zero = {l->zeros.data, hidden, 0};
  mote_rows factor = {f->values.picked, output, output}, d_result = {v->result.data, output, output};
  MOTE_TRY(clear(stream, &v->bias, f->particles * hidden));
  MOTE_TRY(clear(stream, &v->points, l->points * output));
  if (d_position) MOTE_TRY(clear(stream, &v->pairs, f->reaching.capacity * pair));
  mote_sink d_bias = {v->bias.data, hidden}, d_picked = {v->points.data, output}, unwanted = {0};
  float *d_pairs = d_position ? v->pairs.data : NULL;
  const mote_message_block pairs = mote_message_keeping(&l->pairs_out, f->values.kept_out);
  MOTE_TRY(d->message->pass_backward(stream, &f->reaching, sent, &pairs, arena, f->pair_out, bias, zero, NULL,
                                     factor, d_result, d_pairs, d_bias, unwanted, d_picked, NULL,
                                     &v->scratch));
  MOTE_TRY(d->optimize->sum_rows(stream, f->particles, hidden, d_bias.data, hidden,
                                 mote_gradient_of(arena, l->pair_bias), &v->scratch));
  if (d_position)
    MOTE_TRY(d->feature->edges_backward(stream, l->dim, &f->reaching, sent, l->grid.data, f->position,
                                        per_radius, per_radius, d_pairs, NULL, NULL, d_position));
  return add_picked(stream, l, f, v);
}

static mote_status way_back(mote_stream *stream, const mote_latent *l, const mote_arena *arena,
                            const mote_latent_frame *f, const mote_sent *sent, mote_latent_reverse *v,
                            float *d_shared, float *d_position) {
  int output = l->config.output;
  MOTE_TRY(clear(stream, &v->answer, f->rows * output));
  if (l->config.kernel_out_takes_pairs) return pairs_out(stream, l, arena, f, sent, v, d_position);
  mote_rows value = {f->values.answer, output, output}, factor = {l->factor.data, output, output};
  mote_rows d_result = {v->result.data, output, output};
  mote_sink d_answer = {v->answer.data, output}, d_factor = {d_shared, output};
  return stream->device->integral->average_backward(stream, &f->reaching, sent, NULL, NULL, f->rows, NULL,
                                                    value, f->row_of, f->point_of, factor, d_result, d_answer,
                                                    d_factor);
}

/* ---- the transformer, reversed: v->answer to v->value ---- */

/* v->x[0], the gradient by what came out of the self-attention's half, to that by what went in: v->x[1]. */
static mote_status self_half(mote_stream *stream, const mote_latent *l, const mote_latent_block *b,
                             const mote_arena *arena, const mote_latent_frame *f,
                             const mote_latent_block_values *x, mote_latent_reverse *v) {
  const mote_device *d = stream->device;
  const struct mote_dense_kernels *k = d->dense;
  int64_t rows = f->rows;
  int w = l->width;
  mote_rows none = {0}, selfed = {x->selfed, w, w}, attended = {x->attended, w, w}, next = {x->next, w, w};
  mote_rows gates = {x->logits, b->experts, MOTE_MOST_GATED}, query = {x->projected, w, 3 * w},
            key = {x->projected + w, w, 3 * w}, value = {x->projected + 2 * w, w, 3 * w};
  MOTE_TRY(copy(stream, &v->x[1], &v->x[0], rows * w));
  MOTE_TRY(clear(stream, &v->attended, rows * w));
  MOTE_TRY(clear(stream, &v->projected, 3 * rows * w));
  MOTE_TRY(clear(stream, &v->context, mote_context_floats(l->heads)));
  float *d_projected = v->projected.data;
  mote_sink d_x = {v->x[1].data, w}, d_logits = {v->logits.data, MOTE_MOST_GATED},
            d_attended = {v->attended.data, w}, unwanted = {0};
  mote_sink d_query = {d_projected, 3 * w}, d_key = {d_projected + w, 3 * w},
            d_value = {d_projected + 2 * w, 3 * w};
  mote_rows d_out = {v->x[0].data, w, w}, d_selfed = {v->x[1].data, w, w}, d_rows = {v->attended.data, w, w},
            d_all = {d_projected, 3 * w, 3 * w};
  MOTE_TRY(k->gated_backward(stream, rows, NULL, b->experts, b->second, arena, selfed, gates, b->second_norm,
                             d_out, d_x, d_logits, &v->scratch));
  MOTE_TRY(k->mlp_backward(stream, rows, NULL, &b->self_out, arena, attended, none, d_selfed, d_attended,
                           unwanted, &v->scratch));
  MOTE_TRY(d->attention->attend_backward(stream, rows, NULL, l->heads, query, x->context, d_rows, d_query,
                                         v->context.data, &v->scratch));
  MOTE_TRY(d->attention->summarize_backward(stream, rows, NULL, l->heads, key, value, f->weight,
                                            v->context.data, d_key, d_value));
  return k->mlp_backward(stream, rows, NULL, &b->query_key_value, arena, next, none, d_all, d_x, unwanted,
                         &v->scratch);
}

/* v->x[0] by `crossed` to v->x[0] by x. */
static mote_status cross(mote_stream *stream, const mote_latent *l, const mote_latent_block *b,
                         const mote_arena *arena, const mote_latent_frame *f,
                         const mote_latent_block_values *x, mote_latent_reverse *v, float *d_context) {
  const mote_device *d = stream->device;
  int64_t rows = f->rows;
  int w = l->width;
  mote_rows none = {0}, in = {x->x, w, w}, query = {x->query, w, w}, crossing = {x->crossing, w, w};
  MOTE_TRY(clear(stream, &v->attended, rows * w));
  MOTE_TRY(clear(stream, &v->projected, rows * w));
  mote_rows d_crossed = {v->x[0].data, w, w}, d_crossing = {v->attended.data, w, w},
            d_query = {v->projected.data, w, w};
  mote_sink to_crossing = {v->attended.data, w}, to_query = {v->projected.data, w}, to_x = {v->x[0].data, w},
            unwanted = {0};
  MOTE_TRY(d->dense->mlp_backward(stream, rows, NULL, &b->cross_out, arena, crossing, none, d_crossed,
                                  to_crossing, unwanted, &v->scratch));
  MOTE_TRY(d->attention->attend_backward(stream, rows, NULL, l->heads, query, b->context.data, d_crossing,
                                         to_query, d_context, &v->scratch));
  return d->dense->mlp_backward(stream, rows, NULL, &b->cross_query, arena, in, none, d_query, to_x, unwanted,
                                &v->scratch);
}

/* v->x[0] by the block's result to v->x[0] by its x; the gate's part goes to v->value. */
static mote_status block(mote_stream *stream, const mote_latent *l, int at, const mote_arena *arena,
                         const mote_latent_frame *f, mote_latent_reverse *v, float *d_shared) {
  const struct mote_dense_kernels *k = stream->device->dense;
  const mote_latent_block *b = &l->block[at];
  const mote_latent_block_values *x = &f->values.block[at];
  int w = l->width, trunk = l->config.kernel_in.widths[l->config.kernel_in.layers];
  mote_rows none = {0}, crossed = {b->crosses ? x->crossed : x->x, w, w},
            seen = {f->values.value, l->config.space_width, trunk};
  mote_rows gates = {x->logits, b->experts, MOTE_MOST_GATED};
  MOTE_TRY(clear(stream, &v->logits, f->rows * MOTE_MOST_GATED));
  MOTE_TRY(self_half(stream, l, b, arena, f, x, v));
  MOTE_TRY(copy(stream, &v->x[0], &v->x[1], f->rows * w));
  mote_rows d_next = {v->x[1].data, w, w}, d_gates = {v->logits.data, b->experts, MOTE_MOST_GATED};
  mote_sink d_crossed = {v->x[0].data, w}, d_logits = {v->logits.data, MOTE_MOST_GATED},
            d_value = {v->value.data, trunk}, unwanted = {0};
  MOTE_TRY(k->gated_backward(stream, f->rows, NULL, b->experts, b->first, arena, crossed, gates,
                             b->first_norm, d_next, d_crossed, d_logits, &v->scratch));
  if (b->crosses)
    MOTE_TRY(cross(stream, l, b, arena, f, x, v,
                   d_shared + factor_floats(l) + (int64_t)at * mote_context_floats(l->heads)));
  return k->mlp_backward(stream, f->rows, NULL, &b->gate, arena, seen, none, d_gates, d_value, unwanted,
                         &v->scratch);
}

static mote_status transform(mote_stream *stream, const mote_latent *l, const mote_arena *arena,
                             const mote_latent_frame *f, mote_latent_reverse *v, float *d_shared) {
  const struct mote_dense_kernels *k = stream->device->dense;
  int w = l->width, output = l->config.output, trunk = l->config.kernel_in.widths[l->config.kernel_in.layers];
  int last = l->config.blocks - 1;
  MOTE_TRY(clear(stream, &v->x[0], f->rows * w));
  MOTE_TRY(clear(stream, &v->value, f->rows * trunk));
  mote_rows none = {0}, out = {f->values.block[last].out, w, w}, value = {f->values.value, trunk, trunk};
  mote_rows d_answer = {v->answer.data, output, output}, d_x = {v->x[0].data, w, w};
  mote_sink to_x = {v->x[0].data, w}, to_value = {v->value.data, trunk}, unwanted = {0};
  MOTE_TRY(k->mlp_backward(stream, f->rows, NULL, &l->out, arena, out, none, d_answer, to_x, unwanted,
                           &v->scratch));
  for (int b = last; b >= 0; b--) MOTE_TRY(block(stream, l, b, arena, f, v, d_shared));
  return k->mlp_backward(stream, f->rows, NULL, &l->trunk, arena, value, none, d_x, to_value, unwanted,
                         &v->scratch);
}

/* ---- the way in, reversed: v->value to the particles ---- */

static mote_status pairs_in(mote_stream *stream, const mote_latent *l, const mote_arena *arena,
                            const mote_latent_frame *f, const mote_sent *sent, mote_latent_reverse *v,
                            const float *h, float *d_h, float *d_position) {
  const mote_device *d = stream->device;
  int trunk = l->config.kernel_in.widths[l->config.kernel_in.layers], hidden = l->config.kernel_in.widths[1];
  int pair = l->dim + 1;
  float per_radius = 1 / l->config.radius;
  mote_rows zero = {l->zeros.data, hidden, 0}, ends = {f->values.kernel, hidden, hidden}, none = {0},
            nodes = {h, l->node_width, l->node_width}, d_value = {v->value.data, trunk, trunk};
  MOTE_TRY(mote_buffer_reserve(&v->points, stream->device, (size_t)(l->points * trunk) * sizeof(float)));
  MOTE_TRY(d->integral->pick(stream, l->points, NULL, f->row_of, d_value, v->points.data, trunk));
  MOTE_TRY(clear(stream, &v->kernel, f->particles * hidden));
  if (d_position) MOTE_TRY(clear(stream, &v->pairs, f->reached.capacity * pair));
  float *d_pairs = d_position ? v->pairs.data : NULL;
  mote_rows d_sum = {v->points.data, trunk, trunk}, d_ends = {v->kernel.data, hidden, hidden};
  mote_sink to_ends = {v->kernel.data, hidden}, to_h = {d_h, l->node_width}, unwanted = {0};
  const mote_message_block pairs = mote_message_keeping(&l->pairs_in, f->values.kept_in);
  MOTE_TRY(d->message->pass_backward(stream, &f->reached, sent, &pairs, arena, f->pair_in, zero, ends, NULL,
                                     none, d_sum, d_pairs, unwanted, to_ends, unwanted, NULL, &v->scratch));
  if (d_position)
    MOTE_TRY(d->feature->edges_backward(stream, l->dim, &f->reached, sent, f->position, l->grid.data,
                                        per_radius, per_radius, d_pairs, NULL, d_position, NULL));
  return d->dense->mlp_backward(stream, f->particles, NULL, &l->pair_ends, arena, nodes, none, d_ends, to_h,
                                unwanted, &v->scratch);
}

static mote_status way_in(mote_stream *stream, const mote_latent *l, const mote_arena *arena,
                          const mote_latent_frame *f, const mote_sent *sent, mote_latent_reverse *v,
                          const float *h, float *d_h, float *d_position) {
  const mote_device *d = stream->device;
  int trunk = l->config.kernel_in.widths[l->config.kernel_in.layers];
  int64_t n = f->particles;
  if (l->config.kernel_in_takes_pairs) return pairs_in(stream, l, arena, f, sent, v, h, d_h, d_position);
  MOTE_TRY(clear(stream, &v->kernel, n * trunk));
  mote_rows kernel = {f->values.kernel, trunk, trunk}, none = {0}, x = {f->position, l->dim, l->dim},
            nodes = {h, l->node_width, l->node_width};
  mote_rows d_value = {v->value.data, trunk, trunk}, d_kernel = {v->kernel.data, trunk, trunk};
  mote_sink to_kernel = {v->kernel.data, trunk}, unwanted = {0}, to_x = {d_position, l->dim},
            to_h = {d_h, l->node_width};
  MOTE_TRY(d->integral->average_backward(stream, &f->reached, sent, f->row_of, NULL, n, NULL, kernel, NULL,
                                         NULL, none, d_value, to_kernel, unwanted));
  return d->dense->mlp_backward(stream, n, NULL, &l->kernel_in, arena, x, nodes, d_kernel, to_x, to_h,
                                &v->scratch);
}

mote_status mote_latent_backward(mote_stream *stream, const mote_latent *l, const mote_arena *arena,
                                 const mote_latent_frame *f, const mote_sent *reached,
                                 const mote_sent *reaching, mote_latent_reverse *v, const float *h,
                                 const float *d_out, float *d_h, float *d_shared, float *d_position) {
  const mote_device *d = stream->device;
  int output = l->config.output, width = l->node_width;
  MOTE_TRY(clear(stream, &v->result, f->particles * output));
  mote_rows result = {f->values.result, output, output}, none = {0}, d_rows = {d_out, width, width};
  mote_sink to_result = {v->result.data, output}, unwanted = {0};
  MOTE_TRY(d->optimize->combine(stream, f->particles * width, 1, d_out, 1, d_h));
  MOTE_TRY(d->dense->mlp_backward(stream, f->particles, NULL, &l->projection, arena, result, none, d_rows,
                                  to_result, unwanted, &v->scratch));
  MOTE_TRY(way_back(stream, l, arena, f, reaching, v, d_shared, d_position));
  MOTE_TRY(transform(stream, l, arena, f, v, d_shared));
  return way_in(stream, l, arena, f, reached, v, h, d_h, d_position);
}

/* ---- what depends on the weights alone ---- */

/* d_z: gradient by the whole grid's rows. */
static mote_status context(mote_stream *stream, mote_latent *l, const mote_latent_block *b,
                           const mote_arena *arena, mote_latent_reverse *v, const float *d_context,
                           mote_sink d_z) {
  const mote_device *d = stream->device;
  int64_t points = l->points;
  int w = l->width;
  MOTE_TRY(mote_latent_fill_keys(stream, l, b));
  MOTE_TRY(clear(stream, &v->attended, points * w));
  MOTE_TRY(clear(stream, &v->projected, points * w));
  mote_rows z = {l->whole[0].data, w, w}, key = {l->whole[1].data, w, w}, value = {l->whole[2].data, w, w};
  mote_rows none = {0}, d_keys = {v->attended.data, w, w}, d_values = {v->projected.data, w, w};
  mote_sink to_key = {v->attended.data, w}, to_value = {v->projected.data, w}, unwanted = {0};
  MOTE_TRY(d->attention->summarize_backward(stream, points, NULL, l->heads, key, value, NULL, d_context,
                                            to_key, to_value));
  MOTE_TRY(d->dense->mlp_backward(stream, points, NULL, &b->cross_key, arena, z, none, d_keys, d_z, unwanted,
                                  &v->scratch));
  return d->dense->mlp_backward(stream, points, NULL, &b->cross_value, arena, z, none, d_values, d_z,
                                unwanted, &v->scratch);
}

mote_status mote_latent_prepare_backward(mote_stream *stream, mote_latent *l, const mote_arena *arena,
                                         mote_latent_reverse *v, const float *d_shared) {
  const struct mote_dense_kernels *k = stream->device->dense;
  int w = l->width, output = l->config.output;
  mote_rows points = {l->grid.data, l->dim, l->dim}, none = {0}, d_factor = {d_shared, output, output};
  mote_sink unwanted = {0};
  if (!l->config.kernel_out_takes_pairs)
    MOTE_TRY(k->mlp_backward(stream, l->points, NULL, &l->kernel_out, arena, points, none, d_factor, unwanted,
                             unwanted, &v->scratch));
  if (l->config.occupied_only) return MOTE_OK;
  MOTE_TRY(clear(stream, &v->x[0], l->points * w));
  mote_sink d_z = {v->x[0].data, w};
  for (int b = 0; b < l->config.blocks; b++)
    MOTE_TRY(context(stream, l, &l->block[b], arena, v,
                     d_shared + factor_floats(l) + (int64_t)b * mote_context_floats(l->heads), d_z));
  mote_rows d_rows = {v->x[0].data, w, w};
  return k->mlp_backward(stream, l->points, NULL, &l->branch, arena, points, none, d_rows, unwanted, unwanted,
                         &v->scratch);
}
