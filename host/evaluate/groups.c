/* Which particles are of which material. */
#include "host/evaluate/groups.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mote/material.h>
#include <mote/particles.h>

#include "host/core/error.h"

void mote_groups_free(mote_groups *groups) {
  for (int k = 0; k < groups->count; k++)
    for (int side = 0; side < 2; side++) {
      free(groups->group[k].index[side]);
      free(groups->group[k].kinematic[side]);
    }
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

/* ---- fluids ---- */

static int is_fluid_kind(const char *kind) {
  static const mote_material_kind fluids[] = {MOTE_NEWTONIAN, MOTE_HERSCHEL_BULKLEY, MOTE_VISCOELASTIC};
  for (size_t k = 0; k < sizeof fluids / sizeof *fluids; k++)
    if (!strcmp(kind, mote_material_kind_name(fluids[k]))) return 1;
  return 0;
}

/* By its type, or by the kind that the metadata has for its material. */
static int is_fluid(const mote_pair *p, int64_t i, const int32_t *material) {
  if (p->type[i] == MOTE_TYPE_FLUID) return 1;
  return material && p->type[i] != MOTE_TYPE_KINEMATIC && material[i] >= 0 &&
         material[i] < p->metadata.material_count && is_fluid_kind(p->metadata.materials[material[i]].kind);
}

static void find_fluids(const mote_pair *p, const int32_t *material, mote_groups *g) {
  for (int64_t i = 0; i < p->n[1] && !g->any_fluid; i++) g->any_fluid = is_fluid(p, i, material);
  for (int k = 0; k < g->count; k++) {
    g->group[k].fluid = 1;
    for (int64_t i = 0; i < g->group[k].count[1]; i++)
      g->group[k].fluid &= is_fluid(p, g->group[k].index[1][i], material);
  }
}

/* ---- groups ---- */

static mote_status mark(const mote_pair *p, mote_group *group) {
  for (int side = 0; side < 2; side++) {
    group->kinematic[side] = malloc((size_t)group->count[side] + 1);
    if (!group->kinematic[side])
      return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld labels", (long long)group->count[side]);
    for (int64_t i = 0; i < group->count[side]; i++)
      group->kinematic[side][i] = p->kinematic[side][group->index[side][i]];
  }
  return MOTE_OK;
}

/* d: D's labels, NULL when it has none. */
static mote_status make_groups(const mote_pair *p, const int32_t *d, const int32_t *t, int by_type,
                               mote_groups *groups) {
  int32_t values[MOTE_EVALUATE_MATERIALS];
  int kinds = distinct(t, p->n[1], values);
  if (kinds < 2) return MOTE_OK; /* one: as all; too many to list: all only */
  groups->count = kinds;
  for (int k = 0; k < kinds; k++) {
    mote_group *group = &groups->group[k];
    name_group(by_type, values[k], &p->metadata, group->name, sizeof group->name);
    MOTE_TRY(collect(d, d ? p->n[0] : 0, values[k], &group->count[0], &group->index[0]));
    MOTE_TRY(collect(t, p->n[1], values[k], &group->count[1], &group->index[1]));
    MOTE_TRY(mark(p, group));
  }
  return MOTE_OK;
}

static mote_status read_groups(const mote_pair *p, int wanted, int32_t *truth, int32_t *other,
                               mote_groups *groups) {
  int by_type = mote_trajectory_read_labels(p->reader[1], p->index[1], "material", truth) != MOTE_OK;
  const char *field = by_type ? "particle_type" : "material";
  if (by_type)
    memcpy(truth, p->type, (size_t)p->n[1] * sizeof *truth);
  else if (p->pick)
    for (int64_t i = 0; i < p->n[1]; i++) other[i] = truth[p->pick[i]];
  if (!by_type && p->pick) memcpy(truth, other, (size_t)p->n[1] * sizeof *truth);
  int same = p->n[0] == p->n[1];
  int labelled = same || mote_trajectory_read_labels(p->reader[0], p->index[0], field, other) == MOTE_OK;
  if (wanted) MOTE_TRY(make_groups(p, same ? truth : labelled ? other : NULL, truth, by_type, groups));
  find_fluids(p, by_type ? NULL : truth, groups);
  return MOTE_OK;
}

mote_status mote_groups_read(const mote_pair *p, int wanted, mote_groups *groups) {
  memset(groups, 0, sizeof *groups);
  int32_t *truth = malloc((size_t)(p->rows + 1) * sizeof *truth),
          *other = malloc((size_t)(p->n[0] + 1) * sizeof *other);
  mote_status status =
      truth && other ? read_groups(p, wanted, truth, other, groups)
                     : mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld labels", (long long)p->rows);
  free(truth);
  free(other);
  return status;
}
