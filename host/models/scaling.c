#include "host/models/scaling.h"

#include <math.h>

#include "host/core/error.h"

#define FARTHEST 1e15 /* m, of bounds: squares of lengths are float32 */

static int is_mean(double x) {
  return x >= -FARTHEST && x <= FARTHEST;
}
static int is_deviation(double x) {
  return x >= 0 && x <= FARTHEST;
}

static mote_status check_statistics(const mote_model *m, const mote_metadata *d, int axis) {
  if (!is_mean(d->velocity_mean[axis]) || !is_mean(d->acceleration_mean[axis]) ||
      !is_deviation(d->velocity_std[axis]) || !is_deviation(d->acceleration_std[axis]))
    return mote_fail(
        MOTE_ERROR_ARGUMENT,
        "stepper: the metadata's vel_mean, vel_std, acc_mean or acc_std of axis %d is no number of "
        "its kind",
        axis);
  if (m->config.normalized_velocities && !(hypot(d->velocity_std[axis], m->config.noise) >= 1 / FARTHEST))
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "stepper: the metadata's vel_std of axis %d is %g, by which the model divides", axis,
                     d->velocity_std[axis]);
  return MOTE_OK;
}

mote_status mote_model_check_metadata(const mote_model *m, const mote_metadata *d) {
  if (d->dim != m->config.dim)
    return mote_fail(MOTE_ERROR_ARGUMENT, "stepper: the metadata is %d-D, the model %d-D", d->dim,
                     m->config.dim);
  if (!d->has_statistics)
    return mote_fail(
        MOTE_ERROR_ARGUMENT,
        "stepper: the metadata has no statistics (vel_mean, vel_std, acc_mean, acc_std): take the "
        "metadata.json of the data that the model was trained on");
  for (int a = 0; a < d->dim; a++) {
    if (d->periodic[a])
      return mote_fail(MOTE_ERROR_UNSUPPORTED, "stepper: periodic boundaries are not supported");
    double low = d->bounds[a][0], high = d->bounds[a][1];
    if (!(low >= -FARTHEST && low < high && high <= FARTHEST))
      return mote_fail(
          MOTE_ERROR_ARGUMENT,
          "stepper: the metadata's bounds of axis %d are %g and %g: expected the lower one first, "
          "within %g m",
          a, low, high, FARTHEST);
    MOTE_TRY(check_statistics(m, d, a));
  }
  return MOTE_OK;
}

/* Columns: GIOROM begins with the kind of particle, GNS ends with it. */
void mote_model_features(const mote_model *m, const mote_metadata *d, float radius, mote_node_features *f) {
  const mote_network_config *c = &m->config;
  int velocities = c->dim * c->window, type_width = m->embedding ? c->type_width : 0;
  int first = c->kind == MOTE_GIOROM ? type_width : 0;
  *f = (mote_node_features){
      .dim = c->dim, .frames = c->window + 1, .types = c->types, .type_width = type_width};
  f->at_velocity = first;
  f->at_bounds = first + velocities;
  f->at_type = c->kind == MOTE_GIOROM ? 0 : velocities + 2 * c->dim;
  f->per_radius = 1 / radius;
  f->clip = c->clip;
  for (int a = 0; a < c->dim; a++) {
    f->velocity_mean[a] = c->normalized_velocities ? (float)d->velocity_mean[a] : 0;
    f->velocity_scale[a] = c->normalized_velocities ? (float)(1 / hypot(d->velocity_std[a], c->noise)) : 1;
    f->lower[a] = (float)d->bounds[a][0];
    f->upper[a] = (float)d->bounds[a][1];
  }
}

/* m a frame^2, of a normalised acceleration of 1: the training's noise is part of what was learned from. */
static double acceleration_scale(const mote_network_config *c, const mote_metadata *d, int axis) {
  return hypot(d->acceleration_std[axis], c->noise);
}

void mote_model_integration(const mote_model *m, const mote_metadata *d, mote_integration *g) {
  const mote_network_config *c = &m->config;
  *g = (mote_integration){.dim = c->dim, .frames = c->window + 1};
  for (int a = 0; a < c->dim; a++) {
    g->mean[a] = (float)d->acceleration_mean[a];
    g->deviation[a] = (float)acceleration_scale(c, d, a);
    g->limit = fmaxf(g->limit, (float)(d->bounds[a][1] - d->bounds[a][0]));
    g->lower[a] = (float)d->bounds[a][0] - c->stop;
    g->upper[a] = (float)d->bounds[a][1] + c->stop;
  }
}

void mote_model_pair_forces(const mote_model *m, const mote_metadata *d, float radius, mote_pair_forces *f) {
  const mote_network_config *c = &m->config;
  const double frame = d->dt * d->write_every;
  *f = (mote_pair_forces){.dim = c->dim, .per_reach = 1 / (c->clip * radius)};
  for (int a = 0; a < c->dim; a++) {
    double deviation = acceleration_scale(c, d, a);
    f->lower[a] = (float)d->bounds[a][0];
    f->upper[a] = (float)d->bounds[a][1];
    f->free[a] =
        deviation > 0 ? (float)((d->gravity[a] * frame * frame - d->acceleration_mean[a]) / deviation) : 0;
  }
}
