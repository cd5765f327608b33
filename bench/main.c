/* mote-bench: times Mote's parts on one device, against ceilings measured in the same run; a table on
   standard output, JSON with --json. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include <cJSON.h>

#include "bench/bench.h"
#include "host/core/error.h"
#include "host/core/file.h"

typedef struct bench_case {
  const char *name, *summary;
  mote_status (*run)(bench_context *bench);
} bench_case;

static const bench_case cases[] = {
    {"neighbor", "radius graph and nearest neighbour", bench_neighbor},
    {"mpm", "material point method, 8 particles a cell", bench_mpm},
    {"reconstruct", "reduced-order operator, sparse to dense", bench_reconstruct},
    {"layers", "edge block and dense layers of width 128", bench_layers},
    {"reduced", "a dense graph network on all against Mote on 1,000", bench_reduced},
    {"train", "a step of training a time-stepper", bench_train},
};
#define CASES ((int)(sizeof cases / sizeof *cases))

void bench_add(bench_context *bench, const bench_result *r) {
  cJSON *row = cJSON_CreateObject();
  cJSON_AddStringToObject(row, "name", r->name);
  cJSON_AddNumberToObject(row, "n", (double)r->n);
  cJSON_AddNumberToObject(row, "milliseconds", 1e3 * r->seconds);
  cJSON_AddNumberToObject(row, "spread", r->spread);
  cJSON_AddNumberToObject(row, "memory_bytes", (double)r->memory);
  if (r->unit) {
    cJSON_AddNumberToObject(row, "rate", r->rate);
    cJSON_AddStringToObject(row, "rate_unit", r->unit);
  }
  double bandwidth = r->bytes / r->seconds / bench->peaks.bandwidth;
  double arithmetic = r->operations / r->seconds / bench->peaks.dense;
  if (r->bytes > 0) cJSON_AddNumberToObject(row, "share_of_bandwidth", bandwidth);
  if (r->operations > 0) cJSON_AddNumberToObject(row, "share_of_arithmetic", arithmetic);
  cJSON_AddItemToArray(bench->results, row);
  char rate[48] = "";
  if (r->unit) snprintf(rate, sizeof rate, "%.4g %s", r->rate, r->unit);
  printf("%-34s %10lld %11.3f %7.0f%% %9.1f %7.1f%% %7.1f%%  %s\n", r->name, (long long)r->n,
         1e3 * r->seconds, 100 * r->spread, 1e-6 * (double)r->memory, 100 * bandwidth, 100 * arithmetic,
         rate);
  fflush(stdout);
}

static void usage(FILE *out) {
  fprintf(out, "usage: mote-bench [CASE ...] [options]\n\ncases (all by default):\n");
  for (int k = 0; k < CASES; k++) fprintf(out, "  %-12s %s\n", cases[k].name, cases[k].summary);
  fprintf(out,
          "\noptions:\n"
          "  --device NAME    auto, cpu, cuda or cuda:N (auto)\n"
          "  --threads N      CPU threads; 0 for all (0)\n"
          "  --precision P    dense layers: float32, bfloat16x3, bfloat16x2, tf32 or bfloat16 (float32);\n"
          "                   the second and third on CPUs with AMX, all on GPUs\n"
          "  --size N         particles or points, instead of each case's own sizes\n"
          "  --material NAME  mpm: newtonian or drucker_prager alone\n"
          "  --quick          small sizes: under a minute on two cores\n"
          "  --json FILE      write the results as JSON\n"
          "  --csv FILE       reduced: the comparison as CSV\n"
          "  --plot FILE.png  reduced: cost against particles\n"
          "  --model NAME     train: giorom or gns alone, or a model's folder\n"
          "  --batch B        train: examples a step (2, or all of the input)\n"
          "  --input T.h5     train: trajectories, an example each, for a model's folder\n"
          "  --save FOLDER    train: leaves the model and its examples (batch.h5) there\n"
          "  --gradients F    train: the gradient of the first example's loss, as safetensors\n"
          "  -h, --help       this text\n");
}

typedef struct bench_options {
  const char *device, *json, *precision;
  int threads;
  int chosen[CASES];
} bench_options;

static int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int complain(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("mote-bench: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  return 2;
}

/* Both say -1 to go on, else the exit code. */

static int read_count(const char *word, const char *text, int64_t low, int64_t high, int64_t *count) {
  char *end;
  errno = 0;
  long long value = strtoll(text, &end, 10);
  if (errno || end == text || *end || value < low || value > high)
    return complain("%s is '%s': expected %lld to %lld", word, text, (long long)low, (long long)high);
  *count = value;
  return -1;
}

/* Options of `train` that make sense together alone. */
static int check_train(const bench_context *bench, const bench_options *o, int any) {
  const bench_train_options *t = &bench->train;
  int given = t->model || t->input || t->save || t->gradients || t->batch, chosen = 0;
  int folder = t->model && strcmp(t->model, "giorom") && strcmp(t->model, "gns");
  for (int k = 0; k < CASES; k++) chosen |= o->chosen[k] && cases[k].run == bench_train;
  if (given && !(any && chosen))
    return complain("--model, --batch, --input, --save and --gradients are of the case 'train': name it");
  if (t->input && !folder) return complain("--input is for the model of a folder: give --model FOLDER");
  if (t->input && bench->size) return complain("--size is of made-up particles: --input brings its own");
  if ((t->save || t->gradients) && !t->model)
    return complain("%s is of one model: give --model giorom, gns or FOLDER",
                    t->save ? "--save" : "--gradients");
  return -1;
}

/* The place of the text that a word is followed by; NULL: there is none. */
static const char **text_of(const char *word, bench_options *o, bench_context *bench) {
  const struct {
    const char *word, **text;
  } texts[] = {
      {"--device", &o->device},         {"--json", &o->json},
      {"--precision", &o->precision},   {"--csv", &bench->csv},
      {"--plot", &bench->plot},         {"--material", &bench->material},
      {"--model", &bench->train.model}, {"--input", &bench->train.input},
      {"--save", &bench->train.save},   {"--gradients", &bench->train.gradients},
  };
  for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
    if (!strcmp(word, texts[k].word)) return texts[k].text;
  return NULL;
}

static int parse(int argc, char **argv, bench_options *o, bench_context *bench) {
  int any = 0;
  for (int i = 1; i < argc; i++) {
    const char *word = argv[i], **text = text_of(word, o, bench);
    const char *value = i + 1 < argc ? argv[i + 1] : NULL;
    int64_t threads = o->threads, batch = bench->train.batch;
    int code = -1, known = 0;
    if (!strcmp(word, "--help") || !strcmp(word, "-h")) return usage(stdout), 0;
    for (int k = 0; k < CASES && !known; k++)
      if (!strcmp(word, cases[k].name)) known = any = o->chosen[k] = 1;
    if (known) continue;
    if (!strcmp(word, "--quick")) {
      bench->quick = 1;
      continue;
    }
    if (value && text)
      *text = value;
    else if (value && !strcmp(word, "--threads"))
      code = read_count(word, value, 0, 4096, &threads);
    else if (value && !strcmp(word, "--size"))
      code = read_count(word, value, 1, 1000000000, &bench->size);
    else if (value && !strcmp(word, "--batch"))
      code = read_count(word, value, 1, 4096, &batch);
    else
      return complain("unknown or incomplete argument '%s'", word), usage(stderr), 2;
    if (code >= 0) return code;
    o->threads = (int)threads;
    bench->train.batch = (int)batch;
    i++;
  }
  int code = check_train(bench, o, any);
  for (int k = 0; k < CASES && !any; k++) o->chosen[k] = 1;
  return code;
}

static mote_status write_json(const char *path, const bench_context *bench) {
  cJSON *root = cJSON_CreateObject();
  struct utsname system;
  char date[32];
  time_t seconds = time(NULL);
  uname(&system);
  strftime(date, sizeof date, "%Y-%m-%d", gmtime(&seconds));
  cJSON_AddStringToObject(root, "mote", mote_version());
  cJSON_AddStringToObject(root, "date", date);
  cJSON_AddStringToObject(root, "device", mote_device_name(bench->device));
  cJSON_AddStringToObject(root, "hardware", mote_device_description(bench->device));
  cJSON_AddStringToObject(root, "system", system.machine);
  cJSON_AddNumberToObject(root, "threads", mote_device_threads(bench->device));
  cJSON_AddStringToObject(root, "precision", mote_precision_name(bench->device->precision));
  cJSON_AddNumberToObject(root, "measured_bandwidth_gbs", 1e-9 * bench->peaks.bandwidth);
  cJSON_AddNumberToObject(root, "measured_gflops", 1e-9 * bench->peaks.flops);
  if (bench->peaks.tensor > 0)
    cJSON_AddNumberToObject(root, "measured_tensor_gflops", 1e-9 * bench->peaks.tensor);
  cJSON_AddItemReferenceToObject(root, "results", bench->results);
  char *text = cJSON_Print(root);
  mote_status status =
      text ? mote_file_write(path, text, strlen(text)) : mote_fail(MOTE_ERROR_MEMORY, "out of memory");
  free(text);
  cJSON_Delete(root);
  return status;
}

/* A case that fails takes nothing from the others. */
static mote_status run(bench_context *bench, const bench_options *o) {
  mote_device_options device_options = {.threads = o->threads};
  if (o->precision) MOTE_TRY(mote_precision_parse(o->precision, &device_options.precision));
  MOTE_TRY(mote_device_open(o->device, &device_options, &bench->device));
  MOTE_TRY(mote_stream_create(bench->device, &bench->stream));
  MOTE_TRY(bench_measure_peaks(bench));
  printf("%s: %s\nmeasured: %.1f GB/s (triad), %.0f Gflop/s (single-precision FMA)\n",
         mote_device_name(bench->device), mote_device_description(bench->device),
         1e-9 * bench->peaks.bandwidth, 1e-9 * bench->peaks.flops);
  if (bench->peaks.tensor > 0)
    printf("          %.0f Gflop/s (mma.sync), of which %s leaves dense layers %.0f\n",
           1e-9 * bench->peaks.tensor, mote_precision_name(bench->device->precision),
           1e-9 * bench->peaks.dense);
  printf("\n");
  printf("%-34s %10s %11s %8s %9s %8s %8s  %s\n", "case", "n", "ms", "spread", "MB", "of GB/s", "of flops",
         "rate");
  mote_status status = MOTE_OK;
  for (int k = 0; k < CASES; k++) {
    mote_status one = o->chosen[k] ? cases[k].run(bench) : MOTE_OK;
    if (one == MOTE_OK) continue;
    fprintf(stderr, "mote-bench: %s: %s\n", cases[k].name, mote_last_error());
    status = one;
  }
  if (o->json) MOTE_TRY(write_json(o->json, bench));
  return status == MOTE_OK ? MOTE_OK : mote_fail(status, "not all cases could be measured");
}

int main(int argc, char **argv) {
  bench_options o = {.device = "auto"};
  bench_context bench = {.results = cJSON_CreateArray()};
  int code = parse(argc, argv, &o, &bench);
  if (code < 0) {
    code = run(&bench, &o) == MOTE_OK ? 0 : 1;
    if (code) fprintf(stderr, "mote-bench: %s\n", mote_last_error());
  }
  mote_stream_destroy(bench.stream);
  mote_device_close(bench.device);
  cJSON_Delete(bench.results);
  return code;
}
