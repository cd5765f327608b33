/* See motion.h. Sums over particles run over fixed chunks, so that threads do not show in them. */
#include "host/evaluate/motion.h"

#include <math.h>

#define CHUNKS 256

const char *mote_trivial_name(mote_trivial trivial) {
  static const char *names[MOTE_TRIVIALS] = {"stay", "constant velocity", "ballistic", "ballistic in bounds"};
  return names[trivial];
}

static double shorter(double difference, double period) {
  return period > 0 ? difference - period * nearbyint(difference / period) : difference;
}

double mote_kinetic_per_frame(const mote_room *room, const float *before, const float *now, int64_t n,
                              const unsigned char *kinematic, int threads) {
  double sums[CHUNKS], sum = 0;
  int64_t counts[CHUNKS], count = 0;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int c = 0; c < CHUNKS; c++) {
    sums[c] = 0;
    counts[c] = 0;
    for (int64_t i = n * c / CHUNKS; i < n * (c + 1) / CHUNKS; i++) {
      if (kinematic && kinematic[i]) continue;
      counts[c]++;
      for (int a = 0; a < room->dim; a++) {
        int64_t k = i * room->dim + a;
        double v = shorter((double)now[k] - (double)before[k], room->period[a]);
        sums[c] += v * v;
      }
    }
  }
  for (int c = 0; c < CHUNKS; c++) {
    sum += sums[c];
    count += counts[c];
  }
  return count ? sum / 2 / (double)count : NAN;
}

double mote_inside(const mote_room *room, const float *x, int64_t n, const unsigned char *kinematic,
                   double *beyond) {
  double farthest = 0;
  int64_t inside = 0, count = 0;
  for (int64_t i = 0; i < n; i++) {
    int within = 1;
    if (kinematic && kinematic[i]) continue;
    for (int a = 0; a < room->dim; a++) {
      if (room->period[a] > 0) continue;
      double slack = 1e-6 * (room->bounds[a][1] - room->bounds[a][0]), at = (double)x[i * room->dim + a];
      double off = fmax(room->bounds[a][0] - at, at - room->bounds[a][1]);
      within &= off <= room->reach + slack;
      if (!(off <= farthest)) farthest = off; /* NaN too */
    }
    inside += within;
    count++;
  }
  *beyond = count ? farthest : NAN;
  return count ? (double)inside / (double)count : NAN;
}

void mote_predict(const mote_room *room, mote_trivial trivial, const double gravity[3], const float *before,
                  const float *last, int64_t steps, const float *goal, const unsigned char *kinematic,
                  int64_t n, float *x) {
  double k = trivial == MOTE_TRIVIAL_STAY ? 0 : (double)steps;
  double falls = trivial >= MOTE_TRIVIAL_BALLISTIC ? k * (k + 1) / 2 : 0;
  for (int64_t i = 0; i < n; i++)
    for (int a = 0; a < room->dim; a++) {
      int64_t at = i * room->dim + a;
      double v = shorter((double)last[at] - (double)before[at], room->period[a]);
      double to = (double)last[at] + k * v + falls * gravity[a];
      if (trivial == MOTE_TRIVIAL_BOUNDED && !(room->period[a] > 0))
        to = fmin(fmax(to, room->bounds[a][0]), room->bounds[a][1]);
      x[at] = kinematic && kinematic[i] ? goal[at] : (float)to;
    }
  mote_nearest_image(room, goal, n, x);
}

void mote_nearest_image(const mote_room *room, const float *goal, int64_t n, float *x) {
  for (int a = 0; a < room->dim; a++)
    for (int64_t i = 0; room->period[a] > 0 && i < n; i++) {
      int64_t at = i * room->dim + a;
      x[at] = (float)((double)goal[at] + shorter((double)x[at] - (double)goal[at], room->period[a]));
    }
}

int64_t mote_add_second_differences(const mote_room *room, const float *x0, const float *x1, const float *x2,
                                    int64_t n, const unsigned char *kinematic, double sum[3]) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++) {
    if (kinematic && kinematic[i]) continue;
    count++;
    for (int a = 0; a < room->dim; a++) {
      int64_t k = i * room->dim + a;
      sum[a] += shorter((double)x2[k] - (double)x1[k], room->period[a]) -
                shorter((double)x1[k] - (double)x0[k], room->period[a]);
    }
  }
  return count;
}
