/* Walls and rigid colliders: what they stop, let slide, drag along and let go, against the mechanics of a
 * block. */
#include "tests/sim/scenes.h"

using mote_test::Device;
using mote_test::Scene;
using mote_test::Simulation;

namespace {

const int cells = 32;
const float h = 1.f / cells;

int add_stiff(Scene &made) {
  int m = made.add_material(MOTE_FIXED_COROTATED);
  made.material(m).youngs_modulus = 2e5f;
  made.material(m).poisson_ratio = 0.2f;
  return m;
}

/* A block that lies on the floor (a wall or a collider's top at y = 3 h) and is thrown along x. */
void add_sliding_block(Scene &made) {
  made.add_box(add_stiff(made), {0.2f, 3 * h, 0.4f}, {0.4f, 3 * h + 0.1f, 0.6f}, 2, 0, {1, 0, 0});
}

struct Motion {
  double speed, way; /* along x, m/s and m */
};
Motion after(Scene &made, double seconds) {
  Device device("cpu");
  Simulation simulation(device, made.scene);
  double start = simulation.diagnose().center_of_mass[0];
  simulation.step(int64_t(std::lround(seconds / double(made.scene.time_step))));
  mote_diagnostics d = simulation.diagnose();
  return {d.linear_momentum[0] / d.mass, d.center_of_mass[0] - start};
}

/* A block thrown at 1 m/s after 0.2 s: speed is kept to 1% without friction (contact shears the block a
   little), falls by mu g t to 0.06 m/s (it rocks) with it; on a floor without slip it has only been sheared.
 */
void expect_contact(mote_contact contact, float friction, const Motion &m, const std::string &what) {
  if (contact == MOTE_NO_SLIP) {
    EXPECT_LT(std::abs(m.way), 0.03) << what;
    return;
  }
  double expected = 1 - double(friction) * 9.8 * 0.2;
  EXPECT_NEAR(expected, m.speed, contact == MOTE_FREE_SLIP ? 0.01 : 0.06) << what;
}

} // namespace

TEST(Walls, FloorActsOnASlidingBlock) {
  for (int dim : {2, 3})
    for (auto [contact, friction] :
         {std::pair{MOTE_FREE_SLIP, 0.f}, {MOTE_SEPARATE, 0.3f}, {MOTE_NO_SLIP, 0.f}}) {
      Scene made(dim, cells, h, 2e-4f);
      made.scene.walls[1][0] = {contact, friction};
      add_sliding_block(made);
      expect_contact(contact, friction, after(made, 0.2),
                     std::to_string(dim) + "-D, contact " + std::to_string(contact));
    }
}

/* Walls act on motion into them only: a block thrown up from the floor leaves it as if the floor were not
 * there. */
TEST(Walls, LetGo) {
  for (mote_contact contact : {MOTE_FREE_SLIP, MOTE_SEPARATE}) {
    Scene made(2, cells, h, 2e-4f);
    made.scene.walls[1][0] = {contact, 0.5f};
    made.add_box(add_stiff(made), {0.4f, 3 * h}, {0.6f, 3 * h + 0.1f}, 2, 0, {0, 2});
    Device device("cpu");
    Simulation simulation(device, made.scene);
    double start = simulation.diagnose().center_of_mass[1];
    simulation.step(500);
    EXPECT_NEAR(start + 0.2 - 4.9 * 0.01, simulation.diagnose().center_of_mass[1],
                1e-3); /* g dt t / 2 = 1e-4 is Euler's */
  }
}

/* The same floor made of each shape: the block slides on it, sticks to it or is slowed as on a wall. */
TEST(Colliders, EveryShapeMakesAFloor) {
  for (int dim : {2, 3})
    for (int shape = 0; shape < 4; shape++)
      for (auto [contact, friction] :
           {std::pair{MOTE_FREE_SLIP, 0.f}, {MOTE_SEPARATE, 0.3f}, {MOTE_NO_SLIP, 0.f}}) {
        Scene made(dim, cells, h, 2e-4f);
        float top = 6 * h, middle = dim == 3 ? 0.5f : 0;
        mote_collider &c = made.add_collider(mote_collider_shape(shape), contact);
        c.friction = friction;
        float centers[4] = {top, top - 40, top - 0.08f, top - 40};
        c.center[0] = 0.5f, c.center[1] = centers[shape], c.center[2] = middle;
        c.normal[1] = 1;
        c.half_size[0] = 0.45f, c.half_size[1] = 0.08f, c.half_size[2] = 0.45f;
        c.radius = 40; /* flat to 1e-3 m over the block's way */
        c.half_length = shape == MOTE_COLLIDER_CAPSULE ? 1 : 0;
        if (shape == MOTE_COLLIDER_CAPSULE) c.center[1] -= 1;
        made.add_box(add_stiff(made), {0.3f, top, 0.4f}, {0.5f, top + 0.1f, 0.6f}, 2, 0, {1, 0, 0});
        expect_contact(contact, friction, after(made, 0.2),
                       std::to_string(dim) + "-D, shape " + std::to_string(shape) + ", contact " +
                           std::to_string(contact));
      }
}

/* A moving box drags a block that sticks to it, and a turning sphere one that lies on it; a block in front of
   a moving plane is pushed to its speed. */
TEST(Colliders, MoveMatter) {
  for (int dim : {2, 3}) {
    Scene made(dim, cells, h, 2e-4f);
    mote_collider &c = made.add_collider(MOTE_COLLIDER_BOX, MOTE_NO_SLIP);
    c.center[0] = 0.4f, c.center[1] = 0.15f, c.center[2] = dim == 3 ? 0.5f : 0;
    c.half_size[0] = c.half_size[2] = 0.2f, c.half_size[1] = 0.0375f; /* its top is a row of nodes */
    c.velocity[0] = 0.5f;
    made.add_box(add_stiff(made), {0.35f, 6 * h, 0.4f}, {0.5f, 6 * h + 0.1f, 0.6f}, 2);
    EXPECT_NEAR(0.2, after(made, 0.4).way, 0.02) << dim << "-D"; /* at 0.5 m/s; it sways */
  }
  Scene pushed(2, cells, h, 2e-4f);
  pushed.no_gravity();
  mote_collider &plane = pushed.add_collider(MOTE_COLLIDER_PLANE, MOTE_FREE_SLIP);
  plane.center[0] = 0.2f, plane.normal[0] = 1, plane.velocity[0] = 0.4f;
  pushed.add_box(add_stiff(pushed), {0.3f, 0.4f}, {0.4f, 0.6f}, 2);
  /* an elastic block that is hit rebounds: faster than the plane, at most by twice */
  double v = after(pushed, 0.5).speed;
  EXPECT_GT(v, 0.39);
  EXPECT_LT(v, 0.81);
  Scene turned(2, cells, h, 2e-4f);
  mote_collider &wheel = turned.add_collider(MOTE_COLLIDER_SPHERE, MOTE_NO_SLIP);
  wheel.center[0] = 0.5f, wheel.center[1] = 0.3f, wheel.radius = 0.2f;
  wheel.angular_velocity[2] = -2; /* clockwise: its top moves along +x at 0.4 m/s */
  turned.add_box(add_stiff(turned), {0.45f, 0.51f}, {0.55f, 0.6f}, 2);
  double dragged = after(turned, 0.15).speed;
  EXPECT_GT(dragged, 0.3);
  EXPECT_LT(dragged, 0.6);
}

/* A turned box keeps matter out of its own shape: a block dropped on a 45 degree ramp slides down it. */
TEST(Colliders, BoxTurns) {
  Scene made(2, cells, h, 2e-4f);
  mote_collider &c = made.add_collider(MOTE_COLLIDER_BOX, MOTE_FREE_SLIP);
  c.center[0] = 0.3f, c.center[1] = 0.3f;
  c.half_size[0] = 0.3f, c.half_size[1] = 0.1f, c.half_size[2] = 1;
  c.orientation[0] = std::cos(float(M_PI) / 8),
  c.orientation[3] = -std::sin(float(M_PI) / 8); /* -45 degrees */
  made.add_box(add_stiff(made), {0.32f, 0.5f}, {0.42f, 0.6f}, 2);
  Device device("cpu");
  Simulation simulation(device, made.scene);
  simulation.step(1250);
  mote_diagnostics d = simulation.diagnose();
  EXPECT_GT(d.linear_momentum[0] / d.mass, 0.4);
  const mote_particles &p = simulation.read();
  int inside = 0;
  for (int64_t i = 0; i < p.count; i++) {
    double u = p.position[2 * i] - 0.3, w = p.position[2 * i + 1] - 0.3, q = std::sqrt(0.5);
    inside += std::abs(q * (u - w)) < 0.3 - double(h) && std::abs(q * (u + w)) < 0.1 - double(h);
  }
  EXPECT_EQ(0, inside) << "particles more than a cell deep in the box";
}
