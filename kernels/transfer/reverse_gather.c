/* The gathering half of the reverse of a step's transfers on the CPU (reverse.h), a block's particles at a
   time. The trick: a node's part of the gradient by the place is w' (dv . (q + A d) + v . (g + G d)); d is
   affine, so that the sums over nodes of w' times the nodes' rows and of w' d times them, lane by lane, are
   multiplied by q, A, g and G but once a particle. */
#include "kernels/transfer/cpu_tiles.h"
#include "kernels/transfer/reverse.h"

/* An axis' nodes, the same in every lane: weights and their slopes by the place, plain and times the
 * distance. */
typedef struct axis {
  mote_w weight[3], far[3], slope[3], far_slope[3];
} axis;

MOTE_INLINE axis axis_at(float place, float middle) {
  const mote_spline s = mote_spline_at(place, middle);
  const mote_w g = w_set(place - middle), slope[3] = {g - 0.5f, -2 * g, g + 0.5f};
  axis a;
  for (int k = 0; k < 3; k++) {
    a.weight[k] = s.weight[k];
    a.far[k] = s.distance[k] * s.weight[k];
    a.slope[k] = slope[k];
    a.far_slope[k] = s.distance[k] * slope[k];
  }
  return a;
}

/* Along the innermost axis, node k in the row's quad k. */
typedef struct row {
  mote_w weight[MOTE_ROW_PARTS], slope[MOTE_ROW_PARTS], distance[MOTE_ROW_PARTS];
} row;

MOTE_INLINE row row_at(float place, float middle) {
  static const _Alignas(64) float alpha[16] = MOTE_IN_QUADS(-0.5f, 0, 0.5f), s[16] = MOTE_IN_QUADS(1, -2, 1);
  const mote_row_weights w = mote_row(place, middle);
  row r;
  for (int p = 0; p < MOTE_ROW_PARTS; p++) {
    r.weight[p] = w.weight[p];
    r.distance[p] = w.distance[p];
    r.slope[p] = w_load(alpha + p * MOTE_WIDTH) + w_load(s + p * MOTE_WIDTH) * w_set(place - middle);
  }
  return r;
}

/* Sums of rows over the outer axes: with all weights; with one axis' slopes in place of its weights. Each
   plain, and times the distance along each outer axis. */
typedef struct sums {
  mote_w plain[3], by_x[3], by_y[3]; /* 1, d_x, d_y */
} sums;

/* Of a part of each row; `node`: that of the stencil's first. */
MOTE_INLINE void sum_rows(int dim, const axis *x, const axis *y, const float *node, sums *s) {
  const mote_w zero = {0};
  for (int k = 0; k < 3; k++) s->plain[k] = s->by_x[k] = s->by_y[k] = zero;
#pragma GCC unroll 1
  for (int i = 0; i < 3; i++) {
    mote_w plain = zero, far = zero, slope = zero, far_slope = zero;
    if (dim == 2) plain = w_load(node + mote_row_offset(2, i));
    for (int j = 0; j < 3 && dim == 3; j++) {
      const mote_w at = w_load(node + mote_row_offset(3, 3 * i + j));
      plain += y->weight[j] * at;
      far += y->far[j] * at;
      slope += y->slope[j] * at;
      far_slope += y->far_slope[j] * at;
    }
    s->plain[0] += x->weight[i] * plain;
    s->plain[1] += x->far[i] * plain;
    s->by_x[0] += x->slope[i] * plain;
    s->by_x[1] += x->far_slope[i] * plain;
    if (dim == 2) continue;
    s->plain[2] += x->weight[i] * far;
    s->by_x[2] += x->slope[i] * far;
    s->by_y[0] += x->weight[i] * slope;
    s->by_y[1] += x->far[i] * slope;
    s->by_y[2] += x->weight[i] * far_slope;
  }
}

/* A record in all quads: q with the mass behind, and the columns of A. */
typedef struct columns {
  mote_w q, outer[2], inner;
} columns;

MOTE_INLINE columns columns_of(int dim, const float *record) {
  const mote_wi momentum = mote_momentum_lanes();
  const mote_w zero = {0}, x = w_and(w_quad(record + 4), momentum), y = w_and(w_quad(record + 8), momentum);
  if (dim == 2) return (columns){w_quad(record), {x, zero}, y};
  return (columns){w_quad(record), {x, y}, w_and(w_quad(record + 12), momentum)};
}

/* Lanes of sum * (q + A d) */
MOTE_INLINE mote_w against(const columns *c, const mote_w sum[3], mote_w distance) {
  return sum[0] * (c->q + distance * c->inner) + sum[1] * c->outer[0] + sum[2] * c->outer[1];
}

/* What a particle gathers, quads of sums not yet added up: v, dq, dq times the distance along each axis, and
   what the place changes. */
typedef struct moments {
  mote_w v, dq, along[3], place[3];
} moments;

/* A part of one field's rows: its sums, and what it changes with the place, beside the other field's record.
 */
MOTE_INLINE void gather_field(int dim, const axis *x, const axis *y, const row *z, int part,
                              const float *node, const columns *other, sums *s, mote_w place[3]) {
  const mote_w w = z->weight[part], d = z->distance[part];
  sum_rows(dim, x, y, node + part * MOTE_WIDTH, s);
  place[0] += w * against(other, s->by_x, d);
  if (dim == 3) place[1] += w * against(other, s->by_y, d);
  place[dim - 1] += z->slope[part] * against(other, s->plain, d);
}

MOTE_INLINE void gather_moments(int dim, const float *record, const float *reversed, const float middle[3],
                                const float *velocity, const float *gradient, moments *to) {
  const axis x = axis_at(record[7], middle[0]), y = axis_at(record[11], middle[1]);
  const row z = dim == 2 ? row_at(record[11], middle[1]) : row_at(record[15], middle[2]);
  const columns q = columns_of(dim, record), g = columns_of(dim, reversed);
  moments m = {0};
#pragma GCC unroll 1
  for (int p = 0; p < MOTE_ROW_PARTS; p++) {
    const mote_w w = z.weight[p], d = z.distance[p];
    sums s;
    gather_field(dim, &x, &y, &z, p, velocity, &g, &s, m.place);
    m.v += w * s.plain[0];
    gather_field(dim, &x, &y, &z, p, gradient, &q, &s, m.place);
    m.dq += w * s.plain[0];
    m.along[0] += w * s.plain[1];
    if (dim == 3) m.along[1] += w * s.plain[2];
    m.along[dim - 1] += w * d * s.plain[0];
  }
  *to = m;
}

/* As mote_reverse_gather() ends. */
MOTE_INLINE void write_particle(const mote_transfer_view *t, int dim, int p, const float *reversed,
                                const moments *m, const mote_transfer_gradients *g) {
  const float *record = t->record + (size_t)p * MOTE_RECORD, mass = record[3], h = t->spacing;
  const size_t i = (size_t)t->id[p], square = (size_t)(dim * dim);
  const float stress_factor = 4 * t->time_step / h * g->volume[i];
  const mote_q zero = {0}, momentum = {1, 1, 1, 0}, v = momentum * w_add_quads(m->v),
               dq = momentum * w_add_quads(m->dq);
  float *by_x = g->position + i * (size_t)dim, *by_v = g->velocity + i * (size_t)dim;
  float *by_C = g->affine_velocity + i * square, *by_tau = g->stress + i * square;
  mote_q along[3], place[3] = {zero, zero, zero};
  for (int d = 0; d < dim; d++) {
    along[d] = w_add_quads(m->along[d]);
    /* the distances' own dependence on the place */
    place[d] = w_add_quads(m->place[d]) - dq * q_load(record + 4 + 4 * d) - v * q_load(reversed + 4 + 4 * d);
  }
  const mote_q dx = q_add_each(place[0], place[1], place[2], zero);
  for (int d = 0; d < dim; d++) {
    by_x[d] = dx[d] / h + (mote_moves_freely(t, d, record[7 + 4 * d], v[d]) ? by_x[d] : 0);
    by_v[d] = mass * dq[d];
    for (int c = 0; c < dim; c++) {
      by_C[c * dim + d] = mass * h * along[d][c];
      by_tau[c * dim + d] = -stress_factor * along[d][c];
    }
  }
}

MOTE_INLINE void gather_block(const mote_transfer_view *t, int dim, int slot, const float *record,
                              const float *by_node, const mote_transfer_gradients *g) {
  int corner[3];
  _Alignas(64) float velocity[512 * 4 + 16], gradient[512 * 4 + 16];
  mote_block_corner(t, t->block_index[slot], corner);
  mote_fill_tile(t, dim, 0, t->grid, corner, velocity);
  mote_fill_tile(t, dim, 0, by_node, corner, gradient);
  for (int k = t->block_start[slot]; k < t->block_start[slot + 1]; k++) {
    const int32_t p = t->order[k];
    const mote_cell cell = mote_cell_at(dim, corner, (int)t->key[p]); /* as p2g left it */
    const float *reversed = record + (size_t)p * MOTE_RECORD;
    moments m;
    gather_moments(dim, t->record + (size_t)p * MOTE_RECORD, reversed, cell.middle, velocity + cell.node,
                   gradient + cell.node, &m);
    write_particle(t, dim, p, reversed, &m, g);
  }
}

void mote_transfer_cpu_reverse_gather(mote_stream *stream, const mote_transfer_view *t, const float *record,
                                      const float *by_node, const mote_transfer_gradients *g) {
#pragma omp parallel for num_threads(mote_transfer_threads(stream, t)) schedule(dynamic, 1)
  for (int slot = 0; slot < t->status->occupied; slot++) {
    if (t->dim == 3)
      gather_block(t, 3, slot, record, by_node, g);
    else
      gather_block(t, 2, slot, record, by_node, g);
  }
}
