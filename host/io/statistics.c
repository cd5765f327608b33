/* Streaming moments: see statistics.h. The trick: a frame's sums are taken about the mean so far, which keeps
   them small, and joined to the running ones by the pairwise update of Chan, Golub and LeVeque (1983). */
#include "host/io/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

void mote_statistics_init(mote_statistics *s, int dim, const mote_metadata *metadata) {
  *s = (mote_statistics){.dim = dim};
  for (int d = 0; d < dim; d++) {
    double low = metadata ? metadata->bounds[d][0] : 0, high = metadata ? metadata->bounds[d][1] : 0;
    int walled = low < high && !metadata->periodic[d];
    s->period[d] = low < high && !walled ? high - low : 0;
    s->wall[d][0] = walled ? low : -INFINITY;
    s->wall[d][1] = walled ? high : INFINITY;
    s->walled |= walled;
  }
}

mote_status mote_statistics_begin(mote_statistics *s, int64_t n, const int32_t *particle_type) {
  size_t bytes = (size_t)n * (size_t)s->dim * sizeof(float);
  mote_statistics_destroy(s);
  s->particles = n;
  s->frames = 0;
  s->before[0] = malloc(bytes);
  s->before[1] = malloc(bytes);
  s->ignored = malloc((size_t)n);
  if (!s->before[0] || !s->before[1] || !s->ignored) {
    mote_statistics_destroy(s);
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for the statistics of %lld particles", (long long)n);
  }
  for (int64_t i = 0; i < n; i++) s->ignored[i] = particle_type && particle_type[i] == MOTE_TYPE_KINEMATIC;
  return MOTE_OK;
}

/* Sums about a fixed point. */
typedef struct sums {
  double about[3], first[3], second[3];
  int64_t count;
} sums;

static inline void add(sums *s, int d, double value) {
  double off = value - s->about[d];
  s->first[d] += off;
  s->second[d] += off * off;
}

static void join(mote_moments *m, const sums *s, int dim) {
  if (s->count == 0) return;
  double a = (double)m->count, b = (double)s->count;
  for (int d = 0; d < dim; d++) {
    double mean = s->about[d] + s->first[d] / b;
    double squares = fmax(0, s->second[d] - s->first[d] * s->first[d] / b), apart = mean - m->mean[d];
    m->squares[d] += squares + apart * apart * a * b / (a + b);
    m->mean[d] += apart * b / (a + b);
  }
  m->count += s->count;
}

static inline double shorter(double difference, double period) {
  return period > 0 ? difference - period * nearbyint(difference / period) : difference;
}

static void add_reach(mote_statistics *s, const float *position) {
  for (int64_t i = 0; i < s->particles; i++)
    for (int d = 0; d < s->dim && !s->ignored[i]; d++) {
      double at = (double)position[i * s->dim + d];
      s->reach = fmax(s->reach, fmax(s->wall[d][0] - at, at - s->wall[d][1]));
    }
}

void mote_statistics_add(mote_statistics *s, const float *position) {
  int dim = s->dim;
  float *last = s->before[0], *older = s->before[1];
  sums velocity = {0}, acceleration = {0};
  memcpy(velocity.about, s->velocity.mean, sizeof velocity.about);
  memcpy(acceleration.about, s->acceleration.mean, sizeof acceleration.about);
  for (int64_t i = 0; s->frames > 0 && i < s->particles; i++) {
    if (s->ignored[i]) continue;
    for (int d = 0; d < dim; d++) {
      int64_t k = i * dim + d;
      double v = shorter((double)position[k] - (double)last[k], s->period[d]);
      add(&velocity, d, v);
      if (s->frames > 1) add(&acceleration, d, v - shorter((double)last[k] - (double)older[k], s->period[d]));
    }
    velocity.count++;
    acceleration.count += s->frames > 1;
  }
  if (s->walled) add_reach(s, position);
  join(&s->velocity, &velocity, dim);
  join(&s->acceleration, &acceleration, dim);
  memcpy(older, position, (size_t)s->particles * (size_t)dim * sizeof(float));
  s->before[0] = older;
  s->before[1] = last;
  s->frames++;
}

static void deviations(const mote_moments *m, int dim, double *mean, double *deviation) {
  for (int d = 0; d < dim; d++) {
    mean[d] = m->mean[d];
    deviation[d] = sqrt(m->squares[d] / (double)m->count);
    if (deviation[d] == 0) deviation[d] = 1;
  }
}

void mote_statistics_get(const mote_statistics *s, mote_metadata *metadata) {
  if (s->walled) metadata->reach = s->reach;
  metadata->has_statistics = s->acceleration.count > 0;
  if (!metadata->has_statistics) return;
  deviations(&s->velocity, s->dim, metadata->velocity_mean, metadata->velocity_std);
  deviations(&s->acceleration, s->dim, metadata->acceleration_mean, metadata->acceleration_std);
}

void mote_statistics_destroy(mote_statistics *s) {
  free(s->before[0]);
  free(s->before[1]);
  free(s->ignored);
  s->before[0] = s->before[1] = NULL;
  s->ignored = NULL;
}
