/* One panel's picture: project, draw, light, shade, shrink, and the wires of the domain on top, hidden where
   particles are nearer. */
#include "host/render/view.h"

#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/render/shade.h"

void mote_view_free(mote_view *v) {
  mote_splatter_free(&v->splatter);
  mote_shadow_free(&v->shadow);
  mote_occlusion_free(&v->occlusion);
  free(v->depth);
  free(v->index);
  free(v->color);
  *v = (mote_view){0};
}

/* The means of supersample^2 fine pixels become the image's. */
static void shrink(const mote_view *v, int supersample, const int r[4], mote_image *image, int threads) {
  int width = r[2] * supersample, area = supersample * supersample;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int y = 0; y < r[3]; y++)
    for (int x = 0; x < r[2]; x++) {
      uint32_t sum[3] = {0, 0, 0};
      for (int k = 0; k < area; k++) {
        uint32_t c = v->color[(size_t)(y * supersample + k / supersample) * (size_t)width +
                              (size_t)(x * supersample + k % supersample)];
        for (int j = 0; j < 3; j++) sum[j] += c >> (8 * j) & 255;
      }
      uint8_t *p = image->pixel + ((size_t)(r[1] + y) * (size_t)image->width + (size_t)(r[0] + x)) * 3;
      for (int j = 0; j < 3; j++) p[j] = (uint8_t)((sum[j] + (uint32_t)area / 2) / (uint32_t)area);
    }
}

/* The share of the pixel's samples that lie behind `depth`. */
static float visible(const mote_view *v, int supersample, const int r[4], int x, int y, float depth) {
  int width = r[2] * supersample, area = supersample * supersample, behind = 0;
  for (int k = 0; k < area; k++)
    behind += v->depth[(size_t)(y * supersample + k / supersample) * (size_t)width +
                       (size_t)(x * supersample + k % supersample)] > depth;
  return (float)behind / (float)area;
}

static void paint_wire(const mote_view *v, int supersample, const int r[4], int x, int y, float depth,
                       float coverage, mote_image *image) {
  if (x < 0 || y < 0 || x >= r[2] || y >= r[3] || coverage <= 0) return;
  float a = coverage * visible(v, supersample, r, x, y, depth);
  uint8_t *p = image->pixel + ((size_t)(r[1] + y) * (size_t)image->width + (size_t)(r[0] + x)) * 3;
  const float ink[3] = {40, 48, 62};
  for (int j = 0; j < 3; j++) p[j] = (uint8_t)((float)p[j] + (ink[j] - (float)p[j]) * a + 0.5f);
}

/* A line in the world, one pixel wide: steps along its longer side on the screen, with 1/depth linear there.
 */
static void draw_wire(const mote_view *v, const mote_camera *c, int supersample, const int r[4],
                      const double from[3], const double to[3], float strength, mote_image *image) {
  float a[3], b[3], pa[3], pb[3];
  for (int k = 0; k < 3; k++) {
    pa[k] = (float)from[k];
    pb[k] = (float)to[k];
  }
  mote_camera_project(c, pa, a);
  mote_camera_project(c, pb, b);
  if (!c->orthographic && (a[2] <= 1e-4f || b[2] <= 1e-4f)) return;
  for (int k = 0; k < 2; k++) {
    a[k] /= (float)supersample;
    b[k] /= (float)supersample;
  }
  int along = fabsf(b[0] - a[0]) >= fabsf(b[1] - a[1]) ? 0 : 1, across = 1 - along;
  if (a[along] > b[along]) {
    float t[3];
    memcpy(t, a, sizeof t);
    memcpy(a, b, sizeof a);
    memcpy(b, t, sizeof b);
  }
  float length = b[along] - a[along], slope = length > 0 ? (b[across] - a[across]) / length : 0;
  float squeeze = 1 / sqrtf(1 + slope * slope);
  int first = (int)fmaxf(0, floorf(a[along])), last = (int)fminf((float)r[2 + along] - 1, ceilf(b[along]));
  for (int s = first; s <= last; s++) {
    float t = length > 0 ? ((float)s + 0.5f - a[along]) / length : 0;
    if (t < 0 || t > 1) continue;
    float at = a[across] + t * (b[across] - a[across]) - 0.5f;
    float depth = c->orthographic ? a[2] + t * (b[2] - a[2]) : 1 / ((1 - t) / a[2] + t / b[2]);
    for (int o = -1; o <= 2; o++) {
      int other = (int)floorf(at) + o;
      float coverage = strength * fmaxf(0, fminf(1, 1.05f - fabsf((float)other - at) * squeeze));
      paint_wire(v, supersample, r, along ? other : s, along ? s : other, depth * 0.9995f, coverage, image);
    }
  }
}

static void draw_domain(const mote_view *v, const mote_render_options *o, const mote_camera *c,
                        const int r[4], mote_image *image) {
  for (int i = 0; i < 1 << o->dim; i++)
    for (int axis = 0; axis < o->dim; axis++) {
      if (i >> axis & 1) continue;
      double from[3] = {0, 0, 0}, to[3] = {0, 0, 0};
      for (int k = 0; k < o->dim; k++) from[k] = to[k] = (i >> k & 1) ? o->upper[k] : o->lower[k];
      to[axis] = o->upper[axis];
      int on_floor = o->dim == 3 && axis != o->up && !(i >> o->up & 1);
      draw_wire(v, c, o->supersample, r, from, to, o->dim == 2 || on_floor ? 0.45f : 0.28f, image);
    }
  if (o->dim == 2) return;
  const int lines = 8;
  for (int side = 1; side <= 2; side++)
    for (int k = 1; k < lines; k++) { /* a faint grid on the floor */
      int axis = (o->up + side) % 3, other = (o->up + 3 - side) % 3;
      double from[3], to[3];
      from[o->up] = to[o->up] = o->lower[o->up];
      from[axis] = to[axis] = o->lower[axis] + (o->upper[axis] - o->lower[axis]) * k / lines;
      from[other] = o->lower[other];
      to[other] = o->upper[other];
      draw_wire(v, c, o->supersample, r, from, to, 0.09f, image);
    }
}

/* The key light stands above the camera's left shoulder. */
static void key_light(const mote_render_options *o, const mote_camera *c, float light[3]) {
  float back[3] = {-c->forward[0], -c->forward[1], -c->forward[2]}, length;
  back[o->up] = 0;
  for (int k = 0; k < 3; k++) light[k] = 0.45f * back[k] - 0.55f * c->right[k];
  light[o->up] = 1.15f;
  length = sqrtf(mote_dot3(light, light));
  for (int k = 0; k < 3; k++) light[k] /= length;
}

mote_status mote_view_draw(mote_view *v, const mote_render_options *o, const mote_render_panel *panel,
                           float radius, int threads, const int r[4], mote_image *image) {
  int width = r[2] * o->supersample, height = r[3] * o->supersample;
  int64_t pixels = (int64_t)width * height;
  MOTE_TRY(mote_reserve((void **)&v->depth, &v->depth_capacity, pixels, sizeof(float)));
  MOTE_TRY(mote_reserve((void **)&v->index, &v->index_capacity, pixels, sizeof(int32_t)));
  MOTE_TRY(mote_reserve((void **)&v->color, &v->color_capacity, pixels, sizeof(uint32_t)));
  mote_camera camera;
  float light[3] = {0, 0, 1}, size = 0;
  mote_camera_frame(o, width, height, &camera);
  MOTE_TRY(mote_splat_project(&v->splatter, &camera, panel->position, panel->count, o->dim, radius, width,
                              height, threads));
  MOTE_TRY(mote_splat_draw(&v->splatter, panel->count, radius, width, height, threads, v->depth, v->index));
  if (o->dim == 3) {
    key_light(o, &camera, light);
    for (int k = 0; k < 3; k++) size = fmaxf(size, (float)(o->upper[k] - o->lower[k]));
    MOTE_TRY(mote_shadow_build(&v->shadow, o, light, panel->position, panel->count, radius, threads));
    MOTE_TRY(mote_occlusion_build(&v->occlusion, &camera, &v->shadow, v->depth, width, height,
                                  2 * o->supersample, radius, size, threads));
  }
  mote_shade(v, o, panel, &camera, light, radius, width, height, threads);
  shrink(v, o->supersample, r, image, threads);
  draw_domain(v, o, &camera, r, image);
  return MOTE_OK;
}
