/* One panel's picture without words: particles, floor, shadows and the wires of the domain. */
#ifndef MOTE_RENDER_VIEW_H
#define MOTE_RENDER_VIEW_H

#include "host/render/occlusion.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Workspace; all zero is a valid empty one. */
typedef struct mote_view {
  mote_splatter splatter;
  mote_shadow shadow;
  mote_occlusion occlusion;
  float *depth;    /* (height, width) fine pixels */
  int32_t *index;  /* the same */
  uint32_t *color; /* the same: 8-bit sRGB in the low three bytes */
  int64_t depth_capacity, index_capacity, color_capacity;
} mote_view;
void mote_view_free(mote_view *view);

/* sRGB of paper, behind everything. */
#define MOTE_PAPER_R 238
#define MOTE_PAPER_G 241
#define MOTE_PAPER_B 245

/* Draws the panel into the rectangle (x, y, width, height) of the image. */
mote_status mote_view_draw(mote_view *view, const mote_render_options *options,
                           const mote_render_panel *panel, float radius, int threads, const int rectangle[4],
                           mote_image *image);

#ifdef __cplusplus
}
#endif
#endif
