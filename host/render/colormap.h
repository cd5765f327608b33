/* Colours: a palette that colour-blind readers can tell apart, and a perceptually uniform map for values. */
#ifndef MOTE_RENDER_COLORMAP_H
#define MOTE_RENDER_COLORMAP_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Okabe and Ito's palette (2008), without its black and reordered, then darker tints of it: 16 colours. */
extern const uint8_t mote_palette[16][3];

/* Dark violet at t = 0, through blue and green, to yellow at 1: lightness in OKLab (Ottosson 2020) is linear
   in t, hue falls from 300 to 100 degrees. t outside [0, 1] is clamped, NaN gives grey. */
void mote_colormap(float t, uint8_t rgb[3]);

#ifdef __cplusplus
}
#endif
#endif
