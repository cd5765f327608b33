/* What the files of neural laws on the CPU share. */
#ifndef MOTE_KERNELS_NEURAL_CPU_H
#define MOTE_KERNELS_NEURAL_CPU_H

#include "kernels/dense/reverse.h"
#include "kernels/neural/lanes.h"

/* Rows of a tile: of the dense layers' tiles, and whole groups, each of MOTE_REAL_WIDTH rows. */
#define MOTE_NEURAL_TILE MOTE_REVERSE_ROWS
#define MOTE_NEURAL_GROUPS (MOTE_NEURAL_TILE / MOTE_REAL_WIDTH)

/* Of mote_neural_cpu (neural_backward.c). */
mote_status mote_cpu_neural_stress_backward(mote_stream *stream, const mote_neural_call *call,
                                            const mote_arena *arena, const float *d_tau, float *d_F,
                                            mote_neural_room *room);
mote_status mote_cpu_neural_flow_backward(mote_stream *stream, const mote_neural_call *call,
                                          const mote_arena *arena, float *d_F, mote_neural_room *room);

#endif
