/* The trick of this file: in the kernels' headers, which it reads into a namespace of its own, `float` means
   double. So it is the kernels' own source that is differenced here, in arithmetic fine enough to do so; and
   their types are other types here, of other names to the linker. */
#include "tests/support/step64.h"

#include <cmath>
#include <cstring>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace in64 {
#define float double
#define sqrtf sqrt
#define fabsf fabs
#include "kernels/transfer/reverse.h"
} // namespace in64
using namespace in64;

namespace {

/* A view with a dense grid: one block's slot a block, all of them there. */
struct Bench {
  mote_transfer_view view = {};
  std::vector<double> record, solid, grid, sums, adjoint, by_node;
  std::vector<int32_t> slot;
  std::vector<mote_collider> colliders;
  std::vector<mote_pose> poses;
  const Step64 &s;
  int block_nodes;

  explicit Bench(const Step64 &step) : s(step), block_nodes(step.dim == 3 ? 64 : 16) {
    mote_transfer_view &t = view;
    t.dim = s.dim;
    t.count = int(s.mass.size());
    t.boundary_cells = s.boundary_cells;
    t.spacing = s.spacing;
    t.time_step = s.time_step;
    t.clip_low = s.clip_low;
    int total = 1;
    for (int d = 0; d < 3; d++) {
      t.cells[d] = d < s.dim ? s.cells[d] : 1;
      t.blocks[d] = d < s.dim ? (t.cells[d] + 1) / 4 + 1 : 1;
      t.lower[d] = d < s.dim ? s.lower : 0;
      t.gravity[d] = d < s.dim ? s.gravity[d] : 0;
      for (int side = 0; side < 2; side++)
        t.walls[d][side] = {mote_contact(s.wall_contact[d][side]), s.wall_friction[d][side]};
      total *= t.blocks[d];
    }
    t.block_total = total;
    for (int k = 0; k < total; k++) slot.push_back(k);
    t.grid_slot = slot.data();
    place_colliders();
    make_records();
    sums.assign(size_t(total * block_nodes) * 4, 0);
    for (int p = 0; p < t.count; p++) scatter(&record[size_t(p) * MOTE_RECORD], sums);
    grid = sums;
    t.grid = grid.data();
    each_node([&](const int node[3], size_t at) { mote_node_update(&t, node, &grid[at]); });
  }

  void place_colliders() {
    for (const Obstacle64 &o : s.obstacles) {
      mote_collider c = {};
      c.shape = mote_collider_shape(o.shape);
      c.contact = mote_contact(o.contact);
      c.friction = o.friction;
      c.radius = o.radius;
      c.half_length = o.half_length;
      std::memcpy(c.center, o.center, sizeof c.center);
      std::memcpy(c.normal, o.normal, sizeof c.normal);
      std::memcpy(c.half_size, o.half_size, sizeof c.half_size);
      std::memcpy(c.orientation, o.orientation, sizeof c.orientation);
      std::memcpy(c.velocity, o.velocity, sizeof c.velocity);
      std::memcpy(c.angular_velocity, o.angular_velocity, sizeof c.angular_velocity);
      mote_pose pose;
      mote_pose_at(&c, s.dim, s.time, &pose);
      colliders.push_back(c);
      poses.push_back(pose);
    }
    view.collider_count = int(colliders.size());
    view.colliders = colliders.data();
    view.poses = poses.data();
  }

  void make_records() {
    const size_t n = s.mass.size(), dim = size_t(s.dim), square = dim * dim;
    record.assign(n * MOTE_RECORD, 0);
    solid.assign(n * MOTE_SOLID, 0);
    for (size_t p = 0; p < n; p++) {
      double *r = &record[p * MOTE_RECORD];
      r[3] = s.mass[p];
      solid[p * MOTE_SOLID + 10] = s.volume[p];
      for (size_t d = 0; d < dim; d++) {
        r[d] = s.mass[p] * s.velocity[p * dim + d];
        r[7 + 4 * d] = (s.position[p * dim + d] - s.lower) / s.spacing;
        for (size_t c = 0; c < dim; c++)
          r[4 + 4 * d + c] = s.mass[p] * s.spacing * s.affine[p * square + c * dim + d] -
                             4 * s.time_step / s.spacing * s.volume[p] * s.stress[p * square + c * dim + d];
      }
    }
    view.record = record.data();
    view.solid = solid.data();
  }

  /* The weight of a quadratic spline, written as it is defined. */
  static double spline(double r) {
    r = std::fabs(r);
    return r < 0.5 ? 0.75 - r * r : r < 1.5 ? 0.5 * (1.5 - r) * (1.5 - r) : 0;
  }

  /* f(node, its offset in the grid, weight, distances) over the nodes around a record's place. */
  template <typename F> void around(const double *r, F f) const {
    int base[3] = {0, 0, 0}, count[3] = {1, 1, 1};
    for (int d = 0; d < s.dim; d++) {
      base[d] = int(std::floor(r[7 + 4 * d] - 0.5));
      count[d] = 3;
    }
    for (int a = 0; a < count[0]; a++)
      for (int b = 0; b < count[1]; b++)
        for (int c = 0; c < count[2]; c++) {
          const int node[3] = {base[0] + a, base[1] + b, base[2] + c};
          double w = 1, distance[3] = {0, 0, 0};
          for (int d = 0; d < s.dim; d++) {
            distance[d] = node[d] - r[7 + 4 * d];
            w *= spline(distance[d]);
          }
          f(size_t(mote_node_place(&view, node[0], node[1], node[2])), w, distance);
        }
  }

  void scatter(const double *r, std::vector<double> &to) const {
    around(r, [&](size_t at, double w, const double *d) {
      for (int k = 0; k < 3; k++)
        to[at + size_t(k)] += w * (r[k] + r[4 + k] * d[0] + r[8 + k] * d[1] + r[12 + k] * d[2]);
      to[at + 3] += w * r[3];
    });
  }

  template <typename F> void each_node(F f) const {
    for (int x = 0; x <= s.cells[0]; x++)
      for (int y = 0; y <= s.cells[1]; y++)
        for (int z = 0; z <= (s.dim == 3 ? s.cells[2] : 0); z++) {
          const int node[3] = {x, y, z};
          f(node, size_t(mote_node_place(&view, x, y, z)));
        }
  }
};

} // namespace

void advance64(Step64 &s) {
  const Bench b(s);
  const size_t dim = size_t(s.dim), square = dim * dim;
  for (size_t p = 0; p < s.mass.size(); p++) {
    double v[3] = {0, 0, 0}, B[3][3] = {{0}};
    b.around(&b.record[p * MOTE_RECORD], [&](size_t at, double w, const double *d) {
      for (size_t k = 0; k < dim; k++) {
        v[k] += w * b.grid[at + k];
        for (size_t e = 0; e < dim; e++) B[k][e] += w * b.grid[at + k] * d[e];
      }
    });
    for (size_t k = 0; k < dim; k++) {
      const double low = s.lower + s.spacing * s.clip_low,
                   high = s.lower + s.spacing * (double(s.cells[k]) - s.clip_low);
      double &x = s.position[p * dim + k];
      x = std::fmin(std::fmax(x + s.time_step * v[k], low), high);
      s.velocity[p * dim + k] = v[k];
      for (size_t e = 0; e < dim; e++) s.affine[p * square + k * dim + e] = 4 / s.spacing * B[k][e];
    }
  }
  s.time += s.time_step;
}

double functional64(const Step64 &step) {
  Step64 s = step;
  double sum = 0;
  advance64(s);
  for (size_t k = 0; k < s.position.size(); k++)
    sum += s.by_position[k] * s.position[k] + s.by_velocity[k] * s.velocity[k];
  for (size_t k = 0; k < s.affine.size(); k++) sum += s.by_affine[k] * s.affine[k];
  return sum;
}

Gradients64 reverse64(const Step64 &s) {
  Bench b(s);
  const size_t n = s.mass.size(), dim = size_t(s.dim), square = dim * dim;
  Gradients64 g = {s.by_position, s.by_velocity, s.by_affine, std::vector<double>(n * square),
                   std::vector<double>(s.obstacles.size() * MOTE_MOTION)};
  std::vector<double> reversed(n * MOTE_RECORD), adjoint(b.sums.size()), by_node(b.sums.size());
  for (size_t p = 0; p < n; p++) {
    mote_reverse_record(&b.view, s.dim, &b.record[p * MOTE_RECORD], &g.position[p * dim],
                        &g.velocity[p * dim], &g.affine[p * square], &reversed[p * MOTE_RECORD]);
    b.scatter(&reversed[p * MOTE_RECORD], adjoint);
  }
  b.each_node([&](const int node[3], size_t at) {
    mote_node_reverse(&b.view, node, &b.sums[at], &adjoint[at], &by_node[at], g.motion.data());
  });
  for (size_t p = 0; p < n; p++)
    mote_reverse_gather(&b.view, int(p), s.volume[p], &reversed[p * MOTE_RECORD], by_node.data(),
                        &g.position[p * dim], &g.velocity[p * dim], &g.affine[p * square],
                        &g.stress[p * square]);
  return g;
}

Contacts64 contacts64(const Step64 &s) {
  const Bench b(s);
  Contacts64 found = {0, 0, 0};
  b.each_node([&](const int node[3], size_t at) {
    double x[3], v[3], n[3];
    if (!(b.sums[at + 3] > 0)) return;
    mote_node_velocity(&b.view, node, &b.sums[at], 0, x, v);
    for (int c = 0; c < b.view.collider_count; c++)
      found.obstacle +=
          mote_collider_distance(&b.colliders[size_t(c)], &b.poses[size_t(c)], s.dim, x, n) <= 0;
    for (int a = 0; a < s.dim; a++)
      for (int side = 0; side < 2; side++) found.wall += mote_node_in_wall(&b.view, node, a, side);
  });
  for (size_t p = 0; p < s.mass.size(); p++) {
    mote_stencil stencil;
    double v[3];
    mote_stencil_at(&b.view, &b.record[p * MOTE_RECORD], &stencil);
    mote_gather_velocity(&b.view, &stencil, v);
    for (int d = 0; d < s.dim; d++)
      found.clamped += !mote_moves_freely(&b.view, d, b.record[p * MOTE_RECORD + 7 + 4 * size_t(d)], v[d]);
  }
  return found;
}
