/* The gathering half of the reverse of a step's transfers on the CPU (reverse.h), a block's particles at a
   time. The trick: a node's part of the gradient by the place is w' (dv . (q + A d) + v . (g + G d)); d is
   affine, so that the sums over nodes of w' times the nodes' rows and of w' d times them, lane by lane, are
   multiplied by q, A, g and G but once a particle. */
#include "kernels/transfer/cpu_tiles.h"
#include "kernels/transfer/reverse.h"

/* Weights, slopes and distances along an axis, the same in every lane. */
typedef struct axis {
  v16 weight[3], slope[3], distance[3];
} axis;

MOTE_INLINE axis axis_at(v16 g) {
  const mote_spline s = mote_spline_at(g);
  return (axis){{s.weight[0], s.weight[1], s.weight[2]},
                {g - 0.5f, -2 * g, g + 0.5f},
                {s.distance[0], s.distance[1], s.distance[2]}};
}

/* Along the innermost axis, node k in quad k. */
typedef struct row {
  v16 weight, slope, distance;
} row;

MOTE_INLINE row row_at(v16 g) {
  const mote_row_weights w = mote_row(g);
  return (row){w.weight, QUADS(-0.5f, 0, 0.5f, 0) + QUADS(1.f, -2.f, 1.f, 0) * g, w.distance};
}

/* Sums of rows over the outer axes: with all weights; with one axis' slopes in place of its weights. Each
   plain, and times the distance along each outer axis. */
typedef struct sums {
  v16 plain[3], by_x[3], by_y[3]; /* 1, d_x, d_y */
} sums;

MOTE_INLINE void sum_rows(int dim, const axis *x, const axis *y, const v16 *node, sums *s) {
  const v16 zero = {0};
  for (int k = 0; k < 3; k++) s->plain[k] = s->by_x[k] = s->by_y[k] = zero;
  for (int i = 0; i < 3; i++) {
    v16 inner[2][2] = {{zero, zero}, {zero, zero}}; /* weights or slopes of y; 1 or d_y */
    if (dim == 2) {
      inner[0][0] = node[i];
    } else {
      for (int j = 0; j < 3; j++) {
        const v16 at = node[3 * i + j], w = y->weight[j] * at, slope = y->slope[j] * at;
        inner[0][0] += w;
        inner[0][1] += y->distance[j] * w;
        inner[1][0] += slope;
        inner[1][1] += y->distance[j] * slope;
      }
    }
    const v16 w = x->weight[i] * inner[0][0], slope = x->slope[i] * inner[0][0];
    s->plain[0] += w;
    s->plain[1] += x->distance[i] * w;
    s->by_x[0] += slope;
    s->by_x[1] += x->distance[i] * slope;
    if (dim == 2) continue;
    s->plain[2] += x->weight[i] * inner[0][1];
    s->by_x[2] += x->slope[i] * inner[0][1];
    s->by_y[0] += x->weight[i] * inner[1][0];
    s->by_y[1] += x->distance[i] * x->weight[i] * inner[1][0];
    s->by_y[2] += x->weight[i] * inner[1][1];
  }
}

/* A record in all quads: q with the mass behind, and the columns of A. */
typedef struct columns {
  v16 q, outer[2], inner;
} columns;

MOTE_INLINE columns columns_of(int dim, const float *record) {
  const i16 momentum = {-1, -1, -1, 0, -1, -1, -1, 0, -1, -1, -1, 0, -1, -1, -1, 0};
  const v16 r = v16_load(record), zero = {0};
  const v16 x = v16_select(momentum, v16_quad(r, 1), zero), y = v16_select(momentum, v16_quad(r, 2), zero);
  if (dim == 2) return (columns){v16_quad(r, 0), {x, zero}, y};
  return (columns){v16_quad(r, 0), {x, y}, v16_select(momentum, v16_quad(r, 3), zero)};
}

/* Lanes of sum * (q + A d) */
MOTE_INLINE v16 against(const columns *c, const v16 sum[3], v16 distance) {
  return sum[0] * (c->q + distance * c->inner) + sum[1] * c->outer[0] + sum[2] * c->outer[1];
}

MOTE_INLINE float add_lanes(v16 v) {
  float all[16], sum = 0;
  v16_store(all, v);
  for (int k = 0; k < 16; k++) sum += all[k];
  return sum;
}

/* Quads of sums, added up: of v, dq, and of dq times the distance along each axis. */
typedef struct moments {
  float v[4], dq[4], along[3][4], place[3];
} moments;

MOTE_INLINE void add_quads(v16 v, float to[4]) {
  float all[16];
  v16_store(all, v);
  for (int k = 0; k < 4; k++) to[k] = all[k] + all[4 + k] + all[8 + k];
}

MOTE_INLINE void gather_moments(int dim, const float *record, const float *reversed, const v16 middle[3],
                                const v16 *velocity, const v16 *gradient, moments *m) {
  const v16 r = v16_load(record);
  const axis x = axis_at(v16_lane(r, 7) - middle[0]), y = axis_at(v16_lane(r, 11) - middle[dim == 2 ? 0 : 1]);
  const row z = row_at(dim == 2 ? v16_lane(r, 11) - middle[1] : v16_lane(r, 15) - middle[2]);
  const columns q = columns_of(dim, record), g = columns_of(dim, reversed);
  sums of_v, of_g;
  sum_rows(dim, &x, &y, velocity, &of_v);
  sum_rows(dim, &x, &y, gradient, &of_g);
  m->place[0] =
      add_lanes(z.weight * (against(&q, of_g.by_x, z.distance) + against(&g, of_v.by_x, z.distance)));
  m->place[1] =
      add_lanes(z.weight * (against(&q, of_g.by_y, z.distance) + against(&g, of_v.by_y, z.distance)));
  m->place[dim - 1] =
      add_lanes(z.slope * (against(&q, of_g.plain, z.distance) + against(&g, of_v.plain, z.distance)));
  add_quads(z.weight * of_v.plain[0], m->v);
  add_quads(z.weight * of_g.plain[0], m->dq);
  add_quads(z.weight * of_g.plain[1], m->along[0]);
  if (dim == 3) add_quads(z.weight * of_g.plain[2], m->along[1]);
  add_quads(z.weight * z.distance * of_g.plain[0], m->along[dim - 1]);
}

/* As mote_reverse_gather() ends. */
MOTE_INLINE void write_particle(const mote_transfer_view *t, int dim, int p, const float *reversed,
                                const moments *m, const mote_transfer_gradients *g) {
  const float *record = t->record + (size_t)p * MOTE_RECORD, mass = record[3], h = t->spacing;
  const float stress_factor = 4 * t->time_step / h * t->solid[(size_t)p * MOTE_SOLID + 10];
  const size_t i = (size_t)t->id[p], square = (size_t)(dim * dim);
  float *by_x = g->position + i * (size_t)dim, *by_v = g->velocity + i * (size_t)dim;
  float *by_C = g->affine_velocity + i * square, *by_tau = g->stress + i * square;
  for (int d = 0; d < dim; d++) {
    float dx = m->place[d];
    for (int k = 0; k < dim; k++) dx -= m->dq[k] * record[4 + 4 * d + k] + m->v[k] * reversed[4 + 4 * d + k];
    by_x[d] = dx / h + (mote_moves_freely(t, d, record[7 + 4 * d], m->v[d]) ? by_x[d] : 0);
    by_v[d] = mass * m->dq[d];
    for (int c = 0; c < dim; c++) {
      by_C[c * dim + d] = mass * h * m->along[d][c];
      by_tau[c * dim + d] = -stress_factor * m->along[d][c];
    }
  }
}

MOTE_INLINE void gather_block(const mote_transfer_view *t, int dim, int slot, const float *record,
                              const float *by_node, const mote_transfer_gradients *g) {
  int corner[3];
  _Alignas(64) float velocity[512 * 4 + 16], gradient[512 * 4 + 16];
  mote_block_corner(t, t->block_index[slot], corner);
  mote_fill_tile(t, dim, t->grid, corner, velocity);
  mote_fill_tile(t, dim, by_node, corner, gradient);
  for (int k = t->block_start[slot]; k < t->block_start[slot + 1]; k++) {
    const int32_t p = t->order[k];
    const int cell = (int)t->key[p], side_z = dim == 3 ? TILE_CELLS : 1; /* as p2g left it */
    const int z = cell % side_z, y = cell / side_z % TILE_CELLS, x = cell / side_z / TILE_CELLS;
    const v16 middle[3] = {v16_set((float)(corner[0] + x)), v16_set((float)(corner[1] + y)),
                           v16_set((float)(corner[2] + z))};
    const float *reversed = record + (size_t)p * MOTE_RECORD;
    v16 of_v[9], of_g[9];
    moments m;
    for (int r = 0; r < (dim == 3 ? 9 : 3); r++) {
      const int at = mote_tile_offset(dim, x, y, z) +
                     (dim == 3 ? mote_tile_offset(3, r / 3, r % 3, 0) : mote_tile_offset(2, r, 0, 0));
      of_v[r] = v16_load(velocity + at);
      of_g[r] = v16_load(gradient + at);
    }
    gather_moments(dim, t->record + (size_t)p * MOTE_RECORD, reversed, middle, of_v, of_g, &m);
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
