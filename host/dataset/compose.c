/* Merging and expanding: see compose.h. The changes of a split replace values key by key: those of the scene,
   of `domain`, `walls` and `time`, of each material and of each body; what lies deeper is replaced whole, as
   a sphere's radius means nothing to a box. */
#include "host/dataset/compose.h"

#include <string.h>

#include "host/core/error.h"
#include "host/dataset/draw.h"

/* A node of the scene and what a split puts in its place; either may be NULL. */
typedef struct template {
  const yaml_node_t *base, *over;
}
template;

static const yaml_node_t *chosen(template t) {
  return t.over ? t.over : t.base;
}

static template child(const mote_document *document, template t, const char *key) {
  return (template){mote_node_find(document, t.base, key), mote_node_find(document, t.over, key)};
}

/* The i-th pair of both mappings together: those of the base, then what only the other has. */
static int merged_pair(const mote_document *document, template t, int i, const yaml_node_t **key,
                       template *value) {
  mote_map base = {.document = document, .node = t.base}, over = {.document = document, .node = t.over};
  const yaml_node_t *node;
  int n = 0;
  if (t.base) {
    if (mote_map_pair(&base, i, key, &node))
      return *value = (template){node, mote_node_find(document, t.over, mote_node_text(*key))}, 1;
    while (mote_map_pair(&base, n, key, &node)) n++;
  }
  if (!t.over) return 0;
  for (int k = 0; mote_map_pair(&over, k, key, &node); k++) {
    if (mote_node_find(document, t.base, mote_node_text(*key))) continue;
    if (n++ == i) return *value = (template){NULL, node}, 1;
  }
  return 0;
}

static int is_mapping(const yaml_node_t *node) {
  return node && node->type == YAML_MAPPING_NODE;
}

/* `levels` of mappings are merged, what lies deeper is taken whole. */
static mote_status draw_merged(mote_draw *draw, const char *key, template t, int levels, int *id) {
  if (levels == 0 || !is_mapping(t.base) || !is_mapping(t.over))
    return mote_draw_value(draw, key, chosen(t), id);
  const yaml_node_t *name;
  template value;
  int made;
  MOTE_TRY(mote_draw_mapping(draw, t.over, id));
  for (int i = 0; merged_pair(draw->from, t, i, &name, &value); i++) {
    const char *word = mote_node_text(name);
    if (!word) return mote_node_fail(draw->from, name, "expected a word as a key");
    MOTE_TRY(draw_merged(draw, word, value, levels - 1, &made));
    MOTE_TRY(mote_draw_put(draw, *id, name, word, made));
  }
  return MOTE_OK;
}

/* ---- bodies ---- */

/* Puts the keys that the drawn form has into the body. */
static mote_status splice(mote_draw *draw, const yaml_node_t *node, int body) {
  int form;
  MOTE_TRY(mote_draw_node(draw, node, &form));
  for (int i = 0;; i++) {
    const yaml_node_t *drawn = draw->to.yaml.nodes.start + form - 1;
    if (drawn->type != YAML_MAPPING_NODE)
      return mote_node_fail(draw->from, drawn, "'form' of a body: expected a mapping of its keys");
    yaml_node_pair_t *pair = drawn->data.mapping.pairs.start + i;
    if (pair >= drawn->data.mapping.pairs.top) return MOTE_OK;
    const yaml_node_t *key = draw->to.yaml.nodes.start + pair->key - 1;
    if (!strcmp((const char *)key->data.scalar.value, "position"))
      return mote_node_fail(draw->from, key, "'position' belongs to the body, not to its form");
    if (!yaml_document_append_mapping_pair(&draw->to.yaml, body, pair->key, pair->value))
      return mote_fail(MOTE_ERROR_MEMORY, "%s: out of memory", draw->from->name);
  }
}

static int is_own(const char *word) {
  return !strcmp(word, "number") || !strcmp(word, "form") || !strcmp(word, "position");
}

static mote_status draw_body(mote_draw *draw, const yaml_node_t *name, template t, int *body) {
  const yaml_node_t *key, *form = chosen(child(draw->from, t, "form"));
  template value;
  int made;
  MOTE_TRY(mote_draw_mapping(draw, name, body));
  MOTE_TRY(mote_draw_text(draw, name, mote_node_text(name), &made));
  MOTE_TRY(mote_draw_put(draw, *body, name, "name", made));
  for (int i = 0; merged_pair(draw->from, t, i, &key, &value); i++) {
    const char *word = mote_node_text(key);
    if (!word || is_own(word)) continue;
    MOTE_TRY(mote_draw_value(draw, word, chosen(value), &made));
    MOTE_TRY(mote_draw_put(draw, *body, key, word, made));
  }
  return form ? splice(draw, form, *body) : MOTE_OK;
}

static mote_status check_position(const mote_draw *draw, int body, const yaml_node_t *position) {
  const char *word = position ? mote_node_text(position) : NULL;
  if (word && strcmp(word, "anywhere"))
    return mote_node_fail(draw->from, position,
                          "'position' of a body: expected 'anywhere', a list of %d numbers or a draw of one",
                          draw->dim);
  if (!position || !mote_node_find(&draw->to, draw->to.yaml.nodes.start + body - 1, "state")) return MOTE_OK;
  return mote_node_fail(draw->from, position, "'position' has no meaning for a state");
}

static mote_status compose_bodies(mote_composed *c, template bodies) {
  const yaml_node_t *name, *number;
  template body;
  for (int i = 0; merged_pair(c->draw.from, bodies, i, &name, &body); i++) {
    const yaml_node_t *position = chosen(child(c->draw.from, body, "position"));
    int64_t copies = 1;
    if ((number = chosen(child(c->draw.from, body, "number"))))
      MOTE_TRY(mote_draw_integer(&c->draw, number, "number", 0, MOTE_MOST_BODIES, &copies));
    for (int64_t k = 0; k < copies; k++) {
      int id;
      if (c->count == MOTE_MOST_BODIES)
        return mote_node_fail(c->draw.from, name, "more than %d bodies", MOTE_MOST_BODIES);
      MOTE_TRY(draw_body(&c->draw, name, body, &id));
      MOTE_TRY(check_position(&c->draw, id, position));
      const char *word = position ? mote_node_text(position) : NULL;
      c->bodies[c->count++] = (mote_composed_body){id, word ? NULL : position};
    }
  }
  return MOTE_OK;
}

/* ---- all of it ---- */

mote_status mote_compose(const mote_spec *spec, int split, mote_composed *c) {
  template scene = {spec->scene, spec->splits[split].changes}, value;
  static const char *const constants[] = {"name", "dim", "domain", "gravity", "time", NULL};
  const yaml_node_t *key;
  int root, made;
  MOTE_TRY(mote_draw_mapping(&c->draw, spec->scene, &root));
  for (int i = 0; merged_pair(c->draw.from, scene, i, &key, &value); i++) {
    const char *word = mote_node_text(key);
    if (!word || !strcmp(word, "bodies")) continue;
    for (int k = 0; constants[k]; k++)
      if (!strcmp(word, constants[k])) c->draw.constant = constants[k];
    int levels = !strcmp(word, "materials") ? 2 : 1;
    MOTE_TRY(draw_merged(&c->draw, word, value, levels, &made));
    MOTE_TRY(mote_draw_put(&c->draw, root, key, word, made));
    c->draw.constant = NULL;
  }
  c->count = 0;
  return compose_bodies(c, child(c->draw.from, scene, "bodies"));
}
