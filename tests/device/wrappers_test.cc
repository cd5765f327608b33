/* The wrappers of cuda/ on every device that has them, against the standard library and float64 loops. */
#include "cuda/blas.h"
#include "cuda/sort.h"
#include "cuda/sparse.h"
#include "tests/emulator/control.h"

#include <algorithm>
#include <numeric>

#include <mote/random.h>

using mote_test::Array;
using mote_test::Device;

static std::vector<std::string> cuda_devices() {
  std::vector<std::string> names = mote_test::devices();
  names.erase(std::remove(names.begin(), names.end(), "cpu"), names.end());
  return names;
}

class Wrappers : public ::testing::TestWithParam<std::string> {
protected:
  template <typename Function> Function *find(const char *name) {
    Function *found = mote_test::plugin_function<Function>(device, name);
    EXPECT_NE(nullptr, found) << name;
    return found;
  }
  Device device{GetParam()};
  mote_buffer scratch = {};
  ~Wrappers() override { mote_buffer_free(&scratch); }
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Wrappers);
INSTANTIATE_TEST_SUITE_P(devices, Wrappers, ::testing::ValuesIn(cuda_devices()), [](const auto &info) {
  return info.param == "emu" ? std::string("emu") : std::string("cuda");
});

TEST_P(Wrappers, SortOf64BitKeysIsStable) {
  auto *sort = find<decltype(mote_cuda_sort_pairs_u64)>("mote_cuda_sort_pairs_u64");
  for (int n : {0, 1, 2, 1000, 70001})
    for (int bits : {5, 40, 64}) {
      std::vector<uint64_t> keys(n);
      std::vector<int32_t> order(n);
      for (int i = 0; i < n; i++)
        keys[i] = bits == 64 ? mote_random_below(2, 1, i, ~0ull) : mote_random_below(2, 1, i, 1ull << bits);
      std::iota(order.begin(), order.end(), 0);
      Array<uint64_t> k(device, keys);
      Array<int32_t> v(device, order);
      MOTE_ASSERT_OK(sort(device.stream, k, v, n, bits, &scratch));
      std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return keys[a] < keys[b]; });
      std::sort(keys.begin(), keys.end());
      EXPECT_EQ(keys, k.host()) << "n = " << n << ", bits = " << bits;
      EXPECT_EQ(order, v.host()) << "n = " << n << ", bits = " << bits;
    }
}

TEST_P(Wrappers, ScanOf64BitIntegers) {
  auto *scan = find<decltype(mote_cuda_exclusive_scan_i64)>("mote_cuda_exclusive_scan_i64");
  for (int n : {0, 1, 1000, 70001}) {
    std::vector<int64_t> in(n), expected(n + 1, 0);
    for (int i = 0; i < n; i++) in[i] = int64_t(mote_random_below(1, 1, i, 1ull << 40)) - (1 << 20);
    std::partial_sum(in.begin(), in.end(), expected.begin() + 1);
    Array<int64_t> source(device, in), result(device, n + 1);
    MOTE_ASSERT_OK(scan(device.stream, source, result, n, &scratch));
    EXPECT_EQ(expected, result.host()) << "n = " << n;
  }
}

TEST_P(Wrappers, SumIsExactForIntegersAndRepeats) {
  auto *sum = find<decltype(mote_cuda_sum_f64)>("mote_cuda_sum_f64");
  for (int n : {0, 1, 70001}) {
    std::vector<double> in(n);
    std::iota(in.begin(), in.end(), 1.0);
    Array<double> source(device, in), result(device, std::vector<double>{-1});
    MOTE_ASSERT_OK(sum(device.stream, source, result, n, &scratch));
    EXPECT_EQ(0.5 * n * (n + 1.0), result.host()[0]); /* below 2^53: exact in any order */
  }
}

/* A float32 product of k terms of size 1 is off by at most about k 2^-24 each; the norm of the error is far
   below that, as roundings cancel. */
static const double product_tolerance = 1e-6;

TEST_P(Wrappers, MatrixProductsOfEveryTransposition) {
  auto *sgemm = find<decltype(mote_cuda_sgemm)>("mote_cuda_sgemm");
  const int m = 37, n = 19, k = 53;
  auto random = [](uint64_t stream, size_t count) {
    std::vector<float> x(count);
    for (size_t i = 0; i < count; i++) x[i] = float(mote_random_below(3, stream, i, 2001)) / 1000.f - 1.f;
    return x;
  };
  for (int transposed = 0; transposed < 4; transposed++) {
    bool ta = transposed & 1, tb = transposed & 2;
    int lda = (ta ? m : k) + 3, ldb = (tb ? k : n) + 1, ldc = n + 2;
    std::vector<float> a = random(1, size_t(ta ? k : m) * lda), b = random(2, size_t(tb ? n : k) * ldb);
    std::vector<float> c = random(3, size_t(m) * ldc);
    std::vector<double> expected(c.begin(), c.end());
    for (int i = 0; i < m; i++)
      for (int j = 0; j < n; j++) {
        double sum = 0;
        for (int l = 0; l < k; l++)
          sum += double(ta ? a[l * lda + i] : a[i * lda + l]) * double(tb ? b[j * ldb + l] : b[l * ldb + j]);
        expected[i * ldc + j] = 0.5 * sum - 2.0 * double(c[i * ldc + j]);
      }
    Array<float> da(device, a), db(device, b), dc(device, c);
    MOTE_ASSERT_OK(sgemm(device.stream, ta, tb, m, n, k, 0.5f, da, lda, db, ldb, -2.f, dc, ldc));
    EXPECT_LT(mote_test::relative_l2(dc.host(), expected), product_tolerance) << "transposed " << transposed;
  }
}

TEST_P(Wrappers, SparseProductWithEmptyRows) {
  auto *spmm = find<decltype(mote_cuda_spmm)>("mote_cuda_spmm");
  const int rows = 50, columns = 40, width = 7;
  std::vector<int32_t> start = {0}, column;
  std::vector<float> value, b(columns * width), c(rows * width, 1.f);
  for (int r = 0; r < rows; r++) {
    for (int j = 0; j < columns; j++)
      if (r % 5 != 3 && mote_random_below(4, r, j, 4) == 0) {
        column.push_back(j);
        value.push_back(float(mote_random_below(5, r, j, 100)) / 50.f - 1.f);
      }
    start.push_back(int32_t(column.size()));
  }
  for (size_t i = 0; i < b.size(); i++) b[i] = float(mote_random_below(6, 0, i, 100)) / 50.f - 1.f;
  std::vector<double> expected(rows * width);
  for (int r = 0; r < rows; r++)
    for (int w = 0; w < width; w++) {
      double sum = 0;
      for (int e = start[r]; e < start[r + 1]; e++)
        sum += double(value[e]) * double(b[column[e] * width + w]);
      expected[r * width + w] = 2 * sum - 1;
    }
  Array<int32_t> ds(device, start), dk(device, column);
  Array<float> dv(device, value), db(device, b), dc(device, c);
  MOTE_ASSERT_OK(spmm(device.stream, rows, columns, int64_t(column.size()), ds, dk, dv, width, 2.f, db, -1.f,
                      dc, &scratch));
  EXPECT_LT(mote_test::relative_l2(dc.host(), expected), product_tolerance);
}

struct sort_step {
  decltype(mote_cuda_sort_pairs_u32) *sort;
  uint32_t *keys;
  int32_t *values;
  int n;
  mote_buffer *scratch;
  static mote_status run(void *context, mote_stream *stream) {
    auto *s = static_cast<sort_step *>(context);
    return s->sort(stream, s->keys, s->values, s->n, 17, s->scratch);
  }
};

TEST_P(Wrappers, ASortCanBeRecordedAndReplayed) {
  const int n = 5000;
  Array<uint32_t> keys(device, n);
  Array<int32_t> values(device, n);
  sort_step step = {find<decltype(mote_cuda_sort_pairs_u32)>("mote_cuda_sort_pairs_u32"), keys, values, n,
                    &scratch};
  mote_replay replay = {};
  for (int run = 0; run < 4; run++) {
    std::vector<uint32_t> k(n);
    std::vector<int32_t> v(n);
    std::iota(v.begin(), v.end(), 0);
    for (int i = 0; i < n; i++) k[i] = uint32_t(mote_random_below(7, run, i, 1 << 17));
    MOTE_ASSERT_OK(mote_upload(device.stream, keys, k.data(), n * sizeof k[0]));
    MOTE_ASSERT_OK(mote_upload(device.stream, values, v.data(), n * sizeof v[0]));
    MOTE_ASSERT_OK(mote_replay_run(&replay, device.stream, sort_step::run, &step));
    std::stable_sort(v.begin(), v.end(), [&](int a, int b) { return k[a] < k[b]; });
    EXPECT_EQ(v, values.host());
  }
  mote_replay_reset(&replay);
}
