/* What the GPU files of this family share. A tile on the GPU spans the 6^dim nodes that the stencils of a
   block's cells reach: particles are sorted anew every step. */
#ifndef MOTE_KERNELS_TRANSFER_GPU_H
#define MOTE_KERNELS_TRANSFER_GPU_H

#include "cuda/launch.h"
#include "kernels/transfer/grid.h"

/* Kernels over blocks walk a list whose length is on the device: a fixed number of CUDA blocks strides over
 * it. */
#define MOTE_TRANSFER_STRIDING 2112 /* 16 a multiprocessor of the largest GPU */

static inline unsigned mote_striding_grid(int64_t most) {
  return (unsigned)(most < MOTE_TRANSFER_STRIDING ? most : MOTE_TRANSFER_STRIDING);
}

template <int DIM> struct TileShape {
  static constexpr int cells = DIM == 3 ? 64 : 16;  /* of a block */
  static constexpr int stencil = DIM == 3 ? 27 : 9; /* nodes of a particle */
  static constexpr int nodes = DIM == 3 ? 216 : 36; /* of a tile */
  static constexpr int own = DIM == 3 ? 64 : 16;    /* nodes of a grid block */
  static constexpr int corners = DIM == 3 ? 8 : 4;  /* blocks whose tiles reach a grid block */
};

static __device__ __forceinline__ int64_t own_thread() {
  return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
}

/* The slot of the block (dx, dy, dz) away, or -1. */
static __device__ __forceinline__ int neighbour_slot(const mote_transfer_view &t, const int32_t *slots,
                                                     const int corner[3], int dx, int dy, int dz) {
  int x = corner[0] / 4 + dx, y = corner[1] / 4 + dy, z = corner[2] / 4 + dz;
  if (x < 0 || y < 0 || z < 0 || x >= t.blocks[0] || y >= t.blocks[1] || z >= t.blocks[2]) return -1;
  return slots[(x * t.blocks[1] + y) * t.blocks[2] + z];
}

static __device__ __forceinline__ void add(float4 *to, float4 value) {
  to->x += value.x;
  to->y += value.y;
  to->z += value.z;
  to->w += value.w;
}

/* Node (x, y, z) of the block at `corner`: what all tiles have there, in a fixed order. */
template <int DIM>
static __device__ __forceinline__ float4 sum_tiles(const mote_transfer_view &t, const float *tiles,
                                                   const int corner[3], int x, int y, int z) {
  using Shape = TileShape<DIM>;
  float4 sum = make_float4(0, 0, 0, 0);
  for (int k = 0; k < Shape::corners; k++) {
    int a = k & 1, b = k >> 1 & 1, c = k >> 2;
    int u = x + 4 * a, v = y + 4 * b, w = z + 4 * c;
    if (u > 5 || v > 5 || w > 5) continue;
    int slot = neighbour_slot(t, t.tile_slot, corner, -a, -b, -c);
    if (slot < 0) continue;
    int node = DIM == 3 ? (u * 6 + v) * 6 + w : u * 6 + v;
    add(&sum, reinterpret_cast<const float4 *>(tiles)[(int64_t)slot * Shape::nodes + node]);
  }
  return sum;
}

mote_status mote_transfer_gpu_sort(mote_stream *stream, mote_transfer *transfer);
mote_status mote_transfer_gpu_p2g(mote_stream *stream, mote_transfer *transfer);
mote_status mote_transfer_gpu_grid_update(mote_stream *stream, mote_transfer *transfer);
mote_status mote_transfer_gpu_g2p(mote_stream *stream, mote_transfer *transfer,
                                  const mote_transfer_arrays *to);
mote_status mote_transfer_gpu_reverse(mote_stream *stream, const mote_transfer_view *view,
                                      mote_transfer_reverse *room, const mote_transfer_gradients *gradients,
                                      double *motion);

#endif
