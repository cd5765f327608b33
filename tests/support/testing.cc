/* Shared parts of the tests: see testing.h. */
#include "tests/support/testing.h"

#include <cstdlib>
#include <filesystem>
#include <unistd.h>

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

std::vector<std::string> devices_and_products() {
  std::vector<std::string> names = devices();
  if (cpu_has_terms())
    names.push_back("cpu-fma");
  else
    printf("note: this processor has no tiles of bfloat16 (AMX): products by terms are not run\n");
  return names;
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
  const bool fma = name == "cpu-fma";
  EXPECT_EQ(MOTE_OK, mote_device_open(fma ? "cpu" : name.c_str(), &options, &device)) << mote_last_error();
  if (fma) device->dense = without_terms(device->dense);
  EXPECT_EQ(MOTE_OK, mote_stream_create(device, &stream)) << mote_last_error();
}

Device::~Device() {
  mote_stream_destroy(stream);
  mote_device_close(device);
}

} // namespace mote_test
