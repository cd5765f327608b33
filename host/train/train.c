/* mote_train: looks at the run's kind and hands it on. */
#include <stdlib.h>

#include "host/core/error.h"
#include "host/core/file.h"
#include "host/scene/document.h"
#include "host/train/kinds.h"

static mote_status read_kind(const char *path, int *kind) {
  static const char *const kinds[] = {"operator", "stepper", NULL};
  const yaml_node_t *node;
  mote_document document;
  mote_map map;
  char *text;
  size_t size;
  MOTE_TRY(mote_file_read(path, MOTE_DOCUMENT_LIMIT, &text, &size));
  mote_status status = mote_document_parse(text, size, path, &document);
  free(text);
  MOTE_TRY(status);
  node = yaml_document_get_root_node(&document.yaml);
  status = mote_map_open(&document, node, NULL, &map, "the run");
  if (status == MOTE_OK) status = mote_map_require(&map, "kind", &node);
  if (status == MOTE_OK) status = mote_map_choice(&map, "kind", kinds, kind);
  mote_document_free(&document);
  return status;
}

mote_status mote_train(const char *run, const char *folder, const mote_train_options *options,
                       const mote_monitor *monitor, mote_train_summary *summary) {
  int kind = 0;
  MOTE_TRY(read_kind(run, &kind));
  return (kind ? mote_train_stepper : mote_train_operator)(run, folder, options, monitor, summary);
}
