/* Lines and shapes on an image, by distance to their skeleton. */
#include "host/render/canvas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

mote_status mote_canvas_create(mote_image *image, mote_canvas *canvas) {
  canvas->image = image;
  canvas->distance = malloc((size_t)image->width * (size_t)image->height * sizeof(float));
  if (!canvas->distance)
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a canvas of %d x %d pixels", image->width,
                     image->height);
  return MOTE_OK;
}

void mote_canvas_destroy(mote_canvas *canvas) {
  free(canvas->distance);
  *canvas = (mote_canvas){0};
}

static void blend(mote_image *image, int x, int y, float coverage, mote_color color) {
  uint8_t *p = image->pixel + ((size_t)y * (size_t)image->width + (size_t)x) * 3;
  float a = coverage * (float)color.a / 255;
  p[0] = (uint8_t)((float)p[0] + ((float)color.r - (float)p[0]) * a + 0.5f);
  p[1] = (uint8_t)((float)p[1] + ((float)color.g - (float)p[1]) * a + 0.5f);
  p[2] = (uint8_t)((float)p[2] + ((float)color.b - (float)p[2]) * a + 0.5f);
}

/* Pixels [box[0], box[2]) x [box[1], box[3]) that a shape can touch. */
static int pixel_box(const mote_image *image, float x0, float y0, float x1, float y1, int box[4]) {
  if (!(x0 <= x1 && y0 <= y1)) return 0;
  box[0] = (int)fmaxf(0, fminf(floorf(x0), 1e6f));
  box[1] = (int)fmaxf(0, fminf(floorf(y0), 1e6f));
  box[2] = (int)fminf((float)image->width, fmaxf(ceilf(x1), -1));
  box[3] = (int)fminf((float)image->height, fmaxf(ceilf(y1), -1));
  return box[0] < box[2] && box[1] < box[3];
}

static float clamp01(float v) {
  return v < 0 ? 0 : v > 1 ? 1 : v;
}

static int finite_segment(const mote_segment *s) {
  return isfinite(s->x0) && isfinite(s->y0) && isfinite(s->x1) && isfinite(s->y1);
}

static void measure_segment(mote_canvas *canvas, const mote_segment *s, float reach, const int area[4]) {
  int box[4];
  if (!pixel_box(canvas->image, fminf(s->x0, s->x1) - reach, fminf(s->y0, s->y1) - reach,
                 fmaxf(s->x0, s->x1) + reach, fmaxf(s->y0, s->y1) + reach, box))
    return;
  float dx = s->x1 - s->x0, dy = s->y1 - s->y0, length = dx * dx + dy * dy;
  float inverse = length > 0 ? 1 / length : 0;
  for (int y = box[1] > area[1] ? box[1] : area[1]; y < box[3] && y < area[3]; y++) {
    float *row = canvas->distance + (size_t)y * (size_t)canvas->image->width;
    for (int x = box[0] > area[0] ? box[0] : area[0]; x < box[2] && x < area[2]; x++) {
      float px = (float)x + 0.5f - s->x0, py = (float)y + 0.5f - s->y0;
      float t = clamp01((px * dx + py * dy) * inverse);
      float ex = px - t * dx, ey = py - t * dy, d = ex * ex + ey * ey;
      if (d < row[x]) row[x] = d;
    }
  }
}

void mote_canvas_stroke(mote_canvas *canvas, const mote_segment *segments, int count, float width,
                        mote_color color, const float clip[4]) {
  float x0 = INFINITY, y0 = INFINITY, x1 = -INFINITY, y1 = -INFINITY, reach = width / 2 + 1;
  for (int k = 0; k < count; k++) {
    const mote_segment *s = &segments[k];
    if (!finite_segment(s)) continue;
    x0 = fminf(x0, fminf(s->x0, s->x1) - reach);
    y0 = fminf(y0, fminf(s->y0, s->y1) - reach);
    x1 = fmaxf(x1, fmaxf(s->x0, s->x1) + reach);
    y1 = fmaxf(y1, fmaxf(s->y0, s->y1) + reach);
  }
  if (clip) {
    x0 = fmaxf(x0, clip[0]);
    y0 = fmaxf(y0, clip[1]);
    x1 = fminf(x1, clip[2]);
    y1 = fminf(y1, clip[3]);
  }
  int box[4];
  if (!pixel_box(canvas->image, x0, y0, x1, y1, box)) return;
  size_t stride = (size_t)canvas->image->width;
  for (int y = box[1]; y < box[3]; y++)
    for (int x = box[0]; x < box[2]; x++) canvas->distance[(size_t)y * stride + (size_t)x] = 1e30f;
  for (int k = 0; k < count; k++)
    if (finite_segment(&segments[k])) measure_segment(canvas, &segments[k], reach, box);
  for (int y = box[1]; y < box[3]; y++)
    for (int x = box[0]; x < box[2]; x++) {
      float d = canvas->distance[(size_t)y * stride + (size_t)x];
      if (d > reach * reach) continue;
      float coverage = clamp01(width / 2 + 0.5f - sqrtf(d)) * fminf(1, width);
      if (coverage > 0) blend(canvas->image, x, y, coverage, color);
    }
}

void mote_canvas_line(mote_canvas *canvas, float x0, float y0, float x1, float y1, float width,
                      mote_color color) {
  mote_segment s = {x0, y0, x1, y1};
  mote_canvas_stroke(canvas, &s, 1, width, color, NULL);
}

void mote_canvas_fill(mote_canvas *canvas, float x0, float y0, float x1, float y1, float corner,
                      mote_color color) {
  int box[4];
  if (!pixel_box(canvas->image, x0 - 1, y0 - 1, x1 + 1, y1 + 1, box)) return;
  float cx = (x0 + x1) / 2, cy = (y0 + y1) / 2, hx = (x1 - x0) / 2 - corner, hy = (y1 - y0) / 2 - corner;
  for (int y = box[1]; y < box[3]; y++)
    for (int x = box[0]; x < box[2]; x++) {
      float qx = fabsf((float)x + 0.5f - cx) - hx, qy = fabsf((float)y + 0.5f - cy) - hy;
      float outside = hypotf(fmaxf(qx, 0), fmaxf(qy, 0)) + fminf(fmaxf(qx, qy), 0) - corner;
      float coverage = clamp01(0.5f - outside);
      if (coverage > 0) blend(canvas->image, x, y, coverage, color);
    }
}

void mote_canvas_disc(mote_canvas *canvas, float x, float y, float radius, mote_color color) {
  mote_canvas_fill(canvas, x - radius, y - radius, x + radius, y + radius, radius, color);
}

/* ---- Text ---- */

#define PEN 1.45f    /* of a regular stroke, in font units */
#define RAISED 0.68f /* the size of a superscript */

/* Walks over the text once; with a canvas it draws. Returns the width. */
static float walk(mote_canvas *canvas, float x, float y, const char *text, const mote_text_style *style,
                  float size) {
  mote_segment segments[MOTE_FONT_SEGMENTS];
  float pen = 0, scale = size * 0.05f;
  int raised = 0;
  while (*text) {
    if (!strncmp(text, "^{", 2)) {
      raised = 1;
      text += 2;
      continue;
    }
    if (raised && *text == '}') {
      raised = 0;
      text++;
      continue;
    }
    float advance, s = raised ? scale * RAISED : scale, lift = raised ? 6.5f * scale : 0;
    int count = mote_font_glyph(&text, canvas ? segments : NULL, &advance);
    for (int k = 0; k < count; k++) {
      mote_segment *g = &segments[k];
      float ax = pen + (g->x0 + 1.5f) * s, ay = lift + g->y0 * s;
      float bx = pen + (g->x1 + 1.5f) * s, by = lift + g->y1 * s;
      *g = style->vertical ? (mote_segment){x - ay, y - ax, x - by, y - bx}
                           : (mote_segment){x + ax, y - ay, x + bx, y - by};
    }
    if (canvas)
      mote_canvas_stroke(canvas, segments, count, PEN * style->weight * (raised ? 1.25f : 1) * s,
                         style->color, NULL);
    pen += advance * s;
  }
  return pen;
}

float mote_text_width(const char *text, float size) {
  return walk(NULL, 0, 0, text, NULL, size);
}

void mote_canvas_text(mote_canvas *canvas, float x, float y, const char *text, const mote_text_style *style) {
  float width = style->align == MOTE_ALIGN_LEFT ? 0 : mote_text_width(text, style->size);
  float back = style->align == MOTE_ALIGN_CENTER ? width / 2 : width;
  if (style->align == MOTE_ALIGN_LEFT) back = 0;
  walk(canvas, style->vertical ? x : x - back, style->vertical ? y + back : y, text, style, style->size);
}
