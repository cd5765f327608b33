/* Bodies from files: meshes, point clouds, states of trajectories. */
#include "tests/geometry/shapes.h"
#include "tests/scene/parse.h"
#include "tests/support/testing.h"

#include <chrono>
#include <fstream>

#include <mote/trajectory.h>

using mote_test::one_body;
using mote_test::Scene;

namespace {

void expect_error(const Scene &s, const std::string &part) {
  EXPECT_NE(s.status, MOTE_OK);
  EXPECT_NE(s.error.find(part), std::string::npos) << s.error;
}

TEST(MeshBody, IsCentredSizedFilledAndWeighed) {
  mote_test::TemporaryFolder folder;
  mote_test::Mesh torus = mote_test::torus(7, 3, 90, 45);
  for (auto &v : torus.vertices) v[1] += 100; /* off centre */
  std::ofstream(folder.file("torus.obj")) << torus.obj();
  for (const char *how : {"spacing: 0.01", "count: 5000", "count: 5000, placement: poisson"}) {
    Scene s(one_body("{material: jelly, mesh: {file: torus.obj, size: 0.6}, position: [0.5, 0.4, 0.5], " +
                     std::string(how) + "}"),
            folder.path + "/");
    ASSERT_EQ(s.status, MOTE_OK) << s.error;
    const mote_particles &p = s->particles;
    if (how[0] == 'c') {
      EXPECT_EQ(p.count, 5000);
    }
    double volume = 0,
           wanted = 2 * 3.14159265358979 * 3.14159265358979 * 0.21 * 0.09 * 0.09; /* a scale of 0.03 */
    for (int64_t i = 0; i < p.count; i++) {
      volume += p.volume[i];
      double x = s.x(i)[0] - 0.5, y = s.x(i)[1] - 0.4, z = s.x(i)[2] - 0.5;
      ASSERT_LT(std::hypot(std::hypot(x, z) - 0.21, y), 0.0905);
    }
    EXPECT_NEAR(volume / wanted, 1, 0.01); /* 90 x 45 quads inscribed: 0.7 % less */
    EXPECT_NEAR(double(p.count) * std::pow(0.01, 3) / wanted, how[0] == 's' ? 1 : 5000e-6 / wanted, 0.03);
  }
}

TEST(MeshBody, ErrorsNameSceneAndFile) {
  mote_test::TemporaryFolder folder;
  std::ofstream(folder.file("bad.obj")) << "v 0 0 0\nf 1 2 3\n";
  std::ofstream(folder.file("flat.obj")) << "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n";
  auto body = [&](const std::string &mesh) { return one_body("{material: jelly, mesh: {" + mesh + "}}"); };
  expect_error(Scene(body("file: bad.obj"), folder.path + "/"),
               "scene.yaml:5:29: " + folder.path + "/bad.obj:2: f:");
  expect_error(Scene(body("file: none.obj"), folder.path + "/"), "none.obj");
  expect_error(Scene(body("file: flat.obj"), folder.path + "/"), "encloses no volume");
  expect_error(Scene(body("size: 1"), folder.path + "/"), "lacks the key 'file'");
  expect_error(Scene(one_body("{material: jelly, mesh: {file: flat.obj}}", 2), folder.path + "/"),
               "need dim: 3");
}

class RealMesh : public ::testing::TestWithParam<const char *> {};
TEST_P(RealMesh, FillsToItsVolume) {
  MOTE_REQUIRE_SHARED(path, std::string("meshes/") + GetParam() + ".obj");
  mote_mesh mesh;
  double low[3], high[3];
  MOTE_ASSERT_OK(mote_mesh_load(path.c_str(), &mesh));
  mote_mesh_bounds(&mesh, low, high);
  double longest = std::max({high[0] - low[0], high[1] - low[1], high[2] - low[2]});
  double volume = std::fabs(mote_mesh_volume(&mesh)) * std::pow(0.8 / longest, 3);
  mote_mesh_destroy(&mesh);
  Scene s(one_body("{material: jelly, mesh: {file: " + path +
                   ", size: 0.8}, position: [0.5, 0.5, 0.5], spacing: 0.012}"),
          "/");
  ASSERT_EQ(s.status, MOTE_OK) << s.error;
  /* Particles at a spacing count the volume to the surface's share: 2 %. */
  EXPECT_NEAR(double(s->particles.count) * std::pow(0.012, 3) / volume, 1, 0.02);
}
INSTANTIATE_TEST_SUITE_P(meshes, RealMesh, ::testing::Values("bunny", "armadillo", "spot", "blub", "bob"),
                         [](const auto &info) { return std::string(info.param); });

TEST(CloudBody, FiltersThinsAndPlaces) {
  mote_test::TemporaryFolder folder;
  std::ofstream ply(folder.file("c.ply"));
  ply << "ply\nformat ascii 1.0\nelement vertex 400\nproperty float x\nproperty float y\nproperty float z\n"
         "property float opacity\nproperty float scale_0\nproperty float rot_0\nend_header\n";
  for (int i = 0; i < 400; i++) ply << i << " " << -i << " " << 2 * i << " " << (i % 2 ? 3 : -3) << " 0 1\n";
  ply.close();
  Scene s(one_body("{material: jelly, points: {file: c.ply, size: 0.5, minimum_opacity: 0.5}, spacing: 0.01, "
                   "position: [0.5, 0.5, 0.5], count: 150}"),
          folder.path + "/");
  ASSERT_EQ(s.status, MOTE_OK) << s.error;
  const mote_particles &p = s->particles;
  ASSERT_EQ(p.count, 150);
  float least = 9, most = -9;
  for (int64_t i = 0; i < 150; i++) {
    EXPECT_NEAR(s.x(i)[0] - 0.5, (s.x(i)[2] - 0.5) / 2, 1e-6);
    EXPECT_NEAR(s.x(i)[1] - 0.5, -(s.x(i)[2] - 0.5) / 2, 1e-6);
    least = std::min(least, s.x(i)[2]);
    most = std::max(most, s.x(i)[2]);
    EXPECT_FLOAT_EQ(p.volume[i], 1e-6f);
  }
  EXPECT_GE(least, 0.25f - 1e-6f);
  EXPECT_LE(most, 0.75f + 1e-6f);
  expect_error(Scene(one_body("{material: jelly, points: {file: c.ply}, count: 500}"), folder.path + "/"),
               "400 points");
  expect_error(
      Scene(one_body("{material: jelly, points: {file: c.ply}, placement: poisson}"), folder.path + "/"),
      "placed already");
}

TEST(StateBody, ContinuesAFrameOfATrajectory) {
  mote_test::TemporaryFolder folder;
  Scene first("materials:\n  a: {kind: newtonian}\n  b: {kind: von_mises}\nbodies:\n"
              "  - {material: b, shape: {kind: sphere, radius: 0.1}, position: [0.5, 0.5, 0.5], "
              "angular_velocity: [0, 0, 2]}\n");
  ASSERT_EQ(first.status, MOTE_OK) << first.error;
  const mote_particles &p = first->particles;
  mote_trajectory_field fields[] = {
      {"position", 1, {3, 0}}, {"velocity", 1, {3, 0}}, {"deformation_gradient", 2, {3, 3}}};
  mote_metadata metadata = {};
  metadata.dim = 3;
  for (auto &b : metadata.bounds) b[1] = 1;
  metadata.dt = 0.01;
  metadata.dx = 0.02;
  metadata.write_every = 1;
  mote_trajectory_options options = {};
  options.particles = p.count;
  options.dim = 3;
  options.field_count = 3;
  options.fields = fields;
  options.particle_type = p.particle_type;
  options.material = p.material;
  options.metadata = &metadata;
  mote_trajectory_writer *writer;
  std::string path = folder.file("t.h5");
  MOTE_ASSERT_OK(mote_trajectory_create(path.c_str(), &options, &writer));
  std::vector<float> moved(p.position, p.position + 3 * p.count),
      stretched(p.deformation_gradient, p.deformation_gradient + 9 * p.count);
  for (int frame = 0; frame < 3; frame++) {
    const float *values[] = {moved.data(), p.velocity, stretched.data()};
    MOTE_ASSERT_OK(mote_trajectory_append(writer, 0.01 * frame, values));
    for (float &x : moved) x += 0.03125f;
    for (float &x : stretched) x *= 1.5f;
  }
  MOTE_ASSERT_OK(mote_trajectory_finish(writer));
  const std::string materials = "materials:\n  a: {kind: newtonian}\n  b: {kind: von_mises}\nbodies:\n  - ";
  Scene s(materials + "{state: {file: t.h5, frame: -2}, velocity: [1, 0, 0]}\n", folder.path + "/");
  ASSERT_EQ(s.status, MOTE_OK) << s.error;
  ASSERT_EQ(s->particles.count, p.count);
  for (int64_t i = 0; i < p.count; i++) {
    ASSERT_FLOAT_EQ(s.x(i)[1], p.position[3 * i + 1] + 0.03125f);
    ASSERT_FLOAT_EQ(s->particles.velocity[3 * i], p.velocity[3 * i] + 1);
    ASSERT_FLOAT_EQ(s->particles.deformation_gradient[9 * i], 1.5f);
    ASSERT_EQ(s->particles.material[i], 1);
    ASSERT_EQ(s->particles.particle_type[i], MOTE_TYPE_PLASTIC);
  }
  Scene other(materials + "{state: {file: t.h5, frame: 0}, material: a}\n", folder.path + "/");
  ASSERT_EQ(other.status, MOTE_OK) << other.error;
  EXPECT_EQ(other->particles.material[0], 0);
  EXPECT_EQ(other->particles.particle_type[0], MOTE_TYPE_FLUID);
  expect_error(Scene(materials + "{state: {file: t.h5, frame: 3}}\n", folder.path + "/"), "not 3");
  expect_error(Scene(materials + "{state: {file: t.h5}, scale: 2}\n", folder.path + "/"), "no meaning");
  expect_error(Scene(materials + "{state: {file: none.h5}}\n", folder.path + "/"), "none.h5");
  expect_error(
      Scene("materials:\n  a: {kind: newtonian}\nbodies:\n  - {state: {file: t.h5}}\n", folder.path + "/"),
      "material 1, but the scene has 1");
}

} // namespace
