/* One-step errors: those of a model against a stepper that the test drives itself, and those of trivial
   predictors on free fall. */
#include <mote/one_step.h>
#include <mote/stepper.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/checkpoint.h"
#include "tests/support/testing.h"
#include "tests/support/trajectories.h"

using namespace mote_test;

namespace {

const int kHistory = 6, kFrames = 10;
const double kNoise = 3e-4, kMean[2] = {1e-4, -2e-4}, kSpread[2] = {2e-3, 1e-3};

/* A block of 6 x 6 that falls: second differences of (0, -2^-10) m; the first `kinematic` go round a circle.
 */
class OneStep : public OnDevice {
protected:
  OneStep() : device(GetParam()), model(folder.file("model")) {
    std::filesystem::create_directory(model);
    Checkpoint c = checkpoint("gns2d");
    c.noise = kNoise;
    invent(c);
    statistics_ = statistics(2);
    statistics_.connectivity_radius = 0.15;
    for (int a = 0; a < 2; a++) {
      statistics_.acceleration_mean[a] = kMean[a];
      statistics_.acceleration_std[a] = kSpread[a];
    }
    save(model, c, statistics_);
    job = {};
    job.model = model.c_str();
  }
  ~OneStep() override { mote_one_step_destroy(&result); }
  static float at(int f, int i, int a) {
    if (i < kinematic) return 0.5f + 0.25f * (a ? std::sin(float(f + i)) : std::cos(float(f + i)));
    return a == 0 ? 0.25f + 0.0625f * float(i % 6) + float(f) / 256
                  : 0.5f + 0.0625f * float(i / 6) - float(f * (f - 1)) / 2048;
  }
  void write(int frames = kFrames, int count = 36) {
    std::vector<int32_t> type(count, 1);
    for (int i = 0; i < kinematic; i++) type[i] = 3;
    write_trajectory(folder.file("t.h5"), frames, count, 2, type, at);
    input = folder.file("t.h5");
    job.input = input.c_str();
  }
  mote_status run() {
    mote_one_step_destroy(&result);
    return mote_one_step_evaluate(device.device, &job, nullptr, &result);
  }
  static int kinematic;
  TemporaryFolder folder;
  Device device;
  std::string model, input;
  mote_metadata statistics_;
  mote_one_step_job job;
  mote_one_step result = {};
};
int OneStep::kinematic = 0;

/* a_hat and next positions of a stepper on frames first .. first + kHistory. */
struct Step {
  std::vector<float> normalized, next;
};
Step step(Device &device, const std::string &folder, const mote_metadata &metadata, int first, bool told,
          float (*at)(int, int, int), int told_count) {
  const int n = 36;
  std::vector<int32_t> type(n, 1);
  std::fill(type.begin(), type.begin() + told_count, 3);
  std::vector<float> history, goal;
  for (int f = first; f <= first + kHistory; f++)
    for (int k = 0; k < 2 * n; k++) (f < first + kHistory ? history : goal).push_back(at(f, k / 2, k % 2));
  mote_model *model = nullptr;
  mote_stepper *stepper = nullptr;
  Step s = {std::vector<float>(2 * n), std::vector<float>(2 * n)};
  EXPECT_EQ(MOTE_OK, mote_model_load(device.device, folder.c_str(), &model)) << mote_last_error();
  mote_stepper_options options = {n, type.data(), &metadata, 0, told};
  EXPECT_EQ(MOTE_OK, mote_stepper_create(model, &options, &stepper)) << mote_last_error();
  EXPECT_EQ(MOTE_OK, mote_stepper_start(stepper, history.data()));
  EXPECT_EQ(MOTE_OK, mote_stepper_advance(stepper, told ? goal.data() : nullptr));
  EXPECT_EQ(MOTE_OK, mote_stepper_read(stepper, s.next.data(), s.normalized.data()));
  mote_stepper_destroy(stepper);
  mote_model_destroy(model);
  return s;
}

/* The stepper's answers are the same bits; what is left is the order of float64 sums, and that the statistics
   are float32 in a stepper: 1e-5. */
TEST_P(OneStep, EqualsAStepperByHand) {
  for (int told : {0, 7}) {
    kinematic = told;
    write();
    job.every = 3;
    MOTE_ASSERT_OK(run());
    ASSERT_EQ(result.trajectories, 1);
    ASSERT_EQ(result.trajectory[0].steps, 2);
    double position = 0, accelerations = 0, squares = 0;
    for (int k = 0; k < 2; k++) {
      int first = 3 * k, next = first + kHistory;
      Step s = step(device, model, statistics_, first, told > 0, at, told);
      double most = 0;
      for (int i = told; i < 36; i++) {
        double square = 0;
        for (int a = 0; a < 2; a++) {
          double deviation = std::hypot(kSpread[a], kNoise);
          double second = double(at(next, i, a)) - 2.0 * at(next - 1, i, a) + at(next - 2, i, a);
          accelerations +=
              std::pow(s.normalized[2 * i + a] - (second - kMean[a]) / deviation, 2) / (36 - told) / 2 / 2;
          square += std::pow(double(s.next[2 * i + a]) - at(next, i, a), 2);
        }
        squares += square / (36 - told) / 2;
        position += std::sqrt(square) / (36 - told) / 2;
        most = std::max(most, std::sqrt(square));
      }
      EXPECT_EQ(result.trajectory[0].frame[k], next);
      EXPECT_NEAR(result.trajectory[0].step[k][0].maximum, most, 1e-9);
    }
    EXPECT_NEAR(result.mean[0].acceleration, std::sqrt(accelerations), 1e-5 * std::sqrt(accelerations));
    EXPECT_NEAR(result.mean[0].rmse, std::sqrt(squares), 1e-9);
    EXPECT_NEAR(result.mean[0].position, position, 1e-9);
    EXPECT_GT(position, 1e-4); /* there is something to compare */
  }
  kinematic = 0;
}

/* What does not depend on the device. */
class OneStepAlone : public OneStep {};

/* Estimated gravity is exact here: ballistic predictors too. Constant velocity misses by it. */
TEST_P(OneStepAlone, TrivialPredictorsOnFreeFall) {
  write();
  MOTE_ASSERT_OK(run());
  EXPECT_EQ(result.trajectory[0].steps, kFrames - kHistory);
  EXPECT_EQ(result.gravity_source, MOTE_GRAVITY_ESTIMATED);
  const mote_one_step_errors *trivial = result.mean + 1;
  EXPECT_EQ(trivial[MOTE_TRIVIAL_BALLISTIC].maximum, 0);
  EXPECT_EQ(trivial[MOTE_TRIVIAL_BALLISTIC].acceleration, 0);
  EXPECT_EQ(trivial[MOTE_TRIVIAL_BOUNDED].position, 0);
  EXPECT_EQ(trivial[MOTE_TRIVIAL_VELOCITY].position, 1 / 1024.0);
  EXPECT_EQ(trivial[MOTE_TRIVIAL_VELOCITY].rmse, 1 / 1024.0);
  EXPECT_NEAR(trivial[MOTE_TRIVIAL_VELOCITY].acceleration,
              1 / 1024.0 / std::hypot(kSpread[1], kNoise) / std::sqrt(2.0), 1e-6);
  EXPECT_GT(trivial[MOTE_TRIVIAL_STAY].position, 1 / 256.0);
  EXPECT_EQ(result.best, MOTE_TRIVIAL_BALLISTIC);
  job.has_gravity = 1; /* m/s^2, at 0.01 s a frame */
  job.gravity[1] = -1e4 / 1024;
  MOTE_ASSERT_OK(run());
  EXPECT_EQ(result.gravity_source, MOTE_GRAVITY_GIVEN);
  EXPECT_NEAR(result.mean[1 + MOTE_TRIVIAL_BALLISTIC].maximum, 0, 1e-7);
}

TEST_P(OneStepAlone, SparseParticlesBySeed) {
  write();
  job.sampling.count = 9;
  job.sampling.method = MOTE_SAMPLE_UNIFORM;
  MOTE_ASSERT_OK(run());
  EXPECT_EQ(result.trajectory[0].particles, 9);
  double first = result.mean[0].position;
  MOTE_ASSERT_OK(run());
  EXPECT_EQ(result.mean[0].position, first);
  job.sampling.seed = 5;
  MOTE_ASSERT_OK(run());
  EXPECT_NE(result.mean[0].position, first);
  job.sampling.count = 37;
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, run());
  EXPECT_NE(std::string(mote_last_error()).find("37 sparse particles of 36"), std::string::npos);
}

TEST_P(OneStepAlone, MistakesAndReports) {
  auto fails = [&](const char *part) {
    EXPECT_EQ(MOTE_ERROR_ARGUMENT, run());
    EXPECT_NE(std::string(mote_last_error()).find(part), std::string::npos) << mote_last_error();
  };
  write(kHistory);
  fails("it has 6 frames");
  kinematic = 4;
  write(kFrames, 4);
  fails("kinematic");
  kinematic = 0;
  write();
  MOTE_ASSERT_OK(run());
  char *text = nullptr;
  MOTE_ASSERT_OK(mote_one_step_table(&result, &text));
  std::string table = text;
  free(text);
  EXPECT_NE(table.find("\nmodel "), std::string::npos) << table;
  EXPECT_NE(table.find("4 steps in 1 trajectory; gravity estimated"), std::string::npos) << table;
  std::string csv = folder.file("steps.csv"), line;
  MOTE_ASSERT_OK(mote_one_step_write_csv(&result, csv.c_str()));
  std::ifstream file(csv);
  int rows = 0;
  while (std::getline(file, line)) rows++;
  EXPECT_EQ(rows, 1 + 4 * MOTE_ONE_STEP_ROWS);
}

MOTE_ON_DEVICES(OneStep);
INSTANTIATE_TEST_SUITE_P(cpu, OneStepAlone, ::testing::Values("cpu"));

} // namespace
