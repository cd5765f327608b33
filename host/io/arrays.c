#include "host/io/arrays.h"

#include <string.h>

#include "host/core/error.h"
#include "host/core/file.h"
#include "host/io/hdf5_session.h"

static mote_status put(const char *path, const mote_hdf5_file *file, const mote_array *a) {
  hsize_t size[4] = {0};
  for (int k = 0; k < a->rank; k++) size[k] = (hsize_t)a->shape[k];
  hid_t space = H5Screate_simple(a->rank, size, NULL), list = H5Pcreate(H5P_DATASET_CREATE), set = -1;
  if (space >= 0 && list >= 0 && H5Pset_obj_track_times(list, 0) >= 0)
    set = H5Dcreate2(file->id, a->name, H5T_IEEE_F32LE, space, H5P_DEFAULT, list, H5P_DEFAULT);
  int ok = set >= 0 && H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, a->values) >= 0;
  if (set >= 0) H5Dclose(set);
  if (list >= 0) H5Pclose(list);
  if (space >= 0) H5Sclose(space);
  return ok && !file->error ? MOTE_OK : mote_hdf5_fail(MOTE_ERROR_IO, "cannot write %s: %s", path, a->name);
}

static mote_status write_all(const char *path, int fd, const mote_array *arrays, int count) {
  mote_hdf5_file file = {0};
  MOTE_TRY(mote_hdf5_create(path, fd, &file));
  mote_status status = MOTE_OK;
  for (int k = 0; k < count && status == MOTE_OK; k++) status = put(path, &file, &arrays[k]);
  mote_hdf5_close(&file);
  if (status == MOTE_OK && file.error)
    status = mote_fail(MOTE_ERROR_IO, "cannot write %s: %s", path, strerror(file.error));
  return status;
}

mote_status mote_arrays_write(const char *path, const mote_array *arrays, int count) {
  mote_output output = {0};
  mote_hdf5_session session;
  MOTE_TRY(mote_output_open(path, &output));
  mote_hdf5_begin(&session);
  mote_status status = write_all(path, output.fd, arrays, count);
  mote_hdf5_end(&session);
  if (status == MOTE_OK) return mote_output_commit(&output, 1);
  mote_output_discard(&output, 1);
  return status;
}
