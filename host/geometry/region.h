/* A region: a set of points one can ask about, with its bounding box and its volume. Primitives and closed
   meshes are regions, and filling with particles knows nothing else of them. */
#ifndef MOTE_GEOMETRY_REGION_H
#define MOTE_GEOMETRY_REGION_H

typedef struct mote_region {
  int dim;         /* 2 or 3; in 2-D the z of points is 0 */
  double lower[3]; /* bounding box, m */
  double upper[3];
  double volume; /* m^3, area in 2-D */
  /* Whether `point` lies inside; a pure function, called from several threads at once. */
  int (*inside)(const void *self, const double point[3]);
  const void *self;
} mote_region;

#endif
