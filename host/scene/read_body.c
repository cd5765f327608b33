/* Bodies of a scene file: their common keys, and how points become particles. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/scene/body.h"
#include "host/scene/read.h"
#include "host/scene/shape.h"

/* ---- primitives ---- */

static mote_status measure(const mote_map *map, const char *key, double *value) {
  const yaml_node_t *node;
  MOTE_TRY(mote_map_require(map, key, &node));
  return mote_map_positive(map, key, value);
}

static mote_status measures(const mote_map *map, const char *key, int dim, double values[3]) {
  const yaml_node_t *node;
  MOTE_TRY(mote_map_require(map, key, &node));
  MOTE_TRY(mote_map_vector(map, key, dim, values));
  for (int d = 0; d < dim; d++)
    if (!(values[d] > 1e-30))
      return mote_node_fail(map->document, node, "'%s' of %s: expected numbers above 0", key, map->title);
  return MOTE_OK;
}

static mote_status read_measures(const mote_map *map, mote_shape *shape) {
  switch (shape->kind) {
  case MOTE_SHAPE_BOX: return measures(map, "size", shape->dim, shape->size);
  case MOTE_SHAPE_ELLIPSOID: return measures(map, "radii", shape->dim, shape->size);
  case MOTE_SHAPE_CAPSULE: MOTE_TRY(measure(map, "length", &shape->height)); break;
  case MOTE_SHAPE_TORUS:
    MOTE_TRY(measure(map, "radius", &shape->radius));
    MOTE_TRY(measure(map, "tube_radius", &shape->tube_radius));
    if (shape->tube_radius <= shape->radius) return MOTE_OK;
    return mote_node_fail(map->document, map->node, "%s: its tube_radius must be at most its radius",
                          map->title);
  case MOTE_SHAPE_CYLINDER:
    if (shape->dim == 2) break; /* a disc */
    MOTE_TRY(measure(map, "height", &shape->height));
    break;
  case MOTE_SHAPE_CONE: MOTE_TRY(measure(map, "height", &shape->height)); break;
  default: break;
  }
  return measure(map, "radius", &shape->radius);
}

mote_status mote_body_from_shape(const mote_body *body, mote_body_points *made) {
  static const char *const any[] = {"kind",   "size",        "radius", "height",
                                    "length", "tube_radius", "radii",  NULL};
  static const char *const keys[MOTE_SHAPE_KINDS][4] = {{"kind", "size"},
                                                        {"kind", "radius"},
                                                        {"kind", "radius", "height"},
                                                        {"kind", "radius", "length"},
                                                        {"kind", "radius", "tube_radius"},
                                                        {"kind", "radius", "height"},
                                                        {"kind", "radii"}};
  mote_map map;
  const yaml_node_t *node;
  int kind = 0;
  MOTE_TRY(mote_map_open_child(&body->map, "shape", any, &map));
  MOTE_TRY(mote_map_require(&map, "kind", &node));
  MOTE_TRY(mote_node_choice(&map, node, "kind", mote_shape_names, &kind));
  MOTE_TRY(mote_map_open_child(&body->map, "shape", keys[kind], &map));
  mote_shape shape = {.kind = (mote_shape_kind)kind, .dim = body->scene->dim};
  memcpy(shape.scale, body->scale, sizeof shape.scale);
  MOTE_TRY(read_measures(&map, &shape));
  mote_region region = mote_shape_region(&shape);
  mote_status status = mote_fill_region(&region, &body->fill, &made->points);
  if (status != MOTE_OK) return mote_node_fail_at(map.document, map.node, status);
  made->volume = region.volume / (double)made->points.count;
  return MOTE_OK;
}

/* ---- keys that all bodies have ---- */

static mote_status read_material_name(mote_body *body) {
  const mote_scene *scene = body->scene;
  const yaml_node_t *node = mote_map_find(&body->map, "material");
  body->material = -1;
  if (!node) {
    if (mote_map_find(&body->map, "state")) return MOTE_OK;
    return mote_map_require(&body->map, "material", &node);
  }
  const char *names[257] = {NULL};
  for (int i = 0; i < scene->material_count; i++) names[i] = scene->materials[i].name;
  return mote_node_choice(&body->map, node, "material", names, &body->material);
}

static mote_status read_scale(mote_body *body) {
  const yaml_node_t *node = mote_map_find(&body->map, "scale");
  for (int d = 0; d < 3; d++) body->scale[d] = 1;
  if (!node) return MOTE_OK;
  if (node->type != YAML_SEQUENCE_NODE) {
    MOTE_TRY(mote_map_real(&body->map, "scale", 1e-9, 1e9, &body->scale[0]));
    body->scale[1] = body->scale[2] = body->scale[0];
    return MOTE_OK;
  }
  return measures(&body->map, "scale", body->scene->dim, body->scale);
}

static mote_status read_fill(mote_body *body) {
  static const char *const placements[] = {"lattice", "jittered", "poisson", NULL};
  const mote_map *map = &body->map;
  mote_fill *fill = &body->fill;
  int placement = MOTE_LATTICE;
  *fill = (mote_fill){.spacing = body->scene->grid_spacing / 2.0, .jitter = 0.5, .seed = body->source->seed};
  fill->stream = (uint64_t)body->index;
  fill->limit = body->source->particle_limit - body->scene->particles.count;
  MOTE_TRY(mote_map_choice(map, "placement", placements, &placement));
  MOTE_TRY(mote_map_positive(map, "spacing", &fill->spacing));
  MOTE_TRY(mote_map_integer(map, "count", 1, 2147483647, &fill->count));
  MOTE_TRY(mote_map_real(map, "jitter", 0, 1, &fill->jitter));
  fill->placement = (mote_placement)placement;
  if (fill->count && mote_map_find(map, "spacing") && !mote_map_find(map, "points"))
    return mote_node_fail(map->document, map->node, "%s: 'spacing' or 'count', not both", map->title);
  if (mote_map_find(map, "jitter") && fill->placement != MOTE_JITTERED)
    return mote_node_fail(map->document, map->node, "%s: 'jitter' needs placement: jittered", map->title);
  return MOTE_OK;
}

static mote_status read_common(mote_body *body) {
  int dim = body->scene->dim;
  char name[64];
  MOTE_TRY(mote_map_text(&body->map, "name", name, sizeof name));
  MOTE_TRY(read_material_name(body));
  MOTE_TRY(read_scale(body));
  MOTE_TRY(read_fill(body));
  MOTE_TRY(mote_read_vector(&body->map, "position", dim, body->position));
  MOTE_TRY(mote_read_rotation(&body->map, dim, body->rotation));
  MOTE_TRY(mote_read_vector(&body->map, "velocity", dim, body->velocity));
  return mote_read_spin(&body->map, dim, body->angular_velocity);
}

/* ---- particles ---- */

int mote_particle_type(mote_material_kind kind) {
  switch (kind) {
  case MOTE_FIXED_COROTATED:
  case MOTE_NEO_HOOKEAN: return MOTE_TYPE_ELASTIC;
  case MOTE_DRUCKER_PRAGER: return MOTE_TYPE_SAND;
  case MOTE_VON_MISES: return MOTE_TYPE_PLASTIC;
  default: return MOTE_TYPE_FLUID;
  }
}

static mote_status make_particles(const mote_body *body, const mote_body_points *made, mote_particles *p) {
  int dim = body->scene->dim;
  const mote_material *material = &body->scene->materials[body->material];
  MOTE_TRY(mote_particles_create(made->points.count, dim, p));
  for (int64_t i = 0; i < p->count; i++) {
    double x[3];
    mote_rotate(body->rotation, made->points.position + 3 * i, x);
    for (int d = 0; d < dim; d++) p->position[i * dim + d] = (float)(x[d] + body->position[d]);
    p->volume[i] = (float)made->volume;
    p->density[i] = material->density;
    p->material[i] = body->material;
    p->particle_type[i] = mote_particle_type(material->kind);
  }
  return MOTE_OK;
}

/* Adds v + w x (x - centre) about the centre of mass, so that the spin adds no linear momentum; the affine
   velocity is its gradient. */
static void set_motion(const mote_body *body, mote_particles *p) {
  int dim = p->dim;
  double mass = 0, centre[3] = {0};
  const double *w = body->angular_velocity;
  for (int64_t i = 0; i < p->count; i++) {
    double m = (double)p->density[i] * p->volume[i];
    mass += m;
    for (int d = 0; d < dim; d++) centre[d] += m * p->position[i * dim + d];
  }
  const double spin[3][3] = {{0, -w[2], w[1]}, {w[2], 0, -w[0]}, {-w[1], w[0], 0}};
  for (int64_t i = 0; i < p->count; i++) {
    p->body[i] = body->index;
    for (int a = 0; a < dim; a++) {
      double v = body->velocity[a];
      for (int b = 0; b < dim; b++) {
        v += spin[a][b] * (p->position[i * dim + b] - centre[b] / mass);
        p->affine_velocity[(i * dim + a) * dim + b] += (float)spin[a][b];
      }
      p->velocity[i * dim + a] += (float)v;
    }
  }
}

void mote_scene_interior(const mote_scene *s, int axis, double *low, double *high) {
  double thick = (double)s->boundary_cells * s->grid_spacing;
  *low = s->lower[axis] + thick;
  *high = s->lower[axis] + (double)s->cells[axis] * s->grid_spacing - thick;
}

/* Matter that starts inside a wall would be pushed by the wall's nodes from the first step on: refused. */
static mote_status check_walls(const mote_document *document, const yaml_node_t *node, int index,
                               const mote_scene *s, const mote_particles *p) {
  for (int d = 0; d < s->dim; d++) {
    double low, high, slack = 1e-3 * s->grid_spacing;
    mote_scene_interior(s, d, &low, &high);
    float least = INFINITY, most = -INFINITY;
    for (int64_t i = 0; i < p->count; i++) {
      least = fminf(least, p->position[i * s->dim + d]);
      most = fmaxf(most, p->position[i * s->dim + d]);
    }
    if (least < low - slack || most > high + slack)
      return mote_node_fail(
          document, node,
          "%s reaches from %c = %g to %g m, beyond the walls at %g and %g m (%d cells inside the "
          "domain): move it, or make the domain larger",
          mote_item_title(document, node, "body", index).text, "xyz"[d], least, most, low, high,
          s -> boundary_cells);
  }
  return MOTE_OK;
}

static mote_status read_body_particles(mote_body *body, mote_particles *p) {
  static const char *const kinds[] = {"shape", "mesh", "points", "state"};
  int given = 0;
  for (int k = 0; k < 4; k++) given += mote_map_find(&body->map, kinds[k]) != NULL;
  if (given != 1)
    return mote_node_fail(body->map.document, body->map.node,
                          "%s: expected exactly one of 'shape', 'mesh', 'points' and 'state'",
                          body->map.title);
  MOTE_TRY(read_common(body));
  if (mote_map_find(&body->map, "state")) {
    MOTE_TRY(mote_body_from_state(body, p));
    set_motion(body, p);
    return MOTE_OK;
  }
  mote_body_points made = {0};
  mote_status status = mote_map_find(&body->map, "shape")  ? mote_body_from_shape(body, &made)
                       : mote_map_find(&body->map, "mesh") ? mote_body_from_mesh(body, &made)
                                                           : mote_body_from_cloud(body, &made);
  if (status == MOTE_OK) status = make_particles(body, &made, p);
  mote_points_free(&made.points);
  if (status == MOTE_OK) set_motion(body, p);
  return status;
}

const char *const mote_body_keys[] = {
    "name",  "material", "shape",   "mesh",      "points", "state",    "position",         "rotation",
    "scale", "count",    "spacing", "placement", "jitter", "velocity", "angular_velocity", NULL};

mote_status mote_read_body(const mote_document *document, const yaml_node_t *node, int index,
                           const mote_scene_source *source, const mote_scene *scene,
                           mote_particles *particles) {
  mote_title title = mote_item_title(document, node, "body", index);
  mote_body body = {.source = source, .scene = scene, .index = index};
  *particles = (mote_particles){0};
  MOTE_TRY(mote_map_open(document, node, mote_body_keys, &body.map, "%s", title.text));
  mote_status status = read_body_particles(&body, particles);
  if (status != MOTE_OK) mote_particles_destroy(particles);
  return status;
}

mote_status mote_read_bodies(const mote_map *root, const mote_scene_source *source, mote_scene *scene) {
  const yaml_node_t *list;
  int count;
  MOTE_TRY(mote_list_open(root, "bodies", 1000, &list, &count));
  for (int i = 0; i < count; i++) {
    const yaml_node_t *node = mote_list_item(root->document, list, i);
    mote_particles particles;
    MOTE_TRY(mote_read_body(root->document, node, i, source, scene, &particles));
    /* A state is taken as it is. */
    mote_map map = {.document = root->document, .node = node};
    mote_status status = MOTE_OK;
    if (!mote_map_find(&map, "state")) status = check_walls(root->document, node, i, scene, &particles);
    if (status == MOTE_OK) status = mote_particles_append(&scene->particles, &particles);
    mote_particles_destroy(&particles);
    MOTE_TRY(status);
  }
  return MOTE_OK;
}

mote_status mote_body_path(const mote_body *body, const mote_map *map, char **path) {
  const yaml_node_t *node;
  char file[1024];
  MOTE_TRY(mote_map_require(map, "file", &node));
  MOTE_TRY(mote_map_text(map, "file", file, sizeof file));
  if (!body->source->folder)
    return mote_node_fail(map->document, node, "%s: this scene may not name files: it has no folder",
                          map->title);
  if (asprintf(path, "%s%s", file[0] == '/' ? "" : body->source->folder, file) >= 0) return MOTE_OK;
  *path = NULL;
  return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a path");
}
