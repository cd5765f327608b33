/* Sparse file to dense file: reads a sparse frame, advances the operator, appends a dense frame. */
#include <mote/reduce.h>

#include <math.h>
#include <stdlib.h>

#include <mote/trajectory.h>

#include "host/core/clock.h"
#include "host/core/error.h"
#include "host/models/reconstruction.h"

typedef struct job {
  mote_trajectory_reader *sparse_reader, *dense_reader;
  mote_trajectory_writer *writer;
  mote_reconstruction *reconstruction;
  mote_trajectory_info sparse_info, dense_info;
  mote_metadata metadata;
  float *sparse, *dense;
  int32_t *labels; /* three rows of n */
  int32_t *expert; /* of the sparse particles */
  double *times;
} job;

static void release(job *j) {
  mote_reconstruction_destroy(j->reconstruction);
  mote_trajectory_close(j->sparse_reader);
  mote_trajectory_close(j->dense_reader);
  free(j->sparse);
  free(j->dense);
  free(j->labels);
  free(j->expert);
  free(j->times);
}

static mote_status open_inputs(job *j, const char *sparse, const char *reference) {
  MOTE_TRY(mote_trajectory_open(sparse, &j->sparse_reader));
  MOTE_TRY(mote_trajectory_open(reference, &j->dense_reader));
  MOTE_TRY(mote_trajectory_get_info(j->sparse_reader, 0, &j->sparse_info));
  MOTE_TRY(mote_trajectory_get_info(j->dense_reader, 0, &j->dense_info));
  MOTE_TRY(mote_trajectory_read_metadata(j->dense_reader, &j->metadata));
  if (j->sparse_info.dim != j->dense_info.dim || j->metadata.dim != j->dense_info.dim)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s is %d-D, %s is %d-D", sparse, j->sparse_info.dim, reference,
                     j->dense_info.dim);
  size_t dim = (size_t)j->dense_info.dim;
  j->sparse = malloc((size_t)j->sparse_info.particles * dim * 4);
  j->dense = malloc((size_t)j->dense_info.particles * dim * 4);
  j->labels = malloc((size_t)j->dense_info.particles * 3 * 4);
  j->times = calloc((size_t)j->sparse_info.frames, sizeof *j->times);
  if (!j->sparse || !j->dense || !j->labels || !j->times)
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory reconstructing from %s", sparse);
  MOTE_TRY(mote_trajectory_read_frames(j->sparse_reader, 0, "position", 0, 1, j->sparse));
  return mote_trajectory_read_frames(j->dense_reader, 0, "position", 0, 1, j->dense);
}

mote_status mote_reconstruction_experts(mote_trajectory_reader *reader, int trajectory,
                                        const mote_metadata *metadata, const mote_operator *learned,
                                        int64_t n, const int32_t *chosen, int64_t particles,
                                        int32_t *expert) {
  int32_t *material = malloc((size_t)particles * sizeof *material);
  if (!material) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld labels", (long long)particles);
  int of[MOTE_METADATA_MATERIALS] = {0}, count = metadata->material_count;
  for (int k = 0; k < count; k++) of[k] = mote_operator_expert(learned, metadata->materials[k].kind);
  if (mote_trajectory_read_labels(reader, trajectory, "material", material) != MOTE_OK) count = 0;
  for (int64_t i = 0; i < n; i++) {
    int32_t m = material[chosen ? chosen[i] : i];
    expert[i] = count > 0 && m >= 0 && m < count ? of[m] : -1;
  }
  free(material);
  return MOTE_OK;
}

static mote_status choose_experts(job *j, const mote_operator *learned) {
  int64_t n = j->sparse_info.particles;
  j->expert = malloc((size_t)n * sizeof *j->expert);
  if (!j->expert) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld labels", (long long)n);
  return mote_reconstruction_experts(j->sparse_reader, 0, &j->metadata, learned, n, NULL, n, j->expert);
}

void mote_reconstruction_place(const mote_metadata *m, mote_reconstruction_options *o) {
  double frame = m->dt * m->write_every;
  /* A wall of the simulation's grid lets matter in by up to a cell, whose size is not known here: it is not
     above the sparse spacing by much. Bounds that are too narrow cost accuracy, wide ones nothing. */
  double slack = fmax(2 * o->dense_spacing, 1.5 * mote_reconstruction_sparse_spacing(o));
  for (int a = 0; a < o->dim; a++) {
    o->gravity[a] = m->gravity[a] * frame * frame;
    o->bounds[a][0] = m->bounds[a][0] - slack;
    o->bounds[a][1] = m->bounds[a][1] + slack;
  }
}

static mote_status start_operator(job *j, mote_device *device, const mote_operator_settings *settings,
                                  const mote_operator *learned) {
  if (learned) MOTE_TRY(choose_experts(j, learned));
  mote_reconstruction_options options = {.dim = j->dense_info.dim,
                                         .sparse_count = j->sparse_info.particles,
                                         .dense_count = j->dense_info.particles,
                                         .sparse = j->sparse,
                                         .dense = j->dense,
                                         .dense_spacing = j->metadata.dx,
                                         .learned = learned,
                                         .expert = j->expert};
  mote_reconstruction_place(&j->metadata, &options);
  return mote_reconstruction_create(device, settings, &options, &j->reconstruction);
}

static const int32_t *labels(job *j, const char *name, int row) {
  int32_t *values = j->labels + row * j->dense_info.particles;
  return mote_trajectory_read_labels(j->dense_reader, 0, name, values) == MOTE_OK ? values : NULL;
}

static mote_status start_writer(job *j, const char *output) {
  mote_trajectory_field field = {"position", 1, {j->dense_info.dim, 0}};
  mote_trajectory_options options = {.particles = j->dense_info.particles,
                                     .dim = j->dense_info.dim,
                                     .field_count = 1,
                                     .fields = &field,
                                     .particle_type = labels(j, "particle_type", 0),
                                     .material = labels(j, "material", 1),
                                     .body = labels(j, "body", 2),
                                     .compression = 4,
                                     .metadata = &j->metadata,
                                     .write_xdmf = 1};
  return mote_trajectory_create(output, &options, &j->writer);
}

static mote_status step(job *j, int64_t frame, mote_reconstruct_summary *summary) {
  MOTE_TRY(mote_trajectory_read_frames(j->sparse_reader, 0, "position", frame, 1, j->sparse));
  double start = mote_clock_seconds();
  mote_status status = mote_reconstruction_advance(j->reconstruction, j->sparse);
  if (status == MOTE_OK) status = mote_reconstruction_read(j->reconstruction, j->dense, NULL);
  if (status != MOTE_OK) return mote_fail_within(status, "frame %lld", (long long)frame);
  double took = mote_clock_seconds() - start;
  summary->seconds += took;
  if (frame == 1) summary->first_seconds = took;
  return MOTE_OK;
}

static mote_status run(job *j, const mote_monitor *monitor, mote_reconstruct_summary *summary) {
  int stop = 0;
  const float *values[] = {j->dense};
  MOTE_TRY(mote_trajectory_read_times(j->sparse_reader, 0, 0, j->sparse_info.frames, j->times));
  for (int64_t frame = 0; frame < j->sparse_info.frames && !stop; frame++) {
    if (frame) MOTE_TRY(step(j, frame, summary));
    MOTE_TRY(mote_trajectory_append(j->writer, j->times[frame], values));
    summary->frames++;
    if (monitor && monitor->progress)
      stop = monitor->progress(monitor->user, "reconstruct", "frames", frame + 1, j->sparse_info.frames);
  }
  return MOTE_OK;
}

mote_status mote_reconstruct_trajectory(const char *sparse, const char *reference, mote_device *device,
                                        const mote_operator_settings *settings, const mote_operator *learned,
                                        const char *output, const mote_monitor *monitor,
                                        mote_reconstruct_summary *summary) {
  job j = {0};
  mote_reconstruct_summary totals = {0};
  mote_status status = open_inputs(&j, sparse, reference);
  if (status == MOTE_OK) status = start_operator(&j, device, settings, learned);
  if (status == MOTE_OK) status = start_writer(&j, output);
  if (status == MOTE_OK) status = run(&j, monitor, &totals);
  if (status == MOTE_OK)
    status = mote_trajectory_finish(j.writer);
  else
    mote_trajectory_abort(j.writer);
  totals.sparse = j.sparse_info.particles;
  totals.dense = j.dense_info.particles;
  if (summary) *summary = totals;
  release(&j);
  return status;
}
