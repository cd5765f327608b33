/* mote rollout: a trajectory by a learned time-stepper, all particles reconstructed. */
#include "host/cli/cli.h"

#include <mote/rollout.h>

static double per(double seconds, int64_t count) {
  return count > 1 ? 1e3 * seconds / (double)(count - 1) : 0;
}

static int rollout(const cli_common *common, const mote_rollout_job *job) {
  mote_device *device = NULL;
  mote_rollout_summary s = {0};
  cli_progress progress;
  mote_monitor monitor = cli_monitor(&progress, common);
  mote_status status = cli_open_device(common, &device);
  if (status == MOTE_OK) status = mote_rollout_trajectory(device, job, &monitor, &s);
  cli_progress_end(&progress);
  if (status == MOTE_OK)
    cli_say(common,
            "%s: %lld frames of %lld particles; %lld stepped on %lld edges, %.2f ms a step, reconstruction "
            "%.2f ms a "
            "frame, on %s",
            job->output, (long long)s.frames, (long long)s.particles, (long long)s.stepped,
            (long long)s.edges, per(s.step_seconds, s.steps), per(s.reconstruct_seconds, s.reconstructed),
            mote_device_name(device));
  mote_device_close(device);
  return status == MOTE_OK ? CLI_OK : cli_fail("rollout");
}

int cli_rollout(int argc, char **argv) {
  mote_rollout_job job = {.reconstructs = 1};
  const char *method = "farthest";
  int64_t every = 1;
  int only_sparse = 0;
  const char *precision = NULL;
  const cli_option options[] = {
      {"model", 'm', CLI_TEXT, &job.model, "FOLDER", "time-stepper: config.json and model.safetensors", 1},
      {"input", 'i', CLI_TEXT, &job.input, "T.h5", "trajectories, whose first frames are the history", 1},
      {"output", 'o', CLI_TEXT, &job.output, "D.h5", "trajectories to write", 1},
      {"sparse", 'n', CLI_INTEGER, &job.sampling.count, "N", "particles that are stepped (all)", 0},
      {"ratio", 'r', CLI_REAL, &job.sampling.ratio, "X", "part of the particles, instead of --sparse", 0},
      {"method", 0, CLI_TEXT, &method, "NAME", "farthest, poisson or uniform (farthest)", 0},
      {"operator", 0, CLI_TEXT, &job.operator_folder, "FOLDER",
       "trained operator (default: without learning)", 0},
      {"only-sparse", 0, CLI_FLAG, &only_sparse, NULL, "write the stepped particles alone", 0},
      {"steps", 0, CLI_INTEGER, &job.steps, "N", "steps (as many as the input has frames left)", 0},
      {"every", 0, CLI_INTEGER, &every, "K", "reconstruct and write every K-th frame (1)", 0},
      {"metadata", 0, CLI_TEXT, &job.metadata, "F.json",
       "statistics, bounds, radius (the model's metadata.json)", 0},
      {"radius", 0, CLI_REAL, &job.radius, "X", "of the graph, m (the metadata's)", 0},
      {"precision", 0, CLI_TEXT, &precision, "P", CLI_PRECISION_HELP, 0},
      {0}};
  cli_usage usage = {
      "rollout", "", "Steps a sparse set with a learned time-stepper and reconstructs all particles.",
      NULL,      0,  0};
  cli_common common;
  int count;
  int code = cli_parse(&usage, options, &common, argc, argv, NULL, &count);
  if (code < 0) code = cli_take_precision("rollout", precision, &common);
  if (code >= 0) return code;
  if (!cli_sample_method(method, &job.sampling.method))
    return cli_complain("rollout", "--method is '%s': expected farthest, poisson or uniform", method);
  if (job.sampling.count < 0 || job.sampling.ratio < 0 || job.sampling.ratio > 1 ||
      (job.sampling.count && job.sampling.ratio > 0))
    return cli_complain("rollout", "give --sparse N or --ratio X, X above 0 and up to 1, or neither for all");
  if (job.operator_folder && (only_sparse || !(job.sampling.count || job.sampling.ratio > 0)))
    return cli_complain("rollout",
                        "--operator is for the particles that --sparse or --ratio leave out: give one "
                        "of these, and not --only-sparse");
  if (job.steps < 0 || every < 1 || every > 1000000 || job.radius < 0)
    return cli_complain("rollout", "--steps, --every and --radius: expected positive numbers");
  job.every = (int)every;
  job.reconstructs = !only_sparse;
  job.sampling.seed = (uint64_t)common.seed;
  return rollout(&common, &job);
}
