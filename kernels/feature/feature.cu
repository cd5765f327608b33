/* Features and the step in time on the GPU: a thread a particle or an edge, and the way back. */
#include "kernels/feature/feature.h"

#include "cuda/launch.h"

#define THREADS 128

static __global__ void nodes_kernel(int64_t n, mote_node_features features, const float *history,
                                    const int32_t *type, const float *embedding, float *out, int stride) {
  int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < n) mote_node_features_of(n, i, &features, history, type, embedding, out + i * stride);
}

static mote_status nodes(mote_stream *stream, int64_t n, const mote_node_features *features,
                         const float *history, const int32_t *type, const float *embedding, float *out,
                         int stride) {
  return MOTE_LAUNCH(nodes_kernel, mote_grid(n, THREADS), THREADS, 0, stream, n, *features, history, type,
                     embedding, out, stride);
}

static __global__ void edges_kernel(int dim, mote_edges edges, const float *points, const float *queries,
                                    float per_radius, float per_length, float *out, float *length) {
  int64_t e = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (e < edges.capacity && e < edges.row_offsets[edges.receivers])
    mote_edge_features_of(dim, e, edges.senders, edges.receiver, points, queries, per_radius, per_length, out,
                          length);
}

static mote_status edges(mote_stream *stream, int dim, const mote_edges *graph, const float *points,
                         const float *queries, float per_radius, float per_length, float *out,
                         float *length) {
  return MOTE_LAUNCH(edges_kernel, mote_grid(graph->capacity, THREADS), THREADS, 0, stream, dim, *graph,
                     points, queries, per_radius, per_length, out, length);
}

static __global__ void rest_lengths_kernel(int dim, mote_edges edges, const float *rest, float per_length,
                                           float *out) {
  int64_t e = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (e < edges.capacity && e < edges.row_offsets[edges.receivers])
    out[e] = mote_rest_length_of(dim, e, edges.senders, edges.receiver, rest, per_length);
}

static mote_status rest_lengths(mote_stream *stream, int dim, const mote_edges *graph, const float *rest,
                                float per_length, float *out) {
  return MOTE_LAUNCH(rest_lengths_kernel, mote_grid(graph->capacity, THREADS), THREADS, 0, stream, dim,
                     *graph, rest, per_length, out);
}

/* While a step runs, a particle that it found bad stands in the state as a negative number, smaller than any
   report that is there already or none; the settling kernel makes it a report. */
#define FOUND(particle) (INT32_MIN + (particle))

/* Only what an earlier step reported is neither negative nor INT32_MAX, and stays so while this one runs. */
static __device__ void find_bad(mote_step_state *state, int32_t particle) {
  int32_t seen = atomicMin(&state->bad_particle, INT32_MAX); /* a read that is no race */
  if (seen < 0 || seen == INT32_MAX) atomicMin(&state->bad_particle, FOUND(particle));
}

static __global__ void guard_kernel(mote_step_guard guard, mote_step_state *state) {
  state->blocked = mote_step_blocked(state, &guard);
}

static __global__ void advance_kernel(int64_t n, mote_integration integration, const float *acceleration,
                                      const int32_t *type, const float *prescribed, float *history,
                                      float *next, mote_step_state *state) {
  int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < n && !state->blocked &&
      mote_advance_particle(n, i, &integration, acceleration, type, prescribed, history, next))
    find_bad(state, static_cast<int32_t>(i));
}

static __global__ void settle_kernel(mote_step_state *state) {
  if (state->blocked) return;
  state->step++;
  if (state->bad_particle >= 0) return;
  state->bad_particle -= FOUND(0);
  state->bad_step = state->step;
}

static mote_status advance(mote_stream *stream, int64_t n, const mote_integration *integration,
                           const mote_step_guard *guard, const float *acceleration, const int32_t *type,
                           const float *prescribed, float *history, float *next, mote_step_state *state) {
  MOTE_TRY(MOTE_LAUNCH(guard_kernel, 1, 1, 0, stream, *guard, state));
  MOTE_TRY(MOTE_LAUNCH(advance_kernel, mote_grid(n, THREADS), THREADS, 0, stream, n, *integration,
                       acceleration, type, prescribed, history, next, state));
  return MOTE_LAUNCH(settle_kernel, 1, 1, 0, stream, state);
}

/* ---- Reversed ---- */

/* A block sums the gradients by 16 columns of 32 embeddings over a chunk of particles: each row of its
   threads takes every 16th particle and has sums of its own, which are then added in the order of the rows.
   */
#define ROWS 16
#define COLUMNS 16
#define TYPES 32

static __global__ void embeddings_kernel(int64_t n, mote_node_features f, const int32_t *type,
                                         mote_rows d_out, float *sums) {
  __shared__ float part[ROWS][TYPES * COLUMNS + COLUMNS]; /* rows of a warp in different banks */
  const int row = static_cast<int>(threadIdx.x) / COLUMNS, column = static_cast<int>(threadIdx.x) % COLUMNS;
  const int tiles = (f.type_width + COLUMNS - 1) / COLUMNS, tile = static_cast<int>(blockIdx.y);
  const int first = tile / tiles * TYPES, types = min(f.types - first, TYPES);
  const int c = tile % tiles * COLUMNS + column;
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * MOTE_GRADIENT_ROWS;
  const int64_t end = min(begin + MOTE_GRADIENT_ROWS, n);
  for (int t = 0; t < types; t++) part[row][t * COLUMNS + column] = 0;
  for (int64_t i = begin + row; i < end; i += ROWS) {
    const int t = type[i] - first;
    if (c < f.type_width && t >= 0 && t < types)
      part[row][t * COLUMNS + column] += d_out.data[i * d_out.stride + f.at_type + c];
  }
  __syncthreads();
  for (int t = row; t < types; t += ROWS) {
    float sum = 0;
    for (int r = 0; r < ROWS; r++) sum += part[r][t * COLUMNS + column];
    if (c < f.type_width)
      sums[(static_cast<int64_t>(blockIdx.x) * f.types + first + t) * f.type_width + c] = sum;
  }
}

static __global__ void add_chunks_kernel(int64_t floats, int64_t chunks, const float *sums, float *total) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (c >= floats) return;
  float sum = total[c];
  for (int64_t k = 0; k < chunks; k++) sum += sums[k * floats + c];
  total[c] = sum;
}

static mote_status embeddings_backward(mote_stream *stream, int64_t n, const mote_node_features *f,
                                       const int32_t *type, mote_rows d_out, float *d_embedding,
                                       mote_buffer *scratch) {
  const int64_t chunks = (n + MOTE_GRADIENT_ROWS - 1) / MOTE_GRADIENT_ROWS;
  const int64_t floats = static_cast<int64_t>(f->types) * f->type_width;
  const unsigned tiles = mote_grid(f->types, TYPES) * mote_grid(f->type_width, COLUMNS);
  MOTE_TRY(
      mote_buffer_reserve(scratch, stream->device, static_cast<size_t>(chunks * floats) * sizeof(float)));
  float *sums = static_cast<float *>(scratch->data);
  MOTE_TRY(MOTE_LAUNCH(embeddings_kernel, dim3(static_cast<unsigned>(chunks), tiles), ROWS * COLUMNS, 0,
                       stream, n, *f, type, d_out, sums));
  return MOTE_LAUNCH(add_chunks_kernel, mote_grid(floats, THREADS), THREADS, 0, stream, floats, chunks, sums,
                     d_embedding);
}

/* A thread an axis of a particle, here and in the step: what is read and written of a frame is consecutive.
 */
static __global__ void history_kernel(int64_t n, mote_node_features f, const float *history, mote_rows d_out,
                                      float *d_history) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x, i = at / f.dim;
  if (i < n)
    mote_node_history_reversed(n, i, static_cast<int>(at % f.dim), &f, history, d_out.data + i * d_out.stride,
                               d_history);
}

static mote_status nodes_backward(mote_stream *stream, int64_t n, const mote_node_features *features,
                                  const float *history, const int32_t *type, mote_rows d_out,
                                  float *d_embedding, float *d_history, mote_buffer *scratch) {
  if (n > 0 && d_embedding && features->type_width)
    MOTE_TRY(embeddings_backward(stream, n, features, type, d_out, d_embedding, scratch));
  if (!d_history) return MOTE_OK;
  return MOTE_LAUNCH(history_kernel, mote_grid(n * features->dim, THREADS), THREADS, 0, stream, n, *features,
                     history, d_out, d_history);
}

/* 8 neighbouring threads take a node's edges in turn and add their sums pairwise: a fixed order. */
#define LANES 8

typedef struct edges_job {
  mote_edges edges;
  const float *points, *queries, *d_out, *d_length;
  float per_radius, per_length;
} edges_job;

/* What the lanes of a node have summed to its row. All threads of the block come here. */
static __device__ void add_lanes(int dim, int64_t i, int64_t n, float *sum, float *to) {
  for (int a = 0; a < 3; a++)
    for (int distance = LANES / 2; distance > 0; distance /= 2)
      sum[a] += __shfl_xor_sync(0xffffffffu, sum[a], distance);
  if (i < n && threadIdx.x % LANES == 0)
    for (int a = 0; a < dim; a++) to[i * dim + a] += sum[a];
}

static __global__ void receivers_kernel(int dim, edges_job j, float *d_queries) {
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / LANES;
  float sum[3] = {0, 0, 0};
  if (i < j.edges.receivers) {
    const int64_t end = min(static_cast<int64_t>(j.edges.row_offsets[i + 1]), j.edges.capacity);
    for (int64_t e = j.edges.row_offsets[i] + threadIdx.x % LANES; e < end; e += LANES)
      mote_edge_reversed(dim, e, -1, j.points + static_cast<int64_t>(j.edges.senders[e]) * dim,
                         j.queries + i * dim, j.per_radius, j.per_length, j.d_out, j.d_length, sum);
  }
  add_lanes(dim, i, j.edges.receivers, sum, d_queries);
}

static __global__ void senders_kernel(int dim, edges_job j, mote_sent sent, float *d_points) {
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / LANES;
  float sum[3] = {0, 0, 0};
  if (i < sent.senders) {
    const int64_t end = sent.row_offsets[i + 1];
    for (int64_t k = sent.row_offsets[i] + threadIdx.x % LANES; k < end; k += LANES) {
      const int64_t e = sent.edge[k];
      mote_edge_reversed(dim, e, 1, j.points + i * dim,
                         j.queries + static_cast<int64_t>(j.edges.receiver[e]) * dim, j.per_radius,
                         j.per_length, j.d_out, j.d_length, sum);
    }
  }
  add_lanes(dim, i, sent.senders, sum, d_points);
}

static mote_status edges_backward(mote_stream *stream, int dim, const mote_edges *graph,
                                  const mote_sent *sent, const float *points, const float *queries,
                                  float per_radius, float per_length, const float *d_out,
                                  const float *d_length, float *d_points, float *d_queries) {
  const edges_job job = {*graph, points, queries, d_out, d_length, per_radius, per_length};
  if (d_queries)
    MOTE_TRY(MOTE_LAUNCH(receivers_kernel, mote_grid(graph->receivers * LANES, THREADS), THREADS, 0, stream,
                         dim, job, d_queries));
  if (!d_points) return MOTE_OK;
  return MOTE_LAUNCH(senders_kernel, mote_grid(sent->senders * LANES, THREADS), THREADS, 0, stream, dim, job,
                     *sent, d_points);
}

static __global__ void advance_backward_kernel(int64_t n, mote_integration g, const int32_t *type,
                                               int prescribed, float *d_history, float *d_acceleration) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x, i = at / g.dim;
  if (i < n)
    mote_advance_reversed(n, i, static_cast<int>(at % g.dim), &g, prescribed && type[i] == MOTE_KINEMATIC,
                          d_history, d_acceleration);
}

static mote_status advance_backward(mote_stream *stream, int64_t n, const mote_integration *integration,
                                    const int32_t *type, int prescribed, float *d_history,
                                    float *d_acceleration) {
  return MOTE_LAUNCH(advance_backward_kernel, mote_grid(n * integration->dim, THREADS), THREADS, 0, stream, n,
                     *integration, type, prescribed, d_history, d_acceleration);
}

extern "C" const struct mote_feature_kernels mote_feature_gpu = {
    nodes, edges, rest_lengths, advance, nodes_backward, edges_backward, advance_backward};
