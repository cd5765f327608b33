/* Products of sparse matrices against the same as dense ones in float64; the propagation matrix by hand. */
#include "kernels/sparse/sparse.h"
#include "tests/support/network.h"

using mote_test::Array;
using mote_test::Device;
using mote_test::noise;

namespace {

/* Rows with 0 to `most` entries; a column may come twice. */
struct Matrix {
  int64_t rows, columns;
  std::vector<int32_t> offsets = {0}, column;
  std::vector<float> value;
  Matrix(int64_t rows, int64_t columns, int most, uint64_t stream) : rows(rows), columns(columns) {
    for (int64_t r = 0; r < rows; r++) {
      int count = int(mote_random_below(8, stream, r, most + 1));
      for (int k = 0; k < count; k++)
        column.push_back(int32_t(mote_random_below(8, stream + 1 + r, k, columns)));
      offsets.push_back(int32_t(column.size()));
    }
    value = noise(int64_t(column.size()), stream);
  }
};

struct Product {
  Matrix a;
  int width;
  float alpha, beta;
  bool known = true; /* the host knows the number of entries */
};

void check(Device &device, const Product &p, uint64_t stream) {
  std::vector<float> b = noise(p.a.columns * p.width, stream), c = noise(p.a.rows * p.width, stream + 1);
  const std::vector<float> before = c;
  if (p.beta == 0) std::fill(c.begin(), c.end(), NAN); /* must not be read */
  Array<int32_t> offsets(device, p.a.offsets), column(device, p.a.column);
  Array<float> value(device, p.a.value), bs(device, b), cs(device, c);
  mote_buffer scratch = {};
  const int64_t nonzeros = int64_t(p.a.column.size());
  MOTE_ASSERT_OK(device->sparse->multiply(device.stream, p.a.rows, p.a.columns, p.known ? nonzeros : -1,
                                          offsets, column, value, p.width, p.alpha, bs, p.beta, cs,
                                          &scratch));
  std::vector<float> found = cs.host();
  mote_buffer_free(&scratch);
  for (int64_t r = 0; r < p.a.rows; r++) {
    std::vector<double> dense(p.a.columns, 0), size(p.a.columns, 0);
    for (int32_t e = p.a.offsets[r]; e < p.a.offsets[r + 1]; e++) {
      dense[p.a.column[e]] += p.a.value[e];
      size[p.a.column[e]] += std::fabs(p.a.value[e]);
    }
    for (int k = 0; k < p.width; k++) {
      double sum = p.beta * double(before[r * p.width + k]), most = std::fabs(sum);
      for (int64_t j = 0; j < p.a.columns; j++) {
        sum += p.alpha * dense[j] * b[j * p.width + k];
        most += std::fabs(p.alpha * size[j] * b[j * p.width + k]);
      }
      /* Up to 40 terms: 6e-8 sqrt(40) of their sum, and two roundings more. */
      ASSERT_NEAR(sum, found[r * p.width + k], 6e-7 * most) << r << " " << k;
    }
  }
}

} // namespace

class SparseTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(SparseTest);

TEST_P(SparseTest, Products) {
  Device device(GetParam());
  uint64_t stream = 100;
  for (bool known : {true, false})
    for (int width : {1, 3, 16, 37, 128})
      for (float beta : {0.f, 1.f, -0.7f}) {
        SCOPED_TRACE(testing::Message() << width << " " << beta << " " << known);
        check(device, {Matrix(40, 30, 40, stream), width, beta == 1 ? 1.f : 0.7f, beta, known}, stream + 50);
        stream += 100;
      }
}

TEST_P(SparseTest, EmptyMatrices) {
  Device device(GetParam());
  for (bool known : {true, false})
    for (float beta : {0.f, 0.5f}) {
      check(device, {Matrix(20, 10, 0, 1), 5, 0.7f, beta, known}, 10);
      check(device, {Matrix(0, 10, 0, 1), 5, 0.7f, beta, known}, 10);
      check(device, {Matrix(1, 1, 1, 4), 1, 0.7f, beta, known}, 10);
    }
}

/* A path of nodes with self-loops, and one node alone: 1 / sqrt((1 + degree)(1 + degree)) by hand; what
   stands behind the entries is left. */
TEST_P(SparseTest, PropagationMatrix) {
  Device device(GetParam());
  const std::vector<int32_t> offsets = {0, 2, 5, 7, 8}, column = {0, 1, 0, 1, 2, 1, 2, 3, 99},
                             receiver = {0, 0, 1, 1, 1, 2, 2, 3, 99};
  const double mixed = 1 / std::sqrt(6.0);
  const std::vector<double> expected = {0.5, mixed, mixed, 1 / 3.0, mixed, mixed, 0.5, 1, -5};
  Array<int32_t> starts(device, offsets), from(device, column), to(device, receiver);
  Array<float> value(device, std::vector<float>(9, -5.f));
  MOTE_ASSERT_OK(device->sparse->normalize(device.stream, 4, 9, starts, from, to, value));
  std::vector<float> found = value.host();
  for (int e = 0; e < 9; e++) EXPECT_NEAR(expected[e], found[e], 1e-7) << e;
}

namespace {

struct Step {
  Matrix matrix;
  Array<int32_t> offsets, column;
  Array<float> value, b, c;
  mote_buffer scratch = {};
  int64_t nonzeros;
  Step(Device &device, bool known)
      : matrix(500, 400, 20, 3), offsets(device, matrix.offsets), column(device, matrix.column),
        value(device, matrix.value), b(device, noise(400 * 20, 1)), c(device, noise(500 * 20, 2)),
        nonzeros(known ? int64_t(matrix.column.size()) : -1) {}
  ~Step() { mote_buffer_free(&scratch); }
  mote_status run(mote_stream *stream) {
    return stream->device->sparse->multiply(stream, 500, 400, nonzeros, offsets, column, value, 20, 0.3f, b,
                                            0, c, &scratch);
  }
};

} // namespace

TEST_P(SparseTest, SameBitsWhateverTheThreads) {
  for (bool known : {false, true})
    mote_test::expect_reproducible(GetParam(), [known](Device &device) {
      Step step(device, known);
      MOTE_EXPECT_OK(step.run(device.stream));
      return step.c.host();
    });
}

TEST_P(SparseTest, CanBeReplayed) {
  Device device(GetParam());
  for (bool known : {false, true}) {
    Step step(device, known);
    mote_test::expect_replayable(
        device, [&](mote_stream *stream) { return step.run(stream); },
        [&] { MOTE_ASSERT_OK(mote_fill_bytes(device.stream, step.c, 0x7f, 500 * 20 * sizeof(float))); },
        [&] { return step.c.host(); });
  }
}
