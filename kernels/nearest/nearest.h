/* Nearest neighbours at any distance: exact, up to 16 a query, in any cloud of points.

   The trick to know: points are sorted along a space-filling curve and cut into leaves of 16; boxes of the
   leaves, of pairs of leaves, and so on form a complete binary tree whose node i has the children 2i and
   2i+1, so the tree is an array and nothing is linked. A box's distance to a query is computed with the same
   fused operations as a point's; rounding is monotone, so it never exceeds the distance to a point inside,
   and pruning is exact in float32. (Morton order: Karras 2012, "Maximizing parallelism in the construction of
   BVHs".) */
#ifndef MOTE_KERNELS_NEAREST_H
#define MOTE_KERNELS_NEAREST_H

#include <math.h>

#include "kernels/kernel.h"
#include "kernels/neighbor/neighbor.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_NEAREST_LEAF 16
#define MOTE_NEAREST_MAX_K 16

typedef struct mote_nearest_state {
  float low[3], high[3];
  int32_t bad_point; /* smallest index of a point that is not finite; INT32_MAX: none */
  int32_t bad_query;
} mote_nearest_state;

/* All zero is a valid empty one. */
typedef struct mote_nearest_tree {
  int dim;
  int64_t count;
  int64_t
      leaves; /* a power of two; leaf l is node leaves + l and holds points 16 l .. 16 l + 15 of the order */
  mote_buffer state;
  mote_buffer keys;   /* count u32, two arrays */
  mote_buffer order;  /* count i32: place -> index */
  mote_buffer sorted; /* (3, 16 leaves) f32: x, y, z; 0 in the third in 2-D; infinity past the last point */
  mote_buffer boxes;  /* (2 leaves, 6) f32: low x y z, high x y z; empty ones are inverted */
  mote_buffer scratch;
} mote_nearest_tree;

struct mote_nearest_kernels {
  /* The tree of points (n, dim); the room comes from mote_nearest_reserve(). n > 0. */
  mote_status (*build)(mote_stream *stream, mote_nearest_tree *tree, const float *points);

  /* For queries (m, dim): indices (m, k) and squared distances (m, k; may be NULL), nearest first, the
     smaller index first among equals; -1 and infinity where there are fewer than k points. 1 <= k <= 16. */
  mote_status (*search)(mote_stream *stream, mote_nearest_tree *tree, const float *queries, int64_t m, int k,
                        int32_t *indices, float *distances2);
};

mote_status mote_nearest_reserve(mote_nearest_tree *tree, mote_device *device, int64_t n, int dim);
void mote_nearest_free(mote_nearest_tree *tree);

/* ---- Per-element math ---- */

/* Spreads 21 bits to every third place of 63. */
MOTE_HD static inline uint64_t mote_spread_bits(uint64_t v) {
  v &= 0x1fffff;
  v = (v | v << 32) & 0x1f00000000ffffull;
  v = (v | v << 16) & 0x1f0000ff0000ffull;
  v = (v | v << 8) & 0x100f00f00f00f00full;
  v = (v | v << 4) & 0x10c30c30c30c30c3ull;
  return (v | v << 2) & 0x1249249249249249ull;
}

MOTE_HD static inline double mote_nearest_scale(const mote_nearest_state *state) {
  double extent = 0;
  for (int a = 0; a < 3; a++) {
    double e = (double)state->high[a] - (double)state->low[a];
    extent = e > extent ? e : extent;
  }
  return extent > 0 ? 2097151.0 / extent : 0.0;
}

MOTE_HD static inline uint64_t mote_curve_cell(float x, float low, double scale) {
  double c = ((double)x - (double)low) * scale;
  return c > 0.0 ? c < 2097151.0 ? (uint64_t)c : 2097151u : 0u; /* NaN: 0 */
}

/* The place of a point on the curve, 63 bits. */
MOTE_HD static inline uint64_t mote_curve_key(const mote_nearest_state *state, double scale, float x, float y,
                                              float z) {
  return mote_spread_bits(mote_curve_cell(x, state->low[0], scale)) |
         mote_spread_bits(mote_curve_cell(y, state->low[1], scale)) << 1 |
         mote_spread_bits(mote_curve_cell(z, state->low[2], scale)) << 2;
}

MOTE_HD static inline float mote_outside(float low, float high, float x) {
  float below = low - x, above = x - high;
  float out = below > above ? below : above;
  return out > 0.f ? out : 0.f;
}

MOTE_HD static inline float mote_box_distance2(const float box[6], float x, float y, float z) {
  return mote_distance2(mote_outside(box[0], box[3], x), mote_outside(box[1], box[4], y),
                        mote_outside(box[2], box[5], z));
}

/* The best so far, nearest first; starts as k times (infinity, -1). */
typedef struct mote_nearest_list {
  float distance2[MOTE_NEAREST_MAX_K];
  int32_t index[MOTE_NEAREST_MAX_K];
} mote_nearest_list;

MOTE_HD static inline void mote_nearest_start(mote_nearest_list *list, int k) {
  for (int i = 0; i < k; i++) {
    list->distance2[i] = INFINITY;
    list->index[i] = -1;
  }
}

/* Among equal distances the smaller index comes first; any index comes before an empty entry. */
MOTE_HD static inline int mote_nearer(float d, int32_t i, float e, int32_t j) {
  return d < e || (d == e && (uint32_t)i < (uint32_t)j);
}

MOTE_HD static inline void mote_nearest_offer(mote_nearest_list *list, int k, float distance2,
                                              int32_t index) {
  if (!mote_nearer(distance2, index, list->distance2[k - 1], list->index[k - 1])) return;
  int at = k - 1;
  for (; at > 0 && mote_nearer(distance2, index, list->distance2[at - 1], list->index[at - 1]); at--) {
    list->distance2[at] = list->distance2[at - 1];
    list->index[at] = list->index[at - 1];
  }
  list->distance2[at] = distance2;
  list->index[at] = index;
}

/* The tree as a kernel reads it. */
typedef struct mote_nearest_view {
  const float *boxes, *x, *y, *z;
  const int32_t *order;
  int32_t leaves, count;
} mote_nearest_view;

static inline mote_nearest_view mote_nearest_view_of(const mote_nearest_tree *tree) {
  mote_nearest_view view;
  view.boxes = (const float *)tree->boxes.data;
  view.x = (const float *)tree->sorted.data;
  view.y = view.x + tree->leaves * MOTE_NEAREST_LEAF;
  view.z = view.y + tree->leaves * MOTE_NEAREST_LEAF;
  view.order = (const int32_t *)tree->order.data;
  view.leaves = (int32_t)tree->leaves;
  view.count = (int32_t)tree->count;
  return view;
}

MOTE_HD static inline void mote_nearest_leaf(const mote_nearest_view *tree, int32_t leaf, const float q[3],
                                             int k, mote_nearest_list *best) {
  int32_t first = leaf * MOTE_NEAREST_LEAF;
  const float *x = tree->x + first, *y = tree->y + first, *z = tree->z + first;
  float d2[MOTE_NEAREST_LEAF];
  int close = 0;
  for (int l = 0; l < MOTE_NEAREST_LEAF; l++) {
    d2[l] = mote_distance2(q[0] - x[l], q[1] - y[l], q[2] - z[l]);
    close |= d2[l] <= best->distance2[k - 1];
  }
  if (!close) return;
  int count = tree->count - first < MOTE_NEAREST_LEAF ? tree->count - first : MOTE_NEAREST_LEAF;
  for (int l = 0; l < count; l++) mote_nearest_offer(best, k, d2[l], tree->order[first + l]);
}

/* The nearer child first; the farther waits on a stack of at most one node a level, of which there are 27. */
MOTE_HD static inline void mote_nearest_walk(const mote_nearest_view *tree, const float q[3], int k,
                                             mote_nearest_list *best) {
  int32_t node_stack[32], depth = 1;
  float distance_stack[32];
  mote_nearest_start(best, k);
  node_stack[0] = 1;
  distance_stack[0] = 0;
  while (depth) {
    int32_t node = node_stack[--depth];
    float distance = distance_stack[depth];
    while (node < tree->leaves && distance <= best->distance2[k - 1]) {
      float left = mote_box_distance2(tree->boxes + (int64_t)2 * node * 6, q[0], q[1], q[2]);
      float right = mote_box_distance2(tree->boxes + ((int64_t)2 * node + 1) * 6, q[0], q[1], q[2]);
      int far_is_left = right < left;
      node_stack[depth] = 2 * node + !far_is_left;
      distance_stack[depth++] = far_is_left ? left : right;
      distance = far_is_left ? right : left;
      node = 2 * node + far_is_left;
    }
    if (distance > best->distance2[k - 1] || node < tree->leaves) continue;
    if ((int64_t)(node - tree->leaves) * MOTE_NEAREST_LEAF < tree->count)
      mote_nearest_leaf(tree, node - tree->leaves, q, k, best);
  }
}

/* One axis of a leaf: its 16 coordinates, infinite past the last point, and the two sides of its box. */
MOTE_HD static inline void mote_nearest_fill_leaf(const float *points, const int32_t *order, int64_t count,
                                                  int dim, int axis, int64_t leaf, float *sorted,
                                                  float *box) {
  float low = INFINITY, high = -INFINITY;
  for (int l = 0; l < MOTE_NEAREST_LEAF; l++) {
    int64_t place = leaf * MOTE_NEAREST_LEAF + l;
    float x = INFINITY;
    if (place < count) {
      x = axis < dim ? points[(int64_t)order[place] * dim + axis] : 0.f;
      low = x < low ? x : low;
      high = x > high ? x : high;
    }
    sorted[place] = x;
  }
  box[axis] = low;
  box[3 + axis] = high;
}

MOTE_HD static inline void mote_nearest_join_boxes(float *boxes, int64_t node) {
  const float *left = boxes + 2 * node * 6, *right = left + 6;
  for (int a = 0; a < 3; a++) {
    boxes[node * 6 + a] = left[a] < right[a] ? left[a] : right[a];
    boxes[node * 6 + 3 + a] = left[3 + a] > right[3 + a] ? left[3 + a] : right[3 + a];
  }
}

#ifdef __cplusplus
}
#endif
#endif
