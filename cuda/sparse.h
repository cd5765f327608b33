/* Products of a sparse matrix in CSR with a dense one, in device memory: cuSPARSE, or a loop on the emulated
   device. */
#ifndef MOTE_CUDA_SPARSE_H
#define MOTE_CUDA_SPARSE_H

#include <stdint.h>

#include "host/core/device.h"

/* C names, by which tests find them in the device's shared object. */
extern "C" {

/* C = alpha A B + beta C, float32. A is (rows, columns) in CSR: row_start (rows+1), column and value
   (nonzeros); B (columns, width) and C (rows, width) are dense and row-major. The order of each sum is fixed.
 */
mote_status mote_cuda_spmm(mote_stream *stream, int64_t rows, int64_t columns, int64_t nonzeros,
                           const int32_t *row_start, const int32_t *column, const float *value, int width,
                           float alpha, const float *b, float beta, float *c, mote_buffer *scratch);

} // extern "C"

#endif
