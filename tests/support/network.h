/* A chain of layers with random weights: packed on a device as kernels take it, and in float64 as it is
   defined, from the weights as they were before they were packed. */
#ifndef MOTE_TESTS_SUPPORT_NETWORK_H
#define MOTE_TESTS_SUPPORT_NETWORK_H

#include <cstring>
#include <memory>

#include <mote/random.h>

#include "host/nn/terms.h"
#include "tests/emulator/control.h"

namespace mote_test {

typedef std::vector<double> Vector;

inline Vector widened(const std::vector<float> &x) {
  return Vector(x.begin(), x.end());
}
inline std::vector<float> narrowed(const Vector &x) {
  return std::vector<float>(x.begin(), x.end());
}

inline std::vector<float> noise(int64_t n, uint64_t stream, double scale = 1) {
  std::vector<float> x(n);
  for (int64_t i = 0; i < n; i++) x[i] = float(scale * mote_random_normal(7, stream, i, 0));
  return x;
}

/* The largest error in units of the reference's root mean square; infinite where one is NaN. */
inline double worst_error(const std::vector<float> &found, const std::vector<double> &expected) {
  EXPECT_EQ(found.size(), expected.size());
  double square = 1e-30, worst = 0;
  for (double x : expected) square += x * x / double(expected.size());
  for (size_t i = 0; i < found.size() && i < expected.size(); i++) {
    double error = std::fabs(found[i] - expected[i]);
    worst = error <= worst ? worst : std::isnan(error) ? INFINITY : error;
  }
  return worst / std::sqrt(square);
}

inline void expect_same_bits(const std::vector<float> &a, const std::vector<float> &b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); i++)
    ASSERT_EQ(0, std::memcmp(&a[i], &b[i], sizeof(float))) << a[i] << " and " << b[i] << " at " << i;
}

/* run(device) gives the same bits with 1, 2 and 3 threads of the CPU, and on the emulated device in any order
   of blocks and threads. */
template <typename Run> void expect_reproducible(const std::string &name, Run run) {
  std::vector<float> expected;
  for (int threads : {1, 2, 3}) {
    Device device(name, threads);
    Verified guard(device, threads == 1);
    shuffle_orders(device, uint64_t(threads));
    std::vector<float> found = run(device);
    if (threads == 1) expected = found;
    expect_same_bits(expected, found);
  }
}

/* step(stream), recorded in its second run and replayed in its third: it allocates nothing then, and waits
   for nothing. result() gives the same bits after each; forget() makes it something else in between. */
template <typename Step, typename Forget, typename Result>
void expect_replayable(Device &device, Step step, Forget forget, Result result) {
  mote_replay replay = {};
  std::vector<float> expected;
  for (int run = 0; run < 3; run++) {
    forget();
    MOTE_ASSERT_OK(mote_replay_run(
        &replay, device.stream,
        [](void *context, mote_stream *stream) { return (*static_cast<Step *>(context))(stream); }, &step));
    std::vector<float> found = result();
    if (run == 0) expected = found;
    expect_same_bits(expected, found);
  }
  mote_replay_reset(&replay);
}

/* A buffer that frees itself. */
struct Room {
  mote_buffer buffer = {};
  ~Room() { mote_buffer_free(&buffer); }
};

struct Shape {
  std::vector<int> width;                  /* inputs, then the outputs of each layer */
  std::vector<mote_activation> activation; /* of each layer; the last one counts for those behind */
  std::vector<int> residual;               /* layers with a residual of their own */
  bool before = false, behind = false;
};

class Network {
public:
  Network(Device &device, const Shape &shape, uint64_t stream) : device_(device), shape_(shape) {
    mlp.layers = int(shape.width.size()) - 1;
    for (int l = 0; l < mlp.layers; l++) {
      int in = shape.width[l], out = shape.width[l + 1];
      weight_.push_back(noise(int64_t(in) * out, stream * 100 + 2 * l, 1.2 / std::sqrt(in)));
      bias_.push_back(noise(out, stream * 100 + 2 * l + 1, 0.3));
      std::vector<float> packed(mote_linear_floats(in, out)), bias(mote_panels(out) * MOTE_PANEL);
      mote_linear_pack(in, out, weight_[l].data(), in, 0, 0, packed.data());
      std::copy(bias_[l].begin(), bias_[l].end(), bias.begin());
      size_t which = std::min(size_t(l), shape.activation.size() - 1);
      const float *weight = keep(packed);
      mlp.layer[l] = {in, out, weight, keep(bias), shape.activation[which], 0, terms(packed.size(), weight)};
      for (int r : shape.residual) mlp.layer[l].residual |= r == l;
    }
    if (shape.before) mlp.before = norm(shape.width[0], stream * 100 + 90, before_);
    if (shape.behind) mlp.behind = norm(shape.width.back(), stream * 100 + 92, behind_);
  }

  int in() const { return shape_.width[0]; }
  int out() const { return shape_.width.back(); }
  const std::vector<float> &weight(int l) const { return weight_[l]; }

  /* A row through all of it. `start`, if not NULL, stands in place of the first layer's bias. */
  std::vector<double> operator()(std::vector<double> x, const double *start = nullptr) const {
    if (shape_.before) normalize(before_, x);
    for (int l = 0; l < mlp.layers; l++) {
      std::vector<double> y(mlp.layer[l].out);
      for (int o = 0; o < mlp.layer[l].out; o++) {
        double sum = start && l == 0 ? start[o] : bias_[l][o];
        for (int k = 0; k < mlp.layer[l].in; k++) sum += double(weight_[l][o * mlp.layer[l].in + k]) * x[k];
        if (mlp.layer[l].activation == MOTE_RELU) sum = std::max(sum, 0.0);
        if (mlp.layer[l].activation == MOTE_GELU) sum = 0.5 * sum * (1 + std::erf(sum / std::sqrt(2.0)));
        y[o] = mlp.layer[l].residual ? sum + x[o] : sum;
      }
      x = y;
    }
    if (shape_.behind) normalize(behind_, x);
    return x;
  }

  /* LayerNorm with weights and bias of a row's width, one behind the other. */
  static void normalize(const std::vector<float> &scale, std::vector<double> &x) {
    size_t width = x.size();
    double mean = 0, variance = 0;
    for (double v : x) mean += v / double(width);
    for (double v : x) variance += (v - mean) * (v - mean) / double(width);
    for (size_t c = 0; c < width; c++)
      x[c] = (x[c] - mean) / std::sqrt(variance + 1e-5) * scale[c] + scale[width + c];
  }

  mote_norm norm(int width, uint64_t stream, std::vector<float> &values) {
    values = noise(2 * width, stream);
    const float *data = keep(values);
    return {data, data + width};
  }

  mote_mlp mlp = {};

private:
  const float *keep(const std::vector<float> &values) {
    arrays_.push_back(std::make_unique<Array<float>>(device_, values));
    return arrays_.back()->data();
  }
  /* What the device multiplies in the weight's place, if it does. */
  mote_terms terms(size_t floats, const float *packed) {
    mote_terms terms = {};
    rooms_.push_back(std::make_unique<Room>());
    MOTE_EXPECT_OK(mote_terms_keep(device_.stream, int64_t(floats), packed, &rooms_.back()->buffer, &terms));
    return terms;
  }
  Device &device_;
  Shape shape_;
  std::vector<std::vector<float>> weight_, bias_;
  std::vector<float> before_, behind_;
  std::vector<std::unique_ptr<Array<float>>> arrays_;
  std::vector<std::unique_ptr<Room>> rooms_;
};

} // namespace mote_test
#endif
