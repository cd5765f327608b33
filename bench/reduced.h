/* The table of mote-bench reduced, and what becomes of it. */
#ifndef MOTE_BENCH_REDUCED_H
#define MOTE_BENCH_REDUCED_H

#include <mote/stepper.h>

#include "bench/bench.h"

#define REDUCED_ROWS 8

typedef struct reduced_row {
  int64_t n, edges;
  double dense_ms, dense_gflops;              /* dense_ms 0: not measured, `why` says why */
  double reduced_ms, step_ms, reconstruct_ms; /* together, and each on its own */
  size_t dense_bytes, reduced_bytes;
  mote_stepper_phases dense_phases, step_phases;
  char why[96];
} reduced_row;

typedef struct reduced_table {
  int count;
  reduced_row row[REDUCED_ROWS];
} reduced_table;

/* Prints ratios and shares of phases; writes CSV and a plot where the context asks for them. */
mote_status reduced_report(bench_context *bench, const reduced_table *table);

#endif
