/* The GPU's table of the family, and its small members: particles in and out, the end of a step, diagnostics.
   The passes themselves are in sort.cu, p2g.cu and g2p.cu. */
#include "kernels/transfer/transfer.h"

#include "kernels/array/array.h"
#include "kernels/transfer/collider.h"
#include "kernels/transfer/gpu.h"
#include "kernels/transfer/particle.h"

static int tile_floats(int dim) {
  return 4 * (dim == 3 ? TileShape<3>::nodes : TileShape<2>::nodes);
}

static __global__ void load_kernel(mote_transfer_view t, mote_transfer_arrays arrays) {
  int64_t i = own_thread();
  if (i >= t.count) return;
  if (t.dim == 3)
    mote_particle_load(&t, 3, &arrays, 1, (int)i, (int)i);
  else
    mote_particle_load(&t, 2, &arrays, 1, (int)i, (int)i);
}

static __global__ void pose_kernel(mote_transfer_view t) {
  double time = (double)t.status->step * t.time_step;
  for (int c = (int)own_thread(); c < t.collider_count; c += (int)blockDim.x)
    mote_pose_at(&t.colliders[c], t.dim, time, &t.poses[c]);
}

static mote_status load(mote_stream *stream, mote_transfer *transfer, const mote_transfer_arrays *arrays) {
  const mote_transfer_view *t = &transfer->view;
  mote_buffer *b = transfer->buffers;
  size_t most = (size_t)(t->count > t->block_total ? t->count : t->block_total) + 1;
  MOTE_TRY(mote_buffer_reserve(&b[MOTE_BUFFER_FLAGS], stream->device, most * sizeof(int32_t)));
  MOTE_TRY(mote_buffer_reserve(&b[MOTE_BUFFER_SCAN], stream->device, most * sizeof(int32_t)));
  mote_transfer_status status = {};
  status.step = transfer->first_step;
  status.failed = INT32_MAX;
  MOTE_TRY(mote_upload(stream, t->status, &status, sizeof status));
  MOTE_TRY(stream->device->array->fill_i32(stream, t->grid_slot, -1, t->block_total));
  MOTE_TRY(MOTE_LAUNCH(load_kernel, mote_grid(t->count, 128), 128, 0, stream, *t, *arrays));
  return MOTE_LAUNCH(pose_kernel, t->collider_count ? 1 : 0, 64, 0, stream, *t);
}

static mote_status to_grid(mote_stream *stream, mote_transfer *transfer, const mote_transfer_arrays *arrays,
                           mote_transfer_kept *kept) {
  if (kept) kept->used = 0;
  MOTE_TRY(load(stream, transfer, arrays));
  MOTE_TRY(mote_transfer_gpu_sort(stream, transfer));
  MOTE_TRY(mote_transfer_gpu_p2g(stream, transfer));
  return mote_transfer_gpu_grid_update(stream, transfer);
}

static __global__ void unload_kernel(mote_transfer_view t, mote_transfer_arrays arrays) {
  int64_t p = own_thread();
  if (p >= t.count) return;
  if (t.dim == 3)
    mote_particle_unload(&t, 3, &arrays, (int)p);
  else
    mote_particle_unload(&t, 2, &arrays, (int)p);
}

static mote_status unload(mote_stream *stream, const mote_transfer *transfer,
                          const mote_transfer_arrays *arrays) {
  const mote_transfer_view *t = &transfer->view;
  return MOTE_LAUNCH(unload_kernel, mote_grid(t->count, 256), 256, 0, stream, *t, *arrays);
}

static __global__ void add_stress_kernel(mote_transfer_view t, int32_t material, const float *tau) {
  int64_t p = own_thread();
  if (p >= t.count || t.status->halted) return;
  if (mote_solid_material(t.solid + p * MOTE_SOLID) != material) return;
  if (t.dim == 3)
    mote_particle_add_stress(&t, 3, (int)p, tau + p * 9);
  else
    mote_particle_add_stress(&t, 2, (int)p, tau + p * 4);
}

static mote_status add_stress(mote_stream *stream, mote_transfer *transfer, int32_t material,
                              const float *tau) {
  const mote_transfer_view *t = &transfer->view;
  return MOTE_LAUNCH(add_stress_kernel, mote_grid(t->count, 256), 256, 0, stream, *t, material, tau);
}

static __global__ void advance_kernel(mote_transfer_view t) {
  if (t.status->halted) return;
  t.status->step++;
  t.status->halted = t.status->failed != INT32_MAX;
}

static mote_status advance(mote_stream *stream, mote_transfer *transfer) {
  const mote_transfer_view *t = &transfer->view;
  MOTE_TRY(MOTE_LAUNCH(advance_kernel, 1, 1, 0, stream, *t));
  return MOTE_LAUNCH(pose_kernel, t->collider_count ? 1 : 0, 64, 0, stream, *t);
}

static __global__ void dense_kernel(mote_transfer_view t, float *dense) {
  int64_t side_y = t.cells[1] + 1, side_z = t.dim == 3 ? t.cells[2] + 1 : 1, i = own_thread();
  if (i >= (t.cells[0] + 1) * side_y * side_z) return;
  mote_node_unload(&t, (int)(i / side_z / side_y), (int)(i / side_z % side_y), (int)(i % side_z),
                   dense + 4 * i);
}

static mote_status dense_grid(mote_stream *stream, const mote_transfer *transfer, float *dense) {
  const mote_transfer_view *t = &transfer->view;
  int64_t nodes = (int64_t)(t->cells[0] + 1) * (t->cells[1] + 1) * (t->dim == 3 ? t->cells[2] + 1 : 1);
  return MOTE_LAUNCH(dense_kernel, mote_grid(nodes, 256), 256, 0, stream, *t, dense);
}

#define SUM_THREADS 128

/* A block a chunk: strided sums a thread, then a tree; the order depends on the count alone. */
static __global__ void diagnose_kernel(mote_transfer_view t, double *sums) {
  __shared__ double shared[SUM_THREADS * MOTE_TRANSFER_SUMS];
  double *mine = shared + threadIdx.x * MOTE_TRANSFER_SUMS;
  int64_t first = (int64_t)blockIdx.x * MOTE_TRANSFER_CHUNK, last = first + MOTE_TRANSFER_CHUNK;
  double own[MOTE_TRANSFER_SUMS] = {0};
  for (int64_t p = first + threadIdx.x; p < last && p < t.count; p += SUM_THREADS)
    mote_particle_sum(&t, (int)p, own);
  for (int k = 0; k < MOTE_TRANSFER_SUMS; k++) mine[k] = own[k];
  for (int half = SUM_THREADS / 2; half > 0; half /= 2) {
    __syncthreads();
    if ((int)threadIdx.x >= half) continue;
    const double *other = mine + half * MOTE_TRANSFER_SUMS;
    for (int k = 0; k < MOTE_TRANSFER_SUMS - 1; k++) mine[k] += other[k];
    mine[MOTE_TRANSFER_SUMS - 1] = fmax(mine[MOTE_TRANSFER_SUMS - 1], other[MOTE_TRANSFER_SUMS - 1]);
  }
  if (threadIdx.x == 0)
    for (int k = 0; k < MOTE_TRANSFER_SUMS; k++) sums[(int64_t)blockIdx.x * MOTE_TRANSFER_SUMS + k] = mine[k];
}

static mote_status diagnose(mote_stream *stream, const mote_transfer *transfer, double *sums) {
  const mote_transfer_view *t = &transfer->view;
  return MOTE_LAUNCH(diagnose_kernel, mote_grid(t->count, MOTE_TRANSFER_CHUNK), SUM_THREADS, 0, stream, *t,
                     sums);
}

extern "C" const struct mote_transfer_kernels mote_transfer_gpu = {
    0,
    tile_floats,
    load,
    unload,
    mote_transfer_gpu_sort,
    mote_transfer_gpu_p2g,
    mote_transfer_gpu_grid_update,
    mote_transfer_gpu_g2p,
    to_grid,
    add_stress,
    mote_transfer_gpu_reverse,
    advance,
    dense_grid,
    diagnose,
};
