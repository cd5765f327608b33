/* libFuzzer: by the first byte, an archive, an NPY header, a pickle, or an NPY member in an archive whose
   sums are right (the sums of ZIP would hide the rest from changed bytes). */
#include "host/io/npy.h"
#include "host/io/npz.h"

#include "tests/fuzz/archive.h"
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

/* A stored member of this name. */
static void wrap(const char *name, const uint8_t *data, size_t size) {
  static archive whole;
  whole.size = whole.directory_size = whole.count = 0;
  add_member(&whole, name, data, size);
  finish_archive(&whole);
  read_archive(scratch_file(whole.bytes, whole.size));
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
    if (mote_pickle_read(&mote_pickle_numpy, "fuzz", data + 1, size - 1, &pickle, &root) == MOTE_OK)
      mote_pickle_free(pickle);
    break;
  case 3: wrap("a.npy", data + 1, size - 1); break;
  default: wrap("gns_data.npy", data + 1, size - 1);
  }
  return 0;
}
