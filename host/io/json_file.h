/* JSON files (config.json, metadata.json, the header of safetensors) as cJSON trees, with limits, and errors
   that name file, line and key. */
#ifndef MOTE_IO_JSON_FILE_H
#define MOTE_IO_JSON_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <cjson/cJSON.h>
#include <mote/status.h>
#include "host/core/file.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Parses `size` bytes of UTF-8 text: an object or array at the top, nothing but white space behind it, at
   most 64 levels deep, no key twice in an object. `name` is what errors call it. The caller frees with
   cJSON_Delete. */
mote_status mote_json_parse(const char *name, const char *text, size_t size, cJSON **root);

/* Reads a file of at most 16 MiB. */
mote_status mote_json_read(const char *path, cJSON **root);

/* Writes a tree, indented, whole or not at all. */
mote_status mote_json_write(const char *path, const cJSON *root);

/* The same into an output that the caller commits or discards. */
mote_status mote_json_write_to(mote_output *output, const cJSON *root);

/* A member of an object. Absent: MOTE_OK and `*found` 0 when `found` is given, else an error that names the
   key. Of the wrong kind, not finite, or out of the integer's range: an error. */
mote_status mote_json_number(const char *name, const cJSON *object, const char *key, double *value,
                             int *found);
mote_status mote_json_integer(const char *name, const cJSON *object, const char *key, int64_t low,
                              int64_t high, int64_t *value, int *found);
mote_status mote_json_boolean(const char *name, const cJSON *object, const char *key, int *value, int *found);
mote_status mote_json_string(const char *name, const cJSON *object, const char *key, const char **value,
                             int *found);
/* An array of between low and high numbers; `*count` of them (count may be NULL). */
mote_status mote_json_numbers(const char *name, const cJSON *object, const char *key, int low, int high,
                              double *values, int *count, int *found);

#ifdef __cplusplus
}
#endif
#endif
