/* Array primitives on the GPU: a thread an element, and the sorts and scans of cuda/sort.h. */
#include "kernels/array/array.h"

#include "cuda/launch.h"
#include "cuda/sort.h"

#define BLOCK 256

static __device__ int64_t own_element() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

static __global__ void fill_i32_kernel(int32_t *x, int32_t value, int64_t n) {
  int64_t i = own_element();
  if (i < n) x[i] = value;
}

static mote_status fill_i32(mote_stream *stream, int32_t *x, int32_t value, int64_t n) {
  return MOTE_LAUNCH(fill_i32_kernel, mote_grid(n, BLOCK), BLOCK, 0, stream, x, value, n);
}

static __global__ void iota_i32_kernel(int32_t *x, int32_t first, int64_t n) {
  int64_t i = own_element();
  if (i < n) x[i] = first + static_cast<int32_t>(i);
}

static mote_status iota_i32(mote_stream *stream, int32_t *x, int32_t first, int64_t n) {
  return MOTE_LAUNCH(iota_i32_kernel, mote_grid(n, BLOCK), BLOCK, 0, stream, x, first, n);
}

/* A thread moves one float: neighbouring threads touch neighbouring floats of a row. */
static __global__ void gather_rows_f32_kernel(const float *in, const int32_t *index, float *out, int64_t n,
                                              int width) {
  int64_t i = own_element();
  if (i >= n * width) return;
  int64_t row = i / width;
  out[i] = in[static_cast<int64_t>(index[row]) * width + (i - row * width)];
}

static mote_status gather_rows_f32(mote_stream *stream, const float *in, const int32_t *index, float *out,
                                   int64_t n, int width) {
  return MOTE_LAUNCH(gather_rows_f32_kernel, mote_grid(n * width, BLOCK), BLOCK, 0, stream, in, index, out, n,
                     width);
}

static __global__ void scatter_rows_f32_kernel(const float *in, const int32_t *index, float *out, int64_t n,
                                               int width) {
  int64_t i = own_element();
  if (i >= n * width) return;
  int64_t row = i / width;
  out[static_cast<int64_t>(index[row]) * width + (i - row * width)] = in[i];
}

static mote_status scatter_rows_f32(mote_stream *stream, const float *in, const int32_t *index, float *out,
                                    int64_t n, int width) {
  return MOTE_LAUNCH(scatter_rows_f32_kernel, mote_grid(n * width, BLOCK), BLOCK, 0, stream, in, index, out,
                     n, width);
}

extern "C" const struct mote_array_kernels mote_array_gpu = {
    fill_i32,        iota_i32,         mote_cuda_exclusive_scan_i32, mote_cuda_sort_pairs_u32,
    gather_rows_f32, scatter_rows_f32,
};
