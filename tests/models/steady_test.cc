/* Steps in their steady state: no allocation after the first, no memory taken over hundreds of them, the same
   bits again after a restart, and steppers that do not disturb each other. */
#include <malloc.h>

#include "tests/models/stepping.h"

using namespace mote_test;

namespace {

class Steady : public OnDevice {};
MOTE_ON_DEVICES(Steady);

/* Matter at rest that hardly moves, so that its graphs stay as they are. */
Cloud calm(const Checkpoint &c, int n) {
  Cloud cloud = cloud_for(c, n, 6);
  size_t frame = size_t(n) * c.dim;
  for (size_t k = 0; k < cloud.history.size() - frame; k++) cloud.history[k] = cloud.last()[k % frame];
  return cloud;
}

Saved slow(const char *variant) {
  Checkpoint c = checkpoint(variant);
  mote_metadata metadata = statistics(c.dim);
  c.noise = 0;
  for (int a = 0; a < c.dim; a++) {
    metadata.acceleration_mean[a] = 0;
    metadata.acceleration_std[a] = 1e-7;
  }
  return Saved(c, metadata);
}

void allocates_once(const std::string &device_name, const char *variant) {
  Saved saved = slow(variant);
  Device device(device_name);
  Cloud cloud = calm(saved.checkpoint, 40);
  Stepping run(device, saved, cloud);
  run.advance();
  run.position();
  size_t allocations = mote_device_memory_use(device.device).allocations;
  for (int step = 2; step <= 5; step++) {
    run.advance();
    if (step % 2) run.position();
    EXPECT_EQ(mote_device_memory_use(device.device).allocations, allocations) << variant << ", step " << step;
  }
  run.start(cloud);
  run.advance(3);
  run.acceleration();
  run.edges();
  EXPECT_EQ(mote_device_memory_use(device.device).allocations, allocations) << variant << ", restarted";
}

/* Positions and accelerations of some steps, one behind the other. */
std::vector<float> trajectory(Stepping &run, int steps) {
  std::vector<float> all;
  for (int k = 0; k < steps; k++) {
    run.advance();
    for (const std::vector<float> &values : {run.position(), run.acceleration()})
      all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

void repeats(const std::string &device_name, const char *variant) {
  Saved saved{std::string(variant)};
  Device device(device_name);
  Cloud cloud = cloud_for(saved.checkpoint, 40, 7);
  Stepping run(device, saved, cloud);
  std::vector<float> first = trajectory(run, 4);
  run.start(cloud);
  EXPECT_TRUE(trajectory(run, 4) == first) << variant << " restarted";
  Stepping again(device, saved, cloud);
  EXPECT_TRUE(trajectory(again, 4) == first) << variant << " made anew";
}

} // namespace

TEST_P(Steady, AllocatesInTheFirstStepAloneGiorom) {
  allocates_once(GetParam(), "giorom3d_pair_in");
  allocates_once(GetParam(), "giorom2d_normalized");
}
TEST_P(Steady, AllocatesInTheFirstStepAloneOccupied) {
  allocates_once(GetParam(), "giorom2d_occupied");
}
TEST_P(Steady, AllocatesInTheFirstStepAloneGns) {
  allocates_once(GetParam(), "gns2d");
}

TEST_P(Steady, RestartsRepeatBitsGiorom) {
  repeats(GetParam(), "giorom2d_normalized");
}
TEST_P(Steady, RestartsRepeatBitsPairs) {
  repeats(GetParam(), "giorom3d_occupied");
}
TEST_P(Steady, RestartsRepeatBitsGns) {
  repeats(GetParam(), "gns2d_doubled");
}

/* Two steppers of one model with different particles, turn by turn, as each of them alone. */
TEST_P(Steady, SteppersOfAModelAreStrangers) {
  Saved saved{std::string("giorom2d_normalized")};
  Device device(GetParam());
  Cloud one = cloud_for(saved.checkpoint, 40, 8), two = cloud_for(saved.checkpoint, 30, 9);
  Stepping first(device, saved, one);
  std::vector<float> alone = trajectory(first, 3);
  first.start(one);
  mote_stepper_options options = {};
  options.count = two.n;
  options.metadata = &saved.metadata;
  mote_stepper *second = nullptr;
  MOTE_ASSERT_OK(mote_stepper_create(first.model, &options, &second));
  MOTE_EXPECT_OK(mote_stepper_start(second, two.history.data()));
  std::vector<float> together;
  for (int step = 0; step < 3; step++) {
    first.advance();
    MOTE_EXPECT_OK(mote_stepper_advance(second, nullptr));
    for (const std::vector<float> &values : {first.position(), first.acceleration()})
      together.insert(together.end(), values.begin(), values.end());
  }
  EXPECT_TRUE(together == alone);
  mote_stepper_destroy(second);
}

TEST_P(Steady, HundredsOfStepsTakeNoMemory) {
  Saved saved = slow("gns2d");
  Device device(GetParam());
  int steps = GetParam() == "emu" ? 60 : 300;
  Stepping run(device, saved, calm(saved.checkpoint, 24));
  run.advance(3);
  run.position();
  mote_memory_use before = mote_device_memory_use(device.device);
  size_t host = mallinfo2().uordblks;
  for (int step = 3; step < steps; step++) {
    run.advance();
    if (step % 7 == 0) run.position();
  }
  std::vector<float> x = run.position();
  for (float v : x) EXPECT_TRUE(std::isfinite(v));
  EXPECT_EQ(mote_device_memory_use(device.device).bytes_now, before.bytes_now);
  EXPECT_EQ(mote_device_memory_use(device.device).allocations, before.allocations);
  if (GetParam() == "cpu") {
    EXPECT_LE(mallinfo2().uordblks, host + 65536);
  }
}

TEST_P(Steady, AllIsGivenBack) {
  Saved saved{std::string("giorom3d_occupied")};
  Device device(GetParam());
  size_t before = mote_device_memory_use(device.device).bytes_now;
  {
    Stepping run(device, saved, cloud_for(saved.checkpoint, 40));
    run.advance(3);
    EXPECT_GT(mote_device_memory_use(device.device).bytes_now, before);
  }
  EXPECT_EQ(mote_device_memory_use(device.device).bytes_now, before);
}
