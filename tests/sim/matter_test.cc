/* What kinds of matter do, in 2-D where that is quick: sand stands at its friction angle and no steeper,
   water levels out, a Bingham fluid stops where its yield stress carries it. */
#include "tests/sim/scenes.h"

using mote_test::Device;
using mote_test::Scene;
using mote_test::Simulation;

namespace {

void all_walls(Scene &made, mote_contact contact) {
  for (auto &axis : made.scene.walls)
    for (mote_wall &wall : axis) wall.contact = contact;
}

/* The height of the highest particle over the floor in each column of cells. */
std::vector<double> surface(const mote_scene &scene, const mote_particles &p) {
  double floor = scene.boundary_cells * double(scene.grid_spacing);
  std::vector<double> top(size_t(scene.cells[0]), 0.0);
  for (int64_t i = 0; i < p.count; i++) {
    double &here = top[size_t(p.position[p.dim * i] / scene.grid_spacing)];
    here = std::max(here, p.position[p.dim * i + 1] - floor);
  }
  return top;
}

/* Slopes (degrees) of both sides of a pile, fitted between 25% and 85% of its height: foot and tip are round.
 */
double mean_slope(const std::vector<double> &top) {
  double height = *std::max_element(top.begin(), top.end()), sum = 0;
  for (size_t side = 0; side < 2; side++) {
    double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (size_t b = side * top.size() / 2; b < (side + 1) * top.size() / 2; b++) {
      if (top[b] < 0.25 * height || top[b] > 0.85 * height) continue;
      double x = (double(b) + 0.5) / double(top.size());
      n++, sx += x, sy += top[b], sxx += x * x, sxy += x * top[b];
    }
    sum += std::abs(std::atan((n * sxy - sx * sy) / (n * sxx - sx * sx)));
  }
  return sum / 2 * 180 / M_PI;
}

/* The slope at rest of a pile of sand that starts as a triangle of the slope `start`. */
double slope_of_pile(float friction_angle, double start, double *moved) {
  const int cells = 64;
  Scene made(2, cells, 1.f / cells, 2e-4f);
  all_walls(made, MOTE_NO_SLIP);
  int sand = made.add_material(MOTE_DRUCKER_PRAGER);
  made.material(sand).friction_angle = friction_angle;
  made.add_box(sand, {0.1f, 3.f / cells}, {0.9f, 3.f / cells + 0.45f}, 2);
  mote_particles all = made.scene.particles, pile;
  std::vector<int32_t> keep;
  for (int64_t i = 0; i < all.count; i++)
    if (all.position[2 * i + 1] - 3.0 / cells <
        (0.4 - std::abs(all.position[2 * i] - 0.5)) * std::tan(start / 180 * M_PI))
      keep.push_back(int32_t(i));
  EXPECT_EQ(MOTE_OK, mote_particles_select(&all, keep.data(), int64_t(keep.size()), &pile));
  mote_particles_destroy(&all);
  made.scene.particles = pile;
  Device device("cpu");
  Simulation simulation(device, made.scene);
  simulation.step(10000);
  const mote_particles &p = simulation.read();
  *moved = 0;
  for (int64_t i = 0; i < p.count; i++)
    *moved = std::max(*moved, std::hypot(double(p.position[2 * i] - pile.position[2 * i]),
                                         double(p.position[2 * i + 1] - pile.position[2 * i + 1])));
  EXPECT_LT(simulation.diagnose().largest_speed, 0.02) << "the pile is not at rest"; /* it fell at 1 m/s */
  return mean_slope(surface(made.scene, p));
}

/* The angle of repose in plane strain. The yield surface is |dev tau| = alpha 2 p in the plane, and
   Mohr-Coulomb's |tau_1 - tau_2| / 2 = p sin(angle), so sin(angle) = sqrt(2) alpha, with Klar et al.'s alpha,
   which is fitted to the friction angle in triaxial compression. */
double repose(double friction_angle) {
  double s = std::sin(friction_angle / 180 * M_PI), alpha = std::sqrt(2.0 / 3.0) * 2 * s / (3 - s);
  return std::asin(std::sqrt(2.0) * alpha) * 180 / M_PI;
}

} // namespace

/* A pile three degrees flatter than the angle of repose stays as it is; one five degrees steeper slides until
   it is as flat. The slope is measured to about a degree (cells of 1/64, a pile 10 to 15 of them high). */
TEST(Sand, StandsAtItsFrictionAngle) {
  for (float angle : {20.f, 25.f, 30.f}) {
    double expected = repose(angle), crept, slid;
    double flat = slope_of_pile(angle, expected - 3, &crept),
           steep = slope_of_pile(angle, expected + 3, &slid);
    printf("friction %.0f, repose %.1f: from %.1f to %.1f (moved %.3f m), from %.1f to %.1f (moved %.3f m)\n",
           double(angle), expected, expected - 3, flat, crept, expected + 3, steep, slid);
    EXPECT_NEAR(expected - 3, flat, 1.5);
    EXPECT_NEAR(expected, steep, 2.5);
    EXPECT_LT(crept, 3.0 / 64); /* it settles under its weight */
    EXPECT_GT(slid, 1.2 * crept);
  }
}

/* A collapsing column ends as a heap, at rest and no steeper than the angle of repose: it has run out. */
TEST(Sand, ColumnCollapsesToAHeap) {
  double before = 0;
  for (float angle : {20.f, 30.f, 40.f}) {
    const int cells = 64;
    Scene made(2, cells, 1.f / cells, 2e-4f);
    all_walls(made, MOTE_NO_SLIP);
    int sand = made.add_material(MOTE_DRUCKER_PRAGER);
    made.material(sand).friction_angle = angle;
    made.add_box(sand, {0.4f, 3.f / cells}, {0.6f, 3.f / cells + 0.3f}, 2);
    Device device("cpu");
    Simulation simulation(device, made.scene);
    simulation.step(15000);
    double slope = mean_slope(surface(made.scene, simulation.read()));
    EXPECT_LT(simulation.diagnose().largest_speed, 0.01);
    EXPECT_LT(slope, repose(angle));
    EXPECT_GT(slope, before) << "rougher sand makes a steeper heap";
    before = slope;
  }
}

/* A column of (viscous, so that it comes to rest soon) fluid fills the tank to one level: each eighth of the
   tank holds an eighth of it, to a tenth, and the surface is level to a cell and a half (particles are half a
   cell apart). Matter comes to lie about 2.25 cells from a face, since the wall's nodes are 0, 1, 2. Its
   volume is kept to 8%: compression under its weight is 2%, where it lies 0.1 cell, 4% of the depth's half.
 */
TEST(Water, ColumnLevelsOut) {
  const int cells = 32;
  Scene made(2, cells, 1.f / cells, 5e-4f);
  int water = made.add_material(MOTE_NEWTONIAN);
  made.material(water).viscosity = 30;
  float floor = 3.f / cells;
  made.add_box(water, {floor, floor}, {floor + 0.6f, floor + 0.25f}, 2);
  Device device("cpu");
  Simulation simulation(device, made.scene);
  simulation.step(16000);
  const mote_particles &p = simulation.read();
  std::vector<double> top = surface(made.scene, p), share(8, 0.0);
  double face = 2.25 / cells, width = 1 - 2 * face, area = 0;
  for (int64_t i = 0; i < p.count; i++) {
    share[size_t(std::clamp((p.position[2 * i] - face) / width * 8, 0.0, 7.0))] += 8.0 / double(p.count);
    area += double(p.volume[i]);
  }
  for (double s : share) EXPECT_NEAR(1, s, 0.1);
  auto [low, high] = std::minmax_element(top.begin() + 4, top.end() - 4);
  EXPECT_LT(*high - *low, 1.5 / cells);
  mote_diagnostics d = simulation.diagnose();
  EXPECT_NEAR(area / width, 2 * (d.center_of_mass[1] - face), 0.08 * area / width);
  EXPECT_LT(d.largest_speed, 0.02);
}

/* A slumping Bingham blob: weight drives it until the yield stress holds it. The strong one stands, the
   middle one stops half-way, the weak one floods the floor. */
TEST(Bingham, BlobStops) {
  const int cells = 48;
  const float yield[3] = {3000, 300, 0.01f};
  double width[3], later[3], speed[3];
  for (int k = 0; k < 3; k++) {
    Scene made(2, cells, 1.f / cells, 2e-4f);
    all_walls(made, MOTE_NO_SLIP);
    int blob = made.add_material(MOTE_HERSCHEL_BULKLEY);
    made.material(blob).yield_stress = yield[k];
    made.material(blob).consistency = 10;
    made.material(blob).flow_index = 1;
    made.add_box(blob, {0.35f, 3.f / cells}, {0.65f, 3.f / cells + 0.2f}, 2);
    Device device("cpu");
    Simulation simulation(device, made.scene);
    for (double *w : {&width[k], &later[k]}) {
      simulation.step(7500); /* 1.5 s; a free fall of the blob's height takes 0.2 s */
      const mote_particles &p = simulation.read();
      double left = 1, right = 0;
      for (int64_t i = 0; i < p.count; i++) {
        left = std::min(left, double(p.position[2 * i]));
        right = std::max(right, double(p.position[2 * i]));
      }
      *w = right - left;
    }
    speed[k] = simulation.diagnose().largest_speed;
    printf("yield %g Pa: width %.3f, then %.3f m, speed %.4f m/s\n", double(yield[k]), width[k], later[k],
           speed[k]);
  }
  EXPECT_NEAR(0.3, later[0], 0.5 / cells);
  EXPECT_GT(later[1], 0.4);
  EXPECT_LT(later[1], 0.65);
  EXPECT_LT(later[1] - width[1], 1.0 / cells) << "it has not stopped";
  EXPECT_LT(speed[1], 0.005);
  EXPECT_GT(later[2], 0.8);
}
