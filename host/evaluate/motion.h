/* How particles move: kinetic energy, the share inside the bounds, and where trivial predictors have them. */
#ifndef MOTE_EVALUATE_MOTION_H
#define MOTE_EVALUATE_MOTION_H

#include <mote/evaluate.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The domain, and which particles are kinematic (NULL: none). */
typedef struct mote_room {
  int dim;
  double bounds[3][2];
  double period[3]; /* m; 0: not periodic */
  double reach;     /* m beyond the bounds that is inside still, as the data's own matter gets there */
} mote_room;

/* mean |now - before|^2 / 2 over particles that are not kinematic, the shorter way round; NaN without any. */
double mote_kinetic_per_frame(const mote_room *room, const float *before, const float *now, int64_t n,
                              const unsigned char *kinematic, int threads);

/* The share of particles no farther than the reach beyond the bounds of the axes that are not periodic,
   within 1e-6 of their extent; NaN without any. `beyond`: how far the farthest is beyond the bounds, m. */
double mote_inside(const mote_room *room, const float *x, int64_t n, const unsigned char *kinematic,
                   double *beyond);

/* From frames `before` and `last` (n, dim), a frame apart, `steps` frames on, steps >= 0. `goal` (n, dim) is
   where kinematic particles go. Gravity in m a frame^2. */
void mote_predict(const mote_room *room, mote_trivial trivial, const double gravity[3], const float *before,
                  const float *last, int64_t steps, const float *goal, const unsigned char *kinematic,
                  int64_t n, float *x);

/* Moves x by whole periods to where it is nearest to `goal`, axis by axis. */
void mote_nearest_image(const mote_room *room, const float *goal, int64_t n, float *x);

/* Adds the second differences of a frame's particles to sum[3]; returns how many particles are not kinematic.
 */
int64_t mote_add_second_differences(const mote_room *room, const float *x0, const float *x1, const float *x2,
                                    int64_t n, const unsigned char *kinematic, double sum[3]);

#ifdef __cplusplus
}
#endif
#endif
