/* The passes of a step, one by one, against sums over all particles and nodes in float64. Matter is a fluid
   at rest density, so that it has no stress: what is compared is the transfers, gravity and the walls.
   Tolerance 1e-5 of the largest value: a few hundred roundings of float32. */
#include "kernels/transfer/transfer.h"

#include <algorithm>
#include <mote/random.h>

#include "kernels/constitutive/constitutive.h"
#include "tests/support/testing.h"

using mote_test::Array;
using mote_test::Device;

namespace {

struct Case {
  int dim, cells[3], count;
  bool clustered;
};

double uniform(uint64_t stream, size_t i) {
  return double(mote_random_below(7, stream, i, 1 << 24)) / (1 << 24);
}

/* What is loaded. */
struct Matter {
  std::vector<float> position, velocity, deformation_gradient, affine_velocity, history, volume, density;
  std::vector<int32_t> material;
  Matter(const Case &c, float spacing, float lower) {
    size_t dim = c.dim == 2 ? 2 : 3;
    for (size_t i = 0; i < size_t(c.count); i++) {
      for (size_t d = 0; d < dim; d++) {
        double u = uniform(d, i);
        if (c.clustered && i % 3) u = 0.5 + 0.2 * u * u;
        position.push_back(float(lower + spacing * (0.6 + u * (c.cells[d] - 1.2))));
        velocity.push_back(float(uniform(10 + d, i) - 0.5));
      }
      for (size_t k = 0; k < dim * dim; k++) {
        deformation_gradient.push_back(k % (dim + 1) == 0);
        affine_velocity.push_back(float(10 * (uniform(20 + k, i) - 0.5)));
      }
      history.push_back(0);
      volume.push_back(float(1e-4 * (0.5 + uniform(30, i))));
      density.push_back(900);
      material.push_back(0);
    }
  }
};

double weight(double x, int node) {
  double r = std::abs(x - node);
  return r < 0.5 ? 0.75 - r * r : r < 1.5 ? 0.5 * (1.5 - r) * (1.5 - r) : 0;
}

class TransferTest : public mote_test::OnDevice {
protected:
  Device device{GetParam()};
  mote_transfer transfer = {};
  ~TransferTest() override { mote_transfer_free(&transfer); }

  void load(const Case &c, const Matter &m) {
    mote_transfer_view &t = transfer.view;
    t.dim = c.dim;
    t.count = c.count;
    t.boundary_cells = 3;
    t.law_count = 1;
    t.spacing = 0.1f;
    t.time_step = 1e-3f;
    t.clip_low = 0.5f;
    for (int d = 0; d < 3; d++) {
      t.cells[d] = c.cells[d];
      t.lower[d] = d < c.dim ? -0.3f : 0;
      t.gravity[d] = d < c.dim ? float(1 + d) : 0;
    }
    MOTE_ASSERT_OK(mote_transfer_reserve(device.stream, &transfer));
    mote_material material;
    mote_material_defaults(MOTE_NEWTONIAN, &material);
    material.viscosity = 0;
    mote_law law;
    mote_law_prepare(&material, &law);
    MOTE_ASSERT_OK(mote_upload(device.stream, transfer.buffers[MOTE_BUFFER_LAWS].data, &law, sizeof law));
    Array<float> x(device, m.position), v(device, m.velocity), F(device, m.deformation_gradient);
    Array<float> C(device, m.affine_velocity), h(device, m.history), V(device, m.volume),
        r(device, m.density);
    Array<int32_t> k(device, m.material);
    mote_transfer_arrays arrays = {x, v, F, C, h, V, r, k, nullptr};
    MOTE_ASSERT_OK(device->transfer->load(device.stream, &transfer, &arrays));
    MOTE_ASSERT_OK(mote_stream_synchronize(device.stream));
  }

  void to_grid() {
    MOTE_ASSERT_OK(device->transfer->sort(device.stream, &transfer));
    MOTE_ASSERT_OK(device->transfer->p2g(device.stream, &transfer));
    MOTE_ASSERT_OK(device->transfer->grid_update(device.stream, &transfer));
  }

  /* visit(node, weight, offset in m) for the nodes that particle i reaches. */
  template <typename Visit> void each_node(const Case &c, const Matter &m, size_t i, Visit visit) const {
    const mote_transfer_view &t = transfer.view;
    double x[3] = {0, 0, 0};
    int base[3] = {0, 0, 0}, side[3] = {c.cells[0] + 1, c.cells[1] + 1, c.dim == 3 ? c.cells[2] + 1 : 1};
    for (size_t d = 0; d < size_t(c.dim); d++) {
      x[d] = (double(m.position[i * size_t(c.dim) + d]) - t.lower[d]) / t.spacing;
      base[d] = int(std::floor(x[d] - 0.5));
    }
    for (int a = base[0]; a < base[0] + 3 && a < side[0]; a++)
      for (int b = base[1]; b < base[1] + 3 && b < side[1]; b++)
        for (int k = base[2]; k < base[2] + (c.dim == 3 ? 3 : 1) && k < side[2]; k++) {
          double w = weight(x[0], a) * weight(x[1], b) * (c.dim == 3 ? weight(x[2], k) : 1);
          double offset[3] = {(a - x[0]) * t.spacing, (b - x[1]) * t.spacing, (k - x[2]) * t.spacing};
          visit(size_t((a * side[1] + b) * side[2] + k), w, offset);
        }
  }

  /* Velocity and mass of every node: the reference of p2g and grid_update. */
  std::vector<double> reference_grid(const Case &c, const Matter &m) const {
    const mote_transfer_view &t = transfer.view;
    size_t dim = c.dim == 2 ? 2 : 3, side_y = size_t(c.cells[1] + 1),
           side_z = c.dim == 3 ? size_t(c.cells[2] + 1) : 1;
    std::vector<double> grid(size_t(c.cells[0] + 1) * side_y * side_z * 4, 0.0);
    for (size_t i = 0; i < size_t(c.count); i++)
      each_node(c, m, i, [&](size_t n, double w, const double *offset) {
        double mass = w * double(m.volume[i]) * double(m.density[i]);
        for (size_t a = 0; a < dim; a++) {
          double v = m.velocity[i * dim + a];
          for (size_t b = 0; b < dim; b++)
            v += double(m.affine_velocity[(i * dim + a) * dim + b]) * offset[b];
          grid[4 * n + a] += mass * v;
        }
        grid[4 * n + 3] += mass;
      });
    for (size_t n = 0; n < grid.size() / 4; n++) {
      size_t at[3] = {n / side_z / side_y, n / side_z % side_y, n % side_z};
      if (grid[4 * n + 3] <= 0) continue;
      for (size_t a = 0; a < dim; a++) {
        double &v = grid[4 * n + a];
        v = v / grid[4 * n + 3] + double(t.gravity[a]) * double(t.time_step);
        if (at[a] < 3 && v < 0) v = 0;
        if (int(at[a]) > c.cells[a] - 3 && v > 0) v = 0;
      }
    }
    return grid;
  }
};
MOTE_ON_DEVICES(TransferTest);

const Case cases[] = {{2, {16, 12, 1}, 300, false},
                      {3, {12, 9, 13}, 700, false},
                      {3, {16, 16, 16}, 900, true},
                      {2, {30, 7, 1}, 1, false},
                      {2, {64, 64, 1}, 500, true}};

} // namespace

TEST_P(TransferTest, GridEqualsSumOverParticles) {
  for (const Case &c : cases) {
    Matter m(c, 0.1f, -0.3f);
    load(c, m);
    to_grid();
    std::vector<double> expected = reference_grid(c, m);
    Array<float> dense(device, expected.size());
    MOTE_ASSERT_OK(device->transfer->dense_grid(device.stream, &transfer, dense));
    std::vector<float> got = dense.host();
    double heaviest = 0;
    for (size_t n = 0; n < got.size() / 4; n++) heaviest = std::max(heaviest, expected[4 * n + 3]);
    for (size_t n = 0; n < got.size() / 4; n++) {
      ASSERT_NEAR(expected[4 * n + 3], got[4 * n + 3], 1e-5 * heaviest) << "mass of node " << n;
      /* momentum: where a node has hardly any mass its velocity is a quotient of small numbers */
      for (size_t a = 0; a < 3; a++)
        ASSERT_NEAR(expected[4 * n + a] * expected[4 * n + 3],
                    double(got[4 * n + a]) * double(got[4 * n + 3]), 1e-5 * heaviest)
            << "momentum of node " << n << " of " << c.dim << "-D";
    }
  }
}

TEST_P(TransferTest, ParticlesGatherTheGrid) {
  for (const Case &c : cases) {
    Matter m(c, 0.1f, -0.3f);
    load(c, m);
    to_grid();
    transfer.keep_affine = 1;
    MOTE_ASSERT_OK(device->transfer->g2p(device.stream, &transfer, nullptr));
    std::vector<double> grid = reference_grid(c, m);
    const mote_transfer_view &t = transfer.view;
    size_t dim = c.dim == 2 ? 2 : 3, n = size_t(c.count);
    std::vector<double> x(n * dim), v(n * dim, 0.0), C(n * dim * dim, 0.0);
    double h = t.spacing, dt = t.time_step;
    for (size_t i = 0; i < n; i++) {
      each_node(c, m, i, [&](size_t node, double w, const double *offset) {
        for (size_t a = 0; a < dim; a++) {
          v[i * dim + a] += w * grid[4 * node + a];
          for (size_t b = 0; b < dim; b++)
            C[(i * dim + a) * dim + b] += 4 / h / h * w * grid[4 * node + a] * offset[b];
        }
      });
      for (size_t a = 0; a < dim; a++)
        x[i * dim + a] = std::clamp(double(m.position[i * dim + a]) + dt * v[i * dim + a],
                                    t.lower[a] + 0.5 * h, t.lower[a] + (c.cells[a] - 0.5) * h);
    }
    Array<float> position(device, n * dim), velocity(device, n * dim), F(device, n * dim * dim);
    Array<float> affine(device, n * dim * dim), history(device, n);
    mote_transfer_arrays arrays = {position, velocity, F,       affine, history,
                                   nullptr,  nullptr,  nullptr, nullptr};
    MOTE_ASSERT_OK(device->transfer->unload(device.stream, &transfer, &arrays));
    EXPECT_LT(mote_test::relative_l2(position.host(), x), 1e-6);
    EXPECT_LT(mote_test::relative_l2(velocity.host(), v), 2e-6);
    EXPECT_LT(mote_test::relative_l2(affine.host(), C), 5e-6);
    std::vector<float> deformation = F.host();
    for (size_t i = 0; i < n; i++) { /* a fluid's F is its volume: det(I + dt C)^(1/dim) */
      double a[9];
      for (size_t k = 0; k < dim * dim; k++) a[k] = dt * C[i * dim * dim + k] + (k % (dim + 1) == 0);
      double det = dim == 2 ? a[0] * a[3] - a[1] * a[2]
                            : a[0] * (a[4] * a[8] - a[5] * a[7]) - a[1] * (a[3] * a[8] - a[5] * a[6]) +
                                  a[2] * (a[3] * a[7] - a[4] * a[6]);
      ASSERT_NEAR(std::pow(det, 1.0 / double(dim)), deformation[i * dim * dim], 2e-6);
    }
  }
}

TEST_P(TransferTest, LoadAndUnloadAreInverse) {
  const Case c = {3, {12, 9, 13}, 700, false};
  Matter m(c, 0.1f, -0.3f);
  load(c, m);
  size_t n = size_t(c.count);
  Array<float> position(device, n * 3), velocity(device, n * 3), F(device, n * 9), affine(device, n * 9);
  Array<float> history(device, n);
  mote_transfer_arrays arrays = {position, velocity, F, affine, history, nullptr, nullptr, nullptr, nullptr};
  MOTE_ASSERT_OK(device->transfer->unload(device.stream, &transfer, &arrays));
  EXPECT_LT(mote_test::relative_l2(position.host(), m.position), 3e-7); /* kept in cells: two roundings */
  EXPECT_LT(mote_test::relative_l2(velocity.host(), m.velocity), 2e-7);
  EXPECT_EQ(m.affine_velocity, affine.host());
  EXPECT_EQ(m.deformation_gradient, F.host());
}
