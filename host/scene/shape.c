/* Primitive shapes: see shape.h. */
#include "host/scene/shape.h"

#include <math.h>
#include <stddef.h>

#define PI 3.14159265358979323846

const char *const mote_shape_names[] = {"box",   "sphere", "cylinder",  "capsule",
                                        "torus", "cone",   "ellipsoid", NULL};

static double square(double x) {
  return x * x;
}

static int inside_cylinder(const mote_shape *s, const double p[3]) {
  if (s->dim == 2) return square(p[0]) + square(p[1]) <= square(s->radius);
  return square(p[0]) + square(p[2]) <= square(s->radius) && fabs(p[1]) <= s->height / 2;
}

static int inside_torus(const mote_shape *s, const double p[3]) {
  double around = s->dim == 2 ? hypot(p[0], p[1]) : hypot(p[0], p[2]);
  double along = s->dim == 2 ? 0 : p[1];
  return square(around - s->radius) + square(along) <= square(s->tube_radius);
}

static int inside_ellipsoid(const mote_shape *s, const double p[3]) {
  double sum = 0;
  for (int d = 0; d < s->dim; d++) sum += square(p[d] / s->size[d]);
  return sum <= 1;
}

static int inside(const void *self, const double point[3]) {
  const mote_shape *s = self;
  double p[3] = {point[0] / s->scale[0], point[1] / s->scale[1], s->dim == 3 ? point[2] / s->scale[2] : 0};
  double along = fmax(fabs(p[1]) - s->height / 2, 0);
  switch (s->kind) {
  case MOTE_SHAPE_BOX:
    return fabs(p[0]) <= s->size[0] / 2 && fabs(p[1]) <= s->size[1] / 2 &&
           (s->dim == 2 || fabs(p[2]) <= s->size[2] / 2);
  case MOTE_SHAPE_SPHERE: return square(p[0]) + square(p[1]) + square(p[2]) <= square(s->radius);
  case MOTE_SHAPE_CYLINDER: return inside_cylinder(s, p);
  case MOTE_SHAPE_CAPSULE: return square(p[0]) + square(along) + square(p[2]) <= square(s->radius);
  case MOTE_SHAPE_TORUS: return inside_torus(s, p);
  case MOTE_SHAPE_CONE:
    return fabs(p[1]) <= s->height / 2 && hypot(p[0], p[2]) <= s->radius * (0.5 - p[1] / s->height);
  case MOTE_SHAPE_ELLIPSOID: return inside_ellipsoid(s, p);
  case MOTE_SHAPE_KINDS: break;
  }
  return 0;
}

static void half_extent(const mote_shape *s, double half[3]) {
  double r = s->radius, h = s->height / 2;
  double around = s->kind == MOTE_SHAPE_TORUS ? r + s->tube_radius : r;
  half[0] = half[1] = half[2] = around;
  if (s->kind == MOTE_SHAPE_BOX)
    for (int d = 0; d < 3; d++) half[d] = s->size[d] / 2;
  if (s->kind == MOTE_SHAPE_ELLIPSOID)
    for (int d = 0; d < 3; d++) half[d] = s->size[d];
  if (s->kind == MOTE_SHAPE_CAPSULE) half[1] = h + r;
  if (s->kind == MOTE_SHAPE_CONE) half[1] = h;
  if (s->kind == MOTE_SHAPE_CYLINDER && s->dim == 3) half[1] = h;
  if (s->kind == MOTE_SHAPE_TORUS && s->dim == 3) half[1] = s->tube_radius;
  if (s->dim == 2) half[2] = 0;
}

static double area(const mote_shape *s) {
  double r = s->radius, t = s->tube_radius;
  switch (s->kind) {
  case MOTE_SHAPE_BOX: return s->size[0] * s->size[1];
  case MOTE_SHAPE_CAPSULE: return PI * r * r + 2 * r * s->height;
  case MOTE_SHAPE_TORUS: return 4 * PI * r * t;
  case MOTE_SHAPE_CONE: return r * s->height;
  case MOTE_SHAPE_ELLIPSOID: return PI * s->size[0] * s->size[1];
  default: return PI * r * r;
  }
}

static double volume(const mote_shape *s) {
  double r = s->radius, t = s->tube_radius;
  switch (s->kind) {
  case MOTE_SHAPE_BOX: return s->size[0] * s->size[1] * s->size[2];
  case MOTE_SHAPE_SPHERE: return 4 * PI / 3 * r * r * r;
  case MOTE_SHAPE_CYLINDER: return PI * r * r * s->height;
  case MOTE_SHAPE_CAPSULE: return PI * r * r * (s->height + 4 * r / 3);
  case MOTE_SHAPE_TORUS: return 2 * PI * PI * r * t * t;
  case MOTE_SHAPE_CONE: return PI * r * r * s->height / 3;
  case MOTE_SHAPE_ELLIPSOID: return 4 * PI / 3 * s->size[0] * s->size[1] * s->size[2];
  case MOTE_SHAPE_KINDS: break;
  }
  return 0;
}

mote_region mote_shape_region(const mote_shape *shape) {
  mote_region region = {.dim = shape->dim, .inside = inside, .self = shape};
  region.volume = shape->dim == 2 ? area(shape) : volume(shape);
  half_extent(shape, region.upper);
  for (int d = 0; d < shape->dim; d++) {
    region.upper[d] *= shape->scale[d];
    region.lower[d] = -region.upper[d];
    region.volume *= shape->scale[d];
  }
  return region;
}
