/* Conversion: frames pass one at a time from a source to a target. See mote/convert.h. */
#include <mote/convert.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/io/convert_target.h"

/* ---- Ranges ---- */

mote_status mote_frame_range_parse(const char *text, mote_frame_range *range) {
  int64_t part[3] = {0, INT64_MAX, 1};
  int given[3] = {0}, k = 0;
  const char *at = text;
  for (;; k++) {
    char *end = (char *)at;
    errno = 0;
    long long value = strtoll(at, &end, 10);
    if (end != at) part[k] = value, given[k] = 1;
    if (errno || (*end && *end != ':') || (*end && k == 2)) k = 3;
    if (k == 3 || !*end) break;
    at = end + 1;
  }
  if (k == 3 || part[2] < 1 || (k == 0 && !given[0]))
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "frames '%s': expected first:stop:step with a step of at least 1, or a frame", text);
  if (k == 0) part[1] = part[0] == -1 ? INT64_MAX : part[0] + 1;
  *range = (mote_frame_range){part[0], part[1], part[2]};
  return MOTE_OK;
}

static int64_t place(int64_t at, int64_t frames) {
  if (at < 0) at = at < -frames ? 0 : at + frames;
  return at > frames ? frames : at;
}

void mote_frame_range_resolve(const mote_frame_range *range, int64_t frames, int64_t *first, int64_t *count,
                              int64_t *step) {
  mote_frame_range r = range->step > 0 ? *range : (mote_frame_range){0, frames, 1};
  int64_t stop = place(r.stop, frames);
  *first = place(r.first, frames);
  *step = r.step;
  *count = stop > *first ? (stop - *first - 1) / r.step + 1 : 0;
}

/* ---- A trajectory's frames ---- */

static mote_status load_labels(mote_frame_source *source, mote_convert_run *run) {
  size_t n = (size_t)run->info.particles;
  for (int k = 0; k < MOTE_CONVERT_MOST; k++) {
    const char *name = mote_source_label(source, run->index, k);
    if (!name) break;
    int32_t *values = malloc(n * sizeof *values);
    if (!values) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %zu particles", n);
    run->label_names[run->label_count] = name;
    run->labels[run->label_count++] = values;
    MOTE_TRY(mote_source_labels(source, run->index, name, values));
  }
  for (int k = 0; k < MOTE_CONVERT_MOST; k++) {
    const char *name = mote_source_constant(source, run->index, k);
    if (!name) break;
    float *values = malloc(n * sizeof *values);
    if (!values) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %zu particles", n);
    run->constant_names[run->constant_count] = name;
    run->constants[run->constant_count++] = values;
    MOTE_TRY(mote_source_constants(source, run->index, name, values));
  }
  return MOTE_OK;
}

static void release_run(mote_convert_run *run) {
  for (int k = 0; k < MOTE_CONVERT_MOST; k++) {
    free(run->values[k]);
    free(run->labels[k]);
    free(run->constants[k]);
  }
}

static mote_status prepare_run(mote_frame_source *source, int index, const mote_convert_options *options,
                               mote_convert_run *run) {
  *run = (mote_convert_run){.index = index, .name = mote_source_name(source, index)};
  MOTE_TRY(mote_source_info(source, index, &run->info));
  mote_frame_range_resolve(&options->frames, run->info.frames, &run->first, &run->count, &run->step);
  if (run->count == 0)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s: trajectory %s has %lld frames, of which the range takes none",
                     source->path, run->name, (long long)run->info.frames);
  for (int k = 0; k < MOTE_CONVERT_MOST; k++) {
    const mote_trajectory_field *field = mote_source_field(source, index, k);
    if (!field) break;
    run->fields[k] = *field;
    run->values[k] = malloc((size_t)run->info.particles * (size_t)mote_field_width(field) * sizeof(float));
    if (!run->values[k]) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a frame of %s", source->path);
    run->field_count++;
  }
  return load_labels(source, run);
}

static mote_status pass_frames(mote_frame_source *source, mote_convert_run *run, mote_convert_target *target,
                               const mote_monitor *monitor, int *stopped) {
  for (int64_t k = 0; k < run->count && !*stopped; k++) {
    int64_t frame = run->first + k * run->step;
    double time;
    MOTE_TRY(mote_source_time(source, run->index, frame, &time));
    for (int f = 0; f < run->field_count; f++)
      MOTE_TRY(mote_source_frame(source, run->index, run->fields[f].name, frame, run->values[f]));
    MOTE_TRY(mote_target_frame(target, run, frame, time));
    if (monitor && monitor->progress)
      *stopped = monitor->progress(monitor->user, "convert", "frames", k + 1, run->count) != 0;
  }
  return MOTE_OK;
}

static mote_status convert_all(mote_frame_source *source, const char *out,
                               const mote_convert_options *options, const mote_monitor *monitor) {
  mote_convert_target target;
  int first = options->all_trajectories ? 0 : options->trajectory, stopped = 0;
  int last = options->all_trajectories ? mote_source_count(source) - 1 : first;
  if (first < 0 || first >= mote_source_count(source))
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s has no trajectory %d; it has %d", source->path, first,
                     mote_source_count(source));
  MOTE_TRY(mote_target_open(out, last - first + 1, options, source, monitor, &target));
  mote_status status = MOTE_OK;
  for (int index = first; index <= last && status == MOTE_OK && !stopped; index++) {
    mote_convert_run run;
    status = prepare_run(source, index, options, &run);
    if (status == MOTE_OK) status = mote_target_begin(&target, &run);
    if (status == MOTE_OK) status = pass_frames(source, &run, &target, monitor, &stopped);
    if (status == MOTE_OK && !stopped) status = mote_target_end(&target, &run);
    release_run(&run);
  }
  if (status == MOTE_OK && !stopped) return mote_target_finish(&target);
  mote_target_abort(&target);
  return status;
}

mote_status mote_convert(const char *in, const char *out, const mote_convert_options *options,
                         const mote_monitor *monitor) {
  static const mote_convert_options defaults;
  mote_frame_source source;
  mote_status status = mote_source_open(in, &source);
  if (status == MOTE_OK) status = convert_all(&source, out, options ? options : &defaults, monitor);
  mote_source_close(&source);
  return status;
}
