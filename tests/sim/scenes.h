/* Small scenes made in code, for the tests of the simulation. */
#ifndef MOTE_TESTS_SIM_SCENES_H
#define MOTE_TESTS_SIM_SCENES_H

#include <mote/random.h>
#include <mote/simulation.h>

#include "host/core/device.h"
#include "tests/support/testing.h"

namespace mote_test {

/* A scene that frees itself. */
class Scene {
public:
  Scene(int dim, int cells, float grid_spacing, float time_step) {
    EXPECT_EQ(MOTE_OK, mote_scene_create(dim, &scene)) << mote_last_error();
    for (int d = 0; d < dim; d++) scene.cells[d] = cells;
    scene.grid_spacing = grid_spacing;
    scene.time_step = time_step;
  }
  ~Scene() { mote_scene_destroy(&scene); }
  Scene(const Scene &) = delete;
  Scene &operator=(const Scene &) = delete;

  /* Returns the index of the new material, to be changed in place. */
  int add_material(mote_material_kind kind) {
    int index = scene.material_count++;
    scene.materials = static_cast<mote_material *>(
        realloc(scene.materials, size_t(scene.material_count) * sizeof *scene.materials));
    mote_material_defaults(kind, &scene.materials[index]);
    return index;
  }
  mote_material &material(int index) { return scene.materials[index]; }

  mote_collider &add_collider(mote_collider_shape shape, mote_contact contact) {
    int index = scene.collider_count++;
    scene.colliders = static_cast<mote_collider *>(
        realloc(scene.colliders, size_t(scene.collider_count) * sizeof *scene.colliders));
    scene.colliders[index] = mote_collider{};
    scene.colliders[index].shape = shape;
    scene.colliders[index].contact = contact;
    scene.colliders[index].orientation[0] = 1;
    return scene.colliders[index];
  }

  mote_material_change &add_change(int from, int to, float begin, float end,
                                   mote_change_order order = MOTE_CHANGE_RANDOM) {
    int index = scene.change_count++;
    scene.changes = static_cast<mote_material_change *>(
        realloc(scene.changes, size_t(scene.change_count) * sizeof *scene.changes));
    scene.changes[index] = {from, to, begin, end, order, 1};
    return scene.changes[index];
  }

  /* A lattice of `per_axis` particles a cell and axis in the box, each moved at random by up to `jitter` of
     their distance. */
  void add_box(int material, std::vector<float> low, std::vector<float> high, int per_axis, float jitter = 0,
               std::vector<float> velocity = {0, 0, 0}, uint64_t seed = 1) {
    int dim = scene.dim, n[3] = {1, 1, 1};
    float step = scene.grid_spacing / float(per_axis), volume = 1;
    for (int d = 0; d < dim; d++) {
      n[d] = std::max(1, int(std::lround((high[d] - low[d]) / step)));
      volume *= step;
    }
    mote_particles box;
    EXPECT_EQ(MOTE_OK, mote_particles_create(int64_t(n[0]) * n[1] * n[2], dim, &box));
    for (int64_t i = 0; i < box.count; i++) {
      int64_t at[3] = {i / n[2] / n[1], i / n[2] % n[1], i % n[2]};
      for (int d = 0; d < dim; d++) {
        float moved =
            jitter * (float(mote_random_below(seed, uint64_t(d), uint64_t(i), 1 << 20)) / (1 << 20) - 0.5f);
        box.position[i * dim + d] = low[d] + (float(at[d]) + 0.5f + moved) * step;
        box.velocity[i * dim + d] = velocity[d];
      }
      box.volume[i] = volume;
      box.density[i] = scene.materials[material].density;
      box.material[i] = material;
      box.body[i] = int32_t(material);
      box.particle_type[i] = MOTE_TYPE_ELASTIC;
    }
    EXPECT_EQ(MOTE_OK, mote_particles_append(&scene.particles, &box));
    mote_particles_destroy(&box);
  }

  void no_gravity() { scene.gravity[0] = scene.gravity[1] = scene.gravity[2] = 0; }
  mote_scene scene;
};

/* A simulation that frees itself. */
class Simulation {
public:
  Simulation(Device &device, const mote_scene &scene) {
    EXPECT_EQ(MOTE_OK, mote_simulation_create(&scene, device.device, &simulation)) << mote_last_error();
    EXPECT_EQ(MOTE_OK, mote_particles_create(scene.particles.count, scene.dim, &particles));
  }
  ~Simulation() {
    mote_simulation_destroy(simulation);
    mote_particles_destroy(&particles);
  }
  Simulation(const Simulation &) = delete;
  Simulation &operator=(const Simulation &) = delete;
  void step(int64_t steps) {
    EXPECT_EQ(MOTE_OK, mote_simulation_step(simulation, steps)) << mote_last_error();
  }
  const mote_particles &read() {
    EXPECT_EQ(MOTE_OK, mote_simulation_read(simulation, &particles)) << mote_last_error();
    return particles;
  }
  mote_diagnostics diagnose() {
    mote_diagnostics d;
    EXPECT_EQ(MOTE_OK, mote_simulation_diagnose(simulation, &d)) << mote_last_error();
    return d;
  }
  mote_simulation *simulation = nullptr;
  mote_particles particles = {};
};

} // namespace mote_test
#endif
