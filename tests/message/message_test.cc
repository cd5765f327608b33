/* Message passing against float64: sums, states and what is left alone. */
#include "kernels/message/message.h"
#include "tests/support/network.h"

using mote_test::Array;
using mote_test::Device;
using mote_test::Network;
using mote_test::noise;
using mote_test::Shape;
using mote_test::worst_error;

namespace {

/* As in tests/dense; a sum over k edges adds about 6e-8 sqrt(k), 1e-6 for 300. */
const double tolerance = 1e-5;
const float untouched = -1234.5f;

/* Edges by receiver, from the number of each receiver's. */
struct Graph {
  std::vector<int32_t> offsets = {0}, senders, receiver;
  Graph(const std::vector<int> &degree, int64_t sender_count, int64_t spare, bool loops) {
    for (size_t i = 0; i < degree.size(); i++) {
      for (int k = 0; k < degree[i]; k++) {
        uint64_t any = mote_random_below(3, i, k, sender_count);
        senders.push_back(k == 0 && loops ? int32_t(i) : int32_t(any));
        receiver.push_back(int32_t(i));
      }
      offsets.push_back(int32_t(senders.size()));
    }
    edges = int64_t(senders.size());
    senders.resize(edges + spare, 0x7fffffff); /* what stands behind the edges is no index */
    receiver.resize(edges + spare, 0x7fffffff);
  }
  int64_t edges;
};

std::vector<int> degrees(int64_t n, int most, uint64_t stream) {
  std::vector<int> d(n);
  for (int64_t i = 0; i < n; i++) d[i] = int(mote_random_below(9, stream, i, most + 1));
  return d;
}

struct Case {
  Shape shape; /* of the chain from edge states to messages */
  std::vector<int> degree;
  bool update = false, mean = false, length = false, factor = false, loops = false;
  int64_t spare = 3; /* capacity beyond the edges */
};

void check(Device &device, const Case &test, uint64_t stream) {
  const int64_t receivers = int64_t(test.degree.size()), senders = std::max<int64_t>(receivers, 5);
  Graph graph(test.degree, senders, test.spare, test.loops);
  Network network(device, test.shape, stream);
  const int state_width = network.in(), width = network.out(), hidden = test.shape.width[1];
  const int64_t capacity = graph.edges + test.spare;
  const int sum_stride = width + 2;
  std::vector<float> state = noise(capacity * state_width, stream + 1);
  std::vector<float> receiver_part = noise(receivers * (hidden + 1), stream + 2);
  std::vector<float> sender_part = noise(senders * (hidden + 3), stream + 3);
  std::vector<float> length = noise(capacity, stream + 4), factor = noise(senders * (width + 1), stream + 5);
  for (float &l : length) l = std::fabs(l);
  std::vector<float> before(receivers * sum_stride, untouched);

  Array<int32_t> offsets(device, graph.offsets), ends(device, graph.receiver), starts(device, graph.senders);
  Array<float> states(device, state), a(device, receiver_part), b(device, sender_part);
  Array<float> lengths(device, length), factors(device, factor), sums(device, before);
  mote_edges edges = {receivers, capacity, offsets, starts, ends};
  mote_message_block block = {network.mlp, test.update, test.mean};
  mote_rows factor_rows = {};
  if (test.factor) factor_rows = {factors.data(), width, width + 1};
  mote_buffer scratch = {};
  const auto pass = [&](float *updated, float *to) {
    return device->message->pass(device.stream, &edges, &block, states, updated,
                                 {a.data(), hidden, hidden + 1}, {b.data(), hidden, hidden + 3},
                                 test.length ? lengths.data() : nullptr, factor_rows, to, sum_stride,
                                 &scratch);
  };
  /* Into other memory, then in place: the same bits. */
  Array<float> elsewhere(device, state), sums_too(device, before);
  MOTE_ASSERT_OK(pass(test.update ? elsewhere.data() : nullptr, sums_too));
  ASSERT_EQ(state, states.host());
  MOTE_ASSERT_OK(pass(states, sums));
  ASSERT_EQ(states.host(), elsewhere.host());
  ASSERT_EQ(sums.host(), sums_too.host());
  std::vector<float> found = sums.host(), moved = states.host(), found_sum, found_state;
  mote_buffer_free(&scratch);

  std::vector<double> sum, next;
  for (int64_t i = 0; i < receivers; i++) {
    std::vector<double> total(width, 0);
    for (int32_t e = graph.offsets[i]; e < graph.offsets[i + 1]; e++) {
      const int32_t s = graph.senders[e];
      std::vector<double> start(hidden), x(state_width);
      for (int c = 0; c < hidden; c++)
        start[c] = double(receiver_part[i * (hidden + 1) + c]) + sender_part[s * (hidden + 3) + c];
      for (int c = 0; c < state_width; c++) x[c] = state[e * state_width + c];
      std::vector<double> m = network(x, start.data());
      for (int c = 0; c < width; c++) {
        if (test.update) next.push_back(state[e * width + c] + m[c]);
        double weight = test.length ? 1 / (1 + double(length[e])) : 1;
        total[c] += weight * m[c] * (test.factor ? factor[s * (width + 1) + c] : 1);
      }
    }
    int count = test.degree[i];
    for (int c = 0; c < width; c++) sum.push_back(test.mean && count ? total[c] / count : total[c]);
    for (int c = 0; c < sum_stride; c++) {
      float value = found[i * sum_stride + c];
      if (c < width)
        found_sum.push_back(value);
      else
        ASSERT_EQ(untouched, value) << "receiver " << i << ", column " << c;
      ASSERT_TRUE(count || c >= width || value == 0) << "receiver " << i << " has no edges";
    }
  }
  for (int64_t e = 0; e < capacity; e++)
    for (int c = 0; c < state_width; c++) {
      int64_t at = e * state_width + c;
      if (test.update && e < graph.edges)
        found_state.push_back(moved[at]);
      else
        ASSERT_EQ(state[at], moved[at]) << "edge " << e << " has no business here";
    }
  EXPECT_LT(worst_error(found_sum, sum), tolerance * device.coarseness());
  EXPECT_LT(worst_error(found_state, next), tolerance * device.coarseness());
}

} // namespace

class MessageTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES_AND_PRECISIONS(MessageTest);

/* Every choice there is, on a graph whose receivers mostly lie within a tile. */
TEST_P(MessageTest, AllChoices) {
  Device device(GetParam());
  for (int bits = 0; bits < 32; bits++) {
    SCOPED_TRACE(bits);
    Case test = {{{12, 40, 12}, {MOTE_RELU, MOTE_IDENTITY}, {}, false, bool(bits & 1)}, degrees(30, 9, bits)};
    test.update = bits & 2;
    test.mean = bits & 4;
    test.length = bits & 8;
    test.factor = bits & 16;
    test.loops = true;
    check(device, test, 10 * bits);
  }
}

/* Receivers that begin and end at a tile's border, lie across one or many, or have no edges at either end.
   The GPU's tiles have 16, 32 or 64 edges. */
TEST_P(MessageTest, ReceiversAcrossTiles) {
  Device device(GetParam());
  const std::vector<std::vector<int>> graphs = {
      {300},
      {0, 0, 300, 0},
      {64, 64, 64},
      {16, 16, 32, 64, 1},
      {63, 1, 2, 300, 5, 0, 61, 0},
      {1, 127, 0, 129, 0, 0, 7},
      {15, 2, 15},
      {31, 2, 40},
  };
  uint64_t stream = 1000;
  for (const std::vector<int> &degree : graphs)
    for (bool mean : {false, true}) {
      SCOPED_TRACE(testing::PrintToString(degree));
      Case test = {{{8, 24, 8}, {MOTE_RELU, MOTE_IDENTITY}, {}, false, true}, degree};
      test.mean = test.update = mean;
      test.length = !mean;
      check(device, test, stream += 10);
    }
}

TEST_P(MessageTest, NoEdgesNoReceiversAndOne) {
  Device device(GetParam());
  uint64_t stream = 1500;
  for (const std::vector<int> &degree : std::vector<std::vector<int>>{{}, {0}, {0, 0, 0}, {1}, {0, 1}}) {
    SCOPED_TRACE(testing::PrintToString(degree));
    for (int64_t spare : {0, 100}) {
      Case test = {{{5, 9, 5}, {MOTE_RELU, MOTE_IDENTITY}, {}}, degree};
      test.mean = test.update = true;
      test.spare = spare;
      check(device, test, stream += 10);
    }
  }
}

/* The capacity may be far beyond the edges. */
TEST_P(MessageTest, MoreCapacityThanEdges) {
  Device device(GetParam());
  uint64_t stream = 1700;
  for (int64_t spare : {0, 1, 64, 1000}) {
    Case test = {{{4, 32, 16}, {MOTE_GELU, MOTE_IDENTITY}, {}}, degrees(40, 8, stream)};
    test.spare = spare;
    test.factor = test.mean = true;
    check(device, test, stream += 10);
  }
}

/* Widths of the models: GNS, GIOROM, a kernel on pairs; and odd ones. */
TEST_P(MessageTest, Widths) {
  Device device(GetParam());
  const std::vector<mote_activation> relu = {MOTE_RELU, MOTE_RELU, MOTE_IDENTITY};
  const std::vector<Shape> shapes = {
      {{128, 128, 128, 128}, relu, {}, false, true},
      {{4, 32, 16}, {MOTE_GELU, MOTE_IDENTITY}, {}},
      {{1, 3, 1}, {MOTE_RELU, MOTE_IDENTITY}, {}},
      {{37, 100, 37}, {MOTE_GELU}, {1}, false, true},
      {{3, 130}, {MOTE_IDENTITY}, {}},
      {{100, 256, 300}, {MOTE_RELU, MOTE_IDENTITY}, {}, false, true},
      {{16, 20, 20, 20, 20, 16}, {MOTE_GELU}, {1, 2, 3}},
  };
  uint64_t stream = 2000;
  for (const Shape &shape : shapes) {
    Case test = {shape, degrees(12, 14, stream)};
    if (shape.residual.size() == 1) test.shape.residual = {};
    test.update = shape.width[0] == shape.width.back();
    test.mean = true;
    check(device, test, stream += 10);
  }
}

namespace {

/* A pass, for what is asked of it beside its values. */
struct Pass {
  Graph graph;
  Network network;
  Array<int32_t> offsets, senders, receiver;
  Array<float> state, a, b, length, sum;
  mote_edges edges;
  mote_message_block block;
  mote_buffer scratch = {};
  Pass(Device &device, std::vector<int> degree)
      : graph(degree, int64_t(degree.size()), 5, true),
        network(device, {{12, 40, 12}, {MOTE_RELU, MOTE_IDENTITY}, {}, false, true}, 3000),
        offsets(device, graph.offsets), senders(device, graph.senders), receiver(device, graph.receiver),
        state(device, noise((graph.edges + 5) * 12, 1)), a(device, noise(degree.size() * 40, 2)),
        b(device, noise(degree.size() * 40, 3)), length(device, std::vector<float>(graph.edges + 5, 0.5f)),
        sum(device, degree.size() * 12),
        edges{int64_t(degree.size()), graph.edges + 5, offsets, senders, receiver}, block{network.mlp, 1, 1} {
  }
  ~Pass() { mote_buffer_free(&scratch); }
  mote_status run(mote_stream *stream) {
    return stream->device->message->pass(stream, &edges, &block, state, state, {a.data(), 40, 40},
                                         {b.data(), 40, 40}, length, {}, sum, 12, &scratch);
  }
  std::vector<float> result() {
    std::vector<float> all = sum.host(), more = state.host();
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

const std::vector<int> mixed = {3, 0, 100, 20, 0, 0, 45, 64, 64, 10, 0};

} // namespace

TEST_P(MessageTest, SameBitsWhateverTheThreads) {
  mote_test::expect_reproducible(GetParam(), [](Device &device) {
    Pass pass(device, mixed);
    MOTE_EXPECT_OK(pass.run(device.stream));
    return pass.result();
  });
}

/* Enough receivers that the CPU's threads share them. */
TEST_P(MessageTest, SameBitsWhateverTheThreadsOfManyRanges) {
  mote_test::expect_reproducible(GetParam(), [](Device &device) {
    Pass pass(device, degrees(120, 60, 5));
    MOTE_EXPECT_OK(pass.run(device.stream));
    return pass.result();
  });
}

TEST_P(MessageTest, CanBeReplayed) {
  Device device(GetParam());
  Pass pass(device, mixed);
  std::vector<float> state = pass.state.host();
  mote_test::expect_replayable(
      device, [&](mote_stream *stream) { return pass.run(stream); },
      [&] {
        MOTE_ASSERT_OK(mote_upload(device.stream, pass.state, state.data(), state.size() * sizeof(float)));
        MOTE_ASSERT_OK(mote_fill_bytes(device.stream, pass.sum, 0x7f, mixed.size() * 12 * sizeof(float)));
      },
      [&] { return pass.result(); });
}
