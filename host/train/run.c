/* RUN.yaml: keys, defaults, and file patterns relative to the file itself. */
#include "host/train/run.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/core/file.h"
#include "host/scene/document.h"

#define MOST_PATTERNS 1000

static void free_files(mote_files *files) {
  for (int k = 0; k < files->count; k++) free(files->path[k]);
  free(files->path);
  *files = (mote_files){0};
}

void mote_run_free(mote_run *run) {
  free_files(&run->data);
  free_files(&run->valid);
}

static mote_status add_file(mote_files *files, const char *path) {
  char **grown = realloc(files->path, (size_t)(files->count + 1) * sizeof *grown);
  char *copy = strdup(path);
  if (grown) files->path = grown;
  if (!grown || !copy) {
    free(copy);
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a list of files");
  }
  files->path[files->count++] = copy;
  return MOTE_OK;
}

/* A pattern as the shell has them, in alphabetical order. */
static mote_status add_pattern(const char *run, const char *pattern, mote_files *files) {
  char *full = *pattern == '/' ? strdup(pattern) : mote_path_beside(run, pattern);
  glob_t found;
  if (!full) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %s", pattern);
  int code = glob(full, 0, NULL, &found);
  mote_status status = MOTE_OK;
  if (code == GLOB_NOMATCH)
    status = mote_fail(MOTE_ERROR_IO, "no file matches %s", full);
  else if (code != 0)
    status = mote_fail(MOTE_ERROR_IO, "cannot look for %s", full);
  for (size_t k = 0; code == 0 && status == MOTE_OK && k < found.gl_pathc; k++)
    status = add_file(files, found.gl_pathv[k]);
  if (code == 0) globfree(&found);
  free(full);
  return status;
}

mote_status mote_run_path(const mote_map *map, const char *key, const char *what, char **path) {
  const yaml_node_t *node;
  MOTE_TRY(mote_map_require(map, key, &node));
  const char *text = mote_node_text(node);
  if (!text || !*text)
    return mote_node_fail(map->document, node, "'%s' of %s: expected %s", key, map->title, what);
  *path = *text == '/' ? strdup(text) : mote_path_beside(map->document->name, text);
  return *path ? MOTE_OK : mote_fail(MOTE_ERROR_MEMORY, "out of memory for a name");
}

mote_status mote_run_open(const mote_document *document, const char *const *keys, const char *kind,
                          mote_map *map) {
  const char *const kinds[] = {kind, NULL};
  const yaml_node_t *node;
  int which = 0;
  MOTE_TRY(mote_map_open(document, mote_document_root(document), keys, map, "the run"));
  MOTE_TRY(mote_map_require(map, "kind", &node));
  return mote_map_choice(map, "kind", kinds, &which);
}

mote_status mote_run_float(const mote_map *map, const char *key, double low, double high, float *value) {
  double wide = *value;
  MOTE_TRY(mote_map_real(map, key, low, high, &wide));
  *value = (float)wide;
  return MOTE_OK;
}

mote_status mote_run_betas(const mote_map *map, float *beta1, float *beta2) {
  double betas[2] = {*beta1, *beta2};
  MOTE_TRY(mote_map_vector(map, "betas", 2, betas));
  /* Not beyond what float32 tells from 1, which the corrections divide by the distance to. */
  if (!(betas[0] >= 0 && betas[0] <= 0.999999 && betas[1] >= 0 && betas[1] <= 0.999999))
    return mote_node_fail(map->document, mote_map_find(map, "betas"),
                          "'betas' of %s: expected two numbers from 0 to 0.999999", map->title);
  *beta1 = (float)betas[0];
  *beta2 = (float)betas[1];
  return MOTE_OK;
}

static mote_status read_files(const mote_map *map, const char *key, mote_files *files) {
  const yaml_node_t *list;
  int count;
  if (!mote_map_find(map, key)) return MOTE_OK;
  MOTE_TRY(mote_list_open(map, key, MOST_PATTERNS, &list, &count));
  for (int k = 0; k < count; k++) {
    const yaml_node_t *item = mote_list_item(map->document, list, k);
    const char *pattern = mote_node_text(item);
    if (!pattern || !*pattern)
      return mote_node_fail(map->document, item, "'%s' of %s: expected names of files", key, map->title);
    mote_status status = add_pattern(map->document->name, pattern, files);
    if (status != MOTE_OK) return mote_node_fail_at(map->document, item, status);
  }
  return MOTE_OK;
}

static mote_status read_sampling(const mote_map *map, mote_run *run) {
  static const char *const keys[] = {"method", "ratio", NULL};
  static const char *const methods[] = {"uniform", "farthest", "poisson", NULL};
  mote_map sampling;
  int method = MOTE_SAMPLE_FARTHEST;
  if (!mote_map_find(map, "sampling")) return MOTE_OK;
  MOTE_TRY(mote_map_open_child(map, "sampling", keys, &sampling));
  MOTE_TRY(mote_map_choice(&sampling, "method", methods, &method));
  run->method = (mote_sample_method)method;
  const yaml_node_t *ratio = mote_map_find(&sampling, "ratio");
  if (!ratio) return MOTE_OK;
  double range[2];
  if (ratio->type == YAML_SCALAR_NODE) {
    MOTE_TRY(mote_node_real(&sampling, ratio, "ratio", 1e-6, 1, &range[0]));
    range[1] = range[0];
  } else {
    MOTE_TRY(mote_node_vector(&sampling, ratio, "ratio", 2, range));
  }
  if (!(range[0] > 0 && range[0] <= range[1] && range[1] <= 1))
    return mote_node_fail(map->document, ratio, "'ratio' of %s: expected 0 < low <= high <= 1",
                          sampling.title);
  run->ratio_low = range[0];
  run->ratio_high = range[1];
  return MOTE_OK;
}

static mote_status read_run(const mote_document *document, mote_run *run) {
  static const char *const keys[] = {"kind",  "data", "valid", "sampling", "points",         "frames",
                                     "batch", "rate", "steps", "seed",     "validate_every", NULL};
  const yaml_node_t *node;
  mote_map map;
  MOTE_TRY(mote_run_open(document, keys, "operator", &map));
  MOTE_TRY(mote_map_require(&map, "data", &node));
  MOTE_TRY(read_files(&map, "data", &run->data));
  if (run->data.count == 0) return mote_node_fail(document, node, "'data' of the run is empty");
  MOTE_TRY(read_files(&map, "valid", &run->valid));
  MOTE_TRY(read_sampling(&map, run));
  MOTE_TRY(mote_map_integer(&map, "points", 1, 100000000, &run->points));
  MOTE_TRY(mote_map_integer(&map, "frames", 2, 1000000, &run->frames));
  MOTE_TRY(mote_map_integer(&map, "batch", 1, 4096, &run->batch));
  MOTE_TRY(mote_map_integer(&map, "steps", 1, 100000000, &run->steps));
  MOTE_TRY(mote_map_integer(&map, "validate_every", 1, 100000000, &run->validate_every));
  MOTE_TRY(mote_map_integer(&map, "seed", 0, INT64_MAX, &run->seed));
  return mote_map_real(&map, "rate", 1e-8, 1, &run->rate);
}

mote_status mote_run_load(const char *path, mote_run *run) {
  mote_document document;
  *run = (mote_run){.method = MOTE_SAMPLE_FARTHEST,
                    .ratio_low = 0.05,
                    .ratio_high = 0.05,
                    .points = 1000,
                    .batch = 4,
                    .steps = 2000,
                    .validate_every = 200,
                    .rate = 1e-3};
  MOTE_TRY(mote_document_load(path, &document));
  mote_status status = read_run(&document, run);
  mote_document_free(&document);
  if (status != MOTE_OK) mote_run_free(run);
  return status;
}
