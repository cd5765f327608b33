/* safetensors: see safetensors.h. The trick: sorted by offset, the tensors of an honest file form a chain
   from 0 to the end; one pass along it excludes overlaps, holes and anything out of bounds. */
#include "host/io/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/core/error.h"
#include "host/io/json_file.h"

#define LARGEST_HEADER ((int64_t)16 << 20)

struct mote_safetensors {
  char *path;
  int fd;
  int64_t data; /* where the tensors begin */
  cJSON *header;
  int count;
  mote_tensor *tensors; /* by name */
};

static const struct {
  const char *name;
  size_t size;
} dtypes[] = {{"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8}, {"I32", 4}, {"I16", 2},
              {"I8", 1},  {"U64", 8}, {"U32", 4}, {"U16", 2},  {"U8", 1},  {"BOOL", 1}};
#define DTYPES ((int)(sizeof dtypes / sizeof *dtypes))

size_t mote_dtype_size(mote_dtype dtype) {
  return dtypes[dtype].size;
}

const char *mote_dtype_name(mote_dtype dtype) {
  return dtypes[dtype].name;
}

/* ---- The header ---- */

static mote_status wrong(const char *path, const char *name, const char *why) {
  return mote_fail(MOTE_ERROR_FORMAT, "%s: tensor '%.200s': %s", path, name, why);
}

static int exact(const cJSON *number, int64_t *value) {
  double v = cJSON_IsNumber(number) ? number->valuedouble : -1;
  if (!(v >= 0 && v <= 9007199254740992.0) || v != floor(v)) return 0;
  *value = (int64_t)v;
  return 1;
}

static mote_status read_entry(const char *path, const cJSON *entry, mote_tensor *t, int64_t *end) {
  const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(entry, "dtype");
  const cJSON *shape = cJSON_GetObjectItemCaseSensitive(entry, "shape");
  const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets"), *extent;
  int kind = -1;
  *t = (mote_tensor){.name = entry->string, .count = 1};
  for (int k = 0; k < DTYPES; k++)
    if (cJSON_IsString(dtype) && strcmp(dtype->valuestring, dtypes[k].name) == 0) kind = k;
  if (kind < 0) return wrong(path, t->name, "a dtype that is unknown or missing");
  t->dtype = (mote_dtype)kind;
  if (!cJSON_IsArray(shape) || cJSON_GetArraySize(shape) > MOTE_TENSOR_MOST_RANK)
    return wrong(path, t->name, "expected a shape of at most 8 dimensions");
  cJSON_ArrayForEach(extent, shape) {
    int64_t value;
    if (!exact(extent, &value) || __builtin_mul_overflow(t->count, value, &t->count))
      return wrong(path, t->name, "a shape that is no shape");
    t->shape[t->rank++] = value;
  }
  int64_t bytes;
  if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 ||
      !exact(cJSON_GetArrayItem(offsets, 0), &t->offset) || !exact(cJSON_GetArrayItem(offsets, 1), end))
    return wrong(path, t->name, "expected data_offsets [begin, end]");
  if (__builtin_mul_overflow(t->count, (int64_t)dtypes[kind].size, &bytes) || *end < t->offset ||
      *end - t->offset != bytes)
    return wrong(path, t->name, "its data_offsets do not fit its dtype and shape");
  return MOTE_OK;
}

static int by_offset(const void *a, const void *b) {
  const mote_tensor *x = a, *y = b;
  if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
  return (x->count > 0) - (y->count > 0); /* empty ones first: they share the offset of the next */
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const mote_tensor *)a)->name, ((const mote_tensor *)b)->name);
}

static mote_status read_entries(mote_safetensors *f, int64_t data_size) {
  const cJSON *entry;
  int64_t end, chain = 0;
  if (!cJSON_IsObject(f->header)) return mote_fail(MOTE_ERROR_FORMAT, "%s: its header is no object", f->path);
  f->tensors = calloc((size_t)cJSON_GetArraySize(f->header) + 1, sizeof *f->tensors);
  if (!f->tensors) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to open %s", f->path);
  cJSON_ArrayForEach(entry, f->header) {
    if (strcmp(entry->string, "__metadata__") == 0) continue;
    if (!cJSON_IsObject(entry)) return wrong(f->path, entry->string, "expected an object");
    MOTE_TRY(read_entry(f->path, entry, &f->tensors[f->count], &end));
    f->count++;
  }
  qsort(f->tensors, (size_t)f->count, sizeof *f->tensors, by_offset);
  for (int k = 0; k < f->count; k++) {
    const mote_tensor *t = &f->tensors[k];
    if (t->offset != chain)
      return wrong(f->path, t->name, t->offset < chain ? "overlaps another" : "a hole lies before it");
    chain += t->count * (int64_t)dtypes[t->dtype].size;
    if (chain > data_size) return wrong(f->path, t->name, "reaches beyond the end of the file (truncated?)");
  }
  if (chain != data_size)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: %lld bytes lie behind its last tensor", f->path,
                     (long long)(data_size - chain));
  qsort(f->tensors, (size_t)f->count, sizeof *f->tensors, by_name);
  return MOTE_OK;
}

static mote_status read_header(mote_safetensors *f) {
  int64_t size;
  unsigned char prefix[8];
  uint64_t length = 0;
  MOTE_TRY(mote_file_open(f->path, &f->fd, &size));
  int code = mote_pread_all(f->fd, prefix, sizeof prefix, 0);
  if (code) return mote_fail(MOTE_ERROR_IO, "cannot read %s: %s", f->path, strerror(code));
  for (int k = 7; k >= 0; k--) length = length << 8 | prefix[k];
  if (size < 10 || length < 2 || length > (uint64_t)(size - 8))
    return mote_fail(MOTE_ERROR_FORMAT, "%s is not a whole safetensors file: %lld bytes, a header of %llu",
                     f->path, (long long)size, (unsigned long long)length);
  if (length > (uint64_t)LARGEST_HEADER)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: a header of %llu bytes; at most %lld are read", f->path,
                     (unsigned long long)length, (long long)LARGEST_HEADER);
  char *text = malloc((size_t)length);
  if (!text) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to open %s", f->path);
  code = mote_pread_all(f->fd, text, (size_t)length, 8);
  mote_status status = code ? mote_fail(MOTE_ERROR_IO, "cannot read %s: %s", f->path, strerror(code))
                            : mote_json_parse(f->path, text, (size_t)length, &f->header);
  free(text);
  f->data = 8 + (int64_t)length;
  return status == MOTE_OK ? read_entries(f, size - f->data) : status;
}

mote_status mote_safetensors_open(const char *path, mote_safetensors **file) {
  *file = NULL;
  mote_safetensors *f = calloc(1, sizeof *f);
  if (f) f->fd = -1;
  if (!f || !(f->path = strdup(path))) {
    free(f);
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory to open %s", path);
  }
  mote_status status = read_header(f);
  if (status != MOTE_OK) {
    mote_safetensors_close(f);
    return status;
  }
  *file = f;
  return MOTE_OK;
}

void mote_safetensors_close(mote_safetensors *f) {
  if (!f) return;
  if (f->fd >= 0) close(f->fd);
  cJSON_Delete(f->header);
  free(f->tensors);
  free(f->path);
  free(f);
}

/* ---- Tensors ---- */

const mote_tensor *mote_safetensors_tensor(const mote_safetensors *f, int index) {
  return index >= 0 && index < f->count ? &f->tensors[index] : NULL;
}

const mote_tensor *mote_safetensors_find(const mote_safetensors *f, const char *name) {
  mote_tensor wanted = {.name = name};
  return f->count ? bsearch(&wanted, f->tensors, (size_t)f->count, sizeof wanted, by_name) : NULL;
}

const char *mote_safetensors_metadata(const mote_safetensors *f, const char *key) {
  const cJSON *all = cJSON_GetObjectItemCaseSensitive(f->header, "__metadata__");
  const cJSON *item = cJSON_IsObject(all) ? cJSON_GetObjectItemCaseSensitive(all, key) : NULL;
  return cJSON_IsString(item) ? item->valuestring : NULL;
}

static void format_shape(char *text, size_t size, int rank, const int64_t *shape) {
  size_t at = 0;
  text[0] = 0;
  for (int d = 0; d < rank && at < size; d++)
    at += (size_t)snprintf(text + at, size - at, shape[d] < 0 ? "%s*" : "%s%lld", d ? ", " : "",
                           (long long)shape[d]);
}

static mote_status check_shape(const mote_safetensors *f, const mote_tensor *t, int rank,
                               const int64_t *shape) {
  int fits = t->rank == rank;
  for (int d = 0; fits && d < rank; d++) fits = shape[d] < 0 || shape[d] == t->shape[d];
  if (fits) return MOTE_OK;
  char has[200], wants[200];
  format_shape(has, sizeof has, t->rank, t->shape);
  format_shape(wants, sizeof wants, rank, shape);
  return mote_fail(MOTE_ERROR_FORMAT, "%s: tensor '%.200s' has the shape (%s); expected (%s)", f->path,
                   t->name, has, wants);
}

mote_status mote_safetensors_read_raw(const mote_safetensors *f, const mote_tensor *t, void *bytes) {
  int code = mote_pread_all(f->fd, bytes, (size_t)t->count * dtypes[t->dtype].size, f->data + t->offset);
  return code ? mote_fail(MOTE_ERROR_IO, "cannot read %s: %s", f->path, strerror(code)) : MOTE_OK;
}

static float half(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  float value = exponent == 31 ? (fraction ? NAN : INFINITY)
                : exponent     ? ldexpf((float)(1024 + fraction), exponent - 25)
                               : ldexpf((float)fraction, -24);
  return bits >> 15 ? -value : value;
}

static void widen(mote_dtype dtype, const unsigned char *bytes, int64_t count, float *values) {
  for (int64_t k = 0; k < count; k++) {
    uint16_t narrow;
    uint32_t word;
    double wide;
    if (dtype == MOTE_F64) {
      memcpy(&wide, bytes + 8 * k, 8);
      values[k] = (float)wide;
      continue;
    }
    memcpy(&narrow, bytes + 2 * k, 2);
    word = (uint32_t)narrow << 16;
    if (dtype == MOTE_BF16)
      memcpy(&values[k], &word, 4);
    else
      values[k] = half(narrow);
  }
}

mote_status mote_safetensors_read(const mote_safetensors *f, const char *name, int rank, const int64_t *shape,
                                  float *values) {
  const mote_tensor *t = mote_safetensors_find(f, name);
  if (!t) return mote_fail(MOTE_ERROR_FORMAT, "%s: tensor '%.200s' is missing", f->path, name);
  MOTE_TRY(check_shape(f, t, rank, shape));
  if (t->dtype > MOTE_BF16) return wrong(f->path, name, "expected floats (F32, F16, BF16 or F64)");
  if (t->dtype == MOTE_F32) {
    MOTE_TRY(mote_safetensors_read_raw(f, t, values));
  } else {
    unsigned char *bytes = malloc((size_t)t->count * dtypes[t->dtype].size + 1);
    if (!bytes) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for tensor '%.200s'", name);
    mote_status status = mote_safetensors_read_raw(f, t, bytes);
    if (status == MOTE_OK) widen(t->dtype, bytes, t->count, values);
    free(bytes);
    if (status != MOTE_OK) return status;
  }
  for (int64_t k = 0; k < t->count; k++)
    if (!isfinite(values[k])) return wrong(f->path, name, "a value is not finite in float32");
  return MOTE_OK;
}

/* ---- Writing ---- */

static int by_size_and_name(const void *a, const void *b) {
  const mote_tensor *x = *(const mote_tensor *const *)a, *y = *(const mote_tensor *const *)b;
  size_t p = dtypes[x->dtype].size, q = dtypes[y->dtype].size;
  return p != q ? (p > q ? -1 : 1) : strcmp(x->name, y->name);
}

static char *format_header(const mote_tensor *const *sorted, int count, const char *const *metadata,
                           int pairs) {
  cJSON *root = cJSON_CreateObject(), *texts = pairs ? cJSON_AddObjectToObject(root, "__metadata__") : NULL;
  for (int k = 0; k < pairs; k++) cJSON_AddStringToObject(texts, metadata[2 * k], metadata[2 * k + 1]);
  int64_t offset = 0;
  for (int k = 0; k < count; k++) {
    const mote_tensor *t = sorted[k];
    cJSON *entry = cJSON_AddObjectToObject(root, t->name), *shape, *offsets;
    int64_t elements = 1;
    cJSON_AddStringToObject(entry, "dtype", dtypes[t->dtype].name);
    shape = cJSON_AddArrayToObject(entry, "shape");
    for (int d = 0; d < t->rank; d++) {
      cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)t->shape[d]));
      elements *= t->shape[d];
    }
    offsets = cJSON_AddArrayToObject(entry, "data_offsets");
    cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)offset));
    offset += elements * (int64_t)dtypes[t->dtype].size;
    cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)offset));
  }
  char *text = cJSON_PrintUnformatted(root);
  cJSON_Delete(root);
  return text;
}

static mote_status write_all(mote_output *o, const mote_tensor *const *sorted, int count,
                             const char *header) {
  static const char spaces[8] = "        ";
  size_t length = strlen(header), padding = (8 - length % 8) % 8;
  unsigned char prefix[8];
  for (int k = 0; k < 8; k++) prefix[k] = (unsigned char)((uint64_t)(length + padding) >> 8 * k);
  MOTE_TRY(mote_output_write(o, prefix, sizeof prefix));
  MOTE_TRY(mote_output_write(o, header, length));
  MOTE_TRY(mote_output_write(o, spaces, padding)); /* data begins at a multiple of 8 */
  for (int k = 0; k < count; k++) {
    size_t bytes = dtypes[sorted[k]->dtype].size;
    for (int d = 0; d < sorted[k]->rank; d++) bytes *= (size_t)sorted[k]->shape[d];
    MOTE_TRY(mote_output_write(o, sorted[k]->data, bytes));
  }
  return MOTE_OK;
}

static mote_status check_tensors(const mote_tensor *const *sorted, int count) {
  for (int k = 0; k < count; k++) {
    const mote_tensor *t = sorted[k];
    int fits =
        t->rank >= 0 && t->rank <= MOTE_TENSOR_MOST_RANK && (int)t->dtype >= 0 && (int)t->dtype < DTYPES;
    int64_t bytes = fits ? (int64_t)dtypes[t->dtype].size : 0;
    for (int d = 0; fits && d < t->rank; d++)
      fits = t->shape[d] >= 0 && !__builtin_mul_overflow(bytes, t->shape[d], &bytes);
    if (!fits || (bytes > 0 && !t->data))
      return mote_fail(MOTE_ERROR_ARGUMENT, "safetensors: tensor '%.200s' has no valid shape, type or data",
                       t->name);
    for (int other = 0; other < k; other++)
      if (strcmp(t->name, sorted[other]->name) == 0)
        return mote_fail(MOTE_ERROR_ARGUMENT, "safetensors: two tensors are named '%.200s'", t->name);
  }
  return MOTE_OK;
}

mote_status mote_safetensors_write_to(mote_output *output, const mote_tensor *tensors, int count,
                                      const char *const *metadata, int pairs) {
  const mote_tensor **sorted = malloc(((size_t)count + 1) * sizeof *sorted);
  if (!sorted) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to write %s", output->path);
  for (int k = 0; k < count; k++) sorted[k] = &tensors[k];
  qsort(sorted, (size_t)count, sizeof *sorted, by_size_and_name);
  mote_status status = check_tensors(sorted, count);
  char *header = status == MOTE_OK ? format_header(sorted, count, metadata, pairs) : NULL;
  if (status == MOTE_OK)
    status = header ? write_all(output, sorted, count, header)
                    : mote_fail(MOTE_ERROR_MEMORY, "out of memory to write %s", output->path);
  free(sorted);
  cJSON_free(header);
  return status;
}

mote_status mote_safetensors_write(const char *path, const mote_tensor *tensors, int count,
                                   const char *const *metadata, int pairs) {
  mote_output output;
  MOTE_TRY(mote_output_open(path, &output));
  mote_status status = mote_safetensors_write_to(&output, tensors, count, metadata, pairs);
  if (status == MOTE_OK) return mote_output_commit(&output, 1);
  mote_output_discard(&output, 1);
  return status;
}
