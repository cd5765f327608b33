/* Assembling a data set: see assemble.h. A trajectory's groups are copied packed; only the statistics read
   positions. */
#include "host/dataset/assemble.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cjson/cJSON.h>

#include "host/core/error.h"
#include "host/core/file.h"
#include "host/io/metadata.h"
#include "host/io/statistics.h"
#include "host/io/trajectory_merge.h"

enum { WINDOW = 16 };

typedef struct parts {
  int count;
  char **path;
} parts;

static void free_parts(parts *p) {
  for (int k = 0; p->path && k < p->count; k++) free(p->path[k]);
  free(p->path);
}

static mote_status list_parts(const mote_dataset_folder *folder, const mote_spec *spec, int split, parts *p) {
  *p = (parts){.count = (int)spec->splits[split].count};
  p->path = calloc((size_t)p->count, sizeof *p->path);
  for (int k = 0; p->path && k < p->count; k++) {
    int attempt = mote_folder_find(folder, spec, split, k);
    if (attempt < 0)
      return mote_fail(MOTE_ERROR_IO, "%s: trajectory %s %d is gone", folder->path, mote_split_names[split],
                       k);
    if (!(p->path[k] = mote_folder_part(folder, split, k, attempt))) break;
  }
  if (p->path && (p->count == 0 || p->path[p->count - 1])) return MOTE_OK;
  return mote_fail(MOTE_ERROR_MEMORY, "out of memory for the names of %d trajectories", p->count);
}

/* ---- statistics ---- */

static mote_status add_frames(mote_trajectory_reader *reader, const mote_trajectory_info *info,
                              mote_statistics *statistics) {
  size_t frame = (size_t)info->particles * (size_t)info->dim;
  float *position = malloc(WINDOW * frame * sizeof *position);
  int32_t *type = malloc((size_t)info->particles * sizeof *type);
  mote_status status =
      position && type ? MOTE_OK : mote_fail(MOTE_ERROR_MEMORY, "out of memory for statistics");
  if (status == MOTE_OK) status = mote_trajectory_read_labels(reader, 0, "particle_type", type);
  if (status == MOTE_OK) status = mote_statistics_begin(statistics, info->particles, type);
  for (int64_t first = 0; status == MOTE_OK && first < info->frames; first += WINDOW) {
    int64_t count = info->frames - first < WINDOW ? info->frames - first : WINDOW;
    status = mote_trajectory_read_frames(reader, 0, "position", first, count, position);
    for (int64_t k = 0; status == MOTE_OK && k < count; k++)
      mote_statistics_add(statistics, position + (size_t)k * frame);
  }
  free(position);
  free(type);
  return status;
}

/* ---- metadata ---- */

/* What the trajectories of a split have in common. */
static void join(mote_metadata *all, const mote_metadata *one, int number) {
  if (number == 0) {
    *all = *one;
    return;
  }
  /* The solver's step follows the stiffness of what was drawn: where steps differ, a frame counts as one. */
  if (one->write_every != all->write_every) {
    all->dt *= all->write_every;
    all->write_every = 1;
  }
  if (one->sequence_length < all->sequence_length) all->sequence_length = one->sequence_length;
  all->reach = fmax(all->reach, one->reach);
  if (one->particle_count > all->particle_count) all->particle_count = one->particle_count;
  all->dx += (one->dx - all->dx) / (number + 1);
}

static mote_status survey_part(const char *path, int number, mote_metadata *all,
                               mote_statistics *statistics) {
  mote_trajectory_reader *reader;
  mote_trajectory_info info;
  mote_metadata one;
  MOTE_TRY(mote_trajectory_open(path, &reader));
  mote_status status = mote_trajectory_get_info(reader, 0, &info);
  if (status == MOTE_OK) status = mote_trajectory_read_metadata(reader, &one);
  if (status == MOTE_OK) {
    one.sequence_length = (int)info.frames;
    one.particle_count = info.particles;
    join(all, &one, number);
    if (statistics) status = add_frames(reader, &info, statistics);
  }
  mote_trajectory_close(reader);
  if (status == MOTE_OK) return status;
  return mote_fail_within(status, "%s (remove it to have it made again)", path);
}

static mote_status survey(const parts *p, int dim, const char *phase, const mote_monitor *monitor,
                          mote_metadata *metadata, int with_statistics) {
  mote_statistics statistics;
  mote_status status = MOTE_OK;
  mote_statistics_init(&statistics, dim, NULL);
  for (int k = 0; status == MOTE_OK && k < p->count; k++) {
    status = survey_part(p->path[k], k, metadata, with_statistics ? &statistics : NULL);
    if (with_statistics && monitor && monitor->progress)
      (void)monitor->progress(monitor->user, phase, "trajectories", k + 1, p->count);
  }
  if (status == MOTE_OK && with_statistics) mote_statistics_get(&statistics, metadata);
  mote_statistics_destroy(&statistics);
  metadata->connectivity_radius = 1.45 * metadata->dx;
  return status;
}

/* ---- files ---- */

static void take_statistics(mote_metadata *to, const mote_metadata *from) {
  to->has_statistics = from->has_statistics;
  to->reach = from->reach;
  memcpy(to->velocity_mean, from->velocity_mean, sizeof to->velocity_mean);
  memcpy(to->velocity_std, from->velocity_std, sizeof to->velocity_std);
  memcpy(to->acceleration_mean, from->acceleration_mean, sizeof to->acceleration_mean);
  memcpy(to->acceleration_std, from->acceleration_std, sizeof to->acceleration_std);
}

/* `train` is filled by the first call, that of train, and its statistics are in all. */
static mote_status write_split(const mote_dataset_folder *folder, const mote_spec *spec, int split,
                               const mote_monitor *monitor, mote_metadata *train, mote_output *output) {
  char name[16];
  parts p;
  mote_metadata metadata = {0};
  snprintf(name, sizeof name, "%s.h5", mote_split_names[split]);
  char *path = mote_folder_file(folder, name);
  mote_status status = list_parts(folder, spec, split, &p);
  if (status == MOTE_OK && !path) status = mote_fail(MOTE_ERROR_MEMORY, "out of memory for a path");
  if (status == MOTE_OK)
    status = survey(&p, spec->dim, "statistics", monitor, &metadata, split == MOTE_TRAIN);
  if (status == MOTE_OK) {
    if (split == MOTE_TRAIN) *train = metadata;
    take_statistics(&metadata, train);
    status = mote_trajectory_merge(path, (const char *const *)p.path, p.count, &metadata, output);
  }
  free(path);
  free_parts(&p);
  return status;
}

static mote_status write_metadata(const mote_dataset_folder *folder, const mote_metadata *train,
                                  mote_output *output) {
  char *text = mote_metadata_format(train, NULL), *path = mote_folder_file(folder, "metadata.json");
  mote_status status =
      text && path ? mote_output_open(path, output) : mote_fail(MOTE_ERROR_MEMORY, "out of memory");
  if (status == MOTE_OK) status = mote_output_write(output, text, strlen(text));
  cJSON_free(text);
  free(path);
  return status;
}

mote_status mote_dataset_assemble(const mote_dataset_folder *folder, const mote_spec *spec,
                                  const mote_monitor *monitor) {
  mote_output outputs[MOTE_SPLITS + 1];
  mote_metadata train;
  mote_status status = MOTE_OK;
  int count = 0;
  for (int k = 0; k <= MOTE_SPLITS; k++) outputs[k] = (mote_output){.fd = -1};
  for (int k = 0; k < MOTE_SPLITS && status == MOTE_OK; k++)
    if (spec->splits[k].count) status = write_split(folder, spec, k, monitor, &train, &outputs[count++]);
  if (status == MOTE_OK) status = write_metadata(folder, &train, &outputs[count++]);
  if (status == MOTE_OK) return mote_output_commit(outputs, count);
  mote_output_discard(outputs, count);
  return status;
}
