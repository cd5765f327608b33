/* The unknowns of an identification: from places in the unit interval into the simulation, and gradients
   back. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "host/core/error.h"
#include "host/core/file.h"
#include "host/io/json_file.h"
#include "host/train/constitutive.h"

static int is_logarithmic(const mote_unknown *u) {
  return !u->of_velocity && u->low > 0 && u->high / u->low > 4;
}

double mote_unknown_value(const mote_unknown *u, double at) {
  if (at <= 0) return u->low;
  if (at >= 1) return u->high;
  return is_logarithmic(u) ? u->low * pow(u->high / u->low, at) : u->low + (u->high - u->low) * at;
}

static double place_of(const mote_unknown *u) {
  if (is_logarithmic(u)) return log(u->start / u->low) / log(u->high / u->low);
  return (u->start - u->low) / (u->high - u->low);
}

/* The value's derivative by the place. */
static double slope_at(const mote_unknown *u, double at) {
  return is_logarithmic(u) ? mote_unknown_value(u, at) * log(u->high / u->low) : u->high - u->low;
}

void mote_unknowns_begin(mote_constitutive *t) {
  for (int k = 0; k < t->run.unknown_count; k++) t->kept[k] = place_of(&t->run.unknown[k]);
  mote_search_begin(&t->search, t->run.unknown_count, t->kept);
}

/* A body's particles keep what sets them apart from its mean. */
static mote_status apply_velocities(mote_constitutive *t, const double *at) {
  const mote_particles *p = &t->run.scene.particles;
  const size_t bytes = (size_t)(p->count * p->dim) * sizeof(float);
  const mote_unrolled_state start = mote_unrolled_state_in(&t->unrolled, &t->start, 0);
  float *velocity = malloc(bytes);
  if (!velocity) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for velocities");
  memcpy(velocity, p->velocity, bytes);
  for (int k = 0; k < t->run.unknown_count; k++) {
    const mote_unknown *u = &t->run.unknown[k];
    const float more = (float)(mote_unknown_value(u, at[k]) - u->start);
    for (int64_t i = 0; i < p->count && u->of_velocity; i++)
      if (p->body[i] == u->which) velocity[i * p->dim + u->number] += more;
  }
  mote_status status = mote_upload(t->stream, start.velocity, velocity, bytes);
  if (status == MOTE_OK) status = mote_stream_synchronize(t->stream);
  free(velocity);
  return status;
}

static int finds_velocities(const mote_constitutive *t) {
  for (int k = 0; k < t->run.unknown_count; k++)
    if (t->run.unknown[k].of_velocity) return 1;
  return 0;
}

mote_status mote_unknowns_apply(mote_constitutive *t, const double *at) {
  const mote_scene *s = &t->run.scene;
  memcpy(t->materials, s->materials, (size_t)s->material_count * sizeof *t->materials);
  for (int k = 0; k < t->run.unknown_count; k++) {
    const mote_unknown *u = &t->run.unknown[k];
    if (!u->of_velocity)
      *mote_material_number(&t->materials[u->which], u->number) = (float)mote_unknown_value(u, at[k]);
  }
  MOTE_TRY(mote_unrolled_set_materials(&t->unrolled, t->materials));
  return finds_velocities(t) ? apply_velocities(t, at) : MOTE_OK;
}

mote_status mote_unknowns_gather(mote_constitutive *t, const mote_unrolled_state *start) {
  const mote_particles *p = &t->run.scene.particles;
  const size_t floats = (size_t)(p->count * p->dim);
  float *by_velocity = malloc(floats * sizeof *by_velocity);
  if (!by_velocity) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for velocities");
  mote_status status = mote_download(t->stream, by_velocity, start->velocity, floats * sizeof *by_velocity);
  for (int k = 0; k < t->run.unknown_count && status == MOTE_OK; k++) {
    const mote_unknown *u = &t->run.unknown[k];
    double by_value = 0;
    if (!u->of_velocity) by_value = t->unrolled.by_material[u->which * MOTE_MATERIAL_PARAMETERS + u->number];
    for (int64_t i = 0; i < p->count && u->of_velocity; i++)
      if (p->body[i] == u->which) by_value += (double)by_velocity[i * p->dim + u->number];
    t->by_unknown[k] += by_value * slope_at(u, t->search.at[k]);
  }
  free(by_velocity);
  return status;
}

mote_status mote_unknowns_epoch(mote_constitutive *t) {
  if (t->epoch && mote_constitutive_length(t, t->epoch) != mote_constitutive_length(t, t->epoch - 1))
    mote_search_renew(&t->search);
  return mote_unknowns_apply(t, t->search.at);
}

double mote_unknowns_update(mote_constitutive *t, double loss) {
  double squares = 0;
  for (int k = 0; k < t->run.unknown_count; k++) squares += t->by_unknown[k] * t->by_unknown[k];
  mote_search_next(&t->search, isfinite(squares) ? loss : INFINITY, t->by_unknown);
  return sqrt(squares);
}

static int add_entry(cJSON *root, const char *name, double value) {
  return cJSON_AddNumberToObject(root, name, value) != NULL;
}

mote_status mote_unknowns_save(const mote_constitutive *t) {
  char *path = mote_path_join(t->folder, "identified.json");
  cJSON *root = cJSON_CreateObject();
  int whole = path && root;
  for (int k = 0; k < t->run.unknown_count && whole; k++)
    whole = add_entry(root, t->run.unknown[k].name, mote_unknown_value(&t->run.unknown[k], t->kept[k]));
  if (whole && isfinite(t->best)) whole = add_entry(root, "mean_squared_position_error", t->best);
  mote_status status =
      whole ? mote_json_write(path, root) : mote_fail(MOTE_ERROR_MEMORY, "out of memory for what was found");
  cJSON_Delete(root);
  free(path);
  return status;
}
