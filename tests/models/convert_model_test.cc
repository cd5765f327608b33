/* Checkpoints of GNS into model folders: shapes are read off the tensors, every contradiction is named, and
   what is written is whole or absent. */
#include "tests/support/testing.h"

#include <filesystem>
#include <fstream>
#include <functional>

#include <mote/convert.h>
#include <mote/stepper.h>

#include "host/io/json_file.h"
#include "host/io/safetensors.h"
#include "tests/support/torch_file.h"

using namespace mote_test;
namespace fs = std::filesystem;

namespace {

struct Gns {
  int64_t layers = 2, width = 8, mlp_layers = 2, dim = 3, history = 5, types = 9, type_width = 16, more = 0;
};

using Tensors = std::vector<std::pair<std::string, std::vector<int64_t>>>;

void add_linear(Tensors &t, const std::string &name, int64_t rows, int64_t columns) {
  t.push_back({name + ".weight", columns ? std::vector<int64_t>{rows, columns} : std::vector<int64_t>{rows}});
  t.push_back({name + ".bias", {rows}});
}

void add_mlp(Tensors &t, const Gns &g, const std::string &name, int64_t inputs, int64_t outputs) {
  for (int64_t k = 0; k <= g.mlp_layers; k++)
    add_linear(t, name + ".NN-" + std::to_string(k), k < g.mlp_layers ? g.width : outputs,
               k ? g.width : inputs);
}

void add_normed(Tensors &t, const Gns &g, const std::string &name, int64_t inputs) {
  add_mlp(t, g, name + ".0", inputs, g.width);
  add_linear(t, name + ".1", g.width, 0);
}

Tensors tensors_of(const Gns &g) {
  Tensors t = {{"_particle_type_embedding.weight", {g.types, g.type_width}}};
  std::string net = "_encode_process_decode.";
  int64_t inputs = (g.history + 2) * g.dim + (g.types > 1 ? g.type_width : 0) + g.more;
  add_normed(t, g, net + "_encoder.node_fn", inputs);
  add_normed(t, g, net + "_encoder.edge_fn", g.dim + 1);
  for (int64_t l = 0; l < g.layers; l++) {
    std::string layer = net + "_processor.gnn_stacks." + std::to_string(l);
    add_normed(t, g, layer + ".node_fn", 2 * g.width);
    add_normed(t, g, layer + ".edge_fn", 3 * g.width);
  }
  add_mlp(t, g, net + "_decoder.node_fn", g.width, g.dim);
  return t;
}

std::vector<float> values_of(size_t index, const std::vector<int64_t> &shape) {
  size_t count = 1;
  for (int64_t extent : shape) count *= size_t(extent);
  std::vector<float> values(count);
  for (size_t k = 0; k < count; k++) values[k] = float(std::sin(0.1 * double(k) + double(index)));
  return values;
}

TorchFile file_of(const Tensors &tensors, const std::string &prefix = "") {
  TorchFile file;
  for (size_t k = 0; k < tensors.size(); k++)
    file.add(prefix + tensors[k].first, tensors[k].second, values_of(k, tensors[k].second));
  return file;
}

double number(const std::string &folder, const char *key) {
  cJSON *root = nullptr;
  double value = NAN;
  MOTE_EXPECT_OK(mote_json_read((folder + "/config.json").c_str(), &root));
  MOTE_EXPECT_OK(mote_json_number("config", root, key, &value, nullptr));
  cJSON_Delete(root);
  return value;
}

std::string word(const std::string &folder, const char *key) {
  cJSON *root = nullptr;
  const char *value = "";
  MOTE_EXPECT_OK(mote_json_read((folder + "/config.json").c_str(), &root));
  MOTE_EXPECT_OK(mote_json_string("config", root, key, &value, nullptr));
  std::string copy = value;
  cJSON_Delete(root);
  return copy;
}

void expect_tensors(const std::string &folder, const Tensors &tensors) {
  mote_safetensors *file;
  MOTE_ASSERT_OK(mote_safetensors_open((folder + "/model.safetensors").c_str(), &file));
  EXPECT_STREQ(mote_safetensors_metadata(file, "format"), "pt");
  for (size_t k = 0; k < tensors.size(); k++) {
    std::vector<float> wanted = values_of(k, tensors[k].second), values(wanted.size());
    MOTE_EXPECT_OK(mote_safetensors_read(file, tensors[k].first.c_str(), int(tensors[k].second.size()),
                                         tensors[k].second.data(), values.data()));
    EXPECT_EQ(values, wanted) << tensors[k].first;
  }
  EXPECT_EQ(mote_safetensors_tensor(file, int(tensors.size())), nullptr) << "and no more of them";
  mote_safetensors_close(file);
}

mote_status convert(const std::string &in, const std::string &out, mote_model_convert_options options = {}) {
  return mote_convert_model(in.c_str(), out.c_str(), &options, nullptr);
}

bool says(const std::string &part) {
  return std::string(mote_last_error()).find(part) != std::string::npos;
}

} // namespace

TEST(convert_model, shapes_are_read_off_the_tensors) {
  Gns flat, odd, single;
  flat.dim = 2, flat.layers = 10;
  odd.mlp_layers = 3, odd.history = 1, odd.types = 2, odd.type_width = 5, odd.width = 12, odd.layers = 1;
  single.types = 1, single.mlp_layers = 1;
  for (const Gns &g : {Gns(), flat, odd, single}) {
    TemporaryFolder folder;
    std::string model = folder.file("model");
    Tensors tensors = tensors_of(g);
    file_of(tensors).write(folder.file("m.pt"));
    MOTE_ASSERT_OK(mote_convert_model(folder.file("m.pt").c_str(), model.c_str(), nullptr, nullptr));
    EXPECT_EQ(number(model, "n_mp_layers"), double(g.layers));
    EXPECT_EQ(number(model, "hidden_size"), double(g.width));
    EXPECT_EQ(number(model, "mlp_layers"), double(g.mlp_layers));
    EXPECT_EQ(number(model, "dim"), double(g.dim));
    EXPECT_EQ(number(model, "window_size"), double(g.history));
    EXPECT_EQ(number(model, "num_particle_types"), double(g.types));
    EXPECT_EQ(number(model, "particle_type_dim"), double(g.type_width));
    EXPECT_EQ(number(model, "noise_std"), 6.7e-4);
    EXPECT_EQ(number(model, "boundary_clamp_limit"), 1);
    EXPECT_EQ(word(model, "edge_update"), "message");
    expect_tensors(model, tensors);
    mote_test::Device device("cpu");
    mote_model *loaded = nullptr;
    MOTE_ASSERT_OK(mote_model_load(device.device, model.c_str(), &loaded));
    mote_model_info info;
    mote_model_get_info(loaded, &info);
    EXPECT_STREQ(info.architecture, "gns");
    EXPECT_EQ(info.frames, g.history + 1);
    mote_model_destroy(loaded);
    EXPECT_EQ(std::distance(fs::directory_iterator(model), fs::directory_iterator()), 2);
  }
}

TEST(convert_model, options_and_wrappings) {
  TemporaryFolder folder;
  std::string path = folder.file("m.pt"), model = folder.file("model");
  Tensors tensors = tensors_of(Gns());
  TorchFile file = file_of(tensors, "module.");
  file.level = 6;
  file.write(path,
             "\x80\x02}(" + text("step") + integer(5) + text("model_state_dict") + file.state_dict() + "u.");
  mote_model_convert_options options = {};
  options.noise_std = 3e-4, options.boundary_clamp_limit = 0.5, options.doubled_edges = 1;
  MOTE_ASSERT_OK(convert(path, model, options));
  EXPECT_EQ(number(model, "noise_std"), 3e-4);
  EXPECT_EQ(number(model, "boundary_clamp_limit"), 0.5);
  EXPECT_EQ(word(model, "edge_update"), "doubled");
  expect_tensors(model, tensors);
  options = {};
  options.noise_std = -1;
  MOTE_ASSERT_OK(convert(path, model, options)); /* over what was there */
  EXPECT_EQ(number(model, "noise_std"), 0);
  expect_tensors(model, tensors);
}

TEST(convert_model, half_precision_and_shared_storage) {
  TemporaryFolder folder;
  Tensors tensors = tensors_of(Gns());
  TorchFile file;
  std::string storage = "ab"; /* an element before the first tensor */
  int64_t total = 1;
  for (const auto &[name, shape] : tensors) total += int64_t(values_of(0, shape).size());
  int64_t at = 1;
  for (const auto &[name, shape] : tensors) {
    file.add(name, View{"0", total, at, shape, row_major(shape), "BFloat16Storage"});
    at += int64_t(values_of(0, shape).size());
  }
  for (int64_t k = 1; k < total; k++) storage += little_endian(0x3f80 + uint64_t(k % 100), 2);
  file.storages.emplace_back("0", storage);
  file.write(folder.file("m.pt"));
  MOTE_ASSERT_OK(convert(folder.file("m.pt"), folder.file("model")));
  mote_safetensors *model;
  MOTE_ASSERT_OK(mote_safetensors_open(folder.file("model/model.safetensors").c_str(), &model));
  int64_t first = 9 * 16;
  for (const auto &[name, shape] : tensors) {
    if (name == "_particle_type_embedding.weight") continue;
    std::vector<float> values(values_of(0, shape).size());
    MOTE_EXPECT_OK(
        mote_safetensors_read(model, name.c_str(), int(shape.size()), shape.data(), values.data()));
    for (float v : values) EXPECT_EQ(v, 1 + float(++first % 100) / 128) << name;
  }
  mote_safetensors_close(model);
}

/* One tensor another, missing or too many: the error names it, and nothing is written. */
TEST(convert_model, contradictions_are_named) {
  const std::string net = "_encode_process_decode.", encoder = net + "_encoder.",
                    decoder = net + "_decoder.node_fn.", layer = net + "_processor.gnn_stacks.";
  auto resize = [](const std::string &name, std::vector<int64_t> shape) {
    return [=](Tensors &t) {
      for (auto &tensor : t)
        if (tensor.first == name) tensor.second = shape;
    };
  };
  auto remove = [](const std::string &name) {
    return [=](Tensors &t) {
      t.erase(std::remove_if(t.begin(), t.end(), [&](auto &tensor) { return tensor.first == name; }),
              t.end());
    };
  };
  auto add = [](const std::string &name) { return [=](Tensors &t) { t.push_back({name, {8}}); }; };
  struct {
    std::function<void(Tensors &)> change;
    mote_status status;
    std::string name, why;
  } cases[] = {
      {remove("_particle_type_embedding.weight"), MOTE_ERROR_FORMAT, "_particle_type_embedding.weight",
       "missing"},
      {remove(encoder + "node_fn.0.NN-0.weight"), MOTE_ERROR_FORMAT, encoder + "node_fn.0.NN-0.weight",
       "missing"},
      {remove(encoder + "node_fn.0.NN-2.weight"), MOTE_ERROR_FORMAT, decoder + "NN-1.weight", "8 rows"},
      {remove(encoder + "edge_fn.1.bias"), MOTE_ERROR_FORMAT, encoder + "edge_fn.1.bias", "missing"},
      {remove(layer + "1.node_fn.0.NN-1.bias"), MOTE_ERROR_FORMAT, layer + "1.node_fn.0.NN-1.bias",
       "missing"},
      {remove(decoder + "NN-2.weight"), MOTE_ERROR_FORMAT, decoder + "NN-2.weight", "missing"},
      {resize("_particle_type_embedding.weight", {9, 4, 4}), MOTE_ERROR_FORMAT,
       "_particle_type_embedding.weight", "no matrix"},
      {resize("_particle_type_embedding.weight", {0, 16}), MOTE_ERROR_FORMAT,
       "_particle_type_embedding.weight", "no matrix"},
      {resize(encoder + "node_fn.0.NN-0.weight", {8, 38}), MOTE_ERROR_UNSUPPORTED,
       encoder + "node_fn.0.NN-0.weight", "material property"},
      {resize(encoder + "node_fn.0.NN-0.weight", {8, 39}), MOTE_ERROR_FORMAT,
       encoder + "node_fn.0.NN-0.weight", "multiple of 3"},
      {resize(encoder + "node_fn.0.NN-0.weight", {8, 22}), MOTE_ERROR_FORMAT,
       encoder + "node_fn.0.NN-0.weight", "multiple of 3"},
      {resize(encoder + "node_fn.0.NN-0.weight", {8, 3}), MOTE_ERROR_FORMAT,
       encoder + "node_fn.0.NN-0.weight", "multiple of 3"},
      {resize(encoder + "node_fn.0.NN-0.weight", {9, 37}), MOTE_ERROR_FORMAT, encoder + "node_fn.0.NN-0.bias",
       "(8); expected (9)"},
      {resize(encoder + "edge_fn.0.NN-0.weight", {8, 3}), MOTE_ERROR_FORMAT,
       encoder + "edge_fn.0.NN-0.weight", "(8, 3); expected (8, 4)"},
      {resize(layer + "0.edge_fn.0.NN-0.weight", {8, 16}), MOTE_ERROR_FORMAT,
       layer + "0.edge_fn.0.NN-0.weight", "(8, 16); expected (8, 24)"},
      {resize(layer + "1.node_fn.0.NN-2.bias", {8, 1}), MOTE_ERROR_FORMAT, layer + "1.node_fn.0.NN-2.bias",
       "(8, 1); expected (8)"},
      {resize(decoder + "NN-2.weight", {4, 8}), MOTE_ERROR_FORMAT, decoder + "NN-2.weight", "4 rows"},
      {add(layer + "3.node_fn.1.bias"), MOTE_ERROR_FORMAT, layer + "2.node_fn.0.NN-0.weight", "missing"},
      {add(layer + "999999999999999999999.node_fn.1.bias"), MOTE_ERROR_FORMAT, "999999999", "from 0 to"},
      {add(layer + "x"), MOTE_ERROR_FORMAT, layer + "x", "no part"},
      {add(decoder + "NN-4.weight"), MOTE_ERROR_FORMAT, decoder + "NN-4.weight", "no part"},
      {add("epoch"), MOTE_ERROR_FORMAT, "epoch", "no part"}};
  TemporaryFolder folder;
  for (auto &c : cases) {
    Tensors tensors = tensors_of(Gns());
    c.change(tensors);
    file_of(tensors).write(folder.file("m.pt"));
    EXPECT_EQ(convert(folder.file("m.pt"), folder.file("model")), c.status) << c.name;
    EXPECT_TRUE(says("'" + c.name) || says(c.name + ".")) << c.name << ": " << mote_last_error();
    EXPECT_TRUE(says(c.why)) << c.why << ": " << mote_last_error();
    EXPECT_FALSE(fs::exists(folder.file("model"))) << c.name;
  }
  TorchFile other;
  other.add("fc.weight", {2, 2}, {1, 2, 3, 4});
  other.write(folder.file("m.pt"));
  EXPECT_EQ(convert(folder.file("m.pt"), folder.file("model")), MOTE_ERROR_FORMAT);
  EXPECT_TRUE(says("no GNS") && says("_particle_type_embedding.weight") && says("'fc.weight'"))
      << mote_last_error();
}

TEST(convert_model, whole_or_absent) {
  TemporaryFolder folder;
  std::string path = folder.file("m.pt"), model = folder.file("model");
  Tensors tensors = tensors_of(Gns());
  TorchFile file = file_of(tensors);
  file.storages.back().second = little_endian(0x7fc00000, 4) + file.storages.back().second.substr(4);
  file.write(path);
  EXPECT_EQ(convert(path, model), MOTE_ERROR_NUMERIC);
  EXPECT_TRUE(says(tensors.back().first)) << mote_last_error();
  EXPECT_FALSE(fs::exists(model));
  file_of(tensors).write(path);
  mote_monitor monitor = {
      nullptr, [](void *, const char *, const char *, long long done, long long) { return int(done == 3); },
      nullptr};
  MOTE_EXPECT_OK(mote_convert_model(path.c_str(), model.c_str(), nullptr, &monitor));
  EXPECT_FALSE(fs::exists(model)) << "it was asked to stop";
  fs::create_directories(model + "/config.json"); /* a folder in the way of the second file */
  EXPECT_EQ(convert(path, model), MOTE_ERROR_IO);
  EXPECT_FALSE(fs::exists(model + "/model.safetensors"));
  EXPECT_EQ(std::distance(fs::directory_iterator(model), fs::directory_iterator()), 1);
  EXPECT_EQ(convert(path, folder.file("no/where")), MOTE_ERROR_IO);
  for (const char *name : {"model.h5", "model.safetensors", "m.pt", ""}) {
    EXPECT_EQ(convert(path, *name ? folder.file(name) : ""), MOTE_ERROR_ARGUMENT) << name;
    EXPECT_TRUE(says("folder")) << mote_last_error();
  }
  mote_model_convert_options options = {};
  options.boundary_clamp_limit = NAN;
  EXPECT_EQ(convert(path, folder.file("other"), options), MOTE_ERROR_ARGUMENT);
}
