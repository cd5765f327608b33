/* Scans, sorts and gathers of a million entries. */
#include "bench/micro/support.h"
#include "kernels/array/array.h"

namespace {

const int64_t n = 1000000;

std::vector<int32_t> permutation() {
  std::vector<int32_t> order(n);
  for (int64_t i = 0; i < n; i++) order[i] = int32_t(i);
  for (int64_t i = n - 1; i > 0; i--) std::swap(order[i], order[mote_random_below(1, 2, i, i + 1)]);
  return order;
}

void scan(benchmark::State &state) {
  micro::Device d;
  micro::Array<int32_t> in(d, std::vector<int32_t>(n, 3)), out(d, n + 1);
  mote_buffer scratch = {};
  micro::time(state, n, [&] { return d->array->exclusive_scan_i32(d.stream, in, out, n, &scratch); });
  mote_buffer_free(&scratch);
}
BENCHMARK(scan)->UseRealTime();

/* Argument: bits of the key. The copy of fresh keys is part of the time. */
void sort_pairs(benchmark::State &state) {
  micro::Device d;
  int bits = int(state.range(0));
  std::vector<uint32_t> keys(n);
  for (int64_t i = 0; i < n; i++) keys[i] = uint32_t(mote_random_below(1, 3, i, 1ull << bits));
  micro::Array<uint32_t> fresh(d, keys), key(d, n);
  micro::Array<int32_t> value(d, permutation());
  mote_buffer scratch = {};
  micro::time(state, n, [&] {
    mote_status status = mote_copy_on_device(d.stream, key, fresh, n * 4);
    return status == MOTE_OK ? d->array->sort_pairs_u32(d.stream, key, value, n, bits, &scratch) : status;
  });
  mote_buffer_free(&scratch);
}
BENCHMARK(sort_pairs)->Arg(12)->Arg(24)->Arg(32)->UseRealTime();

/* Argument: floats a row. */
void gather_rows(benchmark::State &state) {
  micro::Device d;
  int width = int(state.range(0));
  micro::Array<float> in(d, std::vector<float>(size_t(n * width), 1.f)), out(d, size_t(n * width));
  micro::Array<int32_t> index(d, permutation());
  micro::time(state, n, [&] { return d->array->gather_rows_f32(d.stream, in, index, out, n, width); });
}
BENCHMARK(gather_rows)->Arg(3)->Arg(16)->UseRealTime();

} // namespace
