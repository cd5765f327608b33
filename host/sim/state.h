/* What a simulation holds; private to host/sim. */
#ifndef MOTE_SIM_STATE_H
#define MOTE_SIM_STATE_H

#include <mote/simulation.h>

#include "host/core/device.h"
#include "host/sim/changes.h"
#include "host/sim/neural.h"

struct mote_simulation {
  mote_device *device;
  mote_stream *stream;
  mote_transfer transfer;
  mote_replay replay;
  mote_sim_laws neural;
  mote_sim_changes changes;
  int64_t done;             /* steps, on the host's side; those of a failure count too */
  mote_particles particles; /* in the scene's order: what no step changes, and the present materials */
  mote_buffer arrays[8];    /* device arrays in scene order, on the way in and out */
  mote_buffer sums;
  double *host_sums;
};

/* ---- what a differentiable simulation begins with as well (simulation.c) ---- */

mote_status mote_sim_check(const mote_scene *scene);

/* The scene's step, or the one chosen for it; MOTE_ERROR_NUMERIC where it is beyond the stable one. */
mote_status mote_sim_time_step(const mote_scene *scene, float *time_step);

/* Everything of a view that the scene says. */
void mote_sim_view(const mote_scene *scene, float time_step, mote_transfer_view *view);

#endif
