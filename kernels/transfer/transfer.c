/* The CPU's table of the family, and its small members: particles in and out, the end of a step, diagnostics.
   The passes themselves are in sort.c, p2g.c and g2p.c. */
#include "kernels/transfer/collider.h"
#include "kernels/transfer/cpu.h"
#include "kernels/transfer/particle.h"

static int tile_floats(int dim) {
  return (int)mote_tile_floats(dim);
}

static void pose_colliders(const mote_transfer_view *t) {
  double time = (double)t->status->step * t->time_step;
  for (int c = 0; c < t->collider_count; c++) mote_pose_at(&t->colliders[c], t->dim, time, &t->poses[c]);
}

/* Order and blocks, without the particles themselves. */
static mote_status begin(mote_stream *stream, mote_transfer *transfer, const mote_transfer_arrays *arrays) {
  const mote_transfer_view *t = &transfer->view;
  mote_transfer_cpu_own(transfer);
  for (int k = 0; k < t->block_total; k++) t->tile_slot[k] = t->grid_slot[k] = -1;
  *t->status = (mote_transfer_status){.step = transfer->first_step, .failed = INT32_MAX};
  pose_colliders(t);
  return mote_transfer_cpu_order(stream, transfer, arrays);
}

/* Scene row i to device row p. */
MOTE_INLINE void load_particle(const mote_transfer_view *t, const mote_transfer_arrays *arrays, int keeps,
                               int i, int p) {
  if (t->dim == 3)
    mote_particle_load(t, 3, arrays, keeps, i, p);
  else
    mote_particle_load(t, 2, arrays, keeps, i, p);
}

static mote_status load(mote_stream *stream, mote_transfer *transfer, const mote_transfer_arrays *arrays) {
  const mote_transfer_view *t = &transfer->view;
  mote_buffer *b = transfer->buffers; /* what sort moves particles to */
  MOTE_TRY(mote_buffer_reserve(&b[MOTE_BUFFER_RECORD_OTHER], stream->device, b[MOTE_BUFFER_RECORD].bytes));
  MOTE_TRY(mote_buffer_reserve(&b[MOTE_BUFFER_SOLID_OTHER], stream->device, b[MOTE_BUFFER_SOLID].bytes));
  MOTE_TRY(mote_buffer_reserve(&b[MOTE_BUFFER_ID_OTHER], stream->device, b[MOTE_BUFFER_ID].bytes));
  MOTE_TRY(begin(stream, transfer, arrays));
#pragma omp parallel for num_threads(mote_transfer_threads(stream, t)) schedule(static)
  for (int p = 0; p < t->count; p++) load_particle(t, arrays, 1, t->order[p], p);
  return MOTE_OK;
}

/* A block's particles go to its tile while its thread has them at hand. */
static mote_status to_grid(mote_stream *stream, mote_transfer *transfer, const mote_transfer_arrays *arrays,
                           mote_transfer_kept *kept) {
  const mote_transfer_view *t = &transfer->view;
  mote_buffer *b = transfer->buffers;
  MOTE_TRY(mote_buffer_reserve(&b[MOTE_BUFFER_MOMENTUM], stream->device, b[MOTE_BUFFER_GRID].bytes));
  MOTE_TRY(begin(stream, transfer, arrays));
  const int32_t *order = t->order;
  const uint32_t *key = t->key;
  if (kept) mote_transfer_cpu_keep(transfer, kept);
#pragma omp parallel for num_threads(mote_transfer_threads(stream, t)) schedule(dynamic, 1)
  for (int slot = 0; slot < t->status->occupied; slot++) {
    for (int p = t->block_start[slot]; p < t->block_start[slot + 1]; p++) {
      load_particle(t, arrays, 0, order[p], p);
      t->key[p] = key[p];
    }
    mote_transfer_cpu_scatter(t, slot);
  }
  return mote_transfer_cpu_grid_update(stream, transfer);
}

static mote_status unload(mote_stream *stream, const mote_transfer *transfer,
                          const mote_transfer_arrays *arrays) {
  const mote_transfer_view *t = &transfer->view;
#pragma omp parallel for num_threads(mote_transfer_threads(stream, t)) schedule(static)
  for (int p = 0; p < t->count; p++) {
    if (t->dim == 3)
      mote_particle_unload(t, 3, arrays, p);
    else
      mote_particle_unload(t, 2, arrays, p);
  }
  return MOTE_OK;
}

static mote_status add_stress(mote_stream *stream, mote_transfer *transfer, int32_t material,
                              const float *tau) {
  const mote_transfer_view *t = &transfer->view;
  if (t->status->halted) return MOTE_OK;
#pragma omp parallel for num_threads(mote_transfer_threads(stream, t)) schedule(static)
  for (int p = 0; p < t->count; p++) {
    if (mote_solid_material(t->solid + (size_t)p * MOTE_SOLID) != material) continue;
    if (t->dim == 3)
      mote_particle_add_stress(t, 3, p, tau + (size_t)p * 9);
    else
      mote_particle_add_stress(t, 2, p, tau + (size_t)p * 4);
  }
  return MOTE_OK;
}

static mote_status advance(mote_stream *stream, mote_transfer *transfer) {
  (void)stream;
  mote_transfer_status *s = transfer->view.status;
  if (s->halted) return MOTE_OK;
  s->step++;
  s->halted = s->failed != INT32_MAX;
  pose_colliders(&transfer->view);
  return MOTE_OK;
}

static mote_status dense_grid(mote_stream *stream, const mote_transfer *transfer, float *dense) {
  const mote_transfer_view *t = &transfer->view;
  int side[3] = {t->cells[0] + 1, t->cells[1] + 1, t->dim == 3 ? t->cells[2] + 1 : 1};
#pragma omp parallel for num_threads(mote_transfer_threads(stream, t)) schedule(static)
  for (int x = 0; x < side[0]; x++)
    for (int y = 0; y < side[1]; y++)
      for (int z = 0; z < side[2]; z++)
        mote_node_unload(t, x, y, z, dense + (((size_t)x * side[1] + y) * side[2] + z) * 4);
  return MOTE_OK;
}

static mote_status diagnose(mote_stream *stream, const mote_transfer *transfer, double *sums) {
  const mote_transfer_view *t = &transfer->view;
  int chunks = (t->count + MOTE_TRANSFER_CHUNK - 1) / MOTE_TRANSFER_CHUNK;
#pragma omp parallel for num_threads(mote_transfer_threads(stream, t)) schedule(static)
  for (int c = 0; c < chunks; c++) {
    double *row = sums + (size_t)c * MOTE_TRANSFER_SUMS;
    for (int k = 0; k < MOTE_TRANSFER_SUMS; k++) row[k] = 0;
    int last = (c + 1) * MOTE_TRANSFER_CHUNK < t->count ? (c + 1) * MOTE_TRANSFER_CHUNK : t->count;
    for (int p = c * MOTE_TRANSFER_CHUNK; p < last; p++) mote_particle_sum(t, p, row);
  }
  return MOTE_OK;
}

const struct mote_transfer_kernels mote_transfer_cpu = {
    .keeps = 1,
    .tile_floats = tile_floats,
    .load = load,
    .unload = unload,
    .sort = mote_transfer_cpu_sort,
    .p2g = mote_transfer_cpu_p2g,
    .grid_update = mote_transfer_cpu_grid_update,
    .g2p = mote_transfer_cpu_g2p,
    .to_grid = to_grid,
    .add_stress = add_stress,
    .reverse = mote_transfer_cpu_reverse,
    .advance = advance,
    .dense_grid = dense_grid,
    .diagnose = diagnose,
};
