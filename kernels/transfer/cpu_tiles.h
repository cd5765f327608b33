/* Tiles of neighbouring blocks summed at the nodes of one, in a fixed order, and nodes copied into a tile, on
   the CPU. */
#ifndef MOTE_KERNELS_TRANSFER_CPU_TILES_H
#define MOTE_KERNELS_TRANSFER_CPU_TILES_H

#include "kernels/transfer/cpu.h"

/* Adds the part of a neighbour's tile that lies in this block. */
MOTE_INLINE void add_tile(int dim, int drifts, const float *tile, const int towards[3], float *node) {
  const mote_overlap x = mote_overlap_at(drifts, towards[0]), y = mote_overlap_at(drifts, towards[1]);
  if (dim == 2) {
    for (int i = x.first; i <= x.last; i++)
      for (int j = y.first; j <= y.last; j++) {
        float *to = node + ((i - x.shift) * 4 + j - y.shift) * 4;
        q_store(to, q_load(to) + q_load(tile + mote_tile_offset(2, i, j, 0)));
      }
    return;
  }
  const mote_overlap z = mote_overlap_at(drifts, towards[2]);
  for (int i = x.first; i <= x.last; i++)
    for (int j = y.first; j <= y.last; j++)
      for (int k = z.first; k <= z.last; k++) {
        float *to = node + (((i - x.shift) * 4 + j - y.shift) * 4 + k - z.shift) * 4;
        q_store(to, q_load(to) + q_load(tile + mote_tile_offset(3, i, j, k)));
      }
}

/* The slot of the block (dx, dy, dz) away, or -1. */
MOTE_INLINE int neighbour_slot(const mote_transfer_view *t, const int32_t *slots, const int corner[3], int dx,
                               int dy, int dz) {
  int x = corner[0] / 4 + dx, y = corner[1] / 4 + dy, z = corner[2] / 4 + dz;
  if (x < 0 || y < 0 || z < 0 || x >= t->blocks[0] || y >= t->blocks[1] || z >= t->blocks[2]) return -1;
  return slots[(x * t->blocks[1] + y) * t->blocks[2] + z];
}

/* The nodes (4^dim, 4) of the block at `corner`: what all tiles around have there. */
MOTE_INLINE void mote_sum_tiles(const mote_transfer_view *t, int dim, int drifts, const float *tiles,
                                const int corner[3], float *node) {
  const int nodes = dim == 3 ? 64 : 16, reach_z = dim == 3 ? 1 : 0, last = drifts ? 1 : 0;
  memset(node, 0, (size_t)nodes * 4 * sizeof *node);
  for (int x = -1; x <= last; x++)
    for (int y = -1; y <= last; y++)
      for (int z = -reach_z; z <= reach_z * last; z++) {
        int tile = neighbour_slot(t, t->tile_slot, corner, x, y, z);
        if (tile < 0) continue;
        add_tile(dim, drifts, tiles + (size_t)tile * mote_tile_floats(dim), (int[3]){-x, -y, -z}, node);
      }
}

/* Copies the part of block `towards` that the tile covers; a block that is not active is all zero. */
MOTE_INLINE void copy_to_tile(int dim, int drifts, const float *node, const int towards[3], float *tile) {
  const mote_overlap x = mote_overlap_at(drifts, towards[0]), y = mote_overlap_at(drifts, towards[1]);
  const mote_overlap z = mote_overlap_at(drifts, dim == 3 ? towards[2] : 0);
  for (int i = x.first; i <= x.last; i++)
    for (int j = y.first; j <= y.last; j++) {
      if (dim == 2) {
        q_store(tile + mote_tile_offset(2, i, j, 0), q_load(node + ((i - x.shift) * 4 + j - y.shift) * 4));
        continue;
      }
      for (int k = z.first; k <= z.last; k++)
        q_store(tile + mote_tile_offset(3, i, j, k),
                q_load(node + (((i - x.shift) * 4 + j - y.shift) * 4 + k - z.shift) * 4));
    }
}

/* What a tile covers of `grid`, laid out as view.grid. */
MOTE_INLINE void mote_fill_tile(const mote_transfer_view *t, int dim, int drifts, const float *grid,
                                const int corner[3], float *tile) {
  const int reach_z = dim == 3 ? 1 : 0, first = drifts ? -1 : 0;
  memset(tile, 0, mote_tile_floats(dim) * sizeof *tile);
  for (int x = first; x <= 1; x++)
    for (int y = first; y <= 1; y++)
      for (int z = reach_z * first; z <= reach_z; z++) {
        int bx = corner[0] / 4 + x, by = corner[1] / 4 + y, bz = corner[2] / 4 + z;
        if (bx < 0 || by < 0 || bz < 0 || bx >= t->blocks[0] || by >= t->blocks[1] || bz >= t->blocks[2])
          continue;
        int slot = t->grid_slot[(bx * t->blocks[1] + by) * t->blocks[2] + bz];
        if (slot >= 0)
          copy_to_tile(dim, drifts, grid + (size_t)slot * (dim == 3 ? 256 : 64), (int[3]){x, y, z}, tile);
      }
}

#endif
