/* mote evaluate D.h5 --against T.h5: all trajectories of all files, and their means. */
#include "host/cli/evaluate.h"

#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

/* Evaluations in the order of the table: of a file with several trajectories, the mean first. */
typedef struct list {
  mote_evaluation *items;
  int count;
} list;

static const char *file_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static mote_evaluation *grow(list *l, int more) {
  mote_evaluation *items = realloc(l->items, (size_t)(l->count + more) * sizeof *items);
  if (!items) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %d evaluations", l->count + more), NULL;
  memset(items + l->count, 0, (size_t)more * sizeof *items);
  l->items = items;
  l->count += more;
  return items + l->count - more;
}

static int find(const mote_trajectory_reader *truth, const char *name) {
  for (int k = 0; k < mote_trajectory_count(truth); k++)
    if (!strcmp(mote_trajectory_name(truth, k), name)) return k;
  return -1;
}

/* T's trajectory for D's k-th: of the same name where all have one, else in the order of the file. */
static mote_status companion(const mote_trajectory_reader *d, const mote_trajectory_reader *truth, int k,
                             int *index) {
  int count = mote_trajectory_count(d), named = 1;
  for (int j = 0; j < count; j++) named &= find(truth, mote_trajectory_name(d, j)) >= 0;
  *index = named ? find(truth, mote_trajectory_name(d, k)) : k;
  if (named || count == mote_trajectory_count(truth)) return MOTE_OK;
  return mote_fail(
      MOTE_ERROR_ARGUMENT,
      "its %d trajectories are not those of the truth, which has %d: neither the names fit nor the "
      "number",
      count, mote_trajectory_count(truth));
}

static mote_status evaluate_file(const cli_evaluate_job *job, const char *path, mote_evaluator *evaluator,
                                 mote_trajectory_reader *d, mote_trajectory_reader *truth,
                                 const mote_monitor *monitor, list *l) {
  mote_evaluate_options options = job->options;
  mote_metadata metadata;
  int count = mote_trajectory_count(d), mean = count > 1;
  options.name = file_name(path);
  /* Without metadata the frames are counted instead of timed. */
  if (mote_trajectory_read_metadata(truth, &metadata) == MOTE_OK)
    options.frame_time = metadata.dt * metadata.write_every;
  mote_evaluation *e = grow(l, count + mean);
  if (!e) return MOTE_ERROR_MEMORY;
  for (int k = 0; k < count; k++) {
    int index;
    MOTE_TRY(companion(d, truth, k, &index));
    mote_status status =
        mote_evaluate_trajectory(evaluator, d, k, truth, index, &options, monitor, &e[mean + k]);
    const char *name = mote_trajectory_name(d, k);
    if (status != MOTE_OK) return mean ? mote_fail_within(status, "%s", name) : status;
    if (mean) snprintf(e[mean + k].trajectory, sizeof e->trajectory, "%.63s", name);
  }
  return mean ? mote_evaluation_average(e + 1, count, e) : MOTE_OK;
}

static mote_status evaluate_all(const cli_evaluate_job *job, mote_evaluator *evaluator,
                                mote_trajectory_reader *truth, const mote_monitor *monitor, list *l) {
  for (int k = 0; k < job->count; k++) {
    mote_trajectory_reader *reader = NULL;
    MOTE_TRY(mote_trajectory_open(job->inputs[k], &reader));
    mote_status status = evaluate_file(job, job->inputs[k], evaluator, reader, truth, monitor, l);
    mote_trajectory_close(reader);
    if (status != MOTE_OK) return mote_fail_within(status, "%s", job->inputs[k]);
  }
  return MOTE_OK;
}

/* The files' own, without their trajectories where there are several. */
static mote_status plot(const cli_evaluate_job *job, const list *l) {
  mote_evaluation files[CLI_EVALUATE_INPUTS];
  int count = 0;
  for (int k = 0; k < l->count; k++)
    if (!l->items[k].trajectory[0] || l->items[k].trajectories > 1) files[count++] = l->items[k];
  return mote_evaluation_plot(files, count, job->metric, job->metric < MOTE_METRIC_INSIDE, job->plot);
}

static mote_status report(const cli_evaluate_job *job, const list *l) {
  char *table = NULL;
  MOTE_TRY(mote_evaluation_table(l->items, l->count, &table));
  fputs(table, stdout);
  free(table);
  if (job->csv) MOTE_TRY(mote_evaluation_write_csv(l->items, l->count, job->csv));
  return job->plot ? plot(job, l) : MOTE_OK;
}

mote_status cli_evaluate_rollouts(const cli_evaluate_job *job, mote_device *device,
                                  const mote_monitor *monitor, cli_progress *progress) {
  mote_trajectory_reader *truth = NULL;
  mote_evaluator *evaluator = NULL;
  list l = {0};
  mote_status status = mote_trajectory_open(job->against, &truth);
  if (status == MOTE_OK) status = mote_evaluator_create(device, &evaluator);
  if (status == MOTE_OK) status = evaluate_all(job, evaluator, truth, monitor, &l);
  cli_progress_end(progress);
  if (status == MOTE_OK) status = report(job, &l);
  for (int k = 0; k < l.count; k++) mote_evaluation_destroy(&l.items[k]);
  free(l.items);
  mote_evaluator_destroy(evaluator);
  mote_trajectory_close(truth);
  return status;
}
