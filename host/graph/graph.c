/* Radius graphs: count, scan, fill. The trick: the first build, which may wait for the device, plans the room
   for edges with a quarter to spare; builds inside a step then run without a word from the host, and the
   device itself notes when the room is not enough. */
#include "host/graph/graph.h"

#include <stdlib.h>

#include "kernels/array/array.h"
#include "kernels/neighbor/neighbor.h"

struct mote_graph {
  mote_device *device;
  mote_stream *stream; /* of the calls that take host memory */
  mote_graph_options options;
  mote_cells cells;
  mote_cell_order queries;
  mote_buffer points_copy, queries_copy; /* uploads */
  mote_buffer counts, row_offsets, senders, receivers, scratch;
  int64_t point_count, query_count, capacity, edges;
};

static mote_status check_options(const mote_graph_options *o) {
  if (o->dim != 2 && o->dim != 3)
    return mote_fail(MOTE_ERROR_ARGUMENT, "graph: dim is %d, expected 2 or 3", o->dim);
  if (!(o->radius >= 1e-18f && o->radius <= 1e18f))
    return mote_fail(MOTE_ERROR_ARGUMENT, "graph: radius is %g, expected 1e-18 to 1e18", o->radius);
  return MOTE_OK;
}

mote_status mote_graph_create(mote_device *device, const mote_graph_options *options, mote_graph **out) {
  *out = NULL;
  MOTE_TRY(check_options(options));
  mote_graph *graph = calloc(1, sizeof *graph);
  if (!graph) return mote_fail(MOTE_ERROR_MEMORY, "graph: out of memory");
  graph->device = device;
  graph->options = *options;
  mote_status status = mote_stream_create(device, &graph->stream);
  if (status != MOTE_OK) {
    free(graph);
    return status;
  }
  *out = graph;
  return MOTE_OK;
}

void mote_graph_destroy(mote_graph *graph) {
  if (!graph) return;
  mote_cells_free(&graph->cells);
  mote_cell_order_free(&graph->queries);
  mote_buffer *buffers[] = {&graph->points_copy, &graph->queries_copy, &graph->counts, &graph->row_offsets,
                            &graph->senders,     &graph->receivers,    &graph->scratch};
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) mote_buffer_free(buffers[i]);
  mote_stream_destroy(graph->stream);
  free(graph);
}

mote_status mote_graph_set_radius(mote_graph *graph, float radius) {
  mote_graph_options options = graph->options;
  options.radius = radius;
  MOTE_TRY(check_options(&options));
  graph->options.radius = radius;
  return MOTE_OK;
}

static mote_status check_counts(int64_t n, int64_t m) {
  if (n < 0 || m < 0 || n > INT32_MAX - 64 || m > INT32_MAX - 64)
    return mote_fail(MOTE_ERROR_ARGUMENT, "graph: %lld points and %lld queries, expected 0 to %d of each",
                     (long long)n, (long long)m, INT32_MAX - 64);
  return MOTE_OK;
}

static mote_status reserve_edges(mote_graph *graph, int64_t capacity) {
  if (capacity > INT32_MAX) capacity = INT32_MAX;
  graph->capacity = 0;
  MOTE_TRY(mote_buffer_reserve(&graph->senders, graph->device, (size_t)capacity * sizeof(int32_t)));
  if (graph->options.receivers)
    MOTE_TRY(mote_buffer_reserve(&graph->receivers, graph->device, (size_t)capacity * sizeof(int32_t)));
  graph->capacity = capacity;
  return MOTE_OK;
}

static mote_status reserve_rows(mote_graph *graph, int64_t n, int64_t m, int separate) {
  MOTE_TRY(check_counts(n, m));
  graph->point_count = n;
  graph->query_count = m;
  graph->edges = 0;
  MOTE_TRY(mote_cells_reserve(&graph->cells, graph->device, n, graph->options.dim, graph->options.radius));
  if (separate) MOTE_TRY(mote_cell_order_reserve(&graph->queries, graph->device, m));
  MOTE_TRY(mote_buffer_reserve(&graph->counts, graph->device, (size_t)(m + 1) * sizeof(int32_t)));
  return mote_buffer_reserve(&graph->row_offsets, graph->device, (size_t)(m + 1) * sizeof(int32_t));
}

static int flags_of(const mote_graph *graph, int separate) {
  return (graph->options.inclusive ? MOTE_NEIGHBOR_INCLUSIVE : 0) |
         (!separate && !graph->options.self_loops ? MOTE_NEIGHBOR_EXCLUDE_SELF : 0);
}

static const mote_cell_order *queries_of(const mote_graph *graph, int separate) {
  return separate ? &graph->queries : &graph->cells.points;
}

/* Sort, count and scan. */
static mote_status count_rows(mote_graph *graph, mote_stream *stream, const float *points,
                              const float *queries) {
  const struct mote_neighbor_kernels *neighbor = graph->device->neighbor;
  int separate = queries != NULL;
  if (points) MOTE_TRY(neighbor->build(stream, &graph->cells, points));
  if (separate) MOTE_TRY(neighbor->sort_queries(stream, &graph->cells, &graph->queries, queries));
  MOTE_TRY(neighbor->count(stream, &graph->cells, queries_of(graph, separate), flags_of(graph, separate),
                           graph->counts.data));
  return graph->device->array->exclusive_scan_i32(stream, graph->counts.data, graph->row_offsets.data,
                                                  graph->query_count, &graph->scratch);
}

static mote_status fill_rows(mote_graph *graph, mote_stream *stream, int separate) {
  return graph->device->neighbor->fill(
      stream, &graph->cells, queries_of(graph, separate), flags_of(graph, separate), graph->row_offsets.data,
      graph->capacity, graph->senders.data, graph->options.receivers ? graph->receivers.data : NULL);
}

/* No points or no queries: all rows are empty. */
static mote_status empty_rows(mote_graph *graph, mote_stream *stream) {
  mote_cells_state state = {.bad_point = INT32_MAX, .bad_query = INT32_MAX};
  MOTE_TRY(mote_upload(stream, graph->cells.state.data, &state, sizeof state));
  return graph->device->array->fill_i32(stream, graph->row_offsets.data, 0, graph->query_count + 1);
}

static mote_status check_state(const mote_graph *graph, const mote_cells_state *state) {
  const char *what = state->bad_point != INT32_MAX ? "point" : "query";
  int32_t bad = state->bad_point != INT32_MAX ? state->bad_point : state->bad_query;
  if (bad != INT32_MAX)
    return mote_fail(
        MOTE_ERROR_NUMERIC,
        "graph: %s %d of %lld has a coordinate that is not finite (NaN or infinite); look for where "
        "the positions diverged",
        what, bad, (long long)(*what == 'p' ? graph->point_count : graph->query_count));
  if (state->edges > INT32_MAX)
    return mote_fail(
        MOTE_ERROR_ARGUMENT,
        "graph: %llu edges within radius %g of %lld points, at most 2147483647 are possible; take a "
        "smaller radius",
        (unsigned long long)state->edges, graph->options.radius, (long long)graph->point_count);
  return MOTE_OK;
}

mote_status mote_graph_build_on(mote_graph *graph, mote_stream *stream, const float *points, int64_t n,
                                const float *queries, int64_t m) {
  MOTE_TRY(reserve_rows(graph, n, queries ? m : n, queries != NULL));
  if (n == 0 || graph->query_count == 0) return empty_rows(graph, stream);
  MOTE_TRY(count_rows(graph, stream, points, queries));
  mote_cells_state state;
  MOTE_TRY(mote_download(stream, &state, graph->cells.state.data, sizeof state));
  mote_status status = check_state(graph, &state);
  if (status == MOTE_OK && (int64_t)state.edges > graph->capacity)
    status = reserve_edges(graph, (int64_t)(state.edges + state.edges / 4));
  if (status != MOTE_OK) {
    graph->device->array->fill_i32(stream, graph->row_offsets.data, 0, graph->query_count + 1);
    return status;
  }
  graph->edges = (int64_t)state.edges;
  return fill_rows(graph, stream, queries != NULL);
}

mote_status mote_graph_enqueue(mote_graph *graph, mote_stream *stream, const float *points, int64_t n,
                               const float *queries, int64_t m) {
  MOTE_TRY(reserve_rows(graph, n, queries ? m : n, queries != NULL));
  graph->edges = -1; /* known on the device alone */
  if (n == 0 || graph->query_count == 0) return empty_rows(graph, stream);
  MOTE_TRY(count_rows(graph, stream, points, queries));
  return fill_rows(graph, stream, queries != NULL);
}

mote_status mote_graph_check(mote_graph *graph, mote_stream *stream) {
  mote_cells_state state;
  if (!graph->cells.state.data) return MOTE_OK;
  MOTE_TRY(mote_download(stream, &state, graph->cells.state.data, sizeof state));
  graph->edges = 0;
  MOTE_TRY(check_state(graph, &state));
  if (state.overflow)
    return mote_fail(
        MOTE_ERROR_MEMORY,
        "graph: %llu edges but room for %lld was planned; build the graph outside the step to plan anew",
        (unsigned long long)state.edges, (long long)graph->capacity);
  graph->edges = (int64_t)state.edges;
  return MOTE_OK;
}

mote_graph_arrays mote_graph_arrays_of(const mote_graph *graph) {
  return (mote_graph_arrays){.receiver_count = graph->query_count,
                             .edge_capacity = graph->capacity,
                             .row_offsets = graph->row_offsets.data,
                             .senders = graph->senders.data,
                             .receivers = graph->options.receivers ? graph->receivers.data : NULL};
}

void mote_graph_take_many(mote_graph *graph, int many) {
  graph->cells.takes_many = many;
}

const int32_t *mote_graph_overflow(const mote_graph *graph) {
  mote_cells_state *state = graph->cells.state.data;
  return &state->overflow;
}

/* ---- Host memory ---- */

static mote_status upload(mote_graph *graph, mote_buffer *copy, const float *positions, int64_t n) {
  size_t bytes = (size_t)n * (size_t)graph->options.dim * sizeof(float);
  MOTE_TRY(mote_buffer_reserve(copy, graph->device, bytes ? bytes : 1));
  return mote_upload(graph->stream, copy->data, positions, bytes);
}

mote_status mote_graph_build(mote_graph *graph, const float *positions, int64_t n) {
  MOTE_TRY(check_counts(n, n));
  MOTE_TRY(upload(graph, &graph->points_copy, positions, n));
  return mote_graph_build_on(graph, graph->stream, graph->points_copy.data, n, NULL, 0);
}

mote_status mote_graph_search(mote_graph *graph, const float *points, int64_t n, const float *queries,
                              int64_t m) {
  MOTE_TRY(check_counts(n, m));
  MOTE_TRY(upload(graph, &graph->points_copy, points, n));
  MOTE_TRY(upload(graph, &graph->queries_copy, queries, m));
  return mote_graph_build_on(graph, graph->stream, graph->points_copy.data, n, graph->queries_copy.data, m);
}

int64_t mote_graph_receiver_count(const mote_graph *graph) {
  return graph->query_count;
}
int64_t mote_graph_edge_count(const mote_graph *graph) {
  return graph->edges;
}

mote_status mote_graph_download(mote_graph *graph, int32_t *row_offsets, int32_t *senders,
                                int32_t *receivers) {
  if (receivers && !graph->options.receivers)
    return mote_fail(MOTE_ERROR_ARGUMENT, "graph: receivers were not asked for in its options");
  mote_stream *stream = graph->stream;
  if (graph->edges < 0) MOTE_TRY(mote_graph_check(graph, stream));
  size_t bytes = (size_t)graph->edges * sizeof(int32_t);
  if (row_offsets && graph->row_offsets.data)
    MOTE_TRY(mote_download(stream, row_offsets, graph->row_offsets.data,
                           (size_t)(graph->query_count + 1) * sizeof(int32_t)));
  else if (row_offsets)
    row_offsets[0] = 0;
  if (senders) MOTE_TRY(mote_download(stream, senders, graph->senders.data, bytes));
  if (receivers) MOTE_TRY(mote_download(stream, receivers, graph->receivers.data, bytes));
  return MOTE_OK;
}
