/* NPY headers: see npy.h. The trick: the header is a Python dictionary, but of three known keys; a scanner
   for just those is smaller and safer than a parser of Python. */
#include "host/io/npy.h"

#include <string.h>

#include "host/core/error.h"

typedef struct scanner {
  const char *at, *end;
} scanner;

static void skip_space(scanner *s) {
  while (s->at < s->end && strchr(" \t\r\n", *s->at) && *s->at) s->at++;
}

static int accept(scanner *s, const char *text) {
  skip_space(s);
  size_t length = strlen(text);
  if ((size_t)(s->end - s->at) < length || memcmp(s->at, text, length) != 0) return 0;
  s->at += length;
  return 1;
}

/* 'text' or "text" without escapes. */
static int quoted(scanner *s, const char **text, size_t *length) {
  skip_space(s);
  if (s->at == s->end || (*s->at != '\'' && *s->at != '"')) return 0;
  const char *close = memchr(s->at + 1, *s->at, (size_t)(s->end - s->at - 1));
  if (!close) return 0;
  *text = s->at + 1;
  *length = (size_t)(close - *text);
  s->at = close + 1;
  return 1;
}

static int extent(scanner *s, int64_t *value) {
  skip_space(s);
  const char *start = s->at;
  *value = 0;
  while (s->at < s->end && *s->at >= '0' && *s->at <= '9') {
    if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, *s->at - '0', value))
      return 0;
    s->at++;
  }
  if (s->at == start) return 0;
  if (s->at < s->end && *s->at == 'L') s->at++; /* Python 2 */
  return 1;
}

static int shape(scanner *s, mote_npy *npy) {
  if (!accept(s, "(")) return 0;
  npy->rank = 0;
  while (!accept(s, ")")) {
    if (npy->rank == MOTE_ARRAY_MOST_RANK || !extent(s, &npy->shape[npy->rank])) return 0;
    npy->rank++;
    if (accept(s, ",")) continue;
    return accept(s, ")");
  }
  return 1;
}

static int dictionary(scanner *s, mote_npy *npy) {
  int seen = 0;
  if (!accept(s, "{")) return 0;
  while (!accept(s, "}")) {
    const char *key, *text;
    size_t length, size;
    if (!quoted(s, &key, &length) || !accept(s, ":")) return 0;
    if (length == 5 && memcmp(key, "descr", 5) == 0) {
      if (!quoted(s, &text, &size) || !mote_element_parse(text, size, &npy->element)) return 0;
      seen |= 1;
    } else if (length == 13 && memcmp(key, "fortran_order", 13) == 0) {
      npy->fortran = accept(s, "True");
      if (!npy->fortran && !accept(s, "False")) return 0;
      seen |= 2;
    } else if (length == 5 && memcmp(key, "shape", 5) == 0) {
      if (!shape(s, npy)) return 0;
      seen |= 4;
    } else {
      return 0;
    }
    if (!accept(s, ",")) return accept(s, "}") && seen == 7;
  }
  return seen == 7;
}

mote_status mote_npy_parse(const char *name, const unsigned char *bytes, size_t size, mote_npy *npy) {
  *npy = (mote_npy){0};
  if (size < 12 || memcmp(bytes, "\x93NUMPY", 6) != 0 || bytes[6] < 1 || bytes[6] > 3)
    return mote_fail(MOTE_ERROR_FORMAT, "%s is no NPY array of version 1 to 3", name);
  size_t prefix = bytes[6] == 1 ? 10 : 12, length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
  if (bytes[6] > 1) length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
  if (length > size - prefix || length > 65536)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: its header is cut off", name);
  scanner s = {(const char *)bytes + prefix, (const char *)bytes + prefix + length};
  if (!dictionary(&s, npy))
    return mote_fail(
        MOTE_ERROR_FORMAT,
        "%s: its header is not {'descr': a number or object, 'fortran_order': ..., 'shape': ...}", name);
  npy->data = prefix + length;
  if (npy->element.kind == 'O') return MOTE_OK;
  int64_t count = mote_shape_count(npy->rank, npy->shape);
  size_t left = size - npy->data, each = (size_t)npy->element.size;
  if (count < 0 || left % each || left / each != (size_t)count)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: its shape does not fit its %zu bytes of data", name, left);
  return MOTE_OK;
}
