/* The reverse of message passing on the CPU. Tiles of edges go forward once more and back (dense/reverse.h);
   each leaves its row of the gradient by the first layer's sums, which is what both ends' parts are given.

   The trick: receivers and senders then gather these rows in the order of their edges, by lists of edges that
   are made once a graph, so that nothing is scattered and no bit depends on the threads. */
#include "kernels/message/message_backward.h"

#include "kernels/dense/reverse.h"

/* ---- Edges by sender ---- */

mote_status mote_cpu_group(mote_stream *stream, const mote_edges *edges, int64_t senders,
                           int32_t *row_offsets, int32_t *edge, mote_buffer *scratch) {
  MOTE_TRY(mote_buffer_reserve(scratch, stream->device, (size_t)senders * sizeof(int32_t)));
  const int32_t count = edges->row_offsets[edges->receivers];
  int32_t *next = scratch->data;
  memset(row_offsets, 0, (size_t)(senders + 1) * sizeof(int32_t));
  for (int32_t e = 0; e < count; e++) row_offsets[edges->senders[e] + 1]++;
  for (int64_t s = 0; s < senders; s++) {
    next[s] = row_offsets[s];
    row_offsets[s + 1] += row_offsets[s];
  }
  for (int32_t e = 0; e < count; e++) edge[next[edges->senders[e]]++] = e;
  return MOTE_OK;
}

/* ---- Tiles of edges ---- */

typedef struct pass_job {
  mote_reverse chain;
  const mote_edges *edges;
  const mote_message_block *block;
  const float *state, *length;
  mote_rows receiver_part, sender_part, sender_factor, d_sum;
  float *d_state, *d_length;
  float *d_first;  /* (edges, hidden): gradients by the first layer's sums; NULL: not wanted */
  float *d_factor; /* (edges, width): by the senders' factors; NULL: not wanted */
  int state_width, hidden, width;
} pass_job;

static const float *row_at(mote_rows rows, int32_t index) {
  return rows.data ? rows.data + (int64_t)index * rows.stride : NULL;
}

/* Both ends' parts, added, as in the forward pass; zeros behind them. */
static void gather(const pass_job *j, int64_t first, int used, float *to) {
  const int stride = mote_tile_stride(j->hidden);
  for (int r = 0; r < used; r++, to += stride) {
    const float *a = row_at(j->receiver_part, j->edges->receiver[first + r]);
    const float *b = row_at(j->sender_part, j->edges->senders[first + r]);
    for (int c = 0; c < j->hidden; c++) to[c] = a[c] + b[c];
    for (int c = j->hidden; c < stride; c++) to[c] = 0;
  }
}

/* The gradient by an edge's message, d, from its receiver's sum and from its own state after the pass; m: the
   message, where the factor's or the length's gradient is wanted. */
static void message_gradient(const pass_job *j, int64_t e, const float *m, float *d) {
  const int32_t i = j->edges->receiver[e], *offsets = j->edges->row_offsets;
  const float *d_sum = row_at(j->d_sum, i), *factor = row_at(j->sender_factor, j->edges->senders[e]);
  const float *d_state = j->block->update && j->d_state ? j->d_state + e * j->state_width : NULL;
  const float weight = j->length ? 1 / (1 + j->length[e]) : 1;
  const float mean = j->block->mean ? 1 / (float)(offsets[i + 1] - offsets[i]) : 1, scale = mean * weight;
  const int width = j->width;
  for (int c = 0; c < width; c++) d[c] = scale * d_sum[c];
  if (j->d_factor)
    for (int c = 0; c < width; c++) j->d_factor[e * width + c] = d[c] * m[c];
  if (factor)
    for (int c = 0; c < width; c++) d[c] *= factor[c];
  if (j->d_length) { /* of w = 1 / (1 + length), dw = -w^2 */
    mote_v lanes = mote_v_set(0);
    const int whole = width / MOTE_LANES * MOTE_LANES;
    float rest = 0;
    for (int c = 0; c < whole; c += MOTE_LANES) lanes += mote_v_load(d + c) * mote_v_load(m + c);
    for (int c = whole; c < width; c++) rest += d[c] * m[c];
    j->d_length[e] -= weight * (mote_v_sum(lanes) + rest);
  }
  if (d_state)
    for (int c = 0; c < width; c++) d[c] += d_state[c];
}

static void edge_tile(const void *context, int64_t first, int used, float *memory, const mote_gradients *g) {
  const pass_job *j = context;
  const mote_reverse *v = &j->chain;
  const int wanted = j->d_factor || j->d_length, stride = mote_tile_stride(j->width);
  float *message = memory, *d = memory + v->gradient[0]; /* messages stand in front of the chain's values */
  mote_rows state = {j->state, j->state_width, j->state_width};
  const float *input = mote_reverse_input(v, state, first, used);
  if (!input) mote_tile_fill(state, first, used, 0, memory + v->raw, mote_tile_stride(j->state_width));
  if (!v->rows) gather(j, first, used, mote_reverse_start(v, memory));
  mote_reverse_forward(v, used, memory, input, 1, wanted);
  if (wanted) {
    memcpy(message, mote_reverse_output(v, memory, first, v->mlp->layers - 1),
           (size_t)(used * stride) * sizeof(float));
    mote_tile_norm(v->mlp->behind, j->width, used, message, stride);
  }
  memset(d, 0, (size_t)(mote_tile_blocks(used) * stride) * sizeof(float));
  for (int r = 0; r < used; r++) message_gradient(j, first + r, message + r * stride, d + r * stride);
  mote_reversed back = mote_reverse_back(v, first, used, memory, input, g, j->d_state != NULL);
  mote_sink d_state = {j->d_state, j->state_width};
  if (back.input)
    mote_reverse_add(d_state, j->state_width, first, used, back.input, mote_tile_stride(j->state_width));
  for (int r = 0; r < used && j->d_first; r++)
    memcpy(j->d_first + (first + r) * j->hidden, back.first + r * mote_tile_stride(j->hidden),
           (size_t)j->hidden * sizeof(float));
}

/* ---- Sums at both ends ---- */

/* Rows of edges to the rows of the sink that they belong to; `edge` NULL: they stand in order. */
static void sum_rows(const mote_stream *stream, int64_t n, const int32_t *offsets, const int32_t *edge,
                     int width, const float *from, mote_sink sink) {
  if (!sink.data || !from) return;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > 64)
  for (int64_t i = 0; i < n; i++) {
    float *to = sink.data + i * sink.stride;
    for (int32_t k = offsets[i]; k < offsets[i + 1]; k++) {
      const float *row = from + (int64_t)(edge ? edge[k] : k) * width;
      for (int c = 0; c < width; c++) to[c] += row[c];
    }
  }
}

static int64_t whole_panels(int64_t floats) {
  return (floats + MOTE_PANEL - 1) / MOTE_PANEL * MOTE_PANEL;
}

mote_status mote_cpu_pass_backward(mote_stream *stream, const mote_edges *edges, const mote_sent *sent,
                                   const mote_message_block *block, const mote_arena *arena,
                                   const float *state, mote_rows receiver_part, mote_rows sender_part,
                                   const float *length, mote_rows sender_factor, mote_rows d_sum,
                                   float *d_state, mote_sink d_receiver_part, mote_sink d_sender_part,
                                   mote_sink d_sender_factor, float *d_length, mote_buffer *scratch) {
  const mote_mlp *mlp = &block->mlp;
  const int hidden = mlp->layer[0].out, width = mlp->layer[mlp->layers - 1].out;
  pass_job job = {.edges = edges,
                  .block = block,
                  .state = state,
                  .length = length,
                  .receiver_part = receiver_part,
                  .sender_part = sender_part,
                  .sender_factor = sender_factor,
                  .d_sum = d_sum,
                  .d_state = d_state,
                  .d_length = length ? d_length : NULL,
                  .state_width = mlp->layer[0].in,
                  .hidden = hidden,
                  .width = width};
  job.chain =
      mote_reverse_plan(mlp, arena, edges->capacity, (int64_t)MOTE_REVERSE_ROWS * mote_tile_stride(width));
  mote_reverse_job work = {.arena = arena,
                           .chains = 1,
                           .chain = {mlp},
                           .without_bias = 1,
                           .tile_floats = job.chain.floats,
                           .tile = edge_tile,
                           .context = &job};
  int64_t first = d_receiver_part.data || d_sender_part.data ? whole_panels(edges->capacity * hidden) : 0;
  int64_t factor = d_sender_factor.data ? whole_panels(edges->capacity * width) : 0;
  int64_t floats = first + factor + mote_reverse_memory(stream, &work, edges->capacity);
  MOTE_TRY(mote_buffer_reserve(scratch, stream->device, (size_t)floats * sizeof(float)));
  float *memory = scratch->data;
  job.d_first = first ? memory : NULL;
  job.d_factor = factor ? memory + first : NULL;
  mote_reverse_run(stream, &work, edges->row_offsets[edges->receivers], memory + first + factor);
  sum_rows(stream, edges->receivers, edges->row_offsets, NULL, hidden, job.d_first, d_receiver_part);
  if (!sent) return MOTE_OK;
  sum_rows(stream, sent->senders, sent->row_offsets, sent->edge, hidden, job.d_first, d_sender_part);
  sum_rows(stream, sent->senders, sent->row_offsets, sent->edge, width, job.d_factor, d_sender_factor);
  return MOTE_OK;
}
