/* What mote-bench reduced found, as ratios, shares of a step, CSV and a picture. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cJSON.h>

#include "bench/reduced.h"
#include "host/core/error.h"
#include "host/core/file.h"
#include "host/render/plot.h"

#define PHASES 6
static const char *const phase_names[PHASES] = {"features", "graph",  "encoder",
                                                "layers",   "latent", "decoder"};

static void shares(const mote_stepper_phases *p, double share[PHASES]) {
  const double seconds[PHASES] = {p->features, p->graph, p->encode, p->layers, p->latent, p->decode};
  double sum = 0;
  for (int k = 0; k < PHASES; k++) sum += seconds[k];
  for (int k = 0; k < PHASES; k++) share[k] = sum > 0 ? seconds[k] / sum : 0;
}

static void print_shares(const char *what, const mote_stepper_phases *p) {
  double share[PHASES];
  shares(p, share);
  printf("%-20s", what);
  for (int k = 0; k < PHASES; k++) printf("  %s %.1f%%", phase_names[k], 100 * share[k]);
  printf("\n");
}

static void print_table(const reduced_table *t) {
  printf("\n%10s %12s %14s %14s %12s %14s %10s\n", "particles", "edges", "dense, ms", "Mote, ms", "step, ms",
         "reconstr., ms", "ratio");
  for (int k = 0; k < t->count; k++) {
    const reduced_row *r = &t->row[k];
    if (r->dense_ms > 0)
      printf("%10lld %12lld %14.2f %14.2f %12.2f %14.2f %9.1fx\n", (long long)r->n, (long long)r->edges,
             r->dense_ms, r->reduced_ms, r->step_ms, r->reconstruct_ms, r->dense_ms / r->reduced_ms);
    else
      printf("%10lld %12s %14s %14.2f %12.2f %14.2f   %s\n", (long long)r->n, "", "", r->reduced_ms,
             r->step_ms, r->reconstruct_ms, r->why);
  }
  const reduced_row *last = &t->row[t->count - 1];
  for (int k = t->count - 1; k >= 0 && !(last->dense_ms > 0); k--) last = &t->row[k];
  printf("\nshares of a step, each phase timed on its own:\n");
  if (last->dense_ms > 0) print_shares("dense network", &last->dense_phases);
  print_shares("Mote's step", &last->step_phases);
}

static void add_phases(cJSON *row, const char *name, const mote_stepper_phases *p) {
  double share[PHASES];
  shares(p, share);
  cJSON *object = cJSON_AddObjectToObject(row, name);
  for (int k = 0; k < PHASES; k++) cJSON_AddNumberToObject(object, phase_names[k], share[k]);
}

static void add_json(bench_context *bench, const reduced_table *t) {
  for (int k = 0; k < t->count; k++) {
    const reduced_row *r = &t->row[k];
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "name", "reduced/comparison");
    cJSON_AddNumberToObject(row, "n", (double)r->n);
    cJSON_AddNumberToObject(row, "mote_milliseconds", r->reduced_ms);
    cJSON_AddNumberToObject(row, "mote_step_milliseconds", r->step_ms);
    cJSON_AddNumberToObject(row, "mote_reconstruction_milliseconds", r->reconstruct_ms);
    cJSON_AddNumberToObject(row, "mote_memory_bytes", (double)r->reduced_bytes);
    add_phases(row, "mote_step_shares", &r->step_phases);
    if (r->dense_ms > 0) {
      cJSON_AddNumberToObject(row, "dense_milliseconds", r->dense_ms);
      cJSON_AddNumberToObject(row, "dense_edges", (double)r->edges);
      cJSON_AddNumberToObject(row, "dense_gflops", r->dense_gflops);
      cJSON_AddNumberToObject(row, "dense_memory_bytes", (double)r->dense_bytes);
      cJSON_AddNumberToObject(row, "ratio", r->dense_ms / r->reduced_ms);
      add_phases(row, "dense_shares", &r->dense_phases);
    } else {
      cJSON_AddStringToObject(row, "dense_not_measured", r->why);
    }
    cJSON_AddItemToArray(bench->results, row);
  }
}

static mote_status write_csv(const char *path, const reduced_table *t) {
  mote_output out = {0};
  MOTE_TRY(mote_output_open(path, &out));
  mote_status status = mote_output_printf(
      &out, "particles,edges,dense_ms,dense_bytes,mote_ms,mote_step_ms,mote_reconstruction_ms,mote_bytes\n");
  for (int k = 0; k < t->count && status == MOTE_OK; k++) {
    const reduced_row *r = &t->row[k];
    char dense[96] = ",,";
    if (r->dense_ms > 0)
      snprintf(dense, sizeof dense, "%lld,%.4f,%zu", (long long)r->edges, r->dense_ms, r->dense_bytes);
    status = mote_output_printf(&out, "%lld,%s,%.4f,%.4f,%.4f,%zu\n", (long long)r->n, dense, r->reduced_ms,
                                r->step_ms, r->reconstruct_ms, r->reduced_bytes);
  }
  if (status == MOTE_OK) return mote_output_commit(&out, 1);
  mote_output_discard(&out, 1);
  return status;
}

static mote_status write_plot(const bench_context *bench, const reduced_table *t) {
  double n[REDUCED_ROWS], dense[REDUCED_ROWS], reduced[REDUCED_ROWS], step[REDUCED_ROWS],
      dense_n[REDUCED_ROWS];
  int measured = 0;
  char title[160];
  snprintf(title, sizeof title, "Cost of a step on %s", mote_device_name(bench->device));
  for (int k = 0; k < t->count; k++) {
    n[k] = (double)t->row[k].n;
    reduced[k] = t->row[k].reduced_ms;
    step[k] = t->row[k].step_ms;
    if (!(t->row[k].dense_ms > 0)) continue;
    dense_n[measured] = n[k];
    dense[measured++] = t->row[k].dense_ms;
  }
  mote_plot plot = {.title = title,
                    .x_label = "particles",
                    .y_label = "milliseconds a step",
                    .log_x = 1,
                    .log_y = 1,
                    .series_count = 3,
                    .series = {{"dense graph network on all", measured, dense_n, dense, 1, 0, -1},
                               {"Mote: 1,000 stepped, all reconstructed", t->count, n, reduced, 1, 0, -1},
                               {"of that, the step", t->count, n, step, 0, 1, -1}}};
  return mote_plot_write_png(&plot, bench->plot);
}

mote_status reduced_report(bench_context *bench, const reduced_table *t) {
  print_table(t);
  add_json(bench, t);
  if (bench->csv) MOTE_TRY(write_csv(bench->csv, t));
  return bench->plot ? write_plot(bench, t) : MOTE_OK;
}
