/* safetensors: round trip, the published checkpoints, the reference implementation where installed, and
   headers that lie. Then metadata.json, whose keys are checked the same way. */
#include "tests/support/testing.h"

#include <cstring>
#include <random>

#include <mote/trajectory.h>

#include "host/io/safetensors.h"
#include "tests/io/files.h"

using mote_test::slurp;
using mote_test::spill;
using mote_test::TemporaryFolder;

namespace {

std::string with_header(const std::string &header, size_t data) {
  uint64_t length = header.size();
  std::string bytes(reinterpret_cast<const char *>(&length), 8); /* little-endian hosts */
  return bytes + header + std::string(data, '\0');
}

const float kWeights[6] = {1, -2, 3.5f, 0, 1e-30f, 6};
const int64_t kIndex[2] = {5, -6};

mote_status write(const std::string &path) {
  mote_tensor tensors[3] = {};
  tensors[0] = {"layers.0.weight", MOTE_F32, 2, {2, 3}, 0, kWeights, 0};
  tensors[1] = {"index", MOTE_I64, 1, {2}, 0, kIndex, 0};
  tensors[2] = {"empty \"quoted\"", MOTE_F32, 2, {0, 4}, 0, nullptr, 0};
  const char *metadata[] = {"format", "mote", "note", "a\nb"};
  return mote_safetensors_write(path.c_str(), tensors, 3, metadata, 2);
}

} // namespace

TEST(safetensors, reads_back_what_was_written) {
  TemporaryFolder folder;
  std::string path = folder.file("m.safetensors");
  MOTE_ASSERT_OK(write(path));
  std::string first = slurp(path);
  MOTE_ASSERT_OK(write(path));
  EXPECT_TRUE(first == slurp(path)) << "same content, same bytes";
  uint64_t length;
  memcpy(&length, first.data(), 8);
  EXPECT_EQ(length % 8, 0u) << "data is aligned";
  mote_safetensors *f;
  MOTE_ASSERT_OK(mote_safetensors_open(path.c_str(), &f));
  float weights[6];
  int64_t shape[2] = {2, -1}, index[2];
  MOTE_EXPECT_OK(mote_safetensors_read(f, "layers.0.weight", 2, shape, weights));
  EXPECT_EQ(memcmp(weights, kWeights, sizeof weights), 0);
  MOTE_EXPECT_OK(mote_safetensors_read_raw(f, mote_safetensors_find(f, "index"), index));
  EXPECT_EQ(index[1], -6);
  EXPECT_EQ(mote_safetensors_find(f, "empty \"quoted\"")->count, 0);
  EXPECT_STREQ(mote_safetensors_metadata(f, "note"), "a\nb");
  EXPECT_EQ(mote_safetensors_metadata(f, "absent"), nullptr);
  shape[0] = 3;
  EXPECT_EQ(mote_safetensors_read(f, "layers.0.weight", 2, shape, weights), MOTE_ERROR_FORMAT);
  EXPECT_NE(std::string(mote_last_error()).find("'layers.0.weight' has the shape (2, 3); expected (3, *)"),
            std::string::npos)
      << mote_last_error();
  EXPECT_EQ(mote_safetensors_read(f, "bias", 2, shape, weights), MOTE_ERROR_FORMAT);
  EXPECT_NE(std::string(mote_last_error()).find("'bias' is missing"), std::string::npos);
  shape[0] = 2;
  EXPECT_EQ(mote_safetensors_read(f, "index", 1, shape, weights), MOTE_ERROR_FORMAT);
  mote_safetensors_close(f);
}

TEST(safetensors, narrow_and_wide_floats_become_float32) {
  TemporaryFolder folder;
  uint16_t half[6] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x8000, 0x3555}, brain[2] = {0x3f80, 0xc049};
  double wide[2] = {0.1, -3};
  mote_tensor tensors[3] = {};
  tensors[0] = {"half", MOTE_F16, 1, {6}, 0, half, 0};
  tensors[1] = {"brain", MOTE_BF16, 1, {2}, 0, brain, 0};
  tensors[2] = {"wide", MOTE_F64, 1, {2}, 0, wide, 0};
  MOTE_ASSERT_OK(mote_safetensors_write(folder.file("m").c_str(), tensors, 3, nullptr, 0));
  mote_safetensors *f;
  MOTE_ASSERT_OK(mote_safetensors_open(folder.file("m").c_str(), &f));
  float v[6];
  int64_t any = -1;
  MOTE_ASSERT_OK(mote_safetensors_read(f, "half", 1, &any, v));
  EXPECT_EQ(std::vector<float>(v, v + 6),
            (std::vector<float>{1, -2, 5.9604644775390625e-8f, 65504, 0, 0.333251953125f}));
  EXPECT_TRUE(std::signbit(v[4]));
  MOTE_ASSERT_OK(mote_safetensors_read(f, "brain", 1, &any, v));
  EXPECT_EQ(v[0], 1);
  EXPECT_EQ(v[1], -3.140625f);
  MOTE_ASSERT_OK(mote_safetensors_read(f, "wide", 1, &any, v));
  EXPECT_EQ(v[0], 0.1f);
  mote_safetensors_close(f);
  half[2] = 0x7c00; /* infinity */
  MOTE_ASSERT_OK(mote_safetensors_write(folder.file("m").c_str(), tensors, 3, nullptr, 0));
  MOTE_ASSERT_OK(mote_safetensors_open(folder.file("m").c_str(), &f));
  EXPECT_EQ(mote_safetensors_read(f, "half", 1, &any, v), MOTE_ERROR_FORMAT);
  mote_safetensors_close(f);
}

TEST(safetensors, reads_published_models) {
  MOTE_REQUIRE_SHARED(path, "oracles/giorom3d_published/model.safetensors");
  mote_safetensors *f;
  MOTE_ASSERT_OK(mote_safetensors_open(path.c_str(), &f));
  int64_t parameters = 0;
  for (int k = 0; mote_safetensors_tensor(f, k); k++) parameters += mote_safetensors_tensor(f, k)->count;
  EXPECT_EQ(parameters, 2387669);
  mote_safetensors_close(f);
}

TEST(safetensors, the_reference_implementation_reads_ours) {
  TemporaryFolder folder;
  const char *python = getenv("MOTE_PYTHON") ? getenv("MOTE_PYTHON") : "python3";
  if (mote_test::python(folder.path, "import safetensors.numpy\n", nullptr, python))
    GTEST_SKIP() << "python3 with safetensors is not installed";
  MOTE_ASSERT_OK(write(folder.file("m.safetensors")));
  std::string said;
  int code = mote_test::python(folder.path, R"(
import numpy as np, safetensors, safetensors.numpy as s
t = s.load_file('m.safetensors')
assert t['layers.0.weight'].tolist() == np.array([[1, -2, 3.5], [0, 1e-30, 6]], np.float32).tolist()
assert t['index'].tolist() == [5, -6] and t['empty "quoted"'].shape == (0, 4)
with safetensors.safe_open('m.safetensors', 'np') as f: assert f.metadata() == {'format': 'mote', 'note': 'a\nb'}
)",
                               &said, python);
  EXPECT_EQ(code, 0) << said;
}

TEST(safetensors, headers_that_lie) {
  TemporaryFolder folder;
  std::string path = folder.file("m.safetensors");
  struct {
    std::string bytes, part;
  } cases[] = {
      {"", "whole"},
      {"\x02", "whole"},
      {with_header("{}", 4), "behind its last"},
      {with_header("[]", 0), "object"},
      {with_header("{\"a\":3}", 0), "'a'"},
      {with_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4), "truncated"},
      {with_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4), "data_offsets"},
      {with_header("{\"a\":{\"dtype\":\"F9\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8), "dtype"},
      {with_header("{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8), "dtype"},
      {with_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8), "shape"},
      {with_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[0.5],\"data_offsets\":[0,8]}}", 8), "shape"},
      {with_header("{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", 8), "shape"},
      {with_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}", 8),
       "8 dimensions"},
      {with_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]}}", 8),
       "shape"},
      {with_header("{\"a\":{\"dtype\":\"F64\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0),
       "shape"},
      {with_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,4]}}", 8), "data_offsets"},
      {with_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8), "hole"},
      {with_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                   "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
                   4),
       "overlaps"},
      {with_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                   "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
                   8),
       "twice"},
      {with_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]", 4), "JSON"},
      {std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10), "whole"},
      {std::string("\x00\x00\x00\x40\x00\x00\x00\x00{}", 10), "whole"}};
  for (auto &c : cases) {
    spill(path, c.bytes);
    mote_safetensors *f;
    EXPECT_EQ(mote_safetensors_open(path.c_str(), &f), MOTE_ERROR_FORMAT) << c.bytes.substr(8);
    EXPECT_NE(std::string(mote_last_error()).find(c.part), std::string::npos)
        << c.bytes.substr(c.bytes.empty() ? 0 : 1) << ": " << mote_last_error();
  }
}

/* Three thousand files with changed or cut bytes: an error or a sound file, the sanitizers watching. */
TEST(safetensors, changed_bytes) {
  TemporaryFolder folder;
  std::string path = folder.file("m.safetensors");
  MOTE_ASSERT_OK(write(path));
  std::string seed = slurp(path);
  mote_test::ScratchFile scratch("m.safetensors");
  path = scratch.path;
  int accepted = 0;
  for (int k = 0; k < 3000; k++) {
    std::mt19937 random(k);
    std::string bytes = seed;
    for (int changes = 1 + random() % 4; changes > 0; changes--)
      bytes[random() % bytes.size()] = char(random());
    if (k % 5 == 0) bytes.resize(random() % bytes.size());
    spill(path, bytes);
    mote_safetensors *f;
    if (mote_safetensors_open(path.c_str(), &f) != MOTE_OK) continue;
    accepted++;
    for (int t = 0; mote_safetensors_tensor(f, t); t++) {
      const mote_tensor *tensor = mote_safetensors_tensor(f, t);
      std::vector<float> values(size_t(tensor->count) + 1);
      mote_safetensors_read(f, tensor->name, tensor->rank, tensor->shape, values.data());
    }
    mote_safetensors_close(f);
  }
  EXPECT_GT(accepted, 0) << "changes within the data are no harm";
  EXPECT_LT(accepted, 2500);
}

/* ---- metadata.json ---- */

TEST(metadata, reads_what_lagrangebench_and_gns_write) {
  TemporaryFolder folder;
  std::string path = folder.file("metadata.json");
  mote_metadata m;
  spill(
      path,
      R"({"case": "TGV", "solver": "SPH", "dim": 2, "dx": 0.02, "dt": 0.0004, "t_end": 5, "free_slip": false,
    "write_every": 100, "periodic_boundary_conditions": [true, true, true], "bounds": [[0.0, 1.0], [0.0, 1.0]],
    "default_connectivity_radius": 0.029, "num_particles_max": 2500, "sequence_length_train": 126,
    "vel_mean": [1e-5, 2e-5], "vel_std": [0.0013, 0.0012], "acc_mean": [0, 0], "acc_std": [8e-5, 8e-5]})");
  MOTE_ASSERT_OK(mote_metadata_read(path.c_str(), &m));
  EXPECT_TRUE(m.dim == 2 && m.write_every == 100 && m.periodic[0] && m.sequence_length == 126 &&
              m.has_statistics);
  EXPECT_EQ(m.particle_count, 2500);
  EXPECT_EQ(m.velocity_std[1], 0.0012);
  spill(path,
        R"({"bounds": [[0.1, 0.9], [0.1, 0.9]], "sequence_length": 320, "default_connectivity_radius": 0.015,
    "dim": 2, "dt": 0.0025, "reach": 0.0123456789012345678, "vel_mean": [0, 0], "vel_std": [1, 1], "acc_mean": [0, 0], "acc_std": [1, 1]})");
  MOTE_ASSERT_OK(mote_metadata_read(path.c_str(), &m));
  EXPECT_TRUE(m.sequence_length == 320 && m.write_every == 1 && m.reach == 0.0123456789012345678);
  mote_metadata again;
  MOTE_ASSERT_OK(mote_metadata_write(path.c_str(), &m));
  MOTE_ASSERT_OK(mote_metadata_read(path.c_str(), &again));
  EXPECT_EQ(memcmp(&m, &again, sizeof m), 0) << "all of it survives";
}

TEST(metadata, names_the_key_that_is_wrong) {
  TemporaryFolder folder;
  std::string path = folder.file("metadata.json"), box = "\"bounds\": [[0, 1], [0, 1]]";
  struct {
    std::string text, part;
  } cases[] = {
      {"{}", "bounds"},
      {"[]", "object"},
      {"{\"bounds\": [[0, 1]]}", "bounds"},
      {"{\"bounds\": [[0, 1], [1, 0]]}", "axis 1"},
      {"{\"bounds\": [[0, 1], [0]]}", "axis 1"},
      {"{\"bounds\": [[0, 1], [0, 1e999]]}", "axis 1"},
      {"{" + box + ", \"dim\": 3}", "dim"},
      {"{" + box + ", \"dt\": -1}", "dt"},
      {"{" + box + ", \"dt\": \"x\"}", "dt"},
      {"{" + box + ", \"reach\": -0.1}", "reach"},
      {"{" + box + ", \"write_every\": 0}", "write_every"},
      {"{" + box + ", \"write_every\": 1e30}", "write_every"},
      {"{" + box + ", \"vel_mean\": [0, 0]}", "vel_mean"},
      {"{" + box + ", \"vel_mean\": [0, 0, 0]}", "vel_mean"},
      {"{" + box + ", \"vel_mean\": [0,0], \"vel_std\": [1,-1], \"acc_mean\": [0,0], \"acc_std\": [1,1]}",
       "vel_std"},
      {"{" + box + ", \"periodic_boundary_conditions\": [true]}", "periodic"},
      {"{" + box + ", \"num_particles_max\": -5}", "num_particles_max"}};
  for (auto &c : cases) {
    spill(path, c.text);
    mote_metadata m;
    EXPECT_EQ(mote_metadata_read(path.c_str(), &m), MOTE_ERROR_FORMAT) << c.text;
    EXPECT_NE(std::string(mote_last_error()).find(c.part), std::string::npos)
        << c.text << ": " << mote_last_error();
  }
}
