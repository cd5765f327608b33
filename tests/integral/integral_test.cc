/* Compact lists of latent points, exactly; means over neighbourhoods against float64. */
#include "kernels/integral/integral.h"
#include "tests/support/network.h"

using mote_test::Array;
using mote_test::Device;
using mote_test::noise;

namespace {

const float untouched = -1234.5f;

std::vector<int32_t> offsets_of(const std::vector<int> &degree) {
  std::vector<int32_t> offsets = {0};
  for (int d : degree) offsets.push_back(offsets.back() + d);
  return offsets;
}

struct List {
  Array<int32_t> offsets, row_of, point_of, count;
  Array<float> weight;
  mote_buffer scratch = {};
  int64_t points;
  List(Device &device, const std::vector<int> &degree)
      : offsets(device, offsets_of(degree)), row_of(device, degree.size()),
        point_of(device, degree.size() + 1), count(device, 1), weight(device, degree.size() + 1),
        points(int64_t(degree.size())) {}
  ~List() { mote_buffer_free(&scratch); }
  mote_status run(mote_stream *stream) {
    return stream->device->integral->compact(stream, points, offsets, row_of, point_of, weight, count,
                                             &scratch);
  }
};

void check_list(Device &device, const std::vector<int> &degree) {
  List list(device, degree);
  MOTE_ASSERT_OK(list.run(device.stream));
  std::vector<int32_t> row_of = list.row_of.host(), point_of = list.point_of.host();
  std::vector<float> weight = list.weight.host();
  const int64_t points = list.points;
  int32_t rows = 1;
  for (int64_t q = 0; q < points; q++) {
    ASSERT_EQ(degree[q] ? rows : 0, row_of[q]) << q;
    if (!degree[q]) continue;
    ASSERT_EQ(q, point_of[rows]);
    ASSERT_EQ(1, weight[rows]);
    rows++;
  }
  EXPECT_EQ(rows, list.count.host()[0]);
  EXPECT_EQ(-1, point_of[0]);
  EXPECT_EQ(float(points + 1 - rows), weight[0]);
}

std::vector<int> degrees(int64_t n, int bound, uint64_t stream) {
  std::vector<int> d(n);
  for (int64_t i = 0; i < n; i++) d[i] = std::max(0, int(mote_random_below(9, stream, i, 2 * bound)) - bound);
  return d;
}

} // namespace

class IntegralTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(IntegralTest);

TEST_P(IntegralTest, ListsOfSomeNoneAndAllPoints) {
  Device device(GetParam());
  for (int64_t points : {0, 1, 2, 255, 256, 257, 1023, 1025, 3000, 16384, 16385, 40000}) {
    SCOPED_TRACE(points);
    check_list(device, std::vector<int>(points, 0));
    check_list(device, std::vector<int>(points, 3));
    check_list(device, degrees(points, 3, 1));
  }
}

/* Every choice of receivers, of rows of values and of factors; a count in device memory. Sums of up to 40
   terms: 6e-8 sqrt(40) of their size. */
TEST_P(IntegralTest, Means) {
  Device device(GetParam());
  for (int bits = 0; bits < 16; bits++)
    for (int width : {1, 16, 37, 130}) {
      SCOPED_TRACE(testing::Message() << bits << ", " << width);
      const int64_t points = 60, senders = 50, values = 20;
      const std::vector<int32_t> offsets = offsets_of(degrees(points, 40, 10 + bits));
      std::vector<int32_t> sender(offsets.back()), receiver_of, value_row;
      for (size_t e = 0; e < sender.size(); e++) sender[e] = int32_t(mote_random_below(9, 11, e, senders));
      const bool listed = bits & 1, mapped = bits & 2, weighed = bits & 4, counted = bits & 8;
      const int64_t n = listed ? 45 : points;
      for (int64_t r = 0; r < n; r++)
        receiver_of.push_back(r ? int32_t(mote_random_below(9, 12, r, points)) : -1);
      for (int64_t s = 0; s < senders; s++) value_row.push_back(int32_t(mote_random_below(9, 13, s, values)));
      std::vector<float> value = noise(senders * (width + 1), 14), factor = noise(senders * (width + 2), 15);
      const int stride = width + 3;
      Array<int32_t> starts(device, offsets), from(device, sender), of(device, receiver_of),
          row(device, value_row), limit(device, std::vector<int32_t>{30});
      Array<float> v(device, value), f(device, factor),
          out(device, std::vector<float>(n * stride, untouched));
      mote_edges edges = {points, int64_t(sender.size()), starts, from, nullptr};
      mote_rows factors = {};
      if (weighed) factors = {f.data(), width, width + 2};
      MOTE_ASSERT_OK(device->integral->average(
          device.stream, n, counted ? limit.data() : nullptr, listed ? of.data() : nullptr, &edges,
          {v.data(), width, width + 1}, mapped ? row.data() : nullptr, factors, out, stride));
      std::vector<float> found = out.host();
      for (int64_t r = 0; r < n; r++)
        for (int c = 0; c < stride; c++) {
          float x = found[r * stride + c];
          if (c >= width || (counted && r >= 30)) {
            ASSERT_EQ(untouched, x) << r << " " << c;
            continue;
          }
          const int64_t q = listed ? receiver_of[r] : r;
          const int32_t first = q < 0 ? 0 : offsets[q], end = q < 0 ? 0 : offsets[q + 1];
          double sum = 0, size = 0;
          for (int32_t e = first; e < end; e++) {
            int64_t s = sender[e], at = mapped ? value_row[s] : s;
            double term = double(value[at * (width + 1) + c]) * (weighed ? factor[s * (width + 2) + c] : 1);
            sum += term;
            size += std::fabs(term);
          }
          const int count = std::max(1, end - first);
          ASSERT_NEAR(sum / count, x, 5e-7 * size / count) << r << " " << c; /* 0 without neighbours */
        }
    }
}

namespace {

/* A list and the means on it, as a model takes them. */
struct Means {
  std::vector<int> degree = degrees(300, 6, 21);
  List list;
  Array<int32_t> senders;
  Array<float> value, out;
  explicit Means(Device &device)
      : list(device, degree), senders(device, sender_of(offsets_of(degree).back())),
        value(device, noise(50 * 37, 23)), out(device, std::vector<float>(301 * 37, 0)) {}
  static std::vector<int32_t> sender_of(int32_t edges) {
    std::vector<int32_t> sender(edges);
    for (int32_t e = 0; e < edges; e++) sender[e] = int32_t(mote_random_below(9, 22, e, 50));
    return sender;
  }
  mote_status run(mote_stream *stream) {
    mote_edges edges = {list.points, offsets_of(degree).back(), list.offsets, senders, nullptr};
    MOTE_TRY(list.run(stream));
    return stream->device->integral->average(stream, list.points + 1, list.count, list.point_of, &edges,
                                             {value.data(), 37, 37}, nullptr, {}, out, 37);
  }
};

} // namespace

TEST_P(IntegralTest, SameBitsWhateverTheThreads) {
  mote_test::expect_reproducible(GetParam(), [](Device &device) {
    Means means(device);
    MOTE_EXPECT_OK(means.run(device.stream));
    return means.out.host();
  });
}

TEST_P(IntegralTest, CanBeReplayed) {
  Device device(GetParam());
  Means means(device);
  mote_test::expect_replayable(
      device, [&](mote_stream *stream) { return means.run(stream); },
      [&] {
        MOTE_ASSERT_OK(mote_fill_bytes(device.stream, means.out, 0, 301 * 37 * sizeof(float)));
        MOTE_ASSERT_OK(mote_fill_bytes(device.stream, means.list.row_of, 0x7f, 300 * sizeof(int32_t)));
        MOTE_ASSERT_OK(mote_fill_bytes(device.stream, means.list.point_of, 0x7f, 301 * sizeof(int32_t)));
      },
      [&] { return means.out.host(); });
}

TEST_P(IntegralTest, RowsByIndex) {
  Device device(GetParam());
  const int width = 5, stride = 7;
  std::vector<float> value = noise(40 * 6, 31);
  std::vector<int32_t> row_of(300);
  for (int i = 0; i < 300; i++) row_of[i] = i % 7 ? int32_t(mote_random_below(9, 32, i, 40)) : -1;
  Array<float> values(device, value), out(device, std::vector<float>(300 * stride, untouched));
  Array<int32_t> rows(device, row_of), count(device, std::vector<int32_t>{290});
  MOTE_ASSERT_OK(
      device->integral->pick(device.stream, 300, count, rows, {values.data(), width, 6}, out, stride));
  std::vector<float> found = out.host();
  for (int r = 0; r < 300; r++)
    for (int c = 0; c < stride; c++) {
      float expected = r >= 290 || c >= width ? untouched : row_of[r] < 0 ? 0 : value[row_of[r] * 6 + c];
      ASSERT_EQ(expected, found[r * stride + c]) << r << " " << c;
    }
}
