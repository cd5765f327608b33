/* What a CUDA device keeps: its ordinal and size, and the handles of the libraries, made when first used. */
#ifndef MOTE_CUDA_STATE_H
#define MOTE_CUDA_STATE_H

typedef struct mote_cuda_state {
  int ordinal;
  int multiprocessors, block_shared; /* bytes of shared memory that a block may have */
  void *blas;                        /* cublasHandle_t */
  void *sparse;                      /* cusparseHandle_t */
  void *blas_workspace;
} mote_cuda_state;

void mote_blas_close(mote_cuda_state *state);
void mote_sparse_close(mote_cuda_state *state);

#endif
