/* mote-bench layers: the fused edge block of message passing, and a chain of dense layers, of width 128. */
#include <stdlib.h>

#include <mote/random.h>

#include "bench/bench.h"
#include "host/core/error.h"
#include "host/nn/terms.h"
#include "kernels/message/message.h"

#define WIDTH 128
#define NEIGHBOURS 30

typedef struct job {
  mote_edges edges;
  mote_message_block block;
  float *state, *ends, *length, *sum;
  mote_buffer memory, room, scratch;
  mote_terms terms;
  int64_t nodes, count;
} job;

static mote_status run_edges(void *context, mote_stream *stream) {
  job *j = context;
  mote_rows receiver = {j->ends, WIDTH, 2 * WIDTH}, sender = {j->ends + WIDTH, WIDTH, 2 * WIDTH}, none = {0};
  return stream->device->message->pass(stream, &j->edges, &j->block, j->state, j->state, receiver, sender,
                                       j->length, none, j->sum, WIDTH, &j->scratch);
}

static mote_status run_dense(void *context, mote_stream *stream) {
  job *j = context;
  mote_rows rows = {j->state, WIDTH, WIDTH}, none = {0};
  return stream->device->dense->mlp(stream, j->count, NULL, &j->block.mlp, rows, none, none, j->state, WIDTH);
}

/* One allocation: weights, node and edge arrays, and the graph, whose receivers have 30 senders nearby each.
 */
static mote_status make(bench_context *bench, job *j) {
  int64_t edges = j->count, weights = 3 * mote_linear_floats(WIDTH, WIDTH) + 5 * WIDTH;
  int64_t floats = weights + j->nodes * 3 * WIDTH + edges * (WIDTH + 1),
          words = floats + 2 * edges + j->nodes + 1;
  float *host = malloc((size_t)words * 4);
  if (!host) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for the layers");
  for (int64_t k = 0; k < floats; k++) host[k] = 0.1f * mote_random_uniform(1, 2, (uint64_t)k, 0);
  void *behind = host + floats;
  int32_t *integers = behind;
  for (int64_t i = 0; i <= j->nodes; i++) integers[i] = (int32_t)(i * NEIGHBOURS);
  for (int64_t e = 0; e < edges; e++) {
    int64_t near = e / NEIGHBOURS + (int64_t)mote_random_below(1, 3, (uint64_t)e, 400) - 200;
    integers[j->nodes + 1 + e] = (int32_t)(near < 0 ? 0 : near >= j->nodes ? j->nodes - 1 : near);
    integers[j->nodes + 1 + edges + e] = (int32_t)(e / NEIGHBOURS);
  }
  mote_status status = mote_buffer_reserve(&j->memory, bench->device, (size_t)words * 4);
  if (status == MOTE_OK) status = mote_upload(bench->stream, j->memory.data, host, (size_t)words * 4);
  free(host);
  return status;
}

/* Of the layers' weights, where the device multiplies these. */
static mote_status make_terms(bench_context *bench, job *j) {
  const int64_t weights = 3 * (mote_linear_floats(WIDTH, WIDTH) + WIDTH);
  return mote_terms_keep(bench->stream, weights, j->memory.data, &j->room, &j->terms);
}

static void point(job *j) {
  float *at = j->memory.data;
  const float *first = at;
  mote_mlp *mlp = &j->block.mlp;
  int64_t edges = j->count;
  mlp->layers = 3;
  for (int l = 0; l < 3; l++, at += mote_linear_floats(WIDTH, WIDTH) + WIDTH)
    mlp->layer[l] = (mote_linear){.in = WIDTH,
                                  .out = WIDTH,
                                  .weight = at,
                                  .bias = at + mote_linear_floats(WIDTH, WIDTH),
                                  .activation = l < 2 ? MOTE_RELU : MOTE_IDENTITY,
                                  .terms = mote_terms_at(j->terms, at - first)};
  mlp->behind = (mote_norm){at, at + WIDTH};
  at += 2 * WIDTH;
  j->ends = at;
  j->sum = at + j->nodes * 2 * WIDTH;
  j->state = j->sum + j->nodes * WIDTH;
  j->length = j->state + edges * WIDTH;
  const void *behind = j->length + edges;
  const int32_t *offsets = behind;
  j->edges = (mote_edges){j->nodes, edges, offsets, offsets + j->nodes + 1, offsets + j->nodes + 1 + edges};
}

mote_status bench_layers(bench_context *bench) {
  job j = {.nodes = bench->size    ? bench->size
                    : bench->quick ? 1000
                                   : 10000,
           .block = {.update = 1, .mean = 1}};
  j.count = j.nodes * NEIGHBOURS;
  double operations = 2.0 * 3 * WIDTH * WIDTH * (double)j.count;
  bench_result edge = {
      .name = "layers/edge block", .n = j.count, .unit = "edges/s", .operations = operations};
  bench_result dense = {
      .name = "layers/dense chain", .n = j.count, .unit = "rows/s", .operations = operations};
  mote_status status = make(bench, &j);
  if (status == MOTE_OK) status = make_terms(bench, &j);
  if (status == MOTE_OK) {
    point(&j);
    status = bench_time(bench, run_edges, &j, 7, &edge);
  }
  if (status == MOTE_OK) status = bench_time(bench, run_dense, &j, 7, &dense);
  if (status == MOTE_OK) {
    edge.bytes = dense.bytes = 8.0 * WIDTH * (double)j.count; /* the state, read and written */
    edge.rate = (double)j.count / edge.seconds;
    dense.rate = (double)j.count / dense.seconds;
    edge.memory = dense.memory = j.memory.bytes + j.scratch.bytes;
    bench_add(bench, &edge);
    bench_add(bench, &dense);
  }
  mote_buffer_free(&j.memory);
  mote_buffer_free(&j.room);
  mote_buffer_free(&j.scratch);
  return status;
}
