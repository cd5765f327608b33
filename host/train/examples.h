/* Training data: trajectories in memory, and examples made of them: a sparse set, and some of the dense
   particles to look at. */
#ifndef MOTE_TRAIN_EXAMPLES_H
#define MOTE_TRAIN_EXAMPLES_H

#include <mote/trajectory.h>

#include "host/train/run.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_recording {
  char *name;
  int64_t frames, particles;
  int dim;
  mote_metadata metadata;
  float *position;   /* (frames, particles, dim) */
  int32_t *material; /* (particles): which of metadata.materials */
} mote_recording;

typedef struct mote_recordings {
  mote_recording *of;
  int count;
} mote_recordings;

mote_status mote_recordings_load(const mote_files *files, int64_t most_frames, mote_recordings *set);
void mote_recordings_free(mote_recordings *set);

typedef struct mote_example {
  const mote_recording *recording;
  int64_t frames, sparse_count, dense_count;
  float *sparse, *dense; /* (frames, count, dim) */
  int32_t *expert;       /* (sparse_count) */
  double dense_spacing;  /* m, of the chosen dense particles if they filled the matter */
} mote_example;

/* `draw` decides what is chosen: the same number, the same example. expert_of[k]: of material k. */
mote_status mote_example_make(const mote_recording *recording, const mote_run *run, uint64_t draw,
                              const int *expert_of, mote_example *example);

/* The same from a later frame on; a view, not to be freed. */
mote_example mote_example_from(const mote_example *example, int64_t frame);
void mote_example_free(mote_example *example);

#ifdef __cplusplus
}
#endif
#endif
