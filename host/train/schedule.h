/* How the learning rate goes: a function of the step alone, so that a resumed run goes on as it would have.
 */
#ifndef MOTE_TRAIN_SCHEDULE_H
#define MOTE_TRAIN_SCHEDULE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mote_schedule_kind {
  MOTE_SCHEDULE_CONSTANT,
  MOTE_SCHEDULE_EXPONENTIAL, /* rate * decay^(step / decay_steps), smoothly, not below floor */
  MOTE_SCHEDULE_COSINE       /* from rate to floor, which it reaches at `steps` */
} mote_schedule_kind;

typedef struct mote_schedule {
  mote_schedule_kind kind;
  double rate, floor, decay;
  int64_t warmup, decay_steps, steps; /* warmup: steps of a linear rise from 0; steps: of a cosine */
} mote_schedule;

/* The rate of step 0, 1, ... */
double mote_schedule_rate(const mote_schedule *schedule, int64_t step);

#ifdef __cplusplus
}
#endif
#endif
