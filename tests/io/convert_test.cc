/* Conversions: HDF5 to NPZ and back is exact, ranges of frames, what is refused. */
#include "tests/io/sample.h"

using mote_test::TemporaryFolder;
using namespace mote_test::sample;

namespace {

struct Warnings {
  std::vector<std::string> lines;
  mote_monitor monitor = {[](void *user, mote_log_level, const char *line) {
                            static_cast<Warnings *>(user)->lines.push_back(line);
                          },
                          nullptr, this};
};

} // namespace

TEST(convert, hdf5_to_npz_and_back_is_exact) {
  for (int dim : {2, 3})
    for (int compression : {-1, 4}) {
      TemporaryFolder folder;
      write(folder.file("a.h5"), dim);
      mote_convert_options options = all();
      options.compression = compression;
      Warnings warnings;
      MOTE_ASSERT_OK(mote_convert(folder.file("a.h5").c_str(), folder.file("b.npz").c_str(), &options,
                                  &warnings.monitor));
      EXPECT_EQ(warnings.lines.size(), 8u)
          << "velocity, stress, energy and material are named, for each trajectory";
      MOTE_ASSERT_OK(
          mote_convert(folder.file("b.npz").c_str(), folder.file("c.h5").c_str(), &options, nullptr));
      for (int k = 0; k < 2; k++)
        EXPECT_EQ(positions(folder.file("a.h5"), k), positions(folder.file("c.h5"), k));
      mote_trajectory_reader *reader;
      MOTE_ASSERT_OK(mote_trajectory_open(folder.file("c.h5").c_str(), &reader));
      std::vector<int32_t> type(kParticles);
      MOTE_EXPECT_OK(mote_trajectory_read_labels(reader, 0, "particle_type", type.data()));
      EXPECT_EQ(type[0], MOTE_TYPE_KINEMATIC);
      EXPECT_EQ(type[1], MOTE_TYPE_SAND);
      mote_metadata m;
      MOTE_EXPECT_OK(mote_trajectory_read_metadata(reader, &m));
      EXPECT_EQ(m.bounds[0][0], -1);
      EXPECT_EQ(m.write_every, 5);
      mote_trajectory_close(reader);
    }
}

TEST(convert, takes_ranges_of_frames) {
  TemporaryFolder folder;
  write(folder.file("a.h5"), 2);
  mote_convert_options options = {};
  MOTE_ASSERT_OK(mote_frame_range_parse("1:-1:2", &options.frames)); /* 1, 3, 5 */
  MOTE_ASSERT_OK(mote_convert(folder.file("a.h5").c_str(), folder.file("b.h5").c_str(), &options, nullptr));
  int64_t frames;
  std::vector<float> x = positions(folder.file("b.h5"), 0, &frames);
  ASSERT_EQ(frames, 3);
  EXPECT_EQ(x[0], value(1, 0));
  EXPECT_EQ(x[2 * kParticles * 2], value(5, 0));
  mote_trajectory_reader *reader;
  MOTE_ASSERT_OK(mote_trajectory_open(folder.file("b.h5").c_str(), &reader));
  mote_metadata m;
  MOTE_EXPECT_OK(mote_trajectory_read_metadata(reader, &m));
  EXPECT_EQ(m.write_every, 10);
  double times[3];
  MOTE_EXPECT_OK(mote_trajectory_read_times(reader, 0, 0, 3, times));
  EXPECT_DOUBLE_EQ(times[2], 0.025);
  EXPECT_EQ(mote_trajectory_field_width(reader, 0, "stress"), 4) << "other fields come along";
  mote_trajectory_close(reader);
  options.trajectory = 2;
  EXPECT_EQ(mote_convert(folder.file("a.h5").c_str(), folder.file("d.h5").c_str(), &options, nullptr),
            MOTE_ERROR_ARGUMENT);
}

TEST(convert, frame_ranges_are_those_of_python) {
  struct {
    const char *text;
    int64_t first, count, step;
  } cases[] = {{"::", 0, 10, 1},    {"3", 3, 1, 1},     {"-1", 9, 1, 1},    {"2:5", 2, 3, 1},
               {"::3", 0, 4, 3},    {"-4::2", 6, 2, 2}, {"8:100", 8, 2, 1}, {"5:2", 5, 0, 1},
               {"-100:2", 0, 2, 1}, {"7:8:9", 7, 1, 9}};
  for (auto &c : cases) {
    mote_frame_range range;
    int64_t first, count, step;
    MOTE_ASSERT_OK(mote_frame_range_parse(c.text, &range));
    mote_frame_range_resolve(&range, 10, &first, &count, &step);
    EXPECT_EQ(count, c.count) << c.text;
    EXPECT_EQ(step, c.step) << c.text;
    if (count) {
      EXPECT_EQ(first, c.first) << c.text;
    }
  }
  for (const char *text : {"", "a", "1:2:0", "1:2:3:4", "1:2:-1", "1-2", "99999999999999999999"}) {
    mote_frame_range range;
    EXPECT_EQ(mote_frame_range_parse(text, &range), MOTE_ERROR_ARGUMENT) << text;
  }
}

TEST(convert, xdmf_and_series_are_well_formed) {
  TemporaryFolder folder;
  if (!python_has(folder, "xml.etree.ElementTree")) GTEST_SKIP() << "python3 is not installed";
  write(folder.file("a & <b>.h5"), 3, 1);
  mote_convert_options options = {};
  MOTE_ASSERT_OK(
      mote_convert(folder.file("a & <b>.h5").c_str(), folder.file("s & t.pvd").c_str(), &options, nullptr));
  std::string said;
  int code = mote_test::python(folder.path, R"(
import os, xml.etree.ElementTree as E
root = E.parse('a & <b>.xdmf').getroot()
collections = root.findall('./Domain/Grid')
assert [len(c.findall('Grid')) for c in collections] == [7, 4]
for item in root.iter('DataItem'):
    if item.get('Format') == 'HDF':
        file, path = item.text.split(':')
        assert os.path.exists(file) and path.startswith('/0000'), item.text
sets = E.parse('s & t.pvd').getroot().findall('./Collection/DataSet')
assert len(sets) == 7 and all(os.path.exists(s.get('file')) for s in sets), [s.get('file') for s in sets]
assert abs(float(sets[2].get('timestep')) - 0.01) < 1e-12
)",
                               &said);
  EXPECT_EQ(code, 0) << said;
}

TEST(convert, refuses_what_it_cannot_write) {
  TemporaryFolder folder;
  write(folder.file("a.h5"), 2);
  auto before = mote_test::names_in(folder.path);
  EXPECT_EQ(mote_convert(folder.file("a.h5").c_str(), folder.file("b.xyz").c_str(), nullptr, nullptr),
            MOTE_ERROR_UNSUPPORTED);
  EXPECT_EQ(mote_convert(folder.file("a.xyz").c_str(), folder.file("b.h5").c_str(), nullptr, nullptr),
            MOTE_ERROR_UNSUPPORTED);
  mote_convert_options options = all();
  EXPECT_EQ(mote_convert(folder.file("a.h5").c_str(), folder.file("b.ply").c_str(), &options, nullptr),
            MOTE_ERROR_ARGUMENT);
  options = {};
  MOTE_ASSERT_OK(mote_frame_range_parse("50:60", &options.frames));
  EXPECT_EQ(mote_convert(folder.file("a.h5").c_str(), folder.file("b.npz").c_str(), &options, nullptr),
            MOTE_ERROR_ARGUMENT);
  mote_monitor stop = {};
  stop.progress = [](void *, const char *, const char *, long long done, long long) {
    return int(done == 3);
  };
  for (const char *name : {"b.h5", "b.npz", "b.ply", "b.pvd"})
    MOTE_EXPECT_OK(mote_convert(folder.file("a.h5").c_str(), folder.file(name).c_str(), nullptr, &stop));
  EXPECT_EQ(mote_test::names_in(folder.path), before) << "nothing is left of what was refused or stopped";
}

TEST(convert, describes_files) {
  TemporaryFolder folder;
  write(folder.file("a.h5"), 3);
  char *text;
  MOTE_ASSERT_OK(mote_describe(folder.file("a.h5").c_str(), nullptr, &text));
  std::string said = text;
  free(text);
  for (const char *part :
       {"2 trajectories", "7 frames of 60 particles in 3-D", "velocity", "(7, 60, 3, 3)", "particle_type",
        "3: 20, 6: 40", "[-1, 1] x [-1, 1]", "0.001 s", "velocity deviation"})
    EXPECT_NE(said.find(part), std::string::npos) << part << " in\n" << said;
  MOTE_ASSERT_OK(mote_describe(folder.file("metadata.json").c_str(), nullptr, &text));
  EXPECT_NE(std::string(text).find("bounds"), std::string::npos);
  free(text);
  EXPECT_EQ(mote_describe(folder.file("absent.h5").c_str(), nullptr, &text), MOTE_ERROR_IO);
  EXPECT_EQ(mote_describe(folder.path.c_str(), nullptr, &text), MOTE_OK);
  free(text);
  EXPECT_EQ(mote_describe(folder.file("a.txt").c_str(), nullptr, &text), MOTE_ERROR_UNSUPPORTED);
  MOTE_REQUIRE_SHARED(model, "oracles/giorom3d_published");
  MOTE_ASSERT_OK(mote_describe(model.c_str(), nullptr, &text));
  said = text;
  free(text);
  for (const char *part : {"2387669 parameters", "connectivity radius", "latent_grid_dim"})
    EXPECT_NE(said.find(part), std::string::npos) << part;
}
