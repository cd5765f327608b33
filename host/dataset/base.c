/* A spec on another one: see base.h. The trick: both trees are copied into one document, whose nodes keep
   their marks and a bit that tells which file these are of, so that nothing behind it knows that there were
   two. */
#include "host/dataset/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/core/file.h"

enum { DEPTH_LIMIT = 24, NODE_LIMIT = 50000 };

typedef struct joiner {
  const mote_document *own, *base;
  const char *base_name; /* as the spec says it */
  mote_document to;
} joiner;

/* A node in one of the files. */
typedef struct place {
  const mote_document *document;
  const yaml_node_t *node;
} place;

static mote_status out_of_memory(const joiner *j) {
  return mote_fail(MOTE_ERROR_MEMORY, "%s: out of memory", j->own->name);
}

static int is_mapping(place p) {
  return p.node && p.node->type == YAML_MAPPING_NODE;
}

static place find(place p, const char *word) {
  return (place){p.document, mote_node_find(p.document, p.node, word)};
}

/* ---- copies ---- */

static mote_status placed(joiner *j, place like, int id) {
  if (!id) return out_of_memory(j);
  if (id > NODE_LIMIT)
    return mote_node_fail(like.document, like.node, "more than %d values, aliases unfolded", NODE_LIMIT);
  yaml_node_t *node = j->to.yaml.nodes.start + id - 1;
  node->start_mark = like.node->start_mark;
  node->end_mark = like.node->end_mark;
  if (like.document == j->base) node->start_mark.index |= MOTE_MARK_OF_BASE;
  return MOTE_OK;
}

static mote_status put_text(joiner *j, place like, const char *text, size_t length, int *id) {
  *id = yaml_document_add_scalar(&j->to.yaml, NULL, (const yaml_char_t *)text, (int)length,
                                 like.node->data.scalar.style);
  return placed(j, like, *id);
}

static mote_status put_mapping(joiner *j, place like, int *id) {
  *id = yaml_document_add_mapping(&j->to.yaml, NULL, YAML_ANY_MAPPING_STYLE);
  return placed(j, like, *id);
}

static mote_status put_pair(joiner *j, int mapping, int key, int value) {
  return yaml_document_append_mapping_pair(&j->to.yaml, mapping, key, value) ? MOTE_OK : out_of_memory(j);
}

/* A file beside the base is found from the spec. */
static mote_status copy_file(joiner *j, place p, int *id) {
  char *name = mote_path_beside(j->base_name, mote_node_text(p.node));
  if (!name) return out_of_memory(j);
  mote_status status = put_text(j, p, name, strlen(name), id);
  free(name);
  return status;
}

static mote_status copy(joiner *j, place p, int depth, int *id);

static mote_status copy_list(joiner *j, place p, int depth, int *id) {
  const yaml_node_item_t *item = p.node->data.sequence.items.start, *end = p.node->data.sequence.items.top;
  *id = yaml_document_add_sequence(&j->to.yaml, NULL, YAML_ANY_SEQUENCE_STYLE);
  MOTE_TRY(placed(j, p, *id));
  for (int made; item < end; item++) {
    MOTE_TRY(copy(j, (place){p.document, p.document->yaml.nodes.start + *item - 1}, depth, &made));
    if (!yaml_document_append_sequence_item(&j->to.yaml, *id, made)) return out_of_memory(j);
  }
  return MOTE_OK;
}

static mote_status copy_mapping(joiner *j, place p, int depth, int *id) {
  const mote_map map = {.document = p.document, .node = p.node};
  const yaml_node_t *key, *value;
  int made_key, made;
  MOTE_TRY(put_mapping(j, p, id));
  for (int i = 0; mote_map_pair(&map, i, &key, &value); i++) {
    const char *word = mote_node_text(key), *text = mote_node_text(value);
    const int file = p.document == j->base && word && !strcmp(word, "file") && text && *text && *text != '/';
    MOTE_TRY(copy(j, (place){p.document, key}, depth, &made_key));
    if (file)
      MOTE_TRY(copy_file(j, (place){p.document, value}, &made));
    else
      MOTE_TRY(copy(j, (place){p.document, value}, depth, &made));
    MOTE_TRY(put_pair(j, *id, made_key, made));
  }
  return MOTE_OK;
}

static mote_status copy(joiner *j, place p, int depth, int *id) {
  if (depth > DEPTH_LIMIT)
    return mote_node_fail(p.document, p.node, "nested deeper than %d levels, aliases unfolded", DEPTH_LIMIT);
  if (p.node->type == YAML_SCALAR_NODE)
    return put_text(j, p, (const char *)p.node->data.scalar.value, p.node->data.scalar.length, id);
  return p.node->type == YAML_SEQUENCE_NODE ? copy_list(j, p, depth + 1, id)
                                            : copy_mapping(j, p, depth + 1, id);
}

/* ---- one under the other ---- */

typedef enum part { VALUE, KEYS, KEYS_OF_KEYS, SCENE, ROOT } part;

/* What the value of a key is, for joining. */
static part part_of(part whole, const char *word) {
  if (whole == ROOT) return !strcmp(word, "scene") ? SCENE : KEYS;
  if (whole == SCENE) return !strcmp(word, "materials") || !strcmp(word, "bodies") ? KEYS_OF_KEYS : KEYS;
  return whole == KEYS_OF_KEYS ? KEYS : VALUE;
}

/* The words of a mapping, each once: a key that comes twice would be lost here. */
static mote_status check_words(place p) {
  mote_map map;
  return mote_map_open(p.document, p.node, NULL, &map, "this mapping");
}

static mote_status join(joiner *j, place base, place own, part whole, int *id) {
  const place both[2] = {base, own};
  int made_key, made;
  if (whole == VALUE || !is_mapping(base) || !is_mapping(own)) return copy(j, own, 0, id);
  MOTE_TRY(check_words(base));
  MOTE_TRY(check_words(own));
  MOTE_TRY(put_mapping(j, own, id));
  for (int of_own = 0; of_own < 2; of_own++) {
    const mote_map map = {.document = both[of_own].document, .node = both[of_own].node};
    const yaml_node_t *key, *value;
    for (int i = 0; mote_map_pair(&map, i, &key, &value); i++) {
      const char *word = mote_node_text(key);
      const place other = find(both[!of_own], word);
      if ((of_own && other.node) || (whole == ROOT && !strcmp(word, "base"))) continue;
      MOTE_TRY(copy(j, (place){map.document, key}, 0, &made_key));
      if (other.node)
        MOTE_TRY(join(j, (place){base.document, value}, other, part_of(whole, word), &made));
      else
        MOTE_TRY(copy(j, (place){map.document, value}, 0, &made));
      MOTE_TRY(put_pair(j, *id, made_key, made));
    }
  }
  return MOTE_OK;
}

/* The joined document takes the place of the spec's own. */
static mote_status put_base(mote_document *document, const mote_document *base, const char *name) {
  joiner j = {
      .own = document, .base = base, .base_name = name, .to = {.name = document->name, .base = base->name}};
  const place own = {document, mote_document_root(document)}, under = {base, mote_document_root(base)};
  const yaml_node_t *chained = is_mapping(under) ? find(under, "base").node : NULL;
  int root;
  if (!is_mapping(under))
    return mote_node_fail(base, under.node, "the base: expected a mapping (key: value)");
  if (chained) return mote_node_fail(base, chained, "a base cannot have a 'base' of its own");
  if (!yaml_document_initialize(&j.to.yaml, NULL, NULL, NULL, 1, 1)) return out_of_memory(&j);
  mote_status status = join(&j, under, own, ROOT, &root);
  if (status != MOTE_OK) {
    mote_document_free(&j.to);
    return status;
  }
  mote_document_free(document);
  *document = j.to;
  return MOTE_OK;
}

mote_status mote_spec_join(mote_document *document, const char *text, size_t size, const char *path,
                           const char *name) {
  mote_document under;
  MOTE_TRY(mote_document_parse(text, size, path, &under));
  mote_status status = put_base(document, &under, name);
  mote_document_free(&under);
  return status;
}

mote_status mote_spec_put_under(mote_document *document, const char *folder, mote_spec_base *base) {
  const place own = {document, mote_document_root(document)};
  const yaml_node_t *node = is_mapping(own) ? find(own, "base").node : NULL;
  *base = (mote_spec_base){0};
  if (!node) return MOTE_OK;
  const char *name = mote_node_text(node);
  if (!name || !*name)
    return mote_node_fail(document, node, "'base' of the data set: expected the name of a spec");
  if (!folder)
    return mote_node_fail(document, node, "'base' of the data set: this spec has no folder to find it from");
  base->path = *name == '/' ? strdup(name) : mote_path_beside(document->name, name);
  if (!base->path) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a name");
  mote_status status = mote_file_read(base->path, MOTE_DOCUMENT_LIMIT, &base->text, &base->size);
  if (status != MOTE_OK) return mote_node_fail_at(document, node, status);
  return mote_spec_join(document, base->text, base->size, base->path, name);
}

void mote_spec_base_free(mote_spec_base *base) {
  free(base->path);
  free(base->text);
  *base = (mote_spec_base){0};
}

/* ---- for the record ---- */

char *mote_spec_base_note(const mote_spec_base *base, const char *text, size_t *size) {
  size_t lines = 1, most;
  for (size_t k = 0; k < base->size; k++) lines += base->text[k] == '\n';
  most = *size + 2 * lines + base->size + 64;
  char *note = malloc(most), *to = note;
  if (!note) return NULL;
  memcpy(to, text, *size);
  to += *size;
  if (base->text) to += sprintf(to, "\n# The base:\n# ");
  for (size_t k = 0; k < base->size; k++) {
    *to++ = base->text[k];
    if (base->text[k] == '\n' && k + 1 < base->size) *to++ = '#', *to++ = ' ';
  }
  *size = (size_t)(to - note);
  return note;
}
