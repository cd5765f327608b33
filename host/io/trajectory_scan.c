/* Finding the trajectories of a file: every group with a position, and in each what has its T and n. The
   trick: a data set's shape alone says what it is: (T, n, ...) floats are fields, (n) integers labels, (n)
   floats constants; the rest is passed over. */
#include "host/io/trajectory_reader.h"

#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/io/hdf5_inspect.h"

#define MOST_TRAJECTORIES 1000000

/* The names of the hard links of a group, at most `limit`, in HDF5's order (ascending). */
typedef struct name_list {
  char **names;
  size_t count, capacity, limit;
  int out_of_memory;
} name_list;

static herr_t keep_name(hid_t group, const char *name, const H5L_info_t *link, void *data) {
  name_list *list = data;
  (void)group;
  if (link->type != H5L_TYPE_HARD || strlen(name) > 63) return 0;
  if (list->count == list->limit) return 1;
  if (list->count == list->capacity) {
    size_t capacity = list->capacity ? 2 * list->capacity : 16;
    char **grown = realloc(list->names, capacity * sizeof *grown);
    if (grown)
      list->names = grown, list->capacity = capacity;
    else
      return list->out_of_memory = 1;
  }
  list->names[list->count] = strdup(name);
  if (!list->names[list->count]) return list->out_of_memory = 1;
  list->count++;
  return 0;
}

static void free_names(name_list *list) {
  for (size_t k = 0; k < list->count; k++) free(list->names[k]);
  free(list->names);
  *list = (name_list){0};
}

static mote_status list_names(const char *where, hid_t group, size_t limit, name_list *list) {
  *list = (name_list){.limit = limit};
  hsize_t start = 0;
  herr_t code = H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, &start, keep_name, list);
  if (code >= 0 && !list->out_of_memory) return MOTE_OK;
  int memory = list->out_of_memory;
  free_names(list);
  if (memory) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to list %s", where);
  return mote_hdf5_fail(MOTE_ERROR_FORMAT, "%s: its contents cannot be listed", where);
}

/* Whether `name` is a hard link to an object of this kind. */
static int is_kind(hid_t group, const char *name, H5O_type_t kind) {
  H5L_info_t link;
  H5O_info_t about;
  int is = H5Lexists(group, name, H5P_DEFAULT) > 0 && H5Lget_info(group, name, &link, H5P_DEFAULT) >= 0 &&
           link.type == H5L_TYPE_HARD &&
           H5Oget_info_by_name2(group, name, &about, H5O_INFO_BASIC, H5P_DEFAULT) >= 0 && about.type == kind;
  H5Eclear2(H5E_DEFAULT);
  return is;
}

static mote_status check_position(const char *where, hid_t group, int64_t file_size,
                                  mote_trajectory_info *info) {
  mote_hdf5_array a;
  MOTE_TRY(mote_hdf5_inspect(where, group, "position", file_size, &a));
  if (a.rank != 3 || a.kind != H5T_FLOAT || (a.size[2] != 2 && a.size[2] != 3))
    return mote_fail(MOTE_ERROR_FORMAT, "%s/position: expected floats of shape (T, n, 2) or (T, n, 3)",
                     where);
  if (a.size[1] > INT32_MAX)
    return mote_fail(MOTE_ERROR_FORMAT, "%s/position: %lld particles: expected at most 2^31-1", where,
                     (long long)a.size[1]);
  *info = (mote_trajectory_info){a.size[0], a.size[1], (int)a.size[2]};
  return MOTE_OK;
}

static void add_member(mote_member *members, int *count, const char *name, int rank, const int64_t *shape) {
  mote_member *m = &members[(*count)++];
  strcpy(m->name, name); /* keep_name took at most 63 */
  m->field = (mote_trajectory_field){m->name, rank, {0, 0}};
  for (int d = 0; d < rank; d++) m->field.shape[d] = (int)shape[d];
}

/* Puts a data set where its shape says it belongs. */
static void classify(mote_found_trajectory *t, const char *name, const mote_hdf5_array *a) {
  int64_t frames = t->info.frames, n = t->info.particles;
  int is_float = a->kind == H5T_FLOAT, narrow = 1;
  for (int d = 2; d < a->rank; d++) narrow &= a->size[d] <= 1024;
  if (strcmp(name, "time") == 0)
    t->has_time = is_float && a->rank == 1 && a->size[0] == frames;
  else if (is_float && a->rank >= 2 && a->size[0] == frames && a->size[1] == n && narrow)
    add_member(t->fields, &t->field_count, name, a->rank - 2, a->size + 2);
  else if (!is_float && a->rank == 1 && a->size[0] == n)
    add_member(t->labels, &t->label_count, name, 0, NULL);
  else if (is_float && a->rank == 1 && a->size[0] == n)
    add_member(t->constants, &t->constant_count, name, 0, NULL);
}

static mote_status scan_members(mote_trajectory_reader *r, const char *where, hid_t group,
                                mote_found_trajectory *t) {
  name_list names;
  MOTE_TRY(list_names(where, group, MOTE_MOST_MEMBERS - 1, &names));
  mote_status status = MOTE_OK;
  for (size_t k = 0; k < names.count && status == MOTE_OK; k++) {
    const char *name = names.names[k];
    mote_hdf5_array a;
    if (strcmp(name, "position") == 0 || !is_kind(group, name, H5O_TYPE_DATASET)) continue;
    /* A data set of another kind (text, a scalar) is none of ours; one that is needed must be sound. */
    status = mote_hdf5_inspect(where, group, name, r->file_size, &a);
    int types = strcmp(name, "particle_type") == 0;
    if (status == MOTE_OK && types &&
        (a.kind != H5T_INTEGER || a.rank != 1 || a.size[0] != t->info.particles))
      status = mote_fail(MOTE_ERROR_FORMAT, "%s/particle_type: expected %lld integers, one a particle", where,
                         (long long)t->info.particles);
    if (status == MOTE_OK)
      classify(t, name, &a);
    else if (!types)
      status = MOTE_OK;
  }
  free_names(&names);
  return status;
}

static mote_status add_trajectory(mote_trajectory_reader *r, hid_t group, const char *name) {
  char where[512];
  mote_found_trajectory t = {0};
  snprintf(where, sizeof where, "%s:%s%s", r->path, name[0] == '/' ? "" : "/", name[0] == '/' ? "" : name);
  MOTE_TRY(check_position(where, group, r->file_size, &t.info));
  if (r->count == r->capacity) {
    int capacity = r->capacity ? 2 * r->capacity : 4;
    mote_found_trajectory *grown = realloc(r->found, (size_t)capacity * sizeof *grown);
    if (!grown) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to list %s", r->path);
    r->found = grown;
    r->capacity = capacity;
  }
  t.name = strdup(name);
  t.fields = calloc(3 * MOTE_MOST_MEMBERS, sizeof *t.fields);
  t.labels = t.fields ? t.fields + MOTE_MOST_MEMBERS : NULL;
  t.constants = t.fields ? t.fields + 2 * MOTE_MOST_MEMBERS : NULL;
  mote_found_trajectory *kept = &r->found[r->count++];
  *kept = t;
  if (!t.name || !t.fields) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to list %s", r->path);
  add_member(kept->fields, &kept->field_count, "position", 1, (int64_t[]){t.info.dim});
  MOTE_TRY(scan_members(r, where, group, kept));
  for (int k = 0; k < kept->field_count; k++) kept->fields[k].field.name = kept->fields[k].name;
  return MOTE_OK;
}

static mote_status scan_group(mote_trajectory_reader *r, hid_t root, const char *name) {
  if (!is_kind(root, name, H5O_TYPE_GROUP)) return MOTE_OK;
  hid_t group = H5Gopen2(root, name, H5P_DEFAULT);
  if (group < 0) return mote_hdf5_fail(MOTE_ERROR_FORMAT, "%s: the group %s cannot be read", r->path, name);
  mote_status status = MOTE_OK;
  if (H5Lexists(group, "position", H5P_DEFAULT) > 0) status = add_trajectory(r, group, name);
  H5Gclose(group);
  return status;
}

mote_status mote_trajectory_scan(mote_trajectory_reader *r) {
  hid_t root = H5Gopen2(r->file.id, "/", H5P_DEFAULT);
  if (root < 0) return mote_hdf5_fail(MOTE_ERROR_FORMAT, "%s: it has no root group", r->path);
  mote_status status = MOTE_OK;
  name_list names = {0};
  if (H5Lexists(root, "position", H5P_DEFAULT) > 0)
    status = add_trajectory(r, root, "/");
  else
    status = list_names(r->path, root, MOST_TRAJECTORIES, &names);
  for (size_t k = 0; k < names.count && status == MOTE_OK; k++) status = scan_group(r, root, names.names[k]);
  free_names(&names);
  H5Gclose(root);
  H5Eclear2(H5E_DEFAULT);
  if (status == MOTE_OK && r->count == 0)
    return mote_fail(
        MOTE_ERROR_FORMAT,
        "%s holds no trajectory: expected groups (00000, ...) with a data set `position` of shape "
        "(T, n, dim)",
        r->path);
  return status;
}

void mote_trajectory_forget(mote_trajectory_reader *r) {
  for (int k = 0; k < r->count; k++) {
    free(r->found[k].name);
    free(r->found[k].fields);
  }
  free(r->found);
  r->found = NULL;
  r->count = 0;
}
