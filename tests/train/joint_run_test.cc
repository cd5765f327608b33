/* RUN.yaml of a joint training: every key, what holds without it, and errors that say where. */
#include "host/train/joint_run.h"

#include <sys/stat.h>

#include "tests/io/files.h"
#include "tests/support/testing.h"

namespace {

const std::string kMinimal = "kind: joint\ndata: set\nstepper: one\noperator: two\n";

class JointRunTest : public ::testing::Test {
protected:
  void SetUp() override {
    mote_network_config config;
    mote_network_config_published(MOTE_GNS, &config);
    config.window = 4;
    ASSERT_EQ(0, mkdir(folder.file("one").c_str(), 0777));
    MOTE_ASSERT_OK(mote_network_config_write(folder.file("one/config.json").c_str(), &config));
  }
  ~JointRunTest() { mote_joint_run_free(&run); }
  mote_status load(const std::string &text) {
    mote_joint_run_free(&run);
    mote_test::spill(folder.file("run.yaml"), text);
    mote_status status = mote_joint_run_load(folder.file("run.yaml").c_str(), &run);
    EXPECT_EQ(status == MOTE_OK, run.operator_folder != nullptr);
    return status;
  }
  /* Refused with file:line: and this word. */
  void refuse(const std::string &text, int line, const char *word) {
    ASSERT_EQ(MOTE_ERROR_FORMAT, load(text)) << text;
    std::string message = mote_last_error(), where = "run.yaml:" + std::to_string(line) + ":";
    EXPECT_NE(std::string::npos, message.find(where)) << where << "\n" << message << "\n" << text;
    EXPECT_NE(std::string::npos, message.find(word)) << word << "\n" << message << "\n" << text;
  }
  mote_test::TemporaryFolder folder;
  mote_joint_run run = {};
};

} // namespace

TEST_F(JointRunTest, Defaults) {
  MOTE_ASSERT_OK(load(kMinimal));
  EXPECT_EQ(folder.file("set"), run.stepper.data);
  EXPECT_EQ(folder.file("one"), run.stepper.statistics);
  EXPECT_EQ(folder.file("two"), run.operator_folder);
  EXPECT_EQ(4, run.stepper.config.window);
  EXPECT_EQ(5, run.stepper.push_steps);
  EXPECT_EQ(0, run.stepper.push_from);
  EXPECT_TRUE(run.stepper.through);
  EXPECT_EQ(1000, run.points);
  EXPECT_EQ(0, run.stepper_weight);
  EXPECT_EQ(0, run.stepper.position_weight);
  EXPECT_EQ(0, run.stepper.noise);
  EXPECT_EQ(1e-4, run.operator_rate);
  EXPECT_EQ(1e-5, run.stepper.schedule.rate);
  EXPECT_EQ(2000, run.stepper.steps);
  EXPECT_EQ(2000, run.stepper.schedule.steps);
  EXPECT_EQ(500, run.stepper.least);
  EXPECT_EQ(1000, run.stepper.most);
  EXPECT_EQ(2, run.stepper.batch);
  EXPECT_EQ(1, run.stepper.clip);
}

TEST_F(JointRunTest, EveryKey) {
  MOTE_ASSERT_OK(load("kind: joint\ndata: /some/where\nstepper: " + folder.file("one") +
                      "\noperator: /else/where\nunroll: 7\npoints: 300\nloss: {stepper: 0.25, position: 2}\n"
                      "particles: {method: poisson, count: 60}\noptimizer: {kind: adamax, rate: 3.0e-4}\n"
                      "operator_rate: 2.0e-3\nschedule: {kind: constant, warmup: 0}\n"
                      "validation: {every: 9, frames: 8, trajectories: 7}\nclip: 0.5\nema: 0.99\nbatch: 6\n"
                      "steps: 50\nseed: 4\nsave_every: 3\nmemory: 20\n"));
  EXPECT_STREQ("/some/where", run.stepper.data);
  EXPECT_STREQ("/else/where", run.operator_folder);
  EXPECT_EQ(7, run.stepper.push_steps);
  EXPECT_EQ(300, run.points);
  EXPECT_EQ(0.25, run.stepper_weight);
  EXPECT_EQ(2, run.stepper.position_weight);
  EXPECT_EQ(MOTE_SAMPLE_POISSON, run.stepper.method);
  EXPECT_EQ(60, run.stepper.least);
  EXPECT_EQ(60, run.stepper.most);
  EXPECT_TRUE(run.stepper.optimizer.adamax);
  EXPECT_EQ(3e-4, run.stepper.schedule.rate);
  EXPECT_EQ(2e-3, run.operator_rate);
  EXPECT_EQ(MOTE_SCHEDULE_CONSTANT, run.stepper.schedule.kind);
  EXPECT_EQ(9, run.stepper.validate_every);
  EXPECT_EQ(8, run.stepper.validate_frames);
  EXPECT_EQ(7, run.stepper.validate_trajectories);
  EXPECT_EQ(0.5, run.stepper.clip);
  EXPECT_EQ(0.99, run.stepper.ema);
  EXPECT_EQ(6, run.stepper.batch);
  EXPECT_EQ(50, run.stepper.steps);
  EXPECT_EQ(4, run.stepper.seed);
  EXPECT_EQ(3, run.stepper.save_every);
  EXPECT_EQ(20, run.stepper.memory);
}

TEST_F(JointRunTest, WhatIsWrongIsNamed) {
  refuse("kind: joint\ndata: set\nstepper: one\n", 1, "'operator'");
  refuse("kind: joint\ndata: set\noperator: two\n", 1, "'stepper'");
  refuse("kind: joint\nstepper: one\noperator: two\n", 1, "'data'");
  refuse("kind: operator\ndata: set\nstepper: one\noperator: two\n", 1, "unknown kind");
  refuse("kind: joint\ndata: set\nstepper: []\noperator: two\n", 3, "time-stepper");
  refuse("kind: joint\ndata: set\nstepper: one\noperator: {}\n", 4, "trained operator");
  for (const char *line : {"unroll: 0", "unroll: 101", "points: 0", "operator_rate: -1", "operator_rate: 2",
                           "loss: {stepper: -1}", "loss: {dense: 1}", "loss: {position: 1}", "batch: 0",
                           "model: {architecture: gns}", "noise: 1.0e-4", "pushforward: {steps: 2}",
                           "particles: {count: 0}", "optimizer: {rate: 0}", "schedule: {warmup: 2000}"}) {
    std::string text(line), key = text.substr(0, text.find(':'));
    if (text.find('{') != std::string::npos && key != "model" && key != "pushforward")
      key = text.substr(text.find('{') + 1, text.rfind(':') - text.find('{') - 1);
    refuse(kMinimal + line + "\n", 5, key.c_str());
  }
  EXPECT_EQ(MOTE_ERROR_IO, load("kind: joint\ndata: set\nstepper: none\noperator: two\n"));
}
