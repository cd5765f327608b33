/* The probes compute what they say: a ceiling measured on work that was optimised away would be no ceiling.
 */
#include "kernels/probe/probe.h"
#include "tests/support/testing.h"

using mote_test::Array;
using mote_test::Device;

class ProbeTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(ProbeTest);

TEST_P(ProbeTest, TriadIsExact) {
  Device device(GetParam());
  const int n = 1001;
  std::vector<float> b(n), c(n), expected(n);
  for (int i = 0; i < n; i++) b[i] = float(i), c[i] = float(2 * i), expected[i] = float(7 * i);
  Array<float> x(device, n), y(device, b), z(device, c);
  MOTE_ASSERT_OK(device->probe->triad(device.stream, x, y, z, n));
  EXPECT_EQ(expected, x.host()); /* small integers: exact in float32 */
}

TEST_P(ProbeTest, FmaChainsReachTheirClosedForm) {
  Device device(GetParam());
  const int n = 64, rounds = 5;
  Array<float> x(device, n);
  MOTE_ASSERT_OK(device->probe->fma(device.stream, x, n, rounds));
  std::vector<float> values = x.host();
  for (int i = 0; i < n; i++) {
    double expected = 0; /* x_r = 2 + (x_0 - 2) / 2^r */
    for (int k = 0; k < MOTE_PROBE_CHAINS; k++) expected += 2 + (i + k - 2) / 32.0;
    EXPECT_NEAR(values[i], expected, 1e-5 * expected) << i; /* sixteen roundings of 2^-24 */
  }
}

TEST_P(ProbeTest, TensorCoresAddOnes) {
  Device device(GetParam());
  if (!device->probe->mma) GTEST_SKIP() << GetParam() << " has no tensor cores";
  const int warps = 9, rounds = 7;
  for (int tf32 : {0, 1}) {
    Array<float> sums(device, std::vector<float>(32 * warps, -1));
    MOTE_ASSERT_OK(device->probe->mma(device.stream, tf32, sums, warps, rounds));
    EXPECT_EQ(std::vector<float>(32 * warps, float((tf32 ? 8 : 16) * rounds)), sums.host());
  }
}
