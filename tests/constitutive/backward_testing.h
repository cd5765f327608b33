/* What the tests of the laws' reverse share: particles of every material in float64, near rest and far from
 * it.
 */
#ifndef MOTE_TESTS_CONSTITUTIVE_BACKWARD_TESTING_H
#define MOTE_TESTS_CONSTITUTIVE_BACKWARD_TESTING_H

#include "tests/support/law64.h"
#include "tests/constitutive/constitutive_testing.h"

inline std::array<double, 14> parameters_of(const mote_law &law) {
  std::array<double, 14> p;
  for (size_t i = 0; i < p.size(); i++) p[i] = double((&law.mu)[i]);
  return p;
}

inline double normal(uint64_t seed, uint64_t index) {
  return mote_random_normal(seed, 21, index, 0);
}

/* In the upper left of a 3x3 in float64, as dim x dim rows. */
inline std::array<double, 9> rows_of(const Matrix &m, int dim) {
  std::array<double, 9> rows{};
  for (int i = 0; i < dim; i++)
    for (int j = 0; j < dim; j++) rows[size_t(i * dim + j)] = m[size_t(i * 3 + j)];
  return rows;
}

/* F near rest and far from it, with stretches that are equal, and inverted. */
inline Matrix deformation(int dim, uint64_t seed) {
  Matrix R = rotation(seed, 1, dim), Q = rotation(seed, 2, dim), S = identity();
  double third = dim == 3 ? 1 : 0;
  auto noisy = [&](double strain) {
    for (int i = 0; i < dim; i++)
      for (int j = 0; j < dim; j++) S[size_t(i * 3 + j)] += strain * normal(seed, uint64_t(i * 3 + j));
    return multiply(R, S);
  };
  switch (seed % 10) {
  case 0: return R;
  case 1: return multiply(R, diagonal(0.93, 0.93, third ? 0.93 : 1)); /* a R, compressed */
  case 2: return multiply(R, diagonal(1.07, 1.07, third ? 1.07 : 1)); /* a R, stretched: the apex */
  case 3: return multiply(multiply(R, diagonal(1.02, third ? 1.02 : 0.95, third ? 0.9 : 1)), transpose(Q));
  case 4: return multiply(multiply(R, diagonal(1.3, third ? 0.8 : 0.7, third ? 0.8 : 1)), transpose(Q));
  case 5: return multiply(multiply(R, diagonal(1.2, -0.7, 1)), transpose(Q)); /* det < 0 */
  case 6: return noisy(1e-3);
  case 7: return noisy(0.02);
  case 8: return noisy(0.1);
  default: return noisy(0.3);
  }
}

inline double_law::Particle particle_of(const mote_material &material, int dim, uint64_t seed) {
  double_law::Particle p = {};
  p.kind = material.kind;
  p.dim = dim;
  p.dt = 1e-3;
  p.law = parameters_of(law_of(material));
  p.F = rows_of(deformation(dim, seed), dim);
  for (int k = 0; k < dim * dim; k++) p.C[size_t(k)] = 5 * normal(seed, uint64_t(30 + k));
  /* plastic strain, volume gained or log J; sand's is 0 as a rule */
  p.history = material.kind == MOTE_VISCOELASTIC ? 0.05 * normal(seed, 50) : 0.02 * (seed % 3);
  return p;
}

inline std::array<double, 9> weights(uint64_t seed) {
  std::array<double, 9> w;
  for (size_t k = 0; k < 9; k++) w[k] = normal(seed, 100 + k);
  return w;
}

#endif
