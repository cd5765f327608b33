/* Accelerations from forces between pairs, so that momentum is conserved: what i does to j, j does to i.

     a_i = free + share_i wall_i + 8 sum over the edges e = (j -> i) of (p_e - p_e') / sqrt(degree_i degree_j)

   p_e is a network's answer for an edge, e' the edge (i -> j): what a pair gives its two ends cancels,
   whatever the network says, and so does every sum over particles that reach no wall. `free` is the
   acceleration of free flight. share is 1 up to half the reach from a wall and falls to 0 at the reach: there
   the walls act, by the answer of a node. Divided by degrees, sums stay of a size when the same matter is
   sampled more densely; of neighbours all around most cancels, which the factor makes up for.

   The trick: rows are sorted by sender and the graph is symmetric, so that e' is found by bisection in the
   row of j and no list of edges by sender is made. */
#ifndef MOTE_KERNELS_PAIR_H
#define MOTE_KERNELS_PAIR_H

#include <math.h>

#include "kernels/message/message.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_PAIR_GAIN 8

typedef struct mote_pair_forces {
  int dim;
  float lower[3], upper[3]; /* walls, m */
  float per_reach;          /* 1 / m */
  float free[3];            /* normalised */
} mote_pair_forces;

/* Graphs of n nodes, symmetric, rows in ascending order of senders. An edge without its opposite (a graph
   that did not fit) and one of a node with itself do nothing. */
struct mote_pair_kernels {
  /* position (n, dim) m, wall (n, dim), pair (capacity, dim): p; acceleration (n, dim). */
  mote_status (*accelerate)(mote_stream *stream, int64_t n, const mote_pair_forces *forces,
                            const mote_edges *edges, const float *position, const float *wall,
                            const float *pair, float *acceleration);

  /* The reverse: d_wall (n, dim) and d_pair (capacity, dim) are set, d_position (n, dim), unless NULL, is
     added to: of it, share alone depends on places. */
  mote_status (*accelerate_backward)(mote_stream *stream, int64_t n, const mote_pair_forces *forces,
                                     const mote_edges *edges, const float *position, const float *wall,
                                     const float *d_acceleration, float *d_wall, float *d_pair,
                                     float *d_position);
};

/* ---- Per-element math ---- */

/* The walls' share of a particle at x; `slope`, unless NULL: its derivative by x. */
static inline MOTE_HD float mote_pair_share(const mote_pair_forces *f, const float *x, float *slope) {
  float nearest = 1, sign = 0; /* in reaches */
  int axis = 0;
  for (int a = 0; a < f->dim; a++) {
    const float low = (x[a] - f->lower[a]) * f->per_reach, high = (f->upper[a] - x[a]) * f->per_reach;
    const float d = low < high ? low : high;
    if (!(d < nearest)) continue;
    nearest = d;
    axis = a;
    sign = low < high ? 1.0f : -1.0f;
  }
  if (slope) {
    for (int a = 0; a < f->dim; a++) slope[a] = 0;
    if (nearest > 0.5f) slope[axis] = -2 * sign * f->per_reach;
  }
  return nearest > 0.5f ? 2 - 2 * nearest : 1;
}

static inline MOTE_HD int32_t mote_pair_row_end(const mote_edges *g, int32_t i) {
  const int64_t end = g->row_offsets[i + 1];
  return (int32_t)(end < g->capacity ? end : g->capacity);
}

/* The edge (i -> j), -1: there is none. */
static inline MOTE_HD int32_t mote_pair_opposite(const mote_edges *g, int32_t i, int32_t j) {
  int32_t low = g->row_offsets[j], end = mote_pair_row_end(g, j), high = end;
  while (low < high) {
    const int32_t middle = low + (high - low) / 2;
    if (g->senders[middle] < i)
      low = middle + 1;
    else
      high = middle;
  }
  return low < end && g->senders[low] == i ? low : -1;
}

static inline MOTE_HD float mote_pair_weight(const mote_edges *g, int32_t i, int32_t j) {
  const float a = (float)(g->row_offsets[i + 1] - g->row_offsets[i]),
              b = (float)(g->row_offsets[j + 1] - g->row_offsets[j]);
  return MOTE_PAIR_GAIN / sqrtf(a * b);
}

/* What edge e of receiver i adds to its acceleration. */
static inline MOTE_HD void mote_pair_add(int dim, const mote_edges *g, int32_t i, int32_t e,
                                         const float *pair, float *sum) {
  const int32_t j = g->senders[e], opposite = j == i ? -1 : mote_pair_opposite(g, i, j);
  if (opposite < 0) return;
  const float weight = mote_pair_weight(g, i, j);
  for (int a = 0; a < dim; a++)
    sum[a] += weight * (pair[(int64_t)e * dim + a] - pair[(int64_t)opposite * dim + a]);
}

static inline MOTE_HD void mote_pair_reversed(int dim, const mote_edges *g, int32_t i, int32_t e,
                                              const float *d_acceleration, float *d_pair) {
  const int32_t j = g->senders[e], opposite = j == i ? -1 : mote_pair_opposite(g, i, j);
  const float weight = opposite < 0 ? 0 : mote_pair_weight(g, i, j);
  for (int a = 0; a < dim; a++)
    d_pair[(int64_t)e * dim + a] =
        weight * (d_acceleration[(int64_t)i * dim + a] - d_acceleration[(int64_t)j * dim + a]);
}

static inline MOTE_HD void mote_pair_finish(const mote_pair_forces *f, const float *x, const float *wall,
                                            const float *sum, float *acceleration) {
  const float share = mote_pair_share(f, x, NULL);
  for (int a = 0; a < f->dim; a++) acceleration[a] = f->free[a] + (share > 0 ? share * wall[a] : 0) + sum[a];
}

static inline MOTE_HD void mote_pair_wall_reversed(const mote_pair_forces *f, const float *x,
                                                   const float *wall, const float *d_acceleration,
                                                   float *d_wall, float *d_position) {
  float slope[3], by_share = 0;
  const float share = mote_pair_share(f, x, slope);
  for (int a = 0; a < f->dim; a++) {
    d_wall[a] = share * d_acceleration[a];
    by_share += wall[a] * d_acceleration[a];
  }
  for (int a = 0; d_position && share > 0 && a < f->dim; a++) d_position[a] += by_share * slope[a];
}

#ifdef __cplusplus
}
#endif
#endif
