/* The CPU as a device: its memory is the host's, its streams are the calling thread, and work is done when
   the call returns. Memory is aligned to 64 bytes, so that a row of vectors never straddles cache lines; what
   is large asks for large pages, as walking through it with small ones is as much work for the tables of
   pages as for the caches. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "host/core/device.h"
#include "host/core/error.h"

enum { LINE = 64, LARGE_PAGE = 2 << 20 };

static mote_status cpu_allocate(mote_device *device, size_t bytes, void **memory) {
  (void)device;
  const size_t unit = bytes < 2 * (size_t)LARGE_PAGE ? LINE : LARGE_PAGE,
               rounded = (bytes + unit - 1) / unit * unit;
  *memory = rounded >= bytes ? aligned_alloc(unit, rounded ? rounded : unit) : NULL;
  if (!*memory) return mote_fail(MOTE_ERROR_MEMORY, "out of memory: could not allocate %zu bytes", bytes);
#ifdef MADV_HUGEPAGE
  if (unit == LARGE_PAGE) madvise(*memory, rounded, MADV_HUGEPAGE); /* refused: small ones */
#endif
  return MOTE_OK;
}

static void cpu_release(mote_device *device, void *memory) {
  (void)device;
  free(memory);
}

static mote_status cpu_stream_create(mote_device *device, void **native) {
  (void)device;
  *native = NULL;
  return MOTE_OK;
}

static void cpu_stream_destroy(mote_device *device, void *native) {
  (void)device;
  (void)native;
}

static mote_status cpu_synchronize(mote_stream *stream) {
  (void)stream;
  return MOTE_OK;
}

static mote_status cpu_copy(mote_stream *stream, void *to, const void *from, size_t bytes, mote_copy kind) {
  (void)stream;
  (void)kind;
  memmove(to, from, bytes);
  return MOTE_OK;
}

static mote_status cpu_fill(mote_stream *stream, void *memory, int byte, size_t bytes) {
  (void)stream;
  memset(memory, byte, bytes);
  return MOTE_OK;
}

typedef struct cpu_timer {
  struct timespec mark[2];
} cpu_timer;

static mote_status cpu_timer_create(mote_device *device, void **timer) {
  (void)device;
  *timer = calloc(1, sizeof(cpu_timer));
  return *timer ? MOTE_OK : mote_fail(MOTE_ERROR_MEMORY, "out of memory making a timer");
}

static void cpu_timer_destroy(mote_device *device, void *timer) {
  (void)device;
  free(timer);
}

static mote_status cpu_timer_mark(mote_stream *stream, void *timer, int end) {
  (void)stream;
  clock_gettime(CLOCK_MONOTONIC, &((cpu_timer *)timer)->mark[end]);
  return MOTE_OK;
}

static mote_status cpu_timer_read(mote_device *device, void *timer, double *seconds) {
  (void)device;
  const struct timespec *mark = ((cpu_timer *)timer)->mark;
  *seconds = (double)(mark[1].tv_sec - mark[0].tv_sec) + 1e-9 * (double)(mark[1].tv_nsec - mark[0].tv_nsec);
  return MOTE_OK;
}

const mote_runtime mote_cpu_runtime = {
    .allocate = cpu_allocate,
    .release = cpu_release,
    .stream_create = cpu_stream_create,
    .stream_destroy = cpu_stream_destroy,
    .stream_synchronize = cpu_synchronize,
    .copy = cpu_copy,
    .fill = cpu_fill,
    .timer_create = cpu_timer_create,
    .timer_destroy = cpu_timer_destroy,
    .timer_mark = cpu_timer_mark,
    .timer_read = cpu_timer_read,
};
