/* JSON with limits: see json_file.h. The trick: depth is counted by a scan before cJSON sees the text,
   because its own limit is a compile-time constant of the system's library. */
#include "host/io/json_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

#define DEEPEST 64
#define LARGEST_FILE ((int64_t)16 << 20)

static int line_of(const char *text, const char *at) {
  int line = 1;
  for (; text < at; text++) line += *text == '\n';
  return line;
}

/* Brackets outside of strings. */
static mote_status check_depth(const char *name, const char *text, size_t size) {
  int depth = 0, quoted = 0;
  for (size_t i = 0; i < size; i++) {
    char c = text[i];
    if (c == 0)
      return mote_fail(MOTE_ERROR_FORMAT, "%s, line %d: a zero byte; expected JSON text", name,
                       line_of(text, text + i));
    if (quoted && c == '\\')
      i++;
    else if (c == '"')
      quoted = !quoted;
    else if (!quoted && (c == '{' || c == '['))
      depth++;
    else if (!quoted && (c == '}' || c == ']'))
      depth--;
    if (depth > DEEPEST)
      return mote_fail(MOTE_ERROR_FORMAT, "%s, line %d: nested more than %d deep", name,
                       line_of(text, text + i), DEEPEST);
  }
  return MOTE_OK;
}

static int by_key(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A key twice means two readers may see two different files. */
static mote_status check_keys(const char *name, const cJSON *node) {
  const cJSON *child;
  int count = 0;
  cJSON_ArrayForEach(child, node) {
    count++;
    if (child->child) MOTE_TRY(check_keys(name, child));
  }
  if (!cJSON_IsObject(node) || count < 2) return MOTE_OK;
  const char **keys = malloc((size_t)count * sizeof *keys), *twice = NULL;
  if (!keys) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %s", name);
  count = 0;
  cJSON_ArrayForEach(child, node) keys[count++] = child->string ? child->string : "";
  qsort(keys, (size_t)count, sizeof *keys, by_key);
  for (int k = 1; k < count && !twice; k++)
    if (strcmp(keys[k], keys[k - 1]) == 0) twice = keys[k];
  mote_status status = MOTE_OK;
  if (twice) status = mote_fail(MOTE_ERROR_FORMAT, "%s: the key \"%.100s\" stands twice", name, twice);
  free(keys);
  return status;
}

mote_status mote_json_parse(const char *name, const char *text, size_t size, cJSON **root) {
  *root = NULL;
  MOTE_TRY(check_depth(name, text, size));
  const char *end = text;
  cJSON *tree = cJSON_ParseWithLengthOpts(text, size, &end, 0);
  if (!tree)
    return mote_fail(MOTE_ERROR_FORMAT, "%s, line %d: not JSON (truncated, or a mistake near '%.*s')", name,
                     line_of(text, end), (int)(text + size - end < 20 ? text + size - end : 20), end);
  mote_status status = MOTE_OK;
  while (end < text + size && strchr(" \t\r\n", *end)) end++;
  if (end < text + size)
    status = mote_fail(MOTE_ERROR_FORMAT, "%s, line %d: more text behind the end of the JSON value", name,
                       line_of(text, end));
  else if (!cJSON_IsObject(tree) && !cJSON_IsArray(tree))
    status = mote_fail(MOTE_ERROR_FORMAT, "%s: expected a JSON object", name);
  else
    status = check_keys(name, tree);
  if (status != MOTE_OK) {
    cJSON_Delete(tree);
    return status;
  }
  *root = tree;
  return MOTE_OK;
}

mote_status mote_json_read(const char *path, cJSON **root) {
  char *text;
  size_t size;
  *root = NULL;
  MOTE_TRY(mote_file_read(path, LARGEST_FILE, &text, &size));
  mote_status status = mote_json_parse(path, text, size, root);
  free(text);
  return status;
}

mote_status mote_json_write_to(mote_output *output, const cJSON *root) {
  char *text = cJSON_Print(root);
  if (!text) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to write %s", output->path);
  mote_status status = mote_output_write(output, text, strlen(text));
  cJSON_free(text);
  return status;
}

mote_status mote_json_write(const char *path, const cJSON *root) {
  char *text = cJSON_Print(root);
  if (!text) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to write %s", path);
  mote_status status = mote_file_write(path, text, strlen(text));
  cJSON_free(text);
  return status;
}

/* ---- Members ---- */

static mote_status find(const char *name, const cJSON *object, const char *key, const cJSON **item,
                        int *found) {
  *item = cJSON_GetObjectItemCaseSensitive(object, key);
  if (found) *found = *item != NULL;
  if (*item || found) return MOTE_OK;
  return mote_fail(MOTE_ERROR_FORMAT, "%s: \"%s\" is missing", name, key);
}

static mote_status wrong(const char *name, const char *key, const char *expected) {
  return mote_fail(MOTE_ERROR_FORMAT, "%s: \"%s\": expected %s", name, key, expected);
}

mote_status mote_json_number(const char *name, const cJSON *object, const char *key, double *value,
                             int *found) {
  const cJSON *item;
  MOTE_TRY(find(name, object, key, &item, found));
  if (!item) return MOTE_OK;
  if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble)) return wrong(name, key, "a finite number");
  *value = item->valuedouble;
  return MOTE_OK;
}

mote_status mote_json_integer(const char *name, const cJSON *object, const char *key, int64_t low,
                              int64_t high, int64_t *value, int *found) {
  const cJSON *item;
  MOTE_TRY(find(name, object, key, &item, found));
  if (!item) return MOTE_OK;
  double number = item->valuedouble, exact = 9007199254740992.0; /* 2^53: beyond it doubles skip integers */
  if (high > (int64_t)exact) high = (int64_t)exact;
  if (!cJSON_IsNumber(item) || !(number >= (double)low && number <= (double)high) || number != floor(number))
    return mote_fail(MOTE_ERROR_FORMAT, "%s: \"%s\": expected an integer between %lld and %lld", name, key,
                     (long long)low, (long long)high);
  *value = (int64_t)number;
  return MOTE_OK;
}

mote_status mote_json_boolean(const char *name, const cJSON *object, const char *key, int *value,
                              int *found) {
  const cJSON *item;
  MOTE_TRY(find(name, object, key, &item, found));
  if (!item) return MOTE_OK;
  if (!cJSON_IsBool(item)) return wrong(name, key, "true or false");
  *value = cJSON_IsTrue(item);
  return MOTE_OK;
}

mote_status mote_json_string(const char *name, const cJSON *object, const char *key, const char **value,
                             int *found) {
  const cJSON *item;
  MOTE_TRY(find(name, object, key, &item, found));
  if (!item) return MOTE_OK;
  if (!cJSON_IsString(item)) return wrong(name, key, "a string");
  *value = item->valuestring;
  return MOTE_OK;
}

mote_status mote_json_numbers(const char *name, const cJSON *object, const char *key, int low, int high,
                              double *values, int *count, int *found) {
  const cJSON *item, *element;
  MOTE_TRY(find(name, object, key, &item, found));
  if (!item) return MOTE_OK;
  int length = cJSON_IsArray(item) ? cJSON_GetArraySize(item) : -1;
  if (length < low || length > high)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: \"%s\": expected an array of %d to %d numbers", name, key, low,
                     high);
  int k = 0;
  cJSON_ArrayForEach(element, item) {
    if (!cJSON_IsNumber(element) || !isfinite(element->valuedouble))
      return wrong(name, key, "an array of finite numbers");
    values[k++] = element->valuedouble;
  }
  if (count) *count = k;
  return MOTE_OK;
}
