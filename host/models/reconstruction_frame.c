/* One frame of the reduced-order operator: a fixed sequence of kernels. */
#include "host/core/error.h"
#include "host/models/reconstruction.h"

static mote_status splat_sparse(mote_reconstruction *r, mote_stream *stream, const float *at) {
  const struct mote_reconstruct_kernels *k = r->device->reconstruct;
  int dim = r->options.dim;
  int64_t n = r->options.sparse_count;
  MOTE_TRY(k->fit_globally(stream, dim, n, at, r->increment.data, r->fit.data));
  MOTE_TRY(k->arrange(stream, dim, n, at, r->increment.data, &r->bins, r->key_bits, r->keys.data,
                      r->order.data, r->bin_start.data, r->rows.data, r->stride, &r->scratch));
  mote_packed packed = {r->rows.data, r->bin_start.data, r->stride};
  MOTE_TRY(k->splat(stream, &r->lattice[0], &r->bins, &packed, r->fit.data, r->radius, r->moments[0].data));
  for (int l = 1; l < r->settings.levels; l++)
    MOTE_TRY(k->restrict_moments(stream, &r->lattice[l - 1], &r->lattice[l], r->fit.data, r->radius, l,
                                 r->moments[l - 1].data, r->moments[l].data));
  return MOTE_OK;
}

float mote_reconstruction_ridge(const mote_reconstruction *r, int level) {
  /* Offsets are measured in the finest spacing; a level's own neighbourhood is 2^l as wide. */
  float reach = r->radius / r->lattice[0].unit * (float)(1 << level);
  return r->settings.ridge * reach * reach;
}

static mote_status fit_levels(mote_reconstruction *r, mote_stream *stream) {
  const struct mote_reconstruct_kernels *k = r->device->reconstruct;
  for (int l = r->settings.levels - 1; l >= 0; l--) {
    int coarsest = l == r->settings.levels - 1;
    MOTE_TRY(k->fit_nodes(stream, &r->lattice[l], coarsest ? NULL : &r->lattice[l + 1], r->fit.data,
                          r->radius, l, r->moments[l].data, coarsest ? NULL : r->field[l + 1].data,
                          mote_reconstruction_ridge(r, l), r->settings.shrink, r->field[l].data));
  }
  return MOTE_OK;
}

static int has_tracers(const mote_reconstruction *r) {
  return r->settings.frame == MOTE_CURRENT_FRAME && (r->settings.drift_gain > 0 || r->has_kin || r->corrects);
}

/* A tracer much farther off than this has lost its particle: how far says nothing any more. */
float mote_reconstruction_drift_limit(const mote_reconstruction *r) {
  return 0.08f * r->radius;
}

/* What the sparse particles' field is fitted to. */
static mote_status aim(mote_reconstruction *r, mote_stream *stream, const float *from) {
  const struct mote_reconstruct_kernels *k = r->device->reconstruct;
  int dim = r->options.dim;
  int64_t n = r->options.sparse_count;
  if (!has_tracers(r)) return k->difference(stream, n * dim, r->next.data, from, r->increment.data);
  return k->pursue(stream, dim, n, r->next.data, from, r->tracer.data, r->settings.drift_gain,
                   mote_reconstruction_drift_limit(r), r->increment.data);
}

mote_status mote_reconstruction_fit(mote_reconstruction *r, mote_stream *stream) {
  const float *from = r->settings.frame == MOTE_CURRENT_FRAME ? r->sparse.data : r->start.data;
  MOTE_TRY(aim(r, stream, from));
  MOTE_TRY(splat_sparse(r, stream, from));
  return fit_levels(r, stream);
}

mote_correct_view mote_reconstruction_view(const mote_reconstruction *r) {
  mote_correct_view view = {.levels = r->settings.levels, .radius = r->radius, .moments = r->moments[0].data};
  for (int l = 0; l < 3 && l < view.levels; l++) {
    view.lattice[l] = r->lattice[l];
    view.field[l] = r->field[l].data;
  }
  for (int a = 0; a < r->options.dim; a++) {
    view.wall_lower[a] = (float)r->options.bounds[a][0];
    view.wall_upper[a] = (float)r->options.bounds[a][1];
    view.gravity[a] = r->flight.gravity[a];
  }
  return view;
}

mote_status mote_reconstruction_describe(mote_reconstruction *r, mote_stream *stream) {
  const struct mote_reconstruct_kernels *k = r->device->reconstruct;
  const struct mote_correct_kernels *c = r->device->correct;
  int64_t n = r->options.sparse_count;
  mote_packed packed = {r->rows.data, r->bin_start.data, r->stride};
  mote_correct_view view = mote_reconstruction_view(r);
  MOTE_TRY(k->gather(stream, &r->lattice[0], r->fit.data, r->radius, r->field[0].data, n, r->sparse.data,
                     r->fitted.data, NULL));
  MOTE_TRY(c->pack_errors(stream, r->options.dim, n, r->order.data, r->increment.data, r->fitted.data,
                          r->sparse.data, r->tracer.data, mote_reconstruction_drift_limit(r), r->expert.data,
                          r->errors.data, r->stride));
  return c->describe(stream, &view, &r->bins, &packed, r->errors.data, r->fit.data, r->feature.data,
                     r->basis.data, r->share.data);
}

mote_status mote_reconstruction_correct(mote_reconstruction *r, mote_stream *stream) {
  mote_correct_view view = mote_reconstruction_view(r);
  MOTE_TRY(mote_reconstruction_describe(r, stream));
  return r->device->correct->evaluate(stream, &view, &r->experts, r->fit.data, r->feature.data, r->basis.data,
                                      r->share.data, r->field[0].data);
}

static mote_status move_tracers(mote_reconstruction *r, mote_stream *stream) {
  const struct mote_reconstruct_kernels *k = r->device->reconstruct;
  int64_t n = r->options.sparse_count;
  if (!has_tracers(r)) return MOTE_OK;
  MOTE_TRY(k->gather(stream, &r->lattice[0], r->fit.data, r->radius, r->field[0].data, n, r->tracer.data,
                     r->tracer_increment.data, NULL));
  return k->advance(stream, r->options.dim, n, r->tracer.data, r->tracer_increment.data, NULL, &r->flight,
                    r->tracer_last.data, r->tracer.data);
}

/* Points after their kin. */
static mote_status recall(mote_reconstruction *r, mote_stream *stream) {
  const struct mote_kin_kernels *k = r->device->kin;
  const mote_reconstruction_options *o = &r->options;
  mote_kin_bounds bounds;
  for (int a = 0; a < 3; a++) {
    bounds.lower[a] = r->flight.lower[a];
    bounds.upper[a] = r->flight.upper[a];
  }
  if (!r->has_kin) return MOTE_OK;
  MOTE_TRY(k->follow(stream, o->dim, o->sparse_count, r->next.data, r->settings.kin_gain, r->tracer.data,
                     r->drift.data));
  return k->recall(stream, o->dim, o->dense_count, r->kin_index.data, r->kin_weight.data, r->drift.data,
                   r->settings.kin_gain, &bounds, r->dense.data, r->shown.data);
}

mote_status mote_reconstruction_frame(void *context, mote_stream *stream) {
  mote_reconstruction *r = context;
  const struct mote_reconstruct_kernels *k = r->device->reconstruct;
  const mote_reconstruction_options *o = &r->options;
  int current = r->settings.frame == MOTE_CURRENT_FRAME;
  const float *base = current ? r->dense.data : r->dense_start.data;
  MOTE_TRY(mote_reconstruction_fit(r, stream));
  if (r->corrects) MOTE_TRY(mote_reconstruction_correct(r, stream));
  MOTE_TRY(move_tracers(r, stream));
  MOTE_TRY(k->gather(stream, &r->lattice[0], r->fit.data, r->radius, r->field[0].data, o->dense_count, base,
                     r->dense_increment.data, r->reach.data));
  MOTE_TRY(k->advance(stream, o->dim, o->dense_count, base, r->dense_increment.data,
                      current ? r->reach.data : NULL, &r->flight, r->last.data, r->dense.data));
  MOTE_TRY(recall(r, stream));
  return mote_copy_on_device(stream, r->sparse.data, r->next.data,
                             (size_t)o->sparse_count * (size_t)o->dim * 4);
}
