/* Opening a split of a data set, whoever made it. */
#include <mote/dataset.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "host/core/error.h"

mote_status mote_dataset_open(const char *path, int split, mote_trajectory_reader **reader) {
  struct stat about;
  char *file;
  *reader = NULL;
  if (stat(path, &about) != 0 || !S_ISDIR(about.st_mode)) return mote_trajectory_open(path, reader);
  if (split < 0 || split >= MOTE_SPLITS)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s: split %d: expected 0 (train), 1 (valid) or 2 (test)", path,
                     split);
  if (asprintf(&file, "%s/%s.h5", path, mote_split_names[split]) < 0)
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory to open %s", path);
  mote_status status = mote_trajectory_open(file, reader);
  free(file);
  return status;
}
