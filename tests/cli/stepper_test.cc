/* `mote step` and `mote rollout` as a user meets them: mistakes and their answers, and what they write. */
#include <hdf5.h>

#include <filesystem>

#include <mote/trajectory.h>

#include "tests/cli/command.h"
#include "tests/support/checkpoint.h"
#include "tests/support/testing.h"
#include "tests/support/trajectories.h"

using namespace mote_test;

namespace {

const int kSide = 12, kParticles = kSide * kSide, kHistory = 6;

/* A 2-D model that hardly turns what is under way, and a trajectory of a block that drifts and shears. */
class Work {
public:
  explicit Work(double acceleration = 0, double spread = 1e-5) : model(folder.file("model")) {
    std::filesystem::create_directory(model);
    Checkpoint c = checkpoint("gns2d");
    c.noise = 0;
    invent(c);
    mote_metadata metadata = statistics(2);
    metadata.connectivity_radius = 0.15;
    for (int a = 0; a < 2; a++) {
      metadata.acceleration_mean[a] = a ? 0 : acceleration;
      metadata.acceleration_std[a] = spread;
    }
    save(model, c, metadata);
  }

  std::string trajectory(int frames, int kinematic = 0) {
    std::string path = folder.file("input" + std::to_string(frames) + ".h5");
    std::vector<int32_t> type(kParticles, 1);
    for (int i = 0; i < kinematic; i++) type[i] = 3;
    write_trajectory(path, frames, kParticles, 2, type, [](int f, int i, int a) {
      float x = 0.2f + 0.04f * float(i % kSide), y = 0.2f + 0.04f * float(i / kSide);
      return a == 0 ? x + 0.004f * float(f) : y + 0.002f * float(f) * x;
    });
    return path;
  }
  std::string out(const char *name = "out.h5") const { return folder.file(name); }
  Answer step(const std::string &rest) const { return mote("step -m " + model + " " + rest); }
  Answer rollout(const std::string &rest) const { return mote("rollout -q -m " + model + " " + rest); }

  TemporaryFolder folder;
  std::string model;
};

struct Frames {
  mote_trajectory_info info = {};
  std::vector<float> position;
  std::vector<int32_t> type;
};

Frames read(const std::string &path) {
  Frames frames;
  mote_trajectory_reader *reader = nullptr;
  EXPECT_EQ(MOTE_OK, mote_trajectory_open(path.c_str(), &reader)) << mote_last_error();
  if (!reader) return frames;
  EXPECT_EQ(MOTE_OK, mote_trajectory_get_info(reader, 0, &frames.info)) << mote_last_error();
  frames.position.resize(size_t(frames.info.frames * frames.info.particles * frames.info.dim));
  frames.type.resize(size_t(frames.info.particles));
  EXPECT_EQ(MOTE_OK,
            mote_trajectory_read_frames(reader, 0, "position", 0, frames.info.frames, frames.position.data()))
      << mote_last_error();
  EXPECT_EQ(MOTE_OK, mote_trajectory_read_labels(reader, 0, "particle_type", frames.type.data()));
  mote_trajectory_close(reader);
  return frames;
}

std::vector<float> frames_of(const Frames &f, int64_t first, int64_t count) {
  int64_t frame = f.info.particles * f.info.dim;
  return std::vector<float>(f.position.begin() + first * frame, f.position.begin() + (first + count) * frame);
}

/* An array at the root of a file. */
std::vector<float> array(const std::string &path, const char *name) {
  hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  hid_t set = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(set);
  hsize_t shape[2] = {0, 0};
  EXPECT_EQ(H5Sget_simple_extent_ndims(space), 2) << name;
  H5Sget_simple_extent_dims(space, shape, nullptr);
  EXPECT_TRUE(shape[0] == hsize_t(kParticles) && shape[1] == 2) << name;
  std::vector<float> values(shape[0] * shape[1]);
  EXPECT_GE(H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
  H5Sclose(space);
  H5Dclose(set);
  H5Fclose(file);
  return values;
}

} // namespace

TEST(CliStepper, Help) {
  for (const char *command : {"step", "rollout"}) {
    Answer answer = mote(std::string(command) + " --help");
    EXPECT_EQ(0, answer.code);
    EXPECT_TRUE(has(answer, "usage: mote " + std::string(command)) && has(answer, "--metadata") &&
                has(answer, "--model"))
        << answer.text;
    EXPECT_TRUE(has(mote("--help"), command));
  }
}

TEST(CliStepper, MistakesAreAnswered) {
  struct {
    const char *arguments, *part;
  } cases[] = {{"step", "--model is required"},
               {"step -m m", "--input is required"},
               {"step -m m -i i", "--output is required"},
               {"step -m m -i i -o o --repeat 0", "--repeat"},
               {"step -m m -i i -o o --radius -1", "--radius"},
               {"step -m m -i i -o o --radius much", "expected a number"},
               {"step -m m -i i -o o --metdata f", "did you mean --metadata"},
               {"step -m m -i i -o o stray", "stray"},
               {"step -m m -i i -o o --precision half", "--precision is 'half': expected float32"},
               {"rollout", "--model is required"},
               {"rollout -m m -i i", "--output is required"},
               {"rollout -m m -i i -o o -n -5", "--sparse"},
               {"rollout -m m -i i -o o -r 1.5", "--ratio"},
               {"rollout -m m -i i -o o -n 5 -r 0.5", "--sparse"},
               {"rollout -m m -i i -o o --method best", "--method"},
               {"rollout -m m -i i -o o --steps -1", "--steps"},
               {"rollout -m m -i i -o o --every 0", "--every"},
               {"rollout -m m -i i -o o --precision fp8", "--precision is 'fp8'"},
               {"rollout -m m -i i -o o --operator p", "--sparse or --ratio"},
               {"rollout -m m -i i -o o --operator p -n 5 --only-sparse", "not --only-sparse"},
               {"rollout -m m -i i -o o --stepz 3", "did you mean --steps"}};
  for (auto &c : cases) {
    Answer answer = mote(c.arguments);
    EXPECT_EQ(2, answer.code) << c.arguments << ": " << answer.text;
    EXPECT_TRUE(has(answer, c.part)) << c.arguments << ": " << answer.text;
  }
}

TEST(CliStepper, FilesThatAreMissing) {
  Work work;
  std::string input = work.trajectory(8);
  for (std::string command : {"step", "rollout"}) {
    Answer answer = mote(command + " -m " + work.out("none") + " -i " + input + " -o " + work.out());
    EXPECT_EQ(1, answer.code);
    EXPECT_TRUE(has(answer, "none/config.json")) << answer.text;
    answer = mote(command + " -m " + work.model + " -i " + work.out("none.h5") + " -o " + work.out());
    EXPECT_EQ(1, answer.code);
    EXPECT_TRUE(has(answer, "none.h5")) << answer.text;
    answer = mote(command + " -m " + work.model + " -i " + input + " -o " + work.out("no/such/place.h5"));
    EXPECT_EQ(1, answer.code);
    EXPECT_TRUE(has(answer, "no/such/place.h5")) << answer.text;
    EXPECT_FALSE(std::filesystem::exists(work.out()));
  }
}

TEST(CliStepper, ModelsWithoutMetadata) {
  Work work;
  std::string input = work.trajectory(8), aside = work.folder.file("statistics.json");
  std::filesystem::rename(work.model + "/metadata.json", aside);
  for (std::string command : {"step", "rollout"}) {
    std::string common = command + " -m " + work.model + " -i " + input + " -o " + work.out();
    Answer answer = mote(common);
    EXPECT_EQ(1, answer.code);
    EXPECT_TRUE(has(answer, "--metadata") && has(answer, "metadata.json")) << answer.text;
    EXPECT_FALSE(std::filesystem::exists(work.out()));
    answer = mote(common + " --metadata " + aside);
    EXPECT_EQ(0, answer.code) << answer.text;
    std::filesystem::remove(work.out());
  }
}

TEST(CliStepper, TrajectoriesThatAreTooShort) {
  Work work;
  std::string history = work.trajectory(kHistory), less = work.trajectory(kHistory - 1);
  Answer answer = work.step("-i " + less + " -o " + work.out());
  EXPECT_EQ(1, answer.code);
  EXPECT_TRUE(has(answer, "5 frames") && has(answer, "6")) << answer.text;
  EXPECT_EQ(0, work.step("-i " + history + " -o " + work.out()).code);
  answer = work.rollout("-i " + less + " -o " + work.out("r.h5") + " --steps 3");
  EXPECT_EQ(1, answer.code);
  EXPECT_TRUE(has(answer, "5 frames")) << answer.text;
  answer = work.rollout("-i " + history + " -o " + work.out("r.h5"));
  EXPECT_EQ(1, answer.code);
  EXPECT_TRUE(has(answer, "steps")) << answer.text;
  EXPECT_FALSE(std::filesystem::exists(work.out("r.h5")));
  EXPECT_EQ(0, work.rollout("-i " + history + " -o " + work.out("r.h5") + " --steps 3").code);
  EXPECT_EQ(read(work.out("r.h5")).info.frames, kHistory + 3);
}

TEST(CliStepper, InputsOfAnotherDimension) {
  Work work;
  std::string path = work.folder.file("cube.h5");
  write_trajectory(path, 8, 9, 3, std::vector<int32_t>(9, 0),
                   [](int f, int i, int a) { return 0.2f + 0.05f * float(i) + 0.001f * float(f + a); });
  for (std::string command : {"step", "rollout"}) {
    Answer answer = mote(command + " -m " + work.model + " -i " + path + " -o " + work.out());
    EXPECT_EQ(1, answer.code);
    EXPECT_TRUE(has(answer, "3-D") && has(answer, "2-D")) << answer.text;
  }
}

TEST(CliStepper, SparseSetsLargerThanTheWhole) {
  Work work;
  Answer answer = work.rollout("-i " + work.trajectory(8) + " -o " + work.out() + " -n 145");
  EXPECT_EQ(1, answer.code);
  EXPECT_TRUE(has(answer, "145") && has(answer, "144")) << answer.text;
}

/* A step from the last frames; repeated, it is the same. And a rollout's first step is that step. */
TEST(CliStepper, AStep) {
  Work work;
  std::string input = work.trajectory(kHistory);
  Answer answer = work.step("-i " + input + " -o " + work.out("once.h5"));
  ASSERT_EQ(0, answer.code) << answer.text;
  EXPECT_TRUE(has(answer, "step_milliseconds: ") && has(answer, "peak_bytes: ") && has(answer, "edges: "))
      << answer.text;
  ASSERT_EQ(0, work.step("-i " + input + " -o " + work.out("again.h5") + " --repeat 4 --threads 1").code);
  std::vector<float> next = array(work.out("once.h5"), "next_position");
  EXPECT_EQ(array(work.out("again.h5"), "next_position"), next);
  EXPECT_EQ(array(work.out("again.h5"), "normalized_acceleration"),
            array(work.out("once.h5"), "normalized_acceleration"));
  ASSERT_EQ(0, work.rollout("-i " + input + " -o " + work.out() + " --steps 1").code);
  EXPECT_EQ(frames_of(read(work.out()), kHistory, 1), next);
}

TEST(CliStepper, ARolloutOfAllParticles) {
  Work work;
  std::string input = work.trajectory(20);
  Answer answer = mote("rollout -m " + work.model + " -i " + input + " -o " + work.out());
  ASSERT_EQ(0, answer.code) << answer.text;
  EXPECT_TRUE(has(answer, "20 frames of 144 particles; 144 stepped")) << answer.text;
  Frames in = read(input), out = read(work.out());
  EXPECT_EQ(out.info.frames, in.info.frames);
  EXPECT_EQ(out.info.particles, in.info.particles);
  EXPECT_EQ(out.type, in.type);
  EXPECT_EQ(frames_of(out, 0, kHistory), frames_of(in, 0, kHistory));
  /* The block goes on as it was, but for what a network does at 1e-5 a step. */
  EXPECT_LE(relative_l2(out.position, in.position), 5e-3);
  EXPECT_NE(frames_of(out, 19, 1), frames_of(in, 19, 1));
}

TEST(CliStepper, ARolloutOfASparseSetReconstructed) {
  Work work;
  std::string input = work.trajectory(16);
  for (const char *which : {"-n 40", "-r 0.3 --method poisson", "-n 30 --method uniform --seed 4"}) {
    Answer answer = work.rollout("-i " + input + " -o " + work.out() + " " + which);
    ASSERT_EQ(0, answer.code) << which << ": " << answer.text;
    Frames in = read(input), out = read(work.out());
    EXPECT_EQ(out.info.frames, in.info.frames) << which;
    EXPECT_EQ(out.info.particles, in.info.particles);
    EXPECT_EQ(out.type, in.type);
    EXPECT_EQ(frames_of(out, 0, kHistory), frames_of(in, 0, kHistory)) << which;
    /* The motion is affine, which reconstruction keeps. */
    EXPECT_LE(relative_l2(out.position, in.position), 5e-3) << which;
  }
}

TEST(CliStepper, TheSparseSetAlone) {
  Work work;
  std::string input = work.trajectory(14);
  ASSERT_EQ(0, work.rollout("-i " + input + " -o " + work.out() + " -n 40 --only-sparse").code);
  ASSERT_EQ(0, work.rollout("-i " + input + " -o " + work.out("dense.h5") + " -n 40").code);
  Frames sparse = read(work.out()), in = read(input);
  EXPECT_EQ(sparse.info.particles, 40);
  EXPECT_EQ(sparse.info.frames, 14);
  /* Each of them begins as one of the input's, and they are as many as there are. */
  std::vector<float> first = frames_of(sparse, 0, 1);
  int found = 0;
  for (int i = 0; i < 40; i++)
    for (int j = 0; j < kParticles; j++)
      found += first[2 * i] == in.position[2 * j] && first[2 * i + 1] == in.position[2 * j + 1];
  EXPECT_EQ(found, 40);
}

TEST(CliStepper, EveryKthFrame) {
  Work work;
  std::string input = work.trajectory(18); /* twelve steps */
  ASSERT_EQ(0, work.rollout("-i " + input + " -o " + work.out("all.h5") + " -n 40").code);
  ASSERT_EQ(0, work.rollout("-i " + input + " -o " + work.out() + " --every 4").code);
  ASSERT_EQ(0, work.rollout("-i " + input + " -o " + work.out("each.h5")).code);
  Frames some = read(work.out()), each = read(work.out("each.h5"));
  ASSERT_EQ(some.info.frames, 5); /* frames 1, 5 of the history, then 9, 13, 17 */
  for (int k = 0; k < 5; k++) EXPECT_EQ(frames_of(some, k, 1), frames_of(each, 1 + 4 * k, 1)) << k;
}

/* Kinematic particles go where the input has them, and with their velocity behind its end. */
TEST(CliStepper, KinematicParticlesFollowTheInput) {
  Work work;
  std::string input = work.trajectory(12, 10);
  for (const char *which : {"", "-n 60"}) {
    std::string rest = std::string(" --steps 9 ") + which + (*which ? " --only-sparse" : "");
    ASSERT_EQ(0, work.rollout("-i " + input + " -o " + work.out() + rest).code);
    Frames in = read(input), out = read(work.out());
    ASSERT_EQ(out.info.frames, kHistory + 9);
    int kinematic = 0;
    for (int64_t i = 0; i < out.info.particles; i++) {
      if (out.type[size_t(i)] != 3) continue;
      int64_t same = -1;
      for (int j = 0; j < 10; j++)
        if (out.position[size_t(2 * i)] == in.position[size_t(2 * j)]) same = j;
      ASSERT_GE(same, 0);
      kinematic++;
      auto at = [](const Frames &f, int64_t frame, int64_t k) {
        return f.position[size_t((frame * f.info.particles + k) * 2)];
      };
      for (int64_t f = 0; f < 12; f++) EXPECT_EQ(at(out, f, i), at(in, f, same)) << "frame " << f;
      EXPECT_NEAR(at(out, 14, i), at(in, 11, same) + 3 * 0.004, 1e-5);
    }
    EXPECT_TRUE(*which ? kinematic > 0 : kinematic == 10) << kinematic;
  }
}

/* 0.1 m a frame^2: after ten steps all move by more than the domain's metre a frame. */
TEST(CliStepper, ARolloutThatDiverges) {
  Work work(0.1);
  std::string input = work.trajectory(30);
  for (const char *which : {"", "-n 40"}) {
    std::filesystem::remove(work.out());
    Answer answer = work.rollout("-i " + input + " -o " + work.out() + " " + which);
    EXPECT_EQ(1, answer.code);
    EXPECT_TRUE(has(answer, "diverged") && has(answer, "step 10") && has(answer, "particle 0 "))
        << answer.text;
    EXPECT_TRUE(has(answer, "out.h5 holds the 15 frames before")) << answer.text;
    EXPECT_EQ(has(answer, "among the stepped"), *which != 0) << answer.text;
    Frames in = read(input), out = read(work.out());
    EXPECT_EQ(out.info.frames, kHistory + 9);
    EXPECT_EQ(frames_of(out, 0, kHistory), frames_of(in, 0, kHistory));
    for (float x : out.position) EXPECT_TRUE(std::isfinite(x));
  }
}

/* A file that was there stays when a rollout cannot begin. */
TEST(CliStepper, WhatFailsLeavesTheOldFile) {
  Work work;
  std::string input = work.trajectory(10), less = work.trajectory(5);
  ASSERT_EQ(0, work.rollout("-i " + input + " -o " + work.out()).code);
  ASSERT_EQ(1, work.rollout("-i " + less + " -o " + work.out()).code);
  Answer answer = work.rollout("-i " + input + " -o " + work.out() + " -n 40 --operator " + work.out("none"));
  EXPECT_EQ(1, answer.code);
  EXPECT_TRUE(has(answer, "none")) << answer.text;
  EXPECT_EQ(read(work.out()).info.frames, 10);
  for (const auto &entry : std::filesystem::directory_iterator(work.folder.path))
    EXPECT_EQ(entry.path().filename().string().find(".part"), std::string::npos) << entry.path();
}
