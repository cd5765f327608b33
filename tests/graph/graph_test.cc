/* Radius graphs and searches against brute force with the same float32 predicate: equal, bit for bit. */
#include <mote/graph.h>

#include "host/graph/graph.h"
#include "tests/emulator/control.h"
#include "tests/graph/clouds.h"
#include "tests/support/testing.h"

#include <limits>

using clouds::Cloud;
using mote_test::Array;
using mote_test::Device;

namespace {

struct Owned {
  mote_graph *graph = nullptr;
  Owned(Device &device, mote_graph_options options) {
    EXPECT_EQ(MOTE_OK, mote_graph_create(device.device, &options, &graph)) << mote_last_error();
  }
  ~Owned() { mote_graph_destroy(graph); }
  operator mote_graph *() { return graph; }
};

clouds::Graph download(mote_graph *graph) {
  clouds::Graph g;
  g.row_offsets.resize(size_t(mote_graph_receiver_count(graph)) + 1);
  g.senders.resize(size_t(mote_graph_edge_count(graph)));
  g.receivers.resize(g.senders.size());
  EXPECT_EQ(MOTE_OK, mote_graph_download(graph, g.row_offsets.data(), g.senders.data(), g.receivers.data()))
      << mote_last_error();
  return g;
}

/* The emulated device takes its time: it gets fewer points. */
int size_for(const std::string &device) {
  return device == "emu" ? 300 : 3000;
}

class GraphTest : public mote_test::OnDevice {
protected:
  Device device{GetParam()};
  /* GPUs have kernels for few points and for many: both. */
  std::vector<int> ways() const {
    return mote_test::is_cpu(GetParam()) ? std::vector<int>{0} : std::vector<int>{0, 1};
  }
};
MOTE_ON_DEVICES(GraphTest);

} // namespace

TEST_P(GraphTest, RadiusGraphEqualsBruteForce) {
  for (int dim : {2, 3})
    for (const Cloud &cloud : clouds::all(size_for(GetParam()), dim))
      for (int variant = 0; variant < 4; variant++) {
        mote_graph_options options = {dim, cloud.radius, variant & 1, variant >> 1, 1};
        const clouds::Graph expected =
            clouds::brute_force(cloud.x, cloud.x, dim, cloud.radius, options.inclusive, !options.self_loops);
        for (int many : ways()) {
          Owned graph(device, options);
          mote_graph_take_many(graph, many);
          MOTE_ASSERT_OK(mote_graph_build(graph, cloud.x.data(), int64_t(cloud.x.size()) / dim));
          EXPECT_TRUE(download(graph) == expected)
              << cloud.name << " in " << dim << "-D, self-loops " << options.self_loops << ", inclusive "
              << options.inclusive << ", as many " << many;
        }
      }
}

TEST_P(GraphTest, SearchEqualsBruteForce) {
  for (int dim : {2, 3}) {
    std::vector<Cloud> all = clouds::all(size_for(GetParam()) / 2, dim);
    for (const Cloud &cloud : all) {
      /* Queries: some of the points, a wide box around them, a few at the end of the world. */
      std::vector<float> queries(cloud.x.begin(), cloud.x.begin() + cloud.x.size() / dim / 3 * dim);
      clouds::append(queries, clouds::box(200, dim, -0.5f, 1.5f, 20));
      clouds::append(queries, clouds::box(50, dim, -60, 110, 21));
      for (float far : {3e38f, -3e38f, 1e12f, -1e7f}) clouds::append(queries, std::vector<float>(dim, far));
      for (int inclusive : {0, 1}) {
        const clouds::Graph expected =
            clouds::brute_force(cloud.x, queries, dim, cloud.radius, inclusive, false);
        for (int many : ways()) {
          Owned graph(device, {dim, cloud.radius, 0, inclusive, 1});
          mote_graph_take_many(graph, many);
          MOTE_ASSERT_OK(mote_graph_search(graph, cloud.x.data(), int64_t(cloud.x.size()) / dim,
                                           queries.data(), int64_t(queries.size()) / dim));
          EXPECT_TRUE(download(graph) == expected)
              << cloud.name << " in " << dim << "-D, inclusive " << inclusive << ", as many " << many;
        }
      }
    }
  }
}

/* The same points for other queries, some of which are not finite in between. */
TEST_P(GraphTest, PointsAreSearchedAgain) {
  const int n = size_for(GetParam()), m = 170;
  const std::vector<float> x = clouds::box(n, 3, 0, 1, 1);
  Array<float> points(device, x);
  for (int many : ways()) {
    Owned graph(device, {3, 0.2f, 0, 0, 1});
    mote_graph_take_many(graph, many);
    for (uint64_t k = 0; k < 4; k++) {
      std::vector<float> q = clouds::box(m, 3, -0.2f, 1.2f, 30 + k);
      if (k == 2) q[7] = NAN;
      Array<float> queries(device, q);
      if (k == 0)
        MOTE_ASSERT_OK(mote_graph_build_on(graph, device.stream, points, n, queries, m));
      else
        MOTE_ASSERT_OK(mote_graph_enqueue(graph, device.stream, nullptr, n, queries, m));
      EXPECT_EQ(k == 2 ? MOTE_ERROR_NUMERIC : MOTE_OK, mote_graph_check(graph, device.stream));
      if (k != 2) {
        EXPECT_TRUE(download(graph) == clouds::brute_force(x, q, 3, 0.2f, false, false)) << k << " " << many;
      }
    }
  }
}

/* In every order of threads and blocks, and of the shared memory's remains. */
TEST_P(GraphTest, NothingDependsOnTheOrderOfThreads) {
  mote_test::Verified guard(device);
  const int n = 150;
  const std::vector<float> x = clouds::box(n, 3, 0, 1, 3), q = clouds::box(70, 3, 0, 1, 4);
  for (int many : ways()) {
    Owned graph(device, {3, 0.4f, 1, 0, 1});
    mote_graph_take_many(graph, many);
    MOTE_ASSERT_OK(mote_graph_build(graph, x.data(), n));
    MOTE_ASSERT_OK(mote_graph_search(graph, x.data(), n, q.data(), 70));
    EXPECT_TRUE(download(graph) == clouds::brute_force(x, q, 3, 0.4f, false, false));
  }
}

TEST_P(GraphTest, PointsOnTheEdgesOfCells) {
  /* Multiples of the radius and the floats beside them: where a cell's number changes. */
  for (int dim : {2, 3}) {
    std::vector<float> x;
    for (int i = -20; i <= 20; i++)
      for (int side = -1; side <= 1; side++) {
        float v = 0.1f * float(i);
        if (side) v = std::nextafter(v, side * INFINITY);
        for (int a = 0; a < dim; a++) x.push_back(a ? 0.1f * float(a) : v);
      }
    Owned graph(device, {dim, 0.1f, 0, 0, 1});
    MOTE_ASSERT_OK(mote_graph_build(graph, x.data(), int64_t(x.size()) / dim));
    EXPECT_TRUE(download(graph) == clouds::brute_force(x, x, dim, 0.1f, false, true)) << dim << "-D";
  }
}

TEST_P(GraphTest, NoPointsAndNoQueries) {
  std::vector<float> some = clouds::box(10, 3, 0, 1, 1);
  Owned graph(device, {3, 2.f, 1, 0, 1});
  MOTE_ASSERT_OK(mote_graph_build(graph, nullptr, 0));
  EXPECT_EQ(std::vector<int32_t>(1, 0), download(graph).row_offsets);
  MOTE_ASSERT_OK(mote_graph_search(graph, nullptr, 0, some.data(), 10));
  EXPECT_EQ(std::vector<int32_t>(11, 0), download(graph).row_offsets);
  MOTE_ASSERT_OK(mote_graph_search(graph, some.data(), 10, nullptr, 0));
  EXPECT_EQ(std::vector<int32_t>(1, 0), download(graph).row_offsets);
  MOTE_ASSERT_OK(mote_graph_build(graph, some.data(), 10));
  EXPECT_EQ(100, mote_graph_edge_count(graph));
}

TEST_P(GraphTest, CoordinatesThatAreNotFiniteAreNamed) {
  Owned graph(device, {3, 0.3f, 0, 0, 0});
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), INFINITY, -INFINITY}) {
    std::vector<float> x = clouds::box(200, 3, 0, 1, 1), good = x;
    x[3 * 77 + 2] = bad;
    x[3 * 150] = bad;
    EXPECT_EQ(MOTE_ERROR_NUMERIC, mote_graph_build(graph, x.data(), 200));
    EXPECT_NE(std::string(mote_last_error()).find("point 77 of 200"), std::string::npos) << mote_last_error();
    EXPECT_EQ(0, mote_graph_edge_count(graph));
    EXPECT_EQ(MOTE_ERROR_NUMERIC, mote_graph_search(graph, good.data(), 200, x.data(), 200));
    EXPECT_NE(std::string(mote_last_error()).find("query 77 of 200"), std::string::npos) << mote_last_error();
    MOTE_ASSERT_OK(mote_graph_build(graph, good.data(), 200));
    EXPECT_GT(mote_graph_edge_count(graph), 0);
  }
}

TEST_P(GraphTest, OptionsOutOfRangeAreRefused) {
  mote_graph *graph = nullptr;
  for (mote_graph_options options :
       {mote_graph_options{4, 1.f, 0, 0, 0}, mote_graph_options{3, 0.f, 0, 0, 0},
        mote_graph_options{3, -1.f, 0, 0, 0}, mote_graph_options{3, NAN, 0, 0, 0},
        mote_graph_options{2, 1e-30f, 0, 0, 0}}) {
    EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_graph_create(device.device, &options, &graph));
    EXPECT_EQ(nullptr, graph);
  }
  Owned good(device, {3, 1.f, 0, 0, 0});
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_graph_set_radius(good, 0.f));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_graph_build(good, nullptr, -1));
  int32_t receivers;
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_graph_download(good, nullptr, nullptr, &receivers));
}

TEST_P(GraphTest, MoreEdgesThanAnIntegerHoldsAreRefused) {
  if (GetParam() == "emu") GTEST_SKIP() << "50,000 x 50,000 pairs are too many for the emulated device";
  std::vector<float> x(50000 * 2, 0.5f);
  Owned graph(device, {2, 1.f, 1, 0, 0});
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_graph_build(graph, x.data(), 50000));
  EXPECT_NE(std::string(mote_last_error()).find("2500000000 edges"), std::string::npos) << mote_last_error();
}

TEST_P(GraphTest, BuildsOfTheSameSizeAllocateNothing) {
  const int n = size_for(GetParam());
  Owned graph(device, {3, 0.2f, 0, 0, 1});
  std::vector<float> x = clouds::box(n, 3, 0, 1, 1);
  MOTE_ASSERT_OK(mote_graph_build(graph, x.data(), n));
  size_t allocations = mote_device_memory_use(device.device).allocations;
  for (uint64_t step = 2; step < 6; step++) {
    x = clouds::box(n, 3, 0, 1, step);
    MOTE_ASSERT_OK(mote_graph_build(graph, x.data(), n));
  }
  EXPECT_EQ(allocations, mote_device_memory_use(device.device).allocations);
}

TEST_P(GraphTest, InsideAStepTheDeviceNotesWhatGoesWrong) {
  const int n = 300;
  Owned graph(device, {3, 0.2f, 0, 0, 0});
  std::vector<float> loose = clouds::box(n, 3, 0, 1, 1), tight = clouds::box(n, 3, 0, 0.3f, 2), bad = loose;
  bad[5] = NAN;
  Array<float> at(device, loose), crowded(device, tight), broken(device, bad);
  MOTE_ASSERT_OK(mote_graph_build_on(graph, device.stream, at, n, nullptr, 0));
  size_t allocations = mote_device_memory_use(device.device).allocations;
  int64_t edges = mote_graph_edge_count(graph);

  MOTE_ASSERT_OK(mote_graph_enqueue(graph, device.stream, at, n, nullptr, 0));
  MOTE_ASSERT_OK(mote_graph_check(graph, device.stream));
  EXPECT_EQ(edges, mote_graph_edge_count(graph));

  MOTE_ASSERT_OK(mote_graph_enqueue(graph, device.stream, crowded, n, nullptr, 0));
  EXPECT_EQ(MOTE_ERROR_MEMORY, mote_graph_check(graph, device.stream));
  std::vector<int32_t> offsets(n + 1, -1);
  MOTE_ASSERT_OK(mote_graph_download(graph, offsets.data(), nullptr, nullptr));
  EXPECT_EQ(std::vector<int32_t>(n + 1, 0), offsets) << "rows that did not fit are left empty";

  MOTE_ASSERT_OK(mote_graph_enqueue(graph, device.stream, broken, n, nullptr, 0));
  EXPECT_EQ(MOTE_ERROR_NUMERIC, mote_graph_check(graph, device.stream));
  EXPECT_EQ(allocations, mote_device_memory_use(device.device).allocations);

  MOTE_ASSERT_OK(mote_graph_build_on(graph, device.stream, crowded, n, nullptr, 0));
  MOTE_ASSERT_OK(mote_graph_enqueue(graph, device.stream, crowded, n, nullptr, 0));
  MOTE_EXPECT_OK(mote_graph_check(graph, device.stream));
  EXPECT_GT(mote_graph_edge_count(graph), 2 * edges);
}

/* A step as the simulation runs it: planned once, then recorded and replayed on points that moved. */
TEST_P(GraphTest, IsRebuiltByReplay) {
  const int n = size_for(GetParam());
  Owned graph(device, {3, 0.2f, 1, 0, 1});
  std::vector<float> x = clouds::box(n, 3, 0, 1, 1);
  Array<float> at(device, x);
  MOTE_ASSERT_OK(mote_graph_build_on(graph, device.stream, at, n, nullptr, 0));
  struct Context {
    mote_graph *graph;
    const float *at;
    int n;
  } context = {graph, at, n};
  auto step = [](void *data, mote_stream *stream) {
    auto *c = static_cast<Context *>(data);
    return mote_graph_enqueue(c->graph, stream, c->at, c->n, nullptr, 0);
  };
  mote_replay replay = {};
  for (uint64_t frame = 2; frame < 6; frame++) {
    x = clouds::box(n, 3, 0, frame == 4 ? 1.1f : 1, frame);
    MOTE_ASSERT_OK(mote_upload(device.stream, at.data(), x.data(), x.size() * sizeof(float)));
    MOTE_ASSERT_OK(mote_replay_run(&replay, device.stream, step, &context));
    MOTE_ASSERT_OK(mote_graph_check(graph, device.stream));
    EXPECT_TRUE(download(graph) == clouds::brute_force(x, x, 3, 0.2f, false, false)) << "frame " << frame;
  }
  mote_replay_reset(&replay);
}

TEST(GraphThreads, BitsDoNotDependOnThreads) {
  Device one("cpu", 1), two("cpu", 2), five("cpu", 5);
  for (int dim : {2, 3})
    for (const Cloud &cloud : clouds::all(40000, dim)) {
      if (cloud.name.find("one cell") == 0 || cloud.name == "all the same" || cloud.name == "duplicates" ||
          cloud.name == "a dense shell and its middle" || cloud.name.find("uniform") == 0)
        continue; /* tens of millions of edges; the smaller tests have them */
      clouds::Graph first;
      for (Device *device : {&one, &two, &five}) {
        Owned graph(*device, {dim, cloud.radius / 8, 0, 0, 1});
        MOTE_ASSERT_OK(mote_graph_build(graph, cloud.x.data(), int64_t(cloud.x.size()) / dim));
        clouds::Graph g = download(graph);
        if (device == &one) first = g;
        EXPECT_TRUE(g == first) << cloud.name << " in " << dim << "-D";
      }
    }
}

TEST(GraphCrowds, RowsOfThousands) {
  /* Windows: neighbourhoods of far more candidates than a block holds. */
  Device device("cpu");
  std::vector<float> x = clouds::box(6000, 3, 0, 1, 1);
  clouds::append(x, clouds::box(2000, 3, 0.5f, 0.51f, 2));
  for (float radius : {0.5f, 0.33f}) {
    Owned graph(device, {3, radius, 1, 0, 1});
    MOTE_ASSERT_OK(mote_graph_build(graph, x.data(), 8000));
    EXPECT_TRUE(download(graph) == clouds::brute_force(x, x, 3, radius, false, false)) << radius;
  }
}
