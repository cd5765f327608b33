/* Nearest neighbours on the GPU: a thread a leaf, a launch a level of boxes, a thread a query. Bounds are
   found with integer atomics: the bits of a float, mirrored when negative, order like the float. */
#include "kernels/nearest/nearest.h"

#include "cuda/launch.h"
#include "cuda/sort.h"

#define BLOCK 256
#define WARP 32
#define ALL_LANES 0xffffffffu
#define REDUCING_BLOCKS 256

static __device__ int64_t own_element() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

static __device__ int32_t mirrored(int32_t bits) {
  return bits < 0 ? bits ^ 0x7fffffff : bits;
}

static __device__ int32_t ordered_bits(float x) {
  int32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return mirrored(bits);
}

static __device__ float from_ordered_bits(float stored) {
  int32_t bits;
  memcpy(&bits, &stored, sizeof bits);
  bits = mirrored(bits);
  memcpy(&stored, &bits, sizeof bits);
  return stored;
}

static __device__ int32_t *bits_of(float *x) {
  return reinterpret_cast<int32_t *>(x);
}

static __global__ void start_state_kernel(mote_nearest_state *state, int dim) {
  for (int a = 0; a < 3; a++) {
    *bits_of(&state->low[a]) = a < dim ? ordered_bits(INFINITY) : 0;
    *bits_of(&state->high[a]) = a < dim ? ordered_bits(-INFINITY) : 0;
  }
  state->bad_point = state->bad_query = INT32_MAX;
}

/* Every thread of every warp takes part in the reduction. */
static __global__ void bounds_kernel(const float *points, int64_t n, int dim, mote_nearest_state *state) {
  for (int a = 0; a < dim; a++) {
    int32_t low = INT32_MAX, high = INT32_MIN;
    for (int64_t i = own_element(); i < n; i += static_cast<int64_t>(gridDim.x) * blockDim.x) {
      float x = points[i * dim + a];
      int32_t bits = ordered_bits(x);
      if (x != x) continue;
      low = bits < low ? bits : low;
      high = bits > high ? bits : high;
    }
    low = __reduce_min_sync(ALL_LANES, low);
    high = __reduce_max_sync(ALL_LANES, high);
    if (threadIdx.x % WARP == 0) {
      atomicMin(bits_of(&state->low[a]), low);
      atomicMax(bits_of(&state->high[a]), high);
    }
  }
}

static __global__ void finish_bounds_kernel(mote_nearest_state *state) {
  for (int a = 0; a < 3; a++) {
    state->low[a] = from_ordered_bits(state->low[a]);
    state->high[a] = from_ordered_bits(state->high[a]);
  }
}

static __global__ void find_bad_kernel(const float *points, int64_t n, int dim, int32_t *bad) {
  int64_t i = own_element();
  if (i >= n) return;
  bool finite = true;
  for (int a = 0; a < dim; a++) finite = finite && mote_is_finite_bits(points[i * dim + a]);
  if (!finite) atomicMin(bad, static_cast<int32_t>(i));
}

static __global__ void keys_kernel(const float *points, int64_t n, int dim, const mote_nearest_state *state,
                                   uint64_t *keys, int32_t *order) {
  int64_t i = own_element();
  if (i >= n) return;
  const float *p = points + i * dim;
  keys[i] = mote_curve_key(state, mote_nearest_scale(state), p[0], p[1], dim == 3 ? p[2] : 0.f);
  order[i] = static_cast<int32_t>(i);
}

/* A thread an axis of a leaf. */
static __global__ void leaves_kernel(const float *points, const int32_t *order, int64_t count, int dim,
                                     int64_t leaves, float *sorted, float *boxes) {
  int64_t i = own_element();
  if (i >= 3 * leaves) return;
  int axis = static_cast<int>(i / leaves);
  int64_t leaf = i - axis * leaves;
  mote_nearest_fill_leaf(points, order, count, dim, axis, leaf, sorted + axis * leaves * MOTE_NEAREST_LEAF,
                         boxes + (leaves + leaf) * 6);
}

static __global__ void join_boxes_kernel(float *boxes, int64_t first) {
  int64_t i = own_element();
  if (i < first) mote_nearest_join_boxes(boxes, first + i);
}

static mote_status build(mote_stream *stream, mote_nearest_tree *tree, const float *points) {
  int64_t n = tree->count;
  int dim = tree->dim;
  auto *state = static_cast<mote_nearest_state *>(tree->state.data);
  auto *keys = static_cast<uint64_t *>(tree->keys.data);
  auto *order = static_cast<int32_t *>(tree->order.data);
  auto *boxes = static_cast<float *>(tree->boxes.data);
  unsigned blocks = mote_grid(n, BLOCK);
  MOTE_TRY(MOTE_LAUNCH(start_state_kernel, 1, 1, 0, stream, state, dim));
  MOTE_TRY(MOTE_LAUNCH(bounds_kernel, blocks < REDUCING_BLOCKS ? blocks : REDUCING_BLOCKS, BLOCK, 0, stream,
                       points, n, dim, state));
  MOTE_TRY(MOTE_LAUNCH(finish_bounds_kernel, 1, 1, 0, stream, state));
  MOTE_TRY(MOTE_LAUNCH(find_bad_kernel, blocks, BLOCK, 0, stream, points, n, dim, &state->bad_point));
  MOTE_TRY(MOTE_LAUNCH(keys_kernel, blocks, BLOCK, 0, stream, points, n, dim,
                       static_cast<const mote_nearest_state *>(state), keys, order));
  MOTE_TRY(mote_cuda_sort_pairs_u64(stream, keys, order, n, 63, &tree->scratch));
  MOTE_TRY(MOTE_LAUNCH(leaves_kernel, mote_grid(3 * tree->leaves, BLOCK), BLOCK, 0, stream, points,
                       static_cast<const int32_t *>(order), n, dim, tree->leaves,
                       static_cast<float *>(tree->sorted.data), boxes));
  for (int64_t first = tree->leaves / 2; first >= 1; first /= 2)
    MOTE_TRY(MOTE_LAUNCH(join_boxes_kernel, mote_grid(first, BLOCK), BLOCK, 0, stream, boxes, first));
  return MOTE_OK;
}

static __global__ void search_kernel(mote_nearest_view tree, const float *queries, int64_t m, int dim, int k,
                                     int32_t *indices, float *distances2) {
  int64_t i = own_element();
  if (i >= m) return;
  mote_nearest_list best;
  float q[3] = {queries[i * dim], queries[i * dim + 1], dim == 3 ? queries[i * dim + 2] : 0.f};
  mote_nearest_walk(&tree, q, k, &best);
  for (int j = 0; j < k; j++) {
    indices[i * k + j] = best.index[j];
    if (distances2) distances2[i * k + j] = best.distance2[j];
  }
}

static __global__ void no_bad_query_kernel(mote_nearest_state *state) {
  state->bad_query = INT32_MAX;
}

static mote_status search(mote_stream *stream, mote_nearest_tree *tree, const float *queries, int64_t m,
                          int k, int32_t *indices, float *distances2) {
  auto *state = static_cast<mote_nearest_state *>(tree->state.data);
  MOTE_TRY(MOTE_LAUNCH(no_bad_query_kernel, 1, 1, 0, stream, state));
  MOTE_TRY(MOTE_LAUNCH(find_bad_kernel, mote_grid(m, BLOCK), BLOCK, 0, stream, queries, m, tree->dim,
                       &state->bad_query));
  return MOTE_LAUNCH(search_kernel, mote_grid(m, 128), 128, 0, stream, mote_nearest_view_of(tree), queries, m,
                     tree->dim, k, indices, distances2);
}

extern "C" const struct mote_nearest_kernels mote_nearest_gpu = {build, search};
