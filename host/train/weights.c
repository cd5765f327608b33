#include "host/train/weights.h"

#include <math.h>
#include <stdlib.h>

#include "host/core/error.h"

static mote_status upload_new(mote_stream *stream, mote_buffer *buffer, const void *host, int64_t count,
                              size_t size) {
  MOTE_TRY(mote_buffer_reserve(buffer, stream->device, (size_t)(count ? count : 1) * size));
  return mote_upload(stream, buffer->data, host, (size_t)count * size);
}

static mote_status zeros(mote_stream *stream, mote_buffer *buffer, int64_t floats) {
  return mote_buffer_zeros(buffer, stream, (size_t)(floats ? floats : 1) * sizeof(float));
}

/* Each parameter's place in the arena. One that stands nowhere (a layer whose output is not used) has no
   gradient. */
static mote_status invert(mote_trained_weights *w, const mote_parameters *p) {
  int32_t *inverse = malloc((size_t)w->floats * sizeof *inverse);
  float *scale = malloc((size_t)w->floats * sizeof *scale);
  unsigned char *decays = calloc((size_t)w->floats, 1);
  mote_status status = MOTE_OK;
  if (!inverse || !scale || !decays) status = mote_fail(MOTE_ERROR_MEMORY, "out of memory for a training");
  for (int64_t k = 0; k < w->floats && status == MOTE_OK; k++) {
    inverse[k] = -1;
    scale[k] = 1;
  }
  for (int64_t k = 0; k < w->slots && status == MOTE_OK; k++)
    if (p->index[k] >= 0) {
      inverse[p->index[k]] = (int32_t)k;
      scale[p->index[k]] = p->scale[k];
    }
  for (int t = 0; t < p->tensors && status == MOTE_OK; t++)
    for (int64_t k = 0; k < p->tensor[t].count; k++)
      decays[p->tensor[t].first + k] = (unsigned char)p->tensor[t].decays;
  if (status == MOTE_OK) status = upload_new(w->stream, &w->inverse, inverse, w->floats, 4);
  if (status == MOTE_OK) status = upload_new(w->stream, &w->inverse_scale, scale, w->floats, 4);
  if (status == MOTE_OK) status = upload_new(w->stream, &w->decays, decays, w->floats, 1);
  free(inverse);
  free(scale);
  free(decays);
  return status;
}

static mote_status fill(mote_trained_weights *w) {
  const mote_parameters *p = w->of;
  mote_stream *s = w->stream;
  w->floats = p->floats;
  w->slots = p->slots;
  w->shared = w->model && w->model->config.has_latent ? mote_latent_shared_floats(&w->model->latent) : 0;
  MOTE_TRY(upload_new(s, &w->index, p->index, w->slots, 4));
  MOTE_TRY(upload_new(s, &w->scale, p->scale, w->slots, 4));
  MOTE_TRY(upload_new(s, &w->transposed_index, p->transposed, w->slots, 4));
  MOTE_TRY(upload_new(s, &w->transposed_scale, p->transposed_scale, w->slots, 4));
  MOTE_TRY(invert(w, p));
  MOTE_TRY(upload_new(s, &w->value, p->value, w->floats, 4));
  MOTE_TRY(upload_new(s, &w->mean, p->value, w->floats, 4));
  MOTE_TRY(zeros(s, &w->first, w->floats));
  MOTE_TRY(zeros(s, &w->second, w->floats));
  MOTE_TRY(zeros(s, &w->gradient, w->floats));
  MOTE_TRY(zeros(s, &w->transposed, w->slots));
  MOTE_TRY(zeros(s, &w->packed_gradient, w->slots));
  MOTE_TRY(zeros(s, &w->shared_gradient, w->shared));
  MOTE_TRY(mote_buffer_reserve(&w->norm, s->device, sizeof(double)));
  MOTE_TRY(mote_trained_weights_pack(w));
  return mote_stream_synchronize(s);
}

mote_status mote_trained_weights_create(mote_model *model, mote_model *average, mote_trained_weights *w) {
  *w = (mote_trained_weights){.model = model,
                              .average = average,
                              .of = &model->parameters,
                              .of_average = &average->parameters,
                              .stream = model->stream};
  return fill(w);
}

mote_status mote_trained_weights_of(mote_stream *stream, const mote_parameters *parameters,
                                    const mote_parameters *average, mote_trained_weights *w) {
  *w = (mote_trained_weights){.of = parameters, .of_average = average, .stream = stream};
  return fill(w);
}

void mote_trained_weights_free(mote_trained_weights *w) {
  mote_buffer *all[] = {&w->index,      &w->scale,           &w->transposed_index, &w->transposed_scale,
                        &w->inverse,    &w->inverse_scale,   &w->decays,           &w->value,
                        &w->mean,       &w->first,           &w->second,           &w->gradient,
                        &w->transposed, &w->packed_gradient, &w->shared_gradient,  &w->norm,
                        &w->terms_room, &w->scratch};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) mote_buffer_free(all[k]);
  mote_latent_reverse_free(&w->reverse);
  mote_soap_free(&w->soap);
  mote_model_destroy(w->model);
  mote_model_destroy(w->average);
  *w = (mote_trained_weights){0};
}

static mote_status prepare(mote_trained_weights *w, mote_model *model) {
  return model && model->config.has_latent ? mote_latent_prepare(w->stream, &model->latent) : MOTE_OK;
}

mote_status mote_trained_weights_pack(mote_trained_weights *w) {
  const struct mote_optimize_kernels *k = w->stream->device->optimize;
  MOTE_TRY(k->pack(w->stream, w->slots, w->index.data, w->scale.data, w->value.data, w->of->arena.data));
  MOTE_TRY(k->pack(w->stream, w->slots, w->transposed_index.data, w->transposed_scale.data, w->value.data,
                   w->transposed.data));
  MOTE_TRY(mote_parameters_make_terms(w->of));
  MOTE_TRY(mote_terms_keep(w->stream, w->slots, w->transposed.data, &w->terms_room, &w->transposed_terms));
  return prepare(w, w->model);
}

mote_status mote_trained_weights_pack_average(mote_trained_weights *w) {
  const struct mote_optimize_kernels *k = w->stream->device->optimize;
  MOTE_TRY(
      k->pack(w->stream, w->slots, w->index.data, w->scale.data, w->mean.data, w->of_average->arena.data));
  MOTE_TRY(mote_parameters_make_terms(w->of_average));
  return prepare(w, w->average);
}

mote_arena mote_trained_weights_arena(const mote_trained_weights *w, float *gradient) {
  return (mote_arena){.value = w->of->arena.data,
                      .transposed = w->transposed.data,
                      .transposed_terms = w->transposed_terms,
                      .gradient = gradient,
                      .floats = w->slots};
}

static mote_status add_up(mote_trained_weights *w, int64_t floats, int count, float *const *part,
                          float *sum) {
  const struct mote_optimize_kernels *k = w->stream->device->optimize;
  for (int b = 0; b < count && floats; b++)
    MOTE_TRY(k->combine(w->stream, floats, 1, part[b], b ? 1 : 0, sum));
  return MOTE_OK;
}

mote_status mote_trained_weights_gather(mote_trained_weights *w, int count, float *const *gradient,
                                        float *const *shared) {
  mote_arena arena = mote_trained_weights_arena(w, w->packed_gradient.data);
  MOTE_TRY(add_up(w, w->slots, count, gradient, w->packed_gradient.data));
  MOTE_TRY(add_up(w, w->shared, count, shared, w->shared_gradient.data));
  if (w->shared)
    MOTE_TRY(mote_latent_prepare_backward(w->stream, &w->model->latent, &arena, &w->reverse,
                                          w->shared_gradient.data));
  return w->stream->device->optimize->pack(w->stream, w->floats, w->inverse.data, w->inverse_scale.data,
                                           w->packed_gradient.data, w->gradient.data);
}

mote_status mote_trained_weights_precondition(mote_trained_weights *w) {
  return mote_soap_create(w->of, &w->soap);
}

/* The arrays of a step on the host, and what it changed of them back on the device. */
static mote_status precondition(mote_trained_weights *w, const mote_optimizer *optimizer) {
  mote_buffer *const array[] = {&w->gradient, &w->first, &w->second, &w->value};
  const size_t floats = (size_t)w->floats, bytes = floats * sizeof(float);
  float *host = malloc(4 * bytes + floats + 1), *part[4];
  if (!host) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for an optimizer");
  unsigned char *decays = (unsigned char *)(host + 4 * floats);
  mote_status status = mote_download(w->stream, decays, w->decays.data, floats);
  for (int k = 0; k < 4 && status == MOTE_OK; k++)
    status = mote_download(w->stream, part[k] = host + (size_t)k * floats, array[k]->data, bytes);
  if (status == MOTE_OK)
    status = mote_soap_update(&w->soap, w->floats, optimizer, mote_stream_threads(w->stream), part[0], decays,
                              part[1], part[2], part[3]);
  for (int k = 1; k < 4 && status == MOTE_OK; k++)
    status = mote_upload(w->stream, array[k]->data, part[k], bytes);
  if (status == MOTE_OK) status = mote_stream_synchronize(w->stream);
  free(host);
  return status;
}

mote_status mote_trained_weights_update_part(mote_trained_weights *w, int64_t first, int64_t count,
                                             const mote_optimizer *optimizer, double limit, double decay,
                                             double *norm) {
  const struct mote_optimize_kernels *k = w->stream->device->optimize;
  float *gradient = (float *)w->gradient.data + first, *value = (float *)w->value.data + first;
  const unsigned char *decays = (const unsigned char *)w->decays.data + first;
  double squares;
  if (w->soap.matrices && count != w->floats)
    return mote_fail(MOTE_ERROR_UNSUPPORTED, "SOAP steps all parameters, not a part of them");
  MOTE_TRY(k->sum_squares(w->stream, count, gradient, w->norm.data, &w->scratch));
  if (limit > 0) MOTE_TRY(k->clip(w->stream, count, w->norm.data, (float)limit, gradient));
  if (w->soap.matrices)
    MOTE_TRY(precondition(w, optimizer));
  else
    MOTE_TRY(k->update(w->stream, count, optimizer, gradient, decays, (float *)w->first.data + first,
                       (float *)w->second.data + first, value));
  MOTE_TRY(
      k->combine(w->stream, count, (float)(1 - decay), value, (float)decay, (float *)w->mean.data + first));
  MOTE_TRY(mote_download(w->stream, &squares, w->norm.data, sizeof squares));
  *norm = sqrt(squares);
  return MOTE_OK;
}

mote_status mote_trained_weights_update(mote_trained_weights *w, const mote_optimizer *optimizer,
                                        double limit, double decay, double *norm) {
  return mote_trained_weights_update_part(w, 0, w->floats, optimizer, limit, decay, norm);
}
