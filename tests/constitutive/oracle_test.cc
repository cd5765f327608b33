/* Stresses and returned deformation gradients of the four reference materials, computed elsewhere in float64.
   Tolerance 1e-4 of the largest entry, particle by particle: what the engine promises. */
#include "tests/constitutive/constitutive_testing.h"

#include "tests/support/oracle.h"

using mote_test::Array;
using mote_test::Device;
using mote_test::read;
using mote_test::worst;

class OracleTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(OracleTest);

static mote_material reference_material(const std::string &name) {
  mote_material m;
  if (name == "jelly") {
    m = material_of(MOTE_FIXED_COROTATED, 1e5f, 0.2f);
  } else if (name == "sand") {
    m = material_of(MOTE_DRUCKER_PRAGER, 1e6f, 0.2f);
    m.friction_angle = 25;
  } else if (name == "plasticine") {
    m = material_of(MOTE_VON_MISES, 3e5f, 0.25f);
    m.yield_stress = 5000;
  } else {
    m = material_of(MOTE_NEWTONIAN, 1e5f, 0.3f);
  }
  return m;
}

TEST_P(OracleTest, StressAndReturn) {
  MOTE_REQUIRE_SHARED(path, "oracles/constitutive.h5");
  Device device{GetParam()};
  std::vector<double> reference = read(path, "F");
  std::vector<float> F(reference.begin(), reference.end());
  const size_t n = F.size() / 9;
  ASSERT_GT(n, 0u);
  for (std::string name : {"jelly", "sand", "plasticine", "water"}) {
    State state(device, 3, {reference_material(name)}, F);
    state.stress();
    EXPECT_LT(worst(state.tau.host(), read(path, name + "/kirchhoff_stress")), 1e-4) << name;
    state.step(0); /* C = 0, dt = 0: the return mapping alone */
    EXPECT_LT(worst(state.F.host(), read(path, name + "/returned_F")), 1e-4) << name;
  }
}
