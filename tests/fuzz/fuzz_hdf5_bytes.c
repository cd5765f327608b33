/* libFuzzer: the bytes of an HDF5 file (seeds: tests/fuzz/seeds.py). HDF5 1.10 itself overruns on some
   damaged object headers and heaps, so run this one with -fork=1 -ignore_crashes=1 and look for crashes whose
   innermost frames are ours; fuzz_trajectory.c is the one that must stay clean. */
#include "tests/fuzz/read_trajectory.h"
#include "tests/fuzz/scratch.h"

/* HDF5 1.10 loses 128 bytes for each data set of its latest format that has one filtered chunk. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
  return "leak:libhdf5\n";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  read_file(scratch_file(data, size));
  return 0;
}
