/* Which particles are of which material. */
#include "host/evaluate/groups.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mote/particles.h>

#include "host/core/error.h"

void mote_groups_free(mote_group *groups, int count) {
  for (int k = 0; k < count; k++)
    for (int side = 0; side < 2; side++) free(groups[k].index[side]);
}

void mote_select_rows(const float *points, const int32_t *index, int64_t n, int dim, float *selected) {
  for (int64_t i = 0; i < n; i++)
    for (int k = 0; k < dim; k++) selected[i * dim + k] = points[(int64_t)index[i] * dim + k];
}

static void name_group(int by_type, int32_t label, const mote_metadata *metadata, char *name, size_t size) {
  const char *known = NULL;
  switch (label) {
  case MOTE_TYPE_RIGID: known = "rigid"; break;
  case MOTE_TYPE_KINEMATIC: known = "kinematic"; break;
  case MOTE_TYPE_FLUID: known = "fluid"; break;
  case MOTE_TYPE_SAND: known = "sand"; break;
  case MOTE_TYPE_ELASTIC: known = "elastic"; break;
  case MOTE_TYPE_PLASTIC: known = "plastic"; break;
  }
  if (by_type && known)
    snprintf(name, size, "%s", known);
  else if (!by_type && label >= 0 && label < metadata->material_count)
    snprintf(name, size, "%s", metadata->materials[label].name);
  else
    snprintf(name, size, "%s %d", by_type ? "type" : "material", (int)label);
}

/* The distinct labels in ascending order; -1 when there are more than can be listed. */
static int distinct(const int32_t *label, int64_t n, int32_t values[MOTE_EVALUATE_MATERIALS]) {
  int count = 0;
  for (int64_t i = 0; i < n; i++) {
    int k = 0;
    while (k < count && values[k] < label[i]) k++;
    if (k < count && values[k] == label[i]) continue;
    if (count == MOTE_EVALUATE_MATERIALS) return -1;
    memmove(values + k + 1, values + k, (size_t)(count - k) * sizeof *values);
    values[k] = label[i];
    count++;
  }
  return count;
}

static mote_status collect(const int32_t *label, int64_t n, int32_t value, int64_t *count, int32_t **index) {
  *count = 0;
  for (int64_t i = 0; i < n; i++) *count += label[i] == value;
  *index = malloc((size_t)(*count + 1) * sizeof **index);
  if (!*index) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld labels", (long long)n);
  int64_t at = 0;
  for (int64_t i = 0; i < n; i++)
    if (label[i] == value) (*index)[at++] = (int32_t)i;
  return MOTE_OK;
}

static mote_status make_groups(const int32_t *d, int64_t n, const int32_t *t, int64_t m, int by_type,
                               const mote_metadata *metadata, mote_group *groups, int *count) {
  int32_t values[MOTE_EVALUATE_MATERIALS];
  int kinds = distinct(t, m, values);
  *count = 0;
  if (kinds < 2) return MOTE_OK; /* one: as all; too many to list: all only */
  memset(groups, 0, (size_t)kinds * sizeof *groups);
  *count = kinds;
  for (int k = 0; k < kinds; k++) {
    name_group(by_type, values[k], metadata, groups[k].name, sizeof groups[k].name);
    MOTE_TRY(collect(d, d ? n : 0, values[k], &groups[k].count[0], &groups[k].index[0]));
    MOTE_TRY(collect(t, m, values[k], &groups[k].count[1], &groups[k].index[1]));
  }
  return MOTE_OK;
}

mote_status mote_groups_read(mote_trajectory_reader *d, int d_index, int64_t n, mote_trajectory_reader *t,
                             int t_index, int64_t m, mote_group groups[MOTE_EVALUATE_MATERIALS], int *count) {
  *count = 0;
  int32_t *truth = malloc((size_t)(m + 1) * sizeof *truth), *other = malloc((size_t)(n + 1) * sizeof *other);
  mote_status status = MOTE_OK;
  if (!truth || !other)
    status = mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld labels", (long long)(n + m));
  int by_type = 0, labelled = 0;
  mote_metadata metadata;
  if (mote_trajectory_read_metadata(t, &metadata) != MOTE_OK) metadata.material_count = 0;
  if (status == MOTE_OK && mote_trajectory_read_labels(t, t_index, "material", truth) != MOTE_OK) {
    by_type = 1;
    status = mote_trajectory_read_labels(t, t_index, "particle_type", truth);
  }
  if (status == MOTE_OK && n != m)
    labelled =
        mote_trajectory_read_labels(d, d_index, by_type ? "particle_type" : "material", other) == MOTE_OK;
  if (status == MOTE_OK)
    status = make_groups(n == m     ? truth
                         : labelled ? other
                                    : NULL,
                         n, truth, m, by_type, &metadata, groups, count);
  free(truth);
  free(other);
  return status;
}
