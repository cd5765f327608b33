/* Products by bfloat16 terms (kernels/dense/terms.h): what terms are of, layers and outer products of them
   against float64, at both numbers of terms. The suites of dense layers and message passing run by terms,
   too, where the processor has tiles; here stands what they do not tell. */
#include "tests/support/network.h"

#include <cstring>

#include "kernels/dense/terms.h"

using mote_test::Device;
using mote_test::noise;

namespace {

#define REQUIRE_TILES()                                                                                      \
  if (!mote_test::cpu_has_terms()) GTEST_SKIP() << "this processor has no tiles of bfloat16 (AMX)"
float value_of(uint16_t upper) {
  uint32_t bits = uint32_t(upper) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/* What the terms of packed values add up to. */
std::vector<double> sums_of(Device &device, const std::vector<float> &packed, int count) {
  const struct mote_dense_kernels *k = device->dense;
  std::vector<uint16_t> terms(k->terms_room(count, int64_t(packed.size())) / sizeof(uint16_t), 0xffff);
  MOTE_EXPECT_OK(k->make_terms(device.stream, int64_t(packed.size()), packed.data(), count, terms.data()));
  std::vector<double> sums(packed.size());
  for (size_t i = 0; i < packed.size(); i++) {
    size_t pair = i / 32, row = i / 16 % 2, column = i % 16;
    for (int t = 0; t < count; t++)
      sums[i] += double(value_of(terms[(pair * size_t(count) + size_t(t)) * 32 + 2 * column + row]));
  }
  for (size_t i = (packed.size() + 31) / 32 * 32 * size_t(count); i < terms.size(); i++)
    EXPECT_EQ(0, terms[i]) << "behind the last value";
  return sums;
}

/* Of all sizes. */
std::vector<float> values(size_t n) {
  std::vector<float> x = noise(int64_t(n), 5);
  for (size_t i = 0; i < n; i++) x[i] *= std::ldexp(1.f, int(i % 60) - 30);
  return x;
}

/* A sum and the sizes of what was added, |start| + sum |w x|, which its errors are told in. */
struct Sum {
  double value, size;
};

struct Bench {
  int in, out, rows;
  std::vector<float> weight, bias, x, packed, y;
  int x_stride, y_stride;
  Bench(int in, int out, int rows, int scale_of_integers = 0)
      : in(in), out(out), rows(rows), weight(noise(int64_t(in) * out, 11, 1 / std::sqrt(in))),
        bias(noise(mote_panels(out) * 16, 12)), x_stride(mote_panels(in) * 16),
        y_stride(mote_panels(out) * 16) {
    x = noise(int64_t(rows) * x_stride, 13);
    if (scale_of_integers)
      for (auto *v : {&weight, &bias, &x})
        for (float &f : *v) f = std::round(f * float(scale_of_integers));
    for (int c = out; c < y_stride; c++) bias[size_t(c)] = 0;
    packed.resize(size_t(mote_linear_slot(in, out)));
    mote_linear_pack(in, out, weight.data(), in, 0, 0, packed.data());
    y = noise(int64_t(rows) * y_stride, 14);
  }
  mote_linear layer(mote_terms terms) const {
    mote_linear layer = {};
    layer.in = in, layer.out = out, layer.weight = packed.data(), layer.bias = bias.data(),
    layer.terms = terms;
    return layer;
  }
  std::vector<Sum> expected(bool start) const {
    std::vector<Sum> e;
    for (int r = 0; r < rows; r++)
      for (int o = 0; o < y_stride; o++) {
        const double first = start ? y[size_t(r * y_stride + o)] : bias[size_t(o)];
        Sum sum = {first, std::fabs(first)};
        for (int k = 0; k < in && o < out; k++) {
          const double product = double(weight[size_t(o * in + k)]) * x[size_t(r * x_stride + k)];
          sum.value += product;
          sum.size += std::fabs(product);
        }
        e.push_back(sum);
      }
    return e;
  }
};

/* Terms in a room of their own. */
struct Terms {
  std::vector<uint16_t> room;
  mote_terms terms;
  Terms(Device &device, const std::vector<float> &packed, int count)
      : room(device->dense->terms_room(count, int64_t(packed.size())) / sizeof(uint16_t)) {
    MOTE_EXPECT_OK(
        device->dense->make_terms(device.stream, int64_t(packed.size()), packed.data(), count, room.data()));
    terms = {room.data(), count};
  }
};

/* Three terms: the rounding of float32 sums; 3e-7 of the sizes was found at worst. Two: a product is off by
   up to 2^-16 + 2^-16 + 2^-16 of it, 4.6e-5, whatever else; in the mean, as signs differ, by a tenth of that.
 */
void check(const std::vector<float> &found, const std::vector<Sum> &expected, int count) {
  double worst = 0, square = 0, size = 1e-30;
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); i++) {
    const double error = std::fabs(found[i] - expected[i].value);
    worst = error <= worst * expected[i].size ? worst
            : std::isnan(error)               ? INFINITY
                                              : error / expected[i].size;
    square += error * error;
    size += expected[i].size * expected[i].size;
  }
  EXPECT_LT(worst, count == 3 ? 5e-7 : 5e-5);
  EXPECT_LT(std::sqrt(square / size), count == 3 ? 1.2e-7 : 5e-6);
}

} // namespace

TEST(TermsTest, ThreeAreAllOfAValueAndTwoAreSixteenBits) {
  REQUIRE_TILES();
  Device device("cpu", 2);
  for (size_t n : {16, 32, 48, 512, 300000}) {
    std::vector<float> x = values(n);
    std::vector<double> three = sums_of(device, x, 3), two = sums_of(device, x, 2);
    for (size_t i = 0; i < n; i++) {
      ASSERT_EQ(double(x[i]), three[i]) << i;
      ASSERT_LE(std::fabs(two[i] - x[i]), std::ldexp(std::fabs(double(x[i])), -16)) << i;
    }
  }
}

TEST(TermsTest, LayersOfAllWidths) {
  REQUIRE_TILES();
  Device device("cpu", 1);
  for (int count : {2, 3})
    for (int in : {16, 18, 30, 32, 34, 62, 64, 96, 126, 128, 130, 256, 300, 768})
      for (int out : {1, 15, 16, 17, 40, 64, 128})
        for (int rows : {1, 12, 16, 36, 48, 96})
          for (bool start : {false, true}) {
            Bench b(in, out, rows);
            Terms terms(device, b.packed, count);
            std::vector<Sum> expected = b.expected(start);
            mote_linear layer = b.layer(terms.terms);
            ASSERT_TRUE(mote_terms_suit(&layer));
            mote_terms_linear(&layer, start, rows, b.x.data(), b.x_stride, b.y.data(), b.y_stride);
            check(b.y, expected, count);
            ASSERT_FALSE(HasFailure())
                << in << " to " << out << ", " << rows << " rows, " << count << " terms";
          }
}

/* Integers up to 127 are bfloat16, and their products and sums float32: all is exact. */
TEST(TermsTest, IntegersAreExact) {
  REQUIRE_TILES();
  Device device("cpu", 1);
  for (int count : {2, 3}) {
    Bench b(130, 40, 37, 20);
    Terms terms(device, b.packed, count);
    std::vector<Sum> expected = b.expected(false);
    mote_linear layer = b.layer(terms.terms);
    mote_terms_linear(&layer, 0, 37, b.x.data(), b.x_stride, b.y.data(), b.y_stride);
    for (size_t i = 0; i < expected.size(); i++) ASSERT_EQ(expected[i].value, double(b.y[i])) << i;
  }
}

/* A row's bits depend on no other row, and no number is lost that is none. */
TEST(TermsTest, RowsAreOnTheirOwn) {
  REQUIRE_TILES();
  Device device("cpu", 1);
  Bench b(64, 48, 96);
  Terms terms(device, b.packed, 3);
  mote_linear layer = b.layer(terms.terms);
  layer.activation = MOTE_GELU;
  b.x[size_t(50 * b.x_stride) + 7] = NAN;
  mote_terms_linear(&layer, 0, 96, b.x.data(), b.x_stride, b.y.data(), b.y_stride);
  for (int r = 0; r < 96; r++) {
    std::vector<float> alone(size_t(b.y_stride));
    mote_terms_linear(&layer, 0, 1, &b.x[size_t(r * b.x_stride)], b.x_stride, alone.data(), b.y_stride);
    ASSERT_EQ(0, std::memcmp(alone.data(), &b.y[size_t(r * b.y_stride)], 48 * sizeof(float))) << r;
    for (int c = 0; c < 48; c++) ASSERT_EQ(r == 50, std::isnan(alone[size_t(c)])) << r << ", " << c;
  }
}

TEST(TermsTest, OuterProducts) {
  REQUIRE_TILES();
  for (int count : {2, 3})
    for (int in : {64, 70, 128, 130, 300})
      for (int out : {128, 130, 256})
        for (int rows : {1, 12, 31, 32, 33, 60, 95, 96}) {
          const int x_stride = mote_panels(in) * 16, d_stride = mote_panels(out) * 16, whole = in / 16 * 16;
          std::vector<float> x = noise(rows * x_stride, 21), d = noise(rows * d_stride, 22),
                             g = noise(mote_linear_slot(in, out), 23), found, before = g;
          mote_later later = {};
          ASSERT_EQ(whole, mote_terms_outer(count, in, out, rows, x.data(), x_stride, d.data(), d_stride,
                                            &later, g.data()));
          std::vector<Sum> expected;
          for (int p = 0; p < mote_panels(out); p++)
            for (int k = 0; k < in; k++)
              for (int c = 0; c < 16; c++) {
                const size_t at = size_t((p * in + k) * 16 + c);
                if (k >= whole) {
                  ASSERT_EQ(before[at], g[at]) << "the rest is the caller's";
                  continue;
                }
                Sum sum = {before[at], std::fabs(double(before[at]))};
                for (int r = 0; r < rows; r++) {
                  const double product =
                      double(x[size_t(r * x_stride + k)]) * d[size_t(r * d_stride + 16 * p + c)];
                  sum.value += product;
                  sum.size += std::fabs(product);
                }
                expected.push_back(sum);
                found.push_back(g[at]);
              }
          check(found, expected, count);
          ASSERT_FALSE(HasFailure()) << in << ", " << out << ", " << rows << ", " << count << " terms";
        }
}

TEST(TermsTest, DevicesSayWhatTheyCannot) {
  for (const std::string &name : mote_test::devices())
    for (int p = 0; p < MOTE_PRECISION_COUNT; p++) {
      mote_device *device = nullptr;
      mote_device_options options = {1, mote_precision(p)};
      const bool tiles = p == MOTE_PRECISION_BFLOAT16X2 || p == MOTE_PRECISION_BFLOAT16X3;
      const bool able = name != "cpu" || !p || (tiles && mote_test::cpu_has_terms());
      const mote_status status = mote_device_open(name.c_str(), &options, &device);
      EXPECT_EQ(able ? MOTE_OK : MOTE_ERROR_UNSUPPORTED, status) << name;
      if (!able) {
        EXPECT_NE(nullptr, std::strstr(mote_last_error(), mote_precision_name(options.precision)))
            << mote_last_error();
        EXPECT_EQ(tiles, std::strstr(mote_last_error(), "AMX") != nullptr) << mote_last_error();
        EXPECT_EQ(nullptr, device);
      }
      mote_device_close(device);
    }
  mote_device *device = nullptr;
  mote_device_options neither = {};
  const int unknown = MOTE_PRECISION_COUNT;
  std::memcpy(&neither.precision, &unknown, sizeof unknown);
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_device_open("cpu", &neither, &device));
  EXPECT_NE(nullptr, std::strstr(mote_last_error(), "precision")) << mote_last_error();
  mote_precision precision;
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_precision_parse("float16", &precision));
  for (int p = 0; p < MOTE_PRECISION_COUNT; p++) {
    MOTE_EXPECT_OK(mote_precision_parse(mote_precision_name(mote_precision(p)), &precision));
    EXPECT_EQ(p, precision);
  }
}
