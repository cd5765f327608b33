/* Neural laws of isotropic matter, the form "invariants": not only the world may be turned, but also the
   matter in front of its deformation, and nothing has to be learned of it.

   With F = U diag(s) V^T and the strain E = (V diag(s) V^T - I) / strain, t = tr E, q = |dev E|^2, the
   network sees

     t / sqrt(1 + t^2),   q / (1 + q),   tr (dev E)^3 / (1 + q)^(3/2)

   and 1, which are smooth and within [-1, 1] however far matter is strained. Its four answers are
   coefficients, by the representation theorem of isotropic functions (Rivlin and Ericksen 1955), of

     S = scale ((y0 t + y3 q / sqrt(1 + q)) I + y1 E + y2 E^2 / sqrt(1 + |E|^2))

   where each term vanishes at rest, whatever the weights are, and grows no faster than the strain.

   The trick: in the frame V all of this is diagonal, and the divided differences (p_i - p_j) / (e_i - e_j) of
   S's values p, which its derivative has off the diagonal, are y1 + y2 m (e_i + e_j) with one m: nothing is
   divided by, and equal stretches are no special case. */
#ifndef MOTE_KERNELS_NEURAL_INVARIANTS_H
#define MOTE_KERNELS_NEURAL_INVARIANTS_H

#include "kernels/constitutive/law_backward.h"

#define MOTE_INVARIANTS 4 /* what the network sees, and what it answers */

/* What a strain has without a frame. */
typedef struct mote_strain {
  mote_real e[3], off[3];            /* its values, and those of dev E */
  mote_real trace, squares, inverse; /* t, q, 1 / (1 + q) */
} mote_strain;

MOTE_INLINE mote_strain mote_strain_of(int n, const mote_real *s, float strain) {
  mote_strain E;
  E.trace = E.squares = mote_splat(0);
  for (int k = 0; k < n; k++) {
    E.e[k] = (s[k] - 1.0f) / strain;
    E.trace += E.e[k];
  }
  for (int k = 0; k < n; k++) {
    E.off[k] = E.e[k] - E.trace / (float)n;
    E.squares += E.off[k] * E.off[k];
  }
  E.inverse = 1.0f / (1.0f + E.squares);
  return E;
}

MOTE_INLINE mote_real mote_strain_cubes(int n, const mote_strain *E) {
  mote_real sum = mote_splat(0);
  for (int k = 0; k < n; k++) sum += E->off[k] * E->off[k] * E->off[k];
  return sum;
}

MOTE_INLINE void mote_invariants(int n, const mote_real *s, float strain, mote_real *x) {
  const mote_strain E = mote_strain_of(n, s, strain);
  x[0] = E.trace / mote_sqrt(1.0f + E.trace * E.trace);
  x[1] = E.squares * E.inverse;
  x[2] = mote_strain_cubes(n, &E) * E.inverse * mote_sqrt(E.inverse);
  x[3] = mote_splat(1);
}

/* From d_x to d_s. */
MOTE_INLINE void mote_invariants_backward(int n, const mote_real *s, float strain, const mote_real *d_x,
                                          mote_real *d_s) {
  const mote_strain E = mote_strain_of(n, s, strain);
  mote_real root = mote_sqrt(E.inverse), along = 1.0f / (1.0f + E.trace * E.trace);
  mote_real by_trace = d_x[0] * along * mote_sqrt(along), by_cubes = d_x[2] * E.inverse * root;
  mote_real by_squares = (d_x[1] - 1.5f * d_x[2] * mote_strain_cubes(n, &E) * root) * E.inverse * E.inverse;
  for (int k = 0; k < n; k++) {
    mote_real square = E.off[k] * E.off[k] - E.squares / (float)n;
    d_s[k] = (by_trace + 2.0f * by_squares * E.off[k] + 3.0f * by_cubes * square) / strain;
  }
}

/* |E|^2 */
MOTE_INLINE mote_real mote_strain_size(int n, const mote_strain *E) {
  return E->squares + E->trace * E->trace / (float)n;
}

/* S, symmetric, of a frame U, s, V. */
MOTE_INLINE void mote_invariants_answer(int n, const mote_real *frame, float strain, const mote_real *y,
                                        float scale, mote_real *S) {
  const mote_real *s = frame + n * n, *V = s + n;
  const mote_strain E = mote_strain_of(n, s, strain);
  mote_real all = y[0] * E.trace + y[3] * E.squares * mote_sqrt(E.inverse), p[3];
  mote_real second = y[2] / mote_sqrt(1.0f + mote_strain_size(n, &E));
  for (int k = 0; k < n; k++) p[k] = scale * (all + (y[1] + second * E.e[k]) * E.e[k]);
  mote_compose(n, V, p, V, S);
}

/* From d_S, symmetric or not, to d_y and, in the frame V, to the gradient by the stretch V diag(s) V^T. */
MOTE_INLINE void mote_invariants_answer_backward(int n, const mote_real *frame, float strain,
                                                 const mote_real *y, float scale, const mote_real *d_S,
                                                 mote_real *d_y, mote_real *inner) {
  const mote_real *s = frame + n * n, *V = s + n;
  const mote_strain E = mote_strain_of(n, s, strain);
  mote_real M[9], trace = mote_splat(0), first = mote_splat(0), second = mote_splat(0);
  mote_into_frame(n, V, d_S, V, M);
  for (int k = 0; k < n; k++) {
    mote_real own = scale * M[k * n + k];
    trace += own;
    first += own * E.e[k];
    second += own * E.e[k] * E.e[k];
  }
  mote_real root = mote_sqrt(E.inverse), smaller = 1.0f / (1.0f + mote_strain_size(n, &E));
  mote_real m = mote_sqrt(smaller);
  d_y[0] = trace * E.trace;
  d_y[1] = first;
  d_y[2] = second * m;
  d_y[3] = trace * E.squares * root;
  mote_real by_squares = trace * y[3] * (1.0f + 0.5f * E.squares) * E.inverse * root;
  mote_real by_size = second * y[2] * m * smaller;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      mote_real shared = 0.5f * scale * (M[i * n + j] + M[j * n + i]) * (y[1] + m * y[2] * (E.e[i] + E.e[j]));
      if (i == j) shared += trace * y[0] + 2.0f * by_squares * E.off[i] - by_size * E.e[i];
      inner[i * n + j] = shared / strain;
    }
}

#endif
