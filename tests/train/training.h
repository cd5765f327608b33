/* What the tests of trainings share: files whole, and a user who stops. */
#ifndef MOTE_TESTS_TRAIN_TRAINING_H
#define MOTE_TESTS_TRAIN_TRAINING_H

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

} // namespace mote_test
#endif
