/* The reverse of a step's transfers (transfer.h), a particle at a time. With w_i the weights, d = i - x in
   cells, h the spacing, and q, A of a particle's record:

     Q_i = sum w_i (q + A d), M_i = sum w_i m,  v_i = contact(Q_i / M_i + g dt),
     v' = sum w_i v_i,  B = sum w_i v_i d^T,  C' = 4 B / h,  x' = clamp(x + dt v')

   The trick: by v_i the gradient is sum w_i (g + G d) with g = d_v' + dt d_x' and G = 4 d_C' / h, which is
   the very form of p2g: g and G are a record of no mass, and p2g itself scatters it. What comes back from the
   nodes, dQ_i and dM_i, is gathered as g2p gathers. */
#ifndef MOTE_KERNELS_TRANSFER_REVERSE_H
#define MOTE_KERNELS_TRANSFER_REVERSE_H

#include "kernels/transfer/collider_reverse.h"
#include "kernels/transfer/particle.h"

/* Nodes' gradients by colliders are summed over this many blocks of nodes at once, always the same ones. */
#define MOTE_REVERSE_CHUNK 16

static inline int mote_reverse_chunks(const mote_transfer_view *t) {
  return (t->block_total + MOTE_REVERSE_CHUNK - 1) / MOTE_REVERSE_CHUNK;
}

/* The weights of a particle's stencil, their slopes by its place, and the nodes' distances; cells. In 2-D the
   third axis has the one node 0. */
typedef struct mote_stencil {
  int base[3], nodes[3];
  float weight[3][3], slope[3][3], distance[3][3];
} mote_stencil;

MOTE_HD static inline void mote_stencil_at(const mote_transfer_view *t, const float *record,
                                           mote_stencil *s) {
  for (int d = 0; d < 3; d++) {
    s->base[d] = 0;
    s->nodes[d] = 1;
    for (int k = 0; k < 3; k++) {
      s->weight[d][k] = k == 0;
      s->slope[d][k] = s->distance[d][k] = 0;
    }
    if (d >= t->dim) continue;
    const float x = record[7 + 4 * d];
    s->base[d] = mote_stencil_base(x, t->cells[d]);
    s->nodes[d] = 3;
    const float g = x - (float)(s->base[d] + 1);
    mote_stencil_weights(g, s->weight[d]);
    s->slope[d][0] = g - 0.5f;
    s->slope[d][1] = -2 * g;
    s->slope[d][2] = g + 0.5f;
    for (int k = 0; k < 3; k++) s->distance[d][k] = (float)(k - 1) - g;
  }
}

/* Where node (x, y, z) lies in arrays like view.grid, in floats; -1: nowhere, all are 0 there. */
MOTE_HD static inline int64_t mote_node_place(const mote_transfer_view *t, int x, int y, int z) {
  const int slot = t->grid_slot[mote_block_of(t, x, y, z)];
  const int node = t->dim == 3 ? ((x & 3) * 4 + (y & 3)) * 4 + (z & 3) : (x & 3) * 4 + (y & 3);
  return slot < 0 ? -1 : ((int64_t)slot * (t->dim == 3 ? 64 : 16) + node) * 4;
}

/* v' = sum w_i v_i */
MOTE_HD static inline void mote_gather_velocity(const mote_transfer_view *t, const mote_stencil *s,
                                                float v[3]) {
  v[0] = v[1] = v[2] = 0;
  for (int a = 0; a < s->nodes[0]; a++)
    for (int b = 0; b < s->nodes[1]; b++)
      for (int c = 0; c < s->nodes[2]; c++) {
        const int64_t at = mote_node_place(t, s->base[0] + a, s->base[1] + b, s->base[2] + c);
        const float w = s->weight[0][a] * s->weight[1][b] * s->weight[2][c];
        for (int k = 0; k < 3 && at >= 0; k++) v[k] += w * t->grid[at + k];
      }
}

/* Whether the clamp lets the particle's advance along an axis through. */
MOTE_HD static inline int mote_moves_freely(const mote_transfer_view *t, int axis, float x, float v) {
  const float to = x + t->time_step / t->spacing * v;
  return to > t->clip_low && to < (float)t->cells[axis] - t->clip_low;
}

/* Whether the clamp could stop it at all: a step is less than a cell. */
MOTE_HD static inline int mote_may_be_stopped(const mote_transfer_view *t, const float *record) {
  for (int d = 0; d < t->dim; d++) {
    const float x = record[7 + 4 * d], near = t->clip_low + 1;
    if (!(x > near && x < (float)t->cells[d] - near)) return 1;
  }
  return 0;
}

/* The record of g and G; its quads end in 0 and the place, as a record's do in mass and place. by_x, by_v,
   by_C: of the particle, (dim), (dim), (dim, dim), by metres, m/s, 1/s. */
MOTE_INLINE void mote_reverse_record(const mote_transfer_view *t, int dim, const float *record,
                                     const float *by_x, const float *by_v, const float *by_C, float *to) {
  mote_stencil s;
  float v[3] = {0, 0, 0}, out[MOTE_RECORD] = {0};
  if (mote_may_be_stopped(t, record)) {
    mote_stencil_at(t, record, &s);
    mote_gather_velocity(t, &s, v);
  }
  for (int d = 0; d < dim; d++) {
    out[7 + 4 * d] = record[7 + 4 * d];
    out[d] = by_v[d] + (mote_moves_freely(t, d, record[7 + 4 * d], v[d]) ? t->time_step * by_x[d] : 0);
    for (int c = 0; c < dim; c++) out[4 + 4 * d + c] = 4 / t->spacing * by_C[c * dim + d];
  }
  memcpy(to, out, sizeof out);
}

/* q + A d of a record at a node, with the mass behind; in 2-D A has no third axis. */
MOTE_HD static inline void mote_record_at(const float *record, const float d[3], float q[4]) {
  for (int k = 0; k < 3; k++) {
    q[k] = record[k];
    for (int a = 0; a < 3; a++) q[k] += record[4 + 4 * a + k] * d[a];
  }
  q[3] = record[3];
}

/* From the nodes' gradients by momentum and mass, `by_node`, laid out as view.grid: the gradients by the
   state before and by the stress of its record. by_x is read (by the place after) and replaced. */
MOTE_HD static inline void mote_reverse_gather(const mote_transfer_view *t, int p, float volume,
                                               const float *reversed, const float *by_node, float *by_x,
                                               float *by_v, float *by_C, float *by_tau) {
  const int dim = t->dim;
  const float *record = t->record + (size_t)p * MOTE_RECORD, mass = record[3], h = t->spacing;
  const float stress_factor = 4 * t->time_step / h * volume;
  mote_stencil s;
  float v[3] = {0, 0, 0}, dq[4] = {0, 0, 0, 0}, dA[3][3] = {{0}}, dx[3] = {0, 0, 0};
  mote_stencil_at(t, record, &s);
  for (int a = 0; a < s.nodes[0]; a++)
    for (int b = 0; b < s.nodes[1]; b++)
      for (int c = 0; c < s.nodes[2]; c++) {
        const int64_t at = mote_node_place(t, s.base[0] + a, s.base[1] + b, s.base[2] + c);
        if (at < 0) continue;
        const float *vi = t->grid + at, *gi = by_node + at;
        const float d[3] = {s.distance[0][a], s.distance[1][b], s.distance[2][c]};
        const float w[3] = {s.weight[0][a], s.weight[1][b], s.weight[2][c]}, all = w[0] * w[1] * w[2];
        const float slope[3] = {s.slope[0][a] * w[1] * w[2], w[0] * s.slope[1][b] * w[2],
                                w[0] * w[1] * s.slope[2][c]};
        float q[4], g[4], value = 0;
        mote_record_at(record, d, q);
        mote_record_at(reversed, d, g);
        for (int k = 0; k < 3; k++) value += gi[k] * q[k] + vi[k] * g[k];
        value += gi[3] * q[3];
        for (int k = 0; k < 3; k++) {
          v[k] += all * vi[k];
          dq[k] += all * gi[k];
          dx[k] += slope[k] * value;
          for (int e = 0; e < dim; e++) dA[e][k] += all * d[e] * gi[k];
        }
      }
  for (int d = 0; d < dim; d++) {
    /* the distances' own dependence on the place */
    for (int k = 0; k < 3; k++) dx[d] -= dq[k] * record[4 + 4 * d + k] + v[k] * reversed[4 + 4 * d + k];
    const int free = mote_moves_freely(t, d, record[7 + 4 * d], v[d]);
    by_x[d] = dx[d] / h + (free ? by_x[d] : 0);
    by_v[d] = mass * dq[d];
    for (int c = 0; c < dim; c++) {
      by_C[c * dim + d] = mass * h * dA[d][c];
      by_tau[c * dim + d] = -stress_factor * dA[d][c];
    }
  }
}

#endif
