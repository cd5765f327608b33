/* mote_train: looks at the run's kind and hands it on. */
#include "host/core/error.h"
#include "host/scene/document.h"
#include "host/train/kinds.h"

typedef mote_status (*train_function)(const char *run, const char *folder, const mote_train_options *options,
                                      const mote_monitor *monitor, mote_train_summary *summary);

static mote_status read_kind(const char *path, int *kind) {
  static const char *const kinds[] = {"operator", "stepper", "joint", "constitutive", NULL};
  const yaml_node_t *node;
  mote_document document;
  mote_map map;
  MOTE_TRY(mote_document_load(path, &document));
  mote_status status = mote_map_open(&document, mote_document_root(&document), NULL, &map, "the run");
  if (status == MOTE_OK) status = mote_map_require(&map, "kind", &node);
  if (status == MOTE_OK) status = mote_map_choice(&map, "kind", kinds, kind);
  mote_document_free(&document);
  return status;
}

mote_status mote_train(const char *run, const char *folder, const mote_train_options *options,
                       const mote_monitor *monitor, mote_train_summary *summary) {
  static const train_function train[] = {mote_train_operator, mote_train_stepper, mote_train_joint,
                                         mote_train_constitutive};
  int kind = 0;
  MOTE_TRY(read_kind(run, &kind));
  return train[kind](run, folder, options, monitor, summary);
}
