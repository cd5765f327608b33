/* Particles to grid on the GPU, and the grid's own step. The trick: a warp sums one cell, a lane a node of
   its stencil, in registers; the cells of a block meet in shared memory, where a thread a node adds them in a
   fixed order. Blocks meet the same way in grid_update. No atomics, no bank conflicts. */
#include "kernels/transfer/collider.h"
#include "kernels/transfer/gpu.h"

#define THREADS 256

/* Where the particles of each cell of a block begin among its sorted ones; every entry is written once. */
template <int DIM>
static __device__ void find_cells(const mote_transfer_view &t, int first, int last, int32_t *start) {
  for (int i = first + (int)threadIdx.x; i < last; i += THREADS) {
    int cell = (int)(t.key[i] & 63), before = i == first ? -1 : (int)(t.key[i - 1] & 63);
    for (int c = before + 1; c <= cell; c++) start[c] = i;
    if (i == last - 1)
      for (int c = cell + 1; c <= 64; c++) start[c] = last;
  }
}

/* The cell's sum at the lane's node. Key order of cells has 4 entries a z row in 2-D too. */
template <int DIM>
static __device__ float4 sum_cell(const mote_transfer_view &t, const int corner[3], int cell, int lane,
                                  int first, int last) {
  const int a = DIM == 3 ? lane / 9 : lane / 3, b = DIM == 3 ? lane / 3 % 3 : lane % 3, c = lane % 3;
  const float middle_x = (float)(corner[0] + (cell >> 4) + 1),
              middle_y = (float)(corner[1] + (cell >> 2 & 3) + 1);
  const float middle_z = (float)(corner[2] + (cell & 3) + 1);
  float4 sum = make_float4(0, 0, 0, 0);
  for (int k = first; k < last; k++) {
    const float4 *record =
        reinterpret_cast<const float4 *>(t.record) + (int64_t)t.order[k] * (MOTE_RECORD / 4);
    float4 q = record[0], x = record[1], y = record[2];
    float wx[3], wy[3], gx = x.w - middle_x, gy = y.w - middle_y;
    mote_stencil_weights(gx, wx);
    mote_stencil_weights(gy, wy);
    float w = (a == 0 ? wx[0] : a == 1 ? wx[1] : wx[2]) * (b == 0 ? wy[0] : b == 1 ? wy[1] : wy[2]);
    float dx = (float)(a - 1) - gx, dy = (float)(b - 1) - gy;
    float vx = q.x + x.x * dx + y.x * dy, vy = q.y + x.y * dx + y.y * dy, vz = 0;
    if (DIM == 3) {
      float4 z = record[3];
      float wz[3], gz = z.w - middle_z, dz = (float)(c - 1) - gz;
      mote_stencil_weights(gz, wz);
      w *= c == 0 ? wz[0] : c == 1 ? wz[1] : wz[2];
      vx += z.x * dz;
      vy += z.y * dz;
      vz = q.z + x.z * dx + y.z * dy + z.z * dz;
    }
    sum.x += w * vx;
    sum.y += w * vy;
    sum.z += w * vz;
    sum.w += w * q.w;
  }
  return sum;
}

template <int DIM> static __global__ void p2g_kernel(mote_transfer_view t) {
  using Shape = TileShape<DIM>;
  __shared__ float4 cells[Shape::cells * Shape::stencil];
  __shared__ int32_t start[65];
  const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
  for (int slot = (int)blockIdx.x; slot < t.status->occupied; slot += (int)gridDim.x) {
    int corner[3];
    mote_block_corner(&t, t.block_index[slot], corner);
    find_cells<DIM>(t, t.block_start[slot], t.block_start[slot + 1], start);
    __syncthreads();
    for (int c = warp; c < Shape::cells; c += THREADS / 32) {
      int key = DIM == 3 ? c : c * 4; /* keys of 2-D count four cells a column of z, of which one exists */
      if (lane < Shape::stencil)
        cells[c * Shape::stencil + lane] = sum_cell<DIM>(t, corner, key, lane, start[key], start[key + 1]);
    }
    __syncthreads();
    for (int n = (int)threadIdx.x; n < Shape::nodes; n += THREADS) {
      const int x = DIM == 3 ? n / 36 : n / 6, y = DIM == 3 ? n / 6 % 6 : n % 6, z = DIM == 3 ? n % 6 : 0;
      float4 sum = make_float4(0, 0, 0, 0);
      for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++)
          for (int c = 0; c < (DIM == 3 ? 3 : 1); c++) {
            int i = x - a, j = y - b, k = z - c;
            if (i < 0 || i > 3 || j < 0 || j > 3 || k < 0 || k > 3) continue;
            int cell = DIM == 3 ? (i * 4 + j) * 4 + k : i * 4 + j;
            add(&sum, cells[cell * Shape::stencil + (DIM == 3 ? (a * 3 + b) * 3 + c : a * 3 + b)]);
          }
      reinterpret_cast<float4 *>(t.tiles)[(int64_t)slot * Shape::nodes + n] = sum;
    }
    __syncthreads();
  }
}

mote_status mote_transfer_gpu_p2g(mote_stream *stream, mote_transfer *transfer) {
  const mote_transfer_view *t = &transfer->view;
  unsigned grid = mote_striding_grid(t->block_capacity);
  if (t->dim == 3) return MOTE_LAUNCH(MOTE_KERNEL(p2g_kernel<3>), grid, THREADS, 0, stream, *t);
  return MOTE_LAUNCH(MOTE_KERNEL(p2g_kernel<2>), grid, THREADS, 0, stream, *t);
}

template <int DIM> static __global__ void grid_kernel(mote_transfer_view t) {
  using Shape = TileShape<DIM>;
  int64_t total = (int64_t)t.status->active * Shape::own;
  for (int64_t i = own_thread(); i < total; i += (int64_t)gridDim.x * blockDim.x) {
    int corner[3], n = (int)(i % Shape::own);
    mote_block_corner(&t, t.active_index[i / Shape::own], corner);
    int x = DIM == 3 ? n / 16 : n / 4, y = DIM == 3 ? n / 4 % 4 : n % 4, z = DIM == 3 ? n % 4 : 0;
    float4 sum = sum_tiles<DIM>(t, t.tiles, corner, x, y, z);
    float q[4] = {sum.x, sum.y, sum.z, sum.w};
    int at[3] = {corner[0] + x, corner[1] + y, corner[2] + z};
    mote_node_update(&t, at, q);
    reinterpret_cast<float4 *>(t.grid)[i] = make_float4(q[0], q[1], q[2], q[3]);
  }
}

mote_status mote_transfer_gpu_grid_update(mote_stream *stream, mote_transfer *transfer) {
  const mote_transfer_view *t = &transfer->view;
  unsigned grid = mote_striding_grid(t->block_total);
  if (t->dim == 3) return MOTE_LAUNCH(MOTE_KERNEL(grid_kernel<3>), grid, 256, 0, stream, *t);
  return MOTE_LAUNCH(MOTE_KERNEL(grid_kernel<2>), grid, 256, 0, stream, *t);
}
