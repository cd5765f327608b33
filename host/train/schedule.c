#include "host/train/schedule.h"

#include <math.h>

double mote_schedule_rate(const mote_schedule *s, int64_t step) {
  const double pi = 3.14159265358979323846;
  double rate = s->rate, rest = (double)(s->steps - s->warmup), at = (double)(step - s->warmup);
  if (step < s->warmup) return s->rate * (double)(step + 1) / (double)(s->warmup + 1);
  if (s->kind == MOTE_SCHEDULE_EXPONENTIAL)
    rate = fmax(s->floor, s->rate * pow(s->decay, at / (double)s->decay_steps));
  if (s->kind == MOTE_SCHEDULE_COSINE)
    rate = s->floor + (s->rate - s->floor) * 0.5 * (1 + cos(pi * fmin(1, rest > 0 ? at / rest : 1)));
  return rate;
}
