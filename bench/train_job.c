/* Steps of training as `mote train` takes them, timed part by part. Each host thread works out examples of
   its own, so that none waits for another inside an example; a single example has all of them. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/train.h"
#include "host/core/clock.h"
#include "host/core/error.h"
#include "host/train/window.h"

static mote_status out_of_memory(void) {
  return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a training");
}

/* ---- beginning and end ---- */

static mote_status open_worker(train_job *j, train_worker *w) {
  MOTE_TRY(mote_device_open_again(j->device, j->workers, &w->device));
  MOTE_TRY(mote_stream_create(w->device, &w->stream));
  MOTE_TRY(mote_buffer_reserve(&w->loss, w->stream->device, sizeof(double)));
  return mote_tape_create(j->weights.model, w->stream, &j->metadata, j->metadata.connectivity_radius, 0,
                          &w->tape_room, &w->tape);
}

/* What the example is to end with, as a training has it without noise. */
static mote_status find_target(const train_job *j, const train_example *e, float **target) {
  mote_integration scale;
  int frames = j->batch.frames - 1;
  int64_t values = e->particles * j->batch.dim;
  const mote_window window = {
      .particles = e->particles, .dim = j->batch.dim, .frames = frames, .steps = 1, .truth = e->frames};
  const float *now = e->frames + (frames - 1) * values;
  *target = malloc((size_t)(values + 1) * sizeof **target);
  if (!*target) return out_of_memory();
  mote_model_integration(j->weights.model, &j->metadata, &scale);
  for (int a = 0; a < j->batch.dim; a++)
    if (!(scale.deviation[a] > 0))
      return mote_fail(MOTE_ERROR_ARGUMENT, "train: acc_std of axis %d is 0, by which targets are divided",
                       a);
  mote_window_target(&window, 0, now - values, now, scale.mean, scale.deviation, *target);
  return MOTE_OK;
}

mote_status train_job_open(train_job *j) {
  int count = j->batch.count, workers = mote_device_workers(j->device, count);
  j->worker = calloc((size_t)workers, sizeof *j->worker);
  j->result = calloc((size_t)count, sizeof *j->result);
  j->target = calloc((size_t)count, sizeof *j->target);
  if (!j->worker || !j->result || !j->target) return out_of_memory();
  j->workers = workers;
  for (int k = 0; k < workers; k++) MOTE_TRY(open_worker(j, &j->worker[k]));
  for (int b = 0; b < count; b++) {
    MOTE_TRY(find_target(j, &j->batch.example[b], &j->target[b]));
    MOTE_TRY(mote_buffer_reserve(&j->result[b].gradient, j->device, (size_t)j->weights.slots * 4));
    if (j->weights.shared)
      MOTE_TRY(mote_buffer_reserve(&j->result[b].shared, j->device, (size_t)j->weights.shared * 4));
  }
  return MOTE_OK;
}

static void close_worker(train_worker *w) {
  mote_buffer *all[] = {&w->history, &w->type, &w->target, &w->d_acceleration, &w->loss, &w->scratch};
  mote_tape_free(&w->tape);
  mote_tape_room_free(&w->tape_room);
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) mote_buffer_free(all[k]);
  mote_stream_destroy(w->stream);
  mote_device_close(w->device);
}

void train_job_close(train_job *j) {
  for (int k = 0; j->worker && k < j->workers; k++) close_worker(&j->worker[k]);
  for (int b = 0; b < j->batch.count; b++) {
    if (j->target) free(j->target[b]);
    if (!j->result) continue;
    mote_buffer_free(&j->result[b].gradient);
    mote_buffer_free(&j->result[b].shared);
  }
  free(j->worker);
  free(j->result);
  free(j->target);
  if (j->weights.model) mote_trained_weights_free(&j->weights);
  train_batch_free(&j->batch);
}

/* ---- an example ---- */

static mote_status upload_new(mote_stream *stream, mote_buffer *buffer, const void *host, int64_t words) {
  MOTE_TRY(mote_buffer_reserve(buffer, stream->device, (size_t)words * 4));
  return mote_upload(stream, buffer->data, host, (size_t)words * 4);
}

static mote_status forward(train_job *j, train_worker *w, int b) {
  const train_example *e = &j->batch.example[b];
  train_result *r = &j->result[b];
  int64_t values = e->particles * j->batch.dim;
  MOTE_TRY(mote_fill_bytes(w->stream, r->gradient.data, 0, (size_t)j->weights.slots * 4));
  if (r->shared.data) MOTE_TRY(mote_fill_bytes(w->stream, r->shared.data, 0, (size_t)j->weights.shared * 4));
  MOTE_TRY(upload_new(w->stream, &w->history, e->frames, (j->batch.frames - 1) * values));
  MOTE_TRY(upload_new(w->stream, &w->type, e->type, e->particles));
  MOTE_TRY(upload_new(w->stream, &w->target, j->target[b], values));
  MOTE_TRY(mote_buffer_reserve(&w->d_acceleration, w->stream->device, (size_t)values * 4));
  MOTE_TRY(mote_tape_forward(&w->tape, e->particles, w->history.data, w->type.data));
  MOTE_TRY(w->stream->device->optimize->loss(w->stream, e->particles, j->batch.dim, w->type.data,
                                             w->tape.acceleration, w->target.data, 0, 1, w->loss.data,
                                             w->d_acceleration.data, &w->scratch));
  return mote_download(w->stream, &r->loss, w->loss.data, sizeof r->loss);
}

static mote_status count_edges(train_worker *w, const mote_edges *edges, int64_t *count) {
  int32_t last = 0;
  if (edges->row_offsets)
    MOTE_TRY(mote_download(w->stream, &last, edges->row_offsets + edges->receivers, sizeof last));
  *count = last;
  return MOTE_OK;
}

/* Loss and gradient of an example that counts with `weight`. */
static mote_status work_out(train_job *j, train_worker *w, int b, float weight) {
  mote_arena arena = mote_trained_weights_arena(&j->weights, j->result[b].gradient.data);
  int64_t values = j->batch.example[b].particles * j->batch.dim;
  double start = mote_clock_seconds();
  MOTE_TRY(forward(j, w, b));
  double middle = mote_clock_seconds();
  MOTE_TRY(w->stream->device->optimize->combine(w->stream, values, 0, w->target.data, weight,
                                                w->d_acceleration.data));
  MOTE_TRY(mote_tape_backward(&w->tape, &arena, w->d_acceleration.data, j->result[b].shared.data, NULL));
  MOTE_TRY(mote_stream_synchronize(w->stream));
  w->forward += middle - start;
  w->backward += mote_clock_seconds() - middle;
  bench_rows *rows = &j->result[b].rows;
  *rows = (bench_rows){.nodes = j->batch.example[b].particles, .points = w->tape.latent.rows};
  MOTE_TRY(count_edges(w, &w->tape.edges, &rows->edges));
  MOTE_TRY(count_edges(w, &w->tape.latent.reached, &rows->reached));
  return count_edges(w, &w->tape.latent.reaching, &rows->reaching);
}

/* An error's text is its thread's: kept for the one that reports. */
static void note(train_worker *w, mote_status status) {
  if (status == MOTE_OK) return;
  w->status = status;
  snprintf(w->message, sizeof w->message, "%s", mote_last_error());
}

static mote_status work_out_all(train_job *j) {
  float weight = 1 / (float)j->batch.count;
  for (int k = 0; k < j->workers; k++) {
    j->worker[k].status = MOTE_OK;
    j->worker[k].forward = j->worker[k].backward = 0;
  }
#pragma omp parallel for num_threads(j->workers) schedule(dynamic, 1)
  for (int b = 0; b < j->batch.count; b++) {
    train_worker *w = &j->worker[omp_get_thread_num()];
    if (w->status == MOTE_OK) note(w, work_out(j, w, b, weight));
  }
  for (int k = 0; k < j->workers; k++)
    if (j->worker[k].status != MOTE_OK) return mote_fail(j->worker[k].status, "%s", j->worker[k].message);
  return MOTE_OK;
}

/* ---- the batch ---- */

static mote_status gather(train_job *j, int count) {
  float *gradient[count], *shared[count];
  for (int b = 0; b < count; b++) {
    gradient[b] = j->result[b].gradient.data;
    shared[b] = j->result[b].shared.data;
  }
  return mote_trained_weights_gather(&j->weights, count, gradient, shared);
}

/* Of all threads so far: on a machine that others use too, steadier than the time that passes. */
static double processor_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

mote_status train_job_step(train_job *j, train_times *times) {
  mote_optimizer adamw = {
      .rate = 1e-4f, .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .decay = 1e-4f, .step = ++j->steps};
  double norm, start = mote_clock_seconds(), used = processor_seconds();
  *times = (train_times){0};
  MOTE_TRY(mote_trained_weights_pack(&j->weights));
  MOTE_TRY(mote_stream_synchronize(j->weights.stream));
  double packed = mote_clock_seconds();
  MOTE_TRY(work_out_all(j));
  double worked = mote_clock_seconds();
  MOTE_TRY(gather(j, j->batch.count));
  MOTE_TRY(mote_trained_weights_update(&j->weights, &adamw, 1, 0.999, &norm));
  MOTE_TRY(mote_stream_synchronize(j->weights.stream));
  times->step = mote_clock_seconds() - start;
  times->processor = processor_seconds() - used;
  times->update = times->step - (worked - packed);
  for (int k = 0; k < j->workers; k++) {
    times->forward += j->worker[k].forward / j->workers;
    times->backward += j->worker[k].backward / j->workers;
  }
  return MOTE_OK;
}

mote_status train_job_write_gradients(train_job *j, const char *path) {
  size_t bytes = (size_t)j->weights.floats * sizeof(float);
  MOTE_TRY(mote_trained_weights_pack(&j->weights));
  MOTE_TRY(mote_stream_synchronize(j->weights.stream));
  MOTE_TRY(work_out(j, &j->worker[0], 0, 1));
  MOTE_TRY(gather(j, 1));
  float *value = malloc(bytes);
  if (!value) return out_of_memory();
  mote_status status = mote_download(j->weights.stream, value, j->weights.gradient.data, bytes);
  if (status == MOTE_OK) status = mote_parameters_write(&j->weights.model->parameters, value, path);
  free(value);
  return status;
}
