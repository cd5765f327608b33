/* What a pickle of numpy arrays may call: _reconstruct, dtype, scalar, _frombuffer, and encode for the bytes
   of old protocols. The trick: none of them is called; each is a shape of arguments that is checked and
   copied. */
#include "host/io/pickle_machine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

/* ---- Elements ---- */

static int host_is_little(void) {
  const uint16_t one = 1;
  return *(const unsigned char *)&one == 1;
}

int mote_element_parse(const char *text, size_t size, mote_element *element) {
  char order = '=';
  if (size > 0 && strchr("<>=|", text[0])) order = text[0], text++, size--;
  *element = (mote_element){0};
  if (size < 1 || size > 2) return 0;
  element->kind = text[0];
  if (text[0] == 'O')
    element->size = 8;
  else if (size == 1 && text[0] == '?')
    element->kind = 'b', element->size = 1;
  else if (size == 2 && text[1] >= '1' && text[1] <= '8')
    element->size = text[1] - '0';
  int n = element->size;
  int known = (text[0] == 'f' && (n == 2 || n == 4 || n == 8)) || (element->kind == 'b' && n == 1) ||
              ((text[0] == 'i' || text[0] == 'u') && (n == 1 || n == 2 || n == 4 || n == 8)) ||
              text[0] == 'O';
  if (order == '<' || order == '>') element->swapped = (order == '<') != host_is_little();
  return known && n > 0;
}

static double half(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double value = exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY)
                 : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                : ldexp(fraction, -24);
  return bits >> 15 ? -value : value;
}

double mote_element_get(mote_element e, const unsigned char *bytes, size_t index) {
  uint64_t bits = 0;
  const unsigned char *p = bytes + index * (size_t)e.size;
  for (int k = 0; k < e.size; k++) {
    int at = host_is_little() != e.swapped ? e.size - 1 - k : k;
    bits = bits << 8 | p[at];
  }
  if (e.kind == 'f' && e.size == 2) return half((uint16_t)bits);
  if (e.kind == 'f' && e.size == 4) {
    float value;
    uint32_t word = (uint32_t)bits;
    memcpy(&value, &word, 4);
    return value;
  }
  if (e.kind == 'f') {
    double value;
    memcpy(&value, &bits, 8);
    return value;
  }
  if (e.kind == 'i') {
    int unused = 64 - 8 * e.size;
    return (double)((int64_t)(bits << unused) >> unused);
  }
  return (double)bits;
}

int64_t mote_shape_count(int rank, const int64_t *shape) {
  int64_t count = 1;
  for (int d = 0; d < rank; d++)
    if (shape[d] < 0 || __builtin_mul_overflow(count, shape[d], &count)) return -1;
  return count;
}

/* ---- Helpers ---- */

static int read_shape(const mote_value *tuple, mote_value *array) {
  if (tuple->kind != MOTE_PICKLE_TUPLE || tuple->size > MOTE_ARRAY_MOST_RANK) return 0;
  array->rank = (int)tuple->size;
  for (int d = 0; d < array->rank; d++) {
    if (tuple->items[d]->kind != MOTE_PICKLE_INT) return 0;
    array->shape[d] = tuple->items[d]->integer;
  }
  return mote_shape_count(array->rank, array->shape) >= 0;
}

/* The bytes of a numeric array must be exactly its elements. */
static int take_bytes(mote_value *array, const mote_value *bytes) {
  int64_t count = mote_shape_count(array->rank, array->shape);
  if (bytes->kind != MOTE_PICKLE_BYTES || array->element.kind == 'O' || count < 0 ||
      bytes->size / (size_t)array->element.size != (size_t)count || bytes->size % (size_t)array->element.size)
    return 0;
  array->bytes = bytes->bytes;
  array->size = bytes->size;
  return 1;
}

/* ---- Calls ---- */

static mote_status call_dtype(machine *m, const mote_value *a, mote_value *dtype) {
  int ok = a->size >= 1 &&
           (a->items[0]->kind == MOTE_PICKLE_TEXT || a->items[0]->kind == MOTE_PICKLE_BYTES) &&
           mote_element_parse((const char *)a->items[0]->bytes, a->items[0]->size, &dtype->element);
  dtype->kind = MOTE_PICKLE_DTYPE;
  return ok ? MOTE_OK : mote_machine_fail(m, "a dtype that is no float, integer, bool or object");
}

static mote_status call_scalar(machine *m, const mote_value *a, mote_value *array) {
  array->kind = MOTE_PICKLE_ARRAY;
  if (a->size != 2 || a->items[0]->kind != MOTE_PICKLE_DTYPE)
    return mote_machine_fail(m, "a scalar that is none");
  array->element = a->items[0]->element;
  return take_bytes(array, a->items[1]) ? MOTE_OK : mote_machine_fail(m, "a scalar of the wrong size");
}

static mote_status call_frombuffer(machine *m, const mote_value *a, mote_value *array) {
  array->kind = MOTE_PICKLE_ARRAY;
  if (a->size != 4 || a->items[1]->kind != MOTE_PICKLE_DTYPE || !read_shape(a->items[2], array))
    return mote_machine_fail(m, "a buffer that is no array");
  array->element = a->items[1]->element;
  array->fortran =
      a->items[3]->kind == MOTE_PICKLE_TEXT && a->items[3]->size == 1 && a->items[3]->bytes[0] == 'F';
  return take_bytes(array, a->items[0]) ? MOTE_OK : mote_machine_fail(m, "an array of the wrong size");
}

/* encode(text, "latin1"): UTF-8 whose characters are all below 256. */
static mote_status call_encode(machine *m, const mote_value *a, mote_value *bytes) {
  const mote_value *text = a->size == 2 ? a->items[0] : NULL;
  if (!text || text->kind != MOTE_PICKLE_TEXT) return mote_machine_fail(m, "bytes that are none");
  unsigned char *out = mote_machine_own(m, text->size);
  if (!out) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %s", m->name);
  size_t made = 0;
  for (size_t k = 0; k < text->size; k++) {
    unsigned char c = text->bytes[k];
    if (c >= 0x80) {
      if ((c != 0xc2 && c != 0xc3) || k + 1 == text->size) return mote_machine_fail(m, "bytes beyond latin1");
      c = (unsigned char)(c << 6 | (text->bytes[++k] & 0x3f));
    }
    out[made++] = c;
  }
  bytes->kind = MOTE_PICKLE_BYTES;
  bytes->bytes = out;
  bytes->size = made;
  return MOTE_OK;
}

static mote_status call_reconstruct(machine *m, const mote_value *a, mote_value *array) {
  if (a->size != 3 || !mote_machine_is_global(a->items[0], "numpy ndarray"))
    return mote_machine_fail(m, "rebuilds no array");
  array->kind = MOTE_PICKLE_ARRAY;
  array->rank = -1; /* until its state comes */
  return MOTE_OK;
}

/* ---- State ---- */

static mote_status build_dtype(machine *m, mote_value *dtype, const mote_value *s) {
  int ok = s->kind == MOTE_PICKLE_TUPLE && s->size >= 2 &&
           (s->items[1]->kind == MOTE_PICKLE_TEXT || s->items[1]->kind == MOTE_PICKLE_BYTES) &&
           s->items[1]->size == 1;
  if (!ok) return mote_machine_fail(m, "a dtype without a byte order");
  char order = (char)s->items[1]->bytes[0];
  if (order == '<' || order == '>') dtype->element.swapped = (order == '<') != host_is_little();
  return MOTE_OK;
}

/* (version, shape, dtype, is_fortran, bytes or list of objects) */
static mote_status build_array(machine *m, mote_value *array, const mote_value *s) {
  if (array->rank != -1) return mote_machine_fail(m, "an array is rebuilt twice");
  if (s->kind != MOTE_PICKLE_TUPLE || s->size != 5 || s->items[2]->kind != MOTE_PICKLE_DTYPE ||
      !read_shape(s->items[1], array))
    return mote_machine_fail(m, "an array whose state is none");
  array->element = s->items[2]->element;
  array->fortran = s->items[3]->kind == MOTE_PICKLE_BOOL && s->items[3]->integer != 0;
  const mote_value *content = s->items[4];
  if (array->element.kind != 'O')
    return take_bytes(array, content) ? MOTE_OK : mote_machine_fail(m, "an array of the wrong size");
  if (content->kind != MOTE_PICKLE_LIST ||
      mote_shape_count(array->rank, array->shape) != (int64_t)content->size)
    return mote_machine_fail(m, "an array of objects of the wrong size");
  for (size_t k = 0; k < content->size; k++) MOTE_TRY(mote_machine_append(m, array, content->items[k]));
  return MOTE_OK;
}

static mote_status build(machine *m, mote_value *object, const mote_value *state) {
  if (object->kind == MOTE_PICKLE_DTYPE) return build_dtype(m, object, state);
  if (object->kind == MOTE_PICKLE_ARRAY) return build_array(m, object, state);
  return mote_machine_fail(m, "gives a state to what has none");
}

/* numpy 2 moved numpy.core to numpy._core; its files and those before it both occur. */
static const mote_pickle_function functions[] = {{"numpy.core.multiarray _reconstruct", call_reconstruct},
                                                 {"numpy._core.multiarray _reconstruct", call_reconstruct},
                                                 {"numpy dtype", call_dtype},
                                                 {"numpy.core.multiarray scalar", call_scalar},
                                                 {"numpy._core.multiarray scalar", call_scalar},
                                                 {"numpy.core.numeric _frombuffer", call_frombuffer},
                                                 {"numpy._core.numeric _frombuffer", call_frombuffer},
                                                 {"_codecs encode", call_encode},
                                                 {0}};

const mote_pickle_dialect mote_pickle_numpy = {"numpy arrays", "", functions, build, NULL};
