/* What a stepper is made of and asked for: metadata and options that make no sense, calls in the wrong order,
   defaults, and a profile that leaves the trajectory alone. */
#include <functional>

#include "tests/models/stepping.h"

using namespace mote_test;

namespace {

class Options : public OnDevice {};
MOTE_ON_DEVICES(Options);

bool says(const std::string &part) {
  return std::string(mote_last_error()).find(part) != std::string::npos;
}

class Model {
public:
  Model(Device &device, const Saved &saved) {
    EXPECT_EQ(MOTE_OK, mote_model_load(device.device, saved.folder.path.c_str(), &model))
        << mote_last_error();
  }
  ~Model() { mote_model_destroy(model); }
  mote_model *model = nullptr;
};

} // namespace

TEST(StepperOptions, ThatMakeNoSenseAreRefused) {
  Saved saved{std::string("gns2d")};
  Device device("cpu");
  Model made(device, saved);
  mote_metadata cube = statistics(3);
  std::vector<int32_t> type(10, 1);
  struct {
    std::function<void(mote_stepper_options &, mote_metadata &)> change;
    mote_status status;
    const char *part;
  } cases[] = {
      {[](auto &o, auto &) { o.count = 0; }, MOTE_ERROR_ARGUMENT, "0 particles"},
      {[](auto &o, auto &) { o.count = -3; }, MOTE_ERROR_ARGUMENT, "-3 particles"},
      {[](auto &o, auto &) { o.count = INT64_MAX; }, MOTE_ERROR_ARGUMENT, "particles"},
      {[](auto &o, auto &) { o.radius = -1; }, MOTE_ERROR_ARGUMENT, "radius is -1"},
      {[](auto &o, auto &) { o.radius = INFINITY; }, MOTE_ERROR_ARGUMENT, "radius is inf"},
      {[](auto &o, auto &) { o.radius = NAN; }, MOTE_ERROR_ARGUMENT, "radius is"},
      {[](auto &o, auto &) { o.radius = 1e-30; }, MOTE_ERROR_ARGUMENT, "radius is"},
      {[](auto &o, auto &m) { o.radius = m.connectivity_radius = 0; }, MOTE_ERROR_ARGUMENT, "radius is 0"},
      {[&](auto &, auto &m) { m = cube; }, MOTE_ERROR_ARGUMENT, "3-D"},
      {[](auto &, auto &m) { m.has_statistics = 0; }, MOTE_ERROR_ARGUMENT, "statistics"},
      {[](auto &, auto &m) { m.periodic[1] = 1; }, MOTE_ERROR_UNSUPPORTED, "periodic"},
      {[](auto &, auto &m) { m.bounds[1][1] = m.bounds[1][0]; }, MOTE_ERROR_ARGUMENT, "bounds of axis 1"},
      {[](auto &, auto &m) { m.bounds[0][1] = INFINITY; }, MOTE_ERROR_ARGUMENT, "bounds of axis 0"},
      {[](auto &, auto &m) { m.bounds[0][0] = NAN; }, MOTE_ERROR_ARGUMENT, "bounds of axis 0"},
      {[](auto &, auto &m) { m.bounds[0][1] = 1e30; }, MOTE_ERROR_ARGUMENT, "bounds of axis 0"},
      {[](auto &, auto &m) { m.velocity_mean[1] = NAN; }, MOTE_ERROR_ARGUMENT, "vel_mean"},
      {[](auto &, auto &m) { m.acceleration_mean[0] = INFINITY; }, MOTE_ERROR_ARGUMENT, "acc_mean"},
      {[](auto &, auto &m) { m.velocity_std[1] = -1; }, MOTE_ERROR_ARGUMENT, "vel_std"},
      {[](auto &, auto &m) { m.acceleration_std[1] = NAN; }, MOTE_ERROR_ARGUMENT, "acc_std"},
      {[&](auto &, auto &) { type[7] = 5; }, MOTE_ERROR_ARGUMENT, "particle 7 is of type 5"},
      {[&](auto &, auto &) { type[7] = -1; }, MOTE_ERROR_ARGUMENT, "particle 7 is of type -1"},
  };
  for (auto &c : cases) {
    std::fill(type.begin(), type.end(), 1);
    mote_metadata metadata = saved.metadata;
    mote_stepper_options options = {10, type.data(), &metadata, 0, 0};
    c.change(options, metadata);
    mote_stepper *stepper = nullptr;
    EXPECT_EQ(mote_stepper_create(made.model, &options, &stepper), c.status) << c.part;
    EXPECT_TRUE(says(c.part)) << c.part << ": " << mote_last_error();
    EXPECT_EQ(stepper, nullptr);
    mote_stepper_destroy(stepper);
  }
}

/* Velocities are divided by their deviation: not by none. */
TEST(StepperOptions, ADeviationOfNothing) {
  for (bool normalized : {true, false}) {
    Checkpoint c = checkpoint("gns2d");
    c.noise = 0;
    c.normalized_velocities = normalized;
    mote_metadata metadata = statistics(2);
    metadata.velocity_std[1] = 0;
    Saved saved(c, metadata);
    Device device("cpu");
    Model made(device, saved);
    mote_stepper_options options = {4, nullptr, &metadata, 0, 0};
    mote_stepper *stepper = nullptr;
    EXPECT_EQ(mote_stepper_create(made.model, &options, &stepper),
              normalized ? MOTE_ERROR_ARGUMENT : MOTE_OK);
    EXPECT_TRUE(!normalized || says("vel_std of axis 1")) << mote_last_error();
    mote_stepper_destroy(stepper);
  }
}

TEST_P(Options, CallsBeforeAHistoryAreRefused) {
  Saved saved{std::string("gns2d")};
  Device device(GetParam());
  Model made(device, saved);
  mote_stepper_options options = {4, nullptr, &saved.metadata, 0, 0};
  mote_stepper *stepper = nullptr;
  MOTE_ASSERT_OK(mote_stepper_create(made.model, &options, &stepper));
  float x[8];
  int64_t edges;
  mote_stepper_phases phases;
  EXPECT_EQ(mote_stepper_advance(stepper, nullptr), MOTE_ERROR_ARGUMENT);
  EXPECT_TRUE(says("history")) << mote_last_error();
  EXPECT_EQ(mote_stepper_read(stepper, x, nullptr), MOTE_ERROR_ARGUMENT);
  EXPECT_TRUE(says("history")) << mote_last_error();
  EXPECT_EQ(mote_stepper_edge_count(stepper, &edges), MOTE_ERROR_ARGUMENT);
  EXPECT_EQ(mote_stepper_profile(stepper, &phases), MOTE_ERROR_ARGUMENT);
  mote_stepper_destroy(stepper);
}

TEST_P(Options, BeforeTheFirstStep) {
  Saved saved{std::string("giorom2d_occupied")};
  Device device(GetParam());
  Cloud cloud = cloud_for(saved.checkpoint, 20);
  Stepping run(device, saved, cloud);
  size_t values = size_t(cloud.n) * cloud.dim;
  for (int again = 0; again < 2; again++) {
    EXPECT_EQ(run.position(), std::vector<float>(cloud.last(), cloud.last() + values));
    EXPECT_EQ(run.acceleration(), std::vector<float>(values, 0));
    EXPECT_EQ(run.edges(), 0);
    run.advance();
    EXPECT_GT(run.edges(), 0);
    run.start(cloud);
  }
}

/* No types are type 0, no radius is the metadata's, and any number but 0 is a yes. */
TEST_P(Options, Defaults) {
  Saved saved{std::string("giorom2d_normalized")};
  Device device(GetParam());
  Cloud cloud = cloud_for(saved.checkpoint, 20);
  std::fill(cloud.type.begin(), cloud.type.end(), 0);
  Stepping plain(device, saved, cloud);
  plain.advance();
  Model made(device, saved);
  mote_stepper_options options = {cloud.n, nullptr, &saved.metadata, 0, 7};
  mote_stepper *stepper = nullptr;
  MOTE_ASSERT_OK(mote_stepper_create(made.model, &options, &stepper));
  MOTE_EXPECT_OK(mote_stepper_start(stepper, cloud.history.data()));
  MOTE_EXPECT_OK(mote_stepper_advance(stepper, cloud.last()));
  std::vector<float> x(size_t(cloud.n) * cloud.dim);
  MOTE_EXPECT_OK(mote_stepper_read(stepper, x.data(), nullptr));
  EXPECT_TRUE(x == plain.position());
  mote_stepper_destroy(stepper);
}

TEST_P(Options, AProfileLeavesTheTrajectoryAlone) {
  Saved saved{std::string("giorom2d_normalized")};
  Device device(GetParam());
  Cloud cloud = cloud_for(saved.checkpoint, 40);
  Stepping plain(device, saved, cloud), profiled(device, saved, cloud);
  plain.advance(4);
  for (int step = 0; step < 4; step++) {
    mote_stepper_phases s;
    MOTE_EXPECT_OK(mote_stepper_profile(profiled.stepper, &s));
    double sum = 0;
    for (double part : {s.features, s.graph, s.encode, s.layers, s.latent, s.decode}) {
      EXPECT_GE(part, 0);
      sum += part;
    }
    EXPECT_TRUE(sum > 0 && sum < 60) << sum;
    profiled.advance();
  }
  EXPECT_TRUE(profiled.position() == plain.position());
  EXPECT_TRUE(profiled.acceleration() == plain.acceleration());
  EXPECT_EQ(profiled.edges(), plain.edges());
}

TEST_P(Options, InfoSaysWhatTheModelIs) {
  Device device(GetParam());
  for (const Checkpoint &variant :
       {checkpoint("giorom3d"), checkpoint("gns2d"), checkpoint("gns3d_one_type")}) {
    Saved saved(variant);
    Model made(device, saved);
    mote_model_info info;
    mote_model_get_info(made.model, &info);
    int64_t parameters = 0;
    for (const auto &[name, w] : saved.checkpoint.tensors) parameters += int64_t(w.value.size());
    EXPECT_STREQ(info.architecture, variant.gns ? "gns" : "giorom");
    EXPECT_EQ(info.dim, variant.dim);
    EXPECT_EQ(info.frames, variant.window + 1);
    EXPECT_EQ(info.layers, variant.gns ? variant.layers : 2 * variant.layers);
    EXPECT_EQ(info.width, variant.width);
    EXPECT_EQ(info.particle_types, variant.types);
    EXPECT_EQ(info.parameters, parameters);
  }
}
