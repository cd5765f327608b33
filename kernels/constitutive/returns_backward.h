/* The reverse of the return mappings (returns.h). The Hencky ones are radial: dev e' = phi dev e, so that
   with u = dev e / |dev e| a gradient w by e' becomes one by e of three parts: the mean's, the radius' along
   u, and phi times what is orthogonal to both. At a kink (the edge of the yield surface, the cone's apex, a
   stretch at its limit) the derivative is that of the side on which returns.h computes. */
#ifndef MOTE_KERNELS_CONSTITUTIVE_RETURNS_BACKWARD_H
#define MOTE_KERNELS_CONSTITUTIVE_RETURNS_BACKWARD_H

#include "kernels/constitutive/returns.h"

/* The parameters of a mote_law in its order: parameter p of a law is (&law->mu)[p]. */
enum mote_law_parameter {
  MOTE_LAW_MU,
  MOTE_LAW_LAMBDA,
  MOTE_LAW_TAIT,
  MOTE_LAW_GAMMA,
  MOTE_LAW_VISCOSITY,
  MOTE_LAW_RELAXATION_TIME,
  MOTE_LAW_YIELD_STRESS,
  MOTE_LAW_HARDENING,
  MOTE_LAW_CONSISTENCY,
  MOTE_LAW_FLOW_INDEX,
  MOTE_LAW_FRICTION_2,
  MOTE_LAW_FRICTION_3,
  MOTE_LAW_COHESION,
  MOTE_LAW_VOLUME_CORRECTION,
  MOTE_LAW_PARAMETERS
};

/* A radial return of e and its reverse. */
typedef struct mote_radial {
  mote_real d_s[3]; /* in: the gradient by the returned stretches s' = exp(e') */
  mote_real s[3];   /* out: s' */
  mote_real phi;    /* out: dev e' = phi dev e */
  mote_real d_e[3]; /* out: the gradient by e, before the return */
} mote_radial;

/* What the reverse of every radial return begins with. */
typedef struct mote_radial_weights {
  mote_real u[3];            /* dev e / |dev e| */
  mote_real mean, across[3]; /* the gradient by e': its mean, and what is orthogonal to 1 and u */
  mote_real along;           /* and that along u */
} mote_radial_weights;

/* `e` is the trial's, d and norm its deviator, `returned` is e'. Also fills r->s. */
MOTE_INLINE void mote_radial_begin(int n, const mote_real *d, mote_real norm, const mote_real *returned,
                                   mote_radial *r, mote_radial_weights *w) {
  mote_real inverse = 1.0f / mote_at_least(norm, 1e-30f), d_e[3], sum = mote_splat(0);
  for (int k = 0; k < n; k++) {
    r->s[k] = mote_exp(returned[k]);
    d_e[k] = r->d_s[k] * r->s[k];
    w->u[k] = d[k] * inverse;
  }
  w->mean = mote_trace(n, d_e) * (n == 3 ? (mote_scalar)(1.0 / 3) : 0.5f);
  for (int k = 0; k < n; k++) sum += (d_e[k] - w->mean) * w->u[k];
  for (int k = 0; k < n; k++) w->across[k] = d_e[k] - w->mean - sum * w->u[k];
  w->along = sum;
}

/* d_e from its parts; `along` and `mean` are by now those of e. */
MOTE_INLINE void mote_radial_end(int n, mote_real phi, mote_real mean, mote_real along,
                                 const mote_radial_weights *w, mote_radial *r) {
  r->phi = phi;
  for (int k = 0; k < n; k++) r->d_e[k] = mean + phi * w->across[k] + along * w->u[k];
}

/* On the cone |dev e'| = -friction tr e', at the apex e' does not depend on e (but the volume gained does).
 */
MOTE_INLINE mote_mask mote_return_drucker_prager_backward(int n, const mote_law *law, const mote_real *e,
                                                          mote_real history, mote_radial *r,
                                                          mote_real *d_history, mote_real *d_law) {
  mote_real shifted[3], returned[3], d[3], unused = history, zero = mote_splat(0);
  mote_real gained = history * law->volume_correction;
  mote_scalar friction = law->friction[n - 2];
  for (int k = 0; k < n; k++) {
    returned[k] = e[k];
    shifted[k] = e[k] + gained * (n == 3 ? (mote_scalar)(1.0 / 3) : 0.5f);
  }
  mote_mask changed = mote_return_drucker_prager(n, law, returned, &unused);
  mote_real trace = mote_trace(n, shifted) - (mote_scalar)n * law->cohesion;
  mote_real norm = mote_deviator(n, shifted, d);
  mote_mask apart = trace > 0.0f, slides = norm + friction * trace > 0.0f;
  mote_radial_weights w;
  mote_radial_begin(n, d, norm, returned, r, &w);

  mote_real cone = mote_select(apart, zero, mote_select(slides, w.along, zero)); /* the part on the cone */
  mote_real phi = mote_select(slides, -friction * trace / mote_at_least(norm, 1e-30f), mote_splat(1.0f));
  mote_radial_end(n, mote_select(apart, zero, phi), mote_select(apart, zero, w.mean - friction * cone),
                  mote_select(apart, zero, w.along - cone), &w, r);
  d_law[MOTE_LAW_FRICTION_2 + n - 2] -= trace * cone;
  d_law[MOTE_LAW_COHESION] += (mote_scalar)n * mote_select(apart, w.mean, friction * cone);
  mote_real kept = *d_history;
  if (law->volume_correction > 0.0f) { /* history' = trace at the apex, else 0 */
    mote_real by_trace = mote_select(apart, *d_history, zero);
    for (int k = 0; k < n; k++) r->d_e[k] += by_trace;
    d_law[MOTE_LAW_COHESION] -= (mote_scalar)n * by_trace;
    kept = zero;
  }
  mote_real d_gained = mote_trace(n, r->d_e) * (n == 3 ? (mote_scalar)(1.0 / 3) : 0.5f);
  *d_history = kept + law->volume_correction * d_gained;
  d_law[MOTE_LAW_VOLUME_CORRECTION] += history * d_gained;
  return changed;
}

/* `amount` is what the deviator loses: (2 mu norm - yield_stress - hardening history) / (2 mu + hardening).
 */
MOTE_INLINE mote_mask mote_return_von_mises_backward(int n, const mote_law *law, const mote_real *e,
                                                     mote_real history, mote_radial *r, mote_real *d_history,
                                                     mote_real *d_law) {
  mote_real returned[3], d[3], norm = mote_deviator(n, e, d), zero = mote_splat(0);
  mote_scalar modulus = 2.0f * law->mu + law->hardening;
  mote_real excess = 2.0f * law->mu * norm - (law->yield_stress + law->hardening * history);
  mote_mask yields = excess > 0.0f;
  mote_real full = excess / modulus, amount = mote_min(full, norm);
  for (int k = 0; k < n; k++) returned[k] = e[k];
  mote_shrink(n, yields, amount, d, norm, returned);
  mote_radial_weights w;
  mote_radial_begin(n, d, norm, returned, r, &w);

  mote_real phi = mote_select(yields, 1.0f - amount / mote_at_least(norm, 1e-30f), mote_splat(1.0f));
  mote_real d_amount = mote_select(yields, *d_history - w.along, zero); /* history grows by it too */
  mote_real d_full = mote_select(full < norm, d_amount, zero) / modulus;
  mote_real d_norm = mote_select(full < norm, 2.0f * law->mu * d_full, d_amount);
  mote_radial_end(n, phi, w.mean, w.along + d_norm, &w, r);
  d_law[MOTE_LAW_MU] += 2.0f * (norm - full) * d_full;
  d_law[MOTE_LAW_YIELD_STRESS] -= d_full;
  d_law[MOTE_LAW_HARDENING] -= (history + full) * d_full;
  *d_history -= law->hardening * d_full;
  return yields;
}

/* The rate g solves K g^n + a g = r, a = mu dt, so that (n K g^n + a g) dg / g = dr - g^n dK - K g^n log(g)
   dn
   - g da: the derivative of the solution, whatever found it. */
MOTE_INLINE mote_mask mote_return_herschel_bulkley_backward(int n, const mote_law *law, mote_scalar dt,
                                                            const mote_real *e, mote_radial *r,
                                                            mote_real *d_law) {
  mote_real returned[3], d[3], norm = mote_deviator(n, e, d), zero = mote_splat(0);
  mote_real excess = (mote_scalar)1.4142135623730951 * law->mu * norm - law->yield_stress;
  mote_mask yields = excess > 0.0f;
  mote_real rate = mote_herschel_bulkley_rate(law, dt, mote_at_least(excess, 1e-20f));
  mote_scalar shear = dt * (mote_scalar)0.7071067811865476;
  mote_real full = rate * shear, amount = mote_min(full, norm);
  for (int k = 0; k < n; k++) returned[k] = e[k];
  mote_shrink(n, yields, amount, d, norm, returned);
  mote_radial_weights w;
  mote_radial_begin(n, d, norm, returned, r, &w);

  mote_real phi = mote_select(yields, 1.0f - amount / mote_at_least(norm, 1e-30f), mote_splat(1.0f));
  mote_real d_amount = mote_select(yields, -w.along, zero);
  mote_real log_rate = mote_log(rate), power = mote_exp(law->flow_index * log_rate); /* g^n */
  mote_real viscous = law->consistency * power;
  mote_real slope = law->flow_index * viscous + law->mu * dt * rate;
  mote_real d_r = mote_select(full < norm, d_amount, zero) * (rate * shear / mote_at_least(slope, 1e-30f));
  mote_real d_norm = mote_select(full < norm, (mote_scalar)1.4142135623730951 * law->mu * d_r,
                                 d_amount); /* else 0 is left */
  mote_radial_end(n, phi, w.mean, w.along + d_norm, &w, r);
  d_law[MOTE_LAW_MU] += ((mote_scalar)1.4142135623730951 * norm - rate * dt) * d_r;
  d_law[MOTE_LAW_YIELD_STRESS] -= d_r;
  d_law[MOTE_LAW_CONSISTENCY] -= power * d_r;
  d_law[MOTE_LAW_FLOW_INDEX] -= viscous * log_rate * d_r;
  return yields;
}

/* ---- viscoelastic ---- */

/* From the gradient by the Cholesky factor L of A, (n,n), its lower triangle, to the symmetric one by A:
   sym(L^-T Phi L^-1), Phi the lower triangle of L^T d_L with half of its diagonal (Murray 2016). */
MOTE_INLINE void mote_cholesky_backward(int n, const mote_real *L, const mote_real *d_L, mote_real *d_A) {
  mote_real inverse[9], phi[9], half[9];
  for (int j = 0; j < n; j++)
    for (int i = 0; i < n; i++) {
      mote_real sum = mote_splat(i == j ? 1.0f : 0.0f);
      for (int k = j; k < i; k++) sum -= L[i * n + k] * inverse[k * n + j]; // cppcheck-suppress uninitvar
      inverse[i * n + j] = i < j ? mote_splat(0.0f) : sum / L[i * n + i];
    }
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      mote_real sum = mote_splat(0.0f);
      for (int k = i; k < n; k++) sum += L[k * n + i] * (k >= j ? d_L[k * n + j] : mote_splat(0.0f));
      phi[i * n + j] = j < i ? sum : j == i ? 0.5f * sum : mote_splat(0.0f);
    }
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) { /* phi L^-1 */
      mote_real sum = mote_splat(0.0f);
      for (int k = j; k <= i; k++) sum += phi[i * n + k] * inverse[k * n + j]; // cppcheck-suppress uninitvar
      half[i * n + j] = sum;
    }
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      mote_real sum = mote_splat(0.0f);
      for (int k = i; k < n; k++) sum += inverse[k * n + i] * half[k * n + j]; // cppcheck-suppress uninitvar
      phi[i * n + j] = sum;
    }
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) d_A[i * n + j] = 0.5f * (phi[i * n + j] + phi[j * n + i]);
}

/* Of mote_relax_upper_convected: b1 = I + h (F F^T - I), b2 = A b1 A^T with A = I + dt C, b3 = I + h (b2 - I)
   and F' its Cholesky factor, h = exp(-dt / (2 relaxation_time)). d_F: by F', then by F. */
MOTE_INLINE void mote_relax_backward(int n, const mote_law *law, mote_scalar dt, const mote_real *C,
                                     const mote_real *F, mote_real *d_F, mote_real *d_C, mote_real *d_law) {
  mote_real h = mote_exp(mote_splat(-0.5f * dt / law->relaxation_time)), d_h = mote_splat(0.0f);
  mote_real L[9], S[9], B[9], SA[9], M[9];
  for (int i = 0; i < n * n; i++) L[i] = F[i];
  mote_relax_upper_convected(n, law, dt, C, L);
  mote_cholesky_backward(n, L, d_F, S);
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) { /* B = F F^T - I, SA = S A, M = A (I + h B) - I */
      mote_real b = F[i * n + j] + F[j * n + i] - (i == j ? 2.0f : 0.0f), sa = S[i * n + j];
      for (int k = 0; k < n; k++) {
        b += (F[i * n + k] - (i == k ? 1.0f : 0.0f)) * (F[j * n + k] - (j == k ? 1.0f : 0.0f));
        sa += S[i * n + k] * (dt * C[k * n + j]);
      }
      B[i * n + j] = b;
      SA[i * n + j] = sa;
    }
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      mote_real sum = dt * C[i * n + j] + h * B[i * n + j];
      for (int k = 0; k < n; k++) sum += dt * C[i * n + k] * (h * B[k * n + j]);
      M[i * n + j] = sum;
    }
  mote_real d_b[9]; /* by b1: A^T (h S) A */
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      mote_real sum = SA[i * n + j], left = M[i * n + j] + dt * C[j * n + i], by_A = SA[i * n + j];
      for (int k = 0; k < n; k++) {
        sum += dt * C[k * n + i] * SA[k * n + j];
        left += M[i * n + k] * (dt * C[j * n + k]); /* b2 - I = M A^T + A^T - I */
        by_A += SA[i * n + k] * (h * B[k * n + j]);
      }
      d_b[i * n + j] = h * sum;
      d_C[i * n + j] += 2.0f * dt * h * by_A;
      d_h += S[i * n + j] * left + d_b[i * n + j] * B[i * n + j];
    }
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      mote_real sum = mote_splat(0.0f);
      for (int k = 0; k < n; k++) sum += d_b[i * n + k] * F[k * n + j];
      d_F[i * n + j] = 2.0f * h * sum;
    }
  d_law[MOTE_LAW_RELAXATION_TIME] += d_h * h * (0.5f * dt / (law->relaxation_time * law->relaxation_time));
}

#endif
