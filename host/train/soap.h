/* SOAP (Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam", arXiv 2409.11321): AdamW in the
   basis in which a weight's gradients are uncorrelated. For each matrix W (rows, columns) with gradient G

     L = beta2 L + (1 - beta2) G G^T,  R = beta2 R + (1 - beta2) G^T G,
     G' = Q_L^T G Q_R,  AdamW's update of G' with moments in that basis, and back: W -= rate Q_L N' Q_R^T,

   Q_L and Q_R the eigenvectors of L and R, followed by a step of orthogonal iteration every few steps. Inputs
   of a layer that are nearly the same, or of very different sizes, then no longer hold each other up. Vectors
   (biases, norms) have AdamW.

   The trick: a stepper's matrices are small and a step of training is long, so all of it is done on the host,
   a matrix a thread, and the device only hands over the gradient and takes the weights. */
#ifndef MOTE_TRAIN_SOAP_H
#define MOTE_TRAIN_SOAP_H

#include "host/nn/parameters.h"
#include "kernels/optimize/optimize.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_soap_matrix {
  int64_t first; /* among the parameters */
  int rows, columns;
  int64_t at; /* in the state: L, R, Q_L, Q_R */
} mote_soap_matrix;

typedef struct mote_soap {
  int matrices, widest;
  mote_soap_matrix *matrix;
  int64_t floats; /* of the state */
  float *state;
} mote_soap;

/* For the weights and tables among the parameters. */
mote_status mote_soap_create(const mote_parameters *parameters, mote_soap *soap);
void mote_soap_free(mote_soap *soap);

/* One step of the `count` parameters; first and second are the moments, in host memory like all others: the
   first one as it is, the second in the matrices' bases. `decays` as of the update of mote_optimize_kernels.
   The result does not depend on `threads`. */
mote_status mote_soap_update(mote_soap *soap, int64_t count, const mote_optimizer *optimizer, int threads,
                             const float *gradient, const unsigned char *decays, float *first, float *second,
                             float *value);

#ifdef __cplusplus
}
#endif
#endif
