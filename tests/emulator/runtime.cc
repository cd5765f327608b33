/* The CUDA runtime's functions for the emulated device: errors, device, memory, copies. Work is done when it
   is submitted, as if every kernel were quick; a failed kernel's error is returned once, by the next call. */
#include "tests/emulator/runtime.h"

#include "tests/emulator/block.h"
#include "tests/emulator/memory.h"

namespace mote_emulator {
namespace {
cudaError_t pending = cudaSuccess;
cudaError_t described = cudaSuccess; /* the error that `description` is about */
char description[1024];
} // namespace

void set_error(cudaError_t error, const char *text) {
  if (pending != cudaSuccess) return; /* the first one is the cause */
  pending = described = error;
  snprintf(description, sizeof description, "%s", text);
}

cudaError_t take_error() {
  cudaError_t error = pending;
  pending = cudaSuccess;
  return error;
}

cudaError_t fail_call(cudaError_t error, const char *text) {
  described = error;
  snprintf(description, sizeof description, "%s", text);
  return error;
}

static cudaError_t refuse_while_recording(const char *function) {
  char text[128];
  snprintf(text, sizeof text, "%s during the recording of a graph", function);
  return fail_call(cudaErrorStreamCaptureUnsupported, text);
}

/* The host address of [pointer, pointer + bytes), device memory or (unless it has to be) host memory. */
static unsigned char *resolve(const void *pointer, size_t bytes, bool device) {
  auto address = reinterpret_cast<uintptr_t>(pointer);
  if (!device) return memory_is_handle(address) ? nullptr : reinterpret_cast<unsigned char *>(address);
  const allocation *a = memory_find(address);
  if (!a || address + bytes > a->handle + a->bytes) return nullptr;
  return reinterpret_cast<unsigned char *>(memory_seen(address));
}

static void copy_now(void *to, const void *from, size_t bytes, cudaMemcpyKind kind) {
  bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (kind == cudaMemcpyDefault) {
    to_device = memory_is_handle(reinterpret_cast<uintptr_t>(to));
    from_device = memory_is_handle(reinterpret_cast<uintptr_t>(from));
  }
  unsigned char *target = resolve(to, bytes, to_device);
  const unsigned char *source = resolve(from, bytes, from_device);
  char text[160];
  snprintf(text, sizeof text, "copy of %zu bytes: the %s is not %s of that size", bytes,
           target ? "source" : "target",
           (target ? from_device : to_device) ? "device memory" : "host memory");
  if (!target || !source) return set_error(cudaErrorInvalidValue, text);
  memmove(target, source, bytes);
}

static void fill_now(void *memory, int byte, size_t bytes) {
  unsigned char *target = resolve(memory, bytes, true);
  if (!target) return set_error(cudaErrorInvalidValue, "cudaMemset: not device memory of that size");
  memset(target, byte, bytes);
}

} // namespace mote_emulator

using namespace mote_emulator;

extern "C" {

cudaError_t cudaGetLastError() {
  return take_error();
}
cudaError_t cudaPeekAtLastError() {
  return pending;
}
const char *cudaGetErrorString(cudaError_t error) {
  if (error == described && error != cudaSuccess) return description;
  return error == cudaSuccess ? "no error" : "an error of the emulated device";
}
const char *cudaGetErrorName(cudaError_t error) {
  return error == cudaSuccess ? "cudaSuccess" : "cudaError";
}

cudaError_t cudaGetDeviceCount(int *count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int *version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int *version) {
  return cudaDriverGetVersion(version);
}
cudaError_t cudaSetDevice(int device) {
  return device == 0 ? cudaSuccess : fail_call(cudaErrorInvalidDevice, "there is one emulated device, 0");
}
cudaError_t cudaGetDevice(int *device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int) {
  *properties = {};
  snprintf(properties->name, sizeof properties->name, "emulated CUDA device");
  properties->totalGlobalMem = size_t(1) << 32;
  properties->multiProcessorCount = 2;
  properties->major = 8;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  properties->sharedMemPerBlock = 48 * 1024;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
  case cudaDevAttrMultiProcessorCount: *value = 2; return cudaSuccess;
  case cudaDevAttrMaxThreadsPerBlock: *value = 1024; return cudaSuccess;
  case cudaDevAttrMaxSharedMemoryPerBlock: *value = 48 * 1024; return cudaSuccess;
  case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = 227 * 1024; return cudaSuccess;
  case cudaDevAttrWarpSize: *value = 32; return cudaSuccess;
  case cudaDevAttrComputeCapabilityMajor: *value = 8; return cudaSuccess;
  case cudaDevAttrComputeCapabilityMinor: *value = 0; return cudaSuccess;
  default: return fail_call(cudaErrorInvalidValue, "an attribute that the emulated device does not have");
  }
}
cudaError_t cudaMemGetInfo(size_t *available, size_t *total) {
  *total = size_t(1) << 32;
  *available = memory_in_use() < *total ? *total - memory_in_use() : 0;
  return cudaSuccess;
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, const void *) {
  *attributes = {};
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void *, cudaFuncAttribute, int) {
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  return recording() ? refuse_while_recording("cudaDeviceSynchronize") : take_error();
}

cudaError_t cudaMalloc(void **memory, size_t bytes) {
  *memory = nullptr;
  if (recording()) return refuse_while_recording("cudaMalloc");
  if (cudaError_t error = take_error()) return error;
  if (!bytes) return cudaSuccess;
  *memory = memory_allocate(bytes);
  return *memory ? cudaSuccess : fail_call(cudaErrorMemoryAllocation, "out of memory");
}
cudaError_t cudaFree(void *memory) {
  if (!memory) return cudaSuccess;
  if (recording()) return refuse_while_recording("cudaFree");
  std::string damage;
  if (!memory_release(memory, &damage))
    return fail_call(cudaErrorInvalidValue, "cudaFree: not the start of a live allocation");
  if (!damage.empty()) set_error(cudaErrorIllegalAddress, ("cudaFree: " + damage).c_str());
  return take_error();
}
cudaError_t cudaMallocHost(void **memory, size_t bytes) {
  *memory = malloc(bytes ? bytes : 1);
  return *memory ? cudaSuccess : fail_call(cudaErrorMemoryAllocation, "out of host memory");
}
cudaError_t cudaFreeHost(void *memory) {
  free(memory);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (bytes) on_stream(stream, [=] { copy_now(to, from, bytes, kind); });
  return take_error();
}
cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind) {
  if (recording()) return refuse_while_recording("cudaMemcpy");
  return cudaMemcpyAsync(to, from, bytes, kind, nullptr);
}
cudaError_t cudaMemsetAsync(void *memory, int byte, size_t bytes, cudaStream_t stream) {
  if (bytes) on_stream(stream, [=] { fill_now(memory, byte, bytes); });
  return take_error();
}
cudaError_t cudaMemset(void *memory, int byte, size_t bytes) {
  if (recording()) return refuse_while_recording("cudaMemset");
  return cudaMemsetAsync(memory, byte, bytes, nullptr);
}

} // extern "C"
