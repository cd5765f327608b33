/* Graphs that outgrow the room that was planned for them while nobody looks: particles that fall together, so
   that each step has more edges and more pairs with latent points than the one before. Steps that did not fit
   are made up for at the next read, and the trajectory is the one of a stepper that is read after every
   step, to the bit, and that one is right. */
#include "tests/models/reference.h"
#include "tests/models/stepping.h"

using namespace mote_test;

namespace {

class Growth : public OnDevice {};
MOTE_ON_DEVICES(Growth);

const int kSteps = 9;

/* Almost free flight: what the network says counts little. */
Saved flight(Checkpoint c) {
  mote_metadata metadata = statistics(c.dim);
  c.noise = 0;
  for (int a = 0; a < c.dim; a++) {
    metadata.acceleration_mean[a] = 0;
    metadata.acceleration_std[a] = 1e-4;
  }
  return Saved(c, metadata);
}
Saved flight(const char *variant) {
  return flight(checkpoint(variant));
}

/* Towards the middle, there in kSteps + 1 frames; at first nobody is within reach of a latent point. */
Cloud falling(const Checkpoint &c, int n) {
  Cloud cloud = cloud_for(c, n);
  std::vector<float> from(size_t(n) * c.dim);
  for (int i = 0; i < n; i++) {
    float turn = 2.4f * float(i), away = 1.2f + 0.02f * float(i % 7);
    const float unit[3] = {std::cos(turn), std::sin(turn), float(i) / float(n) - 0.5f};
    for (int a = 0; a < c.dim; a++) from[i * c.dim + a] = away * unit[a];
  }
  for (int f = 0; f < cloud.frames; f++)
    for (size_t k = 0; k < from.size(); k++)
      cloud.history[f * from.size() + k] =
          0.5f + from[k] * (1 - float(f - cloud.frames + 1) / float(kSteps + 1));
  return cloud;
}

/* As a whole into the latent domain: edges stay as they are, pairs with latent points do not. */
Cloud arriving(const Checkpoint &c, int n) {
  Cloud cloud = cloud_for(c, n);
  size_t values = size_t(n) * c.dim;
  for (int f = 0; f < cloud.frames; f++)
    for (size_t k = 0; k < values; k++)
      cloud.history[f * values + k] = 2 + cloud.last()[k] - 0.2f * float(f - cloud.frames + 1);
  return cloud;
}

/* Out of one point of the latent domain: with pairs as many as before, more and more latent points have some.
 */
Cloud spreading(const Checkpoint &c, int n) {
  Cloud cloud = cloud_for(c, n);
  for (int f = 0; f < cloud.frames; f++)
    for (int i = 0; i < n; i++)
      for (int a = 0; a < c.dim; a++)
        cloud.history[(size_t(f) * n + i) * c.dim + a] =
            0.5f + 0.05f * float(f) * (a % 2 ? std::sin(2.4f * float(i)) : std::cos(2.4f * float(i))) *
                       std::sqrt((float(i) + 0.5f) / float(n));
  return cloud;
}

/* Nobody looks, or somebody after every step; how many times more edges there are in the end. */
double compare(const std::string &device_name, const Saved &saved, Cloud cloud) {
  Device device(device_name);
  Stepping watched(device, saved, cloud), blind(device, saved, cloud);
  int64_t first = 0;
  for (int step = 1; step <= kSteps; step++) {
    watched.advance();
    if (step == 1) first = watched.edges();
    if (step < kSteps) cloud = moved_on(cloud, watched.position());
  }
  Answer expected = reference_step(saved.checkpoint, saved.metadata, cloud);
  EXPECT_LE(relative_l2(watched.acceleration(), expected.acceleration), 1e-5);
  EXPECT_EQ(watched.edges(), expected.edges);
  blind.advance(kSteps);
  EXPECT_TRUE(blind.position() == watched.position());
  EXPECT_TRUE(blind.acceleration() == watched.acceleration());
  EXPECT_EQ(blind.edges(), watched.edges());
  double growth = double(watched.edges()) / double(first);
  /* And on: nothing of the making up is left. */
  blind.advance(2);
  watched.advance();
  watched.position();
  watched.advance();
  EXPECT_TRUE(blind.position() == watched.position());
  return growth;
}

void fall(const std::string &device_name, const char *variant) {
  Saved saved = flight(variant);
  EXPECT_GT(compare(device_name, saved, falling(saved.checkpoint, 28)), 4);
}

void arrive(const std::string &device_name, const char *variant) {
  Saved saved = flight(variant);
  EXPECT_NEAR(compare(device_name, saved, arriving(saved.checkpoint, 40)), 1, 0.2);
}

} // namespace

TEST_P(Growth, EdgesOfGns) {
  fall(GetParam(), "gns2d");
}
TEST_P(Growth, EdgesAndLatentPairsOfGiorom) {
  fall(GetParam(), "giorom2d_normalized");
}
TEST_P(Growth, LatentPairsThatAreStates) {
  fall(GetParam(), "giorom3d_occupied");
}
TEST_P(Growth, LatentPairsAlone) {
  arrive(GetParam(), "giorom2d");
}
TEST_P(Growth, LatentPairsThatAreStatesAlone) {
  arrive(GetParam(), "giorom2d_occupied");
}

TEST_P(Growth, LatentPointsAlone) {
  Checkpoint c = checkpoint("giorom2d");
  c.grid = 24; /* points lie .043 apart */
  c.gno_radius = 0.07;
  Saved saved = flight(c);
  EXPECT_LT(compare(GetParam(), saved, spreading(saved.checkpoint, 60)), 1);
}

/* Asked for the number of edges alone, and with a restart in the middle. */
TEST_P(Growth, CountsAndRestartsMakeUpToo) {
  Saved saved = flight("gns2d");
  Device device(GetParam());
  Cloud cloud = falling(saved.checkpoint, 40);
  Stepping run(device, saved, cloud), other(device, saved, cloud);
  run.advance(kSteps);
  int64_t edges = run.edges();
  other.advance(kSteps - 2); /* blocked by now */
  other.start(cloud);
  other.advance(kSteps);
  EXPECT_EQ(other.edges(), edges);
  EXPECT_TRUE(other.position() == run.position());
}
