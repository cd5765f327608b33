/* The checked build of the emulated device against the planted kernels of tests/device: it names the access
   at fault in a single run, whatever the order and the values. */
#include "tests/device/planted.h"
#include "tests/emulator/control.h"

#include <cstdlib>
#include <cstring>
#include <filesystem>

using mote_test::Array;
using mote_test::Device;

class Checked : public ::testing::Test {
protected:
  void SetUp() override {
    namespace fs = std::filesystem;
    fs::path folder = fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "checked";
    setenv("MOTE_PLUGIN_DIR", folder.c_str(), 1);
    mote_device *probe = nullptr;
    if (mote_device_open("emu", nullptr, &probe) != MOTE_OK)
      GTEST_SKIP() << "no checked device in this build: " << mote_last_error();
    mote_device_close(probe);
    device = std::make_unique<Device>("emu");
    ASSERT_TRUE(mote_test::is_checked(*device));
    kernels = static_cast<const mote_planted *>(dlsym(device->device->library, "mote_planted_kernels"));
  }
  static void expect_message(std::initializer_list<const char *> parts) {
    for (const char *part : parts) EXPECT_NE(nullptr, strstr(mote_last_error(), part)) << mote_last_error();
  }
  mote_stream *stream() { return device->stream; }
  std::unique_ptr<Device> device;
  const mote_planted *kernels = nullptr;
};

TEST_F(Checked, MissingBarrier) {
  /* Uninitialised values are not what gives it away: reading after the write is a race all the same. */
  Array<float> in(*device, std::vector<float>(256, 1.f)), out(*device, 256);
  MOTE_EXPECT_OK(kernels->reverse(stream(), in, out, 256, true));
  EXPECT_EQ(std::vector<float>(256, 1.f), out.host());
  EXPECT_EQ(MOTE_ERROR_DEVICE, kernels->reverse(stream(), in, out, 256, false));
  expect_message({"reverse_kernel", "shared memory", "block (", "thread ("});
}

TEST_F(Checked, BoundsToTheByte) {
  for (int n : {61, 64}) { /* 61 floats end 12 bytes before the guard page */
    Array<float> x(*device, std::vector<float>(n, 1.f));
    MOTE_EXPECT_OK(kernels->twice(stream(), x, n, true));
    EXPECT_EQ(MOTE_ERROR_DEVICE, kernels->twice(stream(), x, n, false));
    expect_message({"twice_kernel", "read 4 bytes", "out of bounds"});
  }
}

TEST_F(Checked, ReadOfUnwrittenSharedMemory) {
  Array<float> in(*device, std::vector<float>(128, 1.f)), out(*device, 2);
  MOTE_EXPECT_OK(kernels->partial_sum(stream(), in, out, 128, true));
  EXPECT_EQ(MOTE_ERROR_DEVICE, kernels->partial_sum(stream(), in, out, 128, false));
  expect_message({"partial_sum_kernel", "thread (0,0,0)", "its block did not write"});
}

TEST_F(Checked, CopyThatWasNotWaitedFor) {
  Array<float> in(*device, std::vector<float>(256, 1.f)), out(*device, 256);
  MOTE_EXPECT_OK(kernels->late(stream(), in, out, 256, true));
  EXPECT_EQ(std::vector<float>(256, 1.f), out.host());
  EXPECT_EQ(MOTE_ERROR_DEVICE, kernels->late(stream(), in, out, 256, false));
  expect_message({"late_kernel", "its block did not write"});
}

TEST_F(Checked, RacesBetweenBlocks) {
  Array<int32_t> out(*device, std::vector<int32_t>(8, -1));
  MOTE_EXPECT_OK(kernels->claim(stream(), out, 8, true));
  EXPECT_EQ(MOTE_ERROR_DEVICE, kernels->claim(stream(), out, 8, false));
  expect_message({"claim_kernel", "a race between blocks: wrote in device memory"});
}

TEST_F(Checked, AnUpdateWithoutAnAtomic) {
  /* Threads run one at a time, so that the sum is right: no comparison of results would find it. */
  Array<int32_t> x(*device, std::vector<int32_t>(256, 1)), sum(*device, std::vector<int32_t>{0});
  MOTE_EXPECT_OK(kernels->total(stream(), x, sum, 256, true));
  EXPECT_EQ(256, sum.host()[0]);
  EXPECT_EQ(MOTE_ERROR_DEVICE, kernels->total(stream(), x, sum, 32, false));
  expect_message({"total_kernel", "a race: ", "device memory"});
}

TEST_F(Checked, CorrectKernelsPass) {
  const int n = 320;
  Array<int32_t> x(*device, std::vector<int32_t>(n, 2)), out(*device, 4 * 5),
      rows(*device, PLANTED_WARP_ROWS * n);
  MOTE_EXPECT_OK(kernels->block_sums(stream(), x, out, n));
  EXPECT_EQ(128, out.host()[0]);
  MOTE_EXPECT_OK(kernels->warp(stream(), x, rows, n));
  Array<float> dynamic(*device, 64);
  MOTE_EXPECT_OK(kernels->dynamic(stream(), dynamic, true));
  EXPECT_EQ(MOTE_ERROR_DEVICE, kernels->dynamic(stream(), dynamic, false));
  expect_message({"dynamic_kernel"});
}
