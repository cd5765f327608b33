/* Rollouts that blow up: the first particle to go is named with its step, nothing is written from there on,
   and a new start is a new start. */
#include "tests/models/stepping.h"

using namespace mote_test;

namespace {

class Divergence : public OnDevice {};
MOTE_ON_DEVICES(Divergence);

/* All fall along x, faster by 0.1 m a frame each frame, whatever the network says. */
Saved fall(const char *variant) {
  Checkpoint c = checkpoint(variant);
  mote_metadata metadata = statistics(c.dim);
  c.noise = 0;
  for (int a = 0; a < c.dim; a++) {
    metadata.acceleration_mean[a] = a ? 0 : 0.1;
    metadata.acceleration_std[a] = 1e-6;
  }
  return Saved(c, metadata);
}

/* At rest, but for particle 5, which moves by 0.45 m a frame. */
Cloud one_is_faster(const Checkpoint &c) {
  Cloud cloud = cloud_for(c, 16);
  size_t frame = size_t(cloud.n) * c.dim;
  for (int f = 0; f < cloud.frames; f++)
    for (size_t k = 0; k < frame; k++) {
      float &x = cloud.history[f * frame + k];
      x = cloud.last()[k];
      if (k == size_t(5 * c.dim)) x -= 0.45f * float(cloud.frames - 1 - f);
    }
  return cloud;
}

bool says(const std::string &part) {
  return std::string(mote_last_error()).find(part) != std::string::npos;
}

void diverge(const std::string &device_name, const char *variant) {
  Saved saved = fall(variant);
  Device device(device_name);
  Cloud cloud = one_is_faster(saved.checkpoint);
  Stepping run(device, saved, cloud);
  std::vector<float> none(size_t(cloud.n) * cloud.dim, -7), x = none, a = none;
  /* 0.45 + 0.1 k exceeds the domain's 1 m first for k = 6; the others' 0.1 k for k = 11. */
  run.advance(5);
  std::vector<float> before = run.position();
  for (float value : before) EXPECT_TRUE(std::isfinite(value));
  run.advance(4);
  for (int again = 0; again < 2; again++) {
    EXPECT_EQ(mote_stepper_read(run.stepper, x.data(), a.data()), MOTE_ERROR_NUMERIC);
    EXPECT_TRUE(says("particle 5 ") && says("step 6")) << mote_last_error();
  }
  EXPECT_TRUE(x == none && a == none) << "nothing is written";
  run.start(cloud);
  run.advance(5);
  EXPECT_TRUE(run.position() == before) << "a new start";
}

} // namespace

TEST_P(Divergence, NamesParticleAndStepGns) {
  diverge(GetParam(), "gns2d");
}
TEST_P(Divergence, NamesParticleAndStepGiorom) {
  diverge(GetParam(), "giorom3d_pair_in");
}

/* Weights of 1e38: the network itself is infinite, or NaN. */
TEST_P(Divergence, NetworksThatOverflow) {
  for (const char *tensor : {"_encode_process_decode._decoder.node_fn.NN-2.weight",
                             "_encode_process_decode._processor.gnn_stacks.0.edge_fn.0.NN-1.weight"}) {
    Checkpoint c = checkpoint("gns2d");
    invent(c);
    for (float &w : c.tensors[tensor].value) w = w < 0 ? -3e38f : 3e38f;
    Saved saved(c);
    Device device(GetParam());
    Cloud cloud = cloud_for(c, 20);
    Stepping run(device, saved, cloud);
    std::vector<float> x(size_t(cloud.n) * cloud.dim, -7);
    run.advance(3);
    EXPECT_EQ(mote_stepper_read(run.stepper, x.data(), nullptr), MOTE_ERROR_NUMERIC);
    EXPECT_TRUE(says("particle 0 ") && says("step 1")) << mote_last_error();
    EXPECT_EQ(x, std::vector<float>(x.size(), -7));
  }
}

TEST_P(Divergence, HistoriesThatAreNotFinite) {
  Saved saved{std::string("gns2d")};
  Device device(GetParam());
  Cloud cloud = cloud_for(saved.checkpoint, 20);
  Stepping run(device, saved, cloud);
  run.advance(2);
  std::vector<float> before = run.position();
  for (float bad : {NAN, INFINITY}) {
    Cloud broken = cloud;
    broken.history[(2 * 20 + 9) * 2 + 1] = bad;
    EXPECT_EQ(mote_stepper_start(run.stepper, broken.history.data()), MOTE_ERROR_NUMERIC);
    EXPECT_TRUE(says("particle 9 of frame 2")) << mote_last_error();
  }
  EXPECT_TRUE(run.position() == before) << "a start that fails changes nothing";
}
