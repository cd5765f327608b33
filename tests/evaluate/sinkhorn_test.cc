/* The Sinkhorn divergence against its definition iterated plainly, against exact assignments, and against
   cases whose answer is known. */
#include <mote/evaluate.h>
#include <mote/random.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "tests/support/testing.h"

namespace {

std::vector<float> random_cloud(int64_t n, int dim, uint64_t stream) {
  std::vector<float> x(n * dim);
  for (size_t k = 0; k < x.size(); k++) x[k] = mote_random_uniform(5, stream, k, 0);
  return x;
}

std::vector<float> reversed(const std::vector<float> &x, int dim) {
  std::vector<float> y;
  for (size_t i = x.size() / dim; i-- > 0;) y.insert(y.end(), &x[i * dim], &x[i * dim] + dim);
  return y;
}

double cost(const std::vector<float> &x, size_t i, const std::vector<float> &y, size_t j, int dim) {
  double sum = 0;
  for (int k = 0; k < dim; k++) sum += std::pow(double(x[i * dim + k]) - double(y[j * dim + k]), 2) / 2;
  return sum;
}

class Sinkhorn {
public:
  explicit Sinkhorn(int threads = 2) : device_("cpu", threads) {
    EXPECT_EQ(MOTE_OK, mote_evaluator_create(device_.device, &evaluator));
  }
  ~Sinkhorn() { mote_evaluator_destroy(evaluator); }
  mote_sinkhorn operator()(int dim, const std::vector<float> &d, const std::vector<float> &t, double blur,
                           double tolerance = 0, int iterations = 0) {
    mote_sinkhorn_options options = {blur, tolerance, iterations};
    mote_sinkhorn result;
    EXPECT_EQ(MOTE_OK, mote_evaluate_sinkhorn(evaluator, dim, d.data(), int64_t(d.size()) / dim, t.data(),
                                              int64_t(t.size()) / dim, &options, &result))
        << mote_last_error();
    return result;
  }

private:
  mote_test::Device device_;

public:
  mote_evaluator *evaluator = nullptr;
};

/* OT_eps(a, b) by plain iterations, as the primal value <P, C> + eps KL(P | a x b). */
double reference_ot(const std::vector<float> &x, const std::vector<float> &y, int dim, double epsilon) {
  size_t n = x.size() / dim, m = y.size() / dim;
  std::vector<double> f(n, 0), g(m, 0);
  for (int round = 0; round < 3000; round++) {
    for (size_t i = 0; i < n; i++) {
      double sum = 0;
      for (size_t j = 0; j < m; j++) sum += std::exp((g[j] - cost(x, i, y, j, dim)) / epsilon) / double(m);
      f[i] = -epsilon * std::log(sum);
    }
    for (size_t j = 0; j < m; j++) {
      double sum = 0;
      for (size_t i = 0; i < n; i++) sum += std::exp((f[i] - cost(x, i, y, j, dim)) / epsilon) / double(n);
      g[j] = -epsilon * std::log(sum);
    }
  }
  double value = 0;
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < m; j++) {
      double c = cost(x, i, y, j, dim), ratio = std::exp((f[i] + g[j] - c) / epsilon);
      value += ratio / double(n * m) * (c + epsilon * std::log(ratio));
    }
  return value;
}

/* Both sides are converged to about 1e-9 of a value near 0.1. */
TEST(EvaluateSinkhorn, EqualsItsDefinition) {
  Sinkhorn sinkhorn;
  for (int dim : {2, 3}) {
    auto x = random_cloud(40, dim, 1), y = random_cloud(27, dim, 2);
    for (size_t k = 0; k < y.size(); k++) y[k] = 0.5f * y[k] + (k % dim ? 0.25f : 0.75f);
    double blur = 0.25, epsilon = blur * blur;
    double expected = reference_ot(x, y, dim, epsilon) - reference_ot(x, x, dim, epsilon) / 2 -
                      reference_ot(y, y, dim, epsilon) / 2;
    mote_sinkhorn s = sinkhorn(dim, x, y, blur, 1e-10, 2000);
    EXPECT_GT(expected, 0.01);
    EXPECT_NEAR(s.divergence, expected, 1e-8);
    EXPECT_NEAR(s.distance, std::sqrt(2 * expected), 1e-7);
    EXPECT_LE(s.marginal_error, 1e-9);
    /* With the tolerance that is taken by itself: a thousandth. */
    EXPECT_NEAR(sinkhorn(dim, x, y, blur).divergence, expected, 1e-3 * expected);
  }
}

/* Shifted by t, in another order, the divergence is |t|^2 / 2; not shifted, 0. Rounding of the shifted
   float32 coordinates is 6e-8. */
TEST(EvaluateSinkhorn, OfAShiftedCloud) {
  Sinkhorn sinkhorn;
  const float shift[3] = {0.5f, -0.25f, 2};
  for (int dim : {2, 3})
    for (double blur : {0.1, 1.0}) {
      auto x = random_cloud(200, dim, 3), y = reversed(x, dim);
      double squares = 0;
      for (int k = 0; k < dim; k++) squares += double(shift[k]) * shift[k];
      EXPECT_NEAR(sinkhorn(dim, x, y, blur, 1e-6, 5000).divergence, 0, 1e-6 * blur * blur);
      for (size_t k = 0; k < y.size(); k++) y[k] += shift[k % dim];
      mote_sinkhorn s = sinkhorn(dim, x, y, blur, 1e-6, 5000);
      EXPECT_NEAR(s.divergence, squares / 2, 2e-6);
      EXPECT_NEAR(s.distance, std::sqrt(squares), 2e-6);
    }
}

/* The cheapest of all matchings. */
TEST(EvaluateSinkhorn, OfAFewPointsIsTheBestMatching) {
  Sinkhorn sinkhorn;
  for (uint64_t seed = 10; seed < 16; seed++) {
    auto x = random_cloud(7, 3, seed), y = random_cloud(7, 3, seed + 100);
    std::vector<size_t> match(7);
    std::iota(match.begin(), match.end(), 0);
    double best = INFINITY;
    do {
      double sum = 0;
      for (size_t i = 0; i < 7; i++) sum += cost(x, i, y, match[i], 3) / 7;
      best = std::min(best, sum);
    } while (std::next_permutation(match.begin(), match.end()));
    /* At a blur far below all distances what is left of it is exponentially small, but near-ties of matchings
       are blurred together: a thousandth. */
    EXPECT_NEAR(sinkhorn(3, x, y, 0.02, 1e-5, 5000).divergence, best, 1e-3 * best) << seed;
  }
}

/* On a line the best matching is that of the sorted points. Clouds of different extents, a small blur. */
TEST(EvaluateSinkhorn, OnALineIsTheSortedMatching) {
  Sinkhorn sinkhorn;
  const int n = 300;
  std::vector<float> x(2 * n), y(2 * n);
  std::vector<double> a(n), b(n);
  for (int i = 0; i < n; i++) {
    a[i] = x[2 * i] = mote_random_uniform(1, 20, i, 0);
    b[i] = y[2 * i] = std::pow(mote_random_uniform(1, 21, i, 0), 2.0f) + 0.5f;
  }
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  double squares = 0;
  for (int i = 0; i < n; i++) squares += (a[i] - b[i]) * (a[i] - b[i]) / n;
  mote_sinkhorn s = sinkhorn(2, x, y, 0.02);
  EXPECT_NEAR(s.distance, std::sqrt(squares), 1e-3 * std::sqrt(squares)) << s.iterations;
  /* A blur of a tenth of the extent smooths what is smaller: still within a few percent. */
  EXPECT_NEAR(sinkhorn(2, x, y, 0.1).distance, std::sqrt(squares), 0.05 * std::sqrt(squares));
}

TEST(EvaluateSinkhorn, SameBitsOnAnyNumberOfThreads) {
  auto x = random_cloud(700, 3, 9), y = random_cloud(600, 3, 10);
  mote_sinkhorn one = Sinkhorn(1)(3, x, y, 0.1), two = Sinkhorn(2)(3, x, y, 0.1),
                five = Sinkhorn(5)(3, x, y, 0.1);
  EXPECT_EQ(one.divergence, two.divergence);
  EXPECT_EQ(one.divergence, five.divergence);
  EXPECT_EQ(one.iterations, five.iterations);
}

TEST(EvaluateSinkhorn, WhatIsWrongIsNamed) {
  Sinkhorn sinkhorn;
  auto x = random_cloud(50, 3, 8), y = x;
  mote_sinkhorn result;
  mote_sinkhorn_options options = {0.1, 0, 0};
  auto run = [&](int dim, int64_t n) {
    return mote_evaluate_sinkhorn(sinkhorn.evaluator, dim, x.data(), n, y.data(), n, &options, &result);
  };
  EXPECT_EQ(MOTE_OK, run(3, 0));
  EXPECT_EQ(0, result.distance);
  EXPECT_TRUE(std::isnan(sinkhorn(3, x, {}, 0.1).distance));
  EXPECT_EQ(0, sinkhorn(3, {1, 2, 3, 1, 2, 3}, {1, 2, 3}, 0.1).distance);
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, run(4, 10));
  y[3 * 17 + 1] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(MOTE_ERROR_NUMERIC, run(3, 50));
  EXPECT_NE(std::string(mote_last_error()).find("truth: particle 17"), std::string::npos)
      << mote_last_error();
  options.blur = 0;
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, run(3, 10));
  EXPECT_NE(std::string(mote_last_error()).find("blur"), std::string::npos) << mote_last_error();
}

} // namespace
