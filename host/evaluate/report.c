/* Evaluations as a table and as CSV. The trick: a column of the table is a row of one list, and stands only
   where some row has a value for it. */
#include <mote/evaluate.h>

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/core/stdio_output.h"

/* ---- the table ---- */

typedef enum column_kind { MEAN, WORST, KINETIC, ADVANTAGE } column_kind;

static const struct {
  const char *above, *below, *format;
  column_kind kind;
  mote_metric metric;
  double scale;
} columns[] = {{"rel. L2 %", "mean", "%.4f", MEAN, MOTE_METRIC_RELATIVE_L2, 100},
               {"rel. L2 %", "worst", "%.4f", WORST, MOTE_METRIC_RELATIVE_L2, 100},
               {"RMSE mm", "mean", "%.4f", MEAN, MOTE_METRIC_RMSE, 1000},
               {"position mm", "mean", "%.4f", MEAN, MOTE_METRIC_POSITION, 1000},
               {"max mm", "worst", "%.3f", WORST, MOTE_METRIC_MAXIMUM, 1000},
               {"Chamfer mm", "mean", "%.4f", MEAN, MOTE_METRIC_CHAMFER, 1000},
               {"Sinkhorn mm", "mean", "%.4f", MEAN, MOTE_METRIC_SINKHORN, 1000},
               {"E_kin error %", "mean", "%.3f", KINETIC, MOTE_METRIC_KINETIC, 100},
               {"beyond mm", "worst", "%.3f", WORST, MOTE_METRIC_BEYOND, 1000},
               {"inside %", "least", "%.2f", WORST, MOTE_METRIC_INSIDE, 100},
               {"best trivial", "/ it", "%.3f", ADVANTAGE, MOTE_METRIC_POSITION, 1}};
#define COLUMNS ((int)(sizeof columns / sizeof *columns))

/* A row is a series of an evaluation; only its first has an advantage. */
typedef struct row {
  const mote_error_series *series;
  double advantage;
} row;

static double cell(const row *r, int column) {
  switch (columns[column].kind) {
  case MEAN: return mote_errors_get(&r->series->mean, columns[column].metric);
  case WORST: return mote_errors_get(&r->series->worst, columns[column].metric);
  case KINETIC: return r->series->kinetic_relative;
  default: return r->advantage;
  }
}

typedef struct table {
  FILE *out;
  int width; /* of names */
  int shown[COLUMNS];
} table;

static int column_width(int column) {
  size_t width = strlen(columns[column].above);
  return (int)(width > 10 ? width : 10);
}

static void put_row(const table *t, int indent, const char *name, const row *r) {
  fprintf(t->out, "%*s%-*s", indent, "", t->width - indent, name);
  for (int k = 0; k < COLUMNS; k++) {
    char text[64] = "-";
    double value = cell(r, k);
    if (!t->shown[k]) continue;
    if (isfinite(value)) snprintf(text, sizeof text, columns[k].format, value * columns[k].scale);
    fprintf(t->out, "  %*s", column_width(k), text);
  }
  fputc('\n', t->out);
}

static void put_header(const table *t) {
  int total = t->width;
  fprintf(t->out, "%-*s", t->width, "");
  for (int k = 0; k < COLUMNS; k++)
    if (t->shown[k]) fprintf(t->out, "  %*s", column_width(k), columns[k].above);
  fprintf(t->out, "\n%-*s", t->width, "reconstruction");
  for (int k = 0; k < COLUMNS; k++) {
    if (!t->shown[k]) continue;
    fprintf(t->out, "  %*s", column_width(k), columns[k].below);
    total += column_width(k) + 2;
  }
  fputc('\n', t->out);
  for (int k = 0; k < total; k++) fputc('-', t->out);
  fputc('\n', t->out);
}

/* One of several trajectories of a file, below their mean. */
static int is_part(const mote_evaluation *e) {
  return e->trajectory[0] && e->trajectories == 1;
}

/* Predictors are the same for all that share history and frames: once is enough. */
static int same_trivial(const mote_evaluation *a, const mote_evaluation *b) {
  if (a->trivial_count != b->trivial_count) return 0;
  for (int k = 0; k < a->trivial_count; k++)
    if (a->trivial[k].mean.position != b->trivial[k].mean.position) return 0;
  return 1;
}

/* Below the last one that they are for. */
static int shows_trivial(const mote_evaluation *e, int count, int k) {
  if (is_part(&e[k])) return 0;
  for (int other = k + 1; other < count; other++)
    if (!is_part(&e[other])) return !same_trivial(&e[k], &e[other]);
  return 1;
}

/* Goes through all rows; `write` 0 only measures them. */
static void visit(table *t, const mote_evaluation *e, int count, int write) {
  for (int k = 0; k < count; k++) {
    int part = is_part(&e[k]), groups = part ? 1 : e[k].group_count;
    int trivial = shows_trivial(e, count, k) ? e[k].trivial_count : 0;
    for (int g = 0; g < groups + trivial; g++) {
      const mote_error_series *s = g < groups ? &e[k].groups[g] : &e[k].trivial[g - groups];
      row r = {s, g == 0 ? e[k].advantage : NAN};
      const char *name = g ? s->name : part ? e[k].trajectory : e[k].name;
      int indent = g || part ? 2 : 0, needed = (int)strlen(name) + indent;
      if (write && g == groups) fprintf(t->out, "trivial predictors\n");
      if (write) put_row(t, indent, name, &r);
      if (needed > t->width) t->width = needed;
      for (int c = 0; c < COLUMNS; c++) t->shown[c] |= isfinite(cell(&r, c));
    }
  }
}

/* ---- notes below it ---- */

static void note_frames(FILE *out, const mote_evaluation *e) {
  const char *between = e->trajectory[0] ? " " : "";
  if (!e->finite && e->trajectories == 1)
    fprintf(out, "%s%s%s: not finite in frame %lld: %lld of %lld frames count\n", e->name, between,
            e->trajectory, (long long)e->frames, (long long)e->frames, (long long)e->truth_frames);
  else if (e->shared_frames < e->truth_frames && e->trajectories == 1)
    fprintf(out, "%s%s%s: ends after %lld of %lld frames\n", e->name, between, e->trajectory,
            (long long)e->frames, (long long)e->truth_frames);
  if (e->by_index)
    fprintf(out, "%s: %lld of %lld particles, those of its label \"index\"\n", e->name,
            (long long)e->particles[0], (long long)e->particles[1]);
}

static void note_history(FILE *out, const mote_evaluation *e) {
  static const char *sources[] = {"", "given", "the metadata's", "estimated from the history"};
  if (!e->history) return;
  fprintf(out, "%s: means are of the frames behind a history of %lld", e->name, (long long)e->history);
  if (e->gravity_source != MOTE_GRAVITY_NONE)
    fprintf(out, "; gravity (%.4g, %.4g, %.4g) m/frame^2, %s", e->gravity[0], e->gravity[1], e->gravity[2],
            sources[e->gravity_source]);
  if (e->best >= 0) fprintf(out, "; best trivial: %s", e->trivial[e->best].name);
  fputc('\n', out);
}

static void put_notes(FILE *out, const mote_evaluation *e, int count) {
  for (int k = 0; k < count; k++) {
    note_frames(out, &e[k]);
    if (!is_part(&e[k])) note_history(out, &e[k]);
    if (e[k].groups[0].worst.beyond_truth > 0 && !is_part(&e[k]))
      fprintf(out,
              "%s: of the truth, %.2f %% are inside in its worst frame, and none is farther than %.3f mm "
              "beyond the bounds\n",
              e[k].name, 100 * e[k].groups[0].worst.inside_truth, 1000 * e[k].groups[0].worst.beyond_truth);
    if (e[k].sinkhorn_blur > 0 && !is_part(&e[k]))
      fprintf(out, "%s: Sinkhorn distances of %lld particles, epsilon (%.4g m)^2\n", e[k].name,
              (long long)e[k].sinkhorn_points, e[k].sinkhorn_blur);
  }
}

mote_status mote_evaluation_table(const mote_evaluation *e, int count, char **text) {
  size_t size = 0;
  *text = NULL;
  table t = {.out = open_memstream(text, &size), .width = (int)strlen("reconstruction")};
  if (!t.out) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for the table of errors");
  visit(&t, e, count, 0);
  put_header(&t);
  visit(&t, e, count, 1);
  put_notes(t.out, e, count);
  if (!fclose(t.out)) return MOTE_OK;
  free(*text);
  *text = NULL;
  return mote_fail(MOTE_ERROR_MEMORY, "out of memory for the table of errors");
}

/* ---- CSV ---- */

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

static void put_csv_frame(FILE *out, const mote_evaluation *e, const mote_error_series *s, int64_t frame,
                          const char *prefix) {
  put_field(out, e->name);
  fprintf(out, ",%s", prefix);
  put_field(out, s->name);
  fprintf(out, ",%lld", (long long)frame);
  put_csv_number(out, e->frame_time > 0 ? e->start_time + e->frame_time * (double)frame : NAN);
  for (int k = 0; k < MOTE_METRICS; k++)
    put_csv_number(out, mote_errors_get(&s->frame[frame], (mote_metric)k));
  fputc(',', out);
  put_field(out, e->trajectory);
  fputc('\n', out);
}

static void put_csv(FILE *out, const mote_evaluation *e) {
  for (int64_t f = 0; f < e->frames; f++) {
    for (int g = 0; g < e->group_count; g++) put_csv_frame(out, e, &e->groups[g], f, "");
    for (int k = 0; k < e->trivial_count && f >= e->history; k++)
      put_csv_frame(out, e, &e->trivial[k], f, "trivial: ");
  }
}

mote_status mote_evaluation_write_csv(const mote_evaluation *e, int count, const char *path) {
  mote_stdio_output output;
  MOTE_TRY(mote_stdio_begin(path, 1, &output));
  /* A decimal comma would break the columns, whatever locale the program has. */
  locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0),
           before = plain ? uselocale(plain) : (locale_t)0;
  fputs("name,group,frame,time", output.file);
  for (int k = 0; k < MOTE_METRICS; k++) fprintf(output.file, ",%s", mote_metric_name((mote_metric)k));
  fputs(",trajectory\n", output.file);
  for (int k = 0; k < count; k++) put_csv(output.file, &e[k]);
  if (plain) {
    uselocale(before);
    freelocale(plain);
  }
  return mote_stdio_commit(&output);
}
