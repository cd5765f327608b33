/* Images of a box under gravity: which there are, and what becomes of statistics. */
#include "host/train/symmetry.h"

#include <cmath>
#include <set>

#include "tests/support/testing.h"

namespace {

mote_metadata box(int dim, std::vector<double> size, std::vector<double> gravity) {
  mote_metadata m = {};
  m.dim = dim;
  for (int a = 0; a < dim; a++) {
    m.bounds[a][0] = 0.25 * a;
    m.bounds[a][1] = 0.25 * a + size[size_t(a)];
    m.gravity[a] = gravity[size_t(a)];
    m.velocity_mean[a] = 0.1 * (a + 1);
    m.velocity_std[a] = 0.2 + 0.1 * a;
    m.acceleration_mean[a] = -0.03;
    m.acceleration_std[a] = 0.04 * (a + 1);
  }
  return m;
}

/* How many images of a point that has none in common with itself. */
size_t images(const mote_metadata &m, std::set<std::vector<float>> *all = nullptr) {
  std::set<std::vector<float>> found;
  mote_symmetry s = mote_symmetry_of(&m);
  for (uint64_t number = 0; number < 2000; number++) {
    std::vector<float> x;
    for (int a = 0; a < m.dim; a++) x.push_back(float(m.bounds[a][0]) + 0.125f * float(a + 1));
    mote_symmetry_apply(&s, 3, number, 1, x.data());
    found.insert(x);
  }
  if (all) *all = found;
  return found.size();
}

} // namespace

TEST(Symmetry, AsManyImagesAsTheBoxHas) {
  EXPECT_EQ(8u, images(box(3, {1, 1, 1}, {0, -9.81, 0})));
  EXPECT_EQ(4u, images(box(3, {1, 1, 2}, {0, -9.81, 0})));
  EXPECT_EQ(48u, images(box(3, {1, 1, 1}, {0, 0, 0})));
  EXPECT_EQ(16u, images(box(3, {1, 2, 1}, {0, 0, 0})));
  EXPECT_EQ(2u, images(box(2, {1, 1}, {0, -9.81})));
  EXPECT_EQ(8u, images(box(2, {1, 1}, {0, 0})));
  EXPECT_EQ(1u, images(box(2, {1, 1}, {1, -9.81})));
}

TEST(Symmetry, ImagesStayInTheBoxAndGravityStays) {
  std::set<std::vector<float>> all;
  mote_metadata m = box(3, {1, 1, 1}, {0, -9.81, 0});
  images(m, &all);
  for (const std::vector<float> &x : all) {
    EXPECT_EQ(0.5f, x[1]); /* 0.25 + 0.25, the same height in all */
    for (int a : {0, 2}) {
      double depth = x[size_t(a)] - m.bounds[a][0];
      EXPECT_TRUE(depth == 0.125 || depth == 0.375 || depth == 0.625 || depth == 0.875) << depth;
    }
  }
}

/* Against the moments of the images themselves: each mirrored, axes 0 and 2 in turn. */
TEST(Symmetry, StatisticsOfAllImages) {
  mote_metadata m = box(3, {1, 1, 1}, {0, -9.81, 0}), before = m;
  mote_symmetry s = mote_symmetry_of(&m);
  mote_symmetry_statistics(&s, &m);
  double moment = 0;
  for (int a : {0, 2})
    moment += (std::pow(before.velocity_mean[a], 2) + std::pow(before.velocity_std[a], 2)) / 2;
  for (int a : {0, 2}) {
    EXPECT_EQ(0, m.velocity_mean[a]);
    EXPECT_EQ(0, m.acceleration_mean[a]);
    EXPECT_NEAR(std::sqrt(moment), m.velocity_std[a], 1e-12);
  }
  EXPECT_NEAR(std::hypot(0.03, std::sqrt((0.04 * 0.04 + 0.12 * 0.12) / 2)), m.acceleration_std[2], 1e-12);
  EXPECT_EQ(before.velocity_mean[1], m.velocity_mean[1]);
  EXPECT_EQ(before.velocity_std[1], m.velocity_std[1]);
  EXPECT_EQ(before.acceleration_std[1], m.acceleration_std[1]);
}

TEST(Symmetry, AnExampleAlwaysShowsTheSameImage) {
  mote_metadata m = box(3, {1, 1, 1}, {0, -9.81, 0});
  mote_symmetry s = mote_symmetry_of(&m);
  std::vector<float> one = {0.1f, 0.5f, 0.7f}, two = one, both = {0.1f, 0.5f, 0.7f, 0.2f, 0.4f, 0.9f};
  mote_symmetry_apply(&s, 3, 11, 1, one.data());
  mote_symmetry_apply(&s, 3, 11, 1, two.data());
  mote_symmetry_apply(&s, 3, 11, 2, both.data());
  EXPECT_EQ(one, two);
  EXPECT_EQ(one, std::vector<float>(both.begin(), both.begin() + 3));
}
