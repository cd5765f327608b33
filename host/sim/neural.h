/* The neural materials of a simulation. The trick: the step's own kernels deform such particles and give them
   no stress; behind them, one pass a neural material over all rows lets its plasticity flow and adds its
   elasticity's stress to the records. Nothing moves between host and device, so that a step can still be
   recorded. */
#ifndef MOTE_SIM_NEURAL_H
#define MOTE_SIM_NEURAL_H

#include <mote/scene.h>

#include "host/models/neural_law.h"
#include "kernels/transfer/transfer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_sim_laws {
  int count;
  struct mote_sim_law {
    int32_t material;
    mote_neural_law *law;
  } * of;
  mote_neural_room room;
  mote_buffer tau;
} mote_sim_laws;

/* Opens the laws of the scene's neural materials. On failure too, mote_sim_laws_free() frees them. */
mote_status mote_sim_laws_open(mote_device *device, const mote_scene *scene, mote_sim_laws *laws);
void mote_sim_laws_free(mote_sim_laws *laws);

/* Behind load: the stress of the state. Behind g2p: plasticity, then stress. */
mote_status mote_sim_laws_load(mote_sim_laws *laws, mote_stream *stream, mote_transfer *transfer);
mote_status mote_sim_laws_step(mote_sim_laws *laws, mote_stream *stream, mote_transfer *transfer);

#ifdef __cplusplus
}
#endif
#endif
