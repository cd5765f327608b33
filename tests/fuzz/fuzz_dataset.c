/* libFuzzer on specs of data sets, and a scene of each split drawn; bodies from files are refused, as the
   text has no folder. Behind a 0 stands the text of a base. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host/dataset/spec.h"

static int join(const char *text, size_t size, const char *base, size_t base_size) {
  mote_document document;
  if (mote_document_parse(text, size, "fuzz", &document) != MOTE_OK) return 0;
  if (mote_spec_join(&document, base, base_size, "base", "folder/base") == MOTE_OK) {
    size_t nodes = (size_t)(document.yaml.nodes.top - document.yaml.nodes.start);
    for (size_t k = 0; k < nodes; k++)
      if (mote_node_fail(&document, document.yaml.nodes.start + k, "fuzz") != MOTE_ERROR_FORMAT) abort();
  }
  mote_document_free(&document);
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const uint8_t *end = memchr(data, 0, size);
  if (end)
    return join((const char *)data, (size_t)(end - data), (const char *)end + 1,
                size - 1 - (size_t)(end - data));
  mote_scene_source source = {.name = "fuzz", .particle_limit = 2000};
  mote_spec spec;
  if (mote_spec_parse((const char *)data, size, &source, 1, &spec) != MOTE_OK) return 0;
  spec.tries = spec.tries < 2 ? spec.tries : 2;
  int good = mote_spec_check(&spec, NULL) == MOTE_OK;
  for (int split = 0; good && split < MOTE_SPLITS; split++) {
    mote_scene scene;
    if (!spec.splits[split].count || mote_spec_scene(&spec, split, 1, 0, &scene) != MOTE_OK) continue;
    if (mote_scene_check(&scene) != MOTE_OK || scene.dim != spec.dim || scene.particles.count < spec.least ||
        scene.particles.count > spec.most)
      abort();
    mote_scene_destroy(&scene);
  }
  mote_spec_free(&spec);
  return 0;
}
