/* The reverse of linear attention against a float64 reverse, which is itself held against finite differences
   of a float64 forward pass. */
#include <functional>

#include "kernels/attention/attention.h"
#include "tests/support/network.h"

using mote_test::Array;
using mote_test::Device;
using mote_test::noise;
using mote_test::worst_error;

namespace {

typedef std::vector<double> doubles;

doubles wide(const std::vector<float> &x) {
  return doubles(x.begin(), x.end());
}

/* Sizes of a case; rows of keys, values, queries and outputs are heads.count * heads.width wide and dense. */
struct Case {
  mote_heads heads;
  int64_t n;
  bool weighted = false;
  int width() const { return heads.count * heads.width; }
};

doubles softmax(const double *x, int width) {
  doubles p(width);
  double most = *std::max_element(x, x + width), sum = 0;
  for (int c = 0; c < width; c++) sum += p[c] = std::exp(x[c] - most);
  for (double &v : p) v /= sum;
  return p;
}

/* The Jacobian of the softmax, as a matrix, times d. */
doubles through_softmax(const doubles &p, const doubles &d) {
  size_t width = p.size();
  doubles out(width, 0);
  for (size_t i = 0; i < width; i++)
    for (size_t k = 0; k < width; k++) out[i] += p[i] * ((i == k) - p[k]) * d[k];
  return out;
}

doubles summarize(const Case &t, const doubles &key, const doubles &value, const doubles &weight) {
  const int d = t.heads.width, squares = t.heads.count * d * d;
  doubles context(mote_context_floats(t.heads), 0);
  for (int64_t r = 0; r < t.n; r++)
    for (int h = 0; h < t.heads.count; h++) {
      doubles k = softmax(&key[r * t.width() + h * d], d);
      for (int a = 0; a < d; a++) {
        context[squares + h * d + a] += weight[r] * k[a];
        for (int b = 0; b < d; b++)
          context[(h * d + a) * d + b] += weight[r] * k[a] * value[r * t.width() + h * d + b];
      }
    }
  return context;
}

doubles attend(const Case &t, const doubles &query, const doubles &context) {
  const int d = t.heads.width, squares = t.heads.count * d * d;
  doubles out(t.n * t.width(), 0);
  for (int64_t r = 0; r < t.n; r++)
    for (int h = 0; h < t.heads.count; h++) {
      doubles q = softmax(&query[r * t.width() + h * d], d);
      double norm = 0;
      for (int a = 0; a < d; a++) norm += q[a] * context[squares + h * d + a];
      for (int b = 0; b < d; b++) {
        double sum = 0;
        for (int a = 0; a < d; a++) sum += q[a] * context[(h * d + a) * d + b];
        out[r * t.width() + h * d + b] = q[b] + sum / norm;
      }
    }
  return out;
}

/* What the kernels are to add. */
struct Summary {
  doubles d_key, d_value;
};
struct Attention {
  doubles d_query, d_context;
};

Summary reverse_summarize(const Case &t, const doubles &key, const doubles &value, const doubles &weight,
                          const doubles &d_context) {
  const int d = t.heads.width, squares = t.heads.count * d * d;
  Summary s = {doubles(key.size(), 0), doubles(key.size(), 0)};
  for (int64_t r = 0; r < t.n; r++)
    for (int h = 0; h < t.heads.count; h++) {
      const int64_t at = r * t.width() + h * d;
      doubles k = softmax(&key[at], d), d_k(d, 0);
      for (int a = 0; a < d; a++) {
        d_k[a] = weight[r] * d_context[squares + h * d + a];
        for (int b = 0; b < d; b++) {
          d_k[a] += weight[r] * d_context[(h * d + a) * d + b] * value[at + b];
          s.d_value[at + b] += weight[r] * k[a] * d_context[(h * d + a) * d + b];
        }
      }
      doubles through = through_softmax(k, d_k);
      std::copy(through.begin(), through.end(), s.d_key.begin() + at);
    }
  return s;
}

/* By the chain through the numerator and the denominator, as the formula stands. */
Attention reverse_attend(const Case &t, const doubles &query, const doubles &context, const doubles &d_out) {
  const int d = t.heads.width, squares = t.heads.count * d * d;
  Attention s = {doubles(query.size(), 0), doubles(context.size(), 0)};
  for (int64_t r = 0; r < t.n; r++)
    for (int h = 0; h < t.heads.count; h++) {
      const int64_t at = r * t.width() + h * d;
      doubles q = softmax(&query[at], d), d_q(d, 0), top(d, 0);
      double norm = 0, d_norm = 0;
      for (int a = 0; a < d; a++) {
        norm += q[a] * context[squares + h * d + a];
        for (int b = 0; b < d; b++) top[b] += q[a] * context[(h * d + a) * d + b];
      }
      for (int b = 0; b < d; b++) d_norm -= d_out[at + b] * top[b] / (norm * norm);
      for (int a = 0; a < d; a++) {
        d_q[a] = d_out[at + a] + d_norm * context[squares + h * d + a];
        s.d_context[squares + h * d + a] += d_norm * q[a];
        for (int b = 0; b < d; b++) {
          d_q[a] += d_out[at + b] / norm * context[(h * d + a) * d + b];
          s.d_context[(h * d + a) * d + b] += d_out[at + b] / norm * q[a];
        }
      }
      doubles through = through_softmax(q, d_q);
      std::copy(through.begin(), through.end(), s.d_query.begin() + at);
    }
  return s;
}

/* Random inputs of a case. s is positive, as sums of softmaxes are. */
struct Inputs {
  std::vector<float> key, value, query, weight, context, d_context, d_out;
  Inputs(const Case &t, uint64_t stream)
      : key(noise(t.n * t.width(), stream, 2)), value(noise(t.n * t.width(), stream + 1)),
        query(noise(t.n * t.width(), stream + 2, 2)), weight(noise(t.n, stream + 3)),
        context(noise(mote_context_floats(t.heads), stream + 4)),
        d_context(noise(mote_context_floats(t.heads), stream + 5)),
        d_out(noise(t.n * t.width(), stream + 6)) {
    for (float &w : weight) w = t.weighted ? 1 + std::fabs(w) : 1;
    for (int i = t.heads.count * t.heads.width * t.heads.width; i < int(context.size()); i++)
      context[i] = 1 + std::fabs(context[i]);
  }
};

/* Central differences with steps of 1e-4 in float64: 1e-8 of truncation and 1e-12 of rounding. */
void expect_differences(doubles x, const doubles &gradient,
                        const std::function<double(const doubles &)> &loss) {
  ASSERT_EQ(x.size(), gradient.size());
  for (size_t i = 0; i < x.size(); i++) {
    const double step = 1e-4, middle = x[i];
    x[i] = middle + step;
    double up = loss(x);
    x[i] = middle - step;
    double down = loss(x);
    x[i] = middle;
    ASSERT_NEAR((up - down) / (2 * step), gradient[i], 1e-6 * (1 + std::fabs(gradient[i]))) << i;
  }
}

double dot(const doubles &a, const doubles &b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); i++) sum += a[i] * b[i];
  return sum;
}

} // namespace

TEST(AttentionReference, ReversesAreFiniteDifferences) {
  for (Case t : {Case{{1, 1}, 3, true}, Case{{2, 3}, 5, true}, Case{{1, 8}, 4, false}}) {
    Inputs in(t, 1);
    doubles key = wide(in.key), value = wide(in.value), query = wide(in.query), weight = wide(in.weight),
            context = wide(in.context), d_context = wide(in.d_context), d_out = wide(in.d_out);
    Summary s = reverse_summarize(t, key, value, weight, d_context);
    Attention a = reverse_attend(t, query, context, d_out);
    expect_differences(key, s.d_key,
                       [&](const doubles &x) { return dot(d_context, summarize(t, x, value, weight)); });
    expect_differences(value, s.d_value,
                       [&](const doubles &x) { return dot(d_context, summarize(t, key, x, weight)); });
    expect_differences(query, a.d_query, [&](const doubles &x) { return dot(d_out, attend(t, x, context)); });
    expect_differences(context, a.d_context,
                       [&](const doubles &x) { return dot(d_out, attend(t, query, x)); });
  }
}

namespace {

/* Sums of up to 128 channels, then of up to 300 rows, of random signs; as in the forward pass, 6e-8 a step,
   and the softmax's difference dq - q . dq, which cancels. In units of the mean square, of which the largest
   channel may be many. */
const double tolerance = 2e-5;

/* Rows of `width` in an array of larger rows, behind the first `n` of which nothing is to be read. */
std::vector<float> padded(const std::vector<float> &x, int width, int stride) {
  std::vector<float> rows(x.size() / width * stride, NAN);
  for (size_t i = 0; i < x.size(); i++) rows[i / width * stride + i % width] = x[i];
  return rows;
}

/* The sink held `start` before; rows at or behind `limit` and columns behind the width are as they were. */
void expect_added(const std::vector<float> &found, const std::vector<float> &start, int width, int stride,
                  int64_t limit, const doubles &expected) {
  std::vector<float> added;
  doubles wanted;
  for (size_t i = 0; i < found.size(); i++) {
    int64_t r = int64_t(i) / stride, c = int64_t(i) % stride;
    if (c >= width || r >= limit) {
      ASSERT_EQ(start[i], found[i]) << r << " " << c;
      continue;
    }
    added.push_back(found[i]);
    wanted.push_back(start[i] + expected[r * width + c]);
  }
  EXPECT_LT(worst_error(added, wanted), tolerance);
}

struct Ends {
  int64_t count = -1;               /* in device memory; -1: none */
  bool first = true, second = true; /* sinks that are wanted */
};

void check_summarize(Device &device, const Case &t, const Ends &ends, uint64_t stream) {
  const int width = t.width(), stride = width + 3;
  const int64_t n = ends.count >= 0 ? std::min(ends.count, t.n) : t.n;
  Inputs in(t, stream);
  Case used = t;
  used.n = n;
  Summary s = reverse_summarize(used, wide(in.key), wide(in.value), wide(in.weight), wide(in.d_context));
  std::vector<float> start = noise(t.n * stride, stream + 7);
  Array<float> key(device, padded(in.key, width, width + 1)),
      value(device, padded(in.value, width, width + 2)), weight(device, in.weight),
      d_context(device, in.d_context), d_key(device, start), d_value(device, start);
  Array<int32_t> count(device, std::vector<int32_t>{int32_t(ends.count)});
  mote_sink key_sink = {}, value_sink = {};
  if (ends.first) key_sink = {d_key, stride};
  if (ends.second) value_sink = {d_value, stride};
  MOTE_ASSERT_OK(device->attention->summarize_backward(
      device.stream, t.n, ends.count >= 0 ? count.data() : nullptr, t.heads, {key.data(), width, width + 1},
      {value.data(), width, width + 2}, t.weighted ? weight.data() : nullptr, d_context, key_sink,
      value_sink));
  expect_added(d_key.host(), start, width, stride, ends.first ? n : 0, s.d_key);
  expect_added(d_value.host(), start, width, stride, ends.second ? n : 0, s.d_value);
}

void check_attend(Device &device, const Case &t, const Ends &ends, uint64_t stream) {
  const int width = t.width(), stride = width + 3;
  const int64_t n = ends.count >= 0 ? std::min(ends.count, t.n) : t.n;
  Inputs in(t, stream);
  Case used = t;
  used.n = n;
  Attention a = reverse_attend(used, wide(in.query), wide(in.context), wide(in.d_out));
  std::vector<float> start = noise(t.n * stride, stream + 7), there = noise(in.context.size(), stream + 8);
  Array<float> query(device, padded(in.query, width, width + 1)), context(device, in.context),
      d_out(device, padded(in.d_out, width, width + 2)), d_query(device, start), d_context(device, there);
  Array<int32_t> count(device, std::vector<int32_t>{int32_t(ends.count)});
  mote_sink sink = {};
  if (ends.first) sink = {d_query, stride};
  mote_buffer scratch = {};
  MOTE_ASSERT_OK(device->attention->attend_backward(
      device.stream, t.n, ends.count >= 0 ? count.data() : nullptr, t.heads, {query.data(), width, width + 1},
      context, {d_out.data(), width, width + 2}, sink, d_context, &scratch));
  mote_buffer_free(&scratch);
  expect_added(d_query.host(), start, width, stride, ends.first ? n : 0, a.d_query);
  expect_added(d_context.host(), there, int(there.size()), int(there.size()), 1, a.d_context);
}

const std::vector<mote_heads> all_heads = {{1, 1},
                                           {3, 3},
                                           {1, 4},
                                           {4, 8},
                                           {2, 16},
                                           {3, 17},
                                           {2, 32},
                                           {2, 37},
                                           {2, 64},
                                           {1, 100},
                                           {1, MOTE_HEAD_WIDEST}};

} // namespace

class AttentionBackwardTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(AttentionBackwardTest);

TEST_P(AttentionBackwardTest, AnyHeads) {
  Device device(GetParam());
  uint64_t stream = 1000;
  for (mote_heads heads : all_heads)
    for (bool weighted : {false, true}) {
      SCOPED_TRACE(testing::Message() << heads.count << " of " << heads.width);
      check_summarize(device, {heads, 67, weighted}, {}, stream += 10);
      check_attend(device, {heads, 67}, {}, stream += 10);
    }
}

TEST_P(AttentionBackwardTest, AnyNumberOfRows) {
  Device device(GetParam());
  uint64_t stream = 2000;
  for (int64_t n : {0, 1, 2, 63, 64, 65, 255, 256, 257, 300}) {
    SCOPED_TRACE(n);
    check_summarize(device, {{2, 5}, n}, {}, stream += 10);
    check_attend(device, {{2, 5}, n}, {}, stream += 10);
  }
  for (int64_t count : {0, 1, 64, 65, 100, 400}) {
    SCOPED_TRACE(count);
    check_summarize(device, {{3, 20}, 100, true}, {count}, stream += 10);
    check_attend(device, {{3, 20}, 100}, {count}, stream += 10);
  }
}

TEST_P(AttentionBackwardTest, SinksThatAreNotWanted) {
  Device device(GetParam());
  check_summarize(device, {{2, 12}, 70, true}, {-1, false, true}, 3000);
  check_summarize(device, {{2, 12}, 70, true}, {-1, true, false}, 3010);
  check_attend(device, {{2, 12}, 70}, {-1, false, true}, 3020);
}

namespace {

/* Both directions one behind the other, as training runs them. */
struct Chain {
  mote_heads heads = {3, 20};
  int64_t n = 300;
  Array<float> key, value, query, d_out, context, d_context, gradient;
  mote_buffer scratch = {};
  explicit Chain(Device &device)
      : key(device, noise(n * 60, 911)), value(device, noise(n * 60, 912)), query(device, noise(n * 60, 913)),
        d_out(device, noise(n * 60, 914)), context(device, mote_context_floats(heads)),
        d_context(device, mote_context_floats(heads)), gradient(device, n * 180) {}
  ~Chain() { mote_buffer_free(&scratch); }
  mote_status run(mote_stream *stream) {
    const mote_attention_kernels *k = stream->device->attention;
    const mote_rows keys = {key, 60, 60}, values = {value, 60, 60}, queries = {query, 60, 60};
    float *d_query = gradient, *d_key = d_query + 60, *d_value = d_key + 60;
    MOTE_TRY(mote_fill_bytes(stream, gradient, 0, sizeof(float) * n * 180));
    MOTE_TRY(mote_fill_bytes(stream, d_context, 0, sizeof(float) * mote_context_floats(heads)));
    MOTE_TRY(k->summarize(stream, n, nullptr, heads, keys, values, nullptr, context, &scratch));
    MOTE_TRY(k->attend_backward(stream, n, nullptr, heads, queries, context, {d_out, 60, 60}, {d_query, 180},
                                d_context, &scratch));
    return k->summarize_backward(stream, n, nullptr, heads, keys, values, nullptr, d_context, {d_key, 180},
                                 {d_value, 180});
  }
};

} // namespace

TEST_P(AttentionBackwardTest, SameBitsWhateverTheThreads) {
  mote_test::expect_reproducible(GetParam(), [](Device &device) {
    Chain chain(device);
    MOTE_EXPECT_OK(chain.run(device.stream));
    return chain.gradient.host();
  });
}

TEST_P(AttentionBackwardTest, CanBeReplayed) {
  Device device(GetParam());
  Chain chain(device);
  mote_test::expect_replayable(
      device, [&](mote_stream *stream) { return chain.run(stream); },
      [&] {
        MOTE_ASSERT_OK(mote_fill_bytes(device.stream, chain.gradient, 1, chain.n * 180 * sizeof(float)));
      },
      [&] { return chain.gradient.host(); });
}
