/* Scan, sort and row moves against the standard library, exactly: integers have no tolerance. */
#include "kernels/array/array.h"
#include "tests/support/testing.h"

#include <algorithm>
#include <numeric>
#include <mote/random.h>

using mote_test::Array;
using mote_test::Device;

class ArrayTest : public mote_test::OnDevice {
protected:
  Device device{GetParam()};
  mote_buffer scratch = {};
  ~ArrayTest() override { mote_buffer_free(&scratch); }
};
MOTE_ON_DEVICES(ArrayTest);

TEST_P(ArrayTest, ScanOfEverySize) {
  for (int n : {0, 1, 2, 31, 1000, 1024, 1025, 16384, 16385, 70001}) {
    std::vector<int32_t> in(n), expected(n + 1, 0);
    for (int i = 0; i < n; i++) in[i] = int32_t(mote_random_below(1, 1, i, 10)) - 2;
    std::partial_sum(in.begin(), in.end(), expected.begin() + 1);
    Array<int32_t> source(device, in), result(device, n + 1);
    MOTE_ASSERT_OK(device->array->exclusive_scan_i32(device.stream, source, result, n, &scratch));
    EXPECT_EQ(expected, result.host()) << "n = " << n;
  }
}

TEST_P(ArrayTest, SortIsStable) {
  for (int n : {0, 1, 2, 100, 70001})
    for (int bits : {3, 8, 17, 32}) {
      std::vector<uint32_t> keys(n);
      std::vector<int32_t> order(n);
      for (int i = 0; i < n; i++) keys[i] = uint32_t(mote_random_below(2, 1, i, 1ull << bits));
      std::iota(order.begin(), order.end(), 0);
      Array<uint32_t> k(device, keys);
      Array<int32_t> v(device, order);
      MOTE_ASSERT_OK(device->array->sort_pairs_u32(device.stream, k, v, n, bits, &scratch));
      std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return keys[a] < keys[b]; });
      std::sort(keys.begin(), keys.end());
      EXPECT_EQ(keys, k.host()) << "n = " << n << ", bits = " << bits;
      EXPECT_EQ(order, v.host()) << "n = " << n << ", bits = " << bits;
    }
}

TEST_P(ArrayTest, GatherAndScatterAreInverse) {
  const int n = 1003, width = 5;
  std::vector<float> rows(n * width);
  std::vector<int32_t> index(n);
  std::iota(rows.begin(), rows.end(), 0.f);
  for (int i = 0; i < n; i++) index[i] = (i * 10) % n; /* 10 and 1003 share no factor: a permutation */
  Array<float> in(device, rows), gathered(device, n * width), back(device, n * width);
  Array<int32_t> at(device, index);
  MOTE_ASSERT_OK(device->array->gather_rows_f32(device.stream, in, at, gathered, n, width));
  MOTE_ASSERT_OK(device->array->scatter_rows_f32(device.stream, gathered, at, back, n, width));
  EXPECT_EQ(rows, back.host());
  EXPECT_EQ(rows[10 * width + 2], gathered.host()[1 * width + 2]);
}

TEST_P(ArrayTest, FillAndIota) {
  Array<int32_t> x(device, 1000);
  MOTE_ASSERT_OK(device->array->fill_i32(device.stream, x, -3, 1000));
  EXPECT_EQ(std::vector<int32_t>(1000, -3), x.host());
  MOTE_ASSERT_OK(device->array->iota_i32(device.stream, x, 5, 1000));
  std::vector<int32_t> expected(1000);
  std::iota(expected.begin(), expected.end(), 5);
  EXPECT_EQ(expected, x.host());
}
