/* What the CPU files of this family share. A tile on the CPU spans 8^dim nodes from the block's corner - 1,
   so that particles may drift a cell out of their block before they have to be sorted again. */
#ifndef MOTE_KERNELS_TRANSFER_CPU_H
#define MOTE_KERNELS_TRANSFER_CPU_H

#include "kernels/transfer/grid.h"
#include "kernels/transfer/lanes.h"

enum { TILE_SIDE = 8, TILE_MARGIN = 1, TILE_CELLS = 6 };

/* Floats of a tile: 4 a node, and 16 for the last row's unused quad. */
MOTE_INLINE size_t mote_tile_floats(int dim) {
  return (size_t)(dim == 3 ? 512 : 64) * 4 + 16;
}
/* Offset in a tile of the first node of a local cell, 0..5 an axis. */
MOTE_INLINE int mote_tile_offset(int dim, int x, int y, int z) {
  return dim == 3 ? ((x * TILE_SIDE + y) * TILE_SIDE + z) * 4 : (x * TILE_SIDE + y) * 4;
}

/* Which nodes of a tile lie in the block `offset` (-1, 0, 1) away: tile coordinates first..last; tile
   coordinate t is node t - shift of that block. Where no particle has drifted, nothing reaches the margin. */
typedef struct mote_overlap {
  int first, last, shift;
} mote_overlap;
MOTE_INLINE mote_overlap mote_overlap_at(int drifts, int offset) {
  if (offset < 0) return (mote_overlap){0, drifts ? 0 : -1, -3};
  return offset ? (mote_overlap){5, drifts ? 7 : 6, 5} : (mote_overlap){1, 4, 1};
}

/* Weights and distances of the three nodes of an axis, the same in every lane. */
typedef struct mote_spline {
  mote_w weight[3], distance[3];
} mote_spline;

/* g = x - base - 1 in [-1/2, 1/2] */
MOTE_INLINE mote_spline mote_spline_at(float place, float middle) {
  const mote_w g = w_set(place - middle), low = 0.5f - g, high = 0.5f + g;
  return (mote_spline){{0.5f * low * low, 0.75f - g * g, 0.5f * high * high}, {-1.f - g, -g, 1.f - g}};
}

/* The same along the innermost axis, node k in the row's quad k, w = alpha + beta (half + s g)^2; quads
   behind are 0. */
#define MOTE_IN_QUADS(a, b, c)                                                                               \
  { a, a, a, a, b, b, b, b, c, c, c, c, 0, 0, 0, 0 }

typedef struct mote_row_weights {
  mote_w weight[MOTE_ROW_PARTS];
  mote_w momentum_weight[MOTE_ROW_PARTS]; /* 0 in the mass lane */
  mote_w distance[MOTE_ROW_PARTS];
} mote_row_weights;

/* The first three lanes of quads. */
MOTE_INLINE mote_wi mote_momentum_lanes(void) {
  static const _Alignas(64) int32_t lanes[16] = {-1, -1, -1, 0, -1, -1, -1, 0, -1, -1, -1, 0, -1, -1, -1, 0};
  return *(const mote_wi *)lanes;
}

MOTE_INLINE mote_row_weights mote_row(float place, float middle) {
  static const _Alignas(64) float alpha[16] = MOTE_IN_QUADS(0, 0.75f, 0),
                                  beta[16] = MOTE_IN_QUADS(0.5f, -1, 0.5f),
                                  half[16] = MOTE_IN_QUADS(0.5f, 0, 0.5f), s[16] = MOTE_IN_QUADS(-1, 1, 1),
                                  node[16] = MOTE_IN_QUADS(-1, 0, 1);
  const mote_w g = w_set(place - middle);
  mote_row_weights row;
  for (int p = 0; p < MOTE_ROW_PARTS; p++) {
    const int at = p * MOTE_WIDTH;
    const mote_w t = w_load(half + at) + w_load(s + at) * g;
    row.weight[p] = w_load(alpha + at) + w_load(beta + at) * (t * t);
    row.momentum_weight[p] = w_and(row.weight[p], mote_momentum_lanes());
    row.distance[p] = w_load(node + at) - g;
  }
  return row;
}

/* Where a cell of a tile lies: the first float of its first node, and the middle of its particles' stencils.
 */
typedef struct mote_cell {
  int node;
  float middle[3];
} mote_cell;

MOTE_INLINE mote_cell mote_cell_at(int dim, const int corner[3], int cell) {
  const int side_z = dim == 3 ? TILE_CELLS : 1;
  const int z = cell % side_z, y = cell / side_z % TILE_CELLS, x = cell / side_z / TILE_CELLS;
  return (mote_cell){mote_tile_offset(dim, x, y, z),
                     {(float)(corner[0] + x), (float)(corner[1] + y), (float)(corner[2] + z)}};
}

/* Rows of three nodes that a stencil has, and where the r-th begins, in floats from its first node. */
#define MOTE_STENCIL_ROWS(dim) ((dim) == 3 ? 9 : 3)
MOTE_INLINE int mote_row_offset(int dim, int r) {
  return dim == 3 ? mote_tile_offset(3, r / 3, r % 3, 0) : mote_tile_offset(2, r, 0, 0);
}

/* The tile cell of a stencil base given from the block's corner, as kept in `key` between steps. */
MOTE_INLINE int mote_tile_cell(int dim, int x, int y, int z) {
  int cell = (x + TILE_MARGIN) * TILE_CELLS + y + TILE_MARGIN;
  return dim == 3 ? cell * TILE_CELLS + z + TILE_MARGIN : cell;
}

/* How many particles ahead rows are fetched: the order by cell jumps about in a block's rows. */
enum { PREFETCH = 12 };

/* Few particles are done sooner by one thread than by a team that has to meet at the end of every loop: where
   there is something to compute, and where rows are only moved. */
static inline int mote_transfer_threads(const mote_stream *stream, const mote_transfer_view *t) {
  return t->count < 512 ? 1 : mote_stream_threads(stream);
}
static inline int mote_transfer_movers(const mote_stream *stream, const mote_transfer_view *t) {
  return t->count < 8192 ? 1 : mote_stream_threads(stream);
}

/* Keys, order and blocks of the scene's rows, where the device's are not there yet (sort.c). */
mote_status mote_transfer_cpu_order(mote_stream *stream, mote_transfer *transfer,
                                    const mote_transfer_arrays *arrays);
mote_status mote_transfer_cpu_sort(mote_stream *stream, mote_transfer *transfer);
mote_status mote_transfer_cpu_p2g(mote_stream *stream, mote_transfer *transfer);
mote_status mote_transfer_cpu_grid_update(mote_stream *stream, mote_transfer *transfer);
mote_status mote_transfer_cpu_g2p(mote_stream *stream, mote_transfer *transfer,
                                  const mote_transfer_arrays *to);
mote_status mote_transfer_cpu_reverse(mote_stream *stream, const mote_transfer_view *view,
                                      mote_transfer_reverse *room, const mote_transfer_gradients *gradients,
                                      double *motion);

/* Behind the order of a step, where there is room: what its reverse will read is to be written there, and the
   view points to it; keys are still the caller's to copy. And back to the transfer's own memory (keep.c). */
void mote_transfer_cpu_keep(mote_transfer *transfer, mote_transfer_kept *kept);
void mote_transfer_cpu_own(mote_transfer *transfer);

/* A block's particles to its tile (p2g.c). */
void mote_transfer_cpu_scatter(const mote_transfer_view *t, int slot);

/* Behind p2g of the step and the nodes' reverse: `record` those of mote_reverse_record(), `by_node` as
   view.grid (reverse_gather.c). */
void mote_transfer_cpu_reverse_gather(mote_stream *stream, const mote_transfer_view *t, const float *record,
                                      const float *by_node, const mote_transfer_gradients *gradients);

#endif
