/* The device as library code sees it: tables of kernels, plus memory, streams and replayable steps. Host code
   says dev->neighbor->..., and never asks which device it is on.

   A kernel takes a stream first and is asynchronous with respect to the host on devices that can be: its
   results are there for later work on the same stream, and for the host after mote_stream_synchronize(). */
#ifndef MOTE_CORE_DEVICE_H
#define MOTE_CORE_DEVICE_H

#include <stddef.h>

#include <mote/device.h>

#include "kernels/families.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_stream {
  mote_device *device;
  void *native; /* cudaStream_t; NULL on the CPU, where work is done when the call returns */
} mote_stream;

typedef enum mote_copy { MOTE_COPY_TO_DEVICE, MOTE_COPY_TO_HOST, MOTE_COPY_ON_DEVICE } mote_copy;

/* What a device's own code supplies. Allocation and release may synchronise; the others do not. */
typedef struct mote_runtime {
  mote_status (*allocate)(mote_device *device, size_t bytes, void **memory);
  void (*release)(mote_device *device, void *memory);
  mote_status (*stream_create)(mote_device *device, void **native);
  void (*stream_destroy)(mote_device *device, void *native);
  mote_status (*stream_synchronize)(mote_stream *stream);
  mote_status (*stream_wait)(mote_stream *stream,
                             mote_stream *other); /* NULL: work is done when it is given */
  mote_status (*copy)(mote_stream *stream, void *to, const void *from, size_t bytes, mote_copy kind);
  mote_status (*fill)(mote_stream *stream, void *memory, int byte, size_t bytes);
  mote_status (*timer_create)(mote_device *device, void **timer);
  void (*timer_destroy)(mote_device *device, void *timer);
  mote_status (*timer_mark)(mote_stream *stream, void *timer, int end);         /* 0 starts, 1 stops */
  mote_status (*timer_read)(mote_device *device, void *timer, double *seconds); /* waits for the stop mark */
  /* Recording of a stream's work for replay; all NULL where the device has no such thing. */
  mote_status (*capture_begin)(mote_stream *stream);
  mote_status (*capture_end)(mote_stream *stream, void **graph);
  mote_status (*graph_launch)(mote_stream *stream, void *graph);
  void (*graph_destroy)(mote_device *device, void *graph);
  void (*close)(mote_device *device); /* frees device->native; may be NULL */
} mote_runtime;

#define MOTE_FAMILY_MEMBER(family) const struct mote_##family##_kernels *family;
struct mote_device {
  const mote_runtime *runtime;
  MOTE_FAMILIES(MOTE_FAMILY_MEMBER)
  void *native;                /* the plugin's own state */
  void *library;               /* the shared object it came from */
  int threads;                 /* CPU threads for kernels */
  mote_precision precision;    /* of dense layers */
  int has_unified_host_memory; /* device pointers may be read by the host: the CPU */
  mote_memory_use use;
  char name[32];
  char description[256];
  int single_driver; /* not for several host threads at once: the emulated one */
};
#undef MOTE_FAMILY_MEMBER

/* The entry point of a device plugin, the symbol "mote_plugin" of its shared object. */
#define MOTE_PLUGIN_ABI 2
typedef struct mote_plugin {
  int abi; /* MOTE_PLUGIN_ABI */
  int (*device_count)(const char **reason);
  mote_status (*open)(int index,
                      mote_device *device); /* fills runtime, families, native, name, description */
} mote_plugin;
extern const mote_runtime mote_cpu_runtime;

/* ---- Workers: host threads that work at once, each with a device object of its own ---- */

/* How many of them `device` has room for, 1 to `most`: those of its CPU threads, which a GPU's launches need,
   too. */
int mote_device_workers(const mote_device *device, int most);
/* The same device once more, for one of `workers` host threads; it is closed before `device` is. */
mote_status mote_device_open_again(const mote_device *device, int workers, mote_device **again);

/* ---- Streams ---- */
mote_status mote_stream_create(mote_device *device, mote_stream **stream);
void mote_stream_destroy(mote_stream *stream); /* NULL is allowed */
mote_status mote_stream_synchronize(mote_stream *stream);
/* What is given to `stream` from now on begins when all that `other` was given by now has ended. While
   `other` is recorded, `stream` takes part in the recording, until `other` has waited for it in turn. */
mote_status mote_stream_wait(mote_stream *stream, mote_stream *other);
static inline int mote_stream_threads(const mote_stream *stream) {
  return stream->device->threads;
}

/* ---- Buffers: device memory that grows and is kept ---- */

/* All zero is a valid empty buffer. */
typedef struct mote_buffer {
  mote_device *device;
  void *data;
  size_t bytes;
} mote_buffer;

/* Makes room for at least `bytes`; when it has to grow it takes an eighth more, and the contents are lost.
   Steps that reserve the same sizes again allocate nothing. */
mote_status mote_buffer_reserve(mote_buffer *buffer, mote_device *device, size_t bytes);
/* The same, then `bytes` zeros on the stream. */
mote_status mote_buffer_zeros(mote_buffer *buffer, mote_stream *stream, size_t bytes);
void mote_buffer_free(mote_buffer *buffer);

/* Copies between host memory and device memory, ordered on the stream; downloads wait for their completion.
   The host memory of an upload may be reused when the call returns. */
mote_status mote_upload(mote_stream *stream, void *device_memory, const void *host_memory, size_t bytes);
mote_status mote_download(mote_stream *stream, void *host_memory, const void *device_memory, size_t bytes);
mote_status mote_copy_on_device(mote_stream *stream, void *to, const void *from, size_t bytes);
mote_status mote_fill_bytes(mote_stream *stream, void *memory, int byte, size_t bytes);

/* ---- Replay: a step that is recorded once and launched as one graph afterwards ---- */

typedef mote_status (*mote_step_function)(void *context, mote_stream *stream);

/* All zero is a valid one that has recorded nothing. */
typedef struct mote_replay {
  mote_device *device;
  void *graph;
  int warm;
} mote_replay;

/* Runs step(context, stream). The first call runs it as it is (and lets its buffers grow); on devices that
   record, the second call records it and every later one replays the recording: pointers, sizes and
   scalars are then those of the recording, until mote_replay_reset(). */
mote_status mote_replay_run(mote_replay *replay, mote_stream *stream, mote_step_function step, void *context);
void mote_replay_reset(mote_replay *replay);

/* ---- Timers ---- */
typedef struct mote_timer {
  mote_device *device;
  void *native;
} mote_timer;
mote_status mote_timer_create(mote_device *device, mote_timer *timer);
void mote_timer_destroy(mote_timer *timer);
mote_status mote_timer_start(mote_timer *timer, mote_stream *stream);
mote_status mote_timer_stop(mote_timer *timer, mote_stream *stream);
mote_status mote_timer_seconds(mote_timer *timer, double *seconds);

#ifdef __cplusplus
}
#endif
#endif
