/* mote-bench: what the cases share. A case sets its work up, times it with bench_time(), and adds results
   with their floors; the report turns them into a table and JSON. */
#ifndef MOTE_BENCH_BENCH_H
#define MOTE_BENCH_BENCH_H

#include <stdint.h>

#include "host/core/device.h"

typedef struct bench_peaks {
  double bandwidth; /* bytes/s of a triad on arrays far beyond the caches */
  double flops;     /* single-precision multiply-adds, two operations each */
  double
      tensor;   /* the same of tensor cores' own kind at the device's precision; 0: it has none, or float32 */
  double dense; /* what is left of that for dense layers, or `flops`: terms take several products each */
} bench_peaks;

/* Of `train`; NULL and 0: not given. */
typedef struct bench_train_options {
  const char *model, *input, *save, *gradients;
  int batch;
} bench_train_options;

typedef struct bench_context {
  mote_device *device;
  mote_stream *stream;
  bench_peaks peaks;
  int quick;
  int64_t size;           /* 0: the case's own sizes */
  const char *material;   /* NULL: the case's own */
  const char *csv, *plot; /* where the comparison of `reduced` goes, or NULL */
  bench_train_options train;
  void *results; /* a cJSON array */
} bench_context;

/* One measured thing. bytes and operations are the least that it must move and do (0: not modelled). */
typedef struct bench_result {
  const char *name; /* "mpm/water" */
  int64_t n;        /* particles or points */
  double seconds;   /* median of one repetition */
  double spread;    /* (max - min) / median */
  double bytes, operations;
  size_t memory;    /* device memory it held, bytes */
  const char *unit; /* what `rate` counts a second, or NULL */
  double rate;
} bench_result;

/* Runs step(context) once to warm up and then at least `repeats` times and 0.3 s; median and spread go into
   the result. */
mote_status bench_time(bench_context *bench, mote_step_function step, void *context, int repeats,
                       bench_result *result);
void bench_add(bench_context *bench, const bench_result *result);
mote_status bench_measure_peaks(bench_context *bench);

mote_status bench_neighbor(bench_context *bench);
mote_status bench_mpm(bench_context *bench);
mote_status bench_reconstruct(bench_context *bench);
mote_status bench_layers(bench_context *bench);
mote_status bench_reduced(bench_context *bench);
mote_status bench_train(bench_context *bench);

#endif
