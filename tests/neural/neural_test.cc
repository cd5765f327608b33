/* Neural laws against their definition in float64, written plainly: polar decomposition by Newton's
   iteration, singular values from an eigenproblem, layers as sums. Values are within 1e-4 of the largest
   entry of a particle, what the engine promises. */
#include <fstream>

#include "host/io/safetensors.h"
#include "tests/neural/neural_testing.h"
#include "tests/support/oracle.h"

using mote_test::Array;
using mote_test::Device;
using mote_test::read;
using mote_test::TemporaryFolder;
using mote_test::Vector;
using mote_test::worst;
using namespace mote_test::neural;

namespace {

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
