/* What the tests of differentiable trajectories share: a scene in float64, and the loss's weights. */
#ifndef MOTE_TESTS_SIM_UNROLLED_TESTING_H
#define MOTE_TESTS_SIM_UNROLLED_TESTING_H

#include "host/sim/unrolled.h"
#include "tests/sim/scenes.h"
#include "tests/support/network.h"
#include "tests/support/step64.h"

namespace mote_test {

inline Step64 widened(const mote_scene &scene) {
  const mote_particles &p = scene.particles;
  const size_t n = size_t(p.count), dim = size_t(p.dim);
  Step64 s = {};
  s.dim = p.dim;
  s.boundary_cells = scene.boundary_cells;
  s.spacing = scene.grid_spacing;
  s.time_step = scene.time_step;
  s.clip_low = scene.clip_cells;
  for (int a = 0; a < 3; a++) {
    s.cells[a] = a < p.dim ? scene.cells[a] : 1;
    s.gravity[a] = scene.gravity[a];
    for (int side = 0; side < 2; side++) {
      s.wall_contact[a][side] = scene.walls[a][side].contact;
      s.wall_friction[a][side] = scene.walls[a][side].friction;
    }
  }
  for (int k = 0; k < scene.collider_count; k++) {
    const mote_collider &c = scene.colliders[k];
    Obstacle64 o = {};
    o.shape = c.shape;
    o.contact = c.contact;
    o.friction = c.friction;
    o.radius = c.radius;
    o.half_length = c.half_length;
    for (int d = 0; d < 3; d++) {
      o.center[d] = c.center[d];
      o.velocity[d] = c.velocity[d];
      o.angular_velocity[d] = c.angular_velocity[d];
    }
    for (int d = 0; d < 4; d++) o.orientation[d] = c.orientation[d];
    s.obstacles.push_back(o);
  }
  s.position.assign(p.position, p.position + n * dim);
  s.velocity.assign(p.velocity, p.velocity + n * dim);
  s.affine.assign(p.affine_velocity, p.affine_velocity + n * dim * dim);
  s.stress.assign(n * dim * dim, 0);
  s.volume.assign(p.volume, p.volume + n);
  for (size_t i = 0; i < n; i++) s.mass.push_back(double(p.density[i]) * double(p.volume[i]));
  return s;
}

/* Walls with friction all around, and matter that is strained by chance, not at rest, where singular values
   are equal and their order is a kink, and turns about (0.46875, 0.375). */
inline void strain_and_turn(mote_scene &s, float strain) {
  const int dim = s.dim;
  for (int a = 0; a < 3; a++)
    for (int side = 0; side < 2; side++) s.walls[a][side] = {MOTE_SEPARATE, 0.25f};
  s.boundary_cells = 2;
  for (int64_t i = 0; i < s.particles.count; i++) {
    float *v = s.particles.velocity + i * dim, *x = s.particles.position + i * dim;
    for (int k = 0; k < dim * dim; k++)
      s.particles.deformation_gradient[i * dim * dim + k] +=
          strain * mote_random_normal(22, uint64_t(k), uint64_t(i), 0);
    v[0] -= 2 * (x[1] - 0.375f);
    v[1] += 2 * (x[0] - 0.46875f);
  }
}

/* What the loss weighs the entries of state `step` by: places, velocities, C and F, in their order. */
inline float weight(int64_t step, size_t k, size_t vectors) {
  const float scale = k < vectors / 2 ? 10.f : k < vectors ? 1.f : 0.02f;
  return scale * mote_random_normal(21, uint64_t(step), k, 0);
}

/* Adds the loss's gradient by a state. */
struct Weigher {
  Device &device;
  size_t vectors, floats;
};
inline mote_status weigh(void *user, int64_t step, const mote_unrolled_state *,
                         const mote_unrolled_state *g) {
  const Weigher &w = *static_cast<Weigher *>(user);
  std::vector<float> all(w.floats);
  MOTE_TRY(mote_download(w.device.stream, all.data(), g->position, all.size() * sizeof(float)));
  for (size_t k = 0; k < all.size(); k++) all[k] += weight(step, k, w.vectors);
  return mote_upload(w.device.stream, g->position, all.data(), all.size() * sizeof(float));
}

/* `size`: the largest gradient of the kind, of which but some are differenced. */
inline void expect_near(const std::string &what, const Vector &found, const Vector &expected, double size) {
  double worst = 0;
  for (size_t k = 0; k < expected.size(); k++) {
    const double error = std::fabs(found[k] - expected[k]);
    worst = error <= worst ? worst : std::isnan(error) ? INFINITY : error;
  }
  EXPECT_GT(size, 0) << what;
  EXPECT_LT(worst / size, 1e-3) << what;
}

} // namespace mote_test
#endif
