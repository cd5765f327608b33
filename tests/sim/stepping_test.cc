/* The loop over steps: the same bits for any number of threads, nothing allocated after the first step, steps
   beyond the limits refused and failures reported, and the GPU's kernels in agreement with the CPU's. */
#include <cstring>

#include "tests/sim/scenes.h"

using mote_test::Device;
using mote_test::Scene;
using mote_test::Simulation;

namespace {

bool same(const float *a, const float *b, int64_t n) {
  return std::memcmp(a, b, size_t(n) * sizeof *a) == 0;
}

/* Three bodies of three materials that meet, with a moving collider and rough walls. */
void make_mixed(Scene &made, int per_axis) {
  int dim = made.scene.dim;
  int jelly = made.add_material(MOTE_FIXED_COROTATED), sand = made.add_material(MOTE_DRUCKER_PRAGER);
  int water = made.add_material(MOTE_NEWTONIAN);
  made.scene.walls[1][0] = {MOTE_SEPARATE, 0.4f};
  made.add_box(jelly, {0.15f, 0.15f, 0.15f}, {0.5f, 0.5f, 0.5f}, per_axis, 0.3f, {1, -1, 0.5f}, 1);
  made.add_box(sand, {0.5f, 0.15f, 0.2f}, {0.85f, 0.4f, 0.8f}, per_axis, 0.3f, {-1, 0, 0}, 2);
  made.add_box(water, {0.3f, 0.55f, 0.3f}, {0.7f, 0.8f, 0.7f}, per_axis, 0.3f, {0, -2, 0}, 3);
  mote_collider &c = made.add_collider(MOTE_COLLIDER_CAPSULE, MOTE_SEPARATE);
  c.friction = 0.2f;
  c.center[0] = 0.9f, c.center[1] = 0.2f, c.center[2] = dim == 3 ? 0.5f : 0;
  c.radius = 0.08f, c.half_length = 0.2f;
  c.velocity[0] = -1.5f, c.angular_velocity[2] = 2;
}

} // namespace

TEST(Stepping, ThreadsDoNotChangeBits) {
  for (int dim : {2, 3}) {
    Scene made(dim, dim == 3 ? 24 : 128, dim == 3 ? 1.f / 24 : 1.f / 128, 1e-4f);
    make_mixed(made, dim == 3 ? 2 : 3);
    ASSERT_GT(made.scene.particles.count, 8192); /* fewer are given to one thread anyway */
    Device one("cpu", 1), two("cpu", 2), three("cpu", 3);
    Simulation first(one, made.scene), second(two, made.scene), third(three, made.scene);
    for (Simulation *s : {&first, &second, &third}) s->step(50);
    const mote_particles &a = first.read();
    for (Simulation *s : {&second, &third}) {
      const mote_particles &b = s->read();
      EXPECT_TRUE(same(a.position, b.position, a.count * dim));
      EXPECT_TRUE(same(a.velocity, b.velocity, a.count * dim));
      EXPECT_TRUE(same(a.deformation_gradient, b.deformation_gradient, a.count * dim * dim));
      EXPECT_TRUE(same(a.affine_velocity, b.affine_velocity, a.count * dim * dim));
      EXPECT_TRUE(same(a.history, b.history, a.count));
      mote_diagnostics da = first.diagnose(), db = s->diagnose();
      EXPECT_EQ(0, std::memcmp(&da, &db, sizeof da));
    }
  }
}

/* However many steps are asked for at once. */
TEST(Stepping, CallsDoNotChangeBits) {
  Scene made(3, 16, 1.f / 16, 1e-4f);
  make_mixed(made, 2);
  Device device("cpu");
  Simulation whole(device, made.scene), parts(device, made.scene);
  whole.step(60);
  for (int k = 0; k < 20; k++) parts.step(3);
  parts.step(0);
  EXPECT_EQ(60, mote_simulation_steps(parts.simulation));
  EXPECT_FLOAT_EQ(60e-4f, float(mote_simulation_time(parts.simulation)));
  const mote_particles &a = whole.read(), &b = parts.read();
  EXPECT_TRUE(same(a.position, b.position, a.count * 3));
  EXPECT_TRUE(same(a.affine_velocity, b.affine_velocity, a.count * 9));
}

class SteppingOnDevice : public mote_test::OnDevice {};
MOTE_ON_DEVICES(SteppingOnDevice);

/* Also what a recorded step replays: several calls, moving colliders, walls with friction. 1e-5 m: float32
   rounding, amplified by contact over 60 steps. */
TEST_P(SteppingOnDevice, AgreesWithTheCpu) {
  for (int dim : {2, 3}) {
    Scene made(dim, 16, 1.f / 16, 2e-4f);
    make_mixed(made, dim == 3 ? 1 : 2);
    Device reference("cpu"), device(GetParam());
    Simulation expected(reference, made.scene), simulation(device, made.scene);
    for (int k = 0; k < 3; k++) {
      expected.step(20);
      simulation.step(20);
    }
    EXPECT_EQ(60, mote_simulation_steps(simulation.simulation));
    const mote_particles &a = expected.read(), &b = simulation.read();
    double largest = 0;
    for (int64_t i = 0; i < a.count * dim; i++)
      largest = std::max(largest, std::abs(double(a.position[i]) - double(b.position[i])));
    EXPECT_LT(largest, 1e-5) << dim << "-D";
    mote_diagnostics da = expected.diagnose(), db = simulation.diagnose();
    EXPECT_NEAR(da.mass, db.mass, 1e-12 * da.mass);
    for (int d = 0; d < 3; d++) {
      EXPECT_NEAR(da.linear_momentum[d], db.linear_momentum[d], 1e-4 * da.mass);
      EXPECT_NEAR(da.angular_momentum[d], db.angular_momentum[d], 1e-4 * da.mass);
      EXPECT_NEAR(da.center_of_mass[d], db.center_of_mass[d], 1e-6);
    }
    EXPECT_NEAR(da.kinetic_energy, db.kinetic_energy, 1e-4 * da.kinetic_energy);
    EXPECT_NEAR(da.elastic_energy, db.elastic_energy, 1e-3 * da.elastic_energy);
    EXPECT_NEAR(da.potential_energy, db.potential_energy, 1e-5 * da.potential_energy);
    EXPECT_NEAR(da.largest_speed, db.largest_speed, 1e-3 * da.largest_speed);
  }
}

TEST_P(SteppingOnDevice, AllocatesNothingAfterTheFirstStep) {
  Scene made(2, 32, 1.f / 32, 2e-4f);
  make_mixed(made, 1);
  Device device(GetParam());
  Simulation simulation(device, made.scene);
  simulation.step(1);
  simulation.read();
  simulation.diagnose();
  mote_memory_use before = mote_device_memory_use(device.device);
  simulation.step(100);
  simulation.read();
  simulation.diagnose();
  mote_memory_use after = mote_device_memory_use(device.device);
  EXPECT_EQ(before.allocations, after.allocations);
  EXPECT_EQ(before.bytes_now, after.bytes_now);
}

/* A wall that moves too fast throws particles: the step and a particle are named, the state stays that of the
 * failure. */
TEST_P(SteppingOnDevice, ReportsAFailure) {
  Scene made(2, 16, 1.f / 16, 2e-4f);
  int jelly = made.add_material(MOTE_FIXED_COROTATED);
  made.add_box(jelly, {0.5f, 0.5f}, {0.7f, 0.7f}, 2);
  mote_collider &c = made.add_collider(MOTE_COLLIDER_PLANE, MOTE_NO_SLIP);
  c.normal[0] = 1, c.velocity[0] = 400, c.center[0] = -2;
  Device device(GetParam());
  Simulation simulation(device, made.scene);
  ASSERT_NE(nullptr, simulation.simulation);
  EXPECT_EQ(MOTE_ERROR_NUMERIC, mote_simulation_step(simulation.simulation, 100));
  std::string message = mote_last_error();
  int64_t steps = mote_simulation_steps(simulation.simulation);
  EXPECT_GT(steps, 25); /* the plane arrives after 2.4 m at 400 m/s: 30 steps */
  EXPECT_LT(steps, 36);
  EXPECT_NE(std::string::npos, message.find("step " + std::to_string(steps))) << message;
  EXPECT_NE(std::string::npos, message.find("particle")) << message;
  mote_diagnostics d = simulation.diagnose();
  EXPECT_GT(d.largest_speed, double(made.scene.grid_spacing) / double(made.scene.time_step));
  EXPECT_EQ(MOTE_ERROR_NUMERIC, mote_simulation_step(simulation.simulation, 1));
  EXPECT_EQ(steps, mote_simulation_steps(simulation.simulation));
  EXPECT_EQ(d.center_of_mass[0], simulation.diagnose().center_of_mass[0]);
}

TEST_P(SteppingOnDevice, ReadsWhatTheSceneHeld) {
  Scene made(3, 16, 1.f / 16, 2e-4f);
  make_mixed(made, 1);
  Device device(GetParam());
  Simulation simulation(device, made.scene);
  for (int k = 0; k < 2; k++) {
    const mote_particles &p = simulation.read(), &q = made.scene.particles;
    for (int64_t i = 0; i < p.count; i++) {
      ASSERT_EQ(q.body[i], p.body[i]);
      ASSERT_EQ(q.material[i], p.material[i]);
      ASSERT_EQ(q.volume[i], p.volume[i]);
      ASSERT_EQ(q.density[i], p.density[i]);
      for (int d = 0; d < 3; d++) { /* two steps carry a particle no further than 2 * 3 m/s * 2e-4 s */
        ASSERT_NEAR(q.position[3 * i + d], p.position[3 * i + d], k ? 1.2e-3 : 1e-6);
        ASSERT_NEAR(q.velocity[3 * i + d], p.velocity[3 * i + d], k ? 2 : 1e-6);
      }
    }
    simulation.step(2);
  }
  std::vector<float> x(size_t(made.scene.particles.count) * 3);
  MOTE_ASSERT_OK(mote_simulation_read_motion(simulation.simulation, x.data(), nullptr));
  EXPECT_TRUE(same(x.data(), simulation.read().position, int64_t(x.size())));
}

TEST_P(SteppingOnDevice, NothingAndOneParticle) {
  for (int count : {0, 1}) {
    Scene made(3, 8, 1.f / 8, 1e-3f);
    int jelly = made.add_material(MOTE_FIXED_COROTATED);
    if (count) made.add_box(jelly, {0.5f, 0.5f, 0.5f}, {0.6f, 0.6f, 0.6f}, 1);
    Device device(GetParam());
    Simulation simulation(device, made.scene);
    ASSERT_NE(nullptr, simulation.simulation);
    simulation.step(100);
    mote_diagnostics d = simulation.diagnose();
    EXPECT_EQ(count == 1, d.mass > 0);
    if (count) { /* it falls freely: semi-implicit Euler's parabola */
      EXPECT_NEAR(-0.98 * d.mass, d.linear_momentum[1], 1e-5 * d.mass);
      EXPECT_NEAR(0.5625 - 9.8 * 1e-6 * 5050, d.center_of_mass[1], 1e-5);
    }
  }
}

/* At the limit itself matter of every kind that falls onto the floor neither fails nor gains energy. */
TEST(TimeStep, LimitIsStable) {
  for (int dim : {2, 3})
    for (int kind = 0; kind < MOTE_CLASSICAL_KINDS; kind++)
      for (float viscosity : {0.f, 2000.f}) {
        if (viscosity > 0 && kind != MOTE_NEWTONIAN && kind != MOTE_VISCOELASTIC) continue;
        Scene made(dim, 24, 1.f / 24, 0);
        int m = made.add_material(mote_material_kind(kind));
        made.material(m).youngs_modulus = 1e5f;
        made.material(m).viscosity = viscosity;
        made.add_box(m, {0.375f, 0.2f, 0.375f}, {0.625f, 0.5f, 0.625f}, 2, 0.5f, {0.3f, -2, 0});
        made.scene.time_step = 0.999f * mote_scene_stable_time_step(&made.scene);
        Device device("cpu");
        Simulation simulation(device, made.scene);
        mote_diagnostics first = simulation.diagnose();
        double start = first.kinetic_energy + first.potential_energy + first.elastic_energy;
        for (int k = 0; k < 10; k++) {
          simulation.step(int64_t(0.05f / made.scene.time_step));
          mote_diagnostics d = simulation.diagnose();
          EXPECT_LT(d.kinetic_energy + d.potential_energy + d.elastic_energy, start * 1.001)
              << dim << "-D " << mote_material_kind_name(mote_material_kind(kind)) << ", viscosity "
              << viscosity;
        }
      }
}

TEST(TimeStep, BeyondTheLimitIsRefused) {
  Scene made(2, 16, 1.f / 16, 0);
  int jelly = made.add_material(MOTE_FIXED_COROTATED);
  made.add_box(jelly, {0.3f, 0.3f}, {0.6f, 0.6f}, 2);
  Device device("cpu");
  float stable = mote_scene_stable_time_step(&made.scene);
  double top = 0;
  for (int64_t i = 0; i < made.scene.particles.count; i++)
    top = std::max(top, double(made.scene.particles.position[2 * i + 1]));
  /* c = sqrt((lambda + 2 mu) / rho) = 10.54 m/s for E = 1e5 Pa, nu = 0.2; the fall from the top to the
     bottom of the domain adds v = sqrt(2 g top): 0.6 h / (c + v) */
  EXPECT_NEAR(0.6 / 16 / (10.5409 + std::sqrt(2 * 9.8 * top)), stable, 1e-6);
  made.scene.time_step = 1.01f * stable;
  mote_simulation *simulation = nullptr;
  EXPECT_EQ(MOTE_ERROR_NUMERIC, mote_simulation_create(&made.scene, device.device, &simulation));
  EXPECT_EQ(nullptr, simulation);
  EXPECT_NE(std::string::npos, std::string(mote_last_error()).find("time step")) << mote_last_error();
  made.scene.time_step = 0;
  MOTE_ASSERT_OK(mote_simulation_create(&made.scene, device.device, &simulation));
  EXPECT_FLOAT_EQ(0.5f * stable, mote_simulation_time_step(simulation));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_simulation_step(simulation, -1));
  mote_simulation_destroy(simulation);
  /* speed and viscosity lower the limit: h / (c + v), h^2 / (4 nu) */
  for (int64_t i = 0; i < made.scene.particles.count; i++) made.scene.particles.velocity[2 * i] = 30;
  EXPECT_NEAR(0.6 / 16 / (10.5409 + std::sqrt(900 + 2 * 9.8 * top)), mote_scene_stable_time_step(&made.scene),
              1e-6);
  made.scene.materials[0].kind = MOTE_NEWTONIAN;
  made.scene.materials[0].viscosity = 5000;
  EXPECT_NEAR(1.0 / 256 / (4 * 5), mote_scene_stable_time_step(&made.scene), 1e-7);
}

TEST(Simulation, RefusesAnotherCount) {
  Scene made(2, 16, 1.f / 16, 1e-4f);
  int jelly = made.add_material(MOTE_FIXED_COROTATED);
  made.add_box(jelly, {0.3f, 0.3f}, {0.6f, 0.6f}, 2);
  Device device("cpu");
  Simulation simulation(device, made.scene);
  mote_particles other;
  MOTE_ASSERT_OK(mote_particles_create(3, 2, &other));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_simulation_read(simulation.simulation, &other));
  mote_particles_destroy(&other);
}
