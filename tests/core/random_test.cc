/* The generator against the published known answers of Philox4x32-10, and the moments of what is made of it.
 */
#include <mote/random.h>

#include <gtest/gtest.h>

#include <cmath>

/* Known answers: the test vectors that Salmon et al. publish with Random123 (kat_vectors). */
TEST(Random, PhiloxKnownAnswers) {
  uint32_t w[4];
  mote_random_words(0, 0, 0, w);
  EXPECT_EQ(w[0], 0x6627e8d5u);
  EXPECT_EQ(w[1], 0xe169c58du);
  EXPECT_EQ(w[2], 0xbc57ac4cu);
  EXPECT_EQ(w[3], 0x9b00dbd8u);
  mote_random_words(~0ull, ~0ull, ~0ull, w);
  EXPECT_EQ(w[0], 0x408f276du);
  EXPECT_EQ(w[1], 0x41c83b0eu);
  EXPECT_EQ(w[2], 0xa20bc7c6u);
  EXPECT_EQ(w[3], 0x6d5451fdu);
}

TEST(Random, UniformAndNormalMoments) {
  const int n = 200000;
  double mean = 0, square = 0, normal_mean = 0, normal_square = 0;
  for (int i = 0; i < n; i++) {
    double u = mote_random_uniform(7, 3, i, i & 3);
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    double g = mote_random_normal(7, 4, i, i & 1);
    mean += u / n, square += u * u / n, normal_mean += g / n, normal_square += g * g / n;
  }
  /* Four standard errors of each estimate. */
  EXPECT_NEAR(mean, 0.5, 4 * std::sqrt(1.0 / 12 / n));
  EXPECT_NEAR(square, 1.0 / 3, 4 * std::sqrt(4.0 / 45 / n));
  EXPECT_NEAR(normal_mean, 0, 4 / std::sqrt(n));
  EXPECT_NEAR(normal_square, 1, 4 * std::sqrt(2.0 / n));
}

TEST(Random, BelowCoversItsRangeEvenly) {
  int count[7] = {};
  for (int i = 0; i < 70000; i++) count[mote_random_below(1, 2, i, 7)]++;
  for (int c : count) EXPECT_NEAR(c, 10000, 4 * std::sqrt(10000.0 * 6 / 7));
}
