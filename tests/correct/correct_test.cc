/* The learned correction: forward against float64, gradients against finite differences of it, devices
   against each other, exactness of affine motion whatever the weights are. */
#include <mote/operator.h>
#include <mote/random.h>

#include "host/models/operator.h"
#include "host/models/reconstruction.h"
#include "kernels/array/array.h"
#include "kernels/correct/basis.h"
#include "tests/support/testing.h"

using mote_test::Array;
using mote_test::Device;

namespace {

const char kinds[2][32] = {"newtonian", "drucker_prager"};

/* An operator whose last layer is not 0, so that it does correct. */
mote_operator *wild_operator() {
  mote_operator *o = nullptr;
  mote_operator_settings settings;
  mote_operator_defaults(&settings);
  EXPECT_EQ(MOTE_OK, mote_operator_create(&settings, 2, kinds, 5, &o)) << mote_last_error();
  for (int k = 0; k < 2 * MOTE_PARAMETERS; k++) o->parameters[k] += 0.1f * mote_random_normal(7, 1, k, 0);
  for (int k = 0; k < MOTE_FEATURES; k++) o->norm[k] = o->norm[2 * MOTE_FEATURES + k] = -2;
  for (int k = 0; k < MOTE_FEATURES; k++) o->norm[MOTE_FEATURES + k] = o->norm[3 * MOTE_FEATURES + k] = 0.3f;
  return o;
}

std::vector<float> cloud(int64_t n, int dim, uint64_t stream) {
  std::vector<float> x(n * dim);
  for (int64_t i = 0; i < n; i++)
    for (int a = 0; a < dim; a++) x[i * dim + a] = 0.3f + 0.4f * mote_random_uniform(11, stream, i, a);
  return x;
}

std::vector<float> swirl(const std::vector<float> &x, int dim, float t) {
  std::vector<float> y = x;
  for (size_t i = 0; i < x.size() / dim; i++) {
    float a = x[i * dim] - 0.5f, b = x[i * dim + 1] - 0.5f;
    y[i * dim] += t * (-b + 0.3f * std::sin(19 * b));
    y[i * dim + 1] += t * (a + 0.3f * std::sin(19 * a));
  }
  return y;
}

/* A reconstruction with a learned correction, of 200 sparse points, half of them of the second expert. */
struct Scene {
  std::vector<float> sparse, dense;
  std::vector<int32_t> expert;
  mote_operator *learned = wild_operator();
  mote_reconstruction *r = nullptr;
  int dim;
  Scene(Device &device, int dim_, bool corrects = true)
      : sparse(cloud(200, dim_, 1)), dense(cloud(600, dim_, 2)), expert(200), dim(dim_) {
    for (int i = 0; i < 200; i++) expert[i] = i % 10 == 9 ? -1 : sparse[i * dim] > 0.5f;
    mote_reconstruction_options o = {};
    o.dim = dim;
    o.sparse_count = 200;
    o.dense_count = 600;
    o.sparse = sparse.data();
    o.dense = dense.data();
    o.dense_spacing = std::pow(std::pow(0.4, dim) / 600, 1.0 / dim);
    for (int a = 0; a < dim; a++) o.bounds[a][0] = 0.28, o.bounds[a][1] = 1.2;
    o.gravity[1] = -1e-3;
    o.learned = corrects ? learned : nullptr;
    o.expert = expert.data();
    EXPECT_EQ(MOTE_OK, mote_reconstruction_create(device.device, &learned->settings, &o, &r))
        << mote_last_error();
  }
  ~Scene() {
    mote_reconstruction_destroy(r);
    mote_operator_destroy(learned);
  }
  void advance(int frames) {
    for (int k = 0; k < frames; k++) {
      sparse = swirl(sparse, dim, 0.05f);
      EXPECT_EQ(MOTE_OK, mote_reconstruction_advance(r, sparse.data())) << mote_last_error();
    }
  }
  std::vector<float> result() {
    std::vector<float> x(dense.size());
    EXPECT_EQ(MOTE_OK, mote_reconstruction_read(r, x.data(), nullptr)) << mote_last_error();
    return x;
  }
};

std::vector<float> run(const std::string &name, int threads, int dim, int frames, bool corrects = true) {
  Device device(name, threads);
  Scene scene(device, dim, corrects);
  scene.advance(2);
  size_t allocations = mote_device_memory_use(device.device).allocations;
  scene.advance(frames - 2);
  EXPECT_EQ(allocations, mote_device_memory_use(device.device).allocations);
  return scene.result();
}

/* The network in float64. */
std::vector<double> network(const float *p, const float *norm, const float *feature) {
  std::vector<double> x(MOTE_FEATURES), h(MOTE_HIDDEN), g(MOTE_HIDDEN), o(MOTE_OUTPUTS);
  auto silu = [](double v) { return v / (1 + std::exp(-v)); };
  for (int k = 0; k < MOTE_FEATURES; k++)
    x[k] = std::min(5., std::max(-5., (double(feature[k]) - norm[k]) * norm[MOTE_FEATURES + k]));
  auto layer = [&](const float *w, const std::vector<double> &in, std::vector<double> &out, bool last) {
    for (size_t j = 0; j < out.size(); j++) {
      double sum = w[in.size() * out.size() + j];
      for (size_t i = 0; i < in.size(); i++) sum += in[i] * w[i * out.size() + j];
      out[j] = last ? sum : silu(sum);
    }
  };
  layer(p, x, h, false);
  layer(p + MOTE_WEIGHTS_2, h, g, false);
  layer(p + MOTE_WEIGHTS_3, g, o, true);
  for (double &v : o) v = 2 * std::tanh(v / 2);
  return o;
}

} // namespace

class CorrectTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(CorrectTest);

/* The same arithmetic in another order: float32 rounding over six frames. And it must do something at all. */
TEST_P(CorrectTest, DevicesAgree) {
  for (int dim : {2, 3}) {
    std::vector<float> here = run(GetParam(), 0, dim, 6), cpu = run("cpu", 0, dim, 6);
    EXPECT_LT(mote_test::relative_l2(here, cpu), 2e-5) << dim;
    EXPECT_GT(mote_test::relative_l2(here, run("cpu", 0, dim, 6, false)), 1e-4) << dim;
  }
}

TEST_P(CorrectTest, BitsRepeat) {
  EXPECT_EQ(run(GetParam(), 1, 3, 4), run(GetParam(), 2, 3, 4));
}

/* Random weights, affine motion away from the walls: exact to float32 rounding over the chain of fits. */
TEST_P(CorrectTest, AffineMotionIsExactWhateverTheWeights) {
  Device device(GetParam());
  std::vector<float> sparse = cloud(200, 3, 1), dense = cloud(500, 3, 2), result(1500);
  mote_operator *learned = wild_operator();
  mote_reconstruction_options o = {};
  o.dim = 3;
  o.sparse_count = 200;
  o.dense_count = 500;
  o.sparse = sparse.data();
  o.dense = dense.data();
  o.dense_spacing = 0.4 / std::cbrt(500);
  for (int a = 0; a < 3; a++) o.bounds[a][0] = -3, o.bounds[a][1] = 4;
  o.learned = learned;
  mote_operator_settings settings = learned->settings;
  settings.flight_reach = 0;
  mote_reconstruction *r = nullptr;
  MOTE_ASSERT_OK(mote_reconstruction_create(device.device, &settings, &o, &r));
  auto map = [](std::vector<float> &x) {
    for (size_t i = 0; i < x.size(); i += 3) {
      float a = x[i] - 0.5f, b = x[i + 1] - 0.5f, c = x[i + 2] - 0.5f;
      x[i] = 0.51f + 1.02f * a - 0.1f * b;
      x[i + 1] = 0.49f + 0.1f * a + 0.97f * b + 0.05f * c;
      x[i + 2] = 0.5f + c;
    }
  };
  for (int k = 0; k < 4; k++) {
    map(sparse);
    map(dense);
    MOTE_ASSERT_OK(mote_reconstruction_advance(r, sparse.data()));
  }
  MOTE_ASSERT_OK(mote_reconstruction_read(r, result.data(), nullptr));
  for (size_t i = 0; i < result.size(); i++) ASSERT_NEAR(dense[i], result[i], 1e-5) << i;
  mote_reconstruction_destroy(r);
  mote_operator_destroy(learned);
}

/* One corrected field, and the gradient of a weighted sum of increments with respect to the weights, against
   the float64 network: forward to 1e-5 of the largest entry; backward against central differences. */
TEST_P(CorrectTest, NetworkAndItsGradientMatchFloat64) {
  for (int dim : {2, 3}) {
    Device device(GetParam());
    Scene scene(device, dim);
    scene.advance(3);
    mote_reconstruction *r = scene.r;
    mote_correct_view view = mote_reconstruction_view(r);
    int64_t nodes = mote_lattice_size(&r->lattice[0]);
    auto download = [&](const void *from, size_t count) {
      std::vector<float> host(count);
      EXPECT_EQ(MOTE_OK, mote_download(r->stream, host.data(), from, count * 4)) << mote_last_error();
      return host;
    };
    std::vector<float> next = swirl(scene.sparse, dim, 0.05f);
    MOTE_ASSERT_OK(mote_upload(r->stream, r->next.data, next.data(), next.size() * 4));
    MOTE_ASSERT_OK(mote_fill_bytes(r->stream, r->share.data, 0, nodes * MOTE_EXPERTS * 4));
    MOTE_ASSERT_OK(mote_fill_bytes(r->stream, r->field[0].data, 0, nodes * MOTE_FIELD_STRIDE * 4));
    MOTE_ASSERT_OK(mote_reconstruction_fit(r, r->stream));
    std::vector<float> before = download(r->field[0].data, nodes * MOTE_FIELD_STRIDE);
    MOTE_ASSERT_OK(mote_reconstruction_correct(r, r->stream));
    std::vector<float> after = download(r->field[0].data, nodes * MOTE_FIELD_STRIDE);
    std::vector<float> feature = download(r->feature.data, nodes * MOTE_FEATURES);
    std::vector<float> basis = download(r->basis.data, nodes * MOTE_BASIS_STRIDE);
    std::vector<float> share = download(r->share.data, nodes * MOTE_EXPERTS);

    /* A loss over the field itself: sum of random number times entry of the affine fields. */
    std::vector<float> slope(nodes * MOTE_AFFINE);
    for (size_t k = 0; k < slope.size(); k++) slope[k] = mote_random_normal(3, 9, k, 0);
    std::vector<float> parameters(scene.learned->parameters, scene.learned->parameters + 2 * MOTE_PARAMETERS);
    auto loss = [&](std::vector<double> *field) {
      double sum = 0;
      for (int64_t i = 0; i < nodes; i++) {
        std::vector<double> weight(MOTE_OUTPUTS, 0.);
        double any = 0;
        for (int e = 0; e < 2; e++) {
          double part = share[i * MOTE_EXPERTS + e];
          any += part;
          if (!(part > 0)) continue;
          std::vector<double> c =
              network(&parameters[e * MOTE_PARAMETERS], scene.learned->norm + e * 2 * MOTE_FEATURES,
                      &feature[i * MOTE_FEATURES]);
          for (int k = 0; k < MOTE_BASES; k++) weight[k] += part * c[k];
        }
        for (int k = 0; any > 0 && k < MOTE_BASES; k++)
          for (int j = 0; j < MOTE_AFFINE; j++) {
            double b = weight[k] * basis[i * MOTE_BASIS_STRIDE + k * MOTE_AFFINE + j];
            sum += b * slope[i * MOTE_AFFINE + j];
            int at = j < 3 ? j : 4 * ((j - 3) % 3 + 1) + (j - 3) / 3;
            if (field) (*field)[i * MOTE_FIELD_STRIDE + at] += b;
          }
      }
      return sum;
    };
    std::vector<double> expected(before.begin(), before.end());
    loss(&expected);
    double largest = 0, worst = 0;
    for (size_t k = 0; k < expected.size(); k++) {
      largest = std::max(largest, std::fabs(expected[k]));
      worst = std::max(worst, std::fabs(expected[k] - after[k]));
    }
    EXPECT_LT(worst, 1e-5 * largest) << dim;

    Array<float> gradient(device, std::vector<float>(2 * MOTE_PARAMETERS, 0.f)), slopes(device, slope),
        partial(device, size_t(2 * MOTE_PARAMETERS) * MOTE_CHUNKS);
    MOTE_ASSERT_OK(mote_stream_synchronize(device.stream));
    MOTE_ASSERT_OK(device->correct->evaluate_backward(
        r->stream, &view, &r->experts, (const mote_global_fit *)r->fit.data, (float *)r->feature.data,
        (float *)r->basis.data, (float *)r->share.data, slopes, partial, gradient));
    MOTE_ASSERT_OK(mote_stream_synchronize(r->stream));
    std::vector<float> got = gradient.host();
    double scale = 0;
    for (float g : got) scale = std::max(scale, double(std::fabs(g)));
    EXPECT_GT(scale, 0);
    /* Step 1e-3 on float32 weights: the difference itself is float64; its own error is below 1e-5. */
    for (int k = 0; k < 2 * MOTE_PARAMETERS; k += 173) {
      if (k % MOTE_PARAMETERS >= MOTE_WEIGHTS_3 &&
          (k % MOTE_PARAMETERS - MOTE_WEIGHTS_3) % MOTE_OUTPUTS >= MOTE_BASES)
        continue;
      float keep = parameters[k];
      parameters[k] = keep + 1e-3f;
      double up = loss(nullptr), high = parameters[k];
      parameters[k] = keep - 1e-3f;
      double down = loss(nullptr), low = parameters[k];
      parameters[k] = keep;
      EXPECT_NEAR((up - down) / (high - low), got[k], 2e-4 * scale) << dim << " parameter " << k;
    }
  }
}

/* gather_backward is the adjoint of gather: <gather(field), y> = <field, gather_backward(y)>. Both sides are
   sums of 600 products in float32. */
TEST_P(CorrectTest, GatherBackwardIsTheAdjointOfGather) {
  for (int dim : {2, 3}) {
    Device device(GetParam());
    Scene scene(device, dim);
    scene.advance(2);
    mote_reconstruction *r = scene.r;
    const mote_lattice *l = &r->lattice[0];
    int64_t nodes = mote_lattice_size(l), n = 600;
    const mote_global_fit *fit = (const mote_global_fit *)r->fit.data;
    std::vector<float> field(nodes * MOTE_FIELD_STRIDE), y(n * dim);
    for (size_t k = 0; k < field.size(); k++)
      field[k] = k % 4 == 3 || (dim == 2 && (k % 4 == 2 || k % 16 > 11)) ? 0 : mote_random_normal(1, 1, k, 0);
    for (size_t k = 0; k < y.size(); k++) y[k] = mote_random_normal(1, 2, k, 0);
    Array<float> fields(device, field), ys(device, y), points(device, cloud(n, dim, 5)), out(device, n * dim);
    Array<float> back(device, std::vector<float>(nodes * MOTE_AFFINE, 0.f));
    Array<uint32_t> keys(device, n);
    Array<int32_t> order(device, n);
    mote_buffer scratch = {};
    MOTE_ASSERT_OK(
        device->reconstruct->gather(device.stream, l, fit, r->radius, fields, n, points, out, nullptr));
    MOTE_ASSERT_OK(device->correct->locate(device.stream, l, fit, r->radius, n, points, keys, order));
    std::vector<uint32_t> cells = keys.host();
    MOTE_ASSERT_OK(device->array->sort_pairs_u32(device.stream, keys, order, n, 32, &scratch));
    MOTE_ASSERT_OK(
        device->correct->gather_backward(device.stream, l, fit, r->radius, n, keys, order, points, ys, back));
    std::vector<float> u = out.host(), g = back.host();
    double left = 0, right = 0, size = 0;
    int inside = 0;
    for (int64_t i = 0; i < n; i++) {
      if (cells[i] == uint32_t(nodes)) continue;
      inside++;
      for (int a = 0; a < dim; a++) left += double(u[i * dim + a]) * y[i * dim + a];
    }
    for (int64_t i = 0; i < nodes; i++)
      for (int j = 0; j < MOTE_AFFINE; j++) {
        int at = j < 3 ? j : 4 * ((j - 3) % 3 + 1) + (j - 3) / 3;
        right += double(field[i * MOTE_FIELD_STRIDE + at]) * g[i * MOTE_AFFINE + j];
        size += std::fabs(double(field[i * MOTE_FIELD_STRIDE + at]) * g[i * MOTE_AFFINE + j]);
      }
    EXPECT_GT(inside, 500);
    EXPECT_NEAR(left, right, 1e-6 * size) << dim;
    mote_buffer_free(&scratch);
  }
}

/* Adam against its equations in float64 over five steps. */
TEST_P(CorrectTest, AdamFollowsItsEquations) {
  Device device(GetParam());
  std::vector<float> g = {1, -2, 0.5f, 0}, p = {0, 1, 2, 3}, zero(4, 0.f);
  Array<float> gs(device, g), ps(device, p), first(device, zero), second(device, zero), average(device, p);
  std::vector<double> x(p.begin(), p.end()), m(4, 0.), v(4, 0.), mean(p.begin(), p.end());
  for (int step = 1; step <= 5; step++) {
    MOTE_ASSERT_OK(
        device->correct->adam(device.stream, 4, gs, 0.5f, 0.01f, step, 0.9f, ps, first, second, average));
    for (int k = 0; k < 4; k++) {
      double s = 0.5 * g[k];
      m[k] = 0.9 * m[k] + 0.1 * s;
      v[k] = 0.999 * v[k] + 0.001 * s * s;
      x[k] -=
          0.01 * (m[k] / (1 - std::pow(0.9, step))) / (std::sqrt(v[k] / (1 - std::pow(0.999, step))) + 1e-8);
      mean[k] += 0.1 * (x[k] - mean[k]);
    }
  }
  std::vector<float> got = ps.host(), averaged = average.host();
  for (int k = 0; k < 4; k++) {
    EXPECT_NEAR(x[k], got[k], 1e-5);
    EXPECT_NEAR(mean[k], averaged[k], 1e-5);
  }
}

TEST(OperatorFile, SurvivesSavingAndLoading) {
  mote_test::TemporaryFolder folder;
  mote_operator *saved = wild_operator(), *loaded = nullptr;
  saved->settings.radius = 2.345678f;
  /* Outputs that no basis has are not stored. */
  for (int e = 0; e < 2; e++)
    for (int i = 0; i <= MOTE_HIDDEN; i++)
      for (int j = MOTE_BASES; j < MOTE_OUTPUTS; j++)
        saved->parameters[e * MOTE_PARAMETERS + MOTE_WEIGHTS_3 + i * MOTE_OUTPUTS + j] = 0;
  MOTE_ASSERT_OK(mote_operator_save(saved, folder.file("op").c_str()));
  MOTE_ASSERT_OK(mote_operator_load(folder.file("op").c_str(), &loaded));
  EXPECT_EQ(0, memcmp(saved->parameters, loaded->parameters, 2 * MOTE_PARAMETERS * 4));
  EXPECT_EQ(0, memcmp(saved->norm, loaded->norm, 2 * 2 * MOTE_FEATURES * 4));
  EXPECT_EQ(saved->settings.radius, loaded->settings.radius);
  EXPECT_EQ(1, mote_operator_expert(loaded, "drucker_prager"));
  EXPECT_EQ(-1, mote_operator_expert(loaded, "von_mises"));
  mote_operator_destroy(saved);
  mote_operator_destroy(loaded);
}

TEST(OperatorFile, WhatIsWrongIsNamed) {
  mote_test::TemporaryFolder folder;
  mote_operator *o = wild_operator(), *loaded = nullptr;
  std::string path = folder.file("op");
  EXPECT_EQ(MOTE_ERROR_IO, mote_operator_load(path.c_str(), &loaded));
  MOTE_ASSERT_OK(mote_operator_save(o, path.c_str()));
  mote_operator_destroy(o);
  auto rewrite = [&](const char *text) {
    FILE *f = fopen((path + "/config.json").c_str(), "w");
    fputs(text, f);
    fclose(f);
  };
  rewrite("{\"model_type\": \"giorom\"}");
  EXPECT_EQ(MOTE_ERROR_FORMAT, mote_operator_load(path.c_str(), &loaded));
  EXPECT_NE(std::string::npos, std::string(mote_last_error()).find("model_type"));
  rewrite("{\"model_type\": \"mote_operator\", \"features\": 7}");
  EXPECT_EQ(MOTE_ERROR_FORMAT, mote_operator_load(path.c_str(), &loaded));
  EXPECT_NE(std::string::npos, std::string(mote_last_error()).find("features"));
  rewrite("{\"model_type\": \"mote_operator\", \"features\": 32, \"hidden\": 32, \"bases\": 12, "
          "\"experts\": [\"cheese\"]}");
  EXPECT_NE(MOTE_OK, mote_operator_load(path.c_str(), &loaded));
  EXPECT_NE(std::string::npos, std::string(mote_last_error()).find("cheese"));
  EXPECT_EQ(nullptr, loaded);
}
