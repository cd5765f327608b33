/* Means of models: values against float64, what models must have in common, and that nothing is written of
   what fails. */
#include "tests/support/testing.h"

#include <filesystem>

#include <mote/average.h>

#include "host/io/safetensors.h"
#include "tests/io/files.h"

using namespace mote_test;
namespace fs = std::filesystem;

namespace {

const char *const kConfig = R"({"width": 2, "layers": 1})";

struct Model {
  std::vector<float> weight = {1, -2, 3.5f, 0, 1e-30f, 6}, bias = {0.1f, -0.7f};
  std::vector<int64_t> shape = {2, 3};
  const char *config = kConfig, *metadata = R"({"dt": 0.005})", *second = "bias";
  mote_dtype dtype = MOTE_F32;

  std::string write(const TemporaryFolder &in, const std::string &name) const {
    const std::string folder = in.file(name);
    fs::create_directory(folder);
    mote_tensor tensors[2] = {};
    tensors[0] = {"weight", MOTE_F32, int(shape.size()), {}, 0, weight.data(), 0};
    for (size_t k = 0; k < shape.size(); k++) tensors[0].shape[k] = shape[k];
    tensors[1] = {second, dtype, 1, {int64_t(bias.size())}, 0, bias.data(), 0};
    MOTE_EXPECT_OK(mote_safetensors_write((folder + "/model.safetensors").c_str(), tensors, 2, nullptr, 0));
    if (config) spill(folder + "/config.json", config);
    if (metadata) spill(folder + "/metadata.json", metadata);
    return folder;
  }
};

mote_status average(const std::vector<std::string> &folders, const std::vector<double> &share,
                    const std::string &out) {
  std::vector<const char *> names;
  for (const std::string &folder : folders) names.push_back(folder.c_str());
  return mote_average_models(int(names.size()), names.data(), share.empty() ? nullptr : share.data(),
                             out.c_str());
}

std::vector<float> read(const std::string &folder, const char *name, std::vector<int64_t> shape) {
  mote_safetensors *file;
  size_t count = 1;
  for (int64_t extent : shape) count *= size_t(extent);
  std::vector<float> values(count, NAN);
  MOTE_EXPECT_OK(mote_safetensors_open((folder + "/model.safetensors").c_str(), &file));
  if (file) {
    MOTE_EXPECT_OK(mote_safetensors_read(file, name, int(shape.size()), shape.data(), values.data()));
  }
  mote_safetensors_close(file);
  return values;
}

void refused(const Model &other, const std::string &why) {
  TemporaryFolder at;
  const std::string out = at.file("mean");
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, average({Model().write(at, "a"), other.write(at, "b")}, {}, out)) << why;
  EXPECT_NE(nullptr, strstr(mote_last_error(), why.c_str())) << mote_last_error();
  EXPECT_FALSE(fs::exists(out));
}

} // namespace

/* Rounded once, from float64: the tolerance is none. */
TEST(Average, IsTheMeanOfEachWeight) {
  TemporaryFolder at;
  Model a, b, c;
  b.weight = {2, 2, 3.25f, -8, 3e-30f, 1.1f};
  c.weight = {0.3f, 5, -1, 16777216, 0, -0.9f};
  b.bias = {0.2f, 3};
  c.bias = {16777216, 1};
  const std::vector<std::string> models = {a.write(at, "a"), b.write(at, "b"), c.write(at, "c")};
  for (const std::vector<double> &share : {std::vector<double>{}, {2, 0.5, 1}, {0, 3, 0}}) {
    const std::vector<double> s = share.empty() ? std::vector<double>{1, 1, 1} : share;
    MOTE_ASSERT_OK(average(models, share, at.file("mean")));
    auto expected = [&](const std::vector<float> &x, const std::vector<float> &y, const std::vector<float> &z,
                        size_t k) {
      return float((s[0] * x[k] + s[1] * y[k] + s[2] * z[k]) / (s[0] + s[1] + s[2]));
    };
    std::vector<float> weight = read(at.file("mean"), "weight", {2, 3}),
                       bias = read(at.file("mean"), "bias", {2});
    for (size_t k = 0; k < weight.size(); k++)
      EXPECT_EQ(expected(a.weight, b.weight, c.weight, k), weight[k]) << k;
    for (size_t k = 0; k < bias.size(); k++) EXPECT_EQ(expected(a.bias, b.bias, c.bias, k), bias[k]) << k;
  }
  EXPECT_EQ((std::vector<std::string>{"config.json", "metadata.json", "model.safetensors"}),
            names_in(at.file("mean")));
}

TEST(Average, OfEqualModelsIsTheModel) {
  TemporaryFolder at;
  const std::string a = Model().write(at, "a"), before = slurp(a + "/model.safetensors");
  MOTE_ASSERT_OK(average({a, a, a}, {0.1, 0.7, 0.3}, at.file("mean")));
  EXPECT_TRUE(before == slurp(at.file("mean/model.safetensors")));
  MOTE_ASSERT_OK(average({a, at.file("mean")}, {}, a)); /* in its own place */
  EXPECT_TRUE(before == slurp(a + "/model.safetensors"));
}

TEST(Average, WithoutMetadataHasNone) {
  TemporaryFolder at;
  Model law;
  law.metadata = nullptr;
  MOTE_ASSERT_OK(average({law.write(at, "a"), law.write(at, "b")}, {}, at.file("mean")));
  EXPECT_EQ((std::vector<std::string>{"config.json", "model.safetensors"}), names_in(at.file("mean")));
}

TEST(Average, NamesWhatDiffers) {
  Model other;
  other.config = R"({"width": 2, "layers": 2})";
  refused(other, "'layers' in config.json");
  other.config = R"({"width": 2, "layers": 1, "experts": 4})";
  refused(other, "'experts' in config.json");
  other = Model();
  other.metadata = R"({"dt": 0.01})";
  refused(other, "'dt' in metadata.json");
  other.metadata = nullptr;
  refused(other, "has no metadata.json");
  other = Model();
  other.bias = {1, 2, 3};
  TemporaryFolder at;
  EXPECT_EQ(MOTE_ERROR_FORMAT, average({Model().write(at, "a"), other.write(at, "b")}, {}, at.file("mean")));
  EXPECT_NE(nullptr, strstr(mote_last_error(), "'bias' has the shape (3)")) << mote_last_error();
  other = Model();
  other.second = "slope";
  refused(other, "a tensor 'slope'");
}

TEST(Average, RefusesWhatIsNoModelOrNoShare) {
  TemporaryFolder at;
  Model whole;
  const std::string a = whole.write(at, "a"), out = at.file("mean");
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, average({}, {}, out));
  EXPECT_EQ(MOTE_ERROR_IO, average({a, at.file("none")}, {}, out));
  for (const std::vector<double> &share :
       {std::vector<double>{0, 0}, {1, -1}, {1, NAN}, {INFINITY, 1}, {1e308, 1e308}})
    EXPECT_EQ(MOTE_ERROR_ARGUMENT, average({a, a}, share, out));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, average({a}, {}, at.file("mean.h5")));
  EXPECT_EQ(MOTE_ERROR_IO, average({a}, {}, at.file("no/mean")));
  whole.dtype = MOTE_I32;
  EXPECT_EQ(MOTE_ERROR_FORMAT, average({whole.write(at, "b")}, {}, out));
  whole = Model();
  whole.weight[4] = NAN;
  EXPECT_EQ(MOTE_ERROR_FORMAT, average({a, whole.write(at, "c")}, {}, out));
  EXPECT_FALSE(fs::exists(out));
}
