/* Gradients of whole trajectories of neural matter. A loss that weighs every state of 100 steps is
   differenced in a float64 simulation (tests/support/step64.h, neural64.h) and compared with the float32 way
   back: within 1e-3 of the largest gradient of its kind. */
#include "host/train/weights.h"
#include "tests/sim/unrolled_testing.h"
#include "tests/support/neural64.h"

using mote_test::Array;
using mote_test::Device;
using mote_test::expect_near;
using mote_test::Scene;
using mote_test::Vector;
using mote_test::weigh;
using mote_test::Weigher;
using mote_test::weight;
using mote_test::widened;
using mote_test::neural64::Law64;

namespace {

const int64_t steps = 100;

/* A small box that falls, turning, onto a floor and a moving ball. */
void fill(Scene &made, bool obstacle) {
  const int dim = made.scene.dim, m = made.add_material(MOTE_NEURAL);
  made.add_box(m, {0.375f, 0.28125f, 0.4375f}, {0.5f, 0.375f, 0.5f}, 2, 0.25f, {0.5f, -2, 0.25f});
  mote_test::strain_and_turn(made.scene, 0.02f);
  if (!obstacle) return;
  mote_collider &c = made.add_collider(MOTE_COLLIDER_CAPSULE, MOTE_SEPARATE);
  const float center[3] = {0.4f, 0.2f, 0.47f}, velocity[3] = {0.3f, 0.4f, 0.1f},
              spin[3] = {0.5f, -0.25f, 1.5f};
  std::copy(center, center + 3, c.center);
  std::copy(velocity, velocity + 3, c.velocity);
  std::copy(spin, spin + 3, c.angular_velocity);
  if (dim == 2) c.angular_velocity[0] = c.angular_velocity[1] = c.velocity[2] = 0;
  c.radius = 0.08f;
  c.half_length = 0.07f;
  c.friction = 0.2f;
}

/* The loss of a trajectory in float64. */
double loss64(Step64 s, Vector F, const Law64 &law) {
  const size_t n = s.mass.size(), dim = size_t(s.dim), square = dim * dim, vectors = 2 * n * dim;
  double loss = 0;
  for (int64_t k = 1; k <= steps; k++) {
    for (size_t p = 0; p < n; p++) {
      const Vector tau = law.stress(Vector(F.begin() + long(p * square), F.begin() + long((p + 1) * square)));
      std::copy(tau.begin(), tau.end(), s.stress.begin() + long(p * square));
    }
    advance64(s);
    for (size_t p = 0; p < n; p++) {
      Vector old(F.begin() + long(p * square), F.begin() + long((p + 1) * square)), trial = old;
      for (size_t i = 0; i < dim; i++)
        for (size_t j = 0; j < dim; j++)
          for (size_t e = 0; e < dim; e++)
            trial[i * dim + j] += s.time_step * s.affine[p * square + i * dim + e] * old[e * dim + j];
      const Vector flowed = law.flow(trial);
      std::copy(flowed.begin(), flowed.end(), F.begin() + long(p * square));
    }
    size_t at = 0;
    for (const Vector *part : {&s.position, &s.velocity, &s.affine, &F})
      for (double x : *part) {
        loss += double(weight(k, at, vectors)) * x;
        at++;
      }
  }
  return loss;
}

int inputs_of(int dim, bool invariants) {
  return invariants ? MOTE_INVARIANTS : MOTE_NEURAL_INPUTS(dim);
}

/* Hooke's law as a network (tests/sim/neural_test.cc), so that matter holds together, with some chance in
   each weight; a weak plasticity by chance. Of invariants, S = 0.4 t I + 0.8 E by the input that is 1. */
void stiffen(mote_neural_law *law, mote_trained_weights *weights) {
  const bool invariants = law->config.invariants;
  const int dim = law->config.dim, in = inputs_of(dim, invariants), hidden = law->config.width;
  const int outputs = invariants ? MOTE_INVARIANTS : dim * dim;
  float *first = law->parameters.value, *second = first + hidden * in;
  for (int k = 0; k < hidden * in + outputs * hidden; k++) first[k] *= 0.05f;
  for (int k = 0; k < in; k++) {
    first[k * in + k] += 1;
    first[(in + k) * in + k] -= 1;
  }
  for (int o = 0; o < 2 && invariants; o++) {
    second[o * hidden + in - 1] += o ? 0.8f : 0.4f;
    second[o * hidden + in + in - 1] -= o ? 0.8f : 0.4f;
  }
  for (int o = 0; o < dim * dim && !invariants; o++)
    for (int k : {dim + o, in - 1}) {
      const float a = k == dim + o || o % (dim + 1) == 0 ? 0.4f : 0;
      second[o * hidden + k] += a;
      second[o * hidden + in + k] -= a;
    }
  MOTE_EXPECT_OK(mote_upload(law->stream, weights->value.data, law->parameters.value,
                             size_t(law->parameters.floats) * sizeof(float)));
  MOTE_EXPECT_OK(mote_trained_weights_pack(weights));
  MOTE_EXPECT_OK(mote_stream_synchronize(law->stream));
}

/* A trajectory and its way back on a device. */
class Bench {
public:
  Bench(const std::string &name, int dim, bool obstacle, size_t bytes, int threads = 0,
        bool invariants = false)
      : device(name, threads), made(dim, 16, 1.f / 16, 0.0009765625f) {
    const mote_neural_config config = {dim, 2 * inputs_of(dim, invariants), 1, 1e5f, 0.02f, 1, invariants};
    fill(made, obstacle);
    MOTE_EXPECT_OK(mote_neural_law_create(device.device, &config, 6, &law));
    MOTE_EXPECT_OK(mote_neural_law_create(device.device, &config, 6, &twin));
    MOTE_EXPECT_OK(mote_trained_weights_of(law->stream, &law->parameters, &twin->parameters, &weights));
    stiffen(law, &weights);
    gradient.reset(new Array<float>(device, std::vector<float>(size_t(weights.slots), 0.f)));
    created = mote_unrolled_create(device.stream, &made.scene, law, steps, bytes, &unrolled);
  }
  ~Bench() {
    mote_unrolled_free(&unrolled);
    mote_trained_weights_free(&weights);
    mote_neural_law_destroy(law);
    mote_neural_law_destroy(twin);
  }
  /* By the first state (places, velocities, C, F), then by the weights. */
  std::vector<float> back() {
    const size_t n = size_t(made.scene.particles.count), dim = size_t(made.scene.dim);
    Weigher weigher = {device, 2 * n * dim, size_t(unrolled.floats)};
    mote_unrolled_state begin = {};
    const mote_arena arena = mote_trained_weights_arena(&weights, gradient->data());
    MOTE_EXPECT_OK(
        mote_fill_bytes(device.stream, gradient->data(), 0, size_t(weights.slots) * sizeof(float)));
    MOTE_EXPECT_OK(mote_unrolled_run(&unrolled, 0, steps, nullptr, nullptr, nullptr));
    MOTE_EXPECT_OK(mote_unrolled_backward(&unrolled, &arena, weigh, &weigher, &begin));
    const size_t floats = size_t(unrolled.floats);
    std::vector<float> all(floats + size_t(weights.floats));
    float *part[] = {gradient->data()};
    if (!begin.position) return all;
    MOTE_EXPECT_OK(mote_download(device.stream, all.data(), begin.position, floats * sizeof(float)));
    MOTE_EXPECT_OK(mote_stream_synchronize(device.stream));
    MOTE_EXPECT_OK(mote_trained_weights_gather(&weights, 1, part, nullptr));
    MOTE_EXPECT_OK(mote_download(law->stream, all.data() + floats, weights.gradient.data,
                                 size_t(weights.floats) * sizeof(float)));
    return all;
  }

  Device device;
  Scene made;
  mote_neural_law *law = nullptr, *twin = nullptr;
  mote_trained_weights weights = {};
  mote_unrolled unrolled = {};
  mote_status created;
  std::unique_ptr<Array<float>> gradient;
};

const size_t plenty = size_t(1) << 30;

class UnrolledTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(UnrolledTest);

} // namespace

TEST(Unrolled, GradientsAreThoseOfDifferences) {
  for (int which : {2, 3, 12, 13}) {
    const bool invariants = which > 10;
    const int dim = which % 10;
    SCOPED_TRACE(which);
    Bench b("cpu", dim, true, plenty, 0, invariants);
    MOTE_ASSERT_OK(b.created);
    const std::vector<float> gradient = b.back();
    Step64 start = widened(b.made.scene);
    Law64 law(b.law);
    const size_t square = size_t(dim * dim), n = start.mass.size(), vector = n * size_t(dim);
    const float *begun = b.made.scene.particles.deformation_gradient;
    Vector F(begun, begun + n * square);
    /* central differences of every `often`-th number of a row that begins at `at` in the gradient */
    auto check = [&](const char *what, size_t at, size_t count, size_t often, double h, Vector &numbers) {
      Vector found, expected;
      for (size_t k = 0; k < count; k += often) {
        const double value = numbers[k];
        numbers[k] = value + h;
        const double high = loss64(start, F, law);
        numbers[k] = value - h;
        const double low = loss64(start, F, law);
        numbers[k] = value;
        found.push_back(double(gradient[at + k]));
        expected.push_back((high - low) / (2 * h));
      }
      double size = 0;
      for (size_t k = 0; k < count; k++) size = std::max(size, std::fabs(double(gradient[at + k])));
      expect_near(what, found, expected, size);
    };
    const size_t few = n * square / 5 + 1;
    check("position", 0, vector, few / 2 + 1, 1e-7, start.position);
    check("velocity", vector, vector, few / 2 + 1, 1e-6, start.velocity);
    check("affine velocity", 2 * vector, n * square, few, 1e-5, start.affine);
    check("deformation", 2 * vector + n * square, n * square, few, 1e-7, F);
    check("weights", size_t(b.unrolled.floats), law.value.size(), law.value.size() / 8 + 1, 1e-6, law.value);
    Vector found, expected;
    Obstacle64 &o = start.obstacles[0];
    const auto &by = b.unrolled.by_collider[0];
    for (int which = 0; which < 3; which++)
      for (int a = 0; a < 3; a++) {
        if (dim == 2 && (which == 2 ? a != 2 : a == 2)) continue;
        double &x = which == 0 ? o.center[a] : which == 1 ? o.velocity[a] : o.angular_velocity[a];
        const double value = x, h = 1e-7;
        x = value + h;
        const double high = loss64(start, F, law);
        x = value - h;
        const double low = loss64(start, F, law);
        x = value;
        found.push_back(which == 0 ? by.center[a] : which == 1 ? by.velocity[a] : by.angular_velocity[a]);
        expected.push_back((high - low) / (2 * h));
      }
    double size = 0;
    for (double x : expected) size = std::max(size, std::fabs(x));
    expect_near("collider", found, expected, size);
  }
}

/* What there is no room for is made again, to the same bits: states, as few as sqrt(steps) needs, what
   networks saw, of all steps, of a segment's, or of none, and transfers, of all steps, of some, or of none.
 */
TEST(Unrolled, BitsDoNotDependOnTheBudget) {
  Bench ample("cpu", 2, true, plenty);
  MOTE_ASSERT_OK(ample.created);
  const std::vector<float> expected = ample.back();
  EXPECT_EQ(ample.unrolled.stride, 1);
  EXPECT_TRUE(mote_unrolled_keeps(&ample.unrolled));
  const size_t state = size_t(ample.unrolled.floats) * sizeof(float),
               answers = size_t(ample.unrolled.answers) * sizeof(float);
  const auto kept = [](const Bench &b) {
    int found = 0;
    for (int64_t k = 0; k < mote_unrolled_span(&b.unrolled); k++) found += b.unrolled.kept[k] != nullptr;
    return found;
  };
  EXPECT_EQ(kept(ample), steps);
  const size_t transfers = (ample.unrolled.used - 101 * state - 100 * answers) / steps;
  const struct {
    size_t bytes;
    bool every, keeps;
    int least, most;
  } budgets[] = {{101 * state + 100 * answers + 20 * transfers, true, true, 10, 30},
                 {101 * state, true, false, 0, 0}, /* every second: 54 states, and the answers of two steps */
                 {54 * state + 2 * answers, false, true, 0, 0},
                 {54 * state + 2 * answers + 4 * transfers, false, true, 2, 2},
                 {26 * state, false, false, 0, 0}};
  for (const auto &budget : budgets) {
    SCOPED_TRACE(budget.bytes / state);
    Bench b("cpu", 2, true, budget.bytes);
    MOTE_ASSERT_OK(b.created);
    EXPECT_EQ(expected, b.back());
    EXPECT_EQ(b.unrolled.stride == 1, budget.every);
    EXPECT_EQ(mote_unrolled_keeps(&b.unrolled), budget.keeps);
    EXPECT_GE(kept(b), budget.least);
    EXPECT_LE(kept(b), budget.most);
    EXPECT_LE(b.unrolled.memory.bytes, budget.bytes + 128);
  }
  Bench nothing("cpu", 2, true, 1000);
  EXPECT_EQ(nothing.created, MOTE_ERROR_MEMORY);
  EXPECT_NE(std::string(mote_last_error()).find("MB at least"), std::string::npos) << mote_last_error();
}

TEST(Unrolled, BitsDoNotDependOnThreads) {
  Bench one("cpu", 3, false, plenty, 1), two("cpu", 3, false, plenty, 2);
  EXPECT_EQ(one.back(), two.back());
}

/* Against the CPU; 5e-3 of the largest, as 100 steps amplify what the order of sums makes of the last digit.
 */
TEST_P(UnrolledTest, DevicesAgree) {
  for (bool invariants : {false, true}) {
    Bench cpu("cpu", 2, true, plenty, 0, invariants), other(GetParam(), 2, true, plenty, 0, invariants);
    const std::vector<float> a = cpu.back(), b = other.back();
    const size_t floats = size_t(cpu.unrolled.floats);
    for (size_t part : {size_t(0), floats}) {
      double size = 0, worst = 0;
      for (size_t k = part; k < (part ? a.size() : floats); k++) {
        size = std::max(size, std::fabs(double(a[k])));
        worst = std::max(worst, std::fabs(double(a[k]) - double(b[k])));
      }
      EXPECT_GT(size, 0);
      EXPECT_LT(worst / size, 5e-3);
    }
  }
}

TEST(Unrolled, WhatIsNotFiniteIsNamed) {
  Bench b("cpu", 2, false, plenty);
  MOTE_ASSERT_OK(mote_unrolled_run(&b.unrolled, 0, steps, nullptr, nullptr, nullptr));
  const mote_arena arena = mote_trained_weights_arena(&b.weights, b.gradient->data());
  mote_unrolled_state begin;
  auto poison = [](void *, int64_t step, const mote_unrolled_state *, const mote_unrolled_state *g) {
    if (step == 60) g->velocity[7] = NAN; /* particle 3 */
    return MOTE_OK;
  };
  EXPECT_EQ(MOTE_ERROR_NUMERIC, mote_unrolled_backward(&b.unrolled, &arena, poison, nullptr, &begin));
  const std::string message = mote_last_error();
  EXPECT_NE(message.find("step 60"), std::string::npos) << message;
  EXPECT_NE(message.find("particle 3"), std::string::npos) << message;
}
