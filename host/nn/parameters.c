#include "host/nn/parameters.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mote/random.h>

#include "host/core/error.h"

mote_status mote_parameters_open(mote_parameters *p, mote_stream *stream, const char *path) {
  *p = (mote_parameters){.device = stream->device, .stream = stream, .path = path};
  MOTE_TRY(mote_safetensors_open(path, &p->file));
  int tensors = 0;
  while (mote_safetensors_tensor(p->file, tensors)) tensors++;
  p->used = calloc((size_t)tensors + 1, 1);
  return p->used ? MOTE_OK : mote_fail(MOTE_ERROR_MEMORY, "%s: out of memory", path);
}

void mote_parameters_invent(mote_parameters *p, mote_stream *stream, uint64_t seed) {
  *p = (mote_parameters){.device = stream->device, .stream = stream, .path = "a new model", .seed = seed};
}

static void close_file(mote_parameters *p) {
  mote_safetensors_close(p->file);
  free(p->used);
  p->file = NULL;
  p->used = NULL;
}

mote_status mote_parameters_finish(mote_parameters *p) {
  const mote_tensor *tensor;
  if (!p->file) return mote_stream_synchronize(p->stream);
  for (int k = 0; (tensor = mote_safetensors_tensor(p->file, k)); k++)
    if (!p->used[k])
      return mote_fail(MOTE_ERROR_FORMAT,
                       "%s: tensor \"%s\" is not part of the model that config.json describes", p->path,
                       tensor->name);
  close_file(p);
  return mote_stream_synchronize(p->stream);
}

void mote_parameters_free(mote_parameters *p) {
  for (int k = 0; k < p->count; k++) mote_buffer_free(&p->buffer[k]);
  free(p->buffer);
  if (p->file) close_file(p);
  *p = (mote_parameters){0};
}

mote_name mote_name_of(const char *format, ...) {
  mote_name name;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(name.text, sizeof name.text, format, arguments);
  va_end(arguments);
  return name;
}

int64_t mote_parameters_rows(const mote_parameters *p, const char *name, int invented) {
  if (!p->file) return invented;
  const mote_tensor *tensor = mote_safetensors_find(p->file, name);
  return tensor && tensor->rank ? tensor->shape[0] : -1;
}

int mote_parameters_series(const mote_parameters *p, const char *prefix, const char *suffix, int invented) {
  int count = 0;
  if (!p->file) return invented;
  while (mote_safetensors_find(p->file, mote_name_of("%s%d%s", prefix, count, suffix).text)) count++;
  return count;
}

/* ---- host memory ---- */

static void mark(mote_parameters *p, const mote_tensor *tensor) {
  const mote_tensor *other;
  for (int k = 0; (other = mote_safetensors_tensor(p->file, k)); k++)
    if (other == tensor && !p->used[k]) {
      p->used[k] = 1;
      p->floats += tensor->count;
    }
}

/* Numbers of their own for each name. */
static uint64_t stream_of(const char *name) {
  uint64_t hash = 14695981039346656037u; /* FNV-1a */
  for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 1099511628211u;
  return hash;
}

static void invent(mote_parameters *p, const char *name, int64_t count, int fan_in, float *values) {
  uint64_t stream = stream_of(name);
  for (int64_t k = 0; k < count; k++)
    values[k] = fan_in ? (2 * mote_random_uniform(p->seed, stream, (uint64_t)k, 0) - 1) / sqrtf((float)fan_in)
                       : mote_random_normal(p->seed, stream, (uint64_t)k, 0);
  p->floats += count;
}

/* The values; a rank beyond what is wanted must be of extents of 1, and the file's reader says what differs.
   fan_in: inputs of the layer, 0 for a table. */
static mote_status read_values(mote_parameters *p, const char *name, int rank, int64_t rows, int64_t columns,
                               int fan_in, float *values) {
  if (!p->file) return invent(p, name, rows * columns, fan_in, values), MOTE_OK;
  int64_t shape[MOTE_TENSOR_MOST_RANK] = {rows, columns};
  const mote_tensor *tensor = mote_safetensors_find(p->file, name);
  for (int k = rank; k < MOTE_TENSOR_MOST_RANK; k++) shape[k] = 1;
  if (tensor && tensor->rank > rank) rank = tensor->rank;
  MOTE_TRY(mote_safetensors_read(p->file, name, rank, shape, values));
  mark(p, tensor);
  return MOTE_OK;
}

static mote_status allocate(mote_parameters *p, size_t floats, float **host) {
  *host = calloc(floats ? floats : 1, sizeof **host);
  return *host ? MOTE_OK : mote_fail(MOTE_ERROR_MEMORY, "%s: out of memory for weights", p->path);
}

/* `host` to memory of the device that the parameters own; frees `host`. */
static mote_status keep(mote_parameters *p, float *host, size_t floats, const float **device) {
  mote_status status = MOTE_OK;
  if (p->count == p->room) {
    int room = p->room ? 2 * p->room : 64;
    mote_buffer *more = realloc(p->buffer, (size_t)room * sizeof *more);
    if (more) {
      p->buffer = more;
      p->room = room;
    } else {
      status = mote_fail(MOTE_ERROR_MEMORY, "%s: out of memory for weights", p->path);
    }
  }
  if (status == MOTE_OK) {
    mote_buffer *buffer = &p->buffer[p->count++];
    *buffer = (mote_buffer){0};
    status = mote_buffer_reserve(buffer, p->device, floats * sizeof *host);
    if (status == MOTE_OK) status = mote_upload(p->stream, buffer->data, host, floats * sizeof *host);
    *device = buffer->data;
  }
  free(host);
  return status;
}

/* ---- what models are made of ---- */

mote_status mote_parameters_table(mote_parameters *p, const char *name, int rows, int columns,
                                  const float **table) {
  size_t floats = (size_t)rows * (size_t)(columns ? columns : 1);
  float *host;
  MOTE_TRY(allocate(p, floats, &host));
  mote_status status = read_values(p, name, columns ? 2 : 1, rows, columns ? columns : 1, 0, host);
  if (status == MOTE_OK) return keep(p, host, floats, table);
  free(host);
  return status;
}

static mote_status invent_norm(mote_parameters *p, int width, float value, const float **table) {
  float *host;
  MOTE_TRY(allocate(p, (size_t)width, &host));
  for (int c = 0; c < width; c++) host[c] = value;
  p->floats += width;
  return keep(p, host, (size_t)width, table);
}

mote_status mote_parameters_norm(mote_parameters *p, const char *name, int width, mote_norm *norm) {
  if (!p->file) {
    MOTE_TRY(invent_norm(p, width, 1, &norm->weight));
    return invent_norm(p, width, 0, &norm->bias);
  }
  MOTE_TRY(mote_parameters_table(p, mote_name_of("%s.weight", name).text, width, 0, &norm->weight));
  return mote_parameters_table(p, mote_name_of("%s.bias", name).text, width, 0, &norm->bias);
}

static mote_status pack_part(mote_parameters *p, const mote_layer_part *part, int in, int row, float *weight,
                             float *bias) {
  float *host;
  size_t floats = (size_t)part->out * (size_t)part->columns;
  MOTE_TRY(allocate(p, floats, &host));
  mote_status status = read_values(p, mote_name_of("%s.weight", part->name.text).text, 2, part->out,
                                   part->columns, part->columns, host);
  if (status == MOTE_OK) {
    for (size_t k = 0; k < floats; k++) host[k] *= part->scale;
    mote_linear_pack(in, part->out, host, part->columns, part->first, row, weight);
    if (part->bias)
      status = read_values(p, mote_name_of("%s.bias", part->name.text).text, 1, part->out, 1, part->columns,
                           bias + row);
  }
  free(host);
  return status;
}

mote_status mote_parameters_stack(mote_parameters *p, int parts, const mote_layer_part *part, int in,
                                  mote_activation activation, mote_linear *layer) {
  int out = 0;
  for (int k = 0; k < parts; k++) out += part[k].out;
  if (in < 1 || out < 1 || in > MOTE_DENSE_WIDEST || out > MOTE_DENSE_WIDEST)
    return mote_fail(MOTE_ERROR_UNSUPPORTED,
                     "%s: layer \"%s\" has %d inputs and %d outputs: 1 to %d are supported", p->path,
                     part[0].name.text, in, out, MOTE_DENSE_WIDEST);
  *layer = (mote_linear){.in = in, .out = out, .activation = activation};
  size_t weights = (size_t)mote_linear_floats(in, out), biases = (size_t)mote_panels(out) * MOTE_PANEL;
  float *weight, *bias;
  MOTE_TRY(allocate(p, weights, &weight));
  mote_status status = allocate(p, biases, &bias);
  int row = 0;
  for (int k = 0; k < parts && status == MOTE_OK; row += part[k++].out)
    status = pack_part(p, &part[k], in, row, weight, bias);
  if (status != MOTE_OK) {
    free(weight);
    free(bias);
    return status;
  }
  status = keep(p, weight, weights, &layer->weight);
  if (status == MOTE_OK) return keep(p, bias, biases, &layer->bias);
  free(bias);
  return status;
}

mote_status mote_parameters_linear(mote_parameters *p, const char *name, int in, int out,
                                   mote_activation activation, mote_linear *layer) {
  mote_layer_part part = {mote_name_of("%s", name), out, in, 0, 1, 1};
  return mote_parameters_stack(p, 1, &part, in, activation, layer);
}
