/* The inside of a mesh: see mesh_region.h. The trick: away from the triangles the winding number is harmonic,
   hence smooth, so a block of space that no triangle touches and whose corners are clearly on one side lies
   there as a whole. Only points in the other blocks cost a winding number. */
#include "host/geometry/mesh_region.h"

#include <math.h>
#include <stdlib.h>

#include "host/core/error.h"
#include "host/geometry/winding.h"

enum { BLOCKS = 48, SAMPLES = 2 };
#define CLEAR 0.2 /* how far from 1/2 a corner has to be */

enum { OUTSIDE, INSIDE, MIXED };

struct mote_mesh_region {
  mote_winding *winding;
  double lower[3], upper[3];
  double volume;
  double block; /* side, m */
  int64_t n[3];
  unsigned char *state;
};

static int inside(const void *self, const double p[3]) {
  const mote_mesh_region *m = self;
  int64_t at[3];
  for (int d = 0; d < 3; d++) {
    if (!(p[d] >= m->lower[d] && p[d] <= m->upper[d])) return 0;
    at[d] = (int64_t)((p[d] - m->lower[d]) / m->block);
    if (at[d] >= m->n[d]) at[d] = m->n[d] - 1;
  }
  int state = m->state[(at[2] * m->n[1] + at[1]) * m->n[0] + at[0]];
  return state == MIXED ? mote_winding_number(m->winding, p) > 0.5 : state;
}

/* Marks the blocks that a triangle's box touches. */
static void mark_touched(const mote_mesh *mesh, mote_mesh_region *m) {
  for (int64_t t = 0; t < mesh->triangle_count; t++) {
    int64_t from[3], to[3];
    for (int d = 0; d < 3; d++) {
      double low = INFINITY, high = -INFINITY;
      for (int c = 0; c < 3; c++) {
        double x = (mesh->vertices[3 * (int64_t)mesh->triangles[3 * t + c] + d] - m->lower[d]) / m->block;
        low = fmin(low, x - 1e-6);
        high = fmax(high, x + 1e-6);
      }
      from[d] = low < 0 ? 0 : low < (double)m->n[d] ? (int64_t)low : m->n[d] - 1;
      to[d] = high < (double)m->n[d] ? (int64_t)high : m->n[d] - 1;
    }
    for (int64_t k = from[2]; k <= to[2]; k++)
      for (int64_t j = from[1]; j <= to[1]; j++)
        for (int64_t i = from[0]; i <= to[0]; i++) m->state[(k * m->n[1] + j) * m->n[0] + i] = MIXED;
  }
}

/* The state of a block that nothing touches, from the winding numbers at the lattice of corners. */
static int judge(const mote_mesh_region *m, const float *corners, int64_t i, int64_t j, int64_t k) {
  float least = INFINITY, most = -INFINITY;
  for (int c = 0; c < 8; c++) {
    int64_t x = i + (c & 1), y = j + (c >> 1 & 1), z = k + (c >> 2);
    float w = corners[(z * (m->n[1] + 1) + y) * (m->n[0] + 1) + x];
    least = fminf(least, w);
    most = fmaxf(most, w);
  }
  return least > 0.5 + CLEAR ? INSIDE : most < 0.5 - CLEAR ? OUTSIDE : MIXED;
}

static mote_status judge_blocks(mote_mesh_region *m) {
  int64_t nx = m->n[0] + 1, ny = m->n[1] + 1, nodes = nx * ny * (m->n[2] + 1);
  float *corners = malloc((size_t)nodes * sizeof *corners);
  if (!corners) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a mesh's blocks");
#pragma omp parallel for schedule(dynamic, 256)
  for (int64_t c = 0; c < nodes; c++) {
    double p[3] = {m->lower[0] + (double)(c % nx) * m->block, m->lower[1] + (double)(c / nx % ny) * m->block,
                   m->lower[2] + (double)(c / (nx * ny)) * m->block};
    corners[c] = (float)mote_winding_number(m->winding, p);
  }
  for (int64_t k = 0, b = 0; k < m->n[2]; k++)
    for (int64_t j = 0; j < m->n[1]; j++)
      for (int64_t i = 0; i < m->n[0]; i++, b++)
        if (m->state[b] != MIXED) m->state[b] = (unsigned char)judge(m, corners, i, j, k);
  free(corners);
  return MOTE_OK;
}

/* Counts the samples inside, SAMPLES^3 a block: integers, so any order of summation gives the same. */
static double measure(const mote_mesh_region *m) {
  int64_t blocks = m->n[0] * m->n[1] * m->n[2], count = 0;
#pragma omp parallel for schedule(dynamic, 16) reduction(+ : count)
  for (int64_t b = 0; b < blocks; b++) {
    int64_t at[3] = {b % m->n[0], b / m->n[0] % m->n[1], b / (m->n[0] * m->n[1])};
    if (m->state[b] != MIXED) count += m->state[b] * SAMPLES * SAMPLES * SAMPLES;
    for (int s = 0; m->state[b] == MIXED && s < SAMPLES * SAMPLES * SAMPLES; s++) {
      int sub[3] = {s % SAMPLES, s / SAMPLES % SAMPLES, s / (SAMPLES * SAMPLES)};
      double p[3];
      for (int d = 0; d < 3; d++) p[d] = m->lower[d] + ((double)at[d] + (sub[d] + 0.5) / SAMPLES) * m->block;
      count += inside(m, p);
    }
  }
  return (double)count * pow(m->block / SAMPLES, 3);
}

static mote_status prepare(const mote_mesh *mesh, mote_mesh_region *m) {
  double longest = 0;
  mote_mesh_bounds(mesh, m->lower, m->upper);
  for (int d = 0; d < 3; d++) longest = fmax(longest, m->upper[d] - m->lower[d]);
  m->block = longest / BLOCKS;
  if (!(m->block > 0) || !isfinite(longest))
    return mote_fail(MOTE_ERROR_ARGUMENT, "a mesh of extent %g encloses nothing", longest);
  for (int d = 0; d < 3; d++) {
    double n = ceil((m->upper[d] - m->lower[d]) / m->block - 1e-9);
    m->n[d] = n < 1 ? 1 : n > BLOCKS ? BLOCKS : (int64_t)n;
  }
  m->state = calloc((size_t)(m->n[0] * m->n[1] * m->n[2]), 1);
  if (!m->state) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a mesh's blocks");
  MOTE_TRY(mote_winding_create(mesh, &m->winding));
  mark_touched(mesh, m);
  MOTE_TRY(judge_blocks(m));
  m->volume = measure(m);
  if (m->volume > 0) return MOTE_OK;
  return mote_fail(MOTE_ERROR_ARGUMENT, "the mesh encloses no volume: is it an open sheet?");
}

mote_status mote_mesh_region_create(const mote_mesh *mesh, mote_mesh_region **region) {
  *region = NULL;
  mote_mesh_region *made = calloc(1, sizeof *made);
  if (!made) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a mesh");
  mote_status status = prepare(mesh, made);
  if (status == MOTE_OK)
    *region = made;
  else
    mote_mesh_region_destroy(made);
  return status;
}

void mote_mesh_region_destroy(mote_mesh_region *region) {
  if (!region) return;
  mote_winding_destroy(region->winding);
  free(region->state);
  free(region);
}

mote_region mote_mesh_region_view(const mote_mesh_region *m) {
  mote_region view = {.dim = 3, .volume = m->volume, .inside = inside, .self = m};
  for (int d = 0; d < 3; d++) {
    view.lower[d] = m->lower[d];
    view.upper[d] = m->upper[d];
  }
  return view;
}
