/* SPEC.yaml, read: see spec.h. The scene itself is only looked through here; it is read when it is drawn. */
#include "host/dataset/spec.h"

#include <string.h>

#include "host/core/error.h"
#include "host/scene/read.h"

const char *const mote_split_names[MOTE_SPLITS + 1] = {"train", "valid", "test", NULL};

/* ---- the scene's keys ---- */

/* mote_body_keys and those of templates. */
static void body_keys(const char *keys[32]) {
  int n = 0;
  keys[n++] = "number";
  keys[n++] = "form";
  for (int k = 0; mote_body_keys[k] && n < 31; k++)
    if (strcmp(mote_body_keys[k], "name")) keys[n++] = mote_body_keys[k];
  keys[n] = NULL;
}

static mote_status check_bodies(const mote_map *scene) {
  const char *keys[32];
  mote_map bodies, body;
  const yaml_node_t *name, *node;
  if (!mote_map_find(scene, "bodies")) return MOTE_OK;
  body_keys(keys);
  MOTE_TRY(mote_map_open_child(scene, "bodies", NULL, &bodies));
  for (int i = 0; mote_map_pair(&bodies, i, &name, &node); i++)
    MOTE_TRY(mote_map_open(scene->document, node, keys, &body, "body '%.40s'", mote_node_text(name)));
  return MOTE_OK;
}

/* What a label "material" means must not change from scene to scene. */
static mote_status check_materials(const mote_map *scene) {
  mote_map all, material;
  const yaml_node_t *name, *node;
  if (!mote_map_find(scene, "materials")) return MOTE_OK;
  MOTE_TRY(mote_map_open_child(scene, "materials", NULL, &all));
  for (int i = 0; mote_map_pair(&all, i, &name, &node); i++) {
    MOTE_TRY(mote_map_open(scene->document, node, NULL, &material, "material '%.40s'", mote_node_text(name)));
    const yaml_node_t *kind = mote_map_find(&material, "kind");
    if (kind && kind->type != YAML_SCALAR_NODE)
      return mote_node_fail(scene->document, kind,
                            "'kind' of %s: expected a word: to draw it, name several materials and choose a "
                            "body's",
                            material.title);
  }
  return MOTE_OK;
}

static mote_status check_scene(const mote_document *document, const yaml_node_t *node, const char *title) {
  mote_map scene;
  MOTE_TRY(mote_map_open(document, node, mote_scene_keys, &scene, "%s", title));
  MOTE_TRY(check_bodies(&scene));
  return check_materials(&scene);
}

/* ---- the rest ---- */

static mote_status read_split(const mote_map *splits, const char *name, mote_spec_split *split) {
  static const char *const keys[] = {"count", "scene", NULL};
  const yaml_node_t *node = mote_map_find(splits, name), *count;
  mote_map map;
  char title[64];
  if (!node) return MOTE_OK;
  if (node->type == YAML_SCALAR_NODE)
    return mote_node_integer(splits, node, name, 0, MOTE_MOST_SCENES, &split->count);
  MOTE_TRY(mote_map_open_child(splits, name, keys, &map));
  MOTE_TRY(mote_map_require(&map, "count", &count));
  MOTE_TRY(mote_map_integer(&map, "count", 0, MOTE_MOST_SCENES, &split->count));
  split->changes = mote_map_find(&map, "scene");
  strcpy(title, "the scene of ");
  strcat(title, name);
  return split->changes ? check_scene(splits->document, split->changes, title) : MOTE_OK;
}

static mote_status read_splits(const mote_map *root, mote_spec *spec) {
  const yaml_node_t *node;
  mote_map map;
  MOTE_TRY(mote_map_require(root, "splits", &node));
  MOTE_TRY(mote_map_open_child(root, "splits", mote_split_names, &map));
  for (int k = 0; k < MOTE_SPLITS; k++) MOTE_TRY(read_split(&map, mote_split_names[k], &spec->splits[k]));
  if (spec->splits[MOTE_TRAIN].count) return MOTE_OK;
  return mote_node_fail(root->document, node,
                        "%s: at least one scene of 'train' is needed: the statistics "
                        "are its",
                        map.title);
}

static mote_status read_keep(const mote_map *record, mote_spec *spec) {
  static const char *const keys[] = {"count", "method", NULL};
  static const char *const methods[] = {"uniform", "farthest", "poisson", NULL};
  const yaml_node_t *node;
  mote_map map;
  int method = MOTE_SAMPLE_FARTHEST;
  if (!mote_map_find(record, "keep")) return MOTE_OK;
  MOTE_TRY(mote_map_open_child(record, "keep", keys, &map));
  MOTE_TRY(mote_map_require(&map, "count", &node));
  MOTE_TRY(mote_map_integer(&map, "count", 1, 2147483647, &spec->keep));
  MOTE_TRY(mote_map_choice(&map, "method", methods, &method));
  spec->method = (mote_sample_method)method;
  if (spec->velocity || spec->deformation_gradient)
    return mote_node_fail(record->document, map.node, "%s: with it, positions alone are stored", map.title);
  return MOTE_OK;
}

static mote_status read_record(const mote_map *root, mote_spec *spec) {
  static const char *const keys[] = {"velocity", "deformation_gradient", "compression",
                                     "keep",     "particle_type",        NULL};
  static const char *const types[] = {"kind", "material", NULL};
  mote_map map;
  int64_t compression = spec->compression;
  if (!mote_map_find(root, "record")) return MOTE_OK;
  MOTE_TRY(mote_map_open_child(root, "record", keys, &map));
  MOTE_TRY(mote_map_flag(&map, "velocity", &spec->velocity));
  MOTE_TRY(mote_map_flag(&map, "deformation_gradient", &spec->deformation_gradient));
  MOTE_TRY(mote_map_integer(&map, "compression", 0, 9, &compression));
  MOTE_TRY(mote_map_choice(&map, "particle_type", types, &spec->type_by_material));
  spec->compression = (int)compression;
  return read_keep(&map, spec);
}

static mote_status read_particles(const mote_map *root, mote_spec *spec) {
  const yaml_node_t *node = mote_map_find(root, "particles");
  double range[2];
  if (!node) return MOTE_OK;
  MOTE_TRY(mote_node_vector(root, node, "particles", 2, range));
  if (!(range[0] >= 1 && range[0] <= range[1] && range[1] <= (double)spec->source.particle_limit))
    return mote_node_fail(root->document, node, "'particles' of %s: expected [least, most], 1 to %lld",
                          root->title, (long long)spec->source.particle_limit);
  spec->least = (int64_t)range[0];
  spec->most = (int64_t)range[1];
  return MOTE_OK;
}

static mote_status read_dim(const mote_document *document, mote_spec *spec) {
  int64_t dim = 3, other;
  mote_map scene = {.document = document, .node = spec->scene, .title = "the scene"};
  MOTE_TRY(mote_map_integer(&scene, "dim", 2, 3, &dim));
  spec->dim = (int)dim;
  for (int k = 0; k < MOTE_SPLITS; k++) {
    if (!(scene.node = spec->splits[k].changes)) continue;
    MOTE_TRY(mote_map_integer(&scene, "dim", 2, 3, (other = dim, &other)));
    if (other != dim)
      return mote_node_fail(document, mote_map_find(&scene, "dim"), "a %d-D scene in a %d-D data set",
                            (int)other, (int)dim);
  }
  return MOTE_OK;
}

static mote_status read_spec(mote_spec *spec) {
  static const char *const keys[] = {"seed", "scene", "splits", "particles", "gap", "tries", "record", NULL};
  const mote_document *document = &spec->document;
  int64_t seed = 0;
  mote_map root;
  MOTE_TRY(mote_map_open(document, mote_document_root(document), keys, &root, "the data set"));
  MOTE_TRY(mote_map_integer(&root, "seed", 0, (int64_t)1 << 53, &seed));
  spec->seed += (uint64_t)seed;
  MOTE_TRY(mote_map_positive(&root, "gap", &spec->gap));
  MOTE_TRY(mote_map_integer(&root, "tries", 1, 65535, &spec->tries));
  MOTE_TRY(read_particles(&root, spec));
  MOTE_TRY(mote_map_require(&root, "scene", &spec->scene));
  MOTE_TRY(check_scene(document, spec->scene, "the scene"));
  MOTE_TRY(read_splits(&root, spec));
  MOTE_TRY(read_record(&root, spec));
  return read_dim(document, spec);
}

mote_status mote_spec_parse(const char *text, size_t length, const mote_scene_source *source, uint64_t seed,
                            mote_spec *spec) {
  *spec = (mote_spec){.source = *source, .seed = seed, .tries = 100, .compression = 4};
  if (!spec->source.name) spec->source.name = "data set";
  if (spec->source.particle_limit <= 0) spec->source.particle_limit = 50000000;
  spec->least = 1;
  spec->most = spec->source.particle_limit;
  MOTE_TRY(mote_document_parse(text, length, spec->source.name, &spec->document));
  mote_status status = mote_spec_put_under(&spec->document, source->folder, &spec->base);
  if (status == MOTE_OK) status = read_spec(spec);
  if (status != MOTE_OK) mote_spec_free(spec);
  return status;
}

void mote_spec_free(mote_spec *spec) {
  mote_document_free(&spec->document);
  mote_spec_base_free(&spec->base);
}
