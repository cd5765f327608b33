/* Particles to grid on the CPU, and the grid's own step. The trick: particles of one cell share its 3^dim
   nodes, so a cell is summed at hand (a row of three nodes with four quantities each is 12 of 16 lanes) and
   goes to the tile once. Blocks are independent; tiles are added in a fixed order of neighbours. */
#include "kernels/transfer/collider.h"
#include "kernels/transfer/cpu.h"
#include "kernels/transfer/cpu_tiles.h"

/* Orders the particles first..last by their cell among the tile's, stably; start[c] is the first of cell c.
 */
MOTE_INLINE void order_by_cell(const mote_transfer_view *t, int dim, int first, int last,
                               int start[TILE_CELLS * TILE_CELLS * TILE_CELLS + 1]) {
  const int cells = dim == 3 ? TILE_CELLS * TILE_CELLS * TILE_CELLS : TILE_CELLS * TILE_CELLS;
  int next[TILE_CELLS * TILE_CELLS * TILE_CELLS];
  memset(start, 0, (size_t)(cells + 1) * sizeof *start);
  for (int p = first; p < last; p++) start[t->key[p] + 1]++;
  for (int c = 0; c < cells; c++) {
    start[c + 1] += start[c];
    next[c] = first + start[c];
  }
  for (int p = first; p < last; p++) t->order[next[t->key[p]]++] = p;
}

/* sum[row] += the particle's share, rows (i) or (i, j) of three nodes along the last axis. */
MOTE_INLINE void scatter_particle(int dim, const float *record, const float middle[3],
                                  mote_w sum[][MOTE_ROW_PARTS]) {
  const mote_w q = w_quad(record), along_x = w_quad(record + 4), along_y = w_quad(record + 8);
  mote_spline x = mote_spline_at(record[7], middle[0]);
  if (dim == 2) {
    const mote_row_weights row = mote_row(record[11], middle[1]);
    for (int p = 0; p < MOTE_ROW_PARTS; p++) {
      const mote_w base = row.weight[p] * q + row.momentum_weight[p] * row.distance[p] * along_y;
      const mote_w slope_x = row.momentum_weight[p] * along_x;
      for (int i = 0; i < 3; i++) sum[i][p] += x.weight[i] * (base + x.distance[i] * slope_x);
    }
    return;
  }
  mote_spline y = mote_spline_at(record[11], middle[1]);
  const mote_row_weights row = mote_row(record[15], middle[2]);
  for (int j = 0; j < 3; j++) y.distance[j] *= y.weight[j];
  for (int p = 0; p < MOTE_ROW_PARTS; p++) {
    const mote_w base = row.weight[p] * q + row.momentum_weight[p] * row.distance[p] * w_quad(record + 12);
    const mote_w slope_x = row.momentum_weight[p] * along_x, slope_y = row.momentum_weight[p] * along_y;
    for (int i = 0; i < 3; i++) {
      const mote_w at = x.weight[i] * (base + x.distance[i] * slope_x), turn = x.weight[i] * slope_y;
      for (int j = 0; j < 3; j++) {
        sum[3 * i + j][p] += y.weight[j] * at;
        sum[3 * i + j][p] += y.distance[j] * turn;
      }
    }
  }
}

/* The particles first..last of the order, all of one cell, to its nodes. */
MOTE_INLINE void scatter_cell(const mote_transfer_view *t, int dim, const mote_cell *c, int first, int last,
                              int block_last, float *tile) {
  mote_w sum[9][MOTE_ROW_PARTS] = {{{0}}};
  for (int k = first; k < last; k++) {
    const int ahead = k + PREFETCH < block_last ? k + PREFETCH : block_last - 1;
    __builtin_prefetch(t->record + (size_t)t->order[ahead] * MOTE_RECORD);
    scatter_particle(dim, t->record + (size_t)t->order[k] * MOTE_RECORD, c->middle, sum);
  }
  for (int r = 0; r < MOTE_STENCIL_ROWS(dim); r++)
    for (int p = 0; p < MOTE_ROW_PARTS; p++) {
      float *to = tile + c->node + mote_row_offset(dim, r) + p * MOTE_WIDTH;
      w_store(to, w_load(to) + sum[r][p]);
    }
}

MOTE_INLINE void scatter_block(const mote_transfer_view *t, int dim, int slot) {
  const int cells = TILE_CELLS * TILE_CELLS * (dim == 3 ? TILE_CELLS : 1);
  int corner[3], start[TILE_CELLS * TILE_CELLS * TILE_CELLS + 1];
  mote_block_corner(t, t->block_index[slot], corner);
  const int first = t->block_start[slot], last = t->block_start[slot + 1];
  order_by_cell(t, dim, first, last, start);
  float *tile = t->tiles + (size_t)slot * mote_tile_floats(dim);
  memset(tile, 0, mote_tile_floats(dim) * sizeof *tile);
  for (int cell = 0; cell < cells; cell++) {
    if (start[cell] == start[cell + 1]) continue;
    const mote_cell at = mote_cell_at(dim, corner, cell);
    scatter_cell(t, dim, &at, first + start[cell], first + start[cell + 1], last, tile);
  }
}

void mote_transfer_cpu_scatter(const mote_transfer_view *t, int slot) {
  if (t->dim == 3)
    scatter_block(t, 3, slot);
  else
    scatter_block(t, 2, slot);
}

mote_status mote_transfer_cpu_p2g(mote_stream *stream, mote_transfer *transfer) {
  const mote_transfer_view *t = &transfer->view;
  if (t->status->halted) return MOTE_OK;
#pragma omp parallel for num_threads(mote_transfer_threads(stream, t)) schedule(dynamic, 1)
  for (int slot = 0; slot < t->status->occupied; slot++) mote_transfer_cpu_scatter(t, slot);
  return MOTE_OK;
}

MOTE_INLINE void update_block(const mote_transfer_view *t, int dim, int drifts, int slot) {
  int corner[3];
  const int nodes = dim == 3 ? 64 : 16;
  mote_block_corner(t, t->active_index[slot], corner);
  float *node = t->grid + (size_t)slot * (size_t)nodes * 4;
  mote_sum_tiles(t, dim, drifts, t->tiles, corner, node);
  if (t->momentum) memcpy(t->momentum + (node - t->grid), node, (size_t)nodes * 4 * sizeof *node);
  for (int n = 0; n < nodes; n++) {
    const int at[3] = {corner[0] + (dim == 3 ? n >> 4 : n >> 2), corner[1] + (dim == 3 ? n >> 2 & 3 : n & 3),
                       dim == 3 ? corner[2] + (n & 3) : 0};
    mote_node_update(t, at, node + 4 * n);
  }
}

mote_status mote_transfer_cpu_grid_update(mote_stream *stream, mote_transfer *transfer) {
  const mote_transfer_view *t = &transfer->view;
  if (t->status->halted) return MOTE_OK;
#pragma omp parallel for num_threads(mote_transfer_threads(stream, t)) schedule(dynamic, 8)
  for (int slot = 0; slot < t->status->active; slot++) {
    if (t->dim == 3 && transfer->one_step)
      update_block(t, 3, 0, slot);
    else if (t->dim == 3)
      update_block(t, 3, 1, slot);
    else
      update_block(t, 2, 1, slot);
  }
  return MOTE_OK;
}
