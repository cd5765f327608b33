/* What stress and energy have to obey whatever the material: the stress is the energy's derivative, rest is
   free of stress, rotations rotate, the plane is the solid in plane strain. */
#include "tests/constitutive/constitutive_testing.h"

using mote_test::Device;

class ElasticTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(ElasticTest);

static double norm(const Matrix &a) {
  double sum = 0;
  for (double x : a) sum += x * x;
  return std::sqrt(sum);
}
static Matrix minus(Matrix a, const Matrix &b) {
  for (int k = 0; k < 9; k++) a[k] -= b[k];
  return a;
}
/* widen() puts 1 outside of the plane; a stress has 0 there. */
static Matrix widen_stress(const float *tau, int dim) {
  Matrix m = widen(tau, dim);
  if (dim == 2) m[8] = 0;
  return m;
}

/* tau = dPsi/dF F^T, the derivative by central differences of the float64 energy (error 1e-9), and the energy
   kernel against the same energy. float32 leaves 1e-7 / strain = 1e-6 of the stress; tolerance 2e-5. */
TEST_P(ElasticTest, StressIsTheDerivativeOfTheEnergy) {
  Device device{GetParam()};
  for (int dim : {2, 3})
    for (mote_material material : all_materials()) {
      material.viscosity = 0;
      const int n = 64, size = dim * dim;
      std::vector<float> F = random_deformations(dim, n, 0.1, 5);
      State state(device, dim, {material}, F);
      double J = 1;
      if (material.kind == MOTE_VISCOELASTIC) J = 1.05; /* log J of its own */
      std::vector<float> history(n, float(std::log(J)));
      MOTE_ASSERT_OK(mote_upload(device.stream, state.history, history.data(), n * sizeof(float)));
      state.stress();
      std::vector<float> tau = state.tau.host(), energy = state.energy();
      for (int i = 0; i < n; i++) {
        Matrix f = widen(&F[size_t(i * size)], dim), P{};
        const double h = 1e-6;
        for (int r = 0; r < dim; r++)
          for (int c = 0; c < dim; c++) {
            Matrix up = f, down = f;
            up[r * 3 + c] += h;
            down[r * 3 + c] -= h;
            P[r * 3 + c] =
                (reference_energy(material, up, J) - reference_energy(material, down, J)) / (2 * h);
          }
        Matrix expected = multiply(P, transpose(f));
        if (dim == 2) expected[2] = expected[5] = expected[6] = expected[7] = expected[8] = 0;
        if (material.kind == MOTE_VISCOELASTIC) { /* the volume part is not a derivative by b_e's F */
          double nu = material.poisson_ratio,
                 lambda = material.youngs_modulus * nu / ((1 + nu) * (1 - 2 * nu));
          for (int k = 0; k < dim; k++) expected[k * 4] += lambda * J * (J - 1);
        }
        ASSERT_LT(norm(minus(widen_stress(&tau[size_t(i * size)], dim), expected)),
                  2e-5 * (norm(expected) + 1e3))
            << mote_material_kind_name(material.kind) << " " << dim << " " << i;
        ASSERT_NEAR(energy[size_t(i)], reference_energy(material, f, J),
                    2e-5 * (reference_energy(material, f, J) + 100))
            << mote_material_kind_name(material.kind) << " " << dim << " " << i;
      }
    }
}

/* At rest, and after steps without motion, the stress is 0 exactly, the energy too, and F stays I. */
TEST_P(ElasticTest, RestIsFreeOfStress) {
  Device device{GetParam()};
  for (int dim : {2, 3}) {
    std::vector<mote_material> materials = all_materials();
    std::vector<float> F;
    for (size_t i = 0; i < materials.size(); i++) append(identity(), dim, F);
    State state(device, dim, materials, F);
    state.stress();
    for (float t : state.tau.host()) EXPECT_EQ(t, 0.f);
    for (int i = 0; i < 10; i++) state.step(1e-3f);
    for (float t : state.tau.host()) EXPECT_EQ(t, 0.f);
    for (float e : state.energy()) EXPECT_EQ(e, 0.f);
    EXPECT_EQ(F, state.F.host());
  }
}

/* Any rotation is free of stress: F in float32 is a rotation to 1e-7, so that strains and stresses stay below
   1e-6 of the moduli (1e5 Pa); Tait's pressure is as stiff. */
TEST_P(ElasticTest, RotationIsFreeOfStress) {
  Device device{GetParam()};
  for (int dim : {2, 3}) {
    std::vector<mote_material> materials = all_materials();
    std::vector<float> F;
    for (int i = 0; i < 200; i++) append(rotation(9, i, dim), dim, F);
    State state(device, dim, materials, F);
    state.step(1e-3f);
    for (float t : state.tau.host()) EXPECT_LT(std::fabs(t), 1e-6 * 4e5);
  }
}

/* With Q F and Q C Q^T in place of F and C a step gives Q tau Q^T, to 1e-5 of E (1e5 Pa) times the strain F^T
   F - I, the stress before it yields, and 1e-6 of lambda + 2 mu, which is what the rounding of F leaves. */
TEST_P(ElasticTest, FrameIndifference) {
  Device device{GetParam()};
  for (int dim : {2, 3}) {
    std::vector<mote_material> materials = all_materials();
    const int n = 400, size = dim * dim;
    std::vector<float> F = random_deformations(dim, n, 0.1, 21), C = random_gradients(dim, n, 10, 22);
    std::vector<float> F_turned, C_turned;
    for (int i = 0; i < n; i++) {
      Matrix Q = rotation(23, i, dim), c = widen(&C[size_t(i * size)], dim);
      append(multiply(Q, widen(&F[size_t(i * size)], dim)), dim, F_turned);
      append(multiply(multiply(Q, c), transpose(Q)), dim, C_turned);
    }
    State plain(device, dim, materials, F), turned(device, dim, materials, F_turned);
    plain.set_gradient(C);
    turned.set_gradient(C_turned);
    for (int step = 0; step < 2; step++) {
      plain.step(1e-3f);
      turned.step(1e-3f);
    }
    std::vector<float> a = plain.tau.host(), b = turned.tau.host();
    for (int i = 0; i < n; i++) {
      Matrix Q = rotation(23, i, dim), f = widen(&F[size_t(i * size)], dim);
      Matrix expected = multiply(multiply(Q, widen_stress(&a[size_t(i * size)], dim)), transpose(Q));
      ASSERT_LT(norm(minus(widen_stress(&b[size_t(i * size)], dim), expected)),
                0.15 + 1e-5 * 1e5 * norm(minus(multiply(transpose(f), f), identity())))
          << mote_material_kind_name(materials[size_t(i) % materials.size()].kind) << " " << dim << " " << i;
    }
  }
}

/* Plane strain: the stress in the plane of a 3-D particle that moves in the plane. Plastic laws take the
   plane's deviator, which is the solid's where the volume stays: they are compared in simple shear.
   Drucker-Prager has another cone in 2-D (see its test). Tolerance 0.5 Pa: 5e-6 of E. */
TEST_P(ElasticTest, ThePlaneIsPlaneStrain) {
  Device device{GetParam()};
  for (mote_material material : all_materials()) {
    if (material.kind == MOTE_DRUCKER_PRAGER) continue;
    bool plastic = material.kind == MOTE_VON_MISES || material.kind == MOTE_HERSCHEL_BULKLEY;
    const int n = 100;
    std::vector<float> F2, F3, C2, C3;
    for (int i = 0; i < n; i++) {
      Matrix f = identity(), c{};
      if (!plastic) f = widen(&random_deformations(2, 1, 0.1, 40 + uint64_t(i))[0], 2);
      double shear = 30 * mote_random_normal(41, 1, i, 0), stretch = 30 * mote_random_normal(41, 2, i, 0);
      c[1] = shear; /* alone it keeps the volume, whatever the step */
      if (!plastic) c[0] = stretch, c[3] = 10, c[4] = 20;
      if (material.kind == MOTE_VISCOELASTIC || material.kind == MOTE_NEWTONIAN) f = identity();
      append(f, 2, F2);
      append(f, 3, F3);
      append(c, 2, C2);
      append(c, 3, C3);
    }
    State plane(device, 2, {material}, F2), solid(device, 3, {material}, F3);
    plane.set_gradient(C2);
    solid.set_gradient(C3);
    for (int step = 0; step < 4; step++) {
      plane.step(2e-4f);
      solid.step(2e-4f);
    }
    std::vector<float> a = plane.tau.host(), b = solid.tau.host();
    for (int i = 0; i < n; i++)
      for (int r = 0; r < 2; r++)
        for (int c = 0; c < 2; c++)
          ASSERT_NEAR(a[size_t(i * 4 + r * 2 + c)], b[size_t(i * 9 + r * 3 + c)], 0.5)
              << mote_material_kind_name(material.kind) << " " << i;
  }
}
