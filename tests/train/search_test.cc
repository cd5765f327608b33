/* The search for unknowns: Rosenbrock's valley, a minimum on the bounds, values that are not finite, a
   function that changes, and plain numbers as its whole state. */
#include "host/train/search.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace {

using Vector = std::vector<double>;

/* With its minimum, 0, at (a, b): a valley along a parabola, 100 times as steep across. */
double valley(const double *x, double *g, double a, double b) {
  const double u = 2 * (x[0] - a), v = 2 * (x[1] - b), bend = v - u * u;
  g[0] = 2 * (2 * u - 400 * u * bend);
  g[1] = 2 * 200 * bend;
  return u * u + 100 * bend * bend;
}

TEST(Search, FollowsAValley) {
  const double begin[] = {0.1, 0.9};
  mote_search s;
  mote_search_begin(&s, 2, begin);
  for (int k = 0; k < 120; k++) {
    double g[2];
    const double value = valley(s.at, g, 0.7, 0.4);
    mote_search_next(&s, value, g);
  }
  EXPECT_NEAR(s.x[0], 0.7, 1e-5);
  EXPECT_NEAR(s.x[1], 0.4, 1e-5);
}

TEST(Search, StopsAtTheBounds) {
  const double begin[] = {0.5, 0.5, 0.5};
  mote_search s;
  mote_search_begin(&s, 3, begin);
  auto bowl = [](const double *x,
                 double *g) { /* lowest at (1.4, -0.2, 0.3), outside */
                              const double d[] = {x[0] - 1.4, x[1] + 0.2, x[2] - 0.3};
                              g[0] = 2 * d[0] + d[2], g[1] = 20 * d[1], g[2] = 4 * d[2] + d[0];
                              return d[0] * d[0] + 10 * d[1] * d[1] + 2 * d[2] * d[2] + d[0] * d[2];
  };
  for (int k = 0; k < 60; k++) {
    double g[3];
    const double value = bowl(s.at, g);
    for (double x : s.at) ASSERT_TRUE(x >= 0 && x <= 1);
    mote_search_next(&s, value, g);
  }
  EXPECT_EQ(s.x[0], 1);
  EXPECT_EQ(s.x[1], 0);
  EXPECT_NEAR(s.x[2], 0.4, 1e-6); /* 4 (x - 0.3) + (1 - 1.4) = 0 */
}

TEST(Search, GoesBackFromWhatIsNotFinite) {
  const double begin[] = {0.2};
  mote_search s;
  mote_search_begin(&s, 1, begin);
  for (int k = 0; k < 60; k++) {
    double g = 2 * (s.at[0] - 0.3), value = (s.at[0] - 0.3) * (s.at[0] - 0.3);
    if (s.at[0] > 0.32) g = value = NAN;
    mote_search_next(&s, value, &g);
  }
  EXPECT_NEAR(s.x[0], 0.3, 1e-6);
}

/* A copy of the numbers is the search; another function is begun at the best place of the one before. */
TEST(Search, GoesOnFromItsNumbers) {
  const double begin[] = {0.1, 0.9};
  mote_search s, copy;
  mote_search_begin(&s, 2, begin);
  double g[2];
  for (int k = 0; k < 90; k++) {
    if (k == 40) copy = s;
    if (k == 50) mote_search_renew(&s);
    const double value = valley(s.at, g, k < 50 ? 0.7 : 0.6, 0.4);
    mote_search_next(&s, value, g);
  }
  for (int k = 40; k < 90; k++) {
    if (k == 50) mote_search_renew(&copy);
    const double value = valley(copy.at, g, k < 50 ? 0.7 : 0.6, 0.4);
    mote_search_next(&copy, value, g);
  }
  for (int k = 0; k < 2; k++) EXPECT_EQ(s.x[k], copy.x[k]);
  EXPECT_NEAR(s.x[0], 0.6, 0.02);
}

} // namespace
