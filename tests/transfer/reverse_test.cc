/* The reverse of a step's transfers. First the kernels' own math in float64 (step64.h) against central
   differences of plain sums, within 1e-5 of the largest gradient of its kind (what is differenced is smooth
   where no contact is just closing, and central differences of 1e-6 are good for 1e-8); then the kernels in
   float32, on every device, against that: 2e-4, a few hundred roundings in sums that cancel. */
#include "tests/support/step64.h"

#include <algorithm>
#include <mote/random.h>

#include "kernels/constitutive/constitutive.h"
#include "kernels/transfer/reverse.h"
#include "tests/support/network.h"
#include "tests/support/testing.h"

using mote_test::Array;
using mote_test::Device;

namespace {

double uniform(uint64_t stream, size_t i) {
  return double(mote_random_uniform(11, stream, i, 0));
}
double normal(uint64_t stream, size_t i) {
  return double(mote_random_normal(12, stream, i, 0));
}

Obstacle64 obstacle(int shape, int contact, double x, double y, double z) {
  Obstacle64 o = {};
  o.shape = shape;
  o.contact = contact;
  o.friction = 0.3;
  const double center[3] = {x, y, z}, normal_[3] = {0.2, 1, 0.1}, half[3] = {0.21, 0.13, 0.17};
  const double velocity[3] = {0.4 - 0.2 * shape, 0.3 + 0.15 * shape, -0.2},
               spin[3] = {0.5, -0.8, 1.1 - 0.4 * shape};
  std::copy(center, center + 3, o.center);
  std::copy(normal_, normal_ + 3, o.normal);
  std::copy(half, half + 3, o.half_size);
  std::copy(velocity, velocity + 3, o.velocity);
  std::copy(spin, spin + 3, o.angular_velocity);
  o.radius = 0.19;
  o.half_length = 0.15;
  o.orientation[0] = 1;
  return o;
}

void turn(Obstacle64 &o, const double by[3]) { /* about the world's axes, a small rotation */
  const double *q = o.orientation, h[3] = {by[0] / 2, by[1] / 2, by[2] / 2};
  const double r[4] = {
      q[0] - h[0] * q[1] - h[1] * q[2] - h[2] * q[3], q[1] + h[0] * q[0] + h[1] * q[3] - h[2] * q[2],
      q[2] + h[1] * q[0] + h[2] * q[1] - h[0] * q[3], q[3] + h[2] * q[0] + h[0] * q[2] - h[1] * q[1]};
  std::copy(r, r + 4, o.orientation);
}

/* Matter that moves down and sideways into walls and obstacles, some of it at the clamp. `kind`: which
   contacts and obstacles. */
Step64 made(int dim, int kind, size_t count = 60) {
  Step64 s = {};
  const size_t d = size_t(dim);
  s.dim = dim;
  s.boundary_cells = 2;
  s.lower = -0.25; /* numbers that float32 has, so that both sides mean the same */
  s.spacing = 0.125;
  s.time_step = 0.0078125;
  s.clip_low = 1;
  for (int a = 0; a < 3; a++) {
    s.cells[a] = a < dim ? 9 + a : 1;
    s.gravity[a] = a < dim ? 1.5 - 4 * (a == 1) : 0;
    for (int side = 0; side < 2; side++) {
      s.wall_contact[a][side] = (kind + a + side) % 3;
      s.wall_friction[a][side] = 0.25;
    }
  }
  if (kind > 0)
    for (int shape : {MOTE_COLLIDER_PLANE, MOTE_COLLIDER_SPHERE, MOTE_COLLIDER_BOX, MOTE_COLLIDER_CAPSULE})
      if (kind != 2 || shape != MOTE_COLLIDER_PLANE) {
        s.obstacles.push_back(
            obstacle(shape, (kind + shape) % 3, 0.113 + 0.157 * shape, 0.211 + 0.067 * shape, 0.307));
        const double by[3] = {dim == 3 ? 0.3 : 0, dim == 3 ? -0.2 : 0, 0.4};
        if (shape == MOTE_COLLIDER_PLANE) s.obstacles.back().center[1] = 0;
        turn(s.obstacles.back(), by);
      }
  for (size_t p = 0; p < count; p++) {
    s.volume.push_back(float(1e-3 * (0.5 + uniform(1, p))));
    s.mass.push_back(float(0.5 + uniform(2, p)));
    for (size_t a = 0; a < d; a++) {
      double u = uniform(3 + a, p);
      if (p % 3 == 0) u *= u * u;
      s.position.push_back(float(s.lower + s.spacing * (1.02 + u * (s.cells[a] - 2.04))));
      s.velocity.push_back(float(2 * normal(6 + a, p) - (a == 1)));
      if (p < 6) s.position.back() = float(s.lower + s.spacing * (p % 2 ? 1.001 : s.cells[a] - 1.001));
    }
    for (size_t k = 0; k < d * d; k++) {
      s.affine.push_back(float(4 * normal(20 + k, p)));
      s.stress.push_back(float(300 * normal(40 + k, p)));
      s.by_affine.push_back(float(0.05 * normal(60 + k, p)));
    }
    for (size_t a = 0; a < d; a++) {
      s.by_position.push_back(float(30 * normal(80 + a, p)));
      s.by_velocity.push_back(float(normal(90 + a, p)));
    }
  }
  return s;
}

double largest(const std::vector<double> &x) {
  double most = 0;
  for (double v : x) most = std::max(most, std::fabs(v));
  return most;
}

/* Central differences by the numbers that `at` names. */
template <typename At> std::vector<double> differences(const Step64 &s, size_t count, double h, At at) {
  std::vector<double> found;
  for (size_t k = 0; k < count; k++) {
    Step64 low = s, high = s;
    at(low, k, -h);
    at(high, k, h);
    found.push_back((functional64(high) - functional64(low)) / (2 * h));
  }
  return found;
}

void expect_near(const char *what, const std::vector<double> &found, const std::vector<double> &expected,
                 double tolerance) {
  ASSERT_EQ(found.size(), expected.size());
  const double size = largest(expected);
  EXPECT_GT(size, 0) << what;
  double worst = 0;
  for (size_t k = 0; k < found.size(); k++) {
    const double error = std::fabs(found[k] - expected[k]);
    worst = error <= worst ? worst : std::isnan(error) ? INFINITY : error;
  }
  EXPECT_LT(worst / size, tolerance) << what;
}

class TransferReverse : public mote_test::OnDevice {};
MOTE_ON_DEVICES(TransferReverse);

/* What the kernels say, in the order of Gradients64. `keeps`: of the transfers as they were kept, after
   others took their place, where the device keeps them. */
Gradients64 run(Device &device, const Step64 &s, bool keeps = false) {
  mote_transfer transfer = {};
  mote_transfer_reverse room = {};
  mote_transfer_view &t = transfer.view;
  const size_t n = s.mass.size(), dim = size_t(s.dim), square = dim * dim;
  t.dim = s.dim;
  transfer.one_step = 1;
  t.count = int(n);
  t.boundary_cells = s.boundary_cells;
  t.collider_count = int(s.obstacles.size());
  t.law_count = 1;
  t.spacing = float(s.spacing);
  t.time_step = float(s.time_step);
  t.clip_low = float(s.clip_low);
  std::vector<mote_collider> colliders;
  for (const Obstacle64 &o : s.obstacles) {
    mote_collider c = {};
    c.shape = mote_collider_shape(o.shape);
    c.contact = mote_contact(o.contact);
    c.friction = float(o.friction);
    c.radius = float(o.radius);
    c.half_length = float(o.half_length);
    for (int d = 0; d < 3; d++) {
      c.center[d] = float(o.center[d]);
      c.normal[d] = float(o.normal[d]);
      c.half_size[d] = float(o.half_size[d]);
      c.velocity[d] = float(o.velocity[d]);
      c.angular_velocity[d] = float(o.angular_velocity[d]);
    }
    for (int d = 0; d < 4; d++) c.orientation[d] = float(o.orientation[d]);
    colliders.push_back(c);
  }
  for (int d = 0; d < 3; d++) {
    t.cells[d] = d < s.dim ? s.cells[d] : 1;
    t.lower[d] = d < s.dim ? float(s.lower) : 0;
    t.gravity[d] = float(s.gravity[d]);
    for (int side = 0; side < 2; side++)
      t.walls[d][side] = {mote_contact(s.wall_contact[d][side]), float(s.wall_friction[d][side])};
  }
  MOTE_EXPECT_OK(mote_transfer_reserve(device.stream, &transfer));
  mote_law law = {};
  law.kind = MOTE_NEURAL; /* no stress of its own */
  MOTE_EXPECT_OK(mote_upload(device.stream, transfer.buffers[MOTE_BUFFER_LAWS].data, &law, sizeof law));
  MOTE_EXPECT_OK(mote_upload(device.stream, transfer.buffers[MOTE_BUFFER_COLLIDERS].data, colliders.data(),
                             colliders.size() * sizeof(mote_collider)));
  auto narrow = [](const std::vector<double> &x) { return std::vector<float>(x.begin(), x.end()); };
  std::vector<float> identity(n * square), density(n);
  for (size_t k = 0; k < identity.size(); k++) identity[k] = k % square % (dim + 1) == 0;
  for (size_t p = 0; p < n; p++) density[p] = float(s.mass[p] / s.volume[p]);
  Array<float> x(device, narrow(s.position)), v(device, narrow(s.velocity)), C(device, narrow(s.affine)),
      F(device, identity), history(device, std::vector<float>(n, 0.f)), volume(device, narrow(s.volume)),
      rho(device, density), tau(device, narrow(s.stress));
  Array<int32_t> material(device, std::vector<int32_t>(n, 0));
  const mote_transfer_arrays arrays = {x, v, F, C, history, volume, rho, material, tau};
  Array<float> x1(device, x.host()), v1(device, v.host()), F1(device, identity), C1(device, C.host()),
      history1(device, history.host());
  const mote_transfer_arrays to = {x1, v1, F1, C1, history1, nullptr, nullptr, nullptr, nullptr};
  const struct mote_transfer_kernels *k = device->transfer;
  const mote_transfer_view *view = &transfer.view;
  mote_buffer memory = {};
  if (keeps && k->keeps) {
    MOTE_EXPECT_OK(mote_buffer_reserve(&memory, device.device, 1 << 20));
    mote_transfer_kept kept = {memory.data, 1024, 1};
    MOTE_EXPECT_OK(k->to_grid(device.stream, &transfer, &arrays, &kept));
    EXPECT_EQ(0u, kept.used); /* too little */
    kept.bytes = memory.bytes;
    MOTE_EXPECT_OK(k->to_grid(device.stream, &transfer, &arrays, &kept));
    EXPECT_GT(kept.used, 0u);
    MOTE_EXPECT_OK(k->g2p(device.stream, &transfer, &to));
    transfer.first_step = 7; /* colliders are elsewhere then */
    const mote_transfer_arrays other = {v, x, F, C, history, volume, rho, material, tau};
    MOTE_EXPECT_OK(k->to_grid(device.stream, &transfer, &other, nullptr));
    view = static_cast<const mote_transfer_view *>(memory.data);
  } else {
    MOTE_EXPECT_OK(k->to_grid(device.stream, &transfer, &arrays, nullptr));
  }
  Array<float> dx(device, narrow(s.by_position)), dv(device, narrow(s.by_velocity)),
      dC(device, narrow(s.by_affine)), dtau(device, std::vector<float>(n * square, NAN));
  Array<double> motion(device, std::vector<double>(s.obstacles.size() * MOTE_MOTION, 1.0));
  const mote_transfer_gradients gradients = {dx, dv, dC, dtau, volume};
  MOTE_EXPECT_OK(k->reverse(device.stream, view, &room, &gradients, motion));
  auto wide = [](const std::vector<float> &y) { return std::vector<double>(y.begin(), y.end()); };
  Gradients64 g = {wide(dx.host()), wide(dv.host()), wide(dC.host()), wide(dtau.host()), motion.host()};
  for (double &m : g.motion) m -= 1; /* it is added to */
  mote_buffer_free(&memory);
  mote_transfer_reverse_free(&room);
  mote_transfer_free(&transfer);
  return g;
}

} // namespace

TEST(TransferReverse64, IsTheGradient) {
  const double h = 1e-6;
  for (int dim : {2, 3})
    for (int kind : {0, 1, 2, 3}) {
      SCOPED_TRACE(std::to_string(dim) + "-D, kind " + std::to_string(kind));
      const Step64 s = made(dim, kind);
      const Contacts64 contacts = contacts64(s);
      EXPECT_GT(contacts.wall, 10);
      EXPECT_GT(contacts.clamped, 0);
      EXPECT_GT(contacts.obstacle, kind ? 10 : -1);
      const Gradients64 g = reverse64(s);
      expect_near(
          "position", g.position,
          differences(s, s.position.size(), h, [](Step64 &t, size_t k, double e) { t.position[k] += e; }),
          1e-5);
      expect_near(
          "velocity", g.velocity,
          differences(s, s.velocity.size(), h, [](Step64 &t, size_t k, double e) { t.velocity[k] += e; }),
          1e-5);
      expect_near("affine", g.affine,
                  differences(s, s.affine.size(), h, [](Step64 &t, size_t k, double e) { t.affine[k] += e; }),
                  1e-5);
      expect_near(
          "stress", g.stress,
          differences(s, s.stress.size(), 1e-4, [](Step64 &t, size_t k, double e) { t.stress[k] += e; }),
          1e-5);
      if (!kind) continue;
      expect_near("motion", g.motion,
                  differences(s, g.motion.size(), h,
                              [dim](Step64 &t, size_t k, double e) {
                                Obstacle64 &o = t.obstacles[k / MOTE_MOTION];
                                const size_t which = k % MOTE_MOTION / 3, a = k % 3;
                                double by[3] = {0, 0, 0};
                                if (dim == 2 && (which < 2 ? a == 2 : a != 2)) return; /* no motion of 2-D */
                                by[a] = e;
                                if (which == 0) o.center[a] += e;
                                if (which == 1) o.velocity[a] += e;
                                if (which == 2) o.angular_velocity[a] += e;
                                if (which == 3) turn(o, by);
                              }),
                  1e-5);
    }
}

TEST_P(TransferReverse, AgreesWithFloat64) {
  Device device{GetParam()};
  for (int dim : {2, 3})
    for (int kind : {0, 1, 2, 3}) {
      SCOPED_TRACE(std::to_string(dim) + "-D, kind " + std::to_string(kind));
      const Step64 s = made(dim, kind);
      const Gradients64 g = reverse64(s), found = run(device, s);
      expect_near("position", found.position, g.position, 2e-4);
      expect_near("velocity", found.velocity, g.velocity, 2e-4);
      expect_near("affine", found.affine, g.affine, 2e-4);
      expect_near("stress", found.stress, g.stress, 2e-4);
      if (kind) expect_near("motion", found.motion, g.motion, 2e-4);
      if (!device->transfer->keeps) continue;
      const Gradients64 kept = run(device, s, true);
      EXPECT_EQ(found.position, kept.position);
      EXPECT_EQ(found.velocity, kept.velocity);
      EXPECT_EQ(found.affine, kept.affine);
      EXPECT_EQ(found.stress, kept.stress);
      EXPECT_EQ(found.motion, kept.motion);
    }
}

TEST_P(TransferReverse, BitsRepeat) {
  /* on the CPU enough of them to wake threads */
  const Step64 s = made(3, 1, GetParam() == "cpu" ? 9000 : 60);
  mote_test::expect_reproducible(GetParam(), [&](Device &device) {
    const Gradients64 g = run(device, s);
    std::vector<float> all;
    for (const auto *part : {&g.position, &g.velocity, &g.affine, &g.stress, &g.motion})
      all.insert(all.end(), part->begin(), part->end());
    return all;
  });
}
