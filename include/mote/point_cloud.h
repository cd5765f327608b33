/* Point clouds from PLY files, 3-D Gaussians (Kerbl et al. 2023) included. */
#ifndef MOTE_POINT_CLOUD_H
#define MOTE_POINT_CLOUD_H

#include <stddef.h>
#include <stdint.h>
#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_point_cloud {
  int64_t count;
  float *position; /* (count, 3), in the file's unit; owned */
  float *opacity;  /* (count) from 0 to 1, or NULL where the file has none; owned */
} mote_point_cloud;

/* PLY from data[0, length), ASCII or binary of either byte order: x, y and z of the element "vertex", and its
   "opacity" where it has one. A file of Gaussians (with scale_0 and rot_0 too) stores the logit of the
   opacity: it is turned into the opacity itself. Other properties, lists and elements are passed over.
   Errors: MOTE_ERROR_FORMAT with what was expected where: truncated, a header that promises more than the
   file can hold, numbers that are not finite. */
mote_status mote_point_cloud_parse_ply(const char *data, size_t length, const char *name,
                                       mote_point_cloud *cloud);
mote_status mote_point_cloud_load(const char *path, mote_point_cloud *cloud);
void mote_point_cloud_destroy(mote_point_cloud *cloud);

#ifdef __cplusplus
}
#endif
#endif
