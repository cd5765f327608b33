/* mote-bench train: a step of a time-stepper's training on a batch, and its parts: the kept evaluation, its
   reverse, and the update by AdamW.

   Without a folder the models are GIOROM of width 64 with 2 + 2 layers, pair kernels and occupied latent
   points, and GNS with 10 layers of width 128; weights are random, and particles are made up. */
#include "bench/train.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cJSON.h>

#include "host/core/clock.h"
#include "host/core/error.h"
#include "host/core/file.h"
#include "host/models/step_file.h"

#define BATCH 2
#define MOST_STEPS 200

/* ---- the model ---- */

static mote_network_config built_in(mote_network_kind kind) {
  mote_network_config c;
  mote_latent_config *l = &c.latent;
  mote_network_config_published(kind, &c);
  if (kind == MOTE_GNS) return c;
  c.width = 64;
  c.normalized_velocities = 1;
  l->kernel_in_takes_pairs = l->kernel_out_takes_pairs = l->occupied_only = 1;
  l->kernel_in.widths[0] = c.dim + 1 + c.width;
  l->kernel_out.widths[0] = c.dim + 1;
  return c;
}

/* What is trained: a built-in model by its kind, or a folder. */
typedef struct choice {
  const char *name, *folder; /* folder NULL: built in */
  mote_network_kind kind;
} choice;

static mote_status open_model(mote_device *device, const choice *c, mote_model **model) {
  mote_network_config config = built_in(c->kind);
  return c->folder ? mote_model_load_to_train(device, c->folder, NULL, model)
                   : mote_model_invent_to_train(device, &config, 1, model);
}

/* The model twice, as weights and as their running mean. */
static mote_status open_weights(const choice *c, train_job *j) {
  mote_model *model = NULL, *average = NULL;
  mote_status status = open_model(j->device, c, &model);
  if (status == MOTE_OK) status = open_model(j->device, c, &average);
  if (status == MOTE_OK) return mote_trained_weights_create(model, average, &j->weights);
  mote_model_destroy(model);
  mote_model_destroy(average);
  return status;
}

/* ---- the batch ---- */

static int64_t particles_of(const bench_context *bench) {
  return bench->size ? bench->size : bench->quick ? 200 : 1000;
}

static mote_status open_batch(const bench_context *bench, const choice *c, train_job *j) {
  const bench_train_options *o = &bench->train;
  const mote_network_config *config = &j->weights.model->config;
  if (c->folder)
    MOTE_TRY(mote_step_metadata(c->folder, NULL, &j->metadata));
  else
    j->metadata = train_metadata(config->dim, particles_of(bench));
  MOTE_TRY(mote_model_check_metadata(j->weights.model, &j->metadata));
  if (o->input) return train_batch_read(o->input, config, o->batch, &j->batch);
  return train_batch_invent(config, &j->metadata, particles_of(bench), o->batch ? o->batch : BATCH,
                            &j->batch);
}

/* A folder that --model takes, and beside it batch.h5 that --input takes. */
static mote_status save(const train_job *j, const char *folder) {
  static const char *const names[] = {"config.json", "model.safetensors", "metadata.json", "batch.h5"};
  const mote_parameters *p = &j->weights.model->parameters;
  char *path[4] = {0};
  mote_status status = MOTE_OK;
  for (int k = 0; k < 4; k++)
    if (!(path[k] = mote_path_join(folder, names[k])))
      status = mote_fail(MOTE_ERROR_MEMORY, "out of memory for a name");
  if (status == MOTE_OK && mkdir(folder, 0777) != 0 && errno != EEXIST)
    status = mote_fail(MOTE_ERROR_IO, "cannot make the folder %s: %s", folder, strerror(errno));
  if (status == MOTE_OK) status = mote_network_config_write(path[0], &j->weights.model->config);
  if (status == MOTE_OK) status = mote_parameters_write(p, p->value, path[1]);
  if (status == MOTE_OK) status = mote_metadata_write(path[2], &j->metadata);
  if (status == MOTE_OK) status = train_batch_write(path[3], &j->batch, &j->metadata);
  for (int k = 0; k < 4; k++) free(path[k]);
  return status;
}

/* ---- measuring ---- */

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Median and spread of one of the four times of all steps. */
static void sum_up(const train_times *all, int count, size_t which, bench_result *r) {
  double value[MOST_STEPS] = {0};
  for (int k = 0; k < count; k++) memcpy(&value[k], (const char *)&all[k] + which, sizeof *value);
  qsort(value, (size_t)count, sizeof *value, by_value);
  r->seconds = value[count / 2];
  r->spread = (value[count - 1] - value[0]) / r->seconds;
}

/* The numbers of the graphs, which a peer compares with its own, and the loss of the first example before
   the first step. */
static void add_facts(bench_context *bench, const train_job *j, double loss, double processor) {
  cJSON *row = cJSON_GetArrayItem(bench->results, cJSON_GetArraySize(bench->results) - 1);
  int64_t edges = 0, reached = 0;
  for (int b = 0; b < j->batch.count; b++) {
    edges += j->result[b].rows.edges;
    reached += j->result[b].rows.reached;
  }
  cJSON_AddNumberToObject(row, "batch", j->batch.count);
  cJSON_AddNumberToObject(row, "edges", (double)edges);
  cJSON_AddNumberToObject(row, "latent_pairs", (double)reached);
  cJSON_AddNumberToObject(row, "parameters", (double)j->weights.floats);
  cJSON_AddNumberToObject(row, "first_loss", loss);
  cJSON_AddNumberToObject(row, "processor_milliseconds", 1e3 * processor);
}

static size_t memory_of(const train_job *j) {
  size_t bytes = mote_device_memory_use(j->device).bytes_peak;
  for (int k = 0; k < j->workers; k++)
    if (j->worker[k].device) bytes += mote_device_memory_use(j->worker[k].device).bytes_peak;
  return bytes;
}

static mote_status measure(bench_context *bench, const choice *c, train_job *j) {
  static const struct {
    const char *name;
    size_t at;
    int passes; /* as much arithmetic as so many forward passes */
  } parts[] = {{"forward", offsetof(train_times, forward), 1},
               {"backward", offsetof(train_times, backward), 2},
               {"update", offsetof(train_times, update), 0},
               {"step", offsetof(train_times, step), 3}};
  train_times all[MOST_STEPS];
  int count = 0, least = bench->quick ? 3 : 7;
  MOTE_TRY(train_job_step(j, &all[0])); /* warm-up */
  double loss = j->result[0].loss, start = mote_clock_seconds();
  while (count < MOST_STEPS && (count < least || mote_clock_seconds() - start < 0.3))
    MOTE_TRY(train_job_step(j, &all[count++]));
  int64_t particles = 0;
  double operations = 0;
  for (int b = 0; b < j->batch.count; b++) {
    particles += j->batch.example[b].particles;
    operations += bench_operations(j->weights.model, &j->result[b].rows);
  }
  for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
    char name[64];
    snprintf(name, sizeof name, "train/%s, %s", c->name, parts[k].name);
    bench_result r = {.name = name, .n = particles, .memory = memory_of(j), .unit = "samples/s"};
    sum_up(all, count, parts[k].at, &r);
    r.rate = j->batch.count / r.seconds;
    r.operations = parts[k].passes * operations;
    bench_add(bench, &r);
  }
  bench_result processor = {0};
  sum_up(all, count, offsetof(train_times, processor), &processor);
  add_facts(bench, j, loss, processor.seconds);
  return MOTE_OK;
}

static mote_status run(bench_context *bench, const choice *c, train_job *j) {
  const bench_train_options *o = &bench->train;
  MOTE_TRY(open_weights(c, j));
  MOTE_TRY(open_batch(bench, c, j));
  if (o->save) MOTE_TRY(save(j, o->save));
  MOTE_TRY(train_job_open(j));
  if (o->gradients) MOTE_TRY(train_job_write_gradients(j, o->gradients));
  return measure(bench, c, j);
}

mote_status bench_train(bench_context *bench) {
  static const choice built[] = {{"giorom", NULL, MOTE_GIOROM}, {"gns", NULL, MOTE_GNS}};
  const char *wanted = bench->train.model;
  choice folder = {"model", wanted, MOTE_GIOROM};
  mote_status status = MOTE_OK;
  int known = 0;
  for (int k = 0; k < 2; k++) known |= wanted && !strcmp(wanted, built[k].name);
  for (int k = 0; k < 2 && status == MOTE_OK; k++) {
    const choice *c = wanted && !known ? &folder : &built[k];
    train_job job = {.device = bench->device};
    if (c == &folder ? k > 0 : wanted && strcmp(wanted, c->name)) continue;
    status = run(bench, c, &job);
    train_job_close(&job);
  }
  return status == MOTE_OK ? MOTE_OK : mote_fail_within(status, "train");
}
