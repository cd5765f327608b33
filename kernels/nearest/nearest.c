/* Nearest neighbours on the CPU: a thread an element, and a leaf is one vector of distances. */
#include "kernels/nearest/nearest.h"

#include "kernels/array/array.h"

#define CHUNK 16384
#define QUERIES_PER_TASK 256

static int32_t first_bad(int threads, const float *x, int64_t n, int dim) {
  int32_t bad = INT32_MAX;
#pragma omp parallel for num_threads(threads) reduction(min : bad) if (n > CHUNK)
  for (int64_t i = 0; i < n; i++) {
    int finite = 1;
    for (int a = 0; a < dim; a++) finite &= mote_is_finite_bits(x[i * dim + a]);
    if (!finite && i < bad) bad = (int32_t)i;
  }
  return bad;
}

static void find_bounds(int threads, const float *points, int64_t n, int dim, mote_nearest_state *state) {
  *state = (mote_nearest_state){.bad_query = INT32_MAX};
  for (int a = 0; a < dim; a++) {
    float low = INFINITY, high = -INFINITY;
#pragma omp parallel for num_threads(threads) reduction(min : low) reduction(max : high) if (n > CHUNK)
    for (int64_t i = 0; i < n; i++) {
      float x = points[i * dim + a];
      low = x < low ? x : low;
      high = x > high ? x : high;
    }
    state->low[a] = low;
    state->high[a] = high;
  }
  state->bad_point = first_bad(threads, points, n, dim);
}

/* Two stable sorts, by the low and then by the high half of the key. */
static mote_status sort_along_curve(mote_stream *stream, mote_nearest_tree *tree, const float *points) {
  const struct mote_array_kernels *array = stream->device->array;
  int64_t n = tree->count;
  int dim = tree->dim, threads = mote_stream_threads(stream);
  uint32_t *low = tree->keys.data, *high = low + n;
  int32_t *order = tree->order.data;
  const mote_nearest_state *state = tree->state.data;
  double scale = mote_nearest_scale(state);
#pragma omp parallel for num_threads(threads) if (n > CHUNK)
  for (int64_t i = 0; i < n; i++) {
    const float *p = points + i * dim;
    low[i] = (uint32_t)mote_curve_key(state, scale, p[0], p[1], dim == 3 ? p[2] : 0);
    order[i] = (int32_t)i;
  }
  MOTE_TRY(array->sort_pairs_u32(stream, low, order, n, 32, &tree->scratch));
#pragma omp parallel for num_threads(threads) if (n > CHUNK)
  for (int64_t i = 0; i < n; i++) {
    const float *p = points + (int64_t)order[i] * dim;
    high[i] = (uint32_t)(mote_curve_key(state, scale, p[0], p[1], dim == 3 ? p[2] : 0) >> 32);
  }
  return array->sort_pairs_u32(stream, high, order, n, 31, &tree->scratch);
}

static void fill_leaf(mote_nearest_tree *tree, const float *points, int64_t leaf) {
  int64_t room = tree->leaves * MOTE_NEAREST_LEAF;
  float *box = (float *)tree->boxes.data + (tree->leaves + leaf) * 6;
  for (int axis = 0; axis < 3; axis++)
    mote_nearest_fill_leaf(points, tree->order.data, tree->count, tree->dim, axis, leaf,
                           (float *)tree->sorted.data + axis * room, box);
}

static mote_status build(mote_stream *stream, mote_nearest_tree *tree, const float *points) {
  int threads = mote_stream_threads(stream);
  find_bounds(threads, points, tree->count, tree->dim, tree->state.data);
  MOTE_TRY(sort_along_curve(stream, tree, points));
#pragma omp parallel for num_threads(threads) if (tree->count > CHUNK)
  for (int64_t leaf = 0; leaf < tree->leaves; leaf++) fill_leaf(tree, points, leaf);
  for (int64_t first = tree->leaves / 2; first >= 1; first /= 2)
#pragma omp parallel for num_threads(threads) if (first > CHUNK / 8)
    for (int64_t node = first; node < 2 * first; node++) mote_nearest_join_boxes(tree->boxes.data, node);
  return MOTE_OK;
}

static mote_status search(mote_stream *stream, mote_nearest_tree *tree, const float *queries, int64_t m,
                          int k, int32_t *indices, float *distances2) {
  int threads = mote_stream_threads(stream), dim = tree->dim;
  mote_nearest_view view = mote_nearest_view_of(tree);
  ((mote_nearest_state *)tree->state.data)->bad_query = first_bad(threads, queries, m, dim);
#pragma omp parallel for num_threads(threads) schedule(dynamic, QUERIES_PER_TASK) if (m > QUERIES_PER_TASK)
  for (int64_t i = 0; i < m; i++) {
    mote_nearest_list best;
    float q[3] = {queries[i * dim], queries[i * dim + 1], dim == 3 ? queries[i * dim + 2] : 0};
    mote_nearest_walk(&view, q, k, &best);
    memcpy(indices + i * k, best.index, (size_t)k * sizeof(int32_t));
    if (distances2) memcpy(distances2 + i * k, best.distance2, (size_t)k * sizeof(float));
  }
  return MOTE_OK;
}

const struct mote_nearest_kernels mote_nearest_cpu = {.build = build, .search = search};
