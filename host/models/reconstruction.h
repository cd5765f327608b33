/* A reconstruction's inside, for its own files and for training. */
#ifndef MOTE_MODELS_RECONSTRUCTION_H
#define MOTE_MODELS_RECONSTRUCTION_H

#include <mote/operator.h>
#include <mote/trajectory.h>

#include "host/core/device.h"
#include "kernels/correct/correct.h"
#include "kernels/kin/kin.h"
#include "kernels/reconstruct/reconstruct.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_OPERATOR_LEVELS 6

struct mote_reconstruction {
  mote_device *device;
  mote_stream *stream;
  mote_operator_settings settings;
  mote_reconstruction_options options; /* its pointers are not kept */
  mote_lattice lattice[MOTE_OPERATOR_LEVELS];
  mote_bins bins;
  int key_bits;
  float radius; /* m, of the finest level */
  int64_t stride;
  mote_replay replay;
  mote_buffer sparse, next, start, increment, keys, order, bin_start, rows, fit, scratch;
  mote_buffer moments[MOTE_OPERATOR_LEVELS], field[MOTE_OPERATOR_LEVELS];
  mote_buffer tracer, tracer_increment, tracer_last;
  mote_buffer dense, dense_start, dense_increment, last, reach;
  int has_kin; /* then `shown` is what is read, and `dense` goes on from frame to frame: */
  mote_buffer kin_index, kin_weight, drift, shown;
  mote_flight flight;
  int64_t frame;
  int corrects; /* has a learned correction, of these: */
  mote_experts experts;
  mote_buffer parameters, norm, expert, fitted, errors, feature, basis, share;
};

/* m, between sparse particles if they filled the matter evenly. */
double mote_reconstruction_sparse_spacing(const mote_reconstruction_options *options);

/* Sets gravity and bounds from a recording's metadata; dim, counts and dense_spacing are set. */
void mote_reconstruction_place(const mote_metadata *metadata, mote_reconstruction_options *options);

/* mote_reconstruction_advance from device memory that another stream of the device makes, without waiting:
   the frame runs beside what that stream is given next. And the wait for it; mote_reconstruction_read() waits
   by itself. */
mote_status mote_reconstruction_enqueue(mote_reconstruction *r, mote_stream *stream, const float *sparse);
mote_status mote_reconstruction_settle(mote_reconstruction *r);

/* Which expert of `learned` speaks for each of n particles of a trajectory: from its label "material", of
   all particles (`chosen` NULL) or the chosen ones. -1 for all where nobody knows what the matter is. */
mote_status mote_reconstruction_experts(mote_trajectory_reader *reader, int trajectory,
                                        const mote_metadata *metadata, const mote_operator *learned,
                                        int64_t n, const int32_t *chosen, int64_t particles, int32_t *expert);

/* The frame from `sparse` to `next` in its parts: the fits of all levels; what the network sees; the
   corrected field; and all of it with the points moved. They are steps for mote_replay_run. */
mote_status mote_reconstruction_fit(mote_reconstruction *r, mote_stream *stream);
mote_status mote_reconstruction_describe(mote_reconstruction *r, mote_stream *stream);
mote_status mote_reconstruction_correct(mote_reconstruction *r, mote_stream *stream);
mote_status mote_reconstruction_frame(void *reconstruction, mote_stream *stream);

/* Fills kin_index and kin_weight from the first frame. */
mote_status mote_reconstruction_find_kin(mote_reconstruction *r);

/* What fit_nodes and pursue are given. */
float mote_reconstruction_ridge(const mote_reconstruction *r, int level);
float mote_reconstruction_drift_limit(const mote_reconstruction *r);

mote_correct_view mote_reconstruction_view(const mote_reconstruction *r);

#ifdef __cplusplus
}
#endif
#endif
