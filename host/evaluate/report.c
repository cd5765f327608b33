/* Evaluations as a table, as CSV and as a plot. */
#include <mote/evaluate.h>

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/core/stdio_output.h"
#include "host/render/plot.h"

#define COLUMNS 6

static void put_cell(FILE *out, double value, double scale, const char *format, int width) {
  char text[64];
  if (isfinite(value))
    snprintf(text, sizeof text, format, value * scale);
  else
    snprintf(text, sizeof text, "-");
  fprintf(out, "  %*s", width, text);
}

static int widest_name(const mote_evaluation *e, int count) {
  size_t width = strlen("reconstruction");
  for (int k = 0; k < count; k++) {
    size_t length = strlen(e[k].name);
    for (int g = 0; g < e[k].group_count; g++) {
      size_t inner = strlen(e[k].groups[g].name) + 2;
      width = width > inner ? width : inner;
    }
    width = width > length ? width : length;
  }
  return (int)width;
}

static void put_row(FILE *out, int width, const char *indent, const char *name, const mote_error_series *s) {
  fprintf(out, "%s%-*s", indent, width - (int)strlen(indent), name);
  put_cell(out, s->mean.relative_l2, 100, "%.4f", 12);
  put_cell(out, s->worst.relative_l2, 100, "%.4f", 12);
  put_cell(out, s->mean.rmse, 1000, "%.4f", 12);
  put_cell(out, s->worst.maximum, 1000, "%.3f", 12);
  put_cell(out, s->mean.chamfer, 1000, "%.4f", 12);
  put_cell(out, s->worst.chamfer, 1000, "%.4f", 12);
  fputc('\n', out);
}

mote_status mote_evaluation_table(const mote_evaluation *e, int count, char **text) {
  size_t size = 0;
  *text = NULL;
  FILE *out = open_memstream(text, &size);
  if (!out) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for the table of errors");
  const char *above[COLUMNS] = {"rel. L2 %", "rel. L2 %", "RMSE mm", "max mm", "Chamfer mm", "Chamfer mm"};
  const char *below[COLUMNS] = {"mean", "worst", "mean", "worst", "mean", "worst"};
  int width = widest_name(e, count);
  fprintf(out, "%-*s", width, "");
  for (int k = 0; k < COLUMNS; k++) fprintf(out, "  %12s", above[k]);
  fprintf(out, "\n%-*s", width, "reconstruction");
  for (int k = 0; k < COLUMNS; k++) fprintf(out, "  %12s", below[k]);
  fputc('\n', out);
  for (int k = 0; k < width + COLUMNS * 14; k++) fputc('-', out);
  fputc('\n', out);
  for (int k = 0; k < count; k++) {
    put_row(out, width, "", e[k].name, &e[k].groups[0]);
    for (int g = 1; g < e[k].group_count; g++)
      put_row(out, width, "  ", e[k].groups[g].name, &e[k].groups[g]);
  }
  if (!fclose(out)) return MOTE_OK;
  free(*text);
  *text = NULL;
  return mote_fail(MOTE_ERROR_MEMORY, "out of memory for the table of errors");
}

static void put_field(FILE *out, const char *text) { /* RFC 4180 */
  if (!strpbrk(text, ",\"\n\r")) {
    fputs(text, out);
    return;
  }
  fputc('"', out);
  for (; *text; text++) {
    if (*text == '"') fputc('"', out);
    fputc(*text, out);
  }
  fputc('"', out);
}

static void put_csv_number(FILE *out, double value) {
  fputc(',', out);
  if (isfinite(value)) fprintf(out, "%.9g", value);
}

static void put_csv(FILE *out, const mote_evaluation *e) {
  for (int64_t f = 0; f < e->frames; f++)
    for (int g = 0; g < e->group_count; g++) {
      const mote_errors *x = &e->groups[g].frame[f];
      put_field(out, e->name);
      fputc(',', out);
      put_field(out, e->groups[g].name);
      fprintf(out, ",%lld", (long long)f);
      put_csv_number(out, e->frame_time > 0 ? e->frame_time * (double)f : NAN);
      put_csv_number(out, x->relative_l2);
      put_csv_number(out, x->rmse);
      put_csv_number(out, x->maximum);
      put_csv_number(out, x->chamfer);
      fputc('\n', out);
    }
}

mote_status mote_evaluation_write_csv(const mote_evaluation *e, int count, const char *path) {
  mote_stdio_output output;
  MOTE_TRY(mote_stdio_begin(path, 1, &output));
  /* A decimal comma would break the columns, whatever locale the program has. */
  locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0),
           before = plain ? uselocale(plain) : (locale_t)0;
  fputs("name,group,frame,time,relative_l2,rmse,maximum,chamfer\n", output.file);
  for (int k = 0; k < count; k++) put_csv(output.file, &e[k]);
  if (plain) {
    uselocale(before);
    freelocale(plain);
  }
  return mote_stdio_commit(&output);
}

/* ---- The plot ---- */

static double pick(const mote_errors *x, mote_metric kind) {
  return kind == MOTE_METRIC_RELATIVE_L2 ? x->relative_l2 * 100
         : kind == MOTE_METRIC_RMSE      ? x->rmse
         : kind == MOTE_METRIC_MAXIMUM   ? x->maximum
                                         : x->chamfer;
}

/* x and y of one line, without the frames that have no value, so that a Chamfer distance of every tenth frame
   is still a line. Returns the number of points. */
static int64_t trace(const mote_evaluation *e, const mote_error_series *s, mote_metric kind, double *x,
                     double *y) {
  int64_t count = 0;
  for (int64_t f = 0; f < e->frames; f++) {
    double value = pick(&s->frame[f], kind);
    if (!isfinite(value)) continue;
    x[count] = e->frame_time > 0 ? e->frame_time * (double)f : (double)f;
    y[count++] = value;
  }
  return count;
}

mote_status mote_evaluation_plot(const mote_evaluation *e, int count, mote_metric kind, int log_y,
                                 const char *path) {
  static const char *labels[] = {"relative L2 error (%)", "RMSE (m)", "largest error (m)",
                                 "Chamfer distance (m)"};
  if (count < 1 || count > MOTE_PLOT_SERIES)
    return mote_fail(MOTE_ERROR_ARGUMENT, "plot of %d evaluations: expected 1 to %d", count,
                     MOTE_PLOT_SERIES);
  int lines = count > 1 ? count : e->group_count;
  if (lines > MOTE_PLOT_SERIES) lines = MOTE_PLOT_SERIES;
  int64_t most = 1;
  for (int k = 0; k < count; k++) most = most > e[k].frames ? most : e[k].frames;
  double *data = malloc((size_t)lines * 2 * (size_t)most * sizeof *data);
  if (!data) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a plot");
  mote_plot plot = {.x_label = e->frame_time > 0 ? "time (s)" : "frame",
                    .y_label = labels[kind],
                    .log_y = log_y,
                    .y_from_zero = 1,
                    .series_count = lines};
  for (int k = 0; k < lines; k++) {
    const mote_evaluation *from = count > 1 ? &e[k] : e;
    const mote_error_series *s = &from->groups[count > 1 ? 0 : k];
    double *x = data + 2 * k * most, *y = x + most;
    plot.series[k] = (mote_plot_series){.name = count > 1   ? from->name
                                                : lines > 1 ? s->name
                                                            : NULL,
                                        .count = trace(from, s, kind, x, y),
                                        .x = x,
                                        .y = y,
                                        .color = -1};
    plot.series[k].markers = plot.series[k].count == 1;
  }
  if (count == 1) plot.title = e->name;
  mote_status status = mote_plot_write_png(&plot, path);
  free(data);
  return status;
}
