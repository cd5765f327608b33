/* Features and the step in time on the CPU. */
#include "kernels/feature/feature.h"

static mote_status nodes(mote_stream *stream, int64_t n, const mote_node_features *features,
                         const float *history, const int32_t *type, const float *embedding, float *out,
                         int stride) {
  mote_node_features f = *features;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > 2048)
  for (int64_t i = 0; i < n; i++) mote_node_features_of(n, i, &f, history, type, embedding, out + i * stride);
  return MOTE_OK;
}

static mote_status edges(mote_stream *stream, int dim, const mote_edges *graph, const float *points,
                         const float *queries, float per_radius, float per_length, float *out,
                         float *length) {
  int64_t count = graph->row_offsets[graph->receivers];
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (count > 4096)
  for (int64_t e = 0; e < count; e++)
    mote_edge_features_of(dim, e, graph->senders, graph->receiver, points, queries, per_radius, per_length,
                          out, length);
  return MOTE_OK;
}

static mote_status advance(mote_stream *stream, int64_t n, const mote_integration *integration,
                           const mote_step_guard *guard, const float *acceleration, const int32_t *type,
                           const float *prescribed, float *history, float *next, mote_step_state *state) {
  mote_integration g = *integration;
  int32_t bad = INT32_MAX;
  state->blocked = mote_step_blocked(state, guard);
  if (state->blocked) return MOTE_OK;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static)                           \
    reduction(min                                                                                            \
              : bad) if (n > 2048)
  for (int64_t i = 0; i < n; i++)
    if (mote_advance_particle(n, i, &g, acceleration, type, prescribed, history, next) && i < bad)
      bad = (int32_t)i;
  state->step++;
  if (bad != INT32_MAX && state->bad_particle == INT32_MAX) {
    state->bad_particle = bad;
    state->bad_step = state->step;
  }
  return MOTE_OK;
}

const struct mote_feature_kernels mote_feature_cpu = {.nodes = nodes, .edges = edges, .advance = advance};
