/* The reverse of a particle's law (law.h): of its stress, and of its step's return without the stress after
   it.

   The trick: an isotropic function A = U diag(f(s)) V^T of F = U diag(s) V^T is reversed in the frame of its
   singular vectors. There the diagonal has the Jacobian of f, and what is off it the quotients (f_i - f_j) /
   (s_i - s_j) (symmetric part) and (f_i + f_j) / (s_i + s_j) (skew part); tau = U diag(t) U^T has (t_i - t_j)
   / (s_i^2 - s_j^2) (from the derivatives of singular vectors, Papadopoulo and Lourakis 2000). No quotient is
   a difference of equal numbers over nothing: the return is radial, so that e'_i - e'_j = phi (e_i - e_j),
   and (exp(a) - exp(b)) / (a - b) = exp(b) (exp(z) - 1) / z with z = a - b.

   A stretch that was raised to its limit has no derivative; where s_i + s_j (an inverted element: the
   rotation jumps) or J is next to 0 the divisor stays at a limit. So gradients are finite whatever F is. */
#ifndef MOTE_KERNELS_CONSTITUTIVE_LAW_BACKWARD_H
#define MOTE_KERNELS_CONSTITUTIVE_LAW_BACKWARD_H

#include "kernels/constitutive/law.h"
#include "kernels/constitutive/returns_backward.h"

#define MOTE_SMALLEST_DIVISOR 1e-6f /* J, where a gradient divides by it */

/* ---- small matrices ---- */

/* R = U^T A V */
MOTE_INLINE void mote_into_frame(int n, const mote_real *U, const mote_real *A, const mote_real *V,
                                 mote_real *R) {
  mote_real AV[9];
  mote_times(n, A, V, AV);
  mote_transposed_times(n, U, AV, R);
}

/* A = U R V^T */
MOTE_INLINE void mote_out_of_frame(int n, const mote_real *U, const mote_real *R, const mote_real *V,
                                   mote_real *A) {
  mote_real UR[9];
  mote_times(n, U, R, UR);
  mote_times_transposed(n, UR, V, A);
}

/* A += factor d det(F) / dF */
MOTE_INLINE void mote_add_cofactor(int n, mote_real factor, const mote_real *F, mote_real *A) {
  if (n == 2) {
    A[0] += factor * F[3], A[1] -= factor * F[2];
    A[2] -= factor * F[1], A[3] += factor * F[0];
    return;
  }
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++) {
      int a = (i + 1) % 3, b = (i + 2) % 3, c = (j + 1) % 3, d = (j + 2) % 3;
      A[i * 3 + j] += factor * (F[a * 3 + c] * F[b * 3 + d] - F[a * 3 + d] * F[b * 3 + c]);
    }
}

/* The derivative of mote_log1p(j1), J = 1 + j1. */
MOTE_INLINE mote_real mote_inverse_volume(mote_real j1) {
  mote_real J = 1.0f + j1;
  return mote_select(J > 0.0f, 1.0f / mote_at_least(J, MOTE_SMALLEST_DIVISOR), mote_splat(0.0f));
}

/* (exp(z) - 1) / z */
MOTE_INLINE mote_real mote_exp_quotient(mote_real z) {
  mote_mask still = mote_abs(z) < 1e-20f;
  return mote_select(still, mote_splat(1.0f), mote_expm1(z) / mote_select(still, mote_splat(1.0f), z));
}

/* (c_i - c_j) / (s_i - s_j) of stretches s_i >= s_j and what they were raised to: between 0 and 1. */
MOTE_INLINE mote_real mote_raised_quotient(mote_real si, mote_real sj) {
  mote_real above = mote_at_least(si, MOTE_SMALLEST_STRETCH) - MOTE_SMALLEST_STRETCH;
  return mote_select(sj < MOTE_SMALLEST_STRETCH, above / mote_at_least(si - sj, 1e-30f), mote_splat(1.0f));
}

MOTE_INLINE mote_real mote_raised_slope(mote_real s) {
  return mote_select(s < MOTE_SMALLEST_STRETCH, mote_splat(0.0f), mote_splat(1.0f));
}

/* ---- stress ---- */

/* d_F += of tau = U diag(t) U^T, given d_tau in the frame of U (n,n), the gradient by each s and for i < j
   quotient[i + j - 1] = (t_i - t_j) / (s_i - s_j). */
MOTE_INLINE void mote_isotropic_stress_backward(int n, const mote_real *U, const mote_real *s,
                                                const mote_real *V, const mote_real *d_tau,
                                                const mote_real *d_s, const mote_real *quotient,
                                                mote_real *d_F) {
  mote_real R[9], A[9];
  for (int i = 0; i < n; i++) {
    R[i * n + i] = d_s[i];
    for (int j = i + 1; j < n; j++) {
      mote_real both = d_tau[i * n + j] + d_tau[j * n + i];
      both *= quotient[i + j - 1] / mote_at_least(s[i] + s[j], MOTE_SMALLEST_STRETCH);
      R[i * n + j] = both * s[j];
      R[j * n + i] = both * s[i];
    }
  }
  mote_out_of_frame(n, U, R, V, A);
  for (int i = 0; i < n * n; i++) d_F[i] += A[i];
}

MOTE_INLINE void mote_hencky_stress_backward(int n, const mote_law *law, const mote_real *F,
                                             const mote_real *d_tau, mote_real *d_F, mote_real *d_law) {
  mote_real U[9], V[9], s[3], e[3], d_t[9], d_s[3], quotient[3], sum = mote_splat(0.0f);
  mote_svd(n, F, U, s, V);
  mote_log_strain(n, s, e);
  mote_into_frame(n, U, d_tau, U, d_t);
  for (int k = 0; k < n; k++) sum += d_t[k * n + k]; // cppcheck-suppress uninitvar; n > 0
  for (int i = 0; i < n; i++) {
    mote_real c = mote_at_least(s[i], MOTE_SMALLEST_STRETCH);
    d_s[i] = (2.0f * law->mu * d_t[i * n + i] + law->lambda * sum) * mote_raised_slope(s[i]) / c;
    for (int j = i + 1; j < n; j++) { /* (e_i - e_j) / (s_i - s_j) */
      mote_real by_e = mote_at_least(s[j], MOTE_SMALLEST_STRETCH) * mote_exp_quotient(e[i] - e[j]);
      quotient[i + j - 1] = 2.0f * law->mu * mote_raised_quotient(s[i], s[j]) / by_e;
    }
    d_law[MOTE_LAW_MU] += 2.0f * e[i] * d_t[i * n + i];
  }
  d_law[MOTE_LAW_LAMBDA] += mote_trace(n, e) * sum;
  mote_isotropic_stress_backward(n, U, s, V, d_t, d_s, quotient, d_F);
}

/* Of t = 2 mu (s - 1) s + lambda J (J - 1): the quotient is 2 mu (s_i + s_j - 1). */
MOTE_INLINE void mote_corotated_stress_backward(int n, const mote_law *law, const mote_real *F,
                                                const mote_real *d_tau, mote_real *d_F, mote_real *d_law) {
  mote_real U[9], V[9], s[3], d_t[9], d_s[3], quotient[3], sum = mote_splat(0.0f);
  mote_svd(n, F, U, s, V);
  mote_into_frame(n, U, d_tau, U, d_t);
  for (int i = 0; i < n; i++) {
    mote_real own = d_t[i * n + i]; // cppcheck-suppress uninitvar; n > 0
    sum += own;
    d_s[i] = 2.0f * law->mu * (2.0f * s[i] - 1.0f) * own;
    for (int j = i + 1; j < n; j++) quotient[i + j - 1] = 2.0f * law->mu * (s[i] + s[j] - 1.0f);
    d_law[MOTE_LAW_MU] += 2.0f * (s[i] - 1.0f) * s[i] * own;
  }
  mote_real j1 = mote_det_minus_one(n, F);
  d_law[MOTE_LAW_LAMBDA] += (1.0f + j1) * j1 * sum;
  mote_add_cofactor(n, law->lambda * (1.0f + 2.0f * j1) * sum, F, d_F);
  mote_isotropic_stress_backward(n, U, s, V, d_t, d_s, quotient, d_F);
}

/* Of tau = mu (F F^T - I) */
MOTE_INLINE void mote_left_strain_backward(int n, const mote_law *law, const mote_real *F,
                                           const mote_real *d_tau, mote_real *d_F, mote_real *d_law) {
  mote_real B[9];
  mote_left_strain(n, F, B);
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      mote_real sum = mote_splat(0.0f);
      for (int k = 0; k < n; k++) sum += (d_tau[i * n + k] + d_tau[k * n + i]) * F[k * n + j];
      d_F[i * n + j] += law->mu * sum;
      d_law[MOTE_LAW_MU] += d_tau[i * n + j] * B[i * n + j];
    }
}

/* Of tau = J viscosity dev(C + C^T): adds to d_C, returns the gradient by J. */
MOTE_INLINE mote_real mote_viscous_backward(int n, const mote_law *law, mote_real J, const mote_real *C,
                                            const mote_real *d_tau, mote_real *d_C, mote_real *d_law) {
  mote_real trace = mote_splat(0.0f), d_trace = mote_splat(0.0f), sum = mote_splat(0.0f);
  for (int i = 0; i < n; i++) {
    trace += C[i * n + i];
    d_trace += d_tau[i * n + i];
  }
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      mote_real both = d_tau[i * n + j] + d_tau[j * n + i];
      if (i == j) both -= d_trace * ((mote_scalar)(2.0 / 3));
      d_C[i * n + j] += law->viscosity * J * both;
      sum += d_tau[i * n + j] * (C[i * n + j] + C[j * n + i]);
    }
  sum -= trace * d_trace * ((mote_scalar)(2.0 / 3));
  d_law[MOTE_LAW_VISCOSITY] += J * sum;
  return law->viscosity * sum;
}

/* Of mote_fluid_stress: returns its derivative by J, and adds to d_law with the weight d. */
MOTE_INLINE mote_real mote_fluid_stress_backward(const mote_law *law, mote_real j1, mote_real d,
                                                 mote_real *d_law) {
  mote_real J = 1.0f + j1;
  if (law->tait > 0.0f) { /* -J tait x with x = J^-gamma - 1 */
    mote_real log_j = mote_log1p(j1), x = mote_expm1(-law->gamma * log_j);
    d_law[MOTE_LAW_TAIT] -= J * x * d;
    d_law[MOTE_LAW_GAMMA] += law->tait * J * (1.0f + x) * log_j * d;
    return law->tait * (law->gamma * (1.0f + x) - x);
  }
  d_law[MOTE_LAW_LAMBDA] += J * j1 * d;
  return law->lambda * (1.0f + 2.0f * j1);
}

/* tau = stress(F, C, history): from d_tau adds to d_F, d_C, d_history and d_law (MOTE_LAW_PARAMETERS). A
   fluid's volume at its limit has no derivative. */
MOTE_INLINE void mote_stress_backward_of_kind(int kind, int n, const mote_law *law, const mote_real *C,
                                              const mote_real *F, mote_real history, const mote_real *d_tau,
                                              mote_real *d_F, mote_real *d_C, mote_real *d_history,
                                              mote_real *d_law) {
  if (mote_is_hencky(kind)) {
    mote_hencky_stress_backward(n, law, F, d_tau, d_F, d_law);
  } else if (kind == MOTE_FIXED_COROTATED) {
    mote_corotated_stress_backward(n, law, F, d_tau, d_F, d_law);
  } else {
    mote_real d_trace = mote_splat(0.0f), j1 = mote_det_minus_one(n, F);
    for (int i = 0; i < n; i++) d_trace += d_tau[i * n + i];
    if (kind == MOTE_NEO_HOOKEAN) {
      mote_left_strain_backward(n, law, F, d_tau, d_F, d_law);
      d_law[MOTE_LAW_LAMBDA] += mote_log1p(j1) * d_trace;
      mote_add_cofactor(n, law->lambda * mote_inverse_volume(j1) * d_trace, F, d_F);
    } else if (kind == MOTE_VISCOELASTIC) {
      j1 = mote_expm1(history);
      mote_left_strain_backward(n, law, F, d_tau, d_F, d_law);
      mote_real d_J = mote_viscous_backward(n, law, 1.0f + j1, C, d_tau, d_C, d_law);
      d_law[MOTE_LAW_LAMBDA] += (1.0f + j1) * j1 * d_trace;
      *d_history += (1.0f + j1) * (d_J + law->lambda * (1.0f + 2.0f * j1) * d_trace);
    } else if (kind != MOTE_NEURAL) { /* MOTE_NEWTONIAN; a neural law's stress is none of this family's */
      mote_mask moves = j1 > MOTE_SMALLEST_J - 1.0f;
      j1 = mote_at_least(j1, MOTE_SMALLEST_J - 1.0f);
      mote_real d_J = mote_viscous_backward(n, law, 1.0f + j1, C, d_tau, d_C, d_law);
      d_J += mote_fluid_stress_backward(law, j1, d_trace, d_law) * d_trace;
      mote_add_cofactor(n, mote_select(moves, d_J, mote_splat(0.0f)), F, d_F);
    }
  }
}

/* ---- return ---- */

/* Of F' = (I + dt C) F: d_F by F', then by F; adds to d_C. */
MOTE_INLINE void mote_deform_backward(int n, mote_scalar dt, const mote_real *C, const mote_real *F,
                                      mote_real *d_F, mote_real *d_C) {
  mote_real d[9];
  for (int i = 0; i < n * n; i++) d[i] = d_F[i];
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      mote_real by_C = mote_splat(0.0f), by_F = mote_splat(0.0f);
      for (int k = 0; k < n; k++) {
        by_C += d[i * n + k] * F[j * n + k]; // cppcheck-suppress uninitvar; n > 0
        by_F += C[k * n + i] * d[k * n + j];
      }
      d_C[i * n + j] += dt * by_C;
      d_F[i * n + j] = d[i * n + j] + dt * by_F;
    }
}

/* d_F by the returned F, then by the trial F. */
MOTE_INLINE void mote_return_hencky_backward(int kind, int n, const mote_law *law, mote_scalar dt,
                                             const mote_real *trial, mote_real history, mote_real *d_F,
                                             mote_real *d_history, mote_real *d_law) {
  mote_real U[9], V[9], s[3], e[3], G[9], R[9], A[9];
  mote_svd(n, trial, U, s, V);
  mote_mask changed = mote_log_strain(n, s, e);
  mote_into_frame(n, U, d_F, V, G);
  mote_radial r;
  for (int k = 0; k < n; k++) r.d_s[k] = G[k * n + k]; // cppcheck-suppress uninitvar; n > 0
  if (kind == MOTE_DRUCKER_PRAGER)
    changed |= mote_return_drucker_prager_backward(n, law, e, history, &r, d_history, d_law);
  else if (kind == MOTE_VON_MISES)
    changed |= mote_return_von_mises_backward(n, law, e, history, &r, d_history, d_law);
  else
    changed |= mote_return_herschel_bulkley_backward(n, law, dt, e, &r, d_law);
  for (int i = 0; i < n; i++) {
    mote_real c = mote_at_least(s[i], MOTE_SMALLEST_STRETCH);
    R[i * n + i] = r.d_e[i] * mote_raised_slope(s[i]) / c;
    for (int j = i + 1; j < n; j++) {
      mote_real z = e[i] - e[j], cj = mote_at_least(s[j], MOTE_SMALLEST_STRETCH);
      mote_real to = r.phi * r.s[j] * mote_exp_quotient(r.phi * z), from = cj * mote_exp_quotient(z);
      mote_real even = mote_raised_quotient(s[i], s[j]) * to / from;
      mote_real odd = (r.s[i] + r.s[j]) / mote_at_least(s[i] + s[j], MOTE_SMALLEST_STRETCH);
      mote_real a = 0.5f * even * (G[i * n + j] + G[j * n + i]);
      mote_real b = 0.5f * odd * (G[i * n + j] - G[j * n + i]);
      R[i * n + j] = a + b;
      R[j * n + i] = a - b;
    }
  }
  mote_out_of_frame(n, U, R, V, A);
  for (int i = 0; i < n * n; i++) d_F[i] = mote_select(changed, A[i], d_F[i]);
}

/* F' = J^(1/n) I */
MOTE_INLINE void mote_return_newtonian_backward(int n, const mote_real *trial, mote_real *d_F) {
  mote_scalar share = n == 3 ? (mote_scalar)(1.0 / 3) : 0.5f;
  mote_real j1 = mote_det_minus_one(n, trial), d_side = mote_splat(0.0f);
  mote_mask moves = j1 > MOTE_SMALLEST_J - 1.0f;
  j1 = mote_at_least(j1, MOTE_SMALLEST_J - 1.0f);
  for (int i = 0; i < n; i++) d_side += d_F[i * n + i];
  mote_real d_J = share * mote_exp(mote_log1p(j1) * share) / (1.0f + j1) * d_side;
  for (int i = 0; i < n * n; i++) d_F[i] = mote_splat(0.0f);
  mote_add_cofactor(n, mote_select(moves, d_J, mote_splat(0.0f)), trial, d_F);
}

/* history' = history + log det(I + dt C), at its limit without a derivative. */
MOTE_INLINE void mote_return_viscoelastic_backward(int n, const mote_law *law, mote_scalar dt,
                                                   const mote_real *C, const mote_real *F, mote_real history,
                                                   mote_real *d_F, mote_real *d_C, mote_real *d_history,
                                                   mote_real *d_law) {
  mote_real step[9], by_step[9];
  for (int i = 0; i < n * n; i++) {
    step[i] = dt * C[i] + (i % (n + 1) == 0 ? 1.0f : 0.0f);
    by_step[i] = mote_splat(0.0f);
  }
  mote_relax_backward(n, law, dt, C, F, d_F, d_C, d_law);
  mote_real j1 = mote_det_minus_one(n, step);
  mote_mask moves = history + mote_log1p(j1) > MOTE_SMALLEST_LOG_J;
  *d_history = mote_select(moves, *d_history, mote_splat(0.0f));
  mote_add_cofactor(n, *d_history * mote_inverse_volume(j1), step, by_step);
  for (int i = 0; i < n * n; i++) d_C[i] += dt * by_step[i];
}

/* (F', history') = the step's return of (I + dt C) F, history. d_F and d_history: by the state after, then by
   the state before; adds to d_C and d_law. F and history are those before. An element that does not yield
   passes d_F through as it is. */
MOTE_INLINE void mote_return_backward_of_kind(int kind, int n, const mote_law *law, mote_scalar dt,
                                              const mote_real *C, const mote_real *F, mote_real history,
                                              mote_real *d_F, mote_real *d_C, mote_real *d_history,
                                              mote_real *d_law) {
  if (kind == MOTE_VISCOELASTIC) {
    mote_return_viscoelastic_backward(n, law, dt, C, F, history, d_F, d_C, d_history, d_law);
    return;
  }
  mote_real trial[9];
  for (int i = 0; i < n * n; i++) trial[i] = F[i];
  mote_deform(n, dt, C, trial);
  if (mote_is_hencky(kind))
    mote_return_hencky_backward(kind, n, law, dt, trial, history, d_F, d_history, d_law);
  if (kind == MOTE_NEWTONIAN) mote_return_newtonian_backward(n, trial, d_F);
  mote_deform_backward(n, dt, C, F, d_F, d_C);
}

#ifndef MOTE_REAL_LANES

/* ---- one particle, any kind and dimension 2 or 3 ---- */

MOTE_INLINE void mote_law_stress_backward(int n, const mote_law *law, const mote_real *C, const mote_real *F,
                                          mote_real history, const mote_real *d_tau, mote_real *d_F,
                                          mote_real *d_C, mote_real *d_history, mote_real *d_law) {
#define MOTE_CALL3(kind)                                                                                     \
  mote_stress_backward_of_kind(kind, 3, law, C, F, history, d_tau, d_F, d_C, d_history, d_law)
#define MOTE_CALL2(kind)                                                                                     \
  mote_stress_backward_of_kind(kind, 2, law, C, F, history, d_tau, d_F, d_C, d_history, d_law)
  if (n == 3) {
    MOTE_SWITCH_KIND(law->kind, MOTE_CALL3)
  } else {
    MOTE_SWITCH_KIND(law->kind, MOTE_CALL2)
  }
#undef MOTE_CALL3
#undef MOTE_CALL2
}

MOTE_INLINE void mote_law_return_backward(int n, const mote_law *law, mote_scalar dt, const mote_real *C,
                                          const mote_real *F, mote_real history, mote_real *d_F,
                                          mote_real *d_C, mote_real *d_history, mote_real *d_law) {
#define MOTE_CALL3(kind)                                                                                     \
  mote_return_backward_of_kind(kind, 3, law, dt, C, F, history, d_F, d_C, d_history, d_law)
#define MOTE_CALL2(kind)                                                                                     \
  mote_return_backward_of_kind(kind, 2, law, dt, C, F, history, d_F, d_C, d_history, d_law)
  if (n == 3) {
    MOTE_SWITCH_KIND(law->kind, MOTE_CALL3)
  } else {
    MOTE_SWITCH_KIND(law->kind, MOTE_CALL2)
  }
#undef MOTE_CALL3
#undef MOTE_CALL2
}

#endif

#endif
