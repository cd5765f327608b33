/* YAML, read strictly: a document under limits of size, depth and number of nodes, and mappings whose every
   key is known. Each error begins with file:line:column. The trick: a mapping is opened with the list of its
   keys, so that a key nobody reads cannot exist. */
#ifndef MOTE_SCENE_DOCUMENT_H
#define MOTE_SCENE_DOCUMENT_H

#include <yaml.h>
#include <stdint.h>
#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A document may hold nodes of two files: those of the second have this bit in start_mark.index. Copies of a
   node keep its mark, and so the file that errors name. */
#define MOTE_MARK_OF_BASE ((size_t)1 << (sizeof(size_t) * 8 - 1))

typedef struct mote_document {
  const char *name; /* of the file, for errors; not owned */
  const char *base; /* of the second file, or NULL; not owned */
  yaml_document_t yaml;
} mote_document;

#define MOTE_DOCUMENT_LIMIT (1u << 20) /* bytes */

/* Parses text[0, length), which must hold exactly one document. MOTE_ERROR_FORMAT also for: more than
   MOTE_DOCUMENT_LIMIT bytes, 24 levels, 50,000 nodes or 256 anchors and aliases; explicit tags. */
mote_status mote_document_parse(const char *text, size_t length, const char *name, mote_document *document);
/* The same of a file; the text is not needed any more. `path` must outlive the document. */
mote_status mote_document_load(const char *path, mote_document *document);
void mote_document_free(mote_document *document);
const yaml_node_t *mote_document_root(const mote_document *document);

/* Fails with MOTE_ERROR_FORMAT and "file:line:column: message", at the start of `node`. */
mote_status mote_node_fail(const mote_document *document, const yaml_node_t *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "file:line:column: " before the last error, keeping its code. */
mote_status mote_node_fail_at(const mote_document *document, const yaml_node_t *node, mote_status status);

typedef struct mote_map {
  const mote_document *document;
  const yaml_node_t *node;
  char title[80]; /* what it describes, for errors: "body 'block'" */
} mote_map;

/* Opens `node` as a mapping with keys out of the NULL-ended `keys` (NULL: any names). */
mote_status mote_map_open(const mote_document *document, const yaml_node_t *node, const char *const *keys,
                          mote_map *map, const char *title, ...) __attribute__((format(printf, 5, 6)));

/* Opens the value of `key` as a mapping titled "KEY of TITLE". The key must be there. */
mote_status mote_map_open_child(const mote_map *map, const char *key, const char *const *keys,
                                mote_map *child);

/* The value of a key, NULL where it is absent. */
const yaml_node_t *mote_map_find(const mote_map *map, const char *key);
mote_status mote_map_require(const mote_map *map, const char *key, const yaml_node_t **value);

/* The i-th pair of a mapping, in the order of the file; 0 behind the last. The key is a NUL-ended scalar. */
int mote_map_pair(const mote_map *map, int i, const yaml_node_t **key, const yaml_node_t **value);

/* The same for a node that has not been opened: NULL where it is no mapping, or NULL itself. */
const yaml_node_t *mote_node_find(const mote_document *document, const yaml_node_t *node, const char *word);

/* Lists: `count` items, the i-th one. */
mote_status mote_list_open(const mote_map *map, const char *key, int most, const yaml_node_t **list,
                           int *count);
const yaml_node_t *mote_list_item(const mote_document *document, const yaml_node_t *list, int i);

/* The text of a scalar; NULL for anything else. */
const char *mote_node_text(const yaml_node_t *node);

/* Values by key: each leaves *value as it is where the key is absent. */
mote_status mote_map_real(const mote_map *map, const char *key, double low, double high, double *value);
mote_status mote_map_positive(const mote_map *map, const char *key, double *value);
mote_status mote_map_integer(const mote_map *map, const char *key, int64_t low, int64_t high, int64_t *value);
mote_status mote_map_flag(const mote_map *map, const char *key, int *value);
mote_status mote_map_text(const mote_map *map, const char *key, char *text, size_t capacity);
/* One of the NULL-ended names: *value is its index. */
mote_status mote_map_choice(const mote_map *map, const char *key, const char *const *names, int *value);
/* A list of exactly n numbers. */
mote_status mote_map_vector(const mote_map *map, const char *key, int n, double *values);

/* The same for a node that is at hand; `key` and `map` tell where for errors. */
mote_status mote_node_real(const mote_map *map, const yaml_node_t *node, const char *key, double low,
                           double high, double *value);
mote_status mote_node_integer(const mote_map *map, const yaml_node_t *node, const char *key, int64_t low,
                              int64_t high, int64_t *value);
mote_status mote_node_choice(const mote_map *map, const yaml_node_t *node, const char *key,
                             const char *const *names, int *value);
mote_status mote_node_vector(const mote_map *map, const yaml_node_t *node, const char *key, int n,
                             double *values);

#ifdef __cplusplus
}
#endif
#endif
