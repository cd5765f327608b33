/* `mote evaluate` as a user meets it: mistakes and their answers, files that do not fit, and what it prints.
 */
#include <hdf5.h>

#include <filesystem>
#include <fstream>

#include <mote/trajectory.h>

#include "tests/cli/command.h"
#include "tests/support/checkpoint.h"
#include "tests/support/testing.h"
#include "tests/support/trajectories.h"

using namespace mote_test;

namespace {

const int kSide = 8, kParticles = kSide * kSide;

/* A falling block of fluid, in a file of as many trajectories as there are names, which are not all the same.
 */
class Evaluate : public ::testing::Test {
protected:
  std::string write(const std::string &name, float error, std::vector<const char *> groups = {"00000"},
                    int frames = 10) {
    std::string path = folder.file(name);
    std::vector<int32_t> type(kParticles, 5);
    mote_metadata metadata = statistics(2);
    metadata.dt = 0.01;
    metadata.write_every = 1;
    metadata.gravity[1] = 0; /* to be estimated */
    metadata.dx = 1.0 / 16;
    mote_trajectory_options options = {};
    options.particles = kParticles, options.dim = 2, options.metadata = &metadata;
    options.particle_type = type.data();
    mote_trajectory_writer *writer = nullptr;
    for (size_t g = 0; g < groups.size(); g++) {
      options.name = groups[g];
      EXPECT_EQ(MOTE_OK, g ? mote_trajectory_next(writer, &options)
                           : mote_trajectory_create(path.c_str(), &options, &writer))
          << mote_last_error();
      for (int f = 0; f < frames; f++) {
        std::vector<float> x;
        for (int i = 0; i < kParticles; i++) {
          x.push_back(0.25f + float(i % kSide) / 16 + (f > 5 ? error : 0));
          x.push_back(0.375f + float(i / kSide) / 16 - float(f * f) / 2048 + float(groups[g][0] % 4) / 64);
        }
        const float *values = x.data();
        EXPECT_EQ(MOTE_OK, mote_trajectory_append(writer, 0.01 * f, &values)) << mote_last_error();
      }
    }
    EXPECT_EQ(MOTE_OK, mote_trajectory_finish(writer)) << mote_last_error();
    return path;
  }
  std::string lines(const std::string &path) {
    std::ifstream file(path);
    return std::string((std::istreambuf_iterator<char>(file)), {});
  }
  TemporaryFolder folder;
};

} // namespace

TEST_F(Evaluate, MistakesAreAnswered) {
  Answer help = mote("evaluate --help");
  EXPECT_EQ(0, help.code);
  for (const char *part : {"--against", "--model", "--history", "Sinkhorn", "ignore walls", "half a minute"})
    EXPECT_TRUE(has(help, part)) << part;
  struct {
    const char *arguments, *part;
  } cases[] = {{"evaluate", "expected D.h5"},
               {"evaluate d", "--against T.h5"},
               {"evaluate d -a t -m m", "not both"},
               {"evaluate t u -m m", "one T.h5"},
               {"evaluate t -m m --plot p.png", "none of --plot"},
               {"evaluate t -m m --history 3", "none of --plot"},
               {"evaluate d -a t --every 3", "are for --model"},
               {"evaluate d -a t -n 30", "are for --model"},
               {"evaluate d -a t --history 1", "--history is 1"},
               {"evaluate d -a t --history -3", "--history is -3"},
               {"evaluate d -a t --gravity 1", "--gravity is '1'"},
               {"evaluate d -a t --gravity 0,-9.8,0,0", "X,Y or X,Y,Z"},
               {"evaluate d -a t --gravity 0,down", "X,Y or X,Y,Z"},
               {"evaluate d -a t --metric loss", "--metric is 'loss'"},
               {"evaluate d -a t --blur 0", "--blur"},
               {"evaluate d -a t --reach -0.1", "--reach"},
               {"evaluate t -m m --reach 0.1", "none of --plot"},
               {"evaluate d -a t --sinkhorn-points 0", "--sinkhorn-points"},
               {"evaluate d -a t --chamfer-every -1", "--chamfer-every"},
               {"evaluate d -a t --sinkhorn --no-sinkhorn", "exclude"},
               {"evaluate t -m m -n 5 -r 0.5", "--sparse N or --ratio X"},
               {"evaluate t -m m --method best", "--method"},
               {"evaluate d -a t --agianst t", "did you mean --against"}};
  for (auto &c : cases) {
    Answer answer = mote(c.arguments);
    EXPECT_EQ(2, answer.code) << c.arguments << ": " << answer.text;
    EXPECT_TRUE(has(answer, c.part)) << c.arguments << ": " << answer.text;
  }
}

TEST_F(Evaluate, FilesThatDoNotFit) {
  std::string t = write("t.h5", 0), two = write("two.h5", 0, {"a", "b"}),
              d = write("d.h5", 0, {"a", "b", "c"});
  Answer answer = mote("evaluate -q " + d + " --against " + two);
  EXPECT_EQ(1, answer.code);
  EXPECT_TRUE(has(answer, "d.h5") && has(answer, "3 trajectories") && has(answer, "has 2")) << answer.text;
  answer = mote("evaluate -q " + t + " --against /nonexistent.h5");
  EXPECT_TRUE(answer.code == 1 && has(answer, "/nonexistent.h5")) << answer.text;
  answer = mote("evaluate -q " + t + " --against " + t + " --history 10");
  EXPECT_TRUE(answer.code == 1 && has(answer, "a history of 10 frames")) << answer.text;
  std::string flat = folder.file("flat.h5");
  write_trajectory(flat, 4, 8, 3, std::vector<int32_t>(8, 5), [](int, int i, int k) { return float(i + k); });
  answer = mote("evaluate -q " + flat + " --against " + t);
  EXPECT_TRUE(answer.code == 1 && has(answer, "3-D") && has(answer, "2-D")) << answer.text;
}

TEST_F(Evaluate, TableCsvAndPlot) {
  std::string t = write("t.h5", 0), d = write("d.h5", 1.0f / 64), csv = folder.file("e.csv"),
              png = folder.file("e.png");
  Answer answer = mote("evaluate -q " + d + " --against " + t + " --csv " + csv + " --plot " + png);
  ASSERT_EQ(0, answer.code) << answer.text;
  for (const char *part : {"\ntrivial predictors\n", "\n  ballistic in bounds", "Sinkhorn mm",
                           "a history of 6", "estimated from the history", "best trivial: ballistic"})
    EXPECT_TRUE(has(answer, part)) << part << "\n" << answer.text;
  EXPECT_TRUE(has(answer, " 15.6250")) << answer.text; /* 1/64 m: of positions, Sinkhorn distance, ... */
  EXPECT_GT(std::filesystem::file_size(png), 1000u);
  EXPECT_NE(lines(csv).find("d.h5,trivial: constant velocity,6,"), std::string::npos);
  answer = mote("evaluate -q " + d + " --against " + t + " --history 0 --no-sinkhorn");
  EXPECT_FALSE(has(answer, "trivial") || has(answer, "Sinkhorn")) << answer.text;
}

TEST_F(Evaluate, SeveralTrajectories) {
  std::string t = write("t.h5", 0, {"a", "b", "c"}), d = write("d.h5", 1.0f / 64, {"a", "c"}),
              csv = folder.file("e.csv");
  Answer answer =
      mote("evaluate -q " + d + " --against " + t + " --csv " + csv + " --plot " + folder.file("e.png"));
  ASSERT_EQ(0, answer.code) << answer.text;
  EXPECT_TRUE(has(answer, "\nd.h5 ") && has(answer, "\n  a ") && has(answer, "\n  c ")) << answer.text;
  EXPECT_FALSE(has(answer, "\n  b "));
  std::string last = lines(csv);
  last = last.substr(last.find("d.h5,all,9,", last.find(",c\n")));
  EXPECT_NE(last.substr(0, last.find('\n')).find(",0.015625,0.015625,"), std::string::npos) << last;
  for (const char *end : {",mean\n", ",a\n", ",c\n"})
    EXPECT_NE(lines(csv).find(end), std::string::npos) << end;
}

/* A rollout that went astray, as another program may write it, is measured up to there. */
TEST_F(Evaluate, WhatIsNotFiniteEndsIt) {
  std::string t = write("t.h5", 0), d = write("d.h5", 0);
  hid_t file = H5Fopen(d.c_str(), H5F_ACC_RDWR, H5P_DEFAULT),
        set = H5Dopen2(file, "00000/position", H5P_DEFAULT);
  hid_t space = H5Dget_space(set), one = H5Screate(H5S_SCALAR);
  hsize_t at[3] = {8, 3, 1}, count[3] = {1, 1, 1};
  float value = NAN;
  H5Sselect_hyperslab(space, H5S_SELECT_SET, at, nullptr, count, nullptr);
  ASSERT_GE(H5Dwrite(set, H5T_NATIVE_FLOAT, one, space, H5P_DEFAULT, &value), 0);
  H5Sclose(one), H5Sclose(space), H5Dclose(set), H5Fclose(file);
  Answer answer = mote("evaluate -q " + d + " --against " + t);
  EXPECT_EQ(0, answer.code);
  EXPECT_TRUE(has(answer, "d.h5: not finite in frame 8: 8 of 10 frames count")) << answer.text;
  answer = mote("evaluate -q " + t + " --against " + d); /* of the truth it is an error */
  EXPECT_EQ(1, answer.code);
  EXPECT_TRUE(has(answer, "the truth") && has(answer, "frame 8")) << answer.text;
}

/* Rollouts record their history; single steps need no rollout. */
TEST_F(Evaluate, ATimeStepper) {
  std::string model = folder.file("model"), t = write("t.h5", 0, {"00000"}, 12), d = folder.file("d.h5"),
              csv = folder.file("s.csv");
  std::filesystem::create_directory(model);
  Checkpoint c = checkpoint("gns2d");
  c.types = 9;
  invent(c);
  mote_metadata metadata = statistics(2);
  metadata.connectivity_radius = 0.15;
  for (int a = 0; a < 2; a++) metadata.acceleration_std[a] = 1e-4;
  save(model, c, metadata);
  Answer answer = mote("evaluate -q " + t + " --model " + model + " --every 2 --sparse 20 --csv " + csv);
  ASSERT_EQ(0, answer.code) << answer.text;
  EXPECT_TRUE(has(answer, "norm. RMSE") && has(answer, "3 steps in 1 trajectory")) << answer.text;
  EXPECT_NE(lines(csv).find("00000,model,10,"), std::string::npos) << lines(csv);
  answer = mote("evaluate -q " + t + " --model " + folder.file("none"));
  EXPECT_TRUE(answer.code == 1 && has(answer, "none")) << answer.text;
  for (const char *every : {"1", "2"}) {
    answer = mote("rollout -q -m " + model + " -i " + t + " -o " + d + " --every " + every);
    ASSERT_EQ(0, answer.code) << answer.text;
    answer = mote("evaluate -q " + d + " --against " + t);
    ASSERT_EQ(0, answer.code) << answer.text;
    EXPECT_TRUE(has(answer, *every == '1' ? "a history of 6;" : "a history of 3;")) << answer.text;
  }
}
