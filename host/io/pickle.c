/* The instructions of the pickle machine: see pickle.h (as in CPython's Lib/pickletools.py, protocols 2 to
   5). The trick: instructions only move values about; whatever names something of the world goes through the
   dialect's table. */
#include "host/io/pickle_machine.h"

#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

static mote_status push(machine *m, mote_value *value) {
  if (m->depth == MOTE_MACHINE_STACK) return mote_machine_fail(m, "its stack is too deep");
  m->stack[m->depth++] = value;
  return MOTE_OK;
}

static mote_status push_new(machine *m, mote_pickle_kind kind, int64_t integer, double number) {
  mote_value *value;
  MOTE_TRY(mote_machine_new(m, kind, &value));
  value->integer = integer;
  value->number = number;
  return push(m, value);
}

static mote_status pop(machine *m, mote_value **value) {
  *value = NULL;
  if (m->depth == 0 || m->stack[m->depth - 1]->kind == MOTE_PICKLE_MARK)
    return mote_machine_fail(m, "its stack is empty");
  *value = m->stack[--m->depth];
  return MOTE_OK;
}

/* ---- Reading the stream ---- */

static mote_status take(machine *m, size_t count, const unsigned char **bytes) {
  *bytes = NULL;
  if (count > m->size - m->at) return mote_machine_fail(m, "it is cut off");
  *bytes = m->bytes + m->at;
  m->at += count;
  return MOTE_OK;
}

static mote_status take_unsigned(machine *m, int bytes, uint64_t *value) {
  const unsigned char *p;
  *value = 0;
  MOTE_TRY(take(m, (size_t)bytes, &p));
  for (int k = bytes - 1; k >= 0; k--) *value = *value << 8 | p[k];
  return MOTE_OK;
}

/* A string or bytes behind a length of so many bytes. */
static mote_status push_text(machine *m, mote_pickle_kind kind, int prefix) {
  uint64_t size;
  mote_value *value;
  MOTE_TRY(take_unsigned(m, prefix, &size));
  if (size > m->size) return mote_machine_fail(m, "a length is beyond its end");
  MOTE_TRY(mote_machine_new(m, kind, &value));
  MOTE_TRY(take(m, (size_t)size, &value->bytes));
  value->size = (size_t)size;
  return push(m, value);
}

/* "module\nname\n" */
static mote_status push_global(machine *m) {
  mote_value *value;
  const unsigned char *start = m->bytes + m->at, *middle, *end;
  middle = memchr(start, '\n', m->size - m->at);
  end = middle ? memchr(middle + 1, '\n', (size_t)(m->bytes + m->size - middle - 1)) : NULL;
  if (!end) return mote_machine_fail(m, "a name is cut off");
  MOTE_TRY(mote_machine_new(m, MOTE_PICKLE_GLOBAL, &value));
  MOTE_TRY(
      mote_machine_name(m, value, start, (size_t)(middle - start), middle + 1, (size_t)(end - middle - 1)));
  m->at = (size_t)(end + 1 - m->bytes);
  return push(m, value);
}

static mote_status stack_global(machine *m) {
  mote_value *name, *module, *value;
  MOTE_TRY(pop(m, &name));
  MOTE_TRY(pop(m, &module));
  if (name->kind != MOTE_PICKLE_TEXT || module->kind != MOTE_PICKLE_TEXT)
    return mote_machine_fail(m, "a name that is no text");
  MOTE_TRY(mote_machine_new(m, MOTE_PICKLE_GLOBAL, &value));
  MOTE_TRY(mote_machine_name(m, value, module->bytes, module->size, name->bytes, name->size));
  return push(m, value);
}

static mote_status push_long(machine *m) {
  uint64_t size, value = 0;
  const unsigned char *p;
  MOTE_TRY(take_unsigned(m, 1, &size));
  MOTE_TRY(take(m, (size_t)size, &p));
  if (size > 8) return mote_machine_fail(m, "an integer of more than 64 bits");
  for (uint64_t k = 0; k < size; k++) value |= (uint64_t)p[k] << 8 * k;
  if (size > 0 && size < 8 && p[size - 1] & 0x80) value |= UINT64_MAX << 8 * size;
  return push_new(m, MOTE_PICKLE_INT, (int64_t)value, 0);
}

static mote_status push_float(machine *m) {
  const unsigned char *p;
  uint64_t bits = 0;
  double value;
  MOTE_TRY(take(m, 8, &p));
  for (int k = 0; k < 8; k++) bits = bits << 8 | p[k];
  memcpy(&value, &bits, 8);
  return push_new(m, MOTE_PICKLE_FLOAT, 0, value);
}

/* ---- Containers and the memo ---- */

static mote_status find_mark(machine *m, size_t *mark) {
  *mark = 0;
  for (size_t k = m->depth; k > 0; k--)
    if (m->stack[k - 1]->kind == MOTE_PICKLE_MARK) {
      *mark = k - 1;
      return MOTE_OK;
    }
  return mote_machine_fail(m, "a mark is missing");
}

/* The values above `from` as one tuple in their place; `from` itself is the mark when `marked`. */
static mote_status make_tuple(machine *m, size_t from, int marked) {
  mote_value *tuple;
  MOTE_TRY(mote_machine_new(m, MOTE_PICKLE_TUPLE, &tuple));
  for (size_t k = from + (size_t)marked; k < m->depth; k++) {
    if (m->stack[k]->kind == MOTE_PICKLE_MARK) return mote_machine_fail(m, "a mark in a tuple");
    MOTE_TRY(mote_machine_append(m, tuple, m->stack[k]));
  }
  m->depth = from;
  return push(m, tuple);
}

static mote_status short_tuple(machine *m, size_t count) {
  return m->depth < count ? mote_machine_fail(m, "its stack is empty") : make_tuple(m, m->depth - count, 0);
}

static mote_status append_marked(machine *m) {
  size_t mark;
  MOTE_TRY(find_mark(m, &mark));
  if (mark == 0 || m->stack[mark - 1]->kind != MOTE_PICKLE_LIST)
    return mote_machine_fail(m, "appends to no list");
  for (size_t k = mark + 1; k < m->depth; k++)
    MOTE_TRY(mote_machine_append(m, m->stack[mark - 1], m->stack[k]));
  m->depth = mark;
  return MOTE_OK;
}

static mote_status append_one(machine *m) {
  mote_value *item;
  MOTE_TRY(pop(m, &item));
  if (m->depth == 0 || m->stack[m->depth - 1]->kind != MOTE_PICKLE_LIST)
    return mote_machine_fail(m, "appends to no list");
  return mote_machine_append(m, m->stack[m->depth - 1], item);
}

static mote_status set_marked(machine *m) {
  size_t mark;
  MOTE_TRY(find_mark(m, &mark));
  if (mark == 0 || m->stack[mark - 1]->kind != MOTE_PICKLE_DICT || (m->depth - mark) % 2 == 0)
    return mote_machine_fail(m, "sets items of no dictionary");
  for (size_t k = mark + 1; k < m->depth; k++)
    MOTE_TRY(mote_machine_append(m, m->stack[mark - 1], m->stack[k]));
  m->depth = mark;
  return MOTE_OK;
}

static mote_status set_one(machine *m) {
  mote_value *key, *value;
  MOTE_TRY(pop(m, &value));
  MOTE_TRY(pop(m, &key));
  if (m->depth == 0 || m->stack[m->depth - 1]->kind != MOTE_PICKLE_DICT)
    return mote_machine_fail(m, "sets an item of no dictionary");
  MOTE_TRY(mote_machine_append(m, m->stack[m->depth - 1], key));
  return mote_machine_append(m, m->stack[m->depth - 1], value);
}

static mote_status remember(machine *m, uint64_t key) {
  if (m->depth == 0) return mote_machine_fail(m, "its stack is empty");
  if (key >= MOTE_MACHINE_VALUES || key > m->memo_count + 65536)
    return mote_machine_fail(m, "a memo number is absurd");
  if (key >= m->memo_capacity) {
    size_t capacity = 2 * ((size_t)key + 64);
    mote_value **grown = realloc(m->memo, capacity * sizeof *grown);
    if (!grown) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %s", m->name);
    memset(grown + m->memo_capacity, 0, (capacity - m->memo_capacity) * sizeof *grown);
    m->memo = grown;
    m->memo_capacity = capacity;
  }
  if (key >= m->memo_count) m->memo_count = (size_t)key + 1;
  m->memo[key] = m->stack[m->depth - 1];
  return MOTE_OK;
}

static mote_status recall(machine *m, int bytes) {
  uint64_t key;
  MOTE_TRY(take_unsigned(m, bytes, &key));
  if (key >= m->memo_count || !m->memo[key] || m->memo[key]->kind == MOTE_PICKLE_MARK)
    return mote_machine_fail(m, "recalls what it never kept");
  return push(m, m->memo[key]);
}

static mote_status call(machine *m) {
  mote_value *arguments, *callable, *result;
  MOTE_TRY(pop(m, &arguments));
  MOTE_TRY(pop(m, &callable));
  if (arguments->kind != MOTE_PICKLE_TUPLE || callable->kind != MOTE_PICKLE_GLOBAL)
    return mote_machine_fail(m, "calls what is no function");
  MOTE_TRY(mote_machine_call(m, callable, arguments, &result));
  return push(m, result);
}

static mote_status build(machine *m) {
  mote_value *state;
  MOTE_TRY(pop(m, &state));
  if (m->depth == 0) return mote_machine_fail(m, "its stack is empty");
  return m->dialect->build(m, m->stack[m->depth - 1], state);
}

/* What lies outside of the pickle, by a name that the dialect understands. */
static mote_status push_persistent(machine *m) {
  mote_value *id, *value;
  MOTE_TRY(pop(m, &id));
  if (!m->dialect->persistent) return mote_machine_fail(m, "refers to what lies outside of it");
  MOTE_TRY(m->dialect->persistent(m, id, &value));
  return push(m, value);
}

/* ---- The loop ---- */

static mote_status with_number(machine *m, unsigned char code) {
  uint64_t n;
  switch (code) {
  case 'J': MOTE_TRY(take_unsigned(m, 4, &n)); return push_new(m, MOTE_PICKLE_INT, (int32_t)(uint32_t)n, 0);
  case 'K': MOTE_TRY(take_unsigned(m, 1, &n)); return push_new(m, MOTE_PICKLE_INT, (int64_t)n, 0);
  case 'M': MOTE_TRY(take_unsigned(m, 2, &n)); return push_new(m, MOTE_PICKLE_INT, (int64_t)n, 0);
  case 'q': MOTE_TRY(take_unsigned(m, 1, &n)); return remember(m, n);
  case 'r': MOTE_TRY(take_unsigned(m, 4, &n)); return remember(m, n);
  case 0x94: return remember(m, m->memo_count);
  case 0x95: return take_unsigned(m, 8, &n); /* a frame's length is only a hint */
  default:
    MOTE_TRY(take_unsigned(m, 1, &n));
    return n >= 2 && n <= 5 ? MOTE_OK : mote_machine_fail(m, "a protocol that is not known");
  }
}

static mote_status step(machine *m, unsigned char code) {
  size_t mark;
  mote_value *dropped;
  switch (code) {
  case 'J':
  case 'K':
  case 'M':
  case 'q':
  case 'r':
  case 0x80:
  case 0x94:
  case 0x95: return with_number(m, code);
  case 0x8a: return push_long(m);
  case 'G': return push_float(m);
  case 'N': return push_new(m, MOTE_PICKLE_NONE, 0, 0);
  case 0x88: return push_new(m, MOTE_PICKLE_BOOL, 1, 0);
  case 0x89: return push_new(m, MOTE_PICKLE_BOOL, 0, 0);
  case 'C':
  case 'U': return push_text(m, MOTE_PICKLE_BYTES, 1);
  case 'B':
  case 'T': return push_text(m, MOTE_PICKLE_BYTES, 4);
  case 0x8e:
  case 0x96: return push_text(m, MOTE_PICKLE_BYTES, 8);
  case 0x8c: return push_text(m, MOTE_PICKLE_TEXT, 1);
  case 'X': return push_text(m, MOTE_PICKLE_TEXT, 4);
  case 0x8d: return push_text(m, MOTE_PICKLE_TEXT, 8);
  case 'c': return push_global(m);
  case 0x93: return stack_global(m);
  case '(': return push_new(m, MOTE_PICKLE_MARK, 0, 0);
  case ')': return make_tuple(m, m->depth, 0);
  case 't': MOTE_TRY(find_mark(m, &mark)); return make_tuple(m, mark, 1);
  case 0x85: return short_tuple(m, 1);
  case 0x86: return short_tuple(m, 2);
  case 0x87: return short_tuple(m, 3);
  case ']':
  case 0x8f: return push_new(m, MOTE_PICKLE_LIST, 0, 0); /* a set is kept as a list */
  case 'a': return append_one(m);
  case 'e':
  case 0x90: return append_marked(m);
  case 'h': return recall(m, 1);
  case 'j': return recall(m, 4);
  case '0': return pop(m, &dropped);
  case '}': return push_new(m, MOTE_PICKLE_DICT, 0, 0);
  case 's': return set_one(m);
  case 'u': return set_marked(m);
  case 'Q': return push_persistent(m);
  case 'R':
  case 0x81: return call(m); /* a function, or a class made new */
  case 'b': return build(m);
  }
  return mote_fail(MOTE_ERROR_UNSUPPORTED,
                   "%s: byte %zu of its pickle: instruction 0x%02x is none that %s need", m->name, m->at - 1,
                   code, m->dialect->what);
}

static mote_status run(machine *m, const mote_value **root) {
  while (m->at < m->size) {
    unsigned char code = m->bytes[m->at++];
    if (code != '.') {
      MOTE_TRY(step(m, code));
      continue;
    }
    mote_value *top;
    MOTE_TRY(pop(m, &top));
    *root = top;
    return MOTE_OK;
  }
  return mote_machine_fail(m, "it is cut off");
}

mote_status mote_pickle_read(const mote_pickle_dialect *dialect, const char *name, const unsigned char *bytes,
                             size_t size, mote_pickle **pickle, const mote_value **root) {
  *pickle = calloc(1, sizeof **pickle);
  machine *m = calloc(1, sizeof *m);
  mote_status status = MOTE_OK;
  if (!*pickle || !m) status = mote_fail(MOTE_ERROR_MEMORY, "out of memory for %s", name);
  if (status == MOTE_OK) {
    *m = (machine){.dialect = dialect, .name = name, .bytes = bytes, .size = size, .pickle = *pickle};
    status = run(m, root);
    free(m->memo);
  }
  free(m);
  if (status == MOTE_OK) return MOTE_OK;
  mote_pickle_free(*pickle);
  *pickle = NULL;
  return status;
}
