/* Deferred shading, in linear light: a key light with its shadow, a sky above and a paler floor below, both
   weakened where the surface is enclosed. The normal is between that of the sphere and that of the body. */
#include "host/render/shade.h"

#include <string.h>

#include "host/render/colormap.h"

#define GRAIN 0.5f /* how much of the sphere's own normal shows */
#define CODES 4096

/* Tables of one picture: sRGB to linear and back, and the colours of labels and values. */
typedef struct shading {
  const mote_render_panel *panel;
  const mote_camera *camera;
  const float *light;
  int labels;
  float half[3]; /* between light and viewer */
  float linear[256];
  float label_color[MOTE_RENDER_LABELS][3], value_color[256][3], no_value[3];
  uint8_t code[CODES + 1];
} shading;

static float to_linear(float v) {
  return v <= 0.04045f ? v / 12.92f : powf((v + 0.055f) / 1.055f, 2.4f);
}

static void make_tables(shading *s, const mote_render_options *o) {
  for (int k = 0; k < 256; k++) s->linear[k] = to_linear((float)k / 255);
  for (int k = 0; k <= CODES; k++) {
    float v = (float)k / CODES;
    v *= v; /* the table is over the square root, where sRGB is nearly linear */
    s->code[k] = (uint8_t)(255 * (v <= 0.0031308f ? 12.92f * v : 1.055f * powf(v, 1 / 2.4f) - 0.055f) + 0.5f);
  }
  s->labels = o->label_count > 0 ? o->label_count : MOTE_RENDER_LABELS;
  for (int k = 0; k < MOTE_RENDER_LABELS; k++)
    for (int c = 0; c < 3; c++) s->label_color[k][c] = s->linear[o->label_color[k][c]];
  for (int k = 0; k < 256; k++) {
    uint8_t rgb[3];
    mote_colormap((float)k / 255, rgb);
    for (int c = 0; c < 3; c++) s->value_color[k][c] = s->linear[rgb[c]];
  }
  uint8_t grey[3];
  mote_colormap(NAN, grey);
  for (int c = 0; c < 3; c++) s->no_value[c] = s->linear[grey[c]];
}

static uint32_t encode(const shading *s, const float color[3]) {
  uint32_t packed = 0;
  for (int c = 0; c < 3; c++) {
    float v = color[c] < 0 ? 0 : color[c] > 1 ? 1 : color[c];
    packed |= (uint32_t)s->code[(int)(sqrtf(v) * CODES + 0.5f)] << (8 * c);
  }
  return packed;
}

static const float *albedo(const shading *s, int32_t id) {
  const mote_render_panel *p = s->panel;
  if (p->value) {
    float v = p->value[id], range = p->value_max - p->value_min;
    if (!isfinite(v)) return s->no_value;
    float t = range > 0 ? (v - p->value_min) / range : 0;
    return s->value_color[(int)(255 * mote_min(mote_max(t, 0), 1) + 0.5f)];
  }
  int label = p->label ? p->label[id] % s->labels : 0;
  return s->label_color[label < 0 ? label + s->labels : label];
}

/* The coarse light at a fine pixel: bilinear over those of the four coarse ones that are of the same surface.
 */
static mote_surface gather(const mote_occlusion *o, float x, float y, float depth, float radius) {
  float u = x / (float)o->factor - 0.5f, v = y / (float)o->factor - 0.5f;
  int iu = (int)floorf(u), iv = (int)floorf(v);
  float fu = u - (float)iu, fv = v - (float)iv, total = 0;
  mote_surface out = {0};
  for (int k = 0; k < 4; k++) {
    int i = iu + (k & 1), j = iv + (k >> 1);
    if (i < 0 || j < 0 || i >= o->width || j >= o->height) continue;
    const mote_surface *s = &o->surface[(size_t)j * (size_t)o->width + (size_t)i];
    if (s->depth >= MOTE_SPLAT_FAR) continue;
    float w = ((k & 1) ? fu : 1 - fu) * ((k >> 1) ? fv : 1 - fv) + 1e-3f;
    float apart = (s->depth - depth) / (2 * radius);
    w /= 1 + apart * apart * apart * apart;
    for (int c = 0; c < 3; c++) out.normal[c] += w * s->normal[c];
    out.open += w * s->open;
    out.sun += w * s->sun;
    total += w;
  }
  float inverse = total > 0 ? 1 / total : 0;
  for (int c = 0; c < 3; c++) out.normal[c] *= inverse;
  out.open = total > 0 ? out.open * inverse : 1;
  out.sun = total > 0 ? out.sun * inverse : 1;
  return out;
}

/* The normal of the sphere `d` at a pixel, in the world. */
static void sphere_normal(const mote_camera *c, const mote_disc *d, float x, float y, float n[3]) {
  float u = (x - d->x) / d->radius, v = (d->y - y) / d->radius, square = u * u + v * v;
  float w = sqrtf(mote_max(0, 1 - square));
  for (int k = 0; k < 3; k++) n[k] = u * c->right[k] + v * c->up[k] - w * c->forward[k];
}

static uint32_t shade_solid(const shading *s, const mote_view *view, int up, int x, int y, float depth,
                            int32_t id, float radius) {
  float px = (float)x + 0.5f, py = (float)y + 0.5f, n[3], color[3], squared = 0;
  mote_surface m = gather(&view->occlusion, px, py, depth, radius);
  sphere_normal(s->camera, &view->splatter.discs[id], px, py, n);
  for (int k = 0; k < 3; k++) {
    n[k] = GRAIN * n[k] + (1 - GRAIN) * m.normal[k];
    squared += n[k] * n[k];
  }
  float inverse = 1 / sqrtf(mote_max(squared, 1e-12f));
  for (int k = 0; k < 3; k++) n[k] *= inverse;
  /* Where colour is a value, shadows are weaker: dark must not read as small. */
  float shadow = s->panel->value ? 0.55f : 0.25f;
  float facing = mote_max(0, (mote_dot3(n, s->light) + 0.2f) / 1.2f), sky = 0.5f + 0.5f * n[up];
  float open = m.open * (0.35f + 0.65f * m.open), key = facing * (shadow + (1 - shadow) * m.sun);
  float ambient = (0.26f + 0.30f * sky) * open;
  float shine = mote_max(0, mote_dot3(n, s->half));
  shine *= shine;
  shine *= shine;
  shine *= shine;
  shine = 0.10f * shine * shine * m.sun * open; /* the 16th power */
  const float *base = albedo(s, id);
  for (int k = 0; k < 3; k++) color[k] = base[k] * (ambient + key * (0.5f + 0.5f * open)) + shine;
  return encode(s, color);
}

static uint32_t shade_disc(const shading *s, const mote_disc *d, int x, int y, int32_t id) {
  float u = ((float)x + 0.5f - d->x) / d->radius, v = ((float)y + 0.5f - d->y) / d->radius, color[3];
  float rim = mote_max(0, u * u + v * v - 0.35f);
  const float *base = albedo(s, id);
  for (int k = 0; k < 3; k++) color[k] = base[k] * (1 - 0.45f * rim);
  return encode(s, color);
}

static float floor_at(const mote_occlusion *o, int x, int y) {
  float u = mote_min(mote_max(((float)x + 0.5f) / (float)o->factor - 0.5f, 0), (float)o->width - 1.001f);
  float v = mote_min(mote_max(((float)y + 0.5f) / (float)o->factor - 0.5f, 0), (float)o->height - 1.001f);
  int i = (int)u, j = (int)v, right = i + 1 < o->width, below = j + 1 < o->height ? o->width : 0;
  const float *p = o->floor + (size_t)j * (size_t)o->width + (size_t)i;
  float fu = u - (float)i, fv = v - (float)j;
  return (p[0] * (1 - fu) + p[right] * fu) * (1 - fv) + (p[below] * (1 - fu) + p[below + right] * fu) * fv;
}

/* Whether the pixel sees the floor of the domain (3-D), or its inside (2-D). */
static int on_plate(const mote_render_options *o, const mote_camera *c, int x, int y) {
  float p[3];
  mote_camera_unproject(c, (float)x + 0.5f, (float)y + 0.5f, 1, p);
  int up = o->dim == 3 ? o->up : 2;
  if (o->dim == 3) {
    float fall = c->eye[up] - p[up], height = c->eye[up] - (float)o->lower[up];
    if (fall < 1e-6f || height <= 0) return 0;
    for (int k = 0; k < 3; k++) p[k] = c->eye[k] + height / fall * (p[k] - c->eye[k]);
  }
  for (int k = 0; k < 3; k++)
    if (k != up && !(p[k] >= (float)o->lower[k] && p[k] <= (float)o->upper[k])) return 0;
  return 1;
}

void mote_shade(mote_view *view, const mote_render_options *o, const mote_render_panel *panel,
                const mote_camera *c, const float toward_light[3], float radius, int width, int height,
                int threads) {
  shading s = {.panel = panel, .camera = c, .light = toward_light};
  make_tables(&s, o);
  float length = 0;
  for (int k = 0; k < 3; k++) {
    s.half[k] = toward_light[k] - c->forward[k];
    length += s.half[k] * s.half[k];
  }
  for (int k = 0; k < 3; k++) s.half[k] /= sqrtf(length);
  const float paper[3] = {s.linear[MOTE_PAPER_R], s.linear[MOTE_PAPER_G], s.linear[MOTE_PAPER_B]};
  const float plate[3] = {s.linear[251], s.linear[252], s.linear[253]};
#pragma omp parallel for num_threads(threads) schedule(dynamic, 8)
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++) {
      size_t at = (size_t)y * (size_t)width + (size_t)x;
      int32_t id = view->index[at];
      if (id >= 0) {
        view->color[at] = o->dim == 3 ? shade_solid(&s, view, o->up, x, y, view->depth[at], id, radius)
                                      : shade_disc(&s, &view->splatter.discs[id], x, y, id);
        continue;
      }
      const float *base = on_plate(o, c, x, y) ? plate : paper;
      float light = o->dim == 3 ? floor_at(&view->occlusion, x, y) : 1, color[3];
      /* A shadow is not black: it keeps a little of the sky's blue. */
      float tint[3] = {light, light + 0.02f * (1 - light), light + 0.07f * (1 - light)};
      for (int k = 0; k < 3; k++) color[k] = base[k] * tint[k];
      view->color[at] = encode(&s, color);
    }
}
