#include "host/train/operator_weights.h"

#include <math.h>
#include <stdlib.h>

#include "host/core/error.h"

mote_status mote_operator_weights_prepare(mote_operator_weights *w) {
  w->size = (int64_t)w->model->experts * MOTE_PARAMETERS;
  w->first = calloc((size_t)w->size, sizeof *w->first);
  w->second = calloc((size_t)w->size, sizeof *w->second);
  return w->first && w->second ? MOTE_OK : mote_fail(MOTE_ERROR_MEMORY, "out of memory for a training");
}

void mote_operator_weights_free(mote_operator_weights *w) {
  mote_operator_destroy(w->model);
  mote_operator_destroy(w->average);
  free(w->first);
  free(w->second);
  *w = (mote_operator_weights){0};
}

mote_status mote_operator_weights_update(mote_operator_weights *w, mote_device *d, const float *gradient,
                                         double limit, double rate, int64_t step, double decay) {
  mote_stream *stream = NULL;
  double norm = 0;
  for (int64_t k = 0; k < w->size; k++) norm += (double)gradient[k] * gradient[k];
  norm = sqrt(norm);
  if (!isfinite(norm)) return mote_fail(MOTE_ERROR_NUMERIC, "the gradient is not finite");
  float scale = limit > 0 && norm > limit ? (float)(limit / norm) : 1;
  float *rows[5] = {(float *)gradient, w->model->parameters, w->first, w->second, w->average->parameters};
  mote_buffer buffer[5] = {{0}};
  size_t bytes = (size_t)w->size * sizeof(float);
  mote_status status = mote_stream_create(d, &stream);
  for (int k = 0; k < 5 && status == MOTE_OK; k++) {
    status = mote_buffer_reserve(&buffer[k], d, bytes);
    if (status == MOTE_OK) status = mote_upload(stream, buffer[k].data, rows[k], bytes);
  }
  if (status == MOTE_OK)
    status = d->correct->adam(stream, w->size, buffer[0].data, scale, (float)rate, step, (float)decay,
                              buffer[1].data, buffer[2].data, buffer[3].data, buffer[4].data);
  for (int k = 1; k < 5 && status == MOTE_OK; k++)
    status = mote_download(stream, rows[k], buffer[k].data, bytes);
  for (int k = 0; k < 5; k++) mote_buffer_free(&buffer[k]);
  mote_stream_destroy(stream);
  return status;
}
