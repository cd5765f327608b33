/* libFuzzer on the OBJ reader and what is done with any mesh it accepts. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <mote/mesh.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mote_mesh mesh;
  if (mote_mesh_parse_obj((const char *)data, size, "fuzz", &mesh) != MOTE_OK) return 0;
  for (int64_t i = 0; i < 3 * mesh.triangle_count; i++)
    if (mesh.triangles[i] < 0 || mesh.triangles[i] >= mesh.vertex_count) abort();
  mote_winding *winding;
  const float point[3] = {0.25f, 0.25f, 0.25f};
  float number;
  if (mote_mesh_orient(&mesh) == MOTE_OK && mote_winding_create(&mesh, &winding) == MOTE_OK) {
    mote_winding_numbers(winding, point, 1, &number);
    mote_winding_destroy(winding);
  }
  mote_mesh_destroy(&mesh);
  return 0;
}
