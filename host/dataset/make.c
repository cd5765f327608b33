/* Making a data set: scene by scene into parts, then all parts into its files. The trick: what is done is
   what lies under a part's final name, and a part depends on the spec and its number alone, so that going on
   after any stop is looking at what is there. */
#include <mote/dataset.h>

#include <errno.h>
#include <omp.h>
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

/* A scene that is not there yet. */
typedef struct todo {
  int split;
  int64_t number;
} todo;

/* What the workers share; what changes is touched in sections critical(mote_dataset_job) alone. */
typedef struct job {
  const mote_spec *spec;
  const mote_dataset_folder *folder;
  const mote_monitor *monitor;
  const mote_dataset_options *options;
  int64_t frames[MOTE_SPLITS]; /* of a scene, after the first one */
  int64_t frames_done, frames_total;
  todo *todo;
  int64_t todo_count;
  int stop;
  mote_status failed; /* of the first scene in the list that failed for good */
  int64_t failed_at;
  char message[2048];
  mote_dataset_summary *summary;
} job;

/* One scene at a time on a device of its own. */
typedef struct worker {
  job *job;
  mote_device *device;
  char *running, *dense; /* what it writes in .parts */
  todo scene;
  int64_t reported; /* frames of the scene, in job->frames_done */
} worker;

/* ---- telling ---- */

static int on_progress(void *user, const char *phase, const char *unit, long long done, long long total) {
  worker *w = user;
  job *j = w->job;
  const mote_monitor *m = j->monitor;
  int stop;
  (void)total;
#pragma omp critical(mote_dataset_job)
  {
    j->frames_done += done - w->reported;
    w->reported = done;
    if (m && m->progress) j->stop |= m->progress(m->user, phase, unit, j->frames_done, j->frames_total);
    stop = j->stop;
  }
  return stop;
}

static void tell_failure(worker *w, int attempt) {
  const mote_monitor *m = w->job->monitor;
  char line[2300];
  snprintf(line, sizeof line, "%s %lld, draw %d: %s; drawn anew", mote_split_names[w->scene.split],
           (long long)w->scene.number, attempt, mote_last_error());
#pragma omp critical(mote_dataset_job)
  {
    w->job->frames_done -= w->reported;
    w->job->summary->redrawn++;
    if (m && m->log) m->log(m->user, MOTE_LOG_WARNING, line);
  }
  w->reported = 0;
}

/* ---- a scene ---- */

/* Records into w->running; with `keep`, a sample of what was recorded. *whole is 0 where it was stopped. */
static mote_status record(worker *w, const mote_scene *scene, int *whole) {
  const mote_spec *spec = w->job->spec;
  int sampled = spec->keep > 0 && spec->keep < scene->particles.count;
  const char *path = sampled ? w->dense : w->running;
  mote_record_options options = {.velocity = spec->velocity,
                                 .deformation_gradient = spec->deformation_gradient,
                                 .compression = sampled ? 0 : spec->compression};
  mote_monitor monitor = {NULL, on_progress, w};
  mote_record_summary summary;
  MOTE_TRY(mote_record(scene, w->device, path, &options, &monitor, &summary));
  *whole = summary.frames == scene->frames + 1;
  if (!*whole || !sampled) return MOTE_OK;
  mote_sample_options sample = {.method = spec->method,
                                .count = spec->keep,
                                .seed = spec->seed + (uint64_t)w->scene.number * MOTE_SPLITS +
                                        (uint64_t)w->scene.split};
  mote_status status = mote_reduce_trajectory(path, 0, &sample, 0, w->running, NULL, NULL);
  (void)unlink(path);
  return status;
}

static mote_status keep_part(worker *w, int attempt) {
  char *part = mote_folder_part(w->job->folder, w->scene.split, w->scene.number, attempt);
  if (!part) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a path");
  mote_status status = MOTE_OK;
  if (rename(w->running, part) != 0)
    status = mote_fail(MOTE_ERROR_IO, "cannot rename %s to %s: %s", w->running, part, strerror(errno));
  free(part);
  return status;
}

/* One attempt. *failed: the simulation blew up, and another draw may not. */
static mote_status attempt_scene(worker *w, int attempt, int *failed) {
  mote_scene scene;
  int whole = 0;
  w->reported = 0;
  MOTE_TRY(mote_spec_scene(w->job->spec, w->scene.split, w->scene.number, attempt, &scene));
  mote_status status = record(w, &scene, &whole);
  mote_scene_destroy(&scene);
  *failed = status == MOTE_ERROR_NUMERIC;
  if (status != MOTE_OK || !whole) return status;
  MOTE_TRY(keep_part(w, attempt));
#pragma omp critical(mote_dataset_job)
  {
    w->job->summary->simulated++;
    w->job->summary->done++;
  }
  return MOTE_OK;
}

static mote_status make_scene(worker *w) {
  const char *split = mote_split_names[w->scene.split];
  for (int attempt = 0; attempt < w->job->spec->tries; attempt++) {
    int failed = 0;
    mote_status status = attempt_scene(w, attempt, &failed);
    if (status == MOTE_OK) return MOTE_OK;
    if (!failed) return mote_fail_within(status, "%s %lld", split, (long long)w->scene.number);
    tell_failure(w, attempt);
  }
  return mote_fail_within(MOTE_ERROR_NUMERIC,
                          "%s %lld: %lld draws in a row cannot be simulated; the last one", split,
                          (long long)w->scene.number, (long long)w->job->spec->tries);
}

static void make_listed(worker *w, int64_t index) {
  job *j = w->job;
  int over;
#pragma omp critical(mote_dataset_job)
  over = j->stop || j->failed != MOTE_OK;
  if (over) return;
  w->scene = j->todo[index];
  mote_status status = make_scene(w);
  if (status == MOTE_OK) return;
#pragma omp critical(mote_dataset_job)
  if (j->failed == MOTE_OK || index < j->failed_at) {
    j->failed = status;
    j->failed_at = index;
    snprintf(j->message, sizeof j->message, "%s", mote_last_error());
  }
}

/* ---- workers ---- */

static void close_worker(worker *w) {
  mote_device_close(w->device);
  if (w->running) (void)unlink(w->running);
  if (w->dense) (void)unlink(w->dense);
  free(w->running);
  free(w->dense);
}

static mote_status open_worker(job *j, int number, int threads, worker *w) {
  const mote_device_options device = {.threads = threads};
  char name[48];
  *w = (worker){.job = j};
  MOTE_TRY(mote_device_open(j->options->device ? j->options->device : "auto", &device, &w->device));
  snprintf(name, sizeof name, "running-%d.h5", number);
  w->running = mote_folder_scratch(j->folder, name);
  snprintf(name, sizeof name, "dense-%d.h5", number);
  w->dense = mote_folder_scratch(j->folder, name);
  return w->running && w->dense ? MOTE_OK : mote_fail(MOTE_ERROR_MEMORY, "out of memory for a path");
}

/* On the CPU a scene a thread, as small ones gain nothing from more; the last one alone, and other devices,
   get all threads. */
static mote_status count_workers(const job *j, int *workers, int *threads) {
  worker first;
  mote_status status = open_worker((job *)j, 0, j->options->threads, &first);
  if (status == MOTE_OK) {
    int cpu = !strcmp(mote_device_name(first.device), "cpu");
    *threads = mote_device_threads(first.device);
    *workers = cpu ? *threads : 1;
    if (*workers > j->todo_count) *workers = (int)j->todo_count;
    if (*workers > 1) *threads = 1;
  }
  close_worker(&first);
  return status;
}

static mote_status make_missing(job *j) {
  int workers = 1, threads = 1, opened = 0;
  MOTE_TRY(count_workers(j, &workers, &threads));
  worker *w = calloc((size_t)workers, sizeof *w);
  mote_status status = w ? MOTE_OK : mote_fail(MOTE_ERROR_MEMORY, "out of memory for %d workers", workers);
  for (; status == MOTE_OK && opened < workers; opened++)
    status = open_worker(j, opened, threads, &w[opened]);
  if (status == MOTE_OK) {
#pragma omp parallel for num_threads(workers) schedule(dynamic, 1)
    for (int64_t k = 0; k < j->todo_count; k++) make_listed(&w[omp_get_thread_num()], k);
    if (j->failed != MOTE_OK) status = mote_fail(j->failed, "%s", j->message);
  }
  for (int k = 0; k < opened; k++) close_worker(&w[k]);
  free(w);
  return status;
}

/* ---- the whole ---- */

/* Lists what is not there, and counts what is. */
static mote_status list_missing(job *j) {
  mote_dataset_summary *s = j->summary;
  j->todo = malloc((size_t)s->scenes * sizeof *j->todo);
  if (!j->todo) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld scenes", (long long)s->scenes);
  for (int split = 0; split < MOTE_SPLITS; split++)
    for (int64_t number = 0; number < j->spec->splits[split].count; number++) {
      int attempt = mote_folder_find(j->folder, j->spec, split, number);
      j->frames_total += j->frames[split];
      if (attempt < 0) {
        j->todo[j->todo_count++] = (todo){split, number};
        continue;
      }
      j->frames_done += j->frames[split];
      s->redrawn += attempt;
      s->done++;
    }
  return MOTE_OK;
}

static mote_status make_parts(job *j) {
  double start = mote_clock_seconds();
  MOTE_TRY(mote_spec_check(j->spec, j->frames));
  MOTE_TRY(list_missing(j));
  mote_status status = j->todo_count ? make_missing(j) : MOTE_OK;
  free(j->todo);
  j->summary->seconds = mote_clock_seconds() - start;
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
  job j = {.spec = spec, .folder = folder, .monitor = monitor, .options = options, .summary = summary};
  for (int k = 0; k < MOTE_SPLITS; k++) summary->scenes += spec->splits[k].count;
  if (mote_folder_is_complete(folder, spec)) {
    summary->done = summary->scenes;
  } else {
    MOTE_TRY(make_parts(&j));
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
  const mote_dataset_options defaults = {0};
  if (!options) options = &defaults;
  opened o;
  MOTE_TRY(open_spec(spec, options->seed, &o));
  char *claim = mote_spec_base_note(&o.spec.base, o.text, &o.size);
  mote_status status = claim ? mote_folder_open(path, claim, o.size, options->seed, &folder)
                             : mote_fail(MOTE_ERROR_MEMORY, "out of memory for %s", spec);
  free(claim);
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
