/* The reduced-order operator's host side: plans the lattices once, then a frame is a fixed sequence of
   kernels over memory that does not change, which a device can record and replay. */
#include <mote/operator.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/device.h"
#include "host/core/error.h"
#include "host/models/operator.h"
#include "host/models/reconstruction.h"

#define MAX_NODES ((int64_t)1 << 26)

void mote_operator_defaults(mote_operator_settings *s) {
  *s = (mote_operator_settings){.levels = 3,
                                .node_spacing = 1.4f,
                                .radius = 3.0f,
                                .ridge = 1e-3f,
                                .shrink = 1e-4f,
                                .flight_reach = 0.1f,
                                .drift_gain = 1.4f,
                                .kin_gain = 0.05f,
                                .frame = MOTE_CURRENT_FRAME};
}

static mote_status check(const mote_operator_settings *s, const mote_reconstruction_options *o) {
  if (s->levels < 1 || s->levels > MOTE_OPERATOR_LEVELS)
    return mote_fail(MOTE_ERROR_ARGUMENT, "operator: %d levels: expected 1 to %d", s->levels,
                     MOTE_OPERATOR_LEVELS);
  if (!(s->node_spacing > 0.05f && s->node_spacing < 20) ||
      !(s->radius >= s->node_spacing && s->radius < 50) || !(s->ridge > 0) || !(s->shrink > 0))
    return mote_fail(
        MOTE_ERROR_ARGUMENT,
        "operator: node_spacing %g, radius %g, ridge %g, shrink %g: expected a spacing of 0.05 to 20, "
        "a radius no smaller, positive ridge and shrink",
        s->node_spacing, s->radius, s->ridge, s->shrink);
  if (!(s->drift_gain >= 0 && s->drift_gain < 2))
    return mote_fail(MOTE_ERROR_ARGUMENT, "operator: drift_gain %g: expected 0 to 2", s->drift_gain);
  if (!(s->kin_gain >= 0 && s->kin_gain <= 1))
    return mote_fail(MOTE_ERROR_ARGUMENT, "operator: kin_gain %g: expected 0 to 1", s->kin_gain);
  if (o->dim != 2 && o->dim != 3) return mote_fail(MOTE_ERROR_ARGUMENT, "operator: dim is %d", o->dim);
  if (o->sparse_count < 1 || o->dense_count < 1 || o->sparse_count > INT32_MAX || o->dense_count > INT32_MAX)
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "operator: %lld sparse and %lld dense particles: expected at least one",
                     (long long)o->sparse_count, (long long)o->dense_count);
  if (!(o->dense_spacing > 0) || !isfinite(o->dense_spacing))
    return mote_fail(MOTE_ERROR_ARGUMENT, "operator: dense spacing is %g m: expected a positive length",
                     o->dense_spacing);
  for (int a = 0; a < o->dim; a++)
    if (!(o->bounds[a][1] > o->bounds[a][0]) || !isfinite(o->bounds[a][1] - o->bounds[a][0]))
      return mote_fail(MOTE_ERROR_ARGUMENT, "operator: bounds of axis %d are [%g, %g]", a, o->bounds[a][0],
                       o->bounds[a][1]);
  return MOTE_OK;
}

double mote_reconstruction_sparse_spacing(const mote_reconstruction_options *o) {
  return o->dense_spacing * pow((double)o->dense_count / (double)o->sparse_count, 1.0 / o->dim);
}

/* Level l + 1 has every second node of level l, so the counts are one more than multiples of 2^levels. */
static mote_status plan_lattices(mote_reconstruction *r) {
  const mote_reconstruction_options *o = &r->options;
  double s = mote_reconstruction_sparse_spacing(o);
  double h = r->settings.node_spacing * s, total = 1;
  int levels = r->settings.levels, multiple = 1 << (levels - 1);
  r->radius = (float)(r->settings.radius * s);
  mote_lattice finest = {.dim = o->dim, .spacing = (float)h, .unit = (float)h, .nodes = {1, 1, 1}};
  for (int a = 0; a < o->dim; a++) {
    double cells = ceil((o->bounds[a][1] - o->bounds[a][0]) / h / multiple) + 2;
    total *= cells * multiple + 1;
    if (total > (double)MAX_NODES)
      return mote_fail(
          MOTE_ERROR_ARGUMENT,
          "operator: the bounds are too large for sparse particles %g m apart (more than %lld nodes): "
          "give tighter bounds or more sparse particles",
          s, (long long)MAX_NODES);
    finest.nodes[a] = (int)cells * multiple + 1;
    finest.origin[a] = (float)(o->bounds[a][0] - h * multiple);
  }
  for (int l = 0; l < levels; l++) {
    r->lattice[l] = finest;
    r->lattice[l].spacing = (float)(h * (1 << l));
    for (int a = 0; a < o->dim; a++) r->lattice[l].nodes[a] = ((finest.nodes[a] - 1) >> l) + 1;
  }
  return MOTE_OK;
}

static void plan_bins(mote_reconstruction *r) {
  const mote_lattice *finest = &r->lattice[0];
  r->bins.size = r->radius * 1.0001f; /* so that rounding never puts a neighbour two bins away */
  int64_t bins = 1;
  for (int a = 0; a < 3; a++) {
    r->bins.origin[a] = finest->origin[a];
    r->bins.count[a] = (int)ceilf((float)(finest->nodes[a] - 1) * finest->spacing / r->bins.size) + 1;
    bins *= r->bins.count[a];
  }
  while ((int64_t)1 << r->key_bits < bins) r->key_bits++;
}

static mote_status reserve(mote_reconstruction *r) {
  mote_device *d = r->device;
  size_t dim = (size_t)r->options.dim, sparse = (size_t)r->options.sparse_count,
         dense = (size_t)r->options.dense_count;
  r->stride = (int64_t)(sparse + 31) / 16 * 16;
  size_t bins = (size_t)r->bins.count[0] * (size_t)r->bins.count[1] * (size_t)r->bins.count[2];
  MOTE_TRY(mote_buffer_reserve(&r->sparse, d, sparse * dim * 4));
  MOTE_TRY(mote_buffer_reserve(&r->next, d, sparse * dim * 4));
  MOTE_TRY(mote_buffer_reserve(&r->start, d, sparse * dim * 4));
  MOTE_TRY(mote_buffer_reserve(&r->increment, d, sparse * dim * 4));
  MOTE_TRY(mote_buffer_reserve(&r->tracer, d, sparse * dim * 4));
  MOTE_TRY(mote_buffer_reserve(&r->tracer_increment, d, sparse * dim * 4));
  MOTE_TRY(mote_buffer_reserve(&r->tracer_last, d, sparse * dim * 4));
  MOTE_TRY(mote_buffer_reserve(&r->keys, d, sparse * 4));
  MOTE_TRY(mote_buffer_reserve(&r->order, d, sparse * 4));
  MOTE_TRY(mote_buffer_reserve(&r->bin_start, d, (bins + 1) * 4));
  MOTE_TRY(mote_buffer_reserve(&r->rows, d, (size_t)r->stride * 6 * 4));
  MOTE_TRY(mote_buffer_reserve(&r->fit, d, sizeof(mote_global_fit)));
  for (int l = 0; l < r->settings.levels; l++) {
    size_t nodes = (size_t)mote_lattice_size(&r->lattice[l]);
    MOTE_TRY(mote_buffer_reserve(&r->moments[l], d, nodes * MOTE_MOMENT_STRIDE * 4));
    MOTE_TRY(mote_buffer_reserve(&r->field[l], d, nodes * MOTE_FIELD_STRIDE * 4));
  }
  if (r->corrects) {
    size_t nodes = (size_t)mote_lattice_size(&r->lattice[0]);
    MOTE_TRY(mote_buffer_reserve(&r->expert, d, sparse * 4));
    MOTE_TRY(mote_buffer_reserve(&r->fitted, d, sparse * dim * 4));
    MOTE_TRY(mote_buffer_reserve(&r->errors, d, (size_t)r->stride * MOTE_ERROR_ROWS * 4));
    MOTE_TRY(mote_buffer_reserve(&r->feature, d, nodes * MOTE_FEATURES * 4));
    MOTE_TRY(mote_buffer_reserve(&r->basis, d, nodes * MOTE_BASIS_STRIDE * 4));
    MOTE_TRY(mote_buffer_reserve(&r->share, d, nodes * MOTE_EXPERTS * 4));
  }
  if (r->has_kin) {
    MOTE_TRY(mote_buffer_reserve(&r->drift, d, sparse * dim * 4));
    MOTE_TRY(mote_buffer_reserve(&r->shown, d, dense * dim * 4));
  }
  MOTE_TRY(mote_buffer_reserve(&r->dense, d, dense * dim * 4));
  MOTE_TRY(mote_buffer_reserve(&r->dense_start, d, dense * dim * 4));
  MOTE_TRY(mote_buffer_reserve(&r->dense_increment, d, dense * dim * 4));
  MOTE_TRY(mote_buffer_reserve(&r->last, d, dense * dim * 4));
  return mote_buffer_reserve(&r->reach, d, dense * 4);
}

static void plan_flight(mote_reconstruction *r) {
  const mote_reconstruction_options *o = &r->options;
  for (int a = 0; a < o->dim; a++) {
    int stops = o->stop[a][0] < o->stop[a][1];
    r->flight.lower[a] = (float)(stops ? fmax(o->stop[a][0], o->bounds[a][0]) : o->bounds[a][0]);
    r->flight.upper[a] = (float)(stops ? fmin(o->stop[a][1], o->bounds[a][1]) : o->bounds[a][1]);
    r->flight.gravity[a] = (float)o->gravity[a];
  }
}

/* The networks' weights, and which of them speaks for which particle. */
static mote_status upload_experts(mote_reconstruction *r) {
  const mote_operator *learned = r->options.learned;
  size_t count = (size_t)learned->experts, parameters = count * MOTE_PARAMETERS * 4,
         norm = count * 2 * MOTE_FEATURES * 4, n = (size_t)r->options.sparse_count * 4;
  MOTE_TRY(mote_buffer_reserve(&r->parameters, r->device, parameters));
  MOTE_TRY(mote_buffer_reserve(&r->norm, r->device, norm));
  MOTE_TRY(mote_upload(r->stream, r->parameters.data, learned->parameters, parameters));
  MOTE_TRY(mote_upload(r->stream, r->norm.data, learned->norm, norm));
  MOTE_TRY(mote_fill_bytes(r->stream, r->expert.data, 0, n));
  if (r->options.expert) MOTE_TRY(mote_upload(r->stream, r->expert.data, r->options.expert, n));
  r->experts = (mote_experts){learned->experts, r->parameters.data, r->norm.data};
  return MOTE_OK;
}

static mote_status upload_start(mote_reconstruction *r) {
  const mote_reconstruction_options *o = &r->options;
  size_t sparse = (size_t)o->sparse_count * (size_t)o->dim * 4,
         dense = (size_t)o->dense_count * (size_t)o->dim * 4;
  MOTE_TRY(mote_upload(r->stream, r->sparse.data, o->sparse, sparse));
  MOTE_TRY(mote_upload(r->stream, r->start.data, o->sparse, sparse));
  MOTE_TRY(mote_upload(r->stream, r->tracer.data, o->sparse, sparse));
  MOTE_TRY(mote_fill_bytes(r->stream, r->tracer_last.data, 0, sparse));
  MOTE_TRY(mote_upload(r->stream, r->dense.data, o->dense, dense));
  MOTE_TRY(mote_upload(r->stream, r->dense_start.data, o->dense, dense));
  MOTE_TRY(mote_fill_bytes(r->stream, r->last.data, 0, dense));
  if (r->corrects) MOTE_TRY(upload_experts(r));
  if (r->has_kin) {
    MOTE_TRY(mote_upload(r->stream, r->shown.data, o->dense, dense));
    MOTE_TRY(mote_reconstruction_find_kin(r));
  }
  return mote_stream_synchronize(r->stream);
}

static mote_status check_finite(const float *values, int64_t n, const char *what) {
  for (int64_t i = 0; i < n; i++)
    if (!isfinite(values[i]))
      return mote_fail(MOTE_ERROR_NUMERIC, "operator: %s has a value that is not finite (entry %lld)", what,
                       (long long)i);
  return MOTE_OK;
}

mote_status mote_reconstruction_create(mote_device *device, const mote_operator_settings *settings,
                                       const mote_reconstruction_options *options,
                                       mote_reconstruction **out) {
  *out = NULL;
  MOTE_TRY(check(settings, options));
  MOTE_TRY(check_finite(options->sparse, options->sparse_count * options->dim, "the sparse start"));
  MOTE_TRY(check_finite(options->dense, options->dense_count * options->dim, "the dense start"));
  mote_reconstruction *r = calloc(1, sizeof *r);
  if (!r) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a reconstruction");
  r->device = device;
  r->settings = *settings;
  r->options = *options;
  r->corrects = options->learned != NULL && settings->frame == MOTE_CURRENT_FRAME;
  r->has_kin = settings->kin_gain > 0 && settings->frame == MOTE_CURRENT_FRAME;
  mote_status status = plan_lattices(r);
  if (status == MOTE_OK) {
    plan_bins(r);
    plan_flight(r);
    status = mote_stream_create(device, &r->stream);
  }
  if (status == MOTE_OK) status = reserve(r);
  if (status == MOTE_OK) status = upload_start(r);
  if (status != MOTE_OK) return mote_reconstruction_destroy(r), status;
  r->options.sparse = r->options.dense = NULL;
  r->options.learned = NULL;
  r->options.expert = NULL;
  *out = r;
  return MOTE_OK;
}

void mote_reconstruction_destroy(mote_reconstruction *r) {
  if (!r) return;
  mote_replay_reset(&r->replay);
  mote_buffer *all[] = {&r->sparse,
                        &r->next,
                        &r->start,
                        &r->increment,
                        &r->keys,
                        &r->order,
                        &r->bin_start,
                        &r->rows,
                        &r->fit,
                        &r->scratch,
                        &r->dense,
                        &r->dense_start,
                        &r->dense_increment,
                        &r->last,
                        &r->reach,
                        &r->tracer,
                        &r->tracer_increment,
                        &r->tracer_last,
                        &r->kin_index,
                        &r->kin_weight,
                        &r->drift,
                        &r->shown,
                        &r->expert,
                        &r->fitted,
                        &r->errors,
                        &r->feature,
                        &r->basis,
                        &r->share,
                        &r->parameters,
                        &r->norm};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) mote_buffer_free(all[k]);
  for (int l = 0; l < MOTE_OPERATOR_LEVELS; l++) {
    mote_buffer_free(&r->moments[l]);
    mote_buffer_free(&r->field[l]);
  }
  mote_stream_destroy(r->stream);
  free(r);
}

/* `next` holds where the sparse particles go. */
static mote_status run_frame(mote_reconstruction *r, mote_stream *stream) {
  /* The first frame has no motion to fly on with, so flight is part of the step from the second one. */
  r->flight.reach = r->frame ? r->settings.flight_reach : 0;
  if (r->frame == 1) mote_replay_reset(&r->replay);
  r->frame++;
  return mote_replay_run(&r->replay, stream, mote_reconstruction_frame, r);
}

/* The frame before still reads `next`; what is enqueued on `stream` behind this may overwrite `sparse`. */
mote_status mote_reconstruction_enqueue(mote_reconstruction *r, mote_stream *stream, const float *sparse) {
  size_t bytes = (size_t)r->options.sparse_count * (size_t)r->options.dim * 4;
  MOTE_TRY(mote_stream_wait(stream, r->stream));
  MOTE_TRY(mote_copy_on_device(stream, r->next.data, sparse, bytes));
  MOTE_TRY(mote_stream_wait(r->stream, stream));
  return run_frame(r, r->stream);
}

mote_status mote_reconstruction_settle(mote_reconstruction *r) {
  return mote_stream_synchronize(r->stream);
}

mote_status mote_reconstruction_advance(mote_reconstruction *r, const float *sparse) {
  MOTE_TRY(check_finite(sparse, r->options.sparse_count * r->options.dim, "the sparse frame"));
  MOTE_TRY(mote_upload(r->stream, r->next.data, sparse,
                       (size_t)r->options.sparse_count * (size_t)r->options.dim * 4));
  MOTE_TRY(run_frame(r, r->stream));
  return mote_stream_synchronize(r->stream);
}

mote_status mote_reconstruction_read(mote_reconstruction *r, float *dense, float *reach) {
  size_t n = (size_t)r->options.dense_count;
  const mote_buffer *from = r->has_kin ? &r->shown : &r->dense;
  MOTE_TRY(mote_download(r->stream, dense, from->data, n * (size_t)r->options.dim * 4));
  return reach ? mote_download(r->stream, reach, r->reach.data, n * 4) : MOTE_OK;
}
