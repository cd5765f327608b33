/* Features and the step in time on the CPU. */
#include <string.h>

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

static mote_status rest_lengths(mote_stream *stream, int dim, const mote_edges *graph, const float *rest,
                                float per_length, float *out) {
  int64_t count = graph->row_offsets[graph->receivers];
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (count > 4096)
  for (int64_t e = 0; e < count; e++)
    out[e] = mote_rest_length_of(dim, e, graph->senders, graph->receiver, rest, per_length);
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

/* ---- Reversed ---- */

/* The chunk's gradients by the embeddings. */
static void chunk_of_embeddings(int64_t n, int64_t chunk, const mote_node_features *f, const int32_t *type,
                                mote_rows d_out, float *sum) {
  const int width = f->type_width;
  int64_t begin = chunk * MOTE_GRADIENT_ROWS, end = begin + MOTE_GRADIENT_ROWS;
  memset(sum, 0, (size_t)(f->types * width) * sizeof(float));
  for (int64_t i = begin; i < (end < n ? end : n); i++) {
    const float *row = d_out.data + i * d_out.stride + f->at_type;
    float *to = sum + (int64_t)type[i] * width;
    for (int c = 0; c < width; c++) to[c] += row[c];
  }
}

static mote_status embeddings_backward(mote_stream *stream, int64_t n, const mote_node_features *f,
                                       const int32_t *type, mote_rows d_out, float *d_embedding,
                                       mote_buffer *scratch) {
  const int64_t chunks = (n + MOTE_GRADIENT_ROWS - 1) / MOTE_GRADIENT_ROWS, floats = f->types * f->type_width;
  MOTE_TRY(mote_buffer_reserve(scratch, stream->device, (size_t)(chunks * floats) * sizeof(float)));
  float *sums = scratch->data;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (chunks > 1)
  for (int64_t k = 0; k < chunks; k++) chunk_of_embeddings(n, k, f, type, d_out, sums + k * floats);
  for (int64_t k = 0; k < chunks; k++)
    for (int64_t c = 0; c < floats; c++) d_embedding[c] += sums[k * floats + c];
  return MOTE_OK;
}

static mote_status nodes_backward(mote_stream *stream, int64_t n, const mote_node_features *features,
                                  const float *history, const int32_t *type, mote_rows d_out,
                                  float *d_embedding, float *d_history, mote_buffer *scratch) {
  const mote_node_features f = *features;
  if (n > 0 && d_embedding && f.type_width)
    MOTE_TRY(embeddings_backward(stream, n, &f, type, d_out, d_embedding, scratch));
  if (!d_history) return MOTE_OK;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > 2048)
  for (int64_t i = 0; i < n; i++)
    for (int a = 0; a < f.dim; a++)
      mote_node_history_reversed(n, i, a, &f, history, d_out.data + i * d_out.stride, d_history);
  return MOTE_OK;
}

typedef struct edges_job {
  const int32_t *receiver;
  const float *points, *queries, *d_out, *d_length;
  float per_radius, per_length;
} edges_job;

static inline void receiver_backward(const edges_job *j, int dim, int64_t i, const mote_edges *graph,
                                     float *d_queries) {
  float sum[3] = {0};
  for (int32_t e = graph->row_offsets[i]; e < graph->row_offsets[i + 1]; e++)
    mote_edge_reversed(dim, e, -1, j->points + (int64_t)graph->senders[e] * dim, j->queries + i * dim,
                       j->per_radius, j->per_length, j->d_out, j->d_length, sum);
  for (int a = 0; a < dim; a++) d_queries[i * dim + a] += sum[a];
}

static inline void sender_backward(const edges_job *j, int dim, int64_t i, const mote_sent *sent,
                                   float *d_points) {
  float sum[3] = {0};
  for (int32_t k = sent->row_offsets[i]; k < sent->row_offsets[i + 1]; k++) {
    int32_t e = sent->edge[k];
    mote_edge_reversed(dim, e, 1, j->points + i * dim, j->queries + (int64_t)j->receiver[e] * dim,
                       j->per_radius, j->per_length, j->d_out, j->d_length, sum);
  }
  for (int a = 0; a < dim; a++) d_points[i * dim + a] += sum[a];
}

static mote_status edges_backward(mote_stream *stream, int dim, const mote_edges *graph,
                                  const mote_sent *sent, const float *points, const float *queries,
                                  float per_radius, float per_length, const float *d_out,
                                  const float *d_length, float *d_points, float *d_queries) {
  const edges_job j = {graph->receiver, points, queries, d_out, d_length, per_radius, per_length};
  const int64_t receivers = d_queries ? graph->receivers : 0, senders = d_points ? sent->senders : 0;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (receivers > 256)
  for (int64_t i = 0; i < receivers; i++) receiver_backward(&j, dim, i, graph, d_queries);
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (senders > 256)
  for (int64_t i = 0; i < senders; i++) sender_backward(&j, dim, i, sent, d_points);
  return MOTE_OK;
}

static mote_status advance_backward(mote_stream *stream, int64_t n, const mote_integration *integration,
                                    const int32_t *type, int prescribed, float *d_history,
                                    float *d_acceleration) {
  const mote_integration g = *integration;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > 2048)
  for (int64_t i = 0; i < n; i++)
    for (int a = 0; a < g.dim; a++)
      mote_advance_reversed(n, i, a, &g, prescribed && type[i] == MOTE_KINEMATIC, d_history, d_acceleration);
  return MOTE_OK;
}

const struct mote_feature_kernels mote_feature_cpu = {.nodes = nodes,
                                                      .edges = edges,
                                                      .rest_lengths = rest_lengths,
                                                      .advance = advance,
                                                      .nodes_backward = nodes_backward,
                                                      .edges_backward = edges_backward,
                                                      .advance_backward = advance_backward};
