/* Forces between pairs against float64: accelerations, the momentum that they conserve, and the reverse,
   whose float64 twin is checked against finite differences. */
#include <algorithm>
#include <cmath>

#include "kernels/pair/pair.h"
#include "tests/support/network.h"

using mote_test::Array;
using mote_test::Device;
using mote_test::narrowed;
using mote_test::noise;
using mote_test::Vector;
using mote_test::worst_error;

namespace {

/* Of the root mean square: float32's 6e-8 times sums of up to 50 terms that partly cancel. */
const double kTolerance = 1e-5;
const double kReach = 0.1;

/* A cloud in a box a little smaller than it, its radius graph with loops, random answers. */
struct Pairs64 {
  int dim;
  int64_t n, edges = 0;
  mote_pair_forces forces = {};
  Vector position, wall, pair, cost;
  std::vector<int32_t> offsets = {0}, sender, receiver;

  Pairs64(int dim, int64_t n, double low = 0.05, double radius = 0.17) : dim(dim), n(n) {
    forces.dim = dim, forces.per_reach = float(1 / kReach);
    for (int a = 0; a < dim; a++) {
      forces.lower[a] = float(low), forces.upper[a] = float(1 - low);
      forces.free[a] = 0.3f - 0.2f * float(a);
    }
    for (int64_t k = 0; k < n * dim; k++) position.push_back(mote_random_uniform(3, 1, uint64_t(k), 0));
    for (int64_t i = 0; i < n; i++) {
      for (int64_t j = 0; j < n; j++)
        if (distance(i, j) < radius) connect(j, i);
      offsets.push_back(int32_t(sender.size()));
    }
    edges = int64_t(sender.size());
    for (float x : noise(n * dim, 4)) wall.push_back(x);
    for (float x : noise(edges * dim, 5)) pair.push_back(x);
    for (float x : noise(n * dim, 6)) cost.push_back(x);
  }

  Vector accelerate() const {
    Vector a(size_t(n * dim));
    for (int64_t i = 0; i < n; i++)
      for (int k = 0; k < dim; k++) a[i * dim + k] = forces.free[k] + share(i) * wall[i * dim + k];
    for (int64_t e = 0; e < edges; e++)
      for (int k = 0; k < dim; k++) { /* to one end, and the opposite to the other */
        double force = pair[e * dim + k] * weight(e);
        a[receiver[e] * dim + k] += force;
        a[sender[e] * dim + k] -= force;
      }
    return a;
  }
  double loss() const {
    Vector a = accelerate();
    double sum = 0;
    for (size_t k = 0; k < a.size(); k++) sum += a[k] * cost[k];
    return sum;
  }
  Vector d_pair() const {
    Vector d(pair.size());
    for (int64_t e = 0; e < edges; e++)
      for (int k = 0; k < dim; k++)
        d[e * dim + k] = weight(e) * (cost[receiver[e] * dim + k] - cost[sender[e] * dim + k]);
    return d;
  }
  /* By central differences: of the loss all but the wall's share is the same (which pairs there are is). */
  Vector differences(Vector &x) {
    const double h = 1e-6;
    Vector d;
    for (double &value : x) {
      const double kept = value;
      value = kept + h;
      double above = loss();
      value = kept - h;
      d.push_back((above - loss()) / (2 * h));
      value = kept;
    }
    return d;
  }
  double nearest(int64_t i) const {
    double d = INFINITY;
    for (int a = 0; a < dim; a++)
      d = std::min({d, position[i * dim + a] - forces.lower[a], forces.upper[a] - position[i * dim + a]});
    return d;
  }

private:
  double distance(int64_t i, int64_t j) const {
    double square = 0;
    for (int a = 0; a < dim; a++) square += std::pow(position[i * dim + a] - position[j * dim + a], 2);
    return std::sqrt(square);
  }
  void connect(int64_t from, int64_t to) {
    sender.push_back(int32_t(from));
    receiver.push_back(int32_t(to));
  }
  double weight(int64_t e) const {
    double a = offsets[receiver[e] + 1] - offsets[receiver[e]],
           b = offsets[sender[e] + 1] - offsets[sender[e]];
    return MOTE_PAIR_GAIN / std::sqrt(a * b);
  }
  double share(int64_t i) const { return std::clamp(2 - 2 * nearest(i) / kReach, 0.0, 1.0); }
};

/* The same on a device, with room for more edges in which there is nothing that could be used. */
struct Pairs {
  int64_t n, capacity;
  mote_pair_forces forces;
  Array<float> position, wall, pair, cost, acceleration, d_wall, d_pair, d_position;
  Array<int32_t> offsets, sender, receiver;
  template <typename T> static std::vector<T> padded(std::vector<T> x, size_t count, T with) {
    x.resize(count, with);
    return x;
  }
  Pairs(Device &device, const Pairs64 &r)
      : n(r.n), capacity(r.edges + 7), forces(r.forces), position(device, narrowed(r.position)),
        wall(device, narrowed(r.wall)), pair(device, padded(narrowed(r.pair), size_t(capacity * r.dim), NAN)),
        cost(device, narrowed(r.cost)), acceleration(device, std::vector<float>(r.cost.size(), NAN)),
        d_wall(device, std::vector<float>(r.cost.size(), NAN)),
        d_pair(device, std::vector<float>(size_t(capacity * r.dim), 5)),
        d_position(device, std::vector<float>(r.cost.size(), 0.25f)), offsets(device, r.offsets),
        sender(device, padded(r.sender, size_t(capacity), INT32_MAX)),
        receiver(device, padded(r.receiver, size_t(capacity), INT32_MAX)) {}
  mote_edges graph() { return {n, capacity, offsets, sender, receiver}; }
  mote_status forward(mote_stream *stream) {
    mote_edges edges = graph();
    return stream->device->pair->accelerate(stream, n, &forces, &edges, position, wall, pair, acceleration);
  }
  mote_status backward(mote_stream *stream, bool to_position = true) {
    mote_edges edges = graph();
    return stream->device->pair->accelerate_backward(stream, n, &forces, &edges, position, wall, cost, d_wall,
                                                     d_pair, to_position ? d_position.data() : nullptr);
  }
};

} // namespace

class PairTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(PairTest);

TEST_P(PairTest, Accelerations) {
  Device device(GetParam());
  for (int dim : {2, 3}) {
    Pairs64 r(dim, 150);
    Pairs x(device, r);
    MOTE_ASSERT_OK(x.forward(device.stream));
    EXPECT_LT(worst_error(x.acceleration.host(), r.accelerate()), kTolerance) << dim;
  }
}

/* No wall within reach: whatever the answers, the mean acceleration is that of free flight. */
TEST_P(PairTest, MomentumIsConserved) {
  Device device(GetParam());
  Pairs64 r(3, 200, -0.2);
  Pairs x(device, r);
  MOTE_ASSERT_OK(x.forward(device.stream));
  std::vector<float> found = x.acceleration.host();
  double sum[3] = {0}, size = 0;
  for (size_t k = 0; k < found.size(); k++) {
    sum[k % 3] += double(found[k]) - r.forces.free[k % 3];
    size += std::fabs(found[k]);
  }
  ASSERT_GT(size / double(found.size()), 0.1);
  for (double s : sum) EXPECT_LT(std::fabs(s), 1e-6 * size);
}

TEST_P(PairTest, Reverse) {
  Device device(GetParam());
  for (int dim : {2, 3})
    for (bool to_position : {true, false}) {
      Pairs64 r(dim, 60, 0.05, 0.3);
      /* The share has corners at half the reach and at all of it: nobody is there. */
      for (int64_t i = 0; i < r.n; i++) {
        ASSERT_GT(std::fabs(r.nearest(i) - kReach), 1e-5);
        ASSERT_GT(std::fabs(r.nearest(i) - kReach / 2), 1e-5);
      }
      Pairs x(device, r);
      MOTE_ASSERT_OK(x.backward(device.stream, to_position));
      std::vector<float> d_pair = x.d_pair.host(), d_position = x.d_position.host();
      for (size_t k = size_t(r.edges * dim); k < d_pair.size(); k++) EXPECT_EQ(5, d_pair[k]);
      d_pair.resize(size_t(r.edges * dim));
      Vector by_position = to_position ? r.differences(r.position) : Vector(r.position.size(), 0);
      for (float &d : d_position) d -= 0.25f;
      /* Differences of a loss of some tens round at 1e-14 / 1e-6. */
      EXPECT_LT(worst_error(x.d_wall.host(), r.differences(r.wall)), kTolerance);
      EXPECT_LT(worst_error(d_pair, r.differences(r.pair)), kTolerance);
      EXPECT_LT(worst_error(d_pair, r.d_pair()), kTolerance);
      if (to_position)
        EXPECT_LT(worst_error(d_position, by_position), kTolerance);
      else
        for (float d : d_position) EXPECT_EQ(0, d);
    }
}

/* Rows of a graph that did not fit go on behind the arrays: what is there is not touched. (The CPU finds out
   at once.) */
TEST_P(PairTest, GraphsThatDidNotFit) {
  if (GetParam() == "cpu") GTEST_SKIP() << "no such graphs";
  Device device(GetParam());
  Pairs64 r(3, 40);
  Pairs x(device, r);
  x.capacity = r.edges / 2;
  MOTE_ASSERT_OK(x.forward(device.stream));
  MOTE_ASSERT_OK(x.backward(device.stream));
  for (float a : x.acceleration.host()) EXPECT_TRUE(std::isfinite(a));
}

TEST_P(PairTest, SameBitsWhateverTheThreads) {
  Pairs64 r(3, 400, 0.05, 0.15);
  mote_test::expect_reproducible(GetParam(), [&](Device &device) {
    Pairs x(device, r);
    MOTE_EXPECT_OK(x.forward(device.stream));
    MOTE_EXPECT_OK(x.backward(device.stream));
    std::vector<float> found = x.acceleration.host();
    for (Array<float> *more : {&x.d_wall, &x.d_pair, &x.d_position})
      for (float v : more->host()) found.push_back(v);
    return found;
  });
}

TEST_P(PairTest, CanBeReplayed) {
  Device device(GetParam());
  Pairs64 r(2, 80);
  Pairs x(device, r);
  std::vector<float> blank(r.cost.size(), 0);
  auto forget = [&] {
    for (Array<float> *to : {&x.acceleration, &x.d_wall, &x.d_position})
      EXPECT_EQ(MOTE_OK, mote_upload(device.stream, to->data(), blank.data(), blank.size() * 4));
  };
  mote_test::expect_replayable(
      device,
      [&](mote_stream *stream) {
        MOTE_TRY(x.forward(stream));
        return x.backward(stream);
      },
      forget,
      [&] {
        std::vector<float> found = x.acceleration.host();
        for (Array<float> *more : {&x.d_wall, &x.d_position})
          for (float v : more->host()) found.push_back(v);
        return found;
      });
}
