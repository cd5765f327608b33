/* Walls and colliders of a scene file. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/scene/read.h"

static const char *const contacts[] = {"free_slip", "no_slip", "separate", NULL};

/* ---- walls ---- */

/* A wall is a contact's name, or {contact, friction}. */
static mote_status read_wall(const mote_map *walls, const char *key, mote_wall *wall) {
  static const char *const keys[] = {"contact", "friction", NULL};
  const yaml_node_t *node = mote_map_find(walls, key);
  if (!node) return MOTE_OK;
  int contact = wall->contact;
  double friction = 0;
  if (node->type != YAML_MAPPING_NODE) {
    MOTE_TRY(mote_node_choice(walls, node, key, contacts, &contact));
  } else {
    mote_map map;
    MOTE_TRY(mote_map_open_child(walls, key, keys, &map));
    MOTE_TRY(mote_map_choice(&map, "contact", contacts, &contact));
    MOTE_TRY(mote_map_real(&map, "friction", 0, 100, &friction));
    if (friction > 0 && contact != MOTE_SEPARATE)
      return mote_node_fail(map.document, node, "%s: friction needs contact: separate", map.title);
  }
  *wall = (mote_wall){(mote_contact)contact, (float)friction};
  return MOTE_OK;
}

mote_status mote_read_walls(const mote_map *root, mote_scene *scene) {
  static const char *const keys_2d[] = {"all",     "lower_x",    "upper_x",        "lower_y",
                                        "upper_y", "clip_cells", "boundary_cells", NULL};
  static const char *const keys_3d[] = {"all",     "lower_x", "upper_x",    "lower_y",        "upper_y",
                                        "lower_z", "upper_z", "clip_cells", "boundary_cells", NULL};
  static const char *const sides[3][2] = {
      {"lower_x", "upper_x"}, {"lower_y", "upper_y"}, {"lower_z", "upper_z"}};
  if (!mote_map_find(root, "walls")) return MOTE_OK;
  mote_map walls;
  MOTE_TRY(mote_map_open_child(root, "walls", scene->dim == 2 ? keys_2d : keys_3d, &walls));
  mote_wall all = scene->walls[0][0];
  MOTE_TRY(read_wall(&walls, "all", &all));
  for (int d = 0; d < scene->dim; d++)
    for (int side = 0; side < 2; side++) {
      scene->walls[d][side] = all;
      MOTE_TRY(read_wall(&walls, sides[d][side], &scene->walls[d][side]));
    }
  int64_t cells = scene->boundary_cells;
  double clip = scene->clip_cells;
  MOTE_TRY(mote_map_integer(&walls, "boundary_cells", 2, 64, &cells));
  MOTE_TRY(mote_map_real(&walls, "clip_cells", 0.5, 64, &clip));
  scene->boundary_cells = (int)cells;
  scene->clip_cells = (float)clip;
  return MOTE_OK;
}

/* ---- colliders ---- */

static mote_status positive(const mote_map *shape, const char *key, float *value) {
  const yaml_node_t *node;
  double number = 0;
  MOTE_TRY(mote_map_require(shape, key, &node));
  MOTE_TRY(mote_map_positive(shape, key, &number));
  *value = (float)number;
  return MOTE_OK;
}

static mote_status read_plane(const mote_map *shape, int dim, mote_collider *collider) {
  const yaml_node_t *node;
  double normal[3] = {0}, length = 0;
  MOTE_TRY(mote_map_require(shape, "normal", &node));
  MOTE_TRY(mote_read_vector(shape, "normal", dim, normal));
  for (int d = 0; d < 3; d++) length += normal[d] * normal[d];
  if (!(length > 1e-20 && length < 1e60))
    return mote_node_fail(shape->document, node, "%s: a normal of length %g", shape->title, sqrt(length));
  for (int d = 0; d < 3; d++) collider->normal[d] = (float)(normal[d] / sqrt(length));
  return MOTE_OK;
}

static mote_status read_box(const mote_map *shape, int dim, mote_collider *collider) {
  const yaml_node_t *node;
  double size[3] = {1, 1, 1};
  MOTE_TRY(mote_map_require(shape, "size", &node));
  MOTE_TRY(mote_read_vector(shape, "size", dim, size));
  for (int d = 0; d < dim; d++) {
    if (!(size[d] > 1e-30))
      return mote_node_fail(shape->document, node, "%s: sides must be above 0", shape->title);
    collider->half_size[d] = (float)(size[d] / 2);
  }
  return MOTE_OK;
}

static mote_status read_collider_shape(const mote_map *map, int dim, mote_collider *collider) {
  static const char *const names[] = {"plane", "sphere", "box", "capsule", NULL};
  static const char *const any[] = {"kind", "normal", "radius", "size", "length", NULL};
  static const char *const keys[4][4] = {
      {"kind", "normal"}, {"kind", "radius"}, {"kind", "size"}, {"kind", "radius", "length"}};
  mote_map shape;
  const yaml_node_t *node;
  int kind = 0;
  MOTE_TRY(mote_map_open_child(map, "shape", any, &shape));
  MOTE_TRY(mote_map_require(&shape, "kind", &node));
  MOTE_TRY(mote_node_choice(&shape, node, "kind", names, &kind));
  MOTE_TRY(mote_map_open_child(map, "shape", keys[kind], &shape));
  collider->shape = (mote_collider_shape)kind;
  if (kind == MOTE_COLLIDER_PLANE) return read_plane(&shape, dim, collider);
  if (kind == MOTE_COLLIDER_BOX) return read_box(&shape, dim, collider);
  MOTE_TRY(positive(&shape, "radius", &collider->radius));
  if (kind == MOTE_COLLIDER_SPHERE) return MOTE_OK;
  MOTE_TRY(positive(&shape, "length", &collider->half_length));
  collider->half_length /= 2;
  return MOTE_OK;
}

static mote_status read_collider(const mote_map *map, int dim, mote_collider *collider) {
  int contact = MOTE_SEPARATE;
  double friction = 0, center[3] = {0}, velocity[3] = {0}, spin[3] = {0}, orientation[4];
  const yaml_node_t *node;
  MOTE_TRY(read_collider_shape(map, dim, collider));
  MOTE_TRY(mote_map_require(map, "position", &node));
  MOTE_TRY(mote_map_choice(map, "contact", contacts, &contact));
  MOTE_TRY(mote_map_real(map, "friction", 0, 100, &friction));
  if (friction > 0 && contact != MOTE_SEPARATE)
    return mote_node_fail(map->document, map->node, "%s: friction needs contact: separate", map->title);
  MOTE_TRY(mote_read_vector(map, "position", dim, center));
  MOTE_TRY(mote_read_vector(map, "velocity", dim, velocity));
  MOTE_TRY(mote_read_spin(map, dim, spin));
  MOTE_TRY(mote_read_rotation(map, dim, orientation));
  collider->contact = (mote_contact)contact;
  collider->friction = (float)friction;
  for (int d = 0; d < 3; d++) {
    collider->center[d] = (float)center[d];
    collider->velocity[d] = (float)velocity[d];
    collider->angular_velocity[d] = (float)spin[d];
  }
  for (int d = 0; d < 4; d++) collider->orientation[d] = (float)orientation[d];
  if (collider->shape != MOTE_COLLIDER_PLANE || !mote_map_find(map, "rotation")) return MOTE_OK;
  return mote_node_fail(map->document, mote_map_find(map, "rotation"), "%s: a plane turns by its normal",
                        map->title);
}

mote_status mote_read_colliders(const mote_map *root, mote_scene *scene) {
  static const char *const keys[] = {"name",     "shape",    "contact",          "friction", "position",
                                     "rotation", "velocity", "angular_velocity", NULL};
  const yaml_node_t *list;
  int count;
  MOTE_TRY(mote_list_open(root, "colliders", 256, &list, &count));
  if (!count) return MOTE_OK;
  scene->colliders = calloc((size_t)count, sizeof *scene->colliders);
  if (!scene->colliders) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %d colliders", count);
  for (int i = 0; i < count; i++) {
    const yaml_node_t *node = mote_list_item(root->document, list, i);
    mote_map map;
    mote_title title = mote_item_title(root->document, node, "collider", i);
    MOTE_TRY(mote_map_open(root->document, node, keys, &map, "%s", title.text));
    MOTE_TRY(read_collider(&map, scene->dim, &scene->colliders[i]));
    scene->collider_count = i + 1;
  }
  return MOTE_OK;
}
