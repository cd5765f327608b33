/* What a pickle of PyTorch tensors may call: OrderedDict, the rebuilding of tensors and parameters, and what
   checkpoints carry beside them. The trick: a tensor is kept as the arguments it would be rebuilt from; they
   are checked when the tensor is asked for (torch_archive.c), so that the rest of a checkpoint may be what it
   likes. */
#include "host/io/pickle_machine.h"

#include <string.h>

#include "host/core/error.h"

static int is_text(const mote_value *v, const char *text) {
  return v->kind == MOTE_PICKLE_TEXT && v->size == strlen(text) && memcmp(v->bytes, text, v->size) == 0;
}

static mote_status call_ordered_dict(machine *m, const mote_value *a, mote_value *dict) {
  dict->kind = MOTE_PICKLE_DICT;
  return a->size == 0 ? MOTE_OK : mote_machine_fail(m, "a dictionary that does not begin empty");
}

/* (storage, offset, shape, strides, requires_grad, hooks, ...) */
static mote_status call_rebuild_tensor(machine *m, const mote_value *a, mote_value *tensor) {
  if (a->size < 4 || a->items[0]->kind != MOTE_PICKLE_STORAGE)
    return mote_machine_fail(m, "a tensor without a storage");
  tensor->kind = MOTE_PICKLE_TENSOR;
  for (int k = 0; k < 4; k++) MOTE_TRY(mote_machine_append(m, tensor, a->items[k]));
  return MOTE_OK;
}

/* (tensor, requires_grad, hooks) */
static mote_status call_rebuild_parameter(machine *m, const mote_value *a, mote_value *tensor) {
  if (a->size < 1 || a->items[0]->kind != MOTE_PICKLE_TENSOR)
    return mote_machine_fail(m, "a parameter that is no tensor");
  tensor->kind = MOTE_PICKLE_TENSOR;
  for (int k = 0; k < 4; k++) MOTE_TRY(mote_machine_append(m, tensor, a->items[0]->items[k]));
  return MOTE_OK;
}

/* A shape is the tuple that it is made from. */
static mote_status call_size(machine *m, const mote_value *a, mote_value *shape) {
  if (a->size != 1 || a->items[0]->kind != MOTE_PICKLE_TUPLE)
    return mote_machine_fail(m, "a shape of no tuple");
  shape->kind = MOTE_PICKLE_TUPLE;
  for (size_t k = 0; k < a->items[0]->size; k++)
    MOTE_TRY(mote_machine_append(m, shape, a->items[0]->items[k]));
  return MOTE_OK;
}

/* What no state dict holds but checkpoints do: devices and sets. It stays None. */
static mote_status call_ignored(machine *m, const mote_value *a, mote_value *none) {
  (void)m, (void)a, (void)none;
  return MOTE_OK;
}

/* The only state is that of dictionaries: attributes such as _metadata, which nothing here needs. */
static mote_status build(machine *m, mote_value *object, const mote_value *state) {
  (void)state;
  return object->kind == MOTE_PICKLE_DICT ? MOTE_OK
                                          : mote_machine_fail(m, "gives a state to what is no dictionary");
}

/* ('storage', type, key, location, number of elements) */
static mote_status persistent(machine *m, const mote_value *id, mote_value **storage) {
  if (id->kind != MOTE_PICKLE_TUPLE || id->size < 5 || !is_text(id->items[0], "storage"))
    return mote_machine_fail(m, "refers to what is no storage");
  MOTE_TRY(mote_machine_new(m, MOTE_PICKLE_STORAGE, storage));
  for (int k = 1; k < 5; k++) MOTE_TRY(mote_machine_append(m, *storage, id->items[k]));
  return MOTE_OK;
}

static const mote_pickle_function functions[] = {{"collections OrderedDict", call_ordered_dict},
                                                 {"torch._utils _rebuild_tensor_v2", call_rebuild_tensor},
                                                 {"torch._utils _rebuild_tensor_v3", call_rebuild_tensor},
                                                 {"torch._utils _rebuild_parameter", call_rebuild_parameter},
                                                 {"torch Size", call_size},
                                                 {"torch device", call_ignored},
                                                 {"__builtin__ set", call_ignored},
                                                 {"builtins set", call_ignored},
                                                 {0}};

const mote_pickle_dialect mote_pickle_torch = {
    "state dicts", "; save the tensors alone: torch.save(model.state_dict(), \"MODEL.pt\")", functions, build,
    persistent};
