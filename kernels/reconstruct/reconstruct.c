/* The reduced-order operator on the CPU. The tricks: a splat gathers, node by node, over runs of particles
   that lie one behind the other in a column (column.h), so it needs no atomics and vectorises; a gather
   blends rows of 16 floats, value and gradient of a node in two halves. */
#include "kernels/reconstruct/reconstruct.h"

#include <float.h>
#include <string.h>

#include "kernels/array/array.h"
#include "kernels/reconstruct/backward.h"
#include "kernels/reconstruct/column.h"

/* ---- the global fit ---- */

static void box_and_center(int dim, int64_t n, const float *position, mote_global_fit *fit) {
  double sum[3] = {0};
  for (int a = 0; a < 3; a++) fit->lower[a] = a < dim ? FLT_MAX : 0, fit->upper[a] = a < dim ? -FLT_MAX : 0;
  for (int64_t i = 0; i < n; i++)
    for (int a = 0; a < dim; a++) {
      float x = position[i * dim + a];
      sum[a] += x;
      if (x < fit->lower[a]) fit->lower[a] = x;
      if (x > fit->upper[a]) fit->upper[a] = x;
    }
  for (int a = 0; a < 3; a++) fit->center[a] = n ? (float)(sum[a] / (double)n) : 0;
}

static mote_status fit_globally(mote_stream *stream, int dim, int64_t n, const float *position,
                                const float *increment, mote_global_fit *fit) {
  (void)stream;
  double m[MOTE_MOMENTS] = {0};
  memset(fit, 0, sizeof *fit);
  if (n == 0) return MOTE_OK;
  box_and_center(dim, n, position, fit);
  for (int64_t i = 0; i < n; i++) {
    double d[3] = {0}, u[3] = {0};
    for (int a = 0; a < dim; a++) {
      d[a] = position[i * dim + a] - fit->center[a];
      u[a] = increment[i * dim + a];
    }
    mote_add_to_global(d, u, m);
  }
  mote_solve_global(m, fit);
  return MOTE_OK;
}

/* ---- bins ---- */

static mote_status arrange(mote_stream *stream, int dim, int64_t n, const float *position,
                           const float *increment, const mote_bins *bins, int key_bits, uint32_t *keys,
                           int32_t *order, int32_t *bin_start, float *rows, int64_t stride,
                           mote_buffer *scratch) {
  for (int64_t i = 0; i < n; i++) {
    keys[i] = mote_bin_of(bins, dim, position + i * dim);
    order[i] = (int32_t)i;
  }
  MOTE_TRY(stream->device->array->sort_pairs_u32(stream, keys, order, n, key_bits, scratch));
  int64_t count = (int64_t)bins->count[0] * bins->count[1] * bins->count[2], next = 0;
  for (int64_t i = 0; i < n; i++)
    while (next <= keys[i]) bin_start[next++] = (int32_t)i;
  while (next <= count) bin_start[next++] = (int32_t)n;
  for (int a = 0; a < 3; a++) {
    float *x = rows + a * stride, *u = rows + (3 + a) * stride;
    for (int64_t i = 0; i < n; i++) {
      x[i] = a < dim ? position[(int64_t)order[i] * dim + a] : 0;
      u[i] = a < dim ? increment[(int64_t)order[i] * dim + a] : 0;
    }
    memset(x + n, 0, (size_t)(stride - n) * sizeof *x);
    memset(u + n, 0, (size_t)(stride - n) * sizeof *u);
  }
  return MOTE_OK;
}

/* ---- splat ---- */

/* Adds to the moments of a column's nodes what a piece of its particles gives. */
static void splat_piece(const mote_column_plan *plan, const mote_column *column, float radius,
                        float *moments) {
  const mote_packed *packed = plan->packed;
  float u[3][MOTE_COLUMN_ROW];
  mote_column_view view;
  for (int c = 0; c < 3; c++) mote_pull_row(column, packed->rows + (3 + c) * packed->stride, u[c]);
  for (int k = 0; k < plan->nodes; k++, moments += MOTE_MOMENT_STRIDE) {
    mote_view_node(column, plan, plan->first + k, radius, plan->reach2, &view);
    if (view.count == 0) continue;
    mote_sum_shape(column, &view, moments);
    mote_sum_vector(column, &view, (const float(*)[MOTE_COLUMN_ROW])u, moments + 10);
  }
}

/* The moments of the nodes (i, j, begin) to (i, j, end - 1). */
static void splat_column(const mote_lattice *lattice, const mote_bins *bins, const mote_packed *packed,
                         float radius, int i, int j, int begin, int end, float *moments) {
  mote_column column;
  memset(moments, 0, (size_t)(end - begin) * MOTE_MOMENT_STRIDE * sizeof *moments);
  while (begin < end) {
    mote_column_plan plan = mote_plan_column(lattice, bins, packed, radius, i, j, begin, end);
    mote_column_cursor at = {0};
    while (mote_next_piece(&plan, &at, &column))
      if (column.count) splat_piece(&plan, &column, radius, moments);
    moments += plan.nodes * MOTE_MOMENT_STRIDE;
    begin += plan.nodes;
  }
}

/* Loops over the active nodes (i, j, k) of a lattice, the first two axes in parallel on `threads` threads,
   which must be in scope: a pragma's text takes no macro parameter. */
#define FOR_ACTIVE_NODES(range)                                                                              \
  _Pragma("omp parallel for collapse(2) num_threads(threads) schedule(dynamic, 8)") for (                    \
      int i = range.first[0]; i < range.first[0] + range.count[0];                                           \
      i++) for (int j = range.first[1]; j < range.first[1] + range.count[1];                                 \
                j++) for (int k = range.first[2]; k < range.first[2] + range.count[2]; k++)

static mote_status splat(mote_stream *stream, const mote_lattice *lattice, const mote_bins *bins,
                         const mote_packed *packed, const mote_global_fit *fit, float radius,
                         float *moments) {
  mote_node_range range = mote_active_nodes(lattice, fit, radius, 0);
#pragma omp parallel for collapse(2) num_threads(mote_stream_threads(stream)) schedule(dynamic, 4)
  for (int i = range.first[0]; i < range.first[0] + range.count[0]; i++)
    for (int j = range.first[1]; j < range.first[1] + range.count[1]; j++) {
      int64_t node = ((int64_t)i * lattice->nodes[1] + j) * lattice->nodes[2] + range.first[2];
      splat_column(lattice, bins, packed, radius, i, j, range.first[2], range.first[2] + range.count[2],
                   moments + node * MOTE_MOMENT_STRIDE);
    }
  return MOTE_OK;
}

static mote_status restrict_moments(mote_stream *stream, const mote_lattice *fine, const mote_lattice *coarse,
                                    const mote_global_fit *fit, float radius, int level,
                                    const float *fine_moments, float *coarse_moments) {
  mote_node_range range = mote_active_nodes(coarse, fit, radius, level);
  mote_node_range source = mote_active_nodes(fine, fit, radius, level - 1);
  int threads = mote_stream_threads(stream);
  FOR_ACTIVE_NODES(range) {
    int64_t node = ((int64_t)i * coarse->nodes[1] + j) * coarse->nodes[2] + k;
    mote_restrict_node(fine, &source, (const int[3]){i, j, k}, fine_moments,
                       coarse_moments + node * MOTE_MOMENT_STRIDE);
  }
  return MOTE_OK;
}

/* ---- fits ---- */

static mote_status fit_nodes(mote_stream *stream, const mote_lattice *lattice, const mote_lattice *coarse,
                             const mote_global_fit *fit, float radius, int level, const float *moments,
                             const float *coarse_field, float ridge, float shrink, float *field) {
  mote_node_range range = mote_active_nodes(lattice, fit, radius, level), outer = {{0}, {0}};
  if (coarse_field) outer = mote_active_nodes(coarse, fit, radius, level + 1);
  int threads = mote_stream_threads(stream);
  FOR_ACTIVE_NODES(range) {
    float x[3];
    int64_t node = ((int64_t)i * lattice->nodes[1] + j) * lattice->nodes[2] + k;
    mote_node_position(lattice, (const int[3]){i, j, k}, x);
    mote_fit_at(coarse, coarse_field, &outer, fit, x, moments + node * MOTE_MOMENT_STRIDE, lattice->unit,
                ridge, shrink, field + node * MOTE_FIELD_STRIDE);
  }
  return MOTE_OK;
}

/* ---- gather ---- */

typedef float half_row __attribute__((vector_size(32), aligned(4), may_alias));

static inline half_row two_numbers(float a, float b) {
  return (half_row){a, a, a, a, b, b, b, b};
}

/* The value and reach of the field in a cell. A node's row is moved to the point by a factor (1, e_x, e_y,
   e_z), each four times; its first half needs e_x alone, so the blend along y and z comes before it, and the
   other way round for the second half. */
static inline void blend_value(const mote_lattice *l, const float *first, const float fraction[3],
                               float out[4]) {
  int64_t along_x = (int64_t)l->nodes[1] * l->nodes[2] * MOTE_FIELD_STRIDE;
  int64_t along_y = (int64_t)l->nodes[2] * MOTE_FIELD_STRIDE;
  float h = l->spacing, share[3][2], e[3][2];
  for (int a = 0; a < 3; a++) {
    share[a][0] = 1 - fraction[a];
    share[a][1] = fraction[a];
    e[a][0] = h * fraction[a];
    e[a][1] = h * (fraction[a] - 1);
  }
  half_row sum[2] = {{0}}, second = {0}, x0 = two_numbers(share[0][0], share[0][0]),
           x1 = two_numbers(share[0][1], share[0][1]);
  for (int corner = 0; corner < (l->dim == 3 ? 4 : 2); corner++) {
    int y = corner & 1, z = corner >> 1;
    const float *near = first + y * along_y + z * MOTE_FIELD_STRIDE, *far = near + along_x;
    float w = share[1][y] * share[2][z];
    half_row weight = two_numbers(w, w), move = two_numbers(w * e[1][y], w * e[2][z]);
    sum[0] += weight * *(const half_row *)near;
    sum[1] += weight * *(const half_row *)far;
    second += move * (x0 * *(const half_row *)(near + 8) + x1 * *(const half_row *)(far + 8));
  }
  sum[0] *= two_numbers(share[0][0], share[0][0] * e[0][0]);
  sum[1] *= two_numbers(share[0][1], share[0][1] * e[0][1]);
  half_row all = sum[0] + sum[1] + second;
  for (int c = 0; c < 4; c++) out[c] = all[c] + all[4 + c];
}

/* Points that are located together, so that divisions and roundings run in vectors. */
#define BATCH 64

typedef struct located {
  float fraction[3][BATCH];
  int32_t base[3][BATCH], inside[BATCH];
} located;

/* mote_locate for the points of a batch, one axis of all after the other. */
static inline void locate_batch(const mote_lattice *l, const mote_node_range *active, int dim,
                                const float *point, int count, located *to) {
  for (int p = 0; p < BATCH; p++) to->inside[p] = 1, to->fraction[2][p] = 0, to->base[2][p] = 0;
  for (int a = 0; a < dim; a++) {
    float coordinate[BATCH], origin = l->origin[a], spacing = l->spacing;
    float low = (float)active->first[a], high = (float)(active->first[a] + active->count[a] - 1);
    for (int p = 0; p < BATCH; p++) coordinate[p] = point[(p < count ? p : count - 1) * dim + a];
    for (int p = 0; p < BATCH; p++) {
      float s = (coordinate[p] - origin) / spacing, cell = floorf(s);
      int in = (cell >= low) & (cell < high); /* refuses NaN, too */
      to->inside[p] &= in;
      to->base[a][p] = (int32_t)(in ? cell : low);
      to->fraction[a][p] = s - cell;
    }
  }
}

static inline void gather_batch(const mote_lattice *l, const mote_global_fit *fit,
                                const mote_node_range *active, const float *field, int dim, int count,
                                const float *point, float *increment, float *reach) {
  located at;
  locate_batch(l, active, dim, point, count, &at);
  for (int p = 0; p < count; p++) {
    float x[3] = {0}, out[MOTE_FIELD_STRIDE], fraction[3];
    for (int a = 0; a < 3; a++) fraction[a] = at.fraction[a][p];
    if (at.inside[p]) {
      int64_t node = ((int64_t)at.base[0][p] * l->nodes[1] + at.base[1][p]) * l->nodes[2] + at.base[2][p];
      blend_value(l, field + node * MOTE_FIELD_STRIDE, fraction, out);
    } else {
      for (int a = 0; a < dim; a++) x[a] = point[p * dim + a];
      mote_global_field(fit, x, out);
    }
    for (int a = 0; a < dim; a++) increment[p * dim + a] = out[a];
    if (reach) reach[p] = out[3];
  }
}

static mote_status gather(mote_stream *stream, const mote_lattice *lattice, const mote_global_fit *fit,
                          float radius, const float *field, int64_t n, const float *point, float *increment,
                          float *reach) {
  mote_node_range active = mote_active_nodes(lattice, fit, radius, 0);
  int dim = lattice->dim;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static)
  for (int64_t first = 0; first < n; first += BATCH) {
    int count = n - first < BATCH ? (int)(n - first) : BATCH;
    const float *x = point + first * dim;
    float *u = increment + first * dim, *weight = reach ? reach + first : NULL;
    if (dim == 3)
      gather_batch(lattice, fit, &active, field, 3, count, x, u, weight);
    else
      gather_batch(lattice, fit, &active, field, dim, count, x, u, weight);
  }
  return MOTE_OK;
}

static mote_status difference(mote_stream *stream, int64_t n, const float *to, const float *from,
                              float *out) {
#pragma omp parallel for simd num_threads(mote_stream_threads(stream)) schedule(static) if (n > 65536)
  for (int64_t i = 0; i < n; i++) out[i] = to[i] - from[i];
  return MOTE_OK;
}

static mote_status pursue(mote_stream *stream, int dim, int64_t n, const float *next, const float *now,
                          const float *tracer, float gain, float limit, float *increment) {
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > 16384)
  for (int64_t i = 0; i < n; i++)
    mote_pursue_particle(dim, next + i * dim, now + i * dim, tracer + i * dim, gain, limit,
                         increment + i * dim);
  return MOTE_OK;
}

static mote_status advance(mote_stream *stream, int dim, int64_t n, const float *base, const float *increment,
                           const float *reach, const mote_flight *flight, float *last, float *position) {
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static)
  for (int64_t i = 0; i < n; i++)
    mote_advance_point(dim, flight, base + i * dim, increment + i * dim, reach ? reach + i : NULL,
                       last + i * dim, position + i * dim);
  return MOTE_OK;
}

const struct mote_reconstruct_kernels mote_reconstruct_cpu = {
    .fit_globally = fit_globally,
    .arrange = arrange,

    .splat = splat,
    .restrict_moments = restrict_moments,
    .fit_nodes = fit_nodes,
    .gather = gather,
    .difference = difference,
    .pursue = pursue,
    .advance = advance,
    .fit_nodes_backward = mote_cpu_fit_nodes_backward,
    .blend_backward = mote_cpu_blend_backward,
    .restrict_backward = mote_cpu_restrict_backward,
    .global_backward = mote_cpu_global_backward,
    .splat_backward = mote_cpu_splat_backward,
    .pursue_backward = mote_cpu_pursue_backward,
};
