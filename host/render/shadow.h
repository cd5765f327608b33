/* The key light's soft shadow, on the particles and on the floor. */
#ifndef MOTE_RENDER_SHADOW_H
#define MOTE_RENDER_SHADOW_H

#include "host/render/splat.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_SHADOW_SIZE 512  /* px of the shadow map's side */
#define MOTE_CONTACT_SIZE 192 /* cells of the side of the map of what stands on the floor */

/* Workspace and result; all zero is a valid empty one. */
typedef struct mote_shadow {
  mote_splatter splatter;
  mote_camera light;
  float depth_scale; /* of the map's unit, 1/m */
  float *map;        /* exp(-SHARPNESS * depth), blurred: an exponential shadow map (Annen et al. 2008) */
  float *contact;    /* how much matter is low above the floor, blurred */
  float *scratch;
  int64_t map_capacity, contact_capacity, scratch_capacity;
  float lower[3], upper[3];
  int up;
} mote_shadow;
void mote_shadow_free(mote_shadow *shadow);

/* Builds both maps for 3-D particles; `toward_light` points from the scene to the light. */
mote_status mote_shadow_build(mote_shadow *shadow, const mote_render_options *options,
                              const float toward_light[3], const float *position, int64_t count, float radius,
                              int threads);

/* How much of the light reaches p, 0..1; `bias` m moves p towards the light first. */
float mote_shadow_light(const mote_shadow *shadow, const float p[3], float bias);

/* How open the sky is above the point p of the floor, 0..1. */
float mote_shadow_floor_open(const mote_shadow *shadow, const float p[3]);

#ifdef __cplusplus
}
#endif
#endif
