/* The reverse of a step's transfers on the CPU: see reverse.h. p2g scatters the records of gradients, on a
   view whose records and tiles are others. */
#include "kernels/transfer/reverse.h"

#include "kernels/transfer/cpu.h"
#include "kernels/transfer/cpu_tiles.h"

static void make_records(const mote_transfer_view *t, int first, int last, const mote_transfer_gradients *g,
                         float *record) {
  const size_t dim = (size_t)t->dim;
  for (int p = first; p < last; p++) {
    const size_t i = (size_t)t->id[p], row = (size_t)p * MOTE_RECORD;
    const float *by_x = g->position + i * dim, *by_v = g->velocity + i * dim,
                *by_C = g->affine_velocity + i * dim * dim;
    if (dim == 3)
      mote_reverse_record(t, 3, t->record + row, by_x, by_v, by_C, record + row);
    else
      mote_reverse_record(t, 2, t->record + row, by_x, by_v, by_C, record + row);
  }
}

/* A block's records of gradients, and their tile. */
static void scatter_gradients(mote_stream *stream, const mote_transfer_view *t,
                              const mote_transfer_gradients *g, const mote_transfer_view *reversed) {
#pragma omp parallel for num_threads(mote_transfer_threads(stream, t)) schedule(dynamic, 1)
  for (int slot = 0; slot < t->status->occupied; slot++) {
    make_records(t, t->block_start[slot], t->block_start[slot + 1], g, reversed->record);
    mote_transfer_cpu_scatter(reversed, slot);
  }
}

MOTE_INLINE void reverse_block(const mote_transfer_view *t, int dim, int slot, const float *tiles,
                               float *grid, double *motion) {
  const int nodes = dim == 3 ? 64 : 16;
  int corner[3];
  const float *q = t->momentum + (size_t)slot * (size_t)nodes * 4;
  _Alignas(64) float g[64 * 4];
  mote_block_corner(t, t->active_index[slot], corner);
  mote_sum_tiles(t, dim, 0, tiles, corner, g);
  for (int n = 0; n < nodes; n++) {
    const int at[3] = {corner[0] + (dim == 3 ? n >> 4 : n >> 2), corner[1] + (dim == 3 ? n >> 2 & 3 : n & 3),
                       dim == 3 ? corner[2] + (n & 3) : 0};
    mote_node_reverse(t, at, q + 4 * n, g + 4 * n, grid + ((size_t)slot * (size_t)nodes + (size_t)n) * 4,
                      motion);
  }
}

static void reverse_nodes(mote_stream *stream, const mote_transfer_view *t, mote_transfer_reverse *room,
                          int wants_motion) {
  const int chunks = mote_reverse_chunks(t);
  const int64_t width = (int64_t)t->collider_count * MOTE_MOTION;
  double *sums = room->motion.data;
#pragma omp parallel for num_threads(mote_transfer_threads(stream, t)) schedule(dynamic, 1)
  for (int c = 0; c < chunks; c++) {
    double *sum = wants_motion ? sums + c * width : NULL;
    for (int64_t k = 0; sum && k < width; k++) sum[k] = 0;
    const int last = (c + 1) * MOTE_REVERSE_CHUNK;
    for (int slot = c * MOTE_REVERSE_CHUNK; slot < last && slot < t->status->active; slot++) {
      if (t->dim == 3)
        reverse_block(t, 3, slot, room->tiles.data, room->grid.data, sum);
      else
        reverse_block(t, 2, slot, room->tiles.data, room->grid.data, sum);
    }
  }
}

mote_status mote_transfer_cpu_reverse(mote_stream *stream, const mote_transfer_view *t,
                                      mote_transfer_reverse *room, const mote_transfer_gradients *g,
                                      double *motion) {
  const int chunks = mote_reverse_chunks(t);
  mote_transfer_view reversed = *t;
  MOTE_TRY(mote_transfer_reverse_reserve(stream, t, room, chunks));
  reversed.record = room->record.data;
  reversed.tiles = room->tiles.data;
  scatter_gradients(stream, t, g, &reversed);
  reverse_nodes(stream, t, room, motion != NULL);
  const int64_t width = (int64_t)t->collider_count * MOTE_MOTION;
  for (int c = 0; motion && c < chunks; c++)
    for (int64_t k = 0; k < width; k++) motion[k] += ((const double *)room->motion.data)[c * width + k];
  mote_transfer_cpu_reverse_gather(stream, t, room->record.data, room->grid.data, g);
  return MOTE_OK;
}
