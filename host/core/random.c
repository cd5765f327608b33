/* Philox4x32-10: ten rounds of multiply, xor and a key that advances by a Weyl sequence. */
#include <mote/random.h>

#include <math.h>

static void philox_round(uint32_t c[4], const uint32_t k[2]) {
  uint64_t p0 = (uint64_t)0xD2511F53u * c[0];
  uint64_t p1 = (uint64_t)0xCD9E8D57u * c[2];
  uint32_t c0 = (uint32_t)(p1 >> 32) ^ c[1] ^ k[0];
  uint32_t c2 = (uint32_t)(p0 >> 32) ^ c[3] ^ k[1];
  c[1] = (uint32_t)p1;
  c[3] = (uint32_t)p0;
  c[0] = c0;
  c[2] = c2;
}

void mote_random_words(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t words[4]) {
  uint32_t k[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
  words[0] = (uint32_t)counter;
  words[1] = (uint32_t)(counter >> 32);
  words[2] = (uint32_t)stream;
  words[3] = (uint32_t)(stream >> 32);
  for (int round = 0; round < 10; round++) {
    philox_round(words, k);
    k[0] += 0x9E3779B9u;
    k[1] += 0xBB67AE85u;
  }
}

float mote_random_uniform(uint64_t seed, uint64_t stream, uint64_t counter, int word) {
  uint32_t w[4];
  mote_random_words(seed, stream, counter, w);
  return (float)(w[word & 3] >> 8) * 0x1p-24f;
}

double mote_random_uniform_f64(uint64_t seed, uint64_t stream, uint64_t counter, int pair) {
  uint32_t w[4];
  mote_random_words(seed, stream, counter, w);
  uint64_t bits = (uint64_t)w[2 * (pair & 1)] << 32 | w[2 * (pair & 1) + 1];
  return (double)(bits >> 11) * 0x1p-53;
}

float mote_random_normal(uint64_t seed, uint64_t stream, uint64_t counter, int pair) {
  uint32_t w[4];
  mote_random_words(seed, stream, counter, w);
  double u = ((double)w[2 * (pair & 1)] + 0.5) * 0x1p-32; /* in (0, 1): the logarithm is finite */
  double v = (double)w[2 * (pair & 1) + 1] * 0x1p-32;
  return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

uint64_t mote_random_below(uint64_t seed, uint64_t stream, uint64_t counter, uint64_t bound) {
  uint32_t w[4];
  mote_random_words(seed, stream, counter, w);
  uint64_t bits = (uint64_t)w[0] << 32 | w[1];
  return (uint64_t)(((unsigned __int128)bits * bound) >> 64);
}
