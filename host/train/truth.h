/* A trajectory as a training of constitutive laws looks at it: all its frames on the device. */
#ifndef MOTE_TRAIN_TRUTH_H
#define MOTE_TRAIN_TRUTH_H

#include <mote/scene.h>

#include "host/core/device.h"
#include "host/sim/unrolled.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_truth {
  int64_t frames, n, every; /* every: steps between frames */
  int dim;
  int has_velocity, has_states; /* states: all that a restart needs */
  double speed;                 /* m/s, rms of the velocities; 0 without */
  mote_buffer position, velocity, affine_velocity, deformation_gradient, history;
} mote_truth;

typedef struct mote_truth_options {
  double time_step; /* s, the scene's */
  int64_t frames;   /* the first ones; 0: all */
  double noise;     /* m, deviation of what is added to each coordinate of the positions; states are then not
                       read, as they would tell what the noise hides */
  uint64_t seed;    /* of the noise */
} mote_truth_options;

/* The first trajectory of the file, of the scene's particles in their order. MOTE_ERROR_ARGUMENT: of other
   particles or times than the scene's. */
mote_status mote_truth_load(mote_stream *stream, const char *path, const mote_scene *scene,
                            const mote_truth_options *options, mote_truth *truth);
void mote_truth_free(mote_truth *truth);

/* (n, dim) of a frame. */
static inline const float *mote_truth_rows(const mote_truth *t, const mote_buffer *field, int64_t frame) {
  return (const float *)field->data + frame * t->n * t->dim;
}

/* The state of a frame, where the trajectory has states. */
mote_status mote_truth_state(const mote_truth *truth, mote_stream *stream, int64_t frame,
                             const mote_unrolled_state *to);

#ifdef __cplusplus
}
#endif
#endif
