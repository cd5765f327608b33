/* Constitutive laws a particle: trial deformation, return mapping, Kirchhoff stress and energy, written once
   for the GPU, for a single particle on the CPU and (lanes.h) for vectors of particles.

   The trick: every law but the viscoelastic one is isotropic, so that one SVD of the trial F = U diag(s) V^T
   serves both the return mapping (on log s) and the stress (U diag(t) U^T). An element that does not yield
   keeps its trial F bit for bit.

   Stress is Kirchhoff stress tau, Pa; F (dim,dim) row-major; C = grad v, 1/s. In 2-D matter is in plane
   strain: elastic and viscous laws are their 3-D forms with F_zz = 1 (fluids: J of the plane), plastic ones
   work on the deviator of the plane. `kind` is a compile-time constant wherever these functions are inlined,
   but in mote_law_step3/2, which switch. */
#ifndef MOTE_KERNELS_CONSTITUTIVE_LAW_H
#define MOTE_KERNELS_CONSTITUTIVE_LAW_H

#include <mote/material.h>

#include "kernels/constitutive/returns.h"

/* ---- small matrices; n is 2 or 3 and constant where inlined ---- */

/* F <- (I + dt C) F */
MOTE_INLINE void mote_deform(int n, mote_scalar dt, const mote_real *C, mote_real *F) {
  mote_real old[9];
  for (int i = 0; i < n * n; i++) old[i] = F[i];
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      mote_real sum = mote_splat(0);
      for (int k = 0; k < n; k++) sum += C[i * n + k] * old[k * n + j]; // cppcheck-suppress uninitvar; n > 0
      F[i * n + j] = old[i * n + j] + dt * sum;
    }
}

/* det(F) - 1 without the cancellation: exact to rounding of F - I near the identity. */
MOTE_INLINE mote_real mote_det_minus_one(int n, const mote_real *F) {
  if (n == 2) {
    mote_real a = F[0] - 1.0f, d = F[3] - 1.0f;
    return (a + d) + (a * d - F[1] * F[2]);
  }
  mote_real a = F[0] - 1.0f, e = F[4] - 1.0f, i = F[8] - 1.0f;
  mote_real minors = (a * e - F[1] * F[3]) + (a * i - F[2] * F[6]) + (e * i - F[5] * F[7]);
  mote_real det =
      a * (e * i - F[5] * F[7]) - F[1] * (F[3] * i - F[5] * F[6]) + F[2] * (F[3] * F[7] - e * F[6]);
  return (a + e + i) + (minors + det);
}

/* B = F F^T - I, again without cancellation near the identity: H + H^T + H H^T with H = F - I. */
MOTE_INLINE void mote_left_strain(int n, const mote_real *F, mote_real *B) {
  mote_real H[9];
  for (int i = 0; i < n * n; i++) H[i] = F[i] - (i % (n + 1) == 0 ? 1.0f : 0.0f);
  for (int i = 0; i < n; i++)
    for (int j = i; j < n; j++) {
      mote_real sum = H[i * n + j] + H[j * n + i]; // cppcheck-suppress uninitvar; n > 0
      for (int k = 0; k < n; k++) sum += H[i * n + k] * H[j * n + k];
      B[i * n + j] = B[j * n + i] = sum;
    }
}

/* A = U diag(t) W^T */
MOTE_INLINE void mote_compose(int n, const mote_real *U, const mote_real *t, const mote_real *W,
                              mote_real *A) {
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      mote_real sum = mote_splat(0);
      for (int k = 0; k < n; k++) sum += U[i * n + k] * t[k] * W[j * n + k];
      A[i * n + j] = sum;
    }
}

/* C = A B, C = A^T B, C = A B^T */
MOTE_INLINE void mote_times(int n, const mote_real *A, const mote_real *B, mote_real *C) {
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      mote_real sum = A[i * n] * B[j];
      for (int k = 1; k < n; k++) sum += A[i * n + k] * B[k * n + j];
      C[i * n + j] = sum;
    }
}
MOTE_INLINE void mote_transposed_times(int n, const mote_real *A, const mote_real *B, mote_real *C) {
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      mote_real sum = A[i] * B[j];
      for (int k = 1; k < n; k++) sum += A[k * n + i] * B[k * n + j];
      C[i * n + j] = sum;
    }
}
MOTE_INLINE void mote_times_transposed(int n, const mote_real *A, const mote_real *B, mote_real *C) {
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      mote_real sum = A[i * n] * B[j * n];
      for (int k = 1; k < n; k++) sum += A[i * n + k] * B[j * n + k];
      C[i * n + j] = sum;
    }
}

MOTE_INLINE void mote_svd(int n, const mote_real *F, mote_real *U, mote_real *s, mote_real *V) {
  if (n == 3)
    mote_svd3_unscaled(F, U, s, V); /* beyond 1e12 a deformation is long lost */
  else
    mote_svd2(F, U, s, V);
}

MOTE_INLINE void mote_add_to_diagonal(int n, mote_real value, mote_real *A) {
  for (int i = 0; i < n; i++) A[i * n + i] += value;
}

/* tau += J viscosity dev(C + C^T); the trace is a third in 2-D too: plane strain. */
MOTE_INLINE void mote_add_viscous(int n, mote_real J, mote_scalar viscosity, const mote_real *C,
                                  mote_real *tau) {
  mote_real trace = mote_splat(0), factor = J * viscosity;
  for (int i = 0; i < n; i++) trace += C[i * n + i];
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) tau[i * n + j] += factor * (C[i * n + j] + C[j * n + i]);
  mote_add_to_diagonal(n, -factor * trace * ((mote_scalar)(2.0 / 3)), tau);
}

/* ---- stress of a state ---- */

MOTE_INLINE int mote_is_hencky(int kind) {
  return kind == MOTE_DRUCKER_PRAGER || kind == MOTE_VON_MISES || kind == MOTE_HERSCHEL_BULKLEY;
}

/* Newtonian: tau = lambda J (J - 1), or -J p with Tait's p = K/gamma (J^-gamma - 1). */
MOTE_INLINE mote_real mote_fluid_stress(const mote_law *law, mote_real j1) {
  mote_real J = 1.0f + j1;
  if (law->tait > 0.0f) return -J * law->tait * mote_expm1(-law->gamma * mote_log1p(j1));
  return law->lambda * J * j1;
}

/* t with tau = U diag(t) U^T: fixed-corotated, Stomakhin et al. 2012 eq. 1 */
MOTE_INLINE void mote_corotated_stress(int n, const mote_law *law, mote_real j1, const mote_real *s,
                                       mote_real *t) {
  mote_real pressure = law->lambda * (1.0f + j1) * j1;
  for (int k = 0; k < n; k++) t[k] = 2.0f * law->mu * (s[k] - 1.0f) * s[k] + pressure;
}

/* tau of (F, C, history) as they are. history is read by the viscoelastic law alone: log J. */
MOTE_INLINE void mote_stress_of_kind(int kind, int n, const mote_law *law, const mote_real *C,
                                     const mote_real *F, mote_real history, mote_real *tau) {
  mote_real U[9], V[9], s[3], e[3], t[3];
  if (mote_is_hencky(kind)) {
    mote_svd(n, F, U, s, V);
    mote_log_strain(n, s, e);
    mote_hencky_stress(n, law, e, t);
    mote_compose(n, U, t, U, tau);
  } else if (kind == MOTE_FIXED_COROTATED) {
    mote_svd(n, F, U, s, V);
    mote_corotated_stress(n, law, mote_det_minus_one(n, F), s, t);
    mote_compose(n, U, t, U, tau);
  } else if (kind == MOTE_NEO_HOOKEAN) {
    mote_left_strain(n, F, tau);
    for (int i = 0; i < n * n; i++) tau[i] *= law->mu;
    mote_add_to_diagonal(n, law->lambda * mote_log1p(mote_det_minus_one(n, F)), tau);
  } else if (kind == MOTE_VISCOELASTIC) {
    mote_real j1 = mote_expm1(history);
    mote_left_strain(n, F, tau);
    for (int i = 0; i < n * n; i++) tau[i] *= law->mu;
    mote_add_to_diagonal(n, law->lambda * (1.0f + j1) * j1, tau);
    mote_add_viscous(n, 1.0f + j1, law->viscosity, C, tau);
  } else if (kind == MOTE_NEURAL) { /* kernels/neural */
    for (int i = 0; i < n * n; i++) tau[i] = mote_splat(0.0f);
  } else { /* MOTE_NEWTONIAN */
    mote_real j1 = mote_at_least(mote_det_minus_one(n, F), MOTE_SMALLEST_J - 1.0f);
    mote_real pressure = mote_fluid_stress(law, j1);
    for (int i = 0; i < n * n; i++) tau[i] = i % (n + 1) == 0 ? pressure : mote_splat(0.0f);
    mote_add_viscous(n, 1.0f + j1, law->viscosity, C, tau);
  }
}

/* ---- a step: F <- returned (I + dt C) F, and the stress of the result ---- */

MOTE_INLINE void mote_step_hencky(int kind, int n, const mote_law *law, mote_scalar dt, const mote_real *C,
                                  mote_real *F, mote_real *history, mote_real *tau) {
  mote_real U[9], V[9], s[3], e[3], t[3];
  mote_deform(n, dt, C, F);
  mote_svd(n, F, U, s, V);
  mote_mask changed = mote_log_strain(n, s, e);
  if (kind == MOTE_DRUCKER_PRAGER) changed |= mote_return_drucker_prager(n, law, e, history);
  if (kind == MOTE_VON_MISES) changed |= mote_return_von_mises(n, law, e, history);
  if (kind == MOTE_HERSCHEL_BULKLEY) changed |= mote_return_herschel_bulkley(n, law, dt, e);
  mote_hencky_stress(n, law, e, t);
  mote_compose(n, U, t, U, tau);
  mote_real returned[9];
  for (int k = 0; k < n; k++) s[k] = mote_exp(e[k]);
  mote_compose(n, U, s, V, returned);
  for (int i = 0; i < n * n; i++) F[i] = mote_select(changed, returned[i], F[i]);
}

/* F <- J^(1/n) I: a fluid remembers its volume alone. */
MOTE_INLINE void mote_step_newtonian(int n, const mote_law *law, mote_scalar dt, const mote_real *C,
                                     mote_real *F, mote_real *tau) {
  mote_deform(n, dt, C, F);
  mote_real j1 = mote_at_least(mote_det_minus_one(n, F), MOTE_SMALLEST_J - 1.0f);
  mote_real side = 1.0f + mote_expm1(mote_log1p(j1) * (n == 3 ? (mote_scalar)(1.0 / 3) : 0.5f));
  for (int i = 0; i < n * n; i++) F[i] = i % (n + 1) == 0 ? side : mote_splat(0.0f);
  mote_real pressure = mote_fluid_stress(law, j1);
  for (int i = 0; i < n * n; i++) tau[i] = i % (n + 1) == 0 ? pressure : mote_splat(0.0f);
  mote_add_viscous(n, 1.0f + j1, law->viscosity, C, tau);
}

/* F <- Cholesky factor of b_e, which is all that the stress needs of it (returns.h); history is log J. */
MOTE_INLINE void mote_step_viscoelastic(int n, const mote_law *law, mote_scalar dt, const mote_real *C,
                                        mote_real *F, mote_real *history, mote_real *tau) {
  mote_real step[9];
  for (int i = 0; i < n * n; i++) step[i] = dt * C[i] + (i % (n + 1) == 0 ? 1.0f : 0.0f);
  mote_relax_upper_convected(n, law, dt, C, F);
  /* as a fluid's J: not below a limit at which its equation of state means nothing */
  *history = mote_at_least(*history + mote_log1p(mote_det_minus_one(n, step)), MOTE_SMALLEST_LOG_J);
  mote_stress_of_kind(MOTE_VISCOELASTIC, n, law, C, F, *history, tau);
}

MOTE_INLINE void mote_step_of_kind(int kind, int n, const mote_law *law, mote_scalar dt, const mote_real *C,
                                   mote_real *F, mote_real *history, mote_real *tau) {
  if (mote_is_hencky(kind)) {
    mote_step_hencky(kind, n, law, dt, C, F, history, tau);
  } else if (kind == MOTE_NEWTONIAN) {
    mote_step_newtonian(n, law, dt, C, F, tau);
  } else if (kind == MOTE_VISCOELASTIC) {
    mote_step_viscoelastic(n, law, dt, C, F, history, tau);
  } else {
    mote_deform(n, dt, C, F);
    mote_stress_of_kind(kind, n, law, C, F, *history, tau);
  }
}

#ifndef MOTE_REAL_LANES

/* ---- energy, J per m^3 of reference volume ---- */

/* Stored elastic energy; 0 for the kinds' dissipative parts. In double: it only serves diagnostics. */
MOTE_HD static inline double mote_energy_of_kind(int kind, int n, const mote_law *law, const mote_real *F,
                                                 mote_real history) {
  double mu = law->mu, lambda = law->lambda, j1 = mote_det_minus_one(n, F), sum = 0, trace = 0;
  mote_real U[9], V[9], s[3], e[3], B[9];
  if (mote_is_hencky(kind)) { /* mu e:e + lambda/2 tr(e)^2 */
    mote_svd(n, F, U, s, V);
    mote_log_strain(n, s, e);
    for (int k = 0; k < n; k++) {
      sum += (double)e[k] * e[k];
      trace += e[k];
    }
    return mu * sum + 0.5 * lambda * trace * trace;
  }
  if (kind == MOTE_FIXED_COROTATED) { /* mu |s - 1|^2 + lambda/2 (J - 1)^2 */
    mote_svd(n, F, U, s, V);
    for (int k = 0; k < n; k++) sum += ((double)s[k] - 1) * ((double)s[k] - 1);
    return mu * sum + 0.5 * lambda * j1 * j1;
  }
  if (kind == MOTE_NEURAL) return 0;
  if (kind == MOTE_NEWTONIAN) {
    j1 = j1 > MOTE_SMALLEST_J - 1.0 ? j1 : MOTE_SMALLEST_J - 1.0;
    if (law->tait <= 0) return 0.5 * lambda * j1 * j1;
    /* the integral of p: K/gamma ((J^(1 - gamma) - 1) / (gamma - 1) + J - 1) */
    double gamma = law->gamma, log_j = log1p(j1);
    double power = gamma == 1.0 ? -log_j : expm1((1 - gamma) * log_j) / (gamma - 1);
    return law->tait * (power + j1);
  }
  /* neo-Hookean, mu/2 (tr(F F^T - I) - 2 log J) and its volume part; viscoelastic, the same of b_e */
  mote_left_strain(n, F, B);
  for (int k = 0; k < n; k++) sum += B[k * n + k];
  double log_j = log1p(j1 > 1e-30 - 1 ? j1 : 1e-30 - 1), volume = log_j;
  if (kind == MOTE_VISCOELASTIC) volume = expm1((double)history);
  return 0.5 * mu * (sum - 2 * log_j) + 0.5 * lambda * volume * volume;
}

/* ---- one particle, any kind ---- */

/* Calls with a constant kind, so that each case holds its own law alone. */
#define MOTE_SWITCH_KIND(kind, CALL)                                                                         \
  switch (kind) {                                                                                            \
  case MOTE_FIXED_COROTATED: CALL(MOTE_FIXED_COROTATED); break;                                              \
  case MOTE_NEO_HOOKEAN: CALL(MOTE_NEO_HOOKEAN); break;                                                      \
  case MOTE_HERSCHEL_BULKLEY: CALL(MOTE_HERSCHEL_BULKLEY); break;                                            \
  case MOTE_VISCOELASTIC: CALL(MOTE_VISCOELASTIC); break;                                                    \
  case MOTE_DRUCKER_PRAGER: CALL(MOTE_DRUCKER_PRAGER); break;                                                \
  case MOTE_VON_MISES: CALL(MOTE_VON_MISES); break;                                                          \
  case MOTE_NEURAL: CALL(MOTE_NEURAL); break;                                                                \
  default: CALL(MOTE_NEWTONIAN); break;                                                                      \
  }

/* F (3,3) <- the returned (I + dt C) F, history updated, tau (3,3) the Kirchhoff stress after it. F's former
   value, C (3,3) and dt are what the grid gave. */
MOTE_HD static inline void mote_law_step3(const mote_law *law, mote_scalar dt, const mote_real C[9],
                                          mote_real F[9], mote_real *history, mote_real tau[9]){
#define MOTE_CALL(kind) mote_step_of_kind(kind, 3, law, dt, C, F, history, tau)
    MOTE_SWITCH_KIND(law->kind, MOTE_CALL)
#undef MOTE_CALL
} MOTE_HD static inline void mote_law_step2(const mote_law *law, mote_scalar dt, const mote_real C[4],
                                            mote_real F[4], mote_real *history, mote_real tau[4]){
#define MOTE_CALL(kind) mote_step_of_kind(kind, 2, law, dt, C, F, history, tau)
    MOTE_SWITCH_KIND(law->kind, MOTE_CALL)
#undef MOTE_CALL
}

/* tau of a state as it is, with no return mapping. C is read by the viscous kinds alone. */
MOTE_HD static inline void mote_law_stress3(const mote_law *law, const mote_real C[9], const mote_real F[9],
                                            mote_real history, mote_real tau[9]){
#define MOTE_CALL(kind) mote_stress_of_kind(kind, 3, law, C, F, history, tau)
    MOTE_SWITCH_KIND(law->kind, MOTE_CALL)
#undef MOTE_CALL
} MOTE_HD static inline void mote_law_stress2(const mote_law *law, const mote_real C[4], const mote_real F[4],
                                              mote_real history, mote_real tau[4]){
#define MOTE_CALL(kind) mote_stress_of_kind(kind, 2, law, C, F, history, tau)
    MOTE_SWITCH_KIND(law->kind, MOTE_CALL)
#undef MOTE_CALL
}

/* Stored energy per reference volume, J/m^3. */
MOTE_HD static inline double mote_law_energy3(const mote_law *law, const mote_real F[9], mote_real history) {
  return mote_energy_of_kind(law->kind, 3, law, F, history);
}
MOTE_HD static inline double mote_law_energy2(const mote_law *law, const mote_real F[4], mote_real history) {
  return mote_energy_of_kind(law->kind, 2, law, F, history);
}

#endif

#endif
