/* Small trajectories for tests. */
#ifndef MOTE_TESTS_SUPPORT_TRAJECTORIES_H
#define MOTE_TESTS_SUPPORT_TRAJECTORIES_H

#include <mote/trajectory.h>

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace mote_test {

/* Writes one trajectory of positions at(frame, particle, axis), in a domain from 0 to 1; `adjust` may change
   the metadata and the options. */
inline void
write_trajectory(const std::string &path, int frames, int n, int dim, const std::vector<int32_t> &type,
                 const std::function<float(int, int, int)> &at,
                 const std::function<void(mote_metadata &, mote_trajectory_options &)> &adjust = {}) {
  mote_metadata metadata = {};
  metadata.dim = dim;
  for (int k = 0; k < 3; k++) metadata.bounds[k][1] = 1;
  metadata.dt = 0.01;
  metadata.dx = 0.1;
  metadata.write_every = 1;
  metadata.sequence_length = frames;
  metadata.particle_count = n;
  metadata.connectivity_radius = 0.15;
  mote_trajectory_field field = {"position", 1, {dim, 0}};
  mote_trajectory_options options = {};
  options.particles = n;
  options.dim = dim;
  options.field_count = 1;
  options.fields = &field;
  options.particle_type = type.data();
  options.compression = 1;
  options.metadata = &metadata;
  if (adjust) adjust(metadata, options);
  mote_trajectory_writer *writer = nullptr;
  ASSERT_EQ(MOTE_OK, mote_trajectory_create(path.c_str(), &options, &writer)) << mote_last_error();
  std::vector<float> frame(size_t(n) * dim);
  for (int f = 0; f < frames; f++) {
    for (int i = 0; i < n * dim; i++) frame[i] = at(f, i / dim, i % dim);
    const float *values = frame.data();
    ASSERT_EQ(MOTE_OK, mote_trajectory_append(writer, metadata.dt * metadata.write_every * f, &values))
        << mote_last_error();
  }
  ASSERT_EQ(MOTE_OK, mote_trajectory_finish(writer)) << mote_last_error();
}

} // namespace mote_test
#endif
