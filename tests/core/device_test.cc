/* Devices: opening by name, clear refusals, buffers that stop allocating, replay and timers. */
#include "host/core/error.h"
#include "tests/support/testing.h"

#include <cstring>

using mote_test::Array;
using mote_test::Device;

TEST(DeviceNames, UnknownAndAbsentDevicesAreRefusedWithTheReason) {
  mote_device *device = nullptr;
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_device_open("quantum", nullptr, &device));
  EXPECT_NE(nullptr, strstr(mote_last_error(), "quantum"));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_device_open("cuda:x", nullptr, &device));
  if (mote_cuda_device_count(nullptr) == 0) {
    EXPECT_EQ(MOTE_ERROR_DEVICE, mote_device_open("cuda:0", nullptr, &device));
    EXPECT_NE('\0', mote_last_error()[0]);
  }
  EXPECT_EQ(MOTE_ERROR_DEVICE, mote_device_open("cuda:99", nullptr, &device));
  mote_device_options options = {-1, MOTE_PRECISION_FLOAT32};
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_device_open("cpu", &options, &device));
  EXPECT_EQ(nullptr, device);
}

TEST(DeviceNames, AutoAlwaysOpens) {
  Device device("auto");
  EXPECT_NE('\0', mote_device_description(device.device)[0]);
}

class DeviceTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(DeviceTest);

TEST_P(DeviceTest, UploadAndDownloadKeepTheBytes) {
  Device device(GetParam());
  std::vector<float> values(1000);
  for (size_t i = 0; i < values.size(); i++) values[i] = 0.25f * float(i);
  Array<float> array(device, values);
  EXPECT_EQ(values, array.host());
}

TEST_P(DeviceTest, BuffersGrowAndThenStayAndAreCounted) {
  Device device(GetParam());
  mote_buffer buffer = {};
  MOTE_ASSERT_OK(mote_buffer_reserve(&buffer, device.device, 100));
  MOTE_ASSERT_OK(mote_buffer_reserve(&buffer, device.device, 1000));
  size_t allocations = mote_device_memory_use(device.device).allocations;
  void *where = buffer.data;
  MOTE_ASSERT_OK(mote_buffer_reserve(&buffer, device.device, 500));
  EXPECT_EQ(where, buffer.data);
  EXPECT_EQ(allocations, mote_device_memory_use(device.device).allocations);
  mote_buffer_free(&buffer);
  EXPECT_EQ(0u, mote_device_memory_use(device.device).bytes_now);
}

TEST_P(DeviceTest, AnAllocationBeyondAllMemoryIsRefused) {
  Device device(GetParam());
  mote_buffer buffer = {};
  EXPECT_EQ(MOTE_ERROR_MEMORY, mote_buffer_reserve(&buffer, device.device, size_t(1) << 60));
  EXPECT_EQ(nullptr, buffer.data);
}

static mote_status set_bytes(void *context, mote_stream *stream) {
  return mote_fill_bytes(stream, static_cast<Array<unsigned char> *>(context)->data(), 7, 64);
}

TEST_P(DeviceTest, ReplayRunsTheStepEachTime) {
  Device device(GetParam());
  Array<unsigned char> bytes(device, 64);
  mote_replay replay = {};
  for (int run = 0; run < 4; run++) {
    MOTE_ASSERT_OK(mote_fill_bytes(device.stream, bytes, run, 64));
    MOTE_ASSERT_OK(mote_replay_run(&replay, device.stream, set_bytes, &bytes));
    EXPECT_EQ(std::vector<unsigned char>(64, 7), bytes.host());
  }
  mote_replay_reset(&replay);
}

namespace {

/* A second stream copies what the first one made, and is waited for, or not. */
struct Forked {
  mote_stream *side;
  unsigned char *made, *copied, *early, *late;
  bool joins;
};

mote_status fork(void *context, mote_stream *stream) {
  auto *f = static_cast<Forked *>(context);
  MOTE_TRY(mote_fill_bytes(stream, f->made, 9, 64));
  MOTE_TRY(mote_stream_wait(f->side, stream));
  MOTE_TRY(mote_copy_on_device(f->side, f->copied, f->made, 64));
  MOTE_TRY(mote_copy_on_device(stream, f->early, f->copied, 64)); /* a mistake: nobody waited */
  if (!f->joins) return MOTE_OK;
  MOTE_TRY(mote_stream_wait(stream, f->side));
  return mote_copy_on_device(stream, f->late, f->copied, 64);
}

} // namespace

TEST_P(DeviceTest, StreamsForkAndJoinInARecording) {
  Device device(GetParam());
  Array<unsigned char> made(device, 64), copied(device, 64), early(device, 64), late(device, 64);
  Forked f = {nullptr, made, copied, early, late, true};
  MOTE_ASSERT_OK(mote_stream_create(device.device, &f.side));
  mote_replay replay = {};
  for (int run = 0; run < 4; run++) {
    for (unsigned char *bytes : {f.made, f.copied, f.early, f.late})
      MOTE_ASSERT_OK(mote_fill_bytes(device.stream, bytes, run, 64));
    MOTE_ASSERT_OK(mote_replay_run(&replay, device.stream, fork, &f));
    EXPECT_EQ(std::vector<unsigned char>(64, 9), late.host()) << run;
    if (GetParam() == "emu" && run > 0) { /* once recorded, the copy comes as late as it may there */
      EXPECT_EQ(std::vector<unsigned char>(64, (unsigned char)run), early.host()) << run;
    }
  }
  mote_replay_reset(&replay);
  f.joins = false;
  MOTE_ASSERT_OK(mote_replay_run(&replay, device.stream, fork, &f));
  MOTE_ASSERT_OK(mote_stream_synchronize(f.side));
  if (!mote_test::is_cpu(GetParam())) { /* recordings have to end in one stream */
    EXPECT_EQ(MOTE_ERROR_DEVICE, mote_replay_run(&replay, device.stream, fork, &f));
    f.joins = true;
    for (int run = 0; run < 3; run++) MOTE_EXPECT_OK(mote_replay_run(&replay, device.stream, fork, &f));
  }
  mote_replay_reset(&replay);
  mote_stream_destroy(f.side);
}

TEST_P(DeviceTest, TimersMeasureForwards) {
  Device device(GetParam());
  mote_timer timer = {};
  double seconds = -1;
  MOTE_ASSERT_OK(mote_timer_create(device.device, &timer));
  MOTE_ASSERT_OK(mote_timer_start(&timer, device.stream));
  MOTE_ASSERT_OK(mote_timer_stop(&timer, device.stream));
  MOTE_ASSERT_OK(mote_timer_seconds(&timer, &seconds));
  EXPECT_GE(seconds, 0);
  mote_timer_destroy(&timer);
}
