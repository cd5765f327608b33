/* See sort.h. The trick is in the layout of scratch: the second pair of arrays that a radix sort needs, then
   the library's own temporary storage, so that a call allocates nothing once scratch is large enough. */
#include "cuda/sort.h"

#include <limits.h>

#include "cuda/few.h"
#include "cuda/launch.h"

#ifdef MOTE_EMULATOR
#include <thrust/execution_policy.h>
#include <thrust/reduce.h>
#include <thrust/scan.h>
#include <thrust/sort.h>
#include <thrust/system/cpp/execution_policy.h>
#else
#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_reduce.cuh>
#include <cub/device/device_scan.cuh>
#endif

static mote_status check_count(const char *what, int64_t n) {
  if (n <= INT_MAX - 1) return MOTE_OK;
  return mote_fail(MOTE_ERROR_UNSUPPORTED, "%s of %lld elements: at most 2^31 - 2 fit", what,
                   static_cast<long long>(n));
}

static size_t aligned(size_t bytes) {
  return (bytes + 255) / 256 * 256;
}

/* ---- The libraries: each call with NULL storage only tells the bytes it needs ---- */

#ifdef MOTE_EMULATOR

template <typename Key>
static cudaError_t sort_with(void *storage, size_t &bytes, Key *keys, int32_t *values, Key *keys_other,
                             int32_t *values_other, int n, int, cudaStream_t stream, bool *in_other) {
  *in_other = false;
  if (!storage) return bytes = 16, cudaSuccess;
  mote_emulator::run_library(
      "sort", stream,
      [n](Key *k, int32_t *v, Key *k_other, int32_t *v_other) {
        thrust::stable_sort_by_key(thrust::cpp::par, k, k + n, v);
        memset(k_other, 0xff, sizeof(Key) * size_t(n)); /* as a radix sort leaves it: of no use */
        memset(v_other, 0xff, sizeof(int32_t) * size_t(n));
      },
      keys, values, keys_other, values_other);
  return cudaGetLastError();
}

template <typename T>
static cudaError_t scan_with(void *storage, size_t &bytes, const T *in, T *out, int n, cudaStream_t stream) {
  if (!storage) return bytes = 16, cudaSuccess;
  mote_emulator::run_library(
      "scan", stream,
      [n](const T *from, T *to) { thrust::inclusive_scan(thrust::cpp::par, from, from + n, to); }, in, out);
  return cudaGetLastError();
}

static cudaError_t sum_with(void *storage, size_t &bytes, const double *in, double *out, int n,
                            cudaStream_t stream) {
  if (!storage) return bytes = 16, cudaSuccess;
  mote_emulator::run_library(
      "sum", stream,
      [n](const double *from, double *to) { *to = thrust::reduce(thrust::cpp::par, from, from + n, 0.0); },
      in, out);
  return cudaGetLastError();
}

#else

template <typename Key>
static cudaError_t sort_with(void *storage, size_t &bytes, Key *keys, int32_t *values, Key *keys_other,
                             int32_t *values_other, int n, int key_bits, cudaStream_t stream,
                             bool *in_other) {
  cub::DoubleBuffer<Key> k(keys, keys_other);
  cub::DoubleBuffer<int32_t> v(values, values_other);
  cudaError_t error = cub::DeviceRadixSort::SortPairs(storage, bytes, k, v, n, 0, key_bits, stream);
  *in_other = k.Current() == keys_other;
  return error;
}

template <typename T>
static cudaError_t scan_with(void *storage, size_t &bytes, const T *in, T *out, int n, cudaStream_t stream) {
  return cub::DeviceScan::InclusiveSum(storage, bytes, in, out, n, stream);
}

static cudaError_t sum_with(void *storage, size_t &bytes, const double *in, double *out, int n,
                            cudaStream_t stream) {
  return cub::DeviceReduce::Sum(storage, bytes, in, out, n, stream);
}

#endif

/* ---- What is the same for both ---- */

template <typename Key> struct sort_layout {
  int bits;
  size_t key_bytes, value_bytes, storage_bytes;
  size_t bytes() const { return key_bytes + value_bytes + storage_bytes; }
};

template <typename Key>
static mote_status plan_sort(mote_stream *stream, int64_t n, int key_bits, sort_layout<Key> *layout) {
  MOTE_TRY(check_count("a sort", n));
  const int most = static_cast<int>(sizeof(Key)) * 8;
  bool in_other = false;
  *layout = {key_bits < most ? key_bits : most, aligned(n * sizeof(Key)), aligned(n * sizeof(int32_t)), 0};
  MOTE_CUDA_TRY(cudaSetDevice(mote_cuda_ordinal(stream->device)));
  MOTE_CUDA_TRY(sort_with<Key>(nullptr, layout->storage_bytes, nullptr, nullptr, nullptr, nullptr,
                               static_cast<int>(n), layout->bits, mote_native(stream), &in_other));
  return MOTE_OK;
}

template <typename Key>
static mote_status sort_pairs(mote_stream *stream, Key *keys, int32_t *values, int64_t n, int key_bits,
                              mote_buffer *scratch) {
  if (n < 2 || key_bits <= 0) return MOTE_OK;
  sort_layout<Key> layout;
  bool in_other = false;
  MOTE_TRY(plan_sort<Key>(stream, n, key_bits, &layout));
  MOTE_TRY(mote_buffer_reserve(scratch, stream->device, layout.bytes()));
  char *base = static_cast<char *>(scratch->data);
  Key *keys_other = reinterpret_cast<Key *>(base);
  int32_t *values_other = reinterpret_cast<int32_t *>(base + layout.key_bytes);
  MOTE_CUDA_TRY(sort_with(base + layout.key_bytes + layout.value_bytes, layout.storage_bytes, keys, values,
                          keys_other, values_other, static_cast<int>(n), layout.bits, mote_native(stream),
                          &in_other));
  if (!in_other) return MOTE_OK;
  MOTE_TRY(mote_copy_on_device(stream, keys, keys_other, n * sizeof(Key)));
  return mote_copy_on_device(stream, values, values_other, n * sizeof(int32_t));
}

/* Few elements by one block: one launch, where the library makes two and a fill. */
#define SCAN_THREADS 1024
#define SCAN_FEW (16 * SCAN_THREADS)

template <typename T> static __global__ void scan_few_kernel(const T *in, T *out, int n) {
  __shared__ T shared[MOTE_SCAN_SHARED];
  const int each = (n + SCAN_THREADS - 1) / SCAN_THREADS, first = static_cast<int>(threadIdx.x) * each;
  const int end = min(first + each, n);
  T sum = 0, all;
  for (int i = first; i < end; i++) sum += in[i];
  T before = mote_block_scan(sum, shared, &all);
  for (int i = first; i < end; i++) {
    out[i] = before;
    before += in[i];
  }
  if (threadIdx.x == 0) out[n] = all;
}

template <typename T>
static mote_status exclusive_scan(mote_stream *stream, const T *in, T *out, int64_t n, mote_buffer *scratch) {
  MOTE_TRY(check_count("a scan", n));
  size_t bytes = 0;
  cudaStream_t native = mote_native(stream);
  if (n > 0 && n <= SCAN_FEW)
    return MOTE_LAUNCH(scan_few_kernel<T>, 1, SCAN_THREADS, 0, stream, in, out, static_cast<int>(n));
  MOTE_TRY(mote_fill_bytes(stream, out, 0, sizeof(T)));
  if (n <= 0) return MOTE_OK;
  MOTE_CUDA_TRY(cudaSetDevice(mote_cuda_ordinal(stream->device)));
  MOTE_CUDA_TRY(scan_with(nullptr, bytes, in, out + 1, static_cast<int>(n), native));
  MOTE_TRY(mote_buffer_reserve(scratch, stream->device, bytes));
  MOTE_CUDA_TRY(scan_with(scratch->data, bytes, in, out + 1, static_cast<int>(n), native));
  return MOTE_OK;
}

mote_status mote_cuda_sort_pairs_u32(mote_stream *stream, uint32_t *keys, int32_t *values, int64_t n,
                                     int key_bits, mote_buffer *scratch) {
  return sort_pairs(stream, keys, values, n, key_bits, scratch);
}

mote_status mote_cuda_sort_pairs_u64(mote_stream *stream, uint64_t *keys, int32_t *values, int64_t n,
                                     int key_bits, mote_buffer *scratch) {
  return sort_pairs(stream, keys, values, n, key_bits, scratch);
}

mote_status mote_cuda_sort_bytes_u32(mote_stream *stream, int64_t n, int key_bits, size_t *bytes) {
  sort_layout<uint32_t> layout;
  MOTE_TRY(plan_sort<uint32_t>(stream, n, key_bits, &layout));
  *bytes = layout.bytes();
  return MOTE_OK;
}

mote_status mote_cuda_exclusive_scan_i32(mote_stream *stream, const int32_t *in, int32_t *out, int64_t n,
                                         mote_buffer *scratch) {
  return exclusive_scan(stream, in, out, n, scratch);
}

mote_status mote_cuda_exclusive_scan_i64(mote_stream *stream, const int64_t *in, int64_t *out, int64_t n,
                                         mote_buffer *scratch) {
  return exclusive_scan(stream, in, out, n, scratch);
}

mote_status mote_cuda_sum_f64(mote_stream *stream, const double *in, double *out, int64_t n,
                              mote_buffer *scratch) {
  MOTE_TRY(check_count("a sum", n));
  if (n <= 0) return mote_fill_bytes(stream, out, 0, sizeof(double));
  size_t bytes = 0;
  cudaStream_t native = mote_native(stream);
  MOTE_CUDA_TRY(cudaSetDevice(mote_cuda_ordinal(stream->device)));
  MOTE_CUDA_TRY(sum_with(nullptr, bytes, in, out, static_cast<int>(n), native));
  MOTE_TRY(mote_buffer_reserve(scratch, stream->device, bytes));
  MOTE_CUDA_TRY(sum_with(scratch->data, bytes, in, out, static_cast<int>(n), native));
  return MOTE_OK;
}
