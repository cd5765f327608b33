/* Neural materials in simulations. What is known of them: GELU(z) - GELU(-z) = z, so that a network of such
   pairs is linear and can be given the elasticity of Hooke's law; then small motions have to be those of the
   classical material, up to strains squared. And F follows from C and the law, step by step. */
#include <fstream>

#include "tests/sim/laws.h"
#include "tests/sim/scenes.h"

using mote_test::add_neural;
using mote_test::Array;
using mote_test::Device;
using mote_test::ratio;
using mote_test::Scene;
using mote_test::Simulation;
using mote_test::stiffness;
using mote_test::TemporaryFolder;
using mote_test::write_random;

namespace {

/* Hooke's law, S = mu (F^T F - I) + lambda (det F - 1) I, as a network; without plasticity. */
void write_hooke(const std::string &folder, int dim) {
  const int inputs = MOTE_NEURAL_INPUTS(dim), square = dim * dim;
  const float mu = 1 / (2 * (1 + ratio)), lambda = ratio / ((1 + ratio) * (1 - 2 * ratio));
  Device device("cpu");
  const mote_neural_config config = {dim, 2 * inputs, 1, stiffness, 0, 1, 0};
  mote_neural_law *law;
  MOTE_ASSERT_OK(mote_neural_law_create(device.device, &config, 1, &law));
  std::vector<float> value(size_t(law->parameters.floats), 0.f);
  float *first = value.data(), *second = first + 2 * inputs * inputs;
  for (int k = 0; k < inputs; k++) {
    first[k * inputs + k] = 1;
    first[(inputs + k) * inputs + k] = -1;
  }
  for (int o = 0; o < square; o++)
    for (int k = 0; k < inputs; k++) {
      float a = k == dim + o ? mu : 0;
      if (k == inputs - 1 && o % (dim + 1) == 0) a = lambda;
      second[o * 2 * inputs + k] = a;
      second[o * 2 * inputs + inputs + k] = -a;
    }
  MOTE_ASSERT_OK(mote_neural_law_save(law, value.data(), folder.c_str()));
  mote_neural_law_destroy(law);
}

/* Pulled apart along x. */
void pull(mote_scene &scene, float rate) {
  mote_particles &p = scene.particles;
  for (int64_t i = 0; i < p.count; i++) p.velocity[i * p.dim] += rate * (p.position[i * p.dim] - 0.5f);
}

class NeuralMaterial : public mote_test::OnDevice {};
MOTE_ON_DEVICES(NeuralMaterial);

} // namespace

TEST_P(NeuralMaterial, SmallMotionsAreHookes) {
  for (int dim : {2, 3}) {
    TemporaryFolder folder;
    write_hooke(folder.path, dim);
    std::vector<float> moved[2];
    Device device(GetParam());
    for (bool neural : {false, true}) {
      Scene made(dim, 12, 1.f / 12, 5e-4f);
      int m = neural ? add_neural(made, folder.path) : made.add_material(MOTE_FIXED_COROTATED);
      made.material(m).youngs_modulus = stiffness;
      made.material(m).poisson_ratio = ratio;
      made.no_gravity();
      made.add_box(m, {0.25f, 0.375f, 0.375f}, {0.75f, 0.625f, 0.625f}, 2);
      pull(made.scene, 0.3f);
      std::vector<float> start(made.scene.particles.position,
                               made.scene.particles.position + made.scene.particles.count * dim);
      Simulation simulation(device, made.scene);
      simulation.step(60); /* it swings back: half a period is 0.05 s */
      const mote_particles &p = simulation.read();
      for (size_t k = 0; k < start.size(); k++) moved[neural].push_back(p.position[k] - start[k]);
    }
    double largest = 0;
    for (float x : moved[0]) largest = std::max(largest, std::fabs(double(x)));
    EXPECT_GT(largest, 3e-4);
    /* strains of 0.5 %, whose squares the laws treat differently: 2 % */
    EXPECT_LT(mote_test::relative_l2(moved[1], moved[0]), 0.02) << dim;
  }
}

/* F of a step is the law's flow of (I + dt C) F, with the C that the step leaves. */
TEST_P(NeuralMaterial, DeformationFollowsTheLaw) {
  for (int dim : {2, 3}) {
    TemporaryFolder folder;
    write_random(folder.path, dim);
    const int square = dim * dim;
    Device device(GetParam());
    Scene made(dim, 12, 1.f / 12, 5e-4f);
    int m = add_neural(made, folder.path);
    made.add_box(m, {0.3f, 0.3f, 0.3f}, {0.6f, 0.5f, 0.5f}, 2, 0.5f, {0.5f, -1, 0});
    pull(made.scene, 4);
    Simulation simulation(device, made.scene);
    simulation.step(40);
    const size_t n = size_t(made.scene.particles.count);
    std::vector<float> before(simulation.read().deformation_gradient,
                              simulation.particles.deformation_gradient + n * size_t(square));
    simulation.step(1);
    const mote_particles &p = simulation.read();
    std::vector<float> trial(before.size());
    double change = 0;
    for (size_t i = 0; i < n; i++)
      for (int r = 0; r < dim; r++)
        for (int c = 0; c < dim; c++) {
          double sum = 0;
          for (int k = 0; k < dim; k++)
            sum += double(p.affine_velocity[i * size_t(square) + size_t(r * dim + k)]) *
                   double(before[i * size_t(square) + size_t(k * dim + c)]);
          const size_t at = i * size_t(square) + size_t(r * dim + c);
          trial[at] = float(double(before[at]) + 5e-4 * sum);
          change = std::max(change, std::fabs(double(trial[at]) - double(before[at])));
        }
    EXPECT_GT(change, 1e-4);
    mote_neural_law *law;
    mote_neural_room room = {};
    const mote_neural_rows rows = {dim, int64_t(n), nullptr, 0, 0, 0};
    MOTE_ASSERT_OK(mote_neural_law_open(device.device, folder.path.c_str(), &law));
    Array<float> F(device, trial);
    MOTE_ASSERT_OK(mote_neural_law_flow(law, device.stream, &rows, F, square, &room, nullptr));
    const std::vector<float> expected = F.host();
    mote_neural_room_free(&room);
    mote_neural_law_destroy(law);
    double worst = 0, flowed = 0;
    for (size_t k = 0; k < expected.size(); k++) {
      worst = std::max(worst, std::fabs(double(expected[k]) - double(p.deformation_gradient[k])));
      flowed = std::max(flowed, std::fabs(double(expected[k]) - double(trial[k])));
    }
    EXPECT_GT(flowed, 1e-6);
    EXPECT_LT(worst, 1e-6); /* a few roundings of numbers near 1 */
  }
}

/* Next to classical matter: what is far away does not change by a bit, and mass stays. */
TEST_P(NeuralMaterial, ClassicalNeighboursStayClassical) {
  TemporaryFolder folder;
  write_random(folder.path, 3);
  Device device(GetParam());
  std::vector<float> jelly[2];
  for (bool both : {false, true}) {
    Scene made(3, 24, 1.f / 24, 4e-4f);
    int classical = made.add_material(MOTE_FIXED_COROTATED);
    made.add_box(classical, {0.2f, 0.3f, 0.3f}, {0.3f, 0.4f, 0.4f}, 2, 0, {0, -1, 0});
    const size_t values = size_t(made.scene.particles.count) * 3;
    if (both) {
      int m = add_neural(made, folder.path);
      made.add_box(m, {0.65f, 0.3f, 0.3f}, {0.75f, 0.4f, 0.4f}, 2, 0, {0, -1, 0});
    }
    Simulation simulation(device, made.scene);
    simulation.step(60);
    const mote_particles &p = simulation.read();
    jelly[both].assign(p.position, p.position + values);
    for (size_t k = 0; k < size_t(p.count) * 3; k++) EXPECT_TRUE(std::isfinite(p.position[k]));
  }
  EXPECT_EQ(jelly[0], jelly[1]);
}

TEST(NeuralMaterial, BitsDoNotDependOnThreads) {
  TemporaryFolder folder;
  write_random(folder.path, 3);
  std::vector<float> found[2];
  for (int threads : {1, 2}) {
    Device device("cpu", threads);
    Scene made(3, 16, 1.f / 16, 4e-4f);
    made.add_box(add_neural(made, folder.path), {0.3f, 0.2f, 0.3f}, {0.6f, 0.5f, 0.6f}, 2, 0.5f, {0, -2, 0});
    Simulation simulation(device, made.scene);
    simulation.step(60);
    const mote_particles &p = simulation.read();
    found[threads - 1].assign(p.position, p.position + p.count * 3);
  }
  EXPECT_EQ(found[0], found[1]);
}

TEST(NeuralMaterial, BadScenesAreRefused) {
  TemporaryFolder folder;
  write_random(folder.path, 2);
  Device device("cpu");
  const struct {
    std::string law, says;
  } bad[] = {{"", "no law"}, {folder.file("nowhere"), "nowhere"}, {folder.path, "2-D in a scene of 3-D"}};
  for (const auto &b : bad) {
    Scene made(3, 12, 1.f / 12, 4e-4f);
    made.add_box(add_neural(made, b.law), {0.3f, 0.3f, 0.3f}, {0.5f, 0.5f, 0.5f}, 2);
    mote_simulation *simulation;
    EXPECT_NE(MOTE_OK, mote_simulation_create(&made.scene, device.device, &simulation));
    const std::string message = mote_last_error();
    EXPECT_NE(message.find(b.says), std::string::npos) << message;
    EXPECT_NE(message.find("material \"neural\""), std::string::npos) << message;
  }
}
