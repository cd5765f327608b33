/* The reverse of a step's transfers on the GPU: see reverse.h. A thread a particle, then p2g's own kernel,
   then a thread a node. Where colliders' gradients are wanted, a thread takes a block of nodes instead, whose
   sums are added in the order of the blocks: no atomics. */
#include "kernels/transfer/reverse.h"

#include "kernels/transfer/gpu.h"

static __global__ void record_kernel(mote_transfer_view t, mote_transfer_gradients g, float *record) {
  const int64_t p = own_thread();
  if (p >= t.count) return;
  const int64_t i = t.id[p] * (int64_t)t.dim, row = p * MOTE_RECORD;
  const float *by_x = g.position + i, *by_v = g.velocity + i, *by_C = g.affine_velocity + i * t.dim;
  if (t.dim == 3)
    mote_reverse_record(&t, 3, t.record + row, by_x, by_v, by_C, record + row);
  else
    mote_reverse_record(&t, 2, t.record + row, by_x, by_v, by_C, record + row);
}

template <int DIM>
static __device__ void reverse_node(const mote_transfer_view &t, const float *tiles, int slot, int n,
                                    float *grid, double *motion) {
  using Shape = TileShape<DIM>;
  int corner[3];
  mote_block_corner(&t, t.active_index[slot], corner);
  const int x = DIM == 3 ? n / 16 : n / 4, y = DIM == 3 ? n / 4 % 4 : n % 4, z = DIM == 3 ? n % 4 : 0;
  const float4 sum = sum_tiles<DIM>(t, t.tiles, corner, x, y, z);
  const float4 by = sum_tiles<DIM>(t, tiles, corner, x, y, z);
  const float q[4] = {sum.x, sum.y, sum.z, sum.w}, by_velocity[3] = {by.x, by.y, by.z};
  const int at[3] = {corner[0] + x, corner[1] + y, corner[2] + z};
  float dq[4];
  mote_node_reverse(&t, at, q, by_velocity, dq, motion);
  reinterpret_cast<float4 *>(grid)[(int64_t)slot * Shape::own + n] = make_float4(dq[0], dq[1], dq[2], dq[3]);
}

template <int DIM> static __global__ void node_kernel(mote_transfer_view t, const float *tiles, float *grid) {
  const int64_t total = (int64_t)t.status->active * TileShape<DIM>::own;
  for (int64_t i = own_thread(); i < total; i += (int64_t)gridDim.x * blockDim.x)
    reverse_node<DIM>(t, tiles, (int)(i / TileShape<DIM>::own), (int)(i % TileShape<DIM>::own), grid, NULL);
}

template <int DIM>
static __global__ void motion_kernel(mote_transfer_view t, const float *tiles, float *grid, double *sums) {
  const int64_t width = (int64_t)t.collider_count * MOTE_MOTION, slot = own_thread();
  if (slot >= t.status->active) return;
  double *sum = sums + slot * width;
  for (int64_t k = 0; k < width; k++) sum[k] = 0;
  for (int n = 0; n < TileShape<DIM>::own; n++) reverse_node<DIM>(t, tiles, (int)slot, n, grid, sum);
}

static __global__ void add_motion_kernel(mote_transfer_view t, const double *sums, double *motion) {
  const int64_t width = (int64_t)t.collider_count * MOTE_MOTION, k = own_thread();
  if (k >= width) return;
  double sum = 0;
  for (int64_t slot = 0; slot < t.status->active; slot++) sum += sums[slot * width + k];
  motion[k] += sum;
}

static __global__ void gather_kernel(mote_transfer_view t, mote_transfer_gradients g, const float *record,
                                     const float *grid) {
  const int64_t p = own_thread();
  if (p >= t.count) return;
  const int64_t i = t.id[p] * (int64_t)t.dim;
  mote_reverse_gather(&t, (int)p, g.volume[t.id[p]], record + p * MOTE_RECORD, grid, g.position + i,
                      g.velocity + i, g.affine_velocity + i * t.dim, g.stress + i * t.dim);
}

template <int DIM>
static mote_status reverse_nodes(mote_stream *stream, const mote_transfer_view *t,
                                 const mote_transfer_reverse *room, double *motion) {
  const float *tiles = static_cast<const float *>(room->tiles.data);
  float *grid = static_cast<float *>(room->grid.data);
  double *sums = static_cast<double *>(room->motion.data);
  if (!motion || !t->collider_count)
    return MOTE_LAUNCH(MOTE_KERNEL(node_kernel<DIM>), mote_striding_grid(t->block_total), 256, 0, stream, *t,
                       tiles, grid);
  MOTE_TRY(MOTE_LAUNCH(MOTE_KERNEL(motion_kernel<DIM>), mote_grid(t->block_total, 64), 64, 0, stream, *t,
                       tiles, grid, sums));
  return MOTE_LAUNCH(add_motion_kernel, mote_grid((int64_t)t->collider_count * MOTE_MOTION, 64), 64, 0,
                     stream, *t, sums, motion);
}

mote_status mote_transfer_gpu_reverse(mote_stream *stream, const mote_transfer_view *t,
                                      mote_transfer_reverse *room, const mote_transfer_gradients *g,
                                      double *motion) {
  mote_transfer other = {};
  other.view = *t;
  MOTE_TRY(mote_transfer_reverse_reserve(stream, t, room, motion ? t->block_total : 0));
  float *record = static_cast<float *>(room->record.data);
  const auto grid = mote_grid(t->count, 128);
  MOTE_TRY(MOTE_LAUNCH(record_kernel, grid, 128, 0, stream, *t, *g, record));
  other.view.record = record;
  other.view.tiles = static_cast<float *>(room->tiles.data);
  MOTE_TRY(mote_transfer_gpu_p2g(stream, &other));
  MOTE_TRY(t->dim == 3 ? reverse_nodes<3>(stream, t, room, motion)
                       : reverse_nodes<2>(stream, t, room, motion));
  return MOTE_LAUNCH(gather_kernel, grid, 128, 0, stream, *t, *g, record,
                     static_cast<const float *>(room->grid.data));
}
