/* Neighbour search within a radius on a uniform grid: sort the points by cell, then for every receiver test
   the points of the 9 (2-D) or 27 (3-D) cells around it; count, scan, fill.

   The trick to know: the grid has no bounds. Cells are numbered from the origin of space. When the box of
   occupied cells has no more cells than the table, a cell's bucket is its place in that box (dense); when it
   has more, the bucket is a hash (sparse) whose low bits are the cell coordinates modulo 4, so that the cells
   around a receiver never share a bucket and no point is met twice. Either way a bucket only proposes
   candidates: mote_neighbor_hit() alone decides, in the same float32 operations on every device, and so
   every device gives the same sets. */
#ifndef MOTE_KERNELS_NEIGHBOR_H
#define MOTE_KERNELS_NEIGHBOR_H

#include <math.h>
#include <string.h>

#include "kernels/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  MOTE_NEIGHBOR_INCLUSIVE = 1,   /* |x_i - x_j| <= r instead of < r */
  MOTE_NEIGHBOR_EXCLUDE_SELF = 2 /* leaves out the pair of equal indices: a radius graph without self-loops */
};

/* What the kernels decide on the device; host code downloads it when it wants to know. */
typedef struct mote_cells_state {
  int32_t low[3], high[3]; /* the box of occupied cells, ends included */
  int32_t dense;
  int32_t bad_point; /* smallest index of a point that is not finite; INT32_MAX: none */
  int32_t bad_query;
  int32_t overflow; /* the last fill did not fit its capacity and emptied every row */
  uint64_t edges;   /* of the last count */
} mote_cells_state;

/* Points (or queries) in the order of their buckets, equal buckets in index order. The three coordinate
   arrays lie `stride` apart in `sorted`; the third is 0 in 2-D. */
typedef struct mote_cell_order {
  int64_t count, stride;
  mote_buffer keys, order, sorted;
} mote_cell_order;

/* The grid of one point set. All zero is a valid empty one. */
typedef struct mote_cells {
  int dim, table_bits; /* the table has 2^table_bits buckets */
  float radius;
  mote_cell_order points;
  mote_buffer state; /* one mote_cells_state */
  mote_buffer start; /* 2^table_bits + 1: bucket b holds points start[b] .. start[b+1] of the order */
  mote_buffer scratch;
  int takes_many; /* no kernels of few points, where a device has such */
} mote_cells;

struct mote_neighbor_kernels {
  /* Sorts points (n, dim) f32 into cells for searches within `cells->radius`; dim, radius, table_bits and
     the room in every buffer are set by mote_cells_reserve(). n > 0. */
  mote_status (*build)(mote_stream *stream, mote_cells *cells, const float *points);

  /* Sorts queries (m, dim) f32 by the bucket of the cell they are in (or nearest to). m > 0. The same points
     may be searched for other queries without another build. */
  mote_status (*sort_queries)(mote_stream *stream, mote_cells *cells, mote_cell_order *queries,
                              const float *positions);

  /* counts[q] = neighbours of query q, and their sum in the state; once a build or sort_queries. `queries`
     may be &cells->points. */
  mote_status (*count)(mote_stream *stream, mote_cells *cells, const mote_cell_order *queries, int flags,
                       int32_t *counts);

  /* senders[row_offsets[q] ...] = the neighbours of q in ascending order; receivers (may be NULL) = q.
     row_offsets (m+1) is the scan of the counts. When the state says there are more than `capacity` edges it
     writes none, sets every offset to 0 and the overflow flag. */
  mote_status (*fill)(mote_stream *stream, mote_cells *cells, const mote_cell_order *queries, int flags,
                      int32_t *row_offsets, int64_t capacity, int32_t *senders, int32_t *receivers);
};

/* Makes room for n points; sets dim, radius and the table. Radii whose square leaves float32 are refused. */
mote_status mote_cells_reserve(mote_cells *cells, mote_device *device, int64_t n, int dim, float radius);
mote_status mote_cell_order_reserve(mote_cell_order *order, mote_device *device, int64_t count);
void mote_cell_order_free(mote_cell_order *order);
void mote_cells_free(mote_cells *cells);

/* ---- Per-element math ---- */

/* Squared distance. The fused operations are spelled out so that no compiler chooses differently. */
MOTE_HD static inline float mote_distance2(float dx, float dy, float dz) {
  return fmaf(dz, dz, fmaf(dy, dy, dx * dx));
}

MOTE_HD static inline int mote_neighbor_hit(float distance2, float radius2, int inclusive) {
  return inclusive ? distance2 <= radius2 : distance2 < radius2;
}

/* Cells are wider than the radius by 2^-19, which covers what the rounding of the predicate (2^-22) and of
   the coordinate (2^-27) can add: points within the radius are in cells that touch. */
MOTE_HD static inline double mote_cells_inverse_width(float radius) {
  return 1.0 / ((double)radius * (1.0 + 0x1p-19));
}

/* The cell of coordinate x along one axis. At 2^30 cells from the origin neighbouring floats are further
   apart than the radius, so that only equal coordinates meet there and the bits of x serve as its cell. */
MOTE_HD static inline int32_t mote_cell_coordinate(float x, double inverse_width) {
  double cell = floor((double)x * inverse_width);
  int32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return fabs(cell) < 1073741824.0 ? (int32_t)cell : (bits & 0x7f800000) == 0x7f800000 ? 0 : bits;
}

MOTE_HD static inline int mote_is_finite_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return (bits & 0x7f800000u) != 0x7f800000u;
}

MOTE_HD static inline int64_t mote_cells_size(const mote_cells_state *state, int axis) {
  return (int64_t)state->high[axis] - state->low[axis] + 1;
}

MOTE_HD static inline int mote_cells_fit(const mote_cells_state *state, int table_bits) {
  double cells = (double)mote_cells_size(state, 0) * (double)mote_cells_size(state, 1) *
                 (double)mote_cells_size(state, 2);
  return cells <= (double)(1ull << table_bits);
}

MOTE_HD static inline uint32_t mote_dense_bucket(const mote_cells_state *state, int32_t x, int32_t y,
                                                 int32_t z) {
  uint32_t nx = (uint32_t)mote_cells_size(state, 0), ny = (uint32_t)mote_cells_size(state, 1);
  return ((uint32_t)(z - state->low[2]) * ny + (uint32_t)(y - state->low[1])) * nx +
         (uint32_t)(x - state->low[0]);
}

MOTE_HD static inline uint32_t mote_sparse_bucket(int table_bits, int32_t x, int32_t y, int32_t z) {
  uint32_t ux = (uint32_t)x, uy = (uint32_t)y, uz = (uint32_t)z;
  uint32_t h = (ux >> 2) * 0x9E3779B1u ^ (uy >> 2) * 0x85EBCA77u ^ (uz >> 2) * 0xC2B2AE3Du;
  h = (h ^ h >> 16) * 0x7FEB352Du;
  h = (h ^ h >> 15) * 0x846CA68Bu;
  h ^= h >> 16;
  return (h & ((1u << (table_bits - 6)) - 1)) << 6 | (uz & 3) << 4 | (uy & 3) << 2 | (ux & 3);
}

MOTE_HD static inline int32_t mote_clamp_cell(int32_t c, int32_t low, int32_t high) {
  return c < low ? low : c > high ? high : c;
}

/* The cell that stands for coordinate x: in a dense grid the nearest one of the box, which keeps cells that
   touch touching. */
MOTE_HD static inline int32_t mote_cells_locate(const mote_cells_state *state, int axis, float x,
                                                double inverse_width) {
  int32_t c = mote_cell_coordinate(x, inverse_width);
  return state->dense ? mote_clamp_cell(c, state->low[axis], state->high[axis]) : c;
}

MOTE_HD static inline uint32_t mote_cells_bucket(const mote_cells_state *state, int table_bits,
                                                 const int32_t cell[3]) {
  return state->dense ? mote_dense_bucket(state, cell[0], cell[1], cell[2])
                      : mote_sparse_bucket(table_bits, cell[0], cell[1], cell[2]);
}

/* The points around a cell as at most 27 ranges [begin, end) of the order. In a dense grid the cells of a row
   along x follow each other: with `joined` each row is one range, else each range is one bucket, and so in
   index order. Returns the number of ranges that hold points. */
MOTE_HD static inline int mote_cells_around(const mote_cells_state *state, int table_bits, int dim,
                                            const int32_t *start, const int32_t cell[3], int joined,
                                            int32_t begin[27], int32_t end[27]) {
  int32_t low[3], high[3];
  int ranges = 0;
  for (int a = 0; a < 3; a++) {
    low[a] = cell[a] - (a < dim);
    high[a] = cell[a] + (a < dim);
    if (state->dense) {
      low[a] = mote_clamp_cell(low[a], state->low[a], state->high[a]);
      high[a] = mote_clamp_cell(high[a], state->low[a], state->high[a]);
    }
  }
  int step = joined && state->dense ? high[0] - low[0] + 1 : 1;
  for (int32_t z = low[2]; z <= high[2]; z++)
    for (int32_t y = low[1]; y <= high[1]; y++)
      for (int32_t x = low[0]; x <= high[0]; x += step) {
        uint32_t bucket =
            state->dense ? mote_dense_bucket(state, x, y, z) : mote_sparse_bucket(table_bits, x, y, z);
        begin[ranges] = start[bucket];
        end[ranges] = start[bucket + (uint32_t)step];
        ranges += begin[ranges] < end[ranges];
      }
  return ranges;
}

#ifdef __cplusplus
}
#endif
#endif
