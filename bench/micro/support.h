/* What the micro-benchmarks share: an open CPU device with a stream, buffers filled from vectors, and how a
   kernel is timed. */
#ifndef MOTE_BENCH_MICRO_SUPPORT_H
#define MOTE_BENCH_MICRO_SUPPORT_H

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <mote/device.h>
#include <mote/random.h>
#include <vector>

#include "host/core/device.h"

namespace micro {

inline void must(mote_status status) {
  if (status != MOTE_OK) abort();
}

struct Device {
  mote_device *device = nullptr;
  mote_stream *stream = nullptr;
  Device() {
    must(mote_device_open("cpu", nullptr, &device));
    must(mote_stream_create(device, &stream));
  }
  ~Device() {
    mote_stream_destroy(stream);
    mote_device_close(device);
  }
  mote_device *operator->() { return device; }
};

template <typename T> struct Array {
  mote_buffer buffer = {};
  Array(Device &d, size_t count) { must(mote_buffer_reserve(&buffer, d.device, count * sizeof(T))); }
  Array(Device &d, const std::vector<T> &from) : Array(d, from.size()) {
    must(mote_upload(d.stream, buffer.data, from.data(), from.size() * sizeof(T)));
  }
  Array(const Array &) = delete;
  ~Array() { mote_buffer_free(&buffer); }
  operator T *() { return static_cast<T *>(buffer.data); }
};

/* n points of the unit cube. */
inline std::vector<float> uniform(int64_t n, uint64_t stream) {
  std::vector<float> x(size_t(n) * 3);
  for (size_t i = 0; i < x.size(); i++) x[i] = mote_random_uniform(1, stream, i, 0);
  return x;
}

/* Times `kernel`, which works on n items and returns a status. */
template <typename Kernel> void time(benchmark::State &state, int64_t n, Kernel kernel) {
  for (auto _ : state)
    if (kernel() != MOTE_OK) state.SkipWithError(mote_last_error());
  state.SetItemsProcessed(state.iterations() * n);
}

} // namespace micro

#endif
