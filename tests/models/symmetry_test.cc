/* What must not matter: the order of particles, where the origin is, the number of threads. */
#include <algorithm>
#include <numeric>
#include <random>

#include "tests/models/stepping.h"

using namespace mote_test;

namespace {

class Symmetry : public OnDevice {};
MOTE_ON_DEVICES(Symmetry);

std::vector<int> shuffled(int n) {
  std::vector<int> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::mt19937 random(3);
  for (int i = n - 1; i > 0; i--) std::swap(order[i], order[random() % unsigned(i + 1)]);
  return order;
}

/* Rows of (n, dim) in another order. */
std::vector<float> rows(const float *x, const std::vector<int> &order, int dim) {
  std::vector<float> out;
  for (int i : order) out.insert(out.end(), x + i * dim, x + (i + 1) * dim);
  return out;
}

Cloud permuted(const Cloud &cloud, const std::vector<int> &order) {
  Cloud other = cloud;
  other.history.clear();
  for (int f = 0; f < cloud.frames; f++) {
    std::vector<float> frame = rows(cloud.history.data() + size_t(f) * cloud.n * cloud.dim, order, cloud.dim);
    other.history.insert(other.history.end(), frame.begin(), frame.end());
  }
  for (int i = 0; i < cloud.n; i++) other.type[i] = cloud.type[order[i]];
  return other;
}

/* Sums over neighbours then run in another order, so rounding differs. */
void permute(const std::string &device_name, const char *variant) {
  Saved saved{std::string(variant)};
  Device device(device_name);
  Cloud cloud = cloud_for(saved.checkpoint, 48, 3);
  std::vector<int> order = shuffled(cloud.n);
  Stepping plain(device, saved, cloud), other(device, saved, permuted(cloud, order));
  plain.advance(2);
  other.advance(2);
  EXPECT_LE(relative_l2(other.acceleration(), rows(plain.acceleration().data(), order, cloud.dim)), 5e-6);
  EXPECT_LE(relative_l2(other.position(), rows(plain.position().data(), order, cloud.dim)), 1e-6);
  EXPECT_EQ(other.edges(), plain.edges());
}

struct Change {
  double acceleration, position;
};

/* How far the answer moves when matter, bounds and latent domain move by 1/2, which float32 does exactly. */
Change translate(const std::string &device_name, const char *variant) {
  const float shift = 0.5f;
  Saved here{std::string(variant)};
  Checkpoint checkpoint = here.checkpoint;
  mote_metadata metadata = here.metadata;
  for (int a = 0; a < checkpoint.dim; a++)
    for (int side = 0; side < 2; side++) {
      checkpoint.limits[a][side] += shift;
      metadata.bounds[a][side] += shift;
    }
  Saved there(checkpoint, metadata);
  Device device(device_name);
  Cloud cloud = cloud_for(here.checkpoint, 48, 4), moved = cloud;
  for (float &x : moved.history) x += shift;
  Stepping plain(device, here, cloud), other(device, there, moved);
  plain.advance();
  other.advance();
  EXPECT_EQ(other.edges(), plain.edges());
  std::vector<float> back = other.position();
  for (float &x : back) x -= shift;
  return {relative_l2(other.acceleration(), plain.acceleration()), relative_l2(back, plain.position())};
}

void does_not_matter(const std::string &device_name, const char *variant) {
  Change change = translate(device_name, variant);
  EXPECT_LE(change.acceleration, 1e-6) << variant;
  EXPECT_LE(change.position, 1e-6) << variant;
}

/* Enough particles, edges and latent points for several tiles and chunks of every kernel. */
void threads(Checkpoint variant, double radius) {
  variant.grid = variant.dim == 2 ? 27 : 9;
  Saved saved(variant);
  Cloud cloud = cloud_for(saved.checkpoint, 2500, 5);
  cloud.radius = radius;
  std::vector<float> answer[3];
  for (int k = 0; k < 3; k++) {
    Device device("cpu", k + 1);
    Stepping run(device, saved, cloud);
    EXPECT_EQ(mote_device_threads(device.device), k + 1);
    run.advance(2);
    answer[k] = run.position();
    std::vector<float> acceleration = run.acceleration();
    answer[k].insert(answer[k].end(), acceleration.begin(), acceleration.end());
  }
  EXPECT_TRUE(answer[1] == answer[0]) << "two threads";
  EXPECT_TRUE(answer[2] == answer[0]) << "three threads";
}

} // namespace

TEST_P(Symmetry, PermutedParticlesGiorom) {
  permute(GetParam(), "giorom2d_normalized");
}
TEST_P(Symmetry, PermutedParticlesPairs) {
  permute(GetParam(), "giorom3d_occupied");
}
TEST_P(Symmetry, PermutedParticlesGns) {
  permute(GetParam(), "gns3d");
}

TEST_P(Symmetry, TranslatedGns) {
  does_not_matter(GetParam(), "gns2d");
  does_not_matter(GetParam(), "gns3d");
}
TEST_P(Symmetry, TranslatedPairKernelsOnOccupiedPoints) {
  does_not_matter(GetParam(), "giorom2d_occupied");
  does_not_matter(GetParam(), "giorom3d_occupied");
}
/* Published models see absolute coordinates: the two tests above would notice. */
TEST_P(Symmetry, TranslatedPublishedModelsAnswerDifferently) {
  EXPECT_GE(translate(GetParam(), "giorom2d").acceleration, 1e-2);
}

TEST(Threads, ChangeNoBitGiorom) {
  threads(checkpoint("giorom3d"), 0.11);
}
TEST(Threads, ChangeNoBitPairs) {
  threads(checkpoint("giorom2d_occupied"), 0.05);
}
TEST(Threads, ChangeNoBitNormalized) {
  threads(checkpoint("giorom2d_normalized"), 0.05);
}
TEST(Threads, ChangeNoBitGns) {
  threads(checkpoint("gns3d"), 0.11);
}
