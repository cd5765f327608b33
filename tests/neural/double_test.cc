/* The reverse of neural.h and invariants.h in float64: the same text as the kernels', compiled with doubles,
   against central differences of its own forward text, within 1e-5. The network between is a plain matrix
   here, y = M x: layers have tests of their own. */
#define MOTE_REAL_DOUBLE
#include "kernels/neural/neural.h"

#include "tests/support/network.h"

namespace {

/* One particle: what its law sees, and the sum of a : tau or a : (F behind the flow). */
struct Particle {
  int dim, inputs, answers;
  float strain;
  bool flows;
  std::vector<double> F, M, a;

  template <int D> void see(double *frame, double *x, double *y) const {
    mote_neural_frame(D, F.data(), frame);
    mote_neural_features(D, F.data(), strain, frame, x);
    for (int o = 0; o < answers; o++) {
      y[o] = 0;
      for (int k = 0; k < inputs; k++) y[o] += M[size_t(o * inputs + k)] * x[k];
    }
  }
  template <int D> double value_of() const {
    double frame[21], x[13], y[9], out[9], sum = 0;
    see<D>(frame, x, y);
    std::copy(F.begin(), F.end(), out);
    if (flows)
      mote_neural_flow(D, frame, strain, y, 0.7f, out);
    else
      mote_neural_stress(D, F.data(), frame, strain, y, 0.7f, out);
    for (int k = 0; k < D * D; k++) sum += a[size_t(k)] * out[k];
    return sum;
  }
  double value() const { return dim == 3 ? value_of<3>() : value_of<2>(); }

  /* By F, then by M. */
  template <int D> std::vector<double> gradient_of() const {
    double frame[21], x[13], y[9], d_y[9], d_R[9], d_x[13] = {0}, d_F[9] = {0};
    see<D>(frame, x, y);
    if (flows) {
      std::copy(a.begin(), a.end(), d_F);
      mote_neural_flow_backward(D, frame, strain, y, 0.7f, d_y, d_R, d_F);
    } else {
      mote_neural_stress_backward(D, F.data(), frame, strain, y, 0.7f, a.data(), d_y, d_R, d_F);
    }
    for (int o = 0; o < answers; o++)
      for (int k = 0; k < inputs; k++) d_x[k] += M[size_t(o * inputs + k)] * d_y[o];
    mote_neural_features_backward(D, F.data(), frame, strain, d_x, d_R, d_F);
    std::vector<double> all(d_F, d_F + D * D);
    for (int o = 0; o < answers; o++)
      for (int k = 0; k < inputs; k++) all.push_back(d_y[o] * x[k]);
    return all;
  }
  std::vector<double> gradient() const { return dim == 3 ? gradient_of<3>() : gradient_of<2>(); }
};

std::vector<double> numbers(int count, int seed) {
  const std::vector<float> noise = mote_test::noise(count, uint64_t(seed));
  return std::vector<double>(noise.begin(), noise.end());
}

/* Near a rotation about the last axis. `equal`: all stretches are the same, where only the form of invariants
   is smooth. */
Particle particle(int dim, bool invariants, bool flows, bool equal, int seed) {
  const mote_neural_rows rows = {dim, 1, nullptr, 1, 0, invariants ? 0.3f : 0.f};
  Particle p = {dim, mote_neural_inputs(&rows), mote_neural_answers(&rows), rows.strain, flows, {}, {}, {}};
  const std::vector<double> small = numbers(dim * dim, seed);
  const double turn = 0.3 * seed, c = std::cos(turn), s = std::sin(turn);
  const double R[9] = {c, -s, 0, s, c, 0, 0, 0, 1};
  for (int i = 0; i < dim; i++)
    for (int j = 0; j < dim; j++) {
      double sum = 0;
      for (int k = 0; k < dim; k++)
        sum += R[i * 3 + k] *
               (equal ? (k == j) * 1.1 : (k == j) * (1 + 0.1 * k) + 0.2 * small[size_t(k * dim + j)]);
      p.F.push_back(sum);
    }
  p.M = numbers(p.answers * p.inputs, 100 + seed);
  p.a = numbers(dim * dim, 200 + seed);
  return p;
}

void expect_gradient(Particle p) {
  const std::vector<double> found = p.gradient();
  double error = 0, size = 0;
  for (size_t k = 0; k < found.size(); k++) {
    double &x = k < p.F.size() ? p.F[k] : p.M[k - p.F.size()];
    const double at = x, h = 1e-5;
    x = at + h;
    const double high = p.value();
    x = at - h;
    const double low = p.value();
    x = at;
    const double difference = (high - low) / (2 * h);
    error += std::pow(found[k] - difference, 2);
    size += std::pow(difference, 2);
  }
  EXPECT_GT(size, 0);
  EXPECT_LT(std::sqrt(error), 1e-5 * std::sqrt(size));
}

} // namespace

TEST(Neural64, GradientsAreThoseOfDifferences) {
  for (int dim : {2, 3})
    for (bool invariants : {false, true})
      for (bool flows : {false, true})
        for (int seed = 0; seed < 20; seed++) {
          SCOPED_TRACE(testing::Message()
                       << dim << "-D, invariants " << invariants << ", flows " << flows << ", seed " << seed);
          expect_gradient(particle(dim, invariants, flows, false, seed));
        }
}

TEST(Neural64, EqualStretchesAreNoSpecialCaseOfInvariants) {
  for (int dim : {2, 3})
    for (bool flows : {false, true})
      for (int seed = 0; seed < 5; seed++) {
        SCOPED_TRACE(testing::Message() << dim << "-D, flows " << flows << ", seed " << seed);
        expect_gradient(particle(dim, true, flows, true, seed));
      }
}
