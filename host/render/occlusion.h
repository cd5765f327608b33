/* The light that arrives at the surface, on a coarser screen: ambient occlusion, shadow, and the normal of
   the body that the particles form, as opposed to that of each small sphere. */
#ifndef MOTE_RENDER_OCCLUSION_H
#define MOTE_RENDER_OCCLUSION_H

#include "host/render/shadow.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_surface {
  float depth;     /* smoothed, m; MOTE_SPLAT_FAR where nothing is */
  float normal[3]; /* of the body, in the world */
  float open;      /* ambient light that arrives, 0..1 */
  float sun;       /* key light that arrives, 0..1 */
} mote_surface;

/* Workspace; all zero is a valid empty one. */
typedef struct mote_occlusion {
  int width, height, factor; /* coarse pixels, and fine pixels in one */
  mote_surface *surface;     /* (height, width) */
  float *floor;              /* (height, width) light on the floor where the pixel sees it, 0..1 */
  float *depth, *scratch;    /* (height, width) */
  int64_t surface_capacity, floor_capacity, depth_capacity, scratch_capacity;
} mote_occlusion;
void mote_occlusion_free(mote_occlusion *occlusion);

/* From the fine depth (height, width) of `camera`. `radius` is the particles', m; `size` the domain's, m. */
mote_status mote_occlusion_build(mote_occlusion *occlusion, const mote_camera *camera,
                                 const mote_shadow *shadow, const float *depth, int width, int height,
                                 int factor, float radius, float size, int threads);

#ifdef __cplusplus
}
#endif
#endif
