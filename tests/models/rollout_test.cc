/* Rollouts and single steps from file to file, on every device: sparse particles by the stepper, the others
   by the operator, on one stream. */
#include <mote/rollout.h>

#include "host/io/trajectory_merge.h"
#include "tests/models/stepping.h"
#include "tests/support/trajectories.h"

using namespace mote_test;

namespace {

const int kSide = 9, kParticles = kSide * kSide, kFrames = 10;

class Rollout : public OnDevice {};
MOTE_ON_DEVICES(Rollout);

/* A block that drifts and shears, and a 2-D model that hardly turns it. */
class Work {
public:
  explicit Work(double acceleration = 0, double stop = 0) : saved(variant(stop), metadata(acceleration)) {
    input = folder.file("input.h5");
    output = folder.file("output.h5");
    std::vector<int32_t> type(kParticles, 1);
    type[0] = type[kParticles - 1] = 3;
    write_trajectory(input, kFrames, kParticles, 2, type, [](int f, int i, int a) {
      float x = 0.2f + 0.05f * float(i % kSide), y = 0.2f + 0.05f * float(i / kSide);
      return a == 0 ? x + 0.004f * float(f) : y + 0.002f * float(f) * x;
    });
  }
  mote_rollout_job job(int64_t sparse) const {
    mote_rollout_job job = {};
    job.model = saved.folder.path.c_str();
    job.input = input.c_str();
    job.output = output.c_str();
    job.sampling.method = MOTE_SAMPLE_FARTHEST;
    job.sampling.count = sparse;
    job.reconstructs = 1;
    return job;
  }
  std::vector<float> frames(mote_trajectory_info *info) const {
    mote_trajectory_reader *reader = nullptr;
    MOTE_EXPECT_OK(mote_trajectory_open(output.c_str(), &reader));
    MOTE_EXPECT_OK(mote_trajectory_get_info(reader, 0, info));
    std::vector<float> x(size_t(info->frames * info->particles * info->dim));
    MOTE_EXPECT_OK(mote_trajectory_read_frames(reader, 0, "position", 0, info->frames, x.data()));
    mote_trajectory_close(reader);
    return x;
  }
  Saved saved;
  TemporaryFolder folder;
  std::string input, output;

private:
  static Checkpoint variant(double stop) {
    Checkpoint c = checkpoint("giorom2d_normalized");
    c.noise = 0;
    c.stop = stop;
    return c;
  }
  static mote_metadata metadata(double acceleration) {
    mote_metadata m = statistics(2);
    m.connectivity_radius = 0.15;
    for (int a = 0; a < 2; a++) {
      m.acceleration_mean[a] = a ? 0 : acceleration;
      m.acceleration_std[a] = 1e-4;
    }
    return m;
  }
};

std::vector<float> roll(const Work &work, const std::string &device_name, int64_t sparse,
                        mote_rollout_summary *summary) {
  Device device(device_name);
  mote_rollout_job job = work.job(sparse);
  mote_trajectory_info info = {};
  MOTE_EXPECT_OK(mote_rollout_trajectory(device.device, &job, nullptr, summary));
  EXPECT_EQ(mote_device_memory_use(device.device).bytes_now, 0u);
  std::vector<float> x = work.frames(&info);
  EXPECT_EQ(info.frames, kFrames);
  EXPECT_EQ(info.particles, kParticles);
  return x;
}

void same_everywhere(const std::string &device_name, int64_t sparse) {
  Work work;
  mote_rollout_summary here, there;
  std::vector<float> expected = roll(work, "cpu", sparse, &here), x = roll(work, device_name, sparse, &there);
  EXPECT_LE(relative_l2(x, expected), 1e-5);
  EXPECT_EQ(there.particles, kParticles);
  EXPECT_EQ(there.stepped, sparse ? sparse : kParticles);
  EXPECT_EQ(there.frames, kFrames);
  EXPECT_EQ(there.steps, kFrames - work.saved.checkpoint.window - 1);
  EXPECT_EQ(there.reconstructed, sparse ? there.steps : 0);
  EXPECT_EQ(there.edges, here.edges);
  EXPECT_GT(there.edges, there.stepped);
}

} // namespace

TEST_P(Rollout, AllParticles) {
  same_everywhere(GetParam(), 0);
}
TEST_P(Rollout, ASparseSetAndTheRest) {
  same_everywhere(GetParam(), 24);
}

/* Pushed into a wall, all but the kinematic particles stop where the model's do: those that it steps, and
   those that are reconstructed. */
TEST_P(Rollout, AllStopBeyondAWall) {
  const double push = 0.02;
  auto beyond = [](const std::vector<float> &x) {
    const float *last = x.data() + x.size() - 2 * size_t(kParticles);
    int count = 0;
    for (int i = 1; i < kParticles - 1; i++) count += last[2 * i] > 1.01f;
    return count;
  };
  mote_rollout_summary summary;
  EXPECT_EQ(0, beyond(roll(Work(push, 0.01), GetParam(), 24, &summary)));
  EXPECT_EQ(0, beyond(roll(Work(push, 0.01), GetParam(), 0, &summary)));
  EXPECT_GT(beyond(roll(Work(push), GetParam(), 24, &summary)), 10);
}

/* Each trajectory of a data set is rolled out as it would be alone, under its own name. */
TEST_P(Rollout, AllTrajectoriesOfAFile) {
  Work work;
  Device device(GetParam());
  const std::string alone = work.input, other = work.folder.file("other.h5"),
                    both = work.folder.file("both.h5");
  std::vector<int32_t> type(40, 1);
  write_trajectory(other, kFrames + 2, 40, 2, type, [](int f, int i, int a) {
    float x = 0.3f + 0.05f * float(i % 8), y = 0.25f + 0.05f * float(i / 8);
    return a == 0 ? x - 0.003f * float(f) : y + 0.001f * float(f * i % 7);
  });
  const char *files[] = {alone.c_str(), other.c_str()};
  mote_metadata metadata;
  mote_output merged;
  mote_trajectory_reader *first = nullptr;
  MOTE_ASSERT_OK(mote_trajectory_open(alone.c_str(), &first));
  MOTE_ASSERT_OK(mote_trajectory_read_metadata(first, &metadata));
  mote_trajectory_close(first);
  MOTE_ASSERT_OK(mote_trajectory_merge(both.c_str(), files, 2, &metadata, &merged));
  MOTE_ASSERT_OK(mote_output_commit(&merged, 1));
  std::vector<std::vector<float>> expected, found;
  for (const std::string &input : {alone, other, both}) {
    work.input = input;
    mote_rollout_job job = work.job(24);
    mote_rollout_summary summary;
    MOTE_ASSERT_OK(mote_rollout_trajectory(device.device, &job, nullptr, &summary));
    mote_trajectory_reader *reader = nullptr;
    MOTE_ASSERT_OK(mote_trajectory_open(work.output.c_str(), &reader));
    EXPECT_EQ(input == both ? 2 : 1, mote_trajectory_count(reader));
    for (int k = 0; k < mote_trajectory_count(reader); k++) {
      mote_trajectory_info info;
      MOTE_EXPECT_OK(mote_trajectory_get_info(reader, k, &info));
      std::vector<float> x(size_t(info.frames * info.particles * info.dim));
      MOTE_EXPECT_OK(mote_trajectory_read_frames(reader, k, "position", 0, info.frames, x.data()));
      (input == both ? found : expected).push_back(x);
    }
    mote_trajectory_close(reader);
    EXPECT_EQ(input == alone ? kFrames : input == other ? kFrames + 2 : 2 * kFrames + 2, summary.frames);
  }
  EXPECT_EQ(expected, found);
}

/* Whoever watches may end it: the file has the frames until then. */
TEST_P(Rollout, StopsWhenTold) {
  Work work;
  Device device(GetParam());
  mote_rollout_job job = work.job(24);
  mote_monitor monitor = {};
  monitor.progress = [](void *, const char *, const char *, long long done, long long all) {
    EXPECT_EQ(all, 6);
    return int(done == 2);
  };
  mote_rollout_summary summary;
  mote_trajectory_info info = {};
  MOTE_EXPECT_OK(mote_rollout_trajectory(device.device, &job, &monitor, &summary));
  EXPECT_EQ(summary.steps, 2);
  work.frames(&info);
  EXPECT_EQ(info.frames, 6);
}

TEST_P(Rollout, DivergesWithTheFramesBefore) {
  Work work(0.2); /* 0.004 + 0.2 k exceeds the domain's metre for k = 5 */
  Device device(GetParam());
  mote_rollout_job job = work.job(24);
  mote_rollout_summary summary;
  mote_trajectory_info info = {};
  EXPECT_EQ(mote_rollout_trajectory(device.device, &job, nullptr, &summary), MOTE_ERROR_NUMERIC);
  EXPECT_NE(std::string(mote_last_error()).find("step 5"), std::string::npos) << mote_last_error();
  EXPECT_EQ(mote_device_memory_use(device.device).bytes_now, 0u);
  for (float x : work.frames(&info)) EXPECT_TRUE(std::isfinite(x));
  EXPECT_EQ(info.frames, 4 + 4);
  EXPECT_EQ(summary.frames, 4 + 4);
}

TEST_P(Rollout, ASingleStep) {
  Work work;
  mote_step_job job = {};
  job.model = work.saved.folder.path.c_str();
  job.input = work.input.c_str();
  job.repeats = 3;
  mote_step_summary summary;
  Device device(GetParam());
  MOTE_EXPECT_OK(mote_step_trajectory(device.device, &job, &summary));
  EXPECT_EQ(summary.particles, kParticles);
  EXPECT_GT(summary.edges, kParticles);
  EXPECT_TRUE(summary.seconds > 0 && summary.first_seconds > 0);
  EXPECT_EQ(mote_device_memory_use(device.device).bytes_now, 0u);
}
