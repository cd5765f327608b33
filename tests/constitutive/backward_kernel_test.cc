/* The reverse kernels in float32 on every device against the same reverse in float64, which backward_test.cc
   has against differences. */
#include "tests/constitutive/backward_testing.h"

using double_law::Gradient;
using double_law::Particle;
using mote_test::Array;
using mote_test::Device;

/* Particles of every material on a device, with gradients by what a step leaves of them. */
struct Cloud {
  Cloud(int dim_, int n_, bool mixed) : dim(dim_), n(n_) {
    std::vector<mote_material> materials = all_materials();
    for (const mote_material &m : materials) laws.push_back(law_of(m));
    for (int i = 0; i < n; i++) {
      /* In blocks of one material, or side by side */
      size_t m = mixed ? size_t(i) % laws.size() : size_t(i) * laws.size() / size_t(n);
      Particle p = particle_of(materials[m], dim, uint64_t(1000 + i * 7));
      auto w = weights(uint64_t(i)), v = weights(uint64_t(i) + 77777);
      for (int k = 0; k < dim * dim; k++) {
        F.push_back(float(p.F[size_t(k)]));
        C.push_back(float(p.C[size_t(k)]));
        d_tau.push_back(float(w[size_t(k)]));
        d_F.push_back(float(w[size_t(k)]));
        d_C.push_back(float(v[size_t(k)]));
      }
      history.push_back(float(p.history));
      d_history.push_back(float(v[0]));
      material.push_back(int32_t(m));
    }
  }
  Particle particle(int i) const {
    Particle p = {};
    const mote_law &law = laws[size_t(material[size_t(i)])];
    p.kind = law.kind;
    p.dim = dim;
    p.dt = double(dt);
    p.law = parameters_of(law);
    for (int k = 0; k < dim * dim; k++) {
      p.F[size_t(k)] = F[size_t(i * dim * dim + k)];
      p.C[size_t(k)] = C[size_t(i * dim * dim + k)];
    }
    p.history = history[size_t(i)];
    return p;
  }
  int dim, n;
  float dt = 1e-3f;
  std::vector<mote_law> laws;
  std::vector<int32_t> material;
  std::vector<float> F, C, history, d_tau, d_F, d_C, d_history;
};

struct Result {
  std::vector<float> d_F, d_C, d_history;
  std::vector<double> d_laws;
};

static Result reverse(Device &device, const Cloud &c, bool stress, bool wants_laws = true) {
  Array<mote_law> laws(device, c.laws);
  Array<int32_t> material(device, c.material);
  Array<float> F(device, c.F), C(device, c.C), history(device, c.history), d_tau(device, c.d_tau);
  Array<float> d_F(device, c.d_F), d_C(device, c.d_C), d_history(device, c.d_history);
  Array<double> d_laws(device, std::vector<double>(c.laws.size() * MOTE_LAW_PARAMETERS, 1.0));
  mote_buffer scratch = {};
  double *sums = wants_laws ? d_laws.data() : nullptr;
  if (stress)
    MOTE_EXPECT_OK(device->constitutive->stress_backward(device.stream, c.dim, c.n, int(c.laws.size()), laws,
                                                         material, C, F, history, d_tau, d_F, d_C, d_history,
                                                         sums, &scratch));
  else
    MOTE_EXPECT_OK(device->constitutive->return_backward(device.stream, c.dim, c.n, int(c.laws.size()), laws,
                                                         material, c.dt, C, F, history, d_F, d_C, d_history,
                                                         sums, &scratch));
  Result result = {d_F.host(), d_C.host(), d_history.host(), d_laws.host()};
  mote_buffer_free(&scratch);
  return result;
}

class BackwardKernelTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(BackwardKernelTest);

/* |a - b| / |b|, beside the gradient that came in and `floor`. */
static double apart(const float *a, const double *b, const float *start, int n, double floor) {
  double error = 0, norm = 0;
  for (int k = 0; k < n; k++) {
    error += std::pow(double(a[k]) - b[k], 2);
    norm += std::pow(b[k], 2) + std::pow(double(start[k]), 2);
  }
  return std::sqrt(error) / (std::sqrt(norm) + floor);
}

/* A stretch is known to 1e-7, so a strain to as much, and the direction of dev e, with it the gradient of an
   element that yields, to 1e-7 / |dev e|: 1e-4 for strains of 1e-3. An element may also be on the other side
   of a kink by rounding: 1 of 100 may be off. On average errors are of the size of float's rounding, 5e-7 as
   measured. Sums are led by their largest terms. */
TEST_P(BackwardKernelTest, EqualFloat64) {
  Device device{GetParam()};
  for (int dim : {2, 3})
    for (bool stress : {true, false})
      for (bool mixed : {true, false}) {
        Cloud c(dim, GetParam() == "emu" ? 700 : 3001, mixed);
        Result r = reverse(device, c, stress);
        std::vector<double> sums(c.laws.size() * MOTE_LAW_PARAMETERS, 1.0), sizes(sums.size(), 1.0);
        int off = 0, size = dim * dim;
        double total = 0;
        for (int i = 0; i < c.n; i++) {
          Particle p = c.particle(i);
          Gradient g;
          std::array<double, 9> d_tau{};
          for (int k = 0; k < size; k++) {
            d_tau[size_t(k)] = c.d_tau[size_t(i * size + k)];
            g.F[size_t(k)] = c.d_F[size_t(i * size + k)];
            g.C[size_t(k)] = c.d_C[size_t(i * size + k)];
          }
          g.history = c.d_history[size_t(i)];
          if (stress)
            double_law::stress_backward(p, d_tau, g);
          else
            double_law::return_backward(p, g);
          double modulus = stress ? p.law[MOTE_LAW_MU] : 0;
          double worst = std::max(
              {apart(&r.d_F[size_t(i * size)], g.F.data(), &c.d_F[size_t(i * size)], size, 0.01 * modulus),
               apart(&r.d_C[size_t(i * size)], g.C.data(), &c.d_C[size_t(i * size)], size, 0),
               apart(&r.d_history[size_t(i)], &g.history, &c.d_F[size_t(i * size)], 1, 1)});
          ASSERT_FALSE(std::isnan(worst)) << i;
          off += worst > 1e-4;
          total += std::min(worst, 1e-4);
          for (size_t k = 0; k < MOTE_LAW_PARAMETERS; k++) {
            size_t at = size_t(c.material[size_t(i)]) * MOTE_LAW_PARAMETERS + k;
            sums[at] += g.law[k];
            sizes[at] += std::fabs(g.law[k]);
          }
        }
        EXPECT_LE(off, c.n / 100) << "dim " << dim << (stress ? " stress" : " return");
        EXPECT_LT(total / c.n, 2e-6);
        for (size_t k = 0; k < sums.size(); k++)
          EXPECT_NEAR(r.d_laws[k], sums[k], 1e-4 * sizes[k])
              << "law " << k / MOTE_LAW_PARAMETERS << " parameter " << k % MOTE_LAW_PARAMETERS;
        Result without = reverse(device, c, stress, false);
        EXPECT_EQ(r.d_F, without.d_F);
        EXPECT_EQ(without.d_laws, std::vector<double>(without.d_laws.size(), 1.0));
      }
}

/* What does not yield passes its gradient on bit for bit where dt = 0. */
TEST_P(BackwardKernelTest, NoYieldIsTheIdentity) {
  Device device{GetParam()};
  for (int dim : {2, 3}) {
    Cloud c(dim, 333, true);
    c.dt = 0;
    c.F = random_deformations(dim, c.n, 1e-4, 5);
    for (mote_law &law : c.laws) {
      law.yield_stress = 1e9f;
      law.cohesion = 1;
    }
    for (float &h : c.history) h = 0;
    Result r = reverse(device, c, false);
    for (int i = 0; i < c.n; i++) {
      int kind = c.laws[size_t(c.material[size_t(i)])].kind;
      if (kind == MOTE_NEWTONIAN || kind == MOTE_VISCOELASTIC) continue;
      for (int k = i * dim * dim; k < (i + 1) * dim * dim; k++) ASSERT_EQ(r.d_F[size_t(k)], c.d_F[size_t(k)]);
    }
  }
}

TEST(BackwardSumsTest, ThreadsDoNotChangeBits) {
  Result result[2];
  for (bool stress : {true, false}) {
    for (int t = 0; t < 2; t++) {
      Device device{"cpu", t + 1};
      result[t] = reverse(device, Cloud(3, 20003, true), stress);
    }
    for (auto member : {&Result::d_F, &Result::d_C, &Result::d_history})
      EXPECT_EQ(0, memcmp((result[0].*member).data(), (result[1].*member).data(),
                          (result[0].*member).size() * sizeof(float)));
    EXPECT_EQ(0, memcmp(result[0].d_laws.data(), result[1].d_laws.data(),
                        result[0].d_laws.size() * sizeof(double)));
  }
}

TEST_P(BackwardKernelTest, DegenerateElementsStayFinite) {
  Device device{GetParam()};
  std::vector<std::vector<float>> bad = {
      {0, 0, 0, 0, 0, 0, 0, 0, 0},      {-1, 0, 0, 0, 1, 0, 0, 0, 1},        {1, 0, 0, 0, 1, 0, 0, 0, 0},
      {1, 1, 1, 1, 1, 1, 1, 1, 1},      {50, 0, 0, 0, 1, 0, 0, 0, 1},        {1e-6f, 0, 0, 0, 1, 0, 0, 0, -1},
      {-1, 0, 0, 0, -1, 0, 0, 0, -1},   {1, 0, 0, 0, -1e-5f, 0, 0, 0, 0},    {1, 2, 3, 2, 4, 6, 0, 0, 0},
      {1e-20f, 0, 0, 0, 1, 0, 0, 0, 1}, {1e3f, 0, 0, 0, 1e3f, 0, 0, 0, 1e3f}};
  for (int dim : {2, 3})
    for (bool stress : {true, false}) {
      Cloud c(dim, 330, true);
      for (int i = 0; i < c.n; i++)
        for (int a = 0; a < dim; a++)
          for (int b = 0; b < dim; b++)
            c.F[size_t((i * dim + a) * dim + b)] = bad[size_t(i / 10) % bad.size()][size_t(a * 3 + b)];
      Result r = reverse(device, c, stress);
      for (int i = 0; i < c.n; i++)
        for (int k = i * dim * dim; k < (i + 1) * dim * dim; k++)
          ASSERT_TRUE(std::isfinite(r.d_F[size_t(k)]) && std::isfinite(r.d_C[size_t(k)]) &&
                      std::isfinite(r.d_history[size_t(i)]))
              << "law " << i % 10 << " F " << i / 10 % int(bad.size()) << " dim " << dim << " stress "
              << stress;
      for (double x : r.d_laws) ASSERT_TRUE(std::isfinite(x));
    }
}
