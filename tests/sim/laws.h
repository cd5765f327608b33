/* Neural laws for the tests of the simulation. */
#ifndef MOTE_TESTS_SIM_LAWS_H
#define MOTE_TESTS_SIM_LAWS_H

#include "host/models/neural_law.h"
#include "tests/sim/scenes.h"

namespace mote_test {

constexpr float stiffness = 1e5f, ratio = 0.25f; /* what bounds the time step */

/* One by chance, with plasticity. */
inline void write_random(const std::string &folder, int dim, float elasticity_scale = 2e4f) {
  Device device("cpu");
  const mote_neural_config config = {dim, 32, 2, elasticity_scale, 0.01f, 1, 0};
  mote_neural_law *law;
  MOTE_ASSERT_OK(mote_neural_law_create(device.device, &config, 4, &law));
  MOTE_ASSERT_OK(mote_neural_law_save(law, law->parameters.value, folder.c_str()));
  mote_neural_law_destroy(law);
}

inline int add_neural(Scene &made, const std::string &folder) {
  const int m = made.add_material(MOTE_NEURAL);
  made.material(m).youngs_modulus = stiffness;
  made.material(m).poisson_ratio = ratio;
  snprintf(made.material(m).law, sizeof made.material(m).law, "%s", folder.c_str());
  return m;
}

} // namespace mote_test
#endif
