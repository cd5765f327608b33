/* Mean weights: see mote/average.h. The first model says what there is, and the others have to have the same;
   all are read before anything is written, so that the result may take the place of one of them. */
#include <mote/average.h>

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/core/error.h"
#include "host/io/json_file.h"
#include "host/models/model_folder.h"

typedef struct mean {
  const char *first; /* the folder of the first model */
  cJSON *config, *metadata;
  mote_safetensors *names; /* its tensors, which all have to have; NULL: no model was read yet */
  int tensors;
  int64_t values;
  double *sum;  /* of all values, in the order of the names */
  float *value; /* a tensor of one model, then the result */
  mote_tensor *tensor;
  double shares;
} mean;

static mote_status out_of_memory(void) {
  return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a mean of models");
}

static void release(mean *m) {
  cJSON_Delete(m->config);
  cJSON_Delete(m->metadata);
  mote_safetensors_close(m->names);
  free(m->sum);
  free(m->value);
  free(m->tensor);
}

/* ---- What models must have in common ---- */

/* `optional`: without the file *root stays NULL. */
static mote_status read_json(const char *folder, const char *name, int optional, cJSON **root) {
  char *path = mote_path_join(folder, name);
  if (!path) return out_of_memory();
  mote_status status = !optional || access(path, F_OK) == 0 ? mote_json_read(path, root) : MOTE_OK;
  free(path);
  return status;
}

static const char *first_difference(const cJSON *a, const cJSON *b) {
  const cJSON *item;
  cJSON_ArrayForEach(item, a) {
    if (item->string && !cJSON_Compare(item, cJSON_GetObjectItemCaseSensitive(b, item->string), 1))
      return item->string;
  }
  cJSON_ArrayForEach(item, b) {
    if (item->string && !cJSON_GetObjectItemCaseSensitive(a, item->string)) return item->string;
  }
  return NULL;
}

/* The file of the first model, or whether another one's says the same. */
static mote_status read_same(const mean *m, const char *folder, const char *name, int optional,
                             cJSON **mine) {
  cJSON *root = NULL;
  MOTE_TRY(read_json(folder, name, optional, &root));
  if (!m->names) {
    *mine = root;
    return MOTE_OK;
  }
  const char *key = *mine && root ? first_difference(*mine, root) : NULL;
  mote_status status = MOTE_OK;
  if (key)
    status = mote_fail(MOTE_ERROR_ARGUMENT, "'%s' in %s of %s is not what it is in that of %s", key, name,
                       folder, m->first);
  else if (!*mine != !root)
    status = mote_fail(MOTE_ERROR_ARGUMENT, "%s has no %s, and %s has one", root ? m->first : folder, name,
                       root ? folder : m->first);
  cJSON_Delete(root);
  return status;
}

/* ---- Tensors ---- */

static mote_status open_tensors(const char *folder, mote_safetensors **file) {
  char *path = mote_path_join(folder, "model.safetensors");
  if (!path) return out_of_memory();
  mote_status status = mote_safetensors_open(path, file);
  free(path);
  return status;
}

static mote_status reserve(mean *m) {
  const mote_tensor *t;
  for (; (t = mote_safetensors_tensor(m->names, m->tensors)); m->tensors++) m->values += t->count;
  if (!m->values) return mote_fail(MOTE_ERROR_FORMAT, "%s: model.safetensors holds no weights", m->first);
  m->sum = calloc((size_t)m->values, sizeof *m->sum);
  m->value = malloc((size_t)m->values * sizeof *m->value);
  m->tensor = calloc((size_t)m->tensors, sizeof *m->tensor);
  return m->sum && m->value && m->tensor ? MOTE_OK : out_of_memory();
}

static mote_status check_names(const mean *m, const char *folder, const mote_safetensors *file) {
  const mote_tensor *t;
  for (int k = 0; (t = mote_safetensors_tensor(file, k)); k++)
    if (!mote_safetensors_find(m->names, t->name))
      return mote_fail(MOTE_ERROR_ARGUMENT, "%s has a tensor '%.200s', and %s has none", folder, t->name,
                       m->first);
  return MOTE_OK;
}

static mote_status add_tensors(mean *m, const mote_safetensors *file, double share) {
  double *sum = m->sum;
  for (int k = 0; k < m->tensors; k++) {
    const mote_tensor *t = mote_safetensors_tensor(m->names, k);
    MOTE_TRY(mote_safetensors_read(file, t->name, t->rank, t->shape, m->value));
    for (int64_t i = 0; i < t->count; i++) sum[i] += share * m->value[i];
    sum += t->count;
  }
  m->shares += share;
  return MOTE_OK;
}

static mote_status add_model(mean *m, const char *folder, double share) {
  mote_safetensors *file = NULL;
  MOTE_TRY(read_same(m, folder, "config.json", 0, &m->config));
  MOTE_TRY(read_same(m, folder, "metadata.json", 1, &m->metadata));
  MOTE_TRY(open_tensors(folder, &file));
  if (!m->names) {
    m->names = file;
    MOTE_TRY(reserve(m));
    return add_tensors(m, file, share);
  }
  mote_status status = check_names(m, folder, file);
  if (status == MOTE_OK) status = add_tensors(m, file, share);
  mote_safetensors_close(file);
  return status;
}

/* ---- The whole ---- */

static mote_status write_mean(mean *m, const char *out) {
  float *at = m->value;
  for (int64_t i = 0; i < m->values; i++) m->value[i] = (float)(m->sum[i] / m->shares);
  for (int k = 0; k < m->tensors; k++) {
    m->tensor[k] = *mote_safetensors_tensor(m->names, k);
    m->tensor[k].dtype = MOTE_F32;
    m->tensor[k].data = at;
    at += m->tensor[k].count;
  }
  mote_model_files files = {
      .tensors = m->tensor, .count = m->tensors, .config = m->config, .metadata = m->metadata};
  return mote_model_folder_write(out, &files);
}

static mote_status check_shares(int count, const double *share) {
  double sum = 0;
  if (count < 1) return mote_fail(MOTE_ERROR_ARGUMENT, "a mean is of one model or more");
  for (int k = 0; share && k < count; k++) {
    if (!isfinite(share[k]) || share[k] < 0)
      return mote_fail(MOTE_ERROR_ARGUMENT, "a model's share is %g: expected 0 or more", share[k]);
    sum += share[k];
  }
  return share && !(sum > 0 && isfinite(sum))
             ? mote_fail(MOTE_ERROR_ARGUMENT, "the models' shares add up to %g", sum)
             : MOTE_OK;
}

mote_status mote_average_models(int count, const char *const *folders, const double *share, const char *out) {
  MOTE_TRY(check_shares(count, share));
  MOTE_TRY(mote_model_folder_check(out));
  mean m = {.first = folders[0]};
  mote_status status = MOTE_OK;
  for (int k = 0; k < count && status == MOTE_OK; k++)
    status = add_model(&m, folders[k], share ? share[k] : 1);
  if (status == MOTE_OK) status = write_mean(&m, out);
  release(&m);
  return status;
}
