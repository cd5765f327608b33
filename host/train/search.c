#include "host/train/search.h"

#include <math.h>
#include <string.h>

#define FALLS 1e-4        /* of what the slope promises */
#define FIRST_STEP 0.05   /* of the first step of all, in units of the box */
#define LARGEST_STEP 0.25 /* of any */
#define SHORTEST 1e-3     /* part of a step, behind which the curvature is not believed any more */

static int count_of(const mote_search *s) {
  return (int)s->count;
}

static void forget_curvature(mote_search *s) {
  const int n = count_of(s);
  memset(s->inverse, 0, sizeof s->inverse);
  for (int k = 0; k < n; k++) s->inverse[k * n + k] = -1; /* a scale is not known yet */
}

void mote_search_begin(mote_search *s, int count, const double *at) {
  *s = (mote_search){.count = count, .fresh = 1, .value = INFINITY};
  memcpy(s->at, at, (size_t)count * sizeof *at);
  memcpy(s->x, at, (size_t)count * sizeof *at);
  forget_curvature(s);
}

void mote_search_renew(mote_search *s) {
  memcpy(s->at, s->x, sizeof s->at);
  s->fresh = 1;
}

/* Held by its bound: the gradient pushes it outwards. */
static int is_held(const mote_search *s, int k) {
  return (s->x[k] <= 0 && s->gradient[k] > 0) || (s->x[k] >= 1 && s->gradient[k] < 0);
}

static double clamp(double x) {
  return fmin(1, fmax(0, x));
}

static double slope(const mote_search *s) {
  double sum = 0;
  for (int k = 0; k < count_of(s); k++) sum += s->direction[k] * s->gradient[k];
  return sum;
}

static void descend_steepest(mote_search *s) {
  double largest = 0;
  for (int k = 0; k < count_of(s); k++)
    if (!is_held(s, k)) largest = fmax(largest, fabs(s->gradient[k]));
  for (int k = 0; k < count_of(s); k++)
    s->direction[k] = is_held(s, k) || largest <= 0 ? 0 : -FIRST_STEP / largest * s->gradient[k];
}

static void choose_direction(mote_search *s) {
  const int n = count_of(s);
  double largest = 0;
  if (s->inverse[0] < 0) {
    descend_steepest(s);
    return;
  }
  for (int i = 0; i < n; i++) {
    s->direction[i] = 0;
    for (int j = 0; j < n && !is_held(s, i); j++)
      if (!is_held(s, j)) s->direction[i] -= s->inverse[i * n + j] * s->gradient[j];
    largest = fmax(largest, fabs(s->direction[i]));
  }
  for (int k = 0; k < n && largest > LARGEST_STEP; k++) s->direction[k] *= LARGEST_STEP / largest;
  if (!(slope(s) < 0)) descend_steepest(s);
}

static void set_trial(mote_search *s) {
  for (int k = 0; k < count_of(s); k++) s->at[k] = clamp(s->x[k] + s->length * s->direction[k]);
}

/* BFGS: H <- (I - r s y^T) H (I - r y s^T) + r s s^T with r = 1 / y^T s. */
static void learn_curvature(mote_search *s, const double *gradient) {
  const int n = count_of(s);
  double step[MOTE_SEARCH_MOST], change[MOTE_SEARCH_MOST], turned[MOTE_SEARCH_MOST];
  double along = 0, squares = 0, bent = 0;
  for (int k = 0; k < n; k++) {
    step[k] = s->at[k] - s->x[k];
    change[k] = gradient[k] - s->gradient[k];
    along += step[k] * change[k];
    squares += change[k] * change[k];
  }
  if (!(along > 1e-12 * squares)) return; /* not convex here */
  if (s->inverse[0] < 0) {
    memset(s->inverse, 0, sizeof s->inverse);
    for (int k = 0; k < n; k++) s->inverse[k * n + k] = along / squares;
  }
  for (int i = 0; i < n; i++) {
    turned[i] = 0;
    for (int j = 0; j < n; j++) turned[i] += s->inverse[i * n + j] * change[j];
    bent += turned[i] * change[i];
  }
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++)
      s->inverse[i * n + j] += (1 + bent / along) * step[i] * step[j] / along -
                               (turned[i] * step[j] + step[i] * turned[j]) / along;
}

static void take(mote_search *s, double value, const double *gradient) {
  const size_t bytes = (size_t)count_of(s) * sizeof *gradient;
  memcpy(s->x, s->at, bytes);
  memcpy(s->gradient, gradient, bytes);
  s->value = value;
  choose_direction(s);
  s->length = 1;
}

/* Where the parabola through value, slope and the trial's value is lowest, but not too near either end. */
static void go_back(mote_search *s, double value) {
  double part = 0.25;
  if (isfinite(value)) {
    const double promised = s->length * slope(s), excess = value - s->value - promised;
    part = excess > 0 ? fmin(0.5, fmax(0.1, -0.5 * promised / excess)) : 0.5;
  }
  s->length *= part;
  if (s->length > SHORTEST) return;
  forget_curvature(s);
  const double before = s->length;
  choose_direction(s);
  s->length = fmin(1, before * 100);
}

void mote_search_next(mote_search *s, double value, const double *gradient) {
  double promised = 0;
  for (int k = 0; k < count_of(s); k++) promised += (s->at[k] - s->x[k]) * s->gradient[k];
  if (s->fresh > 0) {
    if (!isfinite(value)) return;
    s->fresh = 0;
    take(s, value, gradient);
  } else if (isfinite(value) && value <= s->value + FALLS * promised) {
    learn_curvature(s, gradient);
    take(s, value, gradient);
  } else {
    if (isfinite(value)) learn_curvature(s, gradient);
    go_back(s, value);
  }
  set_trial(s);
}
