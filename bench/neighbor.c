/* mote-bench neighbor: the radius graph of uniform points with about 30 neighbours each. */
#include <math.h>
#include <stdlib.h>

#include <mote/graph.h>
#include <mote/random.h>

#include "bench/bench.h"
#include "host/core/error.h"

#define NEIGHBOURS 30.0

typedef struct cloud {
  mote_graph *graph;
  float *position;
  int64_t n;
} cloud;

static mote_status build(void *context, mote_stream *stream) {
  (void)stream;
  cloud *c = context;
  return mote_graph_build(c->graph, c->position, c->n);
}

static mote_status time_graph(bench_context *bench, int64_t n) {
  cloud c = {.n = n, .position = malloc((size_t)n * 12)};
  if (!c.position) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld points", (long long)n);
  for (int64_t i = 0; i < n; i++)
    for (int d = 0; d < 3; d++) c.position[3 * i + d] = mote_random_uniform(5, 1, (uint64_t)i, d);
  /* n r^3 4 pi / 3 = neighbours */
  mote_graph_options options = {.dim = 3,
                                .radius = (float)cbrt(NEIGHBOURS * 3 / (4 * 3.14159265358979 * (double)n))};
  bench_result r = {.name = "neighbor/radius graph", .n = n, .unit = "edges/s"};
  size_t before = mote_device_memory_use(bench->device).bytes_now;
  mote_status status = mote_graph_create(bench->device, &options, &c.graph);
  if (status == MOTE_OK) status = bench_time(bench, build, &c, 7, &r);
  if (status == MOTE_OK) {
    double edges = (double)mote_graph_edge_count(c.graph);
    r.rate = edges / r.seconds;
    r.bytes =
        12.0 * (double)n + 4.0 * ((double)n + 1) + 4.0 * edges; /* points read, rows and senders written */
    r.memory = mote_device_memory_use(bench->device).bytes_now - before;
    bench_add(bench, &r);
  }
  mote_graph_destroy(c.graph);
  free(c.position);
  return status;
}

mote_status bench_neighbor(bench_context *bench) {
  if (bench->size) return time_graph(bench, bench->size);
  MOTE_TRY(time_graph(bench, 100000));
  return bench->quick ? MOTE_OK : time_graph(bench, 1000000);
}
