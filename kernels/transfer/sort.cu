/* Sorting on the GPU: every step, the order of the particles by block and cell (their rows stay where they
   are), and from it the lists of blocks. Nothing here depends on timing: a stable sort, scans, and a thread
   an entry. */
#include "kernels/array/array.h"
#include "kernels/transfer/gpu.h"

static __global__ void key_kernel(mote_transfer_view t) {
  int64_t i = own_thread();
  if (i >= t.count) return;
  t.key[i] = mote_stencil_key(&t, t.record + i * MOTE_RECORD);
  t.order[i] = (int32_t)i;
}

static __global__ void mark_first_kernel(mote_transfer_view t, int32_t *first) {
  int64_t i = own_thread();
  if (i < t.count) first[i] = i == 0 || t.key[i] >> 6 != t.key[i - 1] >> 6;
}

/* Slots of the occupied blocks, in the order of their index. */
static __global__ void list_occupied_kernel(mote_transfer_view t, const int32_t *first, const int32_t *slot) {
  int64_t i = own_thread();
  if (i >= t.count) return;
  if (first[i]) {
    int block = (int)(t.key[i] >> 6);
    t.block_index[slot[i]] = block;
    t.block_start[slot[i]] = (int32_t)i;
    t.tile_slot[block] = slot[i];
  }
  if (i == t.count - 1) {
    t.block_start[slot[t.count]] = t.count;
    t.status->occupied = slot[t.count];
  }
}

/* A block has nodes when its own tile or that of a block before it exists. */
static __global__ void mark_active_kernel(mote_transfer_view t, int32_t *active) {
  int64_t block = own_thread();
  if (block >= t.block_total) return;
  int corner[3], found = 0, reach_z = t.dim == 3 ? 1 : 0;
  mote_block_corner(&t, (int)block, corner);
  for (int x = 0; x <= 1; x++)
    for (int y = 0; y <= 1; y++)
      for (int z = 0; z <= reach_z; z++) found |= neighbour_slot(t, t.tile_slot, corner, -x, -y, -z) >= 0;
  active[block] = found;
}

static __global__ void list_active_kernel(mote_transfer_view t, const int32_t *active, const int32_t *slot) {
  int64_t block = own_thread();
  if (block >= t.block_total) return;
  t.grid_slot[block] = active[block] ? slot[block] : -1;
  if (active[block]) t.active_index[slot[block]] = (int32_t)block;
  if (block == t.block_total - 1) t.status->active = slot[t.block_total];
}

mote_status mote_transfer_gpu_sort(mote_stream *stream, mote_transfer *transfer) {
  const mote_transfer_view *t = &transfer->view;
  const struct mote_array_kernels *array = stream->device->array;
  mote_buffer *b = transfer->buffers, *scratch = &b[MOTE_BUFFER_SCRATCH];
  int32_t *flags = (int32_t *)b[MOTE_BUFFER_FLAGS].data, *scan = (int32_t *)b[MOTE_BUFFER_SCAN].data;
  unsigned particles = mote_grid(t->count, 256), blocks = mote_grid(t->block_total, 256);
  MOTE_TRY(MOTE_LAUNCH(key_kernel, particles, 256, 0, stream, *t));
  MOTE_TRY(array->sort_pairs_u32(stream, t->key, t->order, t->count, mote_key_bits(t), scratch));
  MOTE_TRY(array->fill_i32(stream, t->tile_slot, -1, t->block_total));
  MOTE_TRY(MOTE_LAUNCH(mark_first_kernel, particles, 256, 0, stream, *t, flags));
  MOTE_TRY(array->exclusive_scan_i32(stream, flags, scan, t->count, scratch));
  MOTE_TRY(MOTE_LAUNCH(list_occupied_kernel, particles, 256, 0, stream, *t, flags, scan));
  MOTE_TRY(MOTE_LAUNCH(mark_active_kernel, blocks, 256, 0, stream, *t, flags));
  MOTE_TRY(array->exclusive_scan_i32(stream, flags, scan, t->block_total, scratch));
  return MOTE_LAUNCH(list_active_kernel, blocks, 256, 0, stream, *t, flags, scan);
}
