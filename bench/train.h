/* mote-bench train: examples of a time-stepper's training, made up or out of a file, and steps on them. */
#ifndef MOTE_BENCH_TRAIN_H
#define MOTE_BENCH_TRAIN_H

#include "bench/bench.h"
#include "bench/count.h"
#include "host/models/tape.h"
#include "host/train/weights.h"

/* A history, the kinds of its particles, and the frame behind it, which is learned from. */
typedef struct train_example {
  int64_t particles;
  float *frames; /* (window + 2, particles, dim) m */
  int32_t *type; /* (particles) */
} train_example;

typedef struct train_batch {
  int count, dim, frames; /* frames: window + 2 */
  train_example *example;
} train_batch;

/* Statistics and bounds of the made-up data of a model without data of its own: a metre wide, the radius such
   that a particle of `particles` in the middle has about 30 neighbours. */
mote_metadata train_metadata(int dim, int64_t particles);

/* `count` clouds of `particles` around the middle of the metadata's bounds, each a jittered lattice with some
   30 neighbours in the metadata's radius, of all kinds of particles. */
mote_status train_batch_invent(const mote_network_config *config, const mote_metadata *metadata,
                               int64_t particles, int count, train_batch *batch);

/* The first window + 2 frames of the first `count` trajectories of a file; 0: of all. MOTE_ERROR_ARGUMENT:
   there are fewer, they are too short, of another dim or have types that the model does not know. */
mote_status train_batch_read(const char *path, const mote_network_config *config, int count,
                             train_batch *batch);

/* What train_batch_read() reads. */
mote_status train_batch_write(const char *path, const train_batch *batch, const mote_metadata *metadata);
void train_batch_free(train_batch *batch);

/* ---- steps ---- */

/* Who works out examples: on the CPU as many as there are threads for, else one. */
typedef struct train_worker {
  mote_device *device; /* owned, on the CPU only */
  mote_stream *stream;
  mote_tape_room tape_room;
  mote_tape tape;
  mote_buffer history, type, target, d_acceleration, loss, scratch;
  double forward, backward; /* s of the last step */
  mote_status status;
  char message[512];
} train_worker;

/* What came of an example. */
typedef struct train_result {
  mote_buffer gradient, shared;
  double loss; /* its mean square, as if it were alone */
  bench_rows rows;
} train_result;

/* s. forward and backward: of the workers in their mean; update: with packing and the sum over the batch. */
typedef struct train_times {
  double forward, backward, update, step;
  double processor; /* of the step, over all threads of the host */
} train_times;

typedef struct train_job {
  mote_device *device;
  mote_metadata metadata;
  train_batch batch;
  mote_trained_weights weights;
  int workers;
  train_worker *worker;
  train_result *result; /* (batch.count) */
  float **target;       /* (batch.count) normalised accelerations */
  int64_t steps;
} train_job;

/* job->device, metadata, batch and weights are set, all else is zero. To be closed on failure too. */
mote_status train_job_open(train_job *job);
void train_job_close(train_job *job);

/* A step of AdamW on the mean loss of the batch. */
mote_status train_job_step(train_job *job, train_times *times);

/* The gradient of the first example's loss, under the names of the model's tensors. */
mote_status train_job_write_gradients(train_job *job, const char *path);

#endif
