/* Choosing the sparse set: which points of a cloud stand for the rest. The choice depends on the points, the
   options and the seed alone: not on devices, not on threads. */
#ifndef MOTE_SAMPLE_H
#define MOTE_SAMPLE_H

#include <stdint.h>

#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mote_sample_method {
  MOTE_SAMPLE_UNIFORM,  /* every subset of the size equally likely */
  MOTE_SAMPLE_FARTHEST, /* from a random point on, always the point farthest from those chosen, the smaller
                           index first among equals (Gonzalez 1985; Eldar et al. 1997) */
  MOTE_SAMPLE_POISSON   /* in random order, every point that keeps its distance from those chosen (dart
                           throwing,   Cook 1986) */
} mote_sample_method;

typedef struct mote_sample_options {
  mote_sample_method method;
  /* One of the three says how many: */
  int64_t count; /* points to choose, 1 to n */
  double ratio;  /* when count is 0: the part of the points to choose, above 0 to 1; rounded to nearest, at
                    least 1 */
  float radius;  /* when both are 0, Poisson-disk only: the distance to keep */
  uint64_t seed;
  const int32_t
      *groups; /* (n) or NULL: body or material of each point; each is sampled by itself and gets its share
                  of the count (largest remainder), at least one point if there are enough */
} mote_sample_options;

/* Chooses among positions (n, dim) in host memory, dim 2 or 3. `indices` has room for n entries, or for
   mote_sample_count() where that is known; the chosen come in ascending order and `chosen` says how many.
   Poisson-disk by count finds the distance that yields at least that many and stops at the count; `radius`
   (may be NULL) receives the distance kept, the smallest of the groups'. Uniform: O(n). Farthest-point: about
   O((n + count) log n). Errors: MOTE_ERROR_ARGUMENT for options out of range, MOTE_ERROR_NUMERIC for
   coordinates that are not finite. */
mote_status mote_sample(const float *positions, int64_t n, int dim, const mote_sample_options *options,
                        int32_t *indices, int64_t *chosen, float *radius);

/* How many points the options ask for out of n; -1 when a Poisson-disk radius decides. */
int64_t mote_sample_count(const mote_sample_options *options, int64_t n);

#ifdef __cplusplus
}
#endif
#endif
