/* NPZ under changed bytes, and archives and pickles that lie. Real numpy is in convert_test.cc. */
#include "tests/support/testing.h"

#include <cstring>
#include <random>

#include "host/io/npy.h"
#include "host/io/npz.h"
#include "tests/io/files.h"

using mote_test::slurp;
using mote_test::spill;
using mote_test::TemporaryFolder;

namespace {

const mote_trajectory_info kInfo = {6, 10, 3};

void write(const std::string &path, int level, int trajectories = 2) {
  mote_output output;
  MOTE_ASSERT_OK(mote_output_open(path.c_str(), &output));
  mote_zip_writer zip = {};
  zip.output = &output;
  zip.level = level;
  std::vector<float> x(30);
  std::vector<int32_t> type(10, 6);
  for (int k = 0; k < trajectories; k++) {
    MOTE_ASSERT_OK(mote_npz_begin(&zip, ("t" + std::to_string(k)).c_str(), kInfo));
    for (int t = 0; t < 6; t++) {
      for (int i = 0; i < 30; i++) x[i] = float(i + 100 * t + 1000 * k);
      MOTE_ASSERT_OK(mote_npz_frame(&zip, kInfo, x.data()));
    }
    MOTE_ASSERT_OK(mote_npz_end(&zip, kInfo, type.data()));
  }
  MOTE_ASSERT_OK(mote_zip_finish(&zip));
  mote_zip_release(&zip);
  MOTE_ASSERT_OK(mote_output_commit(&output, 1));
}

mote_status read_all(const std::string &path) {
  mote_npz *npz;
  mote_status status = mote_npz_open(path.c_str(), &npz);
  if (status != MOTE_OK) return status;
  for (int k = 0; k < mote_npz_count(npz) && status == MOTE_OK; k++) {
    mote_npz_trajectory t;
    status = mote_npz_read(npz, k, &t);
    mote_npz_release(&t);
  }
  mote_npz_close(npz);
  return status;
}

mote_status unpickle(const std::string &bytes) {
  mote_pickle *pickle;
  const mote_value *root;
  mote_status status =
      mote_pickle_read(&mote_pickle_numpy, "p", reinterpret_cast<const unsigned char *>(bytes.data()),
                       bytes.size(), &pickle, &root);
  if (status == MOTE_OK) mote_pickle_free(pickle);
  return status;
}

} // namespace

TEST(npz, reads_back_what_was_written) {
  TemporaryFolder folder;
  for (int level : {0, 6}) {
    write(folder.file("a.npz"), level);
    mote_npz *npz;
    MOTE_ASSERT_OK(mote_npz_open(folder.file("a.npz").c_str(), &npz));
    ASSERT_EQ(mote_npz_count(npz), 2);
    EXPECT_STREQ(mote_npz_name(npz, 1), "t1");
    mote_npz_trajectory t;
    MOTE_ASSERT_OK(mote_npz_read(npz, 1, &t));
    EXPECT_EQ(t.info.frames, 6);
    for (int k = 0; k < 180; k++) EXPECT_EQ(t.position[k], float(k % 30 + 100 * (k / 30) + 1000));
    EXPECT_EQ(t.particle_type[9], 6);
    mote_npz_release(&t);
    EXPECT_EQ(mote_npz_read(npz, 2, &t), MOTE_ERROR_ARGUMENT);
    mote_npz_close(npz);
  }
}

TEST(npz, truncated_anywhere) {
  TemporaryFolder folder;
  write(folder.file("a.npz"), 6);
  std::string seed = slurp(folder.file("a.npz"));
  mote_test::ScratchFile scratch("t.npz");
  for (size_t size = 0; size < seed.size(); size += 3) {
    spill(scratch.path, seed.substr(0, size));
    EXPECT_EQ(read_all(scratch.path), MOTE_ERROR_FORMAT) << size;
  }
}

TEST(npz, changed_bytes) {
  TemporaryFolder folder;
  for (int level : {0, 6}) {
    write(folder.file("a.npz"), level);
    std::string seed = slurp(folder.file("a.npz"));
    mote_test::ScratchFile scratch("m.npz");
    const std::string &path = scratch.path;
    for (int k = 0; k < 1500; k++) {
      std::mt19937 random(k);
      std::string bytes = seed;
      for (int changes = 1 + random() % 4; changes > 0; changes--)
        bytes[random() % bytes.size()] = char(random());
      spill(path, bytes);
      read_all(path);
    }
  }
}

/* The sums of a ZIP archive hide the pickle from changed bytes; here they reach it. */
TEST(npz, changed_pickles) {
  TemporaryFolder folder;
  write(folder.file("a.npz"), 0, 1);
  mote_zip zip;
  MOTE_ASSERT_OK(mote_zip_open(folder.file("a.npz").c_str(), &zip));
  unsigned char *data;
  size_t size;
  MOTE_ASSERT_OK(mote_zip_read(&zip, 0, &data, &size));
  mote_npy npy;
  MOTE_ASSERT_OK(mote_npy_parse("a", data, size, &npy));
  std::string seed(reinterpret_cast<char *>(data) + npy.data, size - npy.data),
      header(reinterpret_cast<char *>(data), npy.data);
  free(data);
  mote_zip_close(&zip);
  MOTE_EXPECT_OK(unpickle(seed));
  for (int k = 0; k < 5000; k++) {
    std::mt19937 random(k);
    std::string bytes = seed;
    for (int changes = 1 + random() % 3; changes > 0; changes--) {
      size_t at = random() % 3 ? random() % 200 : random() % bytes.size();
      bytes[at] = char(random());
    }
    unpickle(bytes);
    std::string changed = header;
    changed[random() % changed.size()] = char(random());
    mote_npy_parse("h", reinterpret_cast<const unsigned char *>(changed.data()), changed.size(), &npy);
  }
  for (size_t cut = 0; cut < seed.size(); cut++) EXPECT_NE(unpickle(seed.substr(0, cut)), MOTE_OK) << cut;
}

TEST(npz, pickles_that_lie) {
  using namespace std::string_literals;
  struct {
    std::string bytes;
    mote_status status;
  } cases[] = {{"\x80\x04N."s, MOTE_OK},
               {"\x80\x09N."s, MOTE_ERROR_FORMAT},
               {"N"s, MOTE_ERROR_FORMAT},
               {"."s, MOTE_ERROR_FORMAT},
               {"(."s, MOTE_ERROR_FORMAT},
               {"t."s, MOTE_ERROR_FORMAT},
               {"e."s, MOTE_ERROR_FORMAT},
               {"NR."s, MOTE_ERROR_FORMAT},
               {"NNb."s, MOTE_ERROR_FORMAT},
               {"NQ."s, MOTE_ERROR_FORMAT},
               {"}K\1K\2s."s, MOTE_OK},
               {"}(K\1K\2K\3u."s, MOTE_ERROR_FORMAT},
               {"cos\nsystem\n)\x81."s, MOTE_ERROR_UNSUPPORTED},
               {"h\x05."s, MOTE_ERROR_FORMAT},
               {"Nr\xff\xff\xff\x7f."s, MOTE_ERROR_FORMAT},
               {"B\xff\xff\xff\xff."s, MOTE_ERROR_FORMAT},
               {"\x8e\xff\xff\xff\xff\xff\xff\xff\xff."s, MOTE_ERROR_FORMAT},
               {"\x8a\x09"
                "123456789."s,
                MOTE_ERROR_FORMAT},
               {"cos\nsystem\n(X\x02\x00\x00\x00lstR."s, MOTE_ERROR_UNSUPPORTED},
               {"cbuiltins\neval\n)R."s, MOTE_ERROR_UNSUPPORTED},
               {"cos\nsystem"s, MOTE_ERROR_FORMAT},
               {"i__main__\nx\n."s, MOTE_ERROR_UNSUPPORTED},
               {"]q\x00h\x00"
                "a."s,
                MOTE_OK}, /* a list that holds itself */
               {std::string(100000, '('), MOTE_ERROR_FORMAT},
               {std::string(100000, 'N') + ".", MOTE_ERROR_FORMAT}};
  for (auto &c : cases)
    EXPECT_EQ(unpickle(c.bytes), c.status) << c.bytes.substr(0, 20) << ": " << mote_last_error();
}

TEST(npz, headers_that_lie) {
  struct {
    const char *header;
    size_t data;
    mote_status status;
  } cases[] = {
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 24, MOTE_OK},
      {"{\"shape\": (), 'fortran_order': True, 'descr': '>f8'}", 8, MOTE_OK},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (6L,), }", 24, MOTE_OK},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 23, MOTE_ERROR_FORMAT},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }", 24, MOTE_ERROR_FORMAT},
      {"{'descr': '<f4', 'fortran_order': False, }", 24, MOTE_ERROR_FORMAT},
      {"{'descr': '<f3', 'fortran_order': False, 'shape': (8,), }", 24, MOTE_ERROR_FORMAT},
      {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,), }", 24, MOTE_ERROR_FORMAT},
      {"{'descr': '<f4', 'fortran_order': 0, 'shape': (6,), }", 24, MOTE_ERROR_FORMAT},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", 24, MOTE_ERROR_FORMAT},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", 0, MOTE_ERROR_FORMAT},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (-6,), }", 24, MOTE_ERROR_FORMAT},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,6), }", 24, MOTE_ERROR_FORMAT},
      {"", 0, MOTE_ERROR_FORMAT}};
  for (auto &c : cases) {
    std::string bytes = "\x93NUMPY\x01";
    bytes += '\0';
    bytes += char(strlen(c.header));
    bytes += '\0';
    bytes += c.header + std::string(c.data, '\0');
    mote_npy npy;
    EXPECT_EQ(mote_npy_parse("h", reinterpret_cast<const unsigned char *>(bytes.data()), bytes.size(), &npy),
              c.status)
        << c.header << ": " << mote_last_error();
  }
}

/* A member that claims a terabyte is refused by its packed size; one that unpacks to more than it says, by
 * its end. */
TEST(npz, archives_that_lie) {
  TemporaryFolder folder;
  std::string path = folder.file("a.npz");
  write(path, 6, 1);
  std::string seed = slurp(path);
  size_t entry = seed.find("PK\x01\x02"), extra = entry + 46 + strlen("t0.npy") + 4;
  for (uint64_t size : {uint64_t(1) << 40, uint64_t(100), uint64_t(1) << 63, uint64_t(0)}) {
    std::string bytes = seed;
    memcpy(&bytes[extra], &size, 8);
    spill(path, bytes);
    EXPECT_EQ(read_all(path), MOTE_ERROR_FORMAT) << size;
  }
  std::string encrypted = seed;
  encrypted[entry + 8] |= 1;
  spill(path, encrypted);
  EXPECT_EQ(read_all(path), MOTE_ERROR_UNSUPPORTED);
  std::string other = seed;
  other[entry + 10] = 12; /* bzip2 */
  spill(path, other);
  EXPECT_EQ(read_all(path), MOTE_ERROR_UNSUPPORTED);
}
