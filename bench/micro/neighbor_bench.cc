/* Neighbour search, nearest neighbours and sampling on the CPU, n uniform points in the unit cube. */
#include <cmath>
#include <mote/graph.h>
#include <mote/nearest.h>
#include <mote/sample.h>

#include "bench/micro/support.h"

namespace {

using micro::Device;
using micro::uniform;

/* Arguments: points, neighbours of each in the mean. */
void radius_graph(benchmark::State &state) {
  int64_t n = state.range(0);
  Device device;
  std::vector<float> x = uniform(n, 1);
  float radius = float(std::cbrt(double(state.range(1)) / (4.0 / 3.0 * 3.14159265358979 * double(n))));
  mote_graph_options options = {3, radius, 1, 0, 0};
  mote_graph *graph;
  if (mote_graph_create(device.device, &options, &graph) != MOTE_OK) abort();
  for (auto _ : state)
    if (mote_graph_build(graph, x.data(), n) != MOTE_OK) state.SkipWithError(mote_last_error());
  state.counters["edges/s"] =
      benchmark::Counter(double(mote_graph_edge_count(graph)), benchmark::Counter::kIsIterationInvariantRate);
  state.SetItemsProcessed(state.iterations() * n);
  mote_graph_destroy(graph);
}
BENCHMARK(radius_graph)
    ->Args({1000, 30})
    ->Args({100000, 30})
    ->Args({100000, 100})
    ->Args({1000000, 30})
    ->UseRealTime();

/* Two clouds of n points, k nearest of each in the other: half of a Chamfer distance. */
void nearest(benchmark::State &state) {
  int64_t n = state.range(0);
  int k = int(state.range(1));
  Device device;
  std::vector<float> x = uniform(n, 1), q = uniform(n, 2);
  std::vector<int32_t> indices(size_t(n) * size_t(k));
  for (auto _ : state)
    if (mote_nearest(device.device, x.data(), n, q.data(), n, 3, k, indices.data(), nullptr) != MOTE_OK)
      state.SkipWithError(mote_last_error());
  state.SetItemsProcessed(state.iterations() * n);
}
BENCHMARK(nearest)->Args({100000, 1})->Args({100000, 8})->UseRealTime();

/* Method and count of 100,000. */
void sample(benchmark::State &state) {
  std::vector<float> x = uniform(100000, 1);
  std::vector<int32_t> indices(100000);
  mote_sample_options options = {mote_sample_method(state.range(0)), state.range(1), 0, 0, 1, nullptr};
  int64_t chosen;
  for (auto _ : state)
    if (mote_sample(x.data(), 100000, 3, &options, indices.data(), &chosen, nullptr) != MOTE_OK)
      state.SkipWithError(mote_last_error());
}
BENCHMARK(sample)
    ->Args({MOTE_SAMPLE_UNIFORM, 5000})
    ->Args({MOTE_SAMPLE_FARTHEST, 5000})
    ->Args({MOTE_SAMPLE_POISSON, 5000})
    ->Unit(benchmark::kMillisecond);

} // namespace
