/* Ambient occlusion in screen space on a smoothed depth, after the volumetric-obscurance family (McGuire et
   al. 2012, "Scalable Ambient Obscurance"). The trick: the depth is smoothed over the size of a particle
   first, so that occlusion and normal belong to the body and not to its grains. */
#include "host/render/occlusion.h"

#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

#define SAMPLES 14
#define TURNS 5.0f /* of the spiral of samples */
#define MAX_BLUR 8

void mote_occlusion_free(mote_occlusion *o) {
  free(o->surface);
  free(o->floor);
  free(o->depth);
  free(o->scratch);
  *o = (mote_occlusion){0};
}

static void reduce_depth(mote_occlusion *o, const float *fine, int width, int height, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int y = 0; y < o->height; y++)
    for (int x = 0; x < o->width; x++) {
      float nearest = MOTE_SPLAT_FAR;
      for (int j = y * o->factor; j < (y + 1) * o->factor && j < height; j++)
        for (int i = x * o->factor; i < (x + 1) * o->factor && i < width; i++)
          nearest = mote_min(nearest, fine[(size_t)j * (size_t)width + (size_t)i]);
      o->depth[(size_t)y * (size_t)o->width + (size_t)x] = nearest;
    }
}

/* Bilateral: depths that differ by more than `range` belong to another surface. */
static void smooth(const mote_occlusion *o, const float *from, float *to, int horizontal, int half,
                   float range, int threads) {
  float weight[MAX_BLUR + 1], inverse = 1 / range;
  for (int k = 0; k <= half; k++) weight[k] = expf(-2.0f * (float)(k * k) / (float)(half * half + 1));
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int y = 0; y < o->height; y++)
    for (int x = 0; x < o->width; x++) {
      size_t at = (size_t)y * (size_t)o->width + (size_t)x;
      float center = from[at], sum = 0, total = 0;
      to[at] = center;
      if (center >= MOTE_SPLAT_FAR) continue;
      int position = horizontal ? x : y, limit = horizontal ? o->width : o->height;
      ptrdiff_t step = horizontal ? 1 : o->width;
      for (int k = -half; k <= half; k++) {
        if (position + k < 0 || position + k >= limit) continue;
        float z = from[(ptrdiff_t)at + k * step], apart = (z - center) * inverse;
        float w = weight[k < 0 ? -k : k] * mote_max(0, 1 - apart * apart);
        if (w <= 0) continue;
        sum += w * z;
        total += w;
      }
      to[at] = sum / total;
    }
}

static void point_at(const mote_occlusion *o, const mote_camera *c, int x, int y, float depth, float p[3]) {
  mote_camera_unproject(c, ((float)x + 0.5f) * (float)o->factor, ((float)y + 0.5f) * (float)o->factor, depth,
                        p);
}

/* The derivative of position along x or y: one-sided, from the side whose depth differs less. */
static int tangent(const mote_occlusion *o, const mote_camera *c, int x, int y, int dx, int dy, float t[3]) {
  float z = o->depth[(size_t)y * (size_t)o->width + (size_t)x], best = 1e29f, p[3], q[3];
  int sign = 0;
  for (int s = -1; s <= 1; s += 2) {
    int i = x + s * dx, j = y + s * dy;
    if (i < 0 || j < 0 || i >= o->width || j >= o->height) continue;
    float apart = fabsf(o->depth[(size_t)j * (size_t)o->width + (size_t)i] - z);
    if (apart < best) best = apart, sign = s;
  }
  if (!sign) return 0;
  point_at(o, c, x, y, z, p);
  point_at(o, c, x + sign * dx, y + sign * dy,
           o->depth[(size_t)(y + sign * dy) * (size_t)o->width + (size_t)(x + sign * dx)], q);
  for (int k = 0; k < 3; k++) t[k] = (q[k] - p[k]) * (float)sign;
  return 1;
}

static void surface_normal(const mote_occlusion *o, const mote_camera *c, int x, int y, float n[3]) {
  float a[3], b[3], length = 0;
  for (int k = 0; k < 3; k++) n[k] = -c->forward[k];
  if (!tangent(o, c, x, y, 1, 0, a) || !tangent(o, c, x, y, 0, 1, b)) return;
  float v[3];
  for (int k = 0; k < 3; k++) { /* y goes down on the screen */
    v[k] = b[(k + 1) % 3] * a[(k + 2) % 3] - b[(k + 2) % 3] * a[(k + 1) % 3];
    length += v[k] * v[k];
  }
  if (!(length > 0)) return;
  float scale = (mote_dot3(v, c->forward) > 0 ? -1 : 1) / sqrtf(length);
  for (int k = 0; k < 3; k++) n[k] = v[k] * scale;
}

static float ambient(const mote_occlusion *o, const mote_camera *c, int x, int y, const float p[3],
                     const float n[3], float reach) {
  float depth = o->depth[(size_t)y * (size_t)o->width + (size_t)x], sum = 0;
  float pixels = mote_min(reach * c->focal / depth / (float)o->factor, (float)o->height / 4);
  float turn = (float)(((x & 3) * 4 + (y & 3)) * 7 % 16) / 16 * 6.2831853f;
  for (int k = 0; k < SAMPLES; k++) {
    float alpha = ((float)k + 0.5f) / SAMPLES, angle = alpha * TURNS * 6.2831853f + turn;
    int i = x + (int)roundf(cosf(angle) * alpha * pixels), j = y + (int)roundf(sinf(angle) * alpha * pixels);
    if (i < 0 || j < 0 || i >= o->width || j >= o->height) continue;
    float z = o->depth[(size_t)j * (size_t)o->width + (size_t)i], q[3];
    if (z >= MOTE_SPLAT_FAR) continue;
    point_at(o, c, i, j, z, q);
    float v[3] = {q[0] - p[0], q[1] - p[1], q[2] - p[2]}, squared = mote_dot3(v, v);
    float fall = mote_max(0, 1 - squared / (reach * reach));
    float cosine = mote_dot3(v, n) / sqrtf(squared + 1e-12f);
    sum += fall * mote_max(0, cosine - 0.12f);
  }
  return mote_max(0, 1 - 2.6f * sum / SAMPLES);
}

/* The light on the floor that the pixel looks at: shadow and the openness of the sky above it. */
static float floor_light(const mote_occlusion *o, const mote_camera *c, const mote_shadow *s, int x, int y) {
  float p[3];
  point_at(o, c, x, y, 1, p);
  float fall = c->eye[s->up] - p[s->up], height = c->eye[s->up] - s->lower[s->up];
  if (fall < 1e-6f || height <= 0) return 1;
  float t = height / fall;
  for (int k = 0; k < 3; k++) p[k] = c->eye[k] + t * (p[k] - c->eye[k]);
  float sun = mote_shadow_light(s, p, 0), open = mote_shadow_floor_open(s, p);
  return (0.55f + 0.45f * sun) * (0.45f + 0.55f * open);
}

/* A mean over 4 x 4 pixels of one surface takes out the pattern of the turned spirals. */
static void filter_open(mote_occlusion *o, float range, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int y = 0; y < o->height; y++)
    for (int x = 0; x < o->width; x++) {
      size_t at = (size_t)y * (size_t)o->width + (size_t)x;
      float z = o->depth[at], sum = 0, total = 0;
      for (int j = y - 2; j < y + 2; j++)
        for (int i = x - 2; i < x + 2; i++) {
          if (i < 0 || j < 0 || i >= o->width || j >= o->height) continue;
          size_t near = (size_t)j * (size_t)o->width + (size_t)i;
          if (fabsf(o->depth[near] - z) > range) continue;
          sum += o->scratch[near];
          total++;
        }
      o->surface[at].open = total > 0 ? sum / total : o->scratch[at];
    }
}

static mote_status reserve(mote_occlusion *o, int width, int height, int factor) {
  o->factor = factor;
  o->width = (width + factor - 1) / factor;
  o->height = (height + factor - 1) / factor;
  int64_t n = (int64_t)o->width * o->height;
  MOTE_TRY(mote_reserve((void **)&o->surface, &o->surface_capacity, n, sizeof *o->surface));
  MOTE_TRY(mote_reserve((void **)&o->floor, &o->floor_capacity, n, sizeof(float)));
  MOTE_TRY(mote_reserve((void **)&o->depth, &o->depth_capacity, n, sizeof(float)));
  MOTE_TRY(mote_reserve((void **)&o->scratch, &o->scratch_capacity, n, sizeof(float)));
  return MOTE_OK;
}

mote_status mote_occlusion_build(mote_occlusion *o, const mote_camera *c, const mote_shadow *shadow,
                                 const float *depth, int width, int height, int factor, float radius,
                                 float size, int threads) {
  MOTE_TRY(reserve(o, width, height, factor));
  reduce_depth(o, depth, width, height, threads);
  float middle[3], screen[3];
  for (int k = 0; k < 3; k++) middle[k] = (shadow->lower[k] + shadow->upper[k]) / 2;
  mote_camera_project(c, middle, screen);
  float distance = mote_max(fabsf(screen[2]), 1e-3f * size);
  float grain = radius * c->focal / distance / (float)factor; /* a particle's radius in coarse pixels */
  int half = (int)mote_min(MAX_BLUR, mote_max(2, ceilf(1.6f * grain)));
  for (int pass = 0; pass < 2; pass++) {
    smooth(o, o->depth, o->scratch, 1, half, 3.5f * radius, threads);
    smooth(o, o->scratch, o->depth, 0, half, 3.5f * radius, threads);
  }
  float reach = mote_max(0.09f * size, 5 * radius);
#pragma omp parallel for num_threads(threads) schedule(dynamic, 8)
  for (int y = 0; y < o->height; y++)
    for (int x = 0; x < o->width; x++) {
      size_t at = (size_t)y * (size_t)o->width + (size_t)x;
      mote_surface *s = &o->surface[at];
      *s = (mote_surface){.depth = o->depth[at], .open = 1, .sun = 1};
      o->scratch[at] = 1;
      o->floor[at] = floor_light(o, c, shadow, x, y);
      if (s->depth >= MOTE_SPLAT_FAR) continue;
      float p[3];
      surface_normal(o, c, x, y, s->normal);
      point_at(o, c, x, y, s->depth, p);
      o->scratch[at] = ambient(o, c, x, y, p, s->normal, reach);
      for (int k = 0; k < 3; k++) p[k] += 1.5f * radius * s->normal[k];
      s->sun = mote_shadow_light(shadow, p, radius);
    }
  filter_open(o, 4 * radius, threads);
  return MOTE_OK;
}
