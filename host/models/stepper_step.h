/* One step of a time-stepper: a fixed sequence of kernels, in its phases. */
#ifndef MOTE_MODELS_STEPPER_STEP_H
#define MOTE_MODELS_STEPPER_STEP_H

#include "host/models/stepper.h"

typedef enum mote_phase {
  MOTE_PHASE_FEATURES,
  MOTE_PHASE_GRAPH,
  MOTE_PHASE_ENCODE,
  MOTE_PHASE_BEFORE, /* interaction layers before the latent part */
  MOTE_PHASE_LATENT,
  MOTE_PHASE_AFTER,
  MOTE_PHASE_DECODE,
  MOTE_PHASES
} mote_phase;

/* `plan`: outside of a recording; graphs may wait for the host, and buffers grow. */
mote_status mote_stepper_phase(mote_stepper *stepper, mote_stream *stream, mote_phase phase, int plan);

/* The whole, with the step in time; for mote_replay_run. */
mote_status mote_stepper_step(void *stepper, mote_stream *stream);
/* The same, planning. */
mote_status mote_stepper_plan(mote_stepper *stepper);

#endif
