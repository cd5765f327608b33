/* Kin: weights against float64, exact for linear functions up to their ridge; forward against float64; the
   backward kernels as the adjoint of the forward ones. */
#include <mote/nearest.h>
#include <mote/random.h>

#include "kernels/kin/kin.h"
#include "tests/support/testing.h"

using mote_test::Array;
using mote_test::Device;

namespace {

std::vector<float> cloud(int64_t n, int dim, uint64_t stream) {
  std::vector<float> x(n * dim);
  for (int64_t i = 0; i < n * dim; i++) x[i] = mote_random_uniform(4, stream, i, 0);
  return x;
}

std::vector<float> noise(int64_t n, uint64_t stream) {
  std::vector<float> x(n);
  for (int64_t i = 0; i < n; i++) x[i] = mote_random_normal(4, stream, i, 0);
  return x;
}

double dot(const std::vector<float> &a, const std::vector<float> &b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); i++) sum += double(a[i]) * b[i];
  return sum;
}

const int64_t n = 500, m = 60;

/* Points, sparse particles, and the kin of the former among the latter. */
struct Family {
  std::vector<float> point, sparse, weight;
  std::vector<int32_t> index;
  float spacing;
  Family(Device &device, int dim, int64_t sparse_count = m)
      : point(cloud(n, dim, 1)), sparse(cloud(sparse_count, dim, 2)),
        spacing(std::pow(1.0 / sparse_count, 1.0 / dim)) {
    for (int a = 0; a < dim; a++) point[a] = sparse[a]; /* one point is a sparse particle */
    std::vector<int32_t> nearest(n * MOTE_KIN);
    EXPECT_EQ(MOTE_OK, mote_nearest(device.device, sparse.data(), sparse_count, point.data(), n, dim,
                                    MOTE_KIN, nearest.data(), nullptr));
    Array<int32_t> nearests(device, nearest), indices(device, n * MOTE_KIN);
    Array<float> points(device, point), sparses(device, sparse), weights(device, n * MOTE_KIN);
    EXPECT_EQ(MOTE_OK,
              device->kin->weigh(device.stream, dim, n, nearests, points, sparses, spacing, indices, weights))
        << mote_last_error();
    index = indices.host();
    weight = weights.host();
  }
};

} // namespace

class KinTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(KinTest);

/* Sums to 1, and the mean offset of the kin, which plain inverse distances leave at random, is shrunk by the
   regression: less than half of its square is left. */
TEST_P(KinTest, WeightsReproduceConstantsAndNearlyLinearFunctions) {
  for (int dim : {2, 3}) {
    Device device(GetParam());
    Family f(device, dim);
    double offset = 0, plain = 0;
    for (int64_t p = 0; p < n; p++) {
      double sum = 0, total = 0, mean[3] = {0}, bare[3] = {0};
      for (int k = 0; k < MOTE_KIN; k++) {
        double d2 = 0, w = f.weight[k * n + p];
        const float *y = &f.sparse[f.index[k * n + p] * dim];
        for (int a = 0; a < dim; a++) d2 += std::pow((y[a] - f.point[p * dim + a]) / f.spacing, 2);
        double inverse = 1 / std::pow(std::sqrt(d2) + 0.02, 2);
        sum += w;
        total += inverse;
        for (int a = 0; a < dim; a++) {
          mean[a] += w * (y[a] - f.point[p * dim + a]);
          bare[a] += inverse * (y[a] - f.point[p * dim + a]);
        }
      }
      ASSERT_NEAR(1, sum, 1e-5) << p;
      for (int a = 0; a < dim; a++) {
        offset += mean[a] * mean[a];
        plain += bare[a] * bare[a] / (total * total);
      }
    }
    EXPECT_LT(offset, 0.5 * plain) << dim;
    EXPECT_GT(f.weight[0], 0.98); /* the point that is a sparse particle is its own nearest kin */
  }
}

TEST_P(KinTest, FewerSparseParticlesThanKin) {
  Device device(GetParam());
  Family f(device, 3, 2);
  for (int64_t p = 0; p < n; p++) {
    ASSERT_NEAR(1, f.weight[p] + f.weight[n + p], 1e-5);
    for (int k = 2; k < MOTE_KIN; k++) ASSERT_EQ(0, f.weight[k * n + p]);
  }
}

TEST_P(KinTest, ForwardMatchesFloat64AndStaysInside) {
  for (int dim : {2, 3}) {
    Device device(GetParam());
    Family f(device, dim);
    const float gain = 0.3f;
    std::vector<float> next = cloud(m, dim, 3), tracer = cloud(m, dim, 4), position = cloud(n, dim, 5);
    Array<float> nexts(device, next), tracers(device, tracer), positions(device, position);
    Array<float> drifts(device, m * dim), shown(device, n * dim), weights(device, f.weight);
    Array<int32_t> indices(device, f.index);
    mote_kin_bounds bounds = {{0.1f, 0.1f, 0.1f}, {0.9f, 0.9f, 0.9f}};
    MOTE_ASSERT_OK(device->kin->follow(device.stream, dim, m, nexts, gain, tracers, drifts));
    MOTE_ASSERT_OK(device->kin->recall(device.stream, dim, n, indices, weights, drifts, gain, &bounds,
                                       positions, shown));
    std::vector<float> after = tracers.host(), moved = positions.host(), seen = shown.host();
    for (int64_t i = 0; i < m * dim; i++)
      ASSERT_NEAR(tracer[i] + 0.3 * (double(next[i]) - tracer[i]), after[i], 1e-6);
    int clamped = 0;
    for (int64_t p = 0; p < n; p++)
      for (int a = 0; a < dim; a++) {
        double s = 0, x = position[p * dim + a];
        for (int k = 0; k < MOTE_KIN; k++) {
          int32_t i = f.index[k * n + p];
          s += f.weight[k * n + p] * (double(next[i * dim + a]) - tracer[i * dim + a]);
        }
        clamped += x + s < 0.1 || x + s > 0.9;
        ASSERT_NEAR(std::min(std::max(x + 0.3 * s, 0.1), 0.9), moved[p * dim + a], 2e-6);
        ASSERT_NEAR(std::min(std::max(x + s, 0.1), 0.9), seen[p * dim + a], 2e-6);
      }
    EXPECT_GT(clamped, 50);
  }
}

/* <F(x, t), (e, a, b)> = <(x, t), F^T(e, a, b)> for x the points and t the tracers before; e, a and b slopes
   along shown points, points and tracers. Sums of thousands of products in float32: 1e-5 of their size. */
TEST_P(KinTest, BackwardIsTheAdjoint) {
  for (int dim : {2, 3}) {
    Device device(GetParam());
    Family f(device, dim);
    const float gain = 0.2f, scale = 0.7f;
    std::vector<int32_t> start(m + 1, 0), entry;
    for (int32_t i = 0; i < m; i++) {
      for (int32_t k = 0; k < n * MOTE_KIN; k++)
        if (f.index[k] == i) entry.push_back(k);
      start[i + 1] = int32_t(entry.size());
    }
    std::vector<float> x = noise(n * dim, 11), t = noise(m * dim, 12), e = noise(n * dim, 13);
    std::vector<float> a = noise(n * dim, 14), b = noise(m * dim, 15);
    Array<float> zero(device, std::vector<float>(m * dim, 0.f)), tracers(device, t), points(device, x);
    Array<float> drifts(device, m * dim), shown(device, n * dim), weights(device, f.weight);
    Array<float> errors(device, e), slopes(device, a), part(device, n * dim), tracer_slopes(device, b);
    Array<int32_t> indices(device, f.index), starts(device, start), entries(device, entry);
    mote_kin_bounds open = {{-1e9f, -1e9f, -1e9f}, {1e9f, 1e9f, 1e9f}};
    const mote_kin_kernels *k = device->kin;
    MOTE_ASSERT_OK(k->follow(device.stream, dim, m, zero, gain, tracers, drifts));
    MOTE_ASSERT_OK(k->recall(device.stream, dim, n, indices, weights, drifts, gain, &open, points, shown));
    MOTE_ASSERT_OK(k->recall_backward(device.stream, n * dim, errors, scale, gain, slopes, part));
    MOTE_ASSERT_OK(
        k->follow_backward(device.stream, dim, n, m, starts, entries, weights, part, gain, tracer_slopes));
    double left = scale * dot(shown.host(), e) + dot(points.host(), a) + dot(tracers.host(), b);
    double right = scale * dot(x, e) + dot(x, a) + dot(t, tracer_slopes.host());
    double size = std::sqrt(dot(x, x) * (dot(a, a) + dot(e, e))) + std::sqrt(dot(t, t) * dot(b, b));
    EXPECT_NEAR(left, right, 1e-5 * size) << dim;
    EXPECT_GT(std::fabs(dot(t, tracer_slopes.host()) - dot(t, b)), 1e-3 * size);
  }
}
