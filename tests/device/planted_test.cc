/* The emulated device against kernels with planted mistakes: each is refused with a message that says what
   and where, and its corrected twin passes and computes what it should. */
#include "tests/device/planted.h"
#include "tests/emulator/control.h"

#include <algorithm>
#include <cstring>

#include "host/core/error.h"

using mote_test::Array;
using mote_test::Device;
using mote_test::Verified;

static bool emulated() {
  for (const std::string &name : mote_test::devices())
    if (name == "emu") return true;
  return false;
}

class Planted : public ::testing::Test {
protected:
  void SetUp() override {
    if (!emulated()) GTEST_SKIP() << "no emulated device in this build";
    device = std::make_unique<Device>("emu");
    if (mote_test::is_checked(*device)) GTEST_SKIP() << "the checked device has tests of its own";
    unverified = std::make_unique<Verified>(*device, false);
    kernels = static_cast<const mote_planted *>(dlsym(device->device->library, "mote_planted_kernels"));
    ASSERT_NE(nullptr, kernels);
  }
  /* The last message has all of these in it. */
  static void expect_message(std::initializer_list<const char *> parts) {
    for (const char *part : parts) EXPECT_NE(nullptr, strstr(mote_last_error(), part)) << mote_last_error();
  }
  void TearDown() override { unverified.reset(); }
  mote_stream *stream() { return device->stream; }
  std::unique_ptr<Device> device;
  std::unique_ptr<Verified> unverified; /* whatever the environment says */
  const mote_planted *kernels = nullptr;
};

static std::vector<float> numbers(int n) {
  std::vector<float> x(n);
  for (int i = 0; i < n; i++) x[i] = 1 + float(i);
  return x;
}

TEST_F(Planted, MissingBarrier) {
  const int n = 256;
  std::vector<float> in = numbers(n), expected(n);
  for (int i = 0; i < n; i++) expected[i] = in[i / 64 * 64 + 63 - i % 64];
  Array<float> a(*device, in), b(*device, n);
  MOTE_ASSERT_OK(kernels->reverse(stream(), a, b, n, true));
  EXPECT_EQ(expected, b.host());
  /* Without verification it shows in the result: someone reads what was not written yet. */
  MOTE_ASSERT_OK(kernels->reverse(stream(), a, b, n, false));
  EXPECT_NE(expected, b.host());
  Verified guard(*device);
  MOTE_EXPECT_OK(kernels->reverse(stream(), a, b, n, true));
  EXPECT_EQ(MOTE_ERROR_DEVICE, kernels->reverse(stream(), a, b, n, false));
  expect_message({"reverse_kernel", "order of its threads", "byte 0 of an allocation of 1024"});
}

TEST_F(Planted, WriteOutOfBounds) {
  /* 64 floats end at the guard page; 61 leave 12 bytes before it, where a pattern is looked after. */
  for (int n : {64, 61, 1024}) {
    Array<float> x(*device, numbers(n));
    MOTE_ASSERT_OK(kernels->twice(stream(), x, n, true));
    EXPECT_EQ(2.f * float(n), x.host()[n - 1]);
    EXPECT_EQ(MOTE_ERROR_DEVICE, kernels->twice(stream(), x, n, false));
    expect_message({"twice_kernel", "past the end of an allocation of "});
    if (n % 4 == 0) expect_message({"block (", "thread (0,0,0)", "0 bytes past"});
    /* The device goes on. */
    if (n % 4) continue;
    MOTE_EXPECT_OK(kernels->twice(stream(), x, n, true));
  }
}

TEST_F(Planted, ReadOfUnwrittenSharedMemory) {
  const int n = 128;
  Array<float> in(*device, std::vector<float>(n, 1.f)), out(*device, 2);
  MOTE_ASSERT_OK(kernels->partial_sum(stream(), in, out, n, true));
  EXPECT_EQ(std::vector<float>(2, 32.f), out.host());
  MOTE_ASSERT_OK(kernels->partial_sum(stream(), in, out, n, false));
  EXPECT_TRUE(std::isnan(out.host()[0])) << out.host()[0];
  Verified guard(*device);
  MOTE_EXPECT_OK(kernels->partial_sum(stream(), in, out, n, true));
  EXPECT_EQ(MOTE_ERROR_DEVICE, kernels->partial_sum(stream(), in, out, n, false));
  expect_message({"partial_sum_kernel", "unwritten shared memory"});
}

TEST_F(Planted, RaceBetweenBlocks) {
  Array<int32_t> out(*device, std::vector<int32_t>(8, -1));
  Verified guard(*device);
  MOTE_EXPECT_OK(kernels->claim(stream(), out, 8, true));
  EXPECT_EQ((std::vector<int32_t>{0, 1, 2, 3, 4, 5, 6, 7}), out.host());
  EXPECT_EQ(MOTE_ERROR_DEVICE, kernels->claim(stream(), out, 8, false));
  expect_message({"claim_kernel", "order of its threads and blocks"});
}

TEST_F(Planted, AtomicSumsAreExact) {
  const int n = 1000;
  std::vector<int32_t> x(n);
  for (int i = 0; i < n; i++) x[i] = i;
  Array<int32_t> in(*device, x), sum(*device, std::vector<int32_t>{0});
  Verified guard(*device);
  MOTE_EXPECT_OK(kernels->total(stream(), in, sum, n, true));
  EXPECT_EQ(n * (n - 1) / 2, sum.host()[0]);
}

TEST_F(Planted, HostPointer) {
  const int n = 64;
  std::vector<float> host = numbers(n);
  Array<float> in(*device, host), out(*device, n);
  MOTE_EXPECT_OK(kernels->copy(stream(), in, out, n));
  EXPECT_EQ(host, out.host());
  EXPECT_EQ(MOTE_ERROR_DEVICE, kernels->copy(stream(), host.data(), out, n));
  expect_message({"copy_kernel", "argument 0", "host memory"});
  MOTE_EXPECT_OK(kernels->copy_struct(stream(), {n, in, out}));
  EXPECT_EQ(MOTE_ERROR_DEVICE, kernels->copy_struct(stream(), {n, in, host.data()}));
  expect_message({"copy_struct_kernel", "argument 0", "host memory", "at byte 16"});
}

TEST_F(Planted, FreedPointerAndPointerBeforeTheStart) {
  Array<float> out(*device, 64);
  mote_buffer freed = {};
  MOTE_ASSERT_OK(mote_buffer_reserve(&freed, device->device, 256));
  float *stale = static_cast<float *>(freed.data);
  mote_buffer_free(&freed);
  EXPECT_EQ(MOTE_ERROR_DEVICE, kernels->copy(stream(), stale, out, 64));
  expect_message({"copy_kernel", "argument 0", "freed"});
  EXPECT_EQ(MOTE_ERROR_DEVICE, kernels->copy(stream(), out.data() - 4, out, 60));
  expect_message({"argument 0", "16 bytes before the start of an allocation"});
}

TEST_F(Planted, PointerThatIsNoArgument) {
  Array<float> value(*device, std::vector<float>{3}), out(*device, 1);
  Array<const float *> table(*device, std::vector<const float *>{value.data()});
  EXPECT_EQ(MOTE_ERROR_DEVICE, kernels->indirect(stream(), table, out));
  expect_message({"indirect_kernel", "did not get as an argument"});
  EXPECT_EQ(MOTE_ERROR_DEVICE, kernels->indirect(stream(), nullptr, out));
  expect_message({"indirect_kernel", "null pointer"});
}

TEST_F(Planted, DivergentBarriers) {
  const int n = 100;
  Array<float> in(*device, numbers(n)), out(*device, n);
  MOTE_EXPECT_OK(kernels->early_return(stream(), in, out, n, true));
  EXPECT_EQ(numbers(n), out.host());
  EXPECT_EQ(MOTE_ERROR_DEVICE, kernels->early_return(stream(), in, out, n, false));
  expect_message({"early_return_kernel", "36 of 64 threads", "__syncthreads", "planted.cu:", "28 have left"});
  MOTE_EXPECT_OK(kernels->two_barriers(stream(), out, true));
  EXPECT_EQ(MOTE_ERROR_DEVICE, kernels->two_barriers(stream(), out, false));
  expect_message({"two_barriers_kernel", "planted.cu"});
}

TEST_F(Planted, DynamicSharedMemoryEndsWhereItWasAsked) {
  Array<float> out(*device, 64);
  MOTE_EXPECT_OK(kernels->dynamic(stream(), out, true));
  EXPECT_EQ(63.f, out.host()[0]);
  EXPECT_EQ(MOTE_ERROR_DEVICE, kernels->dynamic(stream(), out, false));
  expect_message({"dynamic_kernel", "thread (63,0,0)", "dynamic shared memory"});
}

TEST_F(Planted, LanesThatLeft) {
  Array<int32_t> out(*device, 16);
  MOTE_EXPECT_OK(kernels->lost_lanes(stream(), out, true));
  EXPECT_EQ(15, out.host()[14]);
  EXPECT_EQ(MOTE_ERROR_DEVICE, kernels->lost_lanes(stream(), out, false));
  expect_message({"lost_lanes_kernel", "a shuffle"});
}

TEST_F(Planted, ProductsWantWholeWarps) {
  std::vector<float> a(256), b(128), expected(128, 0.f);
  for (int i = 0; i < 256; i++) a[i] = float(i * 7 % 31 - 15);
  for (int i = 0; i < 128; i++) b[i] = float(i * 5 % 23 - 11);
  for (int r = 0; r < 16; r++)
    for (int c = 0; c < 8; c++)
      for (int k = 0; k < 16; k++) expected[r * 8 + c] += a[r * 16 + k] * b[k * 8 + c];
  Array<float> left(*device, a), right(*device, b), c(*device, 128);
  MOTE_EXPECT_OK(kernels->product(stream(), left, right, c, true));
  EXPECT_EQ(expected, c.host());
  EXPECT_EQ(MOTE_ERROR_DEVICE, kernels->product(stream(), left, right, c, false));
  expect_message({"product_kernel", "a product of a warp"});
}

TEST_F(Planted, CopyThatWasNotWaitedFor) {
  const int n = 512;
  std::vector<float> in = numbers(n), expected(n);
  for (int i = 0; i < n; i++) expected[i] = in[i / 256 * 256 + 255 - i % 256];
  Array<float> a(*device, in), b(*device, n);
  MOTE_ASSERT_OK(kernels->late(stream(), a, b, n, true));
  EXPECT_EQ(expected, b.host());
  MOTE_ASSERT_OK(kernels->late(stream(), a, b, n, false));
  /* Whoever goes on first behind the barrier finds what another has not copied. */
  const std::vector<float> found = b.host();
  EXPECT_TRUE(std::any_of(found.begin(), found.end(), [](float x) { return std::isnan(x); }));
  Verified guard(*device);
  MOTE_EXPECT_OK(kernels->late(stream(), a, b, n, true));
  EXPECT_EQ(MOTE_ERROR_DEVICE, kernels->late(stream(), a, b, n, false));
  expect_message({"late_kernel", "unwritten shared memory"});
}

TEST_F(Planted, HostCodeCannotReadDeviceMemory) {
  Array<float> x(*device, numbers(4));
  MOTE_ASSERT_OK(kernels->twice(stream(), x, 4, true));
  GTEST_FLAG_SET(death_test_style, "threadsafe"); /* the BLAS has started threads */
  volatile float *reach = x.data();
  EXPECT_DEATH(printf("%g\n", double(reach[0])), "host code touched device memory");
}

TEST_F(Planted, OrdersAreShuffledAndRepeatable) {
  Array<int32_t> out(*device, 1);
  auto winners = [&](uint64_t seed) {
    std::vector<int32_t> list;
    mote_test::shuffle_orders(*device, seed);
    for (int i = 0; i < 8; i++) {
      EXPECT_EQ(MOTE_OK, kernels->claim(stream(), out, 64, false)); /* the last block to run wins */
      list.push_back(out.host()[0]);
    }
    return list;
  };
  std::vector<int32_t> one = winners(1), other = winners(2);
  EXPECT_NE(one, other);
  EXPECT_EQ(one, winners(1));
  EXPECT_NE(std::vector<int32_t>(8, one[0]), one) << "the order changes from launch to launch";
  mote_test::shuffle_orders(*device, 0);
}

/* ---- Recording ---- */

struct copy_step {
  const mote_planted *kernels;
  float *from, *to;
  mote_buffer *grows;
  static mote_status run(void *context, mote_stream *stream) {
    auto *self = static_cast<copy_step *>(context);
    if (self->grows) MOTE_TRY(mote_buffer_reserve(self->grows, stream->device, self->grows->bytes + 1));
    return self->kernels->copy(stream, self->from, self->to, 64);
  }
};

TEST_F(Planted, ARecordedStepMayNotAllocate) {
  Array<float> from(*device, numbers(64)), to(*device, 64);
  mote_buffer buffer = {};
  copy_step step = {kernels, from, to, &buffer};
  mote_replay replay = {};
  MOTE_EXPECT_OK(mote_replay_run(&replay, stream(), copy_step::run, &step));
  EXPECT_EQ(MOTE_ERROR_DEVICE, mote_replay_run(&replay, stream(), copy_step::run, &step));
  expect_message({"cudaMalloc", "recording"});
  mote_replay_reset(&replay);
  mote_buffer_free(&buffer);
}

TEST_F(Planted, AReplayOfFreedMemoryIsRefused) {
  Array<float> from(*device, numbers(64));
  auto to = std::make_unique<Array<float>>(*device, 64);
  copy_step step = {kernels, from, *to, nullptr};
  mote_replay replay = {};
  for (int i = 0; i < 3; i++) MOTE_EXPECT_OK(mote_replay_run(&replay, stream(), copy_step::run, &step));
  EXPECT_EQ(numbers(64), to->host());
  to.reset();
  EXPECT_EQ(MOTE_ERROR_DEVICE, mote_replay_run(&replay, stream(), copy_step::run, &step));
  expect_message({"copy_kernel", "argument 1", "freed"});
  mote_replay_reset(&replay);
}
