/* What nodes sum over the particles around them, moments and errors, against float64 sums over all particles:
   in lattices taller than one column serves, and with more particles in one bin than a column has room for.
 */
#include <mote/operator.h>
#include <mote/random.h>

#include "host/models/operator.h"
#include "host/models/reconstruction.h"
#include "kernels/correct/basis.h"
#include "tests/support/testing.h"

using mote_test::Device;

namespace {

const int spread = 600, clump = 2500, count = spread + clump;

/* Particles in a box of 0.4 x 0.4 x 3.2, and many more in one corner of 0.02. */
std::vector<float> tall_cloud(int dim) {
  std::vector<float> x(count * dim);
  for (int i = 0; i < count; i++)
    for (int a = 0; a < dim; a++) {
      float side = i >= spread ? 0.02f : a == dim - 1 ? 3.2f : 0.4f;
      x[i * dim + a] = 0.1f + side * mote_random_uniform(5, 1, i, a);
    }
  return x;
}

/* A frame of it up to the sums, in host memory. */
struct Frame {
  mote_reconstruction *r = nullptr;
  mote_operator *learned = nullptr;
  mote_global_fit fit;
  std::vector<float> rows, errors, moments, basis, share, feature, field[3];
  mote_node_range active[3];

  std::vector<float> download(const mote_buffer &from, size_t n) {
    std::vector<float> host(n);
    EXPECT_EQ(MOTE_OK, mote_download(r->stream, host.data(), from.data, n * 4)) << mote_last_error();
    return host;
  }
  Frame(Device &device, int dim) {
    const char kind[2][32] = {"newtonian", "drucker_prager"};
    std::vector<float> start = tall_cloud(dim), next = start;
    std::vector<int32_t> expert(count);
    for (int i = 0; i < count; i++) expert[i] = i % 7 == 6 ? -1 : i % 2;
    for (size_t k = 0; k < next.size(); k++) next[k] += 0.02f * mote_random_normal(5, 2, k, 0);
    mote_operator_settings settings;
    mote_operator_defaults(&settings);
    EXPECT_EQ(MOTE_OK, mote_operator_create(&settings, 2, kind, 1, &learned));
    mote_reconstruction_options o = {};
    o.dim = dim;
    o.sparse_count = o.dense_count = count;
    o.sparse = o.dense = start.data();
    o.dense_spacing = 0.05;
    for (int a = 0; a < dim; a++) o.bounds[a][0] = -0.1, o.bounds[a][1] = a == dim - 1 ? 3.6 : 0.8;
    o.learned = learned;
    o.expert = expert.data();
    EXPECT_EQ(MOTE_OK, mote_reconstruction_create(device.device, &settings, &o, &r)) << mote_last_error();
    if (!r) return;
    /* Tracers stand a little off their particles. */
    std::vector<float> tracer = start;
    for (size_t k = 0; k < tracer.size(); k++) tracer[k] += 2e-3f * mote_random_normal(5, 3, k, 0);
    EXPECT_EQ(MOTE_OK, mote_upload(r->stream, r->tracer.data, tracer.data(), tracer.size() * 4));
    EXPECT_EQ(MOTE_OK, mote_upload(r->stream, r->next.data, next.data(), next.size() * 4));
    EXPECT_EQ(MOTE_OK, mote_reconstruction_fit(r, r->stream)) << mote_last_error();
    EXPECT_EQ(MOTE_OK, mote_reconstruction_describe(r, r->stream)) << mote_last_error();
    size_t nodes = mote_lattice_size(&r->lattice[0]);
    EXPECT_EQ(MOTE_OK, mote_download(r->stream, &fit, r->fit.data, sizeof fit));
    rows = download(r->rows, r->stride * 6);
    errors = download(r->errors, r->stride * MOTE_ERROR_ROWS);
    moments = download(r->moments[0], nodes * MOTE_MOMENT_STRIDE);
    basis = download(r->basis, nodes * MOTE_BASIS_STRIDE);
    share = download(r->share, nodes * MOTE_EXPERTS);
    feature = download(r->feature, nodes * MOTE_FEATURES);
    for (int l = 0; l < 3; l++) {
      field[l] = download(r->field[l], mote_lattice_size(&r->lattice[l]) * MOTE_FIELD_STRIDE);
      active[l] = mote_active_nodes(&r->lattice[l], &fit, r->radius, l);
    }
  }
  ~Frame() {
    mote_reconstruction_destroy(r);
    mote_operator_destroy(learned);
  }
  /* Calls f(at, index) for the active nodes. */
  template <class F> void for_nodes(F f) {
    const mote_node_range &n = active[0];
    const mote_lattice &l = r->lattice[0];
    for (int i = n.first[0]; i < n.first[0] + n.count[0]; i++)
      for (int j = n.first[1]; j < n.first[1] + n.count[1]; j++)
        for (int k = n.first[2]; k < n.first[2] + n.count[2]; k++) {
          const int at[3] = {i, j, k};
          f(at, ((int64_t)i * l.nodes[1] + j) * l.nodes[2] + k);
        }
  }
  /* Offsets of particle p from a node in units, and its squared distance over the squared radius. */
  double offset(const int at[3], int p, double d[3]) {
    float x[3];
    double d2 = 0, unit = r->lattice[0].unit, reach = r->radius / unit;
    mote_node_position(&r->lattice[0], at, x);
    for (int a = 0; a < 3; a++) {
      d[a] = (double(rows[a * r->stride + p]) - x[a]) / unit;
      d2 += d[a] * d[a];
    }
    return d2 / (reach * reach);
  }
};

double cubed(double x) {
  return x > 0 ? x * x * x : 0;
}

} // namespace

class SumsTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(SumsTest);

/* Sums of up to 2,600 float32 terms, one after the other on the GPU, at the edge of the radius with weights
   that cancel: 1e-4 of the sum of their sizes; one particle of the clump left out would be 4e-4. */
TEST_P(SumsTest, MomentsMatchFloat64) {
  for (int dim : {2, 3}) {
    Device device(GetParam());
    Frame f(device, dim);
    ASSERT_NE(nullptr, f.r);
    double reach = f.r->radius / f.r->lattice[0].unit, worst = 0;
    int crowded = 0, empty = 0;
    f.for_nodes([&](const int at[3], int64_t node) {
      double m[MOTE_MOMENTS] = {0}, d[3], weight = 0, size = 0;
      int inside = 0;
      for (int p = 0; p < count; p++) {
        double w = cubed(1 - f.offset(at, p, d)), u[3];
        if (w == 0) continue;
        inside++;
        m[0] += w;
        weight += w;
        for (int a = 0, k = 4; a < 3; a++) {
          u[a] = f.rows[(3 + a) * f.r->stride + p];
          size += w * std::fabs(u[a]);
          m[1 + a] += w * d[a];
          for (int b = a; b < 3; b++, k++) m[k] += w * d[a] * d[b];
        }
        for (int c = 0; c < 3; c++) {
          m[10 + c] += w * u[c];
          for (int a = 0; a < 3; a++) m[13 + 3 * c + a] += w * u[c] * d[a];
        }
      }
      crowded += inside > 1024;
      empty += inside == 0;
      for (int k = 0; k < MOTE_MOMENTS; k++) {
        double power = k == 0 || (k >= 10 && k < 13) ? 0 : k < 4 || k >= 13 ? 1 : 2;
        double scale = (k < 10 ? weight : size) * std::pow(reach, power);
        double off = std::fabs(m[k] - f.moments[node * MOTE_MOMENT_STRIDE + k]);
        worst = std::max(worst, off / (scale + 1e-4));
      }
    });
    EXPECT_LT(worst, 1e-4) << dim;
    EXPECT_GT(crowded, 5) << dim;
    EXPECT_GT(empty, 5) << dim;
    EXPECT_GT(f.active[0].count[dim - 1], 40) << dim;
  }
}

/* Bases, features and shares made of float64 sums against the kernel's. Where the core holds next to nothing
   its sums are divided by next to nothing, so those nodes are passed over. Elsewhere 5e-4 of a basis, and a
   gradient of errors is as good as what cancels in it: the mean over 0.05 units. */
TEST_P(SumsTest, ErrorSumsMatchFloat64) {
  for (int dim : {2, 3}) {
    Device device(GetParam());
    Frame f(device, dim);
    ASSERT_NE(nullptr, f.r);
    mote_correct_view view = mote_reconstruction_view(f.r);
    view.moments = f.moments.data();
    for (int l = 0; l < 3; l++) view.field[l] = f.field[l].data();
    std::vector<float> feature(f.feature.size()), basis(f.basis.size()), share(f.share.size());
    int seen = 0;
    double worst = 0, worst_share = 0, worst_feature = 0;
    f.for_nodes([&](const int at[3], int64_t node) {
      double s[MOTE_ERROR_SUMS] = {0}, d[3];
      if (!(f.moments[node * MOTE_MOMENT_STRIDE] > MOTE_LEAST_WEIGHT)) return;
      for (int p = 0; p < count; p++) {
        double q = f.offset(at, p, d), w = cubed(1 - q), n = cubed(1 - q / 0.36);
        if (w == 0) continue;
        s[MOTE_SUM_N] += n;
        for (int c = 0; c < 3; c++) {
          double e = f.errors[c * f.r->stride + p], t = f.errors[(3 + c) * f.r->stride + p];
          s[MOTE_SUM_ND + c] += n * d[c];
          s[MOTE_SUM_NDD] += n * d[c] * d[c];
          s[MOTE_SUM_NR + c] += n * e;
          s[MOTE_SUM_NT + c] += n * t;
          s[MOTE_SUM_WT + c] += w * t;
          s[MOTE_SUM_RR] += w * e * e;
          s[MOTE_SUM_TT] += w * t * t;
          for (int a = 0; a < 3; a++) {
            s[MOTE_SUM_NRD + 3 * c + a] += n * e * d[a];
            s[MOTE_SUM_NTD + 3 * c + a] += n * t * d[a];
          }
        }
        int expert = (int)f.errors[6 * f.r->stride + p];
        if (expert >= 0) s[MOTE_SUM_EXPERT + expert] += w;
      }
      if (s[MOTE_SUM_N] < 0.05) return;
      float sum[MOTE_ERROR_SUMS];
      for (int k = 0; k < MOTE_ERROR_SUMS; k++) sum[k] = float(s[k]);
      mote_describe_node(&view, f.active, &f.fit, at, node, sum, &feature[node * MOTE_FEATURES],
                         &basis[node * MOTE_BASIS_STRIDE], &share[node * MOTE_EXPERTS]);
      seen++;
      double before = 0;
      for (int k = 0; k < MOTE_BASES; k++) {
        double off = 0, size = 0;
        for (int i = 0; i < MOTE_AFFINE; i++) {
          size_t entry = node * MOTE_BASIS_STRIDE + k * MOTE_AFFINE + i;
          off += std::pow(basis[entry] - f.basis[entry], 2);
          size += std::pow(basis[entry], 2);
        }
        size = std::sqrt(size);
        double scale = k == 6 || k == 8 ? size + 20 * before / f.r->lattice[0].unit : size;
        worst = std::max(worst, std::sqrt(off) / (scale + 1e-4));
        before = size;
      }
      for (int e = 0; e < MOTE_EXPERTS; e++)
        worst_share = std::max(worst_share, std::fabs(double(share[node * MOTE_EXPERTS + e]) -
                                                      f.share[node * MOTE_EXPERTS + e]));
      for (int k = 16; k < 26; k++) /* logarithms and ratios of the sums */
        worst_feature = std::max(worst_feature, std::fabs(double(feature[node * MOTE_FEATURES + k]) -
                                                          f.feature[node * MOTE_FEATURES + k]));
    });
    EXPECT_GT(seen, 30) << dim;
    EXPECT_LT(worst, 5e-4) << dim;
    EXPECT_LT(worst_share, 1e-5) << dim;
    EXPECT_LT(worst_feature, 1e-4) << dim;
  }
}
