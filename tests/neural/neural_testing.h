/* What the tests of neural laws share: rows of deformations, and a law on a device with its gradients. */
#ifndef MOTE_TESTS_NEURAL_TESTING_H
#define MOTE_TESTS_NEURAL_TESTING_H

#include "host/models/neural_law.h"
#include "host/train/weights.h"
#include "tests/support/neural64.h"
#include "tests/support/testing.h"

namespace mote_test {
namespace neural {

using namespace mote_test::neural64;

/* F near a rotation, with det F > 0. */
inline std::vector<float> deformations(int d, int n, double strain) {
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

inline Vector row(const std::vector<float> &rows, int i, int width) {
  return Vector(rows.begin() + i * width, rows.begin() + (i + 1) * width);
}

/* Row by row. */
inline std::vector<float> products(int d, const std::vector<float> &left, const std::vector<float> &right) {
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
inline std::ostream &operator<<(std::ostream &out, const Case &c) {
  return out << c.dim << "-D, " << c.hidden << " x " << c.width << (c.some ? ", one of two materials" : "")
             << (c.invariants ? ", invariants" : "");
}
const Case cases[] = {{3, 64, 2, false, false}, {2, 20, 1, false, false}, {3, 24, 3, true, false},
                      {3, 32, 2, false, true},  {2, 20, 1, false, true},  {3, 24, 2, true, true}};
constexpr int count = 37; /* no multiple of any group */

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

} // namespace neural
} // namespace mote_test

#endif
