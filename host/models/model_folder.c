#include "host/models/model_folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/core/error.h"
#include "host/io/json_file.h"

mote_status mote_model_folder_check(const char *folder) {
  static const char *const files[] = {".h5",  ".hdf5", ".npz", ".ply",         ".vtk",
                                      ".vtp", ".pvd",  ".pt",  ".safetensors", ".json"};
  struct stat about;
  if (!*folder) return mote_fail(MOTE_ERROR_ARGUMENT, "the model's folder has no name");
  if (stat(folder, &about) == 0)
    return S_ISDIR(about.st_mode) ? MOTE_OK
                                  : mote_fail(MOTE_ERROR_ARGUMENT,
                                              "%s is a file; a model becomes a folder, with config.json and "
                                              "model.safetensors",
                                              folder);
  for (size_t k = 0; k < sizeof files / sizeof *files; k++)
    if (mote_path_has_extension(folder, files[k]))
      return mote_fail(
          MOTE_ERROR_ARGUMENT,
          "%s: a model becomes a folder, with config.json and model.safetensors; expected a name "
          "without %s",
          folder, files[k]);
  return MOTE_OK;
}

static mote_status open_in(const char *folder, const char *name, mote_output *output) {
  char *path = mote_path_join(folder, name);
  if (!path) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to write %s", folder);
  mote_status status = mote_output_open(path, output);
  free(path);
  return status;
}

static mote_status write_files(const char *folder, const mote_model_files *f) {
  mote_output outputs[3] = {{.fd = -1}, {.fd = -1}, {.fd = -1}};
  const int count = f->metadata ? 3 : 2;
  mote_status status = open_in(folder, "model.safetensors", &outputs[0]);
  if (status == MOTE_OK) status = open_in(folder, "config.json", &outputs[1]);
  if (status == MOTE_OK && f->metadata) status = open_in(folder, "metadata.json", &outputs[2]);
  if (status == MOTE_OK)
    status = mote_safetensors_write_to(&outputs[0], f->tensors, f->count, f->texts, f->pairs);
  if (status == MOTE_OK) status = mote_json_write_to(&outputs[1], f->config);
  if (status == MOTE_OK && f->metadata) status = mote_json_write_to(&outputs[2], f->metadata);
  if (status == MOTE_OK) return mote_output_commit(outputs, count);
  mote_output_discard(outputs, count);
  return status;
}

mote_status mote_model_folder_write(const char *folder, const mote_model_files *files) {
  int made = mkdir(folder, 0777) == 0;
  if (!made && errno != EEXIST)
    return mote_fail(MOTE_ERROR_IO, "cannot make the folder %s: %s", folder, strerror(errno));
  mote_status status = write_files(folder, files);
  if (status != MOTE_OK && made) rmdir(folder);
  return status;
}
