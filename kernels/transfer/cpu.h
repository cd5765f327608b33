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
   coordinate t is node t - shift of that block. */
typedef struct mote_overlap {
  int first, last, shift;
} mote_overlap;
static const mote_overlap mote_overlaps[3] = {{0, 0, -3}, {1, 4, 1}, {5, 7, 5}};

/* Weights and distances of the three nodes of an axis, the same in every lane. */
typedef struct mote_spline {
  v16 weight[3], distance[3];
} mote_spline;

/* g = x - base - 1 in [-1/2, 1/2] */
MOTE_INLINE mote_spline mote_spline_at(v16 g) {
  v16 low = 0.5f - g, high = 0.5f + g;
  return (mote_spline){{0.5f * low * low, 0.75f - g * g, 0.5f * high * high}, {-1.f - g, -g, 1.f - g}};
}

/* The same along the innermost axis, node k in quad k, w = alpha + beta (half + s g)^2; quad 3 is 0. */
#define QUADS(a, b, c, d) ((v16){a, a, a, a, b, b, b, b, c, c, c, c, d, d, d, d})
#define QUADS_MOMENTUM(a, b, c, d) ((v16){a, a, a, 0, b, b, b, 0, c, c, c, 0, d, d, d, 0})

typedef struct mote_row_weights {
  v16 weight;
  v16 momentum_weight; /* 0 in the mass lane */
  v16 distance;
} mote_row_weights;

MOTE_INLINE mote_row_weights mote_row(v16 g) {
  v16 t = QUADS(0.5f, 0, 0.5f, 0) + QUADS(-1.f, 1.f, 1.f, 0) * g, square = t * t;
  return (mote_row_weights){QUADS(0, 0.75f, 0, 0) + QUADS(0.5f, -1.f, 0.5f, 0) * square,
                            QUADS_MOMENTUM(0, 0.75f, 0, 0) + QUADS_MOMENTUM(0.5f, -1.f, 0.5f, 0) * square,
                            QUADS(-1.f, 0, 1.f, 0) - g};
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
mote_status mote_transfer_cpu_reverse(mote_stream *stream, const mote_transfer *transfer,
                                      mote_transfer_reverse *room, const mote_transfer_gradients *gradients,
                                      double *motion);

/* A block's particles to its tile (p2g.c). */
void mote_transfer_cpu_scatter(const mote_transfer_view *t, int slot);

/* Behind p2g of the step and the nodes' reverse: `record` those of mote_reverse_record(), `by_node` as
   view.grid (reverse_gather.c). */
void mote_transfer_cpu_reverse_gather(mote_stream *stream, const mote_transfer_view *t, const float *record,
                                      const float *by_node, const mote_transfer_gradients *gradients);

#endif
