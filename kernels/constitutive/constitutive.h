/* Constitutive laws over all particles: a step of every particle's material, its stress, its stored energy.
   The math of a particle is law.h's; the time step of the material point method inlines that (and lanes.h)
   into its transfers, so that these kernels serve diagnostics, tests and whoever wants stresses alone. The
   reverse of a law, law_backward.h, is two kernels: of the stress, and of the step's return. */
#ifndef MOTE_KERNELS_CONSTITUTIVE_H
#define MOTE_KERNELS_CONSTITUTIVE_H

#include "kernels/constitutive/law_backward.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fills `law` from a material that mote_material_check() accepts. */
void mote_law_prepare(const mote_material *material, mote_law *law);

/* The parameters of a mote_material that a law is made of, in its order. */
enum mote_material_parameter {
  MOTE_MATERIAL_YOUNGS_MODULUS,
  MOTE_MATERIAL_POISSON_RATIO,
  MOTE_MATERIAL_BULK_MODULUS,
  MOTE_MATERIAL_GAMMA,
  MOTE_MATERIAL_VISCOSITY,
  MOTE_MATERIAL_YIELD_STRESS,
  MOTE_MATERIAL_HARDENING,
  MOTE_MATERIAL_CONSISTENCY,
  MOTE_MATERIAL_FLOW_INDEX,
  MOTE_MATERIAL_RELAXATION_TIME,
  MOTE_MATERIAL_FRICTION_ANGLE, /* in degrees, so that a gradient is by a degree */
  MOTE_MATERIAL_COHESION,
  MOTE_MATERIAL_VOLUME_CORRECTION,
  MOTE_MATERIAL_PARAMETERS
};

float *mote_material_number(mote_material *material, int parameter);

/* The law's parameters (MOTE_LAW_PARAMETERS) of a material's (MOTE_MATERIAL_PARAMETERS), in float64: what
   mote_law_prepare() rounds. */
void mote_law_derive(const double *material, double *law);

/* The reverse of mote_law_prepare(): from the gradient by a law's parameters, d_law (MOTE_LAW_PARAMETERS),
   that by the material's, d_material (MOTE_MATERIAL_PARAMETERS; overwritten). The choice between a fluid's
   equations of state is taken as made. */
void mote_law_gradient(const mote_material *material, const double *d_law, double *d_material);

/* All pointers are device memory, rows a particle: F, C, tau (n, dim, dim), history (n), material (n) indices
   into laws. dim is 2 or 3. */
struct mote_constitutive_kernels {
  /* F <- returned (I + dt C) F, history updated, tau = Kirchhoff stress of the result, Pa. */
  mote_status (*step)(mote_stream *stream, int dim, int64_t n, const mote_law *laws, const int32_t *material,
                      float dt, const float *C, float *F, float *history, float *tau);

  /* tau = Kirchhoff stress of the state as it is, Pa. C is read by the viscous kinds. */
  mote_status (*stress)(mote_stream *stream, int dim, int64_t n, const mote_law *laws,
                        const int32_t *material, const float *C, const float *F, const float *history,
                        float *tau);

  /* energy[i] = stored elastic energy, J per m^3 (m^2) of reference volume. */
  mote_status (*energy)(mote_stream *stream, int dim, int64_t n, const mote_law *laws,
                        const int32_t *material, const float *F, const float *history, float *energy);

  /* F (n,3,3) or (n,2,2) = U diag(s) V^T as mote_svd3 and mote_svd2; s (n, dim). */
  mote_status (*svd)(mote_stream *stream, int dim, int64_t n, const float *F, float *U, float *s, float *V);

  /* The reverse of stress: from d_tau adds to d_F, d_C (n, dim, dim), d_history (n), and to d_laws
     (law_count, MOTE_LAW_PARAMETERS), the gradient by each law's parameters; d_laws may be NULL. Its sums are
     in float64, over chunks of particles of one size and then over the chunks in order. `scratch` holds those
     and grows where it is too small. */
  mote_status (*stress_backward)(mote_stream *stream, int dim, int64_t n, int law_count, const mote_law *laws,
                                 const int32_t *material, const float *C, const float *F,
                                 const float *history, const float *d_tau, float *d_F, float *d_C,
                                 float *d_history, double *d_laws, mote_buffer *scratch);

  /* The reverse of step without its stress: F and history are those before the step; d_F and d_history, the
     gradients by the state after it, become those by the state before; adds to d_C, and to d_laws as above.
     What does not yield passes its gradient on as it is: (I + dt C)^T d_F. */
  mote_status (*return_backward)(mote_stream *stream, int dim, int64_t n, int law_count, const mote_law *laws,
                                 const int32_t *material, float dt, const float *C, const float *F,
                                 const float *history, float *d_F, float *d_C, float *d_history,
                                 double *d_laws, mote_buffer *scratch);
};

#ifdef __cplusplus
}
#endif
#endif
