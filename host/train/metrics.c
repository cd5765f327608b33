/* metrics.csv, metrics.png and the event file of a training.

   The trick: the picture is of the rows as metrics.csv has them, read back from the line just written; so a
   resumed training, which reads the lines of old rows, draws the same one. */
#include "host/train/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/core/error.h"
#include "host/core/file.h"
#include "host/core/text.h"
#include "host/render/plot.h"
#include "host/train/event_file.h"

static const char header[] =
    "step,samples,seconds,loss,rate,gradient_norm,validation_loss,validation_error\n";
enum { STEP, SAMPLES, SECONDS, LOSS, RATE, NORM, VALIDATION_LOSS, VALIDATION_ERROR, COLUMNS };
#define LINE 320 /* bytes; a longer one is no row */

/* What is drawn of a column: each point is the mean of `each` values, and where there are too many points,
   two become one. */
#define CURVE_POINTS 2048
typedef struct curve {
  int count;
  int64_t each, in_last;
  double x[CURVE_POINTS], y[CURVE_POINTS];
} curve;

#define CURVES 3
static const struct {
  const char *name;
  int column;
} drawn[CURVES] = {{"training loss", LOSS},
                   {"validation loss", VALIDATION_LOSS},
                   {"validation error of rollouts, m", VALIDATION_ERROR}};

struct mote_metrics {
  char *csv, *png;
  int fd; /* of metrics.csv */
  int64_t size;
  double seconds; /* of the rows before this training was opened */
  int undrawn;
  locale_t plain; /* a decimal comma would break the columns, whatever locale the program has */
  mote_event_file events;
  curve curve[CURVES];
};

/* ---- curves ---- */

static void halve(curve *c) {
  for (int k = 0; k < CURVE_POINTS / 2; k++) {
    c->x[k] = (c->x[2 * k] + c->x[2 * k + 1]) / 2;
    c->y[k] = (c->y[2 * k] + c->y[2 * k + 1]) / 2;
  }
  c->count = CURVE_POINTS / 2;
  c->each *= 2;
  c->in_last = c->each;
}

static void add_point(curve *c, double x, double y) {
  if (!isfinite(y)) return;
  if (!c->each) c->each = 1;
  if (c->count == CURVE_POINTS && c->in_last == c->each) halve(c);
  if (!c->count || c->in_last == c->each) {
    c->x[c->count] = c->y[c->count] = 0;
    c->count++;
    c->in_last = 0;
  }
  double part = 1.0 / (double)++c->in_last;
  c->x[c->count - 1] += part * (x - c->x[c->count - 1]);
  c->y[c->count - 1] += part * (y - c->y[c->count - 1]);
}

static mote_status draw(mote_metrics *m) {
  mote_plot plot = {.x_label = "step", .y_label = "loss, error", .log_y = 1};
  for (int k = 0; k < CURVES; k++) {
    const curve *c = &m->curve[k];
    if (!c->count) continue;
    plot.series[plot.series_count++] = (mote_plot_series){.name = drawn[k].name,
                                                          .count = c->count,
                                                          .x = c->x,
                                                          .y = c->y,
                                                          .markers = c->count < (k ? 60 : 2),
                                                          .color = k};
  }
  MOTE_TRY(mote_plot_write_png(&plot, m->png));
  m->undrawn = 0;
  return MOTE_OK;
}

/* ---- rows ---- */

static void format_row(const double value[COLUMNS], locale_t plain, char line[LINE]) {
  static const char *const formats[COLUMNS] = {"%.0f", "%.0f", "%.9g", "%.9g",
                                               "%.9g", "%.9g", "%.9g", "%.9g"};
  locale_t before = plain ? uselocale(plain) : (locale_t)0;
  int at = 0;
  for (int c = 0; c < COLUMNS; c++) {
    if (c) line[at++] = ',';
    if (!isnan(value[c])) at += snprintf(line + at, 32, formats[c], value[c]);
  }
  strcpy(line + at, "\n");
  if (plain) uselocale(before);
}

/* A cell of text[0, length): NaN where it is empty; 0 for what is no number. */
static int parse_cell(const char *text, size_t length, double *value) {
  *value = NAN;
  if (!length) return 1;
  int minus = *text == '-';
  if (length == 3u + (unsigned)minus && !memcmp(text + minus, "inf", 3)) {
    *value = minus ? -INFINITY : INFINITY;
    return 1;
  }
  return mote_parse_number(text, length, value) == length;
}

static int parse_row(const char *line, double value[COLUMNS]) {
  const char *end = strchr(line, '\n');
  for (int c = 0; end && c < COLUMNS; c++) {
    size_t length = strcspn(line, ",\n");
    if (line[length] != (c < COLUMNS - 1 ? ',' : '\n') || !parse_cell(line, length, &value[c])) return 0;
    line += length + 1;
  }
  return end && value[STEP] >= 0 && value[STEP] <= 9e15;
}

static void add_to_curves(mote_metrics *m, const double value[COLUMNS]) {
  for (int k = 0; k < CURVES; k++) add_point(&m->curve[k], value[STEP], value[drawn[k].column]);
  m->undrawn = 1;
}

/* ---- the file ---- */

/* The rows up to `step` and to the first line that is none. A first line that was torn is as good as none. */
static mote_status copy_rows(mote_metrics *m, FILE *old, int64_t step, mote_output *output) {
  char line[LINE];
  double value[COLUMNS];
  if (!fgets(line, sizeof line, old)) return MOTE_OK;
  if (strcmp(line, header)) {
    if (feof(old) && !strncmp(line, header, strlen(line))) return MOTE_OK;
    return mote_fail(MOTE_ERROR_FORMAT,
                     "%s has other columns than a training's: move it away to begin a new one", m->csv);
  }
  while (fgets(line, sizeof line, old) && parse_row(line, value)) {
    if (value[STEP] > (double)step) continue;
    MOTE_TRY(mote_output_write(output, line, strlen(line)));
    add_to_curves(m, value);
    if (value[SECONDS] > m->seconds && isfinite(value[SECONDS])) m->seconds = value[SECONDS];
  }
  return MOTE_OK;
}

static mote_status begin(mote_metrics *m, int64_t step, mote_output *output) {
  int fd;
  int64_t size;
  MOTE_TRY(mote_output_write(output, header, strlen(header)));
  if (step <= 0 || access(m->csv, F_OK) != 0) return MOTE_OK;
  MOTE_TRY(mote_file_open(m->csv, &fd, &size));
  FILE *old = fdopen(fd, "rb");
  mote_status status =
      old ? copy_rows(m, old, step, output) : mote_fail(MOTE_ERROR_MEMORY, "out of memory for %s", m->csv);
  old ? (void)fclose(old) : (void)close(fd);
  return status;
}

static mote_status rewrite(mote_metrics *m, int64_t step) {
  mote_output output = {0};
  MOTE_TRY(mote_output_open(m->csv, &output));
  mote_status status = begin(m, step, &output);
  m->size = output.written;
  if (status == MOTE_OK) return mote_output_commit(&output, 1);
  mote_output_discard(&output, 1);
  return status;
}

static mote_status open_files(mote_metrics *m, const char *folder, int64_t step) {
  size_t size = strlen(folder) + 32;
  m->csv = malloc(size);
  m->png = malloc(size);
  if (!m->csv || !m->png) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a training's metrics");
  snprintf(m->csv, size, "%s/metrics.csv", folder);
  snprintf(m->png, size, "%s/metrics.png", folder);
  MOTE_TRY(rewrite(m, step));
  m->fd = open(m->csv, O_WRONLY | O_CLOEXEC);
  if (m->fd < 0) return mote_fail(MOTE_ERROR_IO, "cannot write %s: %s", m->csv, strerror(errno));
  return mote_event_file_open(folder, step, &m->events);
}

static mote_status release(mote_metrics *m) {
  mote_status status = mote_event_file_close(&m->events);
  if (m->fd >= 0 && close(m->fd) != 0)
    status = mote_fail(MOTE_ERROR_IO, "cannot write %s: %s", m->csv, strerror(errno));
  if (m->plain) freelocale(m->plain);
  free(m->csv);
  free(m->png);
  free(m);
  return status;
}

/* ---- the interface ---- */

mote_status mote_metrics_open(const char *folder, int64_t step, mote_metrics **metrics) {
  mote_metrics *m = calloc(1, sizeof *m);
  *metrics = NULL;
  if (!m) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a training's metrics");
  m->fd = -1;
  m->undrawn = 1;
  m->plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
  mote_status status = open_files(m, folder, step);
  if (status != MOTE_OK) {
    (void)release(m);
    return status;
  }
  *metrics = m;
  return MOTE_OK;
}

mote_status mote_metrics_append(mote_metrics *m, const mote_metrics_row *row) {
  char line[LINE];
  double value[COLUMNS] = {
      (double)row->step, (double)row->samples, m->seconds + row->seconds, row->loss,
      row->rate,         row->gradient_norm,   row->validation_loss,      row->validation_error};
  const mote_event_scalar scalars[] = {{"train/loss", row->loss},
                                       {"train/rate", row->rate},
                                       {"train/gradient_norm", row->gradient_norm},
                                       {"validation/loss", row->validation_loss},
                                       {"validation/error", row->validation_error}};
  format_row(value, m->plain, line);
  int code = mote_pwrite_all(m->fd, line, strlen(line), m->size);
  if (code) return mote_fail(MOTE_ERROR_IO, "cannot write %s: %s", m->csv, strerror(code));
  m->size += (int64_t)strlen(line);
  if (parse_row(line, value)) add_to_curves(m, value);
  MOTE_TRY(mote_event_file_append(&m->events, row->step, scalars, (int)(sizeof scalars / sizeof *scalars)));
  return isnan(row->validation_loss) && isnan(row->validation_error) ? MOTE_OK : draw(m);
}

mote_status mote_metrics_close(mote_metrics *m) {
  if (!m) return MOTE_OK;
  mote_status status = m->undrawn ? draw(m) : MOTE_OK, closed = release(m);
  return status == MOTE_OK ? closed : status;
}
