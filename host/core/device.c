/* Opening devices, and the parts of them that are the same everywhere: accounting, buffers, replay.
   The trick: a device that is not the CPU is a shared object found at run time beside the library (or in
   MOTE_PLUGIN_DIR), so nothing here links against CUDA. */
#include "host/core/device.h"

#include <dlfcn.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "kernels/dense/dense.h"

#define MOTE_FAMILY_EXTERN(family) extern const struct mote_##family##_kernels mote_##family##_cpu;
MOTE_FAMILIES(MOTE_FAMILY_EXTERN)

static int default_threads(void) {
  const char *text = getenv("OMP_NUM_THREADS");
  if (text && atoi(text) > 0) return atoi(text);
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
  return 1;
}

static void open_cpu(mote_device *device) {
  device->runtime = &mote_cpu_runtime;
#define MOTE_FAMILY_ASSIGN(family) device->family = &mote_##family##_cpu;
  MOTE_FAMILIES(MOTE_FAMILY_ASSIGN)
  device->has_unified_host_memory = 1;
  snprintf(device->name, sizeof device->name, "cpu");
  char model[128] = "unknown processor";
  FILE *info = fopen("/proc/cpuinfo", "r");
  char line[256];
  while (info && fgets(line, sizeof line, info))
    if (sscanf(line, "model name : %127[^\n]", model) == 1) break;
  if (info) fclose(info);
  snprintf(device->description, sizeof device->description, "%s, %d thread%s", model, device->threads,
           device->threads == 1 ? "" : "s");
}

/* The folder of the shared object (or program) this code is part of. */
static void own_folder(char folder[PATH_MAX]) {
  Dl_info info;
  folder[0] = 0;
  if (!dladdr((void *)(size_t)&mote_device_open, &info) || !info.dli_fname) return;
  char *resolved = realpath(info.dli_fname, NULL);
  if (!resolved) return;
  char *slash = strrchr(resolved, '/');
  if (slash) *slash = 0;
  snprintf(folder, PATH_MAX, "%s", resolved);
  free(resolved);
}

static mote_status load_plugin(const char *kind, void **library, const mote_plugin **plugin) {
  char folder[PATH_MAX], path[PATH_MAX + 64];
  const char *chosen = getenv("MOTE_PLUGIN_DIR");
  if (chosen && *chosen)
    snprintf(folder, sizeof folder, "%s", chosen);
  else
    own_folder(folder);
  snprintf(path, sizeof path, "%s/libmote_%s.so", folder, kind);
  *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!*library) return mote_fail(MOTE_ERROR_DEVICE, "no %s device: %s", kind, dlerror());
  *plugin = (const mote_plugin *)dlsym(*library, "mote_plugin");
  if (*plugin && (*plugin)->abi == MOTE_PLUGIN_ABI) return MOTE_OK;
  dlclose(*library);
  return mote_fail(MOTE_ERROR_DEVICE, "%s is not a device plugin of this version; rebuild it", path);
}

static mote_status open_plugin(mote_device *device, const char *kind, int index) {
  const mote_plugin *plugin;
  MOTE_TRY(load_plugin(kind, &device->library, &plugin));
  mote_status status = plugin->open(index, device);
  /* The object stays mapped when opening fails: its runtime may have registered exit handlers. */
  return status;
}

int mote_cuda_device_count(const char **reason) {
  static _Thread_local char message[512];
  void *library;
  const mote_plugin *plugin;
  if (load_plugin("cuda", &library, &plugin) != MOTE_OK) {
    snprintf(message, sizeof message, "%s", mote_last_error());
    if (reason) *reason = message;
    return 0;
  }
  return plugin->device_count(reason);
}

static mote_status open_by_name(mote_device *device, const char *name) {
  int index = 0;
  char rest;
  if (!strcmp(name, "cpu")) return open_cpu(device), MOTE_OK;
  if (!strcmp(name, "emu")) return open_plugin(device, "emu", 0);
  if (!strcmp(name, "cuda")) return open_plugin(device, "cuda", 0);
  if (sscanf(name, "cuda:%d%c", &index, &rest) == 1 && index >= 0) return open_plugin(device, "cuda", index);
  if (strcmp(name, "auto"))
    return mote_fail(MOTE_ERROR_ARGUMENT, "unknown device '%s': expected auto, cpu, cuda or cuda:N", name);
  if (mote_cuda_device_count(NULL) > 0 && open_plugin(device, "cuda", 0) == MOTE_OK) return MOTE_OK;
  return open_cpu(device), MOTE_OK;
}

static const char *const precisions[] = {"float32", "bfloat16x2", "bfloat16x3", "bfloat16", "tf32"};
#define PRECISION_NAMES "float32, bfloat16x2, bfloat16x3, bfloat16 or tf32"

const char *mote_precision_name(mote_precision precision) {
  return precisions[precision];
}

mote_status mote_precision_parse(const char *name, mote_precision *precision) {
  for (int k = 0; k < MOTE_PRECISION_COUNT; k++)
    if (!strcmp(name, precisions[k])) return *precision = (mote_precision)k, MOTE_OK;
  return mote_fail(MOTE_ERROR_ARGUMENT, "precision is '%s': expected " PRECISION_NAMES, name);
}

/* An open device is closed again where it has no such precision. */
static mote_status set_precision(mote_device *device, mote_precision precision) {
  const struct mote_dense_kernels *k = device->dense;
  device->precision = precision;
  if (k->multiplies ? k->multiplies(precision) : precision == MOTE_PRECISION_FLOAT32) return MOTE_OK;
  mote_status status = mote_fail(
      MOTE_ERROR_UNSUPPORTED, "device %s: precision %s takes a GPU%s", device->name, precisions[precision],
      precision == MOTE_PRECISION_BFLOAT16X2 || precision == MOTE_PRECISION_BFLOAT16X3
          ? ", or a processor with AMX tiles of bfloat16"
          : "");
  if (device->runtime->close) device->runtime->close(device);
  return status;
}

mote_status mote_device_open(const char *name, const mote_device_options *options, mote_device **out) {
  *out = NULL;
  if (options && (options->threads < 0 || options->threads > 4096))
    return mote_fail(MOTE_ERROR_ARGUMENT, "threads is %d: expected 0 (all) to 4096", options->threads);
  if (options && (unsigned)options->precision >= MOTE_PRECISION_COUNT)
    return mote_fail(MOTE_ERROR_ARGUMENT, "precision is %d: expected " PRECISION_NAMES,
                     (int)options->precision);
  mote_device *device = calloc(1, sizeof *device);
  if (!device) return mote_fail(MOTE_ERROR_MEMORY, "out of memory opening device '%s'", name);
  device->threads = options && options->threads ? options->threads : default_threads();
  mote_status status = open_by_name(device, name);
  if (status == MOTE_OK && options) status = set_precision(device, options->precision);
  if (status != MOTE_OK) {
    free(device);
    return status;
  }
  *out = device;
  return MOTE_OK;
}

void mote_device_close(mote_device *device) {
  if (!device) return;
  if (device->runtime->close) device->runtime->close(device);
  free(device);
}

const char *mote_device_name(const mote_device *device) {
  return device->name;
}
const char *mote_device_description(const mote_device *device) {
  return device->description;
}
int mote_device_threads(const mote_device *device) {
  return device->has_unified_host_memory ? device->threads : 1;
}
int mote_device_workers(const mote_device *device, int most) {
  int workers = device->single_driver ? 1 : device->threads;
  return workers < most ? workers : most;
}
mote_status mote_device_open_again(const mote_device *device, int workers, mote_device **again) {
  mote_device_options share = {.threads = device->threads > workers ? device->threads / workers : 1,
                               .precision = device->precision};
  return mote_device_open(device->name, &share, again);
}
mote_memory_use mote_device_memory_use(const mote_device *device) {
  return device->use;
}

/* ---- Streams ---- */

mote_status mote_stream_create(mote_device *device, mote_stream **out) {
  *out = NULL;
  mote_stream *stream = calloc(1, sizeof *stream);
  if (!stream) return mote_fail(MOTE_ERROR_MEMORY, "out of memory making a stream");
  stream->device = device;
  mote_status status = device->runtime->stream_create(device, &stream->native);
  if (status != MOTE_OK) {
    free(stream);
    return status;
  }
  *out = stream;
  return MOTE_OK;
}

void mote_stream_destroy(mote_stream *stream) {
  if (!stream) return;
  stream->device->runtime->stream_destroy(stream->device, stream->native);
  free(stream);
}

mote_status mote_stream_synchronize(mote_stream *stream) {
  return stream->device->runtime->stream_synchronize(stream);
}

mote_status mote_stream_wait(mote_stream *stream, mote_stream *other) {
  const mote_runtime *runtime = stream->device->runtime;
  return runtime->stream_wait ? runtime->stream_wait(stream, other) : MOTE_OK;
}

/* ---- Buffers ---- */

mote_status mote_buffer_reserve(mote_buffer *buffer, mote_device *device, size_t bytes) {
  if (bytes <= buffer->bytes && buffer->device == device) return MOTE_OK;
  size_t wanted = buffer->bytes ? bytes + bytes / 8 : bytes;
  mote_buffer_free(buffer);
  MOTE_TRY(device->runtime->allocate(device, wanted, &buffer->data));
  buffer->device = device;
  buffer->bytes = wanted;
  device->use.allocations++;
  device->use.bytes_now += wanted;
  if (device->use.bytes_now > device->use.bytes_peak) device->use.bytes_peak = device->use.bytes_now;
  return MOTE_OK;
}

mote_status mote_buffer_zeros(mote_buffer *buffer, mote_stream *stream, size_t bytes) {
  MOTE_TRY(mote_buffer_reserve(buffer, stream->device, bytes));
  return mote_fill_bytes(stream, buffer->data, 0, bytes);
}

void mote_buffer_free(mote_buffer *buffer) {
  if (buffer->data) {
    buffer->device->runtime->release(buffer->device, buffer->data);
    buffer->device->use.bytes_now -= buffer->bytes;
  }
  *buffer = (mote_buffer){0};
}

mote_status mote_upload(mote_stream *stream, void *to, const void *from, size_t bytes) {
  return bytes ? stream->device->runtime->copy(stream, to, from, bytes, MOTE_COPY_TO_DEVICE) : MOTE_OK;
}

mote_status mote_download(mote_stream *stream, void *to, const void *from, size_t bytes) {
  if (!bytes) return MOTE_OK;
  MOTE_TRY(stream->device->runtime->copy(stream, to, from, bytes, MOTE_COPY_TO_HOST));
  return mote_stream_synchronize(stream);
}

mote_status mote_copy_on_device(mote_stream *stream, void *to, const void *from, size_t bytes) {
  return bytes ? stream->device->runtime->copy(stream, to, from, bytes, MOTE_COPY_ON_DEVICE) : MOTE_OK;
}

mote_status mote_fill_bytes(mote_stream *stream, void *memory, int byte, size_t bytes) {
  return bytes ? stream->device->runtime->fill(stream, memory, byte, bytes) : MOTE_OK;
}

/* ---- Replay ---- */

mote_status mote_replay_run(mote_replay *replay, mote_stream *stream, mote_step_function step,
                            void *context) {
  const mote_runtime *runtime = stream->device->runtime;
  if (replay->device && replay->device != stream->device) mote_replay_reset(replay);
  replay->device = stream->device;
  if (replay->graph) return runtime->graph_launch(stream, replay->graph);
  if (!replay->warm || !runtime->capture_begin) {
    MOTE_TRY(step(context, stream));
    replay->warm = 1;
    return MOTE_OK;
  }
  MOTE_TRY(runtime->capture_begin(stream));
  mote_status status = step(context, stream);
  mote_status ended = runtime->capture_end(stream, &replay->graph);
  if (status != MOTE_OK) return mote_replay_reset(replay), status;
  MOTE_TRY(ended);
  return runtime->graph_launch(stream, replay->graph);
}

void mote_replay_reset(mote_replay *replay) {
  if (replay->graph) replay->device->runtime->graph_destroy(replay->device, replay->graph);
  *replay = (mote_replay){0};
}

/* ---- Timers ---- */

mote_status mote_timer_create(mote_device *device, mote_timer *timer) {
  timer->device = device;
  return device->runtime->timer_create(device, &timer->native);
}

void mote_timer_destroy(mote_timer *timer) {
  if (timer->native) timer->device->runtime->timer_destroy(timer->device, timer->native);
  *timer = (mote_timer){0};
}

mote_status mote_timer_start(mote_timer *timer, mote_stream *stream) {
  return timer->device->runtime->timer_mark(stream, timer->native, 0);
}

mote_status mote_timer_stop(mote_timer *timer, mote_stream *stream) {
  return timer->device->runtime->timer_mark(stream, timer->native, 1);
}

mote_status mote_timer_seconds(mote_timer *timer, double *seconds) {
  return timer->device->runtime->timer_read(timer->device, timer->native, seconds);
}
