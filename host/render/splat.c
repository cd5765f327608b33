/* Spheres to pixels. The trick: spheres are sorted from front to back and then into tiles of the screen, by
   counting in a fixed number of chunks whatever the threads, so that each tile sees the same list, is drawn
   by one thread in cache, and passes over all that lies behind what it already shows. */
#include "host/render/splat.h"

#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

#define TILE 32
#define CHUNKS 16
#define LEVELS 256 /* of depth, by which the spheres are sorted roughly from front to back */

void mote_splatter_free(mote_splatter *s) {
  free(s->discs);
  free(s->order);
  free(s->begin);
  free(s->list);
  *s = (mote_splatter){0};
}

mote_status mote_reserve(void **memory, int64_t *capacity, int64_t count, size_t size) {
  if (count <= *capacity && *memory) return MOTE_OK;
  int64_t room = count + count / 8 + 16;
  free(*memory);
  *capacity = 0;
  *memory = malloc((size_t)room * size);
  if (!*memory)
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory while drawing: %lld elements of %zu bytes",
                     (long long)room, size);
  *capacity = room;
  return MOTE_OK;
}

mote_status mote_splat_project(mote_splatter *s, const mote_camera *camera, const float *position,
                               int64_t count, int dim, float radius, int width, int height, int threads) {
  MOTE_TRY(mote_reserve((void **)&s->discs, &s->disc_capacity, count, sizeof *s->discs));
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t i = 0; i < count; i++) {
    const float *q = position + i * dim;
    float p[3] = {q[0], q[1], dim == 3 ? q[2] : 0}, screen[3];
    float scale = mote_camera_project(camera, p, screen), r = mote_max(radius * scale, 0.71f);
    mote_disc d = {screen[0], screen[1], screen[2], r};
    /* Written so that NaN is not visible either. */
    int visible = (camera->orthographic || d.depth > 1.5f * radius) && d.x + r > 0 && d.y + r > 0 &&
                  d.x - r < (float)width && d.y - r < (float)height && r < 1e5f;
    if (!visible) d = (mote_disc){0, 0, 0, 0};
    s->discs[i] = d;
  }
  return MOTE_OK;
}

/* s->order: the visible discs, roughly from front to back, those of one level in their own order. */
static mote_status sort_by_depth(mote_splatter *s, int64_t count, int threads, int64_t *visible) {
  MOTE_TRY(mote_reserve((void **)&s->order, &s->order_capacity, count, sizeof *s->order));
  float near = MOTE_SPLAT_FAR, far = -MOTE_SPLAT_FAR;
#pragma omp parallel for num_threads(threads) reduction(min : near) reduction(max : far)
  for (int64_t i = 0; i < count; i++) {
    if (s->discs[i].radius <= 0) continue;
    near = mote_min(near, s->discs[i].depth);
    far = mote_max(far, s->discs[i].depth);
  }
  float scale = far > near ? (LEVELS - 0.01f) / (far - near) : 0;
  int32_t begin[LEVELS + 1][CHUNKS] = {{0}};
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (int chunk = 0; chunk < CHUNKS; chunk++)
    for (int64_t i = count * chunk / CHUNKS; i < count * (chunk + 1) / CHUNKS; i++)
      if (s->discs[i].radius > 0) begin[(int)((s->discs[i].depth - near) * scale)][chunk]++;
  int32_t total = 0;
  for (int k = 0; k < LEVELS * CHUNKS; k++) {
    int32_t here = begin[k / CHUNKS][k % CHUNKS];
    begin[k / CHUNKS][k % CHUNKS] = total;
    total += here;
  }
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (int chunk = 0; chunk < CHUNKS; chunk++)
    for (int64_t i = count * chunk / CHUNKS; i < count * (chunk + 1) / CHUNKS; i++)
      if (s->discs[i].radius > 0)
        s->order[begin[(int)((s->discs[i].depth - near) * scale)][chunk]++] = (int32_t)i;
  *visible = total;
  return MOTE_OK;
}

typedef struct grid {
  int across, down;
} grid;

/* Tiles [box[0], box[2]] x [box[1], box[3]] that a disc touches. */
static void tiles_of(const mote_disc *d, grid g, int box[4]) {
  const float inverse = 1.0f / TILE;
  box[0] = (int)mote_max(0, (d->x - d->radius) * inverse);
  box[1] = (int)mote_max(0, (d->y - d->radius) * inverse);
  box[2] = (int)mote_min((float)(g.across - 1), (d->x + d->radius) * inverse);
  box[3] = (int)mote_min((float)(g.down - 1), (d->y + d->radius) * inverse);
}

/* begin[tile][chunk] becomes where the chunk's discs of that tile start in the list. */
static mote_status bin(mote_splatter *s, int64_t count, grid g, int threads) {
  int64_t tiles = (int64_t)g.across * g.down;
  MOTE_TRY(mote_reserve((void **)&s->begin, &s->begin_capacity, tiles * CHUNKS + 1, sizeof *s->begin));
  memset(s->begin, 0, (size_t)(tiles * CHUNKS + 1) * sizeof *s->begin);
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (int chunk = 0; chunk < CHUNKS; chunk++)
    for (int64_t i = count * chunk / CHUNKS; i < count * (chunk + 1) / CHUNKS; i++) {
      int box[4];
      tiles_of(&s->discs[s->order[i]], g, box);
      for (int y = box[1]; y <= box[3]; y++)
        for (int x = box[0]; x <= box[2]; x++) s->begin[((int64_t)y * g.across + x) * CHUNKS + chunk]++;
    }
  int64_t total = 0;
  for (int64_t k = 0; k <= tiles * CHUNKS; k++) {
    int32_t here = s->begin[k];
    s->begin[k] = (int32_t)total;
    total += here;
    if (total > INT32_MAX)
      return mote_fail(MOTE_ERROR_ARGUMENT, "the particles are too large to draw: choose a smaller radius");
  }
  MOTE_TRY(mote_reserve((void **)&s->list, &s->list_capacity, total, sizeof *s->list));
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (int chunk = 0; chunk < CHUNKS; chunk++)
    for (int64_t i = count * chunk / CHUNKS; i < count * (chunk + 1) / CHUNKS; i++) {
      int box[4];
      tiles_of(&s->discs[s->order[i]], g, box);
      for (int y = box[1]; y <= box[3]; y++)
        for (int x = box[0]; x <= box[2]; x++)
          s->list[s->begin[((int64_t)y * g.across + x) * CHUNKS + chunk]++] = s->order[i];
    }
  return MOTE_OK; /* begin[k] is now the end of k, which is the start of k + 1 */
}

typedef struct tile_pixels {
  float depth[TILE][TILE];
  int32_t index[TILE][TILE];
} tile_pixels;

static void draw_disc(const mote_disc *d, int32_t id, float radius, float x0, float y0, tile_pixels *t) {
  float cx = d->x - x0 - 0.5f, cy = d->y - y0 - 0.5f, inverse = 1 / (d->radius * d->radius);
  int first = (int)mote_max(0, ceilf(cy - d->radius)), last = (int)mote_min(TILE - 1, floorf(cy + d->radius));
  for (int y = first; y <= last; y++) {
    float dy = (float)y - cy, rest = d->radius * d->radius - dy * dy;
    float half = sqrtf(mote_max(rest, 0));
    int left = (int)mote_max(0, ceilf(cx - half)), right = (int)mote_min(TILE - 1, floorf(cx + half));
    float *depth = t->depth[y];
    int32_t *index = t->index[y];
#pragma omp simd
    for (int x = left; x <= right; x++) {
      float dx = (float)x - cx;
      float z = d->depth - radius * sqrtf(mote_max((rest - dx * dx) * inverse, 0));
      int nearer = z < depth[x];
      depth[x] = nearer ? z : depth[x];
      index[x] = nearer ? id : index[x];
    }
  }
}

/* The farthest depth in the tile: a sphere whose front lies behind it cannot show. */
static float farthest(const tile_pixels *t) {
  float far = -MOTE_SPLAT_FAR;
  const float *depth = &t->depth[0][0];
#pragma omp simd reduction(max : far)
  for (int k = 0; k < TILE * TILE; k++) far = depth[k] > far ? depth[k] : far;
  return far;
}

mote_status mote_splat_draw(mote_splatter *s, int64_t count, float radius, int width, int height, int threads,
                            float *depth, int32_t *index) {
  grid g = {(width + TILE - 1) / TILE, (height + TILE - 1) / TILE};
  MOTE_TRY(sort_by_depth(s, count, threads, &count));
  MOTE_TRY(bin(s, count, g, threads));
#pragma omp parallel for num_threads(threads) schedule(dynamic, 4)
  for (int tile = 0; tile < g.across * g.down; tile++) {
    int x0 = tile % g.across * TILE, y0 = tile / g.across * TILE;
    int columns = width - x0 < TILE ? width - x0 : TILE, rows = height - y0 < TILE ? height - y0 : TILE;
    tile_pixels t;
    for (int y = 0; y < TILE; y++)
      for (int x = 0; x < TILE; x++) {
        /* What lies off the screen is as near as can be, so that it does not keep `farthest` from helping. */
        t.depth[y][x] = x < columns && y < rows ? MOTE_SPLAT_FAR : -MOTE_SPLAT_FAR;
        t.index[y][x] = -1;
      }
    int32_t begin = tile ? s->begin[(int64_t)tile * CHUNKS - 1] : 0;
    int32_t end = s->begin[((int64_t)tile + 1) * CHUNKS - 1];
    float limit = MOTE_SPLAT_FAR;
    for (int32_t k = begin, drawn = 0; k < end; k++) {
      const mote_disc *d = &s->discs[s->list[k]];
      if (d->depth - radius >= limit) continue;
      draw_disc(d, s->list[k], radius, (float)x0, (float)y0, &t);
      if (++drawn % 24 == 0) limit = farthest(&t);
    }
    for (int y = 0; y < rows; y++) {
      size_t at = (size_t)(y0 + y) * (size_t)width + (size_t)x0;
      memcpy(depth + at, t.depth[y], (size_t)columns * sizeof(float));
      if (index) memcpy(index + at, t.index[y], (size_t)columns * sizeof(int32_t));
    }
  }
  return MOTE_OK;
}
