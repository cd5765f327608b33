/* See blas.h. cuBLAS is column-major: a row-major C = A B is its C^T = B^T A^T, so operands change places. */
#include "cuda/blas.h"

#include "cuda/launch.h"
#include "cuda/state.h"

#ifdef MOTE_EMULATOR

#include <cblas.h>

void mote_blas_close(mote_cuda_state *state) {
  (void)state;
}

mote_status mote_cuda_sgemm(mote_stream *stream, int transpose_a, int transpose_b, int m, int n, int k,
                            float alpha, const float *a, int lda, const float *b, int ldb, float beta,
                            float *c, int ldc) {
  if (m <= 0 || n <= 0) return MOTE_OK;
  mote_emulator::run_library(
      "sgemm", mote_native(stream),
      [=](const float *a_seen, const float *b_seen, float *c_seen) {
        cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
                    transpose_b ? CblasTrans : CblasNoTrans, m, n, k, alpha, a_seen, lda, b_seen, ldb, beta,
                    c_seen, ldc);
      },
      a, b, c);
  return mote_launch_ended("sgemm");
}

#else

#include <cublas_v2.h>

/* Set by hand, so that a product neither allocates during a recording nor shares memory between handles.
   32 MiB is what cuBLAS asks for on Hopper. */
#define WORKSPACE_BYTES (32u << 20)

#define CUBLAS_TRY(call)                                                                                     \
  do {                                                                                                       \
    cublasStatus_t cublas_status_ = (call);                                                                  \
    if (cublas_status_ != CUBLAS_STATUS_SUCCESS)                                                             \
      return mote_fail(MOTE_ERROR_DEVICE, "%s: %s", #call, cublasGetStatusString(cublas_status_));           \
  } while (0)

void mote_blas_close(mote_cuda_state *state) {
  if (state->blas) cublasDestroy(static_cast<cublasHandle_t>(state->blas));
  if (state->blas_workspace) cudaFree(state->blas_workspace);
  state->blas = state->blas_workspace = nullptr;
}

static mote_status prepare(mote_cuda_state *state) {
  MOTE_CUDA_TRY(cudaSetDevice(state->ordinal));
  if (state->blas) return MOTE_OK;
  if (!state->blas_workspace) MOTE_CUDA_TRY(cudaMalloc(&state->blas_workspace, WORKSPACE_BYTES));
  cublasHandle_t handle;
  CUBLAS_TRY(cublasCreate(&handle));
  state->blas = handle;
  CUBLAS_TRY(cublasSetMathMode(handle, CUBLAS_PEDANTIC_MATH));
  return MOTE_OK;
}

mote_status mote_cuda_sgemm(mote_stream *stream, int transpose_a, int transpose_b, int m, int n, int k,
                            float alpha, const float *a, int lda, const float *b, int ldb, float beta,
                            float *c, int ldc) {
  if (m <= 0 || n <= 0) return MOTE_OK;
  mote_cuda_state *state = static_cast<mote_cuda_state *>(stream->device->native);
  MOTE_TRY(prepare(state));
  cublasHandle_t handle = static_cast<cublasHandle_t>(state->blas);
  CUBLAS_TRY(cublasSetStream(handle, mote_native(stream))); /* which also forgets the workspace */
  CUBLAS_TRY(cublasSetWorkspace(handle, state->blas_workspace, WORKSPACE_BYTES));
  CUBLAS_TRY(cublasSgemm(handle, transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                         transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, n, m, k, &alpha, b, ldb, a, lda, &beta, c,
                         ldc));
  return MOTE_OK;
}

#endif
