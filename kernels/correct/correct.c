/* The learned correction on the CPU: error sums gather over columns of nodes as the splat does, and a few
   nodes' layers run side by side, rows of weights times a number each. */
#include "kernels/correct/correct.h"

#include <string.h>

#include "kernels/correct/forward.h"
#include "kernels/reconstruct/column.h"

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

/* The errors of a column's particles: what the wide sums take, and for the narrow ones the column's core. */
typedef struct error_rows {
  float drift[3][MOTE_COLUMN_ROW], residual2[MOTE_COLUMN_ROW], drift2[MOTE_COLUMN_ROW];
  float expert[MOTE_COLUMN_ROW];
  mote_column core;
  float core_residual[3][MOTE_COLUMN_ROW], core_drift[3][MOTE_COLUMN_ROW];
} error_rows;

static void fill_error_rows(const mote_column *column, const float *errors, int64_t stride,
                            float narrow_reach2, error_rows *rows) {
  float residual[MOTE_COLUMN_ROW];
  memset(rows->residual2, 0, sizeof(float) * (size_t)(column->count + MOTE_LANES));
  memset(rows->drift2, 0, sizeof(float) * (size_t)(column->count + MOTE_LANES));
  for (int a = 0; a < 3; a++) {
    mote_pull_row(column, errors + a * stride, residual);
    mote_pull_row(column, errors + (3 + a) * stride, rows->drift[a]);
    for (int c = 0; c < column->count; c++) {
      rows->residual2[c] += residual[c] * residual[c];
      rows->drift2[c] += rows->drift[a][c] * rows->drift[a][c];
    }
  }
  mote_pull_row(column, errors + 6 * stride, rows->expert);
  mote_narrow_column(column, narrow_reach2, &rows->core);
  for (int a = 0; a < 3; a++) {
    mote_pull_row(&rows->core, errors + a * stride, rows->core_residual[a]);
    mote_pull_row(&rows->core, errors + (3 + a) * stride, rows->core_drift[a]);
  }
}

static void sum_wide(const mote_column_view *view, const error_rows *rows, float *sum) {
  const float *t[3], *rr = rows->residual2 + view->begin, *tt = rows->drift2 + view->begin;
  const float *expert = rows->expert + view->begin;
  mote_v s[12];
  _Static_assert(5 + MOTE_EXPERTS <= 12, "drift xyz, two squares and the experts");
  for (int a = 0; a < 3; a++) t[a] = rows->drift[a] + view->begin;
  for (int k = 0; k < 12; k++) s[k] = mote_v_set(0);
  for (int c = 0; c < view->count; c += MOTE_LANES) {
    mote_v w = mote_v_load(view->weight + c), e = mote_v_load(expert + c);
    for (int a = 0; a < 3; a++) s[a] += w * mote_v_load(t[a] + c);
    s[3] += w * mote_v_load(rr + c);
    s[4] += w * mote_v_load(tt + c);
    for (int k = 0; k < MOTE_EXPERTS; k++)
      s[5 + k] += (mote_v)((mote_vi)w & (mote_vi)(e == mote_v_set((float)k)));
  }
  float out[12] = {0};
  for (int k = 0; k < 12; k += 4) mote_v_add_sums4(s + k, out + k);
  for (int k = 0; k < 5 + MOTE_EXPERTS; k++) sum[MOTE_SUM_WT + k] += out[k];
}

static void sum_narrow(const mote_column_view *view, const error_rows *rows, float *sum) {
  float shape[10] = {0};
  mote_sum_shape(&rows->core, view, shape);
  for (int k = 0; k < 4; k++) sum[MOTE_SUM_N + k] += shape[k];
  sum[MOTE_SUM_NDD] += shape[4] + shape[7] + shape[9];
  mote_sum_vector(&rows->core, view, rows->core_residual, sum + MOTE_SUM_NR);
  mote_sum_vector(&rows->core, view, rows->core_drift, sum + MOTE_SUM_NT);
}

/* Whether a node keeps more than its fit. */
static int has_matter(const mote_correct_view *view, int64_t node) {
  return view->moments[node * MOTE_MOMENT_STRIDE] > MOTE_LEAST_WEIGHT;
}

/* Adds to the error sums of a column's nodes, the first of which is `node`, what a piece gives. */
static void sum_piece(const mote_correct_view *view, const mote_column_plan *plan, const mote_column *column,
                      const error_rows *rows, int64_t node, float (*sum)[MOTE_ERROR_SUMS]) {
  float narrow = MOTE_NARROW * view->radius, narrow_reach2 = MOTE_NARROW * MOTE_NARROW * plan->reach2;
  mote_column_view seen;
  for (int k = 0; k < plan->nodes; k++) {
    if (!has_matter(view, node + k)) continue;
    mote_view_node(column, plan, plan->first + k, view->radius, plan->reach2, &seen);
    sum_wide(&seen, rows, sum[k]);
    mote_view_node(&rows->core, plan, plan->first + k, narrow, narrow_reach2, &seen);
    sum_narrow(&seen, rows, sum[k]);
  }
}

/* The error sums of a plan's nodes. */
static void sum_errors(const mote_correct_view *view, const mote_column_plan *plan, const float *errors,
                       int64_t node, float (*sum)[MOTE_ERROR_SUMS]) {
  mote_column column;
  mote_column_cursor at = {0};
  error_rows rows;
  memset(sum, 0, (size_t)plan->nodes * sizeof *sum);
  while (mote_next_piece(plan, &at, &column)) {
    if (column.count == 0) continue;
    fill_error_rows(&column, errors, plan->packed->stride, MOTE_NARROW * MOTE_NARROW * plan->reach2, &rows);
    sum_piece(view, plan, &column, &rows, node, sum);
  }
}

/* Loops over rows (i, j) of active nodes in parallel, and over the nodes in a row; `threads` and `range` must
   be in scope. */
#define FOR_ACTIVE_NODES                                                                                     \
  _Pragma("omp parallel for collapse(2) num_threads(threads) schedule(dynamic, 4)") for (                    \
      int i = range.first[0]; i < range.first[0] + range.count[0];                                           \
      i++) for (int j = range.first[1]; j < range.first[1] + range.count[1];                                 \
                j++) for (int k = range.first[2]; k < range.first[2] + range.count[2]; k++)

/* What `describe` writes. */
typedef struct node_rows {
  float *feature, *basis, *share;
} node_rows;

/* Describes the nodes (i, j, begin) to (i, j, end - 1) that have matter. */
static void describe_column(const mote_correct_view *view, const mote_node_range active[3],
                            const mote_bins *bins, const mote_packed *packed, const float *errors,
                            const mote_global_fit *fit, int i, int j, int begin, int end,
                            const node_rows *rows) {
  const mote_lattice *l = &view->lattice[0];
  int64_t foot = ((int64_t)i * l->nodes[1] + j) * l->nodes[2];
  float sum[MOTE_COLUMN_NODES][MOTE_ERROR_SUMS];
  while (end > begin && !has_matter(view, foot + end - 1)) end--;
  while (begin < end) {
    if (!has_matter(view, foot + begin)) {
      begin++;
      continue;
    }
    mote_column_plan plan = mote_plan_column(l, bins, packed, view->radius, i, j, begin, end);
    sum_errors(view, &plan, errors, foot + begin, sum);
    for (int k = begin; k < begin + plan.nodes; k++) {
      int64_t node = foot + k;
      if (has_matter(view, node))
        mote_describe_node(view, active, fit, (const int[3]){i, j, k}, node, sum[k - begin],
                           rows->feature + node * MOTE_FEATURES, rows->basis + node * MOTE_BASIS_STRIDE,
                           rows->share + node * MOTE_EXPERTS);
    }
    begin += plan.nodes;
  }
}

static mote_status describe(mote_stream *stream, const mote_correct_view *view, const mote_bins *bins,
                            const mote_packed *packed, const float *errors, const mote_global_fit *fit,
                            float *feature, float *basis, float *share) {
  mote_node_range active[3] = {{{0}, {0}}};
  for (int level = 0; level < 3 && level < view->levels; level++)
    active[level] = mote_active_nodes(&view->lattice[level], fit, view->radius, level);
  mote_node_range range = active[0];
  node_rows rows = {feature, basis, share};
#pragma omp parallel for collapse(2) num_threads(mote_stream_threads(stream)) schedule(dynamic, 4)
  for (int i = range.first[0]; i < range.first[0] + range.count[0]; i++)
    for (int j = range.first[1]; j < range.first[1] + range.count[1]; j++)
      describe_column(view, active, bins, packed, errors, fit, i, j, range.first[2],
                      range.first[2] + range.count[2], &rows);
  return MOTE_OK;
}

/* ---- evaluate ---- */

#define EVALUATED 32 /* nodes of a column whose weights are summed side by side */

/* weight[k] += share * outputs of expert e, for those of the nodes that it speaks for. */
static void add_expert(const mote_experts *experts, int e, int count, const int64_t *node,
                       const float *feature, const float *share, float (*weight)[MOTE_OUTPUTS]) {
  const float *p = experts->parameters + e * MOTE_PARAMETERS, *norm = experts->norm + e * 2 * MOTE_FEATURES;
  int next = 0;
  while (next < count) {
    const float *features[MOTE_TOGETHER];
    float out[MOTE_TOGETHER][MOTE_HIDDEN];
    int chosen[MOTE_TOGETHER], n = 0;
    for (; next < count && n < MOTE_TOGETHER; next++)
      if (share[node[next] * MOTE_EXPERTS + e] > 0) chosen[n++] = next;
    if (n == 0) return;
    for (int t = 0; t < MOTE_TOGETHER; t++) /* the last one once more where there are too few */
      features[t] = feature + node[chosen[t < n ? t : n - 1]] * MOTE_FEATURES;
    mote_forward_together(p, norm, features, out);
    for (int t = 0; t < n; t++)
      for (int k = 0; k < MOTE_BASES; k++)
        weight[chosen[t]][k] += share[node[chosen[t]] * MOTE_EXPERTS + e] * out[t][k];
  }
}

static void evaluate_nodes(const mote_experts *experts, int count, const int64_t *node, const float *feature,
                           const float *basis, const float *share, float *field) {
  float weight[EVALUATED][MOTE_OUTPUTS];
  memset(weight, 0, (size_t)count * sizeof *weight);
  for (int e = 0; e < experts->count; e++) add_expert(experts, e, count, node, feature, share, weight);
  for (int c = 0; c < count; c++)
    mote_add_bases_fast(weight[c], basis + node[c] * MOTE_BASIS_STRIDE, field + node[c] * MOTE_FIELD_STRIDE);
}

static mote_status evaluate(mote_stream *stream, const mote_correct_view *view, const mote_experts *experts,
                            const mote_global_fit *fit, const float *feature, const float *basis,
                            const float *share, float *field) {
  const mote_lattice *l = &view->lattice[0];
  mote_node_range range = mote_active_nodes(l, fit, view->radius, 0);
#pragma omp parallel for collapse(2) num_threads(mote_stream_threads(stream)) schedule(dynamic, 4)
  for (int i = range.first[0]; i < range.first[0] + range.count[0]; i++)
    for (int j = range.first[1]; j < range.first[1] + range.count[1]; j++) {
      int64_t node[EVALUATED], foot = ((int64_t)i * l->nodes[1] + j) * l->nodes[2];
      int count = 0;
      for (int k = range.first[2]; k < range.first[2] + range.count[2]; k++) {
        if (has_matter(view, foot + k)) node[count++] = foot + k;
        if (count < EVALUATED && k + 1 < range.first[2] + range.count[2]) continue;
        evaluate_nodes(experts, count, node, feature, basis, share, field);
        count = 0;
      }
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
