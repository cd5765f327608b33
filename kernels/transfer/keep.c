/* What the reverse of a step reads of it, kept on the CPU: records, order, blocks, nodes and poses, one
   behind the other, with a view of them in front. */
#include "kernels/transfer/cpu.h"

/* A part of the view: where it lies there, and how much of it there is. */
typedef struct part {
  size_t member, bytes;
} part;

enum { PARTS = 12 };

static size_t padded(size_t bytes) {
  return (bytes + 63) / 64 * 64;
}

static void list_parts(const mote_transfer_view *t, part parts[PARTS]) {
  const size_t n = (size_t)t->count, total = (size_t)t->block_total;
  const size_t occupied = (size_t)t->status->occupied, active = (size_t)t->status->active;
  const size_t nodes = active * (t->dim == 3 ? 64 : 16) * 4 * sizeof(float);
  const part all[PARTS] = {
      {offsetof(mote_transfer_view, status), sizeof *t->status},
      {offsetof(mote_transfer_view, record), n * MOTE_RECORD * sizeof *t->record},
      {offsetof(mote_transfer_view, id), n * sizeof *t->id},
      {offsetof(mote_transfer_view, key), n * sizeof *t->key},
      {offsetof(mote_transfer_view, order), n * sizeof *t->order},
      {offsetof(mote_transfer_view, block_start), (occupied + 1) * sizeof *t->block_start},
      {offsetof(mote_transfer_view, block_index), occupied * sizeof *t->block_index},
      {offsetof(mote_transfer_view, tile_slot), total * sizeof *t->tile_slot},
      {offsetof(mote_transfer_view, active_index), active * sizeof *t->active_index},
      {offsetof(mote_transfer_view, grid_slot), total * sizeof *t->grid_slot},
      {offsetof(mote_transfer_view, grid), nodes},
      {offsetof(mote_transfer_view, momentum), nodes},
  };
  memcpy(parts, all, sizeof all);
}

static size_t poses_of(const mote_transfer_view *t) {
  return (size_t)t->collider_count * sizeof *t->poses;
}

size_t mote_transfer_cpu_kept_bytes(const mote_transfer *transfer) {
  part parts[PARTS];
  size_t bytes = padded(sizeof transfer->view) + padded(poses_of(&transfer->view));
  list_parts(&transfer->view, parts);
  for (int k = 0; k < PARTS; k++) bytes += padded(parts[k].bytes);
  return bytes;
}

/* Copies what the view's member points to, and points it there. */
static char *keep_part(mote_transfer_view *view, const part *p, char *to) {
  void **member = (void **)((char *)view + p->member);
  memcpy(to, *member, p->bytes);
  *member = to;
  return to + padded(p->bytes);
}

mote_status mote_transfer_cpu_keep(mote_stream *stream, const mote_transfer *transfer, void *to) {
  mote_transfer_view *view = to;
  part parts[PARTS];
  (void)stream;
  *view = transfer->view;
  list_parts(&transfer->view, parts);
  char *at = (char *)to + padded(sizeof *view);
  for (int k = 0; k < PARTS; k++) at = keep_part(view, &parts[k], at);
  const part poses = {offsetof(mote_transfer_view, poses), poses_of(view)};
  keep_part(view, &poses, at);
  view->solid = view->affine = view->tiles = NULL; /* not of this step for long */
  return MOTE_OK;
}
