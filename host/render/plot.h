/* Line plots to PNG: several series, linear or logarithmic axes with round ticks, legend, labels. Values that
   are not finite (or not positive on a logarithmic axis) leave a gap. */
#ifndef MOTE_RENDER_PLOT_H
#define MOTE_RENDER_PLOT_H

#include <mote/render.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_PLOT_SERIES 12
#define MOTE_PLOT_TICKS 80

typedef struct mote_plot_series {
  const char *name; /* in the legend; NULL: not there */
  int64_t count;
  const double *x, *y; /* (count) */
  int markers;         /* discs at the points */
  int dashed;
  int color; /* index into the palette; -1: by position */
} mote_plot_series;

typedef struct mote_plot {
  const char *title, *x_label, *y_label; /* or NULL */
  int log_x, log_y;
  int y_from_zero;   /* a linear y axis begins at 0 */
  int width, height; /* px; 0: 1200 x 750 */
  int series_count;
  mote_plot_series series[MOTE_PLOT_SERIES];
} mote_plot;

/* Draws the plot into a new image. With nothing to draw the axes are still there, and a note that says so. */
mote_status mote_plot_draw(const mote_plot *plot, mote_image *image);
mote_status mote_plot_write_png(const mote_plot *plot, const char *path);

/* ---- Ticks ---- */

typedef struct mote_ticks {
  int count;
  int logarithmic;
  double lower, upper; /* of the axis, widened to what is round */
  double at[MOTE_PLOT_TICKS];
  char label[MOTE_PLOT_TICKS][64]; /* "" for a minor tick */
} mote_ticks;

/* About `target` ticks at 1, 2 or 5 times a power of ten over [lower, upper], which is widened to round
   numbers with `widen`; a range without extent gets one about its value. Logarithmic: powers of ten, and
   between them 2..9 without labels where there are few. */
void mote_ticks_linear(double lower, double upper, int target, int widen, mote_ticks *ticks);
void mote_ticks_logarithmic(double lower, double upper, int target, mote_ticks *ticks);

#ifdef __cplusplus
}
#endif
#endif
