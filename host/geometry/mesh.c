/* Triangle meshes as values: loading by name, bounds, volume, welding. The trick of welding is to sort: equal
   vertices become neighbours, and the first one in the file stands for all. */
#include <mote/mesh.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/core/error.h"
#include "host/core/file.h"

#define FILE_LIMIT ((int64_t)4 << 30)

void mote_mesh_destroy(mote_mesh *mesh) {
  free(mesh->vertices);
  free(mesh->triangles);
  *mesh = (mote_mesh){0};
}

static int ends_in(const char *path, const char *extension) {
  size_t n = strlen(path), m = strlen(extension);
  return n >= m && !strcasecmp(path + n - m, extension);
}

mote_status mote_mesh_load(const char *path, mote_mesh *mesh) {
  *mesh = (mote_mesh){0};
  int obj = ends_in(path, ".obj");
  if (!obj && !ends_in(path, ".stl"))
    return mote_fail(MOTE_ERROR_UNSUPPORTED, "%s: a mesh has to be a file .obj or .stl", path);
  char *data;
  size_t size;
  MOTE_TRY(mote_file_read(path, FILE_LIMIT, &data, &size));
  mote_status status =
      obj ? mote_mesh_parse_obj(data, size, path, mesh) : mote_mesh_parse_stl(data, size, path, mesh);
  free(data);
  return status;
}

void mote_mesh_bounds(const mote_mesh *mesh, double lower[3], double upper[3]) {
  for (int d = 0; d < 3; d++) lower[d] = INFINITY, upper[d] = -INFINITY;
  for (int64_t i = 0; i < 3 * mesh->triangle_count; i++)
    for (int d = 0; d < 3; d++) {
      double x = mesh->vertices[3 * (int64_t)mesh->triangles[i] + d];
      lower[d] = fmin(lower[d], x);
      upper[d] = fmax(upper[d], x);
    }
}

double mote_mesh_volume(const mote_mesh *mesh) {
  double lower[3], upper[3], sum = 0;
  mote_mesh_bounds(mesh, lower, upper);
  for (int64_t t = 0; t < mesh->triangle_count; t++) {
    double p[3][3]; /* from the middle of the box, where the sum cancels least */
    for (int c = 0; c < 3; c++)
      for (int d = 0; d < 3; d++)
        p[c][d] = mesh->vertices[3 * (int64_t)mesh->triangles[3 * t + c] + d] - (lower[d] + upper[d]) / 2;
    sum += p[0][0] * (p[1][1] * p[2][2] - p[1][2] * p[2][1]) +
           p[0][1] * (p[1][2] * p[2][0] - p[1][0] * p[2][2]) +
           p[0][2] * (p[1][0] * p[2][1] - p[1][1] * p[2][0]);
  }
  return sum / 6;
}

typedef struct placed {
  float x[3];
  int32_t index;
} placed;

static int compare_placed(const void *a, const void *b) {
  const placed *p = a, *q = b;
  for (int d = 0; d < 3; d++)
    if (p->x[d] != q->x[d]) return p->x[d] < q->x[d] ? -1 : 1;
  return (p->index > q->index) - (p->index < q->index);
}

static int same_place(const placed *a, const placed *b) {
  return a->x[0] == b->x[0] && a->x[1] == b->x[1] && a->x[2] == b->x[2];
}

mote_status mote_mesh_weld(mote_mesh *mesh) {
  int64_t n = mesh->vertex_count;
  placed *sorted = malloc((size_t)(n ? n : 1) * sizeof *sorted);
  int32_t *to = malloc((size_t)(n ? n : 1) * sizeof *to);
  if (!sorted || !to) {
    free(sorted);
    free(to);
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory welding %lld vertices", (long long)n);
  }
  for (int64_t i = 0; i < n; i++) {
    memcpy(sorted[i].x, mesh->vertices + 3 * i, sizeof sorted[i].x);
    sorted[i].index = (int32_t)i;
  }
  qsort(sorted, (size_t)n, sizeof *sorted, compare_placed);
  for (int64_t i = 0, first = 0; i < n; i++) {
    if (!same_place(&sorted[i], &sorted[first])) first = i;
    to[sorted[i].index] = sorted[first].index;
  }
  int64_t kept = 0;
  for (int64_t i = 0; i < n; i++) {
    int32_t first = to[i];
    if (first < i) { /* has its final number already */
      to[i] = to[first];
      continue;
    }
    memmove(mesh->vertices + 3 * kept, mesh->vertices + 3 * i, 3 * sizeof(float));
    to[i] = (int32_t)kept++;
  }
  mesh->vertex_count = kept;
  for (int64_t i = 0; i < 3 * mesh->triangle_count; i++) mesh->triangles[i] = to[mesh->triangles[i]];
  free(sorted);
  free(to);
  return MOTE_OK;
}
