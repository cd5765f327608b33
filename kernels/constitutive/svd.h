/* Singular value decomposition of 2x2 and 3x3 matrices, F = U diag(s) V^T with rotations U and V and
   s[0] >= s[1] >= |s[2]|: the sign of det F is on the smallest value (Irving et al. 2004, sec. 5).

   The trick: one-sided Jacobi (Hestenes 1958) turns the columns of F into B = F V until they are
   orthogonal. Nothing is squared that is not taken back, so small singular values keep an error of 1e-7 of
   the largest one, where an eigenproblem of F^T F would lose half of the digits. A fixed number of sweeps and
   selection in place of branches let loops over lanes vectorise. */
#ifndef MOTE_KERNELS_CONSTITUTIVE_SVD_H
#define MOTE_KERNELS_CONSTITUTIVE_SVD_H

#include "kernels/constitutive/real.h"

/* Cyclic Jacobi on 3x3 converges cubically at the end: tests find orthogonality at rounding level after this
   many sweeps on all kinds of matrices. */
#ifdef MOTE_REAL_DOUBLE
#define MOTE_SVD_SWEEPS 30
#define MOTE_SVD_ORTHOGONAL 1e-31
#else
#define MOTE_SVD_SWEEPS 4
#define MOTE_SVD_ORTHOGONAL 1.4e-14f /* cos^2 of the angle between columns that count as orthogonal */
#endif

/* Rotates columns p and q of B so that they become orthogonal, and those of V likewise. Tells whether they
   were not. The angle's double is that of (|alpha - beta|, 2 gamma), and cos^2 = (1 + cos of the double) / 2.
 */
MOTE_INLINE mote_mask mote_svd_rotate(mote_real B[9], mote_real V[9], int p, int q) {
  mote_real alpha = B[p] * B[p] + B[3 + p] * B[3 + p] + B[6 + p] * B[6 + p];
  mote_real beta = B[q] * B[q] + B[3 + q] * B[3 + q] + B[6 + q] * B[6 + q];
  mote_real gamma = B[p] * B[q] + B[3 + p] * B[3 + q] + B[6 + p] * B[6 + q];
  /* Columns that are orthogonal to rounding stay: turning equal ones by what noise says only adds to it. */
  mote_mask turns = gamma * gamma > MOTE_SVD_ORTHOGONAL * alpha * beta;
  mote_real delta = beta - alpha, size = delta * delta + 4.0f * gamma * gamma;
  /* Beyond the range of squares: leave them, they are at most 1e-9 long */
  turns &= size > 1e-36f;
  mote_real inverse = mote_rsqrt(mote_at_least(size, 1e-36f));
  mote_real square = 0.5f + 0.5f * mote_abs(delta) * inverse; /* cos^2 */
  mote_real root = mote_rsqrt(square);
  mote_real c = mote_select(turns, square * root, mote_splat(1.0f));
  mote_real s =
      mote_select(turns, mote_select(delta < 0.0f, -gamma, gamma) * (inverse * root), mote_splat(0.0f));
  for (int r = 0; r < 9; r += 3) {
    mote_real bp = B[r + p], bq = B[r + q], vp = V[r + p], vq = V[r + q];
    B[r + p] = c * bp - s * bq;
    B[r + q] = s * bp + c * bq;
    V[r + p] = c * vp - s * vq;
    V[r + q] = s * vp + c * vq;
  }
  return turns;
}

/* Where column q is longer than column p, (p, q) becomes (q, -p): V stays a rotation. */
MOTE_INLINE void mote_svd_order(mote_real B[9], mote_real V[9], mote_real norm[3], int p, int q) {
  mote_mask swap = norm[p] < norm[q];
  mote_real np = norm[p], nq = norm[q];
  norm[p] = mote_select(swap, nq, np);
  norm[q] = mote_select(swap, np, nq);
  for (int r = 0; r < 9; r += 3) {
    mote_real bp = B[r + p], bq = B[r + q], vp = V[r + p], vq = V[r + q];
    B[r + p] = mote_select(swap, bq, bp);
    B[r + q] = mote_select(swap, -bp, bq);
    V[r + p] = mote_select(swap, vq, vp);
    V[r + q] = mote_select(swap, -vp, vq);
  }
}

/* From the columns of B = F V, once they are orthogonal, to U and s; V's are ordered. */
MOTE_INLINE void mote_svd_finish(mote_real B[9], mote_real U[9], mote_real s[3], mote_real V[9]) {
  mote_real norm[3];
  for (int c = 0; c < 3; c++) norm[c] = B[c] * B[c] + B[3 + c] * B[3 + c] + B[6 + c] * B[6 + c];
  mote_svd_order(B, V, norm, 0, 1);
  mote_svd_order(B, V, norm, 1, 2);
  mote_svd_order(B, V, norm, 0, 1);

  /* U by Gram-Schmidt on the columns, longest first; the last is the cross product of the others, which makes
     U a rotation and puts the sign into s[2]. A column that vanishes leaves its direction free: any will do.
   */
  mote_mask zero = norm[0] < 1e-30f;
  mote_real scale = 1.0f / mote_sqrt(mote_at_least(norm[0], 1e-30f));
  mote_real ux = mote_select(zero, mote_splat(1.0f), B[0] * scale),
            uy = mote_select(zero, mote_splat(0.0f), B[3] * scale),
            uz = mote_select(zero, mote_splat(0.0f), B[6] * scale);
  mote_real along = ux * B[1] + uy * B[4] + uz * B[7];
  mote_real wx = B[1] - along * ux, wy = B[4] - along * uy, wz = B[7] - along * uz;
  mote_mask flat = wx * wx + wy * wy + wz * wz < 1e-30f;
  mote_mask use_y = mote_abs(ux) > 0.6f; /* u x e_x, or u x e_y where u is close to e_x */
  wx = mote_select(flat, mote_select(use_y, -uz, mote_splat(0.0f)), wx);
  wy = mote_select(flat, mote_select(use_y, mote_splat(0.0f), uz), wy);
  wz = mote_select(flat, mote_select(use_y, ux, -uy), wz);
  scale = 1.0f / mote_sqrt(wx * wx + wy * wy + wz * wz);
  wx *= scale, wy *= scale, wz *= scale;
  mote_real tx = uy * wz - uz * wy, ty = uz * wx - ux * wz, tz = ux * wy - uy * wx;
  s[0] = ux * B[0] + uy * B[3] + uz * B[6];
  s[1] = wx * B[1] + wy * B[4] + wz * B[7];
  s[2] = tx * B[2] + ty * B[5] + tz * B[8];
  U[0] = ux, U[1] = wx, U[2] = tx;
  U[3] = uy, U[4] = wy, U[5] = ty;
  U[6] = uz, U[7] = wz, U[8] = tz;
}

MOTE_INLINE void mote_svd_begin(const mote_real F[9], mote_real B[9], mote_real V[9]) {
  for (int i = 0; i < 9; i++) {
    B[i] = F[i];
    V[i] = mote_splat(i % 4 == 0 ? 1.0f : 0.0f);
  }
}

/* As mote_svd3, for entries between about 1e-12 and 1e12: squares must not leave the range of mote_real. */
MOTE_INLINE void mote_svd3_unscaled(const mote_real F[9], mote_real U[9], mote_real s[3], mote_real V[9]) {
  mote_real B[9];
  mote_svd_begin(F, B, V);
  for (int sweep = 0; sweep < MOTE_SVD_SWEEPS; sweep++) {
    mote_mask turned = mote_svd_rotate(B, V, 0, 1);
    turned |= mote_svd_rotate(B, V, 0, 2);
    turned |= mote_svd_rotate(B, V, 1, 2);
    if (!mote_any(turned)) break; /* a lane that is done stays as it is while others go on */
  }
  mote_svd_finish(B, U, s, V);
}

/* Of two matrices, which go on until both are done: each waits for its own rotations most of the time, so
   that two in turns take little longer than one. */
MOTE_INLINE void mote_svd3_two(const mote_real *F, const mote_real *G, mote_real *U, mote_real *s,
                               mote_real *V, mote_real *W, mote_real *r, mote_real *X) {
  mote_real B[9], C[9];
  mote_svd_begin(F, B, V);
  mote_svd_begin(G, C, X);
  for (int sweep = 0; sweep < MOTE_SVD_SWEEPS; sweep++) {
    mote_mask turned = mote_svd_rotate(B, V, 0, 1) | mote_svd_rotate(C, X, 0, 1);
    turned |= mote_svd_rotate(B, V, 0, 2) | mote_svd_rotate(C, X, 0, 2);
    turned |= mote_svd_rotate(B, V, 1, 2) | mote_svd_rotate(C, X, 1, 2);
    if (!mote_any(turned)) break;
  }
  mote_svd_finish(B, U, s, V);
  mote_svd_finish(C, W, r, X);
}

/* F (3,3) row-major = U diag(s) V^T; U, V (3,3) rotations with singular vectors in their columns. Any finite
   F. Errors of s and of U diag(s) V^T below 1e-6 s[0]; U and V orthogonal to 1e-6. */
MOTE_INLINE void mote_svd3(const mote_real F[9], mote_real U[9], mote_real s[3], mote_real V[9]) {
  mote_real largest = mote_splat(1.17549435e-38f), scaled[9];
  for (int i = 0; i < 9; i++) largest = mote_max(largest, mote_abs(F[i]));
  mote_real down = mote_down_scale(largest);
  for (int i = 0; i < 9; i++) scaled[i] = F[i] * down;
  mote_svd3_unscaled(scaled, U, s, V);
  for (int i = 0; i < 3; i++) s[i] /= down;
}

/* The same in 2-D, in closed form: the rotation next to F, then the eigenvectors of its symmetric stretch. */
MOTE_INLINE void mote_svd2(const mote_real F[4], mote_real U[4], mote_real s[2], mote_real V[4]) {
  mote_real largest = mote_splat(1.17549435e-38f);
  for (int i = 0; i < 4; i++) largest = mote_max(largest, mote_abs(F[i]));
  mote_real down = mote_down_scale(largest);
  mote_real a = F[0] * down, b = F[1] * down, c = F[2] * down, d = F[3] * down;

  mote_real x = a + d, y = c - b, r = x * x + y * y;
  mote_mask symmetric = r < 1e-30f; /* then F = F^T with no trace, and R = I will do */
  mote_real scale_r = 1.0f / mote_sqrt(mote_at_least(r, 1e-30f));
  mote_real rx = mote_select(symmetric, mote_splat(1.0f), x * scale_r),
            ry = mote_select(symmetric, mote_splat(0.0f), y * scale_r);
  /* S = R^T F with R = [rx -ry; ry rx] */
  mote_real s00 = rx * a + ry * c, s01 = rx * b + ry * d, s11 = rx * d - ry * b;
  mote_real delta = s11 - s00, twice = 2.0f * s01;
  mote_real denominator = mote_abs(delta) + mote_sqrt(delta * delta + twice * twice);
  mote_real t = mote_select(delta < 0.0f, -twice, twice) / mote_at_least(denominator, 1e-37f);
  mote_real cosine = 1.0f / mote_sqrt(1.0f + t * t), sine = cosine * t;
  mote_real e0 = s00 - t * s01, e1 = s11 + t * s01;
  /* V = [cosine sine; -sine cosine], columns (p, q) -> (q, -p) where the second is the larger */
  mote_mask swap = mote_abs(e0) < mote_abs(e1);
  mote_real v0 = mote_select(swap, sine, cosine), v1 = mote_select(swap, cosine, -sine);
  mote_real large = mote_select(swap, e1, e0), small = mote_select(swap, e0, e1);
  /* The sign goes to the smaller one: turning both columns of U keeps it a rotation. */
  mote_real sign = mote_select(large < 0.0f, mote_splat(-1.0f), mote_splat(1.0f));
  V[0] = v0, V[2] = v1, V[1] = -v1, V[3] = v0;
  mote_real u0 = sign * (rx * v0 - ry * v1), u1 = sign * (ry * v0 + rx * v1);
  U[0] = u0, U[2] = u1, U[1] = -u1, U[3] = u0;
  s[0] = sign * large / down;
  s[1] = sign * small / down;
}

/* The rotation R = U V^T closest to F, (3,3) and (2,2). */
MOTE_INLINE void mote_polar3(const mote_real F[9], mote_real R[9]) {
  mote_real U[9], s[3], V[9];
  mote_svd3(F, U, s, V);
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++)
      R[i * 3 + j] = U[i * 3] * V[j * 3] + U[i * 3 + 1] * V[j * 3 + 1] + U[i * 3 + 2] * V[j * 3 + 2];
}
MOTE_INLINE void mote_polar2(const mote_real F[4], mote_real R[4]) {
  mote_real U[4], s[2], V[4];
  mote_svd2(F, U, s, V);
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 2; j++) R[i * 2 + j] = U[i * 2] * V[j * 2] + U[i * 2 + 1] * V[j * 2 + 1];
}

#endif
