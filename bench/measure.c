/* Timing, and the machine's own ceilings measured in the same run. */
#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>

#include "host/core/clock.h"
#include "host/core/error.h"
#include "kernels/probe/probe.h"

#define MAX_SAMPLES 1000

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

mote_status bench_time(bench_context *bench, mote_step_function step, void *context, int repeats,
                       bench_result *result) {
  static double sample[MAX_SAMPLES];
  mote_timer timer = {0};
  int count = 0;
  MOTE_TRY(step(context, bench->stream));
  MOTE_TRY(mote_stream_synchronize(bench->stream));
  MOTE_TRY(mote_timer_create(bench->device, &timer));
  double start = mote_clock_seconds();
  while (count < MAX_SAMPLES && (count < repeats || mote_clock_seconds() - start < 0.3)) {
    MOTE_TRY(mote_timer_start(&timer, bench->stream));
    MOTE_TRY(step(context, bench->stream));
    MOTE_TRY(mote_timer_stop(&timer, bench->stream));
    MOTE_TRY(mote_timer_seconds(&timer, &sample[count++]));
  }
  mote_timer_destroy(&timer);
  qsort(sample, (size_t)count, sizeof *sample, compare);
  result->seconds = sample[count / 2];
  result->spread = (sample[count - 1] - sample[0]) / result->seconds;
  return MOTE_OK;
}

typedef struct probe {
  float *a, *b, *c;
  int64_t n;
  int rounds;
} probe;

static mote_status run_triad(void *context, mote_stream *stream) {
  const probe *p = context;
  return stream->device->probe->triad(stream, p->a, p->b, p->c, p->n);
}

static mote_status run_fma(void *context, mote_stream *stream) {
  const probe *p = context;
  return stream->device->probe->fma(stream, p->a, p->n, p->rounds);
}

static mote_status run_mma(void *context, mote_stream *stream) {
  const probe *p = context;
  return stream->device->probe->mma(stream, stream->device->precision == MOTE_PRECISION_TF32, p->a, p->n,
                                    p->rounds);
}

/* Products of tensor cores that stand for one at this precision; 0: not of tensor cores. */
static int products_of(const mote_device *device) {
  if (!device->probe->mma) return 0;
  switch (device->precision) {
  case MOTE_PRECISION_BFLOAT16:
  case MOTE_PRECISION_TF32: return 1;
  case MOTE_PRECISION_BFLOAT16X2: return 3;
  case MOTE_PRECISION_BFLOAT16X3: return 6;
  default: return 0;
  }
}

static mote_status measure_tensor(bench_context *bench, probe *p) {
  const int products = products_of(bench->device);
  const double depth = bench->device->precision == MOTE_PRECISION_TF32 ? 8 : 16;
  bench_result result;
  bench->peaks.dense = bench->peaks.flops;
  if (!products) return MOTE_OK;
  p->n = bench->device->single_driver ? 8 : 1 << 15; /* warps: some 60 a multiprocessor's quarter */
  p->rounds = bench->device->single_driver ? 8 : 1024;
  MOTE_TRY(bench_time(bench, run_mma, p, 5, &result));
  bench->peaks.tensor = 2.0 * 16 * 8 * depth * MOTE_PROBE_TILES * p->rounds * (double)p->n / result.seconds;
  bench->peaks.dense = bench->peaks.tensor / products;
  return MOTE_OK;
}

mote_status bench_measure_peaks(bench_context *bench) {
  const int emulated = bench->device->single_driver;
  probe p = {.n = emulated                                 ? 1 << 16
                  : bench->device->has_unified_host_memory ? 1 << 24
                                                           : 1 << 27,
             .rounds = 0};
  mote_buffer memory = {0};
  bench_result result;
  MOTE_TRY(mote_buffer_reserve(&memory, bench->device, (size_t)p.n * 12));
  MOTE_TRY(mote_fill_bytes(bench->stream, memory.data, 0x3f, (size_t)p.n * 12)); /* 0x3f3f3f3f is 0.75 */
  p.a = memory.data;
  p.b = p.a + p.n;
  p.c = p.b + p.n;
  mote_status status = bench_time(bench, run_triad, &p, 5, &result);
  if (status == MOTE_OK) {
    bench->peaks.bandwidth = 12.0 * (double)p.n / result.seconds;
    p.n = emulated ? 1 << 12 : bench->device->has_unified_host_memory ? 1 << 14 : 1 << 20;
    p.rounds = emulated ? 64 : 2048;
    status = bench_time(bench, run_fma, &p, 5, &result);
    bench->peaks.flops = 2.0 * MOTE_PROBE_CHAINS * p.rounds * (double)p.n / result.seconds;
  }
  if (status == MOTE_OK) status = measure_tensor(bench, &p);
  mote_buffer_free(&memory);
  return status;
}
