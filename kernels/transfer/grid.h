/* Where things lie on the blocked grid: the stencil of a particle, the block of a node. Lengths in cells. */
#ifndef MOTE_KERNELS_TRANSFER_GRID_H
#define MOTE_KERNELS_TRANSFER_GRID_H

#include "kernels/transfer/transfer.h"

/* The first node of the quadratic stencil along an axis. A position clamped to [clip_low, cells - clip_low]
   with clip_low >= 1/2 gives 0..cells-1; the clamp is repeated on the index so that no position, not even
   NaN, leads outside the grid. */
MOTE_HD static inline int mote_stencil_base(float x, int cells) {
  float last = (float)(cells - 1);
  float shifted = x - 0.5f;
  shifted = shifted > 0 ? shifted : 0;
  return (int)(shifted < last ? shifted : last);
}

/* Weights of the nodes base, base+1, base+2 with g = x - base - 1 in [-1/2, 1/2]; squares, so never negative.
 */
MOTE_HD static inline void mote_stencil_weights(float g, float w[3]) {
  w[0] = 0.5f * (0.5f - g) * (0.5f - g);
  w[1] = 0.75f - g * g;
  w[2] = 0.5f * (0.5f + g) * (0.5f + g);
}

MOTE_HD static inline int mote_block_of(const mote_transfer_view *t, int x, int y, int z) {
  return ((x >> 2) * t->blocks[1] + (y >> 2)) * t->blocks[2] + (z >> 2);
}

MOTE_HD static inline void mote_block_corner(const mote_transfer_view *t, int block, int corner[3]) {
  corner[2] = block % t->blocks[2] * 4;
  corner[1] = block / t->blocks[2] % t->blocks[1] * 4;
  corner[0] = block / t->blocks[2] / t->blocks[1] * 4;
}

/* The sort key of a particle: its block, then its cell in the block. */
MOTE_HD static inline uint32_t mote_stencil_key(const mote_transfer_view *t, const float *record) {
  int x = mote_stencil_base(record[7], t->cells[0]), y = mote_stencil_base(record[11], t->cells[1]);
  int z = t->dim == 3 ? mote_stencil_base(record[15], t->cells[2]) : 0;
  uint32_t cell = (uint32_t)(((x & 3) * 4 + (y & 3)) * 4 + (z & 3));
  return (uint32_t)mote_block_of(t, x, y, z) * 64 + cell;
}

MOTE_HD static inline int mote_key_bits(const mote_transfer_view *t) {
  int bits = 6;
  while (((int64_t)1 << (bits - 6)) < t->block_total) bits++;
  return bits;
}

MOTE_HD static inline float mote_clamp_position(const mote_transfer_view *t, int axis, float x) {
  float high = (float)t->cells[axis] - t->clip_low;
  x = x > t->clip_low ? x : t->clip_low;
  return x < high ? x : high;
}

/* Velocity and mass of a node of the last grid_update; 0 where no particle is near. */
MOTE_HD static inline void mote_node_unload(const mote_transfer_view *t, int x, int y, int z, float q[4]) {
  int slot = t->grid_slot[mote_block_of(t, x, y, z)];
  int node = t->dim == 3 ? ((x & 3) * 4 + (y & 3)) * 4 + (z & 3) : (x & 3) * 4 + (y & 3);
  for (int k = 0; k < 4; k++)
    q[k] = slot < 0 ? 0 : t->grid[((size_t)slot * (t->dim == 3 ? 64 : 16) + (size_t)node) * 4 + k];
}

#endif
