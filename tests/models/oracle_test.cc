/* Published checkpoints with the answers of another implementation (shared/oracles, optional): float32
   against float32, 5e-6 of the answer's norm where 5e-7 is found; next positions 1e-6 of theirs. With weights
   as training starts from some mistakes are smaller than that: those are for agreement_test.cc, whose float64
   reference is held against the same answers here. */
#include <hdf5.h>

#include <cjson/cJSON.h>

#include "host/io/json_file.h"
#include "host/io/safetensors.h"
#include "tests/models/reference.h"
#include "tests/models/stepping.h"

using namespace mote_test;

namespace {

struct Case {
  Cloud cloud;
  mote_metadata metadata;
  std::vector<float> acceleration, next;
  int64_t edges;
};

std::vector<float> floats(hid_t file, const char *name) {
  hid_t set = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(set);
  std::vector<float> values(size_t(H5Sget_simple_extent_npoints(space)));
  EXPECT_GE(H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0) << name;
  H5Sclose(space);
  H5Dclose(set);
  return values;
}

double attribute(hid_t file, const char *name) {
  double value = 0;
  hid_t a = H5Aopen(file, name, H5P_DEFAULT);
  EXPECT_GE(H5Aread(a, H5T_NATIVE_DOUBLE, &value), 0) << name;
  H5Aclose(a);
  return value;
}

Case read_case(const std::string &folder) {
  Case c = {};
  hid_t file = H5Fopen((folder + "/case.h5").c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  MOTE_EXPECT_OK(mote_metadata_read((folder + "/metadata.json").c_str(), &c.metadata));
  c.acceleration = floats(file, "normalized_acceleration");
  c.next = floats(file, "next_position");
  c.cloud.history = floats(file, "position");
  for (float type : floats(file, "particle_type")) c.cloud.type.push_back(int32_t(type));
  c.cloud.dim = c.metadata.dim;
  c.cloud.n = int(c.cloud.type.size());
  c.cloud.frames = int(c.cloud.history.size() / c.next.size());
  c.cloud.radius = attribute(file, "connectivity_radius");
  c.edges = int64_t(attribute(file, "edges"));
  H5Fclose(file);
  return c;
}

int integer(const cJSON *root, const char *key) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, key);
  EXPECT_TRUE(cJSON_IsNumber(item)) << key;
  return item ? item->valueint : 0;
}

std::vector<int> outputs(const cJSON *root, const char *key) {
  std::vector<int> widths;
  const cJSON *item;
  cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(root, key)) widths.push_back(item->valueint);
  if (!widths.empty()) widths.erase(widths.begin());
  return widths;
}

/* A published folder as the reference takes it. */
Checkpoint read_checkpoint(const std::string &folder) {
  Checkpoint c;
  cJSON *root = nullptr;
  MOTE_EXPECT_OK(mote_json_read((folder + "/config.json").c_str(), &root));
  c.dim = integer(root, "dim");
  c.window = integer(root, "window_size");
  c.width = integer(root, "hidden_size");
  c.layers = integer(root, "n_mp_layers");
  c.types = integer(root, "num_particle_types");
  c.type_width = integer(root, "particle_type_dim");
  c.heads = integer(root, "not_heads");
  c.blocks = integer(root, "not_layers");
  c.space = integer(root, "not_space_dim");
  c.grid = integer(root, "latent_grid_dim");
  c.kernel_in = outputs(root, "in_gno_mlp_hidden_layers");
  c.kernel_out = outputs(root, "out_gno_mlp_hidden_layers");
  c.gno_radius = cJSON_GetObjectItem(root, "gno_radius")->valuedouble;
  c.transformer = 256;
  for (int a = 0; a < c.dim; a++) c.limits[a][0] = 0, c.limits[a][1] = 1;
  cJSON_Delete(root);
  mote_safetensors *file = nullptr;
  const mote_tensor *t;
  MOTE_EXPECT_OK(mote_safetensors_open((folder + "/model.safetensors").c_str(), &file));
  for (int k = 0; (t = mote_safetensors_tensor(file, k)); k++) {
    Weights &w = c.tensors[t->name];
    w.shape.assign(t->shape, t->shape + t->rank);
    w.value.resize(size_t(t->count));
    MOTE_EXPECT_OK(mote_safetensors_read(file, t->name, t->rank, t->shape, w.value.data()));
  }
  mote_safetensors_close(file);
  return c;
}

/* Not on the emulated device, where a published model takes minutes; its kernels' tests are others. */
std::vector<std::string> real_devices() {
  std::vector<std::string> names;
  for (const std::string &name : devices())
    if (name != "emu") names.push_back(name);
  return names;
}

class Oracle : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(devices, Oracle, ::testing::ValuesIn(real_devices()),
                         [](const auto &info) { return info.param.substr(0, info.param.find(':')); });

void compare(const std::string &device_name, const std::string &folder, double tolerance = 5e-6,
             int steps = 3) {
  Case c = read_case(folder);
  Device device(device_name);
  Stepping run(device, folder, c.metadata, c.cloud);
  for (int step = 0; step < steps; step++) { /* planned, run again, recorded */
    run.start(c.cloud);
    run.advance();
    EXPECT_LE(relative_l2(run.acceleration(), c.acceleration), tolerance) << device_name;
    EXPECT_LE(relative_l2(run.position(), c.next), std::max(1e-6, 1e-3 * tolerance));
    EXPECT_EQ(run.edges(), c.edges);
  }
}

} // namespace

TEST_P(Oracle, Published3D) {
  MOTE_REQUIRE_SHARED(file, "oracles/giorom3d_published/case.h5");
  compare(GetParam(), shared_file("oracles/giorom3d_published"));
}

TEST_P(Oracle, Small3D) {
  MOTE_REQUIRE_SHARED(file, "oracles/giorom3d_small/case.h5");
  compare(GetParam(), shared_file("oracles/giorom3d_small"));
}

TEST_P(Oracle, TwoD) {
  MOTE_REQUIRE_SHARED(file, "oracles/giorom2d/case.h5");
  compare(GetParam(), shared_file("oracles/giorom2d"));
}

/* Found on the emulated device: 2e-7, 7e-6, 6e-4 and 4e-3. */
TEST(OraclePrecisions, OfTensorCores) {
  MOTE_REQUIRE_SHARED(file, "oracles/giorom3d_small/case.h5");
  const std::pair<const char *, double> bounds[] = {
      {"-bfloat16x3", 5e-6}, {"-bfloat16x2", 5e-5}, {"-tf32", 3e-3}, {"-bfloat16", 2e-2}};
  for (const std::string &name : devices())
    if (!is_cpu(name))
      for (const auto &[precision, bound] : bounds)
        compare(name + precision, shared_file("oracles/giorom3d_small"), bound, 1);
}

TEST(Reference, AgreesWithTheOracles) {
  for (const char *name : {"giorom3d_small", "giorom2d"}) {
    MOTE_REQUIRE_SHARED(file, std::string("oracles/") + name + "/case.h5");
    std::string folder = shared_file(std::string("oracles/") + name);
    Case c = read_case(folder);
    Answer answer = reference_step(read_checkpoint(folder), c.metadata, c.cloud);
    EXPECT_LE(relative_l2(answer.acceleration, c.acceleration), 2e-6) << name;
    EXPECT_LE(relative_l2(answer.next, c.next), 1e-6) << name;
  }
}
