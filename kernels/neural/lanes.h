/* Groups of rows on the CPU: as many particles at once as a register holds. For files that define
   MOTE_REAL_LANES, where a mote_real is a vector and the math of neural.h takes a group. */
#ifndef MOTE_KERNELS_NEURAL_LANES_H
#define MOTE_KERNELS_NEURAL_LANES_H

#include "kernels/neural/neural.h"
#include "kernels/neural/turn.h"

typedef mote_real mote_component;

/* Which rows a group has: `count` of them from `first`, and whether each counts. */
typedef struct mote_group {
  int64_t first;
  int count, whole; /* whole: every lane has a row that counts */
  mote_mask counts;
} mote_group;

/* Of the rows in front of `end`. */
static inline mote_group mote_group_at(const mote_neural_rows *rows, int64_t first, int64_t end) {
  const int64_t left = end - first;
  mote_group g = {.first = first, .count = left < MOTE_REAL_WIDTH ? (int)left : MOTE_REAL_WIDTH};
  g.whole = g.count == MOTE_REAL_WIDTH;
  for (int l = 0; l < MOTE_REAL_WIDTH; l++) {
    const int counts = l < g.count && mote_neural_counts(rows, first + l);
    g.counts[l] = counts ? -1 : 0;
    g.whole &= counts;
  }
  return g;
}

/* The same rows, all of which count. */
static inline mote_group mote_group_of_all(const mote_group *g) {
  mote_group all = *g;
  all.whole = g->count == MOTE_REAL_WIDTH;
  for (int l = 0; l < g->count; l++) all.counts[l] = -1;
  return all;
}

/* The group's rows elsewhere, from row `first` on. */
static inline mote_group mote_group_in(const mote_group *g, int64_t first) {
  mote_group in = *g;
  in.first = first;
  return in;
}

/* Lanes behind the last row repeat it, so that they hold numbers. */
MOTE_INLINE void mote_group_load(const mote_group *g, const float *rows, int64_t stride, int values,
                                 mote_component *to) {
  _Alignas(64) float part[MOTE_REAL_WIDTH];
  if (g->count == MOTE_REAL_WIDTH) {
    mote_turn_in(rows + g->first * stride, stride, values, to);
    return;
  }
  for (int k = 0; k < values; k++) {
    for (int l = 0; l < MOTE_REAL_WIDTH; l++)
      part[l] = rows[(g->first + (l < g->count ? l : g->count - 1)) * stride + k];
    memcpy(&to[k], part, sizeof part);
  }
}

MOTE_INLINE void mote_group_store(const mote_group *g, float *rows, int64_t stride, int values,
                                  const mote_component *from) {
  if (g->whole) {
    mote_turn_out(rows + g->first * stride, stride, values, from);
    return;
  }
  for (int l = 0; l < g->count; l++) {
    if (!g->counts[l]) continue;
    for (int k = 0; k < values; k++) rows[(g->first + l) * stride + k] = from[k][l];
  }
}

#endif
