/* Filling primitives and regions: counts, volumes, distances, and that threads do not matter. */
#include "tests/scene/parse.h"
#include "tests/support/testing.h"

#include <omp.h>
#include <cstring>
#include <random>

#include "host/scene/fill.h"
#include "host/scene/shape.h"

using mote_test::one_body;
using mote_test::Scene;

namespace {

struct Points {
  Points(const mote_region &region, const mote_fill &fill) {
    EXPECT_EQ(MOTE_OK, mote_fill_region(&region, &fill, &points)) << mote_last_error();
  }
  ~Points() { mote_points_free(&points); }
  mote_points points = {};
};

std::vector<mote_shape> shapes(int dim) {
  std::vector<mote_shape> all;
  for (int k = 0; k < MOTE_SHAPE_KINDS; k++) {
    mote_shape s = {};
    s.kind = mote_shape_kind(k);
    s.dim = dim;
    for (int d = 0; d < 3; d++) s.size[d] = 0.3 + 0.1 * d;
    s.radius = 0.3;
    s.height = 0.5;
    s.tube_radius = 0.12;
    s.scale[0] = 1.25;
    s.scale[1] = 0.8;
    s.scale[2] = 1.5;
    all.push_back(s);
  }
  return all;
}

TEST(Shape, VolumeAndBoundsAgreeWithWhatLiesInside) {
  /* 400,000 uniform points: a volume within 1 %, four standard deviations for the least share of the box. */
  for (int dim : {2, 3})
    for (const mote_shape &shape : shapes(dim)) {
      mote_region region = mote_shape_region(&shape);
      std::mt19937 random(11);
      std::uniform_real_distribution<double> uniform(-1.05, 1.05);
      const int n = 400000;
      int inside = 0;
      double box = 1;
      for (int d = 0; d < dim; d++) box *= 2.1 * region.upper[d];
      double reach[3] = {0, 0, 0};
      for (int i = 0; i < n; i++) {
        double p[3] = {0, 0, 0};
        for (int d = 0; d < dim; d++) p[d] = uniform(random) * region.upper[d];
        if (!region.inside(region.self, p)) continue;
        inside++;
        for (int d = 0; d < dim; d++) reach[d] = std::max(reach[d], std::fabs(p[d]) / region.upper[d]);
      }
      EXPECT_NEAR(inside * box / n / region.volume, 1, 0.01) << mote_shape_names[shape.kind] << dim;
      for (int d = 0; d < dim; d++) {
        EXPECT_LE(reach[d], 1 + 1e-12) << mote_shape_names[shape.kind] << dim << d;
        EXPECT_GT(reach[d], 0.9) << mote_shape_names[shape.kind] << dim << d;
      }
    }
}

TEST(Fill, SpacingGivesTheDensityOfItsLattice) {
  /* The surface decides: a few per cent at 20 spacings across, 5 % for Poisson-disk sets. */
  for (int dim : {2, 3})
    for (const mote_shape &shape : shapes(dim))
      for (mote_placement placement : {MOTE_LATTICE, MOTE_JITTERED, MOTE_POISSON}) {
        mote_region region = mote_shape_region(&shape);
        mote_fill fill = {placement, dim == 2 ? 0.008 : 0.018, 0, 0.5, 3, 0, 1000000};
        Points p(region, fill);
        double wanted = region.volume / std::pow(fill.spacing, dim);
        EXPECT_NEAR(double(p.points.count) / wanted, 1, placement == MOTE_POISSON ? 0.06 : 0.04)
            << mote_shape_names[shape.kind] << " " << dim << " " << placement;
        for (int64_t i = 0; i < p.points.count; i++)
          ASSERT_TRUE(region.inside(region.self, p.points.position + 3 * i));
      }
}

TEST(Fill, CountIsExact) {
  for (int dim : {2, 3})
    for (const mote_shape &shape : shapes(dim))
      for (mote_placement placement : {MOTE_LATTICE, MOTE_JITTERED, MOTE_POISSON})
        for (int64_t count : {1, 7, 1000, 1001}) {
          mote_region region = mote_shape_region(&shape);
          mote_fill fill = {placement, 0, count, 0.5, 3, 0, 1000000};
          Points p(region, fill);
          EXPECT_EQ(p.points.count, count) << mote_shape_names[shape.kind] << " " << dim << " " << placement;
        }
}

double least_distance(const mote_points &p) {
  double least = INFINITY;
  for (int64_t i = 0; i < p.count; i++)
    for (int64_t j = 0; j < i; j++) {
      double sum = 0;
      for (int d = 0; d < 3; d++) {
        double x = p.position[3 * i + d] - p.position[3 * j + d];
        sum += x * x;
      }
      least = std::min(least, sum);
    }
  return std::sqrt(least);
}

TEST(Fill, PoissonDiskKeepsItsDistanceAndLeavesNoHoles) {
  for (int dim : {2, 3}) {
    mote_shape ball = {};
    ball.kind = MOTE_SHAPE_SPHERE;
    ball.dim = dim;
    ball.radius = 1;
    ball.scale[0] = ball.scale[1] = ball.scale[2] = 1;
    mote_region region = mote_shape_region(&ball);
    double distance = dim == 2 ? 0.05 : 0.13;
    mote_points p;
    MOTE_ASSERT_OK(mote_fill_poisson(&region, distance, 5, 0, &p));
    EXPECT_GT(p.count, 800);
    EXPECT_GE(least_distance(p), distance * (1 - 1e-6));
    /* Nearly maximal: of points well inside, less than 2 % would still find room. */
    std::mt19937 random(2);
    std::uniform_real_distribution<double> uniform(-0.5, 0.5);
    int free_places = 0;
    for (int k = 0; k < 2000; k++) {
      double q[3] = {uniform(random), uniform(random), dim == 3 ? uniform(random) : 0}, least = INFINITY;
      for (int64_t i = 0; i < p.count; i++) {
        double x = p.position[3 * i] - q[0], y = p.position[3 * i + 1] - q[1],
               z = p.position[3 * i + 2] - q[2];
        least = std::min(least, x * x + y * y + z * z);
      }
      free_places += least > distance * distance;
    }
    EXPECT_LT(free_places, 40) << dim;
    mote_points_free(&p);
  }
}

TEST(Fill, ThreadsDoNotMatterAndSeedsDo) {
  int threads = omp_get_max_threads();
  for (mote_placement placement : {MOTE_LATTICE, MOTE_JITTERED, MOTE_POISSON}) {
    mote_shape shape = shapes(3)[MOTE_SHAPE_TORUS];
    mote_region region = mote_shape_region(&shape);
    for (int64_t count : {0, 3000}) {
      mote_fill fill = {placement, 0.03, count, 0.5, 3, 2, 1000000}, other = fill;
      other.seed = 4;
      omp_set_num_threads(1);
      Points one(region, fill);
      omp_set_num_threads(4);
      Points many(region, fill), reseeded(region, other);
      ASSERT_EQ(one.points.count, many.points.count);
      size_t bytes = size_t(one.points.count) * 3 * sizeof(double);
      EXPECT_EQ(0, std::memcmp(one.points.position, many.points.position, bytes)) << placement;
      if (placement != MOTE_LATTICE) {
        EXPECT_TRUE(reseeded.points.count != one.points.count ||
                    std::memcmp(one.points.position, reseeded.points.position, bytes) != 0);
      }
    }
  }
  omp_set_num_threads(threads);
}

TEST(Fill, RefusesTheImpossible) {
  mote_shape shape = shapes(3)[MOTE_SHAPE_SPHERE];
  mote_region region = mote_shape_region(&shape);
  mote_points points;
  mote_fill much = {MOTE_LATTICE, 1e-4, 0, 0.5, 1, 0, 1000};
  EXPECT_EQ(mote_fill_region(&region, &much, &points), MOTE_ERROR_ARGUMENT);
  EXPECT_EQ(points.position, nullptr);
  much.count = 2000;
  EXPECT_EQ(mote_fill_region(&region, &much, &points), MOTE_ERROR_ARGUMENT);
}

TEST(Body, MassIsThatOfTheShape) {
  /* 1000 kg/m^3 by default; float32 volumes. */
  Scene s(one_body("{material: jelly, shape: {kind: sphere, radius: 0.2}, position: [0.5, 0.5, 0.5]}"));
  ASSERT_EQ(s.status, MOTE_OK) << s.error;
  double mass = 0;
  for (int64_t i = 0; i < s->particles.count; i++)
    mass += double(s->particles.volume[i]) * s->particles.density[i];
  EXPECT_NEAR(mass, 1000 * 4 * 3.14159265358979 / 3 * 0.008, 1e-4);
}

TEST(Body, RotationScaleAndPosition) {
  /* A quarter turn about z brings x to y. */
  Scene s(one_body("{material: jelly, shape: {kind: box, size: [0.2, 0.1, 0.1]}, scale: [2, 1, 1], "
                   "rotation: {axis: [0, 0, 1], angle: 90}, position: [0.4, 0.5, 0.6], spacing: 0.01}"));
  ASSERT_EQ(s.status, MOTE_OK) << s.error;
  ASSERT_EQ(s->particles.count, 40 * 10 * 10);
  double low[3] = {9, 9, 9}, high[3] = {-9, -9, -9};
  for (int64_t i = 0; i < s->particles.count; i++)
    for (int d = 0; d < 3; d++) {
      low[d] = std::min(low[d], double(s.x(i)[d]));
      high[d] = std::max(high[d], double(s.x(i)[d]));
    }
  double wanted_low[3] = {0.355, 0.305, 0.555}, wanted_high[3] = {0.445, 0.695, 0.645};
  for (int d = 0; d < 3; d++) {
    EXPECT_NEAR(low[d], wanted_low[d], 1e-6);
    EXPECT_NEAR(high[d], wanted_high[d], 1e-6);
  }
  Scene q(one_body("{material: jelly, shape: {kind: box, size: [0.2, 0.1, 0.1]}, scale: [2, 1, 1], rotation: "
                   "{quaternion: [1, 0, 0, 1]}, position: [0.4, 0.5, 0.6], spacing: 0.01}"));
  ASSERT_EQ(q.status, MOTE_OK) << q.error;
  for (int64_t i = 0; i < 12000; i++) ASSERT_NEAR(q->particles.position[i], s->particles.position[i], 1e-6);
}

TEST(Body, SpinIsRigidAndAboutTheCentreOfMass) {
  for (int dim : {2, 3}) {
    std::string spin = dim == 2 ? "5" : "[1, -2, 5]", at = dim == 2 ? "[0.5, 0.4]" : "[0.5, 0.4, 0.5]";
    Scene s(one_body("{material: jelly, shape: {kind: cone, radius: 0.2, height: 0.3}, velocity: " +
                         std::string(dim == 2 ? "[1, 2]" : "[1, 2, 3]") + ", angular_velocity: " + spin +
                         ", position: " + at + ", placement: jittered}",
                     dim));
    ASSERT_EQ(s.status, MOTE_OK) << s.error;
    const mote_particles &p = s->particles;
    double w[3] = {dim == 2 ? 0. : 1., dim == 2 ? 0. : -2., 5.}, centre[3] = {}, momentum[3] = {};
    for (int64_t i = 0; i < p.count; i++)
      for (int d = 0; d < dim; d++) {
        centre[d] += p.position[i * dim + d] / double(p.count);
        momentum[d] += p.velocity[i * dim + d] / double(p.count);
      }
    for (int d = 0; d < dim; d++) EXPECT_NEAR(momentum[d], d + 1, 1e-5); /* the spin adds none */
    for (int64_t i = 0; i < p.count; i++) {
      double r[3] = {}, v[3];
      for (int d = 0; d < dim; d++) r[d] = p.position[i * dim + d] - centre[d];
      for (int d = 0; d < 3; d++) v[d] = w[(d + 1) % 3] * r[(d + 2) % 3] - w[(d + 2) % 3] * r[(d + 1) % 3];
      for (int d = 0; d < dim; d++) ASSERT_NEAR(p.velocity[i * dim + d], v[d] + d + 1, 1e-5);
    }
    EXPECT_EQ(p.affine_velocity[1], -5); /* d v_x / d y */
  }
}

} // namespace
