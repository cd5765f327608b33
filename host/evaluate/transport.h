/* Sinkhorn distances along a trajectory: which points are drawn, and how far they blur. */
#ifndef MOTE_EVALUATE_TRANSPORT_H
#define MOTE_EVALUATE_TRANSPORT_H

#include "host/evaluate/pair.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_transport {
  mote_evaluator *evaluator; /* NULL: none is wanted */
  double spacing;            /* m, of T's compared particles */
  double blur;               /* spacings */
  int64_t most;
  uint64_t seed;
  int32_t *index;
  float *drawn[2];
} mote_transport;

/* The spacing is the metadata's dx, else the mean distance to the nearest neighbour in T's first frame. On
   failure too, close it. */
mote_status mote_transport_open(mote_evaluator *evaluator, const mote_pair *pair,
                                const mote_evaluate_options *options, mote_transport *transport);
void mote_transport_close(mote_transport *transport);

/* m, for n points against m of T's. */
double mote_transport_blur(const mote_transport *transport, int dim, int64_t n, int64_t m);

/* `paired`: point i of D is point i of T, so that the same ones are drawn. NaN where a cloud is empty. */
mote_status mote_transport_distance(mote_transport *transport, int dim, const float *d, int64_t n,
                                    const float *t, int64_t m, int paired, double *distance);

#ifdef __cplusplus
}
#endif
#endif
