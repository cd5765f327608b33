#include "host/train/constitutive_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/train/run.h"
#include "kernels/constitutive/constitutive.h"

void mote_constitutive_run_free(mote_constitutive_run *run) {
  mote_scene_destroy(&run->scene);
  free(run->trajectory);
  run->trajectory = NULL;
}

/* ---- unknowns ---- */

static const char *const parameters[MOTE_MATERIAL_PARAMETERS + 1] = {
    [MOTE_MATERIAL_YOUNGS_MODULUS] = "youngs_modulus",
    [MOTE_MATERIAL_POISSON_RATIO] = "poisson_ratio",
    [MOTE_MATERIAL_BULK_MODULUS] = "bulk_modulus",
    [MOTE_MATERIAL_GAMMA] = "gamma",
    [MOTE_MATERIAL_VISCOSITY] = "viscosity",
    [MOTE_MATERIAL_YIELD_STRESS] = "yield_stress",
    [MOTE_MATERIAL_HARDENING] = "hardening",
    [MOTE_MATERIAL_CONSISTENCY] = "consistency",
    [MOTE_MATERIAL_FLOW_INDEX] = "flow_index",
    [MOTE_MATERIAL_RELAXATION_TIME] = "relaxation_time",
    [MOTE_MATERIAL_FRICTION_ANGLE] = "friction_angle",
    [MOTE_MATERIAL_COHESION] = "cohesion",
    [MOTE_MATERIAL_VOLUME_CORRECTION] = "volume_correction",
};

const char *mote_unknown_parameter(int number) {
  return number >= 0 && number < MOTE_MATERIAL_PARAMETERS ? parameters[number] : NULL;
}

/* The material must be one with the parameter at either bound: the materials' own check tells. */
static mote_status check_bounds(const mote_constitutive_run *r, const mote_map *map, const yaml_node_t *node,
                                const mote_unknown *u) {
  if (!(u->low < u->high))
    return mote_node_fail(map->document, node, "'%s': expected two numbers, low < high", u->name);
  if (!(u->start >= u->low && u->start <= u->high))
    return mote_node_fail(map->document, node,
                          "'%s' begins with the scene's %g: expected that between the bounds, %g to %g",
                          u->name, u->start, u->low, u->high);
  if (u->of_velocity) return MOTE_OK;
  for (int side = 0; side < 2; side++) {
    mote_material m = r->scene.materials[u->which];
    *mote_material_number(&m, u->number) = (float)(side ? u->high : u->low);
    mote_status status = mote_material_check(&m);
    if (status != MOTE_OK) return mote_node_fail_at(map->document, node, status);
  }
  return MOTE_OK;
}

static mote_status add_unknown(mote_constitutive_run *r, const mote_map *map, const yaml_node_t *node,
                               const mote_unknown *u) {
  MOTE_TRY(check_bounds(r, map, node, u));
  if (r->unknown_count == MOTE_UNKNOWNS)
    return mote_node_fail(map->document, node, "more than %d unknowns", MOTE_UNKNOWNS);
  r->unknown[r->unknown_count++] = *u;
  return MOTE_OK;
}

static mote_status read_material(mote_constitutive_run *r, const mote_map *all, const char *name) {
  const mote_scene *s = &r->scene;
  mote_map map;
  int which = 0;
  while (which < s->material_count && strcmp(s->materials[which].name, name) != 0) which++;
  if (which == s->material_count)
    return mote_node_fail(all->document, mote_map_find(all, name), "the scene has no material \"%s\"", name);
  MOTE_TRY(mote_map_open_child(all, name, parameters, &map));
  for (int p = 0; p < MOTE_MATERIAL_PARAMETERS; p++) {
    const yaml_node_t *node = mote_map_find(&map, parameters[p]);
    double bounds[2];
    if (!node) continue;
    MOTE_TRY(mote_map_vector(&map, parameters[p], 2, bounds));
    mote_unknown u = {.which = which, .number = p, .low = bounds[0], .high = bounds[1]};
    u.start = (double)*mote_material_number(&s->materials[which], p);
    snprintf(u.name, sizeof u.name, "%.60s.%s", name, parameters[p]);
    MOTE_TRY(add_unknown(r, &map, node, &u));
  }
  return MOTE_OK;
}

/* The mean velocity of a body's particles; 0: the body has none. */
static int mean_velocity(const mote_particles *p, int body, double mean[3]) {
  int64_t count = 0;
  mean[0] = mean[1] = mean[2] = 0;
  for (int64_t i = 0; i < p->count; i++) {
    if (p->body[i] != body) continue;
    for (int d = 0; d < p->dim; d++) mean[d] += p->velocity[i * p->dim + d];
    count++;
  }
  for (int d = 0; d < 3 && count; d++) mean[d] /= (double)count;
  return count > 0;
}

static mote_status read_body(mote_constitutive_run *r, const mote_map *all, const yaml_node_t *key) {
  static const char *const keys[] = {"velocity", NULL};
  const char *name = mote_node_text(key);
  const int dim = r->scene.dim;
  char *end;
  const long body = strtol(name, &end, 10);
  double mean[3], low[3] = {0}, high[3] = {0};
  mote_map map;
  if (*end || end == name || body < 0 || body > INT32_MAX ||
      !mean_velocity(&r->scene.particles, (int)body, mean))
    return mote_node_fail(all->document, key, "the scene has no body %s with particles: they count from 0",
                          name);
  MOTE_TRY(mote_map_open_child(all, name, keys, &map));
  const yaml_node_t *list;
  int count;
  MOTE_TRY(mote_list_open(&map, "velocity", 3, &list, &count));
  if (count != 2)
    return mote_node_fail(map.document, list, "'velocity' of %s: expected [lowest, highest]", map.title);
  MOTE_TRY(mote_node_vector(&map, mote_list_item(map.document, list, 0), "velocity", dim, low));
  MOTE_TRY(mote_node_vector(&map, mote_list_item(map.document, list, 1), "velocity", dim, high));
  for (int d = 0; d < dim; d++) {
    mote_unknown u = {
        .of_velocity = 1, .which = (int)body, .number = d, .low = low[d], .high = high[d], .start = mean[d]};
    snprintf(u.name, sizeof u.name, "body %d.velocity.%c", (int)body, "xyz"[d]);
    MOTE_TRY(add_unknown(r, &map, list, &u));
  }
  return MOTE_OK;
}

static mote_status read_identify(const mote_map *run, mote_constitutive_run *r) {
  static const char *const keys[] = {"materials", "bodies", NULL};
  const yaml_node_t *key, *value;
  mote_map map, all;
  MOTE_TRY(mote_map_open_child(run, "identify", keys, &map));
  if (mote_map_find(&map, "materials")) {
    MOTE_TRY(mote_map_open_child(&map, "materials", NULL, &all));
    for (int i = 0; mote_map_pair(&all, i, &key, &value); i++)
      MOTE_TRY(read_material(r, &all, mote_node_text(key)));
  }
  if (mote_map_find(&map, "bodies")) {
    MOTE_TRY(mote_map_open_child(&map, "bodies", NULL, &all));
    for (int i = 0; mote_map_pair(&all, i, &key, &value); i++) MOTE_TRY(read_body(r, &all, key));
  }
  if (r->unknown_count) return MOTE_OK;
  return mote_node_fail(map.document, map.node, "%s names nothing that is looked for", map.title);
}

/* ---- the law ---- */

static mote_status read_law(const mote_map *run, mote_constitutive_run *r) {
  static const char *const keys[] = {"width", "layers", "elasticity_scale", "plasticity_scale", "strain",
                                     "form",  NULL};
  const mote_scene *s = &r->scene;
  int64_t width = 64, layers = 2;
  mote_map map;
  MOTE_TRY(mote_map_open_child(run, "law", keys, &map));
  MOTE_TRY(mote_map_integer(&map, "width", 1, MOTE_DENSE_WIDEST, &width));
  MOTE_TRY(mote_map_integer(&map, "layers", 1, MOTE_MLP_LAYERS - 1, &layers));
  r->law =
      (mote_neural_config){.dim = s->dim, .width = (int)width, .hidden = (int)layers, .strain_scale = 0.05f};
  MOTE_TRY(mote_map_choice(&map, "form", mote_neural_forms, &r->law.invariants));
  MOTE_TRY(mote_run_float(&map, "strain", 1e-9, 1e9, &r->law.strain_scale));
  r->law.elasticity_scale = r->law.strain_scale * (s->material_count ? s->materials[0].youngs_modulus : 1e5f);
  r->law.plasticity_scale = r->law.strain_scale;
  MOTE_TRY(mote_run_float(&map, "elasticity_scale", 1e-9, 1e12, &r->law.elasticity_scale));
  return mote_run_float(&map, "plasticity_scale", 0, 1e6, &r->law.plasticity_scale);
}

static mote_status read_rate(const mote_map *run, const char *name, mote_law_rate *rate) {
  static const char *const keys[] = {"rate", "clip", NULL};
  mote_map map;
  if (!mote_map_find(run, name)) return MOTE_OK;
  MOTE_TRY(mote_map_open_child(run, name, keys, &map));
  MOTE_TRY(mote_map_real(&map, "rate", 0, 10, &rate->rate));
  return mote_map_real(&map, "clip", 0, 1e9, &rate->clip);
}

/* ---- the rest ---- */

static mote_status read_scene(const mote_map *map, uint64_t seed, mote_constitutive_run *r) {
  char *path = NULL;
  mote_status status = mote_run_path(map, "scene", "the name of a scene", &path);
  if (status == MOTE_OK) status = mote_scene_load(path, seed, &r->scene);
  if (status == MOTE_OK && r->scene.particles.count < 1)
    status = mote_fail(MOTE_ERROR_ARGUMENT, "%s has no particles", path);
  free(path);
  return status;
}

static mote_status read_loss(const mote_map *run, mote_constitutive_run *r) {
  static const char *const keys[] = {"position", "velocity", NULL};
  mote_map map;
  if (!mote_map_find(run, "loss")) return MOTE_OK;
  MOTE_TRY(mote_map_open_child(run, "loss", keys, &map));
  MOTE_TRY(mote_map_real(&map, "position", 0, 1e9, &r->position_weight));
  MOTE_TRY(mote_map_real(&map, "velocity", 0, 1e9, &r->velocity_weight));
  if (r->position_weight > 0 || r->velocity_weight > 0) return MOTE_OK;
  return mote_node_fail(map.document, map.node, "%s is of nothing: expected a weight above 0", map.title);
}

static mote_status read_restarts(const mote_map *run, mote_constitutive_run *r) {
  static const char *const keys[] = {"from", "to", NULL};
  mote_map map;
  if (!mote_map_find(run, "restarts")) return MOTE_OK;
  MOTE_TRY(mote_map_open_child(run, "restarts", keys, &map));
  MOTE_TRY(mote_map_real(&map, "from", 1, 1e9, &r->restart_from));
  return mote_map_real(&map, "to", 1, 1e9, &r->restart_to);
}

static mote_status read_schedule(const mote_map *run, mote_constitutive_run *r) {
  static const char *const keys[] = {"kind", "floor", NULL};
  static const char *const kinds[] = {"constant", "cosine", NULL};
  mote_map map;
  int kind = 1;
  if (mote_map_find(run, "schedule")) {
    MOTE_TRY(mote_map_open_child(run, "schedule", keys, &map));
    MOTE_TRY(mote_map_choice(&map, "kind", kinds, &kind));
    MOTE_TRY(mote_map_real(&map, "floor", 0, 1, &r->schedule.floor));
  }
  r->schedule.kind = kind ? MOTE_SCHEDULE_COSINE : MOTE_SCHEDULE_CONSTANT;
  r->schedule.steps = r->epochs;
  return MOTE_OK;
}

static mote_status read_numbers(const mote_map *map, mote_constitutive_run *r) {
  MOTE_TRY(mote_map_real(map, "noise", 0, 1e9, &r->noise));
  MOTE_TRY(mote_map_integer(map, "frames", 2, 1000000, &r->frames));
  MOTE_TRY(mote_map_integer(map, "epochs", 0, 1000000, &r->epochs));
  MOTE_TRY(mote_map_integer(map, "batch", 1, 1000000, &r->batch));
  MOTE_TRY(mote_map_integer(map, "validate_every", 1, 1000000, &r->validate_every));
  MOTE_TRY(mote_map_integer(map, "save_every", 1, 1000000, &r->save_every));
  MOTE_TRY(mote_map_integer(map, "seed", 0, INT64_MAX, &r->seed));
  MOTE_TRY(mote_map_integer(map, "memory", 1, 1 << 20, &r->memory));
  MOTE_TRY(mote_map_flag(map, "isotropic", &r->isotropic));
  MOTE_TRY(mote_map_real(map, "ema", 0, 0.999999, &r->ema));
  return mote_run_betas(map, &r->optimizer.beta1, &r->optimizer.beta2);
}

static mote_status read_run(const mote_document *document, uint64_t seed, mote_constitutive_run *r) {
  static const char *const keys[] = {
      "kind",       "scene",      "trajectory",     "law",    "identify", "loss",  "restarts", "isotropic",
      "elasticity", "plasticity", "schedule",       "frames", "epochs",   "batch", "betas",    "ema",
      "seed",       "save_every", "validate_every", "memory", "noise",    NULL};
  mote_map map;
  MOTE_TRY(mote_run_open(document, keys, "constitutive", &map));
  MOTE_TRY(mote_run_path(&map, "trajectory", "the name of a trajectory", &r->trajectory));
  MOTE_TRY(read_scene(&map, seed, r));
  r->finds_law = mote_map_find(&map, "law") != NULL;
  if (r->finds_law == (mote_map_find(&map, "identify") != NULL))
    return mote_node_fail(document, map.node, "the run has to have one of 'law' and 'identify'");
  MOTE_TRY(r->finds_law ? read_law(&map, r) : read_identify(&map, r));
  MOTE_TRY(read_rate(&map, "elasticity", &r->elasticity));
  MOTE_TRY(read_rate(&map, "plasticity", &r->plasticity));
  MOTE_TRY(read_loss(&map, r));
  MOTE_TRY(read_restarts(&map, r));
  MOTE_TRY(read_numbers(&map, r));
  return read_schedule(&map, r);
}

mote_status mote_constitutive_run_load(const char *path, uint64_t seed, mote_constitutive_run *run) {
  mote_document document;
  *run = (mote_constitutive_run){.elasticity = {3e-3, 1},
                                 .plasticity = {1e-3, 1},
                                 .position_weight = 1,
                                 .restart_from = 25,
                                 .restart_to = 1e9,
                                 .optimizer = {.beta1 = 0.9f, .beta2 = 0.99f, .epsilon = 1e-12f},
                                 .schedule = {.rate = 1},
                                 .epochs = 300,
                                 .batch = 1,
                                 .validate_every = 10,
                                 .save_every = 10,
                                 .memory = 1024};
  MOTE_TRY(mote_document_load(path, &document));
  mote_status status = read_run(&document, seed, run);
  mote_document_free(&document);
  if (status != MOTE_OK) mote_constitutive_run_free(run);
  return status;
}
