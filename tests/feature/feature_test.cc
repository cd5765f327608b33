/* Features against their formulas in float64; the step in time, and what it reports of particles that are
   off. */
#include <algorithm>
#include <climits>

#include "kernels/feature/feature.h"
#include "tests/support/network.h"

using mote_test::Array;
using mote_test::Device;
using mote_test::noise;

namespace {

const float untouched = -1234.5f;

std::vector<float> history_of(int frames, int64_t n, int dim) {
  std::vector<float> x = noise(n * dim, 1, 0.3), step = noise(frames * n * dim, 2, 0.01);
  std::vector<float> history;
  for (int k = 0; k < frames; k++)
    for (int64_t i = 0; i < n * dim; i++) history.push_back(x[i] += step[k * n * dim + i]);
  return history;
}

std::vector<int32_t> types_of(int64_t n, int types) {
  std::vector<int32_t> type(n);
  for (int64_t i = 0; i < n; i++) type[i] = int32_t(mote_random_below(4, 1, i, types));
  return type;
}

} // namespace

class FeatureTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(FeatureTest);

/* Differences of positions of order 1 in float32: 1e-7 of a metre, times the scale. */
TEST_P(FeatureTest, NodesInAnyLayout) {
  Device device(GetParam());
  for (int dim : {2, 3})
    for (int type_width : {0, 5})
      for (int frames : {2, 6, MOTE_MOST_FRAMES}) {
        SCOPED_TRACE(testing::Message() << dim << " " << type_width << " " << frames);
        const int64_t n = 300;
        mote_node_features f = {};
        f.dim = dim, f.frames = frames, f.types = 7, f.type_width = type_width;
        /* Velocities, kinds, bounds: each order is as good. */
        f.at_velocity = 0;
        f.at_type = dim * (frames - 1);
        f.at_bounds = f.at_type + type_width;
        f.per_radius = 4, f.clip = frames == 2 ? 0.5f : 1;
        for (int a = 0; a < dim; a++) {
          f.velocity_mean[a] = 0.002f * float(a + 1), f.velocity_scale[a] = 100.f / float(a + 1);
          f.lower[a] = -0.4f, f.upper[a] = 0.5f + 0.1f * float(a);
        }
        const int width = mote_node_feature_width(&f), stride = width + 2;
        EXPECT_EQ(type_width + dim * (frames + 1), width);
        std::vector<float> history = history_of(frames, n, dim), embedding = noise(7 * 5, 3);
        std::vector<int32_t> type = types_of(n, 7);
        Array<float> histories(device, history), embeddings(device, embedding);
        Array<float> out(device, std::vector<float>(n * stride, untouched));
        Array<int32_t> types(device, type);
        MOTE_ASSERT_OK(
            device->feature->nodes(device.stream, n, &f, histories, types, embeddings, out, stride));
        std::vector<float> found = out.host();
        int clipped = 0;
        for (int64_t i = 0; i < n; i++) {
          std::vector<double> row(stride, untouched);
          auto x = [&](int k, int a) { return double(history[(k * n + i) * dim + a]); };
          for (int k = 1; k < frames; k++)
            for (int a = 0; a < dim; a++)
              row[(k - 1) * dim + a] = (x(k, a) - x(k - 1, a) - f.velocity_mean[a]) * f.velocity_scale[a];
          for (int c = 0; c < type_width; c++) row[f.at_type + c] = embedding[type[i] * type_width + c];
          for (int a = 0; a < dim; a++) {
            double lower = (x(frames - 1, a) - f.lower[a]) * 4, upper = (f.upper[a] - x(frames - 1, a)) * 4;
            row[f.at_bounds + a] = std::clamp(lower, -double(f.clip), double(f.clip));
            row[f.at_bounds + dim + a] = std::clamp(upper, -double(f.clip), double(f.clip));
            clipped += std::fabs(lower) > f.clip;
          }
          for (int c = 0; c < stride; c++)
            ASSERT_NEAR(row[c], found[i * stride + c], c < dim * (frames - 1) ? 1e-5 : 1e-6) << i << " " << c;
        }
        EXPECT_GT(clipped, 20);
      }
}

TEST_P(FeatureTest, Edges) {
  Device device(GetParam());
  for (int dim : {2, 3})
    for (bool with_length : {true, false}) {
      const int64_t n = 50, queries = 30, spare = 9;
      std::vector<float> point = noise(n * dim, 11), query = noise(queries * dim, 12);
      std::vector<int32_t> offsets = {0}, sender, receiver;
      for (int64_t q = 0; q < queries; q++) {
        for (int64_t k = 0; k < q % 7; k++) {
          sender.push_back(int32_t(mote_random_below(4, 13, q * 7 + k, n)));
          receiver.push_back(int32_t(q));
        }
        offsets.push_back(int32_t(sender.size()));
      }
      for (int a = 0; a < dim; a++)
        point[sender[0] * dim + a] = query[receiver[0] * dim + a]; /* distance 0 */
      const int64_t edges = int64_t(sender.size()), capacity = edges + spare;
      sender.resize(capacity, INT_MAX);
      receiver.resize(capacity, INT_MAX);
      Array<int32_t> starts(device, offsets), from(device, sender), to(device, receiver);
      Array<float> points(device, point), query_points(device, query);
      Array<float> out(device, std::vector<float>(capacity * (dim + 1), untouched));
      Array<float> length(device, std::vector<float>(capacity, untouched));
      mote_edges graph = {queries, capacity, starts, from, to};
      MOTE_ASSERT_OK(device->feature->edges(device.stream, dim, &graph, points, query_points, 5.f, 3.f, out,
                                            with_length ? length.data() : nullptr));
      std::vector<float> found = out.host(), lengths = length.host();
      for (int64_t e = 0; e < capacity; e++) {
        double square = 0;
        for (int a = 0; a < dim; a++) {
          float x = found[e * (dim + 1) + a];
          if (e >= edges) {
            ASSERT_EQ(untouched, x);
            continue;
          }
          double d = double(point[sender[e] * dim + a]) - query[receiver[e] * dim + a];
          square += d * d;
          ASSERT_NEAR(5 * d, x, 1e-6 * std::fabs(5 * d) + 1e-7);
        }
        const bool there = e < edges;
        ASSERT_NEAR(there ? 3 * std::sqrt(square) : untouched, found[e * (dim + 1) + dim], 2e-6);
        ASSERT_NEAR(there && with_length ? 3 * std::sqrt(square) : untouched, lengths[e], 2e-6);
      }
    }
}

namespace {

/* Particles in motion; every fifth is kinematic. */
struct Motion {
  int dim, frames = 4;
  int64_t n;
  mote_integration integration = {};
  std::vector<float> before, acceleration;
  std::vector<int32_t> type;
  Array<float> history, accelerations, next;
  Array<int32_t> types;
  Array<mote_step_state> state;
  Motion(Device &device, int dim, int64_t n)
      : dim(dim), n(n), before(history_of(frames, n, dim)), acceleration(noise(n * dim, 21)), type(n),
        history(device, before), accelerations(device, acceleration), next(device, n * dim), types(device, n),
        state(device, std::vector<mote_step_state>{{INT32_MAX, 0, 0, 0}}) {
    integration.dim = dim, integration.frames = frames, integration.limit = 0.2f;
    for (int a = 0; a < dim; a++)
      integration.mean[a] = 0.001f * float(a + 1), integration.deviation[a] = 0.003f / float(a + 1),
      integration.lower[a] = -INFINITY, integration.upper[a] = INFINITY;
    for (int64_t i = 0; i < n; i++) type[i] = i % 5 ? 0 : MOTE_KINEMATIC;
    upload(device);
  }
  void upload(Device &device) {
    EXPECT_EQ(MOTE_OK, mote_upload(device.stream, types, type.data(), size_t(n) * 4));
    EXPECT_EQ(MOTE_OK, mote_upload(device.stream, history, before.data(), before.size() * 4));
    EXPECT_EQ(MOTE_OK,
              mote_upload(device.stream, accelerations, acceleration.data(), acceleration.size() * 4));
  }
  mote_status run(mote_stream *stream, const float *prescribed = nullptr, mote_step_guard guard = {}) {
    return stream->device->feature->advance(stream, n, &integration, &guard, accelerations, types, prescribed,
                                            history, next, state);
  }
  double at(const std::vector<float> &x, int frame, int64_t i, int a) const {
    return x[(frame * n + i) * dim + a];
  }
};

void expect_state(mote_step_state state, int32_t particle, int32_t bad_step, int32_t step) {
  EXPECT_EQ(particle, state.bad_particle);
  EXPECT_EQ(bad_step, state.bad_step);
  EXPECT_EQ(step, state.step);
}

} // namespace

TEST_P(FeatureTest, RestLengths) {
  Device device(GetParam());
  for (int dim : {2, 3}) {
    const int64_t n = 40, capacity = 210, edges = 200;
    std::vector<float> rest = noise(n * dim, 21);
    std::vector<int32_t> offsets, sender(capacity, INT32_MAX), receiver(capacity, INT32_MAX);
    for (int64_t i = 0; i <= n; i++) offsets.push_back(int32_t(i * 5));
    for (int64_t e = 0; e < edges; e++) {
      receiver[e] = int32_t(e / 5);
      sender[e] = e % 5 ? int32_t(mote_random_below(2, 9, uint64_t(e), uint64_t(n))) : receiver[e];
    }
    Array<float> at(device, rest), out(device, std::vector<float>(capacity, 7));
    Array<int32_t> o(device, offsets), s(device, sender), r(device, receiver);
    mote_edges graph = {n, capacity, o, s, r};
    MOTE_ASSERT_OK(device->feature->rest_lengths(device.stream, dim, &graph, at, 0.8f, out));
    std::vector<float> found = out.host();
    int cut = 0;
    for (int64_t e = 0; e < edges; e++) {
      double square = 0;
      for (int a = 0; a < dim; a++)
        square += std::pow(double(rest[sender[e] * dim + a]) - rest[receiver[e] * dim + a], 2);
      double expected = std::min<double>(MOTE_FARTHEST_REST, 0.8 * std::sqrt(square));
      cut += expected == MOTE_FARTHEST_REST;
      EXPECT_NEAR(expected, found[e], 1e-6) << e; /* a few ulps of 2 */
    }
    EXPECT_GT(cut, 3);
    EXPECT_LT(cut, 190);
    for (int64_t e = edges; e < capacity; e++) EXPECT_EQ(7, found[e]);
  }
}

TEST_P(FeatureTest, AdvanceMovesOn) {
  Device device(GetParam());
  for (int dim : {2, 3})
    for (bool with_prescribed : {false, true}) {
      Motion m(device, dim, 301);
      std::vector<float> prescribed = noise(m.n * dim, 22, 0.01);
      for (int64_t i = 0; i < m.n * dim; i++) prescribed[i] += m.before[3 * m.n * dim + i];
      Array<float> goals(device, prescribed);
      MOTE_ASSERT_OK(m.run(device.stream, with_prescribed ? goals.data() : nullptr));
      std::vector<float> after = m.history.host(), next = m.next.host();
      for (int64_t i = 0; i < m.n; i++)
        for (int a = 0; a < dim; a++) {
          for (int k = 0; k < 3; k++) ASSERT_EQ(m.at(m.before, k + 1, i, a), m.at(after, k, i, a));
          double x = m.at(m.before, 3, i, a), v = x - m.at(m.before, 2, i, a);
          double change =
              m.acceleration[i * dim + a] * double(m.integration.deviation[a]) + m.integration.mean[a];
          double expected = x + v + change;
          if (m.type[i] == MOTE_KINEMATIC && with_prescribed) expected = prescribed[i * dim + a];
          ASSERT_NEAR(expected, next[i * dim + a], 3e-7) << i;
          ASSERT_EQ(next[i * dim + a], float(m.at(after, 3, i, a)));
        }
      expect_state(m.state.host()[0], INT32_MAX, 0, 1);
    }
}

/* Bounds in the middle of the cloud: who would pass stands on them, to the bit; a kinematic particle that is
   told where to be goes there. */
TEST_P(FeatureTest, AdvanceStopsAtItsBounds) {
  Device device(GetParam());
  Motion free(device, 3, 301), stopped(device, 3, 301);
  std::vector<float> prescribed(free.n * 3, 0.1f);
  for (int64_t k = 0; k < free.n * 3; k++) prescribed[k] += free.before[3 * free.n * 3 + k];
  Array<float> goals(device, prescribed);
  MOTE_ASSERT_OK(free.run(device.stream, goals));
  std::vector<float> there = free.next.host(), sorted = there;
  std::sort(sorted.begin(), sorted.end());
  for (int a = 0; a < 3; a++) {
    stopped.integration.lower[a] = sorted[sorted.size() / 5];
    stopped.integration.upper[a] = sorted[sorted.size() * 7 / 10];
  }
  MOTE_ASSERT_OK(stopped.run(device.stream, goals));
  std::vector<float> next = stopped.next.host(), after = stopped.history.host();
  int at_lower = 0, at_upper = 0;
  for (int64_t i = 0; i < free.n; i++)
    for (int a = 0; a < 3; a++) {
      float lower = stopped.integration.lower[a], upper = stopped.integration.upper[a], x = there[i * 3 + a];
      float expected = stopped.type[i] == MOTE_KINEMATIC ? x : std::min(std::max(x, lower), upper);
      at_lower += expected == lower, at_upper += expected == upper;
      ASSERT_EQ(expected, next[i * 3 + a]) << i;
      ASSERT_EQ(expected, float(stopped.at(after, 3, i, a))) << i;
    }
  EXPECT_GT(at_lower, 50);
  EXPECT_GT(at_upper, 50);
  expect_state(stopped.state.host()[0], INT32_MAX, 0, 1);
}

/* NaN, infinite and too fast ones, spread over blocks and threads: the first by index is reported, all stay
   where they were, and a later step reports nothing else. */
TEST_P(FeatureTest, BadParticlesAreReportedOnceAndKeptFinite) {
  for (int threads : {1, 2, 3}) {
    Device device(GetParam(), threads);
    mote_test::Verified guard(device);
    Motion m(device, 3, 5000);
    MOTE_ASSERT_OK(m.run(device.stream));
    expect_state(m.state.host()[0], INT32_MAX, 0, 1);
    m.before = m.history.host();
    const std::vector<int64_t> bad = {4802, 333, 334, 2999, 336, 4999};
    const float values[] = {NAN, INFINITY, 1e3f, -INFINITY, -1e30f, NAN};
    for (size_t k = 0; k < bad.size(); k++) m.acceleration[bad[k] * 3 + k % 3] = values[k];
    m.upload(device);
    MOTE_ASSERT_OK(m.run(device.stream));
    expect_state(m.state.host()[0], 333, 2, 2);
    std::vector<float> after = m.history.host(), next = m.next.host();
    for (int64_t i : bad)
      for (int a = 0; a < 3; a++) {
        EXPECT_EQ(m.at(m.before, 3, i, a), next[i * 3 + a]) << i;
        EXPECT_EQ(m.at(m.before, 3, i, a), m.at(after, 3, i, a)) << i;
      }
    for (float x : after) ASSERT_TRUE(std::isfinite(x));
    m.acceleration[1 * 3] = NAN; /* an earlier particle, but a later step */
    m.upload(device);
    MOTE_ASSERT_OK(m.run(device.stream));
    expect_state(m.state.host()[0], 333, 2, 3);
    /* Cleared, it takes up what is bad now, even where the last report's step still stands there. */
    std::vector<mote_step_state> cleared = {{INT32_MAX, 2, 3, 0}};
    MOTE_ASSERT_OK(mote_upload(device.stream, m.state, cleared.data(), sizeof cleared[0]));
    MOTE_ASSERT_OK(m.run(device.stream));
    expect_state(m.state.host()[0], 1, 4, 4);
  }
}

TEST_P(FeatureTest, FirstAndLastParticleMayBeBad) {
  Device device(GetParam());
  for (int64_t n : {1, 300}) {
    for (int64_t bad : {int64_t(0), n - 1}) {
      Motion m(device, 2, n);
      m.type[bad] = 0;
      m.acceleration[bad * 2 + 1] = NAN;
      m.upload(device);
      MOTE_ASSERT_OK(m.run(device.stream));
      expect_state(m.state.host()[0], int32_t(bad), 1, 1);
    }
  }
}

/* A kinematic particle whose prescribed position is too far, or none, is off as well; one whose acceleration
   is, is not. */
TEST_P(FeatureTest, KinematicParticlesMayBeBad) {
  Device device(GetParam());
  Motion m(device, 2, 100);
  std::vector<float> prescribed(m.before.end() - 200, m.before.end());
  m.acceleration[5 * 2] = NAN;
  prescribed[10 * 2] += 1;
  prescribed[15 * 2 + 1] = NAN;
  Array<float> goals(device, prescribed);
  m.upload(device);
  MOTE_ASSERT_OK(m.run(device.stream, goals));
  expect_state(m.state.host()[0], 10, 1, 1);
  for (float x : m.history.host()) ASSERT_TRUE(std::isfinite(x));
}

/* A flag of any graph leaves everything as it was, for this step and the next, until the state is cleared. */
TEST_P(FeatureTest, BlockedStepsAreNotDone) {
  Device device(GetParam());
  for (int which = 0; which < 3; which++) {
    Motion m(device, 3, 300);
    m.acceleration[7 * 3] = NAN;
    m.upload(device);
    Array<int32_t> raised(device, std::vector<int32_t>{1}), lowered(device, std::vector<int32_t>{0});
    mote_step_guard guard = {};
    for (int k = 0; k < 3; k++) guard.overflow[k] = k == which ? raised.data() : k ? lowered.data() : nullptr;
    MOTE_ASSERT_OK(m.run(device.stream, nullptr, guard));
    MOTE_ASSERT_OK(m.run(device.stream)); /* its own graphs fit, but the step before is missing */
    expect_state(m.state.host()[0], INT32_MAX, 0, 0);
    EXPECT_EQ(1, m.state.host()[0].blocked);
    EXPECT_EQ(m.before, m.history.host());
    std::vector<mote_step_state> cleared = {{INT32_MAX, 0, 0, 0}};
    MOTE_ASSERT_OK(mote_upload(device.stream, m.state, cleared.data(), sizeof cleared[0]));
    MOTE_ASSERT_OK(m.run(device.stream));
    expect_state(m.state.host()[0], 7, 1, 1);
  }
}

TEST_P(FeatureTest, SameBitsWhateverTheThreads) {
  mote_test::expect_reproducible(GetParam(), [](Device &device) {
    Motion m(device, 3, 3000);
    MOTE_EXPECT_OK(m.run(device.stream));
    return m.history.host();
  });
}

TEST_P(FeatureTest, CanBeReplayed) {
  Device device(GetParam());
  Motion m(device, 3, 300);
  m.acceleration[77 * 3] = NAN;
  m.type[77] = 0;
  int run = 0;
  mote_test::expect_replayable(
      device, [&](mote_stream *stream) { return m.run(stream); }, [&] { m.upload(device); },
      [&] {
        expect_state(m.state.host()[0], 77, 1, ++run);
        return m.history.host();
      });
}
