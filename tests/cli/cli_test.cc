/* The command as a user meets it: help, mistakes and their answers, and the whole chain on a small scene. */
#include <filesystem>
#include <fstream>

#include "tests/cli/command.h"
#include "tests/support/testing.h"
#include "tests/support/torch_file.h"

namespace fs = std::filesystem;
using mote_test::Answer;
using mote_test::has;
using mote_test::mote;
using mote_test::TemporaryFolder;

namespace {

const char *scene = R"(name: test
dim: 3
domain: {lower: [0, 0, 0], upper: [1, 1, 1], cells: 16}
gravity: [0, -9.8, 0]
time: {frame_interval: 0.01, frames: 8}
materials:
  jelly: {kind: fixed_corotated, density: 1000, youngs_modulus: 1.0e5, poisson_ratio: 0.2}
bodies:
  - name: block
    material: jelly
    shape: {kind: box, size: [0.25, 0.25, 0.25]}
    position: [0.5, 0.5, 0.5]
)";

} // namespace

TEST(Cli, HelpAndVersion) {
  Answer none = mote(""), help = mote("--help"), version = mote("--version");
  EXPECT_EQ(2, none.code);
  EXPECT_EQ(0, help.code);
  EXPECT_TRUE(has(help, "simulate") && has(help, "reconstruct"));
  EXPECT_EQ(0, version.code);
  for (const char *command : {"simulate", "dataset", "average", "sample", "reconstruct", "evaluate", "render",
                              "convert", "info", "devices"}) {
    Answer answer = mote(std::string(command) + " --help");
    EXPECT_EQ(0, answer.code) << command;
    EXPECT_TRUE(has(answer, "usage: mote " + std::string(command))) << answer.text;
  }
}

TEST(Cli, MistakesAreAnswered) {
  EXPECT_TRUE(has(mote("simulat"), "did you mean 'simulate'"));
  EXPECT_TRUE(has(mote("simulate x.yaml --outptu y"), "did you mean --output"));
  EXPECT_TRUE(has(mote("simulate x.yaml"), "--output is required"));
  EXPECT_TRUE(has(mote("simulate"), "expected SCENE.yaml"));
  EXPECT_TRUE(has(mote("simulate x.yaml -o y --threads many"), "whole number"));
  EXPECT_TRUE(has(mote("simulate x.yaml -o"), "needs a value"));
  Answer missing = mote("simulate /nonexistent.yaml -o y.h5");
  EXPECT_EQ(1, missing.code);
  EXPECT_TRUE(has(missing, "/nonexistent.yaml")) << missing.text;
  EXPECT_TRUE(has(mote("info /nonexistent.h5"), "/nonexistent.h5"));
  EXPECT_TRUE(has(mote("sample t.h5 -o s.h5"), "--count"));
}

TEST(Cli, ConvertsModels) {
  TemporaryFolder folder;
  std::string at = folder.path + "/";
  EXPECT_TRUE(has(mote("convert --help"), "PyTorch GNS") && has(mote("convert --help"), "--noise-std"));
  EXPECT_TRUE(has(mote("convert m.pt"), "expected IN OUT"));
  EXPECT_TRUE(has(mote("convert m.pt model --frames 3"), "for trajectories"));
  EXPECT_TRUE(has(mote("convert m.pt model --compression 4"), "for trajectories"));
  EXPECT_TRUE(has(mote("convert t.h5 t.npz --edge-update doubled"), "for models"));
  EXPECT_TRUE(has(mote("convert m.pt model --edge-update twice"), "message or doubled"));
  EXPECT_TRUE(has(mote("convert m.pt model --noise-std -1"), "0 or more"));
  EXPECT_EQ(2, mote("convert m.pt model --boundary-clamp 0").code);
  Answer answer = mote("convert /nonexistent.pt " + at + "model");
  EXPECT_EQ(1, answer.code);
  EXPECT_TRUE(has(answer, "/nonexistent.pt")) << answer.text;
  EXPECT_TRUE(has(mote("convert m.pt " + at + "model.h5"), "becomes a folder"));
  mote_test::TorchFile file;
  file.add("_particle_type_embedding.weight", {9, 16}, std::vector<float>(144));
  file.write(folder.file("m.pt"));
  answer = mote("convert " + at + "m.pt " + at + "model");
  EXPECT_EQ(1, answer.code);
  EXPECT_TRUE(has(answer, "'_encode_process_decode._encoder.node_fn.0.NN-0.weight' is missing"))
      << answer.text;
  EXPECT_FALSE(fs::exists(folder.file("model")));
}

TEST(Cli, AveragesModels) {
  TemporaryFolder folder;
  std::string at = folder.path + "/";
  EXPECT_TRUE(has(mote("average"), "expected MODEL ..."));
  EXPECT_TRUE(has(mote("average a b"), "--output is required"));
  for (const char *shares : {"1", "1,2,3", "1,x", "1,2,", "1;2"}) {
    Answer answer = mote("average a b -o " + at + "m --shares '" + shares + "'");
    EXPECT_EQ(2, answer.code) << shares;
    EXPECT_TRUE(has(answer, "expected 2 numbers")) << answer.text;
  }
  Answer missing = mote("average /nonexistent -o " + at + "m");
  EXPECT_EQ(1, missing.code);
  EXPECT_TRUE(has(missing, "/nonexistent/config.json")) << missing.text;
  EXPECT_TRUE(fs::is_empty(folder.path));
}

TEST(Cli, DevicesListsTheCpu) {
  Answer answer = mote("devices");
  EXPECT_EQ(0, answer.code);
  EXPECT_TRUE(has(answer, "cpu") && has(answer, "cuda")) << answer.text;
}

TEST(Cli, TheWholeChain) {
  TemporaryFolder folder;
  { std::ofstream(folder.file("scene.yaml")) << scene; }
  std::string at = folder.path + "/";
  Answer answer = mote("simulate " + at + "scene.yaml -o " + at + "t.h5 --diagnostics --velocity");
  ASSERT_EQ(0, answer.code) << answer.text;
  EXPECT_TRUE(fs::exists(folder.file("t.diagnostics.csv")));
  answer = mote("info " + at + "t.h5");
  EXPECT_TRUE(has(answer, "9 frames") && has(answer, "velocity")) << answer.text;
  answer = mote("sample " + at + "t.h5 -n 40 -o " + at + "s.h5");
  ASSERT_EQ(0, answer.code) << answer.text;
  answer = mote("reconstruct -s " + at + "s.h5 -r " + at + "t.h5 -o " + at + "d.h5");
  ASSERT_EQ(0, answer.code) << answer.text;
  answer =
      mote("evaluate " + at + "d.h5 --against " + at + "t.h5 --csv " + at + "e.csv --plot " + at + "e.png");
  ASSERT_EQ(0, answer.code) << answer.text;
  EXPECT_TRUE(has(answer, "d.h5")) << answer.text;
  EXPECT_GT(fs::file_size(folder.file("e.png")), 1000u);
  answer = mote("render " + at + "t.h5 " + at + "d.h5 --frame 3 -o " + at + "p.png --size 640x240");
  ASSERT_EQ(0, answer.code) << answer.text;
  EXPECT_GT(fs::file_size(folder.file("p.png")), 1000u);
}

/* Threads change nothing, down to the bytes of the file (whose name is in it: so a folder each). */
TEST(Cli, SameSeedSameBytes) {
  std::string bytes[2];
  for (int k = 0; k < 2; k++) {
    TemporaryFolder folder;
    { std::ofstream(folder.file("scene.yaml")) << scene; }
    std::string command =
        "simulate " + folder.file("scene.yaml") + " -o " + folder.file("a.h5") + " -q --threads ";
    Answer answer = mote(command + std::to_string(k + 1));
    ASSERT_EQ(0, answer.code) << answer.text;
    std::ifstream file(folder.file("a.h5"), std::ios::binary);
    bytes[k].assign((std::istreambuf_iterator<char>(file)), {});
  }
  EXPECT_GT(bytes[0].size(), 1000u);
  EXPECT_TRUE(bytes[0] == bytes[1]);
}
