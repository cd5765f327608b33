/* Gradients of whole trajectories of classical matter by its parameters and its first state, against
   differences of a float64 simulation: the kernels' own text of laws and transfers, compiled with doubles.
   100 steps, within 1e-3 of the largest gradient of its kind, parameters by their logarithms. */
#include "tests/sim/unrolled_testing.h"
#include "tests/support/law64.h"

using mote_test::Device;
using mote_test::Scene;
using mote_test::Vector;

namespace {

const int64_t steps = 100;

struct Kind {
  mote_material_kind kind;
  std::vector<int> parameters; /* that the loss is differenced by */
};
std::ostream &operator<<(std::ostream &out, const Kind &k) {
  return out << mote_material_kind_name(k.kind);
}

const Kind kinds[] = {
    {MOTE_FIXED_COROTATED, {MOTE_MATERIAL_YOUNGS_MODULUS, MOTE_MATERIAL_POISSON_RATIO}},
    {MOTE_NEO_HOOKEAN, {MOTE_MATERIAL_YOUNGS_MODULUS, MOTE_MATERIAL_POISSON_RATIO}},
    {MOTE_NEWTONIAN, {MOTE_MATERIAL_BULK_MODULUS, MOTE_MATERIAL_GAMMA, MOTE_MATERIAL_VISCOSITY}},
    {MOTE_HERSCHEL_BULKLEY,
     {MOTE_MATERIAL_YOUNGS_MODULUS, MOTE_MATERIAL_YIELD_STRESS, MOTE_MATERIAL_CONSISTENCY,
      MOTE_MATERIAL_FLOW_INDEX}},
    {MOTE_VISCOELASTIC,
     {MOTE_MATERIAL_YOUNGS_MODULUS, MOTE_MATERIAL_POISSON_RATIO, MOTE_MATERIAL_VISCOSITY,
      MOTE_MATERIAL_RELAXATION_TIME}},
    {MOTE_DRUCKER_PRAGER,
     {MOTE_MATERIAL_YOUNGS_MODULUS, MOTE_MATERIAL_POISSON_RATIO, MOTE_MATERIAL_FRICTION_ANGLE}},
    {MOTE_VON_MISES,
     {MOTE_MATERIAL_YOUNGS_MODULUS, MOTE_MATERIAL_POISSON_RATIO, MOTE_MATERIAL_YIELD_STRESS,
      MOTE_MATERIAL_HARDENING}},
};

mote_material matter(mote_material_kind kind) {
  mote_material m;
  mote_material_defaults(kind, &m);
  m.youngs_modulus = 8e4f;
  if (kind == MOTE_NEWTONIAN) m.bulk_modulus = 5e4f, m.viscosity = 2;
  if (kind == MOTE_VISCOELASTIC) m.viscosity = 3, m.relaxation_time = 0.05f;
  if (kind == MOTE_VON_MISES) m.yield_stress = 800, m.hardening = 300;
  if (kind == MOTE_HERSCHEL_BULKLEY) m.yield_stress = 200, m.consistency = 10;
  return m;
}

/* A small box that falls, turning and strained, onto the floor. */
void fill(Scene &made, mote_material_kind kind) {
  const int m = made.add_material(kind);
  made.material(m) = matter(kind);
  made.add_box(m, {0.375f, 0.265625f, 0.4375f}, {0.5f, 0.359375f, 0.5f}, 2, 0.25f, {0.5f, -2, 0.25f});
  mote_test::strain_and_turn(made.scene, 0.01f);
}

/* All that a trajectory begins with. */
struct Start64 {
  Step64 step;
  Vector F, history, material; /* material: its parameters */
  int kind;
};

double loss64(Start64 s) {
  const size_t n = s.step.mass.size(), dim = size_t(s.step.dim), square = dim * dim, vectors = 2 * n * dim;
  double_law::Particle p = {};
  double loss = 0;
  p.kind = s.kind;
  p.dim = s.step.dim;
  p.dt = s.step.time_step;
  mote_law_derive(s.material.data(), p.law.data());
  auto load = [&](size_t i) {
    std::copy_n(s.F.begin() + long(i * square), square, p.F.begin());
    std::copy_n(s.step.affine.begin() + long(i * square), square, p.C.begin());
    p.history = s.history[i];
  };
  for (int64_t k = 1; k <= steps; k++) {
    for (size_t i = 0; i < n; i++) {
      load(i);
      const auto tau = double_law::stress(p);
      std::copy_n(tau.begin(), square, s.step.stress.begin() + long(i * square));
    }
    advance64(s.step);
    for (size_t i = 0; i < n; i++) {
      std::array<double, 9> F;
      load(i);
      double_law::advance(p, F, s.history[i]);
      std::copy_n(F.begin(), square, s.F.begin() + long(i * square));
    }
    size_t at = 0;
    for (const Vector *part : {&s.step.position, &s.step.velocity, &s.step.affine, &s.F, &s.history})
      for (double x : *part) {
        loss += double(mote_test::weight(k, at, vectors)) * x;
        at++;
      }
  }
  return loss;
}

class Trajectory {
public:
  Trajectory(const std::string &name, int dim, mote_material_kind kind, int threads = 0)
      : device(name, threads), made(dim, 16, 1.f / 16, 0.0009765625f) {
    fill(made, kind);
    MOTE_EXPECT_OK(
        mote_unrolled_create(device.stream, &made.scene, nullptr, steps, size_t(1) << 28, &unrolled));
  }
  ~Trajectory() { mote_unrolled_free(&unrolled); }
  /* By the first state. */
  std::vector<float> back() {
    const size_t n = size_t(made.scene.particles.count), dim = size_t(made.scene.dim);
    mote_test::Weigher weigher = {device, 2 * n * dim, size_t(unrolled.floats)};
    mote_unrolled_state begin = {};
    MOTE_EXPECT_OK(mote_unrolled_run(&unrolled, 0, steps, nullptr, nullptr, nullptr));
    MOTE_EXPECT_OK(mote_unrolled_backward(&unrolled, nullptr, mote_test::weigh, &weigher, &begin));
    std::vector<float> all(weigher.floats);
    if (!begin.position) return all;
    MOTE_EXPECT_OK(mote_download(device.stream, all.data(), begin.position, all.size() * sizeof(float)));
    return all;
  }
  Device device;
  Scene made;
  mote_unrolled unrolled = {};
};

class UnrolledMatterTest : public testing::TestWithParam<std::tuple<std::string, Kind>> {};
INSTANTIATE_TEST_SUITE_P(devices, UnrolledMatterTest,
                         testing::Combine(testing::ValuesIn(mote_test::devices()), testing::ValuesIn(kinds)),
                         [](const auto &info) {
                           return std::get<0>(info.param) + "_" +
                                  mote_material_kind_name(std::get<1>(info.param).kind);
                         });

} // namespace

TEST_P(UnrolledMatterTest, GradientsAreThoseOfDifferences) {
  const auto &[device, kind] = GetParam();
  for (int dim : {2, 3}) {
    if (dim == 3 && device != "cpu") continue; /* the same kernels, slowly */
    SCOPED_TRACE(dim);
    Trajectory t(device, dim, kind.kind);
    const std::vector<float> gradient = t.back();
    const mote_particles &p = t.made.scene.particles;
    const size_t n = size_t(p.count), square = size_t(dim * dim), vector = n * size_t(dim);
    Start64 start = {mote_test::widened(t.made.scene),
                     Vector(p.deformation_gradient, p.deformation_gradient + n * square),
                     Vector(p.history, p.history + n),
                     {},
                     int(kind.kind)};
    for (int k = 0; k < MOTE_MATERIAL_PARAMETERS; k++)
      start.material.push_back(double((&t.made.material(0).youngs_modulus)[k]));
    auto difference = [&](double &number, double h) {
      const double value = number;
      number = value + h;
      const double high = loss64(start);
      number = value - h;
      const double low = loss64(start);
      number = value;
      return (high - low) / (2 * h);
    };
    auto check = [&](const char *what, size_t at, Vector &numbers, double h) {
      Vector found, expected;
      for (size_t k = 0; k < numbers.size(); k += numbers.size() / 6 + 1) {
        expected.push_back(difference(numbers[k], h));
        found.push_back(double(gradient[at + k]));
      }
      double size = 0;
      for (size_t k = 0; k < numbers.size(); k++) size = std::max(size, std::fabs(double(gradient[at + k])));
      mote_test::expect_near(what, found, expected, size);
    };
    check("position", 0, start.step.position, 1e-8);
    check("velocity", vector, start.step.velocity, 1e-7);
    check("affine velocity", 2 * vector, start.step.affine, 1e-6);
    check("deformation", 2 * vector + n * square, start.F, 1e-8);
    Vector found, expected;
    double size = 0;
    for (int k : kind.parameters) {
      const double value = start.material[size_t(k)];
      expected.push_back(value * difference(start.material[size_t(k)], 1e-6 * value));
      found.push_back(value * t.unrolled.by_material[k]);
      size = std::max(size, std::fabs(expected.back()));
    }
    mote_test::expect_near("parameters", found, expected, size);
  }
}

TEST(UnrolledMatter, BitsDoNotDependOnThreads) {
  Trajectory one("cpu", 3, MOTE_VON_MISES, 1), two("cpu", 3, MOTE_VON_MISES, 2);
  EXPECT_EQ(one.back(), two.back());
  EXPECT_EQ(one.unrolled.by_material[MOTE_MATERIAL_YIELD_STRESS],
            two.unrolled.by_material[MOTE_MATERIAL_YIELD_STRESS]);
}

/* A piece from the middle of a trajectory is what the whole has there, and its way back too. */
TEST(UnrolledMatter, APieceIsPartOfTheWhole) {
  Trajectory t("cpu", 2, MOTE_VON_MISES);
  const size_t floats = size_t(t.unrolled.floats);
  std::vector<std::vector<float>> states;
  struct Keeper {
    Trajectory &t;
    std::vector<std::vector<float>> &states;
  } keeper = {t, states};
  auto keep = [](void *user, int64_t, const mote_unrolled_state *s) {
    const Keeper &k = *static_cast<Keeper *>(user);
    k.states.emplace_back(size_t(k.t.unrolled.floats));
    return mote_download(k.t.device.stream, k.states.back().data(), s->position,
                         k.states.back().size() * sizeof(float));
  };
  MOTE_ASSERT_OK(mote_unrolled_run(&t.unrolled, 0, steps, nullptr, keep, &keeper));
  mote_test::Array<float> begin(t.device, states[39]);
  const int64_t n = t.unrolled.rows.n;
  float *x = begin.data();
  const mote_unrolled_state first = {x, x + 2 * n, x + 4 * n, x + 8 * n, x + 12 * n};
  const std::vector<std::vector<float>> whole = states;
  states.clear();
  MOTE_ASSERT_OK(mote_unrolled_run(&t.unrolled, 40, 60, &first, keep, &keeper));
  ASSERT_EQ(states.size(), 60u);
  for (size_t k = 0; k < 60; k++) EXPECT_EQ(states[k], whole[40 + k]) << k;
  EXPECT_EQ(floats, states[0].size());
  EXPECT_NE(MOTE_OK, mote_unrolled_run(&t.unrolled, 0, 0, nullptr, nullptr, nullptr));
}

TEST(UnrolledMatter, NeuralMaterialsWantOneLaw) {
  Device device("cpu");
  Scene made(2, 16, 1.f / 16, 0.0009765625f);
  const int m = made.add_material(MOTE_NEURAL);
  made.add_box(m, {0.375f, 0.375f, 0}, {0.5f, 0.5f, 0}, 2, 0.25f, {0, 0, 0});
  mote_unrolled u;
  EXPECT_EQ(MOTE_ERROR_UNSUPPORTED,
            mote_unrolled_create(device.stream, &made.scene, nullptr, 10, size_t(1) << 28, &u));
  mote_unrolled_free(&u);
}
