/* A stroke font: every glyph is a few lines and elliptic arcs drawn with a round pen, so that it is sharp at
   any size and any angle. Printable ASCII, and a few signs of physics in UTF-8. */
#ifndef MOTE_RENDER_FONT_H
#define MOTE_RENDER_FONT_H

#ifdef __cplusplus
extern "C" {
#endif

/* Units: the baseline is y = 0, capitals reach 14, small letters 9.6, tails -4; y points up. */
#define MOTE_FONT_CAPITAL 14.0f
#define MOTE_FONT_SEGMENTS 160 /* no glyph has more */

typedef struct mote_segment {
  float x0, y0, x1, y1;
} mote_segment;

/* The glyph of the character at *text, which is moved behind it. Its segments go to `segments` (may be NULL);
   returns their number, and its advance in *advance. What the font lacks is an empty box. */
int mote_font_glyph(const char **text, mote_segment *segments, float *advance);

#ifdef __cplusplus
}
#endif
#endif
