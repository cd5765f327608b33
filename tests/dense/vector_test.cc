/* exp and GELU of kernels/dense/vector.h over all of float32's range, against float64. */
#include <cfloat>
#include <cstring>

#include "kernels/dense/vector.h"
#include "tests/support/testing.h"

namespace {

/* The largest relative error of `function` at every 251st float32 in [-most, most] whose result is at least
   FLT_MIN; smaller ones may be 0. */
template <typename Function, typename Exact> double worst(float most, Function function, Exact exact) {
  double worst_error = 0;
  uint32_t last;
  std::memcpy(&last, &most, sizeof last);
  float x[MOTE_LANES], y[MOTE_LANES];
  for (uint32_t first = 0; first <= last; first += 251 * MOTE_LANES)
    for (uint32_t sign : {0u, 0x80000000u}) {
      for (uint32_t lane = 0; lane < MOTE_LANES; lane++) {
        uint32_t bits = std::min(first + 251 * lane, last) | sign;
        std::memcpy(&x[lane], &bits, sizeof bits);
      }
      mote_v_store(y, function(mote_v_load(x)));
      for (int lane = 0; lane < MOTE_LANES; lane++) {
        double expected = exact(double(x[lane])), size = std::fabs(expected);
        if (size < double(FLT_MIN)) {
          EXPECT_LE(std::fabs(y[lane]), 1.001 * double(FLT_MIN)) << x[lane];
          continue;
        }
        double error = std::fabs(y[lane] - expected) / size;
        if (std::isnan(error)) return NAN;
        worst_error = std::max(worst_error, error);
      }
    }
  return worst_error;
}

} // namespace

/* 7.7e-8 as measured: a rounding of the last multiplication and addition each. */
TEST(VectorTest, ExpIsAccurate) {
  auto vector = [](mote_v x) { return mote_v_exp(x); };
  EXPECT_LT(worst(87.f, vector, [](double x) { return std::exp(x); }), 1e-7);
  float y[MOTE_LANES];
  for (float x : {-87.1f, -200.f, -FLT_MAX, -INFINITY}) {
    mote_v_store(y, vector(mote_v_set(x)));
    EXPECT_EQ(0, y[0]) << x;
  }
  mote_v_store(y, vector(mote_v_set(NAN)));
  EXPECT_TRUE(std::isnan(y[0]));
}

/* Value and slope against Phi(x) = erfc(-x/sqrt 2)/2, which each error is a multiple of: x Phi by |x|, the
   slope by 1. 2.4e-7 and 3.6e-7 as measured: two or three roundings near 1. A slope's error beyond 5.6, where
   it is taken as constant, is 3.6e-7 too. */
TEST(VectorTest, GeluIsAccurate) {
  double value = 0, derivative = 0;
  for (double x = -12; x <= 12; x += 1e-4) {
    float y[MOTE_LANES], d[MOTE_LANES];
    mote_v slope;
    const double z = double(float(x)), phi = 0.5 * std::erfc(-z / std::sqrt(2.0));
    mote_v_store(y, mote_v_gelu_slope(mote_v_set(float(x)), &slope));
    mote_v_store(d, slope);
    value = std::max(value, std::fabs(y[0] - z * phi) / std::max(std::fabs(z), 1e-30));
    derivative = std::max(derivative, std::fabs(d[0] - phi - z * std::exp(-z * z / 2) / std::sqrt(2 * M_PI)));
    EXPECT_EQ(y[0], mote_v_gelu(mote_v_set(float(x)))[0]) << x;
  }
  EXPECT_LT(value, 3e-7);
  EXPECT_LT(derivative, 4e-7);
}

/* Relatively too where nothing cancels, denormals among them; above 3e38 the last unit may overflow. */
TEST(VectorTest, GeluKeepsItsDigits) {
  auto gelu = [](double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); };
  EXPECT_LT(worst(
                1.f, [](mote_v x) { return mote_v_gelu(x); }, gelu),
            5e-7);
  auto above = [](mote_v x) { return mote_v_gelu(mote_v_max(x, -x)); };
  EXPECT_LT(worst(1e38f, above, [&](double x) { return gelu(std::fabs(x)); }), 5e-7);
}

TEST(VectorTest, GeluAtTheEnds) {
  mote_v slope;
  for (float x : {-5.7f, -200.f, -FLT_MAX, -INFINITY}) {
    EXPECT_EQ(0, mote_v_gelu_slope(mote_v_set(x), &slope)[0]) << x;
    EXPECT_EQ(0, slope[0]) << x;
  }
  EXPECT_EQ(INFINITY, mote_v_gelu(mote_v_set(INFINITY))[0]);
  EXPECT_TRUE(std::isnan(mote_v_gelu_slope(mote_v_set(NAN), &slope)[0]));
  EXPECT_TRUE(std::isnan(slope[0]));
}
