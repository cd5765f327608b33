/* The reverse of features and of the step in time against float64 ones, which are checked against finite
   differences of what they reverse. */
#include <algorithm>
#include <climits>
#include <functional>

#include "kernels/feature/feature.h"
#include "tests/support/network.h"

using mote_test::Array;
using mote_test::Device;
using mote_test::narrowed;
using mote_test::noise;
using mote_test::Vector;
using mote_test::widened;
using mote_test::worst_error;

namespace {

/* Of the root mean square: float32's 6e-8, times the few ulps of a term, the cancelling of velocities'
   gradients and sums of up to a thousand terms. */
const double tolerance = 2e-5;

/* Of some of x's values: central differences of `loss`, of which `gradient` is the derivative by x. */
void expect_derivative(Vector &x, const Vector &gradient, const std::function<double()> &loss) {
  ASSERT_EQ(x.size(), gradient.size());
  double scale = 1e-3;
  for (double g : gradient) scale = std::max(scale, std::fabs(g));
  for (int k = 0; k < 60; k++) {
    size_t at = size_t(mote_random_below(9, 1, k, x.size()));
    const double kept = x[at], h = 1e-6;
    x[at] = kept + h;
    double above = loss();
    x[at] = kept - h;
    double below = loss();
    x[at] = kept;
    /* Second derivatives of distances, of up to a hundred, times h^2; rounding of the loss over h. */
    ASSERT_NEAR((above - below) / (2 * h), gradient[at], 1e-5 * scale) << at;
  }
}

/* An array that gradients are added to. */
struct Sink {
  std::vector<float> before;
  Array<float> array;
  Sink(Device &device, size_t count) : before(noise(int64_t(count), 55, 0.1)), array(device, before) {}
  void check(const Vector &expected, bool wanted, const char *what) {
    SCOPED_TRACE(what);
    std::vector<float> found = array.host();
    if (!wanted) {
      EXPECT_EQ(before, found);
      return;
    }
    for (size_t i = 0; i < found.size(); i++) found[i] -= before[i];
    EXPECT_LT(worst_error(found, expected), tolerance);
  }
  float *sink(bool wanted) { return wanted ? array.data() : nullptr; }
};

/* Features of nodes: sum over all of weight times feature, and its gradients. */
struct Nodes64 {
  mote_node_features f = {};
  int64_t n;
  int stride, width;
  Vector history, embedding, weight; /* weight (n, stride) */
  std::vector<int32_t> type;
  Vector d_history, d_embedding;

  Nodes64(int dim, int frames, int types, int type_width, int64_t n) : n(n), type(n) {
    f.dim = dim, f.frames = frames, f.types = types, f.type_width = type_width;
    f.at_velocity = 1; /* in a layout with a gap in front */
    f.at_type = 1 + dim * (frames - 1), f.at_bounds = f.at_type + type_width;
    f.per_radius = 4, f.clip = 0.75f;
    for (int a = 0; a < dim; a++) {
      f.velocity_mean[a] = 0.002f * float(a + 1), f.velocity_scale[a] = 20.f / float(a + 1);
      f.lower[a] = -0.4f, f.upper[a] = 0.5f + 0.1f * float(a);
    }
    stride = mote_node_feature_width(&f) + 3;
    history = widened(noise(frames * n * dim, 1, 0.3));
    embedding = widened(noise(types * std::max(type_width, 1), 2));
    weight = widened(noise(n * stride, 3));
    for (int64_t i = 0; i < n; i++) type[i] = int32_t(mote_random_below(4, 1, i, types));
  }
  size_t at(int k, int64_t i, int a) const { return size_t((k * n + i) * f.dim + a); }
  double weight_at(int64_t i, int column) const { return weight[i * stride + column]; }

  double loss() const {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
      for (int a = 0; a < f.dim; a++) {
        for (int k = 0; k + 1 < f.frames; k++)
          sum += weight_at(i, f.at_velocity + k * f.dim + a) *
                 (history[at(k + 1, i, a)] - history[at(k, i, a)] - f.velocity_mean[a]) * f.velocity_scale[a];
        const double x = history[at(f.frames - 1, i, a)], clip = f.clip;
        sum += weight_at(i, f.at_bounds + a) * std::clamp((x - f.lower[a]) * f.per_radius, -clip, clip);
        sum +=
            weight_at(i, f.at_bounds + f.dim + a) * std::clamp((f.upper[a] - x) * f.per_radius, -clip, clip);
      }
      for (int c = 0; c < f.type_width; c++)
        sum += weight_at(i, f.at_type + c) * embedding[type[i] * f.type_width + c];
    }
    return sum;
  }

  void backward() {
    d_history.assign(history.size(), 0);
    d_embedding.assign(embedding.size(), 0);
    for (int64_t i = 0; i < n; i++) {
      for (int a = 0; a < f.dim; a++) {
        for (int k = 0; k + 1 < f.frames; k++) {
          const double d = weight_at(i, f.at_velocity + k * f.dim + a) * f.velocity_scale[a];
          d_history[at(k + 1, i, a)] += d;
          d_history[at(k, i, a)] -= d;
        }
        const size_t last = at(f.frames - 1, i, a);
        const double x = history[last];
        if (std::fabs((x - f.lower[a]) * f.per_radius) < f.clip)
          d_history[last] += weight_at(i, f.at_bounds + a) * f.per_radius;
        if (std::fabs((f.upper[a] - x) * f.per_radius) < f.clip)
          d_history[last] -= weight_at(i, f.at_bounds + f.dim + a) * f.per_radius;
      }
      for (int c = 0; c < f.type_width; c++)
        d_embedding[type[i] * f.type_width + c] += weight_at(i, f.at_type + c);
    }
  }
};

/* The same on a device. */
struct Nodes {
  Array<float> history, d_out;
  Array<int32_t> type;
  Sink d_embedding, d_history;
  mote_buffer scratch = {};
  Nodes(Device &device, const Nodes64 &r)
      : history(device, narrowed(r.history)), d_out(device, narrowed(r.weight)), type(device, r.type),
        d_embedding(device, r.embedding.size()), d_history(device, r.history.size()) {}
  ~Nodes() { mote_buffer_free(&scratch); }
  mote_status run(mote_stream *stream, const Nodes64 &r, bool to_embedding = true, bool to_history = true) {
    mote_rows rows = {d_out.data(), r.stride - 1, r.stride};
    return stream->device->feature->nodes_backward(stream, r.n, &r.f, history, type, rows,
                                                   d_embedding.sink(to_embedding), d_history.sink(to_history),
                                                   &scratch);
  }
};

} // namespace

class FeatureBackwardTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(FeatureBackwardTest);

TEST_P(FeatureBackwardTest, Nodes) {
  Device device(GetParam());
  struct {
    int dim, frames, types, type_width;
    int64_t n;
  } cases[] = {{2, 6, 7, 5, 300},   {3, 2, 9, 16, 1},    {3, MOTE_MOST_FRAMES, 1, 0, 130},
               {3, 6, 40, 20, 700}, {2, 3, 9, 16, 5000}, /* several chunks, tiles of types and columns */
               {2, 3, 1, 1, 4096}};
  for (auto &c : cases) {
    SCOPED_TRACE(testing::Message() << c.dim << " " << c.frames << " " << c.type_width << " " << c.n);
    Nodes64 r(c.dim, c.frames, c.types, c.type_width, c.n);
    r.backward();
    if (c.n < 1000) {
      expect_derivative(r.history, r.d_history, [&] { return r.loss(); });
      expect_derivative(r.embedding, r.d_embedding, [&] { return r.loss(); });
    }
    for (int wanted = 0; wanted < 4; wanted++) {
      SCOPED_TRACE(wanted);
      Nodes x(device, r);
      MOTE_ASSERT_OK(x.run(device.stream, r, wanted & 1, wanted & 2));
      x.d_embedding.check(r.d_embedding, (wanted & 1) && c.type_width, "embedding");
      x.d_history.check(r.d_history, wanted & 2, "history");
    }
  }
}

/* A distance that is the limit itself is not cut, one beyond is; exact in float32. */
TEST_P(FeatureBackwardTest, DistancesAtTheLimit) {
  Device device(GetParam());
  Nodes64 r(2, 2, 1, 0, 4);
  for (int a = 0; a < 2; a++) r.f.lower[a] = -1, r.f.upper[a] = 9; /* far away: always cut */
  r.f.per_radius = 2, r.f.clip = 1;
  const double x[] = {-0.5, -0.5 + 0x1p-20, -1.5, -1.5 - 0x1p-20};
  for (int64_t i = 0; i < 4; i++)
    for (int a = 0; a < 2; a++) {
      r.history[r.at(1, i, a)] = x[i];
      for (int c = 0; c < r.stride; c++) r.weight[i * r.stride + c] = c >= r.f.at_bounds;
    }
  Nodes found(device, r);
  MOTE_ASSERT_OK(found.run(device.stream, r));
  std::vector<float> after = found.d_history.array.host();
  for (int64_t i = 0; i < 4; i++)
    for (int a = 0; a < 2; a++)
      EXPECT_NEAR(i % 2 ? 0 : 2, after[r.at(1, i, a)] - found.d_history.before[r.at(1, i, a)], 1e-6) << i;
}

namespace {

/* Features of edges: sums of weights times features and times lengths, and gradients. */
struct Edges64 {
  int dim;
  int64_t senders, receivers, edges = 0;
  bool same; /* senders are the receivers, and gradients go to one array */
  double per_radius = 5, per_length = 3;
  std::vector<int32_t> offsets = {0}, sender, receiver, sent_offsets, sent_edge;
  Vector point, query, weight, length_weight;
  Vector d_point, d_query;

  Edges64(int dim, int64_t senders, int64_t receivers, bool same)
      : dim(dim), senders(senders), receivers(receivers), same(same),
        point(widened(noise(senders * dim, 11))), query(same ? point : widened(noise(receivers * dim, 12))) {
    for (int64_t i = 0; i < receivers; i++) {
      const int64_t degree = i == 3 ? 45 : i * 5 % 21; /* 0, fewer than 8, more */
      for (int64_t k = 0; k < degree; k++) {
        sender.push_back(int32_t(mote_random_below(4, 13, i * 50 + k, uint64_t(senders))));
        receiver.push_back(int32_t(i));
      }
      offsets.push_back(int32_t(sender.size()));
    }
    edges = int64_t(sender.size());
    sender[1] = same ? receiver[1] : sender[1]; /* two in one place */
    for (int a = 0; a < dim && !same; a++) point[sender[1] * dim + a] = query[receiver[1] * dim + a];
    weight = widened(noise(edges * (dim + 1), 14));
    length_weight = widened(noise(edges, 15));
    for (int64_t s = 0; s <= senders; s++) {
      sent_offsets.push_back(int32_t(sent_edge.size()));
      for (int64_t e = 0; e < edges; e++)
        if (sender[e] == s) sent_edge.push_back(int32_t(e));
    }
  }
  const Vector &query_of() const { return same ? point : query; }
  double distance(int64_t e, double *d) const {
    double square = 0;
    for (int a = 0; a < dim; a++) {
      d[a] = point[sender[e] * dim + a] - query_of()[receiver[e] * dim + a];
      square += d[a] * d[a];
    }
    return std::sqrt(square);
  }
  double distance_weight(int64_t e, bool length) const {
    return weight[e * (dim + 1) + dim] + (length ? length_weight[e] : 0);
  }
  double loss(bool length) const {
    double sum = 0, d[3];
    for (int64_t e = 0; e < edges; e++) {
      sum += distance(e, d) * per_length * distance_weight(e, length);
      for (int a = 0; a < dim; a++) sum += d[a] * per_radius * weight[e * (dim + 1) + a];
    }
    return sum;
  }
  void backward(bool length) {
    d_point.assign(point.size(), 0);
    d_query.assign(query.size(), 0);
    for (int64_t e = 0; e < edges; e++) {
      double d[3], r = distance(e, d);
      for (int a = 0; a < dim; a++) {
        double by_d = weight[e * (dim + 1) + a] * per_radius;
        if (r > 0) by_d += distance_weight(e, length) * per_length * d[a] / r;
        d_point[sender[e] * dim + a] += by_d;
        (same ? d_point : d_query)[receiver[e] * dim + a] -= by_d;
      }
    }
  }
};

/* The same on a device, with room for more edges, in which there is nothing that could be used. */
struct Edges {
  int64_t capacity;
  Array<float> point, query, d_out, d_length;
  Array<int32_t> offsets, sender, receiver, sent_offsets, sent_edge;
  Sink d_point, d_query;
  template <typename T> static std::vector<T> padded(std::vector<T> x, int64_t count, T with) {
    x.resize(size_t(count), with);
    return x;
  }
  Edges(Device &device, const Edges64 &r)
      : capacity(r.edges + 9), point(device, narrowed(r.point)), query(device, narrowed(r.query)),
        d_out(device, padded(narrowed(r.weight), capacity * (r.dim + 1), NAN)),
        d_length(device, padded(narrowed(r.length_weight), capacity, NAN)), offsets(device, r.offsets),
        sender(device, padded(r.sender, capacity, INT_MAX)),
        receiver(device, padded(r.receiver, capacity, INT_MAX)), sent_offsets(device, r.sent_offsets),
        sent_edge(device, padded(r.sent_edge, capacity, INT_MAX)), d_point(device, r.point.size()),
        d_query(device, r.query.size()) {}
  mote_status run(mote_stream *stream, const Edges64 &r, bool length, bool to_point = true,
                  bool to_query = true) {
    mote_edges graph = {r.receivers, capacity, offsets, sender, receiver};
    mote_sent sent = {r.senders, sent_offsets, sent_edge};
    float *from = r.same ? point.data() : query.data();
    float *to = r.same ? d_point.sink(to_query) : d_query.sink(to_query);
    return stream->device->feature->edges_backward(
        stream, r.dim, &graph, to_point ? &sent : nullptr, point, from, float(r.per_radius),
        float(r.per_length), d_out, length ? d_length.data() : nullptr, d_point.sink(to_point), to);
  }
};

} // namespace

TEST_P(FeatureBackwardTest, Edges) {
  Device device(GetParam());
  for (int dim : {2, 3})
    for (bool same : {false, true})
      for (bool length : {false, true}) {
        SCOPED_TRACE(testing::Message() << dim << " " << same << " " << length);
        Edges64 r(dim, 50, same ? 50 : 33, same);
        r.backward(length);
        expect_derivative(r.point, r.d_point, [&] { return r.loss(length); });
        if (!same) expect_derivative(r.query, r.d_query, [&] { return r.loss(length); });
        for (int wanted = same ? 3 : 0; wanted < 4; wanted++) {
          SCOPED_TRACE(wanted);
          Edges x(device, r);
          MOTE_ASSERT_OK(x.run(device.stream, r, length, wanted & 1, wanted & 2));
          x.d_point.check(r.d_point, wanted & 1, "points");
          x.d_query.check(r.d_query, !same && (wanted & 2), "queries");
        }
      }
}

/* Rows of a graph that did not fit go on behind the arrays: on devices where that is found out later, what is
   behind is not touched. (The CPU finds out at once.) */
TEST_P(FeatureBackwardTest, GraphsThatDidNotFit) {
  if (GetParam() == "cpu") GTEST_SKIP() << "no such graphs";
  Device device(GetParam());
  Edges64 r(2, 50, 33, false);
  Edges x(device, r);
  std::vector<int32_t> offsets = r.offsets;
  offsets.back() += 1 << 20;
  MOTE_ASSERT_OK(mote_upload(device.stream, x.offsets, offsets.data(), offsets.size() * 4));
  x.capacity = r.edges;
  r.backward(true);
  MOTE_ASSERT_OK(x.run(device.stream, r, true));
  x.d_query.check(r.d_query, true, "queries");
}

namespace {

struct Advance64 {
  mote_integration g = {};
  int64_t n;
  bool prescribed;
  Vector history, acceleration, weight; /* weight (frames, n, dim) */
  std::vector<int32_t> type;
  Vector d_history, d_acceleration;

  Advance64(int dim, int frames, int64_t n, bool prescribed)
      : n(n), prescribed(prescribed), history(widened(noise(frames * n * dim, 31))),
        acceleration(widened(noise(n * dim, 32))), weight(widened(noise(frames * n * dim, 33))), type(n) {
    g.dim = dim, g.frames = frames, g.limit = 100;
    for (int a = 0; a < dim; a++)
      g.mean[a] = 0.1f * float(a + 1), g.deviation[a] = 0.3f / float(a + 1), g.lower[a] = -INFINITY,
      g.upper[a] = INFINITY;
    for (int64_t i = 0; i < n; i++) type[i] = i % 3 ? 0 : MOTE_KINEMATIC;
  }
  bool is_prescribed(int64_t i) const { return prescribed && type[i] == MOTE_KINEMATIC; }
  double loss() const {
    const int64_t frame = n * g.dim;
    double sum = 0;
    for (int64_t at = 0; at < frame; at++) {
      for (int k = 0; k + 1 < g.frames; k++) sum += weight[k * frame + at] * history[(k + 1) * frame + at];
      const double x = history[(g.frames - 1) * frame + at], before = history[(g.frames - 2) * frame + at];
      const int a = int(at % g.dim);
      const double to = x + (x - before) + acceleration[at] * g.deviation[a] + g.mean[a];
      sum += weight[(g.frames - 1) * frame + at] * (is_prescribed(at / g.dim) ? 7 : to);
    }
    return sum;
  }
  void backward() {
    const int64_t frame = n * g.dim;
    d_history.assign(history.size(), 0);
    d_acceleration.assign(acceleration.size(), 0);
    for (int64_t at = 0; at < frame; at++) {
      for (int k = 1; k < g.frames; k++) d_history[k * frame + at] += weight[(k - 1) * frame + at];
      if (is_prescribed(at / g.dim)) continue;
      const double d = weight[(g.frames - 1) * frame + at];
      d_history[(g.frames - 1) * frame + at] += 2 * d;
      d_history[(g.frames - 2) * frame + at] -= d;
      d_acceleration[at] = d * g.deviation[at % g.dim];
    }
  }
};

} // namespace

TEST_P(FeatureBackwardTest, Advance) {
  Device device(GetParam());
  for (int dim : {2, 3})
    for (int frames : {2, 6})
      for (bool prescribed : {false, true}) {
        SCOPED_TRACE(testing::Message() << dim << " " << frames << " " << prescribed);
        Advance64 r(dim, frames, 301, prescribed);
        r.backward();
        expect_derivative(r.history, r.d_history, [&] { return r.loss(); });
        expect_derivative(r.acceleration, r.d_acceleration, [&] { return r.loss(); });
        Array<float> d_history(device, narrowed(r.weight));
        Array<float> d_acceleration(device, std::vector<float>(r.acceleration.size(), NAN));
        Array<int32_t> type(device, r.type);
        MOTE_ASSERT_OK(device->feature->advance_backward(device.stream, r.n, &r.g,
                                                         prescribed ? type.data() : nullptr, prescribed,
                                                         d_history, d_acceleration));
        /* Two roundings. */
        EXPECT_LT(worst_error(d_history.host(), r.d_history), 1e-6);
        EXPECT_LT(worst_error(d_acceleration.host(), r.d_acceleration), 1e-6);
      }
}

TEST_P(FeatureBackwardTest, SameBitsWhateverTheThreads) {
  Nodes64 nodes(3, 4, 9, 16, 7000);
  Edges64 edges(3, 700, 700, true);
  mote_test::expect_reproducible(GetParam(), [&](Device &device) {
    Nodes x(device, nodes);
    Edges y(device, edges);
    MOTE_EXPECT_OK(x.run(device.stream, nodes));
    MOTE_EXPECT_OK(y.run(device.stream, edges, true));
    std::vector<float> found = x.d_embedding.array.host();
    for (auto *more : {&x.d_history, &y.d_point})
      for (float v : more->array.host()) found.push_back(v);
    return found;
  });
}

TEST_P(FeatureBackwardTest, CanBeReplayed) {
  Device device(GetParam());
  Nodes64 nodes(3, 4, 9, 16, 3000);
  Edges64 edges(2, 50, 33, false);
  Nodes x(device, nodes);
  Edges y(device, edges);
  auto forget = [&] {
    for (auto *sink : {&x.d_embedding, &x.d_history, &y.d_point, &y.d_query})
      EXPECT_EQ(MOTE_OK,
                mote_upload(device.stream, sink->array, sink->before.data(), sink->before.size() * 4));
  };
  mote_test::expect_replayable(
      device,
      [&](mote_stream *stream) {
        MOTE_TRY(x.run(stream, nodes));
        return y.run(stream, edges, true);
      },
      forget,
      [&] {
        std::vector<float> found = x.d_embedding.array.host();
        for (auto *more : {&x.d_history, &y.d_point, &y.d_query})
          for (float v : more->array.host()) found.push_back(v);
        return found;
      });
}
