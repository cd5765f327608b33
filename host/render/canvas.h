/* Two-dimensional drawing on an image: antialiased lines, shapes and text. The trick: a path is turned into
   the distance of each pixel to its nearest segment first, and painted once, so that joints and crossings of
   a translucent path do not show. Coordinates are pixels, y down, pixel centres at halves. */
#ifndef MOTE_RENDER_CANVAS_H
#define MOTE_RENDER_CANVAS_H

#include <mote/render.h>

#include "host/render/font.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_color {
  uint8_t r, g, b, a;
} mote_color;

#define MOTE_RGB(r, g, b) ((mote_color){(r), (g), (b), 255})

typedef struct mote_canvas {
  mote_image *image;
  float *distance; /* of the path being drawn, one a pixel; owned */
} mote_canvas;

mote_status mote_canvas_create(mote_image *image, mote_canvas *canvas);
void mote_canvas_destroy(mote_canvas *canvas);

/* Strokes `count` segments with a round pen. `clip` (x0, y0, x1, y1) may be NULL. */
void mote_canvas_stroke(mote_canvas *canvas, const mote_segment *segments, int count, float width,
                        mote_color color, const float clip[4]);
void mote_canvas_line(mote_canvas *canvas, float x0, float y0, float x1, float y1, float width,
                      mote_color color);

/* A filled rectangle with rounded corners and antialiased edges. */
void mote_canvas_fill(mote_canvas *canvas, float x0, float y0, float x1, float y1, float corner,
                      mote_color color);
void mote_canvas_disc(mote_canvas *canvas, float x, float y, float radius, mote_color color);

/* How text stands at its point. */
typedef enum mote_align { MOTE_ALIGN_LEFT, MOTE_ALIGN_CENTER, MOTE_ALIGN_RIGHT } mote_align;
typedef struct mote_text_style {
  float size;   /* px; capitals are 0.7 of it */
  float weight; /* of the pen relative to a regular one: 1, and about 1.4 for titles */
  mote_align align;
  int vertical; /* 1: reads upwards */
  mote_color color;
} mote_text_style;

/* Text with its baseline at (x, y). "^{...}" is raised: "10^{-3}". */
void mote_canvas_text(mote_canvas *canvas, float x, float y, const char *text, const mote_text_style *style);
float mote_text_width(const char *text, float size);

#ifdef __cplusplus
}
#endif
#endif
