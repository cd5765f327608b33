#include "host/train/rollout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/train/refit.h"
#include "kernels/array/array.h"
#include "kernels/optimize/optimize.h"

static size_t bytes_of(const mote_example *e, int64_t count) {
  return (size_t)(count * e->recording->dim) * sizeof(float);
}

/* A row of the path: the dense points and, behind them, the tracers. */
static int64_t path_count(const mote_example *e) {
  return e->dense_count + e->sparse_count;
}

static float *frame_of(const mote_rollout *o, const mote_buffer *trace, int64_t count, int64_t frame) {
  return (float *)trace->data + frame * count * o->example->recording->dim;
}

void mote_rollout_free(mote_rollout *o) {
  mote_buffer *all[] = {&o->sparse, &o->truth,     &o->path,      &o->shown,
                        &o->error,  &o->kin_start, &o->kin_entry, &o->slope};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) mote_buffer_free(all[k]);
  mote_reconstruction_destroy(o->reconstruction);
  free(o->rms);
  *o = (mote_rollout){0};
}

static mote_status create_reconstruction(mote_device *device, const mote_example *e,
                                         const mote_operator *learned, int corrects,
                                         mote_reconstruction **r) {
  mote_reconstruction_options options = {.dim = e->recording->dim,
                                         .sparse_count = e->sparse_count,
                                         .dense_count = e->dense_count,
                                         .sparse = e->sparse,
                                         .dense = e->dense,
                                         .dense_spacing = e->dense_spacing,
                                         .learned = corrects ? learned : NULL,
                                         .expert = e->expert};
  mote_reconstruction_place(&e->recording->metadata, &options);
  return mote_reconstruction_create(device, &learned->settings, &options, r);
}

static mote_status fill(mote_rollout *o, mote_device *device) {
  const mote_example *e = o->example;
  size_t sparse = (size_t)e->frames * bytes_of(e, e->sparse_count),
         dense = (size_t)e->frames * bytes_of(e, e->dense_count);
  mote_stream *stream = o->reconstruction->stream;
  MOTE_TRY(mote_buffer_reserve(&o->sparse, device, sparse));
  MOTE_TRY(mote_buffer_reserve(&o->truth, device, dense));
  MOTE_TRY(mote_buffer_reserve(&o->path, device, dense + sparse));
  MOTE_TRY(mote_buffer_reserve(&o->shown, device, dense));
  MOTE_TRY(mote_buffer_reserve(&o->error, device, dense));
  MOTE_TRY(mote_upload(stream, o->sparse.data, e->sparse, sparse));
  MOTE_TRY(mote_upload(stream, o->truth.data, e->dense, dense));
  o->rms = calloc((size_t)e->frames, sizeof *o->rms);
  return o->rms ? MOTE_OK : mote_fail(MOTE_ERROR_MEMORY, "out of memory for a rollout");
}

/* Turns kin around: for each sparse particle the points that it is kin of, in their order. */
static mote_status turn_kin(mote_rollout *o, mote_device *device) {
  mote_reconstruction *r = o->reconstruction;
  int64_t entries = o->example->dense_count * MOTE_KIN, m = o->example->sparse_count;
  int32_t *index = malloc((size_t)entries * 2 * sizeof *index), *entry = index + entries;
  int32_t *start = calloc((size_t)m + 2, sizeof *start);
  mote_status status = index && start ? MOTE_OK : mote_fail(MOTE_ERROR_MEMORY, "out of memory for a rollout");
  if (status == MOTE_OK)
    status = mote_download(r->stream, index, r->kin_index.data, (size_t)entries * sizeof *index);
  if (status == MOTE_OK) {
    for (int64_t k = 0; k < entries; k++) start[index[k] + 2]++;
    for (int64_t i = 0; i < m; i++) start[i + 2] += start[i + 1];
    for (int64_t k = 0; k < entries; k++) entry[start[index[k] + 1]++] = (int32_t)k;
    status = mote_buffer_reserve(&o->kin_start, device, (size_t)(m + 1) * 4);
  }
  if (status == MOTE_OK) status = mote_buffer_reserve(&o->kin_entry, device, (size_t)entries * 4);
  if (status == MOTE_OK) status = mote_upload(r->stream, o->kin_start.data, start, (size_t)(m + 1) * 4);
  if (status == MOTE_OK) status = mote_upload(r->stream, o->kin_entry.data, entry, (size_t)entries * 4);
  free(index);
  free(start);
  return status;
}

mote_status mote_rollout_create(mote_device *device, const mote_example *e, const mote_operator *learned,
                                int corrects, mote_rollout *o) {
  *o = (mote_rollout){.example = e};
  mote_status status = create_reconstruction(device, e, learned, corrects, &o->reconstruction);
  if (status == MOTE_OK) status = fill(o, device);
  if (status == MOTE_OK && corrects && o->reconstruction->has_kin) status = turn_kin(o, device);
  if (status != MOTE_OK) mote_rollout_free(o);
  return status;
}

/* ---- forward ---- */

/* Keeps where points and tracers are at `frame`, and what is shown. */
static mote_status keep(mote_rollout *o, int64_t frame) {
  const mote_example *e = o->example;
  mote_reconstruction *r = o->reconstruction;
  float *path = frame_of(o, &o->path, path_count(e), frame);
  size_t dense = bytes_of(e, e->dense_count);
  const mote_buffer *shown = r->has_kin ? &r->shown : &r->dense;
  MOTE_TRY(mote_copy_on_device(r->stream, path, r->dense.data, dense));
  MOTE_TRY(mote_copy_on_device(r->stream, path + e->dense_count * e->recording->dim, r->tracer.data,
                               bytes_of(e, e->sparse_count)));
  return mote_copy_on_device(r->stream, frame_of(o, &o->shown, e->dense_count, frame), shown->data, dense);
}

/* Sets the sparse particles to go from `frame` to the next one. */
static mote_status aim_at(mote_rollout *o, int64_t frame) {
  const mote_example *e = o->example;
  mote_reconstruction *r = o->reconstruction;
  MOTE_TRY(mote_copy_on_device(r->stream, r->sparse.data, frame_of(o, &o->sparse, e->sparse_count, frame),
                               bytes_of(e, e->sparse_count)));
  return mote_copy_on_device(r->stream, r->next.data, frame_of(o, &o->sparse, e->sparse_count, frame + 1),
                             bytes_of(e, e->sparse_count));
}

static mote_status measure(mote_rollout *o) {
  const mote_example *e = o->example;
  mote_reconstruction *r = o->reconstruction;
  int64_t width = e->dense_count * e->recording->dim;
  MOTE_TRY(r->device->reconstruct->difference(r->stream, e->frames * width, o->shown.data, o->truth.data,
                                              o->error.data));
  float *error = malloc((size_t)(e->frames * width) * sizeof *error);
  if (!error) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a rollout");
  mote_status status = mote_download(r->stream, error, o->error.data, (size_t)(e->frames * width) * 4);
  for (int64_t f = 0; f < e->frames; f++) {
    double sum = 0;
    for (int64_t i = 0; i < width; i++) sum += (double)error[f * width + i] * error[f * width + i];
    o->rms[f] = sqrt(sum / (double)e->dense_count);
  }
  free(error);
  return status;
}

mote_status mote_rollout_forward(mote_rollout *o) {
  mote_reconstruction *r = o->reconstruction;
  MOTE_TRY(keep(o, 0));
  for (int64_t frame = 0; frame + 1 < o->example->frames; frame++) {
    MOTE_TRY(aim_at(o, frame));
    r->flight.reach = frame ? r->settings.flight_reach : 0;
    MOTE_TRY(mote_reconstruction_frame(r, r->stream));
    MOTE_TRY(keep(o, frame + 1));
  }
  return measure(o);
}

/* ---- backward ---- */

#define TRACER_CLIP 10 /* a tracer speaks for several points */

typedef struct backward {
  /* Rows of points and tracers, as the path's; part: of points alone. */
  mote_buffer gradient, increment_gradient, part;
  mote_buffer moment_slope, goal_slope; /* of nodes, of sparse particles */
  mote_buffer field_gradient, keys, order, partial, parameters, scratch;
  int key_bits;
  float clip;
  int to_sparse; /* the rollout's `slope` is wanted, too, for which there are: */
  mote_refit refit;
  mote_buffer before, along; /* of sparse particles */
} backward;

static void release(backward *b) {
  mote_buffer *all[] = {&b->gradient,   &b->increment_gradient, &b->part,    &b->moment_slope,
                        &b->goal_slope, &b->field_gradient,     &b->keys,    &b->order,
                        &b->partial,    &b->parameters,         &b->scratch, &b->before,
                        &b->along};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) mote_buffer_free(all[k]);
  mote_refit_free(&b->refit);
}

static mote_status prepare_slope(mote_rollout *o, backward *b) {
  mote_reconstruction *r = o->reconstruction;
  size_t sparse = bytes_of(o->example, o->example->sparse_count);
  MOTE_TRY(mote_refit_reserve(&b->refit, r));
  MOTE_TRY(mote_buffer_reserve(&b->before, r->device, sparse));
  MOTE_TRY(mote_buffer_reserve(&b->along, r->device, sparse));
  return mote_buffer_zeros(&o->slope, r->stream, (size_t)o->example->frames * sparse);
}

static mote_status prepare(mote_rollout *o, backward *b) {
  mote_reconstruction *r = o->reconstruction;
  mote_device *d = r->device;
  size_t points = bytes_of(o->example, path_count(o->example)), n = (size_t)path_count(o->example);
  size_t parameters = (size_t)r->experts.count * MOTE_PARAMETERS * 4;
  int64_t nodes = mote_lattice_size(&r->lattice[0]);
  while ((int64_t)1 << b->key_bits <= nodes) b->key_bits++;
  MOTE_TRY(mote_buffer_reserve(&b->gradient, d, points));
  MOTE_TRY(mote_buffer_reserve(&b->increment_gradient, d, points));
  MOTE_TRY(mote_buffer_reserve(&b->part, d, points));
  MOTE_TRY(mote_buffer_reserve(&b->goal_slope, d, bytes_of(o->example, o->example->sparse_count)));
  MOTE_TRY(mote_buffer_reserve(&b->moment_slope, d, (size_t)nodes * MOTE_AFFINE * 4));
  MOTE_TRY(mote_buffer_reserve(&b->field_gradient, d, (size_t)nodes * MOTE_AFFINE * 4));
  MOTE_TRY(mote_buffer_reserve(&b->keys, d, n * 4));
  MOTE_TRY(mote_buffer_reserve(&b->order, d, n * 4));
  MOTE_TRY(mote_buffer_reserve(&b->partial, d, parameters * MOTE_CHUNKS));
  MOTE_TRY(mote_buffer_reserve(&b->parameters, d, parameters));
  if (b->to_sparse) MOTE_TRY(prepare_slope(o, b));
  MOTE_TRY(mote_fill_bytes(r->stream, b->gradient.data, 0, points));
  return mote_fill_bytes(r->stream, b->parameters.data, 0, parameters);
}

/* The field of `frame` again, from what forward kept. */
static mote_status repeat(mote_rollout *o, int64_t frame) {
  const mote_example *e = o->example;
  mote_reconstruction *r = o->reconstruction;
  MOTE_TRY(aim_at(o, frame));
  const float *tracer = frame_of(o, &o->path, path_count(e), frame) + e->dense_count * e->recording->dim;
  MOTE_TRY(mote_copy_on_device(r->stream, r->tracer.data, tracer, bytes_of(e, e->sparse_count)));
  return mote_reconstruction_fit(r, r->stream);
}

/* slope of `frame` += alpha * d (sparse_count, dim). */
static mote_status add_slope(mote_rollout *o, int64_t frame, float alpha, const mote_buffer *d) {
  const mote_example *e = o->example;
  mote_reconstruction *r = o->reconstruction;
  return r->device->optimize->combine(r->stream, e->sparse_count * e->recording->dim, alpha, d->data, 1,
                                      frame_of(o, &o->slope, e->sparse_count, frame));
}

/* What a tracer's drift does to the points of its kin, and to the tracer, goes back to the tracer and, the
   other way, to its particle: by as much as the tracer's slope loses. */
static mote_status chain_drift(mote_rollout *o, backward *b, int64_t frame, float *tracer_gradient) {
  const mote_example *e = o->example;
  mote_reconstruction *r = o->reconstruction;
  int dim = e->recording->dim;
  int64_t m = e->sparse_count;
  if (b->to_sparse) MOTE_TRY(mote_copy_on_device(r->stream, b->before.data, tracer_gradient, bytes_of(e, m)));
  MOTE_TRY(r->device->kin->follow_backward(r->stream, dim, e->dense_count, m, o->kin_start.data,
                                           o->kin_entry.data, r->kin_weight.data, b->part.data,
                                           r->settings.kin_gain, tracer_gradient));
  if (!b->to_sparse) return MOTE_OK;
  MOTE_TRY(
      r->device->reconstruct->difference(r->stream, m * dim, b->before.data, tracer_gradient, b->along.data));
  return add_slope(o, frame + 1, 1, &b->along);
}

/* From the slopes after the frame to those before it, and to those of the increments. */
static mote_status chain(mote_rollout *o, backward *b, int64_t frame, float scale) {
  const mote_example *e = o->example;
  mote_reconstruction *r = o->reconstruction;
  const struct mote_correct_kernels *c = r->device->correct;
  const struct mote_kin_kernels *k = r->device->kin;
  const mote_lattice *l = &r->lattice[0];
  int dim = e->recording->dim;
  int64_t n = e->dense_count, m = e->sparse_count, behind = n * dim;
  const float *at = frame_of(o, &o->path, path_count(e), frame);
  const float *error = frame_of(o, &o->error, n, frame + 1);
  float *gradient = b->gradient.data, *increment_gradient = b->increment_gradient.data,
        gain = r->settings.kin_gain;
  if (r->has_kin) {
    MOTE_TRY(k->recall_backward(r->stream, behind, error, scale, gain, gradient, b->part.data));
    MOTE_TRY(chain_drift(o, b, frame, gradient + behind));
    MOTE_TRY(c->adjoint(r->stream, l, r->fit.data, r->radius, r->field[0].data, m, at + behind, NULL, 0,
                        b->clip * TRACER_CLIP, 0, gradient + behind, increment_gradient + behind));
  }
  return c->adjoint(r->stream, l, r->fit.data, r->radius, r->field[0].data, n, at, error, scale, b->clip,
                    frame ? r->settings.flight_reach : 0, gradient, increment_gradient);
}

/* From the field's slope to that of what it was fitted to. Without the sparse particles' own slopes, the
   finest level is enough. */
static mote_status undo_fit(mote_rollout *o, backward *b) {
  mote_reconstruction *r = o->reconstruction;
  const struct mote_reconstruct_kernels *k = r->device->reconstruct;
  const mote_lattice *l = &r->lattice[0];
  if (b->to_sparse) {
    MOTE_TRY(mote_copy_on_device(r->stream, b->refit.field[0].data, b->field_gradient.data,
                                 (size_t)mote_lattice_size(l) * MOTE_AFFINE * 4));
    return mote_refit_backward(&b->refit, r, b->goal_slope.data);
  }
  MOTE_TRY(k->fit_nodes_backward(r->stream, l, r->fit.data, r->radius, 0, r->moments[0].data,
                                 b->field_gradient.data, mote_reconstruction_ridge(r, 0), r->settings.shrink,
                                 b->moment_slope.data, NULL));
  return k->splat_backward(r->stream, l, r->fit.data, r->radius, o->example->sparse_count, r->sparse.data,
                           b->moment_slope.data, b->goal_slope.data);
}

/* An increment is the way from a particle's place to its next one, and what its tracer is behind. */
static mote_status chain_sparse(mote_rollout *o, backward *b, int64_t frame, const float *tracer) {
  const mote_example *e = o->example;
  mote_reconstruction *r = o->reconstruction;
  MOTE_TRY(add_slope(o, frame + 1, 1, &b->goal_slope));
  MOTE_TRY(add_slope(o, frame, -1, &b->goal_slope));
  MOTE_TRY(mote_fill_bytes(r->stream, b->along.data, 0, bytes_of(e, e->sparse_count)));
  MOTE_TRY(r->device->reconstruct->pursue_backward(
      r->stream, e->recording->dim, e->sparse_count, r->sparse.data, tracer, r->settings.drift_gain,
      mote_reconstruction_drift_limit(r), b->goal_slope.data, b->along.data));
  return add_slope(o, frame, -1, &b->along);
}

/* The feedback: where the tracers are decides what the field is fitted to. Without this part, gradients of
   rollouts point elsewhere (a correlation of 0.4 with the true ones, and 0.9 with it). */
static mote_status chain_feedback(mote_rollout *o, backward *b, int64_t frame, const float *tracer,
                                  float *tracer_gradient) {
  const mote_example *e = o->example;
  mote_reconstruction *r = o->reconstruction;
  int feeds_back = r->has_kin && r->settings.drift_gain > 0;
  if (!feeds_back && !b->to_sparse) return MOTE_OK;
  MOTE_TRY(undo_fit(o, b));
  if (b->to_sparse) MOTE_TRY(chain_sparse(o, b, frame, tracer));
  if (!feeds_back) return MOTE_OK;
  return r->device->reconstruct->pursue_backward(
      r->stream, e->recording->dim, e->sparse_count, r->sparse.data, tracer, r->settings.drift_gain,
      mote_reconstruction_drift_limit(r), b->goal_slope.data, tracer_gradient);
}

static mote_status step_back(mote_rollout *o, backward *b, int64_t frame, float scale) {
  const mote_example *e = o->example;
  mote_reconstruction *r = o->reconstruction;
  const struct mote_correct_kernels *c = r->device->correct;
  const mote_lattice *l = &r->lattice[0];
  const float *at = frame_of(o, &o->path, path_count(e), frame);
  int64_t count = r->has_kin ? path_count(e) : e->dense_count;
  mote_correct_view view = mote_reconstruction_view(r);
  MOTE_TRY(repeat(o, frame));
  MOTE_TRY(mote_reconstruction_correct(r, r->stream));
  MOTE_TRY(chain(o, b, frame, scale));
  MOTE_TRY(c->locate(r->stream, l, r->fit.data, r->radius, count, at, b->keys.data, b->order.data));
  MOTE_TRY(r->device->array->sort_pairs_u32(r->stream, b->keys.data, b->order.data, count, b->key_bits,
                                            &b->scratch));
  MOTE_TRY(c->gather_backward(r->stream, l, r->fit.data, r->radius, count, b->keys.data, b->order.data, at,
                              b->increment_gradient.data, b->field_gradient.data));
  int64_t behind = e->dense_count * e->recording->dim;
  MOTE_TRY(chain_feedback(o, b, frame, at + behind, (float *)b->gradient.data + behind));
  return c->evaluate_backward(r->stream, &view, &r->experts, r->fit.data, r->feature.data, r->basis.data,
                              r->share.data, b->field_gradient.data, b->partial.data, b->parameters.data);
}

static mote_status run_backward(mote_rollout *o, backward *b, const double *scale, double *loss,
                                float *gradient) {
  const mote_example *e = o->example;
  mote_reconstruction *r = o->reconstruction;
  double frames = (double)(e->frames - 1), n = (double)e->dense_count;
  MOTE_TRY(prepare(o, b));
  /* A point in chaotic motion would drown the others: ten times what an average one may weigh at most. */
  b->clip = (float)(10 / (n * scale[e->frames - 1]));
  *loss = 0;
  for (int64_t frame = e->frames - 2; frame >= 0; frame--) {
    double rms = o->rms[frame + 1], s = scale[frame + 1];
    *loss += rms / s / frames;
    MOTE_TRY(step_back(o, b, frame, (float)(1 / (frames * n * (rms + 1e-12) * s))));
  }
  return mote_download(r->stream, gradient, b->parameters.data,
                       (size_t)r->experts.count * MOTE_PARAMETERS * 4);
}

static mote_status go_back(mote_rollout *o, int to_sparse, const double *scale, double *loss,
                           float *gradient) {
  backward b = {.to_sparse = to_sparse};
  mote_status status = run_backward(o, &b, scale, loss, gradient);
  release(&b);
  return status;
}

mote_status mote_rollout_backward(mote_rollout *o, const double *scale, double *loss, float *gradient) {
  return go_back(o, 0, scale, loss, gradient);
}

mote_status mote_rollout_backward_to_sparse(mote_rollout *o, const double *scale, double *loss,
                                            float *gradient) {
  return go_back(o, 1, scale, loss, gradient);
}

/* ---- statistics of the inputs ---- */

mote_status mote_rollout_observe(mote_rollout *o, int stride, double *sums, double *count) {
  mote_reconstruction *r = o->reconstruction;
  size_t nodes = (size_t)mote_lattice_size(&r->lattice[0]);
  float *feature = malloc(nodes * MOTE_FEATURES * 4), *share = malloc(nodes * MOTE_EXPERTS * 4);
  mote_status status =
      feature && share ? MOTE_OK : mote_fail(MOTE_ERROR_MEMORY, "out of memory for a rollout");
  for (int64_t frame = 1; frame + 1 < o->example->frames && status == MOTE_OK; frame += stride) {
    /* Rows that are not described keep a share of 0. */
    status = mote_fill_bytes(r->stream, r->share.data, 0, nodes * MOTE_EXPERTS * 4);
    if (status == MOTE_OK) status = repeat(o, frame);
    if (status == MOTE_OK) status = mote_reconstruction_describe(r, r->stream);
    if (status == MOTE_OK)
      status = mote_download(r->stream, feature, r->feature.data, nodes * MOTE_FEATURES * 4);
    if (status == MOTE_OK) status = mote_download(r->stream, share, r->share.data, nodes * MOTE_EXPERTS * 4);
    for (size_t i = 0; i < nodes && status == MOTE_OK; i++)
      for (int e = 0; e < r->experts.count; e++) {
        double w = share[i * MOTE_EXPERTS + (size_t)e];
        if (!(w > 0)) continue;
        count[e] += w;
        for (int k = 0; k < MOTE_FEATURES; k++) {
          double x = feature[i * MOTE_FEATURES + (size_t)k];
          sums[2 * e * MOTE_FEATURES + k] += w * x;
          sums[(2 * e + 1) * MOTE_FEATURES + k] += w * x * x;
        }
      }
  }
  free(feature);
  free(share);
  return status;
}
