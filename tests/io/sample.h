/* A file of two trajectories with every kind of field, for conversions; and whether Python has a module. */
#ifndef MOTE_TESTS_IO_SAMPLE_H
#define MOTE_TESTS_IO_SAMPLE_H

#include <cmath>
#include <string>
#include <vector>

#include <mote/convert.h>
#include <mote/trajectory.h>

#include "tests/io/files.h"
#include "tests/support/testing.h"

namespace mote_test::sample {

const int64_t kParticles = 60;

inline float value(int t, int64_t k) {
  return float(std::sin(0.3 * double(k) + 0.7 * t));
}

/* Two trajectories of 7 and 4 frames in `dim` dimensions with velocity and a matrix field. */
inline void write(const std::string &path, int dim, int xdmf = 0) {
  mote_trajectory_field fields[] = {
      {"position", 1, {dim, 0}}, {"velocity", 1, {dim, 0}}, {"stress", 2, {dim, dim}}, {"energy", 0, {0, 0}}};
  mote_metadata m = {};
  m.dim = dim;
  for (int d = 0; d < dim; d++) m.bounds[d][0] = -1, m.bounds[d][1] = 1;
  m.dt = 0.001;
  m.write_every = 5;
  std::vector<int32_t> type(kParticles), material(kParticles, 2);
  for (int64_t i = 0; i < kParticles; i++) type[i] = i % 3 ? MOTE_TYPE_SAND : MOTE_TYPE_KINEMATIC;
  mote_trajectory_options options = {};
  options.particles = kParticles;
  options.dim = dim;
  options.field_count = 4;
  options.fields = fields;
  options.particle_type = type.data();
  options.material = material.data();
  options.compression = 1;
  options.metadata = &m;
  options.write_xdmf = xdmf;
  mote_trajectory_writer *writer;
  MOTE_ASSERT_OK(mote_trajectory_create(path.c_str(), &options, &writer));
  for (int frames : {7, 4}) {
    if (frames == 4) {
      MOTE_ASSERT_OK(mote_trajectory_next(writer, &options));
    }
    for (int t = 0; t < frames; t++) {
      std::vector<float> x(kParticles * dim), v(kParticles * dim), s(kParticles * dim * dim), e(kParticles);
      for (size_t k = 0; k < x.size(); k++) x[k] = value(t, k), v[k] = 10 + value(t, k);
      for (size_t k = 0; k < s.size(); k++) s[k] = 20 + value(t, k);
      for (size_t k = 0; k < e.size(); k++) e[k] = 30 + value(t, k);
      const float *values[] = {x.data(), v.data(), s.data(), e.data()};
      MOTE_ASSERT_OK(mote_trajectory_append(writer, 0.005 * t, values));
    }
  }
  MOTE_ASSERT_OK(mote_trajectory_finish(writer));
}

inline std::vector<float> positions(const std::string &path, int index, int64_t *frames = nullptr) {
  mote_trajectory_reader *reader;
  EXPECT_EQ(MOTE_OK, mote_trajectory_open(path.c_str(), &reader)) << mote_last_error();
  mote_trajectory_info info = {};
  MOTE_EXPECT_OK(mote_trajectory_get_info(reader, index, &info));
  std::vector<float> x(size_t(info.frames * info.particles * info.dim));
  MOTE_EXPECT_OK(mote_trajectory_read_frames(reader, index, "position", 0, info.frames, x.data()));
  if (frames) *frames = info.frames;
  mote_trajectory_close(reader);
  return x;
}

inline bool python_has(const TemporaryFolder &folder, const std::string &module,
                       const char *python = "python3") {
  return mote_test::python(folder.path, "import " + module + "\n", nullptr, python) == 0;
}

inline mote_convert_options all() {
  mote_convert_options options = {};
  options.all_trajectories = 1;
  return options;
}

} // namespace mote_test::sample

#endif
