/* Trivial predictors at work on one trajectory. */
#ifndef MOTE_EVALUATE_TRIVIAL_H
#define MOTE_EVALUATE_TRIVIAL_H

#include "host/evaluate/pair.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_trivial_state {
  int count;         /* of mote_trivial, from the first on; 0: there is no history */
  int64_t last;      /* the history's last frame, in T's count */
  double gravity[3]; /* m a frame^2 */
  float *history[2]; /* positions of the last frame but one, and of the last */
  float *before, *now;
} mote_trivial_state;

/* Takes the history's frames, and gravity: given, else the metadata's, else estimated. Tells `evaluation`. On
   failure too, close it. */
mote_status mote_trivial_open(mote_pair *pair, const mote_evaluate_options *options,
                              mote_evaluation *evaluation, mote_trivial_state *state);
void mote_trivial_close(mote_trivial_state *state);

/* Positions in frame `frame` of D's count, at or behind the history's last; `goal` is the truth's. */
void mote_trivial_predict(const mote_trivial_state *state, const mote_pair *pair, mote_trivial trivial,
                          int64_t frame, const float *goal, float *x);

/* Gravity in m a frame^2 out of the options or the metadata; MOTE_GRAVITY_NONE: neither has it. */
mote_gravity_source mote_known_gravity(int has_gravity, const double given[3], const mote_metadata *metadata,
                                       int dim, double frame_time, double gravity[3]);

#ifdef __cplusplus
}
#endif
#endif
