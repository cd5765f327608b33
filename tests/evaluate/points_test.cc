/* Errors between clouds against brute force in float64 and against cases whose answer is known. */
#include <mote/evaluate.h>
#include <mote/random.h>

#include <algorithm>
#include <limits>

#include "tests/support/testing.h"

namespace {

std::vector<float> random_cloud(int64_t n, int dim, uint64_t stream) {
  std::vector<float> x(n * dim);
  for (size_t k = 0; k < x.size(); k++) x[k] = mote_random_uniform(5, stream, k, 0);
  return x;
}

std::vector<float> grid_cloud(int side, float spacing) {
  std::vector<float> x;
  for (int i = 0; i < side * side * side; i++)
    for (int c : {i % side, i / side % side, i / side / side}) x.push_back(float(c) * spacing);
  return x;
}

double distance(const float *a, const float *b, int dim) {
  double sum = 0;
  for (int k = 0; k < dim; k++) sum += (double(a[k]) - b[k]) * (double(a[k]) - b[k]);
  return std::sqrt(sum);
}

double one_sided(const std::vector<float> &a, const std::vector<float> &b, int dim) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); i += dim) {
    double best = INFINITY;
    for (size_t j = 0; j < b.size(); j += dim) best = std::min(best, distance(&a[i], &b[j], dim));
    sum += best;
  }
  return sum / double(a.size() / dim);
}

class Evaluator {
public:
  explicit Evaluator(const std::string &name, int threads = 0) : device_(name, threads) {
    EXPECT_EQ(MOTE_OK, mote_evaluator_create(device_.device, &evaluator)) << mote_last_error();
  }
  ~Evaluator() { mote_evaluator_destroy(evaluator); }
  mote_errors operator()(int dim, const std::vector<float> &d, const std::vector<float> &t) {
    mote_errors errors;
    EXPECT_EQ(MOTE_OK, mote_evaluate_points(evaluator, dim, d.data(), int64_t(d.size()) / dim, t.data(),
                                            int64_t(t.size()) / dim, 1, &errors))
        << mote_last_error();
    return errors;
  }

private:
  mote_test::Device device_;

public:
  mote_evaluator *evaluator = nullptr;
};

class EvaluatePoints : public mote_test::OnDevice {};

/* Nearest points are chosen in float32, so a chosen one may be farther by a rounding: 1e-6 relative. The
   paired sums are float64 on both sides: 1e-12. */
TEST_P(EvaluatePoints, EqualBruteForce) {
  Evaluator evaluate(GetParam());
  for (int dim : {2, 3})
    for (int64_t n : {1, 7, 900}) {
      auto d = random_cloud(n, dim, 1), t = random_cloud(n, dim, 2), more = random_cloud(n + 300, dim, 3);
      mote_errors e = evaluate(dim, d, t);
      double squares = 0, norm = 0, largest = 0;
      for (int64_t i = 0; i < n; i++) {
        double x = distance(&d[i * dim], &t[i * dim], dim);
        squares += x * x;
        largest = std::max(largest, x);
      }
      for (float x : t) norm += double(x) * x;
      EXPECT_NEAR(e.rmse, std::sqrt(squares / double(n)), 1e-12 * e.rmse);
      EXPECT_NEAR(e.relative_l2, std::sqrt(squares / norm), 1e-12 * e.relative_l2);
      EXPECT_NEAR(e.maximum, largest, 1e-12 * largest);
      EXPECT_NEAR(e.chamfer, (one_sided(d, t, dim) + one_sided(t, d, dim)) / 2, 1e-6 * e.chamfer);
      e = evaluate(dim, d, more);
      EXPECT_TRUE(std::isnan(e.rmse) && std::isnan(e.relative_l2) && std::isnan(e.maximum));
      EXPECT_NEAR(e.chamfer, (one_sided(d, more, dim) + one_sided(more, d, dim)) / 2, 1e-6 * e.chamfer);
    }
}

TEST_P(EvaluatePoints, IdenticalCloudsHaveNoError) {
  Evaluator evaluate(GetParam());
  auto x = random_cloud(2000, 3, 4);
  mote_errors e = evaluate(3, x, x);
  EXPECT_EQ(e.rmse, 0);
  EXPECT_EQ(e.relative_l2, 0);
  EXPECT_EQ(e.maximum, 0);
  EXPECT_EQ(e.chamfer, 0);
  e = evaluate(3, {}, {});
  EXPECT_EQ(e.rmse, 0);
  EXPECT_EQ(e.chamfer, 0);
  EXPECT_TRUE(std::isnan(evaluate(3, x, {}).chamfer));
}

/* A grid shifted by t, |t| below half the spacing: each point's nearest is its own image, so RMSE, maximum
   and Chamfer are all |t|. Shifts are multiples of a power of two, exact in float32. */
TEST_P(EvaluatePoints, ShiftedGrid) {
  Evaluator evaluate(GetParam());
  auto t = grid_cloud(9, 0.125f), d = t;
  const float shift[3] = {0.03125f, -0.015625f, 0.0078125f};
  for (size_t k = 0; k < d.size(); k++) d[k] += shift[k % 3];
  double length =
      std::sqrt(double(shift[0]) * shift[0] + double(shift[1]) * shift[1] + double(shift[2]) * shift[2]);
  mote_errors e = evaluate(3, d, t);
  EXPECT_NEAR(e.rmse, length, 1e-12);
  EXPECT_NEAR(e.maximum, length, 1e-12);
  EXPECT_NEAR(e.chamfer, length, 1e-12);
}

TEST_P(EvaluatePoints, ChamferDoesNotDependOnOrder) {
  Evaluator evaluate(GetParam());
  const int64_t n = 1500;
  auto d = random_cloud(n, 3, 6), t = random_cloud(n, 3, 7), shuffled = d;
  for (int64_t i = 0; i < n; i++) /* 7 and n are coprime */
    std::copy_n(&d[(i * 7 % n) * 3], 3, &shuffled[i * 3]);
  double a = evaluate(3, d, t).chamfer, b = evaluate(3, shuffled, t).chamfer, c = evaluate(3, t, d).chamfer;
  EXPECT_NEAR(a, b, 1e-13); /* the order of the float64 sum is all that differs */
  EXPECT_NEAR(a, c, 1e-13);
  EXPECT_GT(evaluate(3, shuffled, t).rmse, 0.1);
}

TEST_P(EvaluatePoints, WhatIsNotFiniteIsNamed) {
  Evaluator evaluate(GetParam());
  auto d = random_cloud(50, 3, 8), t = d;
  d[3 * 17 + 2] = std::numeric_limits<float>::quiet_NaN();
  mote_errors e;
  EXPECT_EQ(MOTE_ERROR_NUMERIC,
            mote_evaluate_points(evaluate.evaluator, 3, d.data(), 50, t.data(), 50, 1, &e));
  EXPECT_NE(std::string(mote_last_error()).find("reconstruction: particle 17"), std::string::npos)
      << mote_last_error();
  EXPECT_EQ(MOTE_ERROR_NUMERIC,
            mote_evaluate_points(evaluate.evaluator, 3, t.data(), 50, d.data(), 50, 1, &e));
  EXPECT_NE(std::string(mote_last_error()).find("truth: particle 17"), std::string::npos)
      << mote_last_error();
  EXPECT_EQ(MOTE_ERROR_ARGUMENT,
            mote_evaluate_points(evaluate.evaluator, 4, t.data(), 10, t.data(), 10, 1, &e));
}

MOTE_ON_DEVICES(EvaluatePoints);

TEST(EvaluatePoints, SameBitsOnAnyNumberOfThreads) {
  auto d = random_cloud(30000, 3, 9), t = random_cloud(30000, 3, 10);
  mote_errors one = Evaluator("cpu", 1)(3, d, t), two = Evaluator("cpu", 2)(3, d, t),
              five = Evaluator("cpu", 5)(3, d, t);
  EXPECT_EQ(0, memcmp(&one, &two, sizeof one));
  EXPECT_EQ(0, memcmp(&one, &five, sizeof one));
}

} // namespace
