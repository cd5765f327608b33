/* libFuzzer on scene files, the fills included; bodies from files are refused, as the text has no folder. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <mote/scene.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mote_scene_source source = {.name = "fuzz", .seed = 1, .particle_limit = 2000};
  mote_scene scene;
  if (mote_scene_parse((const char *)data, size, &source, &scene) != MOTE_OK) return 0;
  if (mote_scene_check(&scene) != MOTE_OK) abort();
  mote_scene_destroy(&scene);
  return 0;
}
