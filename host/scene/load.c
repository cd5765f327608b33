/* Scene files: the top level, the domain and the times. What a file may hold is told by scripts/scenes/ and
   the lists of keys here and in read_*.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/core/file.h"
#include "host/core/text.h"
#include "host/scene/read.h"

static double side(const double lower[3], const double upper[3], int d) {
  return upper[d] - lower[d];
}

/* `cells` is a list, or one number: that of the longest side. */
static mote_status read_cells(const mote_map *domain, int dim, const double lower[3], const double upper[3],
                              int64_t cells[3], double *spacing) {
  const yaml_node_t *node = mote_map_find(domain, "cells");
  double longest = 0;
  for (int d = 0; d < dim; d++) longest = fmax(longest, side(lower, upper, d));
  if (node->type == YAML_SCALAR_NODE) {
    int64_t n = 0;
    MOTE_TRY(mote_node_integer(domain, node, "cells", 1, 65536, &n));
    *spacing = longest / (double)n;
    return MOTE_OK;
  }
  double list[3];
  MOTE_TRY(mote_node_vector(domain, node, "cells", dim, list));
  for (int d = 0; d < dim; d++) {
    if (!(list[d] >= 1 && list[d] <= 65536 && list[d] == floor(list[d])))
      return mote_node_fail(domain->document, node, "'cells' of %s: expected whole numbers from 1 to 65536",
                            domain->title);
    cells[d] = (int64_t)list[d];
  }
  if (mote_map_find(domain, "upper")) *spacing = side(lower, upper, 0) / (double)cells[0];
  return MOTE_OK;
}

static mote_status whole_cells(const mote_map *domain, int dim, const double lower[3], const double upper[3],
                               double spacing, int64_t cells[3]) {
  for (int d = 0; d < dim; d++) {
    double n = side(lower, upper, d) / spacing;
    int listed = cells[d] != 0;
    if (!(n < 65537) || n < 1 - 1e-4 || fabs(n - round(n)) > 1e-4 * round(n) ||
        (listed && (int64_t)round(n) != cells[d]))
      return mote_node_fail(domain->document, domain->node,
                            "%s: its %c side of %g m is %.6g cells of %g m: expected a whole number%s",
                            domain->title, "xyz"[d], side(lower, upper, d), n, spacing,
                            listed ? ", the one in 'cells'" : "");
    cells[d] = (int64_t)round(n);
  }
  return MOTE_OK;
}

static mote_status read_domain(const mote_map *root, mote_scene *scene) {
  static const char *const keys[] = {"lower", "upper", "cells", "spacing", NULL};
  if (!mote_map_find(root, "domain")) return MOTE_OK;
  mote_map domain;
  MOTE_TRY(mote_map_open_child(root, "domain", keys, &domain));
  double lower[3] = {0}, upper[3] = {0}, spacing = 0;
  int64_t cells[3] = {0};
  int has_upper = mote_map_find(&domain, "upper") != NULL,
      has_cells = mote_map_find(&domain, "cells") != NULL;
  int has_spacing = mote_map_find(&domain, "spacing") != NULL;
  MOTE_TRY(mote_read_vector(&domain, "lower", scene->dim, lower));
  MOTE_TRY(mote_read_vector(&domain, "upper", scene->dim, upper));
  MOTE_TRY(mote_map_positive(&domain, "spacing", &spacing));
  if (has_upper + has_cells + has_spacing != 2)
    return mote_node_fail(domain.document, domain.node, "%s: expected two of 'upper', 'cells' and 'spacing'",
                          domain.title);
  for (int d = 0; has_upper && d < scene->dim; d++)
    if (!(side(lower, upper, d) > 1e-30))
      return mote_node_fail(domain.document, domain.node, "%s: 'upper' must lie above 'lower' on %c",
                            domain.title, "xyz"[d]);
  if (has_cells && !has_upper && mote_map_find(&domain, "cells")->type == YAML_SCALAR_NODE)
    return mote_node_fail(domain.document, domain.node, "%s: with 'spacing', 'cells' is a list",
                          domain.title);
  if (has_cells) MOTE_TRY(read_cells(&domain, scene->dim, lower, upper, cells, &spacing));
  if (has_upper) MOTE_TRY(whole_cells(&domain, scene->dim, lower, upper, spacing, cells));
  scene->grid_spacing = (float)spacing;
  for (int d = 0; d < scene->dim; d++) {
    scene->lower[d] = (float)lower[d];
    scene->cells[d] = (int)cells[d];
  }
  return MOTE_OK;
}

/* ---- times ---- */

static mote_status read_times(const mote_map *root, mote_scene *scene, mote_times *t) {
  static const char *const keys[] = {"step", "frames", "steps_per_frame", "frame_interval", NULL};
  *t = (mote_times){0};
  if (!mote_map_find(root, "time")) return MOTE_OK;
  mote_map map;
  MOTE_TRY(mote_map_open_child(root, "time", keys, &map));
  const yaml_node_t *step = mote_map_find(&map, "step");
  const char *word = step ? mote_node_text(step) : "auto";
  if (!word || strcmp(word, "auto")) MOTE_TRY(mote_map_positive(&map, "step", &t->step));
  MOTE_TRY(mote_map_positive(&map, "frame_interval", &t->interval));
  int64_t frames = scene->frames, steps = scene->steps_per_frame;
  MOTE_TRY(mote_map_integer(&map, "frames", 0, 10000000, &frames));
  MOTE_TRY(mote_map_integer(&map, "steps_per_frame", 1, 100000000, &steps));
  if (t->interval > 0 && mote_map_find(&map, "steps_per_frame"))
    return mote_node_fail(map.document, map.node, "%s: 'steps_per_frame' or 'frame_interval', not both",
                          map.title);
  if (t->interval > 0 && t->step > 0) {
    double n = t->interval / t->step;
    if (n < 1 - 1e-4 || n > 1e8 || fabs(n - round(n)) > 1e-4 * round(n))
      return mote_node_fail(map.document, map.node,
                            "%s: a frame_interval of %g s is %.6g steps of %g s: expected a whole number",
                            map.title, t->interval, n, t->step);
    steps = (int64_t)round(n);
  }
  scene->time_step = (float)t->step;
  scene->frames = (int)frames;
  scene->steps_per_frame = (int)steps;
  return MOTE_OK;
}

/* With a frame interval and no step: the fewest steps a frame that stay below half the stable step. */
static mote_status choose_step(const mote_map *root, mote_scene *scene, const mote_times *t) {
  if (t->interval == 0 || t->step > 0 || !scene->particles.count) return MOTE_OK;
  double stable = mote_scene_stable_time_step(scene), n = ceil(t->interval / (0.5 * stable));
  if (!(stable > 0) || !(n >= 1 && n <= 1e8))
    return mote_node_fail(
        root->document, mote_map_find(root, "time"),
        "a frame_interval of %g s needs %g steps of %g s: is a material too stiff for this grid?",
        t->interval, n, 0.5 * stable);
  scene->steps_per_frame = (int)n;
  scene->time_step = (float)(t->interval / n);
  return MOTE_OK;
}

/* ---- all of it ---- */

const char *const mote_scene_keys[] = {"name",   "dim",       "domain", "walls",   "gravity", "materials",
                                       "bodies", "colliders", "time",   "changes", NULL};

static mote_status check(const mote_map *root, const mote_scene *scene) {
  mote_status status = mote_scene_check(scene);
  return status == MOTE_OK ? status : mote_fail_within(status, "%s", root->document->name);
}

mote_status mote_read_setting(const mote_map *root, const mote_scene_source *source, mote_scene *scene,
                              mote_times *times) {
  int64_t dim = 3;
  MOTE_TRY(mote_map_integer(root, "dim", 2, 3, &dim));
  MOTE_TRY(mote_scene_create((int)dim, scene));
  double gravity[3] = {0, scene->gravity[1], 0};
  MOTE_TRY(mote_map_text(root, "name", scene->name, sizeof scene->name));
  MOTE_TRY(read_domain(root, scene));
  MOTE_TRY(mote_read_walls(root, scene));
  MOTE_TRY(mote_read_vector(root, "gravity", scene->dim, gravity));
  for (int d = 0; d < scene->dim; d++) scene->gravity[d] = (float)gravity[d];
  MOTE_TRY(read_times(root, scene, times));
  MOTE_TRY(mote_read_materials(root, source->folder, scene));
  MOTE_TRY(mote_read_colliders(root, scene));
  MOTE_TRY(mote_read_changes(root, source->seed, scene));
  return check(root, scene);
}

mote_status mote_read_end(const mote_map *root, const mote_times *times, mote_scene *scene) {
  MOTE_TRY(check(root, scene));
  return choose_step(root, scene, times);
}

static mote_status read_scene(const mote_document *document, const mote_scene_source *source,
                              mote_scene *scene) {
  mote_map root;
  mote_times times;
  MOTE_TRY(mote_map_open(document, mote_document_root(document), mote_scene_keys, &root, "the scene"));
  MOTE_TRY(
      mote_read_setting(&root, source, scene, &times)); /* checked before anything is filled on this grid */
  MOTE_TRY(mote_read_bodies(&root, source, scene));
  return mote_read_end(&root, &times, scene);
}

mote_status mote_scene_parse(const char *text, size_t length, const mote_scene_source *source,
                             mote_scene *scene) {
  mote_scene_source filled = *source;
  if (!filled.name) filled.name = "scene";
  if (filled.particle_limit <= 0) filled.particle_limit = 50000000;
  mote_document document;
  *scene = (mote_scene){0};
  MOTE_TRY(mote_document_parse(text, length, filled.name, &document));
  mote_status status = read_scene(&document, &filled, scene);
  mote_document_free(&document);
  if (status != MOTE_OK) mote_scene_destroy(scene);
  return status;
}

mote_status mote_scene_load(const char *path, uint64_t seed, mote_scene *scene) {
  *scene = (mote_scene){0};
  char *data;
  size_t size;
  MOTE_TRY(mote_file_read(path, MOTE_DOCUMENT_LIMIT, &data, &size));
  const char *slash = strrchr(path, '/');
  char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup("");
  mote_status status;
  if (folder) {
    mote_scene_source source = {.name = path, .folder = folder, .seed = seed};
    status = mote_scene_parse(data, size, &source, scene);
  } else {
    status = mote_fail(MOTE_ERROR_MEMORY, "%s: out of memory", path);
  }
  free(folder);
  free(data);
  return status;
}
