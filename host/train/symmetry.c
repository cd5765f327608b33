#include "host/train/symmetry.h"

#include <math.h>

#include <mote/random.h>

#define STREAM 37

static int equally_far(const mote_metadata *m, int a, int b) {
  double first = m->bounds[a][1] - m->bounds[a][0], second = m->bounds[b][1] - m->bounds[b][0];
  return fabs(first - second) <= 1e-6 * fabs(first);
}

mote_symmetry mote_symmetry_of(const mote_metadata *m) {
  mote_symmetry s = {.dim = m->dim};
  for (int a = 0; a < m->dim; a++) {
    s.group[a] = m->gravity[a] == 0 ? a : -1;
    s.lower[a] = (float)m->bounds[a][0];
    s.upper[a] = (float)m->bounds[a][1];
    for (int b = a - 1; b >= 0; b--)
      if (s.group[a] >= 0 && s.group[b] >= 0 && equally_far(m, a, b)) s.group[a] = s.group[b];
  }
  return s;
}

/* Of each axis in a group: the second moment about 0, the same for all of them. */
static void make_alike(const mote_symmetry *s, double *mean, double *deviation) {
  double moment[3] = {0};
  for (int a = 0; a < s->dim; a++) {
    int members = 0;
    for (int b = 0; b < s->dim; b++)
      if (s->group[b] == s->group[a]) {
        moment[a] += mean[b] * mean[b] + deviation[b] * deviation[b];
        members++;
      }
    moment[a] /= members;
  }
  for (int a = 0; a < s->dim; a++)
    if (s->group[a] >= 0) {
      mean[a] = 0;
      deviation[a] = sqrt(moment[a]);
    }
}

void mote_symmetry_statistics(const mote_symmetry *s, mote_metadata *m) {
  make_alike(s, m->velocity_mean, m->velocity_std);
  make_alike(s, m->acceleration_mean, m->acceleration_std);
}

/* from[a]: which axis becomes a. */
static void shuffle(const mote_symmetry *s, uint64_t seed, uint64_t number, int from[3]) {
  for (int a = 0; a < 3; a++) from[a] = a;
  for (int a = s->dim - 1; a > 0; a--) {
    int partner[3], partners = 0;
    for (int b = 0; b <= a; b++)
      if (s->group[a] >= 0 && s->group[b] == s->group[a]) partner[partners++] = b;
    if (!partners) continue;
    int b = partner[mote_random_below(seed, STREAM + (uint64_t)a, number, (uint64_t)partners)];
    int kept = from[a];
    from[a] = from[b];
    from[b] = kept;
  }
}

void mote_symmetry_apply(const mote_symmetry *s, uint64_t seed, uint64_t number, int64_t points,
                         float *position) {
  int from[3];
  uint64_t mirrors = mote_random_below(seed, STREAM, number, 8);
  shuffle(s, seed, number, from);
  for (int64_t i = 0; i < points; i++) {
    float *x = position + i * s->dim, before[3];
    for (int a = 0; a < s->dim; a++) before[a] = x[a];
    for (int a = 0; a < s->dim; a++) {
      float depth = before[from[a]] - s->lower[from[a]];
      int mirrored = s->group[a] >= 0 && (mirrors >> a & 1);
      if (mirrored || from[a] != a) x[a] = mirrored ? s->upper[a] - depth : s->lower[a] + depth;
    }
  }
}
