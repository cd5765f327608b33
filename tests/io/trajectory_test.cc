/* Trajectory files: what is written is read back bit for bit, failures leave nothing. */
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
#include "tests/io/motion.h"

using mote_test::metadata_of;
using mote_test::Motion;
using mote_test::Reader;
using mote_test::TemporaryFolder;
using mote_test::write;
namespace fs = std::filesystem;

namespace {

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
