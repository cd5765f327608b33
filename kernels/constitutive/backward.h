/* The kernels of the family that stand in files of their own: the reverse. What they compute is said in
   constitutive.h. */
#ifndef MOTE_KERNELS_CONSTITUTIVE_BACKWARD_H
#define MOTE_KERNELS_CONSTITUTIVE_BACKWARD_H

#include "kernels/constitutive/constitutive.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_STRESS_BACKWARD(name)                                                                           \
  mote_status name(mote_stream *stream, int dim, int64_t n, int law_count, const mote_law *laws,             \
                   const int32_t *material, const float *C, const float *F, const float *history,            \
                   const float *d_tau, float *d_F, float *d_C, float *d_history, double *d_laws,             \
                   mote_buffer *scratch)
#define MOTE_RETURN_BACKWARD(name)                                                                           \
  mote_status name(mote_stream *stream, int dim, int64_t n, int law_count, const mote_law *laws,             \
                   const int32_t *material, float dt, const float *C, const float *F, const float *history,  \
                   float *d_F, float *d_C, float *d_history, double *d_laws, mote_buffer *scratch)

MOTE_STRESS_BACKWARD(mote_cpu_stress_backward);
MOTE_RETURN_BACKWARD(mote_cpu_return_backward);
MOTE_STRESS_BACKWARD(mote_gpu_stress_backward);
MOTE_RETURN_BACKWARD(mote_gpu_return_backward);

#ifdef __cplusplus
}
#endif
#endif
