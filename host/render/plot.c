/* Line plots. The layout is worked out from the labels' own widths, so nothing overlaps; the legend takes the
   corner of the frame that the fewest points are in. */
#include "host/render/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/render/canvas.h"
#include "host/render/colormap.h"

static const mote_color ink = {32, 36, 44, 255}, faint = {32, 36, 44, 22}, frame_color = {32, 36, 44, 150};

typedef struct layout {
  float unit; /* px: the size of ordinary text */
  float x0, y0, x1, y1;
  mote_ticks x, y;
} layout;

static int usable(const mote_plot *plot, double x, double y) {
  return isfinite(x) && isfinite(y) && (!plot->log_x || x > 0) && (!plot->log_y || y > 0);
}

static void find_range(const mote_plot *plot, double x[2], double y[2], int64_t *points) {
  x[0] = y[0] = INFINITY;
  x[1] = y[1] = -INFINITY;
  *points = 0;
  for (int s = 0; s < plot->series_count; s++)
    for (int64_t k = 0; k < plot->series[s].count; k++) {
      double px = plot->series[s].x[k], py = plot->series[s].y[k];
      if (!usable(plot, px, py)) continue;
      x[0] = fmin(x[0], px);
      x[1] = fmax(x[1], px);
      y[0] = fmin(y[0], py);
      y[1] = fmax(y[1], py);
      ++*points;
    }
}

static float place(const mote_ticks *ticks, double value, float begin, float end) {
  double t = ticks->logarithmic ? log(value / ticks->lower) / log(ticks->upper / ticks->lower)
                                : (value - ticks->lower) / (ticks->upper - ticks->lower);
  return begin + (float)t * (end - begin);
}

static float widest_label(const mote_ticks *ticks, float size) {
  float width = 0;
  for (int k = 0; k < ticks->count; k++) width = fmaxf(width, mote_text_width(ticks->label[k], size));
  return width;
}

static void make_layout(const mote_plot *plot, const mote_image *image, int64_t *points, layout *l) {
  double x[2], y[2];
  find_range(plot, x, y, points);
  if (plot->y_from_zero && !plot->log_y && y[0] > 0) y[0] = 0;
  float u = l->unit = fmaxf(11, (float)image->height / 34);
  if (plot->log_y)
    mote_ticks_logarithmic(y[0], y[1], 7, &l->y);
  else
    mote_ticks_linear(y[0], y[1], 6, 1, &l->y);
  l->y0 = plot->title ? 3.1f * u : 1.4f * u;
  l->y1 = (float)image->height - (plot->x_label ? 4.1f : 2.4f) * u;
  l->x0 = widest_label(&l->y, u) + (plot->y_label ? 3.2f : 1.6f) * u;
  l->x1 = (float)image->width - 1.9f * u;
  if (plot->log_x)
    mote_ticks_logarithmic(x[0], x[1], 8, &l->x);
  else
    mote_ticks_linear(x[0], x[1], 8, 0, &l->x);
}

static void draw_axes(mote_canvas *canvas, const mote_plot *plot, const layout *l) {
  float u = l->unit, tick = 0.32f * u;
  mote_text_style text = {u, 1, MOTE_ALIGN_CENTER, 0, ink};
  float last = -1e9f;
  for (int k = 0; k < l->x.count; k++) {
    float x = place(&l->x, l->x.at[k], l->x0, l->x1);
    int major = l->x.label[k][0] != 0;
    if (major) mote_canvas_line(canvas, x, l->y0, x, l->y1, 1, faint);
    mote_canvas_line(canvas, x, l->y1, x, l->y1 - (major ? tick : tick / 2), 1, frame_color);
    float half = mote_text_width(l->x.label[k], u) / 2;
    if (!major || x - half < last + 0.5f * u) continue;
    mote_canvas_text(canvas, x, l->y1 + 1.35f * u, l->x.label[k], &text);
    last = x + half;
  }
  text.align = MOTE_ALIGN_RIGHT;
  for (int k = 0; k < l->y.count; k++) {
    float y = place(&l->y, l->y.at[k], l->y1, l->y0);
    int major = l->y.label[k][0] != 0;
    if (major) mote_canvas_line(canvas, l->x0, y, l->x1, y, 1, faint);
    mote_canvas_line(canvas, l->x0, y, l->x0 + (major ? tick : tick / 2), y, 1, frame_color);
    mote_canvas_text(canvas, l->x0 - 0.5f * u, y + 0.35f * u, l->y.label[k], &text);
  }
  mote_segment frame[4] = {{l->x0, l->y0, l->x1, l->y0},
                           {l->x1, l->y0, l->x1, l->y1},
                           {l->x1, l->y1, l->x0, l->y1},
                           {l->x0, l->y1, l->x0, l->y0}};
  mote_canvas_stroke(canvas, frame, 4, 1.2f, frame_color, NULL);
  text.align = MOTE_ALIGN_CENTER;
  if (plot->x_label) mote_canvas_text(canvas, (l->x0 + l->x1) / 2, l->y1 + 3.1f * u, plot->x_label, &text);
  text.vertical = 1;
  if (plot->y_label) mote_canvas_text(canvas, 1.5f * u, (l->y0 + l->y1) / 2, plot->y_label, &text);
  mote_text_style title = {1.2f * u, 1.35f, MOTE_ALIGN_CENTER, 0, ink};
  if (plot->title) mote_canvas_text(canvas, (l->x0 + l->x1) / 2, l->y0 - 1.1f * u, plot->title, &title);
}

static mote_color series_color(const mote_plot *plot, int s) {
  const uint8_t *c = mote_palette[(plot->series[s].color >= 0 ? plot->series[s].color : s) % 16];
  return MOTE_RGB(c[0], c[1], c[2]);
}

/* Appends the segment a-b, cut into dashes; `phase` is the length walked so far. */
static int add_dashes(mote_segment *out, int count, int limit, mote_segment line, float unit, float *phase) {
  float length = hypotf(line.x1 - line.x0, line.y1 - line.y0), period = unit * 0.9f, on = period * 0.6f;
  if (!(length > 0) || !isfinite(length)) return count;
  float dx = (line.x1 - line.x0) / length, dy = (line.y1 - line.y0) / length;
  for (float s = 0; s < length && count < limit;) {
    float within = fmodf(*phase, period), step = (within < on ? on : period) - within;
    step = fmaxf(fminf(step, length - s), 0.01f);
    if (within < on)
      out[count++] = (mote_segment){line.x0 + dx * s, line.y0 + dy * s, line.x0 + dx * (s + step),
                                    line.y0 + dy * (s + step)};
    s += step;
    *phase += step;
  }
  return count;
}

static mote_status draw_series(mote_canvas *canvas, const mote_plot *plot, int index, const layout *l) {
  const mote_plot_series *s = &plot->series[index];
  int64_t limit = s->count + (s->dashed ? (int64_t)1 << 16 : 0);
  if (s->count <= 0) return MOTE_OK;
  if (limit > INT32_MAX / 2)
    return mote_fail(MOTE_ERROR_ARGUMENT, "plot: a series of %lld points is too long", (long long)s->count);
  mote_segment *segments = malloc((size_t)limit * sizeof *segments);
  if (!segments)
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a plot of %lld points", (long long)s->count);
  const float clip[4] = {l->x0, l->y0, l->x1, l->y1};
  mote_color color = series_color(plot, index);
  float px = 0, py = 0, phase = 0, width = 0.14f * l->unit;
  int count = 0, joined = 0;
  for (int64_t k = 0; k < s->count; k++) {
    if (!usable(plot, s->x[k], s->y[k])) {
      joined = 0;
      continue;
    }
    float x = place(&l->x, s->x[k], l->x0, l->x1), y = place(&l->y, s->y[k], l->y1, l->y0);
    mote_segment line = joined ? (mote_segment){px, py, x, y} : (mote_segment){x, y, x, y};
    if (s->dashed && joined)
      count = add_dashes(segments, count, (int)limit, line, l->unit, &phase);
    else if (count < limit)
      segments[count++] = line;
    joined = 1;
    px = x;
    py = y;
  }
  mote_canvas_stroke(canvas, segments, count, width, color, clip);
  for (int64_t k = 0; k < s->count && s->markers; k++) {
    if (!usable(plot, s->x[k], s->y[k])) continue;
    float x = place(&l->x, s->x[k], l->x0, l->x1), y = place(&l->y, s->y[k], l->y1, l->y0);
    mote_canvas_disc(canvas, x, y, 0.36f * l->unit, MOTE_RGB(255, 255, 255));
    mote_canvas_disc(canvas, x, y, 0.27f * l->unit, color);
  }
  free(segments);
  return MOTE_OK;
}

static int64_t points_inside(const mote_plot *plot, const layout *l, const float box[4]) {
  int64_t inside = 0;
  for (int s = 0; s < plot->series_count; s++)
    for (int64_t k = 1; k < plot->series[s].count; k++) {
      const mote_plot_series *p = &plot->series[s];
      if (!usable(plot, p->x[k], p->y[k]) || !usable(plot, p->x[k - 1], p->y[k - 1])) continue;
      for (int step = 0; step <= 8; step++) { /* along the line too: a legend must not lie on one */
        float t = (float)step / 8;
        float ax = place(&l->x, p->x[k - 1], l->x0, l->x1), bx = place(&l->x, p->x[k], l->x0, l->x1);
        float ay = place(&l->y, p->y[k - 1], l->y1, l->y0), by = place(&l->y, p->y[k], l->y1, l->y0);
        float x = ax + t * (bx - ax), y = ay + t * (by - ay);
        inside += x > box[0] && x < box[2] && y > box[1] && y < box[3];
      }
    }
  return inside;
}

static void draw_legend(mote_canvas *canvas, const mote_plot *plot, const layout *l) {
  float u = l->unit, widest = 0;
  int entries = 0;
  for (int s = 0; s < plot->series_count; s++) {
    if (!plot->series[s].name) continue;
    widest = fmaxf(widest, mote_text_width(plot->series[s].name, u));
    entries++;
  }
  if (!entries) return;
  float w = widest + 4.0f * u, h = (float)entries * 1.55f * u + 0.7f * u, gap = 0.7f * u, best[4] = {0};
  int64_t fewest = INT64_MAX;
  for (int corner = 0; corner < 6; corner++) { /* right, left, middle; top, then bottom */
    int side = corner % 3;
    float x = side == 0 ? l->x1 - gap - w : side == 1 ? l->x0 + gap : (l->x0 + l->x1 - w) / 2;
    float y = corner >= 3 ? l->y1 - gap - h : l->y0 + gap;
    float box[4] = {x, y, x + w, y + h};
    int64_t inside = points_inside(plot, l, box);
    if (inside >= fewest) continue;
    fewest = inside;
    memcpy(best, box, sizeof best);
  }
  mote_canvas_fill(canvas, best[0], best[1], best[2], best[3], 0.3f * u, (mote_color){255, 255, 255, 225});
  float y = best[1] + 1.1f * u;
  for (int s = 0; s < plot->series_count; s++) {
    if (!plot->series[s].name) continue;
    mote_segment sample[8];
    float phase = 0;
    mote_segment line = {best[0] + 0.6f * u, y, best[0] + 2.6f * u, y};
    int count = plot->series[s].dashed ? add_dashes(sample, 0, 8, line, u, &phase) : (sample[0] = line, 1);
    mote_canvas_stroke(canvas, sample, count, 0.14f * u, series_color(plot, s), NULL);
    if (plot->series[s].markers)
      mote_canvas_disc(canvas, best[0] + 1.6f * u, y, 0.27f * u, series_color(plot, s));
    mote_text_style text = {u, 1, MOTE_ALIGN_LEFT, 0, ink};
    mote_canvas_text(canvas, best[0] + 3.2f * u, y + 0.35f * u, plot->series[s].name, &text);
    y += 1.55f * u;
  }
}

mote_status mote_plot_draw(const mote_plot *plot, mote_image *image) {
  if (plot->series_count < 0 || plot->series_count > MOTE_PLOT_SERIES)
    return mote_fail(MOTE_ERROR_ARGUMENT, "plot of %d series: at most %d", plot->series_count,
                     MOTE_PLOT_SERIES);
  MOTE_TRY(mote_image_create(plot->width ? plot->width : 1200, plot->height ? plot->height : 750, image));
  mote_canvas canvas;
  mote_status status = mote_canvas_create(image, &canvas);
  layout l;
  int64_t points;
  if (status == MOTE_OK) {
    make_layout(plot, image, &points, &l);
    draw_axes(&canvas, plot, &l);
    for (int s = 0; s < plot->series_count && status == MOTE_OK; s++)
      status = draw_series(&canvas, plot, s, &l);
    mote_text_style note = {l.unit, 1, MOTE_ALIGN_CENTER, 0, {120, 124, 132, 255}};
    if (!points)
      mote_canvas_text(&canvas, (l.x0 + l.x1) / 2, (l.y0 + l.y1) / 2, "no data", &note);
    else
      draw_legend(&canvas, plot, &l);
    mote_canvas_destroy(&canvas);
  }
  if (status != MOTE_OK) mote_image_destroy(image);
  return status;
}

mote_status mote_plot_write_png(const mote_plot *plot, const char *path) {
  mote_image image;
  MOTE_TRY(mote_plot_draw(plot, &image));
  mote_status status = mote_image_write_png(&image, path);
  mote_image_destroy(&image);
  return status;
}
