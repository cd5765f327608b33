/* The reverse of chains of layers against the float64 one, which is checked against finite differences. */
#include "tests/support/trainable.h"

using mote_test::Arena;
using mote_test::Array;
using mote_test::Chain64;
using mote_test::Device;
using mote_test::Kept;
using mote_test::noise;
using mote_test::Shape;
using mote_test::Vector;
using mote_test::worst_error;

namespace {

/* As in dense_test.cc: three products a layer of about 6e-8 sqrt(k) / 4 each, sums over rows the same, and
   what is in the gradients before is rounded with them. */
const double tolerance = 2e-5;

const std::vector<mote_activation> relu = {MOTE_RELU, MOTE_RELU, MOTE_IDENTITY};
const std::vector<mote_activation> gelu = {MOTE_GELU};

struct Call {
  int64_t n = 0, count = -1;
  int b = 0;
  bool d_a = true, d_b = true;
  bool in_place = false; /* d_a is where d_out is */
};

std::vector<double> row_of(const std::vector<float> &x, int64_t r, int stride, int width) {
  return Vector(x.begin() + r * stride, x.begin() + r * stride + width);
}

/* Rows that were to be added to; those from n on and columns behind the width are as before. */
void compare(const std::vector<float> &found, const std::vector<float> &before, int stride, int first,
             int width, int64_t n, const std::vector<Vector> &expected) {
  std::vector<float> part;
  Vector reference;
  for (size_t i = 0; i < found.size(); i++) {
    int64_t r = int64_t(i) / stride;
    int c = int(int64_t(i) % stride);
    if (r < n && c < width) {
      part.push_back(found[i] - before[i]);
      reference.push_back(expected[r][first + c]);
    } else {
      ASSERT_EQ(before[i], found[i]) << "row " << r << ", column " << c << " is no result";
    }
  }
  EXPECT_LT(worst_error(part, reference), tolerance);
}

/* Whether the chain can keep its values. */
bool check(Device &device, const Shape &shape, const Call &call, uint64_t stream, bool keeping) {
  Chain64 chain(shape, stream);
  Arena memory(device);
  memory.add(chain);
  mote_arena arena = memory.upload();
  mote_mlp mlp = memory.mlp(chain);
  const int in = shape.width[0], out = shape.width.back(), a_width = in - call.b, b_width = call.b;
  const int a_stride = a_width + 2, b_stride = b_width + 1, out_stride = out + 2;
  std::vector<float> a = noise(call.n * a_stride, stream + 1), b = noise(call.n * b_stride, stream + 2);
  std::vector<float> d_out = noise(call.n * out_stride, stream + 3);
  std::vector<float> d_a = noise(call.n * a_stride, stream + 4), d_b = noise(call.n * b_stride, stream + 5);
  if (call.in_place) d_a = d_out;
  Array<float> as(device, a), bs(device, b), d_outs(device, d_out), d_as(device, d_a), d_bs(device, d_b);
  Array<int32_t> count(device, std::vector<int32_t>{int32_t(call.count)});
  mote_rows rows_b = {}, rows_out = {call.in_place ? d_as.data() : d_outs.data(), out, out_stride};
  if (b_width) rows_b = {bs.data(), b_width, b_stride};
  mote_sink to_a = {call.d_a ? d_as.data() : nullptr, a_stride};
  mote_sink to_b = {call.d_b && b_width ? d_bs.data() : nullptr, b_stride};
  mote_buffer scratch = {};
  const int32_t *counted = call.count >= 0 ? count.data() : nullptr;
  Kept kept(device, mlp, call.n);
  if (keeping) {
    Array<float> y(device, size_t(call.n * out));
    mlp.kept = kept.data();
    MOTE_EXPECT_OK(device->dense->mlp(device.stream, call.n, counted, &mlp, {as.data(), a_width, a_stride},
                                      rows_b, {}, y.data(), out));
  }
  MOTE_EXPECT_OK(device->dense->mlp_backward(device.stream, call.n, counted, &mlp, &arena,
                                             {as.data(), a_width, a_stride}, rows_b, rows_out, to_a, to_b,
                                             &scratch));
  std::vector<float> found_a = d_as.host(), found_b = d_bs.host();
  mote_buffer_free(&scratch);
  const int64_t n = call.count >= 0 ? std::min(call.count, call.n) : call.n;
  std::vector<Vector> expected;
  for (int64_t r = 0; r < n; r++) {
    Vector x = row_of(a, r, a_stride, a_width), more = row_of(b, r, b_stride, b_width);
    x.insert(x.end(), more.begin(), more.end());
    expected.push_back(chain.backward(x, row_of(d_out, r, out_stride, out)));
  }
  memory.check(tolerance);
  compare(found_a, d_a, a_stride, 0, a_width, call.d_a ? n : 0, expected);
  compare(found_b, d_b, b_stride, a_width, b_width, call.d_b ? n : 0, expected);
  return kept.any();
}

/* From values computed again, then from kept ones. */
bool check(Device &device, const Shape &shape, const Call &call, uint64_t stream) {
  return check(device, shape, call, stream, false) && check(device, shape, call, stream, true);
}

} // namespace

/* ---- The reference ---- */

/* Central differences with steps of 1e-5 are good to 1e-9 where the chain is smooth, and by the same where a
   ReLU is not at 0. */
TEST(Chain64, IsItsOwnDifferences) {
  const std::vector<Shape> shapes = {
      {{5, 7, 7, 3}, {MOTE_GELU, MOTE_GELU, MOTE_IDENTITY}, {1}, true, true},
      {{4, 6, 6}, {MOTE_RELU}, {1}, false, true},
      {{6, 6}, {MOTE_GELU}, {0}, true, false},
  };
  uint64_t stream = 1;
  for (const Shape &shape : shapes)
    for (bool started : {false, true}) {
      Chain64 chain(shape, stream++);
      Vector x = mote_test::widened(noise(shape.width[0], 11)),
             start = mote_test::widened(noise(shape.width[1], 12)),
             d_out = mote_test::widened(noise(shape.width.back(), 13)), d_start(start.size());
      Vector *from = started ? &start : nullptr;
      Vector d_x = chain.backward(x, d_out, from, &d_start);
      auto loss = [&] {
        Vector y = chain.forward(x, from);
        double sum = 0;
        for (size_t c = 0; c < y.size(); c++) sum += y[c] * d_out[c];
        return sum;
      };
      auto compare_all = [&](Vector &values, const Vector &gradient) {
        for (size_t i = 0; i < values.size(); i++) {
          const double at = values[i], step = 1e-5;
          values[i] = at + step;
          double above = loss();
          values[i] = at - step;
          double below = loss();
          values[i] = at;
          ASSERT_NEAR((above - below) / (2 * step), gradient[i], 1e-7) << i;
        }
      };
      compare_all(x, d_x);
      if (started) compare_all(start, d_start);
      for (int l = 0; l < chain.layers(); l++) {
        compare_all(chain.weight[l], chain.d_weight[l]);
        compare_all(chain.bias[l], chain.d_bias[l]);
      }
      for (mote_test::Norm64 *norm : {&chain.before, &chain.behind}) {
        compare_all(norm->weight, norm->d_weight);
        compare_all(norm->bias, norm->d_bias);
      }
    }
}

/* ---- The kernels ---- */

class DenseBackwardTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES_AND_PRODUCTS(DenseBackwardTest);

TEST_P(DenseBackwardTest, OneLayerOfAnyWidths) {
  Device device(GetParam());
  uint64_t stream = 1000;
  for (int in : {1, 3, 17, 40, 128})
    for (int out : {1, 3, 17, 40, 128}) {
      SCOPED_TRACE(testing::Message() << in << " -> " << out);
      check(device, {{in, out}, {MOTE_IDENTITY}, {}}, {21}, stream += 10);
    }
}

TEST_P(DenseBackwardTest, ActivationsNormsAndResiduals) {
  Device device(GetParam());
  uint64_t stream = 2000;
  const mote_activation all[] = {MOTE_IDENTITY, MOTE_RELU, MOTE_GELU};
  for (mote_activation hidden : all)
    for (mote_activation last : all)
      for (int bits = 0; bits < 8; bits++) {
        SCOPED_TRACE(testing::Message() << hidden << " " << last << " " << bits);
        Shape shape = {{20, 33, 33, 20}, {hidden, hidden, last}, {}, bool(bits & 1), bool(bits & 2)};
        if (bits & 4) shape.residual = {1};
        Call call = {19};
        call.in_place = bits == 5;
        check(device, shape, call, stream += 10);
      }
}

/* Residuals of the first and the last layer, where each touches the chain's ends. */
TEST_P(DenseBackwardTest, ResidualsAtTheEnds) {
  Device device(GetParam());
  uint64_t stream = 3000;
  for (mote_activation activation : {MOTE_IDENTITY, MOTE_RELU, MOTE_GELU})
    for (int bits = 0; bits < 4; bits++) {
      Shape shape = {{18, 18, 18}, {activation}, {0, 1}, bool(bits & 1), bool(bits & 2)};
      check(device, shape, {20}, stream += 10);
    }
}

TEST_P(DenseBackwardTest, ChainsOfOneToFiveLayersOfAllWidths) {
  Device device(GetParam());
  check(device, {{128, 300}, gelu, {}, true, true}, {9}, 4000);
  check(device, {{3, 128, 1}, {MOTE_GELU, MOTE_IDENTITY}, {}, true, false}, {33}, 4010);
  check(device, {{256, 128, 128, 128}, relu, {}, false, true}, {17}, 4020);
  check(device, {{17, 40, 128, 3}, gelu, {}}, {50}, 4030);
  check(device, {{30, 130, 130, 130, 130, 8}, gelu, {1, 2, 3}, false, true}, {18}, 4040);
  check(device, {{768, 768, 1}, {MOTE_RELU, MOTE_IDENTITY}, {0}, true, false}, {3}, 4050);
}

TEST_P(DenseBackwardTest, RowsAtTheBordersOfTilesFromBothSources) {
  Device device(GetParam());
  uint64_t stream = 5000;
  for (int64_t n : {0, 1, 5, 6, 7, 12, 16, 17, 47, 48, 49, 64, 65, 200}) {
    SCOPED_TRACE(n);
    Call call = {n};
    call.b = 6;
    check(device, {{37, 20, 19}, {MOTE_RELU, MOTE_IDENTITY}, {}, true, true}, call, stream += 10);
  }
}

TEST_P(DenseBackwardTest, SinksThatAreNotWanted) {
  Device device(GetParam());
  uint64_t stream = 6000;
  for (bool before : {false, true})
    for (int bits = 0; bits < 4; bits++) {
      Call call = {30};
      call.b = 5;
      call.d_a = bits & 1;
      call.d_b = bits & 2;
      check(device, {{20, 33, 17}, gelu, {}, before, true}, call, stream += 10);
    }
}

TEST_P(DenseBackwardTest, RowsBehindTheCountAreLeft) {
  Device device(GetParam());
  uint64_t stream = 7000;
  for (int64_t count : {0, 1, 16, 17, 49, 50, 60}) {
    SCOPED_TRACE(count);
    Call call = {50, count};
    call.b = 3;
    check(device, {{16, 37}, gelu, {}, false, true}, call, stream += 10);
  }
}

/* More rows than are summed together, of the lengths at which a chunk ends. Norms are of rows so wide that
   among thousands none is so even that its deviation is all rounding. */
TEST_P(DenseBackwardTest, SeveralChunks) {
  Device device(GetParam());
  const int64_t chunk = MOTE_GRADIENT_ROWS;
  if (!mote_test::is_cpu(GetParam())) { /* whose chunks are shorter */
    check(device, {{17, 20, 20}, {MOTE_GELU, MOTE_IDENTITY}, {}, true, true}, {700}, 8000);
    return;
  }
  uint64_t stream = 8010;
  for (int64_t n : {int64_t(300), int64_t(1000), chunk, chunk + 1, 2 * chunk + 1, 4 * chunk + 900}) {
    check(device, {{17, 40, 40, 20}, {MOTE_GELU, MOTE_RELU, MOTE_IDENTITY}, {1}, true, true}, {n},
          stream += 10);
    check(device, {{17, 5}, relu, {}}, {n, n - 5}, stream += 10);
  }
}

namespace {

/* A call, for what is asked of it beside its values. */
struct Reverse {
  Chain64 chain;
  Arena memory;
  Array<float> a, d_out, d_a;
  int64_t n;
  mote_arena arena = {};
  mote_mlp mlp = {};
  mote_buffer scratch = {};
  Reverse(Device &device, int64_t n)
      : chain({{17, 40, 40, 12}, {MOTE_GELU, MOTE_RELU, MOTE_IDENTITY}, {1}, true, true}, 91), memory(device),
        a(device, noise(n * 17, 1)), d_out(device, noise(n * 12, 2)), d_a(device, noise(n * 17, 3)), n(n) {
    memory.add(chain);
    arena = memory.upload();
    mlp = memory.mlp(chain);
  }
  ~Reverse() { mote_buffer_free(&scratch); }
  mote_status run(mote_stream *stream, const int32_t *count) {
    return stream->device->dense->mlp_backward(stream, n, count, &mlp, &arena, {a.data(), 17, 17}, {},
                                               {d_out.data(), 12, 12}, {d_a.data(), 17}, {}, &scratch);
  }
  std::vector<float> result() {
    std::vector<float> all = memory.gradients(), more = d_a.host();
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

} // namespace

TEST_P(DenseBackwardTest, WhatIsKeptIsWhatIsReversed) {
  Device device(GetParam());
  EXPECT_EQ(mote_test::is_cpu(GetParam()), bool(device->dense->keeps));
  Call call;
  call.n = 100;
  EXPECT_EQ(bool(device->dense->keeps), check(device, {{9, 40, 24, 5}, relu, {}, false, true}, call, 1));
  call.n = 2 * MOTE_GRADIENT_ROWS + 5, call.count = MOTE_GRADIENT_ROWS + 49;
  check(device, {{32, 64, 16}, relu, {}}, call, 2);
  EXPECT_FALSE(check(device, {{9, 40, 24, 5}, gelu, {}, false, true}, call, 3)) << "wants slopes";
  EXPECT_FALSE(check(device, {{9, 40, 24, 5}, relu, {}, true, false}, call, 4)) << "wants what is normalised";
}

TEST_P(DenseBackwardTest, SameBitsWhateverTheThreads) {
  for (int64_t n : {int64_t(5 * MOTE_GRADIENT_ROWS + 100), int64_t(1000)}) {
    if (!mote_test::is_cpu(GetParam())) n = 300;
    mote_test::expect_reproducible(GetParam(), [&](Device &device) {
      Reverse reverse(device, n);
      MOTE_EXPECT_OK(reverse.run(device.stream, nullptr));
      return reverse.result();
    });
  }
}

TEST_P(DenseBackwardTest, CanBeReplayed) {
  Device device(GetParam());
  Reverse reverse(device, 90);
  Array<int32_t> count(device, std::vector<int32_t>{80});
  std::vector<float> d_a = noise(90 * 17, 3);
  mote_test::expect_replayable(
      device, [&](mote_stream *stream) { return reverse.run(stream, count); },
      [&] {
        reverse.memory.forget();
        MOTE_ASSERT_OK(mote_upload(device.stream, reverse.d_a, d_a.data(), d_a.size() * sizeof(float)));
      },
      [&] { return reverse.result(); });
}
