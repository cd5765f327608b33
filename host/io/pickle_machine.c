/* What holds the pickle machine together: the arena of its values, names, and the table of what may be
   called. The trick: all values live in one arena that is freed at the end, so shared and even cyclic ones
   need no care. */
#include "host/io/pickle_machine.h"

#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

mote_status mote_machine_fail(const machine *m, const char *why) {
  return mote_fail(MOTE_ERROR_FORMAT, "%s: byte %zu of its pickle: %s", m->name, m->at, why);
}

mote_status mote_machine_new(machine *m, mote_pickle_kind kind, mote_value **value) {
  mote_pickle *p = m->pickle;
  if (p->count == p->capacity) {
    size_t capacity = p->capacity ? 2 * p->capacity : 64;
    mote_value **grown = p->count < MOTE_MACHINE_VALUES ? realloc(p->values, capacity * sizeof *grown) : NULL;
    if (!grown) return mote_fail(MOTE_ERROR_MEMORY, "%s: its pickle has too many values", m->name);
    p->values = grown;
    p->capacity = capacity;
  }
  *value = calloc(1, sizeof **value);
  if (!*value) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %s", m->name);
  (*value)->kind = kind;
  p->values[p->count++] = *value;
  return MOTE_OK;
}

/* The items of all values are counted, as one short instruction may copy a long list. */
mote_status mote_machine_append(machine *m, mote_value *list, mote_value *item) {
  if (m->pickle->items++ == MOTE_MACHINE_ITEMS)
    return mote_fail(MOTE_ERROR_MEMORY, "%s: its pickle has too many values", m->name);
  if (list->size == list->capacity) {
    size_t capacity = list->capacity ? 2 * list->capacity : 4;
    mote_value **grown = realloc(list->items, capacity * sizeof *grown);
    if (!grown) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %s", m->name);
    list->items = grown;
    list->capacity = capacity;
  }
  list->items[list->size++] = item;
  return MOTE_OK;
}

void *mote_machine_own(machine *m, size_t size) {
  mote_pickle *p = m->pickle;
  void **grown = realloc(p->owned, (p->owned_count + 1) * sizeof *grown), *memory;
  if (!grown) return NULL;
  p->owned = grown;
  memory = malloc(size ? size : 1);
  if (memory) p->owned[p->owned_count++] = memory;
  return memory;
}

mote_status mote_machine_name(machine *m, mote_value *value, const unsigned char *module, size_t module_size,
                              const unsigned char *name, size_t name_size) {
  if (module_size > 200 || name_size > 200) return mote_machine_fail(m, "a name is absurdly long");
  unsigned char *joined = mote_machine_own(m, module_size + name_size + 2);
  if (!joined) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %s", m->name);
  memcpy(joined, module, module_size);
  joined[module_size] = ' ';
  memcpy(joined + module_size + 1, name, name_size);
  joined[module_size + 1 + name_size] = 0;
  value->bytes = joined;
  value->size = module_size + 1 + name_size;
  return MOTE_OK;
}

void mote_pickle_free(mote_pickle *pickle) {
  if (!pickle) return;
  for (size_t k = 0; k < pickle->count; k++) free(pickle->values[k]->items);
  for (size_t k = 0; k < pickle->count; k++) free(pickle->values[k]);
  for (size_t k = 0; k < pickle->owned_count; k++) free(pickle->owned[k]);
  free(pickle->owned);
  free(pickle->values);
  free(pickle);
}

/* ---- Names and calls ---- */

int mote_machine_is_global(const mote_value *v, const char *name) {
  return v->kind == MOTE_PICKLE_GLOBAL && strcmp((const char *)v->bytes, name) == 0;
}

mote_status mote_machine_call(machine *m, const mote_value *callable, const mote_value *arguments,
                              mote_value **result) {
  MOTE_TRY(mote_machine_new(m, MOTE_PICKLE_NONE, result));
  for (const mote_pickle_function *f = m->dialect->functions; f->name; f++)
    if (mote_machine_is_global(callable, f->name)) return f->call(m, arguments, *result);
  return mote_fail(MOTE_ERROR_UNSUPPORTED, "%s: its pickle calls '%s', which is not executed%s", m->name,
                   (const char *)callable->bytes, m->dialect->hint);
}
