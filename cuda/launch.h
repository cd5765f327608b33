/* How a .cu file starts kernels and reports CUDA's errors. MOTE_LAUNCH is an expression of type mote_status:

     __global__ void scale_kernel(float *x, float factor, int64_t n) { ... }
     static mote_status scale(mote_stream *stream, float *x, float factor, int64_t n) {
       return MOTE_LAUNCH(scale_kernel, mote_grid(n, 256), 256, 0, stream, x, factor, n);
     }

   A grid without blocks is a launch without work, not an error. Asynchronous errors of a kernel (a bad
   access) are reported by a later call on the device, as always in CUDA. */
#ifndef MOTE_CUDA_LAUNCH_H
#define MOTE_CUDA_LAUNCH_H

#include <cuda_runtime.h>

#include "host/core/device.h"
#include "host/core/error.h"

/* `what` names the call; running out of memory is told apart from other failures. */
static inline mote_status mote_cuda_fail(cudaError_t error, const char *what) {
  return mote_fail(error == cudaErrorMemoryAllocation ? MOTE_ERROR_MEMORY : MOTE_ERROR_DEVICE, "%s: %s", what,
                   cudaGetErrorString(error));
}

#define MOTE_CUDA_TRY(call)                                                                                  \
  do {                                                                                                       \
    cudaError_t mote_cuda_error_ = (call);                                                                   \
    if (mote_cuda_error_ != cudaSuccess) return mote_cuda_fail(mote_cuda_error_, #call);                     \
  } while (0)

/* The ordinal of the CUDA device behind `device` (cuda/device.cu). */
int mote_cuda_ordinal(const mote_device *device);

/* What a kernel's tiles are cut to: blocks that run at once if each fills a multiprocessor, and the bytes of
   shared memory that a block may have (cuda/device.cu). */
int mote_cuda_multiprocessors(const mote_device *device);
int mote_cuda_block_shared(const mote_device *device);

static inline cudaStream_t mote_native(const mote_stream *stream) {
  return static_cast<cudaStream_t>(stream->native);
}

/* Blocks of `block` threads that give each of n elements a thread. */
static inline unsigned mote_grid(int64_t n, int block) {
  return n > 0 ? static_cast<unsigned>((n + block - 1) / block) : 0u;
}

/* A stream takes launches only while its device is the thread's current one. */
static inline bool mote_launch_begins(dim3 grid, const mote_stream *stream) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return false;
  cudaSetDevice(mote_cuda_ordinal(stream->device));
  return true;
}

static inline mote_status mote_launch_ended(const char *kernel) {
  cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? MOTE_OK : mote_cuda_fail(error, kernel);
}

#ifdef MOTE_EMULATOR
#define MOTE_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                          \
  (mote_launch_begins(grid, stream) ? (mote_emulator::launch(#kernel, kernel, grid, block, shared_bytes,     \
                                                             mote_native(stream), ##__VA_ARGS__),            \
                                       mote_launch_ended(#kernel))                                           \
                                    : MOTE_OK)
#else
#define MOTE_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                          \
  (mote_launch_begins(grid, stream)                                                                          \
       ? (kernel<<<(grid), (block), (shared_bytes), mote_native(stream)>>>(__VA_ARGS__),                     \
          mote_launch_ended(#kernel))                                                                        \
       : MOTE_OK)
#endif

/* Wraps a template's arguments where they hold a comma: MOTE_LAUNCH(MOTE_KERNEL(p2g_kernel<3, true>), ...).
 */
#define MOTE_KERNEL(...) __VA_ARGS__

/* In a kernel, the dynamic shared memory of the launch as an array: MOTE_SHARED_DYNAMIC(float, tile). */
#ifdef MOTE_EMULATOR
#define MOTE_SHARED_DYNAMIC(type, name) type *name = static_cast<type *>(mote_emulator::dynamic_shared())
#else
#define MOTE_SHARED_DYNAMIC(type, name)                                                                      \
  extern __shared__ __align__(16) unsigned char mote_dynamic_shared_[];                                      \
  type *name = reinterpret_cast<type *>(mote_dynamic_shared_)
#endif

/* Lets launches of `kernel` take `bytes` of dynamic shared memory where that is more than the 48 KiB that
   every one may have. The limit is the kernel's, for all host threads: each sets it to the same, the most
   there is, since one that set its own launch's bytes would take them from another's. */
template <typename Kernel>
static inline mote_status mote_allow_shared(Kernel *kernel, size_t bytes, const mote_stream *stream) {
  if (bytes <= 48 * 1024) return MOTE_OK;
  const void *function = reinterpret_cast<const void *>(kernel);
  cudaFuncAttributes has;
  MOTE_CUDA_TRY(cudaFuncGetAttributes(&has, function));
  if (static_cast<size_t>(has.maxDynamicSharedSizeBytes) >= bytes) return MOTE_OK;
  int most = mote_cuda_block_shared(stream->device) - static_cast<int>(has.sharedSizeBytes);
  MOTE_CUDA_TRY(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, most));
  return MOTE_OK;
}

#endif
