/* Neural constitutive laws (NCLaw, Ma et al. 2023): what a network sees of a deformation and what becomes of
   its answer. The network between them is a chain of dense layers (kernels/dense).

   With F = U diag(s) V^T and R = U V^T it sees x = [s - 1, vec(F^T F - I), det F - 1], which no rotation of
   the world changes, and answers a matrix whose symmetric part S counts:

     elasticity:  tau = scale R S F^T          plasticity:  F <- F + scale R S

   so that both turn with the world, whatever the weights are; and where no layer has a bias, x = 0 gives S =
   0. Of isotropic matter the network may see and answer less, as invariants.h says; R and what becomes of S
   are the same.

   The trick: an SVD a particle serves features, R and their reverse; it is kept in the particle's frame.
   R's derivative is that of an isotropic function with all values 1: in the frame, only the part that is skew
   moves it, by 2 / (s_i + s_j), so that equal singular values are no special case.
   The network's own inputs s are ordered, and where two of them meet their order is a kink: the gradient is
   that of the order that the SVD gave. */
#ifndef MOTE_KERNELS_NEURAL_H
#define MOTE_KERNELS_NEURAL_H

#include "kernels/dense/dense.h"
#include "kernels/neural/invariants.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Values a particle has: of x, 13 or 7 (MOTE_INVARIANTS of that form); of U, V and s, 21 or 10. */
#define MOTE_NEURAL_INPUTS(dim) ((dim) * ((dim) + 1) + 1)
#define MOTE_NEURAL_FRAME(dim) ((dim) * (2 * (dim) + 1))

/* Which rows count: those whose material is `which`, all where material is NULL. Others are left as they are.
   And the form of their law. */
typedef struct mote_neural_rows {
  int dim;
  int64_t n;
  const int32_t *material; /* `material_stride` words apart */
  int material_stride;
  int32_t which;
  float strain; /* of the form of invariants: what strains are divided by; 0: the form above */
} mote_neural_rows;

MOTE_HD static inline int mote_neural_counts(const mote_neural_rows *rows, int64_t i) {
  return !rows->material || rows->material[i * rows->material_stride] == rows->which;
}
MOTE_HD static inline int mote_neural_inputs(const mote_neural_rows *rows) {
  return rows->strain > 0 ? MOTE_INVARIANTS : MOTE_NEURAL_INPUTS(rows->dim);
}
MOTE_HD static inline int mote_neural_answers(const mote_neural_rows *rows) {
  return rows->strain > 0 ? MOTE_INVARIANTS : rows->dim * rows->dim;
}

/* What a call is of: rows, their law's network and scale, and the deformations that it sees: F, rows of
   dim^2, `stride` floats apart, or, where C (n, dim^2) is there, (I + dt C) F. frame (n, FRAME), y (n,
   answers) and, on devices that keep it, x (n, inputs): what it sees and answers, left there by the call or,
   for reverses that are `answered`, by one before for the same deformations, and no network is asked again. x
   of rows that do not count is 0. All pointers are device memory. */
typedef struct mote_neural_call {
  mote_neural_rows rows;
  const mote_mlp *mlp;
  float scale;
  const float *F, *C;
  float dt;
  int stride;
  float *frame, *x, *y;
  int answered;
} mote_neural_call;

/* Buffers that reverses share; they grow in the first call of a size. Which of them a device needs is its own
   matter. */
typedef struct mote_neural_room {
  mote_buffer seen, trial, d_x, d_y, d_R, scratch;
} mote_neural_room;

struct mote_neural_kernels {
  int keeps_inputs; /* whether reverses need x */

  /* tau (n, dim^2) Pa */
  mote_status (*stress)(mote_stream *stream, const mote_neural_call *call, float *tau);
  /* F <- F + scale R S, F the call's, without C. */
  mote_status (*flow)(mote_stream *stream, const mote_neural_call *call, float *F);

  /* The reverses, F (n, dim^2): weights' gradients are added to the arena's. Of stress, whose call is without
     C: what d_tau brings is added to d_F (n, dim^2). Of the flow of (I + dt C) F: d_F by what it leaves
     becomes that by F, and d_C (n, dim^2) is added to. Of (I + dt C) F alone: the same without a network. */
  mote_status (*stress_backward)(mote_stream *stream, const mote_neural_call *call, const mote_arena *arena,
                                 const float *d_tau, float *d_F, mote_neural_room *room);
  mote_status (*flow_backward)(mote_stream *stream, const mote_neural_call *call, const mote_arena *arena,
                               float *d_F, float *d_C, mote_neural_room *room);
  mote_status (*deform_backward)(mote_stream *stream, const mote_neural_call *call, float *d_F, float *d_C);

  /* flow of F, then stress, whose call sees it: a row may go through both at once. And the way back through
     both, of calls that are answered: d_tau and d_F by what flowed, then as of the flow alone. */
  mote_status (*step)(mote_stream *stream, const mote_neural_call *flow, const mote_neural_call *stress,
                      float *F, float *tau);
  mote_status (*step_backward)(mote_stream *stream, const mote_neural_call *stress,
                               const mote_neural_call *flow, const mote_arena *arena, const float *d_tau,
                               float *d_F, float *d_C, mote_neural_room *room);
};

/* ---- Per-element math; n is the dimension, constant where inlined ---- */

/* frame = U, s, V */
MOTE_INLINE void mote_neural_rotation(int n, const mote_real *frame, mote_real *R) {
  mote_times_transposed(n, frame, frame + n * n + n, R);
}

/* S = scale (Y + Y^T) / 2 */
MOTE_INLINE void mote_neural_symmetric(int n, const mote_real *Y, float scale, mote_real *S) {
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) S[i * n + j] = 0.5f * scale * (Y[i * n + j] + Y[j * n + i]);
}

MOTE_INLINE void mote_neural_matrix(int n, const mote_real *frame, float strain, const mote_real *y,
                                    float scale, mote_real *S) {
  if (strain > 0)
    mote_invariants_answer(n, frame, strain, y, scale, S);
  else
    mote_neural_symmetric(n, y, scale, S);
}

MOTE_INLINE void mote_neural_frame(int n, const mote_real *F, mote_real *frame) {
  mote_real *s = frame + n * n;
  mote_svd(n, F, frame, s, s + n);
}

/* Of two deformations, in little more time than of one. */
MOTE_INLINE void mote_neural_two_frames(int n, const mote_real *F, const mote_real *G, mote_real *frame,
                                        mote_real *other) {
  mote_real *s = frame + n * n, *r = other + n * n;
  if (n == 3) {
    mote_svd3_two(F, G, frame, s, s + n, other, r, r + n);
  } else {
    mote_neural_frame(n, F, frame);
    mote_neural_frame(n, G, other);
  }
}

MOTE_INLINE void mote_neural_features(int n, const mote_real *F, float strain, const mote_real *frame,
                                      mote_real *x) {
  const mote_real *s = frame + n * n;
  mote_real H[9];
  if (strain > 0) {
    mote_invariants(n, s, strain, x);
    return;
  }
  for (int k = 0; k < n; k++) x[k] = s[k] - 1.0f;
  /* F^T F - I = H + H^T + H^T H without cancellation near rest */
  for (int i = 0; i < n * n; i++) H[i] = F[i] - (i % (n + 1) == 0 ? 1.0f : 0.0f);
  for (int i = 0; i < n; i++)
    for (int j = i; j < n; j++) {
      mote_real sum = H[i * n + j] + H[j * n + i]; // cppcheck-suppress uninitvar; n > 0
      for (int k = 0; k < n; k++) sum += H[k * n + i] * H[k * n + j];
      x[n + i * n + j] = x[n + j * n + i] = sum;
    }
  x[n + n * n] = mote_det_minus_one(n, F);
}

/* R, S and P = R S */
MOTE_INLINE void mote_neural_product(int n, const mote_real *frame, float strain, const mote_real *y,
                                     float scale, mote_real *R, mote_real *S, mote_real *P) {
  mote_neural_rotation(n, frame, R);
  mote_neural_matrix(n, frame, strain, y, scale, S);
  mote_times(n, R, S, P);
}

MOTE_INLINE void mote_neural_stress(int n, const mote_real *F, const mote_real *frame, float strain,
                                    const mote_real *y, float scale, mote_real *tau) {
  mote_real R[9], S[9], P[9];
  mote_neural_product(n, frame, strain, y, scale, R, S, P);
  mote_times_transposed(n, P, F, tau);
}

MOTE_INLINE void mote_neural_flow(int n, const mote_real *frame, float strain, const mote_real *y,
                                  float scale, mote_real *F) {
  mote_real R[9], S[9], P[9];
  mote_neural_product(n, frame, strain, y, scale, R, S, P);
  for (int k = 0; k < n * n; k++) F[k] += P[k];
}

/* From d_P, P = R S: d_y, d_R and what S's own dependence on the stretch V diag(s) V^T = R^T F brings d_F. */
MOTE_INLINE void mote_neural_product_backward(int n, const mote_real *frame, float strain, const mote_real *y,
                                              float scale, const mote_real *R, const mote_real *S,
                                              const mote_real *d_P, mote_real *d_y, mote_real *d_R,
                                              mote_real *d_F) {
  const mote_real *U = frame, *s = frame + n * n, *V = s + n;
  mote_real d_S[9], inner[9], through[9];
  mote_transposed_times(n, R, d_P, d_S);
  mote_times(n, d_P, S, d_R); /* S is its own transpose */
  if (!(strain > 0)) {
    mote_neural_symmetric(n, d_S, scale, d_y);
    return;
  }
  mote_invariants_answer_backward(n, frame, strain, y, scale, d_S, d_y, inner);
  mote_out_of_frame(n, U, inner, V, through);
  for (int k = 0; k < n * n; k++) d_F[k] += through[k];
  for (int k = 0; k < n * n; k++) inner[k] *= s[k / n];
  mote_out_of_frame(n, U, inner, V, through);
  for (int k = 0; k < n * n; k++) d_R[k] += through[k];
}

MOTE_INLINE void mote_neural_stress_backward(int n, const mote_real *F, const mote_real *frame, float strain,
                                             const mote_real *y, float scale, const mote_real *d_tau,
                                             mote_real *d_y, mote_real *d_R, mote_real *d_F) {
  mote_real R[9], S[9], P[9], d_P[9], through[9];
  mote_neural_product(n, frame, strain, y, scale, R, S, P);
  mote_times(n, d_tau, F, d_P);
  mote_transposed_times(n, d_tau, P, through);
  for (int k = 0; k < n * n; k++) d_F[k] += through[k];
  mote_neural_product_backward(n, frame, strain, y, scale, R, S, d_P, d_y, d_R, d_F);
}

MOTE_INLINE void mote_neural_flow_backward(int n, const mote_real *frame, float strain, const mote_real *y,
                                           float scale, mote_real *d_y, mote_real *d_R, mote_real *d_F) {
  mote_real R[9], S[9], d_P[9];
  mote_neural_rotation(n, frame, R);
  mote_neural_matrix(n, frame, strain, y, scale, S);
  for (int k = 0; k < n * n; k++) d_P[k] = d_F[k];
  mote_neural_product_backward(n, frame, strain, y, scale, R, S, d_P, d_y, d_R, d_F);
}

/* Where s_i + s_j vanishes R is not one matrix, but one of many: its derivative is cut off there. */
#define MOTE_NEURAL_SMALLEST_SUM 1e-3f

MOTE_INLINE void mote_neural_features_backward(int n, const mote_real *F, const mote_real *frame,
                                               float strain, const mote_real *d_x, const mote_real *d_R,
                                               mote_real *d_F) {
  const mote_real *U = frame, *s = frame + n * n, *V = s + n, *d_C = d_x + n;
  mote_real turned[9], inner[9], both[9], through[9], d_s[3];
  for (int k = 0; k < n; k++) d_s[k] = d_x[k];
  if (strain > 0) mote_invariants_backward(n, s, strain, d_x, d_s);
  /* in the frame: U^T d_R V */
  mote_into_frame(n, U, d_R, V, inner);
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      mote_real sum = mote_at_least(s[i] + s[j], MOTE_NEURAL_SMALLEST_SUM);
      turned[i * n + j] = i == j ? d_s[i] : (inner[i * n + j] - inner[j * n + i]) / sum;
    }
  mote_out_of_frame(n, U, turned, V, through);
  for (int k = 0; k < n * n; k++) d_F[k] += through[k];
  if (strain > 0) return;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) both[i * n + j] = d_C[i * n + j] + d_C[j * n + i];
  mote_times(n, F, both, inner);
  for (int k = 0; k < n * n; k++) d_F[k] += inner[k];
  mote_add_cofactor(n, d_x[n + n * n], F, d_F);
}

#ifdef __cplusplus
}
#endif
#endif
