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

mote_status mote_transfer_gpu_sort(mote_stream *stream, mote_transfer *transfer);
mote_status mote_transfer_gpu_p2g(mote_stream *stream, mote_transfer *transfer);
mote_status mote_transfer_gpu_grid_update(mote_stream *stream, mote_transfer *transfer);
mote_status mote_transfer_gpu_g2p(mote_stream *stream, mote_transfer *transfer);

#endif
