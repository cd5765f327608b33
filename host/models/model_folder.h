/* A model's folder, written whole: config.json, model.safetensors and, of time-steppers, metadata.json. */
#ifndef MOTE_MODELS_MODEL_FOLDER_H
#define MOTE_MODELS_MODEL_FOLDER_H

#include <cjson/cJSON.h>

#include "host/io/safetensors.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_model_files {
  const mote_tensor *tensors;
  int count;
  const char *const *texts; /* of the tensors' file: key, value, key, value, ... */
  int pairs;
  const cJSON *config, *metadata; /* metadata NULL: the folder gets none */
} mote_model_files;

/* Whether `folder` can be a model's: its name is not a file's, by its extension or because a file has it.
   MOTE_ERROR_ARGUMENT. */
mote_status mote_model_folder_check(const char *folder);

/* Makes the folder where it is not there. All files appear under their names together or not at all, and then
   neither does a folder that was made. */
mote_status mote_model_folder_write(const char *folder, const mote_model_files *files);

#ifdef __cplusplus
}
#endif
#endif
