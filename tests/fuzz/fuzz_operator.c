/* libFuzzer: a trained operator's folder, whose config.json or, when the input does not begin with '{',
   model.safetensors is the input. */
#include "host/models/operator.h"

#include <string.h>

#include "tests/fuzz/scratch.h"

static char folder[] = "/dev/shm/mote-fuzz-XXXXXX", config[64], tensors[64];
static uint8_t whole_config[4096];
static size_t config_size;

static void write_file(const char *path, const uint8_t *data, size_t size) {
  FILE *file = fopen(path, "wb");
  if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) abort();
}

static void clean_up(void) {
  remove(config);
  remove(tensors);
  rmdir(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc, (void)argv;
  static const char kinds[2][32] = {"newtonian", "von_mises"};
  mote_operator_settings settings;
  mote_operator *o;
  mote_operator_defaults(&settings);
  if (!mkdtemp(folder) || mote_operator_create(&settings, 2, kinds, 1, &o) != MOTE_OK ||
      mote_operator_save(o, folder) != MOTE_OK)
    abort();
  mote_operator_destroy(o);
  snprintf(config, sizeof config, "%s/config.json", folder);
  snprintf(tensors, sizeof tensors, "%s/model.safetensors", folder);
  FILE *file = fopen(config, "rb");
  if (!file) abort();
  config_size = fread(whole_config, 1, sizeof whole_config, file);
  fclose(file);
  atexit(clean_up);
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mote_operator *o;
  int is_config = size == 0 || data[0] == '{';
  write_file(is_config ? config : tensors, data, size);
  if (!is_config) write_file(config, whole_config, config_size);
  if (mote_operator_load(folder, &o) != MOTE_OK) return 0;
  if (o->experts < 1 || o->experts > MOTE_EXPERTS || o->settings.levels < 1 || o->settings.levels > 6)
    abort();
  mote_operator_destroy(o);
  return 0;
}
