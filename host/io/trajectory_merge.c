/* Copying groups from file to file: see trajectory_merge.h. */
#include "host/io/trajectory_merge.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cjson/cJSON.h>

#include "host/core/error.h"
#include "host/io/hdf5_session.h"
#include "host/io/metadata.h"

static mote_status copy_group(mote_hdf5_file *to, const char *path, int number) {
  mote_hdf5_file from;
  char name[32];
  int fd;
  int64_t size;
  MOTE_TRY(mote_file_open(path, &fd, &size));
  mote_status status = mote_hdf5_open(path, fd, &from);
  if (status == MOTE_OK) {
    snprintf(name, sizeof name, "%05d", number);
    if (H5Ocopy(from.id, "00000", to->id, name, H5P_DEFAULT, H5P_DEFAULT) < 0)
      status = mote_hdf5_fail(MOTE_ERROR_FORMAT, "%s: its trajectory cannot be copied", path);
    mote_hdf5_close(&from);
  }
  close(fd);
  return status;
}

static mote_status write_failed(const char *path, const mote_hdf5_file *file) {
  if (file->error) return mote_fail(MOTE_ERROR_IO, "cannot write %s: %s", path, strerror(file->error));
  return mote_hdf5_fail(MOTE_ERROR_IO, "cannot write %s", path);
}

static mote_status copy_all(const char *path, const char *const *files, int count, const char *metadata,
                            mote_hdf5_file *to) {
  for (int k = 0; k < count; k++) {
    MOTE_TRY(copy_group(to, files[k], k));
    if (to->error) return write_failed(path, to);
  }
  int ok = mote_hdf5_put_text(to, "metadata", metadata) && mote_hdf5_put_text(to, "creator", "Mote") &&
           H5Fflush(to->id, H5F_SCOPE_LOCAL) >= 0;
  return ok ? MOTE_OK : write_failed(path, to);
}

static mote_status merge(const char *path, const char *const *files, int count, const char *metadata,
                         const mote_output *output) {
  mote_hdf5_session session;
  mote_hdf5_file to;
  mote_hdf5_begin(&session);
  mote_status status = mote_hdf5_create(path, output->fd, &to);
  if (status == MOTE_OK) {
    status = copy_all(path, files, count, metadata, &to);
    mote_hdf5_close(&to);
    if (status == MOTE_OK && to.error) status = write_failed(path, &to);
  }
  mote_hdf5_end(&session);
  return status;
}

mote_status mote_trajectory_merge(const char *path, const char *const *files, int count,
                                  const mote_metadata *metadata, mote_output *output) {
  char *text = mote_metadata_format(metadata, mote_path_name(path));
  if (!text) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to write %s", path);
  mote_status status = mote_output_open(path, output);
  if (status == MOTE_OK) {
    status = merge(path, files, count, text, output);
    if (status != MOTE_OK) mote_output_discard(output, 1);
  }
  cJSON_free(text);
  return status;
}
