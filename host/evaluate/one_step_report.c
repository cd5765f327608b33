/* One-step errors as a table and as CSV. */
#include <mote/one_step.h>

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/core/error.h"
#include "host/core/stdio_output.h"

static const char *row_name(const mote_one_step *result, int row) {
  return row ? mote_trivial_name((mote_trivial)(row - 1)) : result->name;
}

static void put_row(FILE *out, int indent, const char *name, const mote_one_step_errors *e) {
  const double values[] = {e->acceleration, e->rmse * 1000, e->position * 1000, e->maximum * 1000};
  fprintf(out, "%*s%-*.60s", indent, "", 30 - indent, name);
  for (int k = 0; k < 4; k++) {
    if (isfinite(values[k]))
      fprintf(out, "  %14.6g", values[k]);
    else
      fprintf(out, "  %14s", "-");
  }
  fputc('\n', out);
}

mote_status mote_one_step_table(const mote_one_step *r, char **text) {
  static const char *sources[] = {"", "given", "the metadata's", "estimated from each history"};
  size_t size = 0;
  int64_t steps = 0;
  *text = NULL;
  FILE *out = open_memstream(text, &size);
  if (!out) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for the table of errors");
  fprintf(out, "%-30s  %14s  %14s  %14s  %14s\n", "", "acceleration", "RMSE mm", "position mm", "max mm");
  fprintf(out, "%-30s  %14s  %14s  %14s  %14s\n", "one step", "norm. RMSE", "next frame", "mean", "worst");
  for (int k = 0; k < 30 + 4 * 16; k++) fputc('-', out);
  fputc('\n', out);
  put_row(out, 0, r->name, &r->mean[0]);
  for (int k = 0; k < r->trajectories; k++) {
    if (r->trajectories > 1) put_row(out, 2, r->trajectory[k].name, &r->trajectory[k].mean[0]);
    steps += r->trajectory[k].steps;
  }
  fprintf(out, "trivial predictors\n");
  for (int k = 1; k < MOTE_ONE_STEP_ROWS; k++) put_row(out, 2, row_name(r, k), &r->mean[k]);
  fprintf(out, "%lld steps in %d trajector%s", (long long)steps, r->trajectories,
          r->trajectories == 1 ? "y" : "ies");
  if (r->gravity_source != MOTE_GRAVITY_NONE) fprintf(out, "; gravity %s", sources[r->gravity_source]);
  if (isfinite(r->advantage))
    fprintf(out, "; best trivial / model: %.3f (%s)", r->advantage, mote_trivial_name((mote_trivial)r->best));
  fputc('\n', out);
  if (!fclose(out)) return MOTE_OK;
  free(*text);
  *text = NULL;
  return mote_fail(MOTE_ERROR_MEMORY, "out of memory for the table of errors");
}

static void put_number(FILE *out, double value) {
  fputc(',', out);
  if (isfinite(value)) fprintf(out, "%.9g", value);
}

static void put_trajectory(FILE *out, const mote_one_step_trajectory *t) {
  for (int64_t k = 0; k < t->steps; k++)
    for (int row = 0; row < MOTE_ONE_STEP_ROWS; row++) {
      const mote_one_step_errors *e = &t->step[k][row];
      /* Group names of HDF5 that hold quotes or commas are nobody's. */
      fprintf(out, "%s,%s,%lld", t->name, row ? mote_trivial_name((mote_trivial)(row - 1)) : "model",
              (long long)t->frame[k]);
      put_number(out, e->acceleration);
      put_number(out, e->rmse);
      put_number(out, e->position);
      put_number(out, e->maximum);
      fputc('\n', out);
    }
}

mote_status mote_one_step_write_csv(const mote_one_step *r, const char *path) {
  mote_stdio_output output;
  MOTE_TRY(mote_stdio_begin(path, 1, &output));
  /* A decimal comma would break the columns, whatever locale the program has. */
  locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0),
           before = plain ? uselocale(plain) : (locale_t)0;
  fputs("trajectory,predictor,frame,acceleration,rmse,position,maximum\n", output.file);
  for (int k = 0; k < r->trajectories; k++) put_trajectory(output.file, &r->trajectory[k]);
  if (plain) {
    uselocale(before);
    freelocale(plain);
  }
  return mote_stdio_commit(&output);
}
