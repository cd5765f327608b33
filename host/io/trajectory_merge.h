/* One file out of many: each the first trajectory of a file, copied as it is stored. */
#ifndef MOTE_IO_TRAJECTORY_MERGE_H
#define MOTE_IO_TRAJECTORY_MERGE_H

#include <mote/trajectory.h>
#include "host/core/file.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Opens `output` beside `path` and writes the group "00000" of each of the files into it, as "00000",
   "00001",
   ...; packed chunks are not unpacked. The metadata are those given. The caller commits or discards. */
mote_status mote_trajectory_merge(const char *path, const char *const *files, int count,
                                  const mote_metadata *metadata, mote_output *output);

#ifdef __cplusplus
}
#endif
#endif
