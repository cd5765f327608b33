/* Nearest neighbours against a comparison of all distances: equal, bit for bit, ties included. */
#include <mote/nearest.h>

#include "tests/graph/clouds.h"
#include "tests/support/testing.h"

#include <algorithm>

using clouds::Cloud;
using mote_test::Device;

namespace {

class NearestTest : public mote_test::OnDevice {
protected:
  Device device{GetParam()};
};
MOTE_ON_DEVICES(NearestTest);

void brute_force(const std::vector<float> &x, const float *query, int dim, int k,
                 std::vector<int32_t> &indices, std::vector<float> &distances2) {
  std::vector<std::pair<float, int32_t>> all;
  for (size_t i = 0; i < x.size() / dim; i++)
    all.push_back({clouds::distance2(query, &x[i * dim], dim), int32_t(i)});
  size_t kept = std::min(all.size(), size_t(k));
  std::partial_sort(all.begin(), all.begin() + kept, all.end());
  for (size_t i = 0; i < size_t(k); i++) {
    distances2.push_back(i < kept ? all[i].first : INFINITY);
    indices.push_back(i < kept ? all[i].second : -1);
  }
}

} // namespace

TEST_P(NearestTest, EqualsBruteForce) {
  int n = GetParam() == "emu" ? 200 : 1500;
  for (int dim : {2, 3})
    for (const Cloud &cloud : clouds::all(n, dim)) {
      if (cloud.x.empty()) continue;
      std::vector<float> queries = clouds::box(150, dim, -2, 3, 30);
      clouds::append(queries,
                     std::vector<float>(cloud.x.begin(), cloud.x.begin() + cloud.x.size() / dim / 4 * dim));
      clouds::append(queries, std::vector<float>(dim, 1e15f));
      int64_t m = int64_t(queries.size()) / dim;
      for (int k : {1, 3, 16}) {
        std::vector<int32_t> expected, indices(size_t(m) * k);
        std::vector<float> expected_distances2, distances2(size_t(m) * k);
        for (int64_t q = 0; q < m; q++)
          brute_force(cloud.x, &queries[size_t(q) * dim], dim, k, expected, expected_distances2);
        MOTE_ASSERT_OK(mote_nearest(device.device, cloud.x.data(), int64_t(cloud.x.size()) / dim,
                                    queries.data(), m, dim, k, indices.data(), distances2.data()));
        EXPECT_EQ(expected, indices) << cloud.name << " in " << dim << "-D, k = " << k;
        EXPECT_EQ(expected_distances2, distances2) << cloud.name << " in " << dim << "-D, k = " << k;
      }
    }
}

TEST_P(NearestTest, BadInputIsRefused) {
  std::vector<float> x = clouds::box(50, 3, 0, 1, 1), bad = x;
  bad[3 * 20 + 1] = NAN;
  int32_t index[50 * 17];
  EXPECT_EQ(MOTE_ERROR_NUMERIC,
            mote_nearest(device.device, bad.data(), 50, x.data(), 50, 3, 1, index, nullptr));
  EXPECT_NE(std::string(mote_last_error()).find("point 20"), std::string::npos);
  EXPECT_EQ(MOTE_ERROR_NUMERIC,
            mote_nearest(device.device, x.data(), 50, bad.data(), 50, 3, 1, index, nullptr));
  EXPECT_NE(std::string(mote_last_error()).find("query 20"), std::string::npos);
  EXPECT_EQ(MOTE_ERROR_ARGUMENT,
            mote_nearest(device.device, x.data(), 50, x.data(), 50, 3, 17, index, nullptr));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT,
            mote_nearest(device.device, x.data(), 50, x.data(), 50, 4, 1, index, nullptr));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT,
            mote_nearest(device.device, x.data(), 0, x.data(), 50, 3, 1, index, nullptr));
}

TEST(NearestThreads, BitsDoNotDependOnThreads) {
  Device one("cpu", 1), two("cpu", 2);
  const int n = 50000, k = 4;
  std::vector<float> x = clouds::box(n, 3, 0, 1, 1), q = clouds::box(n, 3, 0, 1, 2);
  std::vector<int32_t> a(n * k), b(n * k);
  std::vector<float> da(n * k), db(n * k);
  MOTE_ASSERT_OK(mote_nearest(one.device, x.data(), n, q.data(), n, 3, k, a.data(), da.data()));
  MOTE_ASSERT_OK(mote_nearest(two.device, x.data(), n, q.data(), n, 3, k, b.data(), db.data()));
  EXPECT_EQ(a, b);
  EXPECT_EQ(da, db);
}
