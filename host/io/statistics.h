/* Mean and standard deviation of velocities and accelerations (first and second differences of frames), and
   how far beyond the walls matter gets, streamed in float64. */
#ifndef MOTE_IO_STATISTICS_H
#define MOTE_IO_STATISTICS_H

#include <mote/trajectory.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Count, mean and sum of squared deviations, a component each. */
typedef struct mote_moments {
  int64_t count;
  double mean[3], squares[3];
} mote_moments;

typedef struct mote_statistics {
  int dim;
  double period[3];  /* the length of a periodic axis; 0: not periodic */
  double wall[3][2]; /* infinite along a periodic axis, and where no bounds are known */
  int walled;        /* some axis has walls */
  double reach;      /* m that a particle has been beyond a wall at most */
  mote_moments velocity, acceleration;
  int64_t particles; /* of the trajectory that runs */
  int64_t frames;
  float *before[2];       /* its last frame and the one before that */
  unsigned char *ignored; /* 1 for kinematic particles */
} mote_statistics;

/* Starts empty; walls, periodic axes and their lengths come from `metadata` (NULL: none). */
void mote_statistics_init(mote_statistics *statistics, int dim, const mote_metadata *metadata);

/* Starts a trajectory of n particles; differences never reach across trajectories. */
mote_status mote_statistics_begin(mote_statistics *statistics, int64_t n, const int32_t *particle_type);
void mote_statistics_add(mote_statistics *statistics, const float *position);

/* Puts the results into `metadata`; has_statistics is 0 when there were fewer than three frames, and reach is
   left alone without walls. */
void mote_statistics_get(const mote_statistics *statistics, mote_metadata *metadata);
void mote_statistics_destroy(mote_statistics *statistics);

#ifdef __cplusplus
}
#endif
#endif
