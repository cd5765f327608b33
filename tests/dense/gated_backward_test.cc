/* The reverse of gated experts against a float64 one, which is checked against finite differences. */
#include "tests/support/trainable.h"

using mote_test::Arena;
using mote_test::Array;
using mote_test::Chain64;
using mote_test::Device;
using mote_test::noise;
using mote_test::Norm64;
using mote_test::Shape;
using mote_test::Vector;
using mote_test::worst_error;

namespace {

const double tolerance = 2e-5; /* as in dense_backward_test.cc */

/* norm(sum over e of softmax(logits)_e mlp_e(x)), a row at a time. */
struct Gated64 {
  std::vector<Chain64> expert;
  Norm64 norm;
  Gated64(int experts, const Shape &shape, bool with_norm, uint64_t stream) {
    for (int e = 0; e < experts; e++) expert.push_back(Chain64(shape, stream + uint64_t(e)));
    if (with_norm) norm = Norm64(shape.width.back(), stream + 50);
  }
  static Vector gates(const Vector &logits) {
    Vector gate;
    double sum = 0;
    for (double l : logits) gate.push_back(std::exp(l)), sum += gate.back();
    for (double &g : gate) g /= sum;
    return gate;
  }
  Vector sum(const Vector &x, const Vector &logits, std::vector<Vector> *each = nullptr) const {
    Vector gate = gates(logits), total;
    for (size_t e = 0; e < expert.size(); e++) {
      Vector y = expert[e].forward(x);
      total.resize(y.size());
      for (size_t c = 0; c < y.size(); c++) total[c] += gate[e] * y[c];
      if (each) each->push_back(y);
    }
    return total;
  }
  Vector forward(const Vector &x, const Vector &logits) const { return norm.forward(sum(x, logits)); }
  void backward(const Vector &x, const Vector &logits, const Vector &d_out, Vector &d_x, Vector &d_logits) {
    std::vector<Vector> y;
    Vector gate = gates(logits), d = norm.backward(sum(x, logits, &y), d_out), by_gate(expert.size());
    double mean = 0;
    d_x.assign(x.size(), 0);
    for (size_t e = 0; e < expert.size(); e++) {
      Vector part(d);
      for (size_t c = 0; c < d.size(); c++) by_gate[e] += d[c] * y[e][c], part[c] *= gate[e];
      mean += gate[e] * by_gate[e];
      part = expert[e].backward(x, part);
      for (size_t k = 0; k < x.size(); k++) d_x[k] += part[k];
    }
    d_logits.clear();
    for (size_t e = 0; e < expert.size(); e++) d_logits.push_back(gate[e] * (by_gate[e] - mean));
  }
};

struct Call {
  int experts;
  int64_t n, count = -1;
  bool norm = true, d_a = true, d_logits = true;
};

/* A call on a device and its outcome. */
struct Reverse {
  Gated64 gated;
  Call call;
  int in, width, k;
  Arena memory;
  std::vector<mote_mlp> mlp;
  std::vector<float> a, logit, d, before_a, before_logit;
  Array<float> as, logits, ds, d_a, d_logits;
  Array<int32_t> count;
  mote_arena arena = {};
  mote_norm norm = {};
  mote_buffer scratch = {};

  Reverse(Device &device, const Shape &shape, const Call &call, uint64_t stream)
      : gated(call.experts, shape, call.norm, stream), call(call), in(shape.width[0]),
        width(shape.width.back()), k(call.experts), memory(device), a(noise(call.n * (in + 1), stream + 1)),
        logit(noise(call.n * (k + 2), stream + 2, 1.5)), d(noise(call.n * (width + 1), stream + 3)),
        before_a(noise(call.n * (in + 2), stream + 4)), before_logit(noise(call.n * (k + 1), stream + 5)),
        as(device, a), logits(device, logit), ds(device, d), d_a(device, before_a),
        d_logits(device, before_logit), count(device, std::vector<int32_t>{int32_t(call.count)}) {
    for (Chain64 &chain : gated.expert) memory.add(chain);
    if (call.norm) memory.add(gated.norm);
    arena = memory.upload();
    for (Chain64 &chain : gated.expert) mlp.push_back(memory.mlp(chain));
    if (call.norm) norm = memory.norm(gated.norm);
  }
  ~Reverse() { mote_buffer_free(&scratch); }
  mote_status run(mote_stream *stream) {
    return stream->device->dense->gated_backward(
        stream, call.n, call.count >= 0 ? count.data() : nullptr, k, mlp.data(), &arena,
        {as.data(), in, in + 1}, {logits.data(), k, k + 2}, norm, {ds.data(), width, width + 1},
        {call.d_a ? d_a.data() : nullptr, in + 2}, {call.d_logits ? d_logits.data() : nullptr, k + 1},
        &scratch);
  }
  std::vector<float> result() {
    std::vector<float> all = memory.gradients();
    for (Array<float> *rows : {&d_a, &d_logits}) {
      std::vector<float> more = rows->host();
      all.insert(all.end(), more.begin(), more.end());
    }
    return all;
  }
};

Vector row_of(const std::vector<float> &x, int64_t r, int stride, int width) {
  return Vector(x.begin() + r * stride, x.begin() + r * stride + width);
}

void compare(const std::vector<float> &found, const std::vector<float> &before, int stride, int width,
             int64_t n, const std::vector<Vector> &expected) {
  std::vector<float> part;
  Vector reference;
  for (size_t i = 0; i < found.size(); i++) {
    int64_t r = int64_t(i) / stride;
    int c = int(int64_t(i) % stride);
    if (r < n && c < width) {
      part.push_back(found[i] - before[i]);
      reference.push_back(expected[r][c]);
    } else {
      ASSERT_EQ(before[i], found[i]) << "row " << r << ", column " << c << " is no result";
    }
  }
  EXPECT_LT(worst_error(part, reference), tolerance);
}

void check(Device &device, const Shape &shape, const Call &call, uint64_t stream) {
  Reverse reverse(device, shape, call, stream);
  MOTE_ASSERT_OK(reverse.run(device.stream));
  const int64_t n = call.count >= 0 ? std::min(call.count, call.n) : call.n;
  const int in = reverse.in, k = reverse.k, width = reverse.width;
  std::vector<Vector> d_a(n), d_logits(n);
  for (int64_t r = 0; r < n; r++)
    reverse.gated.backward(row_of(reverse.a, r, in + 1, in), row_of(reverse.logit, r, k + 2, k),
                           row_of(reverse.d, r, width + 1, width), d_a[r], d_logits[r]);
  reverse.memory.check(tolerance);
  compare(reverse.d_a.host(), reverse.before_a, in + 2, in, call.d_a ? n : 0, d_a);
  compare(reverse.d_logits.host(), reverse.before_logit, k + 1, k, call.d_logits ? n : 0, d_logits);
}

} // namespace

TEST(Gated64, IsItsOwnDifferences) {
  Gated64 gated(3, {{5, 7, 4}, {MOTE_GELU, MOTE_IDENTITY}, {}}, true, 1);
  Vector x = mote_test::widened(noise(5, 2)), logits = mote_test::widened(noise(3, 3)),
         d_out = mote_test::widened(noise(4, 4)), d_x, d_logits;
  gated.backward(x, logits, d_out, d_x, d_logits);
  auto compare_all = [&](Vector &values, const Vector &gradient) {
    for (size_t i = 0; i < values.size(); i++) {
      const double at = values[i], step = 1e-5;
      double difference = 0;
      for (int side : {1, -1}) {
        values[i] = at + side * step;
        Vector y = gated.forward(x, logits);
        for (size_t c = 0; c < y.size(); c++) difference += side * y[c] * d_out[c] / (2 * step);
      }
      values[i] = at;
      ASSERT_NEAR(difference, gradient[i], 1e-7) << i;
    }
  };
  compare_all(x, d_x);
  compare_all(logits, d_logits);
  compare_all(gated.norm.weight, gated.norm.d_weight);
  for (Chain64 &chain : gated.expert) {
    compare_all(chain.weight[0], chain.d_weight[0]);
    compare_all(chain.bias[1], chain.d_bias[1]);
  }
}

class GatedBackwardTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES_AND_PRODUCTS(GatedBackwardTest);

TEST_P(GatedBackwardTest, OneToThreeExpertsAndTheMost) {
  Device device(GetParam());
  for (int experts : {1, 2, 3, MOTE_MOST_GATED}) {
    SCOPED_TRACE(experts);
    check(device, {{37, 20, 18}, {MOTE_GELU, MOTE_IDENTITY}, {}}, {experts, 50}, 100 * experts);
  }
}

TEST_P(GatedBackwardTest, NormsCountsDepthsAndSinks) {
  Device device(GetParam());
  uint64_t stream = 1000;
  for (int bits = 0; bits < 16; bits++)
    for (int64_t n : {0, 1, 48, 70}) {
      SCOPED_TRACE(testing::Message() << bits << " " << n);
      Shape shape = {{16, 20}, {MOTE_GELU}, {}};
      if (bits & 4) shape = {{16, 24, 24, 20}, {MOTE_RELU}, {1}};
      Call call = {2, n};
      call.norm = bits & 1;
      call.count = bits & 2 ? n / 2 : -1;
      call.d_a = bits & 8;
      call.d_logits = !(bits & 8) || bits & 1;
      check(device, shape, call, stream += 100);
    }
}

TEST_P(GatedBackwardTest, SeveralChunks) {
  Device device(GetParam());
  const int64_t n = mote_test::is_cpu(GetParam()) ? 2 * MOTE_GRADIENT_ROWS + 100 : 300;
  check(device, {{17, 20}, {MOTE_GELU}, {}}, {3, n}, 9000);
}

TEST_P(GatedBackwardTest, SameBitsWhateverTheThreads) {
  const int64_t n = mote_test::is_cpu(GetParam()) ? 4 * MOTE_GRADIENT_ROWS + 100 : 200;
  mote_test::expect_reproducible(GetParam(), [&](Device &device) {
    Reverse reverse(device, {{12, 20, 17}, {MOTE_GELU}, {}}, {3, n}, 9100);
    MOTE_EXPECT_OK(reverse.run(device.stream));
    return reverse.result();
  });
}

TEST_P(GatedBackwardTest, CanBeReplayed) {
  Device device(GetParam());
  Reverse reverse(device, {{12, 20, 17}, {MOTE_GELU}, {}}, {3, 90, 80}, 9200);
  mote_test::expect_replayable(
      device, [&](mote_stream *stream) { return reverse.run(stream); },
      [&] {
        reverse.memory.forget();
        MOTE_ASSERT_OK(mote_upload(device.stream, reverse.d_a, reverse.before_a.data(),
                                   reverse.before_a.size() * sizeof(float)));
        MOTE_ASSERT_OK(mote_upload(device.stream, reverse.d_logits, reverse.before_logit.data(),
                                   reverse.before_logit.size() * sizeof(float)));
      },
      [&] { return reverse.result(); });
}
