/* A body being read: what its particles are made of and where they go. */
#ifndef MOTE_SCENE_BODY_H
#define MOTE_SCENE_BODY_H

#include <mote/scene.h>

#include "host/scene/document.h"
#include "host/scene/fill.h"

typedef struct mote_body {
  mote_map map;
  const mote_scene_source *source;
  const mote_scene *scene;
  int index;
  int material; /* -1: not given */
  mote_fill fill;
  double position[3];
  double rotation[4]; /* unit quaternion w, x, y, z */
  double scale[3];
  double velocity[3];
  double angular_velocity[3];
} mote_body;

/* A body's points in its own frame, scaled but neither rotated nor moved, and the volume of each. */
typedef struct mote_body_points {
  mote_points points;
  double volume;
} mote_body_points;

/* The three ways to make points: a primitive, the inside of a mesh, a point cloud. Each reads its own
 * mapping. */
mote_status mote_body_from_shape(const mote_body *body, mote_body_points *made);
mote_status mote_body_from_mesh(const mote_body *body, mote_body_points *made);
mote_status mote_body_from_cloud(const mote_body *body, mote_body_points *made);

/* Particles of a frame of a trajectory; what the file lacks is at rest, of the body's material and spacing.
 */
mote_status mote_body_from_state(const mote_body *body, mote_particles *particles);

/* The particle_type of what obeys a law. */
int mote_particle_type(mote_material_kind kind);

/* `file` of `map` below the source's folder; the caller frees *path. */
mote_status mote_body_path(const mote_body *body, const mote_map *map, char **path);

#endif
