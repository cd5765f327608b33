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

double gelu(double x) {
  return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
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

/* 4.4e-7 and 4.2e-6 as measured: half a unit in the last place of x^2/2 = 85 is 3.8e-6. */
TEST(VectorTest, GeluIsAccurate) {
  auto vector = [](mote_v x) { return mote_v_gelu(x); };
  EXPECT_LT(worst(2.f, vector, gelu), 5e-7);
  auto above = [](mote_v x) { return mote_v_gelu(mote_v_max(x, -x)); };
  EXPECT_LT(worst(FLT_MAX, above, [](double x) { return gelu(std::fabs(x)); }), 5e-7);
  EXPECT_LT(worst(FLT_MAX, vector, gelu), 5e-6);
  float y[MOTE_LANES];
  mote_v_store(y, vector(mote_v_set(NAN)));
  EXPECT_TRUE(std::isnan(y[0]));
}
