/* Message passing on the CPU: a thread takes ranges of receivers and goes through their edges in tiles. A
   receiver's sum runs in the order of its edges, whatever the tiles and the threads. */
#include "kernels/dense/tile.h"
#include "kernels/message/message_backward.h"

#define RANGE_EDGES 768 /* edges a thread takes at a time, about */

typedef struct pass_job {
  const mote_edges *edges;
  const mote_message_block *block;
  const float *state;
  float *updated;
  mote_rows receiver_part, sender_part, sender_factor;
  const float *length;
  float *sum;
  int sum_stride, state_width, width;
} pass_job;

/* The tile's states, where they stand if they are rows of a tile and whole blocks of them, else in buffer 0.
 */
static const float *states(const pass_job *j, int64_t first, int used, int rows, mote_tile *tile) {
  int in = mote_tile_stride(j->state_width);
  mote_rows state = {j->state, j->state_width, j->state_width};
  if (in == j->state_width && used == rows) return j->state + first * in;
  mote_tile_fill(state, first, used, 0, tile->buffer[0], in);
  memset(tile->buffer[0] + used * in, 0, (size_t)((rows - used) * in) * sizeof(float));
  return tile->buffer[0];
}

/* Both ends' parts, added, to buffer 1. */
static void gather(const pass_job *j, int64_t first, int used, int rows, mote_tile *tile) {
  int hidden = j->block->mlp.layer[0].out, stride = mote_tile_stride(hidden);
  for (int r = 0; r < used; r++) {
    const float *a = j->receiver_part.data + (int64_t)j->edges->receiver[first + r] * j->receiver_part.stride;
    const float *b = j->sender_part.data + (int64_t)j->edges->senders[first + r] * j->sender_part.stride;
    float *to = tile->buffer[1] + r * stride;
    for (int c = 0; c < hidden; c++) to[c] = a[c] + b[c];
  }
  memset(tile->buffer[1] + used * stride, 0, (size_t)((rows - used) * stride) * sizeof(float));
}

/* Messages into sums and state; i: the receiver of the tile's first edge. */
static void scatter(const pass_job *j, int64_t first, int used, const float *message, int stride) {
  int width = j->width;
  for (int r = 0; r < used; r++) {
    int64_t e = first + r;
    const float *m = message + r * stride;
    float *sum = j->sum + (int64_t)j->edges->receiver[e] * j->sum_stride;
    float weight = j->length ? 1 / (1 + j->length[e]) : 1;
    if (j->block->update) {
      const float *state = j->state + e * width;
      float *updated = j->updated + e * width;
      for (int c = 0; c < width; c++) updated[c] = state[c] + m[c];
    }
    if (j->sender_factor.data) {
      const float *factor = j->sender_factor.data + (int64_t)j->edges->senders[e] * j->sender_factor.stride;
      for (int c = 0; c < width; c++) sum[c] += weight * (m[c] * factor[c]);
    } else {
      for (int c = 0; c < width; c++) sum[c] += weight * m[c];
    }
  }
}

static void range(const pass_job *j, int64_t begin, int64_t end, int rows) {
  const mote_mlp *mlp = &j->block->mlp;
  const int32_t *offsets = j->edges->row_offsets;
  mote_tile tile;
  for (int64_t i = begin; i < end; i++)
    memset(j->sum + i * j->sum_stride, 0, (size_t)j->width * sizeof(float));
  for (int64_t first = offsets[begin]; first < offsets[end]; first += rows) {
    int used = offsets[end] - first < rows ? (int)(offsets[end] - first) : rows;
    int whole = mote_tile_blocks(used);
    mote_tile_span span = {j->edges->capacity, first, used};
    gather(j, first, used, whole, &tile);
    mote_tile_linear(&mlp->layer[0], 1, whole, states(j, first, used, whole, &tile),
                     mote_tile_stride(j->state_width), tile.buffer[1], mote_tile_stride(mlp->layer[0].out));
    mote_tile_keep(mlp, span, 0, tile.buffer[1]);
    int at = mote_tile_layers(mlp, 1, span, &tile, 1);
    mote_tile_norm(mlp->behind, j->width, used, tile.buffer[at], mote_tile_stride(j->width));
    scatter(j, first, used, tile.buffer[at], mote_tile_stride(j->width));
  }
  if (j->block->mean)
    for (int64_t i = begin; i < end; i++) {
      float scale = offsets[i + 1] > offsets[i] ? 1 / (float)(offsets[i + 1] - offsets[i]) : 0;
      for (int c = 0; c < j->width; c++) j->sum[i * j->sum_stride + c] *= scale;
    }
}

/* The first receiver whose edges begin at `edge` or behind. */
static int64_t receiver_at(const mote_edges *edges, int64_t edge) {
  int64_t low = 0, high = edges->receivers;
  while (low < high) {
    int64_t middle = (low + high) / 2;
    if (edges->row_offsets[middle] < edge)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static mote_status pass(mote_stream *stream, const mote_edges *edges, const mote_message_block *block,
                        const float *state, float *updated, mote_rows receiver_part, mote_rows sender_part,
                        const float *length, mote_rows sender_factor, float *sum, int sum_stride,
                        mote_buffer *scratch) {
  (void)scratch;
  const mote_mlp *mlp = &block->mlp;
  pass_job job = {.edges = edges,
                  .block = block,
                  .state = state,
                  .updated = updated,
                  .receiver_part = receiver_part,
                  .sender_part = sender_part,
                  .sender_factor = sender_factor,
                  .length = length,
                  .sum = sum,
                  .sum_stride = sum_stride,
                  .state_width = mlp->layer[0].in,
                  .width = mlp->layer[mlp->layers - 1].out};
  int rows = mote_tile_rows(mote_mlp_widest(mlp));
  int64_t ranges = edges->row_offsets[edges->receivers] / RANGE_EDGES + 1;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(dynamic, 1) if (ranges > 1)
  for (int64_t k = 0; k < ranges; k++) {
    int64_t begin = k ? receiver_at(edges, k * RANGE_EDGES) : 0;
    int64_t end = k + 1 < ranges ? receiver_at(edges, (k + 1) * RANGE_EDGES) : edges->receivers;
    if (begin < end) range(&job, begin, end, rows);
  }
  return MOTE_OK;
}

const struct mote_message_kernels mote_message_cpu = {
    .pass = pass, .group = mote_cpu_group, .pass_backward = mote_cpu_pass_backward};
