/* The reduced-order operator: affine motion is exact, all devices agree, bits repeat, nothing is allocated in
   the steady state, and points on their own fly. */
#include <mote/operator.h>
#include <mote/random.h>

#include "host/models/reconstruction.h"
#include "kernels/array/array.h"
#include "tests/support/testing.h"

using mote_test::Device;

namespace {

/* `n` points uniform in a box of side 0.4 about the middle of the unit cube. */
std::vector<float> cloud(int64_t n, int dim, uint64_t stream) {
  std::vector<float> x(n * dim);
  for (int64_t i = 0; i < n; i++)
    for (int a = 0; a < dim; a++) x[i * dim + a] = 0.3f + 0.4f * mote_random_uniform(11, stream, i, a);
  return x;
}

struct Affine {
  double matrix[9], shift[3];
  explicit Affine(double size) {
    for (int k = 0; k < 9; k++) matrix[k] = (k % 4 == 0) + size * (mote_random_uniform_f64(3, 1, k, 0) - 0.5);
    for (int k = 0; k < 3; k++) shift[k] = 0.05 * (mote_random_uniform_f64(3, 2, k, 0) - 0.5);
  }
  std::vector<float> operator()(const std::vector<float> &x, int dim) const {
    std::vector<float> y(x.size());
    for (size_t i = 0; i < x.size() / dim; i++)
      for (int a = 0; a < dim; a++) {
        double sum = 0.5 + shift[a];
        for (int b = 0; b < dim; b++) sum += matrix[3 * a + b] * (x[i * dim + b] - 0.5);
        y[i * dim + a] = float(sum);
      }
    return y;
  }
};

mote_reconstruction_options options_for(const std::vector<float> &sparse, const std::vector<float> &dense,
                                        int dim) {
  mote_reconstruction_options o = {};
  o.dim = dim;
  o.sparse_count = int64_t(sparse.size()) / dim;
  o.dense_count = int64_t(dense.size()) / dim;
  o.sparse = sparse.data();
  o.dense = dense.data();
  o.dense_spacing = std::pow(std::pow(0.4, dim) / double(o.dense_count), 1.0 / dim);
  for (int a = 0; a < dim; a++) o.bounds[a][0] = -0.5, o.bounds[a][1] = 1.5;
  return o;
}

/* A swirl with shear: not affine, smooth. */
std::vector<float> swirl(const std::vector<float> &x, int dim, float t) {
  std::vector<float> y = x;
  for (size_t i = 0; i < x.size() / dim; i++) {
    float a = x[i * dim] - 0.5f, b = x[i * dim + 1] - 0.5f;
    y[i * dim] += t * (-b + 0.3f * std::sin(9 * b));
    y[i * dim + 1] += t * (a + 0.3f * std::sin(9 * a));
  }
  return y;
}

std::vector<float> run(const std::string &name, int threads, int dim, int frames,
                       mote_frame_of_reference frame) {
  Device device(name, threads);
  std::vector<float> sparse = cloud(300, dim, 1), dense = cloud(3000, dim, 2), result(dense.size());
  mote_operator_settings settings;
  mote_operator_defaults(&settings);
  settings.frame = frame;
  mote_reconstruction_options o = options_for(sparse, dense, dim);
  mote_reconstruction *r = nullptr;
  EXPECT_EQ(MOTE_OK, mote_reconstruction_create(device.device, &settings, &o, &r)) << mote_last_error();
  if (!r) return result;
  size_t allocations = 0;
  for (int k = 0; k < frames; k++) {
    sparse = swirl(sparse, dim, 0.02f);
    EXPECT_EQ(MOTE_OK, mote_reconstruction_advance(r, sparse.data())) << mote_last_error();
    if (k == 1) allocations = mote_device_memory_use(device.device).allocations;
  }
  if (frames > 2) {
    EXPECT_EQ(allocations, mote_device_memory_use(device.device).allocations);
  }
  EXPECT_EQ(MOTE_OK, mote_reconstruction_read(r, result.data(), nullptr)) << mote_last_error();
  mote_reconstruction_destroy(r);
  return result;
}

} // namespace

class ReconstructTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(ReconstructTest);

/* float32 positions of size 1 and a chain of float32 fits: 2e-6 of the cloud's size is a few roundings. */
TEST_P(ReconstructTest, AffineMotionIsExact) {
  for (int dim : {2, 3})
    for (auto frame : {MOTE_CURRENT_FRAME, MOTE_REFERENCE_FRAME}) {
      Device device(GetParam());
      std::vector<float> sparse = cloud(200, dim, 1), dense = cloud(2000, dim, 2);
      mote_operator_settings settings;
      mote_operator_defaults(&settings);
      settings.frame = frame;
      settings.flight_reach = 0;
      mote_reconstruction_options o = options_for(sparse, dense, dim);
      mote_reconstruction *r = nullptr;
      MOTE_ASSERT_OK(mote_reconstruction_create(device.device, &settings, &o, &r));
      std::vector<float> expected = dense, result(dense.size());
      for (double size : {0.2, -0.3, 0.1}) {
        Affine map(size);
        sparse = map(sparse, dim);
        expected = map(expected, dim);
        MOTE_ASSERT_OK(mote_reconstruction_advance(r, sparse.data()));
      }
      MOTE_ASSERT_OK(mote_reconstruction_read(r, result.data(), nullptr));
      for (size_t i = 0; i < result.size(); i++)
        ASSERT_NEAR(expected[i], result[i], 2e-6) << dim << "-D entry " << i;
      mote_reconstruction_destroy(r);
    }
}

/* The same arithmetic in another order of sums: float32 rounding grows over six frames to far below 1e-5. */
TEST_P(ReconstructTest, DevicesAgreeOnANonAffineMotion) {
  for (int dim : {2, 3})
    for (auto frame : {MOTE_CURRENT_FRAME, MOTE_REFERENCE_FRAME})
      EXPECT_LT(mote_test::relative_l2(run(GetParam(), 0, dim, 6, frame), run("cpu", 0, dim, 6, frame)),
                1e-5);
}

TEST_P(ReconstructTest, BitsRepeat) {
  std::vector<float> first = run(GetParam(), 1, 3, 4, MOTE_CURRENT_FRAME);
  EXPECT_EQ(first, run(GetParam(), 2, 3, 4, MOTE_CURRENT_FRAME));
}

/* A smooth motion of wavelength 0.7 seen by particles 0.06 apart: a percent of the motion is a loose bound
   that a wrong moment, a swapped axis or a missing level misses by far. */
TEST_P(ReconstructTest, SmoothMotionIsFollowed) {
  for (int dim : {2, 3}) {
    std::vector<float> dense = cloud(3000, dim, 2), expected = dense;
    for (int k = 0; k < 6; k++) expected = swirl(expected, dim, 0.02f);
    std::vector<float> result = run(GetParam(), 0, dim, 6, MOTE_CURRENT_FRAME);
    double error = 0, motion = 0;
    for (size_t i = 0; i < result.size(); i++) {
      error += std::pow(result[i] - expected[i], 2);
      motion += std::pow(dense[i] - expected[i], 2);
    }
    EXPECT_LT(std::sqrt(error / motion), 0.05) << dim << "-D";
  }
}

/* A motion with more detail than the fit resolves, the same in every frame, so that what the fit misses adds
   up; dense points are the sparse ones, whose truth is known. Without the tracers the error grows with the
   frames, with them it stays near what one frame misses: less than half is a loose bound. */
TEST_P(ReconstructTest, DriftIsMadeGood) {
  double error[2];
  for (int follow : {0, 1}) {
    Device device(GetParam());
    std::vector<float> sparse = cloud(300, 3, 1), result(sparse.size());
    mote_operator_settings settings;
    mote_operator_defaults(&settings);
    settings.kin_gain = 0;
    if (!follow) settings.drift_gain = 0;
    mote_reconstruction_options o = options_for(sparse, sparse, 3);
    mote_reconstruction *r = nullptr;
    MOTE_ASSERT_OK(mote_reconstruction_create(device.device, &settings, &o, &r));
    for (int k = 0; k < 30; k++) {
      for (size_t i = 0; i < sparse.size(); i += 3) sparse[i] += 0.002f * std::sin(30 * sparse[i + 1]);
      MOTE_ASSERT_OK(mote_reconstruction_advance(r, sparse.data()));
    }
    MOTE_ASSERT_OK(mote_reconstruction_read(r, result.data(), nullptr));
    error[follow] = mote_test::relative_l2(result, sparse);
    mote_reconstruction_destroy(r);
  }
  EXPECT_LT(error[1], 0.5 * error[0]);
  EXPECT_GT(error[0], 1e-3);
}

/* Two bodies that pass through each other: where they are mixed the fits find nothing but their mean motion;
   a point's kin tell with which it goes. Less than half the error is a loose bound. */
TEST_P(ReconstructTest, KinKnowWhichBodyAPointBelongsTo) {
  double error[2];
  for (int kin : {0, 1}) {
    Device device(GetParam());
    std::vector<float> sparse = cloud(300, 3, 1), dense = cloud(2000, 3, 2), truth = dense, result = dense;
    mote_operator_settings settings;
    mote_operator_defaults(&settings);
    if (!kin) settings.kin_gain = 0;
    mote_reconstruction_options o = options_for(sparse, dense, 3);
    mote_reconstruction *r = nullptr;
    std::vector<float> slide(sparse.size() / 3), dense_slide(dense.size() / 3);
    auto direction = [](float x) { return x < 0.5f ? 1.f : -1.f; };
    for (size_t i = 0; i < slide.size(); i++) slide[i] = direction(sparse[3 * i]);
    for (size_t i = 0; i < dense_slide.size(); i++) dense_slide[i] = direction(dense[3 * i]);
    MOTE_ASSERT_OK(mote_reconstruction_create(device.device, &settings, &o, &r));
    for (int k = 0; k < 20; k++) {
      for (size_t i = 0; i < slide.size(); i++) sparse[3 * i] += 0.008f * slide[i];
      for (size_t i = 0; i < dense_slide.size(); i++) truth[3 * i] += 0.008f * dense_slide[i];
      MOTE_ASSERT_OK(mote_reconstruction_advance(r, sparse.data()));
    }
    MOTE_ASSERT_OK(mote_reconstruction_read(r, result.data(), nullptr));
    error[kin] = mote_test::relative_l2(result, truth);
    mote_reconstruction_destroy(r);
  }
  EXPECT_LT(error[1], 0.5 * error[0]);
  EXPECT_GT(error[0], 1e-3);
}

/* One dense point far from all sparse particles falls freely; the others follow the sparse ones, which stay.
 */
TEST_P(ReconstructTest, APointOnItsOwnFliesAndStaysInside) {
  Device device(GetParam());
  std::vector<float> sparse = cloud(200, 3, 1), dense = cloud(500, 3, 2);
  dense[0] = dense[1] = dense[2] = 1.4f;
  mote_operator_settings settings;
  mote_operator_defaults(&settings);
  mote_reconstruction_options o = options_for(sparse, dense, 3);
  o.gravity[1] = -0.125;
  mote_reconstruction *r = nullptr;
  MOTE_ASSERT_OK(mote_reconstruction_create(device.device, &settings, &o, &r));
  std::vector<float> result(dense.size()), reach(500);
  for (int k = 0; k < 3; k++) MOTE_ASSERT_OK(mote_reconstruction_advance(r, sparse.data()));
  MOTE_ASSERT_OK(mote_reconstruction_read(r, result.data(), reach.data()));
  EXPECT_NEAR(result[1], 1.4f - 0.125f - 0.25f, 1e-5); /* at rest in the first frame, then two of free fall */
  EXPECT_EQ(0.f, reach[0]);
  for (int i = 3; i < 1500; i++) EXPECT_NEAR(dense[i], result[i], 1e-6);
  for (int k = 0; k < 10; k++) MOTE_ASSERT_OK(mote_reconstruction_advance(r, sparse.data()));
  MOTE_ASSERT_OK(mote_reconstruction_read(r, result.data(), nullptr));
  EXPECT_EQ(-0.5f, result[1]); /* the floor */
  mote_reconstruction_destroy(r);
}

/* Where matter is known to stop before the bounds do, points stop there, and others are as they were; beyond
   the bounds the bounds count. */
TEST_P(ReconstructTest, PointsStopWhereMatterDoes) {
  Device device(GetParam());
  std::vector<float> sparse = cloud(200, 3, 1), dense = cloud(500, 3, 2), results[3];
  dense[0] = dense[1] = dense[2] = 1.4f;
  mote_operator_settings settings;
  mote_operator_defaults(&settings);
  const double lower[] = {0, -0.2, -0.9}; /* the first one: none is given */
  for (int k = 0; k < 3; k++) {
    mote_reconstruction_options o = options_for(sparse, dense, 3);
    o.gravity[1] = -0.125;
    if (k) o.stop[1][0] = lower[k], o.stop[1][1] = 1.8;
    mote_reconstruction *r = nullptr;
    MOTE_ASSERT_OK(mote_reconstruction_create(device.device, &settings, &o, &r));
    results[k].resize(dense.size());
    for (int frame = 0; frame < 13; frame++) {
      std::vector<float> next = swirl(sparse, 3, 0.02f * float(frame));
      MOTE_ASSERT_OK(mote_reconstruction_advance(r, next.data()));
    }
    MOTE_ASSERT_OK(mote_reconstruction_read(r, results[k].data(), nullptr));
    mote_reconstruction_destroy(r);
  }
  EXPECT_EQ(-0.5f, results[0][1]);
  EXPECT_EQ(-0.2f, results[1][1]);
  results[1][1] = -0.5f;
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

/* <L u, y> = <u, L^T y> for L from increments to the finest level's field, nothing coarser before it: a
   linear map. float32 moments: 1e-4 of the sum of sizes. */
TEST_P(ReconstructTest, BackwardOfTheFitIsItsAdjoint) {
  for (int dim : {2, 3}) {
    Device device(GetParam());
    const int n = 200;
    std::vector<float> x = cloud(n, dim, 1), u(n * dim);
    for (int k = 0; k < n * dim; k++) u[k] = mote_random_normal(3, 1, k, 0);
    mote_operator_settings settings;
    mote_operator_defaults(&settings);
    mote_reconstruction_options o = options_for(x, x, dim);
    mote_reconstruction *r = nullptr;
    MOTE_ASSERT_OK(mote_reconstruction_create(device.device, &settings, &o, &r));
    std::vector<float> next = x; /* at rest: the global fit is 0, and so are the fields but for u */
    MOTE_ASSERT_OK(mote_reconstruction_advance(r, next.data()));
    const mote_lattice *l = &r->lattice[0];
    const mote_global_fit *fit = (const mote_global_fit *)r->fit.data;
    int64_t nodes = mote_lattice_size(l);
    std::vector<float> slope(nodes * MOTE_AFFINE), zeros(nodes * MOTE_FIELD_STRIDE, 0.f);
    for (size_t k = 0; k < slope.size(); k++) slope[k] = mote_random_normal(3, 2, k, 0);
    for (size_t k = 0; dim == 2 && k < slope.size(); k++) /* nothing along z */
      if (k % MOTE_AFFINE == 2 || (k % MOTE_AFFINE > 2 && (k % MOTE_AFFINE % 3 == 2 || k % MOTE_AFFINE > 8)))
        slope[k] = 0;
    mote_test::Array<float> ys(device, slope), field(device, zeros), moment_slope(device, slope),
        back(device, n * dim), us(device, u);
    const auto *k = device->reconstruct;
    mote_packed packed = {(float *)r->rows.data, (int32_t *)r->bin_start.data, r->stride};
    MOTE_ASSERT_OK(k->arrange(r->stream, dim, n, (float *)r->sparse.data, us, &r->bins, r->key_bits,
                              (uint32_t *)r->keys.data, (int32_t *)r->order.data,
                              (int32_t *)r->bin_start.data, (float *)r->rows.data, r->stride, &r->scratch));
    float *moments = (float *)r->moments[0].data, ridge = mote_reconstruction_ridge(r, 0);
    MOTE_ASSERT_OK(k->splat(r->stream, l, &r->bins, &packed, fit, r->radius, moments));
    MOTE_ASSERT_OK(
        k->fit_nodes(r->stream, l, nullptr, fit, r->radius, 0, moments, nullptr, ridge, 1e-2f, field));
    MOTE_ASSERT_OK(mote_fill_bytes(r->stream, moment_slope, 0, nodes * MOTE_AFFINE * 4));
    MOTE_ASSERT_OK(k->fit_nodes_backward(r->stream, l, fit, r->radius, 0, moments, ys, ridge, 1e-2f,
                                         moment_slope, nullptr));
    MOTE_ASSERT_OK(
        k->splat_backward(r->stream, l, fit, r->radius, n, (float *)r->sparse.data, moment_slope, back));
    MOTE_ASSERT_OK(mote_stream_synchronize(r->stream));
    std::vector<float> f = field.host(), g = back.host();
    double left = 0, right = 0, size = 0;
    for (int64_t i = 0; i < nodes; i++)
      for (int j = 0; j < MOTE_AFFINE; j++) {
        int at = j < 3 ? j : 4 * ((j - 3) % 3 + 1) + (j - 3) / 3;
        left += double(f[i * MOTE_FIELD_STRIDE + at]) * slope[i * MOTE_AFFINE + j];
        size += std::fabs(double(f[i * MOTE_FIELD_STRIDE + at]) * slope[i * MOTE_AFFINE + j]);
      }
    for (int i = 0; i < n * dim; i++) right += double(u[i]) * g[i];
    EXPECT_NEAR(left, right, 1e-4 * size) << dim;
    EXPECT_GT(std::fabs(left), 1e-3 * size) << dim;
    mote_reconstruction_destroy(r);
  }
}

TEST_P(ReconstructTest, OneSparseParticleMovesAllAlike) {
  Device device(GetParam());
  std::vector<float> sparse = {0.5f, 0.5f, 0.5f}, dense = cloud(50, 3, 2), result(150);
  mote_operator_settings settings;
  mote_operator_defaults(&settings);
  mote_reconstruction_options o = options_for(sparse, dense, 3);
  mote_reconstruction *r = nullptr;
  MOTE_ASSERT_OK(mote_reconstruction_create(device.device, &settings, &o, &r));
  sparse[0] += 0.25f;
  MOTE_ASSERT_OK(mote_reconstruction_advance(r, sparse.data()));
  MOTE_ASSERT_OK(mote_reconstruction_read(r, result.data(), nullptr));
  for (int i = 0; i < 150; i++) EXPECT_NEAR(dense[i] + (i % 3 == 0 ? 0.25f : 0.f), result[i], 1e-6);
  mote_reconstruction_destroy(r);
}

TEST(ReconstructArguments, BadOnesAreRefusedByName) {
  Device device("cpu");
  std::vector<float> sparse = cloud(20, 3, 1), dense = cloud(50, 3, 2);
  mote_operator_settings good, settings;
  mote_operator_defaults(&good);
  mote_reconstruction_options o = options_for(sparse, dense, 3);
  mote_reconstruction *r = nullptr;
  settings = good;
  settings.levels = 0;
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_reconstruction_create(device.device, &settings, &o, &r));
  settings = good;
  settings.drift_gain = 2;
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_reconstruction_create(device.device, &settings, &o, &r));
  settings = good;
  settings.kin_gain = 1.5f;
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_reconstruction_create(device.device, &settings, &o, &r));
  settings = good;
  settings.radius = NAN;
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_reconstruction_create(device.device, &settings, &o, &r));
  o.dense_spacing = 1e-9;
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_reconstruction_create(device.device, &good, &o, &r));
  o = options_for(sparse, dense, 3);
  sparse[4] = NAN;
  EXPECT_EQ(MOTE_ERROR_NUMERIC, mote_reconstruction_create(device.device, &good, &o, &r));
  sparse[4] = 0.5f;
  MOTE_ASSERT_OK(mote_reconstruction_create(device.device, &good, &o, &r));
  sparse[4] = INFINITY;
  EXPECT_EQ(MOTE_ERROR_NUMERIC, mote_reconstruction_advance(r, sparse.data()));
  mote_reconstruction_destroy(r);
}
