/* Soft shadows. The trick of the exponential shadow map: lit(d) = mean over a neighbourhood of exp(c (d_map -
   d)), whose factor exp(c d_map) can be blurred in advance, so a soft shadow costs one look-up. */
#include "host/render/shadow.h"

#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

#define SHARPNESS 70.0f /* exp of it, and a sum of hundreds of those, must be finite in float32 */

void mote_shadow_free(mote_shadow *s) {
  mote_splatter_free(&s->splatter);
  free(s->map);
  free(s->contact);
  free(s->scratch);
  *s = (mote_shadow){0};
}

static int clamp_index(int i, int n) {
  return i < 0 ? 0 : i >= n ? n - 1 : i;
}

static void blur_rows(const float *from, float *to, int n, int r, int threads) {
  float scale = 1 / (float)(2 * r + 1);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int y = 0; y < n; y++) {
    const float *row = from + (size_t)y * (size_t)n;
    float *out = to + (size_t)y * (size_t)n;
    for (int x = 0; x < n; x++) out[x] = 0;
    for (int k = -r; k <= r; k++) {
      int first = k < 0 ? -k : 0, last = k > 0 ? n - k : n;
      for (int x = 0; x < first; x++) out[x] += row[0];
#pragma omp simd
      for (int x = first; x < last; x++) out[x] += row[x + k];
      for (int x = last; x < n; x++) out[x] += row[n - 1];
    }
    for (int x = 0; x < n; x++) out[x] *= scale;
  }
}

static void blur_columns(const float *from, float *to, int n, int r, int threads) {
  float scale = 1 / (float)(2 * r + 1);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int y = 0; y < n; y++) {
    float *out = to + (size_t)y * (size_t)n;
    for (int x = 0; x < n; x++) out[x] = 0;
    for (int k = -r; k <= r; k++) {
      const float *row = from + (size_t)clamp_index(y + k, n) * (size_t)n;
#pragma omp simd
      for (int x = 0; x < n; x++) out[x] += row[x];
    }
    for (int x = 0; x < n; x++) out[x] *= scale;
  }
}

/* Two box blurs of half-width r both ways: nearly a Gaussian. */
static void blur(float *map, float *scratch, int n, int r, int threads) {
  for (int pass = 0; pass < 2; pass++) {
    blur_rows(map, scratch, n, r, threads);
    blur_columns(scratch, map, n, r, threads);
  }
}

static float sample(const float *map, int n, float x, float y) {
  x = mote_min(mote_max(x - 0.5f, 0), (float)n - 1.001f);
  y = mote_min(mote_max(y - 0.5f, 0), (float)n - 1.001f);
  int ix = (int)x, iy = (int)y;
  float fx = x - (float)ix, fy = y - (float)iy;
  const float *p = map + (size_t)iy * (size_t)n + (size_t)ix;
  return (p[0] * (1 - fx) + p[1] * fx) * (1 - fy) + (p[n] * (1 - fx) + p[n + 1] * fx) * fy;
}

static void floor_cell(const mote_shadow *s, const float p[3], float cell[2]) {
  int axes[2] = {(s->up + 2) % 3, (s->up + 1) % 3};
  for (int k = 0; k < 2; k++) { /* the map reaches a quarter of the domain beyond it on each side */
    float extent = s->upper[axes[k]] - s->lower[axes[k]];
    cell[k] = ((p[axes[k]] - s->lower[axes[k]]) / extent * (1 / 1.5f) + 0.25f / 1.5f) * MOTE_CONTACT_SIZE;
  }
}

/* Each particle darkens the cell below it, the less the higher it is. */
static void build_contact(mote_shadow *s, const float *position, int64_t count, float radius, int threads) {
  const int n = MOTE_CONTACT_SIZE;
  memset(s->contact, 0, (size_t)n * (size_t)n * sizeof(float));
  int a = (s->up + 2) % 3, b = (s->up + 1) % 3;
  float fade = 0.12f * (s->upper[s->up] - s->lower[s->up]);
  float cell = 1.5f * 1.5f * (s->upper[a] - s->lower[a]) * (s->upper[b] - s->lower[b]) / (float)(n * n);
  float weight = 3.1416f * radius * radius / cell;
  for (int64_t i = 0; i < count; i++) {
    const float *p = position + i * 3;
    if (!isfinite(p[0]) || !isfinite(p[1]) || !isfinite(p[2])) continue;
    float height = mote_max(0, p[s->up] - s->lower[s->up]), at[2];
    floor_cell(s, p, at);
    if (!(at[0] >= 0 && at[0] < (float)n && at[1] >= 0 && at[1] < (float)n) || !(height < 6 * fade)) continue;
    s->contact[(size_t)at[1] * (size_t)n + (size_t)at[0]] += weight * expf(-height / fade);
  }
  for (int k = 0; k < n * n; k++) s->contact[k] = 1 - expf(-1.2f * s->contact[k]);
  blur(s->contact, s->scratch, n, 3, threads);
}

mote_status mote_shadow_build(mote_shadow *s, const mote_render_options *o, const float toward_light[3],
                              const float *position, int64_t count, float radius, int threads) {
  const int n = MOTE_SHADOW_SIZE;
  MOTE_TRY(mote_reserve((void **)&s->map, &s->map_capacity, n * n, sizeof(float)));
  MOTE_TRY(mote_reserve((void **)&s->scratch, &s->scratch_capacity, n * n, sizeof(float)));
  MOTE_TRY(mote_reserve((void **)&s->contact, &s->contact_capacity, MOTE_CONTACT_SIZE * MOTE_CONTACT_SIZE,
                        sizeof(float)));
  float forward[3], diagonal = 0;
  for (int k = 0; k < 3; k++) {
    s->lower[k] = (float)o->lower[k];
    s->upper[k] = (float)o->upper[k];
    forward[k] = -toward_light[k];
    diagonal += (s->upper[k] - s->lower[k]) * (s->upper[k] - s->lower[k]);
  }
  s->up = o->up;
  s->depth_scale = 1 / sqrtf(diagonal);
  mote_camera_light(forward, o->up, s->lower, s->upper, n, &s->light);
  MOTE_TRY(mote_splat_project(&s->splatter, &s->light, position, count, 3, radius, n, n, threads));
  MOTE_TRY(mote_splat_draw(&s->splatter, count, radius, n, n, threads, s->map, NULL));
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int k = 0; k < n * n; k++)
    s->map[k] = expf(SHARPNESS * (mote_min(s->map[k] * s->depth_scale, 1.05f) - 1));
  blur(s->map, s->scratch, n, 4, threads);
  build_contact(s, position, count, radius, threads);
  return MOTE_OK;
}

float mote_shadow_light(const mote_shadow *s, const float p[3], float bias) {
  float screen[3];
  mote_camera_project(&s->light, p, screen);
  const float edge = MOTE_SHADOW_SIZE - 1;
  if (!(screen[0] > 1 && screen[1] > 1 && screen[0] < edge && screen[1] < edge)) return 1;
  float blurred = sample(s->map, MOTE_SHADOW_SIZE, screen[0], screen[1]);
  float lit = blurred * expf(SHARPNESS * (1 - mote_min((screen[2] - bias) * s->depth_scale, 1.05f)));
  return lit > 1 ? 1 : lit;
}

float mote_shadow_floor_open(const mote_shadow *s, const float p[3]) {
  float at[2];
  floor_cell(s, p, at);
  if (!(at[0] > 0 && at[0] < MOTE_CONTACT_SIZE && at[1] > 0 && at[1] < MOTE_CONTACT_SIZE)) return 1;
  return 1 - sample(s->contact, MOTE_CONTACT_SIZE, at[0], at[1]);
}
