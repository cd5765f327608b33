/* Sorting on the CPU: particles are loaded in the order of blocks and, where they are many, of cells, and
   moved in memory only when one has drifted out of the margin of its block's tile; between sorts blocks keep
   their particles and the block lists stand. */
#include "kernels/array/array.h"
#include "kernels/transfer/cpu.h"
#include "kernels/transfer/particle.h"

/* Rows of `width` 4-byte words, known when this is compiled. */
MOTE_INLINE void permute(int threads, const void *from, const int32_t *order, void *to, int64_t n,
                         size_t width) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t i = 0; i < n; i++)
    memcpy((char *)to + (size_t)i * width * 4, (const char *)from + (size_t)order[i] * width * 4, width * 4);
}

static void swap_buffers(mote_buffer *a, mote_buffer *b) {
  mote_buffer kept = *a;
  *a = *b;
  *b = kept;
}

static void move_particles(mote_stream *stream, mote_transfer *transfer) {
  mote_transfer_view *t = &transfer->view;
  mote_buffer *b = transfer->buffers;
  int threads = mote_transfer_movers(stream, t);
  permute(threads, t->record, t->order, b[MOTE_BUFFER_RECORD_OTHER].data, t->count, MOTE_RECORD);
  permute(threads, t->solid, t->order, b[MOTE_BUFFER_SOLID_OTHER].data, t->count, MOTE_SOLID);
  permute(threads, t->id, t->order, b[MOTE_BUFFER_ID_OTHER].data, t->count, 1);
  swap_buffers(&b[MOTE_BUFFER_RECORD], &b[MOTE_BUFFER_RECORD_OTHER]);
  swap_buffers(&b[MOTE_BUFFER_SOLID], &b[MOTE_BUFFER_SOLID_OTHER]);
  swap_buffers(&b[MOTE_BUFFER_ID], &b[MOTE_BUFFER_ID_OTHER]);
  t->record = b[MOTE_BUFFER_RECORD].data;
  t->solid = b[MOTE_BUFFER_SOLID].data;
  t->id = b[MOTE_BUFFER_ID].data;
}

/* Blocks with particles, and where each begins, from the sorted keys. */
static void list_occupied(mote_transfer_view *t) {
  mote_transfer_status *s = t->status;
  for (int k = 0; k < s->occupied; k++) t->tile_slot[t->block_index[k]] = -1;
  s->occupied = 0;
  int previous = -1;
  for (int i = 0; i < t->count; i++) {
    int block = (int)(t->key[i] >> 6);
    if (block == previous) continue;
    t->block_index[s->occupied] = block;
    t->block_start[s->occupied] = i;
    t->tile_slot[block] = s->occupied++;
    previous = block;
  }
  t->block_start[s->occupied] = t->count;
}

/* From a sort key to the cell of its block's tile, which p2g reads and g2p keeps up to date. */
static uint32_t cell_of_key(const mote_transfer_view *t, uint32_t key) {
  const int c = (int)(key & 63);
  return (uint32_t)mote_tile_cell(t->dim, c >> 4, c >> 2 & 3, c & 3);
}

static void cells_from_keys(int threads, mote_transfer_view *t) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int i = 0; i < t->count; i++) t->key[i] = cell_of_key(t, t->key[i]);
}

/* The blocks whose nodes a tile reaches: the occupied ones and all their neighbours; where nothing drifts
   into the tile's margin, only those that stencils lead to. */
static void list_active(mote_transfer_view *t, int drifts) {
  mote_transfer_status *s = t->status;
  for (int k = 0; k < s->active; k++) t->grid_slot[t->active_index[k]] = -1;
  s->active = 0;
  for (int k = 0; k < s->occupied; k++) {
    int corner[3], low[3], high[3];
    mote_block_corner(t, t->block_index[k], corner);
    for (int d = 0; d < 3; d++) {
      low[d] = corner[d] / 4 - (drifts && corner[d] > 0);
      high[d] = corner[d] / 4 + 1 < t->blocks[d] ? corner[d] / 4 + 1 : t->blocks[d] - 1;
    }
    for (int x = low[0]; x <= high[0]; x++)
      for (int y = low[1]; y <= high[1]; y++)
        for (int z = low[2]; z <= high[2]; z++) {
          int block = (x * t->blocks[1] + y) * t->blocks[2] + z;
          if (t->grid_slot[block] >= 0) continue;
          t->active_index[s->active] = block;
          t->grid_slot[block] = s->active++;
        }
  }
}

static mote_status sort_keys(mote_stream *stream, mote_transfer *transfer) {
  const mote_transfer_view *t = &transfer->view;
  return stream->device->array->sort_pairs_u32(stream, t->key, t->order, t->count, mote_key_bits(t),
                                               &transfer->buffers[MOTE_BUFFER_SCRATCH]);
}

static void list_blocks(mote_stream *stream, mote_transfer *transfer) {
  mote_transfer_view *t = &transfer->view;
  list_occupied(t);
  list_active(t, !transfer->one_step);
  cells_from_keys(mote_transfer_movers(stream, t), t);
  t->status->needs_sort = 0;
}

MOTE_INLINE uint32_t key_in(const mote_transfer_view *t, int dim, const mote_transfer_arrays *arrays, int i) {
  float record[MOTE_RECORD] = {0};
  for (int d = 0; d < dim; d++) record[7 + 4 * d] = mote_particle_place(t, dim, arrays, i, d);
  return mote_stencil_key(t, record);
}

/* The sort key of scene row i. */
MOTE_INLINE uint32_t key_of(const mote_transfer_view *t, const mote_transfer_arrays *arrays, int i) {
  return t->dim == 3 ? key_in(t, 3, arrays, i) : key_in(t, 2, arrays, i);
}

static mote_status order_by_radix(mote_stream *stream, mote_transfer *transfer,
                                  const mote_transfer_arrays *arrays) {
  mote_transfer_view *t = &transfer->view;
#pragma omp parallel for num_threads(mote_transfer_movers(stream, t)) schedule(static)
  for (int i = 0; i < t->count; i++) {
    t->key[i] = key_of(t, arrays, i);
    t->order[i] = i;
  }
  MOTE_TRY(sort_keys(stream, transfer));
  list_blocks(stream, transfer);
  return MOTE_OK;
}

/* Fuller blocks in front, stably: threads that take them one by one then end together. */
static void fuller_first(int32_t *block, int blocks, const int32_t *count) {
  for (int k = 1; k < blocks; k++) {
    const int32_t moved = block[k];
    int to = k;
    for (; to > 0 && count[block[to - 1]] < count[moved]; to--) block[to] = block[to - 1];
    block[to] = moved;
  }
}

/* Blocks one behind the other: `next` of each from its number of particles to where they begin. Of many
   blocks it does not matter which comes last. */
enum { FEW_BLOCKS = 64 };
static void place_blocks(mote_transfer_view *t, int32_t *next) {
  mote_transfer_status *s = t->status;
  int begin = 0;
  s->occupied = 0;
  for (int block = 0; block < t->block_total; block++)
    if (next[block]) t->block_index[s->occupied++] = block;
  if (s->occupied <= FEW_BLOCKS) fuller_first(t->block_index, s->occupied, next);
  for (int slot = 0; slot < s->occupied; slot++) {
    int32_t *of = &next[t->block_index[slot]];
    const int count = *of;
    t->block_start[slot] = *of = begin;
    begin += count;
  }
  t->block_start[s->occupied] = begin;
}

/* Of few particles in few blocks, without a sort: they are counted and placed, in the order of the scene
   within a block; p2g orders them by cell. tile_slot counts on the way. */
static void order_by_counting(mote_transfer *transfer, const mote_transfer_arrays *arrays, uint32_t *keys) {
  mote_transfer_view *t = &transfer->view;
  mote_transfer_status *s = t->status;
  int32_t *next = t->tile_slot;
  memset(next, 0, (size_t)t->block_total * sizeof *next);
  for (int i = 0; i < t->count; i++) {
    keys[i] = key_of(t, arrays, i);
    next[keys[i] >> 6]++;
  }
  place_blocks(t, next);
  for (int i = 0; i < t->count; i++) {
    const int at = next[keys[i] >> 6]++;
    t->order[at] = i;
    t->key[at] = cell_of_key(t, keys[i]);
  }
  memset(t->tile_slot, -1, (size_t)t->block_total * sizeof *t->tile_slot);
  for (int slot = 0; slot < s->occupied; slot++) t->tile_slot[t->block_index[slot]] = slot;
  list_active(t, !transfer->one_step);
}

enum { FEW = 8192 };
mote_status mote_transfer_cpu_order(mote_stream *stream, mote_transfer *transfer,
                                    const mote_transfer_arrays *arrays) {
  const mote_transfer_view *t = &transfer->view;
  mote_buffer *scratch = &transfer->buffers[MOTE_BUFFER_SCRATCH];
  if (t->count > FEW || t->block_total > 2 * t->count) return order_by_radix(stream, transfer, arrays);
  MOTE_TRY(mote_buffer_reserve(scratch, stream->device, (size_t)t->count * sizeof(uint32_t)));
  order_by_counting(transfer, arrays, scratch->data);
  return MOTE_OK;
}

mote_status mote_transfer_cpu_sort(mote_stream *stream, mote_transfer *transfer) {
  mote_transfer_view *t = &transfer->view;
  if (t->status->halted || !t->status->needs_sort) return MOTE_OK;
#pragma omp parallel for num_threads(mote_transfer_movers(stream, t)) schedule(static)
  for (int i = 0; i < t->count; i++) {
    t->key[i] = mote_stencil_key(t, t->record + (size_t)i * MOTE_RECORD);
    t->order[i] = i;
  }
  MOTE_TRY(sort_keys(stream, transfer));
  move_particles(stream, transfer);
  list_blocks(stream, transfer);
  return MOTE_OK;
}
