/* Dense matrix products in device memory: cuBLAS, or a CBLAS on the emulated device. */
#ifndef MOTE_CUDA_BLAS_H
#define MOTE_CUDA_BLAS_H

#include "host/core/device.h"

/* C names, by which tests find them in the device's shared object. */
extern "C" {

/* C = alpha op(A) op(B) + beta C, row-major, float32 throughout (no TF32). op(A) is (m, k), op(B) (k, n), C
   (m, n); a non-zero transpose_* means that the stored matrix is the transpose. ld* is the distance in
   floats between the rows as stored. May be recorded for replay once it has run on the device. */
mote_status mote_cuda_sgemm(mote_stream *stream, int transpose_a, int transpose_b, int m, int n, int k,
                            float alpha, const float *a, int lda, const float *b, int ldb, float beta,
                            float *c, int ldc);

} // extern "C"

#endif
