/* Linear attention against float64. */
#include "kernels/attention/attention.h"
#include "tests/support/network.h"

using mote_test::Array;
using mote_test::Device;
using mote_test::noise;
using mote_test::worst_error;

namespace {

/* Sums of up to 300 rows, then of up to 128 channels, of one sign: 6e-8 a step of rounding at random. */
const double tolerance = 5e-6;
const float untouched = -1234.5f;

std::vector<double> softmax(const float *x, int width) {
  std::vector<double> p(width);
  double most = *std::max_element(x, x + width), sum = 0;
  for (int c = 0; c < width; c++) sum += p[c] = std::exp(double(x[c]) - most);
  for (double &v : p) v /= sum;
  return p;
}

std::vector<double> context_of(mote_heads h, int64_t n, const std::vector<float> &key, int key_stride,
                               const std::vector<float> &value, int value_stride,
                               const std::vector<float> *weight) {
  const int d = h.width;
  std::vector<double> context(mote_context_floats(h), 0);
  for (int64_t r = 0; r < n; r++)
    for (int head = 0; head < h.count; head++) {
      std::vector<double> k = softmax(&key[r * key_stride + head * d], d);
      for (int a = 0; a < d; a++) {
        double wk = k[a] * (weight ? double((*weight)[r]) : 1);
        context[h.count * d * d + head * d + a] += wk;
        for (int b = 0; b < d; b++)
          context[(head * d + a) * d + b] += wk * value[r * value_stride + head * d + b];
      }
    }
  return context;
}

struct Summary {
  mote_heads heads;
  int64_t n;
  int64_t count = -1;
  bool weighted = false;
};

void check_summary(Device &device, const Summary &test, uint64_t stream) {
  const int width = test.heads.count * test.heads.width;
  std::vector<float> key = noise(test.n * (width + 1), stream, 2);
  std::vector<float> value = noise(test.n * (width + 2), stream + 1), weight = noise(test.n, stream + 2);
  for (float &w : weight) w = 1 + std::fabs(w);
  Array<float> keys(device, key), values(device, value), weights(device, weight);
  Array<float> context(device, mote_context_floats(test.heads));
  Array<int32_t> count(device, std::vector<int32_t>{int32_t(test.count)});
  mote_buffer scratch = {};
  MOTE_ASSERT_OK(device->attention->summarize(device.stream, test.n, test.count >= 0 ? count.data() : nullptr,
                                              test.heads, {keys.data(), width, width + 1},
                                              {values.data(), width, width + 2},
                                              test.weighted ? weights.data() : nullptr, context, &scratch));
  int64_t n = test.count >= 0 ? std::min(test.count, test.n) : test.n;
  std::vector<double> expected =
      context_of(test.heads, n, key, width + 1, value, width + 2, test.weighted ? &weight : nullptr);
  EXPECT_LT(worst_error(context.host(), expected), tolerance);
  mote_buffer_free(&scratch);
}

const std::vector<mote_heads> all_heads = {{1, 1},  {3, 3},  {1, 4},  {2, 16},  {8, 17},
                                           {4, 32}, {2, 37}, {2, 64}, {1, 100}, {2, MOTE_HEAD_WIDEST}};

} // namespace

class AttentionTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(AttentionTest);

TEST_P(AttentionTest, SummariesOfAnyHeads) {
  Device device(GetParam());
  uint64_t stream = 1;
  for (mote_heads heads : all_heads)
    for (bool weighted : {false, true}) {
      SCOPED_TRACE(testing::Message() << heads.count << " of " << heads.width);
      check_summary(device, {heads, 70, -1, weighted}, stream += 10);
    }
}

TEST_P(AttentionTest, SummariesOfAnyNumberOfRows) {
  Device device(GetParam());
  uint64_t stream = 500;
  for (int64_t n : {0, 1, 63, 64, 65, 129, 300}) {
    SCOPED_TRACE(n);
    check_summary(device, {{2, 5}, n}, stream += 10);
  }
  for (int64_t count : {0, 1, 64, 65, 100, 400}) {
    SCOPED_TRACE(count);
    check_summary(device, {{3, 20}, 100, count, true}, stream += 10);
  }
}

/* A row of weight w is w rows. */
TEST_P(AttentionTest, WeightsAreRepeatedRows) {
  Device device(GetParam());
  const mote_heads heads = {2, 24};
  const int64_t n = 40;
  const int width = 48;
  std::vector<float> key = noise(n * width, 601), value = noise(n * width, 602), weight(n);
  std::vector<float> keys, values;
  for (int64_t r = 0; r < n; r++) {
    int times = int(mote_random_below(5, 603, r, 6));
    weight[r] = float(times);
    for (int k = 0; k < times; k++) {
      keys.insert(keys.end(), &key[r * width], &key[r * width] + width);
      values.insert(values.end(), &value[r * width], &value[r * width] + width);
    }
  }
  const int64_t rows = int64_t(keys.size()) / width;
  Array<float> k(device, key), v(device, value), w(device, weight), k_rows(device, keys),
      v_rows(device, values);
  Array<float> once(device, mote_context_floats(heads)), repeated(device, mote_context_floats(heads));
  mote_buffer scratch = {};
  MOTE_ASSERT_OK(device->attention->summarize(device.stream, n, nullptr, heads, {k.data(), width, width},
                                              {v.data(), width, width}, w, once, &scratch));
  MOTE_ASSERT_OK(device->attention->summarize(device.stream, rows, nullptr, heads,
                                              {k_rows.data(), width, width}, {v_rows.data(), width, width},
                                              nullptr, repeated, &scratch));
  mote_buffer_free(&scratch);
  std::vector<float> expected = repeated.host();
  EXPECT_LT(worst_error(once.host(), std::vector<double>(expected.begin(), expected.end())), tolerance);
}

TEST_P(AttentionTest, RowsAttend) {
  Device device(GetParam());
  uint64_t stream = 700;
  for (mote_heads heads : all_heads)
    for (int64_t n : {0, 1, 64, 67}) {
      SCOPED_TRACE(testing::Message() << heads.count << " of " << heads.width << ", " << n);
      const int d = heads.width, width = heads.count * d, stride = width + 1;
      const int64_t limit = 66;
      std::vector<float> query = noise(n * stride, stream += 10, 2);
      std::vector<float> context = noise(mote_context_floats(heads), stream + 1);
      for (int i = heads.count * d * d; i < int(context.size()); i++) context[i] = 1 + std::fabs(context[i]);
      std::vector<float> before(n * (width + 2), untouched);
      Array<float> queries(device, query), contexts(device, context), out(device, before);
      Array<int32_t> count(device, std::vector<int32_t>{int32_t(limit)});
      MOTE_ASSERT_OK(device->attention->attend(device.stream, n, count, heads,
                                               {queries.data(), width, stride}, contexts, out, width + 2));
      std::vector<float> all = out.host(), found;
      std::vector<double> expected;
      for (int64_t r = 0; r < n; r++)
        for (int c = 0; c < width + 2; c++) {
          float value = all[r * (width + 2) + c];
          if (c >= width || r >= limit) {
            ASSERT_EQ(untouched, value);
            continue;
          }
          int head = c / d, b = c % d;
          std::vector<double> q = softmax(&query[r * stride + head * d], d);
          double sum = 0, norm = 0;
          for (int a = 0; a < d; a++) {
            norm += q[a] * context[heads.count * d * d + head * d + a];
            sum += q[a] * context[(head * d + a) * d + b];
          }
          found.push_back(value);
          expected.push_back(q[b] + sum / norm);
        }
      /* In units of the mean square, of which the largest channel of a softmax may be many. */
      EXPECT_LT(worst_error(found, expected), 2e-5);
    }
}

/* Keys whose differences are beyond what exp of a float32 takes: no overflow, all weight on one channel. */
TEST_P(AttentionTest, FarApartKeys) {
  Device device(GetParam());
  const mote_heads heads = {1, 20};
  std::vector<float> key(20, -500.f), value = noise(20, 901);
  key[7] = 3e4f;
  Array<float> keys(device, key), values(device, value), context(device, mote_context_floats(heads));
  mote_buffer scratch = {};
  MOTE_ASSERT_OK(device->attention->summarize(device.stream, 1, nullptr, heads, {keys.data(), 20, 20},
                                              {values.data(), 20, 20}, nullptr, context, &scratch));
  mote_buffer_free(&scratch);
  std::vector<float> found = context.host();
  for (int a = 0; a < 20; a++) {
    EXPECT_EQ(a == 7, found[400 + a]);
    for (int b = 0; b < 20; b++) EXPECT_EQ(a == 7 ? value[b] : 0, found[a * 20 + b]);
  }
}

namespace {

struct Both {
  mote_heads heads = {3, 20};
  int64_t n = 200;
  Array<float> key, value, query, context, out;
  mote_buffer scratch = {};
  explicit Both(Device &device)
      : key(device, noise(n * 60, 911)), value(device, noise(n * 60, 912)), query(device, noise(n * 60, 913)),
        context(device, mote_context_floats(heads)), out(device, n * 60) {}
  ~Both() { mote_buffer_free(&scratch); }
  mote_status run(mote_stream *stream) {
    const mote_attention_kernels *k = stream->device->attention;
    MOTE_TRY(k->summarize(stream, n, nullptr, heads, {key.data(), 60, 60}, {value.data(), 60, 60}, nullptr,
                          context, &scratch));
    return k->attend(stream, n, nullptr, heads, {query.data(), 60, 60}, context, out, 60);
  }
};

} // namespace

TEST_P(AttentionTest, SameBitsWhateverTheThreads) {
  mote_test::expect_reproducible(GetParam(), [](Device &device) {
    Both both(device);
    MOTE_EXPECT_OK(both.run(device.stream));
    return both.out.host();
  });
}

TEST_P(AttentionTest, CanBeReplayed) {
  Device device(GetParam());
  Both both(device);
  mote_test::expect_replayable(
      device, [&](mote_stream *stream) { return both.run(stream); },
      [&] { MOTE_ASSERT_OK(mote_fill_bytes(device.stream, both.out, 0, both.n * 60 * sizeof(float))); },
      [&] { return both.out.host(); });
}
