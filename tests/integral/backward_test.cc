/* The reverse of means over neighbourhoods against a float64 reverse that goes by receivers where the kernel
   goes by senders, and which is itself held against finite differences of a float64 forward pass. */
#include <functional>

#include "kernels/integral/integral.h"
#include "tests/support/network.h"

using mote_test::Array;
using mote_test::Device;
using mote_test::noise;

namespace {

typedef std::vector<double> doubles;

const int64_t points = 60, senders = 50;

struct Choice {
  bool listed;        /* receivers have rows of a compact list */
  bool mapped;        /* so have senders */
  bool weighed;       /* a factor */
  bool counted;       /* only some of both rows are there */
  bool stray = false; /* a sender with edges reads row 0, which stands for those without */
};

/* A graph and its lists; maps are empty where the choice has none. */
struct Graph {
  Choice choice;
  std::vector<int32_t> offsets = {0}, sender, receiver; /* by receiver */
  std::vector<int32_t> sent_offsets = {0}, sent_edge;   /* by sender */
  std::vector<int32_t> row_of, value_row, sender_of;
  int64_t out_rows = points, rows = senders; /* of d_out and of value */
  int32_t count = 0, row_count = 0;

  explicit Graph(Choice c, uint64_t stream = 5) : choice(c) {
    for (int64_t q = 0; q < points; q++) {
      int degree = std::max(0, int(mote_random_below(9, stream, q, 40)) - 15);
      for (int k = 0; k < degree; k++) {
        /* some send nothing */
        sender.push_back(int32_t(mote_random_below(9, stream + 1, receiver.size(), senders - 8)));
        receiver.push_back(int32_t(q));
      }
      offsets.push_back(int32_t(sender.size()));
    }
    for (int64_t s = 0; s < senders; s++) {
      for (size_t e = 0; e < sender.size(); e++)
        if (sender[e] == s) sent_edge.push_back(int32_t(e));
      sent_offsets.push_back(int32_t(sent_edge.size()));
    }
    if (c.listed) list(offsets, row_of, nullptr, out_rows);
    if (c.mapped) list(sent_offsets, value_row, &sender_of, rows);
    if (c.mapped && c.stray) value_row[3] = 0;
    count = int32_t(c.counted ? out_rows - 7 : out_rows);
    row_count = int32_t(c.counted ? rows - 5 : rows);
  }

  /* Rows for those with edges, in their order, behind row 0 for those without. */
  static void list(const std::vector<int32_t> &begin, std::vector<int32_t> &row, std::vector<int32_t> *of,
                   int64_t &rows) {
    rows = 1;
    if (of) *of = {-1};
    for (size_t i = 0; i + 1 < begin.size(); i++) {
      row.push_back(begin[i + 1] > begin[i] ? int32_t(rows++) : 0);
      if (of && row.back()) of->push_back(int32_t(i));
    }
  }

  int64_t value_of(int64_t s) const { return choice.mapped ? value_row[s] : s; }
  /* The row of receiver q, -1: none. */
  int64_t out_of(int64_t q) const {
    int64_t row = choice.listed ? row_of[q] : q;
    return (choice.listed && row == 0) || row >= count ? -1 : row;
  }
  bool owns(int64_t s) const {
    int64_t row = value_of(s);
    return row < row_count && (choice.mapped ? sender_of[row] : row) == s;
  }
};

struct Gradients {
  doubles d_value, d_factor, size_value, size_factor; /* size: the sum of the terms' magnitudes */
};

/* The loss sum of d_out * average, forward; `factor` empty: 1. All arrays are dense. */
double loss(const Graph &g, int width, const doubles &value, const doubles &factor, const doubles &d_out) {
  double total = 0;
  for (int64_t q = 0; q < points; q++) {
    int64_t row = g.out_of(q);
    for (int32_t e = g.offsets[q]; row >= 0 && e < g.offsets[q + 1]; e++)
      for (int c = 0; c < width; c++) {
        int64_t s = g.sender[e];
        total += d_out[row * width + c] * value[g.value_of(s) * width + c] *
                 (factor.empty() ? 1 : factor[s * width + c]) / (g.offsets[q + 1] - g.offsets[q]);
      }
  }
  return total;
}

Gradients reverse(const Graph &g, int width, const doubles &value, const doubles &factor,
                  const doubles &d_out) {
  Gradients d = {doubles(g.rows * width, 0), doubles(senders * width, 0), doubles(g.rows * width, 0),
                 doubles(senders * width, 0)};
  for (int64_t q = 0; q < points; q++) {
    int64_t row = g.out_of(q);
    for (int32_t e = g.offsets[q]; row >= 0 && e < g.offsets[q + 1]; e++)
      for (int c = 0; c < width; c++) {
        int64_t s = g.sender[e], from = g.value_of(s);
        double share = d_out[row * width + c] / (g.offsets[q + 1] - g.offsets[q]);
        double to_value = share * (factor.empty() ? 1 : factor[s * width + c]);
        d.d_factor[s * width + c] += share * value[from * width + c];
        d.size_factor[s * width + c] += std::fabs(share * value[from * width + c]);
        if (!g.owns(s)) continue;
        d.d_value[from * width + c] += to_value;
        d.size_value[from * width + c] += std::fabs(to_value);
      }
  }
  return d;
}

doubles wide(const std::vector<float> &x) {
  return doubles(x.begin(), x.end());
}

/* The loss is linear in each argument: central differences err by rounding alone. */
void expect_differences(doubles x, const doubles &gradient,
                        const std::function<double(const doubles &)> &function) {
  ASSERT_EQ(x.size(), gradient.size());
  for (size_t i = 0; i < x.size(); i++) {
    const double middle = x[i];
    x[i] = middle + 0.5;
    double up = function(x);
    x[i] = middle - 0.5;
    double down = function(x);
    x[i] = middle;
    ASSERT_NEAR(up - down, gradient[i], 1e-10) << i;
  }
}

} // namespace

TEST(IntegralReference, ReversesAreFiniteDifferences) {
  for (int bits = 0; bits < 8; bits++) {
    Graph g({bool(bits & 1), bool(bits & 2), bool(bits & 4), false});
    const int width = 2;
    doubles value = wide(noise(g.rows * width, 41)), factor, d_out = wide(noise(g.out_rows * width, 43));
    if (g.choice.weighed) factor = wide(noise(senders * width, 42));
    Gradients d = reverse(g, width, value, factor, d_out);
    expect_differences(value, d.d_value, [&](const doubles &x) { return loss(g, width, x, factor, d_out); });
    if (g.choice.weighed)
      expect_differences(factor, d.d_factor,
                         [&](const doubles &x) { return loss(g, width, value, x, d_out); });
  }
}

namespace {

/* Rows at strides beyond their width, between which stands what must not be read. */
std::vector<float> padded(const std::vector<float> &x, int width, int stride) {
  std::vector<float> rows(x.size() / width * stride, NAN);
  for (size_t i = 0; i < x.size(); i++) rows[i / width * stride + i % width] = x[i];
  return rows;
}

/* Up to about 40 terms of 6e-8 sqrt(40) of their size each, on top of what stood there. */
void expect_added(const std::vector<float> &found, const std::vector<float> &start, int width, int stride,
                  const doubles &expected, const doubles &size) {
  for (size_t i = 0; i < found.size(); i++) {
    int64_t r = int64_t(i) / stride, c = int64_t(i) % stride;
    if (c >= width || size[r * width + c] == 0) {
      ASSERT_EQ(start[i], found[i]) << r << " " << c;
      continue;
    }
    double wanted = start[i] + expected[r * width + c];
    ASSERT_NEAR(wanted, found[i], 5e-7 * (std::fabs(start[i]) + size[r * width + c])) << r << " " << c;
  }
}

/* A graph with its rows on a device, and the reverse on them. */
struct Backward {
  const Graph &g;
  int width, stride;
  std::vector<float> value, factor, d_out, start_value, start_factor;
  Array<int32_t> offsets, sender, receiver, sent_offsets, sent_edge, row_of, value_row, sender_of, count,
      row_count;
  Array<float> values, factors, d_outs, d_value, d_factor;
  Backward(Device &device, const Graph &graph, int width)
      : g(graph), width(width), stride(width + 3), value(noise(g.rows * width, 51)),
        factor(noise(senders * width, 52)), d_out(noise(g.out_rows * width, 53)),
        start_value(noise(g.rows * stride, 54)), start_factor(noise(senders * stride, 55)),
        offsets(device, g.offsets), sender(device, g.sender), receiver(device, g.receiver),
        sent_offsets(device, g.sent_offsets), sent_edge(device, g.sent_edge), row_of(device, g.row_of),
        value_row(device, g.value_row), sender_of(device, g.sender_of),
        count(device, std::vector<int32_t>{g.count}), row_count(device, std::vector<int32_t>{g.row_count}),
        values(device, padded(value, width, width + 1)), factors(device, padded(factor, width, width + 2)),
        d_outs(device, padded(d_out, width, width + 1)), d_value(device, start_value),
        d_factor(device, start_factor) {}

  mote_status run(mote_stream *stream, bool to_value = true, bool to_factor = true) {
    const Choice &c = g.choice;
    mote_edges edges = {points, int64_t(g.sender.size()), offsets, sender, receiver};
    mote_sent sent = {senders, sent_offsets, sent_edge};
    mote_rows factor_rows = {};
    mote_sink value_sink = {}, factor_sink = {};
    if (c.weighed) factor_rows = {factors.data(), width, width + 2};
    if (to_value) value_sink = {d_value.data(), stride};
    if (to_factor) factor_sink = {d_factor.data(), stride};
    return stream->device->integral->average_backward(
        stream, &edges, &sent, c.listed ? row_of.data() : nullptr, c.counted ? count.data() : nullptr, g.rows,
        c.counted ? row_count.data() : nullptr, {values.data(), width, width + 1},
        c.mapped ? value_row.data() : nullptr, c.mapped ? sender_of.data() : nullptr, factor_rows,
        {d_outs.data(), width, width + 1}, value_sink, factor_sink);
  }

  void check(bool to_value, bool to_factor) {
    Gradients d = reverse(g, width, wide(value), g.choice.weighed ? wide(factor) : doubles(), wide(d_out));
    const doubles none_value(d.d_value.size(), 0), none_factor(d.d_factor.size(), 0);
    expect_added(d_value.host(), start_value, width, stride, d.d_value, to_value ? d.size_value : none_value);
    expect_added(d_factor.host(), start_factor, width, stride, d.d_factor,
                 to_factor ? d.size_factor : none_factor);
  }
};

} // namespace

class IntegralBackwardTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(IntegralBackwardTest);

TEST_P(IntegralBackwardTest, EveryChoiceOfMaps) {
  Device device(GetParam());
  for (int bits = 0; bits < 32; bits++)
    for (int width : {1, 16, 37, 203}) {
      SCOPED_TRACE(testing::Message() << bits << ", " << width);
      Graph graph({bool(bits & 1), bool(bits & 2), bool(bits & 4), bool(bits & 8), bool(bits & 16)});
      Backward backward(device, graph, width);
      MOTE_ASSERT_OK(backward.run(device.stream));
      backward.check(true, true);
    }
}

TEST_P(IntegralBackwardTest, SinksThatAreNotWanted) {
  Device device(GetParam());
  Graph graph({true, true, true, false});
  for (bool to_value : {false, true}) {
    Backward backward(device, graph, 21);
    MOTE_ASSERT_OK(backward.run(device.stream, to_value, !to_value));
    backward.check(to_value, !to_value);
  }
}

TEST_P(IntegralBackwardTest, SameBitsWhateverTheThreads) {
  Graph graph({true, true, true, true});
  mote_test::expect_reproducible(GetParam(), [&](Device &device) {
    Backward backward(device, graph, 37);
    MOTE_EXPECT_OK(backward.run(device.stream));
    std::vector<float> found = backward.d_value.host(), factor = backward.d_factor.host();
    found.insert(found.end(), factor.begin(), factor.end());
    return found;
  });
}

TEST_P(IntegralBackwardTest, CanBeReplayed) {
  Device device(GetParam());
  Graph graph({true, true, true, true});
  Backward backward(device, graph, 37);
  mote_test::expect_replayable(
      device, [&](mote_stream *stream) { return backward.run(stream); },
      [&] {
        MOTE_ASSERT_OK(mote_upload(device.stream, backward.d_value, backward.start_value.data(),
                                   backward.start_value.size() * sizeof(float)));
      },
      [&] { return backward.d_value.host(); });
}
