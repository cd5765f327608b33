/* Shared parts of the tests: see testing.h. */
#include "tests/support/testing.h"

#include <cstdlib>
#include <filesystem>
#include <unistd.h>
#include <utility>

#include "kernels/dense/dense.h"

namespace mote_test {

static bool opens(const std::string &name) {
  mote_device *device = nullptr;
  if (mote_device_open(name.c_str(), nullptr, &device) != MOTE_OK) return false;
  mote_device_close(device);
  return true;
}

std::vector<std::string> devices() {
  std::vector<std::string> names = {"cpu"};
  if (opens("emu"))
    names.push_back("emu");
  else
    printf("note: no emulated device in this build (%s): CUDA kernels are not run\n", mote_last_error());
  if (mote_cuda_device_count(nullptr) > 0) names.push_back("cuda:0");
  return names;
}

bool cpu_has_terms() {
  Device cpu("cpu", 1);
  return cpu->dense->term_count(MOTE_PRECISION_FLOAT32) > 0;
}

/* Suites ask for devices one after another. */
static void note_once(const char *what) {
  static bool told = false;
  if (!std::exchange(told, true)) printf("note: %s\n", what);
}

static std::vector<std::string> at_precisions(const std::vector<mote_precision> &precisions) {
  std::vector<std::string> names;
  for (const std::string &name : devices())
    for (mote_precision p : precisions)
      if (name != "cpu") names.push_back(name + "-" + mote_precision_name(p));
  return names;
}

static std::vector<std::string> joined(std::vector<std::string> names, const std::vector<std::string> &more) {
  names.insert(names.end(), more.begin(), more.end());
  return names;
}

std::vector<std::string> devices_and_products() {
  std::vector<std::string> names = joined(devices(), at_precisions({MOTE_PRECISION_BFLOAT16X3}));
  if (cpu_has_terms())
    names.push_back("cpu-fma");
  else
    note_once("this processor has no tiles of bfloat16 (AMX): products by terms are not run on it");
  return names;
}

std::vector<std::string> devices_and_precisions() {
  return joined(devices_and_products(),
                at_precisions({MOTE_PRECISION_BFLOAT16X2, MOTE_PRECISION_BFLOAT16, MOTE_PRECISION_TF32}));
}

std::string shared_file(const std::string &relative) {
  namespace fs = std::filesystem;
  if (const char *chosen = std::getenv("MOTE_SHARED")) {
    fs::path path = fs::path(chosen) / relative;
    return fs::exists(path) ? path.string() : "";
  }
  for (fs::path folder = fs::current_path();; folder = folder.parent_path()) {
    fs::path path = folder / "shared" / relative;
    if (fs::exists(path)) return path.string();
    if (folder == folder.parent_path()) return "";
  }
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "mote-test-XXXXXX").string();
  const char *made = mkdtemp(pattern.data());
  EXPECT_NE(made, nullptr);
  path = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

/* The CPU's dense layers, without terms. */
static const mote_dense_kernels *without_terms(const mote_dense_kernels *dense) {
  static mote_dense_kernels kernels;
  kernels = *dense;
  kernels.term_count = nullptr;
  return &kernels;
}

Device::Device(const std::string &name, int threads) {
  mote_device_options options = {threads, MOTE_PRECISION_FLOAT32};
  const size_t dash = name.find('-');
  const std::string base = name.substr(0, dash), how = dash == name.npos ? "" : name.substr(dash + 1);
  if (!how.empty() && how != "fma") {
    EXPECT_EQ(MOTE_OK, mote_precision_parse(how.c_str(), &options.precision)) << mote_last_error();
  }
  EXPECT_EQ(MOTE_OK, mote_device_open(base.c_str(), &options, &device)) << mote_last_error();
  if (how == "fma") device->dense = without_terms(device->dense);
  EXPECT_EQ(MOTE_OK, mote_stream_create(device, &stream)) << mote_last_error();
}

/* Products are off by up to 2^-8, 2^-11 or 2^-15 of themselves. Behind LayerNorms that divide by little more
   is left of it: 6e-3 of the root mean square was found with tf32, where a chain's tolerance is 1e-5 times
   this. */
double Device::coarseness() const {
  switch (device->precision) {
  case MOTE_PRECISION_BFLOAT16: return 1 << 12;
  case MOTE_PRECISION_TF32: return 1 << 10;
  case MOTE_PRECISION_BFLOAT16X2: return 1 << 4;
  default: return 1;
  }
}

Device::~Device() {
  mote_stream_destroy(stream);
  mote_device_close(device);
}

} // namespace mote_test
