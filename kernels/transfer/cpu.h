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

/* Particle-local spline: weights and distances (in cells) of the three nodes an axis. */
typedef struct mote_spline {
  float weight[3][4], distance[3][4];
} mote_spline;

/* The weights of the innermost axis over the four quads of a row, w = alpha + beta (half + s g)^2. */
#define QUADS(a, b, c, d) ((v16){a, a, a, a, b, b, b, b, c, c, c, c, d, d, d, d})
#define QUADS_MOMENTUM(a, b, c, d) ((v16){a, a, a, 0, b, b, b, 0, c, c, c, 0, d, d, d, 0})

typedef struct mote_row_weights {
  v16 weight;          /* w_k in quad k */
  v16 momentum_weight; /* the same, 0 in the mass lane */
  v16 distance;        /* k - f */
} mote_row_weights;

MOTE_INLINE mote_row_weights mote_row(float g) {
  v16 t = QUADS(0.5f, 0, 0.5f, 0) + QUADS(-1.f, 1.f, 1.f, 0) * g, square = t * t;
  return (mote_row_weights){QUADS(0, 0.75f, 0, 0) + QUADS(0.5f, -1.f, 0.5f, 0) * square,
                            QUADS_MOMENTUM(0, 0.75f, 0, 0) + QUADS_MOMENTUM(0.5f, -1.f, 0.5f, 0) * square,
                            QUADS(-1.f, 0, 1.f, 0) - g};
}

MOTE_INLINE mote_spline mote_spline_at(v4 g) {
  mote_spline s;
  v4 low = 0.5f - g, high = 0.5f + g;
  v4_store(s.weight[0], 0.5f * low * low);
  v4_store(s.weight[1], 0.75f - g * g);
  v4_store(s.weight[2], 0.5f * high * high);
  v4_store(s.distance[0], -1.f - g);
  v4_store(s.distance[1], -g);
  v4_store(s.distance[2], 1.f - g);
  return s;
}

/* Position relative to the middle node of the cell's stencil. */
MOTE_INLINE v4 mote_offset_in_cell(const float *record, v4 middle) {
  return (v4){record[7], record[11], record[15], 0} - middle;
}

/* Few particles are done sooner by one thread than by a team that has to meet at the end of every loop. */
static inline int mote_transfer_threads(const mote_stream *stream, const mote_transfer_view *t) {
  return t->count < 8192 ? 1 : mote_stream_threads(stream);
}

mote_status mote_transfer_cpu_sort(mote_stream *stream, mote_transfer *transfer);
mote_status mote_transfer_cpu_p2g(mote_stream *stream, mote_transfer *transfer);
mote_status mote_transfer_cpu_grid_update(mote_stream *stream, mote_transfer *transfer);
mote_status mote_transfer_cpu_g2p(mote_stream *stream, mote_transfer *transfer);

#endif
