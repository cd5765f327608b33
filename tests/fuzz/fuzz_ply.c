/* libFuzzer on the PLY reader. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <mote/point_cloud.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mote_point_cloud cloud;
  if (mote_point_cloud_parse_ply((const char *)data, size, "fuzz", &cloud) != MOTE_OK) return 0;
  for (int64_t i = 0; i < 3 * cloud.count; i++)
    if (!isfinite(cloud.position[i])) abort();
  mote_point_cloud_destroy(&cloud);
  return 0;
}
