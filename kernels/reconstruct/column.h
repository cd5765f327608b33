/* The sparse particles around a column of nodes, for the CPU's sums over them.

   The trick: the nodes (i, j, *) see a particle at the same offsets along x and y, so the particles that come
   near the column are picked once, one behind the other in the order of the bins' layers, and each of the
   column's nodes sums over the three layers around it. Of the particles it looks at nearly one in two is
   within the radius; of those in the 27 bins around it one in six is. */
#ifndef MOTE_KERNELS_RECONSTRUCT_COLUMN_H
#define MOTE_KERNELS_RECONSTRUCT_COLUMN_H

#include <string.h>

#include "kernels/dense/vector.h"
#include "kernels/reconstruct/field.h"

#define MOTE_COLUMN_ROOM 1024 /* particles; more come in several pieces */
#define MOTE_COLUMN_ROW (MOTE_COLUMN_ROOM + MOTE_LANES)
#define MOTE_COLUMN_NODES 32  /* nodes that a column serves, at most */
#define MOTE_COLUMN_LAYERS 48 /* layers of bins around them, at most */

/* `count` particles; those of layer l, counted from the first, are start[l] to start[l + 1]. Rows may be read
   up to MOTE_LANES behind the last particle. */
typedef struct mote_column {
  int count, layers, first_layer;
  int start[MOTE_COLUMN_LAYERS + 1];
  int32_t place[MOTE_COLUMN_ROW];                                       /* among the packed particles */
  float x[MOTE_COLUMN_ROW], y[MOTE_COLUMN_ROW], flat2[MOTE_COLUMN_ROW]; /* offsets / unit; x^2 + y^2 */
  float z[MOTE_COLUMN_ROW];                                             /* positions, m */
} mote_column;

/* Where the picking of a column's particles stands. */
typedef struct mote_column_cursor {
  int layer, bin; /* of the up to 9 bins of a layer */
  int32_t next;   /* packed particle */
  int done;
} mote_column_cursor;

/* A column's nodes [first, first + nodes) along z and what they have in common. */
typedef struct mote_column_plan {
  const mote_lattice *lattice;
  const mote_bins *bins;
  const mote_packed *packed;
  float x[2], inverse_unit, reach2; /* m; 1/m; units squared */
  int lo[2], hi[2];                 /* bins along x and y */
  int first, nodes, first_layer, layers;
} mote_column_plan;

static inline float mote_column_z(const mote_column_plan *plan, int k) {
  return plan->lattice->origin[2] + plan->lattice->spacing * (float)k;
}

/* Plans the nodes from (i, j, first) on, up to `end`: as many as a column serves. */
static inline mote_column_plan mote_plan_column(const mote_lattice *lattice, const mote_bins *bins,
                                                const mote_packed *packed, float radius, int i, int j,
                                                int first, int end) {
  float node[3], inverse_unit = 1 / lattice->unit, reach = radius * inverse_unit;
  mote_column_plan plan = {lattice, bins, packed, .inverse_unit = inverse_unit, .reach2 = reach * reach};
  mote_node_position(lattice, (const int[3]){i, j, first}, node);
  for (int a = 0; a < 2; a++) {
    plan.x[a] = node[a];
    mote_bins_around(bins, a, node[a], &plan.lo[a], &plan.hi[a]);
  }
  plan.first = first;
  for (int k = first; k < end && plan.nodes < MOTE_COLUMN_NODES; k++, plan.nodes++) {
    int lo, hi;
    mote_bins_around(bins, 2, mote_column_z(&plan, k), &lo, &hi);
    if (k == first) plan.first_layer = lo;
    if (hi - plan.first_layer >= MOTE_COLUMN_LAYERS) break;
    plan.layers = hi - plan.first_layer + 1;
  }
  return plan;
}

/* Appends the particles of [begin, end) that come within reach of the column while there is room; returns the
   first one that it has not looked at. */
static inline int32_t mote_pick_run(const mote_column_plan *plan, int32_t begin, int32_t end,
                                    mote_column *column) {
  const float *x = plan->packed->rows, *y = x + plan->packed->stride;
  int32_t i = begin;
  for (; i < end && column->count <= MOTE_COLUMN_ROOM - MOTE_LANES; i += MOTE_LANES) {
    mote_v dx = (mote_v_load(x + i) - plan->x[0]) * plan->inverse_unit;
    mote_v dy = (mote_v_load(y + i) - plan->x[1]) * plan->inverse_unit;
    mote_vi near = dx * dx + dy * dy < plan->reach2;
    int32_t kept[MOTE_LANES], count = column->count;
    memcpy(kept, &near, sizeof kept);
    for (int l = 0; l < MOTE_LANES; l++) {
      column->place[count] = i + l;
      count -= kept[l] & -(i + l < end);
    }
    column->count = count;
  }
  return i < end ? i : end;
}

static inline void mote_fill_rows(const mote_column_plan *plan, mote_column *column) {
  const float *x = plan->packed->rows, *y = x + plan->packed->stride, *z = y + plan->packed->stride;
  int n = column->count;
  for (int c = 0; c < n; c++) {
    int32_t p = column->place[c];
    float dx = (x[p] - plan->x[0]) * plan->inverse_unit, dy = (y[p] - plan->x[1]) * plan->inverse_unit;
    column->x[c] = dx;
    column->y[c] = dy;
    column->z[c] = z[p];
    column->flat2[c] = dx * dx + dy * dy;
  }
  for (int l = 0; l < MOTE_LANES; l++)
    column->x[n + l] = column->y[n + l] = column->z[n + l] = column->flat2[n + l] = 0;
}

/* The next piece of the column's particles; 0 when there are no more. A cursor starts as all zero. */
static inline int mote_next_piece(const mote_column_plan *plan, mote_column_cursor *at, mote_column *column) {
  const mote_bins *bins = plan->bins;
  int wide = plan->hi[1] - plan->lo[1] + 1, last = (plan->hi[0] - plan->lo[0] + 1) * wide;
  column->count = 0;
  column->first_layer = plan->first_layer;
  column->layers = plan->layers;
  if (at->done) return 0;
  for (int l = 0; l <= at->layer; l++) column->start[l] = 0;
  while (at->layer < plan->layers) {
    int i = plan->lo[0] + at->bin / wide, j = plan->lo[1] + at->bin % wide;
    int64_t bin = ((int64_t)i * bins->count[1] + j) * bins->count[2] + plan->first_layer + at->layer;
    int32_t begin = plan->packed->bin_start[bin], end = plan->packed->bin_start[bin + 1];
    at->next = mote_pick_run(plan, begin > at->next ? begin : at->next, end, column);
    if (at->next < end) break;
    at->next = 0;
    if (++at->bin < last) continue;
    at->bin = 0;
    column->start[++at->layer] = column->count;
  }
  at->done = at->layer == plan->layers;
  for (int l = at->layer + 1; l <= plan->layers; l++) column->start[l] = column->count;
  mote_fill_rows(plan, column);
  return 1;
}

/* The particles of `from` within a smaller reach of the column. */
static inline void mote_narrow_column(const mote_column *from, float reach2, mote_column *to) {
  int n = 0;
  to->layers = from->layers;
  to->first_layer = from->first_layer;
  for (int l = 0; l < from->layers; l++) {
    to->start[l] = n;
    for (int c = from->start[l]; c < from->start[l + 1]; c++) {
      to->place[n] = from->place[c];
      to->x[n] = from->x[c];
      to->y[n] = from->y[c];
      to->z[n] = from->z[c];
      to->flat2[n] = from->flat2[c];
      n += from->flat2[c] < reach2;
    }
  }
  to->count = to->start[to->layers] = n;
  for (int l = 0; l < MOTE_LANES; l++) to->x[n + l] = to->y[n + l] = to->z[n + l] = to->flat2[n + l] = 0;
}

/* to[c] = row[place[c]], and zeros behind the last one. */
static inline void mote_pull_row(const mote_column *column, const float *row, float *to) {
  for (int c = 0; c < column->count; c++) to[c] = row[column->place[c]];
  memset(to + column->count, 0, MOTE_LANES * sizeof *to);
}

/* ---- sums at a node ---- */

/* The particles [begin, begin + count) of a column that a node at height z looks at, and their weights. */
typedef struct mote_column_view {
  int begin, count;
  float z, inverse_unit;
  float weight[MOTE_COLUMN_ROW];
} mote_column_view;

/* The layers within `reach` m of the node, and the weights (1 - d^2 / reach2)^3 with d in units. */
static inline void mote_view_node(const mote_column *column, const mote_column_plan *plan, int k, float reach,
                                  float reach2, mote_column_view *view) {
  const mote_bins *bins = plan->bins;
  float z = mote_column_z(plan, k), scale = 1 / reach2, slack = 1e-4f * bins->size;
  int lo = (int)floorf((z - reach - slack - bins->origin[2]) / bins->size) - column->first_layer;
  int hi = (int)floorf((z + reach + slack - bins->origin[2]) / bins->size) - column->first_layer;
  int top = column->layers - 1;
  lo = lo < 0 ? 0 : lo > top ? top : lo;
  hi = hi < 0 ? 0 : hi > top ? top : hi;
  view->begin = column->start[lo];
  view->count = column->start[hi + 1] - column->start[lo];
  view->z = z;
  view->inverse_unit = plan->inverse_unit;
  const float *flat2 = column->flat2 + view->begin, *height = column->z + view->begin;
  for (int c = 0; c < view->count; c += MOTE_LANES) {
    mote_v d = (mote_v_load(height + c) - z) * plan->inverse_unit;
    mote_v q = 1 - (mote_v_load(flat2 + c) + d * d) * scale;
    q = (mote_v)((mote_vi)q & (q > 0));
    mote_v_store(view->weight + c, q * q * q);
  }
  memset(view->weight + view->count, 0, MOTE_LANES * sizeof *view->weight);
}

typedef float mote_v4 __attribute__((vector_size(16), aligned(4), may_alias));

MOTE_VECTOR mote_v4 mote_v_fold(mote_v x) {
  float lane[MOTE_LANES];
  mote_v_store(lane, x);
  mote_v4 sum = *(mote_v4 *)lane + *(mote_v4 *)(lane + 4);
#if MOTE_LANES == 16
  sum += *(mote_v4 *)(lane + 8) + *(mote_v4 *)(lane + 12);
#endif
  return sum;
}

/* out[k] += the sum of the lanes of x[k], k < 4. */
MOTE_VECTOR void mote_v_add_sums4(const mote_v *x, float *out) {
  mote_v4 a = mote_v_fold(x[0]), b = mote_v_fold(x[1]), c = mote_v_fold(x[2]), d = mote_v_fold(x[3]);
  mote_v4 ab = __builtin_shufflevector(a, b, 0, 4, 1, 5) + __builtin_shufflevector(a, b, 2, 6, 3, 7);
  mote_v4 cd = __builtin_shufflevector(c, d, 0, 4, 1, 5) + __builtin_shufflevector(c, d, 2, 6, 3, 7);
  *(mote_v4 *)out +=
      __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
}

/* sum[10] += w, w d (3), w d d^T (xx xy xz yy yz zz) */
static inline void mote_sum_shape(const mote_column *column, const mote_column_view *view, float *sum) {
  const float *x = column->x + view->begin, *y = column->y + view->begin, *z = column->z + view->begin;
  mote_v s[12];
  for (int k = 0; k < 12; k++) s[k] = mote_v_set(0);
  for (int c = 0; c < view->count; c += MOTE_LANES) {
    mote_v w = mote_v_load(view->weight + c), dx = mote_v_load(x + c), dy = mote_v_load(y + c);
    mote_v dz = (mote_v_load(z + c) - view->z) * view->inverse_unit;
    mote_v wx = w * dx, wy = w * dy, wz = w * dz;
    s[0] += w;
    s[1] += wx;
    s[2] += wy;
    s[3] += wz;
    s[4] += wx * dx;
    s[5] += wx * dy;
    s[6] += wx * dz;
    s[7] += wy * dy;
    s[8] += wy * dz;
    s[9] += wz * dz;
  }
  float out[12] = {0};
  for (int k = 0; k < 12; k += 4) mote_v_add_sums4(s + k, out + k);
  for (int k = 0; k < 10; k++) sum[k] += out[k];
}

/* sum[12] += w u (3), w u_c d_a (9); rows u of the column. */
static inline void mote_sum_vector(const mote_column *column, const mote_column_view *view,
                                   const float (*row)[MOTE_COLUMN_ROW], float *sum) {
  const float *x = column->x + view->begin, *y = column->y + view->begin, *z = column->z + view->begin;
  const float *u[3] = {row[0] + view->begin, row[1] + view->begin, row[2] + view->begin};
  mote_v s[12];
  for (int k = 0; k < 12; k++) s[k] = mote_v_set(0);
  for (int c = 0; c < view->count; c += MOTE_LANES) {
    mote_v w = mote_v_load(view->weight + c);
    mote_v dz = (mote_v_load(z + c) - view->z) * view->inverse_unit;
    mote_v wx = w * mote_v_load(x + c), wy = w * mote_v_load(y + c), wz = w * dz;
    for (int k = 0; k < 3; k++) {
      mote_v v = mote_v_load(u[k] + c);
      s[k] += w * v;
      s[3 + 3 * k] += wx * v;
      s[4 + 3 * k] += wy * v;
      s[5 + 3 * k] += wz * v;
    }
  }
  for (int k = 0; k < 12; k += 4) mote_v_add_sums4(s + k, sum + k);
}

#endif
