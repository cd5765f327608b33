/* See torch_archive.h. The trick: a tensor may have no more elements than its storage, and a storage no more
   bytes than its member, so that no shape, however absurd, costs more memory than the file has. */
#include "host/io/torch_archive.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/core/text.h"
#include "host/io/pickle.h"
#include "host/io/torch_zip.h"

#define LARGEST_PICKLE ((int64_t)64 << 20)
#define LONGEST_NAME 1000

struct mote_torch {
  mote_torch_zip archive;
  int count;
  mote_torch_tensor *tensors; /* by name */
  char *names;                /* one after the other */
  int loaded;                 /* the storage in memory, -1: none */
  unsigned char *bytes;
};

const char *mote_torch_path(const mote_torch *t) {
  return t->archive.zip.path;
}

int mote_torch_count(const mote_torch *t) {
  return t->count;
}

const mote_torch_tensor *mote_torch_get(const mote_torch *t, int index) {
  return index >= 0 && index < t->count ? &t->tensors[index] : NULL;
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const mote_torch_tensor *)a)->name, ((const mote_torch_tensor *)b)->name);
}

const mote_torch_tensor *mote_torch_find(const mote_torch *t, const char *name) {
  mote_torch_tensor wanted = {.name = name};
  return t->count ? bsearch(&wanted, t->tensors, (size_t)t->count, sizeof wanted, by_name) : NULL;
}

/* ---- A tensor of the pickle ---- */

static mote_status wrong(const mote_torch *t, const mote_torch_tensor *tensor, const char *why) {
  return mote_fail(MOTE_ERROR_FORMAT, "%s: tensor '%.200s': %s", mote_torch_path(t), tensor->name, why);
}

static int find_dtype(const mote_value *type, mote_dtype *dtype) {
  static const struct {
    const char *name;
    mote_dtype dtype;
  } known[] = {{"torch FloatStorage", MOTE_F32}, {"torch DoubleStorage", MOTE_F64},
               {"torch HalfStorage", MOTE_F16},  {"torch BFloat16Storage", MOTE_BF16},
               {"torch LongStorage", MOTE_I64},  {"torch IntStorage", MOTE_I32},
               {"torch ShortStorage", MOTE_I16}, {"torch CharStorage", MOTE_I8},
               {"torch ByteStorage", MOTE_U8},   {"torch BoolStorage", MOTE_BOOL}};
  for (size_t k = 0; k < sizeof known / sizeof *known && type->kind == MOTE_PICKLE_GLOBAL; k++)
    if (strcmp((const char *)type->bytes, known[k].name) == 0) {
      *dtype = known[k].dtype;
      return 1;
    }
  return 0;
}

static mote_status read_storage(const mote_torch *t, const mote_value *storage, mote_torch_tensor *tensor) {
  const mote_value *type = storage->items[0], *key = storage->items[1], *count = storage->items[3];
  char name[256];
  int64_t bytes;
  if (!find_dtype(type, &tensor->dtype))
    return mote_fail(MOTE_ERROR_UNSUPPORTED, "%s: tensor '%.200s': elements of '%.100s' are not read",
                     mote_torch_path(t), tensor->name,
                     type->kind == MOTE_PICKLE_GLOBAL ? (const char *)type->bytes : "no type");
  if (key->kind != MOTE_PICKLE_TEXT || key->size > 200 || memchr(key->bytes, 0, key->size))
    return wrong(t, tensor, "its storage has no name");
  snprintf(name, sizeof name, "data/%.*s", (int)key->size, (const char *)key->bytes);
  tensor->storage = mote_torch_zip_find(&t->archive, name);
  if (tensor->storage < 0)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: tensor '%.200s': the archive has no %s", mote_torch_path(t),
                     tensor->name, mote_quote(name, strlen(name)).text);
  tensor->extent = count->kind == MOTE_PICKLE_INT ? count->integer : -1;
  if (tensor->extent < 0 ||
      __builtin_mul_overflow(tensor->extent, (int64_t)mote_dtype_size(tensor->dtype), &bytes) ||
      bytes > t->archive.zip.members[tensor->storage].size)
    return wrong(t, tensor, "its storage is smaller than the pickle says");
  return MOTE_OK;
}

static int read_extents(const mote_value *tuple, int *rank, int64_t *extents) {
  if (tuple->kind != MOTE_PICKLE_TUPLE || tuple->size > MOTE_TENSOR_MOST_RANK) return 0;
  *rank = (int)tuple->size;
  for (int d = 0; d < *rank; d++) {
    if (tuple->items[d]->kind != MOTE_PICKLE_INT || tuple->items[d]->integer < 0) return 0;
    extents[d] = tuple->items[d]->integer;
  }
  return 1;
}

static mote_status read_view(const mote_torch *t, const mote_value *v, mote_torch_tensor *tensor) {
  int ranks;
  if (v->items[1]->kind != MOTE_PICKLE_INT || v->items[1]->integer < 0 ||
      !read_extents(v->items[2], &tensor->rank, tensor->shape) ||
      !read_extents(v->items[3], &ranks, tensor->stride) || ranks != tensor->rank)
    return wrong(t, tensor, "expected an offset, and a shape and strides of at most 8 dimensions");
  tensor->offset = v->items[1]->integer;
  tensor->count = mote_shape_count(tensor->rank, tensor->shape);
  if (tensor->count < 0 || tensor->count > tensor->extent)
    return wrong(t, tensor, "its shape has more elements than its storage (expanded? save it contiguous)");
  int64_t last = tensor->offset, step;
  for (int d = 0; d < tensor->rank && tensor->count > 0; d++) {
    if (tensor->shape[d] == 1) tensor->stride[d] = 0; /* never taken, and may be anything */
    if (__builtin_mul_overflow(tensor->shape[d] - 1, tensor->stride[d], &step) ||
        __builtin_add_overflow(last, step, &last))
      last = INT64_MAX;
  }
  if (tensor->count > 0 && last >= tensor->extent) return wrong(t, tensor, "it reaches beyond its storage");
  return MOTE_OK;
}

/* ---- The state dict ---- */

static const mote_value *look_up(const mote_value *dict, const char *name) {
  for (size_t k = 0; k + 1 < dict->size; k += 2)
    if (dict->items[k]->kind == MOTE_PICKLE_TEXT && dict->items[k]->size == strlen(name) &&
        memcmp(dict->items[k]->bytes, name, dict->items[k]->size) == 0)
      return dict->items[k + 1];
  return NULL;
}

static const mote_value *find_state_dict(const mote_value *root) {
  static const char *const names[] = {"state_dict", "model_state_dict", "model"};
  for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
    const mote_value *inner = look_up(root, names[k]);
    if (inner && inner->kind == MOTE_PICKLE_DICT) return inner;
  }
  return root;
}

static int is_entry(const mote_value *key, const mote_value *value) {
  return key->kind == MOTE_PICKLE_TEXT && value->kind == MOTE_PICKLE_TENSOR;
}

/* Not too long, and nothing in it that would garble an error. */
static int is_name(const mote_value *key) {
  for (size_t k = 0; k < key->size; k++)
    if (key->bytes[k] < 32 || key->bytes[k] == 127) return 0;
  return key->size <= LONGEST_NAME;
}

static mote_status no_state_dict(const mote_torch *t, const mote_value *root) {
  char keys[200] = "";
  size_t at = 0, size = root->kind == MOTE_PICKLE_DICT ? root->size : 0;
  for (size_t k = 0; k + 1 < size && at < sizeof keys - 64; k += 2)
    if (root->items[k]->kind == MOTE_PICKLE_TEXT)
      at += (size_t)snprintf(keys + at, sizeof keys - at, "%s%s", at ? ", " : "; it has ",
                             mote_quote((const char *)root->items[k]->bytes, root->items[k]->size).text);
  return mote_fail(
      MOTE_ERROR_FORMAT,
      "%s holds no state dict: expected names with tensors, or a dictionary of them under state_dict, "
      "model_state_dict or model%s",
      mote_torch_path(t), keys);
}

/* Room for the dictionary's tensors and their names. */
static mote_status make_room(mote_torch *t, const mote_value *dict) {
  size_t count = 0, bytes = 0;
  for (size_t k = 0; k + 1 < dict->size; k += 2) {
    const mote_value *key = dict->items[k];
    if (!is_entry(key, dict->items[k + 1])) continue;
    if (!is_name(key)) return mote_torch_no_checkpoint(mote_torch_path(t), "a tensor's name is no text");
    count++;
    bytes += key->size + 1;
  }
  t->tensors = calloc(count + 1, sizeof *t->tensors);
  t->names = malloc(bytes + 1);
  return t->tensors && t->names
             ? MOTE_OK
             : mote_fail(MOTE_ERROR_MEMORY, "out of memory to open %s", mote_torch_path(t));
}

/* Data parallel training puts this before all names. */
static void strip_prefix(mote_torch *t) {
  static const char prefix[] = "module.";
  size_t length = strlen(prefix);
  for (int k = 0; k < t->count; k++)
    if (strncmp(t->tensors[k].name, prefix, length) != 0) return;
  for (int k = 0; k < t->count; k++) t->tensors[k].name += length;
}

static mote_status collect(mote_torch *t, const mote_value *dict) {
  MOTE_TRY(make_room(t, dict));
  char *name = t->names;
  for (size_t k = 0; k + 1 < dict->size; k += 2) {
    const mote_value *key = dict->items[k], *value = dict->items[k + 1];
    if (!is_entry(key, value)) continue;
    mote_torch_tensor *tensor = &t->tensors[t->count++];
    memcpy(name, key->bytes, key->size);
    name[key->size] = 0;
    tensor->name = name;
    name += key->size + 1;
    MOTE_TRY(read_storage(t, value->items[0], tensor));
    MOTE_TRY(read_view(t, value, tensor));
  }
  strip_prefix(t);
  qsort(t->tensors, (size_t)t->count, sizeof *t->tensors, by_name);
  for (int k = 1; k < t->count; k++)
    if (by_name(&t->tensors[k - 1], &t->tensors[k]) == 0)
      return wrong(t, &t->tensors[k], "its name stands twice");
  return MOTE_OK;
}

/* ---- Opening ---- */

static mote_status read_pickle(mote_torch *t) {
  int member = mote_torch_zip_find(&t->archive, "data.pkl");
  unsigned char *bytes;
  size_t size;
  mote_pickle *pickle;
  const mote_value *root;
  if (t->archive.zip.members[member].size > LARGEST_PICKLE)
    return mote_torch_no_checkpoint(mote_torch_path(t), "its data.pkl is absurdly large");
  MOTE_TRY(mote_zip_read(&t->archive.zip, member, &bytes, &size));
  mote_status status = mote_pickle_read(&mote_pickle_torch, mote_torch_path(t), bytes, size, &pickle, &root);
  if (status == MOTE_OK) {
    const mote_value *dict = root->kind == MOTE_PICKLE_DICT ? find_state_dict(root) : root;
    status = dict->kind == MOTE_PICKLE_DICT ? collect(t, dict) : MOTE_OK;
    if (status == MOTE_OK && t->count == 0) status = no_state_dict(t, root);
    mote_pickle_free(pickle);
  }
  free(bytes);
  return status;
}

mote_status mote_torch_open(const char *path, mote_torch **archive) {
  *archive = NULL;
  mote_torch *t = calloc(1, sizeof *t);
  if (!t) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to open %s", path);
  t->loaded = -1;
  mote_status status = mote_torch_zip_open(path, &t->archive);
  if (status == MOTE_OK) status = read_pickle(t);
  if (status != MOTE_OK) {
    mote_torch_close(t);
    return status;
  }
  *archive = t;
  return MOTE_OK;
}

void mote_torch_close(mote_torch *t) {
  if (!t) return;
  mote_torch_zip_close(&t->archive);
  free(t->tensors);
  free(t->names);
  free(t->bytes);
  free(t);
}

/* ---- Values ---- */

static mote_status load(mote_torch *t, int storage) {
  size_t size;
  if (t->loaded == storage) return MOTE_OK;
  free(t->bytes);
  t->bytes = NULL;
  t->loaded = -1;
  MOTE_TRY(mote_zip_read(&t->archive.zip, storage, &t->bytes, &size));
  t->loaded = storage;
  return MOTE_OK;
}

static mote_element element_of(const mote_torch *t, mote_dtype dtype) {
  mote_element e;
  char text[4] = {t->archive.big_endian ? '>' : '<', dtype == MOTE_BF16 ? 'u' : 'f',
                  (char)('0' + mote_dtype_size(dtype))};
  mote_element_parse(text, 3, &e);
  return e;
}

/* The upper half of a float32. */
static double brain_float(double bits) {
  uint32_t word = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &word, sizeof value);
  return value;
}

mote_status mote_torch_read(mote_torch *t, const mote_torch_tensor *tensor, float *values) {
  int64_t index[MOTE_TENSOR_MOST_RANK] = {0}, at = tensor->offset;
  if (tensor->dtype > MOTE_BF16)
    return mote_fail(MOTE_ERROR_FORMAT,
                     "%s: tensor '%.200s' is of %s: expected floats (F32, F16, BF16 or F64)",
                     mote_torch_path(t), tensor->name, mote_dtype_name(tensor->dtype));
  MOTE_TRY(load(t, tensor->storage));
  mote_element element = element_of(t, tensor->dtype);
  for (int64_t k = 0; k < tensor->count; k++) {
    double value = mote_element_get(element, t->bytes, (size_t)at);
    if (tensor->dtype == MOTE_BF16) value = brain_float(value);
    values[k] = (float)value;
    if (!isfinite(values[k]))
      return mote_fail(MOTE_ERROR_NUMERIC, "%s: tensor '%.200s': element %lld is not finite",
                       mote_torch_path(t), tensor->name, (long long)k);
    for (int d = tensor->rank - 1; d >= 0; d--) {
      at += tensor->stride[d];
      if (++index[d] < tensor->shape[d]) break;
      at -= tensor->stride[d] * tensor->shape[d];
      index[d] = 0;
    }
  }
  return MOTE_OK;
}
