/* The vector form against the scalar form, for every kind and groups that mix them, and the elementary
   functions against the library's. Both forms are the same source: they may differ by the contraction of
   products, 1e-7 of each term, and so 1e-5 of the stress. */
#include "tests/constitutive/constitutive_testing.h"

#include "kernels/constitutive/lanes.h"

static void compare(int dim, const mote_law *laws, const int32_t *material, uint64_t seed) {
  const int n = MOTE_LANES, size = dim * dim;
  std::vector<float> F = random_deformations(dim, n, 0.05, seed), C = random_gradients(dim, n, 20, seed + 1);
  alignas(64) float c[9][MOTE_LANES], f[9][MOTE_LANES], t[9][MOTE_LANES], h[MOTE_LANES], still[9][MOTE_LANES];
  for (int i = 0; i < n; i++) {
    h[i] = 0.01f * float(i % 3);
    for (int k = 0; k < size; k++) {
      c[k][i] = C[size_t(i * size + k)];
      f[k][i] = F[size_t(i * size + k)];
    }
  }
  bool uniform = true;
  for (int i = 1; i < n; i++) uniform &= material[i] == material[0];
  const mote_law *law = &laws[material[0]];
  if (uniform) (dim == 3 ? mote_law_stress3_lanes : mote_law_stress2_lanes)(law, c, f, h, still);
  (dim == 3 ? mote_laws_step3_lanes : mote_laws_step2_lanes)(laws, material, 1e-3f, c, f, h, t);
  for (int i = 0; i < n; i++) {
    const mote_law *own = &laws[material[i]];
    float history = 0.01f * float(i % 3), tau[9];
    float *Fi = &F[size_t(i * size)], *Ci = &C[size_t(i * size)];
    if (uniform) {
      (dim == 3 ? mote_law_stress3 : mote_law_stress2)(own, Ci, Fi, history, tau);
      for (int k = 0; k < size; k++) ASSERT_NEAR(still[k][i], tau[k], 1.0) << own->kind << " " << i;
    }
    (dim == 3 ? mote_law_step3 : mote_law_step2)(own, 1e-3f, Ci, Fi, &history, tau);
    for (int k = 0; k < size; k++) {
      ASSERT_NEAR(t[k][i], tau[k], 1.0) << own->kind << " " << i; /* 1e-5 of 1e5 Pa */
      ASSERT_NEAR(f[k][i], Fi[k], 2e-6) << own->kind << " " << i;
    }
    ASSERT_NEAR(h[i], history, 2e-6) << own->kind << " " << i;
  }
}

TEST(LanesTest, EqualTheScalarForm) {
  std::vector<mote_law> laws;
  for (const mote_material &material : all_materials()) laws.push_back(law_of(material));
  for (int dim : {2, 3}) {
    for (size_t m = 0; m < laws.size(); m++) {
      int32_t same[MOTE_LANES];
      for (int32_t &x : same) x = int32_t(m);
      for (uint64_t trial = 0; trial < 20; trial++) compare(dim, laws.data(), same, 100 + trial * 2);
    }
    int32_t mixed[MOTE_LANES];
    for (int i = 0; i < MOTE_LANES; i++) mixed[i] = int32_t(size_t(i * 7) % laws.size());
    compare(dim, laws.data(), mixed, 300);
  }
}

/* Elements that are flat, inverted or far out of range give numbers, not NaN, and Hencky laws bring them
 * back. */
TEST(LanesTest, DegenerateElementsStayFinite) {
  std::vector<std::vector<float>> bad = {{0, 0, 0, 0, 0, 0, 0, 0, 0},  {-1, 0, 0, 0, 1, 0, 0, 0, 1},
                                         {1, 0, 0, 0, 1, 0, 0, 0, 0},  {1, 1, 1, 1, 1, 1, 1, 1, 1},
                                         {50, 0, 0, 0, 1, 0, 0, 0, 1}, {1e-6f, 0, 0, 0, 1, 0, 0, 0, -1}};
  for (const mote_material &material : all_materials())
    for (std::vector<float> F : bad) {
      mote_law law = law_of(material);
      float C[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, tau[9], history = 0;
      for (int step = 0; step < 3; step++) mote_law_step3(&law, 1e-4f, C, F.data(), &history, tau);
      for (int k = 0; k < 9; k++)
        ASSERT_TRUE(std::isfinite(F[size_t(k)]) && std::isfinite(tau[k]) && std::isfinite(history))
            << mote_material_kind_name(material.kind);
      if (material.kind == MOTE_DRUCKER_PRAGER || material.kind == MOTE_VON_MISES) {
        EXPECT_GT(determinant(widen(F.data(), 3)), 0);
      }
    }
}

TEST(RealTest, LogarithmAndExponential) {
  double log_error = 0, log1p_error = 0, exp_error = 0, expm1_error = 0;
  for (int i = 0; i < 200000; i++) {
    double u = mote_random_uniform_f64(1, 5, uint64_t(i), 0),
           v = mote_random_uniform_f64(1, 6, uint64_t(i), 0);
    float wide = float(std::exp((u - 0.5) * 170)), near = float(1 + (u - 0.5) * std::exp(-15 * v));
    for (float x : {wide, near})
      if (x != 1) log_error = std::max(log_error, std::fabs(mote_log(x) / std::log(double(x)) - 1));
    float small = float((u - 0.5) * std::exp(-30 * v));
    if (small == 0) continue;
    log1p_error = std::max(log1p_error, std::fabs(mote_log1p(small) / std::log1p(double(small)) - 1));
    expm1_error = std::max(expm1_error, std::fabs(mote_expm1(small) / std::expm1(double(small)) - 1));
    float power = float((u - 0.5) * 170);
    exp_error = std::max(exp_error, std::fabs(mote_exp(power) / std::exp(double(power)) - 1));
  }
  EXPECT_LT(log_error, 2e-7); /* 2 units in the last place */
  EXPECT_LT(log1p_error, 2e-7);
  EXPECT_LT(exp_error, 2e-7);
  EXPECT_LT(expm1_error, 3e-7);
}

/* The same bits with one thread and with three. */
TEST(LanesTest, ThreadsDoNotChangeBits) {
  std::vector<float> result[2];
  for (int t = 0; t < 2; t++) {
    mote_test::Device device{"cpu", t == 0 ? 1 : 3};
    State state(device, 3, all_materials(), random_deformations(3, 20003, 0.1, 31));
    state.set_gradient(random_gradients(3, 20003, 20, 32));
    for (int step = 0; step < 3; step++) state.step(1e-3f);
    for (auto *array : {&state.F, &state.tau, &state.history}) {
      std::vector<float> values = array->host();
      result[t].insert(result[t].end(), values.begin(), values.end());
    }
  }
  EXPECT_EQ(0, memcmp(result[0].data(), result[1].data(), result[0].size() * sizeof(float)));
}
