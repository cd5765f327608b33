/* The inside of the pickle reader: the instructions (pickle.c), the arena of values (pickle_machine.c), and
   what may be called, a file a dialect (pickle_numpy.c, pickle_torch.c). */
#ifndef MOTE_IO_PICKLE_MACHINE_H
#define MOTE_IO_PICKLE_MACHINE_H

#include "host/io/pickle.h"

#define MOTE_MACHINE_STACK 4096
#define MOTE_MACHINE_VALUES ((size_t)4 << 20)
#define MOTE_MACHINE_ITEMS ((size_t)32 << 20)

/* The arena of all values, and the bytes made on the way. */
struct mote_pickle {
  mote_value **values;
  size_t count, capacity, items;
  void **owned;
  size_t owned_count;
};

typedef struct machine {
  const mote_pickle_dialect *dialect;
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

/* Whether the value is the global of this name. */
int mote_machine_is_global(const mote_value *value, const char *name);

/* Calls a global of the dialect's table; an error for all others. */
mote_status mote_machine_call(machine *m, const mote_value *callable, const mote_value *arguments,
                              mote_value **result);

/* ---- Dialects ---- */

/* Stands for a callable of the world: checks the arguments (a tuple) and fills in the result, which is new.
 */
typedef struct mote_pickle_function {
  const char *name; /* "module name" */
  mote_status (*call)(machine *m, const mote_value *arguments, mote_value *result);
} mote_pickle_function;

struct mote_pickle_dialect {
  const char *what, *hint;               /* "numpy arrays"; what to do about others, "" or "; ..." */
  const mote_pickle_function *functions; /* up to one without a name */
  /* Gives an object its state. */
  mote_status (*build)(machine *m, mote_value *object, const mote_value *state);
  /* Makes what a persistent id stands for; NULL when the dialect has none. */
  mote_status (*persistent)(machine *m, const mote_value *id, mote_value **value);
};

#endif
