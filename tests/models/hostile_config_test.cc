/* config.json with absurd values: each key of each kind of model with each of them, refused with the key's
   name (or, where the value is possible but not what the weights are, with a tensor's). */
#include <cjson/cJSON.h>

#include "tests/io/files.h"
#include "tests/models/stepping.h"

using namespace mote_test;

namespace {

/* A variant's folder whose config.json is changed. */
class Folder {
public:
  explicit Folder(const char *variant) : saved_(std::string(variant)), device_("cpu") {
    text = config_text(saved_.checkpoint);
  }

  mote_status load(const std::string &config) {
    spill(saved_.folder.file("config.json"), config);
    mote_model *model = nullptr;
    mote_status status = mote_model_load(device_.device, saved_.folder.path.c_str(), &model);
    EXPECT_EQ(model == nullptr, status != MOTE_OK);
    mote_model_destroy(model);
    EXPECT_EQ(mote_device_memory_use(device_.device).bytes_now, 0u);
    return status;
  }

  /* The config with `key` as this JSON; empty: without it. */
  std::string with(const std::string &key, const std::string &value) const {
    cJSON *root = cJSON_Parse(text.c_str());
    cJSON_DeleteItemFromObjectCaseSensitive(root, key.c_str());
    if (!value.empty()) {
      cJSON *item = cJSON_Parse(value.c_str());
      EXPECT_NE(item, nullptr) << value;
      cJSON_AddItemToObject(root, key.c_str(), item);
    }
    char *printed = cJSON_Print(root);
    std::string changed = printed;
    cJSON_free(printed);
    cJSON_Delete(root);
    return changed;
  }

  void refuse(const std::string &key, const std::string &value) {
    mote_status status = load(with(key, value));
    EXPECT_TRUE(status == MOTE_ERROR_FORMAT || status == MOTE_ERROR_UNSUPPORTED)
        << key << " = " << value << ": " << status << " " << mote_last_error();
    EXPECT_TRUE(says("\"" + key + "\"") && says("config.json"))
        << key << " = " << value << ": " << mote_last_error();
  }
  static bool says(const std::string &part) {
    return std::string(mote_last_error()).find(part) != std::string::npos;
  }
  std::string text;

private:
  Saved saved_;
  Device device_;
};

const char *const kCounts[] = {"dim",         "window_size",        "hidden_size",
                               "n_mp_layers", "num_particle_types", "particle_type_dim"};
const char *const kLatentCounts[] = {"not_heads",       "not_layers",        "not_output_size",
                                     "not_space_dim",   "not_trunk_size",    "out_gno_hidden",
                                     "latent_grid_dim", "projection_layers", "projection_channels",
                                     "not_branch_size", "out_gno_in_dim"};
const char *const kAbsurdCounts[] = {"-1",      "1.5",   "1e9",  "1e300", "-1e300", "2147483648", "1e-5",
                                     "\"two\"", "\"2\"", "null", "true",  "[]",     "[2]",        "{}"};

void refuse_counts(const char *variant, std::vector<const char *> keys) {
  Folder folder(variant);
  EXPECT_EQ(folder.load(folder.text), MOTE_OK) << mote_last_error();
  for (const char *key : keys)
    for (const char *value : kAbsurdCounts) folder.refuse(key, value);
}

} // namespace

TEST(HostileConfig, Counts) {
  std::vector<const char *> keys(std::begin(kCounts), std::end(kCounts));
  refuse_counts("gns2d", keys);
  refuse_counts("giorom2d", keys);
  refuse_counts("giorom2d", {std::begin(kLatentCounts), std::end(kLatentCounts)});
}

TEST(HostileConfig, Zeros) {
  Folder giorom("giorom2d"), gns("gns2d");
  for (const char *key : kCounts) {
    giorom.refuse(key, "0");
    gns.refuse(key, "0");
  }
  for (const char *key : kLatentCounts) giorom.refuse(key, "0");
  giorom.refuse("gno_radius", "0");
  giorom.refuse("latent_grid_dim", "1"); /* ends included: two at least */
  giorom.refuse("dim", "1");
  giorom.refuse("dim", "4");
}

TEST(HostileConfig, MissingKeys) {
  Folder giorom("giorom2d"), gns("gns2d");
  for (const char *key : kCounts) {
    giorom.refuse(key, "");
    gns.refuse(key, "");
  }
  for (const char *key :
       {"not_heads", "not_layers", "not_output_size", "not_space_dim", "not_trunk_size", "out_gno_hidden",
        "latent_grid_dim", "projection_layers", "projection_channels", "gno_radius",
        "in_gno_mlp_hidden_layers", "out_gno_mlp_hidden_layers", "latent_domain_lims", "architectures"})
    giorom.refuse(key, "");
  gns.refuse("architectures", "");
}

/* Those that have defaults. */
TEST(HostileConfig, KeysThatMayBeMissing) {
  Folder giorom("giorom2d"), gns("gns2d");
  for (const char *key :
       {"noise_std", "boundary_clamp_limit", "wall_stop", "normalized_velocities", "not_branch_size",
        "out_gno_in_dim", "in_gno_transform_type", "out_gno_transform_type"})
    EXPECT_EQ(giorom.load(giorom.with(key, "")), MOTE_OK) << mote_last_error();
  for (const char *key :
       {"noise_std", "boundary_clamp_limit", "normalized_velocities", "mlp_layers", "edge_update"})
    EXPECT_EQ(gns.load(gns.with(key, "")), MOTE_OK) << mote_last_error();
  EXPECT_EQ(giorom.load(giorom.with("torch_dtype", "\"float32\"")), MOTE_OK) << "keys of other programs";
}

TEST(HostileConfig, Numbers) {
  Folder giorom("giorom2d"), gns("gns2d");
  for (const char *value : {"-1", "1e300", "-1e300", "\"x\"", "null", "true", "[1]", "{}"}) {
    giorom.refuse("gno_radius", value);
    for (const char *key : {"noise_std", "boundary_clamp_limit", "wall_stop"}) {
      giorom.refuse(key, value);
      gns.refuse(key, value);
    }
    giorom.refuse("graph_convolution_alpha", value);
  }
  for (const char *value : {"0", "1e-30"}) {
    giorom.refuse("gno_radius", value);
    gns.refuse("boundary_clamp_limit", value);
  }
  giorom.refuse("graph_convolution_alpha", "1.01");
  for (const char *value : {"-1", "5", "1.5", "\"2\"", "null", "1e9"}) gns.refuse("mlp_layers", value);
}

TEST(HostileConfig, Words) {
  Folder giorom("giorom2d"), gns("gns2d");
  for (const char *value : {"\"\"", "\"Grid\"", "\"nonlinear\"", "\"messages\"", "3", "null", "true",
                            "[\"grid\"]", "{\"a\": \"pair\"}"}) {
    for (const char *key :
         {"in_gno_transform_type", "out_gno_transform_type", "latent_points", "graph_convolution"})
      giorom.refuse(key, value);
    gns.refuse("edge_update", value);
  }
  for (const char *value : {"1", "0", "\"true\"", "null", "[true]"}) {
    giorom.refuse("normalized_velocities", value);
    gns.refuse("normalized_velocities", value);
  }
}

TEST(HostileConfig, Architectures) {
  Folder folder("giorom2d");
  for (const char *value :
       {"[]", "[\"\"]", "[\"BertModel\"]", "[\"physicsengine\"]", "\"PhysicsEngine\"",
        "{\"a\": \"PhysicsEngine\"}", "[[\"PhysicsEngine\"]]", "[3]", "null", "3", "[null]"})
    folder.refuse("architectures", value);
}

TEST(HostileConfig, WidthsOfKernels) {
  Folder folder("giorom2d");
  for (const char *key : {"in_gno_mlp_hidden_layers", "out_gno_mlp_hidden_layers"})
    for (const char *value :
         {"[]", "[18]", "[2]", "[18, 12, 0]", "[18, -12, 20]", "[18, 1.5, 20]", "[18, 1e9, 20]",
          "[18, \"12\", 20]", "[18, null, 20]", "[18, [12], 20]", "[17, 12, 20]", "[3, 10, 14]", "null", "18",
          "{\"a\": 18, \"b\": 20}", "[18, 12, 12, 12, 12, 12, 12, 20]", "[18, 769, 20]"})
      folder.refuse(key, value);
  folder.refuse("in_gno_mlp_hidden_layers", "[18, 12, 21]"); /* not_trunk_size is 20 */
  folder.refuse("out_gno_mlp_hidden_layers", "[2, 10, 15]"); /* not_output_size is 14 */
  folder.refuse("not_trunk_size", "21");
  folder.refuse("not_space_dim", "21");
  folder.refuse("not_output_size", "15");
  folder.refuse("out_gno_hidden", "15");
}

TEST(HostileConfig, LatentDomains) {
  Folder folder("giorom2d");
  for (const char *value : {"[]",
                            "[[0, 1]]",
                            "[[0, 1], [0, 1], [0, 1]]",
                            "[[0, 1], [0]]",
                            "[[0, 1], [0, 1, 2]]",
                            "[[0, 1], [1, 0]]",
                            "[[0, 1], [1, 1]]",
                            "[[0, 1], [\"0\", 1]]",
                            "[[0, 1], [null, 1]]",
                            "[[0, 1], 3]",
                            "[[0, 1], {}]",
                            "[[0, 1e300], [0, 1]]",
                            "[[-1e308, 1e308], [0, 1]]",
                            "[[0, 1e30], [0, 1]]",
                            "[[1, 1.000000001], [0, 1]]",
                            "null",
                            "3",
                            "\"[0, 1]\"",
                            "[0, 1]",
                            "{\"a\": [0, 1], \"b\": [0, 1]}"})
    folder.refuse("latent_domain_lims", value);
}

/* More points than any memory holds, found before any is allocated. */
TEST(HostileConfig, GridsThatAreTooLarge) {
  Folder cube("giorom3d");
  cube.refuse("latent_grid_dim", "257");
  cube.refuse("latent_grid_dim", "100000");
}

TEST(HostileConfig, FilesThatAreNoConfig) {
  Folder folder("gns2d");
  for (const std::string &text :
       {std::string(""), std::string("{"), std::string("[]"), std::string("null"), std::string("{} {}"),
        folder.text.substr(0, folder.text.size() / 2), "{\"dim\": 2, " + folder.text.substr(1),
        folder.text + "x", std::string("\0", 1), std::string(200, '[')}) {
    EXPECT_EQ(folder.load(text), MOTE_ERROR_FORMAT) << text << ": " << mote_last_error();
    EXPECT_TRUE(Folder::says("config.json")) << mote_last_error();
  }
}

/* Keys of others are passed over, those that a slip of the hand makes of ours are not. */
TEST(HostileConfig, MisspeltKeysThatMayBeLeftOut) {
  Folder folder("giorom3d");
  for (const char *key : {"normalised_velocities", "normalized_velocity", "graph_convolutions",
                          "latent_point", "nose_std", "wall_stops", "in_gno_transform_types"}) {
    EXPECT_EQ(MOTE_ERROR_FORMAT, folder.load(folder.with(key, "true"))) << key;
    EXPECT_TRUE(Folder::says(std::string("unknown key \"") + key + "\"; did you mean")) << mote_last_error();
  }
  for (const char *key :
       {"use_open3d", "heads", "torch_dtype", "transformers_version", "model_type", "dtype"})
    EXPECT_EQ(MOTE_OK, folder.load(folder.with(key, "\"x\""))) << key << ": " << mote_last_error();
}
