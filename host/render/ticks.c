/* Where an axis has its ticks, and what stands at them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/render/plot.h"

/* The step of 1, 2 or 5 times a power of ten that gives at most about `target` ticks. */
static double round_step(double range, int target) {
  double rough = range / (target > 1 ? target : 1), power = pow(10, floor(log10(rough))),
         rest = rough / power;
  return power * (rest <= 1.0001 ? 1 : rest <= 2.0001 ? 2 : rest <= 5.0001 ? 5 : 10);
}

static void power_label(double mantissa, int exponent, char *label, size_t size) {
  if (mantissa == 1)
    snprintf(label, size, "10^{%s%d}", exponent < 0 ? "−" : "", abs(exponent));
  else
    snprintf(label, size, "%.3g×10^{%s%d}", mantissa, exponent < 0 ? "−" : "", abs(exponent));
}

static void linear_label(double value, double step, double largest, char *label, size_t size) {
  if (fabs(value) < step * 1e-6) {
    snprintf(label, size, "0");
    return;
  }
  const char *sign = value < 0 ? "−" : "";
  double v = fabs(value);
  if (largest >= 1e5 || largest < 1e-3) {
    int exponent = (int)floor(log10(v) + 1e-9), digits = exponent - (int)floor(log10(step) + 1e-9);
    char power[32];
    snprintf(power, sizeof power, "×10^{%s%d}", exponent < 0 ? "−" : "", abs(exponent));
    snprintf(label, size, "%s%.*f%s", sign,
             digits < 0   ? 0
             : digits > 6 ? 6
                          : digits,
             v * pow(10, -exponent), power);
    return;
  }
  int decimals = (int)ceil(-log10(step) - 1e-9);
  snprintf(label, size, "%s%.*f", sign, decimals < 0 ? 0 : decimals > 8 ? 8 : decimals, v);
}

void mote_ticks_linear(double lower, double upper, int target, int widen, mote_ticks *ticks) {
  memset(ticks, 0, sizeof *ticks);
  if (!(isfinite(lower) && isfinite(upper)) || lower > upper) lower = 0, upper = 1;
  if (upper - lower <= 1e-9 * fmax(fabs(lower), fabs(upper))) {
    double half = lower == 0 ? 0.5 : fabs(lower) * 0.1;
    lower -= half;
    upper += half;
  }
  double step = round_step(upper - lower, target);
  double first = widen ? floor(lower / step + 1e-6) : ceil(lower / step - 1e-6);
  double last = widen ? ceil(upper / step - 1e-6) : floor(upper / step + 1e-6);
  ticks->lower = widen ? first * step : lower;
  ticks->upper = widen ? last * step : upper;
  double largest = fmax(fabs(first), fabs(last)) * step;
  for (double k = first; k <= last + 0.5 && ticks->count < MOTE_PLOT_TICKS; k++) {
    ticks->at[ticks->count] = k * step;
    linear_label(k * step, step, largest, ticks->label[ticks->count++], sizeof ticks->label[0]);
  }
}

static void add_tick(mote_ticks *ticks, double at) {
  if (ticks->count == MOTE_PLOT_TICKS || at < ticks->lower * (1 - 1e-9) || at > ticks->upper * (1 + 1e-9))
    return;
  ticks->at[ticks->count] = at;
  ticks->label[ticks->count++][0] = 0;
}

void mote_ticks_logarithmic(double lower, double upper, int target, mote_ticks *ticks) {
  memset(ticks, 0, sizeof *ticks);
  ticks->logarithmic = 1;
  if (!(isfinite(lower) && isfinite(upper)) || lower <= 0 || lower > upper) lower = 0.1, upper = 1;
  if (upper < lower * 1.0001) lower /= 2, upper *= 2;
  double spread = pow(upper / lower, 0.03);
  ticks->lower = lower / spread;
  ticks->upper = upper * spread;
  int first = (int)ceil(log10(ticks->lower) - 1e-9), last = (int)floor(log10(ticks->upper) + 1e-9);
  int whole = last - first + 1,
      stride = whole > target ? (whole + target - 1) / (target > 1 ? target : 1) : 1;
  int fine = whole <= 7;
  for (int e = first - 1; e <= last; e++) {
    int labelled = (e - first) % stride == 0, before = ticks->count;
    if (fine || labelled) add_tick(ticks, pow(10, e));
    if (ticks->count > before && labelled) power_label(1, e, ticks->label[before], sizeof ticks->label[0]);
    for (int m = 2; m <= 9 && fine; m++) {
      before = ticks->count;
      add_tick(ticks, m * pow(10, e));
      int wanted = whole < 2 && (ticks->upper / ticks->lower > 4 ? m == 2 || m == 5 : 1);
      if (ticks->count > before && wanted) power_label(m, e, ticks->label[before], sizeof ticks->label[0]);
    }
  }
}
