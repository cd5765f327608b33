/* mote dataset: train.h5, valid.h5 and test.h5 of randomised scenes from a SPEC.yaml. */
#include "host/cli/cli.h"

#include <mote/dataset.h>

int cli_dataset(int argc, char **argv) {
  const char *folder = NULL, *spec;
  const cli_option table[] = {
      {"output", 'o', CLI_TEXT, &folder, "DIR", "folder of the data set; made if it is not there", 1}, {0}};
  cli_usage usage = {
      "dataset",
      "SPEC.yaml",
      "Simulates randomised scenes: train.h5, valid.h5, test.h5 and metadata.json.",
      "The keys of SPEC.yaml are told in scripts/datasets/README.md. Stopped or killed, the same "
      "command goes on\nat the first trajectory that is not there, to the same bytes.",
      1,
      1};
  cli_common common;
  int count;
  int code = cli_parse(&usage, table, &common, argc, argv, &spec, &count);
  if (code >= 0) return code;
  mote_dataset_options options = {common.device, (int)common.threads, common.seed};
  cli_progress progress;
  mote_monitor monitor = cli_monitor(&progress, &common);
  mote_dataset_summary s = {0};
  mote_status status = mote_dataset_make(spec, folder, &options, &monitor, &s);
  cli_progress_end(&progress);
  if (status != MOTE_OK) return cli_fail("dataset");
  if (s.done < s.scenes) {
    cli_say(&common, "%s: stopped, %lld of %lld trajectories are done; the same command goes on", folder,
            (long long)s.done, (long long)s.scenes);
    return CLI_FAILED;
  }
  cli_say(&common,
          "%s: %lld trajectories (%lld simulated now in %.1f s, %lld draws failed and were redrawn), %lld "
          "frames, "
          "%lld to %lld particles",
          folder, (long long)s.scenes, (long long)s.simulated, s.seconds, (long long)s.redrawn,
          (long long)s.frames, (long long)s.fewest_particles, (long long)s.most_particles);
  return CLI_OK;
}
