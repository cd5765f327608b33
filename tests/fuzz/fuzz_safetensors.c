/* libFuzzer: a safetensors file; an input that does not begin like one is taken as a header alone. */
#include "host/io/safetensors.h"

#include <string.h>

#include "tests/fuzz/scratch.h"

static void read_all(const char *path) {
  mote_safetensors *file;
  const mote_tensor *t;
  if (mote_safetensors_open(path, &file) != MOTE_OK) return;
  for (int k = 0; (t = mote_safetensors_tensor(file, k)) != NULL; k++) {
    float *values = malloc((size_t)t->count * sizeof *values + 1);
    unsigned char *raw = malloc((size_t)t->count * mote_dtype_size(t->dtype) + 1);
    mote_safetensors_read(file, t->name, t->rank, t->shape, values);
    if (mote_safetensors_read_raw(file, t, raw) != MOTE_OK || mote_safetensors_find(file, t->name) != t)
      abort();
    free(values);
    free(raw);
  }
  mote_safetensors_metadata(file, "format");
  mote_safetensors_close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1 || size > 60000) return 0;
  if (data[0] != '{') {
    read_all(scratch_file(data, size));
    return 0;
  }
  static uint8_t whole[8 + 60000 + 64];
  memset(whole, 0, sizeof whole);
  whole[0] = (uint8_t)size, whole[1] = (uint8_t)(size >> 8);
  memcpy(whole + 8, data, size);
  read_all(scratch_file(whole, 8 + size + size % 65));
  return 0;
}
