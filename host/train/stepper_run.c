/* RUN.yaml of a time-stepper. */
#include "host/train/stepper_run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/core/error.h"
#include "host/core/file.h"
#include "host/train/run.h"
#include "host/scene/document.h"

void mote_stepper_run_free(mote_stepper_run *run) {
  free(run->data);
  free(run->statistics);
  run->data = run->statistics = NULL;
}

static mote_status read_int(const mote_map *map, const char *key, int64_t low, int64_t high, int *value) {
  int64_t wide = *value;
  MOTE_TRY(mote_map_integer(map, key, low, high, &wide));
  *value = (int)wide;
  return MOTE_OK;
}

/* ---- model ---- */

/* Widths of a kernel network's layers behind its inputs. */
static mote_status read_kernel(const mote_map *map, const char *key, mote_kernel_shape *shape) {
  const yaml_node_t *list;
  int count;
  if (!mote_map_find(map, key)) return MOTE_OK;
  MOTE_TRY(mote_list_open(map, key, MOTE_KERNEL_LAYERS, &list, &count));
  if (count < 1) return mote_node_fail(map->document, list, "'%s' of %s is empty", key, map->title);
  for (int k = 0; k < count; k++) {
    int64_t width;
    MOTE_TRY(
        mote_node_integer(map, mote_list_item(map->document, list, k), key, 1, MOTE_DENSE_WIDEST, &width));
    shape->widths[k + 1] = (int)width;
  }
  shape->layers = count;
  return MOTE_OK;
}

static mote_status read_latent(const mote_map *model, mote_network_config *c) {
  static const char *const keys[] = {
      "grid",      "radius",     "heads", "blocks", "width",      "experts",           "inner",
      "kernel_in", "kernel_out", "pairs", "points", "projection", "projection_layers", "space_width",
      NULL};
  static const char *const points[] = {"grid", "occupied", NULL};
  mote_latent_config *l = &c->latent;
  mote_map map;
  int pairs = 0;
  if (!mote_map_find(model, "latent")) return MOTE_OK;
  MOTE_TRY(mote_map_open_child(model, "latent", keys, &map));
  MOTE_TRY(read_int(&map, "grid", 2, 256, &l->grid));
  MOTE_TRY(mote_run_float(&map, "radius", 1e-6, 1e6, &l->radius));
  MOTE_TRY(read_int(&map, "heads", 1, 64, &l->heads));
  MOTE_TRY(read_int(&map, "blocks", 1, 16, &l->blocks));
  MOTE_TRY(read_int(&map, "width", 1, MOTE_DENSE_WIDEST / 3, &l->width));
  MOTE_TRY(read_int(&map, "experts", 1, MOTE_MOST_GATED, &l->experts));
  MOTE_TRY(read_int(&map, "inner", 0, MOTE_MLP_LAYERS - 2, &l->inner));
  MOTE_TRY(read_kernel(&map, "kernel_in", &l->kernel_in));
  MOTE_TRY(read_kernel(&map, "kernel_out", &l->kernel_out));
  MOTE_TRY(mote_map_flag(&map, "pairs", &pairs));
  MOTE_TRY(mote_map_choice(&map, "points", points, &l->occupied_only));
  MOTE_TRY(read_int(&map, "projection", 1, MOTE_DENSE_WIDEST, &l->projection_width));
  MOTE_TRY(read_int(&map, "projection_layers", 1, MOTE_MLP_LAYERS, &l->projection_layers));
  int trunk = l->kernel_in.widths[l->kernel_in.layers];
  if (l->space_width > trunk) l->space_width = trunk;
  MOTE_TRY(read_int(&map, "space_width", 1, trunk, &l->space_width));
  l->kernel_in_takes_pairs = l->kernel_out_takes_pairs = pairs;
  if (l->width % l->heads)
    return mote_node_fail(map.document, map.node,
                          "'width' of %s is %d: expected a multiple of the %d 'heads'", map.title, l->width,
                          l->heads);
  return MOTE_OK;
}

/* What follows from the rest. */
static void complete(mote_network_config *c) {
  mote_latent_config *l = &c->latent;
  l->kernel_in.widths[0] = c->dim + c->width + l->kernel_in_takes_pairs;
  l->kernel_out.widths[0] = c->dim + l->kernel_out_takes_pairs;
  l->output = l->kernel_out.widths[l->kernel_out.layers];
}

mote_status mote_stepper_run_fit(mote_stepper_run *run, const mote_metadata *metadata) {
  mote_network_config *c = &run->config;
  if (!run->any_dim && c->dim != metadata->dim)
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "%s: the data are %d-D, and 'dim' of the run's model is %d: leave it out", run->data,
                     metadata->dim, c->dim);
  c->dim = metadata->dim;
  if (!run->radius) run->radius = metadata->connectivity_radius;
  if (!(run->radius > 0))
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "%s: the data have no default_connectivity_radius: give 'radius' in the run's model",
                     run->data);
  if (run->stops_at_reach && !(metadata->reach > 0))
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "%s: the metadata tell no reach: give 'wall_stop' in the run's model in m", run->data);
  if (run->stops_at_reach) c->stop = (float)metadata->reach;
  if (c->kind == MOTE_GNS) return MOTE_OK;
  for (int a = 0; a < c->dim; a++) {
    c->latent.limits[a][0] = metadata->bounds[a][0];
    c->latent.limits[a][1] = metadata->bounds[a][1];
  }
  complete(c);
  return MOTE_OK;
}

static mote_status read_gns(const mote_map *map, mote_network_config *c) {
  static const char *const others[] = {"latent", "convolution", "alpha"};
  int hidden = 2;
  for (int k = 0; k < 3; k++) {
    const yaml_node_t *node = mote_map_find(map, others[k]);
    if (node)
      return mote_node_fail(map->document, node, "'%s' of %s is of a giorom: a gns has none", others[k],
                            map->title);
  }
  MOTE_TRY(read_int(map, "hidden_layers", 0, MOTE_MLP_LAYERS - 1, &hidden));
  c->linears = hidden + 1;
  return MOTE_OK;
}

static mote_status read_giorom(const mote_map *map, mote_network_config *c) {
  static const char *const convolutions[] = {"degenerate", "normalized", NULL};
  int convolution = c->convolution == MOTE_CONVOLUTION_NORMALIZED;
  const yaml_node_t *node = mote_map_find(map, "hidden_layers");
  if (node)
    return mote_node_fail(map->document, node,
                          "'hidden_layers' of %s is of a gns: the MLPs of a giorom have 2", map->title);
  MOTE_TRY(mote_map_choice(map, "convolution", convolutions, &convolution));
  c->convolution = convolution ? MOTE_CONVOLUTION_NORMALIZED : MOTE_CONVOLUTION_DEGENERATE;
  MOTE_TRY(mote_run_float(map, "alpha", 0, 1, &c->convolution_alpha));
  c->layers_after = c->layers_before;
  MOTE_TRY(read_latent(map, c));
  complete(c);
  return MOTE_OK;
}

/* A distance, or the word "reach": that of the data's metadata. */
static mote_status read_stop(const mote_map *map, mote_stepper_run *r) {
  const yaml_node_t *node = mote_map_find(map, "wall_stop");
  const char *text = mote_node_text(node);
  r->stops_at_reach = text && !strcmp(text, "reach");
  return r->stops_at_reach ? MOTE_OK : mote_run_float(map, "wall_stop", 0, 1e9, &r->config.stop);
}

static mote_status read_model(const mote_map *run, mote_stepper_run *r) {
  static const char *const keys[] = {
      "architecture", "width",       "layers",  "hidden_layers", "window",    "types",
      "type_width",   "convolution", "alpha",   "radius",        "clip",      "normalized_velocities",
      "dim",          "latent",      "decoder", "rest_lengths",  "wall_stop", NULL};
  static const char *const decoders[] = {"nodes", "pairs", NULL};
  static const char *const kinds[] = {"giorom", "gns", NULL};
  mote_network_config *c = &r->config;
  mote_map map;
  int kind = 0, decoder = 0;
  r->has_model = mote_map_find(run, "model") != NULL;
  if (!r->has_model) return MOTE_OK;
  MOTE_TRY(mote_map_open_child(run, "model", keys, &map));
  const yaml_node_t *node;
  MOTE_TRY(mote_map_require(&map, "architecture", &node));
  MOTE_TRY(mote_map_choice(&map, "architecture", kinds, &kind));
  mote_network_config_published(kind ? MOTE_GNS : MOTE_GIOROM, c);
  c->normalized_velocities = 1;
  c->types = 9;
  r->any_dim = !mote_map_find(&map, "dim");
  MOTE_TRY(read_int(&map, "dim", 2, 3, &c->dim));
  MOTE_TRY(read_int(&map, "width", 1, 256, &c->width));
  MOTE_TRY(read_int(&map, "layers", 1, 32, &c->layers_before));
  MOTE_TRY(read_int(&map, "window", 1, 15, &c->window));
  MOTE_TRY(read_int(&map, "types", 1, 1024, &c->types));
  MOTE_TRY(read_int(&map, "type_width", 1, 256, &c->type_width));
  MOTE_TRY(mote_run_float(&map, "clip", 1e-6, 1e6, &c->clip));
  MOTE_TRY(read_stop(&map, r));
  MOTE_TRY(mote_map_flag(&map, "normalized_velocities", &c->normalized_velocities));
  MOTE_TRY(mote_map_real(&map, "radius", 1e-9, 1e9, &r->radius));
  MOTE_TRY(mote_map_flag(&map, "rest_lengths", &c->rest_lengths));
  MOTE_TRY(mote_map_choice(&map, "decoder", decoders, &decoder));
  c->decoder = decoder ? MOTE_DECODER_PAIRS : MOTE_DECODER_NODES;
  return c->kind == MOTE_GNS ? read_gns(&map, c) : read_giorom(&map, c);
}

mote_status mote_stepper_run_take_model(mote_stepper_run *run, const char *folder) {
  char *config = mote_path_join(folder, "config.json"), *metadata = mote_path_join(folder, "metadata.json");
  mote_metadata of_model = {0};
  mote_status status =
      config && metadata ? MOTE_OK : mote_fail(MOTE_ERROR_MEMORY, "out of memory for a name");
  if (status == MOTE_OK) status = mote_network_config_read(config, &run->config);
  if (status == MOTE_OK && access(metadata, F_OK) == 0) status = mote_metadata_read(metadata, &of_model);
  run->radius = of_model.connectivity_radius;
  run->any_dim = 1;
  free(config);
  free(metadata);
  return status;
}

/* ---- data ---- */

static mote_status read_particles(const mote_map *run, mote_stepper_run *r) {
  static const char *const keys[] = {"method", "count", NULL};
  static const char *const methods[] = {"uniform", "farthest", "poisson", NULL};
  const double most = 1e8;
  mote_map map;
  int method = MOTE_SAMPLE_FARTHEST;
  double range[2];
  if (!mote_map_find(run, "particles")) return MOTE_OK;
  MOTE_TRY(mote_map_open_child(run, "particles", keys, &map));
  MOTE_TRY(mote_map_choice(&map, "method", methods, &method));
  r->method = (mote_sample_method)method;
  const yaml_node_t *node = mote_map_find(&map, "count");
  if (!node) return MOTE_OK;
  if (node->type == YAML_SCALAR_NODE) {
    MOTE_TRY(mote_node_integer(&map, node, "count", 1, (int64_t)most, &r->least));
    r->most = r->least;
    return MOTE_OK;
  }
  MOTE_TRY(mote_node_vector(&map, node, "count", 2, range));
  if (!(range[0] >= 1 && range[0] <= range[1] && range[1] <= most) || range[0] != floor(range[0]) ||
      range[1] != floor(range[1]))
    return mote_node_fail(map.document, node, "'count' of %s: expected whole numbers, 1 <= low <= high",
                          map.title);
  r->least = (int64_t)range[0];
  r->most = (int64_t)range[1];
  return MOTE_OK;
}

/* ---- how it is learned ---- */

static mote_status read_push(const mote_map *run, mote_stepper_run *r) {
  static const char *const keys[] = {"steps", "from_step", "through", NULL};
  mote_map map;
  if (!mote_map_find(run, "pushforward")) return MOTE_OK;
  MOTE_TRY(mote_map_open_child(run, "pushforward", keys, &map));
  MOTE_TRY(mote_map_integer(&map, "steps", 1, 100, &r->push_steps));
  MOTE_TRY(mote_map_flag(&map, "through", &r->through));
  return mote_map_integer(&map, "from_step", 0, 100000000, &r->push_from);
}

static mote_status read_loss(const mote_map *run, mote_stepper_run *r) {
  static const char *const keys[] = {"position", "root", "huber", NULL};
  mote_map map;
  if (!mote_map_find(run, "loss")) return MOTE_OK;
  MOTE_TRY(mote_map_open_child(run, "loss", keys, &map));
  MOTE_TRY(mote_map_flag(&map, "root", &r->root));
  MOTE_TRY(mote_map_real(&map, "huber", 0, 1e6, &r->huber));
  return mote_map_real(&map, "position", 0, 1e6, &r->position_weight);
}

static mote_status read_optimizer(const mote_map *run, mote_stepper_run *r) {
  static const char *const keys[] = {"kind", "rate", "betas", "epsilon", "decay", NULL};
  static const char *const kinds[] = {"adamw", "adamax", "soap", NULL};
  mote_map map;
  int kind = 0;
  if (!mote_map_find(run, "optimizer")) return MOTE_OK;
  MOTE_TRY(mote_map_open_child(run, "optimizer", keys, &map));
  MOTE_TRY(mote_map_choice(&map, "kind", kinds, &kind));
  r->optimizer.adamax = kind == 1;
  r->soap = kind == 2;
  MOTE_TRY(mote_map_real(&map, "rate", 1e-12, 10, &r->schedule.rate));
  MOTE_TRY(mote_run_betas(&map, &r->optimizer.beta1, &r->optimizer.beta2));
  MOTE_TRY(mote_run_float(&map, "epsilon", 1e-30, 1, &r->optimizer.epsilon));
  return mote_run_float(&map, "decay", 0, 1e3, &r->optimizer.decay);
}

static mote_status read_schedule(const mote_map *run, mote_stepper_run *r) {
  static const char *const keys[] = {"kind", "warmup", "decay", "decay_steps", "floor", "length", NULL};
  static const char *const kinds[] = {"constant", "exponential", "cosine", NULL};
  mote_map map;
  int kind = MOTE_SCHEDULE_COSINE;
  r->schedule.steps = r->steps;
  if (r->schedule.warmup > r->steps / 10) r->schedule.warmup = r->steps / 10;
  if (!mote_map_find(run, "schedule")) return MOTE_OK;
  MOTE_TRY(mote_map_open_child(run, "schedule", keys, &map));
  MOTE_TRY(mote_map_choice(&map, "kind", kinds, &kind));
  r->schedule.kind = (mote_schedule_kind)kind;
  MOTE_TRY(mote_map_integer(&map, "warmup", 0, 100000000, &r->schedule.warmup));
  MOTE_TRY(mote_map_real(&map, "decay", 1e-12, 1, &r->schedule.decay));
  MOTE_TRY(mote_map_integer(&map, "decay_steps", 1, 1000000000, &r->schedule.decay_steps));
  MOTE_TRY(mote_map_real(&map, "floor", 0, 10, &r->schedule.floor));
  MOTE_TRY(mote_map_integer(&map, "length", 1, 1000000000, &r->schedule.steps));
  if (r->schedule.warmup >= r->steps)
    return mote_node_fail(map.document, mote_map_find(&map, "warmup"),
                          "'warmup' of %s is %lld: expected less than the run's 'steps', %lld", map.title,
                          (long long)r->schedule.warmup, (long long)r->steps);
  if (r->schedule.floor > r->schedule.rate)
    return mote_node_fail(map.document, mote_map_find(&map, "floor"),
                          "'floor' of %s is %g: expected at most the optimizer's 'rate', %g", map.title,
                          r->schedule.floor, r->schedule.rate);
  return MOTE_OK;
}

static mote_status read_validation(const mote_map *run, mote_stepper_run *r) {
  static const char *const keys[] = {"every", "frames", "trajectories", NULL};
  mote_map map;
  if (!mote_map_find(run, "validation")) return MOTE_OK;
  MOTE_TRY(mote_map_open_child(run, "validation", keys, &map));
  MOTE_TRY(mote_map_integer(&map, "every", 1, 100000000, &r->validate_every));
  MOTE_TRY(mote_map_integer(&map, "frames", 0, 1000000, &r->validate_frames));
  return mote_map_integer(&map, "trajectories", 0, 100000, &r->validate_trajectories);
}

static mote_status read_precision(const mote_map *map, mote_stepper_run *r) {
  const char *names[MOTE_PRECISION_COUNT + 1] = {NULL};
  int which = r->precision;
  for (int k = 0; k < MOTE_PRECISION_COUNT; k++) names[k] = mote_precision_name((mote_precision)k);
  MOTE_TRY(mote_map_choice(map, "precision", names, &which));
  r->precision = (mote_precision)which;
  return MOTE_OK;
}

mote_status mote_stepper_run_read(const mote_map *map, mote_stepper_run *r) {
  MOTE_TRY(mote_run_path(map, "data", "the folder of a data set", &r->data));
  MOTE_TRY(read_particles(map, r));
  MOTE_TRY(read_optimizer(map, r));
  MOTE_TRY(read_validation(map, r));
  MOTE_TRY(mote_map_real(map, "clip", 0, 1e9, &r->clip));
  MOTE_TRY(mote_map_real(map, "ema", 0, 0.999999, &r->ema));
  MOTE_TRY(mote_map_integer(map, "batch", 1, 1024, &r->batch));
  MOTE_TRY(mote_map_integer(map, "steps", 1, 1000000000, &r->steps));
  MOTE_TRY(mote_map_integer(map, "seed", 0, INT64_MAX, &r->seed));
  MOTE_TRY(mote_map_integer(map, "save_every", 1, 1000000000, &r->save_every));
  MOTE_TRY(mote_map_integer(map, "memory", 0, 1 << 20, &r->memory));
  MOTE_TRY(read_precision(map, r));
  return read_schedule(map, r);
}

static mote_status read_run(const mote_document *document, mote_stepper_run *r) {
  static const char *const keys[] = {
      "kind",       "data",        "model",      "particles", "noise",     "loss",  "optimizer", "schedule",
      "validation", "pushforward", "clip",       "ema",       "batch",     "steps", "seed",      "save_every",
      "memory",     "symmetry",    "statistics", "frames",    "precision", NULL};
  mote_map map;
  MOTE_TRY(mote_run_open(document, keys, "stepper", &map));
  MOTE_TRY(read_model(&map, r));
  MOTE_TRY(mote_map_real(&map, "noise", 0, 1e6, &r->noise));
  MOTE_TRY(mote_map_flag(&map, "symmetry", &r->symmetry));
  MOTE_TRY(mote_map_integer(&map, "frames", 1, 1000000, &r->frames));
  if (mote_map_find(&map, "statistics"))
    MOTE_TRY(mote_run_path(&map, "statistics", "the folder of another data set", &r->statistics));
  r->config.noise = (float)r->noise;
  MOTE_TRY(read_push(&map, r));
  MOTE_TRY(read_loss(&map, r));
  return mote_stepper_run_read(&map, r);
}

void mote_stepper_run_defaults(mote_stepper_run *run) {
  *run = (mote_stepper_run){.method = MOTE_SAMPLE_FARTHEST,
                            .least = 500,
                            .most = 1000,
                            .push_steps = 1,
                            .optimizer = {.beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .decay = 1e-4f},
                            .schedule = {.kind = MOTE_SCHEDULE_COSINE,
                                         .rate = 1e-3,
                                         .decay = 0.1,
                                         .decay_steps = 1000,
                                         .warmup = 100},
                            .clip = 1,
                            .ema = 0.999,
                            .batch = 2,
                            .steps = 10000,
                            .validate_every = 500,
                            .validate_trajectories = 4,
                            .save_every = 100};
}

mote_status mote_stepper_run_load(const char *path, mote_stepper_run *run) {
  mote_document document;
  mote_stepper_run_defaults(run);
  MOTE_TRY(mote_document_load(path, &document));
  mote_status status = read_run(&document, run);
  mote_document_free(&document);
  if (status != MOTE_OK) mote_stepper_run_free(run);
  return status;
}
