/* Kinematic particles (type 3): put where they are told to go, seen by all others where they are. */
#include "tests/models/reference.h"
#include "tests/models/stepping.h"

using namespace mote_test;

namespace {

class Kinematic : public OnDevice {};
MOTE_ON_DEVICES(Kinematic);

/* Where kinematic particles go; NaN for the others, whose entries nobody may look at. */
std::vector<float> goals(const Cloud &cloud, int step) {
  std::vector<float> goal(size_t(cloud.n) * cloud.dim, NAN);
  for (int i = 0; i < cloud.n; i++)
    for (int a = 0; cloud.type[i] == 3 && a < cloud.dim; a++)
      goal[i * cloud.dim + a] = cloud.last()[i * cloud.dim + a] + 0.03f * float(step) + 0.01f * float(a);
  return goal;
}

void follow(const std::string &device_name, const char *variant) {
  Saved saved{std::string(variant)};
  Device device(device_name);
  Cloud start = cloud_for(saved.checkpoint, 40, 11), cloud = start;
  Stepping run(device, saved, cloud, true);
  for (int step = 1; step <= 4; step++) {
    std::vector<float> goal = goals(start, step);
    run.advance_to(goal);
    Answer expected = reference_step(saved.checkpoint, saved.metadata, cloud);
    std::vector<float> position = run.position();
    for (size_t k = 0; k < position.size(); k++) {
      if (std::isnan(goal[k])) continue;
      EXPECT_EQ(position[k], goal[k]) << "step " << step << ", value " << k;
      expected.next[k] = goal[k];
    }
    EXPECT_LE(relative_l2(run.acceleration(), expected.acceleration), 1e-5) << "step " << step;
    EXPECT_LE(relative_l2(position, expected.next), 1e-6) << "step " << step;
    cloud = moved_on(cloud, position);
  }
}

} // namespace

TEST_P(Kinematic, FollowPrescribedPositionsGiorom) {
  follow(GetParam(), "giorom2d_normalized");
}
TEST_P(Kinematic, FollowPrescribedPositionsGns) {
  follow(GetParam(), "gns3d");
}

/* As `mote step` does: without prescribed positions they move as all others. */
TEST_P(Kinematic, MoveAsAllOthersUnlessTold) {
  Saved saved{std::string("gns2d")};
  Device device(GetParam());
  Cloud cloud = cloud_for(saved.checkpoint, 40, 12);
  Stepping run(device, saved, cloud);
  run.advance();
  EXPECT_LE(relative_l2(run.position(), reference_step(saved.checkpoint, saved.metadata, cloud).next), 1e-6);
}

/* Pushed together without a look between the steps: the room for edges is made up for in time. */
TEST_P(Kinematic, PushedTogetherTheyOutgrowTheGraph) {
  Saved saved{std::string("gns2d")};
  Device device(GetParam());
  Cloud cloud = cloud_for(saved.checkpoint, 40, 13);
  for (int32_t &type : cloud.type) type = 3;
  Stepping blind(device, saved, cloud, true), watched(device, saved, cloud, true);
  for (int step = 1; step <= 6; step++) {
    std::vector<float> goal(cloud.last(), cloud.last() + cloud.n * cloud.dim);
    for (float &x : goal) x = 0.5f + (x - 0.5f) * (1 - float(step) / 6.5f);
    blind.advance_to(goal);
    watched.advance_to(goal);
    watched.position();
    watched.edges();
  }
  EXPECT_TRUE(blind.acceleration() == watched.acceleration());
  EXPECT_EQ(blind.edges(), watched.edges());
  EXPECT_GT(blind.edges(), 500);
}

TEST_P(Kinematic, GoalsAreGivenWhenAskedForAndOnlyThen) {
  Saved saved{std::string("gns2d")};
  Device device(GetParam());
  Cloud cloud = cloud_for(saved.checkpoint, 20);
  std::vector<float> goal = goals(cloud, 1);
  Stepping told(device, saved, cloud, true), free(device, saved, cloud);
  EXPECT_EQ(mote_stepper_advance(told.stepper, nullptr), MOTE_ERROR_ARGUMENT);
  EXPECT_NE(std::string(mote_last_error()).find("prescribed"), std::string::npos) << mote_last_error();
  EXPECT_EQ(mote_stepper_advance(free.stepper, goal.data()), MOTE_ERROR_ARGUMENT);
  EXPECT_NE(std::string(mote_last_error()).find("prescribed"), std::string::npos) << mote_last_error();
  told.advance_to(goal);
  free.advance();
}

/* A goal that is no place: the particle has diverged. */
TEST_P(Kinematic, AGoalThatIsNotFiniteIsReported) {
  Saved saved{std::string("gns2d")};
  Device device(GetParam());
  Cloud cloud = cloud_for(saved.checkpoint, 20);
  Stepping run(device, saved, cloud, true);
  run.advance_to(goals(cloud, 1));
  std::vector<float> goal = goals(cloud, 2), x(goal.size(), -7);
  goal[8 * 2] = NAN; /* particle 8 is of type 3 */
  run.advance_to(goal);
  EXPECT_EQ(mote_stepper_read(run.stepper, x.data(), nullptr), MOTE_ERROR_NUMERIC);
  EXPECT_NE(std::string(mote_last_error()).find("particle 8 "), std::string::npos) << mote_last_error();
  EXPECT_NE(std::string(mote_last_error()).find("step 2"), std::string::npos) << mote_last_error();
  EXPECT_EQ(x, std::vector<float>(goal.size(), -7));
}
