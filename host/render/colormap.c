/* The colour map is a path in OKLCh: lightness linear, hue nearly so, and a chroma just below the largest
   that sRGB has along that path, so that nothing is clipped and the map has no kink. */
#include "host/render/colormap.h"

#include <math.h>

const uint8_t mote_palette[16][3] = {{0, 114, 178},   {230, 159, 0},  {0, 158, 115},  {213, 94, 0},
                                     {204, 121, 167}, {86, 180, 233}, {240, 228, 66}, {120, 120, 120},
                                     {0, 68, 108},    {150, 100, 0},  {0, 98, 70},    {135, 58, 0},
                                     {136, 66, 104},  {40, 122, 170}, {170, 160, 20}, {60, 60, 60}};

/* OKLab to linear sRGB (Ottosson 2020, "A perceptual color space for image processing"). */
static void oklab_to_linear(float L, float a, float b, float rgb[3]) {
  float l = L + 0.3963377774f * a + 0.2158037573f * b;
  float m = L - 0.1055613458f * a - 0.0638541728f * b;
  float s = L - 0.0894841775f * a - 1.2914855480f * b;
  l = l * l * l;
  m = m * m * m;
  s = s * s * s;
  rgb[0] = 4.0767416621f * l - 3.3077115913f * m + 0.2309699292f * s;
  rgb[1] = -1.2684380046f * l + 2.6097574011f * m - 0.3413193965f * s;
  rgb[2] = -0.0041960863f * l - 0.7034186147f * m + 1.7076147010f * s;
}

static uint8_t encode(float v) {
  v = v < 0 ? 0 : v > 1 ? 1 : v;
  v = v <= 0.0031308f ? 12.92f * v : 1.055f * powf(v, 1 / 2.4f) - 0.055f;
  return (uint8_t)(v * 255 + 0.5f);
}

void mote_colormap(float t, uint8_t rgb[3]) {
  if (!(t == t)) {
    rgb[0] = rgb[1] = rgb[2] = 150;
    return;
  }
  t = t < 0 ? 0 : t > 1 ? 1 : t;
  float lightness = 0.27f + 0.64f * t;
  float hue = (300 - 195 * powf(t, 1.1f)) * 0.017453292f, linear[3];
  float chroma = 0.1f + (t < 0.45f ? 0.15f : 0.25f) * (t - 0.45f) * (t - 0.45f); /* sRGB has all of these */
  oklab_to_linear(lightness, chroma * cosf(hue), chroma * sinf(hue), linear);
  for (int c = 0; c < 3; c++) rgb[c] = encode(linear[c]);
}
