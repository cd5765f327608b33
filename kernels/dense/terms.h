/* Products of float32 matrices on processors that multiply tiles of bfloat16 (x86's AMX).

   The trick: a float32 has 24 bits of significand and a bfloat16 has 8, so that x = h + m + l exactly, three
   bfloat16 terms cut off one after the other. Of the nine products of two such sums the six largest are
   taken; the others are below 2^-21 of |x y| together, where a float32 sum of such a length is rounded
   anyway. Tiles multiply exactly and add in float32, at sixteen times the rate of fused multiply-adds, so
   that six products and the splitting take two thirds of the time (Henry, Tang and Heinecke 2019, "Leveraging
   the bfloat16 artificial intelligence datatype for higher-precision computations"). With two terms, x is off
   by up to 2^-16 of it, and three products do, in half of the time: MOTE_PRECISION_BFLOAT16X2.

   Infinities become NaN, and what is below 2^-110 loses bits. */
#ifndef MOTE_KERNELS_DENSE_TERMS_H
#define MOTE_KERNELS_DENSE_TERMS_H

#include "kernels/dense/dense.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Terms of packed weights as layers take them: of each 32 values, the inputs k and k + 1 of a panel, `count`
   times 32, in which the two alternate. Behind them stands a tile of zeros, as tiles are read whole. No terms
   where this processor, or the system on it, has no such tiles. */
int mote_term_count(mote_precision precision);
int mote_terms_precision(mote_precision precision); /* whether layers multiply so */
size_t mote_terms_room(int count, int64_t floats);
mote_status mote_terms_make(mote_stream *stream, int64_t floats, const float *packed, int count,
                            uint16_t *terms);

/* Whether a layer is computed so: an odd number of inputs does not pair, and few do not fill a tile. */
static inline int mote_terms_suit(const mote_linear *l) {
  return l->terms.data && l->in >= 16 && l->in % 2 == 0;
}

/* As mote_tile_linear(): y = the layer of x for `rows` rows, whose result depends on no other row. */
void mote_terms_linear(const mote_linear *l, int start, int rows, const float *x, int x_stride, float *y,
                       int y_stride);

/* Rows that the next products are of, on their way from memory while these are computed. */
typedef struct mote_later {
  const float *from[2];
  int64_t lines[2]; /* of MOTE_PANEL floats */
} mote_later;
/* The first of up to `lines` of them, which are taken off; `none` where nothing is left. They stand `stride`
   floats apart. */
static inline const float *mote_later_take(mote_later *later, int lines, const float *none, int *stride) {
  for (int k = 0; k < 2; k++)
    if (later->lines[k] > 0) {
      const float *from = later->from[k];
      later->from[k] += (int64_t)lines * MOTE_PANEL;
      later->lines[k] -= lines;
      *stride = MOTE_PANEL;
      return from;
    }
  *stride = 0;
  return none;
}

/* d_weight += the sum of the outer products of `rows` rows of x and dz, at most MOTE_TERM_ROWS, packed as the
   weights are, by `count` terms; of whole sixteens of inputs, how many of which is returned: none of small
   layers, which take longer so. Calls for what comes `later`. */
#define MOTE_TERM_ROWS 96
int mote_terms_outer(int count, int in, int out, int rows, const float *x, int x_stride, const float *dz,
                     int dz_stride, mote_later *later, float *d_weight);

#ifdef __cplusplus
}
#endif
#endif
