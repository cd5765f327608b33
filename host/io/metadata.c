/* metadata.json of a data set in the LagrangeBench layout. What is absent keeps its zero; unknown members are
   left alone, since data sets of the field carry members of their own. */
#include <mote/trajectory.h>

#include <cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/core/file.h"
#include "host/io/metadata.h"

#define METADATA_LIMIT ((size_t)16 << 20)

/* ---- reading ---- */

static mote_status read_number(const cJSON *root, const char *name, double *value) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, name);
  if (!item || cJSON_IsNull(item)) return MOTE_OK;
  if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble))
    return mote_fail(MOTE_ERROR_FORMAT, "'%s' is not a finite number", name);
  *value = item->valuedouble;
  return MOTE_OK;
}

static mote_status read_count(const cJSON *root, const char *name, int64_t *value) {
  double number = (double)*value;
  MOTE_TRY(read_number(root, name, &number));
  if (number < 0 || number > 1e15 || number != floor(number))
    return mote_fail(MOTE_ERROR_FORMAT, "'%s' is %g: expected a whole number", name, number);
  *value = (int64_t)number;
  return MOTE_OK;
}

/* `dim` numbers (or booleans) of an array; *present says whether it was there. */
static mote_status read_vector(const cJSON *root, const char *name, int dim, double *values, int *present) {
  const cJSON *array = cJSON_GetObjectItemCaseSensitive(root, name), *item;
  int count = 0;
  *present = array && !cJSON_IsNull(array);
  if (!*present) return MOTE_OK;
  if (!cJSON_IsArray(array) || cJSON_GetArraySize(array) != dim)
    return mote_fail(MOTE_ERROR_FORMAT, "'%s' is not an array of %d", name, dim);
  cJSON_ArrayForEach(item, array) {
    if (cJSON_IsBool(item))
      values[count++] = cJSON_IsTrue(item);
    else if (cJSON_IsNumber(item) && isfinite(item->valuedouble))
      values[count++] = item->valuedouble;
    else
      return mote_fail(MOTE_ERROR_FORMAT, "'%s' holds something other than finite numbers", name);
  }
  return MOTE_OK;
}

static mote_status read_bounds(const cJSON *root, mote_metadata *m) {
  const cJSON *bounds = cJSON_GetObjectItemCaseSensitive(root, "bounds"), *axis;
  int a = 0;
  if (!cJSON_IsArray(bounds) || cJSON_GetArraySize(bounds) != m->dim)
    return mote_fail(MOTE_ERROR_FORMAT, "'bounds' is not an array of %d pairs", m->dim);
  cJSON_ArrayForEach(axis, bounds) {
    const cJSON *low = cJSON_GetArrayItem(axis, 0), *high = cJSON_GetArrayItem(axis, 1);
    if (!cJSON_IsNumber(low) || !cJSON_IsNumber(high) || !(high->valuedouble > low->valuedouble) ||
        !isfinite(high->valuedouble - low->valuedouble))
      return mote_fail(MOTE_ERROR_FORMAT, "'bounds' of axis %d is not [low, high] with low < high", a);
    m->bounds[a][0] = low->valuedouble;
    m->bounds[a++][1] = high->valuedouble;
  }
  return MOTE_OK;
}

static mote_status read_members(const cJSON *root, mote_metadata *m) {
  int64_t dim = 0, every = 0, length = 0, count = 0;
  double periodic[3] = {0};
  int present, statistics[4];
  MOTE_TRY(read_count(root, "dim", &dim));
  if (dim != 2 && dim != 3)
    return mote_fail(MOTE_ERROR_FORMAT, "'dim' is %lld: expected 2 or 3", (long long)dim);
  m->dim = (int)dim;
  MOTE_TRY(read_bounds(root, m));
  MOTE_TRY(read_number(root, "dt", &m->dt));
  MOTE_TRY(read_number(root, "dx", &m->dx));
  MOTE_TRY(read_number(root, "default_connectivity_radius", &m->connectivity_radius));
  MOTE_TRY(read_count(root, "write_every", &every));
  MOTE_TRY(read_count(root, "sequence_length_train", &length));
  MOTE_TRY(read_count(root, "num_particles_max", &count));
  if (every > INT32_MAX || length > INT32_MAX)
    return mote_fail(MOTE_ERROR_FORMAT, "'write_every' or 'sequence_length_train' is out of range");
  m->write_every = (int)every;
  m->sequence_length = (int)length;
  m->particle_count = count;
  MOTE_TRY(read_vector(root, "periodic_boundary_conditions", m->dim, periodic, &present));
  for (int a = 0; a < 3; a++) m->periodic[a] = periodic[a] != 0;
  MOTE_TRY(read_vector(root, "gravity", m->dim, m->gravity, &present));
  MOTE_TRY(read_vector(root, "vel_mean", m->dim, m->velocity_mean, &statistics[0]));
  MOTE_TRY(read_vector(root, "vel_std", m->dim, m->velocity_std, &statistics[1]));
  MOTE_TRY(read_vector(root, "acc_mean", m->dim, m->acceleration_mean, &statistics[2]));
  MOTE_TRY(read_vector(root, "acc_std", m->dim, m->acceleration_std, &statistics[3]));
  m->has_statistics = statistics[0] && statistics[1] && statistics[2] && statistics[3];
  return MOTE_OK;
}

mote_status mote_metadata_parse(const char *text, size_t bytes, mote_metadata *metadata) {
  *metadata = (mote_metadata){0};
  cJSON *root = cJSON_ParseWithLength(text, bytes);
  if (!root || !cJSON_IsObject(root)) {
    cJSON_Delete(root);
    return mote_fail(MOTE_ERROR_FORMAT, "not a JSON object");
  }
  mote_status status = read_members(root, metadata);
  cJSON_Delete(root);
  return status;
}

mote_status mote_metadata_read(const char *path, mote_metadata *metadata) {
  char *text;
  size_t bytes;
  MOTE_TRY(mote_file_read(path, METADATA_LIMIT, &text, &bytes));
  mote_status status = mote_metadata_parse(text, bytes, metadata);
  free(text);
  return status == MOTE_OK ? MOTE_OK : mote_fail_within(status, "%s", path);
}

/* ---- writing ---- */

static void add_vector(cJSON *root, const char *name, const double *values, int dim) {
  cJSON_AddItemToObject(root, name, cJSON_CreateDoubleArray(values, dim));
}

char *mote_metadata_print(const mote_metadata *m) {
  cJSON *root = cJSON_CreateObject(), *bounds = cJSON_AddArrayToObject(root, "bounds");
  cJSON_AddStringToObject(root, "solver", "mote");
  cJSON_AddNumberToObject(root, "dim", m->dim);
  for (int a = 0; a < m->dim; a++) cJSON_AddItemToArray(bounds, cJSON_CreateDoubleArray(m->bounds[a], 2));
  cJSON_AddNumberToObject(root, "dt", m->dt);
  cJSON_AddNumberToObject(root, "dx", m->dx);
  cJSON_AddNumberToObject(root, "write_every", m->write_every);
  cJSON_AddNumberToObject(root, "sequence_length_train", m->sequence_length);
  cJSON_AddNumberToObject(root, "num_particles_max", (double)m->particle_count);
  cJSON_AddNumberToObject(root, "default_connectivity_radius", m->connectivity_radius);
  cJSON *periodic = cJSON_AddArrayToObject(root, "periodic_boundary_conditions");
  for (int a = 0; a < m->dim; a++) cJSON_AddItemToArray(periodic, cJSON_CreateBool(m->periodic[a]));
  add_vector(root, "gravity", m->gravity, m->dim);
  if (m->has_statistics) {
    add_vector(root, "vel_mean", m->velocity_mean, m->dim);
    add_vector(root, "vel_std", m->velocity_std, m->dim);
    add_vector(root, "acc_mean", m->acceleration_mean, m->dim);
    add_vector(root, "acc_std", m->acceleration_std, m->dim);
  }
  char *text = cJSON_Print(root);
  cJSON_Delete(root);
  return text;
}

mote_status mote_metadata_write(const char *path, const mote_metadata *metadata) {
  char *text = mote_metadata_print(metadata);
  if (!text) return mote_fail(MOTE_ERROR_MEMORY, "out of memory writing %s", path);
  mote_status status = mote_file_write(path, text, strlen(text));
  free(text);
  return status;
}
