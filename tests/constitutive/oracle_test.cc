/* Stresses and returned deformation gradients of the four reference materials, computed elsewhere in float64.
   Tolerance 1e-4 of the largest entry, particle by particle: what the engine promises. */
#include "tests/constitutive/constitutive_testing.h"

#include <hdf5.h>

using mote_test::Array;
using mote_test::Device;

class OracleTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(OracleTest);

static std::vector<double> read(const std::string &path, const std::string &dataset) {
  hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  hid_t set = H5Dopen2(file, dataset.c_str(), H5P_DEFAULT);
  hid_t space = H5Dget_space(set);
  std::vector<double> values(size_t(std::max<hssize_t>(H5Sget_simple_extent_npoints(space), 0)));
  EXPECT_GE(H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0) << dataset;
  H5Sclose(space);
  H5Dclose(set);
  H5Fclose(file);
  return values;
}

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

/* The largest, over particles, of |a - b| / |b| with the Frobenius norm of a particle's matrix. */
static double worst(const std::vector<float> &a, const std::vector<double> &b) {
  double result = 0;
  for (size_t i = 0; i + 9 <= b.size(); i += 9) {
    double difference = 0, norm = 0;
    for (size_t k = i; k < i + 9; k++) {
      difference += (a[k] - b[k]) * (a[k] - b[k]);
      norm += b[k] * b[k];
    }
    double relative = std::sqrt(difference / norm);
    if (!(relative <= result)) result = relative;
  }
  return result;
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
