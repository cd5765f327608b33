/* Specs on other specs: what is joined, whose lines errors name, and what a folder was begun with. */
#include <sys/stat.h>

#include <vector>

#include <mote/dataset.h>

#include "tests/dataset/spec_text.h"
#include "tests/support/testing.h"

using mote_test::small_spec;
using mote_test::write_text;

namespace {

class Base : public ::testing::Test {
protected:
  /* What tells a scene from others: positions, velocities, stiffness and time. */
  std::vector<double> scene(const std::string &path, int split = MOTE_TRAIN, int64_t number = 0) {
    mote_scene drawn;
    EXPECT_EQ(MOTE_OK, mote_dataset_scene(path.c_str(), 0, split, number, &drawn)) << mote_last_error();
    const mote_particles &p = drawn.particles;
    std::vector<double> told(p.position, p.position + p.count * drawn.dim);
    told.insert(told.end(), p.velocity, p.velocity + p.count * drawn.dim);
    told.push_back(drawn.frames);
    for (int k = 0; k < drawn.material_count; k++)
      told.insert(told.end(), {drawn.materials[k].density, drawn.materials[k].youngs_modulus});
    mote_scene_destroy(&drawn);
    return told;
  }
  void expect_error(const std::string &text, mote_status status, const std::string &words) {
    mote_scene drawn;
    std::string path = write_text(folder.file("spec.yaml"), text);
    EXPECT_EQ(status, mote_dataset_scene(path.c_str(), 0, MOTE_TRAIN, 0, &drawn)) << text;
    EXPECT_NE(std::string::npos, std::string(mote_last_error()).find(words)) << mote_last_error();
  }
  std::string base(const std::string &text = small_spec()) {
    return write_text(folder.file("base.yaml"), text);
  }
  mote_test::TemporaryFolder folder;
};

std::string replaced(std::string text, const std::string &old, const std::string &now) {
  EXPECT_NE(std::string::npos, text.find(old)) << old;
  return text.replace(text.find(old), old.size(), now);
}

} // namespace

/* Key by key where a split would merge, whole where it is deeper: as the same spec written out. */
TEST_F(Base, IsWhatTheSpecDiffersFrom) {
  base();
  std::string spec =
      write_text(folder.file("spec.yaml"), "base: base.yaml\nseed: 9\n"
                                           "scene:\n"
                                           "  time: {frames: 4}\n"
                                           "  materials: {jelly: {density: 900}}\n"
                                           "  bodies: {block: {number: 1, velocity: {isotropic: [2, 3]}}}\n"
                                           "splits: {train: {count: 2, scene: {gravity: [0, -1]}}}\n");
  std::string text = replaced(small_spec(), "seed: 5", "seed: 9");
  text = replaced(text, "frames: 6", "frames: 4");
  text = replaced(text, "fixed_corotated, ", "fixed_corotated, density: 900, ");
  text = replaced(text, "number: {integer: [1, 2]}", "number: 1");
  text = replaced(text, "[0.5, 1]", "[2, 3]");
  text = replaced(text, "train: 3", "train: {count: 2, scene: {gravity: [0, -1]}}");
  std::string written_out = write_text(folder.file("written-out.yaml"), text);
  for (int split : {MOTE_TRAIN, MOTE_VALID, MOTE_TEST})
    for (int64_t number = 0; number < 3; number++)
      EXPECT_EQ(scene(written_out, split, number), scene(spec, split, number)) << split << " " << number;
  EXPECT_NE(scene(folder.file("base.yaml")), scene(spec));
}

TEST_F(Base, AloneChangesNothing) {
  std::string whole = base(), spec = write_text(folder.file("spec.yaml"), "base: base.yaml\n");
  for (int64_t number = 0; number < 3; number++)
    EXPECT_EQ(scene(whole, MOTE_TEST, number), scene(spec, MOTE_TEST, number));
  spec = write_text(folder.file("spec.yaml"), "base: " + whole + "\n");
  EXPECT_EQ(scene(whole), scene(spec)) << "by an absolute name";
}

/* A file is beside the spec that names it. */
TEST_F(Base, FilesAreBesideWhoNamesThem) {
  ASSERT_EQ(0, mkdir(folder.file("shapes").c_str(), 0777));
  write_text(folder.file("shapes/tetrahedron.obj"),
             "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n");
  const std::string form = "{form: {choose: [{mesh: {file: tetrahedron.obj, size: 0.4}}]}}";
  std::string whole =
      write_text(folder.file("shapes/base.yaml"),
                 "scene:\n  domain: {lower: [0, 0, 0], upper: [1, 1, 1], cells: 16}\n"
                 "  time: {frame_interval: 0.005, frames: 3}\n  materials: {jelly: {kind: neo_hookean}}\n"
                 "  bodies:\n    a:\n      material: jelly\n      form: {choose: [{mesh: {file: "
                 "tetrahedron.obj, size: 0.4}}]}\n"
                 "splits:\n  train: 1\n  test: {count: 1, scene: {bodies: {a: " +
                     form + "}}}\n");
  std::string spec = write_text(folder.file("spec.yaml"), "base: shapes/base.yaml\n");
  EXPECT_GT(scene(whole).size(), 1000u);
  EXPECT_EQ(scene(whole), scene(spec));
  EXPECT_EQ(scene(whole, MOTE_TEST), scene(spec, MOTE_TEST));
  expect_error("base: shapes/base.yaml\nscene: {bodies: {a: " + form + "}}\n", MOTE_ERROR_IO, "spec.yaml:2:");
}

TEST_F(Base, ErrorsNameTheFileTheyAreIn) {
  base(replaced(small_spec(), "cells: 16", "cell: 16"));
  expect_error("base: base.yaml\nseed: 1\n", MOTE_ERROR_FORMAT, "base.yaml:4:");
  base();
  expect_error("base: base.yaml\nseed: 1\nscene:\n  time: {frame: 3}\n", MOTE_ERROR_FORMAT,
               "spec.yaml:4:10: unknown key");
  expect_error("base: base.yaml\nscene:\n  materials: {jelly: {poisson_ratio: 3}}\n", MOTE_ERROR_ARGUMENT,
               "spec.yaml:3:");
  base(replaced(small_spec(), "youngs_modulus: {log_uniform: [1.0e+4, 1.0e+5]}", "youngs_modulus: soft"));
  expect_error("base: base.yaml\nscene:\n  materials: {jelly: {density: 700}}\n", MOTE_ERROR_FORMAT,
               "base.yaml:8:");
}

TEST_F(Base, WhatIsNone) {
  expect_error("base: nowhere.yaml\n", MOTE_ERROR_IO, "spec.yaml:1:7: ");
  expect_error("base: [a.yaml]\n", MOTE_ERROR_FORMAT, "spec.yaml:1:7: 'base'");
  expect_error("base: ''\n", MOTE_ERROR_FORMAT, "expected the name of a spec");
  expect_error("base: .\n", MOTE_ERROR_IO, "spec.yaml:1:7: ");
  base("- 1\n");
  expect_error("base: base.yaml\n", MOTE_ERROR_FORMAT, "base.yaml:1:1: the base: expected a mapping");
  base("base: spec.yaml\n" + small_spec());
  expect_error("base: base.yaml\n", MOTE_ERROR_FORMAT, "base.yaml:1:7: a base cannot have a 'base'");
  base(small_spec() + "seed: 4\n");
  expect_error("base: base.yaml\n", MOTE_ERROR_FORMAT, "key 'seed' appears a second time");
  base();
  expect_error("base: base.yaml\nseed: 1\nseed: 2\n", MOTE_ERROR_FORMAT,
               "spec.yaml:3:1: key 'seed' appears a second time");
  expect_error("base: base.yaml\nbase: base.yaml\n", MOTE_ERROR_FORMAT, "key 'base' appears a second time");
  std::string text = "base: base.yaml\n";
  mote_scene_source source = {"text", nullptr, 0, 20000};
  mote_spec spec;
  EXPECT_EQ(MOTE_ERROR_FORMAT, mote_spec_parse(text.data(), text.size(), &source, 0, &spec));
  EXPECT_NE(std::string::npos, std::string(mote_last_error()).find("no folder")) << mote_last_error();
}

/* Aliases that unfold without end, or to more than anyone means. */
TEST_F(Base, Bombs) {
  base(small_spec() + "record: &a {keep: *a}\n");
  expect_error("base: base.yaml\n", MOTE_ERROR_FORMAT, "nested deeper than 24 levels");
  std::string bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (int k = 1; k < 8; k++) {
    std::string before = "*a" + std::to_string(k - 1),
                line = "a" + std::to_string(k) + ": &a" + std::to_string(k) + " [";
    for (int i = 0; i < 9; i++) line += before + ", ";
    bomb += line + before + "]\n";
  }
  base(small_spec() + bomb);
  expect_error("base: base.yaml\n", MOTE_ERROR_FORMAT, "aliases unfolded");
}

/* spec.yaml tells both, is itself a spec, and another base is another data set. */
TEST_F(Base, AFolderRemembersIt) {
  base(small_spec());
  std::string spec =
      write_text(folder.file("spec.yaml"), "base: base.yaml\nsplits: {train: 1, valid: 0, test: 0}\n");
  std::string out = folder.file("out");
  mote_dataset_options options = {};
  options.device = "cpu", options.threads = 1;
  MOTE_ASSERT_OK(mote_dataset_make(spec.c_str(), out.c_str(), &options, nullptr, nullptr));
  MOTE_ASSERT_OK(mote_dataset_make(spec.c_str(), out.c_str(), &options, nullptr, nullptr));
  std::ifstream file(out + "/spec.yaml");
  std::string told(std::istreambuf_iterator<char>(file), {});
  EXPECT_NE(std::string::npos, told.find("\nbase: base.yaml\n")) << told;
  EXPECT_NE(std::string::npos, told.find("\n# seed: 5\n# scene:\n")) << told;
  base(replaced(small_spec(), "seed: 5", "seed: 6"));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_dataset_make(spec.c_str(), out.c_str(), &options, nullptr, nullptr));
  EXPECT_NE(std::string::npos, std::string(mote_last_error()).find("another spec")) << mote_last_error();
}
