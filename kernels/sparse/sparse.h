/* Products of sparse and dense matrices, for graph convolutions. cuSPARSE on the GPU. */
#ifndef MOTE_KERNELS_SPARSE_H
#define MOTE_KERNELS_SPARSE_H

#include <math.h>

#include "kernels/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

struct mote_sparse_kernels {
  /* c = alpha A b + beta c; A (rows, columns) in compressed rows, b (columns, width), c (rows, width), dense
     and contiguous. beta 0: c is not read. `nonzeros` -1: the host does not know (inside a recorded step);
     the device then uses a kernel of its own. */
  mote_status (*multiply)(mote_stream *stream, int64_t rows, int64_t columns, int64_t nonzeros,
                          const int32_t *row_offsets, const int32_t *column, const float *value, int width,
                          float alpha, const float *b, float beta, float *c, mote_buffer *scratch);

  /* value[e] = 1 / sqrt((1 + degree(receiver)) (1 + degree(sender))) for each edge of a symmetric graph with
     self-loops, degree not counting the loop: the propagation matrix of graph convolutions (Kipf and Welling
     2017). */
  mote_status (*normalize)(mote_stream *stream, int64_t n, int64_t capacity, const int32_t *row_offsets,
                           const int32_t *column, const int32_t *receiver, float *value);
};

static inline MOTE_HD float mote_propagation(const int32_t *row_offsets, int32_t receiver, int32_t sender) {
  float a = (float)(row_offsets[receiver + 1] - row_offsets[receiver]);
  float b = (float)(row_offsets[sender + 1] - row_offsets[sender]);
  return 1 / sqrtf(a * b);
}

#ifdef __cplusplus
}
#endif
#endif
