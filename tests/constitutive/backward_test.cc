/* The reverse of the laws. In float64, against central differences: a gradient of a random weighting of the
   outputs, by F, C, history and each parameter, norm by norm.

   A difference that straddles a kink (yield begins, the apex, a limit) measures nothing: where the one-sided
   differences part, the point is left out. Few may be. */
#include <functional>

#include "tests/constitutive/backward_testing.h"

using double_law::Gradient;
using double_law::Particle;

/* A number that depends on a particle: what is differentiated. `size` is that of its terms. */
using Loss = std::function<double(const Particle &, double &size)>;

struct Difference {
  double value, noise;
  bool smooth;
};

static Difference difference(const Loss &loss, const Particle &at, double *x, double h, Particle &moved) {
  double before = *x, size = 0, here = loss(at, size);
  *x = before + h;
  double up = loss(moved, size);
  *x = before - h;
  double down = loss(moved, size);
  *x = before;
  Difference d;
  d.value = (up - down) / (2 * h);
  d.noise = 1e-14 * size / h;
  double jump = std::fabs((up - here) - (here - down)) / h;
  d.smooth = jump <= 1e-3 * std::fabs(d.value) + 1e-4 * size;
  return d;
}

struct Tally {
  int compared = 0, left_out = 0;
};

/* |gradient - difference| <= 1e-5 |difference| for the vector of n of them, but for the differences'
 * rounding. */
static void compare(const char *what, const Loss &loss, const Particle &p, double *x, Particle &moved, int n,
                    double h, bool relative, const double *gradient, Tally &tally) {
  double error = 0, norm = 0, noise = 0;
  for (int k = 0; k < n; k++) {
    double step = relative ? h * std::fabs(x[k]) : h;
    if (step == 0) { /* a parameter that is not in use, or whose 0 has a meaning of its own */
      continue;
    }
    Difference d = difference(loss, p, &x[k], step, moved);
    if (!d.smooth) {
      tally.left_out++;
      return;
    }
    double scale = relative ? std::fabs(x[k]) : 1; /* by the logarithm of a parameter: one norm for all */
    error += std::pow((gradient[k] - d.value) * scale, 2);
    norm += std::pow(d.value * scale, 2);
    noise += std::pow(d.noise * scale, 2);
  }
  tally.compared++;
  EXPECT_LE(std::sqrt(error), 1e-5 * std::sqrt(norm) + 20 * std::sqrt(noise))
      << what << ": kind " << p.kind << " dim " << p.dim << " norm " << std::sqrt(norm);
}

static void compare_all(const Loss &loss, const Particle &p, const Gradient &g, Tally &tally) {
  Particle moved = p;
  int size = p.dim * p.dim;
  compare("F", loss, p, moved.F.data(), moved, size, 1e-6, false, g.F.data(), tally);
  compare("C", loss, p, moved.C.data(), moved, size, 1e-3, false, g.C.data(), tally);
  compare("history", loss, p, &moved.history, moved, 1, 1e-6, false, &g.history, tally);
  for (int k = 0; k < double_law::PARAMETERS; k++)
    compare(("parameter " + std::to_string(k)).c_str(), loss, p, &moved.law[size_t(k)], moved, 1, 1e-5, true,
            &g.law[size_t(k)], tally);
}

class BackwardTest : public ::testing::TestWithParam<int> {};

TEST_P(BackwardTest, StressAgainstDifferences) {
  Tally tally;
  for (const mote_material &material : all_materials())
    for (uint64_t seed = 0; seed < 60; seed++) {
      Particle p = particle_of(material, GetParam(), seed);
      auto w = weights(seed);
      Loss loss = [&](const Particle &q, double &size) {
        auto tau = double_law::stress(q);
        double sum = 0;
        size = 0;
        for (int k = 0; k < q.dim * q.dim; k++) {
          sum += w[size_t(k)] * tau[size_t(k)];
          size += std::fabs(w[size_t(k)] * tau[size_t(k)]);
        }
        size = std::max(size, q.law[MOTE_LAW_MU] * 1e-3);
        return sum;
      };
      Gradient g;
      double_law::stress_backward(p, w, g);
      compare_all(loss, p, g, tally);
    }
  EXPECT_GT(tally.compared, 5000);
  EXPECT_LT(tally.left_out, tally.compared / 100) << "of " << tally.compared;
  RecordProperty("compared", tally.compared);
  RecordProperty("left_out", tally.left_out);
  printf("%d gradients compared, %d left out\n", tally.compared, tally.left_out);
}

TEST_P(BackwardTest, ReturnAgainstDifferences) {
  Tally tally;
  int passing = 0;
  for (const mote_material &material : all_materials())
    for (uint64_t seed = 0; seed < 60; seed++) {
      Particle p = particle_of(material, GetParam(), seed);
      auto w = weights(seed);
      double by_history = normal(seed, 200);
      Loss loss = [&](const Particle &q, double &size) {
        std::array<double, 9> F;
        double history, sum;
        double_law::advance(q, F, history);
        sum = by_history * history;
        size = 1;
        for (int k = 0; k < q.dim * q.dim; k++) sum += w[size_t(k)] * F[size_t(k)];
        return sum;
      };
      Gradient g;
      g.F = w;
      g.history = by_history;
      double_law::return_backward(p, g);
      std::array<double, 9> trial;
      passing += double_law::passes(p, trial);
      compare_all(loss, p, g, tally);
    }
  EXPECT_GT(passing, 100);
  EXPECT_GT(tally.compared, 5000);
  EXPECT_LT(tally.left_out, tally.compared / 100) << "of " << tally.compared;
  printf("%d gradients compared, %d left out, %d particles do not yield\n", tally.compared, tally.left_out,
         passing);
}

INSTANTIATE_TEST_SUITE_P(dims, BackwardTest, ::testing::Values(2, 3));

/* ---- a material's own parameters ---- */

TEST(MaterialGradientTest, AgainstDifferences) {
  int compared = 0;
  for (const mote_material &material : all_materials()) {
    mote_material m = material;
    m.friction_angle = 33;
    double weight[MOTE_LAW_PARAMETERS], d[MOTE_MATERIAL_PARAMETERS], at[MOTE_MATERIAL_PARAMETERS];
    for (int k = 0; k < MOTE_LAW_PARAMETERS; k++) weight[k] = normal(uint64_t(m.kind), uint64_t(300 + k));
    mote_law_gradient(&m, weight, d);
    for (int k = 0; k < MOTE_MATERIAL_PARAMETERS; k++) at[k] = double((&m.youngs_modulus)[k]);
    auto loss = [&] {
      double law[MOTE_LAW_PARAMETERS], sum = 0;
      mote_law_derive(at, law);
      for (int k = 0; k < MOTE_LAW_PARAMETERS; k++) sum += weight[k] * law[k];
      return sum;
    };
    bool tait = m.kind == MOTE_NEWTONIAN && m.bulk_modulus > 0;
    for (int k = 0; k < MOTE_MATERIAL_PARAMETERS; k++) {
      double x = at[k], h = 1e-5 * std::max(std::fabs(x), 1e-3);
      if (k == MOTE_MATERIAL_BULK_MODULUS && x == 0) continue; /* chooses the equation of state */
      if (tait && (k == MOTE_MATERIAL_YOUNGS_MODULUS || k == MOTE_MATERIAL_POISSON_RATIO ||
                   k == MOTE_MATERIAL_FRICTION_ANGLE))
        continue; /* not used */
      at[k] = x + h;
      double up = loss();
      at[k] = x - h;
      double down = loss();
      at[k] = x;
      double difference = (up - down) / (2 * h);
      EXPECT_NEAR(d[k], difference, 1e-7 * std::fabs(difference) + 1e-11 / h) << m.name << " parameter " << k;
      compared++;
    }
  }
  EXPECT_GT(compared, 100);
}
