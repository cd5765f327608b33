/* Chains of layers and gated experts against float64, for widths and numbers of rows at and beside what tiles
   and panels are made of. */
#include "tests/support/network.h"

using mote_test::Array;
using mote_test::Device;
using mote_test::Network;
using mote_test::noise;
using mote_test::Shape;
using mote_test::worst_error;

namespace {

const float untouched = -1234.5f;

/* A sum of k products of order 1 / sqrt k is off by about 6e-8 sqrt(k) / 4; five layers of 300 inputs with a
   LayerNorm came to 2e-6 at most over all values of a test. */
const double tolerance = 1e-5;

/* What a call is given beside the chain; the rows of inputs and outputs lie apart in memory. */
struct Call {
  int64_t n = 0;
  int64_t count = -1; /* -1: not given */
  int b = 0;          /* of the inputs, this many come from the second source */
  bool residual = false, in_place = false;
};

/* Rows that are `gap` floats wider than what is used of them. */
struct Rows {
  std::vector<float> values;
  int width, stride;
  Array<float> array;
  Rows(Device &device, int64_t n, int width, int gap, uint64_t stream)
      : values(noise(n * (width + gap), stream)), width(width), stride(width + gap), array(device, values) {}
  mote_rows rows() { return {array.data(), width, stride}; }
  double at(int64_t r, int c) const { return values[r * stride + c]; }
};

/* Computed rows match `expected`, all else of `out` is as it was. */
void compare(const std::vector<float> &out, const std::vector<float> &before, int stride, int width,
             int64_t n, const std::vector<double> &expected, double bound) {
  std::vector<float> found;
  for (size_t i = 0; i < out.size(); i++) {
    int64_t r = int64_t(i) / stride;
    int c = int(int64_t(i) % stride);
    if (r < n && c < width)
      found.push_back(out[i]);
    else
      ASSERT_EQ(before[i], out[i]) << "row " << r << ", column " << c << " is no result";
  }
  EXPECT_LT(worst_error(found, expected), bound);
}

void check(Device &device, const Shape &shape, const Call &call, uint64_t stream) {
  Network network(device, shape, stream);
  int in = network.in(), width = network.out(), out_stride = width + 3;
  Rows a(device, call.n, in - call.b, 2, stream * 10 + 1), b(device, call.n, call.b, 1, stream * 10 + 2);
  Rows residual(device, call.n, width, 3, stream * 10 + 3);
  std::vector<float> before(call.n * out_stride, untouched);
  if (call.in_place) before = residual.values;
  Array<float> out(device, before);
  std::vector<int32_t> number = {int32_t(call.count)};
  Array<int32_t> count(device, number);
  mote_rows none = {}, add = residual.rows();
  if (call.in_place) add.data = out.data();
  MOTE_ASSERT_OK(device->dense->mlp(device.stream, call.n, call.count >= 0 ? count.data() : nullptr,
                                    &network.mlp, a.rows(), call.b ? b.rows() : none,
                                    call.residual ? add : none, out, out_stride));
  int64_t n = call.count >= 0 ? std::min(call.count, call.n) : call.n;
  std::vector<double> expected;
  for (int64_t r = 0; r < n; r++) {
    std::vector<double> x(in);
    for (int c = 0; c < in; c++) x[c] = c < a.width ? a.at(r, c) : b.at(r, c - a.width);
    x = network(x);
    for (int c = 0; c < width; c++) expected.push_back(call.residual ? x[c] + residual.at(r, c) : x[c]);
  }
  compare(out.host(), before, out_stride, width, n, expected, tolerance * device.coarseness());
}

} // namespace

class DenseTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES_AND_PRECISIONS(DenseTest);

TEST_P(DenseTest, OneLayerOfAnyWidths) {
  Device device(GetParam());
  uint64_t stream = 1;
  for (int in : {1, 3, 16, 37, 100, 128, 256, 300})
    for (int out : {1, 3, 16, 37, 100, 128, 256, 300}) {
      SCOPED_TRACE(testing::Message() << in << " -> " << out);
      check(device, {{in, out}, {MOTE_IDENTITY}, {}}, {5}, stream++);
    }
}

TEST_P(DenseTest, RowsAtTheBordersOfTilesFromBothSources) {
  Device device(GetParam());
  uint64_t stream = 100;
  for (int64_t n : {0, 1, 15, 16, 17, 31, 33, 47, 48, 49, 63, 64, 65, 300}) {
    SCOPED_TRACE(n);
    Call call = {n};
    call.b = 6;
    check(device, {{37, 20, 19}, {MOTE_RELU, MOTE_IDENTITY}, {}, true, true}, call, stream++);
  }
}

TEST_P(DenseTest, ActivationsNormsAndResiduals) {
  Device device(GetParam());
  uint64_t stream = 200;
  const mote_activation all[] = {MOTE_IDENTITY, MOTE_RELU, MOTE_GELU};
  for (mote_activation hidden : all)
    for (mote_activation last : all)
      for (int bits = 0; bits < 16; bits++) {
        SCOPED_TRACE(testing::Message() << hidden << " " << last << " " << bits);
        Shape shape = {{20, 33, 33, 20}, {hidden, hidden, last}, {}, bool(bits & 1), bool(bits & 2)};
        if (bits & 4) shape.residual = {1};
        Call call = {19};
        call.residual = bits & 8;
        call.in_place = call.residual && bits & 1;
        check(device, shape, call, stream++);
      }
}

TEST_P(DenseTest, ChainsOfOneToFiveLayersOfAllWidths) {
  Device device(GetParam());
  check(device, {{128, 300}, {MOTE_GELU}, {}, true, true}, {9}, 301);
  check(device, {{3, 128, 1}, {MOTE_GELU, MOTE_IDENTITY}, {}, true, false}, {33}, 302);
  check(device, {{256, 128, 128, 128}, {MOTE_RELU, MOTE_RELU, MOTE_IDENTITY}, {}, false, true}, {17}, 303);
  check(device, {{16, 100, 256, 37, 3}, {MOTE_GELU}, {}}, {20}, 304);
  check(device, {{30, 256, 256, 256, 256, 8}, {MOTE_GELU}, {1, 2, 3}, false, true}, {18}, 305);
  check(device, {{768, 768, 1}, {MOTE_RELU, MOTE_IDENTITY}, {0}, true, false}, {3}, 306);
}

TEST_P(DenseTest, RowsBehindTheCountAreLeft) {
  Device device(GetParam());
  uint64_t stream = 400;
  for (int64_t count : {0, 1, 16, 17, 49, 50, 60}) {
    SCOPED_TRACE(count);
    Call call = {50, count};
    call.residual = call.in_place = count % 2;
    check(device, {{16, 37}, {MOTE_GELU}, {}, false, true}, call, stream++);
  }
}

/* Widths at which the GPU's tiles have 64, 32 and 16 rows, for as many rows as the emulated device takes for
   many. */
TEST_P(DenseTest, TilesOfManyRows) {
  Device device(GetParam());
  Call call = {190, 187};
  call.b = 2;
  call.residual = call.in_place = true;
  check(device, {{18, 33, 20}, {MOTE_GELU}, {}, true, true}, call, 501);
  check(device, {{5, 140, 140}, {MOTE_RELU}, {1}}, {129}, 502);
  check(device, {{6, 500}, {MOTE_RELU}, {}}, {100}, 503);
  check(device, {{700, 700, 2}, {MOTE_RELU}, {}}, {70}, 504);
}

/* A row alone and the same among so many that the tile is another one: the same bits. */
TEST_P(DenseTest, RowsDoNotDependOnTheirTile) {
  Device device(GetParam());
  Network network(device, {{7, 50, 20}, {MOTE_GELU}, {}, true, true}, 601);
  for (int64_t n : {40, 200}) {
    Rows all(device, n, 7, 0, 602);
    Array<float> out(device, n * 20), one(device, 20);
    MOTE_ASSERT_OK(device->dense->mlp(device.stream, n, nullptr, &network.mlp, all.rows(), {}, {}, out, 20));
    std::vector<float> expected = out.host();
    for (int64_t r : {int64_t(0), int64_t(1), int64_t(37), n - 1}) {
      mote_rows row = {all.array.data() + r * 7, 7, 7};
      MOTE_ASSERT_OK(device->dense->mlp(device.stream, 1, nullptr, &network.mlp, row, {}, {}, one, 20));
      std::vector<float> found = one.host();
      for (int c = 0; c < 20; c++) ASSERT_EQ(expected[r * 20 + c], found[c]) << r << " " << c;
    }
  }
}

/* LayerNorm of few values divides by a deviation that may be small beside them, so the error is measured
   after it is multiplied by what multiplied it. */
TEST_P(DenseTest, NormsOfNarrowRows) {
  Device device(GetParam());
  for (int width : {1, 2, 3, 5}) {
    const int64_t n = 70;
    Network network(device, {{width, width}, {MOTE_IDENTITY}, {}, true, false}, 700 + width);
    Rows rows(device, n, width, 1, 710 + width);
    Array<float> out(device, n * width);
    MOTE_ASSERT_OK(
        device->dense->mlp(device.stream, n, nullptr, &network.mlp, rows.rows(), {}, {}, out, width));
    std::vector<float> found = out.host();
    for (int64_t r = 0; r < n; r++) {
      std::vector<double> x(width);
      double mean = 0, square = 0;
      for (int c = 0; c < width; c++) x[c] = rows.at(r, c), mean += x[c] / width;
      for (double v : x) square += (v - mean) * (v - mean) / width;
      std::vector<double> expected = network(x);
      for (int c = 0; c < width; c++)
        ASSERT_NEAR(expected[c], found[r * width + c],
                    1e-6 * (10 * device.coarseness() + std::fabs(mean) / std::sqrt(square + 1e-5)))
            << r << " of " << width;
    }
  }
}

TEST_P(DenseTest, SameBitsWhateverTheThreads) {
  mote_test::expect_reproducible(GetParam(), [](Device &device) {
    Network network(device, {{40, 130, 37, 130}, {MOTE_GELU, MOTE_RELU}, {}, true, true}, 801);
    Rows a(device, 150, 40, 0, 802), residual(device, 150, 130, 0, 803);
    Array<float> out(device, 150 * 130);
    MOTE_EXPECT_OK(device->dense->mlp(device.stream, 150, nullptr, &network.mlp, a.rows(), {},
                                      residual.rows(), out, 130));
    return out.host();
  });
}

TEST_P(DenseTest, CanBeReplayed) {
  Device device(GetParam());
  Network network(device, {{40, 130, 20}, {MOTE_GELU}, {}, true, true}, 811);
  Rows a(device, 90, 40, 0, 812);
  Array<float> out(device, 90 * 20);
  Array<int32_t> count(device, std::vector<int32_t>{80});
  mote_test::expect_replayable(
      device,
      [&](mote_stream *stream) {
        return device->dense->mlp(stream, 90, count, &network.mlp, a.rows(), {}, {}, out, 20);
      },
      [&] { MOTE_ASSERT_OK(mote_fill_bytes(device.stream, out, 0, 90 * 20 * sizeof(float))); },
      [&] { return out.host(); });
}

/* Two layers of the same input, the second from columns of a wider matrix, stacked into one. */
TEST_P(DenseTest, LayersStackIntoOne) {
  Device device(GetParam());
  const int in = 21, outs[] = {18, 25}, columns[] = {in, 40}, first[] = {0, 13};
  const int out = outs[0] + outs[1];
  std::vector<float> packed(mote_linear_floats(in, out)), bias(mote_panels(out) * MOTE_PANEL), weight[2];
  for (int k = 0, row = 0; k < 2; row += outs[k++]) {
    weight[k] = noise(outs[k] * columns[k], 821 + k);
    mote_linear_pack(in, outs[k], weight[k].data(), columns[k], first[k], row, packed.data());
  }
  Rows x(device, 30, in, 0, 823);
  Array<float> weights(device, packed), biases(device, bias), y(device, 30 * out);
  mote_mlp mlp = {};
  mlp.layers = 1;
  mlp.layer[0] = {in, out, weights, biases, MOTE_IDENTITY, 0, {}};
  MOTE_ASSERT_OK(device->dense->mlp(device.stream, 30, nullptr, &mlp, x.rows(), {}, {}, y, out));
  std::vector<double> expected;
  for (int r = 0; r < 30; r++)
    for (int k = 0; k < 2; k++)
      for (int o = 0; o < outs[k]; o++) {
        double sum = 0;
        for (int c = 0; c < in; c++) sum += x.at(r, c) * weight[k][o * columns[k] + first[k] + c];
        expected.push_back(sum);
      }
  EXPECT_LT(worst_error(y.host(), expected), tolerance * device.coarseness());
}

/* The GPU copies weights 16 bytes at a time; the CPU takes them as they are. */
TEST_P(DenseTest, WeightsOutOfLineAreRefused) {
  Device device(GetParam());
  if (mote_test::is_cpu(GetParam())) return;
  Network network(device, {{16, 16}, {MOTE_RELU}, {}}, 901);
  Rows x(device, 4, 16, 0, 902);
  Array<float> y(device, 4 * 16);
  network.mlp.layer[0].weight += 1;
  EXPECT_EQ(MOTE_ERROR_INTERNAL,
            device->dense->mlp(device.stream, 4, nullptr, &network.mlp, x.rows(), {}, {}, y, 16));
  EXPECT_NE(nullptr, std::strstr(mote_last_error(), "multiple of 16 bytes")) << mote_last_error();
}
