/* The camera: a perspective one that frames a box by itself, or an orthographic one. Screen x goes right and
   y down, in pixels; depth is the distance along the view direction, m. */
#ifndef MOTE_RENDER_CAMERA_H
#define MOTE_RENDER_CAMERA_H

#include <math.h>

#include <mote/render.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_camera {
  float eye[3], right[3], up[3], forward[3]; /* an orthonormal frame in the world */
  float focal;                               /* px (perspective), px/m (orthographic) */
  float center[2];                           /* px, where the view direction meets the screen */
  int orthographic;
} mote_camera;

/* The camera of the options for a screen of width x height px. */
void mote_camera_frame(const mote_render_options *options, int width, int height, mote_camera *camera);

/* An orthographic camera that looks along `forward` and has the box in a square of `size` px. */
void mote_camera_light(const float forward[3], int up_axis, const float lower[3], const float upper[3],
                       int size, mote_camera *camera);

/* Of two numbers neither of which is NaN: fminf and fmaxf are calls, for the sake of NaN. */
static inline float mote_min(float a, float b) {
  return a < b ? a : b;
}
static inline float mote_max(float a, float b) {
  return a > b ? a : b;
}

static inline float mote_dot3(const float a[3], const float b[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* (x, y) px and depth m; returns px a metre there. */
static inline float mote_camera_project(const mote_camera *c, const float p[3], float screen[3]) {
  float v[3] = {p[0] - c->eye[0], p[1] - c->eye[1], p[2] - c->eye[2]};
  screen[2] = mote_dot3(v, c->forward);
  float scale = c->orthographic ? c->focal : c->focal / screen[2];
  screen[0] = c->center[0] + scale * mote_dot3(v, c->right);
  screen[1] = c->center[1] - scale * mote_dot3(v, c->up);
  return scale;
}

/* The point of the world at a pixel and a depth. */
static inline void mote_camera_unproject(const mote_camera *c, float x, float y, float depth, float p[3]) {
  float scale = c->orthographic ? 1 / c->focal : depth / c->focal;
  float r = (x - c->center[0]) * scale, u = (c->center[1] - y) * scale;
  for (int k = 0; k < 3; k++) p[k] = c->eye[k] + r * c->right[k] + u * c->up[k] + depth * c->forward[k];
}

#ifdef __cplusplus
}
#endif
#endif
