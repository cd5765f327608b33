/* Training the operator: the whole chain's gradient against finite differences of the loss, learning, resume
   to the same bits, and what is wrong with a run said by name. */
#include <mote/random.h>
#include <mote/train.h>

#include "tests/train/chain.h"
#include "tests/train/training.h"

using mote_test::bytes;
using mote_test::Chain;
using mote_test::record;
using mote_test::Stopper;
using mote_test::write;

namespace {

const char *const base_run = "kind: operator\ndata: [sand.h5, water.h5]\nvalid: [other.h5]\nsampling: "
                             "{method: farthest, ratio: [0.1, 0.2]}\n"
                             "points: 200\nbatch: 2\nvalidate_every: 5\nrate: 5.0e-3\nseed: 3\n";

class TrainTest : public ::testing::Test {
protected:
  void SetUp() override {
    record(folder.file("sand.h5"), "drucker_prager", 0.5f);
    record(folder.file("water.h5"), "newtonian", -0.4f);
    record(folder.file("other.h5"), "newtonian", 0.2f);
  }
  mote_status train(const std::string &run, const std::string &model, const mote_train_options &options,
                    long long limit, mote_train_summary *summary = nullptr) {
    Stopper stopper = {limit};
    mote_monitor monitor = {nullptr, Stopper::progress, &stopper};
    return mote_train(run.c_str(), folder.file(model).c_str(), &options, &monitor, summary);
  }
  mote_test::TemporaryFolder folder;
};

} // namespace

/* Over one frame nothing is held constant that depends on the weights, so the gradient is exact. float32
   positions: differences of the loss carry an error of about 1e-7 / 2e-2, a percent of the largest entries.
 */
TEST_F(TrainTest, GradientOfARolloutMatchesFiniteDifferences) {
  for (const std::string &name : mote_test::devices()) {
    Chain chain(name, folder.file("water.h5"), 6, 2, 0.2f);
    std::vector<float> gradient(MOTE_PARAMETERS);
    chain.loss(gradient.data());
    double largest = 0;
    for (float g : gradient) largest = std::max(largest, double(std::fabs(g)));
    EXPECT_GT(largest, 1e-3);
    int checked = 0;
    for (int k = 0; k < MOTE_PARAMETERS; k++) {
      if (std::fabs(gradient[k]) < 0.3 * largest) continue;
      if (++checked > 12) break;
      float *p = &chain.model->parameters[k], keep = *p;
      *p = keep + 0.02f;
      double up = chain.loss();
      *p = keep - 0.02f;
      double down = chain.loss();
      *p = keep;
      EXPECT_NEAR((up - down) / 0.04, gradient[k], 0.03 * largest) << name << " parameter " << k;
    }
    EXPECT_GT(checked, 3);
  }
}

/* Over many frames the network's inputs are held constant, so the gradient is not exact, but it must point
   the right way: slopes along random directions correlate with central differences by 0.998 here, and by
   0.915 without the part that goes back through the feedback. */
TEST_F(TrainTest, GradientOfALongRolloutPointsTheRightWay) {
  Chain chain("cpu", folder.file("water.h5"), 0, 13, 0.05f);
  std::vector<float> gradient(MOTE_PARAMETERS), keep(MOTE_PARAMETERS), direction(MOTE_PARAMETERS);
  float *p = chain.model->parameters;
  std::copy(p, p + MOTE_PARAMETERS, keep.begin());
  chain.loss(gradient.data());
  double product = 0, expected = 0, found = 0;
  for (int n = 0; n < 16; n++) {
    double slope = 0, value[2];
    for (int k = 0; k < MOTE_PARAMETERS; k++) direction[k] = mote_random_normal(1, 50 + n, k, 0);
    for (int k = 0; k < MOTE_PARAMETERS; k++) slope += double(gradient[k]) * direction[k];
    for (int s = 0; s < 2; s++) {
      for (int k = 0; k < MOTE_PARAMETERS; k++) p[k] = keep[k] + (s ? -0.002f : 0.002f) * direction[k];
      value[s] = chain.loss();
    }
    double difference = (value[0] - value[1]) / 0.004;
    product += slope * difference;
    expected += difference * difference;
    found += slope * slope;
  }
  printf("correlation %.3f, size %.3f\n", product / std::sqrt(expected * found), std::sqrt(found / expected));
  EXPECT_GT(product, 0.97 * std::sqrt(expected * found));
}

TEST_F(TrainTest, TheSameBitsWithTwoThreadsAndAfterAResume) {
  std::string run = write(folder.file("run.yaml"), std::string(base_run) + "steps: 10\n");
  mote_train_options options = {};
  options.device = "cpu";
  options.threads = 1;
  mote_train_summary summary;
  MOTE_ASSERT_OK(train(run, "one", options, 1000, &summary));
  EXPECT_EQ(10, summary.steps);
  EXPECT_EQ(2 * MOTE_PARAMETERS, summary.parameters);
  EXPECT_TRUE(std::isfinite(summary.validation));
  options.threads = 2;
  MOTE_ASSERT_OK(train(run, "two", options, 4));
  EXPECT_NE(bytes(folder.file("one/state.safetensors")), bytes(folder.file("two/state.safetensors")));
  options.resume = 1;
  MOTE_ASSERT_OK(train(run, "two", options, 1000));
  EXPECT_EQ(bytes(folder.file("one/state.safetensors")), bytes(folder.file("two/state.safetensors")));
  EXPECT_EQ(bytes(folder.file("one/model.safetensors")), bytes(folder.file("two/model.safetensors")));
  mote_operator *learned = nullptr;
  MOTE_ASSERT_OK(mote_operator_load(folder.file("one").c_str(), &learned));
  EXPECT_EQ(0, mote_operator_expert(learned, "drucker_prager"));
  EXPECT_EQ(1, mote_operator_expert(learned, "newtonian"));
  mote_operator_destroy(learned);
}

/* On the trajectory it trains on, 40 steps must gain a few percent: the gradient points the right way. */
TEST_F(TrainTest, LearnsTheTrajectoryItSees) {
  std::string run = write(folder.file("run.yaml"),
                          "kind: operator\ndata: [water.h5]\nvalid: [water.h5]\nsampling: {ratio: 0.15}\n"
                          "points: 300\nbatch: 2\nsteps: 40\nvalidate_every: 40\nrate: 1.0e-2\n");
  mote_train_options options = {};
  options.device = "cpu";
  mote_train_summary summary;
  MOTE_ASSERT_OK(train(run, "model", options, 1000, &summary));
  EXPECT_LT(summary.validation, 0.97);
}

/* Weights belong to a kind of matter, whatever order the files come in and whatever else is trained. */
TEST_F(TrainTest, WeightsStayWithTheirMatter) {
  std::string both = write(folder.file("both.yaml"), std::string(base_run) + "steps: 6\n");
  std::string water =
      write(folder.file("water.yaml"), "kind: operator\ndata: [water.h5]\nsampling: {ratio: 0.15}\n"
                                       "points: 200\nbatch: 1\nsteps: 1\nrate: 1.0e-8\n");
  std::string turned =
      write(folder.file("turned.yaml"), "kind: operator\ndata: [water.h5, sand.h5]\nsteps: 9\n"
                                        "sampling: {ratio: 0.15}\npoints: 200\n");
  mote_train_options options = {};
  options.device = "cpu";
  MOTE_ASSERT_OK(train(both, "both", options, 1000));
  std::string from = folder.file("both");
  options.from = from.c_str();
  MOTE_ASSERT_OK(train(water, "water", options, 1000));
  mote_operator *first = nullptr, *second = nullptr;
  MOTE_ASSERT_OK(mote_operator_load(from.c_str(), &first));
  MOTE_ASSERT_OK(mote_operator_load(folder.file("water").c_str(), &second));
  const float *old = first->parameters + mote_operator_expert(first, "newtonian") * MOTE_PARAMETERS;
  for (int k = 0; k < MOTE_PARAMETERS; k++) ASSERT_NEAR(old[k], second->parameters[k], 1e-7) << k;
  mote_operator_destroy(first);
  mote_operator_destroy(second);
  options.from = nullptr;
  options.resume = 1;
  MOTE_EXPECT_OK(train(turned, "both", options, 7));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, train(water, "both", options, 1000));
  EXPECT_NE(std::string::npos, std::string(mote_last_error()).find("--from")) << mote_last_error();
}

TEST_F(TrainTest, WhatIsWrongIsNamed) {
  mote_train_options options = {};
  auto fails = [&](const std::string &text, const char *word) {
    EXPECT_NE(MOTE_OK, train(write(folder.file("bad.yaml"), text), "model", options, 1)) << text;
    EXPECT_NE(std::string::npos, std::string(mote_last_error()).find(word)) << mote_last_error();
  };
  fails("kind: operator\n", "data");
  fails("kind: cheese\ndata: [water.h5]\n", "kind");
  fails("kind: operator\ndata: [nothing.h5]\n", "nothing.h5");
  fails("kind: operator\ndata: [water.h5]\nrates: 1\n", "rates");
  fails("kind: operator\ndata: [water.h5]\nsampling: {ratio: [0.3, 0.2]}\n", "ratio");
  fails("kind: operator\ndata: [bad.yaml]\n", "bad.yaml");
  options.resume = 1;
  fails("kind: operator\ndata: [water.h5]\n", "state.safetensors");
}
