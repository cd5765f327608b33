/* Spheres to pixels: a visibility buffer with the depth and the index of the nearest sphere at each pixel. */
#ifndef MOTE_RENDER_SPLAT_H
#define MOTE_RENDER_SPLAT_H

#include <stddef.h>

#include "host/render/camera.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_SPLAT_FAR 1e30f /* depth of a pixel that nothing covers */

/* A projected sphere: centre px, depth of the centre m, radius px (0: not drawn). */
typedef struct mote_disc {
  float x, y, depth, radius;
} mote_disc;

/* Workspace; all zero is a valid empty one. Buffers grow and are kept. */
typedef struct mote_splatter {
  mote_disc *discs;
  int32_t *order, *begin, *list;
  int64_t disc_capacity, order_capacity, begin_capacity, list_capacity;
} mote_splatter;
void mote_splatter_free(mote_splatter *splatter);

/* Makes room for `count` elements of `size` bytes in *memory, forgetting the contents when it has to grow. */
mote_status mote_reserve(void **memory, int64_t *capacity, int64_t count, size_t size);

/* Projects `count` points (count, dim) with a common radius in metres into splatter->discs. */
mote_status mote_splat_project(mote_splatter *splatter, const mote_camera *camera, const float *position,
                               int64_t count, int dim, float radius, int width, int height, int threads);

/* Draws the discs as spheres of world radius `radius`: depth (height, width) m and, unless NULL, index
   (height, width), -1 where there is none. At equal depth the result
   depends on the spheres alone, not on threads. */
mote_status mote_splat_draw(mote_splatter *splatter, int64_t count, float radius, int width, int height,
                            int threads, float *depth, int32_t *index);

#ifdef __cplusplus
}
#endif
#endif
