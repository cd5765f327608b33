/* Changes of material of a scene file. */
#include <stdlib.h>

#include "host/core/error.h"
#include "host/scene/read.h"

/* `key` as the name of one of the scene's materials. */
static mote_status read_material(const mote_map *map, const char *key, const mote_scene *scene,
                                 int *material) {
  const yaml_node_t *node;
  const char *names[257] = {NULL};
  for (int i = 0; i < scene->material_count; i++) names[i] = scene->materials[i].name;
  MOTE_TRY(mote_map_require(map, key, &node));
  return mote_node_choice(map, node, "material", names, material);
}

static mote_status read_moment(const mote_map *map, const char *key, float *moment) {
  const yaml_node_t *node;
  double time = 0;
  MOTE_TRY(mote_map_require(map, key, &node));
  MOTE_TRY(mote_node_real(map, node, key, 0, 1e9, &time));
  *moment = (float)time;
  return MOTE_OK;
}

static mote_status read_order(const mote_map *map, uint64_t seed, mote_material_change *change) {
  static const char *const orders[] = {"random", "from_below", "from_above", NULL};
  int order = MOTE_CHANGE_RANDOM;
  int64_t own = 0;
  MOTE_TRY(mote_map_choice(map, "order", orders, &order));
  MOTE_TRY(mote_map_integer(map, "seed", 0, INT64_MAX, &own));
  change->order = (mote_change_order)order;
  change->seed = mote_map_find(map, "seed") ? (uint64_t)own : seed;
  if (change->order == MOTE_CHANGE_RANDOM || !mote_map_find(map, "seed")) return MOTE_OK;
  return mote_node_fail(map->document, mote_map_find(map, "seed"), "%s: 'seed' needs order: random",
                        map->title);
}

static mote_status read_change(const mote_map *map, uint64_t seed, const mote_scene *scene,
                               mote_material_change *change) {
  MOTE_TRY(read_material(map, "from", scene, &change->from));
  MOTE_TRY(read_material(map, "to", scene, &change->to));
  MOTE_TRY(read_moment(map, "begin", &change->begin));
  MOTE_TRY(read_moment(map, "end", &change->end));
  MOTE_TRY(read_order(map, seed, change));
  if (change->from == change->to)
    return mote_node_fail(map->document, mote_map_find(map, "to"), "%s: from '%s' to itself", map->title,
                          scene->materials[change->to].name);
  if (change->end >= change->begin) return MOTE_OK;
  return mote_node_fail(map->document, mote_map_find(map, "end"),
                        "%s: an end at %g s, before its begin at %g s", map->title, (double)change->end,
                        (double)change->begin);
}

mote_status mote_read_changes(const mote_map *root, uint64_t seed, mote_scene *scene) {
  static const char *const keys[] = {"name", "from", "to", "begin", "end", "order", "seed", NULL};
  const yaml_node_t *list;
  int count;
  MOTE_TRY(mote_list_open(root, "changes", MOTE_MOST_CHANGES, &list, &count));
  if (!count) return MOTE_OK;
  scene->changes = calloc((size_t)count, sizeof *scene->changes);
  if (!scene->changes) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %d changes", count);
  for (int i = 0; i < count; i++) {
    const yaml_node_t *node = mote_list_item(root->document, list, i);
    mote_map map;
    mote_title title = mote_item_title(root->document, node, "change", i);
    MOTE_TRY(mote_map_open(root->document, node, keys, &map, "%s", title.text));
    MOTE_TRY(read_change(&map, seed, scene, &scene->changes[i]));
    scene->change_count = i + 1;
  }
  return MOTE_OK;
}
