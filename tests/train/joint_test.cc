/* Tuning a time-stepper and an operator together. The data are 2-D blobs whose particles swing, each with an
   amplitude that waves over the blob, so that the sparse particles do not tell all of the motion of the
   others: there is something to learn for both. */
#include <mote/rollout.h>
#include <mote/train.h>

#include <sys/stat.h>

#include <cstring>

#include "host/train/joint.h"
#include "tests/support/network.h"
#include "tests/train/training.h"

using mote_test::bytes;
using mote_test::TemporaryFolder;
using mote_test::write;

namespace {

const int kParticles = 240, kFrames = 20;

void write_split(const std::string &path, int count, uint64_t stream, const char *kind) {
  std::vector<float> phase = mote_test::noise(count, stream, 3), jitter = mote_test::noise(kParticles * 2, 5);
  std::vector<int32_t> type(kParticles, 0), material(kParticles, 0);
  mote_test::write_split(
      path, count, kFrames, kParticles, type,
      [&](int t, int f, int k) {
        auto start = [&](int axis) {
          int i = k / 2;
          return 0.35f + 0.02f * float(axis ? i / 15 : i % 15) + 0.002f * jitter[2 * i + axis];
        };
        float amplitude = 0.03f * std::sin(14 * start(1 - k % 2) + float(k % 2));
        return start(k % 2) + amplitude * std::cos(0.5f * float(f) + phase[t]);
      },
      [&](mote_metadata &metadata, mote_trajectory_options &options) {
        metadata.dx = 0.02;
        metadata.material_count = 1;
        std::strcpy(metadata.materials[0].name, "stuff");
        std::strcpy(metadata.materials[0].kind, kind);
        options.material = material.data();
      });
}

const char *const kStepper = "kind: stepper\ndata: .\n"
                             "model: {architecture: gns, width: 24, layers: 2, window: 3}\n"
                             "particles: {count: [30, 40]}\noptimizer: {rate: 4.0e-3}\n"
                             "schedule: {warmup: 5}\nbatch: 2\nvalidation: {every: 1000, trajectories: 0}\n"
                             "seed: 3\nema: 0.9\n";
const char *const kJoint = "kind: joint\ndata: .\nstepper: first/stepper\noperator: first/operator\n"
                           "particles: {count: [30, 40]}\nunroll: 3\npoints: 150\n"
                           "optimizer: {rate: 5.0e-4, decay: 0}\noperator_rate: 3.0e-3\n"
                           "schedule: {warmup: 0}\nbatch: 3\nvalidation: {every: 10, trajectories: 2}\n"
                           "save_every: 4\nseed: 3\nema: 0.9\n";

class Joint : public mote_test::Training {
protected:
  Joint()
      : Training({"/stepper/model.safetensors", "/operator/model.safetensors",
                  "/last/stepper/model.safetensors", "/last/operator/model.safetensors", "/state.safetensors",
                  "/stepper/config.json", "/operator/config.json"}) {}
  void SetUp() override {
    write_split(folder.file("valid.h5"), 2, 8, "newtonian");
    mote_test::set_aside(folder.path);
    write_split(folder.file("train.h5"), 5, 7, "newtonian");
    ASSERT_EQ(0, mkdir(folder.file("first").c_str(), 0777));
    train(std::string(kStepper) + "steps: 40\n", "first/stepper");
    make_operator(0);
  }
  /* An operator with weights that do something, of `size`. */
  void make_operator(float size) {
    mote_operator_settings settings;
    mote_operator_defaults(&settings);
    const char kind[1][32] = {"newtonian"};
    mote_operator *o = nullptr;
    MOTE_ASSERT_OK(mote_operator_create(&settings, 1, kind, 1, &o));
    for (int k = 0; k < MOTE_PARAMETERS; k++)
      o->parameters[k] += size * std::sin(float(k)) / (k < MOTE_WEIGHTS_3 ? 4.f : 1.f);
    for (int k = 0; k < MOTE_FEATURES; k++) o->norm[k] = -3, o->norm[MOTE_FEATURES + k] = 0.3f;
    MOTE_ASSERT_OK(mote_operator_save(o, folder.file("first/operator").c_str()));
    mote_operator_destroy(o);
  }
};

/* The loss of an example and its gradients, and what it is after weights were moved. */
struct Example {
  mote_joint_trainer j;
  float *stepper;
  std::vector<float> value, gradient, operator_value, operator_gradient;
  Example(const std::string &run) {
    mote_train_options options = {};
    options.device = "cpu", options.threads = 1;
    EXPECT_EQ(MOTE_OK, mote_joint_trainer_open(run.c_str(), "unused", &options, &j)) << mote_last_error();
    mote_trained_weights *w = &j.stepper.weights;
    stepper = static_cast<float *>(w->value.data);
    value.assign(stepper, stepper + w->floats);
    const float *p = j.weights.model->parameters;
    operator_value.assign(p, p + j.weights.size);
    loss();
    float *one[] = {static_cast<float *>(j.stepper.gradient[0].data)},
          *shared[] = {static_cast<float *>(j.stepper.shared[0].data)};
    EXPECT_EQ(MOTE_OK, mote_trained_weights_gather(w, 1, one, shared));
    const float *from = static_cast<float *>(w->gradient.data);
    gradient.assign(from, from + w->floats);
    operator_gradient.assign(j.gradient, j.gradient + j.weights.size);
  }
  ~Example() { mote_joint_trainer_close(&j); }
  double loss() {
    EXPECT_EQ(MOTE_OK, mote_trained_weights_pack(&j.stepper.weights));
    EXPECT_EQ(MOTE_OK, mote_joint_example(&j.stepper, &j.stepper.worker[0], 5, 0)) << mote_last_error();
    return j.stepper.loss[0];
  }
  /* Half along the gradient, so that the slope is no sum of what cancels. */
  void compare(float *weights, const std::vector<float> &at, const std::vector<float> &slope, double size,
               double tolerance) {
    double norm = 0;
    for (float g : slope) norm += double(g) * g;
    ASSERT_GT(norm, 0);
    for (uint64_t stream = 0; stream < 3; stream++) {
      std::vector<float> direction = mote_test::noise(int64_t(at.size()), 40 + stream);
      double expected = 0, found = 0;
      for (int sign : {1, -1}) {
        for (size_t k = 0; k < at.size(); k++) {
          double d = sign * size * (0.03 * direction[k] + slope[k] / std::sqrt(norm));
          weights[k] = at[k] + float(d);
          expected += sign * d * slope[k];
        }
        found += sign * loss();
      }
      std::copy(at.begin(), at.end(), weights);
      EXPECT_NEAR(found, expected, tolerance * std::fabs(expected));
    }
  }
};

} // namespace

/* One step and an operator that corrects nothing: nothing is held constant that depends on the weights, so
   gradients are exact but for rounding and ReLUs that change sides. Time-steppers of both kinds of loss. */
TEST_F(Joint, TheGradientOfOneStepIsExact) {
  std::string text = kJoint;
  text.replace(text.find("unroll: 3"), 9, "unroll: 1");
  for (const char *more : {"", "loss: {stepper: 0.5, position: 0.3}\n"}) {
    Example e(write(folder.file("run.yaml"), text + more + "steps: 10\n"));
    e.compare(e.stepper, e.value, e.gradient, 1e-3, 0.02);
    e.compare(e.j.weights.model->parameters, e.operator_value, e.operator_gradient, 1e-2, 0.02);
  }
}

/* Through several steps, with a network that corrects: what is held constant makes it not exact, but it
   points the right way. */
TEST_F(Joint, TheGradientGoesThroughAllSteps) {
  make_operator(0.05f);
  std::string text = kJoint;
  text.replace(text.find("unroll: 3"), 9, "unroll: 5");
  Example e(write(folder.file("run.yaml"), text + "steps: 10\n"));
  e.compare(e.stepper, e.value, e.gradient, 1e-3, 0.1);
  e.compare(e.j.weights.model->parameters, e.operator_value, e.operator_gradient, 1e-2, 0.1);
}

/* The dense particles of trajectories that were not trained on. */
TEST_F(Joint, TuningLowersTheDenseError) {
  std::string still = kJoint;
  still.replace(still.find("rate: 5.0e-4"), 12, "rate: 1.0e-9");
  still.replace(still.find("operator_rate: 3.0e-3"), 21, "operator_rate: 0    ");
  mote_train_summary before = train(still + "steps: 1\n", "before", 2);
  mote_train_summary after = train(std::string(kJoint) + "steps: 120\n", "after", 2);
  printf("dense error %g m before, %g after\n", before.validation, after.validation);
  EXPECT_EQ(after.steps, 120);
  EXPECT_EQ(after.samples, 360);
  EXPECT_GT(after.parameters, MOTE_PARAMETERS);
  EXPECT_LT(after.validation, 0.7 * before.validation);
  EXPECT_TRUE(bytes(folder.file("before/operator/model.safetensors")) ==
              bytes(folder.file("first/operator/model.safetensors")));
}

TEST_F(Joint, ThreadsDoNotMatterAndSeedsDo) {
  std::string run = std::string(kJoint) + "steps: 6\n", other = run;
  threads_do_not_matter(run);
  other.replace(other.find("seed: 3"), 7, "seed: 4");
  train(other, "seeded", 1);
  EXPECT_FALSE(bytes(folder.file("cpu1/stepper/model.safetensors")) ==
               bytes(folder.file("seeded/stepper/model.safetensors")));
  EXPECT_FALSE(bytes(folder.file("cpu1/operator/model.safetensors")) ==
               bytes(folder.file("seeded/operator/model.safetensors")));
}

TEST_F(Joint, ResumesToTheSameBits) {
  std::string text = std::string(kJoint) + "loss: {stepper: 0.1}\nsteps: 12\n";
  resumes_to_the_same_bits(text, 9, 21, 30);
  text.replace(text.find("rate: 5.0e-4"), 0, "kind: soap, ");
  resumes_to_the_same_bits(text, 9, 21, 30);
}

/* Both folders as `mote rollout --model --operator` takes them. */
TEST_F(Joint, TheModelsRollOut) {
  train(std::string(kJoint) + "steps: 4\n", "tuned");
  for (const char *part : {"", "last/"}) {
    mote_device *device = nullptr;
    MOTE_ASSERT_OK(mote_device_open("cpu", nullptr, &device));
    std::string at = folder.file("tuned/") + part, model = at + "stepper", learned = at + "operator",
                input = folder.file("valid.h5"), output = folder.file("out.h5");
    mote_rollout_job job = {};
    job.model = model.c_str(), job.operator_folder = learned.c_str(), job.input = input.c_str();
    job.output = output.c_str(), job.sampling.count = 40, job.reconstructs = 1;
    mote_rollout_summary summary = {};
    MOTE_EXPECT_OK(mote_rollout_trajectory(device, &job, nullptr, &summary));
    EXPECT_EQ(summary.frames, 2 * kFrames); /* of two trajectories */
    EXPECT_EQ(summary.particles, kParticles);
    EXPECT_GT(summary.reconstructed, 0);
    mote_device_close(device);
  }
}

TEST_F(Joint, WritesMetrics) {
  train(std::string(kJoint) + "steps: 20\n", "tuned");
  std::string rows = bytes(folder.file("tuned/metrics.csv"));
  EXPECT_NE(rows.find("validation_error"), std::string::npos);
  EXPECT_NE(rows.find("\n20,60,"), std::string::npos) << rows;
  EXPECT_FALSE(bytes(folder.file("tuned/metrics.png")).empty());
  EXPECT_FALSE(bytes(folder.file("tuned/events.out.tfevents.mote")).empty());
}

TEST_F(Joint, SaysWhatIsWrong) {
  std::string good = std::string(kJoint) + "steps: 1\n";
  auto with = [&](const std::string &old, const std::string &now) {
    std::string text = good;
    text.replace(text.find(old), old.size(), now);
    return text;
  };
  expect_error(with("data: .", "data: nowhere"), MOTE_ERROR_IO, "nowhere");
  expect_error(with("stepper: first/stepper", "stepper: first/none"), MOTE_ERROR_IO, "first/none");
  expect_error(with("operator: first/operator", "operator: first/none"), MOTE_ERROR_IO, "first/none");
  expect_error(good + "unrol: 3\n", MOTE_ERROR_FORMAT, "unrol");
  expect_error(good + "noise: 1.0e-4\n", MOTE_ERROR_FORMAT, "noise");
  expect_error(with("unroll: 3", "unroll: 18"), MOTE_ERROR_FORMAT, "an example takes 22");
  expect_error(with("unroll: 3", "unroll: 0"), MOTE_ERROR_FORMAT, "run.yaml:6:9: ");
  expect_error(with("operator_rate: 3.0e-3", "operator_rate: -1"), MOTE_ERROR_FORMAT, "operator_rate");
  expect_error(good + "loss: {position: 1}\n", MOTE_ERROR_FORMAT, "'stepper'");
  expect_error(good + "loss: {velocity: 1}\n", MOTE_ERROR_FORMAT, "velocity");
  expect_error(with("stepper: first/stepper\n", ""), MOTE_ERROR_FORMAT, "stepper");
  expect_error(with("operator: first/operator\n", ""), MOTE_ERROR_FORMAT, "operator");
  expect_error(good, MOTE_ERROR_ARGUMENT, "--from", "first/stepper");
  write_split(folder.file("train.h5"), 5, 7, "neo_hookean");
  expect_error(good, MOTE_ERROR_ARGUMENT, "knows none");
  expect_error("kind: joined\n", MOTE_ERROR_FORMAT, "kind");
}

/* The same training on the emulated device. */
TEST_F(Joint, OtherDevicesFollow) {
  make_operator(0.05f);
  std::string text = std::string(kJoint) + "steps: 2\n";
  auto with = [&](const std::string &old, const std::string &now) {
    text.replace(text.find(old), old.size(), now);
  };
  with("count: [30, 40]", "count: 16");
  with("points: 150", "points: 40");
  with("batch: 3", "batch: 1");
  with("every: 10, trajectories: 2", "every: 2, trajectories: 1, frames: 3");
  double reference = train(text, "cpu").validation;
  ASSERT_GT(reference, 0);
  for (const std::string &device : mote_test::devices()) {
    if (device == "cpu") continue;
    double validation = train(text, "other", 1, 0, 1 << 30, device.c_str()).validation;
    EXPECT_NEAR(validation, reference, 1e-3 * reference) << device;
  }
}
