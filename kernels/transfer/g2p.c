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
  _Alignas(64) float row[16][16];
} batch;

/* What a block's particles report. */
typedef struct report {
  int32_t failed; /* lowest scene row, or INT32_MAX */
  int left_margin;
} report;

/* A quad of a row: what was gathered, and the record's own fourth lane. */
MOTE_INLINE void write_quad(float *row, const float *record, mote_w gathered) {
  q_store(row, w_add_quads(gathered));
  row[3] = record[3];
}

MOTE_INLINE void gather_particle(int dim, const float *record, const float middle[3],
                                 mote_w node[][MOTE_ROW_PARTS], float row[16]) {
  mote_w v = {0}, x_column = {0}, y_column = {0}, z_column = {0};
  const mote_spline x = mote_spline_at(record[7], middle[0]);
  mote_spline y = mote_spline_at(record[11], middle[1]);
  const mote_row_weights inner = dim == 3 ? mote_row(record[15], middle[2]) : mote_row(record[11], middle[1]);
  for (int j = 0; j < 3; j++) y.distance[j] *= y.weight[j];
  for (int p = 0; p < MOTE_ROW_PARTS; p++) {
    mote_w sum = {0}, sum_x = {0}, sum_y = {0};
    for (int i = 0; i < 3; i++) {
      mote_w at = {0}, turn = {0};
      for (int j = 0; j < 3 && dim == 3; j++) {
        at += y.weight[j] * node[3 * i + j][p];
        turn += y.distance[j] * node[3 * i + j][p];
      }
      at = x.weight[i] * (dim == 3 ? at : node[i][p]);
      sum += at;
      sum_x += x.distance[i] * at;
      sum_y += x.weight[i] * turn;
    }
    sum *= inner.weight[p];
    v += sum;
    x_column += sum_x * inner.weight[p];
    y_column += sum_y * inner.weight[p];
    z_column += sum * inner.distance[p];
  }
  write_quad(row, record, v);
  write_quad(row + 4, record + 4, x_column);
  write_quad(row + 8, record + 8, dim == 3 ? y_column : z_column);
  write_quad(row + 12, record + 12, dim == 3 ? z_column : (mote_w){0});
}

/* The solid rows of a batch, transposed: components by lanes. */
MOTE_INLINE void load_solids(const mote_transfer_view *t, const batch *b, float solid[16][16]) {
  for (int l = 0; l < 16; l++) /* four floats of the next row come along */
    memcpy(solid[l], t->solid + (size_t)b->particle[l] * MOTE_SOLID, sizeof solid[l]);
  mote_transpose16(solid);
}

/* deformation, history and stress of the batch. */
MOTE_INLINE void update_solids(const mote_transfer_view *t, int dim, float state[16][16], float solid[16][16],
                               float tau[9][16]) {
  const float rate = 4 / t->spacing;
  _Alignas(64) float C[9][16];
  int32_t material[16];
  for (int c = 0; c < dim; c++)
    for (int d = 0; d < dim; d++)
      for (int l = 0; l < 16; l += MOTE_WIDTH)
        w_store(C[c * dim + d] + l, rate * w_load(state[4 + 4 * d + c] + l));
  memcpy(material, solid[11], sizeof material);
  if (dim == 3)
    mote_laws_step3_lanes(t->laws, material, t->time_step, (const float(*)[16])C, solid, solid[9], tau);
  else
    mote_laws_step2_lanes(t->laws, material, t->time_step, (const float(*)[16])C, solid, solid[9], tau);
}

MOTE_INLINE mote_w clamp_lanes(mote_w x, float low, float high) {
  x = w_select(x > low, x, w_set(low)); /* NaN goes to low: never an index out of range */
  return w_select(x < high, x, w_set(high));
}

/* What becomes of lanes beside their state. */
typedef struct lanes_report {
  int32_t left[16], failed[16], cell[16];
} lanes_report;

/* Positions and records of the lanes from l on, and what they report. */
MOTE_INLINE void update_lanes(const mote_transfer_view *t, int dim, const int corner[3], int l,
                              float state[16][16], float solid[16][16], float tau[9][16],
                              lanes_report *report) {
  const float advance = t->time_step / t->spacing, stress_factor = 4 * t->time_step / t->spacing;
  const mote_w mass = w_load(state[3] + l), volume = w_load(solid[10] + l);
  mote_w speed = {0};
  mote_wi left = {0}, cell = {0};
  for (int d = 0; d < dim; d++) {
    const mote_w v = w_load(state[d] + l);
    const mote_w x = clamp_lanes(w_load(state[7 + 4 * d] + l) + advance * v, t->clip_low,
                                 (float)t->cells[d] - t->clip_low);
    /* x >= 1/2, so that truncation is floor */
    const mote_wi base = __builtin_convertvector(x - 0.5f, mote_wi) - (corner[d] - TILE_MARGIN);
    speed += v * v;
    left |= (base < 0) | (base >= TILE_CELLS);
    cell = cell * TILE_CELLS + base;
    w_store(state[7 + 4 * d] + l, x);
    w_store(state[d] + l, v * mass);
    for (int c = 0; c < dim; c++) {
      float *column = state[4 + 4 * d + c] + l;
      w_store(column, 4 * mass * w_load(column) - stress_factor * volume * w_load(tau[c * dim + d] + l));
    }
  }
  /* NaN in any lane of stress or speed fails the comparison below */
  for (int k = 0; k < dim * dim; k++) speed += 0 * w_load(tau[k] + l);
  const mote_wi failed = ~(speed < w_set(1 / (advance * advance)));
  memcpy(report->left + l, &left, sizeof left);
  memcpy(report->cell + l, &cell, sizeof cell);
  memcpy(report->failed + l, &failed, sizeof failed);
}

/* C's columns, before they become those of the next record. */
MOTE_INLINE void affine_of(const mote_transfer_view *t, const float row[16], float to[MOTE_AFFINE]) {
  const mote_q momentum = {1, 1, 1, 0};
  for (int d = 0; d < 3; d++) q_store(to + 4 * d, momentum * (4 / t->spacing) * q_load(row + 4 + 4 * d));
}

/* What becomes of particles: their rows of the next step, unless there is none; and to the scene's arrays. */
typedef struct job {
  const mote_transfer_view *view;
  const mote_transfer_arrays *to; /* NULL: not wanted */
  int rows, affine;               /* written; affine ones only with the others */
} job;

MOTE_INLINE void write_rows(const job *j, int32_t particle, const float *record, const float *affine,
                            const float *solid, int32_t cell) {
  const mote_transfer_view *t = j->view;
  memcpy(t->record + (size_t)particle * MOTE_RECORD, record, MOTE_RECORD * sizeof(float));
  memcpy(t->solid + (size_t)particle * MOTE_SOLID, solid, MOTE_SOLID * sizeof(float));
  if (j->affine) memcpy(t->affine + (size_t)particle * MOTE_AFFINE, affine, MOTE_AFFINE * sizeof(float));
  t->key[particle] = (uint32_t)cell;
}

/* Positions, deformation, stress and records of the batch; lanes beyond its count repeat its first particle.
 */
MOTE_INLINE void update_batch(const job *j, int dim, const int corner[3], batch *b, report *report) {
  const mote_transfer_view *t = j->view;
  _Alignas(64) float tau[9][16], solid[16][16], affine[16][MOTE_AFFINE];
  lanes_report lanes = {.left = {0}};
  for (int l = b->count; l < 16; l++) {
    b->particle[l] = b->particle[0];
    memcpy(b->row[l], b->row[0], sizeof b->row[l]);
  }
  for (int l = 0; l < b->count && (j->affine || j->to); l++) affine_of(t, b->row[l], affine[l]);
  load_solids(t, b, solid);
  mote_transpose16(b->row);
  update_solids(t, dim, b->row, solid, tau);
  for (int l = 0; l < 16; l += MOTE_WIDTH) update_lanes(t, dim, corner, l, b->row, solid, tau, &lanes);
  mote_transpose16(b->row);
  mote_transpose16(solid);
  for (int l = 0; l < b->count; l++) {
    const int32_t p = b->particle[l], i = t->id[p];
    if (j->rows) write_rows(j, p, b->row[l], affine[l], solid[l], lanes.cell[l]);
    if (j->to) mote_particle_write(t, dim, j->to, (size_t)i, b->row[l], affine[l], solid[l]);
    report->left_margin |= lanes.left[l];
    if (lanes.failed[l] && i < report->failed) report->failed = i;
  }
  b->count = 0;
}

static __attribute__((noinline)) void update_batch3(const job *j, const int corner[3], batch *b,
                                                    report *report) {
  update_batch(j, 3, corner, b, report);
}
static __attribute__((noinline)) void update_batch2(const job *j, const int corner[3], batch *b,
                                                    report *report) {
  update_batch(j, 2, corner, b, report);
}

MOTE_INLINE void move_block(const job *j, int dim, int drifts, int slot, report *report) {
  const mote_transfer_view *t = j->view;
  int corner[3];
  _Alignas(64) float tile[512 * 4 + 16];
  batch b = {.count = 0};
  mote_w node[9][MOTE_ROW_PARTS];
  mote_block_corner(t, t->block_index[slot], corner);
  mote_fill_tile(t, dim, drifts, t->grid, corner, tile);
  int k = t->block_start[slot], last = t->block_start[slot + 1];
  while (k < last) {
    const uint32_t key = t->key[t->order[k]]; /* as p2g left it */
    const mote_cell cell = mote_cell_at(dim, corner, (int)key);
    for (int r = 0; r < MOTE_STENCIL_ROWS(dim); r++)
      for (int p = 0; p < MOTE_ROW_PARTS; p++)
        node[r][p] = w_load(tile + cell.node + mote_row_offset(dim, r) + p * MOTE_WIDTH);
    for (; k < last && t->key[t->order[k]] == key; k++) {
      int32_t p = t->order[k], ahead = t->order[k + PREFETCH < last ? k + PREFETCH : last - 1];
      __builtin_prefetch(t->record + (size_t)ahead * MOTE_RECORD);
      __builtin_prefetch(t->solid + (size_t)ahead * MOTE_SOLID);
      gather_particle(dim, t->record + (size_t)p * MOTE_RECORD, cell.middle, node, b.row[b.count]);
      b.particle[b.count++] = p;
      if (b.count == 16) (dim == 3 ? update_batch3 : update_batch2)(j, corner, &b, report);
    }
  }
  if (b.count) (dim == 3 ? update_batch3 : update_batch2)(j, corner, &b, report);
}

mote_status mote_transfer_cpu_g2p(mote_stream *stream, mote_transfer *transfer,
                                  const mote_transfer_arrays *to) {
  const mote_transfer_view *t = &transfer->view;
  if (t->status->halted) return MOTE_OK;
  int32_t failed = INT32_MAX;
  int left_margin = 0;
  /* Where no step follows, what it would be of stays as the reverse reads it. */
  const job job = {t, to, !transfer->one_step || !to, transfer->keep_affine || to};
#pragma omp parallel for num_threads(mote_transfer_threads(stream, t)) schedule(dynamic, 1)                  \
    reduction(min                                                                                            \
              : failed) reduction(|                                                                          \
                                  : left_margin)
  for (int slot = 0; slot < t->status->occupied; slot++) {
    report here = {INT32_MAX, 0};
    if (t->dim == 3)
      move_block(&job, 3, !transfer->one_step, slot, &here);
    else
      move_block(&job, 2, 1, slot, &here);
    failed = here.failed < failed ? here.failed : failed;
    left_margin |= here.left_margin;
  }
  t->status->failed = failed;
  t->status->needs_sort = left_margin != 0;
  return MOTE_OK;
}
