/* model.safetensors that do not belong to their config.json: refused with the tensor's name, and nothing is
   left behind. */
#include <filesystem>
#include <functional>

#include "tests/io/files.h"
#include "tests/models/stepping.h"

using namespace mote_test;

namespace {

using Tensors = std::map<std::string, Weights>;

/* A safetensors file without the library's writer, which waits for the disk. */
std::string file_of(const Tensors &tensors) {
  std::string header, data;
  for (const auto &[name, w] : tensors) {
    std::string shape;
    for (int64_t extent : w.shape) shape += (shape.empty() ? "" : ",") + std::to_string(extent);
    header += (header.empty() ? "{\"" : ",\"") + name + "\":{\"dtype\":\"F32\",\"shape\":[" + shape +
              "],\"data_offsets\":[" + std::to_string(data.size());
    data.append(reinterpret_cast<const char *>(w.value.data()), w.value.size() * sizeof(float));
    header += "," + std::to_string(data.size()) + "]}";
  }
  header += "}";
  uint64_t length = header.size();
  return std::string(reinterpret_cast<const char *>(&length), 8) + header + data;
}

/* Loads what it is told to, and expects to be refused. */
class Refusals {
public:
  explicit Refusals(const Checkpoint &variant) : checkpoint(variant), device_("cpu") {
    invent(checkpoint);
    configure(variant);
  }
  void configure(const Checkpoint &other) { spill(folder_.file("config.json"), config_text(other)); }

  void load(const Tensors &tensors, const std::string &part) {
    spill(folder_.file("model.safetensors"), file_of(tensors));
    mote_model *model = nullptr;
    mote_status status = mote_model_load(device_.device, folder_.path.c_str(), &model);
    EXPECT_TRUE(status == MOTE_ERROR_FORMAT || status == MOTE_ERROR_UNSUPPORTED) << status << " " << part;
    EXPECT_EQ(model, nullptr);
    EXPECT_NE(std::string(mote_last_error()).find(part), std::string::npos)
        << "'" << part << "' is not in: " << mote_last_error();
    EXPECT_EQ(mote_device_memory_use(device_.device).bytes_now, 0u);
    mote_model_destroy(model);
  }

  /* Each tensor in turn is changed by change(tensor), and named by the error unless `unnamed` says so. */
  void each(
      const std::function<void(Weights &)> &change,
      const std::function<bool(const std::string &)> &unnamed = [](const std::string &) { return false; }) {
    for (const auto &[name, w] : checkpoint.tensors) {
      Tensors tensors = checkpoint.tensors;
      change(tensors[name]);
      load(tensors, unnamed(name) ? "" : name);
    }
  }
  Checkpoint checkpoint; /* sound */

private:
  Device device_;
  TemporaryFolder folder_;
};

const char *const kVariants[] = {"giorom2d_normalized", "giorom2d_occupied", "gns2d"};

} // namespace

TEST(HostileTensors, EachOneMissing) {
  for (const char *variant : kVariants) {
    Refusals refusals{checkpoint(variant)};
    for (const auto &[name, w] : refusals.checkpoint.tensors) {
      Tensors tensors = refusals.checkpoint.tensors;
      tensors.erase(name);
      /* Inner layers are as many as there are: the bias alone is one too many. */
      bool inner = name.find("linears.0.weight") != std::string::npos;
      refusals.load(tensors, inner ? name.substr(0, name.size() - 6) + "bias" : name);
    }
  }
}

TEST(HostileTensors, EachOneOfAnotherShape) {
  /* Some say how wide the transformer or its experts are; others then do not fit them. */
  auto decides = [](const std::string &name) {
    return name == "gnot_layer.trunk_mlp.linear_pre.weight" ||
           name.find(".0.0.weight") != std::string::npos ||
           name.find("gatenet.4.weight") != std::string::npos;
  };
  for (const char *variant : kVariants) {
    Refusals refusals{checkpoint(variant)};
    auto longer = [](Weights &w) {
      w.value.resize(w.value.size() / size_t(w.shape[0]) * size_t(w.shape[0] + 1), 0.1f);
      w.shape[0]++;
    };
    auto deeper = [](Weights &w) {
      w.value.resize(w.value.size() * 2, 0.1f);
      w.shape.push_back(2);
    };
    auto turned = [](Weights &w) { w.shape.insert(w.shape.begin(), 1); };
    refusals.each(longer, decides);
    refusals.each(deeper);
    refusals.each(turned, decides);
  }
}

TEST(HostileTensors, EachOneEmptyOrAScalar) {
  Refusals refusals{checkpoint("giorom2d_occupied")};
  auto any = [](const std::string &) { return true; };
  refusals.each([](Weights &w) { w = {{0}, {}}; }, any);
  refusals.each([](Weights &w) { w = {{}, {1}}; }, any);
  refusals.each([](Weights &w) { w = {{0, 0, 0, 0}, {}}; }, any);
}

TEST(HostileTensors, EachOneWithANumberThatIsNone) {
  for (const char *variant : kVariants) {
    Refusals refusals{checkpoint(variant)};
    for (float bad : {NAN, INFINITY}) refusals.each([&](Weights &w) { w.value.back() = bad; });
  }
}

TEST(HostileTensors, Superfluous) {
  for (const char *variant : kVariants) {
    Refusals refusals{checkpoint(variant)};
    for (const char *name : {"stranger", "in_layers.9.lin_edge.layers.0.weight", "node_in.layers.6.weight",
                             "_encode_process_decode._processor.gnn_stacks.9.edge_fn.1.bias"}) {
      Tensors tensors = refusals.checkpoint.tensors;
      tensors[name] = {{2}, {1, 2}};
      refusals.load(tensors, name);
    }
  }
  /* The cross-attention of a model that config.json says has none. */
  Refusals refusals{checkpoint("giorom2d_occupied")};
  Tensors tensors = refusals.checkpoint.tensors;
  tensors["gnot_layer.blocks.0.ln1.weight"] = {{16}, std::vector<float>(16, 1)};
  refusals.load(tensors, "gnot_layer.blocks.0.ln1.weight");
}

/* config.json that knows fewer or more layers than the weights. */
TEST(HostileTensors, OtherNumbersOfLayers) {
  struct {
    const char *variant;
    std::function<void(Checkpoint &)> lie;
    const char *part;
  } cases[] = {
      {"giorom3d", [](Checkpoint &c) { c.layers = 1; }, "_layers.1.lin_"},
      {"giorom3d", [](Checkpoint &c) { c.layers = 3; }, "in_layers.2.lin_edge"},
      {"giorom3d", [](Checkpoint &c) { c.layers = 33; }, "interaction layers"},
      {"giorom3d", [](Checkpoint &c) { c.blocks = 1; }, "blocks.1"},
      {"giorom3d", [](Checkpoint &c) { c.blocks = 3; }, "blocks.2"},
      {"giorom3d", [](Checkpoint &c) { c.projection_layers = 1; }, "projection.fcs"},
      {"giorom3d", [](Checkpoint &c) { c.projection_layers = 3; }, "projection.fcs"},
      {"giorom3d",
       [](Checkpoint &c) {
         c.kernel_in = {12, 20};
       },
       "gno_in.mlp.fcs"},
      {"giorom3d",
       [](Checkpoint &c) {
         c.kernel_in = {12, 10, 10, 20};
       },
       "gno_in.mlp.fcs"},
      {"giorom3d",
       [](Checkpoint &c) {
         c.kernel_out = {10, 24};
       },
       "gno_out.mlp.fcs"},
      {"giorom3d",
       [](Checkpoint &c) {
         c.kernel_out = {10, 12, 26};
       },
       "gno_out.mlp.fcs"},
      {"giorom3d", [](Checkpoint &c) { c.heads = 3; }, "not_heads"},
      {"giorom3d", [](Checkpoint &c) { c.occupied = true; }, "crossattn"},
      {"giorom3d", [](Checkpoint &c) { c.pair_in = true; }, "gno_in.mlp.fcs.0.weight"},
      {"giorom3d", [](Checkpoint &c) { c.pair_out = true; }, "gno_out.mlp.fcs.0.weight"},
      {"giorom3d", [](Checkpoint &c) { c.dim = 2; }, "node_in"},
      {"giorom3d", [](Checkpoint &c) { c.window = 4; }, "node_in"},
      {"giorom3d", [](Checkpoint &c) { c.width = 17; }, "node_in"},
      {"giorom3d", [](Checkpoint &c) { c.types = 4; }, "embed_type.weight"},
      {"giorom3d", [](Checkpoint &c) { c.type_width = 5; }, "embed_type.weight"},
      {"giorom3d", [](Checkpoint &c) { c.space = 10; }, "gatenet.0.weight"},
      {"giorom2d_occupied", [](Checkpoint &c) { c.occupied = false; }, "branch_mlps"},
      {"giorom2d_occupied", [](Checkpoint &c) { c.pair_in = false; }, "gno_in.mlp.fcs.0.weight"},
      {"gns3d", [](Checkpoint &c) { c.layers = 2; }, "gnn_stacks.2"},
      {"gns3d", [](Checkpoint &c) { c.layers = 4; }, "gnn_stacks.3"},
      {"gns3d", [](Checkpoint &c) { c.hidden_layers = 1; }, "NN-"},
      {"gns3d", [](Checkpoint &c) { c.hidden_layers = 3; }, "NN-"},
      {"gns3d", [](Checkpoint &c) { c.types = 1; }, "_particle_type_embedding.weight"},
      {"gns3d", [](Checkpoint &c) { c.dim = 2; }, "_encoder.node_fn"},
      {"gns3d", [](Checkpoint &c) { c.gns = false; }, "embed_type.weight"},
      {"giorom3d", [](Checkpoint &c) { c.gns = true; }, "_particle_type_embedding"},
  };
  for (auto &c : cases) {
    Refusals refusals{checkpoint(c.variant)};
    Checkpoint lying = refusals.checkpoint;
    c.lie(lying);
    refusals.configure(lying);
    refusals.load(refusals.checkpoint.tensors, c.part);
  }
}

/* Experts of different inner widths: the kernels take them all alike. */
TEST(HostileTensors, UnequalExperts) {
  Refusals refusals{checkpoint("giorom2d")};
  for (int inner : {4, 40, 700}) {
    Tensors tensors = refusals.checkpoint.tensors;
    for (const char *moe : {"moe_mlp1", "moe_mlp2"}) {
      std::string name = std::string("gnot_layer.blocks.0.") + moe + ".1.";
      tensors[name + "0.weight"] = {{inner, 16}, std::vector<float>(size_t(inner) * 16, 0.1f)};
      tensors[name + "0.bias"] = {{inner}, std::vector<float>(size_t(inner), 0.1f)};
      tensors[name + "2.weight"] = {{16, inner}, std::vector<float>(size_t(inner) * 16, 0.1f)};
    }
    refusals.load(tensors, "gnot_layer.blocks.0.moe_mlp1.1.0.weight");
  }
}

/* ---- files ---- */

namespace {

void refuse_file(Saved &saved, const std::string &bytes, mote_status expected, const char *part) {
  std::string path = saved.folder.file("model.safetensors");
  spill(path, bytes);
  Device device("cpu");
  mote_model *model = nullptr;
  EXPECT_EQ(mote_model_load(device.device, saved.folder.path.c_str(), &model), expected);
  EXPECT_EQ(model, nullptr);
  EXPECT_NE(std::string(mote_last_error()).find("model.safetensors"), std::string::npos) << mote_last_error();
  EXPECT_NE(std::string(mote_last_error()).find(part), std::string::npos) << mote_last_error();
  EXPECT_EQ(mote_device_memory_use(device.device).bytes_now, 0u);
  mote_model_destroy(model);
}

} // namespace

TEST(HostileTensors, TruncatedFiles) {
  Saved saved{std::string("gns2d")};
  std::string whole = slurp(saved.folder.file("model.safetensors"));
  for (size_t size : {size_t(0), size_t(7), size_t(8), size_t(100), whole.size() / 2, whole.size() - 1})
    refuse_file(saved, whole.substr(0, size), MOTE_ERROR_FORMAT, "");
  refuse_file(saved, whole + "x", MOTE_ERROR_FORMAT, "");
}

/* Numbers that are no floats. */
TEST(HostileTensors, OtherKindsOfNumbers) {
  Saved saved{std::string("gns2d")};
  std::string whole = slurp(saved.folder.file("model.safetensors"));
  std::string name = "_encode_process_decode._decoder.node_fn.NN-0.bias", integers = whole;
  size_t at = integers.find("F32", integers.find("\"" + name + "\""));
  integers.replace(at, 3, "I32");
  refuse_file(saved, integers, MOTE_ERROR_FORMAT, name.c_str());
}

TEST(HostileTensors, FilesThatAreNotThere) {
  Saved saved{std::string("gns2d")};
  Device device("cpu");
  mote_model *model = nullptr;
  std::filesystem::remove(saved.folder.file("model.safetensors"));
  EXPECT_EQ(mote_model_load(device.device, saved.folder.path.c_str(), &model), MOTE_ERROR_IO);
  EXPECT_NE(std::string(mote_last_error()).find("model.safetensors"), std::string::npos) << mote_last_error();
  std::filesystem::remove(saved.folder.file("config.json"));
  EXPECT_EQ(mote_model_load(device.device, saved.folder.path.c_str(), &model), MOTE_ERROR_IO);
  EXPECT_NE(std::string(mote_last_error()).find("config.json"), std::string::npos) << mote_last_error();
  EXPECT_EQ(mote_model_load(device.device, std::string(5000, 'x').c_str(), &model), MOTE_ERROR_ARGUMENT);
  EXPECT_EQ(model, nullptr);
}
