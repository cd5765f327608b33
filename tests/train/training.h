/* What the tests of trainings share: files whole, a user who stops, and what holds for every kind. */
#ifndef MOTE_TESTS_TRAIN_TRAINING_H
#define MOTE_TESTS_TRAIN_TRAINING_H

#include <mote/train.h>
#include <mote/trajectory.h>

#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "tests/support/testing.h"

namespace mote_test {

/* Returns the path. */
inline std::string write(const std::string &path, const std::string &text) {
  std::ofstream(path) << text;
  return path;
}

inline std::string bytes(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

/* Asks to stop once `limit` of what is counted (steps, samples) are done. */
struct Stopper {
  long long limit;
  static int progress(void *user, const char *, const char *, long long done, long long) {
    return done >= static_cast<Stopper *>(user)->limit;
  }
};

/* A split of 2-D trajectories: coordinate k = 2 i + axis of frame f of trajectory t is at(t, f, k); `adjust`
   may change metadata and options. Writes metadata.json beside it. */
inline void write_split(const std::string &path, int count, int frames, int particles,
                        const std::vector<int32_t> &type, const std::function<float(int, int, int)> &at,
                        const std::function<void(mote_metadata &, mote_trajectory_options &)> &adjust) {
  mote_metadata metadata = {};
  metadata.dim = 2;
  for (int k = 0; k < 3; k++) metadata.bounds[k][1] = 1;
  metadata.dt = 0.01, metadata.write_every = 1, metadata.sequence_length = frames;
  metadata.particle_count = particles, metadata.connectivity_radius = 0.12;
  mote_trajectory_field field = {"position", 1, {2, 0}};
  mote_trajectory_options options = {};
  options.particles = particles, options.dim = 2, options.field_count = 1, options.fields = &field;
  options.particle_type = type.data(), options.metadata = &metadata;
  adjust(metadata, options);
  mote_trajectory_writer *writer = nullptr;
  MOTE_ASSERT_OK(mote_trajectory_create(path.c_str(), &options, &writer));
  for (int t = 0; t < count; t++) {
    if (t) {
      MOTE_ASSERT_OK(mote_trajectory_next(writer, &options));
    }
    for (int f = 0; f < frames; f++) {
      std::vector<float> frame(size_t(particles) * 2);
      for (int k = 0; k < particles * 2; k++) frame[k] = at(t, f, k);
      const float *values = frame.data();
      MOTE_ASSERT_OK(mote_trajectory_append(writer, 0.01 * f, &values));
    }
  }
  MOTE_ASSERT_OK(mote_trajectory_finish(writer));
}

/* Keeps the metadata of valid.h5, written first, out of the way of those of train.h5. */
inline void set_aside(const std::string &folder) {
  ASSERT_EQ(0, std::rename((folder + "/metadata.json").c_str(), (folder + "/valid.metadata.json").c_str()));
}

/* Trainings in a folder of their own, the files of whose models and states are `files`. */
class Training : public ::testing::Test {
protected:
  explicit Training(std::vector<const char *> its_files) : files(std::move(its_files)) {}
  mote_train_summary train(const std::string &text, const std::string &model, int threads = 1, int resume = 0,
                           long long stop = 1 << 30, const char *device = "cpu", const char *from = nullptr) {
    std::string run = write(folder.file("run.yaml"), text);
    Stopper stopper = {stop};
    mote_monitor monitor = {nullptr, Stopper::progress, &stopper};
    mote_train_options options = {};
    options.device = device, options.threads = threads, options.resume = resume, options.from = from;
    mote_train_summary summary = {};
    MOTE_EXPECT_OK(mote_train(run.c_str(), folder.file(model).c_str(), &options, &monitor, &summary));
    return summary;
  }
  void expect_same(const std::string &a, const std::string &b) {
    for (const char *name : files) {
      EXPECT_FALSE(bytes(folder.file(a + name)).empty()) << name;
      EXPECT_TRUE(bytes(folder.file(a + name)) == bytes(folder.file(b + name))) << name;
    }
  }
  void expect_error(const std::string &text, mote_status status, const std::string &words,
                    const char *from = nullptr) {
    std::string run = write(folder.file("run.yaml"), text);
    mote_train_options options = {};
    options.device = "cpu", options.from = from;
    EXPECT_EQ(status, mote_train(run.c_str(), folder.file("model").c_str(), &options, nullptr, nullptr));
    EXPECT_NE(std::string(mote_last_error()).find(words), std::string::npos) << mote_last_error();
  }
  /* Whatever the number of host threads, on all devices but the emulated one, which takes one. */
  void threads_do_not_matter(const std::string &text) {
    for (const std::string &device : devices()) {
      SCOPED_TRACE(device);
      if (device == "emu") continue;
      for (int threads : {1, 2, 3})
        train(text, device + std::to_string(threads), threads, 0, 1 << 30, device.c_str());
      expect_same(device + "1", device + "2");
      expect_same(device + "1", device + "3");
    }
  }
  /* Stopped after `early` samples, where nothing else happens; and, `late`, between two saves as if killed:
     the state is then an older one. */
  void resumes_to_the_same_bits(const std::string &text, long long early, long long middle, long long late) {
    mote_train_summary whole = train(text, "whole");
    train(text, "broken", 1, 0, early);
    train(text, "broken", 2, 1, middle);
    std::string state = bytes(folder.file("broken/state.safetensors"));
    train(text, "broken", 1, 1, late);
    write(folder.file("broken/state.safetensors"), state);
    mote_train_summary resumed = train(text, "broken", 1, 1);
    EXPECT_EQ(resumed.steps, whole.steps);
    EXPECT_EQ(resumed.validation, whole.validation);
    expect_same("whole", "broken");
  }
  const std::vector<const char *> files;
  TemporaryFolder folder;
};

} // namespace mote_test
#endif
