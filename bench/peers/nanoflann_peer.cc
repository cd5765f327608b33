/* Radius graph of n uniform points in the unit cube, ours and nanoflann's, in one process, turn by turn, on
   the same threads. nanoflann gets the lighter task: unsorted neighbours into a vector a thread, no rows
   assembled. nanoflann_peer [points 100000] [neighbours 30] [threads 2] [rounds 9] */
#include <nanoflann.hpp>
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <mote/graph.h>
#include <mote/random.h>
#include <vector>

namespace {

struct Points {
  std::vector<float> x;
  size_t kdtree_get_point_count() const { return x.size() / 3; }
  float kdtree_get_pt(size_t i, size_t axis) const { return x[3 * i + axis]; }
  template <class Box> bool kdtree_get_bbox(Box &) const { return false; }
};
using Tree =
    nanoflann::KDTreeSingleIndexAdaptor<nanoflann::L2_Simple_Adaptor<float, Points>, Points, 3, uint32_t>;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

/* Neighbours found, the point itself among them. */
size_t search(const Tree &tree, const Points &points, float radius, int threads) {
  size_t total = 0;
#pragma omp parallel num_threads(threads) reduction(+ : total)
  {
    std::vector<std::pair<uint32_t, float>> found;
    nanoflann::SearchParams unsorted;
    unsorted.sorted = false;
#pragma omp for schedule(dynamic, 512)
    for (size_t i = 0; i < points.x.size() / 3; i++)
      total += tree.radiusSearch(&points.x[3 * i], radius * radius, found, unsorted);
  }
  return total;
}

} // namespace

int main(int argc, char **argv) {
  int n = argc > 1 ? atoi(argv[1]) : 100000, threads = argc > 3 ? atoi(argv[3]) : 2;
  double neighbours = argc > 2 ? atof(argv[2]) : 30;
  int rounds = argc > 4 ? atoi(argv[4]) : 9;
  if (n < 1 || threads < 1 || rounds < 1 || !(neighbours > 0))
    return fprintf(stderr, "expected positive numbers\n"), 2;
  float radius = float(std::cbrt(neighbours / (4.0 / 3.0 * 3.14159265358979 * n)));
  Points points;
  for (int i = 0; i < 3 * n; i++) points.x.push_back(mote_random_uniform(1, 1, uint64_t(i), 0));

  mote_device_options device_options = {threads, MOTE_PRECISION_FLOAT32};
  mote_graph_options options = {3, radius, 1, 0, 0};
  mote_device *device;
  mote_graph *graph;
  if (mote_device_open("cpu", &device_options, &device) != MOTE_OK ||
      mote_graph_create(device, &options, &graph) != MOTE_OK)
    return fprintf(stderr, "%s\n", mote_last_error()), 1;

  printf("%d points, radius %.5f, %d threads, median of %d interleaved rounds\n", n, radius, threads, rounds);
  double ours_best = 0;
  for (size_t leaf : {10, 20, 40}) {
    std::vector<double> ours, build, query;
    size_t theirs_found = 0;
    for (int round = -1; round < rounds; round++) {
      double t0 = now();
      if (mote_graph_build(graph, points.x.data(), n) != MOTE_OK)
        return fprintf(stderr, "%s\n", mote_last_error()), 1;
      double t1 = now();
      Tree tree(3, points, nanoflann::KDTreeSingleIndexAdaptorParams(leaf));
      tree.buildIndex();
      double t2 = now();
      theirs_found = search(tree, points, radius, threads);
      double t3 = now();
      if (round < 0) continue; /* warm-up */
      ours.push_back(t1 - t0);
      build.push_back(t2 - t1);
      query.push_back(t3 - t2);
    }
    ours_best = median(ours);
    double b = median(build), q = median(query);
    printf("nanoflann leaf %2zu: build %7.2f ms, query %7.2f ms (%zu found); mote %6.2f ms (%lld edges); "
           "ratio %.2f with build, %.2f without\n",
           leaf, 1e3 * b, 1e3 * q, theirs_found, 1e3 * ours_best, (long long)mote_graph_edge_count(graph),
           (b + q) / ours_best, q / ours_best);
  }
  mote_graph_destroy(graph);
  mote_device_close(device);
}
