/* config.json written and read back: the same model. */
#include <cmath>
#include <cstring>

#include "host/models/network_config.h"
#include "host/models/scaling.h"
#include "tests/io/files.h"
#include "tests/support/checkpoint.h"
#include "tests/support/testing.h"

namespace {

class ConfigWriteTest : public ::testing::Test {
protected:
  /* What comes back. */
  mote_network_config round(const mote_network_config &config) {
    mote_network_config back;
    memset(&back, 0x5a, sizeof back);
    EXPECT_EQ(MOTE_OK, mote_network_config_write(path.c_str(), &config)) << mote_last_error();
    EXPECT_EQ(MOTE_OK, mote_network_config_read(path.c_str(), &back)) << mote_last_error();
    return back;
  }
  void expect_same(const mote_network_config &config, const std::string &name) {
    mote_network_config a = config, b = round(config);
    /* A file's tensors tell these. */
    a.latent.width = a.latent.experts = a.latent.inner = 0;
    b.latent.width = b.latent.experts = b.latent.inner = 0;
    EXPECT_EQ(a.kind, b.kind) << name;
    EXPECT_EQ(a.dim, b.dim) << name;
    EXPECT_EQ(a.noise, b.noise) << name;
    EXPECT_EQ(a.convolution, b.convolution) << name;
    EXPECT_EQ(a.has_latent, b.has_latent) << name;
    EXPECT_EQ(a.latent.radius, b.latent.radius) << name;
    for (int k = 0; k < 6; k++) {
      double *low = &a.latent.limits[0][0] + k, *back = &b.latent.limits[0][0] + k;
      EXPECT_NEAR(*low, *back, 4e-16 * std::fabs(*low)) << name;
      *back = *low;
    }
    EXPECT_EQ(0, memcmp(&a, &b, sizeof a)) << name << "\n" << mote_test::slurp(path);
  }
  mote_test::TemporaryFolder folder;
  std::string path = folder.file("config.json");
};

} // namespace

TEST_F(ConfigWriteTest, PublishedModels) {
  mote_network_config config;
  mote_network_config_published(MOTE_GIOROM, &config);
  expect_same(config, "giorom");
  mote_network_config_published(MOTE_GNS, &config);
  expect_same(config, "gns");
}

TEST_F(ConfigWriteTest, Variants) {
  for (const mote_test::Checkpoint &c : mote_test::checkpoints()) {
    mote_network_config config;
    mote_test::spill(path, mote_test::config_text(c));
    MOTE_ASSERT_OK(mote_network_config_read(path.c_str(), &config));
    expect_same(config, c.name);
    std::string once = mote_test::slurp(path);
    round(round(config));
    EXPECT_EQ(once, mote_test::slurp(path)) << c.name;
  }
}

/* Numbers that no short decimal is, and both ends of what is allowed. */
TEST_F(ConfigWriteTest, AwkwardNumbers) {
  mote_network_config config;
  mote_network_config_published(MOTE_GIOROM, &config);
  const float awkward[] = {
      0.1f, 1.0f / 3, 6.7e-4f, std::nextafter(0.125f, 1.f), 1e-6f, 16777217.f / 16777216, 9.8765432e-5f};
  for (float x : awkward) {
    config.noise = x;
    config.stop = x * 7;
    config.clip = config.latent.radius = x * 1.1f;
    config.convolution_alpha = x / 3;
    config.latent.limits[1][0] = -1.0 / 3;
    config.latent.limits[1][1] = 0.1 + 0.2;
    expect_same(config, std::to_string(x));
  }
  EXPECT_NE(std::string::npos, mote_test::slurp(path).find("\"noise_std\""));
  config.noise = 6.7e-4f;
  round(config); /* as a person would write it */
  EXPECT_NE(std::string::npos, mote_test::slurp(path).find("0.00067,")) << mote_test::slurp(path);
}

/* Where a step stops particles: so far beyond the bounds, and nowhere without the key. */
TEST_F(ConfigWriteTest, WallStop) {
  mote_model model = {};
  mote_metadata metadata = {};
  mote_integration integration;
  mote_network_config_published(MOTE_GNS, &model.config);
  metadata.bounds[1][0] = 0.25, metadata.bounds[1][1] = 0.5;
  mote_model_integration(&model, &metadata, &integration);
  EXPECT_EQ(-INFINITY, integration.lower[1]);
  EXPECT_EQ(INFINITY, integration.upper[1]);
  round(model.config);
  EXPECT_EQ(std::string::npos, mote_test::slurp(path).find("wall_stop"));
  model.config.stop = 0.125f;
  model.config = round(model.config);
  mote_model_integration(&model, &metadata, &integration);
  EXPECT_EQ(0.125f, integration.lower[1]);
  EXPECT_EQ(0.625f, integration.upper[1]);
}

TEST_F(ConfigWriteTest, WholeOrNotAtAll) {
  mote_network_config config;
  mote_network_config_published(MOTE_GNS, &config);
  EXPECT_EQ(MOTE_ERROR_IO, mote_network_config_write(folder.file("no/config.json").c_str(), &config));
  EXPECT_TRUE(mote_test::names_in(folder.path).empty());
}
