/* A frame of an HDF5 trajectory as starting particles. Every data set's type and shape is held against that
   of `position` before a byte is read. */
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/scene/body.h"
#include "host/scene/read.h"

typedef struct state_reader {
  const mote_body *body;
  const char *path;
  hid_t group;
  int64_t count, frames, frame;
  int dim;
} state_reader;

static mote_status wrong(const state_reader *r, const char *field, const char *what) {
  return mote_fail(MOTE_ERROR_FORMAT, "%s: '%s': %s", r->path, field, what);
}

static int has(const state_reader *r, const char *field) {
  return H5Lexists(r->group, field, H5P_DEFAULT) > 0 && H5Oexists_by_name(r->group, field, H5P_DEFAULT) > 0;
}

/* The dimensions of an open data set of numbers; -1 where it is none. */
static int shape_of(hid_t set, hsize_t shape[4]) {
  hid_t type = H5Dget_type(set), space = H5Dget_space(set);
  H5T_class_t class = type >= 0 ? H5Tget_class(type) : H5T_NO_CLASS;
  int rank =
      space >= 0 && H5Sget_simple_extent_type(space) == H5S_SIMPLE ? H5Sget_simple_extent_ndims(space) : -1;
  if ((class != H5T_FLOAT && class != H5T_INTEGER) || rank < 1 || rank > 4 ||
      H5Sget_simple_extent_dims(space, shape, NULL) < 0)
    rank = -1;
  if (type >= 0) H5Tclose(type);
  if (space >= 0) H5Sclose(space);
  return rank;
}

/* Reads rows of `width` values: a data set (n, ...) as it is, or the frame of one (T, n, ...). */
static mote_status read_set(const state_reader *r, hid_t set, const char *field, int width, hid_t memory_type,
                            void *values) {
  hsize_t shape[4], start[4] = {0}, count[4];
  int rank = shape_of(set, shape);
  hsize_t inner = 1, rows = (hsize_t)r->count;
  if (rank < 0) return wrong(r, field, "expected an array of numbers of 1 to 4 dimensions");
  int by_frame = rank >= 2 && shape[0] == (hsize_t)r->frames && shape[1] == rows;
  if (!by_frame && shape[0] != rows) return wrong(r, field, "expected a row a particle");
  for (int d = by_frame ? 2 : 1; d < rank; d++) inner *= shape[d] < 10 ? shape[d] : 10;
  if (inner != (hsize_t)width) return wrong(r, field, "a row has the wrong number of values");
  memcpy(count, shape, sizeof count);
  if (by_frame) {
    start[0] = (hsize_t)r->frame;
    count[0] = 1;
  }
  hsize_t total = rows * inner;
  hid_t from = H5Dget_space(set), to = H5Screate_simple(1, &total, NULL);
  int good = from >= 0 && to >= 0 &&
             H5Sselect_hyperslab(from, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
             H5Dread(set, memory_type, to, from, H5P_DEFAULT, values) >= 0;
  if (from >= 0) H5Sclose(from);
  if (to >= 0) H5Sclose(to);
  return good ? MOTE_OK : wrong(r, field, "cannot be read: is the file damaged?");
}

static mote_status read_field(const state_reader *r, const char *field, int width, hid_t memory_type,
                              void *values) {
  if (!has(r, field)) return MOTE_OK;
  hid_t set = H5Dopen2(r->group, field, H5P_DEFAULT);
  if (set < 0) return wrong(r, field, "is no data set");
  mote_status status = read_set(r, set, field, width, memory_type, values);
  H5Dclose(set);
  return status;
}

/* ---- size ---- */

static mote_status measure(state_reader *r, int64_t frame) {
  hsize_t shape[4];
  if (!has(r, "position")) return wrong(r, "position", "is not there: not a trajectory");
  hid_t set = H5Dopen2(r->group, "position", H5P_DEFAULT);
  int rank = set >= 0 ? shape_of(set, shape) : -1;
  if (set >= 0) H5Dclose(set);
  if (rank != 3) return wrong(r, "position", "expected the shape (frames, particles, dim)");
  if (shape[2] != (hsize_t)r->dim) return wrong(r, "position", "is of another dimension than the scene");
  if (shape[0] < 1 || shape[0] > INT32_MAX || shape[1] < 1)
    return wrong(r, "position", "has no frames or no particles");
  if (shape[1] > (hsize_t)r->body->fill.limit)
    return wrong(r, "position", "has more particles than the limit");
  r->frames = (int64_t)shape[0];
  r->count = (int64_t)shape[1];
  r->frame = frame < 0 ? r->frames + frame : frame;
  if (r->frame >= 0 && r->frame < r->frames) return MOTE_OK;
  return mote_fail(MOTE_ERROR_ARGUMENT, "%s: frame %lld of %lld: -1 is the last one", r->path,
                   (long long)frame, (long long)r->frames);
}

/* ---- particles ---- */

static mote_status set_materials(const state_reader *r, mote_particles *p) {
  const mote_scene *scene = r->body->scene;
  MOTE_TRY(read_field(r, "material", 1, H5T_NATIVE_INT32, p->material));
  if (r->body->material < 0 && !has(r, "material"))
    return wrong(r, "material", "is not there: give the body a 'material'");
  for (int64_t i = 0; i < p->count; i++) {
    if (r->body->material >= 0) p->material[i] = r->body->material;
    if (p->material[i] < 0 || p->material[i] >= scene->material_count)
      return mote_fail(MOTE_ERROR_FORMAT, "%s: particle %lld: material %d, but the scene has %d", r->path,
                       (long long)i, p->material[i], scene->material_count);
    p->density[i] = scene->materials[p->material[i]].density;
    p->particle_type[i] = mote_particle_type(scene->materials[p->material[i]].kind);
    p->volume[i] = (float)pow(r->body->fill.spacing, r->dim);
  }
  return MOTE_OK;
}

static void move(const mote_body *body, mote_particles *p) {
  for (int64_t i = 0; i < p->count * p->dim; i++) p->position[i] += (float)body->position[i % p->dim];
}

static mote_status read_particles(const state_reader *r, mote_particles *p) {
  int n = r->dim;
  MOTE_TRY(mote_particles_create(r->count, n, p));
  MOTE_TRY(set_materials(r, p));
  MOTE_TRY(read_field(r, "position", n, H5T_NATIVE_FLOAT, p->position));
  MOTE_TRY(read_field(r, "velocity", n, H5T_NATIVE_FLOAT, p->velocity));
  MOTE_TRY(read_field(r, "deformation_gradient", n * n, H5T_NATIVE_FLOAT, p->deformation_gradient));
  MOTE_TRY(read_field(r, "affine_velocity", n * n, H5T_NATIVE_FLOAT, p->affine_velocity));
  MOTE_TRY(read_field(r, "history", 1, H5T_NATIVE_FLOAT, p->history));
  MOTE_TRY(read_field(r, "volume", 1, H5T_NATIVE_FLOAT, p->volume));
  MOTE_TRY(read_field(r, "density", 1, H5T_NATIVE_FLOAT, p->density));
  move(r->body, p);
  return MOTE_OK;
}

static mote_status read_group(state_reader *r, hid_t file, const char *trajectory, int64_t frame,
                              mote_particles *p) {
  if (H5Lexists(file, trajectory, H5P_DEFAULT) <= 0 ||
      (r->group = H5Gopen2(file, trajectory, H5P_DEFAULT)) < 0)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: no trajectory '%s'", r->path, trajectory);
  mote_status status = measure(r, frame);
  if (status == MOTE_OK) status = read_particles(r, p);
  if (status != MOTE_OK) mote_particles_destroy(p);
  H5Gclose(r->group);
  return status;
}

static mote_status read_file(state_reader *r, const char *trajectory, int64_t frame, mote_particles *p) {
  FILE *probe = fopen(r->path, "rb"); /* HDF5 does not say why it cannot open a file */
  if (!probe) return mote_fail(MOTE_ERROR_IO, "%s: cannot be opened", r->path);
  fclose(probe);
  H5E_auto2_t report;
  void *report_data;
  H5Eget_auto2(H5E_DEFAULT, &report, &report_data);
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* it prints otherwise */
  hid_t file = H5Fopen(r->path, H5F_ACC_RDONLY, H5P_DEFAULT);
  mote_status status = file < 0
                           ? mote_fail(MOTE_ERROR_FORMAT, "%s: is no HDF5 file, or a damaged one", r->path)
                           : read_group(r, file, trajectory, frame, p);
  if (file >= 0) H5Fclose(file);
  H5Eset_auto2(H5E_DEFAULT, report, report_data);
  return status;
}

mote_status mote_body_from_state(const mote_body *body, mote_particles *particles) {
  static const char *const keys[] = {"file", "trajectory", "frame", NULL};
  static const char *const unused[] = {"placement", "count", "rotation", "scale"};
  mote_map map;
  char trajectory[64] = "00000";
  int64_t frame = -1;
  char *path;
  MOTE_TRY(mote_map_open_child(&body->map, "state", keys, &map));
  for (int k = 0; k < 4; k++)
    if (mote_map_find(&body->map, unused[k]))
      return mote_node_fail(map.document, body->map.node, "%s: '%s' has no meaning for a state",
                            body->map.title, unused[k]);
  MOTE_TRY(mote_map_text(&map, "trajectory", trajectory, sizeof trajectory));
  MOTE_TRY(mote_map_integer(&map, "frame", -1000000000, 1000000000, &frame));
  MOTE_TRY(mote_body_path(body, &map, &path));
  state_reader reader = {.body = body, .path = path, .dim = body->scene->dim};
  mote_status status = read_file(&reader, trajectory, frame, particles);
  free(path);
  return status == MOTE_OK ? status : mote_node_fail_at(map.document, map.node, status);
}
