/* Recordings are read whole; an example copies the rows it needs, so that a rollout is one upload. */
#include "host/train/examples.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mote/random.h>

#include "host/core/error.h"

static mote_status read_recording(mote_trajectory_reader *reader, int index, int64_t most_frames,
                                  mote_recording *r) {
  mote_trajectory_info info;
  MOTE_TRY(mote_trajectory_get_info(reader, index, &info));
  MOTE_TRY(mote_trajectory_read_metadata(reader, &r->metadata));
  r->frames = most_frames > 0 && most_frames < info.frames ? most_frames : info.frames;
  r->particles = info.particles;
  r->dim = info.dim;
  if (r->frames < 2 || r->metadata.material_count == 0 || !(r->metadata.dx > 0))
    return mote_fail(
        MOTE_ERROR_FORMAT,
        "training needs two frames, the particle spacing \"dx\" and \"materials\" in the metadata: "
        "record it with `mote simulate`");
  r->position = malloc((size_t)(r->frames * r->particles * r->dim) * sizeof *r->position);
  r->material = malloc((size_t)r->particles * sizeof *r->material);
  if (!r->position || !r->material) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for training data");
  MOTE_TRY(mote_trajectory_read_labels(reader, index, "material", r->material));
  return mote_trajectory_read_frames(reader, index, "position", 0, r->frames, r->position);
}

static mote_status add(mote_recordings *set, const char *path, int64_t most_frames) {
  mote_trajectory_reader *reader;
  MOTE_TRY(mote_trajectory_open(path, &reader));
  mote_status status = MOTE_OK;
  for (int k = 0; k < mote_trajectory_count(reader) && status == MOTE_OK; k++) {
    mote_recording *grown = realloc(set->of, (size_t)(set->count + 1) * sizeof *grown);
    if (!grown) {
      status = mote_fail(MOTE_ERROR_MEMORY, "out of memory for training data");
      break;
    }
    set->of = grown;
    set->of[set->count] = (mote_recording){.name = strdup(path)};
    status = read_recording(reader, k, most_frames, &set->of[set->count++]);
  }
  mote_trajectory_close(reader);
  return status == MOTE_OK ? MOTE_OK : mote_fail_within(status, "%s", path);
}

mote_status mote_recordings_load(const mote_files *files, int64_t most_frames, mote_recordings *set) {
  *set = (mote_recordings){0};
  mote_status status = MOTE_OK;
  for (int k = 0; k < files->count && status == MOTE_OK; k++) status = add(set, files->path[k], most_frames);
  if (status != MOTE_OK) mote_recordings_free(set);
  return status;
}

void mote_recordings_free(mote_recordings *set) {
  for (int k = 0; k < set->count; k++) {
    free(set->of[k].name);
    free(set->of[k].position);
    free(set->of[k].material);
  }
  free(set->of);
  *set = (mote_recordings){0};
}

void mote_example_free(mote_example *e) {
  free(e->sparse);
  free(e->dense);
  free(e->expert);
  *e = (mote_example){0};
}

mote_example mote_example_from(const mote_example *e, int64_t frame) {
  mote_example later = *e;
  later.frames -= frame;
  later.sparse += frame * e->sparse_count * e->recording->dim;
  later.dense += frame * e->dense_count * e->recording->dim;
  return later;
}

static void copy_rows(const mote_recording *r, const int32_t *index, int64_t count, float *to) {
  for (int64_t f = 0; f < r->frames; f++)
    for (int64_t i = 0; i < count; i++)
      memcpy(to + (f * count + i) * r->dim, r->position + (f * r->particles + index[i]) * r->dim,
             (size_t)r->dim * sizeof *to);
}

static mote_status choose(const mote_recording *r, const mote_run *run, uint64_t draw, int32_t *index,
                          mote_example *e) {
  double ratio = run->ratio_low * pow(run->ratio_high / run->ratio_low,
                                      mote_random_uniform_f64((uint64_t)run->seed, 21, draw, 0));
  uint64_t seed = (uint64_t)run->seed * 1000003 + draw;
  mote_sample_options sparse = {.method = run->method, .ratio = ratio, .seed = seed};
  int64_t points = run->points < r->particles ? run->points : r->particles;
  mote_sample_options dense = {.method = MOTE_SAMPLE_UNIFORM, .count = points, .seed = seed + 1};
  size_t dim = (size_t)r->dim, frames = (size_t)r->frames;
  MOTE_TRY(mote_sample(r->position, r->particles, r->dim, &sparse, index, &e->sparse_count, NULL));
  e->sparse = malloc(frames * (size_t)e->sparse_count * dim * sizeof *e->sparse);
  e->expert = malloc((size_t)e->sparse_count * sizeof *e->expert);
  if (!e->sparse || !e->expert) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for an example");
  copy_rows(r, index, e->sparse_count, e->sparse);
  for (int64_t i = 0; i < e->sparse_count; i++) e->expert[i] = r->material[index[i]];
  MOTE_TRY(mote_sample(r->position, r->particles, r->dim, &dense, index, &e->dense_count, NULL));
  e->dense = malloc(frames * (size_t)e->dense_count * dim * sizeof *e->dense);
  if (!e->dense) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for an example");
  copy_rows(r, index, e->dense_count, e->dense);
  return MOTE_OK;
}

mote_status mote_example_make(const mote_recording *r, const mote_run *run, uint64_t draw,
                              const int *expert_of, mote_example *e) {
  *e = (mote_example){.recording = r, .frames = r->frames};
  int32_t *index = malloc((size_t)r->particles * sizeof *index);
  mote_status status =
      index ? choose(r, run, draw, index, e) : mote_fail(MOTE_ERROR_MEMORY, "out of memory for an example");
  free(index);
  for (int64_t i = 0; status == MOTE_OK && i < e->sparse_count; i++) {
    int k = e->expert[i];
    e->expert[i] = k >= 0 && k < r->metadata.material_count ? expert_of[k] : -1;
  }
  if (status == MOTE_OK)
    e->dense_spacing =
        r->metadata.dx * pow((double)r->particles / (double)e->dense_count, 1.0 / (double)r->dim);
  else
    mote_example_free(e);
  return status;
}
