/* The memory of a simulation on any device. All of it is planned for the worst case, every particle in a
   block of its own, so that no step ever allocates; on the CPU pages that are never touched cost nothing. */
#include "kernels/transfer/reverse.h"

static mote_status reserve_one(mote_stream *stream, mote_transfer *transfer, int which, size_t bytes,
                               void *pointer) {
  mote_buffer *buffer = &transfer->buffers[which];
  MOTE_TRY(mote_buffer_reserve(buffer, stream->device, bytes ? bytes : 64));
  if (pointer) *(void **)pointer = buffer->data;
  return MOTE_OK;
}

static mote_status plan_blocks(mote_transfer_view *t) {
  int64_t total = 1;
  for (int d = 0; d < 3; d++) {
    if (d >= t->dim) t->cells[d] = 1;
    t->blocks[d] = d < t->dim ? (t->cells[d] + 1) / 4 + 1 : 1;
    total *= t->blocks[d];
  }
  if (total > INT32_MAX / 64)
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "a grid of %d x %d x %d cells has too many blocks of 4 cells: at most %d", t->cells[0],
                     t->cells[1], t->cells[2], INT32_MAX / 64);
  t->block_total = (int)total;
  t->block_capacity = t->count < t->block_total ? t->count : t->block_total;
  return MOTE_OK;
}

mote_status mote_transfer_reserve(mote_stream *stream, mote_transfer *transfer) {
  mote_transfer_view *t = &transfer->view;
  MOTE_TRY(plan_blocks(t));
  size_t n = (size_t)t->count, total = (size_t)t->block_total, capacity = (size_t)t->block_capacity;
  size_t tile = (size_t)stream->device->transfer->tile_floats(t->dim), nodes = t->dim == 3 ? 64 : 16;
  struct {
    int which;
    size_t bytes;
    void *pointer;
  } list[] = {
      {MOTE_BUFFER_RECORD, n * MOTE_RECORD * 4, &t->record},
      {MOTE_BUFFER_SOLID, n * MOTE_SOLID * 4 + 64, &t->solid},
      {MOTE_BUFFER_AFFINE, n * MOTE_AFFINE * 4, &t->affine},
      {MOTE_BUFFER_ID, n * 4, &t->id},
      {MOTE_BUFFER_LAWS, (size_t)t->law_count * sizeof(mote_law), &t->laws},
      {MOTE_BUFFER_COLLIDERS, (size_t)t->collider_count * sizeof(mote_collider), &t->colliders},
      {MOTE_BUFFER_POSES, (size_t)t->collider_count * sizeof(mote_pose), &t->poses},
      {MOTE_BUFFER_STATUS, sizeof(mote_transfer_status), &t->status},
      {MOTE_BUFFER_KEY, n * 4, &t->key},
      {MOTE_BUFFER_ORDER, n * 4, &t->order},
      {MOTE_BUFFER_BLOCK_START, (capacity + 1) * 4, &t->block_start},
      {MOTE_BUFFER_BLOCK_INDEX, capacity * 4, &t->block_index},
      {MOTE_BUFFER_TILE_SLOT, total * 4, &t->tile_slot},
      {MOTE_BUFFER_ACTIVE_INDEX, total * 4, &t->active_index},
      {MOTE_BUFFER_GRID_SLOT, total * 4, &t->grid_slot},
      {MOTE_BUFFER_TILES, capacity * tile * 4, &t->tiles},
      {MOTE_BUFFER_GRID, total * nodes * 16, &t->grid},
  };
  for (size_t k = 0; k < sizeof list / sizeof *list; k++)
    MOTE_TRY(reserve_one(stream, transfer, list[k].which, list[k].bytes, list[k].pointer));
  return MOTE_OK;
}

void mote_transfer_reverse_free(mote_transfer_reverse *room) {
  mote_buffer *all[] = {&room->record, &room->tiles, &room->grid, &room->motion};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) mote_buffer_free(all[k]);
}

mote_status mote_transfer_reverse_reserve(mote_stream *stream, const mote_transfer_view *t,
                                          mote_transfer_reverse *room, int chunks) {
  mote_device *d = stream->device;
  const size_t tile = (size_t)d->transfer->tile_floats(t->dim), nodes = t->dim == 3 ? 64 : 16;
  const size_t n = t->count ? (size_t)t->count : 1, total = (size_t)t->block_total;
  MOTE_TRY(mote_buffer_reserve(&room->record, d, n * MOTE_RECORD * sizeof(float)));
  MOTE_TRY(mote_buffer_reserve(&room->tiles, d, ((size_t)t->block_capacity * tile + 16) * sizeof(float)));
  MOTE_TRY(mote_buffer_reserve(&room->grid, d, total * nodes * 4 * sizeof(float)));
  return mote_buffer_reserve(&room->motion, d,
                             ((size_t)chunks * (size_t)t->collider_count * MOTE_MOTION + 1) * sizeof(double));
}

void mote_transfer_free(mote_transfer *transfer) {
  for (int k = 0; k < MOTE_BUFFER_COUNT; k++) mote_buffer_free(&transfer->buffers[k]);
}
