/* The reverse of neural laws against central differences of their definition in float64 (step 1e-6: errors of
   1e-9 of the value), those of the weights as well, within 3e-4 of the root mean square: a few hundred
   roundings of float32 through three layers. */
#include "tests/neural/neural_testing.h"

using mote_test::Array;
using mote_test::Vector;
using namespace mote_test::neural;

namespace {

class NeuralGradientTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(NeuralGradientTest);

} // namespace

/* The gradients of sum(a : tau(F)) and sum(a : flow(F)) by F and by the weights. */
TEST_P(NeuralGradientTest, GradientsAreThoseOfDifferences) {
  const double h = 1e-6;
  for (const Case &c : cases)
    for (bool flows : {false, true}) {
      SCOPED_TRACE(testing::PrintToString(c) + (flows ? ", flow" : ", stress"));
      Bench b(GetParam(), c);
      const int square = c.dim * c.dim;
      const std::vector<float> a = mote_test::noise(count * square, 9);
      Array<float> F(b.device, b.F), d(b.device, a),
          d_F(b.device, flows ? a : std::vector<float>(a.size(), 0.f));
      const mote_arena arena = b.arena();
      if (flows)
        MOTE_ASSERT_OK(mote_neural_law_flow_backward(b.law, b.device.stream, &arena, &b.rows, 0, nullptr, F,
                                                     0, &b.room, nullptr, d_F, nullptr));
      else
        MOTE_ASSERT_OK(mote_neural_law_stress_backward(b.law, b.device.stream, &arena, &b.rows, F, 0, &b.room,
                                                       nullptr, d, d_F));
      const std::vector<float> by_F = d_F.host(), by_weights = b.gradients();
      Law64 law(b.law);
      auto functional = [&](int i, const Vector &f) {
        double sum = 0;
        const Vector y = flows ? law.flow(f) : law.stress(f);
        for (int k = 0; k < square; k++) sum += double(a[size_t(i * square + k)]) * y[size_t(k)];
        return sum;
      };
      std::vector<float> found;
      Vector expected;
      for (int i = 0; i < count; i++)
        for (int k = 0; k < square; k++) {
          const size_t at = size_t(i * square + k);
          if (!b.counts(i)) {
            EXPECT_EQ(by_F[at], flows ? a[at] : 0);
            continue;
          }
          Vector low = row(b.F, i, square), high = low;
          low[size_t(k)] -= h;
          high[size_t(k)] += h;
          found.push_back(by_F[at]);
          expected.push_back((functional(i, high) - functional(i, low)) / (2 * h));
        }
      EXPECT_LT(mote_test::worst_error(found, expected), 3e-4);
      /* every 41st weight; those of the other chain have none */
      const Vector value = law.value;
      found.clear();
      expected.clear();
      for (size_t w = 0; w < value.size(); w += 41) {
        double sum[2] = {0, 0};
        for (int side : {0, 1}) {
          law.value[w] = value[w] + (side ? h : -h);
          for (int i = 0; i < count; i++)
            if (b.counts(i)) sum[side] += functional(i, row(b.F, i, square));
        }
        law.value[w] = value[w];
        found.push_back(by_weights[w]);
        expected.push_back((sum[1] - sum[0]) / (2 * h));
      }
      EXPECT_LT(mote_test::worst_error(found, expected), 3e-4);
    }
}

/* The flow of (I + dt C) F: the gradients by F and C are those that the chain rule makes of the gradient by
   (I + dt C) F, asked for on its own; and of a law that does not flow, the chain rule's alone. */
TEST_P(NeuralGradientTest, GradientsOfADeformedFlowFollowTheChainRule) {
  const double dt = 0.01;
  for (const Case &c : cases) {
    SCOPED_TRACE(testing::PrintToString(c));
    Bench b(GetParam(), c);
    const int d = c.dim, square = d * d;
    const std::vector<float> C = mote_test::noise(count * square, 4), a = mote_test::noise(count * square, 9);
    std::vector<float> step, deformed;
    for (int i = 0; i < count; i++)
      for (int k = 0; k < square; k++)
        step.push_back(float((k % (d + 1) == 0) + dt * double(C[size_t(i * square + k)])));
    deformed = products(d, step, b.F);
    const mote_arena arena = b.arena();
    const auto reverse = [&](const std::vector<float> &F, bool deforms) {
      const std::vector<float> before(C.size(), 0.5f);
      Array<float> f(b.device, F), by_C(b.device, before), by_F(b.device, a), own(b.device, C);
      MOTE_EXPECT_OK(mote_neural_law_flow_backward(b.law, b.device.stream, &arena, &b.rows, float(dt),
                                                   deforms ? own.data() : nullptr, f, 0, &b.room, nullptr,
                                                   by_F, by_C));
      return std::make_pair(by_F.host(), by_C.host());
    };
    for (bool flows : {true, false}) {
      if (!flows) b.law->config.plasticity_scale = 0;
      const auto [by_F, by_C] = reverse(b.F, true);
      const std::vector<float> by_deformed = reverse(deformed, false).first;
      double worst = 0, largest = 0;
      for (int i = 0; i < count; i++) {
        const bool counts = !c.some || b.material[size_t(i)] == 2;
        const Vector g = row(by_deformed, i, square), by_step = times(d, g, row(b.F, i, square), false, true),
                     by_F64 = times(d, row(step, i, square), g, true);
        for (int k = 0; k < square; k++) {
          const size_t at = size_t(i * square + k);
          worst = std::max(worst, std::fabs(double(by_F[at]) - (counts ? by_F64[size_t(k)] : double(a[at]))));
          worst = std::max(worst, std::fabs(double(by_C[at]) - 0.5 - (counts ? dt * by_step[size_t(k)] : 0)));
          largest = std::max(largest, std::fabs(double(by_F[at])));
        }
      }
      EXPECT_GT(largest, 0.1);
      EXPECT_LT(worst, 2e-5 * largest) << flows; /* `deformed` is rounded */
    }
  }
}

/* The rows [first, first + n) of a bench's: where its F, a and labels begin, what comes out. */
struct Part {
  std::vector<float> tau, flowed, by_stress, by_flow, by_C, weights;
};
Part part_of(Bench &b, const std::vector<float> &a, int first, int n, bool apart = false) {
  const size_t square = size_t(b.dim * b.dim), from = size_t(first) * square, to = from + size_t(n) * square;
  const std::vector<float> own(b.F.begin() + long(from), b.F.begin() + long(to)),
      d(a.begin() + long(from), a.begin() + long(to)), zeros(own.size(), 0.f);
  Array<float> F(b.device, own), moved(b.device, own), d_tau(b.device, d), d_F(b.device, zeros),
      through(b.device, d), C(b.device, d), d_C(b.device, d), tau(b.device, zeros),
      none(b.device, std::vector<float>(size_t(b.weights.slots)));
  mote_neural_rows rows = b.rows;
  rows.n = n;
  if (rows.material) rows.material += first;
  mote_arena arena = b.arena();
  if (apart) arena.chunks = b.device->dense->chunks(n);
  Array<float> chunk(b.device, std::vector<float>(size_t(arena.chunks * arena.floats) + 1));
  if (apart) arena.chunk = chunk.data();
  MOTE_EXPECT_OK(
      mote_copy_on_device(b.device.stream, arena.gradient, none, size_t(b.weights.slots) * sizeof(float)));
  const std::vector<float> nothing(size_t(mote_neural_law_seen(b.law, &rows)), NAN);
  Array<float> seen(b.device, nothing), twice(b.device, nothing);
  mote_stream *s = b.device.stream;
  MOTE_EXPECT_OK(mote_neural_law_stress(b.law, s, &rows, F, int(square), &b.room, seen, tau));
  MOTE_EXPECT_OK(mote_neural_law_stress_backward(b.law, s, &arena, &rows, F, 1, &b.room, seen, d_tau, d_F));
  MOTE_EXPECT_OK(mote_neural_law_flow(b.law, s, &rows, moved, int(square), &b.room, twice));
  MOTE_EXPECT_OK(mote_neural_law_flow_backward(b.law, s, &arena, &rows, 0, nullptr, F, 1, &b.room, twice,
                                               through, nullptr));
  MOTE_EXPECT_OK(
      mote_neural_law_flow_backward(b.law, s, &arena, &rows, 0.01f, C, F, 0, &b.room, nullptr, through, d_C));
  if (apart) {
    MOTE_EXPECT_OK(b.device->dense->add_chunks(s, &arena));
  }
  return {tau.host(), moved.host(), d_F.host(), through.host(), d_C.host(), b.gradients()};
}

/* Rows of many tiles and chunks, on one thread and on three, against calls of a few rows each: a row's values
   are the same bits, the weights' gradients the same sum, also where chunks keep theirs apart until the end.
   Some tiles have no row that counts; some networks are so wide that a tile has few rows. */
TEST_P(NeuralGradientTest, ManyRowsAreAsFew) {
  const int n = 1117, few = 31;
  for (const Case &c :
       {Case{3, 64, 2, false, false}, Case{2, 150, 1, true, false}, Case{3, 24, 2, true, true}}) {
    SCOPED_TRACE(testing::PrintToString(c));
    Bench one(GetParam(), c, 1, n), three(GetParam(), c, 3, n);
    const size_t square = size_t(c.dim * c.dim);
    const std::vector<float> a = mote_test::noise(n * int(square), 9);
    for (Bench *b : {&one, &three}) {
      for (int i = 100; i < 300; i++) b->material[size_t(i)] = 0;
      b->labels.reset(new Array<int32_t>(b->device, b->material));
      if (c.some) b->rows.material = b->labels->data();
    }
    const Part all = part_of(one, a, 0, n), shared = part_of(three, a, 0, n);
    EXPECT_EQ(all.tau, shared.tau);
    EXPECT_EQ(all.flowed, shared.flowed);
    EXPECT_EQ(all.by_stress, shared.by_stress);
    EXPECT_EQ(all.by_flow, shared.by_flow);
    EXPECT_EQ(all.by_C, shared.by_C);
    EXPECT_EQ(all.weights, shared.weights);
    if (one.device->dense->chunks) {
      const Part apart = part_of(one, a, 0, n, true), taken = part_of(three, a, 0, n, true);
      EXPECT_EQ(8, one.device->dense->chunks(n));
      EXPECT_EQ(all.by_C, apart.by_C);
      EXPECT_EQ(all.by_C, taken.by_C);
      EXPECT_EQ(apart.weights, taken.weights);
      const std::vector<double> together(all.weights.begin(), all.weights.end());
      EXPECT_LT(mote_test::worst_error(apart.weights, together), 1e-5);
    }
    std::vector<double> weights(all.weights.size(), 0);
    for (int first = 0; first < n; first += few) {
      const Part part = part_of(one, a, first, std::min(few, n - first));
      const auto agrees = [&](const std::vector<float> &some, const std::vector<float> &whole) {
        return std::equal(some.begin(), some.end(), whole.begin() + long(size_t(first) * square));
      };
      EXPECT_TRUE(agrees(part.tau, all.tau)) << first;
      EXPECT_TRUE(agrees(part.flowed, all.flowed)) << first;
      EXPECT_TRUE(agrees(part.by_stress, all.by_stress)) << first;
      EXPECT_TRUE(agrees(part.by_flow, all.by_flow)) << first;
      EXPECT_TRUE(agrees(part.by_C, all.by_C)) << first;
      for (size_t w = 0; w < weights.size(); w++) weights[w] += double(part.weights[w]);
    }
    EXPECT_LT(mote_test::worst_error(all.weights, weights), 1e-5);
  }
}

/* Degenerate matter: collapsed, flat, inverted. What comes back is a number. */
TEST_P(NeuralGradientTest, DegenerateDeformationsHaveFiniteGradients) {
  for (int which : {0, 3}) {
    Bench b(GetParam(), cases[which]);
    std::vector<float> F = b.F;
    const float bad[4][9] = {{0, 0, 0, 0, 0, 0, 0, 0, 0},
                             {1, 2, 3, 2, 4, 6, -1, -2, -3},
                             {1, 0, 0, 0, 1, 0, 0, 0, -1},
                             {0.5f, 0, 0, 0, 0.5f, 0, 0, 0, -0.5f}};
    std::copy(&bad[0][0], &bad[0][0] + 36, F.begin());
    Array<float> f(b.device, F), d(b.device, std::vector<float>(F.size(), 1.f)),
        d_F(b.device, std::vector<float>(F.size(), 1.f));
    const mote_arena arena = b.arena();
    MOTE_ASSERT_OK(mote_neural_law_stress_backward(b.law, b.device.stream, &arena, &b.rows, f, 0, &b.room,
                                                   nullptr, d, d_F));
    MOTE_ASSERT_OK(mote_neural_law_flow_backward(b.law, b.device.stream, &arena, &b.rows, 0, nullptr, f, 0,
                                                 &b.room, nullptr, d_F, nullptr));
    for (float x : d_F.host()) EXPECT_TRUE(std::isfinite(x));
    for (float x : b.gradients()) EXPECT_TRUE(std::isfinite(x));
  }
}
