/* Making a data set: scene by scene into parts, then all parts into its files. The trick: what is done is
   what lies under a part's final name, and a part depends on the spec and its number alone, so that going on
   after any stop is looking at what is there. */
#include <mote/dataset.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <mote/device.h>
#include <mote/record.h>
#include <mote/reduce.h>

#include "host/core/clock.h"
#include "host/core/error.h"
#include "host/core/file.h"
#include "host/dataset/assemble.h"

typedef struct job {
  const mote_spec *spec;
  const mote_dataset_folder *folder;
  const mote_monitor *monitor;
  mote_device *device;
  mote_dataset_summary *summary;
  char *running, *dense; /* what is being written in .parts */
  int split, stop;
  int64_t number, frames; /* of the scene that runs */
} job;

/* ---- telling ---- */

/* Frames of one scene become frames of the split. */
static int on_progress(void *user, const char *phase, const char *unit, long long done, long long total) {
  job *j = user;
  const mote_monitor *m = j->monitor;
  (void)phase, (void)total;
  if (m && m->progress)
    j->stop |= m->progress(m->user, mote_split_names[j->split], unit, j->number * j->frames + done,
                           j->spec->splits[j->split].count * j->frames);
  return j->stop;
}

static void tell_failure(const job *j, int attempt) {
  char line[2300];
  if (!j->monitor || !j->monitor->log) return;
  snprintf(line, sizeof line, "%s %lld, draw %d: %s; drawn anew", mote_split_names[j->split],
           (long long)j->number, attempt, mote_last_error());
  j->monitor->log(j->monitor->user, MOTE_LOG_WARNING, line);
}

/* ---- a scene ---- */

/* Records into j->running; with `keep`, a sample of what was recorded. *whole is 0 where it was stopped. */
static mote_status record(job *j, const mote_scene *scene, int *whole) {
  const mote_spec *spec = j->spec;
  int sampled = spec->keep > 0 && spec->keep < scene->particles.count;
  const char *path = sampled ? j->dense : j->running;
  mote_record_options options = {.velocity = spec->velocity,
                                 .deformation_gradient = spec->deformation_gradient,
                                 .compression = sampled ? 0 : spec->compression};
  mote_monitor monitor = {NULL, on_progress, j};
  mote_record_summary summary;
  MOTE_TRY(mote_record(scene, j->device, path, &options, &monitor, &summary));
  j->summary->seconds += summary.solver_seconds;
  *whole = summary.frames == scene->frames + 1;
  if (!*whole || !sampled) return MOTE_OK;
  mote_sample_options sample = {.method = spec->method,
                                .count = spec->keep,
                                .seed = spec->seed + (uint64_t)j->number * MOTE_SPLITS + (uint64_t)j->split};
  mote_status status = mote_reduce_trajectory(path, 0, &sample, 0, j->running, NULL, NULL);
  (void)unlink(path);
  return status;
}

static mote_status keep_part(job *j, int attempt) {
  char *part = mote_folder_part(j->folder, j->split, j->number, attempt);
  if (!part) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a path");
  mote_status status = MOTE_OK;
  if (rename(j->running, part) != 0)
    status = mote_fail(MOTE_ERROR_IO, "cannot rename %s to %s: %s", j->running, part, strerror(errno));
  free(part);
  return status;
}

/* One attempt. *failed: the simulation blew up, and another draw may not. */
static mote_status attempt_scene(job *j, int attempt, int *failed) {
  mote_scene scene;
  int whole = 0;
  MOTE_TRY(mote_spec_scene(j->spec, j->split, j->number, attempt, &scene));
  j->frames = scene.frames;
  mote_status status = record(j, &scene, &whole);
  mote_scene_destroy(&scene);
  *failed = status == MOTE_ERROR_NUMERIC;
  if (status != MOTE_OK || !whole) return status;
  MOTE_TRY(keep_part(j, attempt));
  j->summary->simulated++;
  j->summary->done++;
  return MOTE_OK;
}

static mote_status make_scene(job *j) {
  for (int attempt = 0; attempt < j->spec->tries; attempt++) {
    int failed = 0;
    mote_status status = attempt_scene(j, attempt, &failed);
    if (status == MOTE_OK) return MOTE_OK;
    if (!failed) return mote_fail_within(status, "%s %lld", mote_split_names[j->split], (long long)j->number);
    tell_failure(j, attempt);
    j->summary->redrawn++;
  }
  return mote_fail_within(MOTE_ERROR_NUMERIC,
                          "%s %lld: %lld draws in a row cannot be simulated; the last one",
                          mote_split_names[j->split], (long long)j->number, (long long)j->spec->tries);
}

static mote_status make_all(job *j) {
  for (j->split = 0; j->split < MOTE_SPLITS; j->split++)
    for (j->number = 0; j->number < j->spec->splits[j->split].count && !j->stop; j->number++) {
      int attempt = mote_folder_find(j->folder, j->spec, j->split, j->number);
      if (attempt < 0) {
        MOTE_TRY(make_scene(j));
      } else {
        j->summary->redrawn += attempt;
        j->summary->done++;
      }
    }
  return MOTE_OK;
}

/* ---- the whole ---- */

static mote_status make_parts(job *j, const mote_dataset_options *options) {
  mote_device_options device = {.threads = options ? options->threads : 0};
  j->running = mote_folder_scratch(j->folder, "running.h5");
  j->dense = mote_folder_scratch(j->folder, "dense.h5");
  mote_status status = j->running && j->dense ? MOTE_OK : mote_fail(MOTE_ERROR_MEMORY, "out of memory");
  if (status == MOTE_OK)
    status = mote_device_open(options && options->device ? options->device : "auto", &device, &j->device);
  if (status == MOTE_OK) status = make_all(j);
  mote_device_close(j->device);
  if (j->running) (void)unlink(j->running);
  if (j->dense) (void)unlink(j->dense);
  free(j->running);
  free(j->dense);
  return status;
}

static mote_status count_split(const char *folder, int split, mote_dataset_summary *s) {
  mote_trajectory_reader *reader;
  MOTE_TRY(mote_dataset_open(folder, split, &reader));
  for (int k = 0; k < mote_trajectory_count(reader); k++) {
    mote_trajectory_info info;
    if (mote_trajectory_get_info(reader, k, &info) != MOTE_OK) break;
    s->frames += info.frames;
    if (!s->fewest_particles || info.particles < s->fewest_particles) s->fewest_particles = info.particles;
    if (info.particles > s->most_particles) s->most_particles = info.particles;
  }
  mote_trajectory_close(reader);
  return MOTE_OK;
}

static mote_status make_in(const mote_dataset_folder *folder, const mote_spec *spec,
                           const mote_dataset_options *options, const mote_monitor *monitor,
                           mote_dataset_summary *summary) {
  job j = {.spec = spec, .folder = folder, .monitor = monitor, .summary = summary};
  for (int k = 0; k < MOTE_SPLITS; k++) summary->scenes += spec->splits[k].count;
  if (mote_folder_is_complete(folder, spec)) {
    summary->done = summary->scenes;
  } else {
    MOTE_TRY(mote_spec_check(spec));
    MOTE_TRY(make_parts(&j, options));
    if (summary->done < summary->scenes) return MOTE_OK;
    MOTE_TRY(mote_dataset_assemble(folder, spec, monitor));
  }
  mote_folder_clean(folder);
  for (int k = 0; k < MOTE_SPLITS; k++)
    if (spec->splits[k].count) MOTE_TRY(count_split(folder->path, k, summary));
  return MOTE_OK;
}

/* The spec's text and what it says; paths in it are relative to its folder. */
typedef struct opened {
  char *text, *folder;
  size_t size;
  mote_spec spec;
} opened;

static void close_spec(opened *o) {
  mote_spec_free(&o->spec);
  free(o->text);
  free(o->folder);
}

static mote_status open_spec(const char *path, int64_t seed, opened *o) {
  *o = (opened){0};
  MOTE_TRY(mote_file_read(path, MOTE_DOCUMENT_LIMIT, &o->text, &o->size));
  o->folder = mote_path_beside(path, "");
  mote_status status = o->folder ? MOTE_OK : mote_fail(MOTE_ERROR_MEMORY, "out of memory for %s", path);
  if (status == MOTE_OK) {
    mote_scene_source source = {.name = path, .folder = o->folder};
    status = mote_spec_parse(o->text, o->size, &source, (uint64_t)seed, &o->spec);
  }
  if (status != MOTE_OK) close_spec(o);
  return status;
}

mote_status mote_dataset_make(const char *spec, const char *path, const mote_dataset_options *options,
                              const mote_monitor *monitor, mote_dataset_summary *summary) {
  mote_dataset_summary totals = {0};
  mote_dataset_folder folder;
  int64_t seed = options ? options->seed : 0;
  opened o;
  MOTE_TRY(open_spec(spec, seed, &o));
  mote_status status = mote_folder_open(path, o.text, o.size, seed, &folder);
  if (status == MOTE_OK) {
    status = make_in(&folder, &o.spec, options, monitor, &totals);
    mote_folder_close(&folder);
  }
  close_spec(&o);
  if (summary) *summary = totals;
  return status;
}

mote_status mote_dataset_scene(const char *spec, int64_t seed, int split, int64_t number, mote_scene *scene) {
  opened o;
  *scene = (mote_scene){0};
  if (split < 0 || split >= MOTE_SPLITS || number < 0 || number >= MOTE_MOST_SCENES)
    return mote_fail(MOTE_ERROR_ARGUMENT, "split %d, scene %lld: expected 0 to 2, and 0 to %d", split,
                     (long long)number, MOTE_MOST_SCENES - 1);
  MOTE_TRY(open_spec(spec, seed, &o));
  mote_status status = mote_spec_scene(&o.spec, split, number, 0, scene);
  close_spec(&o);
  return status;
}
