/* mote sample: keeps a sparse set of a trajectory's particles. */
#include "host/cli/cli.h"

#include <string.h>

#include <mote/reduce.h>

int cli_sample_method(const char *name, mote_sample_method *method) {
  if (!strcmp(name, "farthest")) return *method = MOTE_SAMPLE_FARTHEST, 1;
  if (!strcmp(name, "poisson")) return *method = MOTE_SAMPLE_POISSON, 1;
  if (!strcmp(name, "uniform")) return *method = MOTE_SAMPLE_UNIFORM, 1;
  return 0;
}

int cli_sample(int argc, char **argv) {
  const char *output = NULL, *method = "farthest";
  int64_t count_wanted = 0;
  double ratio = 0;
  int per_body = 0;
  const cli_option options[] = {
      {"output", 'o', CLI_TEXT, &output, "S.h5", "sparse trajectory to write", 1},
      {"count", 'n', CLI_INTEGER, &count_wanted, "N", "particles to keep", 0},
      {"ratio", 'r', CLI_REAL, &ratio, "X", "part of the particles to keep, instead of --count", 0},
      {"method", 'm', CLI_TEXT, &method, "NAME", "farthest, poisson or uniform (farthest)", 0},
      {"per-body", 0, CLI_FLAG, &per_body, NULL, "give each body its share", 0},
      {0}};
  cli_usage usage = {
      "sample", "T.h5", "Keeps a sparse set of a trajectory's particles, chosen on its first frame.",
      NULL,     1,      1};
  cli_common common;
  const char *input;
  int count;
  int code = cli_parse(&usage, options, &common, argc, argv, &input, &count);
  if (code >= 0) return code;
  mote_sample_options o = {.count = count_wanted, .ratio = ratio, .seed = (uint64_t)common.seed};
  if ((count_wanted > 0) == (ratio > 0) || count_wanted < 0 || ratio < 0 || ratio > 1)
    return cli_complain("sample", "give --count N or --ratio X, X above 0 and up to 1");
  if (!cli_sample_method(method, &o.method))
    return cli_complain("sample", "--method is '%s': expected farthest, poisson or uniform", method);
  cli_progress progress;
  mote_monitor monitor = cli_monitor(&progress, &common);
  int64_t chosen;
  mote_status status = mote_reduce_trajectory(input, 0, &o, per_body, output, &monitor, &chosen);
  cli_progress_end(&progress);
  if (status != MOTE_OK) return cli_fail("sample");
  cli_say(&common, "%s: %lld particles", output, (long long)chosen);
  return CLI_OK;
}
