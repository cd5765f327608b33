/* Bodies from meshes and point clouds. Both are put with the middle of their bounding box at the body's
   origin (unless recenter is false), brought to a size if one is given, then scaled, rotated and moved like
   any body. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <mote/mesh.h>
#include <mote/point_cloud.h>

#include "host/core/error.h"
#include "host/geometry/mesh_region.h"
#include "host/scene/body.h"

/* x -> (x - origin) * factor, an axis at a time. */
typedef struct fit {
  double origin[3];
  double factor[3];
} fit;

static mote_status read_fit(const mote_body *body, const mote_map *map, const double lower[3],
                            const double upper[3], fit *fit) {
  static const char *const names[] = {"false", "true", NULL};
  int recenter = 1;
  double size = 0, longest = 0;
  MOTE_TRY(mote_map_choice(map, "recenter", names, &recenter));
  MOTE_TRY(mote_map_positive(map, "size", &size));
  for (int d = 0; d < body->scene->dim; d++) longest = fmax(longest, upper[d] - lower[d]);
  if (size > 0 && !(longest > 0))
    return mote_node_fail(map->document, map->node, "%s: all of it lies at one place: it cannot get a size",
                          map->title);
  for (int d = 0; d < 3; d++) {
    fit->origin[d] = recenter ? (lower[d] + upper[d]) / 2 : 0;
    fit->factor[d] = body->scale[d] * (size > 0 ? size / longest : 1);
  }
  return MOTE_OK;
}

static void apply_fit(const fit *fit, float *x, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    for (int d = 0; d < 3; d++) x[3 * i + d] = (float)((x[3 * i + d] - fit->origin[d]) * fit->factor[d]);
}

/* ---- meshes ---- */

static mote_status fill_mesh(const mote_body *body, mote_mesh *mesh, mote_body_points *made) {
  MOTE_TRY(mote_mesh_orient(mesh));
  mote_mesh_region *inside;
  MOTE_TRY(mote_mesh_region_create(mesh, &inside));
  mote_region region = mote_mesh_region_view(inside);
  mote_status status = mote_fill_region(&region, &body->fill, &made->points);
  if (status == MOTE_OK) made->volume = region.volume / (double)made->points.count;
  mote_mesh_region_destroy(inside);
  return status;
}

mote_status mote_body_from_mesh(const mote_body *body, mote_body_points *made) {
  static const char *const keys[] = {"file", "size", "recenter", NULL};
  mote_map map;
  MOTE_TRY(mote_map_open_child(&body->map, "mesh", keys, &map));
  if (body->scene->dim != 3)
    return mote_node_fail(map.document, map.node, "%s: meshes need dim: 3", map.title);
  char *path;
  MOTE_TRY(mote_body_path(body, &map, &path));
  mote_mesh mesh;
  mote_status status = mote_mesh_load(path, &mesh);
  free(path);
  if (status != MOTE_OK) return mote_node_fail_at(map.document, map.node, status);
  double lower[3], upper[3];
  fit fit;
  mote_mesh_bounds(&mesh, lower, upper);
  status = read_fit(body, &map, lower, upper, &fit);
  if (status == MOTE_OK) {
    apply_fit(&fit, mesh.vertices, mesh.vertex_count);
    status = fill_mesh(body, &mesh, made);
    if (status != MOTE_OK) status = mote_node_fail_at(map.document, map.node, status);
  }
  mote_mesh_destroy(&mesh);
  return status;
}

/* ---- point clouds ---- */

/* Keeps the points that are opaque enough. */
static mote_status filter(const mote_map *map, mote_point_cloud *cloud) {
  double least = 0;
  MOTE_TRY(mote_map_real(map, "minimum_opacity", 0, 1, &least));
  if (least == 0) return MOTE_OK;
  if (!cloud->opacity)
    return mote_node_fail(map->document, map->node,
                          "%s: minimum_opacity, but the file has no property 'opacity'", map->title);
  int64_t kept = 0;
  for (int64_t i = 0; i < cloud->count; i++)
    if (cloud->opacity[i] >= least)
      memmove(cloud->position + 3 * kept++, cloud->position + 3 * i, 3 * sizeof(float));
  cloud->count = kept;
  return kept ? MOTE_OK
              : mote_node_fail(map->document, map->node, "%s: no point has an opacity of %g", map->title,
                               least);
}

static void bounds_of(const mote_point_cloud *cloud, double lower[3], double upper[3]) {
  for (int d = 0; d < 3; d++) {
    lower[d] = INFINITY, upper[d] = -INFINITY;
    for (int64_t i = 0; i < cloud->count; i++) {
      lower[d] = fmin(lower[d], cloud->position[3 * i + d]);
      upper[d] = fmax(upper[d], cloud->position[3 * i + d]);
    }
  }
}

/* `count` keeps so many of them at random; each stands for a cube of the spacing's side. */
static mote_status take_points(const mote_body *body, const mote_map *map, const mote_point_cloud *cloud,
                               mote_body_points *made) {
  int dim = body->scene->dim;
  const mote_fill *fill = &body->fill;
  int64_t wanted = fill->count ? fill->count : cloud->count;
  if (wanted > cloud->count)
    return mote_node_fail(map->document, map->node, "%s: a count of %lld, but there are %lld points",
                          map->title, (long long)wanted, (long long)cloud->count);
  if (wanted > fill->limit)
    return mote_node_fail(map->document, map->node, "%s: %lld points are more than the limit of %lld",
                          map->title, (long long)wanted, (long long)fill->limit);
  made->points.position = malloc((size_t)cloud->count * 3 * sizeof(double));
  if (!made->points.position)
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld points", (long long)cloud->count);
  made->points.count = cloud->count;
  for (int64_t i = 0; i < 3 * cloud->count; i++)
    made->points.position[i] = dim == 2 && i % 3 == 2 ? 0 : cloud->position[i];
  mote_points_thin(&made->points, wanted, fill->seed, fill->stream);
  made->volume = pow(fill->spacing, dim);
  return MOTE_OK;
}

mote_status mote_body_from_cloud(const mote_body *body, mote_body_points *made) {
  static const char *const keys[] = {"file", "size", "recenter", "minimum_opacity", NULL};
  mote_map map;
  MOTE_TRY(mote_map_open_child(&body->map, "points", keys, &map));
  if (mote_map_find(&body->map, "placement"))
    return mote_node_fail(map.document, body->map.node, "%s: points are placed already: no 'placement'",
                          body->map.title);
  char *path;
  MOTE_TRY(mote_body_path(body, &map, &path));
  mote_point_cloud cloud;
  mote_status status = mote_point_cloud_load(path, &cloud);
  free(path);
  if (status != MOTE_OK) return mote_node_fail_at(map.document, map.node, status);
  double lower[3], upper[3];
  fit fit;
  status = filter(&map, &cloud);
  if (status == MOTE_OK) {
    bounds_of(&cloud, lower, upper);
    status = read_fit(body, &map, lower, upper, &fit);
  }
  if (status == MOTE_OK) {
    apply_fit(&fit, cloud.position, cloud.count);
    status = take_points(body, &map, &cloud, made);
  }
  mote_point_cloud_destroy(&cloud);
  return status;
}
