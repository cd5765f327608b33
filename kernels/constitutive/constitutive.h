/* Constitutive laws over all particles: a step of every particle's material, its stress, its stored energy.
   The math of a particle is law.h's; the time step of the material point method inlines that (and lanes.h)
   into its transfers, so that these kernels serve diagnostics, tests and whoever wants stresses alone. */
#ifndef MOTE_KERNELS_CONSTITUTIVE_H
#define MOTE_KERNELS_CONSTITUTIVE_H

#include "kernels/constitutive/law.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fills `law` from a material that mote_material_check() accepts. */
void mote_law_prepare(const mote_material *material, mote_law *law);

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
};

#ifdef __cplusplus
}
#endif
#endif
