/* Particles to grid on the CPU, and the grid's own step. The trick: particles of one cell share its 3^dim
   nodes, so a cell is summed in registers (a row of three nodes with four quantities each is 12 of 16 lanes)
   and goes to the tile once. Blocks are independent; tiles are added in a fixed order of neighbours. */
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
MOTE_INLINE void scatter_particle(int dim, const float *record, const v16 middle[3], v16 *sum) {
  v16 r = v16_load(record), q = v16_quad(r, 0), slope_x = v16_quad(r, 1);
  mote_spline x = mote_spline_at(v16_lane(r, 7) - middle[0]);
  if (dim == 2) {
    mote_row_weights row = mote_row(v16_lane(r, 11) - middle[1]);
    v16 base = row.weight * q + row.momentum_weight * row.distance * v16_quad(r, 2);
    slope_x *= row.momentum_weight;
    for (int i = 0; i < 3; i++) sum[i] += x.weight[i] * (base + x.distance[i] * slope_x);
    return;
  }
  mote_spline y = mote_spline_at(v16_lane(r, 11) - middle[1]);
  mote_row_weights row = mote_row(v16_lane(r, 15) - middle[2]);
  v16 base = row.weight * q + row.momentum_weight * row.distance * v16_quad(r, 3);
  v16 slope_y = row.momentum_weight * v16_quad(r, 2);
  slope_x *= row.momentum_weight;
  for (int j = 0; j < 3; j++) y.distance[j] *= y.weight[j];
  for (int i = 0; i < 3; i++) {
    v16 at = x.weight[i] * (base + x.distance[i] * slope_x), turn = x.weight[i] * slope_y;
    for (int j = 0; j < 3; j++) {
      sum[3 * i + j] += y.weight[j] * at;
      sum[3 * i + j] += y.distance[j] * turn;
    }
  }
}

MOTE_INLINE void scatter_block(const mote_transfer_view *t, int dim, int slot) {
  int corner[3], start[TILE_CELLS * TILE_CELLS * TILE_CELLS + 1];
  mote_block_corner(t, t->block_index[slot], corner);
  int first = t->block_start[slot], last = t->block_start[slot + 1], side_z = dim == 3 ? TILE_CELLS : 1;
  order_by_cell(t, dim, first, last, start);
  float *tile = t->tiles + (size_t)slot * mote_tile_floats(dim);
  memset(tile, 0, mote_tile_floats(dim) * sizeof *tile);
  for (int cell = 0; cell < TILE_CELLS * TILE_CELLS * side_z; cell++) {
    if (start[cell] == start[cell + 1]) continue;
    int z = cell % side_z, y = cell / side_z % TILE_CELLS, x = cell / side_z / TILE_CELLS;
    v16 middle[3] = {v16_set((float)(corner[0] + x)), v16_set((float)(corner[1] + y)),
                     v16_set((float)(corner[2] + z))};
    v16 sum[9] = {0};
    for (int k = first + start[cell]; k < first + start[cell + 1]; k++) {
      int ahead = k + PREFETCH < last ? k + PREFETCH : last - 1;
      __builtin_prefetch(t->record + (size_t)t->order[ahead] * MOTE_RECORD);
      scatter_particle(dim, t->record + (size_t)t->order[k] * MOTE_RECORD, middle, sum);
    }
    float *node = tile + mote_tile_offset(dim, x, y, z);
    for (int i = 0; i < 3; i++)
      for (int j = 0; j < (dim == 3 ? 3 : 1); j++) {
        float *to = node + mote_tile_offset(dim, i, j, 0);
        v16_store(to, v16_load(to) + sum[dim == 3 ? 3 * i + j : i]);
      }
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

MOTE_INLINE void update_block(const mote_transfer_view *t, int dim, int slot) {
  int corner[3];
  const int nodes = dim == 3 ? 64 : 16;
  mote_block_corner(t, t->active_index[slot], corner);
  float *node = t->grid + (size_t)slot * (size_t)nodes * 4;
  mote_sum_tiles(t, dim, t->tiles, corner, node);
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
    if (t->dim == 3)
      update_block(t, 3, slot);
    else
      update_block(t, 2, slot);
  }
  return MOTE_OK;
}
