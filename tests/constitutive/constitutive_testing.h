/* What the tests of the constitutive family share: materials, a state of particles on a device, and small
   float64 matrices with a singular value decomposition to compare with. */
#ifndef MOTE_TESTS_CONSTITUTIVE_TESTING_H
#define MOTE_TESTS_CONSTITUTIVE_TESTING_H

#include <algorithm>
#include <array>

#include <mote/random.h>

#include "kernels/constitutive/constitutive.h"
#include "tests/support/testing.h"

inline mote_material material_of(mote_material_kind kind, float youngs_modulus, float poisson_ratio) {
  mote_material material;
  mote_material_defaults(kind, &material);
  material.youngs_modulus = youngs_modulus;
  material.poisson_ratio = poisson_ratio;
  return material;
}

inline mote_law law_of(const mote_material &material) {
  EXPECT_EQ(MOTE_OK, mote_material_check(&material)) << mote_last_error();
  mote_law law;
  mote_law_prepare(&material, &law);
  return law;
}

/* Particles on a device: particle i is of material i % materials. C and history start at 0. */
class State {
public:
  State(mote_test::Device &device, int dim, const std::vector<mote_material> &materials,
        const std::vector<float> &F_)
      : F(device, F_), C(device, std::vector<float>(F_.size(), 0.f)),
        history(device, std::vector<float>(F_.size() / size_t(dim * dim), 0.f)), tau(device, F_.size()),
        device_(device), dim_(dim), n_(F_.size() / size_t(dim * dim)), laws_(device, prepare(materials)),
        material_(device, indices(n_, materials.size())), energy_(device, n_) {}

  void set_gradient(const std::vector<float> &gradient) {
    MOTE_EXPECT_OK(mote_upload(device_.stream, C, gradient.data(), gradient.size() * sizeof(float)));
  }
  void step(float dt) {
    MOTE_EXPECT_OK(device_->constitutive->step(device_.stream, dim_, int64_t(n_), laws_, material_, dt, C, F,
                                               history, tau));
  }
  void stress() {
    MOTE_EXPECT_OK(device_->constitutive->stress(device_.stream, dim_, int64_t(n_), laws_, material_, C, F,
                                                 history, tau));
  }
  std::vector<float> energy() {
    MOTE_EXPECT_OK(device_->constitutive->energy(device_.stream, dim_, int64_t(n_), laws_, material_, F,
                                                 history, energy_));
    return energy_.host();
  }

  mote_test::Array<float> F, C, history, tau;

private:
  static std::vector<mote_law> prepare(const std::vector<mote_material> &materials) {
    std::vector<mote_law> laws;
    for (const mote_material &material : materials) laws.push_back(law_of(material));
    return laws;
  }
  static std::vector<int32_t> indices(size_t n, size_t materials) {
    std::vector<int32_t> index(n);
    for (size_t i = 0; i < n; i++) index[i] = int32_t(i % materials);
    return index;
  }
  mote_test::Device &device_;
  int dim_;
  size_t n_;
  mote_test::Array<mote_law> laws_;
  mote_test::Array<int32_t> material_;
  mote_test::Array<float> energy_;
};

/* ---- float64 matrices, dim x dim in the upper left of 3 x 3 with 1 on the rest of the diagonal ---- */

using Matrix = std::array<double, 9>;

inline Matrix identity() {
  return {1, 0, 0, 0, 1, 0, 0, 0, 1};
}
inline Matrix multiply(const Matrix &a, const Matrix &b) {
  Matrix c{};
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++)
      for (int k = 0; k < 3; k++) c[i * 3 + j] += a[i * 3 + k] * b[k * 3 + j];
  return c;
}
inline Matrix transpose(const Matrix &a) {
  return {a[0], a[3], a[6], a[1], a[4], a[7], a[2], a[5], a[8]};
}
inline double determinant(const Matrix &a) {
  return a[0] * (a[4] * a[8] - a[5] * a[7]) - a[1] * (a[3] * a[8] - a[5] * a[6]) +
         a[2] * (a[3] * a[7] - a[4] * a[6]);
}
inline Matrix rotation(uint64_t seed, uint64_t index, int dim) {
  double q[4], norm = 0;
  for (int k = 0; k < 4; k++) {
    bool used = dim == 3 || k == 0 || k == 3;
    q[k] = used ? 2.0 * mote_random_uniform_f64(seed, uint64_t(k), index, 0) - 1.0 : 0.0;
    norm += q[k] * q[k];
  }
  norm = std::sqrt(norm);
  for (double &x : q) x /= norm;
  double w = q[0], x = q[1], y = q[2], z = q[3];
  return {1 - 2 * (y * y + z * z), 2 * (x * y - w * z),     2 * (x * z + w * y),
          2 * (x * y + w * z),     1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
          2 * (x * z - w * y),     2 * (y * z + w * x),     1 - 2 * (x * x + y * y)};
}
inline Matrix diagonal(double a, double b, double c) {
  return {a, 0, 0, 0, b, 0, 0, 0, c};
}
template <typename T> Matrix widen(const T *a, int dim) {
  Matrix m = identity();
  for (int i = 0; i < dim; i++)
    for (int j = 0; j < dim; j++) m[i * 3 + j] = double(a[i * dim + j]);
  return m;
}
inline void append(const Matrix &m, int dim, std::vector<float> &rows) {
  for (int i = 0; i < dim; i++)
    for (int j = 0; j < dim; j++) rows.push_back(float(m[i * 3 + j]));
}

struct Decomposition {
  Matrix U, V;
  std::array<double, 3> s;
};
/* The singular value decomposition in float64: one-sided Jacobi until nothing changes, s descending with the
   sign of the determinant on the last. */
Decomposition decompose(const Matrix &F);

/* Materials of every kind with all their terms at work, E about 1e5 Pa. */
std::vector<mote_material> all_materials();

/* F = (random rotation) (I + strain * normal entries), n of them; C with entries of `rate`. */
std::vector<float> random_deformations(int dim, int n, double strain, uint64_t seed);
std::vector<float> random_gradients(int dim, int n, double rate, uint64_t seed);

/* The stored energy per reference volume in float64, straight from each law's definition; J is read for a
   viscoelastic material alone, where it is a variable of its own. In 2-D F has F_zz = 1. */
double reference_energy(const mote_material &material, const Matrix &F, double J);

#endif
