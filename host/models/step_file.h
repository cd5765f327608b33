/* What `mote step` and `mote rollout` share: a history and its metadata out of files. */
#ifndef MOTE_MODELS_STEP_FILE_H
#define MOTE_MODELS_STEP_FILE_H

#include <mote/stepper.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The metadata of `path`, else of metadata.json in the model's folder. */
mote_status mote_step_metadata(const char *folder, const char *path, mote_metadata *metadata);

#ifdef __cplusplus
}
#endif
#endif
