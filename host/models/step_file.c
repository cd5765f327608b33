/* A single step from file to file. */
#include "host/models/step_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mote/rollout.h>

#include "host/core/clock.h"
#include "host/core/error.h"
#include "host/io/arrays.h"

mote_status mote_step_metadata(const char *folder, const char *path, mote_metadata *metadata) {
  char beside[4096];
  if (path) return mote_metadata_read(path, metadata);
  if (snprintf(beside, sizeof beside, "%s/metadata.json", folder) >= (int)sizeof beside)
    return mote_fail(MOTE_ERROR_ARGUMENT, "the name of the folder is too long");
  mote_status status = mote_metadata_read(beside, metadata);
  return status == MOTE_OK
             ? MOTE_OK
             : mote_fail_within(status, "statistics of the model's data (give others with --metadata)");
}

typedef struct job {
  mote_trajectory_reader *reader;
  mote_trajectory_info info;
  mote_metadata metadata;
  mote_model *model;
  mote_stepper *stepper;
  float *history, *rest, *answers; /* rest: the input's first frame */
  int32_t *type;
} job;

static void release(job *j) {
  mote_stepper_destroy(j->stepper);
  mote_model_destroy(j->model);
  mote_trajectory_close(j->reader);
  free(j->history);
  free(j->rest);
  free(j->answers);
  free(j->type);
}

static mote_status read_input(job *j, const char *input, int frames) {
  MOTE_TRY(mote_trajectory_open(input, &j->reader));
  MOTE_TRY(mote_trajectory_get_info(j->reader, 0, &j->info));
  if (j->info.frames < frames)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s has %lld frames: the model looks at %d", input,
                     (long long)j->info.frames, frames);
  size_t values = (size_t)j->info.particles * (size_t)j->info.dim;
  j->history = malloc((size_t)frames * values * sizeof(float));
  j->rest = malloc(values * sizeof(float));
  j->answers = malloc(2 * values * sizeof(float));
  j->type = malloc((size_t)j->info.particles * sizeof *j->type);
  if (!j->history || !j->rest || !j->answers || !j->type)
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %s", input);
  MOTE_TRY(mote_trajectory_read_frames(j->reader, 0, "position", 0, 1, j->rest));
  MOTE_TRY(
      mote_trajectory_read_frames(j->reader, 0, "position", j->info.frames - frames, frames, j->history));
  return mote_trajectory_read_labels(j->reader, 0, "particle_type", j->type);
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Step after step from the same history. */
static mote_status repeat(job *j, int repeats, mote_step_summary *summary) {
  double *seconds = malloc((size_t)(repeats + 1) * sizeof *seconds);
  if (!seconds) return mote_fail(MOTE_ERROR_MEMORY, "out of memory");
  mote_status status = MOTE_OK;
  int64_t values = j->info.particles * j->info.dim;
  for (int k = 0; k < repeats && status == MOTE_OK; k++) {
    status = mote_stepper_start(j->stepper, j->history);
    if (status == MOTE_OK) status = mote_stepper_set_rest(j->stepper, j->rest);
    double start = mote_clock_seconds();
    if (status == MOTE_OK) status = mote_stepper_advance(j->stepper, NULL);
    if (status == MOTE_OK) status = mote_stepper_read(j->stepper, j->answers + values, j->answers);
    seconds[k] = mote_clock_seconds() - start;
  }
  if (status == MOTE_OK) {
    summary->first_seconds = seconds[0];
    int warm = repeats > 1;
    qsort(seconds + warm, (size_t)(repeats - warm), sizeof *seconds, by_value);
    summary->seconds = seconds[warm + (repeats - warm) / 2];
    status = mote_stepper_edge_count(j->stepper, &summary->edges);
  }
  free(seconds);
  return status;
}

static mote_status run(job *j, mote_device *device, const mote_step_job *options,
                       mote_step_summary *summary) {
  mote_model_info info;
  MOTE_TRY(mote_model_load(device, options->model, &j->model));
  mote_model_get_info(j->model, &info);
  MOTE_TRY(mote_step_metadata(options->model, options->metadata, &j->metadata));
  MOTE_TRY(read_input(j, options->input, info.frames));
  if (j->info.dim != info.dim)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s is %d-D, the model %d-D", options->input, j->info.dim,
                     info.dim);
  mote_stepper_options stepper = {.count = j->info.particles,
                                  .particle_type = j->type,
                                  .metadata = &j->metadata,
                                  .radius = options->radius};
  MOTE_TRY(mote_stepper_create(j->model, &stepper, &j->stepper));
  MOTE_TRY(repeat(j, options->repeats > 0 ? options->repeats : 1, summary));
  int64_t n = j->info.particles, dim = j->info.dim;
  summary->particles = n;
  const mote_array arrays[] = {{"normalized_acceleration", 2, {n, dim}, j->answers},
                               {"next_position", 2, {n, dim}, j->answers + n * dim}};
  return options->output ? mote_arrays_write(options->output, arrays, 2) : MOTE_OK;
}

mote_status mote_step_trajectory(mote_device *device, const mote_step_job *options,
                                 mote_step_summary *summary) {
  job j = {0};
  *summary = (mote_step_summary){0};
  mote_status status = run(&j, device, options, summary);
  release(&j);
  return status;
}
