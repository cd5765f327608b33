/* mote evaluate T.h5 --model FOLDER: single steps from true histories. */
#include "host/cli/evaluate.h"

#include <stdlib.h>

#include "host/core/error.h"

static mote_status report(const cli_evaluate_job *job, const mote_one_step *result) {
  char *table = NULL;
  MOTE_TRY(mote_one_step_table(result, &table));
  fputs(table, stdout);
  free(table);
  return job->csv ? mote_one_step_write_csv(result, job->csv) : MOTE_OK;
}

mote_status cli_evaluate_steps(const cli_evaluate_job *job, mote_device *device, const mote_monitor *monitor,
                               cli_progress *progress) {
  mote_one_step_job step = job->step;
  mote_one_step result;
  step.input = job->inputs[0];
  MOTE_TRY(mote_one_step_evaluate(device, &step, monitor, &result));
  cli_progress_end(progress);
  mote_status status = report(job, &result);
  mote_one_step_destroy(&result);
  return status;
}
