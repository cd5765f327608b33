/* Warp operations and barriers of the emulated device against their definitions, for full and partial warps.
 */
#include "tests/device/planted.h"
#include "tests/emulator/control.h"

#include <algorithm>

#include <mote/random.h>

using mote_test::Array;
using mote_test::Device;

static const mote_planted *planted(Device &device) {
  return static_cast<const mote_planted *>(dlsym(device.device->library, "mote_planted_kernels"));
}

/* The rows of results of warp_kernel in planted.cu, lane by lane. */
static std::vector<int32_t> expected_rows(const std::vector<int32_t> &x) {
  int threads = int(x.size());
  std::vector<int32_t> rows(size_t(PLANTED_WARP_ROWS) * threads);
  for (int t = 0; t < threads; t++) {
    int first = t / 32 * 32, lane = t % 32, present = std::min(32, threads - first), row = 0;
    const int32_t *warp = &x[first];
    auto store = [&](int64_t value) { rows[row++ * threads + t] = int32_t(value); };
    store(warp[5]);
    store(lane >= 3 ? warp[lane - 3] : warp[lane]);
    store(lane % 16 + 3 < 16 ? warp[lane + 3] : warp[lane]);
    store(warp[lane ^ 7]);
    uint32_t ballot = 0, match = 0;
    int64_t sum = 0, maximum = warp[0];
    bool any = false;
    for (int i = 0; i < present; i++) {
      ballot |= uint32_t(warp[i] & 1) << i;
      match |= uint32_t(warp[i] % 4 == warp[lane] % 4) << i;
      sum += warp[i];
      maximum = std::max<int64_t>(maximum, warp[i]);
      any |= warp[i] == 12;
    }
    for (int64_t value : {int64_t(ballot), int64_t(any), int64_t(1), int64_t(match), sum, maximum, sum})
      store(value);
    store(lane < 16 ? warp[2] : warp[20]);
  }
  return rows;
}

class EmulatedWarp : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(threads, EmulatedWarp, ::testing::Values(32, 128, 1024));

TEST_P(EmulatedWarp, OperationsFollowTheirDefinitions) {
  mote_device *probe = nullptr;
  if (mote_device_open("emu", nullptr, &probe) != MOTE_OK) GTEST_SKIP() << "no emulated device in this build";
  mote_device_close(probe);
  Device device("emu");
  mote_test::Verified guard(device);
  std::vector<int32_t> x(GetParam());
  for (size_t i = 0; i < x.size(); i++) x[i] = int32_t(mote_random_below(5, 1, i, 40));
  Array<int32_t> in(device, x), out(device, x.size() * PLANTED_WARP_ROWS);
  MOTE_ASSERT_OK(planted(device)->warp(device.stream, in, out, int(x.size())));
  EXPECT_EQ(expected_rows(x), out.host());
}

TEST(EmulatedBlock, BarriersWithAndWithoutPredicates) {
  mote_device *probe = nullptr;
  if (mote_device_open("emu", nullptr, &probe) != MOTE_OK) GTEST_SKIP() << "no emulated device in this build";
  mote_device_close(probe);
  Device device("emu");
  mote_test::Verified guard(device);
  const int n = 64 * 5;
  std::vector<int32_t> x(n), expected(4 * 5, 0);
  for (int i = 0; i < n; i++) {
    int block = i / 64;
    x[i] = block == 0 ? 0 : block == 1 ? 1 : int32_t(mote_random_below(6, 1, i, 7)) - 3;
    expected[4 * block] += x[i];
    expected[4 * block + 1] += x[i] > 0;
  }
  for (int b = 0; b < 5; b++) {
    expected[4 * b + 2] = expected[4 * b + 1] > 0;
    expected[4 * b + 3] = expected[4 * b + 1] == 64;
  }
  Array<int32_t> in(device, x), out(device, expected.size());
  MOTE_ASSERT_OK(planted(device)->block_sums(device.stream, in, out, n));
  EXPECT_EQ(expected, out.host());
}
