/* Materials of a scene file. The trick: one table of the parameters, where they lie and which kinds use them,
   so that a parameter which a kind would ignore is an error and not a surprise. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/scene/read.h"

#define KIND(kind) (1u << (kind))
#define ALL_KINDS ((1u << MOTE_MATERIAL_KINDS) - 1)

static const struct parameter {
  const char *name;
  size_t offset;
  unsigned kinds;
} parameters[] = {
    {"density", offsetof(mote_material, density), ALL_KINDS},
    {"youngs_modulus", offsetof(mote_material, youngs_modulus), ALL_KINDS},
    {"poisson_ratio", offsetof(mote_material, poisson_ratio), ALL_KINDS},
    {"bulk_modulus", offsetof(mote_material, bulk_modulus), KIND(MOTE_NEWTONIAN)},
    {"gamma", offsetof(mote_material, gamma), KIND(MOTE_NEWTONIAN)},
    {"viscosity", offsetof(mote_material, viscosity), KIND(MOTE_NEWTONIAN) | KIND(MOTE_VISCOELASTIC)},
    {"yield_stress", offsetof(mote_material, yield_stress),
     KIND(MOTE_VON_MISES) | KIND(MOTE_HERSCHEL_BULKLEY)},
    {"hardening", offsetof(mote_material, hardening), KIND(MOTE_VON_MISES)},
    {"consistency", offsetof(mote_material, consistency), KIND(MOTE_HERSCHEL_BULKLEY)},
    {"flow_index", offsetof(mote_material, flow_index), KIND(MOTE_HERSCHEL_BULKLEY)},
    {"relaxation_time", offsetof(mote_material, relaxation_time), KIND(MOTE_VISCOELASTIC)},
    {"friction_angle", offsetof(mote_material, friction_angle), KIND(MOTE_DRUCKER_PRAGER)},
    {"cohesion", offsetof(mote_material, cohesion), KIND(MOTE_DRUCKER_PRAGER)},
    {"volume_correction", offsetof(mote_material, volume_correction), KIND(MOTE_DRUCKER_PRAGER)},
};
enum { PARAMETERS = sizeof parameters / sizeof *parameters };

enum { MOST_KEYS = PARAMETERS + 3 };
static void known_keys(unsigned kinds, const char *keys[MOST_KEYS]) {
  int n = 0;
  keys[n++] = "kind";
  if (kinds & KIND(MOTE_NEURAL)) keys[n++] = "law";
  for (int i = 0; i < PARAMETERS; i++)
    if (parameters[i].kinds & kinds) keys[n++] = parameters[i].name;
  keys[n] = NULL;
}

static mote_status read_kind(const mote_map *map, mote_material_kind *kind) {
  const char *names[MOTE_MATERIAL_KINDS + 1] = {NULL};
  for (int k = 0; k < MOTE_MATERIAL_KINDS; k++) names[k] = mote_material_kind_name((mote_material_kind)k);
  const yaml_node_t *node;
  int index = 0;
  MOTE_TRY(mote_map_require(map, "kind", &node));
  MOTE_TRY(mote_node_choice(map, node, "kind", names, &index));
  *kind = (mote_material_kind)index;
  return MOTE_OK;
}

/* A neural law's folder; from the scene's, where it is no absolute path. */
static mote_status read_law(const mote_map *map, const char *folder, mote_material *material) {
  const yaml_node_t *node;
  char law[sizeof material->law];
  if (material->kind != MOTE_NEURAL) return MOTE_OK;
  MOTE_TRY(mote_map_require(map, "law", &node));
  MOTE_TRY(mote_map_text(map, "law", law, sizeof law));
  if (!folder)
    return mote_node_fail(map->document, node, "%s: this scene may not name files: it has no folder",
                          map->title);
  const int length = snprintf(material->law, sizeof material->law, "%s%s", law[0] == '/' ? "" : folder, law);
  return length < (int)sizeof material->law ? MOTE_OK
                                            : mote_node_fail(map->document, node, "a path that is too long");
}

static mote_status read_material(const mote_map *all, const yaml_node_t *name, const yaml_node_t *node,
                                 const char *folder, mote_material *material) {
  const mote_document *document = all->document;
  const char *word = mote_node_text(name);
  if (strlen(word) >= sizeof material->name)
    return mote_node_fail(document, name, "a material's name of more than %zu bytes",
                          sizeof material->name - 1);
  const char *keys[MOST_KEYS];
  mote_map map;
  known_keys(ALL_KINDS, keys);
  MOTE_TRY(mote_map_open(document, node, keys, &map, "material '%s'", word));
  mote_material_kind kind;
  MOTE_TRY(read_kind(&map, &kind));
  known_keys(KIND(kind), keys);
  MOTE_TRY(
      mote_map_open(document, node, keys, &map, "material '%s' (%s)", word, mote_material_kind_name(kind)));
  mote_material_defaults(kind, material);
  material->kind = kind;
  strcpy(material->name, word);
  for (int i = 0; i < PARAMETERS; i++) {
    char *place = (char *)material + parameters[i].offset;
    float number;
    memcpy(&number, place, sizeof number);
    double value = number;
    MOTE_TRY(mote_map_real(&map, parameters[i].name, -1e30, 1e30, &value));
    number = (float)value;
    memcpy(place, &number, sizeof number);
  }
  MOTE_TRY(read_law(&map, folder, material));
  mote_status status = mote_material_check(material);
  return status == MOTE_OK ? status : mote_node_fail_at(document, node, status);
}

mote_status mote_read_materials(const mote_map *root, const char *folder, mote_scene *scene) {
  if (!mote_map_find(root, "materials")) return MOTE_OK;
  mote_map all;
  MOTE_TRY(mote_map_open_child(root, "materials", NULL, &all));
  const yaml_node_t *name, *node;
  int count = 0;
  while (mote_map_pair(&all, count, &name, &node)) count++;
  scene->materials = calloc(count ? (size_t)count : 1, sizeof *scene->materials);
  if (!scene->materials) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %d materials", count);
  for (int i = 0; i < count; i++) {
    mote_map_pair(&all, i, &name, &node);
    MOTE_TRY(read_material(&all, name, node, folder, &scene->materials[i]));
    scene->material_count = i + 1;
  }
  return MOTE_OK;
}
