/* Training a time-stepper, from RUN.yaml to a folder that rolls out. The data are blobs that breathe: each
   particle's next velocity follows from its last two, v'' = 2 cos(w) v' - v, which a network learns quickly.
 */
#include <sys/stat.h>

#include <algorithm>

#include <mote/rollout.h>
#include <mote/train.h>

#include "host/train/stepper_trainer.h"
#include "tests/support/network.h"
#include "tests/support/testing.h"
#include "tests/support/trajectories.h"
#include "tests/train/training.h"

using mote_test::bytes;
using mote_test::TemporaryFolder;
using mote_test::write;

namespace {

const int kParticles = 60, kFrames = 24;

/* Trajectories of 2-D blobs, each with a phase and a size of its own; `wall` of the particles are kinematic.
 */
void write_split(const std::string &path, int count, uint64_t stream, int wall = 0) {
  std::vector<float> offset = mote_test::noise(int64_t(kParticles) * 2, 5, 0.12);
  std::vector<float> phase = mote_test::noise(count, stream, 3);
  std::vector<int32_t> type(kParticles, 0);
  for (int i = 0; i < wall; i++) type[i] = 3;
  mote_test::write_split(
      path, count, kFrames, kParticles, type,
      [&](int t, int f, int k) {
        return 0.5f + offset[k] * (k / 2 < wall ? 1 : 1 + 0.3f * std::cos(0.5f * float(f) + phase[t]));
      },
      [](mote_metadata &metadata, mote_trajectory_options &) { metadata.dx = 0.05; });
}

void write_data(const std::string &folder, int wall = 0) {
  write_split(folder + "/valid.h5", 2, 8, wall);
  mote_test::set_aside(folder);
  write_split(folder + "/train.h5", 6, 7, wall);
}

const char *const kGns =
    "kind: stepper\ndata: .\n"
    "model: {architecture: gns, dim: 2, width: 24, layers: 2, window: 3, radius: 0.12}\n"
    "particles: {method: farthest, count: [30, 50]}\nnoise: 1.0e-4\n"
    "optimizer: {rate: 4.0e-3}\nschedule: {kind: cosine, warmup: 5}\n"
    "batch: 3\nvalidation: {every: 10, trajectories: 2}\nsave_every: 4\nseed: 3\nema: 0.9\n";
const char *const kGiorom =
    "kind: stepper\ndata: .\n"
    "model: {architecture: giorom, dim: 2, width: 16, layers: 1, window: 3, radius: 0.12, type_width: 4, "
    "convolution: normalized, latent: {grid: 8, radius: 0.2, heads: 2, width: 16, kernel_in: [12, 16], "
    "kernel_out: [12, 16], projection: 16, pairs: true, points: occupied}}\n"
    "particles: {count: 40}\nnoise: 1.0e-4\noptimizer: {kind: adamax, rate: 4.0e-3}\n"
    "schedule: {kind: exponential, warmup: 5, decay_steps: 20}\nbatch: 2\nvalidation: {every: 10}\n"
    "save_every: 4\nseed: 3\nloss: {position: 0.5}\npushforward: {steps: 2, from_step: 6}\n";

class Stepper : public mote_test::Training {
protected:
  Stepper()
      : Training({"/model.safetensors", "/last/model.safetensors", "/state.safetensors", "/config.json"}) {}
  void SetUp() override { write_data(folder.path); }
  /* Returns the config of the model that comes of it. */
  std::string train_from(const std::string &text, const char *from, const char *to,
                         long long stop = 1 << 30) {
    train(text, to, 1, 0, stop, "cpu", folder.file(from).c_str());
    return bytes(folder.file(to) + "/last/config.json");
  }
};

std::string with(std::string text, const std::string &old, const std::string &now) {
  return text.replace(text.find(old), old.size(), now);
}

/* None of the tensors whose name contains `part` is 0 as a whole. */
void expect_all_moved(const std::string &path, const std::string &part) {
  mote_safetensors *file = nullptr;
  MOTE_ASSERT_OK(mote_safetensors_open(path.c_str(), &file));
  int found = 0;
  for (int k = 0; const mote_tensor *tensor = mote_safetensors_tensor(file, k); k++) {
    if (std::string(tensor->name).find(part) == std::string::npos) continue;
    std::vector<float> value(size_t(tensor->count));
    MOTE_EXPECT_OK(mote_safetensors_read(file, tensor->name, tensor->rank, tensor->shape, value.data()));
    EXPECT_TRUE(std::any_of(value.begin(), value.end(), [](float v) { return v != 0; })) << tensor->name;
    found++;
  }
  mote_safetensors_close(file);
  EXPECT_GT(found, 10);
}

/* A training's fifth example by itself: its loss, as a part of the batch's, and gradient by the weights. */
struct OneExample {
  mote_stepper_trainer trainer;
  explicit OneExample(const std::string &run, const char *from = nullptr) {
    mote_train_options options = {};
    options.device = "cpu", options.threads = 1, options.from = from;
    MOTE_EXPECT_OK(mote_stepper_trainer_open(run.c_str(), "unused", &options, &trainer));
  }
  OneExample(const OneExample &) = delete;
  ~OneExample() { mote_stepper_trainer_close(&trainer); }
  float *begin() { return static_cast<float *>(trainer.weights.value.data); }
  std::vector<float> value() { return {begin(), begin() + trainer.weights.floats}; }
  double loss(const std::vector<float> &at) {
    std::copy(at.begin(), at.end(), begin());
    MOTE_EXPECT_OK(mote_trained_weights_pack(&trainer.weights));
    MOTE_EXPECT_OK(mote_stepper_trainer_example(&trainer, &trainer.worker[0], 5, 0));
    return trainer.loss[0];
  }
  std::vector<float> gradient(const std::vector<float> &at) {
    loss(at);
    float *one[] = {static_cast<float *>(trainer.gradient[0].data)},
          *shared[] = {static_cast<float *>(trainer.shared[0].data)};
    MOTE_EXPECT_OK(mote_trained_weights_gather(&trainer.weights, 1, one, shared));
    const float *from = static_cast<const float *>(trainer.weights.gradient.data);
    return {from, from + trainer.weights.floats};
  }
};

std::string without_loss(const std::string &text) {
  std::string lines = text.substr(0, text.find("pushforward"));
  return lines.substr(0, lines.find("loss:"));
}

std::string without_model(std::string text) {
  size_t begin = text.find("model:");
  return text.erase(begin, text.find('\n', begin) + 1 - begin);
}

} // namespace

/* Constant velocity is wrong by 7e-3 m here after 20 frames; what is learned is better by far. */
TEST_F(Stepper, LearnsToPredict) {
  mote_train_summary early = train(std::string(kGns) + "steps: 10\n", "early", 2);
  mote_train_summary late = train(std::string(kGns) + "steps: 200\n", "late", 2);
  EXPECT_EQ(late.steps, 200);
  EXPECT_EQ(late.samples, 600);
  EXPECT_LT(late.validation, early.validation / 4);
  EXPECT_LT(late.validation, 0.01);
}

TEST_F(Stepper, ThreadsDoNotMatterAndSeedsDo) {
  threads_do_not_matter(std::string(kGns) + "steps: 12\n");
  train(std::string(kGns) + "steps: 12\n", "again", 2);
  expect_same("cpu1", "again");
  std::string other = kGns;
  other.replace(other.find("seed: 3"), 7, "seed: 4");
  train(other + "steps: 12\n", "seeded", 1);
  EXPECT_FALSE(bytes(folder.file("cpu1/model.safetensors")) ==
               bytes(folder.file("seeded/model.safetensors")));
}

TEST_F(Stepper, ThreadsDoNotMatterToGiorom) {
  threads_do_not_matter(std::string(kGiorom) + "steps: 10\n");
}

TEST_F(Stepper, ResumesToTheSameBits) {
  for (const char *text : {kGns, kGiorom})
    resumes_to_the_same_bits(std::string(text) + "steps: 14\n", 14, 26, 34);
}

TEST_F(Stepper, SoapLearnsResumesAndDoesNotDependOnThreads) {
  const std::string soap = with(kGns, "rate: 4.0e-3", "kind: soap, betas: [0.9, 0.95], rate: 4.0e-3");
  threads_do_not_matter(soap + "steps: 12\n");
  resumes_to_the_same_bits(soap + "steps: 14\n", 14, 26, 34);
  mote_train_summary late = train(soap + "steps: 200\n", "late", 2);
  EXPECT_LT(late.validation, 0.01);
}

/* Or says that this processor cannot. */
TEST_F(Stepper, LearnsByTermsOfSixteenBits) {
  const std::string text = std::string(kGns) + "precision: bfloat16x2\n";
  if (!mote_test::cpu_has_terms()) {
    mote_stepper_trainer trainer;
    mote_train_options one = {};
    one.device = "cpu", one.threads = 1;
    const std::string run = mote_test::write(folder.file("unable.yaml"), text + "steps: 12\n");
    EXPECT_EQ(MOTE_ERROR_UNSUPPORTED, mote_stepper_trainer_open(run.c_str(), "unused", &one, &trainer));
    EXPECT_NE(nullptr, strstr(mote_last_error(), "AMX")) << mote_last_error();
    mote_stepper_trainer_close(&trainer);
    GTEST_SKIP() << mote_last_error();
  }
  threads_do_not_matter(text + "steps: 12\n");
  mote_train_summary late = train(text + "steps: 200\n", "late", 2);
  EXPECT_LT(late.validation, 0.01);
  train(std::string(kGns) + "steps: 12\n", "whole", 1);
  EXPECT_FALSE(bytes(folder.file("cpu1/model.safetensors")) == bytes(folder.file("whole/model.safetensors")));
}

/* The scales, and what MODEL keeps of them, are the other set's. */
TEST_F(Stepper, StatisticsOfAnotherDataSet) {
  const std::string other = folder.file("other");
  ASSERT_EQ(0, mkdir(other.c_str(), 0777));
  write_split(other + "/train.h5", 2, 9, kParticles / 2);
  train(std::string(kGns) + "steps: 6\n", "own", 1);
  train(std::string(kGns) + "steps: 6\nstatistics: other\n", "others", 1);
  auto scales = [](const std::string &path) {
    std::string text = bytes(path);
    size_t begin = text.find("\"vel_mean\"");
    return begin == std::string::npos ? "none" : text.substr(begin, text.find("\"acc_mean\"") - begin);
  };
  EXPECT_EQ(scales(folder.file("own/metadata.json")), scales(folder.file("metadata.json")));
  EXPECT_EQ(scales(folder.file("others/metadata.json")), scales(other + "/metadata.json"));
  EXPECT_NE(scales(other + "/metadata.json"), scales(folder.file("metadata.json")));
  EXPECT_NE(bytes(folder.file("own/model.safetensors")), bytes(folder.file("others/model.safetensors")));
}

TEST_F(Stepper, TheModelRollsOut) {
  train(std::string(kGiorom) + "steps: 10\n", "model", 2);
  mote_device *device = nullptr;
  MOTE_ASSERT_OK(mote_device_open("cpu", nullptr, &device));
  mote_rollout_job job = {};
  std::string model = folder.file("model"), input = folder.file("valid.h5"), output = folder.file("out.h5");
  job.model = model.c_str(), job.input = input.c_str(), job.output = output.c_str();
  mote_rollout_summary summary = {};
  MOTE_EXPECT_OK(mote_rollout_trajectory(device, &job, nullptr, &summary));
  EXPECT_EQ(summary.frames, 2 * kFrames); /* of two trajectories */
  mote_device_close(device);
}

/* The gradient of three steps, each with its losses, against differences of that loss along random
   directions. float32 evaluations allow moves of 1e-3 of the weights, and with those some ReLUs change sides:
   found within 1%; a gradient that stops at a step is off by 20% and more. */
TEST_F(Stepper, TheGradientGoesThroughAllSteps) {
  for (const char *text : {kGns, kGiorom})
    for (const char *loss : {"loss: {position: 0.5}\n", "loss: {position: 0.5, root: true}\n",
                             "loss: {position: 0.5, huber: 0.5}\n"}) {
      std::string run = without_loss(text) + loss + "pushforward: {steps: 3, through: true}\nsteps: 10\n";
      OneExample one(write(folder.file("run.yaml"), run));
      std::vector<float> value = one.value(), gradient = one.gradient(value);
      double norm = 0;
      for (float g : gradient) norm += double(g) * g;
      for (uint64_t stream = 0; stream < 4; stream++) {
        std::vector<float> direction = mote_test::noise(int64_t(value.size()), 40 + stream), up = value,
                           down = value;
        double expected = 0;
        for (size_t k = 0; k < value.size(); k++) {
          /* half along the gradient, so that the slope is no sum of what cancels */
          double d = 1e-3 * (0.03 * direction[k] + gradient[k] / std::sqrt(norm));
          up[k] += float(d), down[k] -= float(d);
          expected += 2 * d * gradient[k];
        }
        EXPECT_NEAR(one.loss(up) - one.loss(down), expected, 0.03 * std::fabs(expected)) << run;
      }
    }
}

/* `memory` is for all steps of an example: what their edges keep is less than it together, which a single
   step of the eight would do with, and what is worked out again gives the same bits. */
TEST_F(Stepper, StepsShareAnExamplesMemory) {
  std::string text = with(without_loss(kGns), "layers: 2", "layers: 5") +
                     "loss: {position: 0.5}\npushforward: {steps: 8, through: true}\nsteps: 10\n";
  OneExample all(write(folder.file("all.yaml"), text)),
      some(write(folder.file("some.yaml"), text + "memory: 4\n")),
      least(write(folder.file("least.yaml"), text + "memory: 1\n"));
  std::vector<float> value = all.value(), gradient = all.gradient(value);
  EXPECT_EQ(gradient, some.gradient(value));
  EXPECT_EQ(gradient, least.gradient(value));
  auto bytes_of = [](const OneExample &one) {
    size_t sum = 0;
    for (int k = 0; k < 8; k++) sum += mote_tape_bytes(&one.trainer.worker[0].tape[k]);
    return sum;
  };
  size_t nodes = bytes_of(least) - (1 << 20); /* at least */
  EXPECT_LT(bytes_of(some), nodes + (5 << 20));
  EXPECT_GT(bytes_of(all), bytes_of(some) + (1 << 20));
}

/* sqrt(L) of each example and L' / 2 sqrt(L), whichever steps are learned from; in float32, which the
   gradient is rounded to once more. */
TEST_F(Stepper, AnExampleCountsByItsRoot) {
  for (const char *text : {kGns, kGiorom})
    for (const char *through : {"false", "true"}) {
      std::string run = without_loss(text) + "pushforward: {steps: 3, through: " + through + "}\nsteps: 10\n";
      OneExample square(write(folder.file("square.yaml"), run)),
          root(write(folder.file("root.yaml"), run + "loss: {root: true}\n"));
      std::vector<float> value = square.value(), of_square = square.gradient(value),
                         of_root = root.gradient(value);
      const double batch = double(square.trainer.run.batch), expected = std::sqrt(square.loss(value) * batch);
      EXPECT_NEAR(root.loss(value) * batch, expected, 1e-12 * expected);
      for (size_t k = 0; k < value.size(); k++)
        ASSERT_NEAR(of_root[k], of_square[k] / (2 * expected), 1e-6 * std::fabs(of_root[k]) + 1e-12) << k;
    }
}

/* Boundaries of type 3 are seen but not learned from. */
TEST_F(Stepper, KinematicParticles) {
  write_data(folder.path, 20);
  mote_train_summary summary = train(std::string(kGiorom) + "steps: 8\n", "walls", 2);
  EXPECT_EQ(summary.steps, 8);
  EXPECT_TRUE(std::isfinite(summary.validation));
}

/* Weights go on in a model like theirs, or in their own where the run has none: with scales of their own,
   whatever the run's noise. Where particles stop is the run's, if it says so. */
TEST_F(Stepper, BeginsFromATrainedModel) {
  train(std::string(kGns) + "steps: 10\n", "first");
  std::string text = std::string(kGns) + "steps: 20\n";
  std::string config = train_from(with(text, "noise: 1.0e-4", "noise: 3.0e-3"), "first", "second");
  EXPECT_EQ(bytes(folder.file("first/config.json")), config);
  EXPECT_FALSE(bytes(folder.file("first/model.safetensors")) ==
               bytes(folder.file("second/model.safetensors")));
  std::string with_stop =
      train_from(with(text, "radius: 0.12", "radius: 0.12, wall_stop: 0.25"), "first", "third");
  EXPECT_NE(std::string::npos, with_stop.find("\"wall_stop\":\t0.25")) << with_stop;
  EXPECT_EQ(with_stop, train_from(text, "third", "fourth"));
  EXPECT_EQ(config, train_from(without_model(text), "first", "fifth"));
  train_from(text, "first", "sixth");
  for (const char *name : files)
    EXPECT_TRUE(bytes(folder.file("fifth") + name) == bytes(folder.file("sixth") + name)) << name;
}

/* The latent grid is the run's; the radius of a run without a model that of the trained one. */
TEST_F(Stepper, TakesWhatNoWeightIsOf) {
  std::string text = with(kGiorom, "0.12", "0.15") + "steps: 6\n";
  train(text, "first");
  std::string config =
      train_from(with(text, "grid: 8, radius: 0.2", "grid: 6, radius: 0.25"), "first", "second");
  EXPECT_NE(std::string::npos, config.find("\"latent_grid_dim\":\t6")) << config;
  EXPECT_NE(std::string::npos, config.find("\"gno_radius\":\t0.25")) << config;
  EXPECT_EQ(config, train_from(without_model(text), "second", "third"));
  std::string metadata = bytes(folder.file("third/metadata.json"));
  EXPECT_EQ(metadata, bytes(folder.file("first/metadata.json")));
  EXPECT_NE(std::string::npos, metadata.find("\"default_connectivity_radius\":\t0.15")) << metadata;
}

/* What they add is 0, exactly, in the forward pass; the gradient reaches the norms that make it so, and with
   the first step all of their weights. */
TEST_F(Stepper, LayersAddedToATrainedModelBeginStill) {
  const std::string pairs = with(kGns, "layers: 2", "layers: 2, decoder: pairs, rest_lengths: true");
  for (const std::string &text : {std::string(kGns), std::string(kGiorom), pairs}) {
    const bool gns = text.find("gns") != std::string::npos;
    const std::string trained = text + "steps: 6\n", more = gns ? "layers: 4" : "layers: 3";
    const std::string deeper = with(trained, gns ? "layers: 2" : "layers: 1", more);
    train(trained, "trained");
    std::string begin = folder.file("trained");
    double loss[2];
    int64_t floats[2];
    for (int k = 0; k < 2; k++) {
      OneExample one(write(folder.file("run.yaml"), k ? deeper : trained), begin.c_str());
      loss[k] = one.loss(one.value()), floats[k] = one.trainer.weights.floats;
    }
    EXPECT_EQ(loss[0], loss[1]) << text;
    EXPECT_GT(floats[1], floats[0]);
    std::string config = train_from(deeper, "trained", "deep");
    EXPECT_NE(std::string::npos, config.find(gns ? "\"n_mp_layers\":\t4" : "\"n_mp_layers\":\t3")) << config;
    expect_all_moved(folder.file("deep/last/model.safetensors"), gns ? "gnn_stacks.3." : "out_layers.2.");
    train_from(deeper, "deep", "deep-again");
    for (const char *name : {"trained", "deep", "deep-again"})
      ASSERT_EQ(
          0, std::rename(folder.file(name).c_str(), folder.file(name + std::to_string(text.size())).c_str()));
  }
}

/* Of the run alone, what was begun with --from does not go on: its scales and its grid are others. */
TEST_F(Stepper, ResumesWhatBeganFromATrainedModel) {
  train(std::string(kGiorom) + "steps: 6\n", "first");
  for (bool told : {true, false}) {
    std::string text = with(kGiorom, "noise: 1.0e-4", "noise: 2.0e-3") + "steps: 14\n";
    if (!told) text = without_model(text);
    train_from(text, "first", "whole");
    train_from(text, "first", "broken", 10);
    train(text, "broken", 2, 1);
    expect_same("whole", "broken");
    for (const char *name : {"whole", "broken"})
      ASSERT_EQ(0, std::rename(folder.file(name).c_str(),
                               folder.file(std::string("old-") + name + (told ? "1" : "2")).c_str()));
  }
}

TEST_F(Stepper, RefusesWeightsOfAnotherModel) {
  std::string gns = std::string(kGns) + "steps: 6\n", giorom = std::string(kGiorom) + "steps: 6\n";
  train(gns, "gns");
  train(giorom, "giorom");
  std::string from_gns = folder.file("gns"), from_giorom = folder.file("giorom");
  const struct {
    const char *old, *now, *words;
  } of_gns[] = {{"width: 24", "width: 25", "'width' of the run's model is 25, that of"},
                {"layers: 2", "layers: 1", "'layers' of the run's model is 1"},
                {"window: 3", "window: 4", "'window'"},
                {"dim: 2", "clip: 0.5", "'clip'"},
                {"dim: 2", "types: 10", "'types'"},
                {"dim: 2", "type_width: 3", "'type_width'"},
                {"dim: 2", "hidden_layers: 1", "'hidden_layers' of the run's model is 1"},
                {"dim: 2", "decoder: pairs", "'decoder'"},
                {"dim: 2", "rest_lengths: true", "'rest_lengths'"},
                {"dim: 2", "normalized_velocities: false", "'normalized_velocities'"}},
    of_giorom[] = {{"heads: 2", "heads: 4", "'heads' of the run's latent part is 4"},
                   {"heads: 2, width: 16", "heads: 2, width: 18", "'width' of the run's latent part is 18"},
                   {"heads: 2", "heads: 2, experts: 1", "'experts'"},
                   {"heads: 2", "heads: 2, inner: 2", "'inner'"},
                   {"heads: 2", "heads: 2, blocks: 2", "'blocks'"},
                   {"heads: 2", "heads: 2, space_width: 8", "'space_width'"},
                   {"kernel_in: [12, 16]", "kernel_in: [10, 16]", "'kernel_in'"},
                   {"kernel_out: [12, 16]", "kernel_out: [16]", "'kernel_out'"},
                   {"projection: 16", "projection: 24", "'projection'"},
                   {"projection: 16", "projection: 16, projection_layers: 2", "'projection_layers'"},
                   {"pairs: true", "pairs: false", "'pairs'"},
                   {"occupied", "grid", "'points' of the run's latent part is grid"},
                   {"convolution: normalized", "convolution: degenerate",
                    "'convolution' of the run's model is degenerate"},
                   {"convolution: normalized", "convolution: normalized, alpha: 0.5", "'alpha'"}};
  for (auto &c : of_gns)
    expect_error(with(gns, c.old, c.now), MOTE_ERROR_ARGUMENT, c.words, from_gns.c_str());
  for (auto &c : of_giorom)
    expect_error(with(giorom, c.old, c.now), MOTE_ERROR_ARGUMENT, c.words, from_giorom.c_str());
  expect_error(gns, MOTE_ERROR_ARGUMENT, "'architecture' of the run's model is gns", from_giorom.c_str());
  expect_error(without_model(gns), MOTE_ERROR_ARGUMENT, "--from");
}

TEST_F(Stepper, SaysWhatIsWrong) {
  std::string good = std::string(kGns) + "steps: 10\n";
  expect_error(with(good, "data: .", "data: nowhere"), MOTE_ERROR_IO, "nowhere");
  expect_error(with(good, "window: 3", "window: 15"), MOTE_OK, "");
  expect_error(with(good, "dim: 2", "types: 1, dim: 2"), MOTE_OK, "");
  expect_error(with(good, "steps: 10", "steps: 0"), MOTE_ERROR_FORMAT, "run.yaml");
  expect_error(with(good, "architecture: gns", "architecture: mlp"), MOTE_ERROR_FORMAT, "architecture");
  expect_error(with(good, "batch: 3", "batsh: 3"), MOTE_ERROR_FORMAT, "batsh");
  expect_error(with(good, "kind: stepper", "kind: steper"), MOTE_ERROR_FORMAT, "kind");
  expect_error(good + "pushforward: {steps: 22}\n", MOTE_ERROR_FORMAT, "an example takes 26");
}

/* The same training on the emulated device: the loss of the first steps agrees. */
TEST_F(Stepper, OtherDevicesFollow) {
  std::string text = kGns;
  text.replace(text.find("count: [30, 50]"), 15, "count: [10, 12]");
  text.replace(text.find("every: 10, trajectories: 2"), 26, "every: 2, trajectories: 1, frames: 3");
  text.replace(text.find("warmup: 5"), 9, "warmup: 1");
  double reference = train(text + "steps: 2\n", "cpu").validation;
  ASSERT_GT(reference, 0);
  for (const std::string &device : mote_test::devices()) {
    if (device == "cpu") continue;
    double validation = train(text + "steps: 2\n", "other", 1, 0, 1 << 30, device.c_str()).validation;
    EXPECT_NEAR(validation, reference, 1e-4 * reference) << device;
  }
}
