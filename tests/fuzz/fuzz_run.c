/* libFuzzer: RUN.yaml of a training. */
#include "host/train/run.h"

#include "tests/fuzz/scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mote_run run;
  if (mote_run_load(scratch_file(data, size), &run) != MOTE_OK) return 0;
  if (run.data.count < 1 || run.batch < 1 || run.steps < 1 || run.points < 1 || !(run.rate > 0) ||
      !(run.ratio_low > 0 && run.ratio_low <= run.ratio_high && run.ratio_high <= 1))
    abort();
  mote_run_free(&run);
  return 0;
}
