#include "host/nn/parameters.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mote/random.h>

#include "host/core/error.h"

mote_name mote_name_of(const char *format, ...) {
  mote_name name;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(name.text, sizeof name.text, format, arguments);
  va_end(arguments);
  return name;
}

/* ---- beginning and end ---- */

mote_status mote_parameters_open(mote_parameters *p, mote_stream *stream, const char *path) {
  *p = (mote_parameters){.device = stream->device, .stream = stream, .path = path};
  return mote_safetensors_open(path, &p->file);
}

void mote_parameters_invent(mote_parameters *p, mote_stream *stream, uint64_t seed) {
  *p = (mote_parameters){.device = stream->device, .stream = stream, .path = "a new model", .seed = seed};
}

void mote_parameters_forget(mote_parameters *p) {
  free(p->tensor);
  free(p->value);
  free(p->index);
  free(p->transposed);
  free(p->scale);
  free(p->transposed_scale);
  p->tensor = NULL;
  p->value = p->scale = p->transposed_scale = NULL;
  p->index = p->transposed = NULL;
}

void mote_parameters_free(mote_parameters *p) {
  mote_safetensors_close(p->file);
  mote_parameters_forget(p);
  mote_buffer_free(&p->arena);
  mote_buffer_free(&p->terms_room);
  *p = (mote_parameters){0};
}

static mote_status out_of_memory(const mote_parameters *p) {
  return mote_fail(MOTE_ERROR_MEMORY, "%s: out of memory for weights", p->path);
}

/* ---- tensors ---- */

static mote_parameter *known(const mote_parameters *p, const char *name) {
  for (int k = 0; k < p->tensors; k++)
    if (!strcmp(p->tensor[k].name.text, name)) return &p->tensor[k];
  return NULL;
}

int64_t mote_parameters_rows(const mote_parameters *p, const char *name, int invented) {
  if (p->placing) {
    const mote_parameter *tensor = known(p, name);
    return tensor ? tensor->shape[0] : -1;
  }
  if (!p->file) return invented;
  const mote_tensor *tensor = mote_safetensors_find(p->file, name);
  return tensor && tensor->rank ? tensor->shape[0] : -1;
}

int mote_parameters_series(const mote_parameters *p, const char *prefix, const char *suffix, int invented) {
  int count = 0;
  if (!p->file && !p->placing) return invented;
  while (mote_parameters_rows(p, mote_name_of("%s%d%s", prefix, count, suffix).text, 0) >= 0) count++;
  return count;
}

/* Numbers of their own for each name. */
static uint64_t stream_of(const char *name) {
  uint64_t hash = 14695981039346656037u; /* FNV-1a */
  for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 1099511628211u;
  return hash;
}

/* What a new model's tensor begins with. */
typedef enum beginning { TABLE, WEIGHT, BIAS, NORM_WEIGHT, NORM_BIAS } beginning;

static void invent(const mote_parameters *p, const mote_parameter *t, beginning kind, int fan_in,
                   float *value) {
  uint64_t stream = stream_of(t->name.text);
  for (int64_t k = 0; k < t->count; k++) switch (kind) {
    case TABLE: value[k] = mote_random_normal(p->seed, stream, (uint64_t)k, 0); break;
    case NORM_WEIGHT: value[k] = p->source == MOTE_FROM_FILE; break;
    case NORM_BIAS: value[k] = 0; break;
    default: value[k] = (2 * mote_random_uniform(p->seed, stream, (uint64_t)k, 0) - 1) / sqrtf((float)fan_in);
    }
}

static mote_status grow_tensors(mote_parameters *p) {
  if (p->tensors < p->tensor_room) return MOTE_OK;
  int room = p->tensor_room ? 2 * p->tensor_room : 64;
  mote_parameter *more = realloc(p->tensor, (size_t)room * sizeof *more);
  if (!more) return out_of_memory(p);
  p->tensor = more;
  p->tensor_room = room;
  return MOTE_OK;
}

static mote_status grow_values(mote_parameters *p, int64_t floats) {
  if (p->floats + floats <= p->float_room) return MOTE_OK;
  int64_t room = 2 * (p->floats + floats);
  float *more = realloc(p->value, (size_t)room * sizeof *more);
  if (!more) return out_of_memory(p);
  p->value = more;
  p->float_room = room;
  return MOTE_OK;
}

/* A tensor by name, read or invented when it is first asked for. A rank in the file beyond what is wanted
   must be of extents of 1, and the file's reader says what differs. columns 0: a vector. */
static mote_status find(mote_parameters *p, const char *name, int64_t rows, int64_t columns, beginning kind,
                        int fan_in, mote_parameter **found) {
  if ((*found = known(p, name))) {
    if ((*found)->count == rows * (columns ? columns : 1)) return MOTE_OK;
    return mote_fail(MOTE_ERROR_INTERNAL, "%s: tensor \"%s\" is wanted in two shapes", p->path, name);
  }
  MOTE_TRY(grow_tensors(p));
  MOTE_TRY(grow_values(p, rows * (columns ? columns : 1)));
  mote_parameter *t = &p->tensor[p->tensors];
  *t = (mote_parameter){.rank = columns ? 2 : 1,
                        .shape = {rows, columns ? columns : 1, 1, 1, 1, 1, 1, 1},
                        .first = p->floats,
                        .count = rows * (columns ? columns : 1),
                        .slot = -1,
                        .decays = kind == WEIGHT || kind == TABLE};
  t->name = mote_name_of("%s", name);
  if (p->source == MOTE_ZERO) {
    memset(p->value + t->first, 0, (size_t)t->count * sizeof *p->value);
  } else if (p->file && p->source == MOTE_FROM_FILE) {
    const mote_tensor *stored = mote_safetensors_find(p->file, name);
    if (stored && stored->rank > t->rank) t->rank = stored->rank;
    MOTE_TRY(mote_safetensors_read(p->file, name, t->rank, t->shape, p->value + t->first));
  } else {
    invent(p, t, kind, fan_in, p->value + t->first);
  }
  p->floats += t->count;
  p->tensors++;
  *found = t;
  return MOTE_OK;
}

/* ---- the arena ---- */

/* Floats of the arena, of which layers' begin where they can have terms. */
static mote_status take(mote_parameters *p, int64_t floats, int64_t *slot) {
  floats = (floats + MOTE_TERMS_FLOATS - 1) / MOTE_TERMS_FLOATS * MOTE_TERMS_FLOATS;
  *slot = p->slots;
  p->slots += floats;
  if (p->placing) return MOTE_OK;
  if (p->slots > INT32_MAX) return mote_fail(MOTE_ERROR_UNSUPPORTED, "%s: more than 2^31 weights", p->path);
  if (p->slots > p->slot_room) {
    int64_t room = 2 * p->slots;
    void **map[4] = {(void **)&p->index, (void **)&p->transposed, (void **)&p->scale,
                     (void **)&p->transposed_scale};
    for (int k = 0; k < 4; k++) {
      void *more = realloc(*map[k], (size_t)room * 4);
      if (!more) return out_of_memory(p);
      *map[k] = more;
    }
    p->slot_room = room;
  }
  for (int64_t k = *slot; k < p->slots; k++) {
    p->index[k] = p->transposed[k] = -1;
    p->scale[k] = p->transposed_scale[k] = 1;
  }
  return MOTE_OK;
}

static const float *address(const mote_parameters *p, int64_t slot) {
  return p->placing ? (const float *)p->arena.data + slot : NULL;
}

static mote_status table(mote_parameters *p, const char *name, int rows, int columns, beginning kind,
                         int fan_in, const float **values) {
  mote_parameter *t;
  int64_t slot;
  MOTE_TRY(find(p, name, rows, columns, kind, fan_in, &t));
  if (t->slot < 0) {
    MOTE_TRY(take(p, t->count, &slot));
    for (int64_t k = 0; k < t->count; k++) p->index[slot + k] = (int32_t)(t->first + k);
    t->slot = slot;
  } else if (p->placing && t->slot == p->slots) { /* the first time around */
    MOTE_TRY(take(p, t->count, &slot));
  }
  *values = address(p, t->slot);
  return MOTE_OK;
}

mote_status mote_parameters_table(mote_parameters *p, const char *name, int rows, int columns,
                                  const float **values) {
  return table(p, name, rows, columns, TABLE, 0, values);
}

mote_status mote_parameters_bias(mote_parameters *p, const char *name, int out, int in,
                                 const float **values) {
  return table(p, name, out, 0, BIAS, in, values);
}

mote_status mote_parameters_norm(mote_parameters *p, const char *name, int width, mote_norm *norm) {
  MOTE_TRY(table(p, mote_name_of("%s.weight", name).text, width, 0, NORM_WEIGHT, 0, &norm->weight));
  return table(p, mote_name_of("%s.bias", name).text, width, 0, NORM_BIAS, 0, &norm->bias);
}

/* Where output o and input k of a layer stand, and where in the transposed one. */
static int64_t packed_at(int in, int o, int k) {
  return ((int64_t)(o / MOTE_PANEL) * in + k) * MOTE_PANEL + o % MOTE_PANEL;
}

static mote_status map_part(mote_parameters *p, const mote_layer_part *part, int in, int out, int row,
                            int64_t weight, int64_t bias) {
  mote_parameter *t;
  MOTE_TRY(find(p, mote_name_of("%s.weight", part->name.text).text, part->out, part->columns, WEIGHT,
                part->columns, &t));
  for (int o = 0; o < part->out; o++)
    for (int k = 0; k < in; k++) {
      int32_t from = (int32_t)(t->first + (int64_t)o * part->columns + part->first + k);
      int64_t at = weight + packed_at(in, row + o, k);
      p->index[at] = from;
      p->scale[at] = part->scale;
      at = weight + packed_at(out, k, row + o);
      p->transposed[at] = from;
      p->transposed_scale[at] = part->scale;
    }
  if (!part->bias) return MOTE_OK;
  MOTE_TRY(find(p, mote_name_of("%s.bias", part->name.text).text, part->out, 0, BIAS, part->columns, &t));
  for (int o = 0; o < part->out; o++) p->index[bias + row + o] = (int32_t)(t->first + o);
  return MOTE_OK;
}

mote_status mote_parameters_stack(mote_parameters *p, int parts, const mote_layer_part *part, int in,
                                  mote_activation activation, mote_linear *layer) {
  int out = 0;
  int64_t weight, bias;
  for (int k = 0; k < parts; k++) out += part[k].out;
  if (in < 1 || out < 1 || in > MOTE_DENSE_WIDEST || out > MOTE_DENSE_WIDEST)
    return mote_fail(MOTE_ERROR_UNSUPPORTED,
                     "%s: layer \"%s\" has %d inputs and %d outputs: 1 to %d are supported", p->path,
                     part[0].name.text, in, out, MOTE_DENSE_WIDEST);
  MOTE_TRY(take(p, mote_linear_slot(in, out), &weight));
  MOTE_TRY(take(p, out, &bias));
  for (int k = 0, row = 0; k < parts && !p->placing; row += part[k++].out)
    MOTE_TRY(map_part(p, &part[k], in, out, row, weight, bias));
  *layer = (mote_linear){.in = in,
                         .out = out,
                         .weight = address(p, weight),
                         .bias = address(p, bias),
                         .activation = activation,
                         .terms = mote_terms_at(p->terms, weight)};
  return MOTE_OK;
}

mote_status mote_parameters_linear(mote_parameters *p, const char *name, int in, int out,
                                   mote_activation activation, mote_linear *layer) {
  mote_layer_part part = {mote_name_of("%s", name), out, in, 0, 1, 1};
  return mote_parameters_stack(p, 1, &part, in, activation, layer);
}

/* ---- from questions to answers ---- */

static mote_status check_left_over(const mote_parameters *p) {
  const mote_tensor *tensor;
  for (int k = 0; p->file && (tensor = mote_safetensors_tensor(p->file, k)); k++)
    if (!known(p, tensor->name))
      return mote_fail(MOTE_ERROR_FORMAT,
                       "%s: tensor \"%s\" is not part of the model that config.json describes", p->path,
                       tensor->name);
  return MOTE_OK;
}

mote_status mote_parameters_make_terms(const mote_parameters *p) {
  if (!p->terms.data) return MOTE_OK;
  return p->device->dense->make_terms(p->stream, p->slots, p->arena.data, p->terms.count, p->terms_room.data);
}

mote_status mote_parameters_place(mote_parameters *p) {
  MOTE_TRY(check_left_over(p));
  mote_safetensors_close(p->file);
  p->file = NULL;
  size_t bytes = (size_t)p->slots * sizeof(float);
  float *packed = malloc(bytes + 1);
  if (!packed) return out_of_memory(p);
  for (int64_t k = 0; k < p->slots; k++)
    packed[k] = p->index[k] < 0 ? 0 : p->scale[k] * p->value[p->index[k]];
  mote_status status = mote_buffer_reserve(&p->arena, p->device, bytes);
  if (status == MOTE_OK) status = mote_upload(p->stream, p->arena.data, packed, bytes);
  free(packed);
  MOTE_TRY(status);
  MOTE_TRY(mote_terms_keep(p->stream, p->slots, p->arena.data, &p->terms_room, &p->terms));
  p->placing = 1;
  p->slots = 0;
  return mote_stream_synchronize(p->stream);
}

mote_status mote_parameters_write(const mote_parameters *p, const float *value, const char *path) {
  mote_tensor *tensor = calloc((size_t)p->tensors + 1, sizeof *tensor);
  if (!tensor) return out_of_memory(p);
  for (int k = 0; k < p->tensors; k++) {
    const mote_parameter *t = &p->tensor[k];
    tensor[k] = (mote_tensor){.name = t->name.text,
                              .dtype = MOTE_F32,
                              .rank = t->rank,
                              .count = t->count,
                              .data = value + t->first};
    memcpy(tensor[k].shape, t->shape, sizeof t->shape);
  }
  mote_status status = mote_safetensors_write(path, tensor, p->tensors, NULL, 0);
  free(tensor);
  return status;
}
