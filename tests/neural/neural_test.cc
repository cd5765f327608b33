/* Neural laws against their definition in float64, written plainly: polar decomposition by Newton's
   iteration, singular values from an eigenproblem, layers as sums. Gradients are compared with central
   differences of that definition (step 1e-6: errors of 1e-9 of the value), those of the weights as well.

   Tolerances: values 1e-4 of the largest entry of a particle, what the engine promises; gradients 3e-4 of the
   root mean square: a few hundred roundings of float32 through three layers. */
#include <fstream>

#include "host/io/safetensors.h"
#include "host/models/neural_law.h"
#include "host/train/weights.h"
#include "tests/support/neural64.h"
#include "tests/support/oracle.h"
#include "tests/support/testing.h"

using mote_test::Array;
using mote_test::Device;
using mote_test::read;
using mote_test::TemporaryFolder;
using mote_test::Vector;
using mote_test::worst;
using namespace mote_test::neural64;

namespace {

/* F near a rotation, with det F > 0. */
std::vector<float> deformations(int d, int n, double strain) {
  std::vector<float> rows;
  for (int i = 0; i < n; i++) {
    auto wild = mote_test::noise(d * d, 100 + uint64_t(i)),
         small = mote_test::noise(d * d, 500 + uint64_t(i));
    Vector turn(wild.begin(), wild.end()), stretch(size_t(d * d));
    if (determinant(d, turn) < 0)
      for (int k = 0; k < d; k++) turn[k] = -turn[k];
    for (int k = 0; k < d * d; k++) stretch[k] = (k % (d + 1) == 0) + strain * small[k];
    for (double x : times(d, polar(d, turn), stretch)) rows.push_back(float(x));
  }
  return rows;
}

Vector row(const std::vector<float> &rows, int i, int width) {
  return Vector(rows.begin() + i * width, rows.begin() + (i + 1) * width);
}

/* Row by row. */
std::vector<float> products(int d, const std::vector<float> &left, const std::vector<float> &right) {
  const int square = d * d;
  std::vector<float> rows;
  for (int i = 0; i < int(left.size()) / square; i++)
    for (double x : times(d, row(left, i, square), row(right, i, square))) rows.push_back(float(x));
  return rows;
}

struct Case {
  int dim, width, hidden;
  bool some; /* other materials between */
  bool invariants;
};
std::ostream &operator<<(std::ostream &out, const Case &c) {
  return out << c.dim << "-D, " << c.hidden << " x " << c.width << (c.some ? ", one of two materials" : "")
             << (c.invariants ? ", invariants" : "");
}
const Case cases[] = {{3, 64, 2, false, false}, {2, 20, 1, false, false}, {3, 24, 3, true, false},
                      {3, 32, 2, false, true},  {2, 20, 1, false, true},  {3, 24, 2, true, true}};
const int count = 37; /* no multiple of any group */

/* A law on a device with its gradients' arena, and rows of deformations. */
class Bench {
public:
  Bench(const std::string &name, const Case &c, int threads = 0, int n = count)
      : device(name, threads), dim(c.dim), F(deformations(c.dim, n, 0.2)) {
    const mote_neural_config config = {
        c.dim, c.width, c.hidden, 1000, 0.05f, c.dim == 2 || c.invariants ? 0.25f : 1, c.invariants};
    MOTE_EXPECT_OK(mote_neural_law_create(device.device, &config, 3, &law));
    MOTE_EXPECT_OK(mote_neural_law_create(device.device, &config, 3, &twin));
    MOTE_EXPECT_OK(mote_trained_weights_of(law->stream, &law->parameters, &twin->parameters, &weights));
    MOTE_EXPECT_OK(mote_stream_synchronize(law->stream));
    for (int i = 0; i < n; i++) material.push_back(c.some ? i % 3 : 2);
    labels.reset(new Array<int32_t>(device, material));
    gradient.reset(new Array<float>(device, std::vector<float>(size_t(weights.slots), 0.f)));
    rows = {c.dim, n, c.some ? labels->data() : nullptr, 1, 2, 0};
  }
  ~Bench() {
    mote_neural_room_free(&room);
    mote_trained_weights_free(&weights);
    mote_neural_law_destroy(law);
    mote_neural_law_destroy(twin);
  }
  bool counts(int i) const { return !rows.material || material[size_t(i)] == 2; }
  mote_arena arena() { return mote_trained_weights_arena(&weights, gradient->data()); }
  /* The stress of deformations, and what becomes of them. */
  void answer(const std::vector<float> &deformed, std::vector<float> *stress, std::vector<float> *flowed) {
    const int square = dim * dim;
    Array<float> f(device, deformed), t(device, std::vector<float>(deformed.size(), 0.f));
    MOTE_EXPECT_OK(mote_neural_law_stress(law, device.stream, &rows, f, square, &room, nullptr, t));
    MOTE_EXPECT_OK(mote_neural_law_flow(law, device.stream, &rows, f, square, &room, nullptr));
    *stress = t.host();
    *flowed = f.host();
  }
  /* In the order of the parameters. */
  std::vector<float> gradients() {
    float *part[] = {gradient->data()};
    MOTE_EXPECT_OK(mote_trained_weights_gather(&weights, 1, part, nullptr));
    std::vector<float> all(size_t(weights.floats));
    MOTE_EXPECT_OK(
        mote_download(device.stream, all.data(), weights.gradient.data, all.size() * sizeof(float)));
    return all;
  }

  Device device;
  int dim;
  std::vector<float> F;
  std::vector<int32_t> material;
  mote_neural_law *law = nullptr, *twin = nullptr;
  mote_trained_weights weights = {};
  mote_neural_room room = {};
  mote_neural_rows rows;
  std::unique_ptr<Array<int32_t>> labels;
  std::unique_ptr<Array<float>> gradient;
};

class NeuralTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(NeuralTest);

} // namespace

TEST_P(NeuralTest, ValuesAreThoseOfTheDefinition) {
  for (const Case &c : cases) {
    SCOPED_TRACE(testing::PrintToString(c));
    Bench b(GetParam(), c);
    const int square = c.dim * c.dim;
    Array<float> F(b.device, b.F), tau(b.device, std::vector<float>(size_t(count * square), -7.f));
    MOTE_ASSERT_OK(mote_neural_law_stress(b.law, b.device.stream, &b.rows, F, square, &b.room, nullptr, tau));
    MOTE_ASSERT_OK(mote_neural_law_flow(b.law, b.device.stream, &b.rows, F, square, &b.room, nullptr));
    const std::vector<float> stress = tau.host(), returned = F.host();
    const Law64 law(b.law);
    std::vector<float> found, flowed;
    Vector expected, changed;
    for (int i = 0; i < count; i++)
      for (int k = 0; k < square; k++) {
        const size_t at = size_t(i * square + k);
        if (!b.counts(i)) {
          EXPECT_EQ(stress[at], -7);
          EXPECT_EQ(returned[at], b.F[at]);
          continue;
        }
        found.push_back(stress[at]);
        flowed.push_back(returned[at] - b.F[at]);
        expected.push_back(law.stress(row(b.F, i, square))[size_t(k)]);
        changed.push_back(law.flow(row(b.F, i, square))[size_t(k)] - double(b.F[at]));
      }
    EXPECT_LT(mote_test::worst_error(found, expected), 1e-4);
    EXPECT_LT(mote_test::worst_error(flowed, changed), 1e-3); /* a difference of numbers near 1 */
  }
}

TEST_P(NeuralTest, RestHasNoStressAndStaysAsItIs) {
  for (const Case &c : cases) {
    Bench b(GetParam(), c);
    const int square = c.dim * c.dim;
    std::vector<float> rest;
    for (int i = 0; i < count * square; i++) rest.push_back(i % square % (c.dim + 1) == 0);
    Array<float> F(b.device, rest), tau(b.device, std::vector<float>(rest.size(), 0.f));
    MOTE_ASSERT_OK(mote_neural_law_stress(b.law, b.device.stream, &b.rows, F, square, &b.room, nullptr, tau));
    MOTE_ASSERT_OK(mote_neural_law_flow(b.law, b.device.stream, &b.rows, F, square, &b.room, nullptr));
    for (float x : tau.host()) EXPECT_EQ(x, 0);
    EXPECT_EQ(F.host(), rest);
  }
}

/* tau(Q F) = Q tau(F) Q^T and the flow of Q F is Q times that of F, within 1e-5 of the largest. */
TEST_P(NeuralTest, TurnsWithTheWorld) {
  for (const Case &c : cases) {
    Bench b(GetParam(), c);
    const int d = c.dim, square = d * d;
    const std::vector<float> turns = deformations(d, count, 0);
    const std::vector<float> turned = products(d, turns, b.F);
    std::vector<float> tau[2], F[2];
    for (int k = 0; k < 2; k++) b.answer(k ? turned : b.F, &tau[k], &F[k]);
    double largest = 0, worst = 0, drift = 0;
    for (float x : tau[0]) largest = std::max(largest, std::fabs(double(x)));
    for (int i = 0; i < count; i++) {
      const Vector Q = row(turns, i, square),
                   t = times(d, times(d, Q, row(tau[0], i, square)), Q, false, true),
                   f = times(d, Q, row(F[0], i, square));
      for (int k = 0; k < square; k++) {
        worst = std::max(worst, std::fabs(t[size_t(k)] - double(tau[1][size_t(i * square + k)])));
        drift = std::max(drift, std::fabs(f[size_t(k)] - double(F[1][size_t(i * square + k)])));
      }
    }
    EXPECT_GT(largest, 1);
    EXPECT_LT(worst / largest, 1e-5);
    EXPECT_LT(drift, 1e-5);
  }
}

/* Of the form of invariants, tau(F Q) = tau(F) and the flow of F Q is that of F times Q. */
TEST_P(NeuralTest, InvariantsDoNotKnowHowMatterWasTurned) {
  for (const Case &c : cases) {
    if (!c.invariants) continue;
    Bench b(GetParam(), c);
    const int d = c.dim, square = d * d;
    const std::vector<float> turns = deformations(d, count, 0);
    const std::vector<float> turned = products(d, b.F, turns);
    std::vector<float> tau[2], F[2];
    for (int k = 0; k < 2; k++) b.answer(k ? turned : b.F, &tau[k], &F[k]);
    double largest = 0, worst = 0, drift = 0;
    for (int i = 0; i < count; i++) {
      const Vector f = times(d, row(F[0], i, square), row(turns, i, square));
      for (int k = 0; k < square; k++) {
        const size_t at = size_t(i * square + k);
        largest = std::max(largest, std::fabs(double(tau[0][at])));
        worst = std::max(worst, std::fabs(double(tau[0][at]) - double(tau[1][at])));
        drift = std::max(drift, std::fabs(f[size_t(k)] - double(F[1][at])));
      }
    }
    EXPECT_GT(largest, 1);
    EXPECT_LT(worst / largest, 2e-5); /* the two strains differ by their roundings, 1e-7 of 1, over 0.25 */
    EXPECT_LT(drift, 1e-5);
  }
}

/* The gradients of sum(a : tau(F)) and sum(a : flow(F)) by F and by the weights. */
TEST_P(NeuralTest, GradientsAreThoseOfDifferences) {
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
TEST_P(NeuralTest, GradientsOfADeformedFlowFollowTheChainRule) {
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
Part part_of(Bench &b, const std::vector<float> &a, int first, int n) {
  const size_t square = size_t(b.dim * b.dim), from = size_t(first) * square, to = from + size_t(n) * square;
  const std::vector<float> own(b.F.begin() + long(from), b.F.begin() + long(to)),
      d(a.begin() + long(from), a.begin() + long(to)), zeros(own.size(), 0.f);
  Array<float> F(b.device, own), moved(b.device, own), d_tau(b.device, d), d_F(b.device, zeros),
      through(b.device, d), C(b.device, d), d_C(b.device, d), tau(b.device, zeros),
      none(b.device, std::vector<float>(size_t(b.weights.slots)));
  mote_neural_rows rows = b.rows;
  rows.n = n;
  if (rows.material) rows.material += first;
  const mote_arena arena = b.arena();
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
  return {tau.host(), moved.host(), d_F.host(), through.host(), d_C.host(), b.gradients()};
}

/* Rows of many tiles and chunks, on one thread and on three, against calls of a few rows each: a row's values
   are the same bits, the weights' gradients the same sum. Some tiles have no row that counts; some networks
   are so wide that a tile has few rows. */
TEST_P(NeuralTest, ManyRowsAreAsFew) {
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
TEST_P(NeuralTest, DegenerateDeformationsHaveFiniteGradients) {
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

TEST_P(NeuralTest, OracleAgrees) {
  MOTE_REQUIRE_SHARED(path, "oracles/constitutive.h5");
  TemporaryFolder folder;
  Device device{GetParam()};
  std::vector<std::vector<float>> values;
  std::vector<std::string> names;
  std::vector<mote_tensor> tensors;
  const int64_t shapes[3][2] = {{64, 13}, {64, 64}, {9, 64}};
  for (std::string law : {"elasticity", "plasticity"})
    for (int l = 0; l < 3; l++) {
      const std::vector<double> w = read(path, "neural/" + law + "/W" + std::to_string(l));
      values.emplace_back(w.begin(), w.end());
      names.push_back(law + ".layers." + std::to_string(l) + ".weight");
    }
  for (size_t k = 0; k < names.size(); k++)
    tensors.push_back(
        {names[k].c_str(), MOTE_F32, 2, {shapes[k % 3][0], shapes[k % 3][1]}, 0, values[k].data(), 0});
  MOTE_ASSERT_OK(
      mote_safetensors_write(folder.file("model.safetensors").c_str(), tensors.data(), 6, nullptr, 0));
  std::ofstream(folder.file("config.json"))
      << R"({"architectures": ["NeuralConstitutiveLaw"], "plasticity_scale": 0.001})";
  mote_neural_law *law;
  MOTE_ASSERT_OK(mote_neural_law_open(device.device, folder.path.c_str(), &law));
  const std::vector<double> reference = read(path, "F");
  const std::vector<float> rows(reference.begin(), reference.end());
  const mote_neural_rows all = {3, int64_t(rows.size() / 9), nullptr, 0, 0, 0};
  mote_neural_room room = {};
  Array<float> F(device, rows), tau(device, rows.size());
  MOTE_ASSERT_OK(mote_neural_law_stress(law, device.stream, &all, F, 9, &room, nullptr, tau));
  EXPECT_LT(worst(tau.host(), read(path, "neural/elasticity/kirchhoff_stress")), 1e-4);
  MOTE_ASSERT_OK(mote_neural_law_flow(law, device.stream, &all, F, 9, &room, nullptr));
  EXPECT_LT(worst(F.host(), read(path, "neural/plasticity/returned_F")), 1e-4);
  mote_neural_room_free(&room);
  mote_neural_law_destroy(law);
}
