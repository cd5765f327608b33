/* Optimisers, sums and the loss against float64; bench/peers/optimizer_torch.py holds the updates against
   PyTorch's. */
#include "kernels/optimize/optimize.h"

#include "tests/support/network.h"

using mote_test::Array;
using mote_test::Device;
using mote_test::noise;

namespace {

/* A chunk of sums, and one value more or less; then some. */
const std::vector<int64_t> sizes = {
    0, 1, 255, 257, MOTE_SUM_CHUNK - 1, MOTE_SUM_CHUNK, MOTE_SUM_CHUNK + 1, 5 * MOTE_SUM_CHUNK + 77};

double squares_of(const std::vector<float> &x) {
  double sum = 0;
  for (float v : x) sum += double(v) * double(v);
  return sum;
}

} // namespace

class OptimizeTest : public mote_test::OnDevice {
protected:
  Device device{GetParam()};
  mote_buffer scratch = {};
  ~OptimizeTest() override { mote_buffer_free(&scratch); }
};
MOTE_ON_DEVICES(OptimizeTest);

/* Exactly: a product of two numbers, or a copy. */
TEST_P(OptimizeTest, PacksByAMap) {
  for (int64_t n : sizes) {
    std::vector<float> in = noise(n / 2 + 1, 1), scale = noise(n, 2);
    std::vector<int32_t> index(n);
    for (int64_t k = 0; k < n; k++) index[k] = int32_t(mote_random_below(9, 3, k, in.size() + 1)) - 1;
    Array<float> from(device, in), by(device, scale), out(device, std::vector<float>(n, NAN));
    Array<int32_t> map(device, index);
    for (bool scaled : {false, true}) {
      MOTE_ASSERT_OK(device->optimize->pack(device.stream, n, map, scaled ? by.data() : nullptr, from, out));
      std::vector<float> found = out.host();
      for (int64_t k = 0; k < n; k++)
        ASSERT_EQ(index[k] < 0 ? 0 : scaled ? scale[k] * in[index[k]] : in[index[k]], found[k]) << k;
    }
  }
}

TEST_P(OptimizeTest, Combines) {
  for (int64_t n : sizes) {
    std::vector<float> a = noise(n, 11), b = noise(n, 12);
    Array<float> from(device, b), to(device, a), fresh(device, std::vector<float>(n, NAN));
    const float alpha = 0.3f, beta = 0.7f;
    MOTE_ASSERT_OK(device->optimize->combine(device.stream, n, alpha, from, beta, to));
    MOTE_ASSERT_OK(device->optimize->combine(device.stream, n, alpha, from, 0, fresh));
    std::vector<float> found = to.host(), first = fresh.host();
    for (int64_t k = 0; k < n; k++) {
      double x = double(beta) * a[k], y = double(alpha) * b[k];
      ASSERT_NEAR(x + y, found[k], 2e-7 * (std::fabs(x) + std::fabs(y))) << k;
      ASSERT_EQ(alpha * b[k], first[k]) << k;
    }
  }
}

/* Squares are exact in float64; up to 20,000 terms of one sign. Those beyond float32 are among them. */
TEST_P(OptimizeTest, SumsSquares) {
  for (int64_t n : sizes)
    for (double size : {1.0, 1e25}) {
      std::vector<float> x = noise(n, 21, size);
      Array<float> values(device, x);
      Array<double> sum(device, std::vector<double>{NAN});
      MOTE_ASSERT_OK(device->optimize->sum_squares(device.stream, n, values, sum, &scratch));
      ASSERT_NEAR(squares_of(x), sum.host()[0], 1e-13 * squares_of(x)) << n;
    }
}

TEST_P(OptimizeTest, ClipsToALimit) {
  for (int64_t n : sizes)
    for (double limit : {0.0, 0.5, 1e9}) {
      std::vector<float> x = noise(n, 31);
      const double squares = squares_of(x), norm = std::sqrt(squares),
                   scale = norm > limit ? limit / norm : 1;
      Array<float> values(device, x);
      Array<double> sum(device, std::vector<double>{squares});
      MOTE_ASSERT_OK(device->optimize->clip(device.stream, n, sum, float(limit), values));
      std::vector<float> found = values.host();
      for (int64_t k = 0; k < n; k++)
        if (scale == 1)
          ASSERT_EQ(x[k], found[k]);
        else
          ASSERT_NEAR(x[k] * scale, found[k], 2e-7 * std::fabs(x[k] * scale)) << k;
    }
}

namespace {

/* The formulas of the header in float64, a parameter at a time; beside the mean of the gradients that of
   their magnitudes, which is what its rounding is measured by, and what a weight may be off by then. */
struct Reference {
  double w, m = 0, v = 0, size = 0, error = 0;
  void step(const mote_optimizer &o, double g, bool decays) {
    const double b1 = o.beta1, b2 = o.beta2, rate = o.rate, decay = decays ? o.decay : 0;
    if (o.adamax) g += decay * w;
    m = b1 * m + (1 - b1) * g;
    size = b1 * size + (1 - b1) * std::fabs(g);
    v = o.adamax ? std::max(b2 * v, std::fabs(g) + o.epsilon) : b2 * v + (1 - b2) * g * g;
    double move = rate / (1 - std::pow(b1, double(o.step)));
    move /= o.adamax ? v : std::sqrt(v / (1 - std::pow(b2, double(o.step)))) + o.epsilon;
    if (!o.adamax) w *= 1 - rate * decay;
    w -= move * m;
    error += 6e-8 * std::fabs(w) + 1e-6 * (move * size + rate * decay * std::fabs(w));
  }
};

/* Gradients from 1e-30, whose squares no float32 has, to 1e4, and zeros; other ones in each step. */
std::vector<float> gradients(int64_t n, int64_t step) {
  std::vector<float> g = noise(n, 100 + step);
  for (int64_t k = 0; k < n; k++) g[k] *= k % 7 == 0 ? 1e-30f : k % 7 == 1 ? 1e4f : k % 7 == 2 ? 0 : 1e-3f;
  return g;
}

/* In float32 a weight is rounded once a step, to 6e-8 of itself at most, and a move errs by a few times that
   (the means run on, with their errors). */
void check_update(Device &device, int adamax, bool listed, int64_t n, int steps) {
  mote_optimizer o = {adamax, 1e-3f, 0.9f, 0.999f, 1e-8f, 0.1f, 0};
  std::vector<float> start = noise(n, 41), zero(n, 0);
  std::vector<unsigned char> decays(n);
  for (int64_t k = 0; k < n; k++) decays[k] = k % 3 != 0;
  Array<float> w(device, start), m(device, zero), v(device, zero);
  Array<unsigned char> which(device, decays);
  std::vector<Reference> expected;
  for (float x : start) expected.push_back({x});
  for (o.step = 1; o.step <= steps; o.step++) {
    o.rate = 1e-3f / float(1 + o.step / 10); /* a schedule */
    std::vector<float> g = gradients(n, o.step);
    Array<float> gradient(device, g);
    MOTE_ASSERT_OK(
        device->optimize->update(device.stream, n, &o, gradient, listed ? which.data() : nullptr, m, v, w));
    for (int64_t k = 0; k < n; k++) expected[k].step(o, g[k], listed ? decays[k] : true);
  }
  std::vector<float> found = w.host(), first = m.host();
  for (int64_t k = 0; k < n; k++) {
    ASSERT_NEAR(expected[k].w, found[k], expected[k].error) << k;
    ASSERT_NEAR(expected[k].m, first[k], 1e-6 * expected[k].size) << k;
  }
}

} // namespace

TEST_P(OptimizeTest, UpdatesAsInFloat64) {
  for (int adamax : {0, 1})
    for (bool listed : {false, true}) {
      SCOPED_TRACE(testing::Message() << "adamax " << adamax << ", listed " << listed);
      for (int64_t n : {0, 1, 37, 300}) check_update(device, adamax, listed, n, 60);
      check_update(device, adamax, listed, 20000, 2);
    }
}

/* A first step moves each weight by the rate, whatever its gradient, and a decay takes its share of it. */
TEST_P(OptimizeTest, FirstStepIsTheRate) {
  const int64_t n = 100;
  std::vector<float> g = noise(n, 51), start = noise(n, 52), zero(n, 0);
  for (int adamax : {0, 1}) {
    mote_optimizer o = {adamax, 0.01f, 0.9f, 0.999f, 1e-12f, 0, 1};
    Array<float> gradient(device, g), w(device, start), m(device, zero), v(device, zero);
    MOTE_ASSERT_OK(device->optimize->update(device.stream, n, &o, gradient, nullptr, m, v, w));
    std::vector<float> found = w.host();
    for (int64_t k = 0; k < n; k++) ASSERT_NEAR(start[k] - std::copysign(0.01, g[k]), found[k], 5e-7);
  }
  mote_optimizer o = {0, 0.01f, 0.9f, 0.999f, 1e-8f, 0.5f, 1};
  Array<float> gradient(device, zero), w(device, start), m(device, zero), v(device, zero);
  MOTE_ASSERT_OK(device->optimize->update(device.stream, n, &o, gradient, nullptr, m, v, w));
  std::vector<float> found = w.host();
  for (int64_t k = 0; k < n; k++) ASSERT_NEAR(start[k] * (1 - 0.01 * 0.5), found[k], 5e-7);
}

namespace {

struct Loss {
  int64_t n;
  int dim;
  std::vector<float> a, target;
  std::vector<int32_t> type;
  double huber;
  Loss(int64_t n, int dim, int every, double huber)
      : n(n), dim(dim), a(noise(n * dim, 61)), target(noise(n * dim, 62)), type(n, 5), huber(huber) {
    for (size_t k = 0; k < a.size(); k += 5) a[k] = 1000 * target[k];             /* far off */
    for (size_t k = 0; k < a.size(); k += 7) a[k] = target[k] + 1e-6f * float(k); /* near */
    for (int64_t i = 0; every && i < n; i += every) type[i] = MOTE_TYPE_KINEMATIC;
  }
  double operator()(double weight, const std::vector<double> &x) const {
    double sum = 0, count = 0;
    for (int64_t i = 0; i < n; i++)
      if (type[i] != MOTE_TYPE_KINEMATIC) {
        long double q = square(x, i), h = huber;
        sum += double(h > 0 ? 2 * h * h * (sqrtl(1 + q / (h * h)) - 1) : q);
        count++;
      }
    return count > 0 ? weight * sum / count : 0;
  }
  double square(const std::vector<double> &x, int64_t i) const {
    double q = 0;
    for (int64_t k = i * dim; k < (i + 1) * dim; k++) q += (x[k] - target[k]) * (x[k] - target[k]) / dim;
    return q;
  }
};

/* The loss is a sum in float64; its gradient a difference and a product in float32, and with a bend a
   quotient. A few of its entries are also held against central differences, which are exact for squares but
   for rounding, and with a bend err by (step / huber)^2 and less. */
void check_loss(Device &device, const Loss &loss, bool typed, bool sloped, mote_buffer *scratch) {
  const float weight = 2.5f;
  std::vector<double> x(loss.a.begin(), loss.a.end());
  Array<float> a(device, loss.a), target(device, loss.target), d_a(device, std::vector<float>(x.size(), NAN));
  Array<int32_t> type(device, loss.type);
  Array<double> found(device, std::vector<double>{NAN});
  MOTE_ASSERT_OK(device->optimize->loss(device.stream, loss.n, loss.dim, typed ? type.data() : nullptr, a,
                                        target, float(loss.huber), weight, found,
                                        sloped ? d_a.data() : nullptr, scratch));
  const double expected = loss(weight, x);
  ASSERT_NEAR(expected, found.host()[0], 1e-12 * expected);
  std::vector<float> slope = d_a.host();
  double free = 0;
  for (int32_t t : loss.type) free += t != MOTE_TYPE_KINEMATIC;
  for (size_t k = 0; k < x.size(); k++) {
    if (!sloped) {
      ASSERT_TRUE(std::isnan(slope[k]));
      continue;
    }
    bool counts = loss.type[k / loss.dim] != MOTE_TYPE_KINEMATIC;
    double exact = counts ? 2 * weight * (x[k] - loss.target[k]) / (free * loss.dim) : 0;
    if (loss.huber > 0)
      exact /= std::sqrt(1 + loss.square(x, int64_t(k) / loss.dim) / loss.huber / loss.huber);
    ASSERT_NEAR(exact, slope[k], (loss.huber > 0 ? 4e-7 : 3e-7) * std::fabs(exact)) << k;
  }
  for (size_t k = 0; sloped && k < x.size(); k += x.size() / 5 + 1) {
    std::vector<double> up = x, down = x;
    const double step = loss.huber > 0 ? 1e-3 * loss.huber : 0.5;
    up[k] += step;
    down[k] -= step;
    const double bound = loss.huber > 0 ? 2e-6 * std::fabs(slope[k]) + 1e-12 * expected / step
                                        : 1e-6 * (std::fabs(slope[k]) + 1e-3 * expected);
    ASSERT_NEAR((loss(weight, up) - loss(weight, down)) / (2 * step), slope[k], bound);
  }
}

} // namespace

TEST_P(OptimizeTest, LossAndItsGradient) {
  for (int64_t n : sizes)
    for (int dim : {2, 3})
      for (double huber : {0.0, 0.25, 50.0}) {
        SCOPED_TRACE(testing::Message() << n << ", " << dim << ", " << huber);
        check_loss(device, Loss(n, dim, 4, huber), true, true, &scratch);
        check_loss(device, Loss(n, dim, 0, huber), true, true, &scratch);
        check_loss(device, Loss(n, dim, 0, huber), false, true, &scratch);
        check_loss(device, Loss(n, dim, 1, huber), true, true, &scratch); /* none counts */
        check_loss(device, Loss(n, dim, 3, huber), true, false, &scratch);
      }
}

namespace {

/* What a training step does with its gradient, and the loss it came from. */
struct Step {
  const int64_t n = 5 * MOTE_SUM_CHUNK + 5;
  Array<float> gradient, target;
  Array<double> sums;
  mote_buffer scratch = {};
  explicit Step(Device &device) : gradient(device, n), target(device, noise(n, 72)), sums(device, 2) {}
  ~Step() { mote_buffer_free(&scratch); }
  mote_status run(mote_stream *stream) {
    const mote_optimize_kernels *k = stream->device->optimize;
    double *loss = sums, *squares = loss + 1;
    MOTE_TRY(k->combine(stream, n, 1.25f, target, 0, gradient));
    MOTE_TRY(k->loss(stream, n, 1, nullptr, gradient, target, 0.3f, 1, loss, gradient, &scratch));
    MOTE_TRY(k->sum_squares(stream, n, gradient, squares, &scratch));
    return k->clip(stream, n, squares, 1e-5f, gradient);
  }
  std::vector<float> result() {
    std::vector<float> found = gradient.host();
    std::vector<double> sum = sums.host();
    size_t at = found.size();
    found.resize(at + 4);
    std::memcpy(&found[at], sum.data(), sizeof(double) * 2);
    return found;
  }
};

} // namespace

TEST_P(OptimizeTest, SameBitsWhateverTheThreads) {
  mote_test::expect_reproducible(GetParam(), [](Device &own) {
    Step step(own);
    MOTE_EXPECT_OK(step.run(own.stream));
    return step.result();
  });
}

TEST_P(OptimizeTest, CanBeReplayed) {
  Step step(device);
  mote_test::expect_replayable(
      device, [&](mote_stream *stream) { return step.run(stream); },
      [&] { MOTE_ASSERT_OK(mote_fill_bytes(device.stream, step.gradient, 1, step.n * sizeof(float))); },
      [&] { return step.result(); });
}
