/* See summary.h. The trick: mote_errors is read and written by metric number, so that no metric is forgotten.
 */
#include "host/evaluate/summary.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

_Static_assert(sizeof(mote_errors) == MOTE_METRICS * sizeof(double), "a metric a member, all doubles");

static void destroy_series(mote_error_series *series, int count) {
  for (int k = 0; k < count; k++) free(series[k].frame);
  free(series);
}

void mote_evaluation_destroy(mote_evaluation *evaluation) {
  destroy_series(evaluation->groups, evaluation->group_count);
  destroy_series(evaluation->trivial, evaluation->trivial_count);
  *evaluation = (mote_evaluation){0};
}

static void fill(mote_errors *errors, double value) {
  double v[MOTE_METRICS];
  for (int k = 0; k < MOTE_METRICS; k++) v[k] = value;
  memcpy(errors, v, sizeof *errors);
}

mote_status mote_series_create(int count, int64_t frames, mote_error_series **series) {
  *series = NULL;
  if (!count) return MOTE_OK;
  *series = calloc((size_t)count, sizeof **series);
  if (!*series) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for the errors");
  for (int k = 0; k < count; k++) {
    (*series)[k].frame = malloc((size_t)(frames + 1) * sizeof(mote_errors));
    if (!(*series)[k].frame) {
      destroy_series(*series, count);
      *series = NULL;
      return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld errors", (long long)frames);
    }
    for (int64_t f = 0; f < frames; f++) fill(&(*series)[k].frame[f], NAN);
  }
  return MOTE_OK;
}

/* The mean of those that are numbers; of shares inside the worst is the smallest. */
static void reduce(const mote_error_series *s, int64_t first, int64_t frames, mote_errors *mean,
                   mote_errors *worst) {
  double sums[MOTE_METRICS], extremes[MOTE_METRICS];
  for (int k = 0; k < MOTE_METRICS; k++) {
    int64_t present = 0;
    sums[k] = 0;
    extremes[k] = NAN;
    for (int64_t f = first; f < frames; f++) {
      double v = mote_errors_get(&s->frame[f], (mote_metric)k);
      if (!isfinite(v)) continue;
      sums[k] += v;
      extremes[k] = k >= MOTE_METRIC_INSIDE ? fmin(extremes[k], v) : fmax(extremes[k], v);
      present++;
    }
    sums[k] = present ? sums[k] / (double)present : NAN;
  }
  memcpy(mean, sums, sizeof *mean);
  memcpy(worst, extremes, sizeof *worst);
}

static void summarise_kinetic(mote_error_series *s, int64_t first, int64_t frames) {
  double difference = 0, square = 0, truth = 0;
  int64_t count = 0;
  for (int64_t f = first; f < frames; f++) {
    double d = s->frame[f].kinetic - s->frame[f].kinetic_truth;
    if (!isfinite(d)) continue;
    difference += fabs(d);
    square += d * d;
    truth += s->frame[f].kinetic_truth;
    count++;
  }
  s->kinetic_relative = count ? difference / truth : NAN; /* infinite where the truth is at rest */
  if (count && difference == 0) s->kinetic_relative = 0;
  s->kinetic_mse = count ? square / (double)count : NAN;
}

/* The best predictor, and how much better D is. */
static void rank(mote_evaluation *e) {
  e->best = -1;
  e->advantage = NAN;
  for (int k = 0; k < e->trivial_count; k++) {
    double error = e->trivial[k].mean.position;
    if (isfinite(error) && (e->best < 0 || error < e->trivial[e->best].mean.position)) e->best = k;
  }
  if (e->best >= 0) e->advantage = e->trivial[e->best].mean.position / e->groups[0].mean.position;
}

void mote_evaluation_summarise(mote_evaluation *e) {
  for (int k = 0; k < e->group_count + e->trivial_count; k++) {
    mote_error_series *s = k < e->group_count ? &e->groups[k] : &e->trivial[k - e->group_count];
    reduce(s, e->history, e->frames, &s->mean, &s->worst);
    summarise_kinetic(s, e->history, e->frames);
  }
  rank(e);
}

/* ---- several trajectories ---- */

static const mote_error_series *find_series(const mote_error_series *series, int count, const char *name) {
  for (int k = 0; k < count; k++)
    if (!strcmp(series[k].name, name)) return &series[k];
  return NULL;
}

/* The series called as `name`, in evaluation k. */
static const mote_error_series *series_of(const mote_evaluation *e, int trivial, const char *name) {
  return trivial ? find_series(e->trivial, e->trivial_count, name)
                 : find_series(e->groups, e->group_count, name);
}

static double mean_of(const double *v, int count) {
  double sum = 0;
  int present = 0;
  for (int k = 0; k < count; k++) {
    if (!isfinite(v[k])) continue;
    sum += v[k];
    present++;
  }
  return present ? sum / present : NAN;
}

/* `values` has room for a number an evaluation. */
static void average_series(const mote_evaluation *e, int count, int trivial, double *values,
                           mote_error_series *to, int64_t frames) {
  double mean[MOTE_METRICS], worst[MOTE_METRICS], frame[MOTE_METRICS];
  for (int64_t f = 0; f < frames; f++) {
    for (int m = 0; m < MOTE_METRICS; m++) {
      for (int k = 0; k < count; k++)
        values[k] = f < e[k].frames
                        ? mote_errors_get(&series_of(&e[k], trivial, to->name)->frame[f], (mote_metric)m)
                        : NAN;
      frame[m] = mean_of(values, count);
    }
    memcpy(&to->frame[f], frame, sizeof frame);
  }
  for (int m = 0; m < MOTE_METRICS; m++) {
    worst[m] = NAN;
    for (int k = 0; k < count; k++) {
      const mote_error_series *s = series_of(&e[k], trivial, to->name);
      double w = mote_errors_get(&s->worst, (mote_metric)m);
      values[k] = mote_errors_get(&s->mean, (mote_metric)m);
      worst[m] = m >= MOTE_METRIC_INSIDE ? fmin(worst[m], w) : fmax(worst[m], w);
    }
    mean[m] = mean_of(values, count);
  }
  memcpy(&to->mean, mean, sizeof mean);
  memcpy(&to->worst, worst, sizeof worst);
  for (int k = 0; k < count; k++) values[k] = series_of(&e[k], trivial, to->name)->kinetic_relative;
  to->kinetic_relative = mean_of(values, count);
  for (int k = 0; k < count; k++) values[k] = series_of(&e[k], trivial, to->name)->kinetic_mse;
  to->kinetic_mse = mean_of(values, count);
}

/* The series that all have, averaged. */
static mote_status average_all(const mote_evaluation *e, int count, int trivial, double *values,
                               mote_evaluation *to) {
  int from = trivial ? e->trivial_count : e->group_count,
      *kept = trivial ? &to->trivial_count : &to->group_count;
  mote_error_series **series = trivial ? &to->trivial : &to->groups;
  MOTE_TRY(mote_series_create(from, to->frames, series));
  for (int g = 0; g < from; g++) {
    const char *name = trivial ? e->trivial[g].name : e->groups[g].name;
    int all = 1;
    for (int k = 1; k < count; k++) all &= series_of(&e[k], trivial, name) != NULL;
    if (!all) continue;
    mote_error_series *s = &(*series)[(*kept)++];
    memcpy(s->name, name, sizeof s->name);
    average_series(e, count, trivial, values, s, to->frames);
  }
  for (int k = *kept; k < from; k++) free((*series)[k].frame);
  return MOTE_OK;
}

mote_status mote_evaluation_average(const mote_evaluation *e, int count, mote_evaluation *mean) {
  *mean = (mote_evaluation){0};
  if (count < 1) return mote_fail(MOTE_ERROR_ARGUMENT, "the mean of %d evaluations", count);
  double *values = malloc((size_t)count * sizeof *values);
  if (!values) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for the mean of %d evaluations", count);
  *mean = e[0];
  mean->groups = mean->trivial = NULL;
  mean->group_count = mean->trivial_count = 0;
  snprintf(mean->trajectory, sizeof mean->trajectory, "mean");
  mean->trajectories = count;
  for (int k = 1; k < count; k++) {
    mean->frames = mean->frames > e[k].frames ? mean->frames : e[k].frames;
    mean->finite &= e[k].finite;
    if (e[k].gravity_source != mean->gravity_source ||
        memcmp(e[k].gravity, mean->gravity, sizeof mean->gravity))
      mean->gravity_source = MOTE_GRAVITY_NONE; /* each had its own */
  }
  mote_status status = average_all(e, count, 0, values, mean);
  if (status == MOTE_OK) status = average_all(e, count, 1, values, mean);
  free(values);
  if (status == MOTE_OK)
    rank(mean);
  else
    mote_evaluation_destroy(mean);
  return status;
}
