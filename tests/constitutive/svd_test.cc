/* The float32 SVD against a float64 one on every kind of matrix that simulations meet and some that they
   should not. Tolerances are what svd.h promises: 1e-6 of the largest singular value, orthogonality to 1e-6.
 */
#include "tests/constitutive/constitutive_testing.h"

using mote_test::Array;
using mote_test::Device;

class SvdTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(SvdTest);

/* Decomposes all matrices on the device and checks shape, order, signs, orthogonality, values and product. */
static void check(const std::string &name, int dim, const std::string &what, const std::vector<float> &F) {
  Device device{name};
  const size_t size = size_t(dim * dim), n = F.size() / size;
  Array<float> in(device, F), u(device, F.size()), s(device, n * size_t(dim)), v(device, F.size());
  MOTE_ASSERT_OK(device->constitutive->svd(device.stream, dim, int64_t(n), in, u, s, v));
  std::vector<float> U = u.host(), S = s.host(), V = v.host();
  double orthogonality = 0, product = 0, value = 0;
  for (size_t i = 0; i < n; i++) {
    Matrix f = widen(&F[i * size], dim), a = widen(&U[i * size], dim), b = widen(&V[i * size], dim);
    if (dim == 2) f[8] = 0;
    Decomposition truth = decompose(f);
    const float *got = &S[i * size_t(dim)];
    double scale = truth.s[0] > 0 ? truth.s[0] : 1;
    for (const Matrix &rotation : {a, b}) {
      Matrix gram = multiply(transpose(rotation), rotation);
      for (int k = 0; k < 9; k++) orthogonality = std::max(orthogonality, std::fabs(gram[k] - identity()[k]));
      ASSERT_GT(determinant(rotation), 0.99) << what << " " << i;
    }
    Matrix again =
        multiply(multiply(a, diagonal(got[0], got[1], dim == 3 ? double(got[2]) : 0)), transpose(b));
    for (int k = 0; k < 9; k++) product = std::max(product, std::fabs(again[k] - f[k]) / scale);
    double sign = dim == 2 && f[0] * f[4] - f[1] * f[3] < 0 ? -1 : 1; /* in 2-D it is on the second */
    for (int k = 0; k < dim; k++)
      value = std::max(value, std::fabs(got[k] - (k == 1 ? sign : 1) * truth.s[k]) / scale);
    for (int k = 1; k < dim; k++)
      ASSERT_GE(got[k - 1], std::fabs(got[k]) - 1e-6 * scale) << what << " " << i << ": not sorted";
    ASSERT_TRUE(std::isfinite(orthogonality + product + value)) << what << " " << i;
  }
  EXPECT_LT(orthogonality, 1e-6) << what << " " << dim;
  EXPECT_LT(product, 1e-6) << what << " " << dim;
  EXPECT_LT(value, 1e-6) << what << " " << dim;
}

static std::vector<float> with_values(int dim, int n, double a, double b, double c) {
  std::vector<float> F;
  for (int i = 0; i < n; i++)
    append(multiply(multiply(rotation(1, i, dim), diagonal(a, b, c)), rotation(2, i, dim)), dim, F);
  return F;
}

static std::vector<float> random(int dim, int n, double scale) {
  std::vector<float> F;
  for (int i = 0; i < n * dim * dim; i++) F.push_back(float(scale * mote_random_normal(3, 1, i, 0)));
  return F;
}

TEST_P(SvdTest, Random) {
  for (int dim : {2, 3}) check(GetParam(), dim, "normal entries", random(dim, 4000, 1));
}
TEST_P(SvdTest, NearIdentity) {
  for (int dim : {2, 3})
    for (double size : {1e-7, 1e-4, 1e-2}) {
      std::vector<float> F = random(dim, 500, size);
      for (size_t i = 0; i < F.size(); i++)
        if (i % size_t(dim * dim) % size_t(dim + 1) == 0) F[i] += 1;
      check(GetParam(), dim, "I + " + std::to_string(size), F);
    }
}
TEST_P(SvdTest, Repeated) {
  for (int dim : {2, 3}) {
    check(GetParam(), dim, "1 1 1", with_values(dim, 300, 1, 1, 1));
    check(GetParam(), dim, "2 2 1", with_values(dim, 300, 2, 2, 1));
    check(GetParam(), dim, "2 1 1", with_values(dim, 300, 2, 1, 1));
    check(GetParam(), dim, "nearly 1 1 1", with_values(dim, 300, 1, 1 + 1e-6, 1 - 1e-6));
  }
}
TEST_P(SvdTest, Reflected) {
  for (int dim : {2, 3}) {
    check(GetParam(), dim, "-1 1 1", with_values(dim, 300, -1, 1, 1));
    check(GetParam(), dim, "3 -2 1", with_values(dim, 300, 3, -2, 1));
    check(GetParam(), dim, "1 -1e-3 0.5", with_values(dim, 300, 1, -1e-3, 0.5));
  }
}
TEST_P(SvdTest, RankDeficientAndZero) {
  for (int dim : {2, 3}) {
    check(GetParam(), dim, "rank 1", with_values(dim, 300, 1, 0, 0));
    check(GetParam(), dim, "rank 2", with_values(dim, 300, 1, 0.3, 0));
    check(GetParam(), dim, "rank 2 repeated", with_values(dim, 300, 1, 1, 0));
    check(GetParam(), dim, "zero", std::vector<float>(size_t(dim * dim) * 3, 0.f));
    std::vector<float> units; /* a single entry each: exact zeros all around */
    for (int k = 0; k < dim * dim; k++)
      for (int j = 0; j < dim * dim; j++) units.push_back(j == k ? 1.f : 0.f);
    check(GetParam(), dim, "units", units);
    std::vector<float> ones(size_t(dim * dim), 1.f);
    check(GetParam(), dim, "ones", ones);
  }
}
TEST_P(SvdTest, GradedAndScaled) {
  for (int dim : {2, 3}) {
    check(GetParam(), dim, "1 1e-3 1e-6", with_values(dim, 500, 1, 1e-3, 1e-6));
    check(GetParam(), dim, "1 1e-10 1e-20", with_values(dim, 300, 1, 1e-10, 1e-20));
    check(GetParam(), dim, "all tiny", random(dim, 500, 1e-20));
    check(GetParam(), dim, "all tinier", random(dim, 500, 1e-34));
    check(GetParam(), dim, "all huge", random(dim, 500, 1e20));
    check(GetParam(), dim, "all huger", random(dim, 500, 5e36));
  }
}

/* The closest rotation, through a rotation in front: R(Q S) = Q for symmetric positive S. */
TEST(PolarTest, IsTheRotationOfAStretch) {
  for (int dim : {2, 3})
    for (int i = 0; i < 200; i++) {
      Matrix Q = rotation(7, i, dim), W = rotation(8, i, dim);
      Matrix S = multiply(multiply(W, diagonal(0.5, 1.1, dim == 3 ? 1.7 : 1)), transpose(W));
      std::vector<float> F;
      append(multiply(Q, S), dim, F);
      float R[9];
      if (dim == 3)
        mote_polar3(F.data(), R);
      else
        mote_polar2(F.data(), R);
      Matrix got = widen(R, dim);
      for (int k = 0; k < 9; k++) ASSERT_NEAR(got[k], Q[k], 2e-6); /* 1e-6 / the smallest sum of values */
    }
}
