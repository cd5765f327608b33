/* libFuzzer: by the first byte, an archive, an NPY header, a pickle, or an NPY member in an archive whose
   sums are right (the sums of ZIP would hide the rest from changed bytes). */
#include "host/io/npy.h"
#include "host/io/npz.h"

#include <string.h>

#include "tests/fuzz/scratch.h"

static void read_archive(const char *path) {
  mote_npz *npz;
  if (mote_npz_open(path, &npz) != MOTE_OK) return;
  for (int k = 0; k < mote_npz_count(npz) && k < 8; k++) {
    mote_npz_trajectory t;
    if (mote_npz_read(npz, k, &t) == MOTE_OK) mote_npz_release(&t);
  }
  mote_npz_close(npz);
}

static void put(uint8_t **at, uint64_t value, int bytes) {
  for (int k = 0; k < bytes; k++) *(*at)++ = (uint8_t)(value >> 8 * k);
}

/* A stored member of this name. */
static void wrap(const char *name, const uint8_t *data, size_t size) {
  static uint8_t whole[70000];
  uint8_t *at = whole;
  size_t length = strlen(name);
  uint32_t sum = (uint32_t)crc32(crc32(0, NULL, 0), data, (uInt)size);
  put(&at, 0x04034b50, 4), put(&at, 20, 2), put(&at, 0, 8), put(&at, sum, 4), put(&at, size, 4),
      put(&at, size, 4);
  put(&at, length, 2), put(&at, 0, 2);
  memcpy(at, name, length), at += length;
  memcpy(at, data, size), at += size;
  size_t start = (size_t)(at - whole);
  put(&at, 0x02014b50, 4), put(&at, 20, 2), put(&at, 20, 2), put(&at, 0, 8), put(&at, sum, 4),
      put(&at, size, 4);
  put(&at, size, 4), put(&at, length, 2), put(&at, 0, 8), put(&at, 0, 4), put(&at, 0, 4);
  memcpy(at, name, length), at += length;
  size_t directory = (size_t)(at - whole) - start;
  put(&at, 0x06054b50, 4), put(&at, 0, 4), put(&at, 1, 2), put(&at, 1, 2), put(&at, directory, 4);
  put(&at, start, 4), put(&at, 0, 2);
  read_archive(scratch_file(whole, (size_t)(at - whole)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mote_npy npy;
  mote_pickle *pickle;
  const mote_value *root;
  if (size < 1 || size > 60000) return 0;
  switch (data[0] % 5) {
  case 0: read_archive(scratch_file(data + 1, size - 1)); break;
  case 1: mote_npy_parse("fuzz", data + 1, size - 1, &npy); break;
  case 2:
    if (mote_pickle_read("fuzz", data + 1, size - 1, &pickle, &root) == MOTE_OK) mote_pickle_free(pickle);
    break;
  case 3: wrap("a.npy", data + 1, size - 1); break;
  default: wrap("gns_data.npy", data + 1, size - 1);
  }
  return 0;
}
