/* What a free body keeps. The figures are what is asked of the engine: mass exactly, linear momentum to 1e-5
   and angular momentum to 1e-4 over 1,000 steps, relative to the body's own; float32 rounding is all that
   touches them. The energy of a bouncing elastic block must not grow. */
#include <cstring>

#include "tests/sim/scenes.h"

using mote_test::Device;
using mote_test::Scene;
using mote_test::Simulation;

namespace {

/* A block in the middle that flies, spins and is sheared, without gravity. */
void set_in_motion(Scene &made, float spin) {
  mote_particles &p = made.scene.particles;
  for (int64_t i = 0; i < p.count; i++) {
    float *x = p.position + i * p.dim, *v = p.velocity + i * p.dim,
          *C = p.affine_velocity + i * p.dim * p.dim;
    v[0] = 0.12f - spin * (x[1] - 0.5f);
    v[1] = 0.08f + spin * (x[0] - 0.5f);
    C[1] = -spin;
    C[p.dim] = spin;
    if (p.dim == 3) v[2] = -0.05f;
  }
}

class Conservation : public ::testing::TestWithParam<std::tuple<int, mote_material_kind>> {};

} // namespace

TEST_P(Conservation, OfAFreeBody) {
  auto [dim, kind] = GetParam();
  Scene made(dim, 32, 1.f / 32, 2e-4f);
  made.no_gravity();
  int m = made.add_material(kind);
  made.material(m).youngs_modulus = 2e4f;
  made.material(m).poisson_ratio = 0.3f;
  made.material(m).bulk_modulus = 0;
  std::vector<float> low = {0.38f, 0.42f, 0.44f}, high = {0.62f, 0.58f, 0.56f};
  made.add_box(m, low, high, 2, 0.3f);
  set_in_motion(made, 4);
  Device device("cpu");
  Simulation simulation(device, made.scene);
  ASSERT_NE(nullptr, simulation.simulation);
  mote_diagnostics before = simulation.diagnose();
  simulation.step(1000);
  mote_diagnostics after = simulation.diagnose();
  EXPECT_EQ(before.mass, after.mass);
  double momentum = 0, error = 0, turn = 0, turn_error = 0, centre[3] = {0, 0, 0};
  for (int d = 0; d < 3; d++) {
    momentum += before.linear_momentum[d] * before.linear_momentum[d];
    error += std::pow(after.linear_momentum[d] - before.linear_momentum[d], 2);
    centre[d] = before.center_of_mass[d];
  }
  /* angular momentum about the first centre of mass: the one about the origin would drown it in the flight */
  for (int d = 0; d < 3; d++) {
    int a = (d + 1) % 3, b = (d + 2) % 3;
    double first = before.angular_momentum[d] -
                   (centre[a] * before.linear_momentum[b] - centre[b] * before.linear_momentum[a]);
    double second = after.angular_momentum[d] -
                    (centre[a] * after.linear_momentum[b] - centre[b] * after.linear_momentum[a]);
    turn += first * first;
    turn_error += (second - first) * (second - first);
  }
  printf("linear %.2e, angular %.2e, kinetic energy %.4g to %.4g J\n", std::sqrt(error / momentum),
         std::sqrt(turn_error / turn), before.kinetic_energy, after.kinetic_energy);
  EXPECT_LT(std::sqrt(error / momentum), 1e-5);
  EXPECT_LT(std::sqrt(turn_error / turn), 1e-4);
  /* It has flown by velocity * time. A step rounds a position, 16 to 32 cells of 1/32 m, to 2^-20 cell, in
     uniform motion every step the same way: at most 1,000 * 2^-20 / 32 = 3e-5 m. */
  for (int d = 0; d < dim; d++)
    EXPECT_NEAR(before.center_of_mass[d] + 0.2 * before.linear_momentum[d] / before.mass,
                after.center_of_mass[d], 3e-5);
}

INSTANTIATE_TEST_SUITE_P(kinds, Conservation,
                         ::testing::Combine(::testing::Values(2, 3),
                                            ::testing::Values(MOTE_FIXED_COROTATED, MOTE_NEO_HOOKEAN,
                                                              MOTE_NEWTONIAN, MOTE_HERSCHEL_BULKLEY,
                                                              MOTE_VISCOELASTIC, MOTE_DRUCKER_PRAGER,
                                                              MOTE_VON_MISES)),
                         [](const auto &info) {
                           return std::to_string(std::get<0>(info.param)) + "d_" +
                                  mote_material_kind_name(std::get<1>(info.param));
                         });

/* Dropped on a free-slip floor, its total energy (kinetic, elastic, potential) only falls: APIC dissipates.
   The peak after the rebound is lower than the drop and higher than half of it. */
TEST(Bounce, ElasticBlockGainsNoEnergy) {
  for (int dim : {2, 3}) {
    Scene made(dim, 24, 1.f / 24, 2e-4f);
    int m = made.add_material(MOTE_FIXED_COROTATED);
    made.material(m).youngs_modulus = 5e4f;
    made.material(m).poisson_ratio = 0.3f;
    made.add_box(m, {0.375f, 0.3f, 0.375f}, {0.625f, 0.55f, 0.625f}, 2);
    Device device("cpu");
    Simulation simulation(device, made.scene);
    mote_diagnostics first = simulation.diagnose();
    /* heights are above the block at rest on the floor, which is 3 cells up */
    double floor = 9.8 * first.mass * (3.0 / 24 + 0.125), start = first.potential_energy - floor;
    double lowest = 1e9, rebound = -1e9, largest = 0;
    for (int k = 0; k < 120; k++) {
      simulation.step(25);
      mote_diagnostics d = simulation.diagnose();
      double energy = d.kinetic_energy + d.elastic_energy + d.potential_energy - floor;
      largest = std::max(largest, energy);
      if (d.center_of_mass[1] < lowest) lowest = d.center_of_mass[1], rebound = -1e9;
      rebound = std::max(rebound, d.center_of_mass[1]);
    }
    double drop = first.center_of_mass[1] - lowest, rise = rebound - lowest;
    printf("%d-D: rebound %.3f of the drop, largest energy %.5f of the first\n", dim, rise / drop,
           largest / start);
    EXPECT_LT(largest, start * (1 + 1e-3)); /* symplectic Euler's energy wavers by O(dt) while in contact */
    EXPECT_LT(rise, drop);
    EXPECT_GT(rise, 0.5 * drop);
  }
}
