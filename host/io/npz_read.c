/* Reading NPZ data sets: see npz.h. The trick: whatever the nesting (an array of two objects, an array of
   tuples, a 2-D array), a trajectory comes down to two or three values, which `entry` finds. */
#include "host/io/npz.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/io/npy.h"

/* One member in memory: plain numbers, or a pickle with its root. */
typedef struct content {
  unsigned char *bytes;
  size_t size;
  mote_npy npy;
  mote_pickle *pickle;
  const mote_value *root;
} content;

struct mote_npz {
  mote_zip zip;
  int count;
  char **names;   /* of the trajectories */
  int *members;   /* where they lie */
  int collection; /* all of them in one member, kept in memory */
  content data;
};

static void release(content *c) {
  mote_pickle_free(c->pickle);
  free(c->bytes);
  *c = (content){0};
}

static mote_status load(const mote_npz *npz, int member, content *c) {
  char name[600];
  *c = (content){0};
  snprintf(name, sizeof name, "%s: %.200s", npz->zip.path, npz->zip.members[member].name);
  MOTE_TRY(mote_zip_read(&npz->zip, member, &c->bytes, &c->size));
  mote_status status = mote_npy_parse(name, c->bytes, c->size, &c->npy);
  if (status == MOTE_OK && c->npy.element.kind == 'O')
    status = mote_pickle_read(&mote_pickle_numpy, name, c->bytes + c->npy.data, c->size - c->npy.data,
                              &c->pickle, &c->root);
  if (status != MOTE_OK) release(c);
  return status;
}

/* ---- Finding a trajectory's values ---- */

typedef struct entry {
  const mote_value *position, *type, *property;
} entry;

static int is_sequence(const mote_value *v) {
  return v->kind == MOTE_PICKLE_TUPLE || v->kind == MOTE_PICKLE_LIST ||
         (v->kind == MOTE_PICKLE_ARRAY && v->element.kind == 'O' && v->rank == 1);
}

static int from_items(mote_value *const *items, size_t count, entry *e) {
  if (count != 2 && count != 3) return 0;
  *e = (entry){items[0], items[1], count == 3 ? items[2] : NULL};
  return 1;
}

/* Trajectory `index` of a member's root; a member of its own holds one. */
static int find_entry(const mote_npz *npz, const mote_value *root, int index, entry *e) {
  if (!npz->collection) return is_sequence(root) && from_items(root->items, root->size, e);
  if (root->kind != MOTE_PICKLE_ARRAY || root->element.kind != 'O' || root->rank < 1) return 0;
  if (root->rank == 2) {
    size_t width = (size_t)root->shape[1];
    mote_value *columns[3];
    if (width != 2 && width != 3) return 0;
    for (size_t k = 0; k < width; k++)
      columns[k] = root->fortran ? root->items[k * (size_t)root->shape[0] + (size_t)index]
                                 : root->items[(size_t)index * width + k];
    return from_items(columns, width, e);
  }
  const mote_value *item = root->rank == 1 ? root->items[index] : NULL;
  return item && is_sequence(item) && from_items(item->items, item->size, e);
}

/* ---- Opening ---- */

static int strip(const char *name) {
  size_t length = strlen(name);
  return length > 4 && strcmp(name + length - 4, ".npy") == 0 ? (int)length - 4 : (int)length;
}

static mote_status list_collection(mote_npz *npz, int member) {
  MOTE_TRY(load(npz, member, &npz->data));
  const mote_value *root = npz->data.root;
  npz->collection = 1;
  if (!root || root->kind != MOTE_PICKLE_ARRAY || root->rank < 1 || root->shape[0] > 1000000)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: gns_data is no array of trajectories", npz->zip.path);
  npz->count = (int)root->shape[0];
  npz->names = calloc((size_t)npz->count + 1, sizeof *npz->names);
  for (int k = 0; npz->names && k < npz->count; k++)
    if (asprintf(&npz->names[k], "%05d", k) < 0) npz->names[k] = NULL;
  return npz->names ? MOTE_OK : mote_fail(MOTE_ERROR_MEMORY, "out of memory to open %s", npz->zip.path);
}

static mote_status list(mote_npz *npz) {
  int total = npz->zip.count;
  for (int k = 0; k < total; k++)
    if (strcmp(npz->zip.members[k].name, "gns_data.npy") == 0) return list_collection(npz, k);
  npz->names = calloc((size_t)total + 1, sizeof *npz->names);
  npz->members = calloc((size_t)total + 1, sizeof *npz->members);
  if (!npz->names || !npz->members)
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory to open %s", npz->zip.path);
  for (int k = 0; k < total; k++) {
    const char *name = npz->zip.members[k].name;
    npz->members[npz->count] = k;
    npz->names[npz->count] = strndup(name, (size_t)strip(name));
    if (!npz->names[npz->count++])
      return mote_fail(MOTE_ERROR_MEMORY, "out of memory to open %s", npz->zip.path);
  }
  return MOTE_OK;
}

mote_status mote_npz_open(const char *path, mote_npz **npz) {
  *npz = NULL;
  mote_npz *n = calloc(1, sizeof *n);
  if (!n) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to open %s", path);
  mote_status status = mote_zip_open(path, &n->zip);
  if (status == MOTE_OK) status = list(n);
  if (status == MOTE_OK && n->count == 0)
    status = mote_fail(MOTE_ERROR_FORMAT, "%s holds no trajectory", path);
  if (status != MOTE_OK) {
    mote_npz_close(n);
    return status;
  }
  *npz = n;
  return MOTE_OK;
}

void mote_npz_close(mote_npz *n) {
  if (!n) return;
  for (int k = 0; n->names && k < n->count; k++) free(n->names[k]);
  free(n->names);
  free(n->members);
  release(&n->data);
  mote_zip_close(&n->zip);
  free(n);
}

int mote_npz_count(const mote_npz *n) {
  return n->count;
}

const char *mote_npz_name(const mote_npz *n, int index) {
  return index >= 0 && index < n->count ? n->names[index] : NULL;
}

/* ---- Values ---- */

/* A numeric array, pickled or plain. */
typedef struct numbers {
  mote_element element;
  const unsigned char *bytes;
  int rank, fortran;
  const int64_t *shape;
} numbers;

static mote_status bad(const mote_npz *npz, int index, const char *why) {
  return mote_fail(MOTE_ERROR_FORMAT, "%s: trajectory %s: %s", npz->zip.path, npz->names[index], why);
}

static mote_status read_position(const mote_npz *npz, int index, numbers a, mote_npz_trajectory *t) {
  if (a.rank != 3 || a.element.kind != 'f' || a.shape[0] < 1 || a.shape[1] < 1 || a.shape[1] > INT32_MAX ||
      (a.shape[2] != 2 && a.shape[2] != 3))
    return bad(npz, index, "expected floats of shape (T, n, 2) or (T, n, 3) as its positions");
  t->info = (mote_trajectory_info){a.shape[0], a.shape[1], (int)a.shape[2]};
  int64_t frames = t->info.frames, n = t->info.particles, dim = t->info.dim, count = frames * n * dim;
  t->position = malloc((size_t)count * sizeof *t->position);
  if (!t->position) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld positions", (long long)count);
  for (int64_t k = 0; k < count; k++) {
    int64_t at = k;
    if (a.fortran) at = k / (n * dim) + frames * (k / dim % n + n * (k % dim));
    double value = mote_element_get(a.element, a.bytes, (size_t)at);
    if (!isfinite((float)value))
      return mote_fail(MOTE_ERROR_NUMERIC, "%s: trajectory %s: frame %lld, particle %lld is not finite",
                       npz->zip.path, npz->names[index], (long long)(k / (n * dim)),
                       (long long)(k / dim % n));
    t->position[k] = (float)value;
  }
  return MOTE_OK;
}

/* (n) integers, or one for all: an integer, or an array of one element. */
static mote_status read_type(const mote_npz *npz, int index, const mote_value *v, mote_npz_trajectory *t) {
  int64_t n = t->info.particles,
          count = v->kind == MOTE_PICKLE_ARRAY ? mote_shape_count(v->rank, v->shape) : 1;
  int is_array = v->kind == MOTE_PICKLE_ARRAY && v->element.kind != 'O' && v->bytes;
  t->particle_type = malloc((size_t)n * sizeof *t->particle_type);
  if (!t->particle_type)
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld particles", (long long)n);
  if ((!is_array && v->kind != MOTE_PICKLE_INT) || (count != n && count != 1))
    return bad(npz, index, "expected an integer a particle, or one for all, as its particle types");
  for (int64_t i = 0; i < n; i++) {
    double value =
        is_array ? mote_element_get(v->element, v->bytes, count == 1 ? 0 : (size_t)i) : (double)v->integer;
    if (!(value >= INT32_MIN && value <= INT32_MAX) || value != floor(value))
      return bad(npz, index, "a particle type is no integer");
    t->particle_type[i] = (int32_t)value;
  }
  return MOTE_OK;
}

static mote_status read_content(const mote_npz *npz, int index, const content *c, mote_npz_trajectory *t) {
  if (!c->root) {
    MOTE_TRY(read_position(
        npz, index,
        (numbers){c->npy.element, c->bytes + c->npy.data, c->npy.rank, c->npy.fortran, c->npy.shape}, t));
    t->particle_type = calloc((size_t)t->info.particles, sizeof *t->particle_type);
    return t->particle_type ? MOTE_OK : mote_fail(MOTE_ERROR_MEMORY, "out of memory");
  }
  entry e;
  if (!find_entry(npz, c->root, index, &e)) return bad(npz, index, "expected (positions, particle_type)");
  const mote_value *p = e.position;
  if (p->kind != MOTE_PICKLE_ARRAY || p->rank < 0 || !p->bytes)
    return bad(npz, index, "its positions are no array");
  t->has_property = e.property != NULL;
  MOTE_TRY(read_position(npz, index, (numbers){p->element, p->bytes, p->rank, p->fortran, p->shape}, t));
  return read_type(npz, index, e.type, t);
}

mote_status mote_npz_read(const mote_npz *npz, int index, mote_npz_trajectory *t) {
  *t = (mote_npz_trajectory){0};
  if (index < 0 || index >= npz->count)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s has no trajectory %d; it has %d", npz->zip.path, index,
                     npz->count);
  mote_status status;
  if (npz->collection) {
    status = read_content(npz, index, &npz->data, t);
  } else {
    content c;
    MOTE_TRY(load(npz, npz->members[index], &c));
    status = read_content(npz, index, &c, t);
    release(&c);
  }
  if (status != MOTE_OK) mote_npz_release(t);
  return status;
}

void mote_npz_release(mote_npz_trajectory *t) {
  free(t->position);
  free(t->particle_type);
  *t = (mote_npz_trajectory){0};
}
