/* YAML, read strictly: see document.h. A first pass over the events enforces the limits before libyaml builds
   anything; aliases stay references to one node, and as every reader below has a fixed depth, neither a cycle
   nor an alias bomb can unfold. */
#include "host/scene/document.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/core/file.h"
#include "host/core/text.h"

enum { DEPTH_LIMIT = 24, NODE_LIMIT = 50000, ANCHOR_LIMIT = 256 };

/* ---- parsing ---- */

static mote_status parser_fail(const yaml_parser_t *parser, const char *name) {
  if (parser->error == YAML_MEMORY_ERROR) return mote_fail(MOTE_ERROR_MEMORY, "%s: out of memory", name);
  const char *problem = parser->problem ? parser->problem : "not YAML";
  if (parser->error == YAML_READER_ERROR)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: byte %zu: %s", name, parser->problem_offset, problem);
  return mote_fail(MOTE_ERROR_FORMAT, "%s:%zu:%zu: not valid YAML: %s%s%s", name,
                   parser->problem_mark.line + 1, parser->problem_mark.column + 1, problem,
                   parser->context ? " " : "", parser->context ? parser->context : "");
}

typedef struct census {
  int depth, nodes, anchors, documents;
} census;

static const char *anchor_of(const yaml_event_t *event) {
  switch (event->type) {
  case YAML_ALIAS_EVENT: return (const char *)event->data.alias.anchor;
  case YAML_SCALAR_EVENT: return (const char *)event->data.scalar.anchor;
  case YAML_SEQUENCE_START_EVENT: return (const char *)event->data.sequence_start.anchor;
  case YAML_MAPPING_START_EVENT: return (const char *)event->data.mapping_start.anchor;
  default: return NULL;
  }
}

static int is_tagged(const yaml_event_t *event) {
  switch (event->type) {
  case YAML_SCALAR_EVENT: return event->data.scalar.tag != NULL;
  case YAML_SEQUENCE_START_EVENT: return event->data.sequence_start.tag != NULL;
  case YAML_MAPPING_START_EVENT: return event->data.mapping_start.tag != NULL;
  default: return 0;
  }
}

/* NULL, or what is wrong with the document once it holds this event. */
static const char *count_event(const yaml_event_t *event, census *c) {
  int opens = event->type == YAML_SEQUENCE_START_EVENT || event->type == YAML_MAPPING_START_EVENT;
  int closes = event->type == YAML_SEQUENCE_END_EVENT || event->type == YAML_MAPPING_END_EVENT;
  c->depth += opens - closes;
  c->nodes += opens || event->type == YAML_SCALAR_EVENT;
  c->anchors += anchor_of(event) != NULL;
  c->documents += event->type == YAML_DOCUMENT_START_EVENT;
  if (c->depth > DEPTH_LIMIT) return "nested deeper than 24 levels";
  if (c->nodes > NODE_LIMIT) return "more than 50,000 values";
  if (c->anchors > ANCHOR_LIMIT) return "more than 256 anchors and aliases";
  if (c->documents > 1) return "a second document: a file holds one";
  if (is_tagged(event)) return "an explicit tag: write plain values";
  return NULL;
}

static mote_status check_limits(const char *text, size_t length, const char *name) {
  yaml_parser_t parser;
  if (!yaml_parser_initialize(&parser)) return mote_fail(MOTE_ERROR_MEMORY, "%s: out of memory", name);
  yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
  census counts = {0};
  mote_status status = MOTE_OK;
  for (int done = 0; !done && status == MOTE_OK;) {
    yaml_event_t event;
    if (!yaml_parser_parse(&parser, &event)) {
      status = parser_fail(&parser, name);
      break;
    }
    const char *wrong = count_event(&event, &counts);
    if (wrong)
      status = mote_fail(MOTE_ERROR_FORMAT, "%s:%zu:%zu: %s", name, event.start_mark.line + 1,
                         event.start_mark.column + 1, wrong);
    done = event.type == YAML_STREAM_END_EVENT;
    yaml_event_delete(&event);
  }
  yaml_parser_delete(&parser);
  return status;
}

mote_status mote_document_parse(const char *text, size_t length, const char *name, mote_document *document) {
  *document = (mote_document){.name = name};
  if (length > MOTE_DOCUMENT_LIMIT)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: %zu bytes: a scene has at most %u", name, length,
                     MOTE_DOCUMENT_LIMIT);
  MOTE_TRY(check_limits(text, length, name));
  yaml_parser_t parser;
  if (!yaml_parser_initialize(&parser)) return mote_fail(MOTE_ERROR_MEMORY, "%s: out of memory", name);
  yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
  mote_status status = MOTE_OK;
  int loaded = yaml_parser_load(&parser, &document->yaml);
  if (!loaded)
    status = parser_fail(&parser, name);
  else if (!yaml_document_get_root_node(&document->yaml))
    status = mote_fail(MOTE_ERROR_FORMAT, "%s:1:1: empty: expected a mapping", name);
  yaml_parser_delete(&parser);
  if (status != MOTE_OK && loaded) yaml_document_delete(&document->yaml);
  if (status != MOTE_OK) *document = (mote_document){.name = name};
  return status;
}

mote_status mote_document_load(const char *path, mote_document *document) {
  char *text;
  size_t size;
  MOTE_TRY(mote_file_read(path, MOTE_DOCUMENT_LIMIT, &text, &size));
  mote_status status = mote_document_parse(text, size, path, document);
  free(text);
  return status;
}

void mote_document_free(mote_document *document) {
  if (document->yaml.nodes.start) yaml_document_delete(&document->yaml);
  *document = (mote_document){0};
}

const yaml_node_t *mote_document_root(const mote_document *document) {
  return yaml_document_get_root_node((yaml_document_t *)&document->yaml);
}

/* ---- errors ---- */

static const char *file_of(const mote_document *document, const yaml_node_t *node) {
  return node->start_mark.index & MOTE_MARK_OF_BASE ? document->base : document->name;
}

mote_status mote_node_fail(const mote_document *document, const yaml_node_t *node, const char *format, ...) {
  char message[1536];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  return mote_fail(MOTE_ERROR_FORMAT, "%s:%zu:%zu: %s", file_of(document, node), node->start_mark.line + 1,
                   node->start_mark.column + 1, message);
}

mote_status mote_node_fail_at(const mote_document *document, const yaml_node_t *node, mote_status status) {
  return mote_fail_within(status, "%s:%zu:%zu", file_of(document, node), node->start_mark.line + 1,
                          node->start_mark.column + 1);
}

static mote_quoted describe(const yaml_node_t *node) {
  mote_quoted quoted = {"a list"};
  if (node->type == YAML_MAPPING_NODE) strcpy(quoted.text, "a mapping");
  if (node->type != YAML_SCALAR_NODE) return quoted;
  mote_quoted inner = mote_quote((const char *)node->data.scalar.value, node->data.scalar.length);
  snprintf(quoted.text, sizeof quoted.text, "'%.50s'", inner.text);
  return quoted;
}

static void join_words(const char *const *words, char *text, size_t capacity) {
  size_t at = 0;
  text[0] = 0;
  for (int i = 0; words[i] && at + strlen(words[i]) + 6 < capacity; i++)
    at += (size_t)snprintf(text + at, capacity - at, "%s%s", i ? ", " : "", words[i]);
}

/* "what 'word' in title: did you mean 'near'?", or the list of what there is. */
static mote_status unknown_word(const mote_map *map, const yaml_node_t *node, const char *what,
                                const char *relation, const char *const *choices) {
  const char *word = (const char *)node->data.scalar.value;
  mote_quoted quoted = mote_quote(word, strlen(word));
  const char *near = mote_nearest_word(word, choices);
  if (near)
    return mote_node_fail(map->document, node, "unknown %s '%s' %s %s: did you mean '%s'?", what, quoted.text,
                          relation, map->title, near);
  char all[512];
  join_words(choices, all, sizeof all);
  return mote_node_fail(map->document, node, "unknown %s '%s' %s %s: expected one of %s", what, quoted.text,
                        relation, map->title, all);
}

static mote_status expected(const mote_map *map, const yaml_node_t *node, const char *key, const char *what) {
  return mote_node_fail(map->document, node, "'%s' of %s: expected %s, found %s", key, map->title, what,
                        describe(node).text);
}

/* ---- mappings ---- */

const char *mote_node_text(const yaml_node_t *node) {
  if (!node || node->type != YAML_SCALAR_NODE) return NULL;
  const char *text = (const char *)node->data.scalar.value;
  return strlen(text) == node->data.scalar.length ? text : NULL;
}

static yaml_node_t *node_at(const mote_document *document, int index) {
  return document->yaml.nodes.start + index - 1;
}

int mote_map_pair(const mote_map *map, int i, const yaml_node_t **key, const yaml_node_t **value) {
  const yaml_node_pair_t *pair = map->node->data.mapping.pairs.start + i;
  if (pair >= map->node->data.mapping.pairs.top) return 0;
  *key = node_at(map->document, pair->key);
  *value = node_at(map->document, pair->value);
  return 1;
}

static int is_listed(const char *word, const char *const *list) {
  for (; *list; list++)
    if (!strcmp(word, *list)) return 1;
  return 0;
}

static mote_status check_key(const mote_map *map, int i, const yaml_node_t *key, const char *const *keys) {
  const char *word = mote_node_text(key);
  if (!word || !*word)
    return mote_node_fail(map->document, key, "a key of %s: expected a word, found %s", map->title,
                          describe(key).text);
  if (keys && !is_listed(word, keys)) return unknown_word(map, key, "key", "in", keys);
  for (int j = 0; j < i; j++) {
    const yaml_node_t *before, *value;
    mote_map_pair(map, j, &before, &value);
    if (!strcmp(word, mote_node_text(before)))
      return mote_node_fail(map->document, key, "key '%s' appears a second time in %s (first on line %zu)",
                            mote_quote(word, strlen(word)).text, map->title, before->start_mark.line + 1);
  }
  return MOTE_OK;
}

mote_status mote_map_open(const mote_document *document, const yaml_node_t *node, const char *const *keys,
                          mote_map *map, const char *title, ...) {
  *map = (mote_map){.document = document, .node = node};
  va_list arguments;
  va_start(arguments, title);
  vsnprintf(map->title, sizeof map->title, title, arguments);
  va_end(arguments);
  if (node->type != YAML_MAPPING_NODE)
    return mote_node_fail(document, node, "%s: expected a mapping (key: value), found %s", map->title,
                          describe(node).text);
  const yaml_node_t *key, *value;
  for (int i = 0; mote_map_pair(map, i, &key, &value); i++) {
    if (!keys && i >= 256) return mote_node_fail(document, key, "%s: more than 256 entries", map->title);
    MOTE_TRY(check_key(map, i, key, keys));
  }
  return MOTE_OK;
}

mote_status mote_map_open_child(const mote_map *map, const char *key, const char *const *keys,
                                mote_map *child) {
  const yaml_node_t *node;
  MOTE_TRY(mote_map_require(map, key, &node));
  return mote_map_open(map->document, node, keys, child, "'%s' of %s", key, map->title);
}

const yaml_node_t *mote_node_find(const mote_document *document, const yaml_node_t *node, const char *word) {
  const mote_map map = {.document = document, .node = node};
  const yaml_node_t *key, *value;
  if (!word || !node || node->type != YAML_MAPPING_NODE) return NULL;
  for (int i = 0; mote_map_pair(&map, i, &key, &value); i++)
    if (mote_node_text(key) && !strcmp(mote_node_text(key), word)) return value;
  return NULL;
}

const yaml_node_t *mote_map_find(const mote_map *map, const char *key) {
  return mote_node_find(map->document, map->node, key);
}

mote_status mote_map_require(const mote_map *map, const char *key, const yaml_node_t **value) {
  *value = mote_map_find(map, key);
  if (*value) return MOTE_OK;
  return mote_node_fail(map->document, map->node, "%s lacks the key '%s'", map->title, key);
}

mote_status mote_list_open(const mote_map *map, const char *key, int most, const yaml_node_t **list,
                           int *count) {
  *count = 0;
  *list = mote_map_find(map, key);
  if (!*list) return MOTE_OK;
  if ((*list)->type != YAML_SEQUENCE_NODE) return expected(map, *list, key, "a list");
  ptrdiff_t n = (*list)->data.sequence.items.top - (*list)->data.sequence.items.start;
  if (n > most)
    return mote_node_fail(map->document, *list, "'%s' of %s: %td items, at most %d are allowed", key,
                          map->title, n, most);
  *count = (int)n;
  return MOTE_OK;
}

const yaml_node_t *mote_list_item(const mote_document *document, const yaml_node_t *list, int i) {
  return node_at(document, list->data.sequence.items.start[i]);
}

/* ---- values ---- */

static int read_number(const yaml_node_t *node, double *value) {
  const char *text = mote_node_text(node);
  if (!text || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) return 0;
  size_t length = strlen(text);
  return length && mote_parse_number(text, length, value) == length;
}

mote_status mote_node_real(const mote_map *map, const yaml_node_t *node, const char *key, double low,
                           double high, double *value) {
  double number;
  char range[96];
  if (read_number(node, &number) && number >= low && number <= high) {
    *value = number;
    return MOTE_OK;
  }
  if (low <= -1e30 && high >= 1e30)
    strcpy(range, "a finite number");
  else if (low > 0 && low <= 1e-30)
    strcpy(range, "a number above 0");
  else if (high >= 1e30)
    snprintf(range, sizeof range, "a number of at least %g", low);
  else
    snprintf(range, sizeof range, "a number from %g to %g", low, high);
  return expected(map, node, key, range);
}

mote_status mote_node_integer(const mote_map *map, const yaml_node_t *node, const char *key, int64_t low,
                              int64_t high, int64_t *value) {
  double number;
  if (read_number(node, &number) && number >= (double)low && number <= (double)high &&
      number == floor(number)) {
    /* INT64_MAX as a double is one more. */
    *value = number >= (double)high ? high : (int64_t)number;
    return MOTE_OK;
  }
  char range[96];
  snprintf(range, sizeof range, "a whole number from %lld to %lld", (long long)low, (long long)high);
  return expected(map, node, key, range);
}

mote_status mote_node_choice(const mote_map *map, const yaml_node_t *node, const char *key,
                             const char *const *names, int *value) {
  const char *text = mote_node_text(node);
  if (!text) return expected(map, node, key, "a word");
  for (int i = 0; names[i]; i++)
    if (!strcmp(text, names[i])) {
      *value = i;
      return MOTE_OK;
    }
  return unknown_word(map, node, key, "of", names);
}

mote_status mote_node_vector(const mote_map *map, const yaml_node_t *node, const char *key, int n,
                             double *values) {
  char what[48];
  snprintf(what, sizeof what, "a list of %d numbers", n);
  if (node->type != YAML_SEQUENCE_NODE) return expected(map, node, key, what);
  ptrdiff_t count = node->data.sequence.items.top - node->data.sequence.items.start;
  if (count != n)
    return mote_node_fail(map->document, node, "'%s' of %s: expected %s, found %td", key, map->title, what,
                          count);
  for (int i = 0; i < n; i++)
    MOTE_TRY(mote_node_real(map, mote_list_item(map->document, node, i), key, -1e30, 1e30, &values[i]));
  return MOTE_OK;
}

mote_status mote_map_real(const mote_map *map, const char *key, double low, double high, double *value) {
  const yaml_node_t *node = mote_map_find(map, key);
  return node ? mote_node_real(map, node, key, low, high, value) : MOTE_OK;
}

mote_status mote_map_positive(const mote_map *map, const char *key, double *value) {
  return mote_map_real(map, key, 1e-30, 1e30, value);
}

mote_status mote_map_integer(const mote_map *map, const char *key, int64_t low, int64_t high,
                             int64_t *value) {
  const yaml_node_t *node = mote_map_find(map, key);
  return node ? mote_node_integer(map, node, key, low, high, value) : MOTE_OK;
}

mote_status mote_map_flag(const mote_map *map, const char *key, int *value) {
  static const char *const names[] = {"false", "true", NULL};
  return mote_map_choice(map, key, names, value);
}

mote_status mote_map_text(const mote_map *map, const char *key, char *text, size_t capacity) {
  const yaml_node_t *node = mote_map_find(map, key);
  if (!node) return MOTE_OK;
  const char *value = mote_node_text(node);
  if (!value || !*value || strlen(value) >= capacity) {
    char what[64];
    snprintf(what, sizeof what, "a text of 1 to %zu bytes", capacity - 1);
    return expected(map, node, key, what);
  }
  strcpy(text, value);
  return MOTE_OK;
}

mote_status mote_map_choice(const mote_map *map, const char *key, const char *const *names, int *value) {
  const yaml_node_t *node = mote_map_find(map, key);
  return node ? mote_node_choice(map, node, key, names, value) : MOTE_OK;
}

mote_status mote_map_vector(const mote_map *map, const char *key, int n, double *values) {
  const yaml_node_t *node = mote_map_find(map, key);
  return node ? mote_node_vector(map, node, key, n, values) : MOTE_OK;
}
