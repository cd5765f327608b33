/* Triangle meshes: read from OBJ and STL, measured, and asked what lies inside them. Inside is decided by the
   generalized winding number, so that scans with holes, self-intersections, doubled and flipped faces work.
 */
#ifndef MOTE_MESH_H
#define MOTE_MESH_H

#include <stddef.h>
#include <stdint.h>
#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_mesh {
  int64_t vertex_count;
  int64_t triangle_count;
  float *vertices;    /* (vertex_count, 3), in the file's unit; owned */
  int32_t *triangles; /* (triangle_count, 3) indices of vertices; owned */
} mote_mesh;

/* Wavefront OBJ from text[0, length): v and f (polygons become fans of triangles, negative indices count from
   the end); normals, texture coordinates, groups and materials are passed over. `name` stands in errors. STL
   in both forms, told apart by the size that the binary header promises; its vertices are welded where they
   are equal. Errors: MOTE_ERROR_FORMAT with the line (or byte) and what was expected: indices out of range,
   numbers that are not finite, truncated files, more than 2^27 vertices or triangles. */
mote_status mote_mesh_parse_obj(const char *text, size_t length, const char *name, mote_mesh *mesh);
mote_status mote_mesh_parse_stl(const char *data, size_t length, const char *name, mote_mesh *mesh);

/* Reads a file whose name ends in .obj or .stl. Errors also: MOTE_ERROR_IO, MOTE_ERROR_UNSUPPORTED. */
mote_status mote_mesh_load(const char *path, mote_mesh *mesh);

/* Frees the arrays and zeroes the struct. */
void mote_mesh_destroy(mote_mesh *mesh);

/* The bounding box of the vertices that triangles use. */
void mote_mesh_bounds(const mote_mesh *mesh, double lower[3], double upper[3]);

/* The enclosed volume by the divergence theorem, sum a.(b x c)/6: exact for a closed mesh, negative where its
   faces look inwards. */
double mote_mesh_volume(const mote_mesh *mesh);

/* Merges vertices at equal positions. */
mote_status mote_mesh_weld(mote_mesh *mesh);

/* Makes neighbouring faces agree: across edges of two faces, each connected piece takes the orientation that
   more than half of its area has (so a cavity keeps looking inwards); then all are turned if the volume is
   negative. */
mote_status mote_mesh_orient(mote_mesh *mesh);

/* ---- inside or outside ---- */

typedef struct mote_winding mote_winding;

/* Builds the tree; keeps a copy of what it needs of the mesh. */
mote_status mote_winding_create(const mote_mesh *mesh, mote_winding **winding);
void mote_winding_destroy(mote_winding *winding);

/* Winding numbers of points (n, 3): 1 inside a closed outward mesh, 0 outside, in between near holes
   (Jacobson et al. 2013, eq. 5: the sum of the triangles' solid angles over 4 pi); far clusters of triangles
   by a Taylor series to second order (Barill et al. 2018, eq. 8-12). Inside is > 0.5. In parallel; the result
   does not depend on the number of threads. */
void mote_winding_numbers(const mote_winding *winding, const float *points, int64_t n, float *numbers);

/* The same without the series: each triangle's own solid angle. */
double mote_winding_exact(const mote_winding *winding, const double point[3]);

#ifdef __cplusplus
}
#endif
#endif
