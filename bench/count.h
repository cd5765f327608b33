/* The arithmetic of a time-stepper. */
#ifndef MOTE_BENCH_COUNT_H
#define MOTE_BENCH_COUNT_H

#include "host/models/network.h"

/* Rows of an evaluation: particles, edges of the graph; pairs of a latent point and a particle around it, the
   other way round, and latent points that count (0 without a latent part). */
typedef struct bench_rows {
  int64_t nodes, edges, reached, reaching, points;
} bench_rows;

/* Floating-point operations of a forward pass; the gradients by inputs and weights take as many each. */
double bench_operations(const mote_model *model, const bench_rows *rows);

#endif
