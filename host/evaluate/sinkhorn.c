/* Sinkhorn divergence of two clouds. The trick: translations are taken out first, exactly. For clouds with
   means a and b the divergence is that of the centred clouds plus |a - b|^2 / 2 (the cost's cross terms
   vanish under any plan between centred clouds), so that iterations never have to find what a subtraction
   knows.

   Everything is in the log domain: a potential is updated by a soft minimum over a row of the cost matrix,
   which is computed anew each time. A row is one thread's, so threads do not show in the bits. */
#include <mote/evaluate.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/evaluate/evaluator.h"

/* What a cloud is to the iterations: axes apart, its potentials against the other and against itself. */
typedef struct cloud {
  int64_t n;
  double *axis[3]; /* (n) each, centred */
  double *between, *within, *next, *log_weight;
  double mean[3];
  double *memory;
} cloud;

#define CLOUD_ROWS 7
static mote_status make_cloud(cloud *c, const float *x, int64_t n, int dim) {
  c->n = n;
  c->memory = calloc((size_t)(n + 1) * CLOUD_ROWS, sizeof *c->memory);
  if (!c->memory) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld points", (long long)n);
  double *rows[CLOUD_ROWS];
  for (int k = 0; k < CLOUD_ROWS; k++) rows[k] = c->memory + k * n;
  memcpy(c->axis, rows, sizeof c->axis);
  c->between = rows[3], c->within = rows[4], c->next = rows[5], c->log_weight = rows[6];
  for (int a = 0; a < dim; a++) {
    for (int64_t i = 0; i < n; i++) c->mean[a] += (double)x[i * dim + a];
    c->mean[a] /= (double)n;
    for (int64_t i = 0; i < n; i++) c->axis[a][i] = (double)x[i * dim + a] - c->mean[a];
  }
  return MOTE_OK;
}

/* exp(x) for x <= 0, to about 1e-14 relative: 2^k e^r with |r| <= ln(2) / 2. Branch-free, for vectors. */
static inline double exp_negative(double x) {
  const double shifter = 0x1.8p52;
  x = x > -700 ? x : -700;
  double shifted = x * 0x1.71547652b82fep0 + shifter, k = shifted - shifter;
  double r = (x - k * 0x1.62e42fefa39efp-1) - k * 0x1.abc9e3b39803fp-56;
  double p = 1.0 / 39916800;
  p = p * r + 1.0 / 3628800;
  p = p * r + 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r + 1;
  p = p * r + 1;
  int64_t bits;
  memcpy(&bits, &shifted, sizeof bits);
  bits = (int64_t)((uint64_t)bits << 52) + 0x3ff0000000000000; /* the low bits of `shifted` are k */
  double power;
  memcpy(&power, &bits, sizeof power);
  return p * power;
}

#define TILE 256

/* log sum_j exp(h_j - |x - y_j|^2 / (2 epsilon)), tile by tile with the largest term so far taken out. */
static double soft_maximum(const double x[3], const cloud *y, int dim, const double *h, double half_inverse) {
  double largest = -INFINITY, sum = 0, z[TILE];
  const double *y0 = y->axis[0], *y1 = y->axis[1], *y2 = y->axis[dim == 3 ? 2 : 1];
  double flat = dim == 3 ? 1 : 0;
  int64_t at = 0;
  do { /* no cloud is empty */
    int count = y->n - at < TILE ? (int)(y->n - at) : TILE;
    double top = -INFINITY, part = 0;
#pragma omp simd reduction(max : top)
    for (int j = 0; j < count; j++) {
      double dx = x[0] - y0[at + j], dy = x[1] - y1[at + j], dz = flat * (x[2] - y2[at + j]);
      z[j] = h[at + j] - half_inverse * (dx * dx + dy * dy + dz * dz);
      top = z[j] > top ? z[j] : top;
    }
    double base = top > largest ? top : largest;
#pragma omp simd reduction(+ : part)
    for (int j = 0; j < count; j++) part += exp_negative(z[j] - base);
    sum = sum * exp(largest - base) + part;
    largest = base;
    at += TILE;
  } while (at < y->n);
  return largest + log(sum);
}

typedef struct problem {
  int dim, threads;
  double epsilon;
} problem;

/* out_i = -epsilon log sum_j exp((potential_j - |x_i - y_j|^2 / 2) / epsilon) / m */
static void soft_minimum(const problem *p, const cloud *x, cloud *y, const double *potential, double *out) {
  double weight = -log((double)y->n);
  for (int64_t j = 0; j < y->n; j++) y->log_weight[j] = potential[j] / p->epsilon + weight;
#pragma omp parallel for num_threads(p->threads) schedule(static) if (x->n * y->n > 4096)
  for (int64_t i = 0; i < x->n; i++) {
    const double at[3] = {x->axis[0][i], x->axis[1][i], p->dim == 3 ? x->axis[2][i] : 0};
    out[i] = -p->epsilon * soft_maximum(at, y, p->dim, y->log_weight, 0.5 / p->epsilon);
  }
}

/* Of a cloud against itself: the mean of the potential and its update converges fast, where alternating does
   not (Feydy et al. 2019, section 3.1). Returns by how much the plan misses its marginals. */
static double step_within(const problem *p, cloud *c) {
  double missed = 0;
  soft_minimum(p, c, c, c->within, c->next);
  for (int64_t i = 0; i < c->n; i++) {
    missed += fabs(exp((c->within[i] - c->next[i]) / p->epsilon) - 1);
    c->within[i] = 0.5 * (c->within[i] + c->next[i]);
  }
  return missed / (double)c->n;
}

static void relax(double *potential, const double *update, int64_t n, double omega) {
  for (int64_t i = 0; i < n; i++) potential[i] += omega * (update[i] - potential[i]);
}

/* x's potential, then y's, each by omega times its update: 1 is Sinkhorn's iteration. Returns by how much the
   plan missed the marginal of x before. */
static double step_between(const problem *p, cloud *x, cloud *y, double omega) {
  double missed = 0;
  soft_minimum(p, x, y, y->between, x->next);
  for (int64_t i = 0; i < x->n; i++) missed += fabs(exp((x->between[i] - x->next[i]) / p->epsilon) - 1);
  relax(x->between, x->next, x->n, omega);
  soft_minimum(p, y, x, x->between, y->next);
  relax(y->between, y->next, y->n, omega);
  return missed / (double)x->n;
}

/* The over-relaxation for a method that shrank its error by `rate` a step at `omega`: Young's relation of the
   two gives the rate of plain iterations, and that the best omega (Thibault et al. 2021, theorem 2; Hageman
   and Young 1981, chapter 9). */
static double better_omega(double omega, double rate) {
  if (!(rate < 1)) return 1;
  if (rate <= omega - 1) return omega; /* at the best, or beyond it */
  double plain = (rate + omega - 1) * (rate + omega - 1) / (rate * omega * omega);
  return 2 / (1 + sqrt(1 - fmin(plain, 0.9999)));
}

#define LOOK 6 /* steps between looks at the rate */

/* At the final epsilon. Ends with a plain step, whose dual value has no penalty. */
static void finish(const problem *p, cloud *x, cloud *y, double tolerance, int most, mote_sinkhorn *result) {
  double omega = 1, error = INFINITY, before = INFINITY;
  int k = 0;
  while (k < most && error > tolerance) {
    error = step_between(p, x, y, omega);
    if (++k % LOOK == LOOK / 2) before = error;
    if (k % LOOK == 0) omega = better_omega(omega, pow(error / before, 2.0 / LOOK));
    if (error <= tolerance && omega > 1) error = step_between(p, x, y, 1), k++;
  }
  result->marginal_error = step_between(p, x, y, 1);
  result->iterations = k + 1;
}

static double mean(const double *v, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += v[i];
  return sum / (double)n;
}

/* The dual value of OT(c, c): its penalty term makes the error of an unfinished potential one of second
 * order.
 */
static double value_within(const problem *p, cloud *c) {
  double mass = 0;
  soft_minimum(p, c, c, c->within, c->next);
  for (int64_t i = 0; i < c->n; i++) mass += exp((c->within[i] - c->next[i]) / p->epsilon);
  return 2 * mean(c->within, c->n) - p->epsilon * (mass / (double)c->n - 1);
}

static double squared_diameter(const cloud *x, const cloud *y, int dim) {
  double squares = 0;
  for (int a = 0; a < dim; a++) {
    double low = INFINITY, high = -INFINITY;
    for (int side = 0; side < 2; side++) {
      const cloud *c = side ? y : x;
      for (int64_t i = 0; i < c->n; i++) {
        low = fmin(low, c->axis[a][i]);
        high = fmax(high, c->axis[a][i]);
      }
    }
    squares += (high - low) * (high - low);
  }
  return squares;
}

/* Epsilon from the clouds' extent down by quarters (Schmitzer 2019), then to the tolerance. */
static void solve(problem *p, cloud *x, cloud *y, const mote_sinkhorn_options *o, mote_sinkhorn *result) {
  double target = o->blur * o->blur, tolerance = o->tolerance > 0 ? o->tolerance : 1e-3;
  int most = o->iterations > 0 ? o->iterations : 500;
  for (p->epsilon = squared_diameter(x, y, p->dim); p->epsilon > target; p->epsilon *= 0.25) {
    step_within(p, x);
    step_within(p, y);
    step_between(p, x, y, 1);
  }
  p->epsilon = target;
  for (int k = 0; k < most && step_within(p, x) > tolerance; k++) {}
  for (int k = 0; k < most && step_within(p, y) > tolerance; k++) {}
  finish(p, x, y, tolerance, most, result);
  double between = mean(x->between, x->n) + mean(y->between, y->n), shift = 0;
  for (int a = 0; a < p->dim; a++) shift += (x->mean[a] - y->mean[a]) * (x->mean[a] - y->mean[a]);
  result->divergence = between - (value_within(p, x) + value_within(p, y)) / 2 + shift / 2;
  result->distance = sqrt(2 * fmax(result->divergence, 0));
}

static mote_status check(const float *x, int64_t n, int dim, const char *which) {
  for (int64_t i = 0; i < n * dim; i++)
    if (!isfinite(x[i]))
      return mote_fail(MOTE_ERROR_NUMERIC, "%s: particle %lld has coordinate %d = %g, which is not finite",
                       which, (long long)(i / dim), (int)(i % dim), (double)x[i]);
  return MOTE_OK;
}

mote_status mote_evaluate_sinkhorn(mote_evaluator *e, int dim, const float *d, int64_t n, const float *t,
                                   int64_t m, const mote_sinkhorn_options *options, mote_sinkhorn *result) {
  *result = (mote_sinkhorn){.divergence = NAN, .distance = NAN};
  if (dim != 2 && dim != 3)
    return mote_fail(MOTE_ERROR_ARGUMENT, "Sinkhorn divergence: dim %d: expected 2 or 3", dim);
  if (n < 0 || m < 0)
    return mote_fail(MOTE_ERROR_ARGUMENT, "Sinkhorn divergence: %lld and %lld points", (long long)n,
                     (long long)m);
  if (!(options->blur > 0) || !isfinite(options->blur))
    return mote_fail(MOTE_ERROR_ARGUMENT, "Sinkhorn divergence: blur %g: expected a length above 0",
                     options->blur);
  MOTE_TRY(check(d, n, dim, "the reconstruction"));
  MOTE_TRY(check(t, m, dim, "the truth"));
  if (!n && !m) result->divergence = result->distance = 0;
  if (!n || !m) return MOTE_OK;
  problem p = {.dim = dim, .threads = mote_stream_threads(e->stream)};
  cloud x = {0}, y = {0};
  mote_status status = make_cloud(&x, d, n, dim);
  if (status == MOTE_OK) status = make_cloud(&y, t, m, dim);
  if (status == MOTE_OK) solve(&p, &x, &y, options, result);
  free(x.memory);
  free(y.memory);
  return status;
}
