/* Folders of neural laws: what is written is read again, and what is wrong with one is said. */
#include <cstring>
#include <fstream>

#include "host/models/neural_law.h"
#include "tests/support/testing.h"

using mote_test::Device;
using mote_test::TemporaryFolder;

TEST(NeuralLawFiles, ComeBackAsTheyWere) {
  TemporaryFolder folder, again;
  Device device{"cpu"};
  const mote_neural_config config = {2, 24, 3, 2e5f, 0.002f, 0.05f, 1};
  mote_neural_law *law, *read;
  MOTE_ASSERT_OK(mote_neural_law_create(device.device, &config, 5, &law));
  MOTE_ASSERT_OK(mote_neural_law_save(law, law->parameters.value, folder.path.c_str()));
  MOTE_ASSERT_OK(mote_neural_law_open(device.device, folder.path.c_str(), &read));
  EXPECT_EQ(read->config.dim, 2);
  EXPECT_EQ(read->config.width, 24);
  EXPECT_EQ(read->config.hidden, 3);
  EXPECT_EQ(read->config.elasticity_scale, 2e5f);
  EXPECT_EQ(read->config.plasticity_scale, 0.002f);
  EXPECT_EQ(read->config.strain_scale, 0.05f);
  EXPECT_EQ(read->config.invariants, 1);
  ASSERT_EQ(read->parameters.floats, law->parameters.floats);
  EXPECT_EQ(0, std::memcmp(read->parameters.value, law->parameters.value,
                           size_t(law->parameters.floats) * sizeof(float)));
  mote_neural_law_destroy(law);
  mote_neural_law_destroy(read);
}

TEST(NeuralLawFiles, BadOnesAreNamed) {
  TemporaryFolder folder;
  Device device{"cpu"};
  const mote_neural_config config = {3, 8, 1, 1, 0, 1, 0};
  mote_neural_law *law;
  MOTE_ASSERT_OK(mote_neural_law_create(device.device, &config, 5, &law));
  MOTE_ASSERT_OK(mote_neural_law_save(law, law->parameters.value, folder.path.c_str()));
  mote_neural_law_destroy(law);
  const struct {
    const char *config, *says;
  } bad[] = {
      {R"({"architectures": ["LearnedSimulator"]})", "NeuralConstitutiveLaw"},
      {R"({"architectures": 3})", "NeuralConstitutiveLaw"},
      {R"({"architectures": ["NeuralConstitutiveLaw"], "dim": 4})", "dim"},
      {R"({"architectures": ["NeuralConstitutiveLaw"], "hidden_layers": 9})", "hidden_layers"},
      {R"({"architectures": ["NeuralConstitutiveLaw"], "elasticity_scale": -1})", "elasticity_scale"},
      {R"({"architectures": ["NeuralConstitutiveLaw"], "strain_scale": 0})", "strain_scale"},
      {R"({"architectures": ["NeuralConstitutiveLaw"], "form": "vector"})", "form"},
      {R"({"architectures": ["NeuralConstitutiveLaw"], "hidden_size": 9, "hidden_layers": 1})", "layers.0"},
      {R"({"architectures": ["NeuralConstitutiveLaw"], "hidden_size": 8, "hidden_layers": 1, )"
       R"("plasticity_scale": 1})",
       "plasticity"}};
  for (const auto &b : bad) {
    std::ofstream(folder.file("config.json")) << b.config;
    EXPECT_NE(MOTE_OK, mote_neural_law_open(device.device, folder.path.c_str(), &law)) << b.config;
    EXPECT_NE(std::string(mote_last_error()).find(b.says), std::string::npos) << mote_last_error();
    EXPECT_EQ(law, nullptr);
  }
  EXPECT_NE(MOTE_OK, mote_neural_law_open(device.device, folder.file("none").c_str(), &law));
}
