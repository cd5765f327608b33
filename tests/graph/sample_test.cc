/* Properties of the sparse set: how many, distinct, ascending, spread as the method promises, repeatable. */
#include <mote/sample.h>

#include "tests/graph/clouds.h"
#include "tests/support/testing.h"

#include <algorithm>
#include <limits>
#include <chrono>
#include <cstdlib>
#include <map>
#include <set>

using clouds::Cloud;

namespace {

std::vector<int32_t> sample(const std::vector<float> &x, int dim, mote_sample_options options,
                            float *radius = nullptr) {
  std::vector<int32_t> indices(x.size() / dim);
  int64_t chosen = -1;
  EXPECT_EQ(MOTE_OK,
            mote_sample(x.data(), int64_t(x.size()) / dim, dim, &options, indices.data(), &chosen, radius))
      << mote_last_error();
  indices.resize(size_t(chosen));
  return indices;
}

void expect_distinct_ascending(const std::vector<int32_t> &indices, size_t n) {
  for (size_t i = 1; i < indices.size(); i++) ASSERT_LT(indices[i - 1], indices[i]);
  if (!indices.empty()) {
    EXPECT_GE(indices.front(), 0);
    EXPECT_LT(size_t(indices.back()), n);
  }
}

float closest_pair2(const std::vector<float> &x, int dim, const std::vector<int32_t> &indices) {
  float least = INFINITY;
  for (size_t i = 0; i < indices.size(); i++)
    for (size_t j = 0; j < i; j++)
      least =
          std::min(least, clouds::distance2(&x[size_t(indices[i]) * dim], &x[size_t(indices[j]) * dim], dim));
  return least;
}

/* Greedy by definition; its start is the one choice left to the seed. */
std::vector<int32_t> farthest_from(const std::vector<float> &x, int dim, int32_t start, size_t count) {
  size_t n = x.size() / dim;
  std::vector<float> d2(n, INFINITY);
  std::vector<int32_t> chosen;
  int32_t next = start;
  while (chosen.size() < count) {
    chosen.push_back(next);
    for (size_t i = 0; i < n; i++)
      d2[i] = std::min(d2[i], clouds::distance2(&x[size_t(next) * dim], &x[i * dim], dim));
    for (int32_t c : chosen) d2[size_t(c)] = -1;
    next = int32_t(std::max_element(d2.begin(), d2.end()) - d2.begin());
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

} // namespace

TEST(SampleTest, CountsAndOrder) {
  for (int dim : {2, 3})
    for (const Cloud &cloud : clouds::all(700, dim)) {
      size_t n = cloud.x.size() / dim;
      if (!n) continue;
      for (int method = 0; method < 3; method++)
        for (size_t count : {size_t(1), (n + 19) / 20, n / 2 + 1, n}) {
          mote_sample_options options = {mote_sample_method(method), int64_t(count), 0, 0, 3, nullptr};
          std::vector<int32_t> indices = sample(cloud.x, dim, options);
          EXPECT_EQ(count, indices.size()) << cloud.name << ", method " << method;
          expect_distinct_ascending(indices, n);
        }
    }
}

TEST(SampleTest, RatioAndSeed) {
  std::vector<float> x = clouds::box(2000, 3, 0, 1, 1);
  for (int method = 0; method < 3; method++) {
    mote_sample_options options = {mote_sample_method(method), 0, 0.05, 0, 7, nullptr};
    std::vector<int32_t> first = sample(x, 3, options);
    EXPECT_EQ(100u, first.size());
    EXPECT_EQ(first, sample(x, 3, options)) << "the same seed, the same set";
    setenv("OMP_NUM_THREADS", "1", 1);
    EXPECT_EQ(first, sample(x, 3, options)) << "whatever the number of threads";
    unsetenv("OMP_NUM_THREADS");
    options.seed = 8;
    EXPECT_NE(first, sample(x, 3, options)) << "another seed, another set";
  }
}

TEST(SampleTest, UniformChoosesEveryPointEquallyOften) {
  /* Each of 40 points is in a sample of 10 with probability 1/4. Over 4000 seeds: mean 1000, standard
     deviation 27; 5.5 of them for any of the 40 happen by chance once in half a million runs, and seeds are
     fixed. */
  std::vector<float> x = clouds::box(40, 2, 0, 1, 1);
  std::vector<int> times(40);
  for (uint64_t seed = 0; seed < 4000; seed++)
    for (int32_t i : sample(x, 2, {MOTE_SAMPLE_UNIFORM, 10, 0, 0, seed, nullptr})) times[size_t(i)]++;
  for (int t : times) EXPECT_NEAR(1000, t, 150);
}

TEST(SampleTest, FarthestPointIsGreedy) {
  for (int dim : {2, 3})
    for (const Cloud &cloud : clouds::all(600, dim)) {
      size_t n = cloud.x.size() / dim;
      if (n < 60) continue;
      mote_sample_options one = {MOTE_SAMPLE_FARTHEST, 1, 0, 0, 5, nullptr}, many = one;
      many.count = 60;
      int32_t start = sample(cloud.x, dim, one)[0];
      EXPECT_EQ(farthest_from(cloud.x, dim, start, 60), sample(cloud.x, dim, many))
          << cloud.name << " in " << dim << "-D";
    }
}

TEST(SampleTest, PoissonDiskKeepsItsDistanceAndLeavesNoGap) {
  for (int dim : {2, 3})
    for (const Cloud &cloud : clouds::all(900, dim)) {
      if (cloud.x.empty()) continue;
      mote_sample_options options = {MOTE_SAMPLE_POISSON, 0, 0, cloud.radius, 9, nullptr};
      std::vector<int32_t> indices = sample(cloud.x, dim, options);
      float radius2 = cloud.radius * cloud.radius;
      EXPECT_GE(closest_pair2(cloud.x, dim, indices), radius2) << cloud.name;
      for (size_t i = 0; i < cloud.x.size() / dim; i++) {
        float nearest = INFINITY;
        for (int32_t c : indices)
          nearest = std::min(nearest, clouds::distance2(&cloud.x[size_t(c) * dim], &cloud.x[i * dim], dim));
        ASSERT_LT(nearest, radius2) << cloud.name << ": point " << i << " could have been chosen";
      }
    }
}

TEST(SampleTest, PoissonDiskByCountFindsAGoodDistance) {
  std::vector<float> x = clouds::box(20000, 3, 0, 1, 1);
  float radius = 0;
  std::vector<int32_t> indices = sample(x, 3, {MOTE_SAMPLE_POISSON, 1000, 0, 0, 2, nullptr}, &radius);
  EXPECT_EQ(1000u, indices.size());
  EXPECT_GE(closest_pair2(x, 3, indices), radius * radius);
  /* Random sequential packing of spheres fills 0.38 of space: of diameter 0.09 there fit 1000 into the unit
     cube, and somewhat larger ones as their centres reach the walls. A uniform choice has pairs at under
     0.02. */
  EXPECT_GT(radius, 0.08f);
  EXPECT_LT(radius, 0.11f);
}

TEST(SampleTest, GroupsGetTheirShare) {
  /* 1500, 450, 49 and 1 points; shares of 100: 75, 22.5, 2.45 and 0.05. The last is given one of the largest.
   */
  std::vector<float> x = clouds::box(2000, 3, 0, 1, 1);
  std::vector<int32_t> groups(2000);
  for (int i = 0; i < 2000; i++) groups[size_t(i)] = i % 4 ? 30 : i % 40 ? -5 : 12;
  groups[0] = 99;
  std::map<int32_t, int> expected = {{30, 74}, {-5, 23}, {12, 2}, {99, 1}};
  for (int method = 0; method < 3; method++) {
    std::map<int32_t, int> got;
    std::vector<int32_t> indices = sample(x, 3, {mote_sample_method(method), 100, 0, 0, 4, groups.data()});
    expect_distinct_ascending(indices, 2000);
    for (int32_t i : indices) got[groups[size_t(i)]]++;
    EXPECT_EQ(expected, got) << "method " << method;
  }
}

TEST(SampleTest, BadOptionsAreRefused) {
  std::vector<float> x = clouds::box(10, 2, 0, 1, 1), bad = x;
  bad[7] = NAN;
  int32_t indices[10];
  int64_t chosen;
  auto status = [&](const std::vector<float> &points, int64_t n, int dim, mote_sample_options o) {
    return mote_sample(points.data(), n, dim, &o, indices, &chosen, nullptr);
  };
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, status(x, 10, 2, {MOTE_SAMPLE_UNIFORM, 11, 0, 0, 0, nullptr}));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, status(x, 10, 2, {MOTE_SAMPLE_UNIFORM, -1, 0, 0, 0, nullptr}));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, status(x, 10, 2, {MOTE_SAMPLE_UNIFORM, 0, 1.5, 0, 0, nullptr}));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, status(x, 10, 2, {MOTE_SAMPLE_FARTHEST, 0, 0, 0.1f, 0, nullptr}));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, status(x, 10, 2, {MOTE_SAMPLE_POISSON, 0, 0, -1.f, 0, nullptr}));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, status(x, 10, 5, {MOTE_SAMPLE_UNIFORM, 1, 0, 0, 0, nullptr}));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, status(x, 0, 2, {MOTE_SAMPLE_UNIFORM, 1, 0, 0, 0, nullptr}));
  EXPECT_EQ(MOTE_ERROR_NUMERIC, status(bad, 10, 2, {MOTE_SAMPLE_UNIFORM, 1, 0, 0, 0, nullptr}));
  EXPECT_NE(std::string(mote_last_error()).find("point 3"), std::string::npos) << mote_last_error();
}

TEST(SampleTest, LargeSetsTakeLittleTime) {
  std::vector<float> x = clouds::box(100000, 3, 0, 1, 1);
  for (int method = 0; method < 3; method++) {
    auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(5000u, sample(x, 3, {mote_sample_method(method), 5000, 0, 0, 1, nullptr}).size());
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    printf("method %d: %.0f ms\n", method, 1e3 * seconds);
    RecordProperty("seconds_" + std::to_string(method), std::to_string(seconds));
#ifdef __OPTIMIZE__
#ifndef __SANITIZE_ADDRESS__
    EXPECT_LT(seconds, 2.0) << "method " << method << " (a fraction of this on an idle machine)";
#endif
#endif
  }
}
