/* Filling a region with particles: on a lattice, on a jittered one, or as a Poisson-disk set. What is placed
   depends on the region and the options alone, never on the number of threads. */
#ifndef MOTE_SCENE_FILL_H
#define MOTE_SCENE_FILL_H

#include <stdint.h>
#include <mote/status.h>

#include "host/geometry/region.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mote_placement { MOTE_LATTICE, MOTE_JITTERED, MOTE_POISSON } mote_placement;

/* A Poisson-disk set of minimal distance r holds about this many points in a volume r^dim, once no dart finds
   room any more: r of a set as dense as a lattice of spacing s is s * (that number)^(1/dim). Measured here;
   Gamito and Maddock 2009 give 0.70 for both dimensions. */
#define MOTE_POISSON_DENSITY 0.68

typedef struct mote_fill {
  mote_placement placement;
  double spacing; /* m, of a lattice as dense; used where count is 0 */
  int64_t count;  /* exactly so many points; 0: what the spacing gives */
  double jitter;  /* MOTE_JITTERED: how much of its cell a point may use, 0 to 1 */
  uint64_t seed;
  uint64_t stream; /* of random numbers: another one a body */
  int64_t limit;   /* more points than this are refused */
} mote_fill;

typedef struct mote_points {
  int64_t count;
  double *position; /* (count, 3), z = 0 in 2-D; owned */
} mote_points;

/* Fills `region`. MOTE_ERROR_ARGUMENT: nothing fits, or more than `limit` points would be needed. */
mote_status mote_fill_region(const mote_region *region, const mote_fill *fill, mote_points *points);
void mote_points_free(mote_points *points);

/* Keeps `count` of the points, chosen at random by (seed, stream), in their order. */
void mote_points_thin(mote_points *points, int64_t count, uint64_t seed, uint64_t stream);

/* The Poisson-disk set itself: no two points nearer than `distance`. */
mote_status mote_fill_poisson(const mote_region *region, double distance, uint64_t seed, uint64_t stream,
                              mote_points *points);

#ifdef __cplusplus
}
#endif
#endif
