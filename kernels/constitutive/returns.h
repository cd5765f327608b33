/* Return mappings: what plasticity, yield and relaxation do to a trial state. The Hencky ones work on the
   principal logarithmic strains e = log s, where the elastic law is linear and the return is radial, so that
   no iteration is needed but in Herschel-Bulkley's scalar equation. Each tells whether it changed e. */
#ifndef MOTE_KERNELS_CONSTITUTIVE_RETURNS_H
#define MOTE_KERNELS_CONSTITUTIVE_RETURNS_H

#include "kernels/constitutive/svd.h"

/* A material's parameters as the kernels use them: made from a mote_material by mote_law_prepare(). */
typedef struct mote_law {
  int32_t kind; /* mote_material_kind */
  mote_scalar mu, lambda;
  mote_scalar tait;            /* bulk_modulus / gamma, 0 where the equation of state is lambda J (J - 1) */
  mote_scalar gamma;           /* Tait's exponent */
  mote_scalar viscosity;       /* Pa s */
  mote_scalar relaxation_time; /* s */
  mote_scalar yield_stress;    /* Pa: of |dev tau| (von Mises), of shear (Herschel-Bulkley) */
  mote_scalar hardening;       /* Pa */
  mote_scalar consistency;     /* Pa s^n */
  mote_scalar flow_index;      /* n */
  mote_scalar friction[2]; /* in 2-D, 3-D: (dim lambda + 2 mu) / (2 mu) alpha of Klar et al. 2016, eq. 30 */
  mote_scalar cohesion;    /* Hencky strain of the apex */
  mote_scalar volume_correction; /* 1: on, 0: off */
} mote_law;

#define MOTE_SMALLEST_J 0.01f /* fluids */
#define MOTE_SMALLEST_LOG_J ((mote_scalar)-4.605170185988091)
#define MOTE_SMALLEST_STRETCH 1e-4f /* Hencky laws: inverted elements come back from here */

/* e = log s; 1 where a stretch was below its limit (or negative) and was raised to it. */
MOTE_INLINE mote_mask mote_log_strain(int n, const mote_real *s, mote_real *e) {
  mote_mask raised = s[0] < MOTE_SMALLEST_STRETCH;
  for (int k = 0; k < n; k++) {
    raised |= s[k] < MOTE_SMALLEST_STRETCH;
    e[k] = mote_log(mote_at_least(s[k], MOTE_SMALLEST_STRETCH));
  }
  return raised;
}

MOTE_INLINE mote_real mote_trace(int n, const mote_real *e) {
  return n == 3 ? e[0] + e[1] + e[2] : e[0] + e[1];
}

/* t = 2 mu e + lambda tr(e) */
MOTE_INLINE void mote_hencky_stress(int n, const mote_law *law, const mote_real *e, mote_real *t) {
  mote_real pressure = law->lambda * mote_trace(n, e);
  for (int k = 0; k < n; k++) t[k] = 2.0f * law->mu * e[k] + pressure;
}

/* d = dev e; returns |d| */
MOTE_INLINE mote_real mote_deviator(int n, const mote_real *e, mote_real *d) {
  mote_real mean = mote_trace(n, e) * (n == 3 ? (mote_scalar)(1.0 / 3) : 0.5f), sum = mote_splat(0);
  for (int k = 0; k < n; k++) {
    d[k] = e[k] - mean;
    sum += d[k] * d[k];
  }
  return mote_sqrt(sum);
}

/* e -= d (amount / norm) where `yields` */
MOTE_INLINE void mote_shrink(int n, mote_mask yields, mote_real amount, const mote_real *d, mote_real norm,
                             mote_real *e) {
  mote_real factor = mote_select(yields, amount / mote_at_least(norm, 1e-30f), mote_splat(0.0f));
  for (int k = 0; k < n; k++) e[k] -= factor * d[k];
}

/* Klar et al. 2016, sec. 7: to the apex where the volume grows, else along the deviator to the cone. With
   volume correction (Tampubolon et al. 2017) history is the log of the volume gained at the apex,
   which is given back before pressure builds up again. Cohesion moves the apex to e = cohesion I. */
MOTE_INLINE mote_mask mote_return_drucker_prager(int n, const mote_law *law, mote_real *e,
                                                 mote_real *history) {
  mote_real gained = *history * law->volume_correction, d[3];
  for (int k = 0; k < n; k++) e[k] += gained * (n == 3 ? (mote_scalar)(1.0 / 3) : 0.5f);
  mote_real trace = mote_trace(n, e) - (mote_scalar)n * law->cohesion;
  mote_real norm = mote_deviator(n, e, d);
  mote_real excess = norm + law->friction[n - 2] * trace;
  mote_mask apart = trace > 0.0f, slides = excess > 0.0f;
  mote_shrink(n, slides, excess, d, norm, e);
  for (int k = 0; k < n; k++) e[k] = mote_select(apart, mote_splat(law->cohesion), e[k]);
  if (law->volume_correction > 0.0f) *history = mote_select(apart, trace, mote_splat(0.0f));
  return apart | slides | (gained != 0.0f);
}

/* 2 mu |dev e| <= yield_stress + hardening history, history the plastic strain, the length of what was
   taken off dev e (Simo and Hughes 1998, sec. 3.3, in logarithmic strains). */
MOTE_INLINE mote_mask mote_return_von_mises(int n, const mote_law *law, mote_real *e, mote_real *history) {
  mote_real d[3], norm = mote_deviator(n, e, d);
  mote_real excess = 2.0f * law->mu * norm - (law->yield_stress + law->hardening * *history);
  mote_mask yields = excess > 0.0f;
  mote_real amount = mote_min(excess / (2.0f * law->mu + law->hardening), norm);
  mote_shrink(n, yields, amount, d, norm, e);
  *history += mote_select(yields, amount, mote_splat(0.0f));
  return yields;
}

#ifdef MOTE_REAL_DOUBLE
#define MOTE_FLOW_ITERATIONS 12
#else
#define MOTE_FLOW_ITERATIONS 5
#endif

/* The g >= 0 with K g^n + a g = r, for r > 0 and K, a > 0. In y = log g the left side's logarithm is convex
   with a slope between n and 1, so that Newton from above converges without safeguards; it starts within
   log 2. */
MOTE_INLINE mote_real mote_flow_rate(mote_scalar K, mote_scalar index, mote_scalar a, mote_real r) {
  mote_real log_k = mote_log(K / r), log_a = mote_log(a / r);
  mote_real y = mote_min(-log_k / index, -log_a);
  for (int i = 0; i < MOTE_FLOW_ITERATIONS; i++) {
    mote_real power = mote_exp(log_k + index * y), linear = mote_exp(log_a + y);
    mote_real sum = power + linear;
    y -= mote_log(sum) * sum / (index * power + linear);
  }
  return mote_exp(y);
}

/* The rate of shear at which what is left of the shear stress above yield, r > 0 before the step, flows. */
MOTE_INLINE mote_real mote_herschel_bulkley_rate(const mote_law *law, mote_scalar dt, mote_real r) {
  mote_scalar a = law->mu * dt;
  if (law->flow_index == 1.0f) return r / (law->consistency + a);
  return mote_flow_rate(law->consistency, law->flow_index, a, r);
}

/* Implicit viscoplastic flow (Yue et al. 2015, sec. 5.3, with the rheometer's form of the law): the shear
   stress q = |dev tau| / sqrt(2) ends at q = yield_stress + consistency rate^n, and rate dt of shear becomes
   plastic. */
MOTE_INLINE mote_mask mote_return_herschel_bulkley(int n, const mote_law *law, mote_scalar dt, mote_real *e) {
  mote_real d[3], norm = mote_deviator(n, e, d);
  mote_real excess = (mote_scalar)1.4142135623730951 * law->mu * norm - law->yield_stress;
  mote_mask yields = excess > 0.0f;
  mote_real rate = mote_herschel_bulkley_rate(law, dt, mote_at_least(excess, 1e-20f));
  mote_shrink(n, yields, mote_min(rate * dt * (mote_scalar)0.7071067811865476, norm), d, norm, e);
  return yields;
}

/* F <- the Cholesky factor of b_e after a step of the upper-convected Maxwell law, d b_e/dt = C b_e + b_e C^T
   - (b_e - I) / relaxation_time: half the relaxation, the deformation, the other half, each exactly (second
   order). b_e - I = B is carried, so that nothing cancels near rest. */
MOTE_INLINE void mote_relax_upper_convected(int n, const mote_law *law, mote_scalar dt, const mote_real *C,
                                            mote_real *F) {
  mote_real half = mote_exp(mote_splat(-0.5f * dt / law->relaxation_time));
  mote_real H[9], G[9], B[9], M[9];
  for (int i = 0; i < n * n; i++) {
    H[i] = F[i] - (i % (n + 1) == 0 ? 1.0f : 0.0f);
    G[i] = dt * C[i];
  }
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      mote_real sum = H[i * n + j] + H[j * n + i]; // cppcheck-suppress uninitvar; n > 0
      for (int k = 0; k < n; k++) sum += H[i * n + k] * H[j * n + k];
      B[i * n + j] = half * sum;
    }
  /* (I + G)(I + B)(I + G)^T - I = B + G + G^T + G G^T + G B + B G^T + G B G^T; M = G (I + B) */
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      mote_real sum = G[i * n + j]; // cppcheck-suppress uninitvar; n > 0
      for (int k = 0; k < n; k++) sum += G[i * n + k] * B[k * n + j];
      M[i * n + j] = sum;
    }
  for (int i = 0; i < n; i++)
    for (int j = 0; j <= i; j++) {
      mote_real sum = B[i * n + j] + M[i * n + j] + M[j * n + i];
      for (int k = 0; k < n; k++) sum += M[i * n + k] * G[j * n + k];
      H[i * n + j] = half * sum;
    }
  /* Cholesky of I + H; b_e stays positive definite, the limit only guards against rounding. */
  for (int j = 0; j < n; j++) {
    mote_real pivot = 1.0f + H[j * n + j];
    for (int k = 0; k < j; k++) pivot -= F[j * n + k] * F[j * n + k];
    mote_real root = mote_sqrt(mote_at_least(pivot, 1e-8f));
    F[j * n + j] = root;
    for (int i = j + 1; i < n; i++) {
      mote_real sum = H[i * n + j];
      for (int k = 0; k < j; k++) sum -= F[i * n + k] * F[j * n + k];
      F[i * n + j] = sum / root;
      F[j * n + i] = mote_splat(0.0f);
    }
  }
}

#endif
