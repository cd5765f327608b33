/* See sparse.h. The descriptors only hold sizes and pointers, so they are made anew for each call. */
#include "cuda/sparse.h"

#include "cuda/launch.h"
#include "cuda/state.h"

#ifdef MOTE_EMULATOR

void mote_sparse_close(mote_cuda_state *state) {
  (void)state;
}

mote_status mote_cuda_spmm(mote_stream *stream, int64_t rows, int64_t, int64_t, const int32_t *row_start,
                           const int32_t *column, const float *value, int width, float alpha, const float *b,
                           float beta, float *c, mote_buffer *) {
  if (rows <= 0 || width <= 0) return MOTE_OK;
  mote_emulator::run_library(
      "spmm", mote_native(stream),
      [=](const int32_t *starts, const int32_t *columns_seen, const float *values, const float *dense,
          float *out) {
        for (int64_t r = 0; r < rows; r++)
          for (int64_t j = 0; j < width; j++) {
            float sum = 0;
            for (int32_t e = starts[r]; e < starts[r + 1]; e++)
              sum += values[e] * dense[int64_t(columns_seen[e]) * width + j];
            float &target = out[r * width + j];
            target = alpha * sum + (beta == 0 ? 0 : beta * target);
          }
      },
      row_start, column, value, b, c);
  return mote_launch_ended("spmm");
}

#else

#include <cusparse.h>

#define CUSPARSE_TRY(call)                                                                                   \
  do {                                                                                                       \
    cusparseStatus_t cusparse_status_ = (call);                                                              \
    if (cusparse_status_ != CUSPARSE_STATUS_SUCCESS)                                                         \
      return mote_fail(MOTE_ERROR_DEVICE, "%s: %s", #call, cusparseGetErrorString(cusparse_status_));        \
  } while (0)

void mote_sparse_close(mote_cuda_state *state) {
  if (state->sparse) cusparseDestroy(static_cast<cusparseHandle_t>(state->sparse));
  state->sparse = nullptr;
}

struct spmm_operands {
  cusparseSpMatDescr_t a = nullptr;
  cusparseDnMatDescr_t b = nullptr, c = nullptr;
  ~spmm_operands() {
    if (a) cusparseDestroySpMat(a);
    if (b) cusparseDestroyDnMat(b);
    if (c) cusparseDestroyDnMat(c);
  }
};

mote_status mote_cuda_spmm(mote_stream *stream, int64_t rows, int64_t columns, int64_t nonzeros,
                           const int32_t *row_start, const int32_t *column, const float *value, int width,
                           float alpha, const float *b, float beta, float *c, mote_buffer *scratch) {
  if (rows <= 0 || width <= 0) return MOTE_OK;
  mote_cuda_state *state = static_cast<mote_cuda_state *>(stream->device->native);
  MOTE_CUDA_TRY(cudaSetDevice(state->ordinal));
  if (!state->sparse) {
    cusparseHandle_t made;
    CUSPARSE_TRY(cusparseCreate(&made));
    state->sparse = made;
  }
  cusparseHandle_t handle = static_cast<cusparseHandle_t>(state->sparse);
  CUSPARSE_TRY(cusparseSetStream(handle, mote_native(stream)));
  spmm_operands operands;
  /* The interface takes no const pointers, but does not write A and B. */
  CUSPARSE_TRY(cusparseCreateCsr(&operands.a, rows, columns, nonzeros, const_cast<int32_t *>(row_start),
                                 const_cast<int32_t *>(column), const_cast<float *>(value),
                                 CUSPARSE_INDEX_32I, CUSPARSE_INDEX_32I, CUSPARSE_INDEX_BASE_ZERO,
                                 CUDA_R_32F));
  CUSPARSE_TRY(cusparseCreateDnMat(&operands.b, columns, width, width, const_cast<float *>(b), CUDA_R_32F,
                                   CUSPARSE_ORDER_ROW));
  CUSPARSE_TRY(cusparseCreateDnMat(&operands.c, rows, width, width, c, CUDA_R_32F, CUSPARSE_ORDER_ROW));
  const cusparseOperation_t as_is = CUSPARSE_OPERATION_NON_TRANSPOSE;
  const cusparseSpMMAlg_t method = CUSPARSE_SPMM_CSR_ALG3; /* the one that is documented to repeat its bits */
  size_t bytes = 0;
  CUSPARSE_TRY(cusparseSpMM_bufferSize(handle, as_is, as_is, &alpha, operands.a, operands.b, &beta,
                                       operands.c, CUDA_R_32F, method, &bytes));
  MOTE_TRY(mote_buffer_reserve(scratch, stream->device, bytes + 16));
  CUSPARSE_TRY(cusparseSpMM(handle, as_is, as_is, &alpha, operands.a, operands.b, &beta, operands.c,
                            CUDA_R_32F, method, scratch->data));
  return MOTE_OK;
}

#endif
