/* The entry of the micro-benchmarks: mote-micro --benchmark_filter=... */
#include <benchmark/benchmark.h>

BENCHMARK_MAIN();
