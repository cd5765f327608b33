/* From the visibility buffer to colours. */
#ifndef MOTE_RENDER_SHADE_H
#define MOTE_RENDER_SHADE_H

#include "host/render/view.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fills view->color (height, width) from view->depth, view->index and, in 3-D, view->occlusion. */
void mote_shade(mote_view *view, const mote_render_options *options, const mote_render_panel *panel,
                const mote_camera *camera, const float toward_light[3], float radius, int width, int height,
                int threads);

#ifdef __cplusplus
}
#endif
#endif
