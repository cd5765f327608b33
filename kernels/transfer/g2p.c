/* Grid to particles on the CPU, with the particles' own update. The trick: a cell's node rows stay in
   registers while its particles gather from them; what sixteen particles gathered is then transposed, and
   positions, deformation, stress and next record are computed sixteen at a time. */
#include "kernels/constitutive/lanes.h"
#include "kernels/transfer/cpu.h"
#include "kernels/transfer/cpu_tiles.h"
#include "kernels/transfer/particle.h"

/* Up to 16 particles between gathering and update. A row is laid out as a record: velocity and the three
   columns of B = sum w v d^T in the quads' first lanes, the record's own mass and position in the fourth. */
typedef struct batch {
  int count;
  int32_t particle[16];
  v16 row[16];
} batch;

/* What a block's particles report. */
typedef struct report {
  int32_t failed; /* lowest scene row, or INT32_MAX */
  int left_margin;
} report;

MOTE_INLINE v16 add_quads(v16 v, v16 x, v16 y, v16 z) {
  /* Transpose the 4 x 4 matrix of quads and add: quad 0 is the sum of v's quads, and so on. */
  v16 a = __builtin_shufflevector(v, x, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  v16 b = __builtin_shufflevector(y, z, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  v16 c = __builtin_shufflevector(v, x, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
  v16 d = __builtin_shufflevector(y, z, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
  v16 first = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
  v16 second = __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
  v16 third = __builtin_shufflevector(c, d, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
  return first + second + third;
}

MOTE_INLINE v16 gather_particle(int dim, const float *record, const v16 middle[3], const v16 *node) {
  const i16 fourth = {0, 0, 0, -1, 0, 0, 0, -1, 0, 0, 0, -1, 0, 0, 0, -1};
  v16 r = v16_load(record), sum = {0}, sum_x = {0}, sum_y = {0};
  mote_spline x = mote_spline_at(v16_lane(r, 7) - middle[0]);
  if (dim == 2) {
    mote_row_weights row = mote_row(v16_lane(r, 11) - middle[1]);
    for (int i = 0; i < 3; i++) {
      v16 at = x.weight[i] * node[i];
      sum += at;
      sum_x += x.distance[i] * at;
    }
    v16 v = sum * row.weight;
    return v16_select(fourth, r, add_quads(v, sum_x * row.weight, v * row.distance, (v16){0}));
  }
  mote_spline y = mote_spline_at(v16_lane(r, 11) - middle[1]);
  mote_row_weights row = mote_row(v16_lane(r, 15) - middle[2]);
  for (int j = 0; j < 3; j++) y.distance[j] *= y.weight[j];
  for (int i = 0; i < 3; i++) {
    v16 at = y.weight[0] * node[3 * i], turn = y.distance[0] * node[3 * i];
    for (int j = 1; j < 3; j++) {
      at += y.weight[j] * node[3 * i + j];
      turn += y.distance[j] * node[3 * i + j];
    }
    at *= x.weight[i];
    sum += at;
    sum_x += x.distance[i] * at;
    sum_y += x.weight[i] * turn;
  }
  v16 v = sum * row.weight;
  return v16_select(fourth, r, add_quads(v, sum_x * row.weight, sum_y * row.weight, v * row.distance));
}

/* The solid rows of a batch, transposed: components by lanes. */
MOTE_INLINE void load_solids(const mote_transfer_view *t, const batch *b, v16 solid[16]) {
  for (int l = 0; l < 16; l++) /* four floats of the next row come along */
    solid[l] = v16_load(t->solid + (size_t)b->particle[l] * MOTE_SOLID);
  v16_transpose(solid);
}

/* deformation, history and stress of the batch. */
MOTE_INLINE void update_solids(const mote_transfer_view *t, int dim, const v16 state[16], v16 solid[16],
                               float tau[9][16]) {
  const float rate = 4 / t->spacing;
  _Alignas(64) float C[9][16], F[9][16], history[16];
  _Alignas(64) int32_t material[16];
  for (int c = 0; c < dim; c++)
    for (int d = 0; d < dim; d++) v16_store(C[c * dim + d], rate * state[4 + 4 * d + c]);
  for (int k = 0; k < dim * dim; k++) v16_store(F[k], solid[k]);
  v16_store(history, solid[9]);
  memcpy(material, &solid[11], sizeof material);
  if (dim == 3)
    mote_laws_step3_lanes(t->laws, material, t->time_step, (const float(*)[16])C, F, history, tau);
  else
    mote_laws_step2_lanes(t->laws, material, t->time_step, (const float(*)[16])C, F, history, tau);
  for (int k = 0; k < dim * dim; k++) solid[k] = v16_load(F[k]);
  solid[9] = v16_load(history);
}

MOTE_INLINE v16 clamp_lanes(v16 x, float low, float high) {
  x = v16_select(x > low, x, v16_set(low)); /* NaN goes to low: never an index out of range */
  return v16_select(x < high, x, v16_set(high));
}

/* Positions, deformation, stress and records of the batch; lanes beyond its count repeat its first particle.
 */
MOTE_INLINE void update_batch(const mote_transfer_view *t, int dim, const int corner[3], int keep_affine,
                              batch *b, report *report) {
  const float advance = t->time_step / t->spacing, stress_factor = 4 * t->time_step / t->spacing;
  for (int l = b->count; l < 16; l++) b->particle[l] = b->particle[0], b->row[l] = b->row[0];
  _Alignas(64) float tau[9][16];
  v16 solid[16], *state = b->row;
  if (keep_affine)
    for (int l = 0; l < b->count; l++) {
      const i16 momentum = {-1, -1, -1, 0, -1, -1, -1, 0, -1, -1, -1, 0, -1, -1, -1, 0};
      v16 row = v16_select(momentum, state[l], (v16){0}) * (4 / t->spacing);
      row = __builtin_shufflevector(row, row, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3);
      v16_store12(t->affine + (size_t)b->particle[l] * MOTE_AFFINE, row);
    }
  load_solids(t, b, solid);
  v16_transpose(state);
  update_solids(t, dim, state, solid, tau);
  v16 mass = state[3], volume = solid[10], speed = {0}, limit = v16_set(1 / (advance * advance));
  i16 left = {0}, cell = {0};
  for (int d = 0; d < dim; d++) {
    speed += state[d] * state[d];
    v16 x = clamp_lanes(state[7 + 4 * d] + advance * state[d], t->clip_low, (float)t->cells[d] - t->clip_low);
    /* x >= 1/2, so that truncation is floor */
    i16 base = __builtin_convertvector(x - 0.5f, i16) - (corner[d] - TILE_MARGIN);
    left |= (base < 0) | (base >= TILE_CELLS);
    cell = cell * TILE_CELLS + base;
    state[7 + 4 * d] = x;
    state[d] *= mass;
    for (int c = 0; c < dim; c++)
      state[4 + 4 * d + c] =
          4 * mass * state[4 + 4 * d + c] - stress_factor * volume * v16_load(tau[c * dim + d]);
  }
  v16 sound = speed; /* NaN in any lane of stress or speed fails the comparison below */
  for (int k = 0; k < dim * dim; k++) sound += 0 * v16_load(tau[k]);
  i16 failed = ~(sound < limit);
  v16_transpose(state);
  v16_transpose(solid);
  for (int l = 0; l < b->count; l++) {
    v16_store(t->record + (size_t)b->particle[l] * MOTE_RECORD, state[l]);
    v16_store12(t->solid + (size_t)b->particle[l] * MOTE_SOLID, solid[l]);
    report->left_margin |= left[l];
    t->key[b->particle[l]] = (uint32_t)cell[l];
    if (failed[l] && t->id[b->particle[l]] < report->failed) report->failed = t->id[b->particle[l]];
  }
  b->count = 0;
}

static __attribute__((noinline)) void update_batch3(const mote_transfer_view *t, const int corner[3],
                                                    int keep_affine, batch *b, report *report) {
  update_batch(t, 3, corner, keep_affine, b, report);
}
static __attribute__((noinline)) void update_batch2(const mote_transfer_view *t, const int corner[3],
                                                    int keep_affine, batch *b, report *report) {
  update_batch(t, 2, corner, keep_affine, b, report);
}

MOTE_INLINE void gather_block(const mote_transfer_view *t, int dim, int slot, int keep_affine,
                              report *report) {
  int corner[3];
  _Alignas(64) float tile[512 * 4 + 16];
  batch b = {0};
  v16 node[9];
  mote_block_corner(t, t->block_index[slot], corner);
  mote_fill_tile(t, dim, t->grid, corner, tile);
  int k = t->block_start[slot], last = t->block_start[slot + 1];
  while (k < last) {
    uint32_t cell = t->key[t->order[k]]; /* as p2g left it */
    int side_z = dim == 3 ? TILE_CELLS : 1;
    int z = (int)cell % side_z, y = (int)cell / side_z % TILE_CELLS, x = (int)cell / side_z / TILE_CELLS;
    v16 middle[3] = {v16_set((float)(corner[0] + x)), v16_set((float)(corner[1] + y)),
                     v16_set((float)(corner[2] + z))};
    for (int r = 0; r < (dim == 3 ? 9 : 3); r++)
      node[r] = v16_load(tile + mote_tile_offset(dim, x, y, z) +
                         (dim == 3 ? mote_tile_offset(3, r / 3, r % 3, 0) : mote_tile_offset(2, r, 0, 0)));
    for (; k < last && t->key[t->order[k]] == cell; k++) {
      int32_t p = t->order[k], ahead = t->order[k + PREFETCH < last ? k + PREFETCH : last - 1];
      __builtin_prefetch(t->record + (size_t)ahead * MOTE_RECORD);
      __builtin_prefetch(t->solid + (size_t)ahead * MOTE_SOLID);
      b.row[b.count] = gather_particle(dim, t->record + (size_t)p * MOTE_RECORD, middle, node);
      b.particle[b.count++] = p;
      if (b.count == 16) (dim == 3 ? update_batch3 : update_batch2)(t, corner, keep_affine, &b, report);
    }
  }
  if (b.count) (dim == 3 ? update_batch3 : update_batch2)(t, corner, keep_affine, &b, report);
}

/* A block's particles, while its thread has them at hand. */
MOTE_INLINE void unload_block(const mote_transfer_view *t, int dim, int slot,
                              const mote_transfer_arrays *to) {
  for (int p = t->block_start[slot]; p < t->block_start[slot + 1]; p++) mote_particle_unload(t, dim, to, p);
}

MOTE_INLINE void move_block(const mote_transfer_view *t, int dim, int slot, int keep_affine,
                            const mote_transfer_arrays *to, report *report) {
  gather_block(t, dim, slot, keep_affine, report);
  if (to) unload_block(t, dim, slot, to);
}

mote_status mote_transfer_cpu_g2p(mote_stream *stream, mote_transfer *transfer,
                                  const mote_transfer_arrays *to) {
  const mote_transfer_view *t = &transfer->view;
  if (t->status->halted) return MOTE_OK;
  int32_t failed = INT32_MAX;
  int left_margin = 0, keep_affine = transfer->keep_affine || to;
#pragma omp parallel for num_threads(mote_transfer_threads(stream, t)) schedule(dynamic, 1)                  \
    reduction(min                                                                                            \
              : failed) reduction(|                                                                          \
                                  : left_margin)
  for (int slot = 0; slot < t->status->occupied; slot++) {
    report here = {INT32_MAX, 0};
    if (t->dim == 3)
      move_block(t, 3, slot, keep_affine, to, &here);
    else
      move_block(t, 2, slot, keep_affine, to, &here);
    failed = here.failed < failed ? here.failed : failed;
    left_margin |= here.left_margin;
  }
  t->status->failed = failed;
  t->status->needs_sort = left_margin != 0;
  return MOTE_OK;
}
