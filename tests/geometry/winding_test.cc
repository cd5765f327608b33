/* Winding numbers, and regions made of them, on clean meshes and on damaged ones. */
#include "tests/geometry/shapes.h"
#include "tests/support/testing.h"

#include <omp.h>
#include <random>

#include "host/geometry/mesh_region.h"

using mote_test::Mesh;

namespace {

struct Winding {
  explicit Winding(const Mesh &source) : mesh(source.make()) {
    EXPECT_EQ(MOTE_OK, mote_winding_create(&mesh, &winding)) << mote_last_error();
  }
  ~Winding() {
    mote_winding_destroy(winding);
    mote_mesh_destroy(&mesh);
  }
  mote_mesh mesh;
  mote_winding *winding = nullptr;
};

std::vector<float> cloud(int n, float half, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-half, half);
  std::vector<float> points(3 * size_t(n));
  for (float &x : points) x = uniform(random);
  return points;
}

/* The volume that a region finds inside. */
double region_volume(const Mesh &source, bool orient) {
  mote_mesh mesh = source.make();
  if (orient) {
    EXPECT_EQ(MOTE_OK, mote_mesh_orient(&mesh));
  }
  mote_mesh_region *region = nullptr;
  EXPECT_EQ(MOTE_OK, mote_mesh_region_create(&mesh, &region)) << mote_last_error();
  mote_mesh_destroy(&mesh);
  if (!region) return NAN;
  double volume = mote_mesh_region_view(region).volume;
  mote_mesh_region_destroy(region);
  return volume;
}

TEST(Winding, SeriesAgreesWithTheSumOfSolidAngles) {
  /* Barill et al. 2018 report errors of a few 1e-3 for the second order at a distance of two radii; 0.01 is
     far from the 0.5 that decides. The exact sum is 1 or 0 to rounding. */
  for (const Mesh &source :
       {mote_test::icosphere(4, 1), mote_test::torus(0.7f, 0.25f, 60, 30), mote_test::cube(1)}) {
    Winding w(source);
    std::vector<float> points = cloud(3000, 1.3f, 5), numbers(3000);
    mote_winding_numbers(w.winding, points.data(), 3000, numbers.data());
    for (int i = 0; i < 3000; i++) {
      double q[3] = {points[3 * i], points[3 * i + 1], points[3 * i + 2]};
      double exact = mote_winding_exact(w.winding, q);
      ASSERT_NEAR(std::fabs(exact - 0.5), 0.5, 1e-6);
      ASSERT_NEAR(numbers[i], exact, 0.01);
    }
  }
}

TEST(Winding, TellsInsideOfAnalyticShapes) {
  Winding ball(mote_test::icosphere(5, 1));
  std::vector<float> points = cloud(20000, 1.2f, 6), numbers(20000);
  mote_winding_numbers(ball.winding, points.data(), 20000, numbers.data());
  int wrong = 0;
  for (int i = 0; i < 20000; i++) {
    double r = std::hypot(points[3 * i], points[3 * i + 1], points[3 * i + 2]);
    if (std::fabs(r - 1) > 2e-3) wrong += (numbers[i] > 0.5) != (r < 1); /* the faces lie up to 1e-3 inside */
  }
  EXPECT_EQ(wrong, 0);
}

TEST(Winding, PointsOnVerticesEdgesAndFacesAreFinite) {
  Winding w(mote_test::cube(2));
  std::vector<float> points = {1, 1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 1, 1e30f, 0, 0}, numbers(5);
  mote_winding_numbers(w.winding, points.data(), 5, numbers.data());
  for (float number : numbers) EXPECT_TRUE(number > -0.01f && number < 1.01f) << number;
}

TEST(Winding, SameBitsWithAnyNumberOfThreads) {
  Winding w(mote_test::torus(0.7f, 0.25f, 60, 30));
  std::vector<float> points = cloud(5000, 1, 8), one(5000), many(5000);
  int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  mote_winding_numbers(w.winding, points.data(), 5000, one.data());
  omp_set_num_threads(3);
  mote_winding_numbers(w.winding, points.data(), 5000, many.data());
  omp_set_num_threads(threads);
  EXPECT_EQ(one, many);
}

TEST(Region, VolumesOfCleanMeshes) {
  /* Against the divergence theorem; the region samples at 1/96 of the extent: 0.5 %. */
  for (const Mesh &source :
       {mote_test::icosphere(4, 1), mote_test::torus(0.7f, 0.25f, 60, 30), mote_test::cube(1)}) {
    mote_mesh mesh = source.make();
    EXPECT_NEAR(region_volume(source, true) / mote_mesh_volume(&mesh), 1, 5e-3);
    mote_mesh_destroy(&mesh);
  }
}

TEST(Region, HolesFlippedFacesAndSoups) {
  const double ball = 4 * 3.14159265358979 / 3;
  /* A hole over a twentieth of the surface: the cap that is in doubt holds 0.7 % of the volume, and the
     winding number closes the hole by a surface that bulges into it. */
  Mesh holed = mote_test::icosphere(4, 1);
  holed.remove([](const std::array<float, 3> &c) { return c[1] > 0.9f; });
  EXPECT_NEAR(region_volume(holed, true) / ball, 1, 0.02);

  /* Flipped faces, one in four: orienting repairs them all. */
  Mesh flipped = mote_test::icosphere(4, 1);
  for (size_t i = 0; i < flipped.triangles.size(); i += 4)
    std::swap(flipped.triangles[i][0], flipped.triangles[i][1]);
  EXPECT_NEAR(region_volume(flipped, true) / ball, 1, 0.01);

  /* A soup: no vertices are shared, faces doubled, some missing at random. */
  Mesh soup, whole = mote_test::icosphere(4, 1);
  std::mt19937 random(4);
  for (auto t : whole.triangles) {
    if (random() % 20 == 0) continue;
    for (int copies = random() % 10 == 0 ? 2 : 1; copies > 0; copies--) {
      int first = int(soup.vertices.size());
      for (int k : t) soup.vertices.push_back(whole.vertices[k]);
      soup.triangles.push_back({first, first + 1, first + 2});
    }
  }
  EXPECT_NEAR(region_volume(soup, true) / ball, 1, 0.02);

  /* Two spheres that intersect: the union, not the sum. Lens of two unit balls at a distance of 1: 5 pi / 12.
   */
  Mesh pair = mote_test::icosphere(4, 1), other = mote_test::icosphere(4, 1);
  int first = int(pair.vertices.size());
  for (auto v : other.vertices) pair.vertices.push_back({v[0] + 1, v[1], v[2]});
  for (auto t : other.triangles) pair.triangles.push_back({first + t[0], first + t[1], first + t[2]});
  EXPECT_NEAR(region_volume(pair, true) / (2 * ball - 5 * 3.14159265358979 / 12), 1, 0.01);

  /* Inside out. */
  Mesh inverted = mote_test::cube(1);
  for (auto &t : inverted.triangles) std::swap(t[0], t[1]);
  EXPECT_NEAR(region_volume(inverted, true), 1, 0.01);
}

TEST(Region, RefusesWhatEnclosesNothing) {
  Mesh sheet;
  sheet.vertices = {{0, 0, 0}, {1, 0, 0}, {0, 1, 0}};
  sheet.triangles = {{0, 1, 2}};
  mote_mesh mesh = sheet.make();
  mote_mesh_region *region;
  EXPECT_EQ(mote_mesh_region_create(&mesh, &region), MOTE_ERROR_ARGUMENT);
  EXPECT_EQ(region, nullptr);
  for (int i = 0; i < 9; i++) mesh.vertices[i] = 1;
  EXPECT_EQ(mote_mesh_region_create(&mesh, &region), MOTE_ERROR_ARGUMENT);
  mote_mesh_destroy(&mesh);
}

class RealMesh : public ::testing::TestWithParam<const char *> {};
TEST_P(RealMesh, VolumeByWindingNumbersIsThatOfTheDivergenceTheorem) {
  MOTE_REQUIRE_SHARED(path, std::string("meshes/") + GetParam() + ".obj");
  mote_mesh mesh;
  MOTE_ASSERT_OK(mote_mesh_load(path.c_str(), &mesh));
  MOTE_ASSERT_OK(mote_mesh_orient(&mesh));
  double volume = mote_mesh_volume(&mesh);
  mote_mesh_region *region;
  MOTE_ASSERT_OK(mote_mesh_region_create(&mesh, &region));
  EXPECT_NEAR(mote_mesh_region_view(region).volume / volume, 1, 5e-3); /* sampled at 1/96 of the extent */
  mote_mesh_region_destroy(region);
  mote_mesh_destroy(&mesh);
}
INSTANTIATE_TEST_SUITE_P(meshes, RealMesh, ::testing::Values("bunny", "armadillo", "spot", "blub", "bob"),
                         [](const auto &info) { return std::string(info.param); });

} // namespace
