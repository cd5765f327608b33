/* Generalized winding numbers: Jacobson et al. 2013, "Robust inside-outside segmentation using generalized
   winding numbers", made fast by Barill et al. 2018, "Fast winding numbers for soups and clouds". The trick:
   seen from afar a cluster of triangles is a few moments of its area vectors, so a query walks a tree and
   opens only the clusters that are near. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/geometry/winding.h"

enum { LEAF = 8, STACK = 128 };
#define PI 3.14159265358979323846
#define FAR 2.0 /* a cluster is far beyond this many of its radii; Barill et al. 2018, section 3.3 */

/* Of a cluster, about p: sum a n (order 0), sum a n (c - p) symmetrised (order 1), and the integral of
   n (x-p)(x-p) (order 2), of which only the fully symmetric part and one contraction are seen from outside.
 */
typedef struct node {
  double p[3];
  double radius_squared; /* times FAR^2 */
  double n[3];
  double m[6];  /* xx yy zz xy xz yz */
  double t[10]; /* xxx yyy zzz xxy xxz yyx yyz zzx zzy xyz */
  double v[3];
  int32_t leaf;  /* its triangles' place, -1: an inner node */
  int32_t right; /* the left child follows the node */
} node;

/* The triangles of a leaf, component by component for vector instructions; those it lacks are points at 0. */
typedef struct leaf {
  double corner[3][3][LEAF]; /* [corner][axis] */
} leaf;

struct mote_winding {
  int64_t triangle_count;
  leaf *leaves;
  node *nodes;
  int64_t leaf_count, node_count;
};

/* ---- building ---- */

typedef struct builder {
  mote_winding *w;
  int32_t *order;      /* triangles, permuted so that each node is a range */
  double (*middle)[3]; /* centroids */
  double (*source)[3][3];
} builder;

static int before(const builder *b, int axis, int32_t i, int32_t j) {
  double x = b->middle[i][axis], y = b->middle[j][axis];
  return x != y ? x < y : i < j; /* no two are equal: the split does not depend on the algorithm */
}

/* Hoare's selection: order[first..k) are before order[k] and the rest after it. */
static void select_nth(builder *b, int axis, int64_t first, int64_t last, int64_t k) {
  while (last - first > 1) {
    int32_t pivot = b->order[first + (last - first) / 2];
    int64_t i = first, j = last - 1;
    while (i <= j) {
      while (before(b, axis, b->order[i], pivot)) i++;
      while (before(b, axis, pivot, b->order[j])) j--;
      if (i > j) break;
      int32_t swap = b->order[i];
      b->order[i++] = b->order[j];
      b->order[j--] = swap;
    }
    if (k <= j)
      last = j + 1;
    else if (k >= i)
      first = i;
    else
      return;
  }
}

static int longest_axis(const builder *b, int64_t first, int64_t last) {
  double low[3] = {INFINITY, INFINITY, INFINITY}, high[3] = {-INFINITY, -INFINITY, -INFINITY};
  for (int64_t i = first; i < last; i++)
    for (int d = 0; d < 3; d++) {
      low[d] = fmin(low[d], b->middle[b->order[i]][d]);
      high[d] = fmax(high[d], b->middle[b->order[i]][d]);
    }
  int axis = high[1] - low[1] > high[0] - low[0];
  return high[2] - low[2] > high[axis] - low[axis] ? 2 : axis;
}

static void area_vector(const double t[3][3], double n[3]) {
  double u[3], v[3];
  for (int d = 0; d < 3; d++) u[d] = t[1][d] - t[0][d], v[d] = t[2][d] - t[0][d];
  for (int d = 0; d < 3; d++) {
    int e = (d + 1) % 3, f = (d + 2) % 3;
    n[d] = (u[e] * v[f] - u[f] * v[e]) / 2;
  }
}

/* The area-weighted centre of a range of triangles, and the radius about it that holds them all. */
static void set_centre(const builder *b, int64_t first, int64_t last, node *node) {
  double area = 0, sum[3] = {0}, plain[3] = {0}, most = 0;
  for (int64_t i = first; i < last; i++) {
    double n[3];
    area_vector((const double(*)[3])b->source[b->order[i]], n);
    double a = sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]);
    area += a;
    for (int d = 0; d < 3; d++) {
      sum[d] += a * b->middle[b->order[i]][d];
      plain[d] += b->middle[b->order[i]][d];
    }
  }
  for (int d = 0; d < 3; d++) node->p[d] = area > 0 ? sum[d] / area : plain[d] / (double)(last - first);
  for (int64_t i = first; i < last; i++)
    for (int c = 0; c < 3; c++) {
      double r = 0;
      for (int d = 0; d < 3; d++) {
        double x = b->source[b->order[i]][c][d] - node->p[d];
        r += x * x;
      }
      most = fmax(most, r);
    }
  node->radius_squared = most * FAR * FAR;
}

/* Adds a triangle's moments. The integral of (x-p)(x-p) over it is a/12 (sum_c y_c y_c + 9 m m), y_c its
   corners and m its centroid from p. */
static void add_moments(const double t[3][3], node *node) {
  double n[3], y[3][3], m[3], q[3][3];
  area_vector(t, n);
  for (int d = 0; d < 3; d++) {
    for (int c = 0; c < 3; c++) y[c][d] = t[c][d] - node->p[d];
    m[d] = (y[0][d] + y[1][d] + y[2][d]) / 3;
  }
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++)
      q[i][j] = (y[0][i] * y[0][j] + y[1][i] * y[1][j] + y[2][i] * y[2][j] + 9 * m[i] * m[j]) / 12;
  double trace = q[0][0] + q[1][1] + q[2][2];
  for (int i = 0; i < 3; i++) {
    node->n[i] += n[i];
    node->m[i] += n[i] * m[i];
    node->t[i] += n[i] * q[i][i];
    node->v[i] += n[i] * trace + 2 * (n[0] * q[0][i] + n[1] * q[1][i] + n[2] * q[2][i]);
  }
  node->m[3] += n[0] * m[1] + n[1] * m[0];
  node->m[4] += n[0] * m[2] + n[2] * m[0];
  node->m[5] += n[1] * m[2] + n[2] * m[1];
  static const int pairs[6][2] = {{0, 1}, {0, 2}, {1, 0}, {1, 2}, {2, 0}, {2, 1}};
  for (int k = 0; k < 6; k++) { /* i i j */
    int i = pairs[k][0], j = pairs[k][1];
    node->t[3 + k] += n[j] * q[i][i] + 2 * n[i] * q[i][j];
  }
  node->t[9] += 2 * (n[0] * q[1][2] + n[1] * q[0][2] + n[2] * q[0][1]);
}

static int32_t make_leaf(builder *b, int64_t first, int64_t last) {
  leaf *made = &b->w->leaves[b->w->leaf_count];
  *made = (leaf){0};
  for (int64_t i = first; i < last; i++)
    for (int c = 0; c < 3; c++)
      for (int d = 0; d < 3; d++) made->corner[c][d][i - first] = b->source[b->order[i]][c][d];
  return (int32_t)b->w->leaf_count++;
}

static int32_t build(builder *b, int64_t first, int64_t last) {
  int32_t index = (int32_t)b->w->node_count++;
  node *made = &b->w->nodes[index];
  *made = (node){0};
  set_centre(b, first, last, made);
  for (int64_t i = first; i < last; i++) add_moments((const double(*)[3])b->source[b->order[i]], made);
  made->leaf = -1;
  if (last - first <= LEAF) {
    made->leaf = make_leaf(b, first, last);
    return index;
  }
  int64_t half = first + (last - first) / 2;
  select_nth(b, longest_axis(b, first, last), first, last, half);
  build(b, first, half);
  b->w->nodes[index].right = build(b, half, last);
  return index;
}

static void copy_triangles(const mote_mesh *mesh, builder *b) {
  for (int64_t t = 0; t < mesh->triangle_count; t++) {
    b->order[t] = (int32_t)t;
    for (int d = 0; d < 3; d++) {
      for (int c = 0; c < 3; c++)
        b->source[t][c][d] = mesh->vertices[3 * (int64_t)mesh->triangles[3 * t + c] + d];
      b->middle[t][d] = (b->source[t][0][d] + b->source[t][1][d] + b->source[t][2][d]) / 3;
    }
  }
}

mote_status mote_winding_create(const mote_mesh *mesh, mote_winding **winding) {
  *winding = NULL;
  size_t n = (size_t)mesh->triangle_count;
  if (mesh->triangle_count < 1 || n > (1u << 27))
    return mote_fail(MOTE_ERROR_ARGUMENT, "winding numbers of %zu triangles: expected 1 to 2^27", n);
  mote_winding *w = calloc(1, sizeof *w);
  builder b = {.w = w, .order = malloc(n * sizeof *b.order), .middle = malloc(n * sizeof *b.middle)};
  b.source = malloc(n * sizeof *b.source);
  if (w) w->leaves = malloc((n / (LEAF / 2) + 1) * sizeof *w->leaves); /* halves of more than LEAF */
  if (w) w->nodes = malloc((2 * (n / (LEAF / 2) + 1)) * sizeof *w->nodes);
  mote_status status = MOTE_OK;
  if (!w || !w->leaves || !w->nodes || !b.order || !b.middle || !b.source) {
    status = mote_fail(MOTE_ERROR_MEMORY, "out of memory for winding numbers of %zu triangles", n);
    mote_winding_destroy(w);
  } else {
    w->triangle_count = mesh->triangle_count;
    copy_triangles(mesh, &b);
    build(&b, 0, mesh->triangle_count);
    *winding = w;
  }
  free(b.order);
  free(b.middle);
  free(b.source);
  return status;
}

void mote_winding_destroy(mote_winding *winding) {
  if (!winding) return;
  free(winding->leaves);
  free(winding->nodes);
  free(winding);
}

/* ---- asking ---- */

/* atan2 for vector loops: Abramowitz and Stegun 1964, 4.4.49, absolute error below 2e-8. 0 for y = 0: a point
   in a triangle's plane is on neither side of it. */
static inline double quick_atan2(double y, double x) {
  double ay = fabs(y), ax = fabs(x), low = ay < ax ? ay : ax, high = ay < ax ? ax : ay;
  double a = low / (high + 1e-300), s = a * a;
  double p = 0.0028662257;
  p = p * s - 0.0161657367;
  p = p * s + 0.0429096138;
  p = p * s - 0.0752896400;
  p = p * s + 0.1065626393;
  p = p * s - 0.1420889944;
  p = p * s + 0.1999355085;
  p = p * s - 0.3333314528;
  double angle = a + a * s * p;
  angle = ay > ax ? PI / 2 - angle : angle;
  angle = x < 0 ? PI - angle : angle;
  angle = y < 0 ? -angle : angle;
  return y == 0 ? 0 : angle;
}

/* The two arguments of the arc tangent for half the solid angle of triangle i: van Oosterom and Strackee
 * 1983. */
static inline void solid_angle(const leaf *l, int i, const double q[3], double *y, double *x) {
  double a0 = l->corner[0][0][i] - q[0], a1 = l->corner[0][1][i] - q[1], a2 = l->corner[0][2][i] - q[2];
  double b0 = l->corner[1][0][i] - q[0], b1 = l->corner[1][1][i] - q[1], b2 = l->corner[1][2][i] - q[2];
  double c0 = l->corner[2][0][i] - q[0], c1 = l->corner[2][1][i] - q[1], c2 = l->corner[2][2][i] - q[2];
  double la = sqrt(a0 * a0 + a1 * a1 + a2 * a2), lb = sqrt(b0 * b0 + b1 * b1 + b2 * b2),
         lc = sqrt(c0 * c0 + c1 * c1 + c2 * c2);
  double ab = a0 * b0 + a1 * b1 + a2 * b2, bc = b0 * c0 + b1 * c1 + b2 * c2, ca = c0 * a0 + c1 * a1 + c2 * a2;
  *y = a0 * (b1 * c2 - b2 * c1) + a1 * (b2 * c0 - b0 * c2) + a2 * (b0 * c1 - b1 * c0);
  *x = la * lb * lc + ab * lc + bc * la + ca * lb;
}

static double leaf_solid_angle(const leaf *l, const double q[3]) {
  double angle[LEAF], sum = 0;
#pragma omp simd
  for (int i = 0; i < LEAF; i++) {
    double y, x;
    solid_angle(l, i, q, &y, &x);
    angle[i] = quick_atan2(y, x);
  }
  for (int i = 0; i < LEAF; i++) sum += angle[i];
  return 2 * sum;
}

/* With r = p - q: N.r/r^3 + (tr M / r^3 - 3 r.M.r / r^5) + (-3 V.r / r^5 + 15 T:rrr / r^7) / 2. */
static double series(const node *c, const double r[3], double squared) {
  double inverse = 1 / squared, cubed = inverse / sqrt(squared), x = r[0], y = r[1], z = r[2];
  double order0 = c->n[0] * x + c->n[1] * y + c->n[2] * z;
  double rmr = c->m[0] * x * x + c->m[1] * y * y + c->m[2] * z * z + c->m[3] * x * y + c->m[4] * x * z +
               c->m[5] * y * z;
  double order1 = c->m[0] + c->m[1] + c->m[2] - 3 * rmr * inverse;
  double trrr = x * x * (c->t[0] * x + c->t[3] * y + c->t[4] * z) +
                y * y * (c->t[1] * y + c->t[5] * x + c->t[6] * z) +
                z * z * (c->t[2] * z + c->t[7] * x + c->t[8] * y) + c->t[9] * x * y * z;
  double vr = c->v[0] * x + c->v[1] * y + c->v[2] * z;
  double order2 = (-3 * vr + 15 * trrr * inverse) * inverse / 2;
  return (order0 + order1 + order2) * cubed;
}

double mote_winding_number(const mote_winding *w, const double q[3]) {
  int32_t stack[STACK];
  int top = 0;
  double sum = 0; /* of solid angles */
  stack[top++] = 0;
  while (top) {
    int32_t index = stack[--top];
    const node *c = &w->nodes[index];
    double r[3] = {c->p[0] - q[0], c->p[1] - q[1], c->p[2] - q[2]};
    double squared = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
    if (squared > c->radius_squared) {
      sum += series(c, r, squared);
    } else if (c->leaf >= 0) {
      sum += leaf_solid_angle(&w->leaves[c->leaf], q);
    } else {
      stack[top++] = c->right; /* halving 2^27 triangles is 27 levels: the stack suffices */
      stack[top++] = index + 1;
    }
  }
  return sum / (4 * PI);
}

double mote_winding_exact(const mote_winding *w, const double q[3]) {
  double sum = 0, y, x;
  for (int64_t l = 0; l < w->leaf_count; l++)
    for (int i = 0; i < LEAF; i++) {
      solid_angle(&w->leaves[l], i, q, &y, &x);
      sum += y == 0 ? 0 : 2 * atan2(y, x);
    }
  return sum / (4 * PI);
}

void mote_winding_numbers(const mote_winding *w, const float *points, int64_t n, float *numbers) {
#pragma omp parallel for schedule(dynamic, 256)
  for (int64_t i = 0; i < n; i++) {
    double q[3] = {points[3 * i], points[3 * i + 1], points[3 * i + 2]};
    numbers[i] = (float)mote_winding_number(w, q);
  }
}
