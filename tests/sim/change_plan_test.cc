/* Who changes when, and what is refused: arithmetic on indices, heights and times. */
#include <map>
#include <set>

#include "host/models/neural_law.h"
#include "host/sim/unrolled.h"
#include "tests/sim/laws.h"
#include "tests/sim/scenes.h"

using mote_test::Device;
using mote_test::Scene;
using mote_test::Simulation;
using mote_test::TemporaryFolder;

namespace {

const float dt = 2e-4f;

/* Water in a box, and jelly that there is none of. */
int add_water(Scene &made) {
  int water = made.add_material(MOTE_NEWTONIAN);
  made.add_box(water, {0.3f, 0.2f}, {0.6f, 0.45f}, 2);
  return water;
}

} // namespace

/* From below: the lower ones first, from the begin to the end, what is equally high at once. From above: the
   upper ones. By chance: in proportion to time, differently for another seed. Never at more than 100 steps.
 */
TEST(Change, Order) {
  for (mote_change_order order : {MOTE_CHANGE_RANDOM, MOTE_CHANGE_FROM_BELOW, MOTE_CHANGE_FROM_ABOVE}) {
    std::vector<std::vector<int64_t>> changed; /* the step that is the first to show it */
    for (uint64_t seed : {1, 2}) {
      Scene made(2, 32, 1.f / 32, dt);
      int first = made.add_material(MOTE_FIXED_COROTATED), second = made.add_material(MOTE_NEWTONIAN);
      made.add_box(first, {0.25f, 0.25f}, {0.75f, 0.5f}, 2);
      made.add_box(second, {0.25f, 0.125f}, {0.75f, 0.25f}, 2);
      made.add_change(first, second, 0.01f, 0.05f, order).seed = seed;
      Device device("cpu");
      Simulation simulation(device, made.scene);
      const mote_particles &start = made.scene.particles;
      std::vector<int64_t> when(size_t(start.count), -1);
      for (int64_t step = 0; step <= 260; step++) {
        const mote_particles &p = simulation.read();
        for (int64_t i = 0; i < p.count; i++)
          if (when[size_t(i)] < 0 && p.material[i] == second) when[size_t(i)] = step;
        simulation.step(1);
      }
      std::set<int64_t> steps;
      std::map<float, std::set<int64_t>> of_height;
      double sum = 0, count = 0;
      for (int64_t i = 0; i < start.count; i++) {
        if (start.material[i] == second) {
          EXPECT_EQ(0, when[size_t(i)]);
          continue;
        }
        steps.insert(when[size_t(i)]);
        of_height[start.position[2 * i + 1]].insert(when[size_t(i)]);
        sum += double(when[size_t(i)]), count++;
      }
      EXPECT_GE(*steps.begin(), 50);
      EXPECT_LE(*steps.rbegin(), 250);
      EXPECT_LE(steps.size(), 100u);
      if (order == MOTE_CHANGE_RANDOM) {
        EXPECT_EQ(512, count);
        EXPECT_NEAR(150, sum / count, 3 * 200 / std::sqrt(12.0 * count)); /* three deviations of a mean */
      } else {
        ASSERT_EQ(16u, of_height.size());
        int64_t row = order == MOTE_CHANGE_FROM_BELOW ? 0 : 15;
        for (const auto &[height, at] : of_height) { /* 2 steps between moments */
          ASSERT_EQ(1u, at.size());
          EXPECT_NEAR(50 + 200 * double(row) / 15, double(*at.begin()), 2);
          row += order == MOTE_CHANGE_FROM_BELOW ? 1 : -1;
        }
      }
      changed.push_back(when);
    }
    EXPECT_EQ(order != MOTE_CHANGE_RANDOM, changed[0] == changed[1]);
  }
}

/* Water that freezes and thaws; a change that is over before its matter is there takes it as it comes, each
   once; and of two that want the same matter, each gets what it finds first. */
TEST(Change, FollowsAndCompetes) {
  Scene made(2, 16, 1.f / 16, dt);
  int water = add_water(made), ice = made.add_material(MOTE_FIXED_COROTATED);
  int sand = made.add_material(MOTE_DRUCKER_PRAGER), snow = made.add_material(MOTE_NEO_HOOKEAN);
  made.add_change(ice, water, 0.02f, 0.02f);
  made.add_change(water, ice, 0.01f, 0.01f);
  made.add_change(water, sand, 0.03f, 0.04f).seed = 5;
  made.add_change(water, snow, 0.03f, 0.04f).seed = 6;
  made.add_change(sand, ice, 0, 0.01f); /* over before there is sand */
  Device device("cpu");
  Simulation simulation(device, made.scene);
  const auto count = [&](int material) {
    const mote_particles &p = simulation.read();
    return std::count(p.material, p.material + p.count, material);
  };
  const int64_t all = made.scene.particles.count;
  simulation.step(49);
  EXPECT_EQ(all, count(water));
  simulation.step(1); /* 0.01 s */
  EXPECT_EQ(all, count(ice));
  simulation.step(50);
  EXPECT_EQ(all, count(water));
  simulation.step(75); /* 0.035 s: a quarter of it is neither's yet */
  EXPECT_NEAR(0.25 * double(all), double(count(water)), 0.15 * double(all));
  simulation.step(25);
  EXPECT_EQ(0, count(sand));
  EXPECT_EQ(all, count(ice) + count(snow));
  EXPECT_NEAR(0.5 * double(all), double(count(ice)), 0.15 * double(all));
}

/* A material that nothing begins with bounds the time step by the speed and the density of what becomes it.
 */
TEST(Change, BoundsTheTimeStep) {
  Scene made(2, 16, 1.f / 16, 0);
  int soft = made.add_material(MOTE_FIXED_COROTATED), stiff = made.add_material(MOTE_FIXED_COROTATED);
  int water = made.add_material(MOTE_NEWTONIAN);
  made.no_gravity();
  made.material(soft).youngs_modulus = 1e4f;
  made.material(stiff).youngs_modulus = 1e6f;
  made.material(stiff).density = 4000;
  made.add_box(soft, {0.3f, 0.3f}, {0.6f, 0.6f}, 2, 0, {3, 0, 0});
  const double wave = double(mote_material_wave_speed(&made.material(stiff)));
  EXPECT_NEAR(0.6 / 16 / wave, double(mote_scene_stable_time_step(&made.scene)), 1e-8);
  made.add_change(water, stiff, 0, 1);
  EXPECT_NEAR(0.6 / 16 / wave, double(mote_scene_stable_time_step(&made.scene)), 1e-8);
  made.add_change(soft, water, 0, 1);
  EXPECT_NEAR(0.6 / 16 / (2 * wave + 3), double(mote_scene_stable_time_step(&made.scene)), 1e-8);
  made.material(water).viscosity = 5000; /* and the density of what flows: h^2 / (4 nu) */
  for (int64_t i = 0; i < made.scene.particles.count; i++) made.scene.particles.density[i] = 500;
  EXPECT_NEAR(1.0 / 256 / (4 * 10), double(mote_scene_stable_time_step(&made.scene)), 1e-8);
}

TEST(Change, WrongOnesAreRefused) {
  const struct {
    mote_material_change change;
    const char *says;
  } bad[] = {{{0, 2, 0, 1, MOTE_CHANGE_RANDOM, 1}, "from material 0 to 2"},
             {{-1, 1, 0, 1, MOTE_CHANGE_RANDOM, 1}, "from material -1 to 1"},
             {{1, 1, 0, 1, MOTE_CHANGE_RANDOM, 1}, "from material 1 to 1"},
             {{0, 1, 2, 1, MOTE_CHANGE_RANDOM, 1}, "begin 2 s, end 1 s"},
             {{0, 1, -1, 1, MOTE_CHANGE_RANDOM, 1}, "begin -1 s"},
             {{0, 1, 0, NAN, MOTE_CHANGE_RANDOM, 1}, "end nan s"},
             {{0, 1, 0, INFINITY, MOTE_CHANGE_RANDOM, 1}, "end inf s"},
             {{0, 1, 0, 1, mote_change_order(3), 1}, "order 3"}};
  Device device("cpu");
  for (const auto &b : bad) {
    Scene made(2, 16, 1.f / 16, dt);
    add_water(made);
    made.add_material(MOTE_NEO_HOOKEAN);
    made.add_change(0, 1, 0, 1) = b.change;
    mote_simulation *simulation;
    EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_simulation_create(&made.scene, device.device, &simulation));
    EXPECT_NE(std::string::npos, std::string(mote_last_error()).find(b.says)) << mote_last_error();
  }
}

/* What never comes, and nothing to change. */
TEST(Change, LateOrOfNothing) {
  for (bool empty : {false, true}) {
    Scene made(2, 16, 1.f / 16, dt);
    int first = empty ? made.add_material(MOTE_NEWTONIAN) : add_water(made);
    int second = made.add_material(MOTE_NEO_HOOKEAN);
    made.add_change(first, second, 1e30f, 3e38f, MOTE_CHANGE_FROM_BELOW);
    made.add_change(second, first, 0, 0, MOTE_CHANGE_FROM_ABOVE);
    Device device("cpu");
    Simulation simulation(device, made.scene);
    ASSERT_NE(nullptr, simulation.simulation);
    simulation.step(3);
    if (!empty) {
      EXPECT_EQ(first, simulation.read().material[0]);
    }
  }
}

/* A differentiable simulation knows one law alone. */
TEST(Change, IsNotDifferentiable) {
  TemporaryFolder folder;
  mote_test::write_random(folder.path, 2);
  Scene made(2, 16, 1.f / 16, dt);
  int neural = mote_test::add_neural(made, folder.path);
  made.add_box(neural, {0.3f, 0.2f}, {0.6f, 0.45f}, 2);
  made.add_change(neural, made.add_material(MOTE_NEWTONIAN), 0, 1);
  Device device("cpu");
  mote_neural_law *law;
  mote_unrolled unrolled;
  MOTE_ASSERT_OK(mote_neural_law_open(device.device, folder.path.c_str(), &law));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT,
            mote_unrolled_create(device.stream, &made.scene, law, 10, 1 << 20, &unrolled));
  EXPECT_NE(std::string::npos, std::string(mote_last_error()).find("change")) << mote_last_error();
  mote_unrolled_free(&unrolled);
  mote_neural_law_destroy(law);
}
