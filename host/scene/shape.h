/* Primitive shapes, centred at the origin, round ones about their own y axis. In 2-D they are the shapes'
   cuts through z = 0 (box: rectangle; ellipsoid: ellipse; capsule: stadium; cone: triangle), but cylinder and
   torus are seen along their axis: disc and ring. */
#ifndef MOTE_SCENE_SHAPE_H
#define MOTE_SCENE_SHAPE_H

#include "host/geometry/region.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mote_shape_kind {
  MOTE_SHAPE_BOX,       /* size */
  MOTE_SHAPE_SPHERE,    /* radius */
  MOTE_SHAPE_CYLINDER,  /* radius, height */
  MOTE_SHAPE_CAPSULE,   /* radius, length between the centres of its caps */
  MOTE_SHAPE_TORUS,     /* radius of the ring, tube_radius */
  MOTE_SHAPE_CONE,      /* radius of the base at -height/2, height */
  MOTE_SHAPE_ELLIPSOID, /* radii */
  MOTE_SHAPE_KINDS
} mote_shape_kind;

/* The names used in files, NULL-ended. */
extern const char *const mote_shape_names[];

typedef struct mote_shape {
  mote_shape_kind kind;
  int dim;
  double size[3]; /* box: full sides; ellipsoid: radii */
  double radius;
  double height; /* cylinder, cone; capsule: length */
  double tube_radius;
  double scale[3]; /* about the centre, after all of that */
} mote_shape;

/* Bounding box and volume of a shape with positive measures. `shape` must outlive the region. */
mote_region mote_shape_region(const mote_shape *shape);

#ifdef __cplusplus
}
#endif

#endif
