/* The loss's slope by where the sparse particles are: the adjoint of all fits, and rollouts against finite
   differences. */
#include <mote/random.h>

#include "host/train/refit.h"
#include "tests/train/chain.h"

using mote_test::Chain;
using mote_test::Device;

namespace {

class SlopeTest : public ::testing::Test {
protected:
  void SetUp() override { mote_test::record(folder.file("water.h5"), "newtonian", -0.4f); }
  mote_test::TemporaryFolder folder;
};

/* Moves the sparse particles of the frames from `first` on and back: the slope's answer, and the loss on both
   sides. Each by itself in each frame, or (`wave`) together, more from frame to frame, as a time-stepper's
   errors do. */
struct Moved {
  double slope = 0, loss[2];
  Moved(Chain &chain, const std::vector<float> &slopes, int64_t first, uint64_t stream, float size,
        bool wave = false) {
    mote_example &e = chain.example;
    int64_t frame = e.sparse_count * 3, count = e.frames * frame;
    std::vector<float> keep(e.sparse, e.sparse + count), move(count, 0.f);
    for (int64_t k = first * frame; k < count; k++) {
      const float *x = &keep[k % frame / 3 * 3];
      auto normal = [&](int64_t j) { return mote_random_normal(1, stream, uint64_t(j), 0); };
      float angle = 2 * normal(3 * (k % 3)) + 9 * (normal(1) * x[0] + normal(2) * x[1] + normal(4) * x[2]);
      move[k] = size * (wave ? float(k / frame) / float(e.frames) * std::sin(angle) : normal(k));
    }
    for (int s = 0; s < 2; s++) {
      for (int64_t k = 0; k < count; k++) {
        e.sparse[k] = s ? keep[k] - move[k] : keep[k] + move[k];
        slope += (s ? -0.5 : 0.5) * double(slopes[k]) * (double(e.sparse[k]) - keep[k]);
      }
      loss[s] = chain.loss();
    }
    std::copy(keep.begin(), keep.end(), e.sparse);
  }
};

} // namespace

/* <L u, y> = <u, L^T y> for L from the increments to the finest level's field, through all levels and the
   global fit, which is a linear map: float32 moments, 1e-4 of the sum of sizes. */
TEST_F(SlopeTest, TheFitsAdjoint) {
  for (const std::string &name : mote_test::devices())
    for (int dim : {2, 3}) {
      Device device(name);
      const int n = 150;
      std::vector<float> x(n * dim), u(n * dim), next;
      for (int k = 0; k < n * dim; k++) {
        x[k] = 0.3f + 0.4f * mote_random_uniform(11, 1, uint64_t(k), 0);
        u[k] = 0.01f * mote_random_normal(3, 1, uint64_t(k), 0);
      }
      mote_operator_settings settings;
      mote_operator_defaults(&settings);
      settings.ridge = 0.03f, settings.shrink = 0.5f; /* so that coarser levels count */
      mote_reconstruction_options o = {};
      o.dim = dim, o.sparse_count = o.dense_count = n, o.sparse = o.dense = x.data();
      o.dense_spacing = std::pow(std::pow(0.4, dim) / n, 1.0 / dim);
      for (int a = 0; a < dim; a++) o.bounds[a][1] = 1;
      mote_reconstruction *r = nullptr;
      MOTE_ASSERT_OK(mote_reconstruction_create(device.device, &settings, &o, &r));
      next = x;
      for (int k = 0; k < n * dim; k++) next[k] += u[k], u[k] = next[k] - x[k];
      MOTE_ASSERT_OK(mote_upload(r->stream, r->next.data, next.data(), next.size() * 4));
      int64_t nodes = mote_lattice_size(&r->lattice[0]);
      std::vector<float> f(nodes * MOTE_FIELD_STRIDE, 0.f), y(nodes * MOTE_AFFINE), back(n * dim),
          weight(nodes * MOTE_MOMENT_STRIDE, 0.f);
      MOTE_ASSERT_OK(mote_upload(r->stream, r->field[0].data, f.data(), f.size() * 4));
      MOTE_ASSERT_OK(mote_upload(r->stream, r->moments[0].data, weight.data(), weight.size() * 4));
      MOTE_ASSERT_OK(mote_reconstruction_fit(r, r->stream));
      MOTE_ASSERT_OK(mote_download(r->stream, f.data(), r->field[0].data, f.size() * 4));
      MOTE_ASSERT_OK(mote_download(r->stream, weight.data(), r->moments[0].data, weight.size() * 4));
      double left = 0, right = 0, size = 0;
      for (int64_t i = 0; i < nodes; i++)
        for (int j = 0; j < MOTE_AFFINE; j++) {
          int c = j < 3 ? j : (j - 3) / 3, a = j < 3 ? 0 : (j - 3) % 3;
          /* Where a point might be; gradients count by about a spacing. */
          if (c >= dim || a >= dim || weight[i * MOTE_MOMENT_STRIDE] <= 0) continue;
          float unit = j < 3 ? 1 : r->lattice[0].unit;
          y[i * MOTE_AFFINE + j] = unit * mote_random_normal(3, 2, uint64_t(i * MOTE_AFFINE + j), 0);
          double term =
              double(f[i * MOTE_FIELD_STRIDE + (j < 3 ? j : 4 * (a + 1) + c)]) * y[i * MOTE_AFFINE + j];
          left += term;
          size += std::fabs(term);
        }
      mote_refit refit = {};
      mote_test::Array<float> increments(device, size_t(n) * dim);
      MOTE_ASSERT_OK(mote_refit_reserve(&refit, r));
      MOTE_ASSERT_OK(mote_upload(r->stream, refit.field[0].data, y.data(), y.size() * 4));
      MOTE_ASSERT_OK(mote_refit_backward(&refit, r, increments));
      MOTE_ASSERT_OK(mote_stream_synchronize(r->stream));
      back = increments.host();
      for (int k = 0; k < n * dim; k++) right += double(u[k]) * back[k];
      EXPECT_NEAR(left, right, 1e-4 * size) << name << " " << dim;
      EXPECT_GT(std::fabs(left), 1e-3 * size) << name << " " << dim;
      mote_refit_free(&refit);
      mote_reconstruction_destroy(r);
    }
}

/* Over one frame the unlearned operator is linear in where the particles go, and the loss's square a
   quadratic form: L(+)^2 - L(-)^2 = 4 L L' d whatever the size of the move. float32 positions, 3e-8 m of
   moves of 1e-3: a thousandth is asked for. */
TEST_F(SlopeTest, OneFrameIsExact) {
  for (const std::string &name : mote_test::devices()) {
    Chain chain(name, folder.file("water.h5"), 6, 2, 0);
    std::vector<float> gradient(MOTE_PARAMETERS), slopes;
    double loss = chain.loss(gradient.data(), &slopes), norm = 0;
    for (float d : slopes) norm += 0.5 * double(d) * d; /* the half of them that is moved */
    for (uint64_t stream = 50; stream < 56; stream++) {
      Moved moved(chain, slopes, 1, stream, 1e-3f);
      double expected = 4 * loss * moved.slope;
      double found = moved.loss[0] * moved.loss[0] - moved.loss[1] * moved.loss[1];
      EXPECT_NEAR(found, expected, 1e-3 * 4 * loss * 1e-3 * std::sqrt(norm)) << name;
    }
  }
}

/* Over many frames, with a network, some of what depends on the places is held constant: where increments are
   splatted, and the network's inputs. Slopes still correlate with central differences, by 0.985 and 0.998. */
TEST_F(SlopeTest, ManyFramesPointTheRightWay) {
  for (bool wave : {false, true}) {
    Chain chain("cpu", folder.file("water.h5"), 2, 9, 0.05f);
    std::vector<float> gradient(MOTE_PARAMETERS), slopes;
    chain.loss(gradient.data(), &slopes);
    double product = 0, expected = 0, found = 0;
    for (uint64_t stream = 60; stream < 68; stream++) {
      Moved moved(chain, slopes, 1, stream, wave ? 1e-4f : 2e-5f, wave);
      double difference = (moved.loss[0] - moved.loss[1]) / 2;
      product += moved.slope * difference;
      expected += difference * difference;
      found += moved.slope * moved.slope;
    }
    EXPECT_GT(product, (wave ? 0.99 : 0.96) * std::sqrt(expected * found));
    EXPECT_NEAR(std::sqrt(found / expected), 1, 0.05);
  }
}
