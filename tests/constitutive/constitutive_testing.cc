/* The float64 singular value decomposition that tests compare with. */
#include "tests/constitutive/constitutive_testing.h"

static double dot(const Matrix &a, int p, const Matrix &b, int q) {
  return a[p] * b[q] + a[3 + p] * b[3 + q] + a[6 + p] * b[6 + q];
}

static bool orthogonalise(Matrix &B, Matrix &V, int p, int q) {
  double alpha = dot(B, p, B, p), beta = dot(B, q, B, q), gamma = dot(B, p, B, q);
  if (std::fabs(gamma) <= 1e-17 * std::sqrt(alpha * beta) || gamma == 0) return false;
  double zeta = (beta - alpha) / (2 * gamma);
  double t = (zeta < 0 ? -1 : 1) / (std::fabs(zeta) + std::hypot(1, zeta));
  double c = 1 / std::hypot(1, t), s = c * t;
  for (Matrix *A : {&B, &V})
    for (int r = 0; r < 9; r += 3) {
      double x = (*A)[r + p], y = (*A)[r + q];
      (*A)[r + p] = c * x - s * y;
      (*A)[r + q] = s * x + c * y;
    }
  return true;
}

Decomposition decompose(const Matrix &F) {
  Decomposition result{identity(), identity(), {}};
  double largest = 0;
  for (double x : F) largest = std::max(largest, std::fabs(x));
  if (largest == 0) return result;
  Matrix B = F, &V = result.V, &U = result.U;
  for (double &x : B) x /= largest;
  for (int sweep = 0; sweep < 60; sweep++) {
    bool changed = orthogonalise(B, V, 0, 1);
    changed |= orthogonalise(B, V, 0, 2);
    changed |= orthogonalise(B, V, 1, 2);
    if (!changed) break;
  }
  for (int pass = 0; pass < 2; pass++)
    for (int p = 0; p < 2; p++)
      if (dot(B, p, B, p) < dot(B, p + 1, B, p + 1))
        for (Matrix *A : {&B, &V})
          for (int r = 0; r < 9; r += 3) {
            double x = (*A)[r + p];
            (*A)[r + p] = (*A)[r + p + 1];
            (*A)[r + p + 1] = -x;
          }
  for (int k = 0; k < 3; k++) {
    result.s[k] = std::sqrt(dot(B, k, B, k));
    if (result.s[k] > 0)
      for (int r = 0; r < 9; r += 3) U[r + k] = B[r + k] / result.s[k];
    result.s[k] *= largest;
  }
  if (determinant(F) < 0) { /* V is a rotation, so the sign is U's */
    result.s[2] = -result.s[2];
    for (int r = 0; r < 9; r += 3) U[r + 2] = -U[r + 2];
  }
  return result;
}
