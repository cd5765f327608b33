/* Features and the step in time on the GPU: a thread a particle or an edge. */
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

extern "C" const struct mote_feature_kernels mote_feature_gpu = {nodes,   edges,   advance,
                                                                 nullptr, nullptr, nullptr};
