/* Gated experts against float64. */
#include "tests/support/network.h"

using mote_test::Array;
using mote_test::Device;
using mote_test::Network;
using mote_test::noise;
using mote_test::Shape;

namespace {

struct Experts {
  std::vector<std::unique_ptr<Network>> network;
  std::vector<mote_mlp> mlp;
  Experts(Device &device, int count, const Shape &shape, uint64_t stream) {
    for (int e = 0; e < count; e++) {
      network.push_back(std::make_unique<Network>(device, shape, stream * 10 + e));
      mlp.push_back(network.back()->mlp);
    }
  }
};

struct Call {
  int experts;
  int64_t n, count = -1;
  bool norm = true, residual = true, in_place = false;
};

void check(Device &device, const Shape &shape, const Call &call, uint64_t stream) {
  Experts experts(device, call.experts, shape, stream);
  const int in = shape.width[0], width = shape.width.back(), k = call.experts;
  const int64_t n = call.n;
  std::vector<float> x = noise(n * (in + 1), stream + 1), logit = noise(n * (k + 2), stream + 2, 3);
  std::vector<float> add = noise(n * (width + 1), stream + 3), norms;
  Array<float> xs(device, x), logits(device, logit), adds(device, add), out(device, add);
  mote_norm norm = {};
  if (call.norm) norm = experts.network[0]->norm(width, stream + 4, norms);
  Array<int32_t> count(device, std::vector<int32_t>{int32_t(call.count)});
  mote_rows residual = {};
  if (call.residual) residual = {call.in_place ? out.data() : adds.data(), width, width + 1};
  MOTE_ASSERT_OK(device->dense->gated(device.stream, n, call.count >= 0 ? count.data() : nullptr, k,
                                      experts.mlp.data(), {xs.data(), in, in + 1}, {logits.data(), k, k + 2},
                                      norm, residual, out, width + 1));
  std::vector<float> all = out.host(), found;
  std::vector<double> expected;
  for (int64_t r = 0; r < n; r++) {
    std::vector<double> sum(width, 0), row(&x[r * (in + 1)], &x[r * (in + 1) + in]);
    double total = 0;
    for (int e = 0; e < k; e++) total += std::exp(double(logit[r * (k + 2) + e]));
    for (int e = 0; e < k; e++) {
      std::vector<double> y = (*experts.network[e])(row);
      for (int c = 0; c < width; c++) sum[c] += std::exp(double(logit[r * (k + 2) + e])) / total * y[c];
    }
    if (call.norm) Network::normalize(norms, sum);
    bool computed = call.count < 0 || r < call.count;
    for (int c = 0; c <= width; c++) {
      int64_t at = r * (width + 1) + c;
      if (!computed || c == width) {
        ASSERT_EQ(add[at], all[at]) << "row " << r << ", column " << c << " is no result";
        continue;
      }
      found.push_back(all[at]);
      expected.push_back(call.residual ? sum[c] + add[at] : sum[c]);
    }
  }
  EXPECT_LT(mote_test::worst_error(found, expected), 1e-5 * device.coarseness()); /* as in dense_test.cc */
}

} // namespace

class GatedTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES_AND_PRECISIONS(GatedTest);

TEST_P(GatedTest, OneToThreeExpertsAndTheMost) {
  Device device(GetParam());
  for (int experts : {1, 2, 3, MOTE_MOST_GATED}) {
    SCOPED_TRACE(experts);
    check(device, {{37, 20, 18}, {MOTE_GELU, MOTE_IDENTITY}, {}}, {experts, 50}, 10 * experts);
  }
}

TEST_P(GatedTest, NormsResidualsCountsAndDepths) {
  Device device(GetParam());
  for (int bits = 0; bits < 8; bits++)
    for (int64_t n : {0, 1, 33, 70}) {
      SCOPED_TRACE(testing::Message() << bits << " " << n);
      Shape shape = {{16, 20}, {MOTE_GELU}, {}};
      if (bits & 4) shape = {{16, 24, 24, 20}, {MOTE_GELU}, {1}};
      Call call = {2, n};
      call.norm = bits & 1;
      call.residual = call.in_place = bits & 2;
      if (bits & 1) call.count = n * 2 / 3;
      check(device, shape, call, 100 + 10 * bits + uint64_t(n));
    }
}

/* The widths of a published model, whose tile leaves less room. */
TEST_P(GatedTest, WideExperts) {
  Device device(GetParam());
  check(device, {{256, 256, 256, 256}, {MOTE_GELU}, {1}}, {2, 40}, 900);
  check(device, {{300, 130}, {MOTE_RELU}, {}}, {3, 20}, 901);
}

TEST_P(GatedTest, SameBitsWhateverTheThreads) {
  mote_test::expect_reproducible(GetParam(), [](Device &device) {
    Experts experts(device, 2, {{20, 33, 37}, {MOTE_GELU}, {}}, 910);
    Array<float> x(device, noise(90 * 20, 911)), logits(device, noise(90 * 2, 912)), out(device, 90 * 37);
    MOTE_EXPECT_OK(device->dense->gated(device.stream, 90, nullptr, 2, experts.mlp.data(), {x.data(), 20, 20},
                                        {logits.data(), 2, 2}, {}, {}, out, 37));
    return out.host();
  });
}
