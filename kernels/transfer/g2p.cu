/* Grid to particles on the GPU, with the particles' own update: the block's node velocities go to shared
   memory, then a thread a particle gathers, deforms and writes its next record. */
#include "kernels/transfer/gpu.h"
#include "kernels/transfer/particle.h"

#define THREADS 128

/* v = sum w v_i, B_d = sum w v_i d_d, d in cells. */
template <int DIM>
static __device__ void gather(const mote_transfer_view &t, const int corner[3], const float4 *tile,
                              const float *record, float v[3], float B[9]) {
  int base[3] = {0, 0, 0};
  float w[3][3], g[3] = {0, 0, 0};
  for (int d = 0; d < DIM; d++) {
    float x = record[7 + 4 * d];
    base[d] = mote_stencil_base(x, t.cells[d]);
    g[d] = x - (float)(base[d] + 1);
    mote_stencil_weights(g[d], w[d]);
    base[d] -= corner[d];
  }
  for (int k = 0; k < 3; k++) v[k] = 0;
  for (int k = 0; k < 9; k++) B[k] = 0;
#pragma unroll
  for (int a = 0; a < 3; a++)
#pragma unroll
    for (int b = 0; b < 3; b++)
#pragma unroll
      for (int c = 0; c < (DIM == 3 ? 3 : 1); c++) {
        int node =
            DIM == 3 ? ((base[0] + a) * 6 + base[1] + b) * 6 + base[2] + c : (base[0] + a) * 6 + base[1] + b;
        float4 u = tile[node];
        float weight = w[0][a] * w[1][b] * (DIM == 3 ? w[DIM - 1][c] : 1.f);
        float here[3] = {weight * u.x, weight * u.y, weight * u.z};
        float offset[3] = {(float)(a - 1) - g[0], (float)(b - 1) - g[1], (float)(c - 1) - g[2]};
        for (int k = 0; k < DIM; k++) {
          v[k] += here[k];
          for (int d = 0; d < DIM; d++) B[3 * d + k] += here[k] * offset[d];
        }
      }
}

template <int DIM> static __global__ void g2p_kernel(mote_transfer_view t) {
  using Shape = TileShape<DIM>;
  __shared__ float4 tile[Shape::nodes];
  if (t.status->halted) return;
  for (int slot = (int)blockIdx.x; slot < t.status->occupied; slot += (int)gridDim.x) {
    int corner[3];
    mote_block_corner(&t, t.block_index[slot], corner);
    for (int n = (int)threadIdx.x; n < Shape::nodes; n += THREADS) {
      const int x = DIM == 3 ? n / 36 : n / 6, y = DIM == 3 ? n / 6 % 6 : n % 6, z = DIM == 3 ? n % 6 : 0;
      int active = neighbour_slot(t, t.grid_slot, corner, x / 4, y / 4, z / 4);
      int node = DIM == 3 ? (x % 4 * 4 + y % 4) * 4 + z % 4 : x % 4 * 4 + y % 4;
      tile[n] = active < 0 ? make_float4(0, 0, 0, 0)
                           : reinterpret_cast<const float4 *>(t.grid)[(int64_t)active * Shape::own + node];
    }
    __syncthreads();
    for (int i = t.block_start[slot] + (int)threadIdx.x; i < t.block_start[slot + 1]; i += THREADS) {
      int p = t.order[i];
      float v[3], B[9];
      gather<DIM>(t, corner, tile, t.record + (int64_t)p * MOTE_RECORD, v, B);
      if (mote_particle_advance(&t, DIM, p, v, B)) atomicMin(&t.status->failed, t.id[p]);
    }
    __syncthreads();
  }
}

mote_status mote_transfer_gpu_g2p(mote_stream *stream, mote_transfer *transfer,
                                  const mote_transfer_arrays *to) {
  const mote_transfer_view *t = &transfer->view;
  unsigned grid = mote_striding_grid(t->block_capacity);
  if (t->dim == 3)
    MOTE_TRY(MOTE_LAUNCH(MOTE_KERNEL(g2p_kernel<3>), grid, THREADS, 0, stream, *t));
  else
    MOTE_TRY(MOTE_LAUNCH(MOTE_KERNEL(g2p_kernel<2>), grid, THREADS, 0, stream, *t));
  return to ? stream->device->transfer->unload(stream, transfer, to) : MOTE_OK;
}
