/* libFuzzer on checkpoints of PyTorch: by the first byte an archive, or a pickle in an archive whose sums are
   right, with three storages to name. All tensors are read, and a GNS is looked for. */
#include "host/io/torch_archive.h"
#include "host/models/gns_convert.h"

#include <math.h>
#include <stdlib.h>

#include "tests/fuzz/archive.h"
#include "tests/fuzz/scratch.h"

/* A size that no memory has is malloc's NULL, as in a program. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
  return "allocator_may_return_null=1";
}

static void recognise(const mote_torch *file) {
  mote_gns_shape s;
  const mote_model_convert_options options = {0};
  if (mote_gns_recognise(file, &s) != MOTE_OK) return;
  if (s.layers < 1 || s.width < 1 || s.mlp_layers < 1 || (s.dim != 2 && s.dim != 3) || s.history < 1 ||
      s.particle_types < 1 || s.type_width < 1)
    abort();
  cJSON_Delete(mote_gns_config(&s, &options));
}

static void read_all(const char *path) {
  mote_torch *file;
  const mote_torch_tensor *t;
  if (mote_torch_open(path, &file) != MOTE_OK) return;
  for (int k = 0; k < 64 && (t = mote_torch_get(file, k)) != NULL; k++) {
    if (mote_torch_find(file, t->name) != t) abort();
    float *values = malloc((size_t)t->count * sizeof *values + 1);
    if (values && mote_torch_read(file, t, values) == MOTE_OK)
      for (int64_t i = 0; i < t->count; i++)
        if (!isfinite(values[i])) abort();
    free(values);
  }
  recognise(file);
  mote_torch_close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static archive whole;
  static const uint8_t zeros[4096];
  if (size < 1 || size > 60000) return 0;
  if (data[0] % 2 == 0) {
    read_all(scratch_file(data + 1, size - 1));
    return 0;
  }
  whole.size = whole.directory_size = whole.count = 0;
  add_member(&whole, "m/data.pkl", data + 1, size - 1);
  add_member(&whole, "m/data/0", zeros, 4096);
  add_member(&whole, "m/data/1", (const uint8_t *)"0123456789abcdef", 16);
  add_member(&whole, "m/data/2", zeros, 16);
  finish_archive(&whole);
  read_all(scratch_file(whole.bytes, whole.size));
  return 0;
}
