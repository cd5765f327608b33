/* Drawing scenes: the distributions, reproducibility, room for bodies, splits that differ, and mistakes. */
#include <cmath>
#include <functional>
#include <vector>

#include "host/dataset/draw.h"
#include "tests/dataset/spec_text.h"
#include "tests/support/testing.h"

using mote_test::Drawn;
using mote_test::small_spec;
using mote_test::Spec;

namespace {

/* Draws the value of `text` again and again as n numbers. */
class Numbers {
public:
  Numbers(const std::string &text, int n, int draws, int dim = 3) : values(draws, std::vector<double>(n)) {
    mote_document document;
    mote_draw draw;
    EXPECT_EQ(MOTE_OK, mote_document_parse(text.data(), text.size(), "text", &document)) << mote_last_error();
    EXPECT_EQ(MOTE_OK, mote_draw_begin(&draw, &document, dim, 3, 7));
    for (auto &v : values)
      EXPECT_EQ(MOTE_OK, mote_draw_numbers(&draw, mote_document_root(&document), "v", n, v.data()))
          << mote_last_error();
    mote_document_free(&draw.to);
    mote_document_free(&document);
  }
  double mean(int k, const std::function<double(double)> &f) const {
    double sum = 0;
    for (auto &v : values) sum += f(v[size_t(k)]);
    return sum / double(values.size());
  }
  std::vector<std::vector<double>> values;
};

double itself(double x) {
  return x;
}

std::vector<float> positions(const mote_scene &scene) {
  const float *x = scene.particles.position;
  return std::vector<float>(x, x + scene.particles.count * scene.dim);
}

} // namespace

/* 4,000 draws: the mean of n uniform numbers has a deviation of width / sqrt(12 n), 0.0046 of the width; the
   bounds below are five of them. */
TEST(Draw, UniformAndItsLogarithm) {
  Numbers a("{uniform: [[2, -1, 5], [4, 1, 5]]}", 3, 4000);
  for (auto &v : a.values) EXPECT_TRUE(v[0] >= 2 && v[0] < 4 && v[1] >= -1 && v[1] < 1 && v[2] == 5);
  EXPECT_NEAR(3, a.mean(0, itself), 2 * 0.023);
  EXPECT_NEAR(1.0 / 3, a.mean(0, [](double x) { return (x - 3) * (x - 3); }), 0.03);
  double covariance = 0;
  for (auto &v : a.values) covariance += (v[0] - 3) * v[1] / 4000;
  EXPECT_NEAR(0, covariance, 0.03); /* components are independent: 1/3 if they were not */
  Numbers b("{log_uniform: [[1], [1000]]}", 1, 4000);
  EXPECT_NEAR(1.5, b.mean(0, [](double x) { return std::log10(x); }), 3 * 0.023);
}

TEST(Draw, IntegersAndChoicesReachAllAlike) {
  Numbers a("[{integer: [2, 4]}, {choose: [7, {integer: [8, 9]}]}]", 2, 4000);
  for (int k = 2; k <= 4; k++)
    EXPECT_NEAR(1.0 / 3, a.mean(0, [k](double x) { return x == k; }), 5 * 0.0075) << k;
  EXPECT_NEAR(0.5, a.mean(1, [](double x) { return x == 7; }), 5 * 0.008);
  EXPECT_NEAR(0.25, a.mean(1, [](double x) { return x == 8; }), 5 * 0.007);
}

TEST(Draw, DirectionsAreAsLikely) {
  for (int dim = 2; dim <= 3; dim++) {
    Numbers a("{isotropic: [1, 3]}", dim, 4000, dim);
    double length = 0;
    for (auto &v : a.values) {
      double l = dim == 2 ? std::hypot(v[0], v[1]) : std::hypot(v[0], v[1], v[2]);
      EXPECT_TRUE(l > 1 - 1e-6 && l < 3 + 1e-6);
      length += l / 4000;
    }
    EXPECT_NEAR(2, length, 2 * 0.023);
    /* E |v|^2 = 13/3, a share an axis; its deviation is below 0.05. */
    for (int d = 0; d < dim; d++) {
      EXPECT_NEAR(0, a.mean(d, itself), 0.12);
      EXPECT_NEAR(13.0 / 3 / dim, a.mean(d, [](double x) { return x * x; }), 0.2);
    }
  }
}

TEST(Spec, SceneIsAFunctionOfItsNumber) {
  Spec a(small_spec()), b(small_spec()), other(small_spec(), 1);
  ASSERT_EQ(MOTE_OK, a.status) << a.error;
  Drawn late(a, MOTE_TRAIN, 2), early(a, MOTE_TRAIN, 0), again(b, MOTE_TRAIN, 2),
      seeded(other, MOTE_TRAIN, 2), split(a, MOTE_TEST, 2), redrawn(a, MOTE_TRAIN, 2, 1);
  ASSERT_EQ(MOTE_OK, late.status) << late.error;
  EXPECT_EQ(positions(late.scene), positions(again.scene));
  EXPECT_EQ(late->materials[0].youngs_modulus, again->materials[0].youngs_modulus);
  EXPECT_NE(positions(late.scene), positions(early.scene));
  EXPECT_NE(positions(late.scene), positions(seeded.scene));
  EXPECT_NE(positions(late.scene), positions(split.scene));
  EXPECT_NE(positions(late.scene), positions(redrawn.scene));
}

/* In 3-D and 2-D, with every pair of particles looked at. */
TEST(Spec, BodiesHaveRoom) {
  std::string flat =
      small_spec("    ball: {number: 5, material: jelly, shape: {kind: sphere, radius: 0.1}}\n");
  std::string deep =
      "gap: 0.05\nscene:\n  materials: {jelly: {kind: neo_hookean}}\n"
      "  time: {frame_interval: 0.01, frames: 4}\n"
      "  bodies:\n    bar: {number: 4, material: jelly, spacing: 0.03, rotation: random, shape: "
      "{kind: box, size: [0.1, 0.4, 0.1]}}\nsplits: {train: 1}\n";
  for (const std::string &text : {flat, deep}) {
    Spec spec(text);
    ASSERT_EQ(MOTE_OK, spec.status) << spec.error;
    double gap = spec.spec.gap > 0 ? spec.spec.gap : 1.0 / 16;
    for (int number = 0; number < 10; number++) {
      Drawn scene(spec, MOTE_TRAIN, number);
      ASSERT_EQ(MOTE_OK, scene.status) << scene.error;
      const mote_particles &p = scene->particles;
      int dim = scene->dim;
      double wall = 3 * scene->grid_spacing, nearest = 1e9;
      for (int64_t i = 0; i < p.count; i++)
        for (int64_t j = 0; j <= i; j++) {
          double sum = 0;
          for (int d = 0; d < dim; d++) {
            double a = p.position[i * dim + d];
            EXPECT_TRUE(a > wall - 1e-4 && a < 1 - wall + 1e-4);
            sum += (a - p.position[j * dim + d]) * (a - p.position[j * dim + d]);
          }
          if (p.body[i] != p.body[j]) nearest = std::fmin(nearest, std::sqrt(sum));
        }
      EXPECT_GT(nearest, gap * (1 - 1e-5));
      EXPECT_LT(nearest, 10 * gap) << "bodies so far apart were not placed at random";
    }
  }
}

TEST(Spec, FixedPlacesAndLimitsOfParticles) {
  Spec placed(
      small_spec("    a: {material: jelly, shape: {kind: box, size: [0.2, 0.2]}, position: [0.5, 0.4], "
                 "velocity: [1, 2]}\n"));
  Drawn scene(placed, MOTE_TRAIN, 1);
  ASSERT_EQ(MOTE_OK, scene.status) << scene.error;
  double x = 0, y = 0;
  for (int64_t i = 0; i < scene->particles.count; i++) {
    x += scene->particles.position[2 * i] / double(scene->particles.count);
    y += scene->particles.position[2 * i + 1] / double(scene->particles.count);
  }
  EXPECT_NEAR(0.5, x, 1e-5);
  EXPECT_NEAR(0.4, y, 1e-5);
  EXPECT_EQ(2, scene->particles.velocity[1]);
  Spec limited("particles: [60, 70]\n" + small_spec());
  for (int number = 0; number < 8; number++) {
    Drawn drawn(limited, MOTE_TRAIN, number);
    ASSERT_EQ(MOTE_OK, drawn.status) << drawn.error;
    EXPECT_TRUE(drawn->particles.count >= 60 && drawn->particles.count <= 70);
  }
}

TEST(Spec, WhatCannotBeDrawnIsSaid) {
  Spec crowd("tries: 3\n" +
             small_spec("    a: {number: 40, material: jelly, shape: {kind: sphere, radius: 0.1}}\n"));
  ASSERT_EQ(MOTE_OK, crowd.status) << crowd.error;
  Drawn scene(crowd, MOTE_VALID, 7);
  EXPECT_EQ(MOTE_ERROR_NUMERIC, scene.status);
  for (const char *part : {"valid 7", "3", "spec.yaml:11", "body 'a'", "gap"})
    EXPECT_NE(std::string::npos, scene.error.find(part)) << part << " in " << scene.error;
  Spec large("tries: 2\n" + small_spec("    a: {material: jelly, shape: {kind: box, size: [0.9, 0.1]}}\n"));
  EXPECT_NE(std::string::npos, Drawn(large, MOTE_TRAIN, 0).error.find("larger than the room"));
  Spec few("tries: 2\nparticles: [1000, 2000]\n" + small_spec());
  EXPECT_NE(std::string::npos, Drawn(few, MOTE_TRAIN, 0).error.find("expected 1000 to 2000"));
}

TEST(Spec, SplitsChangeWhatTheyName) {
  Spec spec(small_spec("    a: {number: 1, material: jelly, form: {shape: {kind: sphere, radius: 0.1}}, "
                       "velocity: [1, 0]}\n",
                       "  train: 1\n"
                       "  test:\n"
                       "    count: 1\n"
                       "    scene:\n"
                       "      gravity: [0, -1]\n"
                       "      materials: {jelly: {density: 500}, more: {kind: von_mises}}\n"
                       "      bodies:\n"
                       "        a: {form: {shape: {kind: box, size: [0.3, 0.1]}, material: jelly}}\n"
                       "        b: {material: more, shape: {kind: sphere, radius: 0.07}}\n"));
  EXPECT_NE(std::string::npos, spec.error.find("'material' appears a second time")) << spec.error;
  Spec good(small_spec("    a: {number: 1, material: jelly, form: {shape: {kind: sphere, radius: 0.1}}, "
                       "velocity: [1, 0]}\n",
                       "  train: 1\n"
                       "  test:\n"
                       "    count: 1\n"
                       "    scene:\n"
                       "      gravity: [0, -1]\n"
                       "      materials: {jelly: {density: 500}, more: {kind: von_mises}}\n"
                       "      bodies:\n"
                       "        a: {form: {shape: {kind: box, size: [0.3, 0.1]}}}\n"
                       "        b: {material: more, shape: {kind: sphere, radius: 0.07}}\n",
                       "record: {particle_type: material}\n"));
  ASSERT_EQ(MOTE_OK, good.status) << good.error;
  Drawn train(good, MOTE_TRAIN, 0), test(good, MOTE_TEST, 0);
  ASSERT_EQ(MOTE_OK, test.status) << test.error;
  EXPECT_EQ(1, train->material_count);
  EXPECT_EQ(2, test->material_count);
  EXPECT_EQ(500, test->materials[0].density);
  EXPECT_GE(test->materials[0].youngs_modulus, 1e4f); /* what is not named stays */
  EXPECT_EQ(-1, test->gravity[1]);
  EXPECT_EQ(MOTE_FIXED_COROTATED, test->materials[0].kind);
  EXPECT_EQ(1, test->particles.velocity[0]);
  EXPECT_EQ(0, test->particles.particle_type[0]);
  EXPECT_EQ(1, test->particles.particle_type[test->particles.count - 1]);
  EXPECT_NE(train->particles.count, test->particles.count);
}

TEST(Spec, MistakesNameTheirLine) {
  const std::string good = small_spec();
  auto changed = [&good](const std::string &from, const std::string &to) {
    std::string text = good;
    size_t at = text.find(from);
    EXPECT_NE(std::string::npos, at) << from;
    return text.replace(at, from.size(), to);
  };
  struct {
    std::string text, line, says;
  } const cases[] = {
      {changed("seed: 5", "sede: 5"), "spec.yaml:1:", "did you mean 'seed'"},
      {changed("frames: 6", "frame: 6"), "spec.yaml:6:", "did you mean 'frames'"},
      {changed("frames: 6", "frames: 1"), "spec.yaml:3:", "at least 2"},
      {changed("frame_interval: 0.01", "steps_per_frame: 5"), "spec.yaml:3:", "frame_interval"},
      {changed("[0, -9.81]", "{isotropic: [9, 10]}"), "spec.yaml:5:", "'gravity'"},
      {changed("kind: fixed_corotated", "kind: {choose: [newtonian]}"),
       "spec.yaml:8:", "name several materials"},
      {changed("[1.0e+4, 1.0e+5]", "[-1, 1.0e+5]"), "spec.yaml:8:", "0 < low <= high"},
      {changed("[1.0e+4, 1.0e+5]", "[1.0e+5, 1.0e+4]"), "spec.yaml:8:", "low <= high"},
      {changed("material: jelly", "material: jely"), "spec.yaml:12:", "did you mean 'jelly'"},
      {changed("number: {integer: [1, 2]}", "number: {integer: [1.5, 2]}"), "spec.yaml:11:", "whole numbers"},
      {changed("number:", "nmber:"), "spec.yaml:11:", "did you mean 'number'"},
      /* the second of the values of `choose`: looked at before anything is simulated */
      {changed("kind: box", "kind: bx"), "spec.yaml:16:", "did you mean 'box'"},
      {changed("[0.2, 0.2]]", "[0.2]]"), "spec.yaml:16:", "a list of 2 numbers"},
      {changed("[0.2, 0.2]]", "0.2]"), "spec.yaml:16:", "two lists"},
      {changed("[0.5, 1]", "[0.5]"), "spec.yaml:18:", "[low, high]"},
      {changed("rotation: random", "position: somewhere"), "spec.yaml:17:", "'anywhere'"},
      {changed("train: 3", "train: 0"), "spec.yaml:20:", "statistics"},
      {changed("train: 3", "trian: 3"), "spec.yaml:20:", "did you mean 'train'"},
      {changed("valid: 1", "valid: -1"), "spec.yaml:21:", "whole number"},
      {good + "record: {velocities: true}\n", "spec.yaml:23:", "did you mean 'velocity'"},
      {good + "record: {velocity: true, keep: {count: 10}}\n", "spec.yaml:23:", "positions alone"},
      {good + "particles: [9, 3]\n", "spec.yaml:23:", "[least, most]"},
      {changed("  valid: 1\n", "  valid: {count: 1, scene: {dim: 3}}\n"),
       "spec.yaml:21:", "3-D scene in a 2-D"},
      {changed("  valid: 1\n", "  valid: {count: 1, scene: {time: {frame_interval: 0.02, frames: 6}}}\n"),
       "spec.yaml:21:", "frame interval"},
      {changed("  valid: 1\n", "  valid: {count: 1, scene: {bodies: {block: {spcing: 1}}}}\n"),
       "spec.yaml:21:", "did you mean 'spacing'"},
      {changed("      form:", "      mesh: {file: a.obj}\n      form:"), "spec.yaml:10:", "exactly one of"},
  };
  EXPECT_EQ(MOTE_OK, Spec(good).status);
  for (auto &c : cases) {
    Spec spec(c.text);
    EXPECT_EQ(MOTE_ERROR_FORMAT, spec.status) << c.text;
    EXPECT_NE(std::string::npos, spec.error.find(c.line)) << spec.error << "\nexpected " << c.line;
    EXPECT_NE(std::string::npos, spec.error.find(c.says)) << spec.error << "\nexpected " << c.says;
  }
}

/* 2^40 values, if its aliases unfolded. */
TEST(Spec, AliasesDoNotExplode) {
  std::string text = "scene:\n  walls:\n    a0: &a0 [1, 1]\n";
  for (int k = 1; k < 20; k++) {
    std::string n = std::to_string(k), before = "*a" + std::to_string(k - 1);
    text += "    a" + n + ": &a" + n + " [" + before + ", " + before + ", " + before + ", " + before + "]\n";
  }
  Spec spec(text + "splits: {train: 1}\n");
  EXPECT_EQ(MOTE_ERROR_FORMAT, spec.status);
  EXPECT_NE(std::string::npos, spec.error.find("aliases unfolded")) << spec.error;
  Spec cycle("scene:\n  walls: &w\n    all: [*w]\nsplits: {train: 1}\n");
  EXPECT_EQ(MOTE_ERROR_FORMAT, cycle.status);
  EXPECT_NE(std::string::npos, cycle.error.find("24 levels")) << cycle.error;
}
