/* Trajectories that tests write: particles that drift and shake, the same numbers each time. */
#ifndef MOTE_TESTS_IO_MOTION_H
#define MOTE_TESTS_IO_MOTION_H

#include <cmath>
#include <string>
#include <vector>

#include <mote/trajectory.h>

#include "tests/support/testing.h"

namespace mote_test {

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

inline mote_metadata metadata_of(int dim) {
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

inline mote_status write(const std::string &path, const Motion &motion, int compression, int xdmf = 0) {
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

} // namespace mote_test

#endif
