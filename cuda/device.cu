/* The CUDA device as a plugin: memory, streams, copies, timers and graphs through the CUDA runtime. The
   tests' emulated device is this same file over an emulated runtime. Initialisers are positional: C++17 has
   no designated ones. */
#include <stdio.h>
#include <stdlib.h>

#include "cuda/launch.h"
#include "cuda/state.h"

#ifdef MOTE_EMULATOR
#define DEVICE_KIND "emu"
#else
#define DEVICE_KIND "cuda"
#endif

int mote_cuda_ordinal(const mote_device *device) {
  return static_cast<mote_cuda_state *>(device->native)->ordinal;
}

int mote_cuda_multiprocessors(const mote_device *device) {
  return static_cast<mote_cuda_state *>(device->native)->multiprocessors;
}

int mote_cuda_block_shared(const mote_device *device) {
  return static_cast<mote_cuda_state *>(device->native)->block_shared;
}

static cudaError_t select_device(const mote_device *device) {
  return cudaSetDevice(mote_cuda_ordinal(device));
}

static mote_status cuda_allocate(mote_device *device, size_t bytes, void **memory) {
  *memory = nullptr;
  MOTE_CUDA_TRY(select_device(device));
  cudaError_t error = cudaMalloc(memory, bytes ? bytes : 1);
  if (error == cudaSuccess) return MOTE_OK;
  if (error != cudaErrorMemoryAllocation) return mote_cuda_fail(error, "cudaMalloc");
  cudaGetLastError();
  size_t available = 0, total = 0;
  cudaMemGetInfo(&available, &total);
  return mote_fail(MOTE_ERROR_MEMORY, "%s is out of memory: %zu bytes wanted, %zu of %zu free", device->name,
                   bytes, available, total);
}

static void cuda_release(mote_device *device, void *memory) {
  select_device(device);
  cudaFree(memory);
}

static mote_status cuda_stream_create(mote_device *device, void **native) {
  cudaStream_t stream;
  MOTE_CUDA_TRY(select_device(device));
  MOTE_CUDA_TRY(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  *native = stream;
  return MOTE_OK;
}

static void cuda_stream_destroy(mote_device *device, void *native) {
  select_device(device);
  cudaStreamDestroy(static_cast<cudaStream_t>(native));
}

static mote_status cuda_synchronize(mote_stream *stream) {
  MOTE_CUDA_TRY(cudaStreamSynchronize(mote_native(stream)));
  return MOTE_OK;
}

/* An event may be destroyed before it has come to pass. */
static mote_status cuda_stream_wait(mote_stream *stream, mote_stream *other) {
  cudaEvent_t event;
  MOTE_CUDA_TRY(select_device(stream->device));
  MOTE_CUDA_TRY(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  cudaError_t error = cudaEventRecord(event, mote_native(other));
  if (error == cudaSuccess) error = cudaStreamWaitEvent(mote_native(stream), event, 0);
  cudaEventDestroy(event);
  return error == cudaSuccess ? MOTE_OK : mote_cuda_fail(error, "one stream's wait for another");
}

/* A copy from pageable memory returns once the source has been staged, so the caller may reuse it at once; a
   recorded one would read the source at each replay instead, and is refused. */
static mote_status cuda_copy(mote_stream *stream, void *to, const void *from, size_t bytes, mote_copy kind) {
  static const cudaMemcpyKind kinds[] = {cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost,
                                         cudaMemcpyDeviceToDevice};
  MOTE_CUDA_TRY(select_device(stream->device));
  if (kind != MOTE_COPY_ON_DEVICE) {
    cudaStreamCaptureStatus status;
    MOTE_CUDA_TRY(cudaStreamIsCapturing(mote_native(stream), &status));
    if (status != cudaStreamCaptureStatusNone)
      return mote_fail(MOTE_ERROR_INTERNAL, "a step that is recorded for replay copies to or from the host");
  }
  MOTE_CUDA_TRY(cudaMemcpyAsync(to, from, bytes, kinds[kind], mote_native(stream)));
  return MOTE_OK;
}

static mote_status cuda_fill(mote_stream *stream, void *memory, int byte, size_t bytes) {
  MOTE_CUDA_TRY(select_device(stream->device));
  MOTE_CUDA_TRY(cudaMemsetAsync(memory, byte, bytes, mote_native(stream)));
  return MOTE_OK;
}

/* ---- Timers ---- */

struct cuda_timer {
  cudaEvent_t mark[2];
};

static void cuda_timer_destroy(mote_device *device, void *native) {
  cuda_timer *timer = static_cast<cuda_timer *>(native);
  select_device(device);
  for (cudaEvent_t mark : timer->mark)
    if (mark) cudaEventDestroy(mark);
  free(timer);
}

static mote_status create_marks(cuda_timer *timer) {
  for (cudaEvent_t &mark : timer->mark) MOTE_CUDA_TRY(cudaEventCreateWithFlags(&mark, cudaEventDefault));
  return MOTE_OK;
}

static mote_status cuda_timer_create(mote_device *device, void **native) {
  *native = nullptr;
  MOTE_CUDA_TRY(select_device(device));
  cuda_timer *timer = static_cast<cuda_timer *>(calloc(1, sizeof *timer));
  if (!timer) return mote_fail(MOTE_ERROR_MEMORY, "out of memory making a timer");
  mote_status status = create_marks(timer);
  if (status != MOTE_OK)
    cuda_timer_destroy(device, timer);
  else
    *native = timer;
  return status;
}

static mote_status cuda_timer_mark(mote_stream *stream, void *timer, int end) {
  MOTE_CUDA_TRY(select_device(stream->device));
  MOTE_CUDA_TRY(cudaEventRecord(static_cast<cuda_timer *>(timer)->mark[end], mote_native(stream)));
  return MOTE_OK;
}

static mote_status cuda_timer_read(mote_device *device, void *native, double *seconds) {
  cuda_timer *timer = static_cast<cuda_timer *>(native);
  float milliseconds = 0;
  MOTE_CUDA_TRY(select_device(device));
  MOTE_CUDA_TRY(cudaEventSynchronize(timer->mark[1]));
  MOTE_CUDA_TRY(cudaEventElapsedTime(&milliseconds, timer->mark[0], timer->mark[1]));
  *seconds = 1e-3 * milliseconds;
  return MOTE_OK;
}

/* ---- Recording and replay ---- */

static mote_status cuda_capture_begin(mote_stream *stream) {
  MOTE_CUDA_TRY(select_device(stream->device));
  MOTE_CUDA_TRY(cudaStreamBeginCapture(mote_native(stream), cudaStreamCaptureModeThreadLocal));
  return MOTE_OK;
}

static mote_status cuda_capture_end(mote_stream *stream, void **graph) {
  cudaGraph_t recorded = nullptr;
  cudaGraphExec_t executable = nullptr;
  *graph = nullptr;
  cudaError_t error = cudaStreamEndCapture(mote_native(stream), &recorded);
  if (error == cudaSuccess) error = cudaGraphInstantiate(&executable, recorded, 0);
  if (recorded) cudaGraphDestroy(recorded);
  if (error != cudaSuccess) {
    cudaGetLastError(); /* a broken recording leaves its error behind */
    return mote_cuda_fail(error, "recording a step");
  }
  *graph = executable;
  return MOTE_OK;
}

static mote_status cuda_graph_launch(mote_stream *stream, void *graph) {
  MOTE_CUDA_TRY(select_device(stream->device));
  MOTE_CUDA_TRY(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), mote_native(stream)));
  return MOTE_OK;
}

static void cuda_graph_destroy(mote_device *device, void *graph) {
  select_device(device);
  cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph));
}

static void cuda_close(mote_device *device) {
  mote_cuda_state *state = static_cast<mote_cuda_state *>(device->native);
  select_device(device);
  mote_blas_close(state);
  mote_sparse_close(state);
  free(state);
}

static const mote_runtime cuda_runtime = {
    cuda_allocate,      cuda_release,    cuda_stream_create, cuda_stream_destroy, cuda_synchronize,
    cuda_stream_wait,   cuda_copy,       cuda_fill,          cuda_timer_create,   cuda_timer_destroy,
    cuda_timer_mark,    cuda_timer_read, cuda_capture_begin, cuda_capture_end,    cuda_graph_launch,
    cuda_graph_destroy, cuda_close,
};

/* ---- The plugin ---- */

static int cuda_device_count(const char **reason) {
  static thread_local char message[512];
  int count = 0, driver = 0;
  cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) return count;
  cudaGetLastError();
  if (reason) {
    cudaDriverGetVersion(&driver);
    if (driver == 0)
      snprintf(message, sizeof message, "no NVIDIA driver on this machine (%s)", cudaGetErrorString(error));
    else
      snprintf(message, sizeof message, "no usable NVIDIA GPU (%s; the driver supports CUDA %d.%d)",
               error == cudaSuccess ? "none is visible: see CUDA_VISIBLE_DEVICES" : cudaGetErrorString(error),
               driver / 1000, driver % 1000 / 10);
    *reason = message;
  }
  return 0;
}

#define FAMILY_EXTERN(family) extern "C" const struct mote_##family##_kernels mote_##family##_gpu;
MOTE_FAMILIES(FAMILY_EXTERN)

static mote_status describe(int ordinal, mote_device *device) {
  cudaDeviceProp properties;
  MOTE_CUDA_TRY(cudaSetDevice(ordinal));
  MOTE_CUDA_TRY(cudaGetDeviceProperties(&properties, ordinal));
  snprintf(device->description, sizeof device->description,
           "%.160s, %.1f GiB, %d multiprocessors, compute capability %d.%d", properties.name,
           static_cast<double>(properties.totalGlobalMem) / (1 << 30), properties.multiProcessorCount,
           properties.major, properties.minor);
#ifdef MOTE_EMULATOR
  snprintf(device->name, sizeof device->name, DEVICE_KIND);
  device->single_driver = 1;
#else
  snprintf(device->name, sizeof device->name, DEVICE_KIND ":%d", ordinal);
#endif
  return MOTE_OK;
}

static mote_status measure(mote_cuda_state *state) {
  MOTE_CUDA_TRY(
      cudaDeviceGetAttribute(&state->multiprocessors, cudaDevAttrMultiProcessorCount, state->ordinal));
  MOTE_CUDA_TRY(
      cudaDeviceGetAttribute(&state->block_shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, state->ordinal));
  return MOTE_OK;
}

static mote_status cuda_open(int ordinal, mote_device *device) {
  const char *reason = nullptr;
  int count = cuda_device_count(&reason);
  if (count == 0) return mote_fail(MOTE_ERROR_DEVICE, "no " DEVICE_KIND " device: %s", reason);
  if (ordinal >= count)
    return mote_fail(MOTE_ERROR_DEVICE, "no device " DEVICE_KIND ":%d: this machine has %d, from 0", ordinal,
                     count);
  MOTE_TRY(describe(ordinal, device));
  mote_cuda_state *state = static_cast<mote_cuda_state *>(calloc(1, sizeof *state));
  if (!state) return mote_fail(MOTE_ERROR_MEMORY, "out of memory opening %s", device->name);
  state->ordinal = ordinal;
  mote_status status = measure(state);
  if (status != MOTE_OK) {
    free(state);
    return status;
  }
  device->native = state;
  device->runtime = &cuda_runtime;
#define FAMILY_ASSIGN(family) device->family = &mote_##family##_gpu;
  MOTE_FAMILIES(FAMILY_ASSIGN)
  return MOTE_OK;
}

/* The symbol is the type's name, which C++ does not let a variable have. */
extern "C" {
__attribute__((visibility("default"))) extern const mote_plugin mote_plugin_entry __asm__("mote_plugin");
const mote_plugin mote_plugin_entry = {MOTE_PLUGIN_ABI, cuda_device_count, cuda_open};
}
