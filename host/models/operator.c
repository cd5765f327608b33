/* Trained operators: made, saved and loaded. */
#include "host/models/operator.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <mote/material.h>
#include <mote/random.h>

#include "host/core/error.h"
#include "host/io/json_file.h"
#include "host/io/safetensors.h"

#define TENSORS 8 /* of an expert */

/* A layer: where its weights begin, how many inputs it has, how many outputs are stored and used. */
typedef struct layer {
  int begin, in, stored, used;
} layer;
static const layer layers[3] = {{0, MOTE_FEATURES, MOTE_HIDDEN, MOTE_HIDDEN},
                                {MOTE_WEIGHTS_2, MOTE_HIDDEN, MOTE_HIDDEN, MOTE_HIDDEN},
                                {MOTE_WEIGHTS_3, MOTE_HIDDEN, MOTE_OUTPUTS, MOTE_BASES}};

void mote_operator_destroy(mote_operator *o) {
  if (!o) return;
  free(o->parameters);
  free(o->norm);
  free(o);
}

const mote_operator_settings *mote_operator_get_settings(const mote_operator *o) {
  return &o->settings;
}

int mote_operator_expert(const mote_operator *o, const char *kind) {
  for (int e = 0; e < o->experts; e++)
    if (!strcmp(o->kind[e], kind)) return e;
  return -1;
}

static mote_status allocate(int experts, mote_operator **out) {
  mote_operator *o = calloc(1, sizeof *o);
  if (o) {
    o->experts = experts;
    o->parameters = calloc((size_t)experts * MOTE_PARAMETERS, sizeof *o->parameters);
    o->norm = calloc((size_t)experts * 2 * MOTE_FEATURES, sizeof *o->norm);
  }
  if (!o || !o->parameters || !o->norm) {
    mote_operator_destroy(o);
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for an operator");
  }
  *out = o;
  return MOTE_OK;
}

mote_status mote_operator_create(const mote_operator_settings *settings, int experts, const char (*kind)[32],
                                 uint64_t seed, mote_operator **out) {
  *out = NULL;
  if (experts < 1 || experts > MOTE_EXPERTS)
    return mote_fail(MOTE_ERROR_ARGUMENT, "operator: %d kinds of matter: expected 1 to %d", experts,
                     MOTE_EXPERTS);
  MOTE_TRY(allocate(experts, out));
  mote_operator *o = *out;
  o->settings = *settings;
  for (int e = 0; e < experts; e++) {
    snprintf(o->kind[e], sizeof o->kind[e], "%s", kind[e]);
    for (int k = 0; k < MOTE_FEATURES; k++) o->norm[(2 * e + 1) * MOTE_FEATURES + k] = 1;
    for (int l = 0; l < 2; l++)
      for (int k = 0; k < layers[l].in * layers[l].stored; k++)
        o->parameters[e * MOTE_PARAMETERS + layers[l].begin + k] =
            sqrtf(2.0f / (float)layers[l].in) *
            mote_random_normal(seed, (uint64_t)(1000 + 10 * e + l), (uint64_t)k, 0);
  }
  return MOTE_OK;
}

/* ---- the tensors of a file ---- */

/* Copies a layer between the kernels' layout (in, stored) and PyTorch's (used, in). */
static void copy_layer(const layer *l, float *ours, float *theirs, int store) {
  for (int i = 0; i < l->in; i++)
    for (int j = 0; j < l->used; j++) {
      float *a = &ours[i * l->stored + j], *b = &theirs[j * l->in + i];
      if (store)
        *b = *a;
      else
        *a = *b;
    }
}

typedef struct names {
  char text[TENSORS][80];
} names;

static void name_tensors(const char *kind, names *n) {
  for (int l = 0; l < 3; l++) {
    snprintf(n->text[2 * l], sizeof n->text[0], "experts.%s.layers.%d.weight", kind, l);
    snprintf(n->text[2 * l + 1], sizeof n->text[0], "experts.%s.layers.%d.bias", kind, l);
  }
  snprintf(n->text[6], sizeof n->text[0], "experts.%s.feature_mean", kind);
  snprintf(n->text[7], sizeof n->text[0], "experts.%s.feature_scale", kind);
}

static mote_status save_tensors(const mote_operator *o, const char *path) {
  mote_tensor tensors[MOTE_EXPERTS * TENSORS];
  names name[MOTE_EXPERTS];
  float *space = malloc((size_t)o->experts * MOTE_PARAMETERS * sizeof *space), *at = space;
  if (!space) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to write %s", path);
  int count = 0;
  for (int e = 0; e < o->experts; e++) {
    float *p = o->parameters + e * MOTE_PARAMETERS, *norm = o->norm + e * 2 * MOTE_FEATURES;
    name_tensors(o->kind[e], &name[e]);
    for (int l = 0; l < 3; l++) {
      const layer *y = &layers[l];
      copy_layer(y, p + y->begin, at, 1);
      tensors[count] = (mote_tensor){.name = name[e].text[2 * l],
                                     .dtype = MOTE_F32,
                                     .rank = 2,
                                     .shape = {y->used, y->in},
                                     .count = y->used * y->in,
                                     .data = at};
      count++;
      tensors[count] = (mote_tensor){.name = name[e].text[2 * l + 1],
                                     .dtype = MOTE_F32,
                                     .rank = 1,
                                     .shape = {y->used},
                                     .count = y->used,
                                     .data = p + y->begin + y->in * y->stored};
      count++;
      at += y->used * y->in;
    }
    for (int k = 0; k < 2; k++) {
      tensors[count] = (mote_tensor){.name = name[e].text[6 + k],
                                     .dtype = MOTE_F32,
                                     .rank = 1,
                                     .shape = {MOTE_FEATURES},
                                     .count = MOTE_FEATURES,
                                     .data = norm + k * MOTE_FEATURES};
      count++;
    }
  }
  mote_status status = mote_safetensors_write(path, tensors, count, NULL, 0);
  free(space);
  return status;
}

static mote_status read_tensors(mote_operator *o, const char *path) {
  mote_safetensors *file = NULL;
  float space[MOTE_HIDDEN * MOTE_HIDDEN];
  MOTE_TRY(mote_safetensors_open(path, &file));
  mote_status status = MOTE_OK;
  for (int e = 0; e < o->experts && status == MOTE_OK; e++) {
    float *p = o->parameters + e * MOTE_PARAMETERS, *norm = o->norm + e * 2 * MOTE_FEATURES;
    names name;
    name_tensors(o->kind[e], &name);
    for (int l = 0; l < 3 && status == MOTE_OK; l++) {
      layer y = layers[l];
      status = mote_safetensors_read(file, name.text[2 * l], 2, (const int64_t[]){y.used, y.in}, space);
      if (status != MOTE_OK) break;
      copy_layer(&y, p + y.begin, space, 0);
      status = mote_safetensors_read(file, name.text[2 * l + 1], 1, (const int64_t[]){y.used},
                                     p + y.begin + y.in * y.stored);
    }
    for (int k = 0; k < 2 && status == MOTE_OK; k++)
      status = mote_safetensors_read(file, name.text[6 + k], 1, (const int64_t[]){MOTE_FEATURES},
                                     norm + k * MOTE_FEATURES);
  }
  mote_safetensors_close(file);
  return status;
}

/* ---- config.json ---- */

typedef struct number {
  const char *key;
  float *value;
} number;
#define NUMBERS 7
static void list_numbers(mote_operator_settings *s, number numbers[NUMBERS]) {
  const number all[NUMBERS] = {{"node_spacing", &s->node_spacing},
                               {"radius", &s->radius},
                               {"ridge", &s->ridge},
                               {"shrink", &s->shrink},
                               {"flight_reach", &s->flight_reach},
                               {"drift_gain", &s->drift_gain},
                               {"kin_gain", &s->kin_gain}};
  memcpy(numbers, all, sizeof all);
}

static mote_status save_config(const mote_operator *o, const char *path) {
  mote_operator_settings settings = o->settings;
  number numbers[NUMBERS];
  cJSON *root = cJSON_CreateObject();
  if (!root) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to write %s", path);
  list_numbers(&settings, numbers);
  cJSON_AddStringToObject(root, "model_type", "mote_operator");
  cJSON_AddNumberToObject(root, "features", MOTE_FEATURES);
  cJSON_AddNumberToObject(root, "hidden", MOTE_HIDDEN);
  cJSON_AddNumberToObject(root, "bases", MOTE_BASES);
  cJSON *experts = cJSON_AddArrayToObject(root, "experts");
  for (int e = 0; e < o->experts; e++) cJSON_AddItemToArray(experts, cJSON_CreateString(o->kind[e]));
  cJSON_AddNumberToObject(root, "levels", settings.levels);
  /* Through text of nine digits, which float32 survives. */
  for (int k = 0; k < NUMBERS; k++) {
    char text[32];
    snprintf(text, sizeof text, "%.9g", *numbers[k].value);
    cJSON_AddRawToObject(root, numbers[k].key, text);
  }
  mote_status status = mote_json_write(path, root);
  cJSON_Delete(root);
  return status;
}

static mote_status read_experts(const char *path, const cJSON *root, mote_operator **out) {
  const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "experts"), *item;
  int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0, e = 0;
  if (count < 1 || count > MOTE_EXPERTS)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: \"experts\": expected a list of 1 to %d kinds of material", path,
                     MOTE_EXPERTS);
  MOTE_TRY(allocate(count, out));
  cJSON_ArrayForEach(item, list) {
    mote_material_kind kind;
    if (!cJSON_IsString(item))
      return mote_fail(MOTE_ERROR_FORMAT, "%s: \"experts\": expected names of kinds of material", path);
    mote_status status = mote_material_kind_from_name(item->valuestring, &kind);
    if (status != MOTE_OK) return mote_fail_within(status, "%s: \"experts\"", path);
    snprintf((*out)->kind[e++], sizeof(*out)->kind[0], "%s", item->valuestring);
  }
  return MOTE_OK;
}

static mote_status read_config(const char *path, mote_operator **out) {
  static const struct {
    const char *key;
    int64_t value;
  } sizes[] = {{"features", MOTE_FEATURES}, {"hidden", MOTE_HIDDEN}, {"bases", MOTE_BASES}};
  cJSON *root = NULL;
  const char *type = NULL;
  number numbers[NUMBERS];
  MOTE_TRY(mote_json_read(path, &root));
  mote_status status = mote_json_string(path, root, "model_type", &type, NULL);
  if (status == MOTE_OK && strcmp(type, "mote_operator"))
    status = mote_fail(MOTE_ERROR_FORMAT, "%s: \"model_type\" is \"%s\": expected mote_operator", path, type);
  int64_t value = 0;
  for (int k = 0; k < 3 && status == MOTE_OK; k++)
    status = mote_json_integer(path, root, sizes[k].key, sizes[k].value, sizes[k].value, &value, NULL);
  if (status == MOTE_OK) status = read_experts(path, root, out);
  if (status == MOTE_OK) {
    mote_operator_settings *s = &(*out)->settings;
    mote_operator_defaults(s);
    list_numbers(s, numbers);
    status = mote_json_integer(path, root, "levels", 1, 6, &value, NULL);
    s->levels = (int)value;
    for (int k = 0; k < NUMBERS && status == MOTE_OK; k++) {
      double x = 0;
      status = mote_json_number(path, root, numbers[k].key, &x, NULL);
      *numbers[k].value = (float)x;
    }
  }
  cJSON_Delete(root);
  return status;
}

/* ---- the folder ---- */

mote_status mote_operator_save(const mote_operator *o, const char *folder) {
  char path[4096];
  if (mkdir(folder, 0777) != 0 && errno != EEXIST)
    return mote_fail(MOTE_ERROR_IO, "cannot make the folder %s: %s", folder, strerror(errno));
  if (snprintf(path, sizeof path, "%s/model.safetensors", folder) >= (int)sizeof path)
    return mote_fail(MOTE_ERROR_ARGUMENT, "the name of the folder is too long");
  MOTE_TRY(save_tensors(o, path));
  snprintf(path, sizeof path, "%s/config.json", folder);
  return save_config(o, path);
}

mote_status mote_operator_load(const char *folder, mote_operator **out) {
  char path[4096];
  *out = NULL;
  if (snprintf(path, sizeof path, "%s/model.safetensors", folder) >= (int)sizeof path)
    return mote_fail(MOTE_ERROR_ARGUMENT, "the name of the folder is too long");
  snprintf(path, sizeof path, "%s/config.json", folder);
  mote_status status = read_config(path, out);
  snprintf(path, sizeof path, "%s/model.safetensors", folder);
  if (status == MOTE_OK) status = read_tensors(*out, path);
  if (status == MOTE_OK) return MOTE_OK;
  mote_operator_destroy(*out);
  *out = NULL;
  return status;
}
