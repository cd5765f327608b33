/* The reverse of message passing against a float64 one, which is checked against finite differences. */
#include <functional>

#include "tests/message/pass64.h"

using mote_test::Arena;
using mote_test::Array;
using mote_test::Device;
using mote_test::Kept;
using mote_test::noise;
using mote_test::Pass64;
using mote_test::Shape;
using mote_test::Vector;
using mote_test::worst_error;

namespace {

typedef mote_test::PassCase Case;

/* As in dense_backward_test.cc: sums over edges in place of rows. */
const double tolerance = 2e-5;

const std::vector<mote_activation> relu = {MOTE_RELU, MOTE_RELU, MOTE_IDENTITY};

/* Rows on a device, `gap` floats apart, which are there to be read or to be added to. What is added to small
   gradients is small itself, or its rounding would be all that is measured. */
struct Rows {
  int width, stride;
  std::vector<float> before;
  Array<float> array;
  Rows(Device &device, const Vector &values, int width, int gap, int64_t rows)
      : width(width), stride(width + gap), before(noise(rows * stride, 55, 0.1)),
        array(device, spread(values)) {}
  mote_rows rows() { return {array.data(), width, stride}; }
  mote_sink sink(bool wanted) { return {wanted ? array.data() : nullptr, stride}; }

  /* To what was there, `expected` has been added. */
  void check(const Vector &expected, bool wanted, const char *what) {
    SCOPED_TRACE(what);
    std::vector<float> all = array.host(), found;
    Vector reference;
    for (size_t i = 0; i < all.size(); i++) {
      size_t r = i / size_t(stride), c = i % size_t(stride), at = r * size_t(width) + c;
      if (wanted && c < size_t(width) && at < expected.size()) {
        found.push_back(all[i] - before[i]);
        reference.push_back(expected[at]);
      } else {
        ASSERT_EQ(before[i], all[i]) << "row " << r << ", column " << c << " is no result";
      }
    }
    EXPECT_LT(worst_error(found, reference), tolerance);
  }

private:
  std::vector<float> &spread(const Vector &values) {
    for (size_t i = 0; i < values.size(); i++)
      before[i / size_t(width) * size_t(stride) + i % size_t(width)] = float(values[i]);
    return before;
  }
};

struct Sent {
  Array<int32_t> offsets, edge;
  mote_sent sent;
  Sent(Device &device, const mote_edges &edges, int64_t senders, mote_buffer *scratch)
      : offsets(device, size_t(senders + 1)),
        edge(device, size_t(edges.capacity)), sent{senders, offsets, edge} {
    MOTE_EXPECT_OK(device->message->group(device.stream, &edges, senders, offsets, edge, scratch));
  }
};

/* What stands behind is no index, or one that an earlier graph left. */
std::vector<int32_t> padded(std::vector<int32_t> x, int64_t spare, int32_t rest = 0x7fffffff) {
  x.resize(x.size() + size_t(spare), rest);
  return x;
}

void check(Device &device, const Case &test, uint64_t stream, bool keeping) {
  Pass64 pass(test, stream);
  Arena memory(device);
  memory.add(pass.chain);
  mote_arena arena = memory.upload();
  mote_message_block block = {memory.mlp(pass.chain), test.update, test.mean};
  block.mlp.layer[0].bias = nullptr; /* is no business of the kernel's */
  const int in = pass.in, width = pass.width, hidden = pass.hidden;
  const int64_t capacity = pass.edges + test.spare;
  Array<int32_t> offsets(device, pass.offsets), senders(device, padded(pass.sender, test.spare)),
      receiver(device, padded(pass.receiver, test.spare));
  mote_edges edges = {pass.receivers, capacity, offsets, senders, receiver};
  mote_buffer scratch = {};
  Sent sent(device, edges, pass.senders, &scratch);
  Rows state(device, pass.state, in, 0, capacity), a(device, pass.receiver_part, hidden, 1, pass.receivers),
      b(device, pass.sender_part, hidden, 3, pass.senders), length(device, pass.length, 1, 0, capacity),
      factor(device, pass.factor, width, 2, pass.senders),
      d_sum(device, pass.d_sum, width, 2, pass.receivers);
  Rows d_state(device, test.update ? pass.d_next : Vector(), in, 0, capacity),
      d_a(device, {}, hidden, 2, pass.receivers), d_b(device, {}, hidden, 1, pass.senders),
      d_length(device, {}, 1, 0, capacity), d_factor(device, {}, width, 1, pass.senders);
  mote_rows factors = {};
  if (test.factor) factors = factor.rows();
  Kept memory_kept(device, block.mlp, capacity);
  if (keeping) {
    Array<float> after(device, state.array.host()), sum(device, size_t(pass.receivers * width));
    block.mlp.kept = memory_kept.data();
    MOTE_ASSERT_OK(device->message->pass(device.stream, &edges, &block, after, after, a.rows(), b.rows(),
                                         test.length ? length.array.data() : nullptr, factors, sum, width,
                                         &scratch));
  }
  MOTE_ASSERT_OK(device->message->pass_backward(
      device.stream, &edges, &sent.sent, &block, &arena, state.array, a.rows(), b.rows(),
      test.length ? length.array.data() : nullptr, factors, d_sum.rows(),
      test.d_state ? d_state.array.data() : nullptr, d_a.sink(test.d_receiver), d_b.sink(test.d_sender),
      d_factor.sink(test.factor), test.length ? d_length.array.data() : nullptr, &scratch));
  std::vector<float> kept = state.array.host();
  mote_buffer_free(&scratch);
  pass.backward();
  for (int64_t k = 0; test.update && k < pass.edges * in; k++) pass.d_state[k] -= pass.d_next[k];
  memory.check(tolerance);
  d_state.check(pass.d_state, test.d_state, "states");
  d_a.check(pass.d_receiver, test.d_receiver, "receivers' parts");
  d_b.check(pass.d_sender, test.d_sender, "senders' parts");
  d_length.check(pass.d_length, test.length, "lengths");
  d_factor.check(pass.d_factor, test.factor, "senders' factors");
  mote_test::expect_same_bits(state.before, kept);
}

/* From values computed again, then from kept ones where the device keeps them. */
void check(Device &device, const Case &test, uint64_t stream) {
  check(device, test, stream, false);
  if (device->dense->keeps) check(device, test, stream, true);
}

std::vector<int> degrees(int64_t n, int most, uint64_t stream) {
  std::vector<int> d(n);
  for (int64_t i = 0; i < n; i++) d[i] = int(mote_random_below(9, stream, i, most + 1));
  return d;
}

} // namespace

/* ---- The reference ---- */

TEST(Pass64, IsItsOwnDifferences) {
  for (int bits = 0; bits < 16; bits++) {
    Case test = {{{4, 6, 4}, {MOTE_GELU, MOTE_IDENTITY}, {}, false, true}, {2, 0, 3, 1}};
    test.update = bits & 1;
    test.mean = bits & 2;
    test.length = bits & 4;
    test.factor = bits & 8;
    test.senders = 4;
    Pass64 pass(test, 1 + bits);
    pass.backward();
    auto compare_all = [&](Vector &values, const Vector &gradient) {
      for (size_t i = 0; i < values.size(); i++) {
        const double at = values[i], step = 1e-5;
        values[i] = at + step;
        double above = pass.loss();
        values[i] = at - step;
        double below = pass.loss();
        values[i] = at;
        ASSERT_NEAR((above - below) / (2 * step), gradient[i], 1e-7) << i;
      }
    };
    compare_all(pass.state, pass.d_state);
    compare_all(pass.receiver_part, pass.d_receiver);
    compare_all(pass.sender_part, pass.d_sender);
    if (test.length) compare_all(pass.length, pass.d_length);
    if (test.factor) compare_all(pass.factor, pass.d_factor);
    for (int l = 0; l < 2; l++) compare_all(pass.chain.weight[l], pass.chain.d_weight[l]);
    compare_all(pass.chain.bias[1], pass.chain.d_bias[1]);
  }
}

/* ---- The kernels ---- */

class MessageBackwardTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES_AND_PRODUCTS(MessageBackwardTest);

TEST_P(MessageBackwardTest, EdgesBySender) {
  Device device(GetParam());
  uint64_t stream = 1;
  for (int64_t senders : {1, 2, 40, 300})
    for (int64_t spare : {0, 5, 100})
      for (const std::vector<int> &degree :
           std::vector<std::vector<int>>{{}, {0}, {1}, {3, 0, 20, 90, 0, 7}}) {
        Case test = {{{1, 1}, {MOTE_IDENTITY}, {}}, degree};
        test.senders = senders;
        Pass64 pass(test, stream++);
        Array<int32_t> offsets(device, pass.offsets), from(device, padded(pass.sender, spare, 0)),
            to(device, padded(pass.receiver, spare));
        mote_edges edges = {pass.receivers, pass.edges + spare, offsets, from, to};
        mote_buffer scratch = {};
        Sent sent(device, edges, senders, &scratch);
        std::vector<int32_t> rows = sent.offsets.host(), edge = sent.edge.host();
        mote_buffer_free(&scratch);
        std::vector<int32_t> expected;
        ASSERT_EQ(0, rows[0]);
        for (int64_t s = 0; s < senders; s++) {
          for (int32_t e = 0; e < pass.edges; e++)
            if (pass.sender[e] == s) expected.push_back(e);
          ASSERT_EQ(int32_t(expected.size()), rows[s + 1]) << "sender " << s << " of " << senders;
        }
        for (size_t k = 0; k < expected.size(); k++) ASSERT_EQ(expected[k], edge[k]) << k;
      }
}

/* Every choice there is, on a graph with several tiles, some receivers without edges. */
TEST_P(MessageBackwardTest, AllChoices) {
  Device device(GetParam());
  for (int bits = 0; bits < 32; bits++) {
    SCOPED_TRACE(bits);
    Case test = {{{12, 40, 12}, {MOTE_RELU, MOTE_IDENTITY}, {}, false, bool(bits & 1)}, degrees(20, 9, bits)};
    test.update = bits & 2;
    test.mean = bits & 4;
    test.length = bits & 8;
    test.factor = bits & 16;
    check(device, test, 100 + 20 * bits);
  }
}

TEST_P(MessageBackwardTest, SinksThatAreNotWanted) {
  Device device(GetParam());
  for (int bits = 0; bits < 16; bits++) {
    SCOPED_TRACE(bits);
    Case test = {{{8, 24, 8}, {MOTE_GELU, MOTE_IDENTITY}, {}}, degrees(9, 9, bits)};
    test.update = bits & 1;
    test.d_state = bits & 2;
    test.d_receiver = bits & 4;
    test.d_sender = bits & 8;
    check(device, test, 2000 + 20 * bits);
  }
}

TEST_P(MessageBackwardTest, ReceiversAndSendersOfManyEdges) {
  Device device(GetParam());
  uint64_t stream = 3000;
  for (const std::vector<int> &degree : std::vector<std::vector<int>>{
           {}, {0}, {1}, {0, 1}, {300}, {0, 0, 300, 0}, {63, 1, 2, 200, 5, 0, 61, 0}, {48, 48}, {47, 2, 47}})
    for (int64_t senders : {1, 30}) {
      SCOPED_TRACE(testing::PrintToString(degree));
      Case test = {{{8, 24, 8}, {MOTE_RELU, MOTE_IDENTITY}, {}, false, true}, degree};
      test.mean = test.update = senders == 1;
      test.length = test.factor = true;
      test.senders = senders;
      test.spare = senders == 1 ? 0 : 100;
      check(device, test, stream += 20);
    }
}

/* Widths of the models: GNS, GIOROM, a kernel on pairs; and odd ones. */
TEST_P(MessageBackwardTest, Widths) {
  Device device(GetParam());
  const std::vector<Shape> shapes = {
      {{128, 128, 128, 128}, relu, {}, false, true},
      {{4, 32, 16}, {MOTE_GELU, MOTE_IDENTITY}, {}},
      {{1, 3, 1}, {MOTE_RELU, MOTE_IDENTITY}, {}},
      {{37, 100, 37}, {MOTE_GELU}, {}, false, true},
      {{3, 130}, {MOTE_IDENTITY}, {}},
      {{17, 40, 3}, {MOTE_RELU, MOTE_IDENTITY}, {}},
      {{16, 20, 20, 20, 20, 16}, {MOTE_GELU}, {1, 2, 3}},
      {{20, 20, 20}, {MOTE_RELU}, {0, 1}},
  };
  uint64_t stream = 4000;
  for (const Shape &shape : shapes) {
    Case test = {shape, degrees(9, 9, stream)};
    test.update = shape.width[0] == shape.width.back();
    test.mean = test.length = true;
    check(device, test, stream += 20);
  }
}

/* More edges than are summed together. */
TEST_P(MessageBackwardTest, SeveralChunks) {
  Device device(GetParam());
  const int64_t receivers = mote_test::is_cpu(GetParam()) ? MOTE_GRADIENT_ROWS / 2 : 60;
  Case test = {{{18, 20, 18}, {MOTE_GELU, MOTE_IDENTITY}, {}, false, true}, degrees(receivers, 10, 5)};
  test.update = test.mean = test.length = test.factor = true;
  test.senders = receivers;
  check(device, test, 5000);
}

namespace {

/* A pass, for what is asked of it beside its values. */
struct Reverse {
  Pass64 pass;
  Arena memory;
  Array<int32_t> offsets, senders, receiver;
  std::vector<std::vector<float>> before;
  std::vector<std::unique_ptr<Array<float>>> out; /* by state, receivers, senders, length, factor */
  Array<float> state, a, b, length, factor, d_sum;
  mote_edges edges;
  mote_arena arena = {};
  mote_message_block block = {};
  mote_buffer scratch = {};
  std::unique_ptr<Sent> sent;

  static Case choice(int64_t receivers) {
    Case test = {{{12, 40, 12}, {MOTE_RELU, MOTE_IDENTITY}, {}, false, true}, degrees(receivers, 12, 3)};
    test.update = test.mean = test.length = test.factor = true;
    test.senders = receivers;
    return test;
  }
  static std::vector<float> narrow(const Vector &x) { return std::vector<float>(x.begin(), x.end()); }
  Reverse(Device &device, int64_t receivers)
      : pass(choice(receivers), 6000), memory(device), offsets(device, pass.offsets),
        senders(device, pass.sender), receiver(device, pass.receiver), state(device, narrow(pass.state)),
        a(device, narrow(pass.receiver_part)), b(device, narrow(pass.sender_part)),
        length(device, narrow(pass.length)), factor(device, narrow(pass.factor)),
        d_sum(device, narrow(pass.d_sum)), edges{receivers, pass.edges, offsets, senders, receiver} {
    memory.add(pass.chain);
    arena = memory.upload();
    block = {memory.mlp(pass.chain), 1, 1};
    for (int64_t floats : {pass.edges * 12, receivers * 40, receivers * 40, pass.edges, receivers * 12}) {
      before.push_back(noise(floats, before.size()));
      out.push_back(std::make_unique<Array<float>>(device, before.back()));
    }
    sent = std::make_unique<Sent>(device, edges, receivers, &scratch);
  }
  ~Reverse() { mote_buffer_free(&scratch); }
  mote_status run(mote_stream *stream) {
    return stream->device->message->pass_backward(
        stream, &edges, &sent->sent, &block, &arena, state, {a.data(), 40, 40}, {b.data(), 40, 40}, length,
        {factor.data(), 12, 12}, {d_sum.data(), 12, 12}, *out[0], {out[1]->data(), 40}, {out[2]->data(), 40},
        {out[4]->data(), 12}, *out[3], &scratch);
  }
  std::vector<float> result() {
    std::vector<float> all = memory.gradients();
    for (auto &array : out) {
      std::vector<float> more = array->host();
      all.insert(all.end(), more.begin(), more.end());
    }
    return all;
  }
};

} // namespace

TEST_P(MessageBackwardTest, SameBitsWhateverTheThreads) {
  const int64_t receivers = mote_test::is_cpu(GetParam()) ? MOTE_GRADIENT_ROWS : 50;
  mote_test::expect_reproducible(GetParam(), [&](Device &device) {
    Reverse reverse(device, receivers);
    MOTE_EXPECT_OK(reverse.run(device.stream));
    return reverse.result();
  });
}

TEST_P(MessageBackwardTest, CanBeReplayed) {
  Device device(GetParam());
  Reverse reverse(device, 20);
  mote_test::expect_replayable(
      device,
      [&](mote_stream *stream) {
        MOTE_TRY(stream->device->message->group(stream, &reverse.edges, 20, reverse.sent->offsets,
                                                reverse.sent->edge, &reverse.scratch));
        return reverse.run(stream);
      },
      [&] {
        reverse.memory.forget();
        for (size_t k = 0; k < reverse.out.size(); k++)
          MOTE_ASSERT_OK(mote_upload(device.stream, *reverse.out[k], reverse.before[k].data(),
                                     reverse.before[k].size() * sizeof(float)));
      },
      [&] { return reverse.result(); });
}
