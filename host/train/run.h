/* RUN.yaml, read. */
#ifndef MOTE_TRAIN_RUN_H
#define MOTE_TRAIN_RUN_H

#include <stdint.h>
#include <mote/sample.h>
#include <mote/status.h>

#include "host/scene/document.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_files {
  char **path;
  int count;
} mote_files;

typedef struct mote_run {
  mote_files data, valid;
  mote_sample_method method;
  double ratio_low, ratio_high; /* part of the particles that is kept: drawn anew for each example */
  int64_t points;               /* dense particles that an example's loss looks at */
  int64_t frames;               /* at most so many of a trajectory; 0: all */
  int64_t batch, steps, validate_every, seed;
  double rate;
} mote_run;

mote_status mote_run_load(const char *path, mote_run *run);
void mote_run_free(mote_run *run);

/* The value of a key that must be there, a path relative to the file it stands in; `what` is expected.
   Allocated. */
mote_status mote_run_path(const mote_map *map, const char *key, const char *what, char **path);

/* The root of a run, with keys out of the NULL-ended `keys`, whose `kind` must be there and that. */
mote_status mote_run_open(const mote_document *document, const char *const *keys, const char *kind,
                          mote_map *map);

/* Values by key that several kinds of run have, each left as it is where the key is absent: a float; the
   decays of Adam's moments, as `betas`. */
mote_status mote_run_float(const mote_map *map, const char *key, double low, double high, float *value);
mote_status mote_run_betas(const mote_map *map, float *beta1, float *beta2);

#ifdef __cplusplus
}
#endif
#endif
