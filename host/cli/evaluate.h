/* mote evaluate's two halves: rollouts against the truth, and single steps of a model. */
#ifndef MOTE_CLI_EVALUATE_H
#define MOTE_CLI_EVALUATE_H

#include <mote/one_step.h>

#include "host/cli/cli.h"

#define CLI_EVALUATE_INPUTS 8

typedef struct cli_evaluate_job {
  const char *inputs[CLI_EVALUATE_INPUTS];
  int count;
  const char *against, *csv, *plot, *gravity;
  mote_metric metric;
  mote_evaluate_options options;
  mote_one_step_job step;
} cli_evaluate_job;

/* Both print a table and write what is asked for. */
mote_status cli_evaluate_rollouts(const cli_evaluate_job *job, mote_device *device,
                                  const mote_monitor *monitor, cli_progress *progress);
mote_status cli_evaluate_steps(const cli_evaluate_job *job, mote_device *device, const mote_monitor *monitor,
                               cli_progress *progress);

#endif
