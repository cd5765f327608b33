/* mote average: the mean of models' weights. */
#include "host/cli/cli.h"

#include <mote/average.h>

#define MOST_MODELS 64

int cli_average(int argc, char **argv) {
  const char *output = NULL, *shares = NULL;
  const cli_option options[] = {
      {"output", 'o', CLI_TEXT, &output, "FOLDER", "model to write", 1},
      {"shares", 0, CLI_TEXT, &shares, "X,X,...", "each model's share, a number each (all alike)", 0},
      {0}};
  cli_usage usage = {"average",
                     "MODEL ...",
                     "Writes the mean of models' weights: of phases or branches of one training.",
                     "Each MODEL is a folder with config.json and model.safetensors. They may differ in "
                     "their weights alone,\n"
                     "and should have been trained on from a common one: of others the mean is of no use.",
                     1,
                     MOST_MODELS};
  cli_common common;
  const char *models[MOST_MODELS];
  double share[MOST_MODELS];
  int count;
  int code = cli_parse(&usage, options, &common, argc, argv, models, &count);
  if (code >= 0) return code;
  if (shares && cli_read_reals(shares, count, share) != count)
    return cli_complain("average", "--shares is '%s': expected %d numbers, one a model, with commas between",
                        shares, count);
  if (mote_average_models(count, models, shares ? share : NULL, output) != MOTE_OK)
    return cli_fail("average");
  cli_say(&common, "%s: the mean of %d model%s", output, count, count == 1 ? "" : "s");
  return CLI_OK;
}
