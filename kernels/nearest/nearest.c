/* Nearest neighbours on the CPU. A leaf is one vector of distances; a query walks the tree with a stack of at
   most one node a level, the nearer child first. */
#include "kernels/nearest/nearest.h"

#include "kernels/array/array.h"

#define CHUNK 16384
#define QUERIES_PER_TASK 256
#define STACK 64 /* the tree has at most 27 levels */

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
  float *sorted = tree->sorted.data, *box = (float *)tree->boxes.data + (tree->leaves + leaf) * 6;
  const int32_t *order = tree->order.data;
  for (int a = 0; a < 3; a++) {
    float low = INFINITY, high = -INFINITY;
    for (int l = 0; l < MOTE_NEAREST_LEAF; l++) {
      int64_t place = leaf * MOTE_NEAREST_LEAF + l;
      float x = INFINITY;
      if (place < tree->count) {
        x = a < tree->dim ? points[(int64_t)order[place] * tree->dim + a] : 0;
        low = x < low ? x : low;
        high = x > high ? x : high;
      }
      sorted[a * room + place] = x;
    }
    box[a] = low;
    box[3 + a] = high;
  }
}

static void join_boxes(float *boxes, int64_t node) {
  const float *left = boxes + 2 * node * 6, *right = left + 6;
  for (int a = 0; a < 3; a++) {
    boxes[node * 6 + a] = left[a] < right[a] ? left[a] : right[a];
    boxes[node * 6 + 3 + a] = left[3 + a] > right[3 + a] ? left[3 + a] : right[3 + a];
  }
}

static mote_status build(mote_stream *stream, mote_nearest_tree *tree, const float *points) {
  int threads = mote_stream_threads(stream);
  find_bounds(threads, points, tree->count, tree->dim, tree->state.data);
  MOTE_TRY(sort_along_curve(stream, tree, points));
#pragma omp parallel for num_threads(threads) if (tree->count > CHUNK)
  for (int64_t leaf = 0; leaf < tree->leaves; leaf++) fill_leaf(tree, points, leaf);
  for (int64_t first = tree->leaves / 2; first >= 1; first /= 2)
#pragma omp parallel for num_threads(threads) if (first > CHUNK / 8)
    for (int64_t node = first; node < 2 * first; node++) join_boxes(tree->boxes.data, node);
  return MOTE_OK;
}

static void search_leaf(const mote_nearest_tree *tree, int64_t leaf, const float q[3], int k,
                        mote_nearest_list *best) {
  int64_t first = leaf * MOTE_NEAREST_LEAF, room = tree->leaves * MOTE_NEAREST_LEAF;
  const float *x = (const float *)tree->sorted.data + first, *y = x + room, *z = y + room;
  const int32_t *order = (const int32_t *)tree->order.data + first;
  float d2[MOTE_NEAREST_LEAF];
  int close = 0;
  for (int l = 0; l < MOTE_NEAREST_LEAF; l++) {
    d2[l] = mote_distance2(q[0] - x[l], q[1] - y[l], q[2] - z[l]);
    close |= d2[l] <= best->distance2[k - 1];
  }
  if (!close) return;
  int count = tree->count - first < MOTE_NEAREST_LEAF ? (int)(tree->count - first) : MOTE_NEAREST_LEAF;
  for (int l = 0; l < count; l++) mote_nearest_offer(best, k, d2[l], order[l]);
}

static void search_tree(const mote_nearest_tree *tree, const float q[3], int k, mote_nearest_list *best) {
  const float *boxes = tree->boxes.data;
  int64_t node_stack[STACK];
  float distance_stack[STACK];
  int depth = 0;
  mote_nearest_start(best, k);
  node_stack[depth] = 1;
  distance_stack[depth++] = 0;
  while (depth) {
    int64_t node = node_stack[--depth];
    if (distance_stack[depth] > best->distance2[k - 1]) continue;
    while (node < tree->leaves) {
      float left = mote_box_distance2(boxes + 2 * node * 6, q[0], q[1], q[2]);
      float right = mote_box_distance2(boxes + (2 * node + 1) * 6, q[0], q[1], q[2]);
      int far_is_left = right < left;
      node_stack[depth] = 2 * node + !far_is_left;
      distance_stack[depth++] = far_is_left ? left : right;
      node = 2 * node + far_is_left;
      if ((far_is_left ? right : left) > best->distance2[k - 1]) break;
    }
    if (node >= tree->leaves && (node - tree->leaves) * MOTE_NEAREST_LEAF < tree->count)
      search_leaf(tree, node - tree->leaves, q, k, best);
  }
}

static mote_status search(mote_stream *stream, mote_nearest_tree *tree, const float *queries, int64_t m,
                          int k, int32_t *indices, float *distances2) {
  int threads = mote_stream_threads(stream), dim = tree->dim;
  ((mote_nearest_state *)tree->state.data)->bad_query = first_bad(threads, queries, m, dim);
#pragma omp parallel for num_threads(threads) schedule(dynamic, QUERIES_PER_TASK) if (m > QUERIES_PER_TASK)
  for (int64_t i = 0; i < m; i++) {
    mote_nearest_list best;
    float q[3] = {queries[i * dim], queries[i * dim + 1], dim == 3 ? queries[i * dim + 2] : 0};
    search_tree(tree, q, k, &best);
    memcpy(indices + i * k, best.index, (size_t)k * sizeof(int32_t));
    if (distances2) memcpy(distances2 + i * k, best.distance2, (size_t)k * sizeof(float));
  }
  return MOTE_OK;
}

const struct mote_nearest_kernels mote_nearest_cpu = {.build = build, .search = search};
