/* Error against time as a plot. */
#include <mote/evaluate.h>

#include <math.h>
#include <stdlib.h>

#include "host/core/error.h"
#include "host/render/plot.h"

static const struct {
  const char *label;
  double scale;
} axes[MOTE_METRICS] = {{"relative L2 error (%)", 100},
                        {"RMSE (m)", 1},
                        {"largest error (m)", 1},
                        {"Chamfer distance (m)", 1},
                        {"mean position error (m)", 1},
                        {"Sinkhorn distance (m)", 1},
                        {"kinetic energy per unit mass (J/kg)", 1},
                        {"kinetic energy of the truth per unit mass (J/kg)", 1},
                        {"farthest beyond the bounds (mm)", 1000},
                        {"farthest of the truth beyond the bounds (mm)", 1000},
                        {"particles inside the bounds (%)", 100},
                        {"particles of the truth inside the bounds (%)", 100}};

/* x and y of one line, without the frames that have no value, so that a Chamfer distance of every tenth frame
   is still a line. Returns the number of points. */
static int64_t trace(const mote_evaluation *e, const mote_error_series *s, mote_metric kind, double *x,
                     double *y) {
  int64_t count = 0;
  for (int64_t f = 0; f < e->frames; f++) {
    double value = mote_errors_get(&s->frame[f], kind) * axes[kind].scale;
    if (!isfinite(value)) continue;
    x[count] = e->frame_time > 0 ? e->start_time + e->frame_time * (double)f : (double)f;
    y[count++] = value;
  }
  return count;
}

typedef struct line {
  const mote_evaluation *from;
  const mote_error_series *series;
  const char *name;
} line;

/* The lines that fit, predictors last. */
static int list_lines(const mote_evaluation *e, int count, line lines[MOTE_PLOT_SERIES]) {
  int plain = count > 1 ? count : e->group_count, total = 0, room = MOTE_PLOT_SERIES - e->trivial_count;
  for (int k = 0; k < plain && total < room; k++) {
    const mote_evaluation *from = count > 1 ? &e[k] : e;
    const mote_error_series *s = &from->groups[count > 1 ? 0 : k];
    lines[total++] = (line){from, s, count > 1 ? from->name : plain > 1 ? s->name : NULL};
  }
  if (total == 1 && e->trivial_count) lines[0].name = e->name;
  for (int k = 0; k < e->trivial_count && total < MOTE_PLOT_SERIES; k++)
    lines[total++] = (line){e, &e->trivial[k], e->trivial[k].name};
  return total;
}

mote_status mote_evaluation_plot(const mote_evaluation *e, int count, mote_metric kind, int log_y,
                                 const char *path) {
  if (count < 1 || count > MOTE_PLOT_SERIES)
    return mote_fail(MOTE_ERROR_ARGUMENT, "plot of %d evaluations: expected 1 to %d", count,
                     MOTE_PLOT_SERIES);
  line lines[MOTE_PLOT_SERIES];
  int total = list_lines(e, count, lines);
  int64_t most = 1;
  for (int k = 0; k < count; k++) most = most > e[k].frames ? most : e[k].frames;
  double *data = malloc((size_t)total * 2 * (size_t)most * sizeof *data);
  if (!data) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a plot");
  mote_plot plot = {.title = count == 1 ? e->name : NULL,
                    .x_label = e->frame_time > 0 ? "time (s)" : "frame",
                    .y_label = axes[kind].label,
                    .log_y = log_y,
                    .y_from_zero = 1,
                    .series_count = total};
  for (int k = 0; k < total; k++) {
    double *x = data + 2 * k * most, *y = x + most;
    plot.series[k] = (mote_plot_series){.name = lines[k].name,
                                        .count = trace(lines[k].from, lines[k].series, kind, x, y),
                                        .x = x,
                                        .y = y,
                                        .dashed = k >= total - e->trivial_count,
                                        .color = -1};
    plot.series[k].markers = plot.series[k].count == 1;
  }
  mote_status status = mote_plot_write_png(&plot, path);
  free(data);
  return status;
}
