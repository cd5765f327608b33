/* mote evaluate: trajectories against the truth, as a table, CSV and plots. */
#include "host/cli/cli.h"

#include <stdlib.h>
#include <string.h>

#include <mote/evaluate.h>

#include "host/core/error.h"

#define MAX_INPUTS 8

typedef struct evaluate_job {
  const char *inputs[MAX_INPUTS];
  int count;
  const char *against, *csv, *plot;
  int64_t chamfer_stride;
} evaluate_job;

static const char *file_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static mote_status evaluate_all(const evaluate_job *job, mote_device *device, const mote_monitor *monitor,
                                mote_evaluation *evaluations) {
  mote_trajectory_reader *truth = NULL, *reader = NULL;
  mote_evaluator *evaluator = NULL;
  mote_metadata metadata = {0};
  mote_status status = mote_trajectory_open(job->against, &truth);
  if (status == MOTE_OK) status = mote_evaluator_create(device, &evaluator);
  /* Without metadata the frames are counted instead of timed. */
  if (status == MOTE_OK && mote_trajectory_read_metadata(truth, &metadata) != MOTE_OK)
    metadata = (mote_metadata){0};
  for (int k = 0; k < job->count && status == MOTE_OK; k++) {
    mote_evaluate_options options = {.name = file_name(job->inputs[k]),
                                     .chamfer_stride = job->chamfer_stride,
                                     .per_material = 1,
                                     .frame_time = metadata.dt * metadata.write_every};
    status = mote_trajectory_open(job->inputs[k], &reader);
    if (status == MOTE_OK)
      status = mote_evaluate_trajectory(evaluator, reader, 0, truth, 0, &options, monitor, &evaluations[k]);
    mote_trajectory_close(reader);
    reader = NULL;
  }
  mote_evaluator_destroy(evaluator);
  mote_trajectory_close(truth);
  return status;
}

static mote_status report(const evaluate_job *job, const mote_evaluation *evaluations) {
  char *table = NULL;
  MOTE_TRY(mote_evaluation_table(evaluations, job->count, &table));
  fputs(table, stdout);
  free(table);
  if (job->csv) MOTE_TRY(mote_evaluation_write_csv(evaluations, job->count, job->csv));
  if (job->plot)
    MOTE_TRY(mote_evaluation_plot(evaluations, job->count, MOTE_METRIC_RELATIVE_L2, 0, job->plot));
  return MOTE_OK;
}

int cli_evaluate(int argc, char **argv) {
  evaluate_job job = {.chamfer_stride = 10};
  const cli_option options[] = {
      {"against", 'a', CLI_TEXT, &job.against, "T.h5", "the truth", 1},
      {"csv", 0, CLI_TEXT, &job.csv, "FILE", "write every frame's errors", 0},
      {"plot", 0, CLI_TEXT, &job.plot, "FILE.png", "plot relative L2 error against time", 0},
      {"chamfer-every", 0, CLI_INTEGER, &job.chamfer_stride, "N", "frames between Chamfer distances (10)", 0},
      {0}};
  cli_usage usage = {
      "evaluate",
      "D.h5 [D2.h5 ...]",
      "Measures trajectories against the truth: relative L2, RMSE, maximum and Chamfer distance.",
      NULL,
      1,
      MAX_INPUTS};
  cli_common common;
  int code = cli_parse(&usage, options, &common, argc, argv, job.inputs, &job.count);
  if (code >= 0) return code;
  if (job.chamfer_stride < 1) return cli_complain("evaluate", "--chamfer-every must be at least 1");
  mote_evaluation evaluations[MAX_INPUTS];
  memset(evaluations, 0, sizeof evaluations);
  mote_device *device = NULL;
  cli_progress progress;
  mote_monitor monitor = cli_monitor(&progress, &common);
  mote_status status = cli_open_device(&common, &device);
  if (status == MOTE_OK) status = evaluate_all(&job, device, &monitor, evaluations);
  cli_progress_end(&progress);
  if (status == MOTE_OK) status = report(&job, evaluations);
  for (int k = 0; k < job.count; k++) mote_evaluation_destroy(&evaluations[k]);
  mote_device_close(device);
  return status == MOTE_OK ? CLI_OK : cli_fail("evaluate");
}
