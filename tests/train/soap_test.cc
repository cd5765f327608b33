/* SOAP against its definition: where all gradients are U S V^T, S diagonal, the bases are U and V, and the
   weights move as AdamW moves S, in float64. Then what it is for: a layer whose inputs are nearly the same.
 */
#include "host/train/soap.h"

#include <cmath>
#include <vector>

#include "tests/support/network.h"

using mote_test::noise;

namespace {

/* Parameters like a model's: matrices, with vectors between them. */
struct Parameters {
  std::vector<mote_parameter> tensor;
  mote_parameters p = {};
  mote_soap soap = {};
  std::vector<unsigned char> decays;
  void add(int64_t rows, int64_t columns) {
    mote_parameter t = {};
    t.rank = columns ? 2 : 1;
    t.shape[0] = rows, t.shape[1] = columns ? columns : 1;
    t.first = p.floats, t.count = rows * t.shape[1], t.decays = columns > 0;
    p.floats += t.count;
    decays.resize(size_t(p.floats), (unsigned char)t.decays);
    tensor.push_back(t);
    p.tensor = tensor.data();
    p.tensors = int(tensor.size());
  }
  void open() { ASSERT_EQ(MOTE_OK, mote_soap_create(&p, &soap)); }
  ~Parameters() { mote_soap_free(&soap); }
};

struct Weights {
  std::vector<float> value, first, second;
  explicit Weights(int64_t count, uint64_t stream = 1)
      : value(noise(count, stream)), first(count), second(count) {}
};

void update(Parameters &p, const mote_optimizer &o, const std::vector<float> &gradient, Weights &w,
            int threads = 1) {
  ASSERT_EQ(MOTE_OK, mote_soap_update(&p.soap, p.p.floats, &o, threads, gradient.data(), p.decays.data(),
                                      w.first.data(), w.second.data(), w.value.data()));
}

/* Orthonormal rows, in float64. */
std::vector<double> rotation(int n, uint64_t stream) {
  std::vector<float> start = noise(int64_t(n) * n, stream);
  std::vector<double> q(start.begin(), start.end());
  for (int pass = 0; pass < 2; pass++)
    for (int i = 0; i < n; i++) {
      double square = 0;
      for (int j = 0; j < i; j++) {
        double dot = 0;
        for (int c = 0; c < n; c++) dot += q[i * n + c] * q[j * n + c];
        for (int c = 0; c < n; c++) q[i * n + c] -= dot * q[j * n + c];
      }
      for (int c = 0; c < n; c++) square += q[i * n + c] * q[i * n + c];
      for (int c = 0; c < n; c++) q[i * n + c] /= std::sqrt(square);
    }
  return q;
}

/* sum over k of s_k u_k v_k^T */
std::vector<double> composed(int rows, int columns, const std::vector<double> &u,
                             const std::vector<double> &v, const std::vector<double> &s) {
  std::vector<double> all(size_t(rows) * columns, 0);
  for (size_t k = 0; k < s.size(); k++)
    for (int i = 0; i < rows; i++)
      for (int j = 0; j < columns; j++) all[i * columns + j] += s[k] * u[k * rows + i] * v[k * columns + j];
  return all;
}

} // namespace

/* Singular values a factor of 3 apart, so that orthogonal iteration finds the bases at once. What is no
   gradient but rounding, 1e-7 of the largest, stays small beside an epsilon of 1e-3: moves of 1e-4 of the
   rate, in each of 40 steps. */
TEST(Soap, IsAdamWOfSingularValues) {
  for (auto [rows, columns] : {std::pair{6, 6}, {5, 9}, {12, 4}}) {
    SCOPED_TRACE(testing::Message() << rows << " x " << columns);
    Parameters p;
    p.add(3, 0);
    p.add(rows, columns);
    p.add(2, 0);
    p.open();
    ASSERT_EQ(1, p.soap.matrices);
    const int rank = std::min(rows, columns);
    std::vector<double> u = rotation(rows, 11), v = rotation(columns, 12), w(size_t(rank), 0), m = w,
                        second = w;
    mote_optimizer o = {0, 0, 0.9f, 0.95f, 1e-3f, 0, 0};
    Weights weights(p.p.floats);
    const std::vector<float> start = weights.value;
    double moved = 0;
    for (o.step = 1; o.step <= 40; o.step++) {
      o.rate = 1e-2f / float(1 + o.step / 8);
      std::vector<float> signs = noise(rank, 100 + uint64_t(o.step)), gradient = noise(p.p.floats, 200);
      std::vector<double> s;
      for (int k = 0; k < rank; k++) {
        s.push_back((2 + signs[k]) * std::pow(3.0, -k));
        m[k] = double(o.beta1) * m[k] + (1 - double(o.beta1)) * s[k];
        second[k] = double(o.beta2) * second[k] + (1 - double(o.beta2)) * s[k] * s[k];
        w[k] -= o.rate * m[k] / (1 - std::pow(double(o.beta1), double(o.step))) /
                (std::sqrt(second[k] / (1 - std::pow(double(o.beta2), double(o.step)))) + o.epsilon);
      }
      std::vector<double> g = composed(rows, columns, u, v, s);
      std::copy(g.begin(), g.end(), gradient.begin() + 3);
      update(p, o, gradient, weights);
    }
    std::vector<double> expected = composed(rows, columns, u, v, w);
    for (size_t k = 0; k < expected.size(); k++) {
      ASSERT_NEAR(start[3 + k] + expected[k], weights.value[3 + k], 2e-4) << k;
      moved = std::max(moved, std::fabs(expected[k]));
    }
    EXPECT_GT(moved, 0.05);
    const float *left = p.soap.state + p.soap.matrix[0].at + rows * rows + columns * columns;
    for (int i = 0; i < rows; i++)
      for (int j = 0; j < rows; j++) {
        double dot = 0;
        for (int c = 0; c < rows; c++) dot += double(left[i * rows + c]) * left[j * rows + c];
        ASSERT_NEAR(i == j, dot, 2e-6);
      }
  }
}

/* Vectors, and tables that are none, to the bit. */
TEST(Soap, VectorsHaveAdamW) {
  Parameters p;
  p.add(7, 0);
  p.add(1, 5);
  p.add(4, 1);
  p.open();
  EXPECT_EQ(0, p.soap.matrices);
  mote_optimizer o = {0, 1e-2f, 0.9f, 0.99f, 1e-8f, 0.1f, 0};
  Weights found(p.p.floats), expected(p.p.floats);
  for (o.step = 1; o.step <= 5; o.step++) {
    std::vector<float> gradient = noise(p.p.floats, uint64_t(o.step));
    update(p, o, gradient, found);
    const mote_update_step s = mote_update_prepare(&o);
    for (size_t k = 0; k < gradient.size(); k++)
      mote_update_adamw(&s, p.decays[k] ? s.decay : 0, gradient[k], &expected.first[k], &expected.second[k],
                        &expected.value[k]);
  }
  EXPECT_EQ(expected.value, found.value);
}

/* No gradient at all, and rows and columns without any: nothing moves there but by decay. */
TEST(Soap, WhatHasNoGradientStays) {
  Parameters p;
  p.add(6, 5);
  p.open();
  mote_optimizer o = {0, 1e-2f, 0.9f, 0.99f, 1e-8f, 0, 0};
  Weights w(30);
  const std::vector<float> start = w.value;
  for (o.step = 1; o.step <= 3; o.step++) update(p, o, std::vector<float>(30, 0), w);
  EXPECT_EQ(start, w.value);
  for (; o.step <= 30; o.step++) {
    std::vector<float> gradient = noise(30, uint64_t(o.step));
    for (int k = 0; k < 30; k++)
      if (k / 5 == 2 || k % 5 == 3) gradient[k] = 0;
    update(p, o, gradient, w);
  }
  for (int k = 0; k < 30; k++) {
    ASSERT_TRUE(std::isfinite(w.value[k]));
    if (k / 5 == 2 || k % 5 == 3)
      EXPECT_NEAR(start[k], w.value[k], 1e-6) << k;
    else
      EXPECT_GT(std::fabs(start[k] - w.value[k]), 1e-4) << k;
  }
}

/* y = W x where the inputs are one number and small differences from it, as a particle's velocities are. */
TEST(Soap, LearnsFromInputsThatAreNearlyTheSame) {
  const int in = 6, out = 4, samples = 64;
  std::vector<float> common = noise(samples, 21), own = noise(samples * in, 22, 0.01),
                     truth = noise(out * in, 23);
  double left[2];
  for (int soap : {0, 1}) {
    Parameters p;
    p.add(out, in);
    p.open();
    Weights w(out * in, 24);
    mote_optimizer o = {0, 0, 0.9f, 0.95f, 1e-8f, 0, 0};
    for (o.step = 1; o.step <= 400; o.step++) {
      o.rate = 2e-2f * (1 - float(o.step) / 401);
      std::vector<float> gradient(out * in, 0);
      left[soap] = 0;
      for (int n = 0; n < samples; n++)
        for (int k = 0; k < out; k++) {
          double error = 0;
          for (int j = 0; j < in; j++)
            error += (w.value[k * in + j] - truth[k * in + j]) * (common[n] + own[n * in + j]);
          left[soap] += error * error;
          for (int j = 0; j < in; j++) gradient[k * in + j] += float(error * (common[n] + own[n * in + j]));
        }
      if (soap)
        update(p, o, gradient, w);
      else
        for (int k = 0; k < out * in; k++) {
          const mote_update_step s = mote_update_prepare(&o);
          mote_update_adamw(&s, 0, gradient[k], &w.first[k], &w.second[k], &w.value[k]);
        }
    }
  }
  EXPECT_LT(left[1], left[0] / 20);
}

TEST(Soap, SameBitsWhateverTheThreads) {
  std::vector<float> of[2];
  for (int threads : {1, 3}) {
    Parameters p;
    for (int k = 0; k < 9; k++) {
      p.add(3 + 7 * k, 40 - 4 * k);
      p.add(5, 0);
    }
    p.open();
    Weights w(p.p.floats);
    mote_optimizer o = {0, 1e-2f, 0.9f, 0.95f, 1e-8f, 1e-2f, 0};
    for (o.step = 1; o.step <= 12; o.step++) update(p, o, noise(p.p.floats, uint64_t(o.step)), w, threads);
    of[threads > 1] = w.value;
  }
  EXPECT_EQ(of[0], of[1]);
}
