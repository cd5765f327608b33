/* Symmetries of a box under gravity: along an axis without gravity the world may be mirrored, and axes
   without gravity between whose walls it is equally far may change places. A data set shown so is up to eight
   times as large in 3-D, and a model of it favours no direction. */
#ifndef MOTE_TRAIN_SYMMETRY_H
#define MOTE_TRAIN_SYMMETRY_H

#include <stdint.h>

#include <mote/trajectory.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_symmetry {
  int dim;
  int group[3]; /* of axes that may change places; -1: one with gravity, which stays */
  float lower[3], upper[3];
} mote_symmetry;

mote_symmetry mote_symmetry_of(const mote_metadata *metadata);

/* The statistics of the data and all their images: along a mirrored axis means are 0, and axes of a group
   have the same deviations. */
void mote_symmetry_statistics(const mote_symmetry *symmetry, mote_metadata *metadata);

/* Positions (points, dim) to those of an image, which is a function of seed and number. */
void mote_symmetry_apply(const mote_symmetry *symmetry, uint64_t seed, uint64_t number, int64_t points,
                         float *position);

#ifdef __cplusplus
}
#endif
#endif
