/* RUN.yaml of a time-stepper: every key, what holds without it, and errors that say where and what was
   expected. */
#include "host/train/stepper_run.h"

#include <cstring>

#include "tests/io/files.h"
#include "tests/support/testing.h"

namespace {

const std::string kMinimal = "kind: stepper\ndata: set\nmodel: {architecture: giorom}\n";

class StepperRunTest : public ::testing::Test {
protected:
  ~StepperRunTest() { mote_stepper_run_free(&run); }
  mote_status load(const std::string &text) {
    mote_stepper_run_free(&run);
    mote_test::spill(folder.file("run.yaml"), text);
    mote_status status = mote_stepper_run_load(folder.file("run.yaml").c_str(), &run);
    EXPECT_EQ(status == MOTE_OK, run.data != nullptr);
    return status;
  }
  /* Refused with file:line: and these words. */
  void refuse(const std::string &text, int line, std::vector<const char *> words) {
    ASSERT_EQ(MOTE_ERROR_FORMAT, load(text)) << text;
    std::string message = mote_last_error(), where = "run.yaml:" + std::to_string(line) + ":";
    EXPECT_NE(std::string::npos, message.find(where)) << where << "\n" << message << "\n" << text;
    for (const char *word : words)
      EXPECT_NE(std::string::npos, message.find(word)) << word << "\n" << message << "\n" << text;
  }
  /* A further line of the minimal run, its fourth; a part of the model, in its third. */
  void refuse_line(const std::string &line, std::vector<const char *> words) {
    refuse(kMinimal + line + "\n", 4, words);
  }
  void refuse_model(const std::string &model, std::vector<const char *> words) {
    refuse("kind: stepper\ndata: set\nmodel: {" + model + "}\n", 3, words);
  }
  mote_test::TemporaryFolder folder;
  mote_stepper_run run = {};
};

std::vector<int> widths(const mote_kernel_shape &shape) {
  return {shape.widths, shape.widths + shape.layers + 1};
}

mote_metadata metadata(int dim, double radius) {
  mote_metadata m = {};
  m.dim = dim;
  m.connectivity_radius = radius;
  for (int a = 0; a < dim; a++) m.bounds[a][0] = -0.5 - a, m.bounds[a][1] = 1.5 + a;
  return m;
}

} // namespace

TEST_F(StepperRunTest, Defaults) {
  MOTE_ASSERT_OK(load(kMinimal));
  EXPECT_EQ(folder.file("set"), run.data);
  EXPECT_EQ(nullptr, run.statistics) << "those of the data";
  EXPECT_TRUE(run.any_dim);
  EXPECT_EQ(0, run.radius);
  EXPECT_EQ(MOTE_SAMPLE_FARTHEST, run.method);
  EXPECT_EQ(500, run.least);
  EXPECT_EQ(1000, run.most);
  EXPECT_EQ(0, run.noise);
  EXPECT_EQ(1, run.push_steps);
  EXPECT_EQ(0, run.push_from);
  EXPECT_EQ(0, run.position_weight);
  EXPECT_FALSE(run.root);
  EXPECT_EQ(0, run.optimizer.adamax);
  EXPECT_FALSE(run.soap);
  EXPECT_EQ(0.9f, run.optimizer.beta1);
  EXPECT_EQ(0.999f, run.optimizer.beta2);
  EXPECT_EQ(1e-8f, run.optimizer.epsilon);
  EXPECT_EQ(1e-4f, run.optimizer.decay);
  EXPECT_EQ(MOTE_SCHEDULE_COSINE, run.schedule.kind);
  EXPECT_EQ(1e-3, run.schedule.rate);
  EXPECT_EQ(0, run.schedule.floor);
  EXPECT_EQ(0.1, run.schedule.decay);
  EXPECT_EQ(1000, run.schedule.decay_steps);
  EXPECT_EQ(100, run.schedule.warmup);
  EXPECT_EQ(10000, run.schedule.steps);
  EXPECT_EQ(1, run.clip);
  EXPECT_EQ(0.999, run.ema);
  EXPECT_EQ(2, run.batch);
  EXPECT_EQ(10000, run.steps);
  EXPECT_EQ(0, run.seed);
  EXPECT_EQ(500, run.validate_every);
  EXPECT_EQ(0, run.validate_frames);
  EXPECT_EQ(4, run.validate_trajectories);
  EXPECT_EQ(100, run.save_every);
  EXPECT_EQ(0, run.memory);
}

/* The published models, but for velocities, which are normalised, and noise, which is the run's. */
TEST_F(StepperRunTest, ModelsWithoutKeysAreThePublishedOnes) {
  for (mote_network_kind kind : {MOTE_GIOROM, MOTE_GNS}) {
    mote_network_config published;
    mote_network_config_published(kind, &published);
    published.normalized_velocities = 1;
    published.noise = 0;
    published.types = 9;
    MOTE_ASSERT_OK(load(std::string("kind: stepper\ndata: set\nmodel: {architecture: ") +
                        (kind == MOTE_GNS ? "gns" : "giorom") + "}\n"));
    EXPECT_EQ(0, memcmp(&published, &run.config, sizeof published)) << kind;
  }
}

TEST_F(StepperRunTest, EveryKey) {
  MOTE_ASSERT_OK(
      load("kind: stepper\n"
           "data: /some/where\n"
           "model:\n"
           "  architecture: giorom\n"
           "  dim: 2\n"
           "  width: 48\n"
           "  layers: 3\n"
           "  window: 4\n"
           "  types: 7\n"
           "  type_width: 11\n"
           "  convolution: normalized\n"
           "  alpha: 0.25\n"
           "  radius: 0.03\n"
           "  clip: 0.75\n"
           "  wall_stop: 0.02\n"
           "  normalized_velocities: false\n"
           "  latent:\n"
           "    grid: 12\n"
           "    radius: 0.2\n"
           "    heads: 6\n"
           "    blocks: 2\n"
           "    width: 96\n"
           "    experts: 3\n"
           "    inner: 2\n"
           "    kernel_in: [20, 40]\n"
           "    kernel_out: [30, 50, 70, 72]\n"
           "    pairs: true\n"
           "    points: occupied\n"
           "    projection: 33\n"
           "    projection_layers: 2\n"
           "    space_width: 10\n"
           "particles: {method: poisson, count: [300, 400]}\n"
           "noise: 6.7e-4\n"
           "pushforward: {steps: 3, from_step: 2000}\n"
           "loss: {position: 0.5, root: true, huber: 1.5}\n"
           "optimizer: {kind: adamax, rate: 2.0e-3, betas: [0.8, 0.99], epsilon: 1.0e-7, decay: 0.01}\n"
           "schedule: {kind: exponential, warmup: 20, decay: 0.5, decay_steps: 700, floor: 1.0e-5}\n"
           "validation: {every: 250, frames: 60, trajectories: 2}\n"
           "clip: 0.5\n"
           "ema: 0.99\n"
           "batch: 8\n"
           "steps: 3000\n"
           "seed: 17\n"
           "save_every: 50\n"
           "memory: 512\n"));
  const mote_network_config &c = run.config;
  const mote_latent_config &l = c.latent;
  EXPECT_STREQ("/some/where", run.data);
  EXPECT_FALSE(run.any_dim);
  EXPECT_EQ(MOTE_GIOROM, c.kind);
  EXPECT_EQ(2, c.dim);
  EXPECT_EQ(48, c.width);
  EXPECT_EQ(3, c.layers_before);
  EXPECT_EQ(3, c.layers_after);
  EXPECT_EQ(4, c.window);
  EXPECT_EQ(7, c.types);
  EXPECT_EQ(11, c.type_width);
  EXPECT_EQ(MOTE_CONVOLUTION_NORMALIZED, c.convolution);
  EXPECT_EQ(0.25f, c.convolution_alpha);
  EXPECT_EQ(0.03, run.radius);
  EXPECT_EQ(0.75f, c.clip);
  EXPECT_EQ(0.02f, c.stop);
  EXPECT_EQ(0, c.normalized_velocities);
  EXPECT_EQ(12, l.grid);
  EXPECT_EQ(0.2f, l.radius);
  EXPECT_EQ(6, l.heads);
  EXPECT_EQ(2, l.blocks);
  EXPECT_EQ(96, l.width);
  EXPECT_EQ(3, l.experts);
  EXPECT_EQ(2, l.inner);
  EXPECT_EQ((std::vector<int>{2 + 48 + 1, 20, 40}), widths(l.kernel_in));
  EXPECT_EQ((std::vector<int>{2 + 1, 30, 50, 70, 72}), widths(l.kernel_out));
  EXPECT_EQ(72, l.output);
  EXPECT_TRUE(l.kernel_in_takes_pairs && l.kernel_out_takes_pairs && l.occupied_only);
  EXPECT_EQ(33, l.projection_width);
  EXPECT_EQ(2, l.projection_layers);
  EXPECT_EQ(10, l.space_width);
  EXPECT_EQ(MOTE_SAMPLE_POISSON, run.method);
  EXPECT_EQ(300, run.least);
  EXPECT_EQ(400, run.most);
  EXPECT_EQ(6.7e-4, run.noise);
  EXPECT_EQ(6.7e-4f, c.noise);
  EXPECT_EQ(3, run.push_steps);
  EXPECT_EQ(2000, run.push_from);
  EXPECT_EQ(0.5, run.position_weight);
  EXPECT_TRUE(run.root);
  EXPECT_EQ(1.5, run.huber);
  EXPECT_EQ(1, run.optimizer.adamax);
  EXPECT_EQ(2e-3, run.schedule.rate);
  EXPECT_EQ(0.8f, run.optimizer.beta1);
  EXPECT_EQ(0.99f, run.optimizer.beta2);
  EXPECT_EQ(1e-7f, run.optimizer.epsilon);
  EXPECT_EQ(0.01f, run.optimizer.decay);
  EXPECT_EQ(MOTE_SCHEDULE_EXPONENTIAL, run.schedule.kind);
  EXPECT_EQ(20, run.schedule.warmup);
  EXPECT_EQ(0.5, run.schedule.decay);
  EXPECT_EQ(700, run.schedule.decay_steps);
  EXPECT_EQ(1e-5, run.schedule.floor);
  EXPECT_EQ(3000, run.schedule.steps);
  EXPECT_EQ(250, run.validate_every);
  EXPECT_EQ(60, run.validate_frames);
  EXPECT_EQ(2, run.validate_trajectories);
  EXPECT_EQ(0.5, run.clip);
  EXPECT_EQ(0.99, run.ema);
  EXPECT_EQ(8, run.batch);
  EXPECT_EQ(3000, run.steps);
  EXPECT_EQ(17, run.seed);
  EXPECT_EQ(50, run.save_every);
  EXPECT_EQ(512, run.memory);
}

TEST_F(StepperRunTest, OtherChoices) {
  MOTE_ASSERT_OK(load(kMinimal + "statistics: other\n"));
  EXPECT_EQ(folder.file("other"), run.statistics);
  EXPECT_EQ(0, run.frames) << "all";
  MOTE_ASSERT_OK(load(kMinimal + "frames: 104\n"));
  EXPECT_EQ(104, run.frames);
  MOTE_ASSERT_OK(load("kind: stepper\ndata: set\nmodel: {architecture: gns, hidden_layers: 0, layers: 5}\n"
                      "particles: {method: uniform, count: 250}\nschedule: {kind: constant, warmup: 0}\n"));
  EXPECT_EQ(1, run.config.linears);
  EXPECT_EQ(5, run.config.layers_before);
  EXPECT_EQ(0, run.config.layers_after);
  EXPECT_EQ(MOTE_SAMPLE_UNIFORM, run.method);
  EXPECT_EQ(250, run.least);
  EXPECT_EQ(250, run.most);
  EXPECT_EQ(MOTE_SCHEDULE_CONSTANT, run.schedule.kind);
  EXPECT_EQ(0, run.schedule.warmup);
  MOTE_ASSERT_OK(load(kMinimal + "steps: 180\nschedule: {length: 490}\n")); /* broken off */
  EXPECT_EQ(180, run.steps);
  EXPECT_EQ(490, run.schedule.steps);
  /* A short run has a short rise, and a gate sees no more columns than there are. */
  MOTE_ASSERT_OK(load("kind: stepper\ndata: set\nsteps: 40\n"
                      "model: {architecture: giorom, latent: {kernel_in: [8]}}\n"));
  EXPECT_EQ(4, run.schedule.warmup);
  EXPECT_EQ(40, run.schedule.steps);
  EXPECT_EQ(8, run.config.latent.space_width);
  EXPECT_EQ((std::vector<int>{131, 8}), widths(run.config.latent.kernel_in));
}

TEST_F(StepperRunTest, FitsTheData) {
  mote_metadata flat = metadata(2, 0.04), blind = metadata(3, 0);
  MOTE_ASSERT_OK(load(kMinimal));
  MOTE_ASSERT_OK(mote_stepper_run_fit(&run, &flat));
  EXPECT_EQ(2, run.config.dim);
  EXPECT_EQ(0.04, run.radius);
  EXPECT_EQ((std::vector<int>{2 + 128, 32, 64, 64}), widths(run.config.latent.kernel_in));
  EXPECT_EQ((std::vector<int>{2, 32, 64, 128}), widths(run.config.latent.kernel_out));
  EXPECT_EQ(-1.5, run.config.latent.limits[1][0]);
  EXPECT_EQ(2.5, run.config.latent.limits[1][1]);
  /* What is written for such a model must be a model. */
  mote_network_config back;
  std::string config = folder.file("config.json");
  MOTE_ASSERT_OK(mote_network_config_write(config.c_str(), &run.config));
  MOTE_EXPECT_OK(mote_network_config_read(config.c_str(), &back));

  /* Where particles stop may be as far as the data's matter gets; else the model has no stop. */
  EXPECT_TRUE(std::isinf(run.config.stop));
  MOTE_ASSERT_OK(load("kind: stepper\ndata: set\nmodel: {architecture: gns, wall_stop: reach}\n"));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_stepper_run_fit(&run, &flat)) << "no reach is told";
  EXPECT_NE(nullptr, strstr(mote_last_error(), "'wall_stop'")) << mote_last_error();
  flat.reach = 0.03125;
  MOTE_ASSERT_OK(mote_stepper_run_fit(&run, &flat));
  EXPECT_EQ(0.03125f, run.config.stop);

  MOTE_ASSERT_OK(load("kind: stepper\ndata: set\nmodel: {architecture: gns, dim: 3, radius: 0.02}\n"));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_stepper_run_fit(&run, &flat));
  EXPECT_NE(nullptr, strstr(mote_last_error(), "'dim'")) << mote_last_error();
  MOTE_EXPECT_OK(mote_stepper_run_fit(&run, &blind));
  EXPECT_EQ(0.02, run.radius);
  MOTE_ASSERT_OK(load(kMinimal));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_stepper_run_fit(&run, &blind));
  EXPECT_NE(nullptr, strstr(mote_last_error(), "'radius'")) << mote_last_error();
}

TEST_F(StepperRunTest, WhatIsMissing) {
  refuse("data: set\nmodel: {architecture: gns}\n", 1, {"the run", "kind"});
  refuse("kind: stepper\nmodel: {architecture: gns}\n", 1, {"data"});
  refuse_model("width: 3", {"'model'", "architecture"});
  refuse("kind: operator\ndata: set\nmodel: {architecture: gns}\n", 1, {"operator", "stepper"});
  refuse("kind: stepper\ndata: [set]\nmodel: {architecture: gns}\n", 2, {"'data'", "folder"});
  refuse("kind: stepper\ndata: ''\nmodel: {architecture: gns}\n", 2, {"'data'", "folder"});
  refuse("kind: stepper\ndata: set\nmodel: gns\n", 3, {"'model'", "mapping"});
  refuse("- kind\n", 1, {"the run", "mapping"});
  EXPECT_EQ(MOTE_ERROR_IO, mote_stepper_run_load(folder.file("nothing.yaml").c_str(), &run));
}

/* Then it is that of the trained model that the training begins with. */
TEST_F(StepperRunTest, ARunNeedNoModel) {
  MOTE_ASSERT_OK(load("kind: stepper\ndata: set\n"));
  EXPECT_FALSE(run.has_model);
  mote_stepper_run_free(&run);
  MOTE_ASSERT_OK(load(kMinimal));
  EXPECT_TRUE(run.has_model);
}

TEST_F(StepperRunTest, UnknownWords) {
  refuse_line("batches: 2", {"batches", "batch"});
  refuse_line("particles: {ratio: 0.1}", {"ratio", "count"});
  refuse_line("particles: {method: fartest}", {"fartest", "farthest"});
  refuse_line("optimizer: {kind: sgd}", {"sgd", "adamw", "adamax", "soap"});
  refuse_line("schedule: {kind: linear}", {"linear", "cosine"});
  refuse_line("validation: {each: 2}", {"each", "every"});
  refuse_line("loss: {velocity: 1}", {"velocity", "position"});
  refuse_line("pushforward: {from: 1}", {"from", "from_step"});
  refuse_model("architecture: resnet", {"resnet", "giorom", "gns"});
  refuse_model("architecture: giorom, widht: 2", {"widht", "width"});
  refuse_model("architecture: giorom, convolution: none", {"none", "degenerate"});
  refuse_model("architecture: giorom, latent: {points: all}", {"all", "occupied"});
  refuse_model("architecture: giorom, latent: {output: 12}", {"output"});
  refuse_line("data: twice", {"data", "second"});
  refuse_line("statistics: {mean: 0}", {"statistics", "folder"});
  refuse_line("precision: half", {"half", "float32", "bfloat16x2", "tf32"});
}

/* A key of the other architecture would be a wish that is passed over. */
TEST_F(StepperRunTest, KeysOfTheOtherArchitecture) {
  for (std::string key : {"latent: {}", "convolution: normalized", "alpha: 0.5"})
    refuse_model("architecture: gns, " + key, {"gns", "giorom"});
  refuse_model("architecture: giorom, hidden_layers: 2", {"hidden_layers", "gns"});
}

TEST_F(StepperRunTest, Ranges) {
  const struct {
    const char *key, *below, *above, *expected;
  } lines[] = {{"noise", "-1", "1.1e6", "from 0 to"},
               {"clip", "-1", "1.1e9", "from 0 to"},
               {"ema", "-0.1", "1", "from 0 to"},
               {"batch", "0", "1025", "from 1 to 1024"},
               {"steps", "0", "1000000001", "from 1 to"},
               {"seed", "-1", "1.0e30", "from 0 to"},
               {"save_every", "0", "1000000001", "from 1 to"},
               {"frames", "0", "1000001", "from 1 to 1000000"},
               {"memory", "-1", "1048577", "from 0 to 1048576"}};
  for (auto &l : lines)
    for (const char *value : {l.below, l.above, "many", "[1]", "'2'", ".nan"})
      refuse_line(std::string(l.key) + ": " + value, {l.key, l.expected});
  const struct {
    const char *map, *key, *below, *above;
  } children[] = {{"particles", "count", "0", "1.0e9"},
                  {"pushforward", "steps", "0", "101"},
                  {"pushforward", "from_step", "-1", "1.0e9"},
                  {"loss", "position", "-1", "1.1e6"},
                  {"loss", "huber", "-1", "1.1e6"},
                  {"optimizer", "rate", "0", "11"},
                  {"optimizer", "epsilon", "0", "2"},
                  {"optimizer", "decay", "-1", "1001"},
                  {"schedule", "warmup", "-1", "1.0e9"},
                  {"schedule", "decay", "0", "1.1"},
                  {"schedule", "decay_steps", "0", "1.1e9"},
                  {"schedule", "floor", "-1", "11"},
                  {"schedule", "length", "0", "1.1e9"},
                  {"validation", "every", "0", "1.1e9"},
                  {"validation", "frames", "-1", "1.1e6"},
                  {"validation", "trajectories", "-1", "1.1e6"}};
  for (auto &c : children)
    for (const char *value : {c.below, c.above, "many"})
      refuse_line(std::string(c.map) + ": {" + c.key + ": " + value + "}", {c.map, c.key, "expected"});
  const struct {
    const char *key, *below, *above;
  } model[] = {{"dim", "1", "4"},
               {"width", "0", "257"},
               {"layers", "0", "33"},
               {"window", "0", "16"},
               {"types", "0", "1025"},
               {"type_width", "0", "257"},
               {"radius", "0", "1.0e10"},
               {"clip", "0", "1.0e7"},
               {"wall_stop", "-1", "far"},
               {"alpha", "-1", "1.1"},
               {"normalized_velocities", "0", "yes"}};
  for (auto &m : model)
    for (const char *value : {m.below, m.above})
      refuse_model(std::string("architecture: giorom, ") + m.key + ": " + value, {m.key, "expected"});
  for (const char *value : {"-1", "5"})
    refuse_model(std::string("architecture: gns, hidden_layers: ") + value, {"hidden_layers", "from 0 to 4"});
  const struct {
    const char *key, *below, *above;
  } latent[] = {{"grid", "1", "257"},       {"radius", "0", "1.0e7"},   {"heads", "0", "65"},
                {"blocks", "0", "17"},      {"width", "0", "257"},      {"experts", "0", "9"},
                {"inner", "-1", "4"},       {"projection", "0", "769"}, {"projection_layers", "0", "6"},
                {"space_width", "0", "65"}, {"pairs", "1", "yes"}};
  for (auto &l : latent)
    for (const char *value : {l.below, l.above})
      refuse_model(std::string("architecture: giorom, latent: {") + l.key + ": " + value + "}",
                   {"'latent'", l.key, "expected"});
  for (std::string key : {"kernel_in", "kernel_out"})
    for (const char *value : {"[]", "[0]", "[769]", "64", "[1, 2, 3, 4, 5, 6]", "[a]"})
      refuse_model("architecture: giorom, latent: {" + key + ": " + value + "}", {"'latent'", key.c_str()});
}

TEST_F(StepperRunTest, WhatDoesNotGoTogether) {
  for (const char *count : {"[5, 4]", "[0, 4]", "[1.5, 4]", "[1, 2.5]", "[1, 1.0e9]", "[1]", "[1, 2, 3]"})
    refuse_line(std::string("particles: {count: ") + count + "}", {"'count'", "expected"});
  for (const char *betas : {"[0.9, 1]", "[-0.1, 0.9]", "[0.99999999, 0.999]", "[0.9]"})
    refuse_line(std::string("optimizer: {betas: ") + betas + "}", {"'betas'", "expected"});
  refuse_model("architecture: giorom, latent: {heads: 3}", {"'width'", "256", "multiple", "3"});
  refuse_line("schedule: {warmup: 10000}", {"'warmup'", "10000", "'steps'"});
  refuse_line("schedule: {floor: 0.01}", {"'floor'", "0.01", "'rate'", "0.001"});
}

/* The largest seed is below what float64 rounds it up to. */
TEST_F(StepperRunTest, LargestSeed) {
  MOTE_ASSERT_OK(load(kMinimal + "seed: 9223372036854775807\n"));
  EXPECT_GT(run.seed, INT64_MAX - 2048);
}
