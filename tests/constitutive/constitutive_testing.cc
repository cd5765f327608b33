/* The float64 references that tests compare with. */
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

std::vector<mote_material> all_materials() {
  std::vector<mote_material> materials;
  for (int kind = 0; kind < MOTE_CLASSICAL_KINDS; kind++)
    materials.push_back(material_of(mote_material_kind(kind), 1e5f, 0.3f));
  materials[MOTE_NEWTONIAN].viscosity = 5;
  materials[MOTE_HERSCHEL_BULKLEY].flow_index = 0.6f;
  materials[MOTE_VISCOELASTIC].viscosity = 3;
  materials[MOTE_DRUCKER_PRAGER].cohesion = 0.01f;
  materials[MOTE_VON_MISES].hardening = 2e4f;
  mote_material tait = materials[MOTE_NEWTONIAN];
  tait.bulk_modulus = 1e5f;
  materials.push_back(tait);
  mote_material bingham = materials[MOTE_HERSCHEL_BULKLEY];
  bingham.flow_index = 1;
  materials.push_back(bingham);
  mote_material corrected = materials[MOTE_DRUCKER_PRAGER];
  corrected.volume_correction = 1;
  materials.push_back(corrected);
  return materials;
}

std::vector<float> random_gradients(int dim, int n, double rate, uint64_t seed) {
  std::vector<float> C;
  for (int i = 0; i < n * dim * dim; i++) C.push_back(float(rate * mote_random_normal(seed, 11, i, 0)));
  return C;
}

std::vector<float> random_deformations(int dim, int n, double strain, uint64_t seed) {
  std::vector<float> F;
  for (int i = 0; i < n; i++) {
    Matrix stretch = identity();
    for (int r = 0; r < dim; r++)
      for (int c = 0; c < dim; c++)
        stretch[r * 3 + c] += strain * mote_random_normal(seed, 12, i * 9 + r * 3 + c, 0);
    append(multiply(rotation(seed, i, dim), stretch), dim, F);
  }
  return F;
}

double reference_energy(const mote_material &m, const Matrix &F, double J) {
  double E = m.youngs_modulus, nu = m.poisson_ratio;
  double mu = E / (2 * (1 + nu)), lambda = E * nu / ((1 + nu) * (1 - 2 * nu)), det = determinant(F);
  Decomposition d = decompose(F); /* in 2-D one of the values is F_zz = 1, which adds nothing below */
  double square = 0, logs = 0, sum = 0, stretch = 0;
  for (double s : d.s) {
    square += (s - 1) * (s - 1);
    logs += std::log(s) * std::log(s);
    sum += std::log(s);
    stretch += s * s - 1;
  }
  switch (m.kind) {
  case MOTE_FIXED_COROTATED: return mu * square + lambda / 2 * (det - 1) * (det - 1);
  case MOTE_NEO_HOOKEAN:
    return mu / 2 * stretch - mu * std::log(det) + lambda / 2 * std::log(det) * std::log(det);
  case MOTE_NEWTONIAN:
    if (m.bulk_modulus > 0)
      return double(m.bulk_modulus) / m.gamma *
             ((std::pow(det, 1 - double(m.gamma)) - 1) / (m.gamma - 1.0) + det - 1);
    return lambda / 2 * (det - 1) * (det - 1);
  case MOTE_VISCOELASTIC: return mu / 2 * (stretch - 2 * std::log(det)) + lambda / 2 * (J - 1) * (J - 1);
  default: return mu * logs + lambda / 2 * sum * sum;
  }
}
