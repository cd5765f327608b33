/* mote train: a model from a RUN.yaml. */
#include "host/cli/cli.h"

#include <math.h>
#include <stdio.h>

#include <mote/train.h>

static void report(const cli_common *common, const char *folder, const mote_train_summary *s) {
  char validation[80] = "not validated";
  if (!isnan(s->validation) && s->samples)
    snprintf(validation, sizeof validation, "validation rollouts are %.4g m off", s->validation);
  else if (!isnan(s->validation))
    snprintf(validation, sizeof validation, "validation error %.3f of the unlearned operator's",
             s->validation);
  cli_say(common, "%s: %lld steps, %lld parameters, %.0f s; %s", folder, (long long)s->steps,
          (long long)s->parameters, s->seconds, validation);
}

int cli_train(int argc, char **argv) {
  const char *folder = NULL, *run = NULL, *from = NULL;
  mote_train_options options = {0};
  const cli_option table[] = {
      {"output", 'o', CLI_TEXT, &folder, "MODEL", "folder of the model; made if it is not there", 1},
      {"resume", 0, CLI_FLAG, &options.resume, NULL, "go on where the folder's training stopped", 0},
      {"from", 0, CLI_TEXT, &from, "MODEL", "begin with the weights of a trained model", 0},
      {"minutes", 0, CLI_REAL, &options.minutes, "M", "stop after so many minutes; --resume goes on", 0},
      {0}};
  cli_usage usage = {
      "train",
      "RUN.yaml",
      "Trains a model: a time-stepper (kind: stepper), the learned correction of the reduced-order\n"
      "operator (kind: operator), both together (kind: joint), or what matter is made of\n"
      "(kind: constitutive). What RUN.yaml may say is told in scripts/train/README.md.",
      NULL,
      1,
      1};
  cli_common common;
  int count;
  int code = cli_parse(&usage, table, &common, argc, argv, &run, &count);
  if (code >= 0) return code;
  if (from && options.resume)
    return cli_complain("train", "--resume goes on with its own weights: leave out --from");
  options.from = from;
  options.device = common.device;
  options.threads = (int)common.threads;
  options.seed = common.seed;
  cli_progress progress;
  mote_monitor monitor = cli_monitor(&progress, &common);
  mote_train_summary s = {0};
  mote_status status = mote_train(run, folder, &options, &monitor, &s);
  cli_progress_end(&progress);
  if (status == MOTE_OK) report(&common, folder, &s);
  return status == MOTE_OK ? CLI_OK : cli_fail("train");
}
