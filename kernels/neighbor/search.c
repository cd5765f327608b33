/* The CPU's search. Candidates around a cell come in windows: every range around the cell is in index order,
   so a window takes from each a piece with indices below a common bound, at most BLOCK_ROOM points in all.
   The usual neighbourhood is one window, whose short rows are sorted in registers at the end. A crowded one
   is put in index order before its receivers (many, in a crowd) go through it, and their rows come out
   sorted, window after window: no row and no cell is too large. */
#include "kernels/neighbor/search.h"

#include "kernels/neighbor/block.h"

#define BATCH 256 /* receivers that share a walk over the windows */

mote_search mote_search_of(const mote_cells *cells, const mote_cell_order *queries, int flags) {
  const float *p = cells->points.sorted.data, *q = queries->sorted.data;
  int64_t ps = cells->points.stride, qs = queries->stride;
  return (mote_search){
      .state = cells->state.data,
      .start = cells->start.data,
      .point_index = cells->points.order.data,
      .query_index = queries->order.data,
      .px = p,
      .py = p + ps,
      .pz = p + 2 * ps,
      .qx = q,
      .qy = q + qs,
      .qz = q + 2 * qs,
      .inverse_width = mote_cells_inverse_width(cells->radius),
      .radius2 = cells->radius * cells->radius,
      .dim = cells->dim,
      .table_bits = cells->table_bits,
      .inclusive = !!(flags & MOTE_NEIGHBOR_INCLUSIVE),
      .exclude_self = !!(flags & MOTE_NEIGHBOR_EXCLUDE_SELF),
  };
}

static void locate(const mote_search *s, int64_t place, int32_t cell[3]) {
  cell[0] = mote_cells_locate(s->state, 0, s->qx[place], s->inverse_width);
  cell[1] = mote_cells_locate(s->state, 1, s->qy[place], s->inverse_width);
  cell[2] = s->dim == 3 ? mote_cells_locate(s->state, 2, s->qz[place], s->inverse_width) : 0;
}

/* The receivers from `begin` that are in the same cell, at most BATCH. */
static int64_t batch_end(const mote_search *s, int64_t begin, int64_t end, int32_t cell[3]) {
  int64_t last = begin + BATCH < end ? begin + BATCH : end, i = begin + 1;
  locate(s, begin, cell);
  for (; i < last; i++) {
    int32_t other[3];
    locate(s, i, other);
    if (other[0] != cell[0] || other[1] != cell[1] || other[2] != cell[2]) break;
  }
  return i;
}

/* What is left to visit of the ranges around a cell. */
typedef struct walk {
  int ranges, ordered; /* ordered: each range is in index order */
  int32_t begin[27], end[27];
} walk;

static int64_t walk_points(const walk *w) {
  int64_t points = 0;
  for (int r = 0; r < w->ranges; r++) points += w->end[r] - w->begin[r];
  return points;
}

static void walk_start(const mote_search *s, const int32_t cell[3], walk *w) {
  w->ordered = 0;
  w->ranges = mote_cells_around(s->state, s->table_bits, s->dim, s->start, cell, 1, w->begin, w->end);
  if (walk_points(w) <= BLOCK_UNSORTED) return;
  w->ordered = 1;
  w->ranges = mote_cells_around(s->state, s->table_bits, s->dim, s->start, cell, 0, w->begin, w->end);
}

/* The first place in [begin, end) with an index of at least `bound`. */
static int32_t lower_bound(const int32_t *index, int32_t begin, int32_t end, int32_t bound) {
  while (begin < end) {
    int32_t middle = begin + (end - begin) / 2;
    if (index[middle] < bound)
      begin = middle + 1;
    else
      end = middle;
  }
  return begin;
}

/* Takes the next window into the block; 0 when nothing is left. */
static int walk_next(const mote_search *s, walk *w, mote_block *block) {
  int64_t left = walk_points(w);
  if (!left) return 0;
  int32_t bound = INT32_MAX, share = BLOCK_ROOM / w->ranges;
  for (int r = 0; left > BLOCK_ROOM && r < w->ranges; r++)
    if (w->end[r] - w->begin[r] > share && s->point_index[w->begin[r] + share] < bound)
      bound = s->point_index[w->begin[r] + share];
  block->count = 0;
  int pieces[28], piece_count = 0;
  for (int r = 0; r < w->ranges; r++) {
    int32_t to = w->end[r];
    if (bound != INT32_MAX) to = lower_bound(s->point_index, w->begin[r], w->end[r], bound);
    if (to == w->begin[r]) continue;
    pieces[piece_count++] = block->count;
    mote_block_append(block, s->px, s->py, s->pz, s->point_index, w->begin[r], to);
    w->begin[r] = to;
  }
  pieces[piece_count] = block->count;
  if (w->ordered) mote_block_sort(block, pieces, piece_count);
  mote_block_pad(block);
  return 1;
}

int64_t mote_search_count(const mote_search *s, int64_t begin, int64_t end, int32_t *counts) {
  mote_block block;
  int64_t total = 0;
  for (int64_t next; begin < end; begin = next) {
    int32_t cell[3], found[BATCH] = {0};
    walk w;
    next = batch_end(s, begin, end, cell);
    walk_start(s, cell, &w);
    w.ordered = 0; /* counts need no order, and windows keep their bounds without it */
    while (walk_next(s, &w, &block))
      for (int64_t i = begin; i < next; i++)
        found[i - begin] += mote_block_count(&block, s->qx[i], s->qy[i], s->qz[i], s->radius2, s->inclusive);
    for (int64_t i = begin; i < next; i++) {
      counts[s->query_index[i]] = found[i - begin] - s->exclude_self;
      total += found[i - begin] - s->exclude_self;
    }
  }
  return total;
}

void mote_search_fill(const mote_search *s, int64_t begin, int64_t end, const int32_t *row_offsets,
                      int32_t *senders, int32_t *receivers) {
  mote_block block;
  _Alignas(64) int32_t row[BLOCK_ROOM + BLOCK_LANES];
  for (int64_t next; begin < end; begin = next) {
    int32_t cell[3], cursor[BATCH];
    walk w;
    next = batch_end(s, begin, end, cell);
    walk_start(s, cell, &w);
    for (int64_t i = begin; i < next; i++) cursor[i - begin] = row_offsets[s->query_index[i]];
    while (walk_next(s, &w, &block))
      for (int64_t i = begin; i < next; i++) {
        int32_t *to = senders + cursor[i - begin];
        int found = mote_block_emit(&block, s->qx[i], s->qy[i], s->qz[i], s->radius2, s->inclusive,
                                    s->exclude_self ? s->query_index[i] : -1, row);
        if (w.ordered)
          memcpy(to, row, (size_t)found * sizeof *row);
        else
          mote_row_sort(row, found, to);
        if (receivers) mote_row_fill(receivers + cursor[i - begin], found, s->query_index[i]);
        cursor[i - begin] += found;
      }
  }
}
