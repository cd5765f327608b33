/* The way back through a frame's fits, all levels and the global one: from the finest level's field to the
   increments of the sparse particles.

   The trick: given where the increments are splatted, the reconstruction without learning is linear in them,
   and each part of it (a fit, what it begins with, a restriction) has an adjoint that is such a part itself.
   So this is the exact derivative with those places held constant. */
#ifndef MOTE_TRAIN_REFIT_H
#define MOTE_TRAIN_REFIT_H

#include "host/models/reconstruction.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Slopes along the levels' fields and moments; all zero is a valid one. field[0] is the caller's to fill. */
typedef struct mote_refit {
  mote_buffer field[MOTE_OPERATOR_LEVELS], moment[MOTE_OPERATOR_LEVELS], global;
} mote_refit;

mote_status mote_refit_reserve(mote_refit *refit, const mote_reconstruction *r);
void mote_refit_free(mote_refit *refit);

/* `r` holds the frame's moments. increment_slope (sparse_count, dim) is set from field[0], which is lost. */
mote_status mote_refit_backward(mote_refit *refit, mote_reconstruction *r, float *increment_slope);

#ifdef __cplusplus
}
#endif
#endif
