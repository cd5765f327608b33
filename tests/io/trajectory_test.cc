/* Trajectory files: what is written is read back bit for bit, statistics against a two-pass float64
   reference, failures leave nothing. */
#include "tests/support/testing.h"

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <omp.h>
#include <random>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <mote/trajectory.h>

#include "tests/io/files.h"

using mote_test::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

/* Particles that drift and shake: frame t, the same numbers each time. */
struct Motion {
  int64_t n;
  int dim, frames;
  std::vector<float> position(int t) const {
    std::vector<float> x(n * dim);
    for (int64_t i = 0; i < n; i++)
      for (int d = 0; d < dim; d++)
        x[i * dim + d] = float(0.5 + 0.3 * std::sin(0.37 * i + 1.1 * d + 0.05 * t * (1 + d)) + 1e-3 * t);
    return x;
  }
  std::vector<float> velocity(int t) const {
    std::vector<float> v(n * dim);
    for (int64_t i = 0; i < n * dim; i++) v[i] = float(std::cos(0.1 * i + t));
    return v;
  }
  std::vector<int32_t> type() const {
    std::vector<int32_t> type(n);
    for (int64_t i = 0; i < n; i++) type[i] = i % 7 == 0 ? MOTE_TYPE_KINEMATIC : MOTE_TYPE_FLUID;
    return type;
  }
};

mote_metadata metadata_of(int dim) {
  mote_metadata m = {};
  m.dim = dim;
  for (int d = 0; d < dim; d++) m.bounds[d][1] = 2;
  m.dt = 1e-3;
  m.dx = 0.02;
  m.write_every = 10;
  m.connectivity_radius = 0.03;
  m.gravity[1] = -9.81;
  return m;
}

mote_status write(const std::string &path, const Motion &motion, int compression, int xdmf = 0) {
  mote_trajectory_field fields[] = {{"position", 1, {motion.dim, 0}}, {"velocity", 1, {motion.dim, 0}}};
  mote_metadata m = metadata_of(motion.dim);
  std::vector<int32_t> type = motion.type();
  mote_trajectory_options options = {};
  options.particles = motion.n;
  options.dim = motion.dim;
  options.field_count = 2;
  options.fields = fields;
  options.particle_type = type.data();
  options.compression = compression;
  options.metadata = &m;
  options.write_xdmf = xdmf;
  mote_trajectory_writer *writer;
  mote_status status = mote_trajectory_create(path.c_str(), &options, &writer);
  if (status != MOTE_OK) return status;
  for (int t = 0; t < motion.frames && status == MOTE_OK; t++) {
    std::vector<float> x = motion.position(t), v = motion.velocity(t);
    const float *values[] = {x.data(), v.data()};
    status = mote_trajectory_append(writer, 0.01 * t, values);
  }
  if (status != MOTE_OK) {
    std::string why = mote_last_error();
    mote_trajectory_abort(writer);
    EXPECT_EQ(why, mote_last_error());
    return status;
  }
  return mote_trajectory_finish(writer);
}

struct Reader {
  explicit Reader(const std::string &path) { MOTE_EXPECT_OK(mote_trajectory_open(path.c_str(), &reader)); }
  ~Reader() { mote_trajectory_close(reader); }
  operator mote_trajectory_reader *() { return reader; }
  mote_trajectory_reader *reader = nullptr;
};

void expect_motion(const std::string &path, const Motion &motion) {
  Reader reader(path);
  ASSERT_NE(reader.reader, nullptr);
  mote_trajectory_info info;
  MOTE_ASSERT_OK(mote_trajectory_get_info(reader, 0, &info));
  ASSERT_EQ(info.frames, motion.frames);
  ASSERT_EQ(info.particles, motion.n);
  ASSERT_EQ(info.dim, motion.dim);
  size_t frame = motion.n * motion.dim;
  std::vector<float> x(frame * motion.frames), v(frame);
  MOTE_ASSERT_OK(mote_trajectory_read_frames(reader, 0, "position", 0, motion.frames, x.data()));
  for (int t = 0; t < motion.frames; t++) {
    std::vector<float> expected = motion.position(t);
    ASSERT_TRUE(std::equal(expected.begin(), expected.end(), x.begin() + t * frame)) << "frame " << t;
    MOTE_ASSERT_OK(mote_trajectory_read_frames(reader, 0, "velocity", t, 1, v.data()));
    ASSERT_EQ(v, motion.velocity(t)) << "frame " << t;
  }
  std::vector<int32_t> type(motion.n);
  MOTE_ASSERT_OK(mote_trajectory_read_labels(reader, 0, "particle_type", type.data()));
  EXPECT_EQ(type, motion.type());
}

} // namespace

/* Bit for bit: fewer particles than a chunk, more than one chunk, frames that do not fill a chunk, 2-D and
   3-D, all kinds of compression. */
TEST(trajectory, reads_back_what_was_written) {
  TemporaryFolder folder;
  for (Motion motion : {Motion{1, 2, 1}, Motion{5, 3, 40}, Motion{700, 2, 23}, Motion{20000, 3, 3}})
    for (int compression : {0, 1, 9}) {
      std::string path = folder.file("T.h5");
      MOTE_ASSERT_OK(write(path, motion, compression));
      expect_motion(path, motion);
    }
  EXPECT_EQ(mote_test::names_in(folder.path), (std::vector<std::string>{"T.h5", "metadata.json"}));
}

TEST(trajectory, same_input_gives_the_same_bytes) {
  TemporaryFolder folder;
  MOTE_ASSERT_OK(write(folder.file("a.h5"), {3000, 3, 7}, 4));
  std::string first = mote_test::slurp(folder.file("a.h5"));
  MOTE_ASSERT_OK(write(folder.file("a.h5"), {3000, 3, 7}, 4));
  EXPECT_TRUE(first == mote_test::slurp(folder.file("a.h5")));
}

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

/* Another file's metadata.json is nobody's to overwrite. */
TEST(trajectory, leaves_the_metadata_of_others_alone) {
  TemporaryFolder folder;
  std::ofstream(folder.file("metadata.json")) << "{\"bounds\": [[0, 1], [0, 1]], \"dim\": 2}";
  MOTE_ASSERT_OK(write(folder.file("T.h5"), {10, 2, 4}, 1));
  EXPECT_EQ(mote_test::slurp(folder.file("metadata.json")), "{\"bounds\": [[0, 1], [0, 1]], \"dim\": 2}");
  mote_metadata m;
  MOTE_ASSERT_OK(mote_metadata_read(folder.file("T.metadata.json").c_str(), &m));
  EXPECT_EQ(m.bounds[0][1], 2);
  Reader reader(folder.file("T.h5"));
  MOTE_ASSERT_OK(mote_trajectory_read_metadata(reader, &m));
  EXPECT_EQ(m.bounds[0][1], 2) << "the file's own metadata comes first";
}

TEST(trajectory, state_takes_a_frame) {
  TemporaryFolder folder;
  Motion motion = {50, 3, 6};
  MOTE_ASSERT_OK(write(folder.file("T.h5"), motion, 1));
  mote_particles p;
  MOTE_ASSERT_OK(mote_state_read(folder.file("T.h5").c_str(), 0, -1, &p));
  EXPECT_EQ(std::vector<float>(p.position, p.position + 150), motion.position(5));
  EXPECT_EQ(std::vector<float>(p.velocity, p.velocity + 150), motion.velocity(5));
  EXPECT_EQ(p.particle_type[7], MOTE_TYPE_KINEMATIC);
  EXPECT_FLOAT_EQ(p.volume[3], 8e-6f); /* dx^3 */
  EXPECT_EQ(p.deformation_gradient[9 * 4 + 4], 1);
  mote_particles_destroy(&p);
  EXPECT_EQ(mote_state_read(folder.file("T.h5").c_str(), 0, 6, &p), MOTE_ERROR_ARGUMENT);
  EXPECT_NE(std::string(mote_last_error()).find("frames 0 to 5"), std::string::npos) << mote_last_error();
}

/* A file without velocities: (x_t - x_(t-1)) / (t_t - t_(t-1)) within float32's rounding of positions near 1.
 */
TEST(trajectory, state_falls_back_to_differences) {
  TemporaryFolder folder;
  Motion motion = {20, 2, 4};
  mote_trajectory_options options = {};
  options.particles = 20;
  options.dim = 2;
  mote_trajectory_writer *writer;
  MOTE_ASSERT_OK(mote_trajectory_create(folder.file("T.h5").c_str(), &options, &writer));
  for (int t = 0; t < 4; t++) {
    std::vector<float> x = motion.position(t);
    const float *values[] = {x.data()};
    MOTE_ASSERT_OK(mote_trajectory_append(writer, 0.5 * t, values));
  }
  MOTE_ASSERT_OK(mote_trajectory_finish(writer));
  mote_particles p;
  MOTE_ASSERT_OK(mote_state_read(folder.file("T.h5").c_str(), 0, 2, &p));
  auto a = motion.position(1), b = motion.position(2);
  for (int k = 0; k < 40; k++) EXPECT_NEAR(p.velocity[k], (double(b[k]) - a[k]) / 0.5, 1e-6);
  mote_particles_destroy(&p);
}

TEST(trajectory, reads_the_reference_files) {
  MOTE_REQUIRE_SHARED(path, "oracles/giorom2d/case.h5");
  Reader reader(path);
  ASSERT_EQ(mote_trajectory_count(reader), 1);
  EXPECT_STREQ(mote_trajectory_name(reader, 0), "/");
  mote_trajectory_info info;
  MOTE_ASSERT_OK(mote_trajectory_get_info(reader, 0, &info));
  EXPECT_EQ(info.frames, 6);
  EXPECT_EQ(info.particles, 400);
  mote_metadata m;
  MOTE_ASSERT_OK(mote_trajectory_read_metadata(reader, &m));
  EXPECT_DOUBLE_EQ(m.connectivity_radius, 0.05);
  EXPECT_DOUBLE_EQ(m.velocity_std[1], 0.003);
  std::string materials = mote_test::shared_file("oracles/mpm_reference.h5");
  Reader second(materials);
  EXPECT_EQ(mote_trajectory_count(second), 4);
  std::vector<float> f(512 * 9);
  MOTE_EXPECT_OK(mote_trajectory_read_frames(second, 0, "deformation_gradient", 1, 1, f.data()));
}

/* ---- Failures ---- */

TEST(trajectory, refuses_what_is_not_finite_and_goes_on) {
  TemporaryFolder folder;
  mote_trajectory_options options = {};
  options.particles = 2;
  options.dim = 2;
  mote_trajectory_writer *writer;
  MOTE_ASSERT_OK(mote_trajectory_create(folder.file("T.h5").c_str(), &options, &writer));
  float good[4] = {0, 0, 1, 1}, bad[4] = {0, 0, NAN, 1};
  const float *values[] = {good};
  MOTE_EXPECT_OK(mote_trajectory_append(writer, 0, values));
  values[0] = bad;
  EXPECT_EQ(mote_trajectory_append(writer, 1, values), MOTE_ERROR_NUMERIC);
  EXPECT_NE(std::string(mote_last_error()).find("position of particle 1"), std::string::npos);
  MOTE_ASSERT_OK(mote_trajectory_finish(writer));
  Reader reader(folder.file("T.h5"));
  mote_trajectory_info info;
  MOTE_ASSERT_OK(mote_trajectory_get_info(reader, 0, &info));
  EXPECT_EQ(info.frames, 1);
}

TEST(trajectory, abort_leaves_the_old_file) {
  TemporaryFolder folder;
  std::ofstream(folder.file("T.h5")) << "old";
  mote_trajectory_options options = {};
  options.particles = 2;
  options.dim = 2;
  mote_trajectory_writer *writer;
  MOTE_ASSERT_OK(mote_trajectory_create(folder.file("T.h5").c_str(), &options, &writer));
  mote_trajectory_abort(writer);
  mote_trajectory_abort(nullptr);
  EXPECT_EQ(mote_test::slurp(folder.file("T.h5")), "old");
  EXPECT_EQ(mote_test::names_in(folder.path), std::vector<std::string>{"T.h5"});
}

TEST(trajectory, refuses_wrong_options) {
  TemporaryFolder folder;
  mote_trajectory_field fields[] = {{"position", 1, {3, 0}}, {"time", 0, {0, 0}}};
  mote_trajectory_options options = {};
  mote_trajectory_writer *writer;
  options.particles = 0, options.dim = 3;
  EXPECT_EQ(mote_trajectory_create(folder.file("T.h5").c_str(), &options, &writer), MOTE_ERROR_ARGUMENT);
  options.particles = 5, options.dim = 4;
  EXPECT_EQ(mote_trajectory_create(folder.file("T.h5").c_str(), &options, &writer), MOTE_ERROR_ARGUMENT);
  options.dim = 2, options.fields = fields, options.field_count = 1;
  EXPECT_EQ(mote_trajectory_create(folder.file("T.h5").c_str(), &options, &writer), MOTE_ERROR_ARGUMENT);
  options.dim = 3, options.field_count = 2;
  EXPECT_EQ(mote_trajectory_create(folder.file("T.h5").c_str(), &options, &writer), MOTE_ERROR_ARGUMENT);
  options.field_count = 1;
  EXPECT_EQ(mote_trajectory_create(folder.file("absent/T.h5").c_str(), &options, &writer), MOTE_ERROR_IO);
  EXPECT_NE(std::string(mote_last_error()).find("absent"), std::string::npos);
  EXPECT_EQ(mote_trajectory_create("/dev/null", &options, &writer), MOTE_ERROR_IO);
  EXPECT_TRUE(mote_test::names_in(folder.path).empty());
}

/* A file-size limit stands for the full disk: at whatever byte it strikes, an error, no file, the old one
   whole, and HDF5 says nothing on standard error, not even at the end of the process. */
TEST(trajectory, a_full_disk_is_an_error_and_leaves_nothing) {
  for (int64_t limit : {0, 100, 3000, 20000, 150000}) {
    TemporaryFolder folder;
    std::ofstream(folder.file("T.h5")) << "old";
    int pipe_fd[2];
    ASSERT_EQ(pipe(pipe_fd), 0);
    pid_t child = fork();
    if (child == 0) {
      omp_set_num_threads(1); /* the parent's threads are not in the child */
      dup2(pipe_fd[1], 2);
      struct rlimit most = {rlim_t(limit), rlim_t(limit)};
      setrlimit(RLIMIT_FSIZE, &most);
      mote_status status = write(folder.file("T.h5"), {2000, 3, 30}, 1, 1);
      std::string why = mote_last_error();
      bool said = why.find("T.h5") != std::string::npos && why.find("File too large") != std::string::npos;
      exit(status == MOTE_ERROR_IO && said ? 7 : 8); /* exit and not _exit: HDF5 ends itself too */
    }
    close(pipe_fd[1]);
    char text[512];
    std::string complaint;
    for (ssize_t got; (got = read(pipe_fd[0], text, sizeof text)) > 0;) complaint.append(text, got);
    close(pipe_fd[0]);
    int state;
    waitpid(child, &state, 0);
    EXPECT_TRUE(WIFEXITED(state) && WEXITSTATUS(state) == 7) << "limit " << limit << ", state " << state;
    EXPECT_EQ(complaint.find("HDF5"), std::string::npos) << complaint;
    EXPECT_EQ(mote_test::slurp(folder.file("T.h5")), "old");
    EXPECT_EQ(mote_test::names_in(folder.path), std::vector<std::string>{"T.h5"}) << "limit " << limit;
  }
}

TEST(trajectory, a_truly_full_disk) {
  TemporaryFolder folder;
  if (mount("tmpfs", folder.path.c_str(), "tmpfs", 0, "size=256k") != 0)
    GTEST_SKIP() << "no right to mount a small tmpfs";
  mote_status status = write(folder.file("T.h5"), {20000, 3, 5}, 1);
  std::string why = mote_last_error();
  auto names = mote_test::names_in(folder.path);
  umount(folder.path.c_str());
  EXPECT_EQ(status, MOTE_ERROR_IO);
  EXPECT_NE(why.find("No space left"), std::string::npos) << why;
  EXPECT_TRUE(names.empty());
}

/* kill -9 at many moments: the name holds the old bytes or the whole new file, and a second run succeeds
   beside the dead one's temporary. */
TEST(trajectory, a_killed_writer_leaves_old_or_whole) {
  TemporaryFolder folder;
  Motion motion = {4000, 3, 20};
  std::ofstream(folder.file("T.h5")) << "old";
  int killed = 0;
  for (int k = 0; k < 12; k++) {
    pid_t child = fork();
    if (child == 0) {
      omp_set_num_threads(1);
      write(folder.file("T.h5"), motion, 1);
      _exit(0);
    }
    usleep(3000 * (k + 1));
    kill(child, SIGKILL);
    int state;
    waitpid(child, &state, 0);
    killed += WIFSIGNALED(state);
    if (mote_test::slurp(folder.file("T.h5")) != "old") {
      expect_motion(folder.file("T.h5"), motion);
      std::ofstream(folder.file("T.h5")) << "old";
    }
  }
  EXPECT_GT(killed, 0);
  MOTE_ASSERT_OK(write(folder.file("T.h5"), motion, 1));
  expect_motion(folder.file("T.h5"), motion);
}

/* Readers and a writer at once: HDF5 itself is serial. */
TEST(trajectory, threads_may_read_and_write_at_once) {
  TemporaryFolder folder;
  Motion motion = {300, 2, 20};
  MOTE_ASSERT_OK(write(folder.file("T.h5"), motion, 1));
  std::vector<std::thread> threads;
  for (int k = 0; k < 3; k++)
    threads.emplace_back([&, k] {
      for (int round = 0; round < 5; round++)
        if (k == 0)
          MOTE_EXPECT_OK(write(folder.file("other.h5"), motion, 1));
        else
          expect_motion(folder.file("T.h5"), motion);
    });
  for (auto &thread : threads) thread.join();
}
