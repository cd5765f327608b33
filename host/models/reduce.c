/* Dense file to sparse file: a choice on the first frame, then a copy of rows, frame by frame. */
#include <mote/reduce.h>

#include <stdlib.h>
#include <string.h>

#include <mote/trajectory.h>

#include "host/core/error.h"

typedef struct reducer {
  mote_trajectory_reader *reader;
  mote_trajectory_writer *writer;
  mote_trajectory_info info;
  int index;
  int32_t *chosen, *labels, *kept; /* (n) each; kept holds three rows of n */
  float *dense, *sparse;
  double *times;
  int64_t count;
} reducer;

static void release(reducer *r) {
  mote_trajectory_close(r->reader);
  free(r->chosen);
  free(r->labels);
  free(r->kept);
  free(r->dense);
  free(r->sparse);
  free(r->times);
}

static mote_status start(reducer *r, const char *input) {
  MOTE_TRY(mote_trajectory_open(input, &r->reader));
  MOTE_TRY(mote_trajectory_get_info(r->reader, r->index, &r->info));
  size_t n = (size_t)r->info.particles, dim = (size_t)r->info.dim;
  r->chosen = malloc(n * 4);
  r->labels = malloc(n * 4);
  r->kept = calloc(3 * n, 4);
  r->dense = malloc(n * dim * 4);
  r->sparse = malloc(n * dim * 4);
  r->times = calloc((size_t)r->info.frames, sizeof *r->times);
  if (!r->chosen || !r->labels || !r->kept || !r->dense || !r->sparse || !r->times)
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %s", input);
  return MOTE_OK;
}

static mote_status choose(reducer *r, const mote_sample_options *options, int per_body) {
  mote_sample_options o = *options;
  MOTE_TRY(mote_trajectory_read_frames(r->reader, r->index, "position", 0, 1, r->dense));
  if (per_body && mote_trajectory_read_labels(r->reader, r->index, "body", r->labels) == MOTE_OK)
    o.groups = r->labels;
  return mote_sample(r->dense, r->info.particles, r->info.dim, &o, r->chosen, &r->count, NULL);
}

/* The chosen rows of a label into kept row `k`; NULL when the file has no such label. */
static const int32_t *keep_labels(reducer *r, const char *name, int k) {
  int32_t *kept = r->kept + k * r->info.particles;
  if (mote_trajectory_read_labels(r->reader, r->index, name, r->labels) != MOTE_OK) return NULL;
  for (int64_t i = 0; i < r->count; i++) kept[i] = r->labels[r->chosen[i]];
  return kept;
}

static mote_status start_writer(reducer *r, const char *output) {
  mote_metadata metadata;
  mote_trajectory_field field = {"position", 1, {r->info.dim, 0}};
  MOTE_TRY(mote_trajectory_read_metadata(r->reader, &metadata));
  mote_trajectory_options options = {.particles = r->count,
                                     .dim = r->info.dim,
                                     .field_count = 1,
                                     .fields = &field,
                                     .particle_type = keep_labels(r, "particle_type", 0),
                                     .material = keep_labels(r, "material", 1),
                                     .body = keep_labels(r, "body", 2),
                                     .index = r->chosen,
                                     .compression = 4,
                                     .metadata = &metadata};
  return mote_trajectory_create(output, &options, &r->writer);
}

static mote_status copy_frames(reducer *r, const mote_monitor *monitor) {
  int dim = r->info.dim, stop = 0;
  MOTE_TRY(mote_trajectory_read_times(r->reader, r->index, 0, r->info.frames, r->times));
  for (int64_t t = 0; t < r->info.frames && !stop; t++) {
    MOTE_TRY(mote_trajectory_read_frames(r->reader, r->index, "position", t, 1, r->dense));
    for (int64_t i = 0; i < r->count; i++)
      memcpy(r->sparse + i * dim, r->dense + (int64_t)r->chosen[i] * dim, (size_t)dim * sizeof(float));
    const float *values[] = {r->sparse};
    MOTE_TRY(mote_trajectory_append(r->writer, r->times[t], values));
    if (monitor && monitor->progress)
      stop = monitor->progress(monitor->user, "sample", "frames", t + 1, r->info.frames);
  }
  return MOTE_OK;
}

mote_status mote_reduce_trajectory(const char *input, int index, const mote_sample_options *options,
                                   int per_body, const char *output, const mote_monitor *monitor,
                                   int64_t *chosen) {
  reducer r = {.index = index};
  mote_status status = start(&r, input);
  if (status == MOTE_OK) status = choose(&r, options, per_body);
  if (status == MOTE_OK) status = start_writer(&r, output);
  if (status == MOTE_OK) status = copy_frames(&r, monitor);
  if (status == MOTE_OK)
    status = mote_trajectory_finish(r.writer);
  else
    mote_trajectory_abort(r.writer);
  if (chosen) *chosen = r.count;
  release(&r);
  return status;
}
