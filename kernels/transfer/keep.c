/* What the reverse of a step reads of it, kept on the CPU: records, order, blocks, nodes and poses, one
   behind the other, with a view of them in front. The trick: the step itself writes its records and nodes
   there, and only what is small is copied. */
#include "kernels/transfer/cpu.h"

/* A part of the view: where it lies there, and how much of it there is. */
typedef struct part {
  size_t member, bytes;
} part;

enum { WRITTEN = 6, PARTS = 13 }; /* by the step, in front of those that are copied */

static size_t padded(size_t bytes) {
  return (bytes + 63) / 64 * 64;
}

static void list_parts(const mote_transfer_view *t, part parts[PARTS]) {
  const size_t n = (size_t)t->count, total = (size_t)t->block_total;
  const size_t occupied = (size_t)t->status->occupied, active = (size_t)t->status->active;
  const size_t nodes = active * (t->dim == 3 ? 64 : 16) * 4 * sizeof(float);
  const part all[PARTS] = {
      {offsetof(mote_transfer_view, record), n * MOTE_RECORD * sizeof *t->record},
      {offsetof(mote_transfer_view, grid), nodes},
      {offsetof(mote_transfer_view, momentum), nodes},
      {offsetof(mote_transfer_view, id), n * sizeof *t->id},
      {offsetof(mote_transfer_view, key), n * sizeof *t->key},
      {offsetof(mote_transfer_view, order), n * sizeof *t->order},
      {offsetof(mote_transfer_view, status), sizeof *t->status},
      {offsetof(mote_transfer_view, block_start), (occupied + 1) * sizeof *t->block_start},
      {offsetof(mote_transfer_view, block_index), occupied * sizeof *t->block_index},
      {offsetof(mote_transfer_view, tile_slot), total * sizeof *t->tile_slot},
      {offsetof(mote_transfer_view, active_index), active * sizeof *t->active_index},
      {offsetof(mote_transfer_view, grid_slot), total * sizeof *t->grid_slot},
      {offsetof(mote_transfer_view, poses), (size_t)t->collider_count * sizeof *t->poses},
  };
  memcpy(parts, all, sizeof all);
}

static size_t all_bytes(const part parts[PARTS]) {
  size_t bytes = padded(sizeof(mote_transfer_view));
  for (int k = 0; k < PARTS; k++) bytes += padded(parts[k].bytes);
  return bytes;
}

static void *member_of(const mote_transfer_view *view, const part *p) {
  void *member;
  memcpy(&member, (const char *)view + p->member, sizeof member);
  return member;
}

/* Points the view's member there. */
static char *place_part(mote_transfer_view *view, const part *p, char *to) {
  memcpy((char *)view + p->member, &to, sizeof to);
  return to + padded(p->bytes);
}

void mote_transfer_cpu_keep(mote_transfer *transfer, mote_transfer_kept *kept) {
  mote_transfer_view *t = &transfer->view, *view = kept->memory;
  part parts[PARTS];
  list_parts(t, parts);
  const size_t bytes = all_bytes(parts);
  kept->used = 0;
  if (bytes > kept->bytes) return;
  char *at = (char *)kept->memory + padded(sizeof *view);
  *view = *t;
  for (int k = 0; k < PARTS; k++) {
    at = place_part(view, &parts[k], at);
    if (k >= WRITTEN) memcpy(member_of(view, &parts[k]), member_of(t, &parts[k]), parts[k].bytes);
  }
  for (int k = 0; k < WRITTEN; k++) {
    char *there = member_of(view, &parts[k]);
    place_part(t, &parts[k], there);
  }
  view->solid = view->affine = view->tiles = NULL; /* not of this step for long */
  kept->used = bytes;
}

void mote_transfer_cpu_own(mote_transfer *transfer) {
  mote_transfer_view *t = &transfer->view;
  const mote_buffer *b = transfer->buffers;
  t->record = b[MOTE_BUFFER_RECORD].data;
  t->grid = b[MOTE_BUFFER_GRID].data;
  t->momentum = b[MOTE_BUFFER_MOMENTUM].data;
  t->id = b[MOTE_BUFFER_ID].data;
  t->key = b[MOTE_BUFFER_KEY].data;
  t->order = b[MOTE_BUFFER_ORDER].data;
}
