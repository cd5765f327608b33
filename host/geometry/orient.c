/* Faces that agree: see mote_mesh_orient in mesh.h. The trick: sort the edges; two faces over an edge agree
   when they run along it in opposite directions; a flood from face to face then tells which of a piece to
   turn. */
#include <math.h>
#include <stdlib.h>
#include <mote/mesh.h>

#include "host/core/error.h"

typedef struct edge {
  int32_t low, high; /* vertices */
  int32_t face;
  int32_t corner; /* it starts at this corner of the face */
  int32_t down;   /* runs from high to low */
} edge;

static int compare_edges(const void *a, const void *b) {
  const edge *p = a, *q = b;
  if (p->low != q->low) return p->low < q->low ? -1 : 1;
  if (p->high != q->high) return p->high < q->high ? -1 : 1;
  if (p->face != q->face) return p->face < q->face ? -1 : 1;
  return p->corner - q->corner;
}

typedef struct flood {
  int64_t faces;
  edge *edges;
  int32_t *across;     /* (faces, 3) the face over each edge, or -1 */
  signed char *agrees; /* (faces, 3) */
  signed char *turn;   /* (faces) -1 not seen, 0 as the piece's first face, 1 against it */
  int32_t *queue;
} flood;

static void connect(flood *f, const mote_mesh *mesh) {
  int64_t n = 3 * f->faces;
  for (int64_t i = 0; i < n; i++) {
    int32_t a = mesh->triangles[i], b = mesh->triangles[i % 3 == 2 ? i - 2 : i + 1];
    f->edges[i] = (edge){a < b ? a : b, a < b ? b : a, (int32_t)(i / 3), (int32_t)(i % 3), a > b};
    f->across[i] = -1;
  }
  qsort(f->edges, (size_t)n, sizeof *f->edges, compare_edges);
  for (int64_t i = 0, j; i < n; i = j) {
    for (j = i + 1; j < n && f->edges[j].low == f->edges[i].low && f->edges[j].high == f->edges[i].high;) j++;
    const edge *p = &f->edges[i], *q = p + 1;
    if (j - i != 2 || p->face == q->face || p->low == p->high) continue; /* a border, or not a manifold */
    f->across[3 * (int64_t)p->face + p->corner] = q->face;
    f->across[3 * (int64_t)q->face + q->corner] = p->face;
    f->agrees[3 * (int64_t)p->face + p->corner] = f->agrees[3 * (int64_t)q->face + q->corner] =
        p->down != q->down;
  }
}

static double area_of(const mote_mesh *mesh, int64_t face) {
  double u[3], v[3];
  const int32_t *t = mesh->triangles + 3 * face;
  for (int d = 0; d < 3; d++) {
    u[d] = (double)mesh->vertices[3 * (int64_t)t[1] + d] - mesh->vertices[3 * (int64_t)t[0] + d];
    v[d] = (double)mesh->vertices[3 * (int64_t)t[2] + d] - mesh->vertices[3 * (int64_t)t[0] + d];
  }
  double x = u[1] * v[2] - u[2] * v[1], y = u[2] * v[0] - u[0] * v[2], z = u[0] * v[1] - u[1] * v[0];
  return sqrt(x * x + y * y + z * z) / 2;
}

static void turn_face(mote_mesh *mesh, int64_t face) {
  int32_t *t = mesh->triangles + 3 * face, swap = t[1];
  t[1] = t[2];
  t[2] = swap;
}

static void orient_piece(flood *f, mote_mesh *mesh, int64_t start) {
  int64_t first = 0, last = 0;
  double area[2] = {0, 0};
  f->turn[start] = 0;
  f->queue[last++] = (int32_t)start;
  while (first < last) {
    int64_t face = f->queue[first++];
    area[(int)f->turn[face]] += area_of(mesh, face);
    for (int c = 0; c < 3; c++) {
      int32_t next = f->across[3 * face + c];
      if (next < 0 || f->turn[next] >= 0) continue;
      f->turn[next] = (signed char)(f->agrees[3 * face + c] ? f->turn[face] : !f->turn[face]);
      f->queue[last++] = next;
    }
  }
  int minority = area[1] > area[0] ? 0 : 1;
  for (int64_t i = 0; i < last; i++)
    if (f->turn[f->queue[i]] == minority) turn_face(mesh, f->queue[i]);
}

mote_status mote_mesh_orient(mote_mesh *mesh) {
  MOTE_TRY(mote_mesh_weld(mesh));
  size_t n = (size_t)(mesh->triangle_count ? mesh->triangle_count : 1);
  flood f = {
      .faces = mesh->triangle_count, .edges = malloc(3 * n * sizeof(edge)), .agrees = calloc(3 * n, 1)};
  f.across = malloc(3 * n * sizeof *f.across);
  f.turn = malloc(n);
  f.queue = malloc(n * sizeof *f.queue);
  mote_status status = MOTE_OK;
  if (!f.edges || !f.across || !f.agrees || !f.turn || !f.queue) {
    status = mote_fail(MOTE_ERROR_MEMORY, "out of memory orienting %zu triangles", n);
  } else {
    connect(&f, mesh);
    for (int64_t i = 0; i < f.faces; i++) f.turn[i] = -1;
    for (int64_t i = 0; i < f.faces; i++)
      if (f.turn[i] < 0) orient_piece(&f, mesh, i);
    if (mote_mesh_volume(mesh) < 0)
      for (int64_t i = 0; i < f.faces; i++) turn_face(mesh, i);
  }
  free(f.edges);
  free(f.across);
  free(f.agrees);
  free(f.turn);
  free(f.queue);
  return status;
}
