/* The learned correction on the CPU: error sums gather 16 particles at a time as the splat does, and a node's
   layers are rows of weights times a number, which vectorise over the outputs. */
#include "kernels/correct/correct.h"

#include <string.h>

#include "kernels/correct/basis.h"

#define LANES 16
typedef float lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(4)));
typedef int32_t mask __attribute__((vector_size(LANES * sizeof(float)), aligned(4)));

static mote_status pack_errors(mote_stream *stream, int dim, int64_t n, const int32_t *order,
                               const float *increment, const float *fitted, const float *now,
                               const float *tracer, float limit, const int32_t *expert, float *rows,
                               int64_t stride) {
  (void)stream;
  for (int64_t i = 0; i < n; i++) {
    int64_t p = order[i] * (int64_t)dim;
    float residual[3], drift[3];
    mote_particle_errors(dim, increment + p, fitted + p, now + p, tracer + p, limit, residual, drift);
    for (int a = 0; a < 3; a++) {
      rows[a * stride + i] = residual[a];
      rows[(3 + a) * stride + i] = drift[a];
    }
    rows[6 * stride + i] = expert ? (float)expert[order[i]] : 0;
  }
  for (int k = 0; k < MOTE_ERROR_ROWS; k++)
    memset(rows + k * stride + n, 0, (size_t)(stride - n) * sizeof *rows);
  return MOTE_OK;
}

/* ---- describe ---- */

static inline void sum_run(const mote_packed *packed, const float *errors, int32_t begin, int32_t end,
                           const float x[3], float inverse_unit, float reach2, lanes sum[MOTE_ERROR_SUMS]) {
  static const mask iota = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  int64_t stride = packed->stride;
  float wide = 1 / reach2, narrow = wide / (MOTE_NARROW * MOTE_NARROW);
  for (int32_t i = begin; i < end; i += LANES) {
    lanes d[3], r[3], t[3];
    for (int a = 0; a < 3; a++) {
      d[a] = (*(const lanes *)(packed->rows + a * stride + i) - x[a]) * inverse_unit;
      r[a] = *(const lanes *)(errors + a * stride + i);
      t[a] = *(const lanes *)(errors + (3 + a) * stride + i);
    }
    lanes expert = *(const lanes *)(errors + 6 * stride + i);
    lanes d2 = d[0] * d[0] + d[1] * d[1] + d[2] * d[2], q = 1.0f - d2 * wide, p = 1.0f - d2 * narrow;
    mask inside = iota < end - i;
    q = (lanes)((mask)q & ((q > 0.0f) & inside));
    p = (lanes)((mask)p & ((p > 0.0f) & inside));
    lanes w = q * q * q, n = p * p * p;
    sum[MOTE_SUM_N] += n;
    sum[MOTE_SUM_NDD] += n * d2;
    for (int c = 0; c < 3; c++) {
      lanes nr = n * r[c], nt = n * t[c];
      sum[MOTE_SUM_ND + c] += n * d[c];
      sum[MOTE_SUM_NR + c] += nr;
      sum[MOTE_SUM_NT + c] += nt;
      sum[MOTE_SUM_WT + c] += w * t[c];
      sum[MOTE_SUM_RR] += w * r[c] * r[c];
      sum[MOTE_SUM_TT] += w * t[c] * t[c];
      for (int a = 0; a < 3; a++) {
        sum[MOTE_SUM_NRD + 3 * c + a] += nr * d[a];
        sum[MOTE_SUM_NTD + 3 * c + a] += nt * d[a];
      }
    }
    for (int e = 0; e < MOTE_EXPERTS; e++)
      sum[MOTE_SUM_EXPERT + e] += (lanes)((mask)w & (expert == (float)e));
  }
}

static void sum_errors(const mote_bins *bins, const mote_packed *packed, const float *errors,
                       const float x[3], float inverse_unit, float reach2, float out[MOTE_ERROR_SUMS]) {
  lanes sum[MOTE_ERROR_SUMS];
  int lo[3], hi[3];
  memset(sum, 0, sizeof sum);
  for (int a = 0; a < 3; a++) mote_bins_around(bins, a, x[a], &lo[a], &hi[a]);
  for (int i = lo[0]; i <= hi[0]; i++)
    for (int j = lo[1]; j <= hi[1]; j++) {
      int64_t row = ((int64_t)i * bins->count[1] + j) * bins->count[2];
      int32_t begin = packed->bin_start[row + lo[2]], end = packed->bin_start[row + hi[2] + 1];
      if (begin < end) sum_run(packed, errors, begin, end, x, inverse_unit, reach2, sum);
    }
  for (int k = 0; k < MOTE_ERROR_SUMS; k++) {
    out[k] = 0;
    for (int l = 0; l < LANES; l++) out[k] += sum[k][l];
  }
}

/* Loops over rows (i, j) of active nodes in parallel, and over the nodes in a row; `threads` and `range` must
   be in scope. */
#define FOR_ACTIVE_NODES                                                                                     \
  _Pragma("omp parallel for collapse(2) num_threads(threads) schedule(dynamic, 4)") for (                    \
      int i = range.first[0]; i < range.first[0] + range.count[0];                                           \
      i++) for (int j = range.first[1]; j < range.first[1] + range.count[1];                                 \
                j++) for (int k = range.first[2]; k < range.first[2] + range.count[2]; k++)

static mote_status describe(mote_stream *stream, const mote_correct_view *view, const mote_bins *bins,
                            const mote_packed *packed, const float *errors, const mote_global_fit *fit,
                            float *feature, float *basis, float *share) {
  const mote_lattice *l = &view->lattice[0];
  mote_node_range active[3] = {{{0}, {0}}};
  for (int level = 0; level < 3 && level < view->levels; level++)
    active[level] = mote_active_nodes(&view->lattice[level], fit, view->radius, level);
  mote_node_range range = active[0];
  int threads = mote_stream_threads(stream);
  float inverse_unit = 1 / l->unit, reach = view->radius * inverse_unit;
  FOR_ACTIVE_NODES {
    int64_t node = ((int64_t)i * l->nodes[1] + j) * l->nodes[2] + k;
    float x[3], sum[MOTE_ERROR_SUMS];
    if (!(view->moments[node * MOTE_MOMENT_STRIDE] > MOTE_LEAST_WEIGHT)) continue;
    mote_node_position(l, (const int[3]){i, j, k}, x);
    sum_errors(bins, packed, errors, x, inverse_unit, reach * reach, sum);
    mote_describe_node(view, active, fit, (const int[3]){i, j, k}, node, sum, feature + node * MOTE_FEATURES,
                       basis + node * MOTE_BASIS_STRIDE, share + node * MOTE_EXPERTS);
  }
  return MOTE_OK;
}

/* ---- evaluate ---- */

static void evaluate_node(const mote_experts *experts, const float *feature, const float *basis,
                          const float *share, float *field) {
  float weight[MOTE_OUTPUTS] = {0};
  mote_activations t;
  for (int e = 0; e < experts->count; e++) {
    if (!(share[e] > 0)) continue;
    mote_network_forward(experts->parameters + e * MOTE_PARAMETERS, experts->norm + e * 2 * MOTE_FEATURES,
                         feature, &t);
    for (int k = 0; k < MOTE_BASES; k++) weight[k] += share[e] * mote_bounded(t.output[k]);
  }
  mote_add_bases(weight, basis, field);
}

static mote_status evaluate(mote_stream *stream, const mote_correct_view *view, const mote_experts *experts,
                            const mote_global_fit *fit, const float *feature, const float *basis,
                            const float *share, float *field) {
  const mote_lattice *l = &view->lattice[0];
  mote_node_range range = mote_active_nodes(l, fit, view->radius, 0);
  int threads = mote_stream_threads(stream);
  FOR_ACTIVE_NODES {
    int64_t node = ((int64_t)i * l->nodes[1] + j) * l->nodes[2] + k;
    if (view->moments[node * MOTE_MOMENT_STRIDE] > MOTE_LEAST_WEIGHT)
      evaluate_node(experts, feature + node * MOTE_FEATURES, basis + node * MOTE_BASIS_STRIDE,
                    share + node * MOTE_EXPERTS, field + node * MOTE_FIELD_STRIDE);
  }
  return MOTE_OK;
}

/* ---- backward ---- */

static mote_status locate(mote_stream *stream, const mote_lattice *lattice, const mote_global_fit *fit,
                          float radius, int64_t n, const float *point, uint32_t *keys, int32_t *values) {
  mote_node_range active = mote_active_nodes(lattice, fit, radius, 0);
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > 16384)
  for (int64_t p = 0; p < n; p++) {
    float x[3] = {0}, fraction[3];
    int base[3];
    for (int a = 0; a < lattice->dim; a++) x[a] = point[p * lattice->dim + a];
    int inside = mote_locate(lattice, &active, x, base, fraction);
    keys[p] =
        (uint32_t)(inside ? ((int64_t)base[0] * lattice->nodes[1] + base[1]) * lattice->nodes[2] + base[2]
                          : mote_lattice_size(lattice));
    values[p] = (int32_t)p;
  }
  return MOTE_OK;
}

static mote_status adjoint(mote_stream *stream, const mote_lattice *lattice, const mote_global_fit *fit,
                           float radius, const float *field, int64_t n, const float *point,
                           const float *error, float scale, float clip, float flight_reach, float *gradient,
                           float *increment_gradient) {
  mote_node_range active = mote_active_nodes(lattice, fit, radius, 0);
  int dim = lattice->dim;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > 4096)
  for (int64_t p = 0; p < n; p++)
    mote_adjoint_point(lattice, &active, fit, field, point + p * dim, error ? error + p * dim : NULL, scale,
                       clip, flight_reach, gradient + p * dim, increment_gradient + p * dim);
  return MOTE_OK;
}

static mote_status gather_backward(mote_stream *stream, const mote_lattice *lattice,
                                   const mote_global_fit *fit, float radius, int64_t n, const uint32_t *keys,
                                   const int32_t *order, const float *point, const float *increment_gradient,
                                   float *field_gradient) {
  mote_node_range range = mote_active_nodes(lattice, fit, radius, 0);
  int threads = mote_stream_threads(stream);
  FOR_ACTIVE_NODES {
    int64_t node = ((int64_t)i * lattice->nodes[1] + j) * lattice->nodes[2] + k;
    mote_gather_node_backward(lattice, &range, (const int[3]){i, j, k}, n, keys, order, point,
                              increment_gradient, field_gradient + node * MOTE_AFFINE);
  }
  return MOTE_OK;
}

static void add_outer(const float *from, int in, const float *d, int out, float *gradient) {
  for (int i = 0; i < in; i++)
    for (int j = 0; j < out; j++) gradient[i * out + j] += from[i] * d[j];
  for (int j = 0; j < out; j++) gradient[in * out + j] += d[j];
}

static void backward_node(const mote_experts *experts, const float *feature, const float *basis,
                          const float *share, const float *field_gradient, float *gradient) {
  mote_activations t;
  float d1[MOTE_HIDDEN], d2[MOTE_HIDDEN], d3[MOTE_OUTPUTS];
  for (int e = 0; e < experts->count; e++) {
    const float *p = experts->parameters + e * MOTE_PARAMETERS;
    float *g = gradient + e * MOTE_PARAMETERS;
    if (!(share[e] > 0)) continue;
    mote_network_forward(p, experts->norm + e * 2 * MOTE_FEATURES, feature, &t);
    mote_output_gradient(basis, field_gradient, share[e], t.output, d3);
    mote_network_backward(p, &t, d3, d2, d1);
    add_outer(t.input, MOTE_FEATURES, d1, MOTE_HIDDEN, g);
    add_outer(t.first_out, MOTE_HIDDEN, d2, MOTE_HIDDEN, g + MOTE_WEIGHTS_2);
    add_outer(t.second_out, MOTE_HIDDEN, d3, MOTE_OUTPUTS, g + MOTE_WEIGHTS_3);
  }
}

static mote_status evaluate_backward(mote_stream *stream, const mote_correct_view *view,
                                     const mote_experts *experts, const mote_global_fit *fit,
                                     const float *feature, const float *basis, const float *share,
                                     const float *field_gradient, float *partial, float *gradient) {
  const mote_lattice *l = &view->lattice[0];
  mote_node_range range = mote_active_nodes(l, fit, view->radius, 0);
  int rows = range.count[0] * range.count[1], threads = mote_stream_threads(stream);
  int64_t size = (int64_t)experts->count * MOTE_PARAMETERS;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (int chunk = 0; chunk < MOTE_CHUNKS; chunk++) {
    float *sum = partial + chunk * size;
    memset(sum, 0, (size_t)size * sizeof *sum);
    for (int row = chunk; row < rows; row += MOTE_CHUNKS)
      for (int k = range.first[2]; k < range.first[2] + range.count[2]; k++) {
        int i = range.first[0] + row / range.count[1], j = range.first[1] + row % range.count[1];
        int64_t node = ((int64_t)i * l->nodes[1] + j) * l->nodes[2] + k;
        if (view->moments[node * MOTE_MOMENT_STRIDE] > MOTE_LEAST_WEIGHT)
          backward_node(experts, feature + node * MOTE_FEATURES, basis + node * MOTE_BASIS_STRIDE,
                        share + node * MOTE_EXPERTS, field_gradient + node * MOTE_AFFINE, sum);
      }
  }
  for (int chunk = 0; chunk < MOTE_CHUNKS; chunk++)
    for (int64_t k = 0; k < size; k++) gradient[k] += partial[chunk * size + k];
  return MOTE_OK;
}

static mote_status adam(mote_stream *stream, int64_t n, const float *gradient, float scale, float rate,
                        int64_t step, float decay, float *parameter, float *first, float *second,
                        float *average) {
  (void)stream;
  float bias1 = 1 - powf(0.9f, (float)step), bias2 = 1 - powf(0.999f, (float)step);
  for (int64_t i = 0; i < n; i++)
    mote_adam_step(scale * gradient[i], rate, bias1, bias2, decay, parameter + i, first + i, second + i,
                   average + i);
  return MOTE_OK;
}

const struct mote_correct_kernels mote_correct_cpu = {
    .pack_errors = pack_errors,
    .describe = describe,
    .evaluate = evaluate,
    .locate = locate,
    .adjoint = adjoint,
    .gather_backward = gather_backward,
    .evaluate_backward = evaluate_backward,
    .adam = adam,
};
