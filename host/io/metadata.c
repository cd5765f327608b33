/* metadata.json: see metadata.h. The trick: one table of the numbers, so that reading and writing cannot
 * part. */
#include "host/io/metadata.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/core/error.h"
#include "host/core/file.h"
#include "host/io/json_file.h"

typedef struct vector_key {
  const char *key;
  double *values;
} vector_key;

#define STATISTICS 4
static void list_statistics(mote_metadata *m, vector_key keys[STATISTICS]) {
  keys[0] = (vector_key){"vel_mean", m->velocity_mean};
  keys[1] = (vector_key){"vel_std", m->velocity_std};
  keys[2] = (vector_key){"acc_mean", m->acceleration_mean};
  keys[3] = (vector_key){"acc_std", m->acceleration_std};
}

static mote_status read_bounds(const char *name, const cJSON *root, mote_metadata *m) {
  const cJSON *bounds = cJSON_GetObjectItemCaseSensitive(root, "bounds"), *pair;
  int count = cJSON_IsArray(bounds) ? cJSON_GetArraySize(bounds) : 0, d = 0, found;
  if (count != 2 && count != 3)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: \"bounds\": expected 2 or 3 pairs [low, high], one an axis",
                     name);
  cJSON_ArrayForEach(pair, bounds) {
    const cJSON *low = cJSON_GetArrayItem(pair, 0), *high = cJSON_GetArrayItem(pair, 1);
    if (!cJSON_IsArray(pair) || cJSON_GetArraySize(pair) != 2 || !cJSON_IsNumber(low) ||
        !cJSON_IsNumber(high) || !isfinite(low->valuedouble) || !isfinite(high->valuedouble) ||
        low->valuedouble >= high->valuedouble)
      return mote_fail(MOTE_ERROR_FORMAT, "%s: \"bounds\": axis %d: expected [low, high] with low < high",
                       name, d);
    m->bounds[d][0] = low->valuedouble;
    m->bounds[d++][1] = high->valuedouble;
  }
  int64_t dim = count;
  MOTE_TRY(mote_json_integer(name, root, "dim", 2, 3, &dim, &found));
  if (dim != count)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: \"dim\" is %d but \"bounds\" has %d axes", name, (int)dim,
                     count);
  m->dim = count;
  return MOTE_OK;
}

static mote_status read_periodic(const char *name, const cJSON *root, mote_metadata *m) {
  const cJSON *axes = cJSON_GetObjectItemCaseSensitive(root, "periodic_boundary_conditions"), *axis;
  int d = 0;
  if (!axes) return MOTE_OK;
  /* LagrangeBench gives three in 2-D as well. */
  if (!cJSON_IsArray(axes) || cJSON_GetArraySize(axes) < m->dim || cJSON_GetArraySize(axes) > 3)
    return mote_fail(MOTE_ERROR_FORMAT,
                     "%s: \"periodic_boundary_conditions\": expected true or false for each axis", name);
  cJSON_ArrayForEach(axis, axes) {
    if (!cJSON_IsBool(axis))
      return mote_fail(MOTE_ERROR_FORMAT,
                       "%s: \"periodic_boundary_conditions\": expected true or false for each axis", name);
    if (d < m->dim) m->periodic[d] = cJSON_IsTrue(axis);
    d++;
  }
  return MOTE_OK;
}

static mote_status read_not_negative(const char *name, const cJSON *root, const char *key, double *value) {
  int found;
  MOTE_TRY(mote_json_number(name, root, key, value, &found));
  if (found && *value < 0)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: \"%s\": expected a number that is not negative", name, key);
  return MOTE_OK;
}

static mote_status read_statistics(const char *name, const cJSON *root, mote_metadata *m) {
  vector_key keys[STATISTICS];
  int present = 0;
  list_statistics(m, keys);
  for (int k = 0; k < STATISTICS; k++) {
    int found;
    MOTE_TRY(mote_json_numbers(name, root, keys[k].key, m->dim, m->dim, keys[k].values, NULL, &found));
    present += found;
    for (int d = 0; found && k % 2 && d < m->dim; d++)
      if (keys[k].values[d] < 0)
        return mote_fail(MOTE_ERROR_FORMAT, "%s: \"%s\": a standard deviation is negative", name,
                         keys[k].key);
  }
  if (present != 0 && present != STATISTICS)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: expected all of vel_mean, vel_std, acc_mean, acc_std, or none",
                     name);
  m->has_statistics = present == STATISTICS;
  return MOTE_OK;
}

static mote_status read_materials(const char *name, const cJSON *root, mote_metadata *m) {
  const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "materials"), *item;
  if (!list) return MOTE_OK;
  int known = cJSON_IsArray(list) && cJSON_GetArraySize(list) <= MOTE_METADATA_MATERIALS;
  cJSON_ArrayForEach(item, list) {
    const char *title = NULL, *kind = NULL;
    if (!known || !cJSON_IsObject(item)) break;
    MOTE_TRY(mote_json_string(name, item, "name", &title, NULL));
    MOTE_TRY(mote_json_string(name, item, "kind", &kind, NULL));
    mote_metadata_material *to = &m->materials[m->material_count++];
    snprintf(to->name, sizeof to->name, "%s", title);
    snprintf(to->kind, sizeof to->kind, "%s", kind);
  }
  if (!known || m->material_count != cJSON_GetArraySize(list))
    return mote_fail(MOTE_ERROR_FORMAT, "%s: \"materials\": expected up to %d objects {name, kind}", name,
                     MOTE_METADATA_MATERIALS);
  return MOTE_OK;
}

static mote_status from_tree(const char *name, const cJSON *root, mote_metadata *m) {
  int found;
  int64_t every = 1, length = 0, history = 0;
  if (!cJSON_IsObject(root)) return mote_fail(MOTE_ERROR_FORMAT, "%s: expected a JSON object", name);
  MOTE_TRY(read_bounds(name, root, m));
  MOTE_TRY(read_not_negative(name, root, "dt", &m->dt));
  MOTE_TRY(read_not_negative(name, root, "dx", &m->dx));
  MOTE_TRY(read_not_negative(name, root, "reach", &m->reach));
  MOTE_TRY(read_not_negative(name, root, "default_connectivity_radius", &m->connectivity_radius));
  MOTE_TRY(mote_json_integer(name, root, "write_every", 1, INT32_MAX, &every, &found));
  MOTE_TRY(mote_json_integer(name, root, "sequence_length_train", 0, INT32_MAX, &length, &found));
  if (!found) MOTE_TRY(mote_json_integer(name, root, "sequence_length", 0, INT32_MAX, &length, &found));
  MOTE_TRY(mote_json_integer(name, root, "num_particles_max", 0, INT32_MAX, &m->particle_count, &found));
  MOTE_TRY(mote_json_numbers(name, root, "gravity", m->dim, m->dim, m->gravity, NULL, &found));
  MOTE_TRY(mote_json_integer(name, root, "history_frames", 0, INT32_MAX, &history, &found));
  m->history_frames = (int)history;
  m->write_every = (int)every;
  m->sequence_length = (int)length;
  MOTE_TRY(read_periodic(name, root, m));
  MOTE_TRY(read_materials(name, root, m));
  return read_statistics(name, root, m);
}

mote_status mote_metadata_parse(const char *name, const char *text, size_t size, mote_metadata *metadata) {
  cJSON *root;
  *metadata = (mote_metadata){0};
  MOTE_TRY(mote_json_parse(name, text, size, &root));
  mote_status status = from_tree(name, root, metadata);
  cJSON_Delete(root);
  if (status != MOTE_OK) *metadata = (mote_metadata){0};
  return status;
}

mote_status mote_metadata_read(const char *path, mote_metadata *metadata) {
  cJSON *root;
  *metadata = (mote_metadata){0};
  MOTE_TRY(mote_json_read(path, &root));
  mote_status status = from_tree(path, root, metadata);
  cJSON_Delete(root);
  if (status != MOTE_OK) *metadata = (mote_metadata){0};
  return status;
}

/* ---- Writing ---- */

static void put_vectors(cJSON *root, mote_metadata *m) {
  cJSON *bounds = cJSON_AddArrayToObject(root, "bounds");
  cJSON *periodic = cJSON_AddArrayToObject(root, "periodic_boundary_conditions");
  for (int d = 0; d < m->dim; d++) {
    cJSON_AddItemToArray(bounds, cJSON_CreateDoubleArray(m->bounds[d], 2));
    cJSON_AddItemToArray(periodic, cJSON_CreateBool(m->periodic[d]));
  }
  cJSON_AddItemToObject(root, "gravity", cJSON_CreateDoubleArray(m->gravity, m->dim));
  if (m->material_count) {
    cJSON *list = cJSON_AddArrayToObject(root, "materials");
    for (int k = 0; k < m->material_count; k++) {
      cJSON *item = cJSON_CreateObject();
      cJSON_AddStringToObject(item, "name", m->materials[k].name);
      cJSON_AddStringToObject(item, "kind", m->materials[k].kind);
      cJSON_AddItemToArray(list, item);
    }
  }
  if (!m->has_statistics) return;
  vector_key keys[STATISTICS];
  list_statistics(m, keys);
  for (int k = 0; k < STATISTICS; k++)
    cJSON_AddItemToObject(root, keys[k].key, cJSON_CreateDoubleArray(keys[k].values, m->dim));
}

char *mote_metadata_format(const mote_metadata *metadata, const char *file) {
  mote_metadata m = *metadata;
  cJSON *root = cJSON_CreateObject();
  if (!root) return NULL;
  if (file) cJSON_AddStringToObject(root, "file", file);
  cJSON_AddNumberToObject(root, "dim", m.dim);
  if (m.dx > 0) cJSON_AddNumberToObject(root, "dx", m.dx);
  if (m.reach > 0) cJSON_AddNumberToObject(root, "reach", m.reach);
  if (m.dt > 0) cJSON_AddNumberToObject(root, "dt", m.dt);
  cJSON_AddNumberToObject(root, "write_every", m.write_every > 0 ? m.write_every : 1);
  /* LagrangeBench's name and that of GNS. */
  cJSON_AddNumberToObject(root, "sequence_length_train", m.sequence_length);
  cJSON_AddNumberToObject(root, "sequence_length", m.sequence_length);
  cJSON_AddNumberToObject(root, "num_particles_max", (double)m.particle_count);
  if (m.history_frames > 0) cJSON_AddNumberToObject(root, "history_frames", m.history_frames);
  if (m.connectivity_radius > 0)
    cJSON_AddNumberToObject(root, "default_connectivity_radius", m.connectivity_radius);
  put_vectors(root, &m);
  char *text = cJSON_Print(root);
  cJSON_Delete(root);
  return text;
}

mote_status mote_metadata_write(const char *path, const mote_metadata *metadata) {
  char *text = mote_metadata_format(metadata, NULL);
  if (!text) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to write %s", path);
  mote_status status = mote_file_write(path, text, strlen(text));
  cJSON_free(text);
  return status;
}

char *mote_metadata_default_path(const char *path) {
  char *common = mote_path_beside(path, "metadata.json");
  if (!common || access(common, F_OK) != 0) return common;
  cJSON *root = NULL;
  const cJSON *owner = NULL;
  if (mote_json_read(common, &root) == MOTE_OK) owner = cJSON_GetObjectItemCaseSensitive(root, "file");
  int ours = cJSON_IsString(owner) && strcmp(owner->valuestring, mote_path_name(path)) == 0;
  cJSON_Delete(root);
  if (ours) return common;
  free(common);
  return mote_path_replace_extension(path, ".metadata.json");
}

mote_status mote_metadata_read_beside(const char *path, mote_metadata *metadata) {
  /* The file's own first: metadata.json may be another's. */
  char *own = mote_path_replace_extension(path, ".metadata.json"),
       *common = mote_path_beside(path, "metadata.json");
  mote_status status;
  if (!common || !own)
    status = mote_fail(MOTE_ERROR_MEMORY, "out of memory");
  else if (access(own, F_OK) == 0)
    status = mote_metadata_read(own, metadata);
  else if (access(common, F_OK) == 0)
    status = mote_metadata_read(common, metadata);
  else
    status = mote_fail(MOTE_ERROR_IO, "%s has no metadata: neither in it nor as %s", path, common);
  free(common);
  free(own);
  return status;
}
