/* Materials as the public header has them: names, defaults that pass their own checks, errors that name the
   parameter, wave speeds. */
#include "tests/constitutive/constitutive_testing.h"

static void expect_error(mote_material material, const char *parameter, const char *value) {
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_material_check(&material));
  std::string message = mote_last_error();
  EXPECT_NE(message.find(parameter), std::string::npos) << message;
  EXPECT_NE(message.find(value), std::string::npos) << message;
  EXPECT_NE(message.find(material.name), std::string::npos) << message;
}

TEST(MaterialTest, NamesAndDefaults) {
  for (int k = 0; k < MOTE_MATERIAL_KINDS; k++) {
    mote_material_kind kind;
    mote_material material;
    MOTE_ASSERT_OK(mote_material_kind_from_name(mote_material_kind_name(mote_material_kind(k)), &kind));
    EXPECT_EQ(k, int(kind));
    mote_material_defaults(kind, &material);
    MOTE_EXPECT_OK(mote_material_check(&material));
    EXPECT_GT(mote_material_wave_speed(&material), 0);
  }
  mote_material_kind kind;
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_material_kind_from_name("jelly", &kind));
  EXPECT_NE(std::string(mote_last_error()).find("jelly"), std::string::npos);
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_material_kind_from_name(nullptr, &kind));
}

TEST(MaterialTest, ErrorsNameTheParameter) {
  mote_material m;
#define EXPECT_REFUSED(kind, member, value, text)                                                            \
  mote_material_defaults(kind, &m);                                                                          \
  m.member = value;                                                                                          \
  expect_error(m, #member, text)
  EXPECT_REFUSED(MOTE_FIXED_COROTATED, density, 0.f, "0");
  EXPECT_REFUSED(MOTE_FIXED_COROTATED, youngs_modulus, -1e5f, "-100000");
  EXPECT_REFUSED(MOTE_NEO_HOOKEAN, poisson_ratio, 0.5f, "0.5");
  EXPECT_REFUSED(MOTE_NEO_HOOKEAN, poisson_ratio, NAN, "nan");
  EXPECT_REFUSED(MOTE_NEWTONIAN, viscosity, -1.f, "-1");
  EXPECT_REFUSED(MOTE_NEWTONIAN, poisson_ratio, 0.f, "0");
  EXPECT_REFUSED(MOTE_NEWTONIAN, bulk_modulus, -3.f, "-3");
  mote_material_defaults(MOTE_NEWTONIAN, &m);
  m.bulk_modulus = 1e5f;
  m.gamma = 0.5f;
  expect_error(m, "gamma", "0.5");
  EXPECT_REFUSED(MOTE_HERSCHEL_BULKLEY, yield_stress, -1.f, "-1");
  EXPECT_REFUSED(MOTE_HERSCHEL_BULKLEY, consistency, 0.f, "0");
  EXPECT_REFUSED(MOTE_HERSCHEL_BULKLEY, flow_index, 0.01f, "0.01");
  EXPECT_REFUSED(MOTE_VISCOELASTIC, relaxation_time, 0.f, "0");
  EXPECT_REFUSED(MOTE_DRUCKER_PRAGER, friction_angle, 90.f, "90");
  EXPECT_REFUSED(MOTE_DRUCKER_PRAGER, cohesion, -0.1f, "-0.1");
  EXPECT_REFUSED(MOTE_DRUCKER_PRAGER, volume_correction, 2.f, "2");
  EXPECT_REFUSED(MOTE_VON_MISES, yield_stress, 0.f, "0");
  EXPECT_REFUSED(MOTE_VON_MISES, hardening, INFINITY, "inf");
#undef EXPECT_REFUSED
  mote_material_defaults(MOTE_FIXED_COROTATED, &m);
  m.viscosity = -5; /* not one of its parameters */
  MOTE_EXPECT_OK(mote_material_check(&m));
  m.kind = mote_material_kind(99);
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_material_check(&m));
}

TEST(MaterialTest, WaveSpeed) {
  mote_material m = material_of(MOTE_FIXED_COROTATED, 1e5f, 0.2f); /* lambda + 2 mu = 1.1111e5 */
  EXPECT_NEAR(mote_material_wave_speed(&m), std::sqrt(1e5 * 0.8 / (1.2 * 0.6) / 1000), 1e-3);
  m = material_of(MOTE_NEWTONIAN, 1e5f, 0.3f);
  EXPECT_NEAR(mote_material_wave_speed(&m), std::sqrt(1e5 * 0.3 / (1.3 * 0.4) / 1000), 1e-3);
  m.bulk_modulus = 4e6f;
  EXPECT_NEAR(mote_material_wave_speed(&m), std::sqrt(4e3), 1e-3);
}
