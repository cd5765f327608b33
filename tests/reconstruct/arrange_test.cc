/* Particles in the order of their bins, exactly; GPUs have kernels of their own for few of them. */
#include <mote/random.h>

#include <algorithm>
#include <numeric>

#include "kernels/reconstruct/field.h"
#include "tests/emulator/control.h"

using mote_test::Array;
using mote_test::Device;

class ArrangeTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(ArrangeTest);

namespace {

void check(Device &device, int dim, int n, const mote_bins &bins) {
  SCOPED_TRACE(testing::Message() << n << " in " << dim << "-D");
  const int64_t stride = (n + 31) / 16 * 16;
  const int all = bins.count[0] * bins.count[1] * bins.count[2];
  int bits = 0;
  while (1 << bits < all) bits++;
  std::vector<float> x(n * dim), u(n * dim);
  for (size_t k = 0; k < x.size(); k++) {
    x[k] = 1.4f * mote_random_uniform(3, 1, k, 0) - 0.2f; /* some beyond the bins */
    u[k] = mote_random_normal(3, 2, k, 0);
  }
  if (n > 40) x[40 * dim] = NAN, x[39 * dim] = INFINITY;
  Array<float> position(device, x), increment(device, u), rows(device, std::vector<float>(6 * stride, -7));
  Array<uint32_t> keys(device, n);
  Array<int32_t> order(device, n), start(device, std::vector<int32_t>(all + 1, -7));
  mote_buffer scratch = {};
  MOTE_ASSERT_OK(device->reconstruct->arrange(device.stream, dim, n, position, increment, &bins, bits, keys,
                                              order, start, rows, stride, &scratch));
  std::vector<int32_t> expected(n), first(all + 1, 0);
  std::iota(expected.begin(), expected.end(), 0);
  std::vector<uint32_t> bin(n);
  for (int i = 0; i < n; i++) bin[i] = mote_bin_of(&bins, dim, &x[i * dim]), first[bin[i] + 1]++;
  std::stable_sort(expected.begin(), expected.end(), [&](int a, int b) { return bin[a] < bin[b]; });
  std::partial_sum(first.begin(), first.end(), first.begin());
  EXPECT_EQ(expected, order.host());
  EXPECT_EQ(first, start.host());
  const std::vector<float> found = rows.host();
  for (int a = 0; a < 6; a++)
    for (int64_t i = 0; i < stride; i++) {
      const bool there = i < n && a % 3 < dim;
      const float want = there ? (a < 3 ? x : u)[expected[i] * dim + a % 3] : 0;
      if (std::isnan(want))
        ASSERT_TRUE(std::isnan(found[a * stride + i]));
      else
        ASSERT_EQ(want, found[a * stride + i]) << a << ", " << i;
    }
  mote_buffer_free(&scratch);
}

} // namespace

TEST_P(ArrangeTest, FewAndMany) {
  Device device(GetParam());
  for (int n : {1, 2, 100, 1000, 4096, 4097, 9000}) {
    check(device, 3, n, {{0, 0, 0}, 0.13f, {8, 9, 7}});
    check(device, 2, n, {{0.1f, -0.3f, 0}, 0.11f, {8, 9, 1}});
  }
  check(device, 3, 300, {{0, 0, 0}, 0.01f, {100, 100, 30}}); /* more bins than one block goes through */
}

TEST_P(ArrangeTest, InAnyOrderOfThreads) {
  Device device(GetParam());
  mote_test::Verified guard(device);
  check(device, 3, 700, {{0, 0, 0}, 0.13f, {8, 9, 7}});
}
