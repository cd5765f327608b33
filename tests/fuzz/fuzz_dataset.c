/* libFuzzer on specs of data sets, and a scene of each split drawn; bodies from files are refused, as the
   text has no folder. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "host/dataset/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
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
