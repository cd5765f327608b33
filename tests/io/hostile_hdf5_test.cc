/* Hostile HDF5: files built through HDF5's own interface that are wrong in one thing each, truncated at every
   place, and with random bytes changed. Each gives a clear error or a sound result, and never follows a path
   out of the file. */
#include <omp.h>
#include <random>
#include <sys/wait.h>
#include <unistd.h>

#include <hdf5.h>
#include <mote/trajectory.h>

#include "tests/io/files.h"
#include "tests/io/hostile.h"

using mote_test::TemporaryFolder;
using namespace mote_test::hostile;

TEST(hostile_hdf5, sound_files_of_others_are_read) {
  TemporaryFolder folder;
  std::string path = folder.file("f.h5");
  {
    File f(path);
    put(f.group, "position", {4, 5, 3}, H5T_IEEE_F64BE);
    put(f.group, "particle_type", {5}, H5T_STD_I64BE);
    put(f.group, "energy", {4, 5}, H5T_IEEE_F32LE, [](hid_t l) {
      chunked(l, {3, 4});
      H5Pset_shuffle(l);
      H5Pset_deflate(l, 9);
    });
  }
  MOTE_EXPECT_OK(read_all(path));
}

TEST(hostile_hdf5, wrong_shapes_and_types) {
  TemporaryFolder folder;
  std::string path = folder.file("f.h5");
  std::vector<std::vector<hsize_t>> shapes = {{},        {4},          {4, 5},         {4, 5, 4},
                                              {4, 5, 1}, {4, 5, 3, 1}, {1, 1, 1, 1, 3}};
  for (auto &shape : shapes) {
    {
      File f(path);
      put(f.group, "position", shape);
    }
    expect_refused(path, MOTE_ERROR_FORMAT, "position");
  }
  for (hid_t type : {H5T_STD_I32LE, H5T_STD_U8LE}) {
    {
      File f(path);
      put(f.group, "position", {4, 5, 3}, type);
    }
    expect_refused(path, MOTE_ERROR_FORMAT, "position");
  }
  {
    File f(path);
    hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, 12);
    put(f.group, "position", {4, 5, 3}, text, nullptr, false);
    H5Tclose(text);
  }
  expect_refused(path, MOTE_ERROR_FORMAT, "numbers");
  {
    File f(path);
    put(f.group, "position", {0, 5, 3}, H5T_IEEE_F32LE, nullptr, false);
  }
  expect_refused(path, MOTE_ERROR_FORMAT, "empty");
  {
    File f(path);
    put(f.group, "position", {4, 5, 3});
    put(f.group, "particle_type", {6}, H5T_STD_I32LE);
  }
  expect_refused(path, MOTE_ERROR_FORMAT, "5 integers");
  {
    File f(path);
    H5Gclose(H5Gcreate2(f.group, "position", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  }
  expect_refused(path, MOTE_ERROR_FORMAT, "position");
  { File f(path); }
  expect_refused(path, MOTE_ERROR_FORMAT, "no trajectory");
}

/* Sizes that only the header claims: refused before a byte is allocated for them. */
TEST(hostile_hdf5, absurd_sizes) {
  TemporaryFolder folder;
  std::string path = folder.file("f.h5");
  struct {
    std::vector<hsize_t> size, chunk;
  } cases[] = {{{1000000000, 1000000, 3}, {1, 1000, 3}},
               {{hsize_t(1) << 62, 2, 3}, {1, 2, 3}},
               {{hsize_t(1) << 40, hsize_t(1) << 40, 3}, {1, 2, 3}},
               {{10, 2000000000, 3}, {1, 300000000, 1}},
               {{10, hsize_t(1) << 33, 2}, {1, 1000, 2}},
               {{1000, 1000, 3}, {1000, 1000, 3}}};
  for (auto &c : cases) {
    {
      File f(path);
      put(
          f.group, "position", c.size, H5T_IEEE_F32LE,
          [&](hid_t l) {
            chunked(l, c.chunk);
            H5Pset_deflate(l, 1);
          },
          false);
    }
    ASSERT_LT(std::filesystem::file_size(path), 20000u);
    EXPECT_EQ(read_all(path), MOTE_ERROR_FORMAT) << mote_last_error();
  }
  {
    File f(path);
    put(f.group, "position", {100000, 1000, 3}, H5T_IEEE_F32LE, nullptr,
        false); /* contiguous, never written */
  }
  expect_refused(path, MOTE_ERROR_FORMAT, "stored");
}

TEST(hostile_hdf5, nothing_outside_the_file_is_followed) {
  TemporaryFolder folder;
  std::string path = folder.file("f.h5"), other = folder.file("other.h5");
  {
    File f(other);
    put(f.group, "position", {4, 5, 3});
  }
  mote_test::spill(folder.file("raw"), std::string(4 * 5 * 3 * 4, '\0'));
  {
    File f(path);
    H5Lcreate_external(other.c_str(), "/00000/position", f.group, "position", H5P_DEFAULT, H5P_DEFAULT);
  }
  expect_refused(path, MOTE_ERROR_FORMAT, "link");
  {
    File f(path);
    H5Lcreate_external(other.c_str(), "/00000", f.id, "00001", H5P_DEFAULT, H5P_DEFAULT);
  }
  expect_refused(path, MOTE_ERROR_FORMAT, "no trajectory");
  {
    File f(path);
    std::string raw = folder.file("raw");
    put(
        f.group, "position", {4, 5, 3}, H5T_IEEE_F32LE,
        [&](hid_t l) { H5Pset_external(l, raw.c_str(), 0, 4 * 5 * 3 * 4); }, false);
  }
  expect_refused(path, MOTE_ERROR_FORMAT, "another file");
  {
    File f(path);
    put(
        f.group, "position", {4, 5, 3}, H5T_IEEE_F32LE,
        [&](hid_t l) {
          hsize_t size[] = {4, 5, 3};
          hid_t space = H5Screate_simple(3, size, nullptr);
          H5Pset_virtual(l, space, other.c_str(), "/00000/position", space);
          H5Sclose(space);
        },
        false);
  }
  expect_refused(path, MOTE_ERROR_FORMAT, "another file");
}

TEST(hostile_hdf5, cycles_of_links_end) {
  TemporaryFolder folder;
  std::string path = folder.file("f.h5");
  {
    File f(path);
    put(f.group, "position", {4, 5, 3});
    H5Lcreate_hard(f.id, "/", f.group, "up", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_hard(f.id, "/00000", f.group, "self", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_hard(f.id, "/", f.id, "root", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/loop", f.id, "loop", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/nowhere", f.id, "dangling", H5P_DEFAULT, H5P_DEFAULT);
    for (int k = 0; k < 200; k++)
      H5Lcreate_hard(f.group, "position", f.group, ("more" + std::to_string(k)).c_str(), H5P_DEFAULT,
                     H5P_DEFAULT);
  }
  MOTE_EXPECT_OK(read_all(path));
  {
    File f(path);
    H5Lcreate_soft("position", f.group, "position", H5P_DEFAULT, H5P_DEFAULT);
  }
  expect_refused(path, MOTE_ERROR_FORMAT, "link");
}

TEST(hostile_hdf5, metadata_attributes) {
  TemporaryFolder folder;
  std::string path = folder.file("f.h5");
  for (int kind = 0; kind < 5; kind++) {
    {
      File f(path);
      put(f.group, "position", {4, 5, 3});
      hid_t type = kind == 0 ? H5Tcopy(H5T_STD_I32LE) : H5Tcopy(H5T_C_S1);
      hsize_t two = 2;
      hid_t space = kind == 1 ? H5Screate_simple(1, &two, nullptr) : H5Screate(H5S_SCALAR);
      const char *text = kind == 4 ? "{\"bounds\": [[0, 1], [0, 1], [0, 1]]}" : "{\"bounds\": 3}";
      if (kind == 2 || kind == 4)
        H5Tset_size(type, H5T_VARIABLE);
      else if (kind)
        H5Tset_size(type, 13);
      hid_t attribute = H5Acreate2(f.id, "metadata", type, space, H5P_DEFAULT, H5P_DEFAULT);
      char fixed[26] = "{\"bounds\": 3";
      int32_t number = 7;
      H5Awrite(attribute, type,
               kind == 0                ? (const void *)&number
               : kind == 2 || kind == 4 ? (const void *)&text
                                        : fixed);
      H5Aclose(attribute);
      H5Sclose(space);
      H5Tclose(type);
    }
    mote_trajectory_reader *reader;
    MOTE_ASSERT_OK(mote_trajectory_open(path.c_str(), &reader));
    mote_metadata m;
    mote_status status = mote_trajectory_read_metadata(reader, &m);
    /* Only a string of fixed length is looked at. */
    mote_status expected[] = {MOTE_ERROR_IO, MOTE_ERROR_IO, MOTE_ERROR_IO, MOTE_ERROR_FORMAT, MOTE_ERROR_IO};
    EXPECT_EQ(status, expected[kind]) << kind << ": " << mote_last_error();
    mote_trajectory_close(reader);
  }
}

/* ---- Bytes ---- */

namespace {

std::string small_file(const TemporaryFolder &folder) {
  std::string path = folder.file("seed.h5");
  mote_trajectory_field fields[] = {{"position", 1, {2, 0}}, {"velocity", 1, {2, 0}}};
  mote_trajectory_options options = {};
  options.particles = 30;
  options.dim = 2;
  options.field_count = 2;
  options.fields = fields;
  options.compression = 6;
  options.metadata_path = "";
  mote_trajectory_writer *writer;
  EXPECT_EQ(mote_trajectory_create(path.c_str(), &options, &writer), MOTE_OK);
  for (int t = 0; t < 5; t++) {
    std::vector<float> x(60, float(t));
    const float *values[] = {x.data(), x.data()};
    MOTE_EXPECT_OK(mote_trajectory_append(writer, t, values));
  }
  MOTE_EXPECT_OK(mote_trajectory_finish(writer));
  return mote_test::slurp(path);
}

/* Runs in a child, so that one crash is one failure with its number. 0, or the signal. */
int in_child(const std::function<void()> &work) {
  pid_t child = fork();
  if (child == 0) {
    omp_set_num_threads(1);
    alarm(60);
    work();
    _exit(0);
  }
  int state;
  waitpid(child, &state, 0);
  return WIFSIGNALED(state) ? WTERMSIG(state) : WEXITSTATUS(state);
}

} // namespace

TEST(hostile_hdf5, truncated_anywhere) {
  TemporaryFolder folder;
  mote_test::ScratchFile scratch("t.h5");
  std::string seed = small_file(folder), path = scratch.path;
  MOTE_EXPECT_OK(read_all(folder.file("seed.h5")));
  ASSERT_GT(seed.size(), 2000u);
  for (size_t size = 0; size < seed.size(); size += 1 + seed.size() / 150) {
    mote_test::spill(path, seed.substr(0, size));
    EXPECT_EQ(read_all(path), MOTE_ERROR_FORMAT) << size << " of " << seed.size();
    EXPECT_NE(std::string(mote_last_error()).find("t.h5"), std::string::npos) << mote_last_error();
  }
}

/* Two thousand files with one to eight bytes changed: any answer but a crash, a hang or a wild allocation. */
TEST(hostile_hdf5, changed_bytes) {
  TemporaryFolder folder;
  mote_test::ScratchFile scratch("m.h5");
  std::string seed = small_file(folder), path = scratch.path;
  const int batches = 20, files = 100;
  for (int batch = 0; batch < batches; batch++) {
    int code = in_child([&] {
      for (int k = 0; k < files; k++) {
        std::mt19937 random(batch * files + k);
        std::string bytes = seed;
        for (int changes = 1 + random() % 8; changes > 0; changes--) {
          size_t at = random() % bytes.size();
          bytes[at] = random() % 3 ? char(random()) : char(bytes[at] ^ (1 << random() % 8));
        }
        mote_test::spill(path, bytes);
        read_all(path);
      }
    });
    EXPECT_EQ(code, 0) << "seeds " << batch * files << " to " << batch * files + files - 1;
  }
}
