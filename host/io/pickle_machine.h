/* The inside of the pickle reader: the machine (pickle.c) and what it may call (pickle_numpy.c). */
#ifndef MOTE_IO_PICKLE_MACHINE_H
#define MOTE_IO_PICKLE_MACHINE_H

#include "host/io/pickle.h"

#define MOTE_MACHINE_STACK 4096

/* The arena of all values, and the bytes made on the way. */
struct mote_pickle {
  mote_value **values;
  size_t count, capacity;
  void **owned;
  size_t owned_count;
};

typedef struct machine {
  const char *name;
  const unsigned char *bytes;
  size_t size, at;
  mote_pickle *pickle;
  mote_value *stack[MOTE_MACHINE_STACK];
  size_t depth;
  mote_value **memo;
  size_t memo_count, memo_capacity;
} machine;

mote_status mote_machine_fail(const machine *m, const char *why);
mote_status mote_machine_new(machine *m, mote_pickle_kind kind, mote_value **value);
mote_status mote_machine_append(machine *m, mote_value *list, mote_value *item);

/* Memory that lives as long as the pickle. */
void *mote_machine_own(machine *m, size_t size);

/* Makes `value` the global "module name". */
mote_status mote_machine_name(machine *m, mote_value *value, const unsigned char *module, size_t module_size,
                              const unsigned char *name, size_t name_size);

/* What numpy's pickles call, and nothing else. */
mote_status mote_machine_call(machine *m, const mote_value *callable, const mote_value *arguments,
                              mote_value **result);

/* Gives an array or dtype its state. */
mote_status mote_machine_build(machine *m, mote_value *object, const mote_value *state);

#endif
