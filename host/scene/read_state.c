/* A frame of a trajectory as starting particles: the file's state, with the scene's materials. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <mote/trajectory.h>

#include "host/core/error.h"
#include "host/scene/body.h"

/* What has to be known before the particles are read. */
typedef struct contents {
  int has_material, has_density, has_type;
} contents;

static int has_constant(const mote_trajectory_reader *reader, int index, const char *name) {
  if (mote_trajectory_field_width(reader, index, name) > 0) return 1;
  const char *constant;
  for (int k = 0; (constant = mote_trajectory_constant_name(reader, index, k)) != NULL; k++)
    if (!strcmp(constant, name)) return 1;
  return 0;
}

static mote_status check_file(const mote_body *body, const mote_trajectory_reader *reader, const char *path,
                              int index, contents *has) {
  mote_trajectory_info info;
  if (index >= mote_trajectory_count(reader))
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s: trajectory %d of %d: they count from 0", path, index,
                     mote_trajectory_count(reader));
  MOTE_TRY(mote_trajectory_get_info(reader, index, &info));
  if (info.dim != body->scene->dim)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: a %d-D state in a %d-D scene", path, info.dim, body->scene->dim);
  if (info.particles < 1 || info.particles > body->fill.limit)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: %lld particles: expected 1 to %lld", path,
                     (long long)info.particles, (long long)body->fill.limit);
  has->has_material = mote_trajectory_has_labels(reader, index, "material");
  has->has_type = mote_trajectory_has_labels(reader, index, "particle_type");
  has->has_density = has_constant(reader, index, "density");
  if (has->has_material || body->material >= 0) return MOTE_OK;
  return mote_fail(MOTE_ERROR_FORMAT, "%s: it tells no materials: give the body a 'material'", path);
}

/* The body's material, or the file's, which counts in the order of the scene's. */
static mote_status complete(const mote_body *body, const contents *has, const char *path, mote_particles *p) {
  const mote_scene *scene = body->scene;
  float volume = (float)pow(body->fill.spacing, p->dim);
  for (int64_t i = 0; i < p->count; i++) {
    if (body->material >= 0) p->material[i] = body->material;
    if (p->material[i] < 0 || p->material[i] >= scene->material_count)
      return mote_fail(MOTE_ERROR_FORMAT, "%s: particle %lld: material %d, but the scene has %d", path,
                       (long long)i, p->material[i], scene->material_count);
    const mote_material *material = &scene->materials[p->material[i]];
    if (!has->has_density || body->material >= 0) p->density[i] = material->density;
    if (!has->has_type || body->material >= 0) p->particle_type[i] = mote_particle_type(material->kind);
    if (!(p->volume[i] > 0)) p->volume[i] = volume;
    for (int d = 0; d < p->dim; d++) p->position[i * p->dim + d] += (float)body->position[d];
  }
  return MOTE_OK;
}

static mote_status read_state(const mote_body *body, const char *path, int index, int64_t frame,
                              mote_particles *particles) {
  mote_trajectory_reader *reader;
  contents has = {0};
  MOTE_TRY(mote_trajectory_open(path, &reader));
  mote_status status = check_file(body, reader, path, index, &has);
  mote_trajectory_close(reader);
  MOTE_TRY(status);
  MOTE_TRY(mote_state_read(path, index, frame, particles));
  status = complete(body, &has, path, particles);
  if (status != MOTE_OK) mote_particles_destroy(particles);
  return status;
}

mote_status mote_body_from_state(const mote_body *body, mote_particles *particles) {
  static const char *const keys[] = {"file", "trajectory", "frame", NULL};
  static const char *const unused[] = {"placement", "count", "rotation", "scale"};
  mote_map map;
  int64_t index = 0, frame = -1;
  char *path;
  MOTE_TRY(mote_map_open_child(&body->map, "state", keys, &map));
  for (int k = 0; k < 4; k++)
    if (mote_map_find(&body->map, unused[k]))
      return mote_node_fail(map.document, body->map.node, "%s: '%s' has no meaning for a state",
                            body->map.title, unused[k]);
  MOTE_TRY(mote_map_integer(&map, "trajectory", 0, 1000000000, &index));
  MOTE_TRY(mote_map_integer(&map, "frame", -1000000000, 1000000000, &frame));
  MOTE_TRY(mote_body_path(body, &map, &path));
  mote_status status = read_state(body, path, (int)index, frame, particles);
  free(path);
  return status == MOTE_OK ? status : mote_node_fail_at(map.document, map.node, status);
}
