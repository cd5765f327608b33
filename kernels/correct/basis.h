/* Per-node math of the learned correction, for both compilers: sums of what the fit misses around a node, the
   bases and features made of them, and the network. */
#ifndef MOTE_KERNELS_CORRECT_BASIS_H
#define MOTE_KERNELS_CORRECT_BASIS_H

#include "kernels/correct/correct.h"
#include "kernels/reconstruct/field.h"

/* Offsets d = (y - node) / unit; w as in the moments, n = (1 - |d|^2 / narrow^2)^3 over 0.6 of the radius; r
   residual, t drift: n, n d (3), n |d|^2, n r (3), n r_c d_a (9), n t (3), n t_c d_a (9), w t (3), w |r|^2,
   w |t|^2, w of each expert (MOTE_EXPERTS). */
enum {
  MOTE_SUM_N = 0,
  MOTE_SUM_ND = 1,
  MOTE_SUM_NDD = 4,
  MOTE_SUM_NR = 5,
  MOTE_SUM_NRD = 8,
  MOTE_SUM_NT = 17,
  MOTE_SUM_NTD = 20,
  MOTE_SUM_WT = 29,
  MOTE_SUM_RR = 32,
  MOTE_SUM_TT = 33,
  MOTE_SUM_EXPERT = 34
};
#define MOTE_NARROW 0.6f

static inline MOTE_HD float mote_dot3(const float *a, const float *b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static inline MOTE_HD float mote_norm9(const float *g) {
  float sum = 0;
  for (int k = 0; k < 9; k++) sum += g[k] * g[k];
  return sqrtf(sum);
}

static inline MOTE_HD float mote_log_size(float x) {
  return logf(1e-5f + x);
}

static inline MOTE_HD float mote_cosine(const float *a, const float *b) {
  return mote_dot3(a, b) / sqrtf(mote_dot3(a, a) * mote_dot3(b, b) + 1e-30f);
}

/* A fit's row as an affine field. */
static inline MOTE_HD void mote_affine_of(const float *field, float *affine) {
  for (int c = 0; c < 3; c++) {
    affine[c] = field[c];
    for (int a = 0; a < 3; a++) affine[3 + 3 * c + a] = field[4 * (a + 1) + c];
  }
}

/* basis = the affine field of gradient g that vanishes at node + pivot. */
static inline MOTE_HD void mote_pivot(const float *g, const float pivot[3], float *basis) {
  for (int c = 0; c < 3; c++) basis[c] = -mote_dot3(g + 3 * c, pivot);
  for (int k = 0; k < 9; k++) basis[3 + k] = g[k];
}

/* How near the walls are: 1 at a wall, 0 from one and a half units on; sign: which way it faces. */
static inline MOTE_HD float mote_wall(const mote_correct_view *v, int axis, float x, float *lower,
                                      float *upper) {
  float reach = 1.5f * v->lattice[0].unit;
  float lo = 1 - (x - v->wall_lower[axis]) / reach, hi = 1 - (v->wall_upper[axis] - x) / reach;
  *lower = lo > 0 ? (lo < 1 ? lo : 1) : 0;
  *upper = hi > 0 ? (hi < 1 ? hi : 1) : 0;
  return *lower > *upper ? *lower : *upper;
}

/* Bases from the gradient of the next coarser level: its divergence, strain and spin beyond the fit's. */
static inline MOTE_HD void mote_split_gradient(int dim, const float *g, const float pivot[3], float *basis) {
  float trace = (g[0] + g[4] + g[8]) / (float)dim, part[9];
  for (int k = 0; k < 9; k++) part[k] = k % 4 == 0 && k / 4 < dim ? trace : 0;
  mote_pivot(part, pivot, basis);
  for (int c = 0; c < 3; c++)
    for (int a = 0; a < 3; a++)
      part[3 * c + a] = 0.5f * (g[3 * c + a] + g[3 * a + c]) - (c == a && c < dim ? trace : 0);
  mote_pivot(part, pivot, basis + MOTE_AFFINE);
  for (int c = 0; c < 3; c++)
    for (int a = 0; a < 3; a++) part[3 * c + a] = 0.5f * (g[3 * c + a] - g[3 * a + c]);
  mote_pivot(part, pivot, basis + 2 * MOTE_AFFINE);
}

/* The local mean of an error and its local gradient (isotropic normalisation), as two bases. `narrow` is the
   mean offset, m; `spread` the mean squared one, in units squared, about it. */
static inline MOTE_HD void mote_local_error(const float *mean_sums, const float *gradient_sums, float weight,
                                            const float *offset, float spread, float unit,
                                            const float pivot[3], int dim, float *basis) {
  float g[9];
  for (int k = 0; k < 2 * MOTE_AFFINE; k++) basis[k] = 0;
  if (!(weight > 1e-6f)) return;
  for (int c = 0; c < 3; c++) {
    basis[c] = mean_sums[c] / weight;
    for (int a = 0; a < 3; a++)
      g[3 * c + a] =
          (gradient_sums[3 * c + a] / weight - basis[c] * offset[a]) / ((spread / (float)dim + 0.05f) * unit);
  }
  mote_pivot(g, pivot, basis + MOTE_AFFINE);
}

/* f: the affine fields of the three levels at the node x. */
static inline MOTE_HD void mote_node_bases(const mote_correct_view *v, const float x[3], const float *m,
                                           const float *s, const float f[3][MOTE_AFFINE], float *basis) {
  float unit = v->lattice[0].unit, pivot[3], offset[3], narrow[3], g[9], spread = 0;
  int dim = v->lattice[0].dim;
  float inverse = 1 / (s[MOTE_SUM_N] + 1e-6f);
  for (int a = 0; a < 3; a++) {
    pivot[a] = m[1 + a] / m[0] * unit;
    offset[a] = s[MOTE_SUM_ND + a] * inverse;
    narrow[a] = offset[a] * unit;
  }
  spread = s[MOTE_SUM_NDD] * inverse - mote_dot3(offset, offset);
  if (spread < 0) spread = 0;
  for (int k = 0; k < MOTE_AFFINE; k++) {
    basis[k] = f[1][k] - f[0][k];
    basis[MOTE_AFFINE + k] = f[2][k] - f[1][k];
  }
  mote_split_gradient(dim, basis + 3, pivot, basis + 2 * MOTE_AFFINE);
  mote_local_error(s + MOTE_SUM_NR, s + MOTE_SUM_NRD, s[MOTE_SUM_N], offset, spread, unit, narrow, dim,
                   basis + 5 * MOTE_AFFINE);
  mote_local_error(s + MOTE_SUM_NT, s + MOTE_SUM_NTD, s[MOTE_SUM_N], offset, spread, unit, narrow, dim,
                   basis + 7 * MOTE_AFFINE);
  float *wide = basis + 9 * MOTE_AFFINE, *wall = basis + 10 * MOTE_AFFINE;
  for (int k = 0; k < MOTE_AFFINE; k++) wide[k] = wall[k] = 0;
  for (int c = 0; c < 3; c++) wide[c] = s[MOTE_SUM_WT + c] / m[0];
  for (int a = 0; a < dim; a++) {
    float lower, upper, near = mote_wall(v, a, x[a], &lower, &upper);
    wall[a] = -near * f[0][a];
    for (int b = 0; b < 3; b++) wall[3 + 3 * a + b] = -near * f[0][3 + 3 * a + b];
  }
  for (int k = 0; k < 9; k++) g[k] = f[2][3 + k] - f[0][3 + k];
  mote_pivot(g, pivot, basis + 11 * MOTE_AFFINE);
}

static inline MOTE_HD void mote_node_features(const mote_correct_view *v, const mote_global_fit *fit,
                                              const float x[3], const float *m, const float *s,
                                              const float *total, const float f[3][MOTE_AFFINE],
                                              const float *basis, float *feature) {
  float unit = v->lattice[0].unit, per_unit = 1 / unit, lower[3] = {0}, upper[3] = {0}, away[3], side = 0;
  int dim = v->lattice[0].dim, up = dim > 1 ? 1 : 0;
  for (int k = 0; k < MOTE_BASES; k++) {
    const float *b = basis + k * MOTE_AFFINE;
    float value = mote_dot3(b, b) * per_unit * per_unit, gradient = mote_norm9(b + 3);
    feature[k] = mote_log_size(sqrtf(value + 0.25f * gradient * gradient));
  }
  const float *residual = basis + 5 * MOTE_AFFINE, *drift = basis + 7 * MOTE_AFFINE;
  feature[12] = mote_cosine(residual, drift);
  feature[13] = mote_cosine(residual, basis);
  feature[14] = mote_cosine(drift, basis);
  feature[15] = mote_cosine(drift, basis + 9 * MOTE_AFFINE);
  feature[16] = logf(1e-2f + m[0]);
  feature[17] = logf(1e-2f + s[MOTE_SUM_N]);
  feature[18] = logf(1e-2f + *total);
  feature[19] = sqrtf(mote_dot3(m + 1, m + 1)) / m[0];
  feature[20] = sqrtf(mote_dot3(s + MOTE_SUM_ND, s + MOTE_SUM_ND)) / (s[MOTE_SUM_N] + 1e-6f);
  const float *g = f[0] + 3;
  float trace = g[0] + g[4] + g[8], strain = 0, spin = 0;
  for (int c = 0; c < 3; c++)
    for (int a = 0; a < 3; a++) {
      float sym = 0.5f * (g[3 * c + a] + g[3 * a + c]), skew = 0.5f * (g[3 * c + a] - g[3 * a + c]);
      if (c == a && c < dim) sym -= trace / (float)dim;
      strain += sym * sym;
      spin += skew * skew;
    }
  feature[21] = asinhf(100 * trace);
  feature[22] = mote_log_size(sqrtf(strain));
  feature[23] = mote_log_size(sqrtf(spin));
  feature[24] = mote_log_size(sqrtf(s[MOTE_SUM_RR] / m[0]) * per_unit);
  feature[25] = mote_log_size(sqrtf(s[MOTE_SUM_TT] / m[0]) * per_unit);
  for (int a = 0; a < dim; a++) {
    float near = mote_wall(v, a, x[a], &lower[a], &upper[a]);
    if (a != up && near > side) side = near;
    away[a] = f[0][a] - fit->value[a];
  }
  for (int a = dim; a < 3; a++) away[a] = 0;
  feature[26] = lower[up];
  feature[27] = side;
  feature[28] = mote_cosine(f[0], v->gravity);
  feature[29] = mote_log_size(sqrtf(mote_dot3(f[0], f[0])) * per_unit);
  feature[30] = mote_log_size(sqrtf(mote_dot3(away, away)) * per_unit);
  /* The shape of the neighbourhood: 0 where particles lie in all directions, very negative in a sheet. */
  float xx = m[4] / m[0], yy = m[7] / m[0], zz = dim == 3 ? m[9] / m[0] : 1, xy = m[5] / m[0];
  float xz = m[6] / m[0], yz = m[8] / m[0];
  float determinant = xx * (yy * zz - yz * yz) - xy * (xy * zz - yz * xz) + xz * (xy * yz - yy * xz);
  feature[31] = logf(1e-4f + (determinant > 0 ? determinant : 0));
}

/* All of a node; `sum` are its error sums. */
static inline MOTE_HD void mote_describe_node(const mote_correct_view *v, const mote_node_range active[3],
                                              const mote_global_fit *fit, const int at[3], int64_t node,
                                              const float *sum, float *feature, float *basis, float *share) {
  float x[3], row[MOTE_FIELD_STRIDE], f[3][MOTE_AFFINE];
  const float *m = v->moments + node * MOTE_MOMENT_STRIDE;
  const float *finest = v->field[0] + node * MOTE_FIELD_STRIDE;
  mote_node_position(&v->lattice[0], at, x);
  mote_affine_of(finest, f[0]);
  for (int l = 1; l < 3; l++) {
    int base[3];
    float fraction[3];
    if (l < v->levels && mote_locate(&v->lattice[l], &active[l], x, base, fraction))
      mote_blend(&v->lattice[l], v->field[l], base, fraction, row);
    else
      mote_global_field(fit, x, row);
    mote_affine_of(row, f[l]);
  }
  mote_node_bases(v, x, m, sum, (const float(*)[MOTE_AFFINE])f, basis);
  mote_node_features(v, fit, x, m, sum, finest + 3, (const float(*)[MOTE_AFFINE])f, basis, feature);
  for (int e = 0; e < MOTE_EXPERTS; e++) share[e] = sum[MOTE_SUM_EXPERT + e] / m[0];
}

/* A particle's errors, the drift weighed as in pursue. */
static inline MOTE_HD void mote_particle_errors(int dim, const float *increment, const float *fitted,
                                                const float *now, const float *tracer, float limit,
                                                float residual[3], float drift[3]) {
  float length = 0;
  for (int a = 0; a < 3; a++) {
    residual[a] = a < dim ? increment[a] - fitted[a] : 0;
    drift[a] = a < dim ? now[a] - tracer[a] : 0;
    length += drift[a] * drift[a];
  }
  for (int a = 0; a < 3; a++) drift[a] /= 1 + length / (limit * limit);
}

/* ---- the network ---- */

/* Activations of one expert at one node. */
typedef struct mote_activations {
  float input[MOTE_FEATURES], first[MOTE_HIDDEN], second[MOTE_HIDDEN]; /* before SiLU */
  float first_out[MOTE_HIDDEN], second_out[MOTE_HIDDEN], output[MOTE_OUTPUTS];
} mote_activations;

/* 1 / (1 + exp(-x)), without a call, so that loops over it vectorise: 2^y = 2^i 2^f, the latter by a minimax
   polynomial of degree 6 on [-0.5, 0.5]; relative error below 2e-7. */
static inline MOTE_HD float mote_sigmoid(float x) {
  float y = -1.44269504f * (x > 80 ? 80 : (x < -80 ? -80 : x));
  float whole = (float)(int32_t)(y + (y < 0 ? -0.5f : 0.5f)), f = y - whole;
  float p =
      1 + f * (0.693147180f +
               f * (0.240226507f +
                    f * (0.0555041087f + f * (0.00961812911f + f * (0.00133335581f + f * 0.000154035304f)))));
  union {
    int32_t bits;
    float value;
  } scale;
  scale.bits = ((int32_t)whole + 127) << 23;
  return 1 / (1 + p * scale.value);
}
static inline MOTE_HD float mote_silu(float x) {
  return x * mote_sigmoid(x);
}
static inline MOTE_HD float mote_silu_slope(float x) {
  float s = mote_sigmoid(x);
  return s * (1 + x * (1 - s));
}
/* 2 tanh(x / 2) */
static inline MOTE_HD float mote_bounded(float x) {
  return 4 * mote_sigmoid(x) - 2;
}
/* A feature is cut at five deviations: what training never saw changes nothing more. */
static inline MOTE_HD float mote_normalise(const float *norm, const float *feature, int k) {
  float x = (feature[k] - norm[k]) * norm[MOTE_FEATURES + k];
  return x > 5 ? 5 : (x > -5 ? x : -5);
}

#define MOTE_LAYER(in, out, weights, from, to)                                                               \
  do {                                                                                                       \
    for (int j_ = 0; j_ < (out); j_++) (to)[j_] = (weights)[(in) * (out) + j_];                              \
    for (int i_ = 0; i_ < (in); i_++)                                                                        \
      for (int j_ = 0; j_ < (out); j_++) (to)[j_] += (from)[i_] * (weights)[i_ * (out) + j_];                \
  } while (0)

static inline MOTE_HD void mote_network_forward(const float *p, const float *norm, const float *feature,
                                                mote_activations *t) {
  for (int k = 0; k < MOTE_FEATURES; k++) t->input[k] = mote_normalise(norm, feature, k);
  MOTE_LAYER(MOTE_FEATURES, MOTE_HIDDEN, p, t->input, t->first);
  for (int k = 0; k < MOTE_HIDDEN; k++) t->first_out[k] = mote_silu(t->first[k]);
  MOTE_LAYER(MOTE_HIDDEN, MOTE_HIDDEN, p + MOTE_WEIGHTS_2, t->first_out, t->second);
  for (int k = 0; k < MOTE_HIDDEN; k++) t->second_out[k] = mote_silu(t->second[k]);
  MOTE_LAYER(MOTE_HIDDEN, MOTE_OUTPUTS, p + MOTE_WEIGHTS_3, t->second_out, t->output);
}

/* Gradients before each layer's activation, from that of the outputs: d3 given, d2 and d1 made. */
static inline MOTE_HD void mote_network_backward(const float *p, const mote_activations *t, const float *d3,
                                                 float *d2, float *d1) {
  for (int i = 0; i < MOTE_HIDDEN; i++) {
    float sum = 0;
    for (int j = 0; j < MOTE_OUTPUTS; j++) sum += p[MOTE_WEIGHTS_3 + i * MOTE_OUTPUTS + j] * d3[j];
    d2[i] = sum;
  }
  for (int i = 0; i < MOTE_HIDDEN; i++) d2[i] *= mote_silu_slope(t->second[i]);
  for (int i = 0; i < MOTE_HIDDEN; i++) {
    float sum = 0;
    for (int j = 0; j < MOTE_HIDDEN; j++) sum += p[MOTE_WEIGHTS_2 + i * MOTE_HIDDEN + j] * d2[j];
    d1[i] = sum;
  }
  for (int i = 0; i < MOTE_HIDDEN; i++) d1[i] *= mote_silu_slope(t->first[i]);
}

/* Gradient of parameter k of an expert at a node. */
static inline MOTE_HD float mote_parameter_gradient(const mote_activations *t, const float *d1,
                                                    const float *d2, const float *d3, int k) {
  if (k < MOTE_WEIGHTS_2) {
    int i = k / MOTE_HIDDEN, j = k % MOTE_HIDDEN;
    return i < MOTE_FEATURES ? t->input[i] * d1[j] : d1[j];
  }
  if (k < MOTE_WEIGHTS_3) {
    int i = (k - MOTE_WEIGHTS_2) / MOTE_HIDDEN, j = (k - MOTE_WEIGHTS_2) % MOTE_HIDDEN;
    return i < MOTE_HIDDEN ? t->first_out[i] * d2[j] : d2[j];
  }
  int i = (k - MOTE_WEIGHTS_3) / MOTE_OUTPUTS, j = (k - MOTE_WEIGHTS_3) % MOTE_OUTPUTS;
  return i < MOTE_HIDDEN ? t->second_out[i] * d3[j] : d3[j];
}

/* Where entry i of an affine field stands in a fit's row. */
static inline MOTE_HD int mote_field_entry(int i) {
  return i < 3 ? i : 4 * ((i - 3) % 3 + 1) + (i - 3) / 3;
}

/* d3 of an expert from the gradient of the node's affine field: weight = share * 2 tanh(o / 2). */
static inline MOTE_HD void mote_output_gradient(const float *basis, const float *field_gradient, float share,
                                                const float *output, float *d3) {
  for (int k = 0; k < MOTE_OUTPUTS; k++) {
    float sum = 0, h = 0.5f * mote_bounded(output[k]);
    for (int i = 0; k < MOTE_BASES && i < MOTE_AFFINE; i++)
      sum += basis[k * MOTE_AFFINE + i] * field_gradient[i];
    d3[k] = share * (1 - h * h) * sum;
  }
}

/* Adds one point's part to the affine gradient of the node at `corner` of its cell. */
static inline MOTE_HD void mote_scatter_corner(const mote_lattice *l, const float fraction[3], int corner,
                                               const float *gradient, float *sum) {
  float weight = 1, e[3];
  for (int a = 0; a < 3; a++) {
    int bit = corner >> a & 1;
    weight *= bit ? fraction[a] : 1 - fraction[a];
    e[a] = l->spacing * (fraction[a] - (float)bit);
  }
  for (int c = 0; c < l->dim; c++) {
    sum[c] += weight * gradient[c];
    for (int a = 0; a < 3; a++) sum[3 + 3 * c + a] += weight * gradient[c] * e[a];
  }
}

/* The first entry of sorted keys that is not below `key`. */
static inline MOTE_HD int64_t mote_lower_bound(const uint32_t *keys, int64_t n, uint32_t key) {
  int64_t low = 0, high = n;
  while (low < high) {
    int64_t middle = (low + high) / 2;
    if (keys[middle] < key)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* The gradient of the node `at`, from the points of the cells around it, in the order of cells and points. */
static inline MOTE_HD void mote_gather_node_backward(const mote_lattice *l, const mote_node_range *active,
                                                     const int at[3], int64_t n, const uint32_t *keys,
                                                     const int32_t *order, const float *point,
                                                     const float *gradient, float *sum) {
  for (int k = 0; k < MOTE_AFFINE; k++) sum[k] = 0;
  for (int corner = 0; corner < (l->dim == 3 ? 8 : 4); corner++) {
    int64_t cell = 0;
    int inside = 1;
    for (int a = 0; a < 3; a++) {
      int node = at[a] - (corner >> a & 1);
      inside &= node >= active->first[a];
      cell = cell * l->nodes[a] + node;
    }
    if (!inside) continue;
    for (int64_t p = mote_lower_bound(keys, n, (uint32_t)cell); p < n && keys[p] == (uint32_t)cell; p++) {
      float x[3] = {0, 0, 0}, fraction[3] = {0, 0, 0};
      int base[3];
      for (int a = 0; a < l->dim; a++) x[a] = point[(int64_t)order[p] * l->dim + a];
      mote_locate(l, active, x, base, fraction);
      mote_scatter_corner(l, fraction, corner, gradient + (int64_t)order[p] * l->dim, sum);
    }
  }
}

/* See adjoint in correct.h. */
static inline MOTE_HD void mote_adjoint_point(const mote_lattice *l, const mote_node_range *active,
                                              const mote_global_fit *fit, const float *field,
                                              const float *point, const float *error, float scale, float clip,
                                              float flight_reach, float *gradient,
                                              float *increment_gradient) {
  float x[3] = {0, 0, 0}, fraction[3], out[MOTE_FIELD_STRIDE], length = 0, gate = 1;
  int base[3];
  for (int a = 0; a < l->dim; a++) x[a] = point[a];
  if (mote_locate(l, active, x, base, fraction))
    mote_blend(l, field, base, fraction, out);
  else
    mote_global_field(fit, x, out);
  if (out[3] < flight_reach) gate = out[3] / flight_reach;
  for (int a = 0; a < l->dim; a++) {
    if (error) gradient[a] += scale * error[a];
    length += gradient[a] * gradient[a];
  }
  length = sqrtf(length);
  float cut = length > clip ? clip / length : 1;
  for (int a = 0; a < l->dim; a++) {
    gradient[a] *= cut;
    increment_gradient[a] = gate * gradient[a];
  }
  for (int a = 0; a < l->dim; a++)
    for (int c = 0; c < l->dim; c++) gradient[a] += out[4 * (a + 1) + c] * increment_gradient[c];
}

static inline MOTE_HD void mote_adam_step(float g, float rate, float bias1, float bias2, float decay,
                                          float *parameter, float *first, float *second, float *average) {
  *first = 0.9f * *first + 0.1f * g;
  *second = 0.999f * *second + 0.001f * g * g;
  *parameter -= rate * (*first / bias1) / (sqrtf(*second / bias2) + 1e-8f);
  *average += (1 - decay) * (*parameter - *average);
}

#endif
