/* What the files of neural laws on the CPU share. */
#ifndef MOTE_KERNELS_NEURAL_CPU_H
#define MOTE_KERNELS_NEURAL_CPU_H

#include "kernels/dense/reverse.h"
#include "kernels/neural/lanes.h"

/* Rows of a tile: of the dense layers' tiles, and whole groups, each of MOTE_REAL_WIDTH rows. */
#define MOTE_NEURAL_TILE MOTE_REVERSE_ROWS
#define MOTE_NEURAL_GROUPS (MOTE_NEURAL_TILE / MOTE_REAL_WIDTH)

/* The deformations that a call sees. */
MOTE_INLINE void mote_cpu_neural_load(int D, const mote_neural_call *c, const mote_group *g,
                                      mote_component *F) {
  mote_component C[9];
  mote_group_load(g, c->F, c->stride, D * D, F);
  if (!c->C) return;
  mote_group_load(g, c->C, D * D, D * D, C);
  mote_deform(D, c->dt, C, F);
}

/* From the gradient by them to that by F, in place, and by C. */
MOTE_INLINE void mote_cpu_neural_deform_back(int D, const mote_neural_call *c, const mote_group *g,
                                             mote_component *d_F, float *d_C) {
  mote_component C[9], F[9], by_C[9];
  mote_group_load(g, c->C, D * D, D * D, C);
  mote_group_load(g, c->F, c->stride, D * D, F);
  mote_group_load(g, d_C, D * D, D * D, by_C);
  mote_deform_backward(D, c->dt, C, F, d_F, by_C);
  mote_group_store(g, d_C, D * D, D * D, by_C);
}

/* What the network sees and answers, into the call's arrays. */
mote_status mote_cpu_neural_answer(mote_stream *stream, const mote_neural_call *call);

/* Of mote_neural_cpu (neural_backward.c). */
mote_status mote_cpu_neural_stress_backward(mote_stream *stream, const mote_neural_call *call,
                                            const mote_arena *arena, const float *d_tau, float *d_F,
                                            mote_neural_room *room);
mote_status mote_cpu_neural_flow_backward(mote_stream *stream, const mote_neural_call *call,
                                          const mote_arena *arena, float *d_F, float *d_C,
                                          mote_neural_room *room);
mote_status mote_cpu_neural_step_backward(mote_stream *stream, const mote_neural_call *stress,
                                          const mote_neural_call *flow, const mote_arena *arena,
                                          const float *d_tau, float *d_F, float *d_C, mote_neural_room *room);

#endif
