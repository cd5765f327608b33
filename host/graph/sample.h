/* The three ways to choose points, one group at a time. Each gets n points (n, 3) without gaps and writes
   places 0..n-1 in the order of choice. */
#ifndef MOTE_GRAPH_SAMPLE_H
#define MOTE_GRAPH_SAMPLE_H

#include <mote/sample.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `stream` tells the groups apart: the same seed draws different numbers in each. */
typedef struct mote_sample_draw {
  uint64_t seed, stream;
} mote_sample_draw;

/* places[0..n) = 0..n-1, of which the first `count` are then a uniform choice in uniform order
 * (Fisher-Yates). */
void mote_sample_shuffle(mote_sample_draw draw, int32_t *places, int64_t n, int64_t count);

mote_status mote_sample_farthest(mote_sample_draw draw, const float *points, int64_t n, int64_t count,
                                 int32_t *places);

/* count 0: all that keep `*radius`; otherwise finds *radius for the count. */
mote_status mote_sample_poisson(mote_sample_draw draw, const float *points, int64_t n, int64_t count,
                                float *radius, int32_t *places, int64_t *chosen);

#ifdef __cplusplus
}
#endif
#endif
