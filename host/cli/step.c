/* mote step: one step of a learned time-stepper. */
#include "host/cli/cli.h"

#include <mote/rollout.h>

static int step(const cli_common *common, const mote_step_job *job) {
  mote_device *device = NULL;
  mote_step_summary s = {0};
  mote_status status = cli_open_device(common, &device);
  if (status == MOTE_OK) status = mote_step_trajectory(device, job, &s);
  if (status == MOTE_OK) {
    mote_memory_use use = mote_device_memory_use(device);
    cli_say(common, "%s: %lld particles on %s", job->output, (long long)s.particles,
            mote_device_name(device));
    /* For programs to read. */
    if (!common->quiet)
      printf("step_milliseconds: %.4f\npeak_bytes: %zu\nedges: %lld\n", 1e3 * s.seconds, use.bytes_peak,
             (long long)s.edges);
  }
  mote_device_close(device);
  return status == MOTE_OK ? CLI_OK : cli_fail("step");
}

int cli_step(int argc, char **argv) {
  mote_step_job job = {0};
  int64_t repeats = 1;
  const char *precision = NULL;
  const cli_option options[] = {
      {"model", 'm', CLI_TEXT, &job.model, "FOLDER", "config.json and model.safetensors", 1},
      {"input", 'i', CLI_TEXT, &job.input, "S.h5", "trajectory; its last frames are the history", 1},
      {"output", 'o', CLI_TEXT, &job.output, "O.h5", "normalized_acceleration and next_position", 1},
      {"metadata", 0, CLI_TEXT, &job.metadata, "F.json",
       "statistics, bounds, radius (the folder's metadata.json)", 0},
      {"radius", 0, CLI_REAL, &job.radius, "X", "of the graph, m (the metadata's)", 0},
      {"precision", 0, CLI_TEXT, &precision, "P", CLI_PRECISION_HELP, 0},
      {"repeat", 0, CLI_INTEGER, &repeats, "N", "steps from the same history, to time them (1)", 0},
      {0}};
  cli_usage usage = {"step", "", "Takes one step with a learned time-stepper (GIOROM or GNS).", NULL, 0, 0};
  cli_common common;
  int count;
  int code = cli_parse(&usage, options, &common, argc, argv, NULL, &count);
  if (code < 0) code = cli_take_precision("step", precision, &common);
  if (code >= 0) return code;
  if (repeats < 1 || repeats > 1000000)
    return cli_complain("step", "--repeat is %lld: expected 1 to 1000000", (long long)repeats);
  if (job.radius < 0) return cli_complain("step", "--radius is %g: expected a positive length", job.radius);
  job.repeats = (int)repeats;
  return step(&common, &job);
}
