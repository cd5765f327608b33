/* SOAP on the host: see soap.h. Matrices are row-major, and of bases the rows are the vectors. */
#include "host/train/soap.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

#define EVERY 5  /* steps between two steps of the bases */
#define BEGIN 12 /* of orthogonal iteration, from the first gradient */

static int64_t state_of(int rows, int columns) {
  return 2 * ((int64_t)rows * rows + (int64_t)columns * columns);
}

static int is_matrix(const mote_parameter *t) {
  return t->decays && t->rank >= 2 && t->shape[0] > 1 && t->count / t->shape[0] > 1;
}

/* A matrix's part of the state. */
typedef struct bases {
  float *left, *right, *ql, *qr;
} bases;

static bases bases_of(const mote_soap *s, const mote_soap_matrix *x) {
  const int64_t rows = (int64_t)x->rows * x->rows, columns = (int64_t)x->columns * x->columns;
  float *left = s->state + x->at, *right = left + rows, *ql = right + columns;
  return (bases){left, right, ql, ql + rows};
}

static void set_identity(float *q, int n) {
  memset(q, 0, (size_t)n * (size_t)n * sizeof *q);
  for (int k = 0; k < n; k++) q[k * n + k] = 1;
}

mote_status mote_soap_create(const mote_parameters *p, mote_soap *s) {
  *s = (mote_soap){0};
  s->matrix = calloc((size_t)p->tensors + 1, sizeof *s->matrix);
  if (!s->matrix) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for an optimizer");
  for (int t = 0; t < p->tensors; t++) {
    if (!is_matrix(&p->tensor[t])) continue;
    mote_soap_matrix *m = &s->matrix[s->matrices++];
    m->first = p->tensor[t].first;
    m->rows = (int)p->tensor[t].shape[0];
    m->columns = (int)(p->tensor[t].count / p->tensor[t].shape[0]);
    m->at = s->floats;
    s->floats += state_of(m->rows, m->columns);
    if (m->rows > s->widest) s->widest = m->rows;
    if (m->columns > s->widest) s->widest = m->columns;
  }
  s->state = calloc((size_t)s->floats + 1, sizeof *s->state);
  if (!s->state) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for an optimizer");
  for (int k = 0; k < s->matrices; k++) {
    const bases b = bases_of(s, &s->matrix[k]);
    set_identity(b.ql, s->matrix[k].rows);
    set_identity(b.qr, s->matrix[k].columns);
  }
  return MOTE_OK;
}

void mote_soap_free(mote_soap *s) {
  free(s->matrix);
  free(s->state);
  *s = (mote_soap){0};
}

/* ---- small products, row-major ---- */

/* c (m, n) = a (m, k) b (k, n) */
static void multiply(int m, int k, int n, const float *restrict a, const float *restrict b,
                     float *restrict c) {
  for (int i = 0; i < m; i++) {
    float *row = c + (int64_t)i * n;
    memset(row, 0, (size_t)n * sizeof *row);
    for (int l = 0; l < k; l++) {
      const float x = a[(int64_t)i * k + l], *from = b + (int64_t)l * n;
      for (int j = 0; j < n; j++) row[j] += x * from[j];
    }
  }
}

static void transpose(int m, int n, const float *restrict a, float *restrict t) {
  for (int i = 0; i < m; i++)
    for (int j = 0; j < n; j++) t[(int64_t)j * m + i] = a[(int64_t)i * n + j];
}

/* ---- bases ---- */

static void normalize(int n, float *row) {
  double square = 0;
  for (int c = 0; c < n; c++) square += (double)row[c] * row[c];
  const float scale = square > 0 ? (float)(1 / sqrt(square)) : 0;
  for (int c = 0; c < n; c++) row[c] *= scale;
}

/* Makes the rows orthonormal, each against those before it, twice, so that rounding does not add up. */
static void orthonormalize(int n, float *q) {
  for (int i = 0; i < n; i++) {
    float *row = q + (int64_t)i * n;
    for (int pass = 0; pass < 2; pass++)
      for (int before = 0; before < i; before++) {
        const float *other = q + (int64_t)before * n;
        float dot = 0;
#pragma omp simd reduction(+ : dot)
        for (int c = 0; c < n; c++) dot += row[c] * other[c];
        for (int c = 0; c < n; c++) row[c] -= dot * other[c];
      }
    normalize(n, row);
  }
}

/* A step of orthogonal iteration: q <- q m (m symmetric), made orthonormal. Shifted by a little of the
   identity, so that directions without any gradient stay what they are. */
static void iterate(int n, const float *m, float *q, float *scratch) {
  float trace = 0;
  for (int k = 0; k < n; k++) trace += m[(int64_t)k * n + k];
  if (!(trace > 0)) return;
  const float shift = 1e-6f * trace / (float)n;
  multiply(n, n, n, q, m, scratch);
  for (int64_t k = 0; k < (int64_t)n * n; k++) q[k] = scratch[k] + shift * q[k];
  for (int i = 0; i < n; i++) normalize(n, q + (int64_t)i * n);
  orthonormalize(n, q);
}

/* m = keep m + take a a^T, a (n, k), `t` its transpose */
static void accumulate(int n, int k, const float *a, const float *t, float keep, float take, float *m,
                       float *scratch) {
  multiply(n, k, n, a, t, scratch);
  for (int64_t j = 0; j < (int64_t)n * n; j++) m[j] = keep * m[j] + take * scratch[j];
}

/* ---- a step ---- */

/* Room for a matrix, five times. */
typedef struct room {
  float *a, *b, *c, *d, *e;
} room;

static void update_matrix(const mote_soap_matrix *x, const bases *b, int64_t step, const mote_update_step *s,
                          const float *g, float *first, float *second, float *value, const room *r) {
  const int m = x->rows, n = x->columns;
  const int64_t count = (int64_t)m * n;
  transpose(m, n, g, r->a);
  accumulate(m, n, g, r->a, s->keep_second, s->take_second, b->left, r->b);
  accumulate(n, m, r->a, g, s->keep_second, s->take_second, b->right, r->b);
  for (int k = step == 1 ? BEGIN : step % EVERY == 0; k > 0; k--) {
    iterate(m, b->left, b->ql, r->b);
    iterate(n, b->right, b->qr, r->b);
  }
  for (int64_t k = 0; k < count; k++) first[k] = s->keep_first * first[k] + s->take_first * g[k];
  transpose(n, n, b->qr, r->b); /* columns are the vectors */
  multiply(m, m, n, b->ql, g, r->c);
  multiply(m, n, n, r->c, r->b, r->d); /* the gradient in the bases */
  multiply(m, m, n, b->ql, first, r->c);
  multiply(m, n, n, r->c, r->b, r->e); /* and the first moment */
  for (int64_t k = 0; k < count; k++) {
    second[k] = s->keep_second * second[k] + s->take_second * r->d[k] * r->d[k];
    r->e[k] /= sqrtf(second[k]) * s->root + s->epsilon;
  }
  multiply(m, n, n, r->e, b->qr, r->c);
  transpose(m, m, b->ql, r->b);
  multiply(m, m, n, r->b, r->c, r->d);
  for (int64_t k = 0; k < count; k++) value[k] -= s->rate * r->d[k] + s->decay * value[k];
}

/* What stands between the matrices. */
static void update_rest(int64_t from, int64_t to, const mote_update_step *s, const float *g,
                        const unsigned char *decays, float *first, float *second, float *value) {
  for (int64_t k = from; k < to; k++)
    mote_update_adamw(s, decays[k] ? s->decay : 0, g[k], &first[k], &second[k], &value[k]);
}

mote_status mote_soap_update(mote_soap *soap, int64_t count, const mote_optimizer *o, int threads,
                             const float *g, const unsigned char *decays, float *first, float *second,
                             float *value) {
  const mote_update_step s = mote_update_prepare(o);
  const int64_t floats = (int64_t)soap->widest * soap->widest;
  float *memory = malloc((size_t)(5 * floats * threads + 1) * sizeof *memory);
  if (!memory) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for an optimizer");
#pragma omp parallel num_threads(threads)
  {
    float *own = memory + 5 * floats * omp_get_thread_num();
    const room r = {own, own + floats, own + 2 * floats, own + 3 * floats, own + 4 * floats};
#pragma omp for schedule(dynamic, 1)
    for (int k = 0; k < soap->matrices; k++) {
      const mote_soap_matrix *x = &soap->matrix[k];
      const bases b = bases_of(soap, x);
      update_matrix(x, &b, o->step, &s, g + x->first, first + x->first, second + x->first, value + x->first,
                    &r);
    }
  }
  int64_t from = 0;
  for (int k = 0; k < soap->matrices; k++) {
    update_rest(from, soap->matrix[k].first, &s, g, decays, first, second, value);
    from = soap->matrix[k].first + (int64_t)soap->matrix[k].rows * soap->matrix[k].columns;
  }
  update_rest(from, count, &s, g, decays, first, second, value);
  free(memory);
  return MOTE_OK;
}
