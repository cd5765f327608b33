/* Counter-based random numbers (Philox4x32-10; Salmon et al. 2011, "Parallel random numbers: as easy as
   1, 2, 3"). A number is a function of (seed, stream, counter) alone, so streams do not depend on the number
   of threads or on the order in which elements are visited. */
#ifndef MOTE_RANDOM_H
#define MOTE_RANDOM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Four independent 32-bit words for element `counter` of stream `stream`. */
void mote_random_words(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t words[4]);

/* Uniform in [0, 1) with 24 random bits; `word` 0..3 selects one of the four words of the counter. */
float mote_random_uniform(uint64_t seed, uint64_t stream, uint64_t counter, int word);

/* Uniform in [0, 1) with 53 random bits, from words 2*pair and 2*pair+1; pair 0 or 1. */
double mote_random_uniform_f64(uint64_t seed, uint64_t stream, uint64_t counter, int pair);

/* Standard normal (Box-Muller) from words 2*pair and 2*pair+1; pair 0 or 1. */
float mote_random_normal(uint64_t seed, uint64_t stream, uint64_t counter, int pair);

/* Uniform integer in [0, bound), bound > 0, by 64-bit multiply-shift of words 0 and 1. */
uint64_t mote_random_below(uint64_t seed, uint64_t stream, uint64_t counter, uint64_t bound);

#ifdef __cplusplus
}
#endif
#endif
