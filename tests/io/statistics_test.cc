/* Statistics of trajectories against two passes in float64; how far matter gets beyond the walls. */
#include "tests/io/motion.h"

#include <algorithm>

using mote_test::metadata_of;
using mote_test::Motion;
using mote_test::Reader;
using mote_test::TemporaryFolder;
using mote_test::write;

/* Two passes over all differences in float64; the streamed result may differ by rounding alone (1e-12). */
TEST(trajectory, statistics_are_those_of_two_passes) {
  TemporaryFolder folder;
  Motion motion = {300, 3, 25};
  MOTE_ASSERT_OK(write(folder.file("T.h5"), motion, 1));
  mote_metadata m;
  MOTE_ASSERT_OK(mote_metadata_read(folder.file("metadata.json").c_str(), &m));
  ASSERT_TRUE(m.has_statistics);
  EXPECT_EQ(m.sequence_length, 25);
  EXPECT_EQ(m.particle_count, 300);
  EXPECT_EQ(m.write_every, 10);
  EXPECT_DOUBLE_EQ(m.dt, 1e-3);
  EXPECT_DOUBLE_EQ(m.gravity[1], -9.81);
  for (int d = 0; d < 3; d++)
    for (int order = 1; order <= 2; order++) {
      std::vector<double> values;
      for (int t = order; t < motion.frames; t++) {
        auto a = motion.position(t), b = motion.position(t - 1), c = motion.position(std::max(t - 2, 0));
        for (int i = 0; i < motion.n; i++) {
          if (i % 7 == 0) continue; /* kinematic */
          int k = i * 3 + d;
          values.push_back(order == 1 ? double(a[k]) - b[k] : double(a[k]) - 2 * double(b[k]) + c[k]);
        }
      }
      double mean = 0, square = 0;
      for (double v : values) mean += v / values.size();
      for (double v : values) square += (v - mean) * (v - mean) / values.size();
      EXPECT_NEAR(order == 1 ? m.velocity_mean[d] : m.acceleration_mean[d], mean, 1e-12);
      EXPECT_NEAR(order == 1 ? m.velocity_std[d] : m.acceleration_std[d], std::sqrt(square), 1e-12);
    }
}

/* A particle that crosses a periodic face has moved the shorter way. */
TEST(trajectory, statistics_know_periodic_domains) {
  TemporaryFolder folder;
  mote_metadata m = metadata_of(2);
  for (int d = 0; d < 2; d++) m.bounds[d][1] = 1, m.periodic[d] = 1;
  mote_trajectory_options options = {};
  options.particles = 1;
  options.dim = 2;
  options.metadata = &m;
  mote_trajectory_writer *writer;
  MOTE_ASSERT_OK(mote_trajectory_create(folder.file("T.h5").c_str(), &options, &writer));
  for (int t = 0; t < 20; t++) {
    float x[2] = {float(std::fmod(0.1 * t, 1.0)), 0.5f};
    const float *values[] = {x};
    MOTE_ASSERT_OK(mote_trajectory_append(writer, t, values));
  }
  MOTE_ASSERT_OK(mote_trajectory_finish(writer));
  MOTE_ASSERT_OK(mote_metadata_read(folder.file("metadata.json").c_str(), &m));
  EXPECT_NEAR(m.velocity_mean[0], 0.1, 1e-7); /* positions are float32 */
  EXPECT_LT(m.velocity_std[0], 1e-6);
  EXPECT_EQ(m.velocity_std[1], 1); /* exactly zero is stored as one */
  EXPECT_EQ(m.periodic[1], 1);
}

TEST(trajectory, several_trajectories_share_a_file_and_statistics) {
  TemporaryFolder folder;
  Motion small = {40, 2, 9}, large = {90, 2, 5};
  mote_trajectory_options options = {};
  options.dim = 2;
  options.particles = small.n;
  mote_trajectory_writer *writer;
  MOTE_ASSERT_OK(mote_trajectory_create(folder.file("train.h5").c_str(), &options, &writer));
  int started = 0;
  for (const Motion &motion : {small, large, small}) {
    options.particles = motion.n;
    if (started++) {
      MOTE_ASSERT_OK(mote_trajectory_next(writer, &options));
    }
    for (int t = 0; t < motion.frames; t++) {
      std::vector<float> x = motion.position(t);
      const float *values[] = {x.data()};
      MOTE_ASSERT_OK(mote_trajectory_append(writer, t, values));
    }
  }
  MOTE_ASSERT_OK(mote_trajectory_finish(writer));
  Reader reader(folder.file("train.h5"));
  ASSERT_EQ(mote_trajectory_count(reader), 3);
  EXPECT_STREQ(mote_trajectory_name(reader, 1), "00001");
  mote_trajectory_info info;
  MOTE_ASSERT_OK(mote_trajectory_get_info(reader, 1, &info));
  EXPECT_EQ(info.particles, 90);
  std::vector<float> x(90 * 2);
  MOTE_ASSERT_OK(mote_trajectory_read_frames(reader, 1, "position", 4, 1, x.data()));
  EXPECT_EQ(x, large.position(4));
  mote_metadata m;
  MOTE_ASSERT_OK(mote_trajectory_read_metadata(reader, &m));
  EXPECT_EQ(m.particle_count, 90);
  EXPECT_EQ(m.sequence_length, 5);
}

namespace {

/* One trajectory of one moving particle, one that stays, and a kinematic one far out; what metadata.json then
 * says.
 */
mote_metadata after(mote_metadata m, const std::vector<std::array<float, 2>> &path) {
  TemporaryFolder folder;
  const int32_t type[] = {MOTE_TYPE_FLUID, MOTE_TYPE_FLUID, MOTE_TYPE_KINEMATIC};
  mote_trajectory_options options = {};
  options.particles = 3;
  options.dim = 2;
  options.metadata = &m;
  options.particle_type = type;
  mote_trajectory_writer *writer;
  MOTE_EXPECT_OK(mote_trajectory_create(folder.file("T.h5").c_str(), &options, &writer));
  for (size_t t = 0; t < path.size(); t++) {
    const float x[6] = {path[t][0], path[t][1], 1, 1, 9, 9}, *values[] = {x};
    MOTE_EXPECT_OK(mote_trajectory_append(writer, double(t), values));
  }
  MOTE_EXPECT_OK(mote_trajectory_finish(writer));
  MOTE_EXPECT_OK(mote_metadata_read(folder.file("metadata.json").c_str(), &m));
  return m;
}

} // namespace

/* The farthest of all frames, the first one too, on either side of any axis; kinematic particles are no
   matter. Exact: differences of numbers that float64 holds. */
TEST(statistics, reach_is_how_far_matter_gets_beyond_the_walls) {
  mote_metadata m = metadata_of(2); /* [0, 2] x [0, 2] */
  EXPECT_EQ(after(m, {{1, 1}, {0, 2}, {1, 1.5f}}).reach, 0);
  EXPECT_EQ(after(m, {{1, 1}, {1, -0.25f}, {1, 0.5f}}).reach, 0.25);
  EXPECT_EQ(after(m, {{2.5f, 1}, {2.25f, -0.25f}}).reach, 0.5);
  m.periodic[0] = 1;
  EXPECT_EQ(after(m, {{2.5f, 1}, {2.25f, -0.25f}}).reach, 0.25) << "a periodic axis has no walls";
  m.periodic[1] = 1;
  EXPECT_EQ(after(m, {{2.5f, 1}, {2.25f, -0.25f}}).reach, 0);
  m = {};
  m.dim = 2;
  EXPECT_EQ(after(m, {{2.5f, 1}, {2.25f, -0.25f}}).reach, 0) << "bounds made of the data hold all of it";
}
