/* A step of every variant against its definition in float64, on every device.

   The tolerance, 1e-5 of the answer's norm: a float32 evaluation of these models rounds some thirty times one
   behind the other, each time by 6e-8 of values that LayerNorm keeps near 1, and is found at 2e-7 to 9e-7.
   Because weights and biases are large, mistakes are seen: GELU by tanh makes 1e-4 to 5e-4, a LayerNorm with
   epsilon 1e-6 makes 5e-6 to 4e-5, any order, sign, mean or residual gone wrong 3e-3 to 1. */
#include "tests/models/reference.h"
#include "tests/models/stepping.h"

using namespace mote_test;

namespace {

const double kTolerance = 1e-5;

class Agreement : public ::testing::TestWithParam<std::tuple<std::string, Checkpoint>> {};

INSTANTIATE_TEST_SUITE_P(devices, Agreement,
                         ::testing::Combine(::testing::ValuesIn(devices_and_products()),
                                            ::testing::ValuesIn(checkpoints())),
                         [](const auto &info) {
                           std::string name = std::get<0>(info.param) + "_" + std::get<1>(info.param).name;
                           for (char &c : name)
                             if (c == ':' || c == '-') c = '_';
                           return name;
                         });

void compare(Stepping &run, const Saved &saved, const Cloud &cloud) {
  Answer expected = reference_step(saved.checkpoint, saved.metadata, cloud);
  std::vector<float> acceleration = run.acceleration(), position = run.position();
  EXPECT_LE(relative_l2(acceleration, expected.acceleration), kTolerance);
  EXPECT_LE(relative_l2(position, expected.next), 1e-6);
  EXPECT_EQ(run.edges(), expected.edges);
}

} // namespace

TEST_P(Agreement, OneStep) {
  Saved saved(std::get<1>(GetParam()));
  Device device(std::get<0>(GetParam()));
  Cloud cloud = cloud_for(saved.checkpoint, 48);
  Stepping run(device, saved, cloud);
  run.advance();
  compare(run, saved, cloud);
}

/* A recorded step sees the history that the steps before have made. */
TEST_P(Agreement, TheFourthStep) {
  Saved saved(std::get<1>(GetParam()));
  Device device(std::get<0>(GetParam()));
  Cloud cloud = cloud_for(saved.checkpoint, 40, 2);
  Stepping run(device, saved, cloud);
  for (int step = 1; step < 4; step++) {
    run.advance();
    cloud = moved_on(cloud, run.position());
  }
  run.advance();
  compare(run, saved, cloud);
}

/* Nobody is within reach of a latent point, and the walls are far. */
TEST_P(Agreement, FarFromEverything) {
  Saved saved(std::get<1>(GetParam()));
  Device device(std::get<0>(GetParam()));
  Cloud cloud = cloud_for(saved.checkpoint, 12, 3);
  for (float &x : cloud.history) x += 8;
  Stepping run(device, saved, cloud);
  run.advance();
  compare(run, saved, cloud);
}

TEST_P(Agreement, OneParticle) {
  Saved saved(std::get<1>(GetParam()));
  Device device(std::get<0>(GetParam()));
  Cloud cloud = cloud_for(saved.checkpoint, 1, 4);
  Stepping run(device, saved, cloud);
  run.advance();
  cloud = moved_on(cloud, run.position()); /* else the first step's rounding counts twice */
  run.advance();
  compare(run, saved, cloud);
}
