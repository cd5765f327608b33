/* Return mappings: no state beyond the yield surface, and what each material remembers. A stress in float32
   is known to 1e-6 of the moduli, here 1e5 Pa and less: hence the slack of 1 Pa. */
#include "tests/constitutive/constitutive_testing.h"

using mote_test::Device;

class PlasticTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(PlasticTest);

struct Invariants {
  double trace, deviator;
};
static Invariants invariants(const float *tau, int dim) {
  Invariants result{0, 0};
  for (int k = 0; k < dim; k++) result.trace += tau[k * (dim + 1)];
  for (int r = 0; r < dim; r++)
    for (int c = 0; c < dim; c++) {
      double d = tau[r * dim + c] - (r == c ? result.trace / dim : 0);
      result.deviator += d * d;
    }
  result.deviator = std::sqrt(result.deviator);
  return result;
}

TEST_P(PlasticTest, VonMisesHardens) {
  Device device{GetParam()};
  mote_material material = material_of(MOTE_VON_MISES, 1e5f, 0.25f);
  material.yield_stress = 1000;
  material.hardening = 2e4f;
  for (int dim : {2, 3}) {
    const int n = 500;
    State state(device, dim, {material}, random_deformations(dim, n, 0.02, 51));
    state.set_gradient(random_gradients(dim, n, 5, 52));
    std::vector<float> before(n, 0.f);
    int yielded = 0, elastic = 0;
    for (int step = 0; step < 3; step++) {
      state.step(1e-3f);
      std::vector<float> tau = state.tau.host(), strain = state.history.host();
      for (int i = 0; i < n; i++) {
        double limit = material.yield_stress + double(material.hardening) * strain[i];
        double deviator = invariants(&tau[size_t(i * dim * dim)], dim).deviator;
        ASSERT_LE(deviator, limit + 1);
        ASSERT_GE(strain[i], before[i]);
        if (strain[i] > before[i]) {
          ASSERT_NEAR(deviator, limit, 1); /* where it flows it lies on the surface */
          yielded++;
        } else {
          elastic++;
        }
      }
      before = strain;
    }
    EXPECT_GT(yielded, 100);
    EXPECT_GT(elastic, 20);
  }
}

TEST_P(PlasticTest, DruckerPragerStaysInTheCone) {
  Device device{GetParam()};
  for (float cohesion : {0.f, 0.02f})
    for (int dim : {2, 3}) {
      mote_material material = material_of(MOTE_DRUCKER_PRAGER, 1e5f, 0.2f);
      material.friction_angle = 35;
      material.cohesion = cohesion;
      double sine = std::sin(35 * M_PI / 180), mu = 1e5 / 2.4, lambda = 1e5 * 0.2 / (1.2 * 0.6);
      double alpha = dim == 2 ? sine / std::sqrt(2) : std::sqrt(2. / 3) * 2 * sine / (3 - sine);
      double apex = dim * cohesion * (2 * mu + dim * lambda); /* tr tau at e = cohesion I */
      const int n = 1000;
      State state(device, dim, {material}, random_deformations(dim, n, 0.05, 53));
      state.set_gradient(random_gradients(dim, n, 5, 54));
      int at_apex = 0, on_cone = 0, inside = 0;
      state.step(1e-3f);
      std::vector<float> tau = state.tau.host();
      for (int i = 0; i < n; i++) {
        Invariants t = invariants(&tau[size_t(i * dim * dim)], dim);
        double limit = -alpha * (t.trace - apex);
        ASSERT_LE(t.trace, apex + 1);
        ASSERT_LE(t.deviator, limit + 1);
        if (std::fabs(t.trace - apex) < 1) {
          at_apex++;
        } else if (t.deviator > limit - 1) {
          on_cone++;
        } else {
          inside++;
        }
      }
      EXPECT_GT(at_apex, 100);
      EXPECT_GT(on_cone, 100);
      EXPECT_GT(inside, 10);
    }
}

/* In 2-D the cone is Mohr-Coulomb's: at yield (s1 - s2) / -(s1 + s2) is the sine of the friction angle. */
TEST_P(PlasticTest, ThePlaneHasItsFrictionAngle) {
  Device device{GetParam()};
  for (float angle : {15.f, 30.f, 45.f}) {
    mote_material material = material_of(MOTE_DRUCKER_PRAGER, 1e5f, 0.2f);
    material.friction_angle = angle;
    State state(device, 2, {material}, {0.85f, 0, 0, 1.05f});
    state.step(0);
    std::vector<float> tau = state.tau.host();
    EXPECT_NEAR((tau[3] - tau[0]) / -(tau[3] + tau[0]), std::sin(angle * M_PI / 180), 1e-4);
  }
}

/* Sand that is pulled apart by 10% and pushed together again: with volume correction it carries nothing until
   the 10% are used up, without it resists at once (the known volume gain of the plain return). */
TEST_P(PlasticTest, VolumeCorrectionGivesGainedVolumeBack) {
  Device device{GetParam()};
  mote_material plain = material_of(MOTE_DRUCKER_PRAGER, 1e5f, 0.2f), corrected = plain;
  corrected.volume_correction = 1;
  for (int dim : {2, 3}) {
    std::vector<float> rest, pull;
    for (int i = 0; i < 2; i++) {
      append(identity(), dim, rest);
      append(diagonal(1, 1, 1), dim, pull);
    }
    State state(device, dim, {plain, corrected}, rest);
    for (float &x : pull) x *= 0.1f / float(dim);
    state.set_gradient(pull);
    state.step(1.f);
    EXPECT_NEAR(state.history.host()[1], dim * std::log(1 + 0.1 / dim), 1e-6);
    for (float &x : pull) x = -x / (1 + 0.1f / float(dim)) * 0.99f; /* nearly all the way back */
    state.set_gradient(pull);
    state.step(1.f);
    std::vector<float> tau = state.tau.host();
    EXPECT_LT(tau[0], -1000);
    EXPECT_EQ(tau[size_t(dim * dim)], 0.f);
    state.set_gradient(std::vector<float>(size_t(2 * dim * dim), 0.f));
    pull.assign(pull.size(), 0.f);
    for (int k = 0; k < dim; k++) pull[size_t(dim * dim + k * (dim + 1))] = -0.01f;
    state.set_gradient(pull);
    state.step(1.f);
    EXPECT_LT(state.tau.host()[size_t(dim * dim)], -100); /* and now it does resist */
    EXPECT_EQ(state.history.host()[1], 0.f);
  }
}
