/* What precisions of tensor cores are worth, on devices that have them (kernels/dense/mma_gpu.h): the error
   of a layer's sums against float64, in the sizes of what was added; what is exact; what is no number; and
   layers that do not suit, which are multiplied as float32 whatever the precision. */
#include "tests/support/network.h"

using mote_test::Array;
using mote_test::Device;
using mote_test::noise;

namespace {

std::vector<std::string> gpus() {
  std::vector<std::string> names;
  for (const std::string &name : mote_test::devices())
    if (!mote_test::is_cpu(name)) names.push_back(name);
  return names;
}

/* One layer without activation, on a device at a precision. */
struct Layer {
  int in, out;
  int64_t n;
  std::vector<float> weight, bias, x;
  Layer(int in, int out, int64_t n)
      : in(in), out(out), n(n), weight(noise(int64_t(in) * out, 31)), bias(noise(out, 32)),
        x(noise(n * in, 33)) {}

  std::vector<float> run(const std::string &name) const {
    Device device(name);
    std::vector<float> packed(mote_linear_slot(in, out)), padded(mote_panels(out) * MOTE_PANEL);
    mote_linear_pack(in, out, weight.data(), in, 0, 0, packed.data());
    std::copy(bias.begin(), bias.end(), padded.begin());
    Array<float> weights(device, packed), biases(device, padded), rows(device, x),
        y(device, std::vector<float>(n * out, NAN));
    mote_test::Room room;
    mote_mlp mlp = {};
    mlp.layers = 1;
    mlp.layer[0] = {in, out, weights, biases, MOTE_IDENTITY, 0, {}};
    MOTE_EXPECT_OK(
        mote_terms_keep(device.stream, int64_t(packed.size()), weights, &room.buffer, &mlp.layer[0].terms));
    MOTE_EXPECT_OK(
        device->dense->mlp(device.stream, n, nullptr, &mlp, {rows.data(), in, in}, {}, {}, y, out));
    return y.host();
  }

  /* Root mean square of the errors over that of |b| + sum |w x|. */
  double error(const std::vector<float> &y) const {
    double square = 0, size = 0;
    for (int64_t r = 0; r < n; r++)
      for (int o = 0; o < out; o++) {
        double sum = bias[o], all = std::fabs(sum);
        for (int k = 0; k < in; k++) {
          const double product = double(weight[o * in + k]) * x[r * in + k];
          sum += product;
          all += std::fabs(product);
        }
        square += (y[r * out + o] - sum) * (y[r * out + o] - sum);
        size += all * all;
      }
    return std::sqrt(square / size);
  }
};

} // namespace

class PrecisionTest : public mote_test::OnDevice {};
MOTE_ON(PrecisionTest, gpus());
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(PrecisionTest);

/* Found on the emulated device, whose tensor cores cut sums off: 3.2e-4, 4.0e-5, 6.2e-7, 1.8e-8, and 2.8e-8
   of float32 by multiply-adds. A bound on either side tells that a precision is the one it says. */
TEST_P(PrecisionTest, ErrorsAreThoseOfTheirBits) {
  const Layer layer(128, 96, 80);
  const struct {
    const char *precision;
    double least, most;
  } all[] = {{"-bfloat16", 2e-4, 5e-4},
             {"-tf32", 2e-5, 6e-5},
             {"-bfloat16x2", 3e-7, 1e-6},
             {"-bfloat16x3", 0, 6e-8},
             {"", 0, 6e-8}};
  for (const auto &one : all) {
    const double error = layer.error(layer.run(GetParam() + one.precision));
    char text[16];
    snprintf(text, sizeof text, "%.1e", error);
    RecordProperty(one.precision[0] ? one.precision + 1 : "float32", text);
    printf("%s%s: %s\n", GetParam().c_str(), one.precision, text);
    EXPECT_GE(error, one.least) << one.precision;
    EXPECT_LE(error, one.most) << one.precision;
  }
}

/* Integers up to 127 are bfloat16, and their products and sums float32. */
TEST_P(PrecisionTest, IntegersAreExact) {
  Layer layer(148, 40, 37);
  for (auto *values : {&layer.weight, &layer.bias, &layer.x})
    for (float &v : *values) v = std::round(20 * v);
  for (const char *precision : {"-bfloat16", "-tf32", "-bfloat16x2", "-bfloat16x3"})
    EXPECT_EQ(0, layer.error(layer.run(GetParam() + precision))) << precision;
}

/* What is no number stays in its row, infinities at the least as such a number. */
TEST_P(PrecisionTest, RowsAreOnTheirOwn) {
  Layer layer(64, 20, 33);
  layer.x[5 * 64 + 7] = NAN;
  layer.x[9 * 64 + 50] = INFINITY;
  for (const char *precision : {"-bfloat16", "-tf32", "-bfloat16x2", "-bfloat16x3"}) {
    const std::vector<float> y = layer.run(GetParam() + precision);
    for (int64_t r = 0; r < layer.n; r++)
      for (int o = 0; o < layer.out; o++)
        ASSERT_EQ(r != 5 && r != 9, bool(std::isfinite(y[r * layer.out + o])))
            << precision << " " << r << ", " << o;
    Layer alone(64, 20, 1);
    for (int64_t r : {0, 17, 32}) {
      std::copy_n(layer.x.begin() + r * 64, 64, alone.x.begin());
      const std::vector<float> one = alone.run(GetParam() + precision);
      mote_test::expect_same_bits(std::vector<float>(y.begin() + r * 20, y.begin() + r * 20 + 20), one);
    }
  }
}

/* Of a number of inputs that is no multiple of four, or of few. Those of tf32 may be of any. */
TEST_P(PrecisionTest, LayersThatDoNotSuitAreOfFloat32) {
  for (int in : {2, 4, 14, 15, 30, 37}) {
    const Layer layer(in, 40, 20);
    const std::vector<float> expected = layer.run(GetParam());
    for (const char *precision : {"-bfloat16", "-bfloat16x2", "-bfloat16x3"})
      mote_test::expect_same_bits(expected, layer.run(GetParam() + precision));
    const double error = layer.error(layer.run(GetParam() + "-tf32"));
    EXPECT_EQ(in >= 16, error > 1e-5) << in << ": " << error;
  }
}
