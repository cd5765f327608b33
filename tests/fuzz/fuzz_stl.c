/* libFuzzer on the STL reader, both forms. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <mote/mesh.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mote_mesh mesh;
  if (mote_mesh_parse_stl((const char *)data, size, "fuzz", &mesh) != MOTE_OK) return 0;
  for (int64_t i = 0; i < 3 * mesh.triangle_count; i++)
    if (mesh.triangles[i] < 0 || mesh.triangles[i] >= mesh.vertex_count) abort();
  if (mote_mesh_orient(&mesh) != MOTE_OK) abort();
  mote_mesh_destroy(&mesh);
  return 0;
}
